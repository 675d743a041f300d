//! Shopify's deliveries.

use super::delivery::{Demand, Named, Notice, Redacted, print};
use super::tally::Refusal;
use crate::model::{CustomerId, Moment, OrderId};
use crate::vault::{Subject, Vault};
use axum::http::HeaderMap;
use serde::Deserialize;
use serde_json::Value as Json;
use std::collections::BTreeSet;

pub(super) const SIGNATURE: &str = "x-shopify-hmac-sha256";
const TOPIC: &str = "x-shopify-topic";
const DOMAIN: &str = "x-shopify-shop-domain";
const DELIVERY: &str = "x-shopify-webhook-id";
const EVENT: &str = "x-shopify-event-id";
const TRIGGERED: &str = "x-shopify-triggered-at";

/// Reads a delivery whose signature was right: what it names, and when it was sent. Demands of
/// customers hold however late they come, so for them that is `None`.
pub(super) fn read(
    headers: &HeaderMap,
    body: &[u8],
    domain: &str,
    vault: &Vault,
) -> Result<(Notice, Option<Moment>), Refusal> {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let wanted = |name| header(name).ok_or(Refusal::Malformed);
    if !wanted(DOMAIN)?.eq_ignore_ascii_case(domain) {
        return Err(Refusal::Foreign);
    }
    let topic = wanted(TOPIC)?;
    let sent = header(TRIGGERED).and_then(Moment::parse);
    let sent = sent.ok_or(Refusal::Malformed)?;
    let body: Json = serde_json::from_slice(body).map_err(|_| Refusal::Malformed)?;
    let demand = demand(topic, &body, domain, vault)?;
    let named = named(topic, &body);
    // One action may cause several deliveries about several records, all with its number.
    let about = format!("{named:?} {demand:?}");
    let delivery = header(DELIVERY).map(|id| print(&["shopify delivery", id]));
    let event = header(EVENT).map(|id| print(&["shopify event", id, topic, &about]));
    let prints: Vec<_> = delivery.into_iter().chain(event).collect();
    if prints.is_empty() {
        return Err(Refusal::Malformed);
    }
    let at_any_age = matches!(demand, Some(Demand::Forget(_) | Demand::Disclose { .. }));
    let notice = Notice {
        prints,
        named,
        demand,
    };
    Ok((notice, (!at_any_age).then_some(sent)))
}

/// The records that a delivery is about; none for a topic about something else.
fn named(topic: &str, body: &Json) -> BTreeSet<Named> {
    let (area, _) = topic.split_once('/').unwrap_or((topic, ""));
    let customer = |key: &str| id(&body[key]).and_then(|id| CustomerId::parse(&id));
    let order = |at: &Json| id(at).and_then(|id| OrderId::parse(&id));
    let customers = match (topic, area) {
        ("customers/merge", _) => vec![
            customer("admin_graphql_api_customer_kept_id"),
            customer("admin_graphql_api_customer_deleted_id"),
        ],
        (_, "customers") => vec![
            customer("admin_graphql_api_id")
                .or_else(|| customer("id"))
                .or_else(|| customer("customerId")),
        ],
        (_, "customers_email_marketing_consent" | "customers_marketing_consent") => {
            vec![customer("customer_id").or_else(|| customer("id"))]
        }
        ("customer.tags_added" | "customer.tags_removed", _) => vec![customer("customerId")],
        _ => Vec::new(),
    };
    let order = match (topic, area) {
        ("orders/edited", _) => order(&body["order_edit"]["order_id"]),
        (_, "orders") => order(&body["admin_graphql_api_id"]).or_else(|| order(&body["id"])),
        ("refunds/create", _) => order(&body["order_id"]),
        _ => None,
    };
    let customers = customers.into_iter().flatten().map(Named::Customer);
    customers.chain(order.map(Named::Order)).collect()
}

/// An id as REST (a number) or GraphQL (a text) spells it.
fn id(value: &Json) -> Option<String> {
    let number = value.as_u64().map(|number| number.to_string());
    number.or_else(|| value.as_str().map(str::to_owned))
}

/// The body of the privacy topics, as far as it is read. The signature covers nothing but the body: the
/// shop must stand in it, and what only these topics have, or any other body would do for a demand.
#[derive(Deserialize)]
struct Privacy {
    shop_domain: String,
    #[serde(default)]
    orders_to_redact: Option<Json>,
    #[serde(default)]
    customer: Person,
    #[serde(default)]
    data_request: Option<Numbered>,
}

