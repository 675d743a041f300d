//! Customers and their metafields.

use super::{Ctx, Node, Out, Resolved, maybe_stamp, stamp, unknown};
use crate::model::Money;
use crate::sandbox::shopify::compile::Field;
use crate::sandbox::shopify::value::gid;
use crate::sandbox::world::{Customer, Definition, Metafield, Order};
use email_address::EmailAddress;
use serde_json::Value as Json;
use sha2::{Digest, Sha256};

pub(super) fn customer<'s>(
    ctx: &Ctx<'s>,
    number: u64,
    customer: &'s Customer,
    field: &Field<'_>,
) -> Resolved<'s> {
    Ok(match field.name() {
        "id" => gid("Customer", number).into(),
        "legacyResourceId" => number.to_string().into(),
        "createdAt" => stamp(customer.created).into(),
        "updatedAt" => stamp(customer.updated).into(),
        "firstName" => customer.first_name.clone().into(),
        "lastName" => customer.last_name.clone().into(),
        "displayName" => display_name(customer).into(),
        "locale" => "en".into(),
        // Nobody in this world has an account at the shop.
        "state" => "DISABLED".into(),
        "verifiedEmail" => customer.email.is_some().into(),
        "dataSaleOptOut" | "taxExempt" => false.into(),
        "note" => Out::NULL,
        "tags" => customer.tags.clone().into(),
        "defaultEmailAddress" => {
            let has = customer.email.as_ref();
            Out::maybe(has.map(|_| Node::Email(customer)))
        }
        "defaultPhoneNumber" => {
            let has = customer.phone.as_ref();
            Out::maybe(has.map(|_| Node::Phone(customer)))
        }
        "defaultAddress" => {
            let has = customer.country_code.as_ref().or(customer.city.as_ref());
            Out::maybe(has.map(|_| Node::Address(number, customer)))
        }
        "metafield" => Out::maybe(named_metafield(customer, field)),
        _ => return bought(ctx, number, field),
    })
}

/// What follows from the orders of a customer.
fn bought<'s>(ctx: &Ctx<'s>, number: u64, field: &Field<'_>) -> Resolved<'s> {
    Ok(match field.name() {
        "numberOfOrders" => orders_of(ctx, number).count().to_string().into(),
        "amountSpent" => Out::Node(Node::Money(spent(ctx, number))),
        "lastOrder" => {
            ctx.require("read_orders", field)?;
            let seen = orders_of(ctx, number).filter(|(_, order)| ctx.sees(order));
            Out::maybe(
                seen.last()
                    .map(|(number, order)| Node::Order(number, order)),
            )
        }
        "orders" => {
            ctx.require("read_orders", field)?;
            super::root::order_page(ctx, field, orders_of(ctx, number))?
        }
        _ => unknown("Customer", field),
    })
}

/// Everything this customer ordered, tests left out.
fn orders_of<'a, 's>(
    ctx: &'a Ctx<'s>,
    customer: u64,
) -> impl Iterator<Item = (u64, &'s Order)> + use<'a, 's> {
    let all = ctx.purchases();
    let from = all.partition_point(|(owner, _)| *owner < customer);
    let mine = all.iter().skip(from);
    let mine = mine.take_while(move |(owner, _)| *owner == customer);
    let orders = &ctx.state.shopify.orders;
    let known = mine.filter_map(|(_, number)| orders.get_key_value(number));
    let real = known.filter(|(_, order)| !order.test);
    real.map(|(number, order)| (*number, order))
}

fn spent(ctx: &Ctx<'_>, customer: u64) -> Money {
    let kept = orders_of(ctx, customer).filter(|(_, order)| order.cancelled.is_none());
    kept.map(|(_, order)| order.total - order.refunded).sum()
}

fn display_name(customer: &Customer) -> String {
    let names = [
        customer.first_name.as_deref(),
        customer.last_name.as_deref(),
    ];
    let names: Vec<&str> = names.into_iter().flatten().collect();
    if !names.is_empty() {
        return names.join(" ");
    }
    let other = customer.email.clone().or(customer.phone.clone());
    other.unwrap_or_default()
}

pub(super) fn email<'s>(customer: &'s Customer, field: &Field<'_>) -> Out<'s> {
    let address = customer.email.as_deref().unwrap_or_default();
    match field.name() {
        "emailAddress" => address.into(),
        "validFormat" => EmailAddress::is_valid(address).into(),
        "marketingState" => customer.email_state.into(),
        "marketingOptInLevel" => match customer.email_state {
            "SUBSCRIBED" | "UNSUBSCRIBED" => "SINGLE_OPT_IN".into(),
            "PENDING" => "CONFIRMED_OPT_IN".into(),
            _ => Out::NULL,
        },
        "marketingUpdatedAt" => maybe_stamp(customer.email_state_at),
        _ => unknown("CustomerEmailAddress", field),
    }
}

