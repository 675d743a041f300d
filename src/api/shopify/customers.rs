//! Customers, by pages and by lines of a bulk result.

use super::client::{Operation, Shopify};
use super::nodes::Found;
use crate::api::lenient;
use crate::api::{ApiError, Cursor, Exchange, Fault, Page};
use crate::model::{Customer, CustomerConsent, CustomerId, EmailState, Moment};
use serde::Deserialize;
use serde_json::json;
use std::time::Duration;

static CUSTOMERS_BY_ID: Operation = Operation {
    urgent: true,
    ..Operation::new(
        "customers_by_id",
        include_str!("customers_by_id.graphql"),
        5.0,
    )
};
static CUSTOMERS: Operation = Operation::new("customers", include_str!("customers.graphql"), 46.0);

/// The metafield that is asked for when none is kept: the document always names one.
const NO_METAFIELD: (&str, &str) = ("$app", "driftless");

/// Timestamps have whole seconds.
const TOLERANCE: Duration = Duration::from_secs(1);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Node {
    id: String,
    #[serde(default, deserialize_with = "lenient::instant")]
    created_at: Option<Moment>,
    #[serde(deserialize_with = "lenient::instant")]
    updated_at: Option<Moment>,
    tags: Vec<String>,
    default_email_address: Option<Email>,
    default_phone_number: Option<Phone>,
    default_address: Option<Address>,
    driftless: Option<Metafield>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Email {
    email_address: String,
    marketing_state: String,
    #[serde(default, deserialize_with = "lenient::instant")]
    marketing_updated_at: Option<Moment>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Phone {
    phone_number: String,
}

#[derive(Deserialize)]
struct Address {
    #[serde(rename = "countryCodeV2")]
    country: Option<String>,
}

#[derive(Deserialize)]
struct Metafield {
    value: String,
}

impl Node {
    fn customer(self) -> Option<Customer> {
        let (email, email_consent) = match self.default_email_address {
            None => (None, None),
            Some(email) => {
                let state = state(&email.marketing_state);
                let at = email.marketing_updated_at;
                (
                    Some(email.email_address),
                    Some(CustomerConsent { state, at }),
                )
            }
        };
        Some(Customer {
            id: CustomerId::parse(&self.id)?,
            email,
            phone: self.default_phone_number.map(|phone| phone.phone_number),
            country: self.default_address.and_then(|address| address.country),
            email_consent,
            tags: self.tags,
            metafield: self.driftless.map(|metafield| metafield.value),
            created: self.created_at,
            updated: self.updated_at,
        })
    }
}

fn state(text: &str) -> EmailState {
    match text {
        "SUBSCRIBED" => EmailState::Subscribed,
        "UNSUBSCRIBED" => EmailState::Unsubscribed,
        "NOT_SUBSCRIBED" => EmailState::NotSubscribed,
        "PENDING" => EmailState::Pending,
        "INVALID" => EmailState::Invalid,
        other => EmailState::Other(other.to_owned()),
    }
}

/// Reads one line of a bulk result of customers; `None` when it does not fit.
pub fn decode_customer(line: &str) -> Option<Customer> {
    serde_json::from_str::<Node>(line).ok()?.customer()
}

impl<E: Exchange> Shopify<E> {
    /// One page, of 250 at most, of the customers changed at or after `since`, in order of change;
    /// of all customers when absent.
    ///
    /// # Errors
    /// [`Fault::FilterIgnored`], [`Fault::SearchWarning`], [`Fault::GraphqlErrors`], and whatever
    /// the request meets. A page with any error is refused whole.
    pub async fn customers(
        &self,
        since: Option<Moment>,
        cursor: Option<&Cursor>,
    ) -> Result<Page<Customer>, ApiError> {
        let names = self.metafield.as_ref();
        let (ns, key) = names.map_or(NO_METAFIELD, |(ns, key)| (ns.as_str(), key.as_str()));
        let variables = json!({
            "query": since.map(changed_since),
            "after": cursor.map(Cursor::as_str),
            "first": 250,
            "ns": ns,
            "key": key,
        });
        let read = if names.is_some() {
            decode_customer
        } else {
            without_metafield
        };
        let page = self.page(&CUSTOMERS, variables, cursor, read).await?;
        check_filter(since, page.items.iter().map(|customer| customer.updated))
            .map_err(|fault| ApiError::new(&CUSTOMERS.class, fault))?;
        Ok(page)
    }
}

impl<E: Exchange> Shopify<E> {
    /// Customers by id, 250 at most in one call.
    ///
    /// # Errors
    /// [`crate::api::Fault::TooMany`], and whatever the request meets.
    pub async fn customers_by_id(
        &self,
        ids: &[CustomerId],
    ) -> Result<Found<Customer, CustomerId>, ApiError> {
        let names = self.metafield.as_ref();
        let (ns, key) = names.map_or(NO_METAFIELD, |(ns, key)| (ns.as_str(), key.as_str()));
        let gids: Vec<String> = ids.iter().map(|id| id.gid()).collect();
        let variables = json!({"ids": gids, "ns": ns, "key": key});
        let read = if names.is_some() {
            decode_customer
        } else {
            without_metafield
        };
        self.nodes(&CUSTOMERS_BY_ID, variables, ids, read).await
    }
}

fn without_metafield(node: &str) -> Option<Customer> {
    let customer = decode_customer(node)?;
    Some(Customer {
        metafield: None,
        ..customer
    })
}

/// The search for records changed at or after an instant. The quotes keep the time from being cut
/// off at its first colon.
pub(super) fn changed_since(since: Moment) -> String {
    format!("updated_at:>='{}'", whole_seconds(since))
}

/// An instant as searches read it.
pub(super) fn whole_seconds(at: Moment) -> Moment {
    Moment::from_secs(at.secs())
}

/// Whether the rows look filtered at all.
pub(super) fn check_filter(
    since: Option<Moment>,
    updated: impl Iterator<Item = Option<Moment>>,
) -> Result<(), Fault> {
    let Some(oldest) = since.map(|since| whole_seconds(since).minus(TOLERANCE)) else {
        return Ok(());
    };
    if updated.flatten().any(|at| at < oldest) {
        return Err(Fault::FilterIgnored);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::fake::{Fake, body};
    use crate::api::shopify::client::tests_support::client;

    const JANE: &str = r#"{"id":"gid:\/\/shopify\/Customer\/7","createdAt":"2026-01-01T00:00:00Z","updatedAt":"2026-11-01T08:00:00Z",
        "tags":["VIP","dl:stale"],"defaultEmailAddress":{"emailAddress":"jane@example.com","marketingState":"SUBSCRIBED","marketingUpdatedAt":null},
        "defaultPhoneNumber":{"phoneNumber":"+4912345"},"defaultAddress":{"countryCodeV2":"DE"},"driftless":{"value":"{}"}}"#;
    const NOBODY: &str = r#"{"id":"gid://shopify/Customer/8","createdAt":"2026-01-01T00:00:00Z","updatedAt":"2026-11-01T08:00:00Z","tags":[],
        "defaultEmailAddress":null,"defaultPhoneNumber":null,"defaultAddress":null,"driftless":null,"later":1}"#;

    fn page(nodes: &str) -> crate::api::Answer {
        body(&format!(
            r#"{{"data":{{"customers":{{"pageInfo":{{"hasNextPage":true,"endCursor":"c"}},"nodes":[{nodes}]}}}}}}"#
        ))
    }

    #[test]
    fn a_line_is_a_customer_with_or_without_an_address() {
        let jane = decode_customer(JANE).unwrap();
        assert_eq!(jane.id, CustomerId(7));
        let consent = jane.email_consent.unwrap();
        assert_eq!(consent.state, EmailState::Subscribed);
        assert_eq!(jane.metafield.as_deref(), Some("{}"));
        let nobody = decode_customer(NOBODY).unwrap();
        assert_eq!((nobody.email, nobody.email_consent), (None, None));
        assert_eq!(decode_customer(&JANE.replace("Customer", "Order")), None);
        assert_eq!(decode_customer("{\"id\":\"gid://shop"), None);
        let new = JANE.replace("\"SUBSCRIBED\"", "\"LUNAR\"");
        let state = decode_customer(&new).unwrap().email_consent.unwrap().state;
        assert_eq!(state, EmailState::Other("LUNAR".to_owned()));
    }

    #[tokio::test]
    async fn a_page_asks_with_a_quoted_time_and_names_the_metafield_in_variables() {
        let misfit = r#"{"id":"gid://shopify/Customer/9","tags":null}"#;
        let fake = Fake::new([page(&format!("{JANE},{misfit},{NOBODY}"))]);
        let since = Moment::parse("2026-11-01T08:00:00.500Z");
        let read = client(&fake).customers(since, None).await.unwrap();
        assert_eq!((read.items.len(), read.quarantined), (2, 1));
        assert_eq!(read.next, Some(Cursor::from_stored("c")));
        let (_, sent) = fake.seen()[0].body.clone().unwrap();
        let sent: serde_json::Value = serde_json::from_slice(&sent).unwrap();
        let variables = &sent["variables"];
        assert_eq!(variables["query"], "updated_at:>='2026-11-01T08:00:00Z'");
        assert_eq!(variables["ns"], "custom");
        assert_eq!(variables["key"], "facts");
    }

    #[tokio::test]
    async fn rows_older_than_asked_for_refuse_the_page() {
        let fake = Fake::new([page(JANE)]);
        let since = Moment::parse("2026-11-01T08:00:02Z");
        let error = client(&fake).customers(since, None).await.unwrap_err();
        assert_eq!(error.fault, Fault::FilterIgnored);
    }

    #[tokio::test]
    async fn a_page_with_errors_is_refused_whole() {
        let partial = r#"{"data":{"customers":{"pageInfo":{"hasNextPage":false,"endCursor":null},"nodes":[]}},
            "errors":[{"message":"Access denied","path":["customers"],"extensions":{"code":"ACCESS_DENIED"}}]}"#;
        let fake = Fake::new([body(partial)]);
        let error = client(&fake).customers(None, None).await.unwrap_err();
        assert!(matches!(error.fault, Fault::MissingScope { .. }));
    }

    #[tokio::test]
    async fn by_id_what_is_gone_is_told_from_what_does_not_fit() {
        let misfit = r#"{"id":"gid://shopify/Customer/9","tags":null}"#;
        let nodes = |nodes: &str| body(&format!(r#"{{"data":{{"nodes":[{nodes}]}}}}"#));
        let fake = Fake::new([nodes(&format!("{JANE},null,{misfit}")), nodes(JANE)]);
        let ids = [7, 8, 9].map(CustomerId);
        let shopify = client(&fake);
        let found = shopify.customers_by_id(&ids).await.unwrap();
        assert_eq!(found.items.len(), 1);
        assert_eq!((found.gone, found.quarantined), (vec![CustomerId(8)], 1));
        // Fewer nodes than ids: nobody knows who is missing.
        let error = shopify.customers_by_id(&ids).await.unwrap_err();
        assert!(matches!(error.fault, crate::api::Fault::Shape { .. }));
        let many: Vec<CustomerId> = (0..251).map(CustomerId).collect();
        let error = shopify.customers_by_id(&many).await.unwrap_err();
        assert_eq!(
            error.fault,
            crate::api::Fault::TooMany {
                limit: 250,
                got: 251
            }
        );
    }
}