#[derive(Default, Deserialize)]
struct Person {
    #[serde(default)]
    id: Json,
    #[serde(default)]
    email: Option<String>,
    #[serde(default)]
    phone: Option<String>,
}

#[derive(Deserialize)]
struct Numbered {
    id: u64,
}

fn demand(
    topic: &str,
    body: &Json,
    domain: &str,
    vault: &Vault,
) -> Result<Option<Demand>, Refusal> {
    if !["customers/redact", "customers/data_request", "shop/redact"].contains(&topic) {
        return Ok(None);
    }
    let privacy = Privacy::deserialize(body).map_err(|_| Refusal::Malformed)?;
    if !privacy.shop_domain.eq_ignore_ascii_case(domain) {
        return Err(Refusal::Foreign);
    }
    if topic == "shop/redact" {
        let only = |body: &serde_json::Map<String, Json>| {
            body.keys()
                .all(|key| key == "shop_id" || key == "shop_domain")
        };
        let is_it = body.as_object().is_some_and(only);
        return is_it
            .then_some(Some(Demand::Erase))
            .ok_or(Refusal::Malformed);
    }
    let customer = id(&privacy.customer.id).and_then(|id| CustomerId::parse(&id));
    let mark = |text: Option<String>| {
        let text = text.map(|text| text.to_lowercase());
        let text = text.filter(|text| !text.is_empty());
        text.map(|text| vault.mark(Subject::Address(&text)))
    };
    let address = mark(privacy.customer.email);
    let phone = mark(privacy.customer.phone);
    if topic == "customers/data_request" {
        let request = privacy.data_request.ok_or(Refusal::Malformed)?.id;
        return Ok(Some(Demand::Disclose { request, customer }));
    }
    match (customer, address) {
        _ if privacy.orders_to_redact.is_none() => Err(Refusal::Malformed),
        (None, None) => Err(Refusal::Malformed),
        (customer, address) => Ok(Some(Demand::Forget(Redacted {
            customer,
            address,
            phone,
        }))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_topic_names_its_record_in_its_own_way() {
        let customers = |ids: &[u64]| -> BTreeSet<Named> {
            ids.iter()
                .map(|id| Named::Customer(CustomerId(*id)))
                .collect()
        };
        let order = |id| BTreeSet::from([Named::Order(OrderId(id))]);
        let gid = |id| format!("gid://shopify/Customer/{id}");
        for (topic, body, expected) in [
            ("customers/update", json!({"id": 7}), customers(&[7])),
            ("customers/delete", json!({"id": 7}), customers(&[7])),
            (
                "customers/create",
                json!({"id": 1, "admin_graphql_api_id": gid(7)}),
                customers(&[7]),
            ),
            (
                "customers/merge",
                json!({"admin_graphql_api_customer_kept_id": gid(7),
                    "admin_graphql_api_customer_deleted_id": gid(8), "status": "completed"}),
                customers(&[7, 8]),
            ),
            (
                "customers/purchasing_summary",
                json!({"customerId": gid(7)}),
                customers(&[7]),
            ),
            (
                "customer.tags_added",
                json!({"customerId": gid(7)}),
                customers(&[7]),
            ),
            (
                "customers_email_marketing_consent/update",
                json!({"customer_id": 7}),
                customers(&[7]),
            ),
            (
                "customers_marketing_consent/update",
                json!({"id": 7}),
                customers(&[7]),
            ),
            ("orders/updated", json!({"id": 1001}), order(1001)),
            ("orders/delete", json!({"id": 1001}), order(1001)),
            (
                "orders/edited",
                json!({"order_edit": {"id": 5, "order_id": 1001}}),
                order(1001),
            ),
            (
                "refunds/create",
                json!({"id": 5, "order_id": 1001}),
                order(1001),
            ),
            ("orders/updated", json!({"id": "x"}), BTreeSet::new()),
            ("products/update", json!({"id": 7}), BTreeSet::new()),
            ("app/uninstalled", json!([]), BTreeSet::new()),
        ] {
            assert_eq!(named(topic, &body), expected, "{topic}");
        }
    }
}