pub(super) fn phone<'s>(customer: &'s Customer, field: &Field<'_>) -> Out<'s> {
    match field.name() {
        "phoneNumber" => customer.phone.as_deref().unwrap_or_default().into(),
        "smsMarketingConsent" => Out::Node(Node::Sms),
        _ => unknown("CustomerPhoneNumber", field),
    }
}

/// Nobody in this world was ever asked for text messages.
pub(super) fn sms<'s>(field: &Field<'_>) -> Out<'s> {
    match field.name() {
        "state" => "NEVER_SUBSCRIBED".into(),
        "optInLevel" | "updatedAt" | "collectedFrom" => Out::NULL,
        _ => unknown("CustomerSmsMarketingConsent", field),
    }
}

pub(super) fn address<'s>(number: u64, customer: &'s Customer, field: &Field<'_>) -> Out<'s> {
    match field.name() {
        "id" => gid("MailingAddress", number).into(),
        "firstName" => customer.first_name.clone().into(),
        "lastName" => customer.last_name.clone().into(),
        "city" => customer.city.clone().into(),
        "countryCodeV2" => customer.country_code.clone().into(),
        "phone" => customer.phone.clone().into(),
        // The world knows cities and countries alone.
        "provinceCode" | "zip" => Out::NULL,
        _ => unknown("MailingAddress", field),
    }
}

/// The spelling under which the world keeps a namespace: `$app` for that of the calling app.
pub(in crate::sandbox::shopify) fn canonical_namespace(namespace: Option<&str>) -> &str {
    match namespace {
        None | Some(APP_NAMESPACE) => "$app",
        Some(other) => other,
    }
}

/// How the API spells the namespace reserved to the calling app.
const APP_NAMESPACE: &str = "app--4201";

pub(super) fn spelled_namespace(namespace: &str) -> &str {
    if namespace == "$app" {
        APP_NAMESPACE
    } else {
        namespace
    }
}

fn named_metafield<'s>(customer: &'s Customer, field: &Field<'_>) -> Option<Node<'s>> {
    let key = field.args.get("key").and_then(Json::as_str)?;
    let namespace = field.args.get("namespace").and_then(Json::as_str);
    let name = (canonical_namespace(namespace).to_owned(), key.to_owned());
    let (name, metafield) = customer.metafields.get_key_value(&name)?;
    Some(Node::Metafield(name, metafield))
}

pub(super) fn metafield<'s>(
    (namespace, key): &'s (String, String),
    metafield: &'s Metafield,
    field: &Field<'_>,
) -> Out<'s> {
    match field.name() {
        "id" => gid("Metafield", metafield.id).into(),
        "legacyResourceId" => metafield.id.to_string().into(),
        "namespace" => spelled_namespace(namespace).into(),
        "key" => key.as_str().into(),
        "type" => metafield.kind.as_str().into(),
        "value" => metafield.value.as_str().into(),
        "jsonValue" => json_value(metafield).into(),
        "compareDigest" => digest(&metafield.value).into(),
        "ownerType" => "CUSTOMER".into(),
        "updatedAt" => stamp(metafield.updated).into(),
        _ => unknown("Metafield", field),
    }
}

/// Texts are JSON strings; numbers, booleans and JSON are what they say.
fn json_value(metafield: &Metafield) -> Json {
    let text = || Json::from(metafield.value.as_str());
    match metafield.kind.as_str() {
        "json" | "number_integer" | "boolean" => {
            serde_json::from_str(&metafield.value).unwrap_or_else(|_| text())
        }
        _ => text(),
    }
}

/// What `compareDigest` compares.
pub(in crate::sandbox::shopify) fn digest(value: &str) -> String {
    let hash = Sha256::digest(value.as_bytes());
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn definition<'s>(
    (namespace, key): &'s (String, String),
    definition: &'s Definition,
    field: &Field<'_>,
) -> Out<'s> {
    match field.name() {
        "id" => gid("MetafieldDefinition", definition.id).into(),
        "name" => definition.name.as_str().into(),
        "namespace" => spelled_namespace(namespace).into(),
        "key" => key.as_str().into(),
        "ownerType" => "CUSTOMER".into(),
        "type" => Out::Node(Node::DefinitionType(definition)),
        _ => unknown("MetafieldDefinition", field),
    }
}

pub(super) fn definition_type<'s>(definition: &'s Definition, field: &Field<'_>) -> Out<'s> {
    match field.name() {
        "name" => definition.kind.as_str().into(),
        "category" => match definition.kind.as_str() {
            "json" => "JSON".into(),
            "boolean" => "TRUE_FALSE".into(),
            "date" | "date_time" => "DATE_TIME".into(),
            kind if kind.starts_with("number") => "NUMBER".into(),
            _ => "TEXT".into(),
        },
        _ => unknown("MetafieldDefinitionType", field),
    }
}
