//! `metafieldsSet`, `metafieldsDelete` and `metafieldDefinitionCreate` (shopify.md, section 7.2).

use super::{Payload, UserError, record};
use crate::model::Moment;
use crate::sandbox::shopify::compile::Field;
use crate::sandbox::shopify::fault::Fault;
use crate::sandbox::shopify::resolve::{canonical_namespace, digest};
use crate::sandbox::shopify::value::{gid, number_of};
use crate::sandbox::world::{Definition, Metafield, ShopifyWorld, State};
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// Entries of one call.
const MAX_ENTRIES: usize = 25;

/// The types whose values are checked; others are refused.
const KINDS: [&str; 9] = [
    "boolean",
    "date",
    "date_time",
    "json",
    "multi_line_text_field",
    "number_decimal",
    "number_integer",
    "single_line_text_field",
    "url",
];

/// One entry, found good.
struct Entry {
    owner: u64,
    name: (String, String),
    kind: String,
    value: String,
}

pub(super) fn set(state: &mut State, now: Moment, field: &Field<'_>) -> Payload {
    let given = list(field);
    let mut payload = Payload::default();
    if given.len() > MAX_ENTRIES {
        let message = format!("Exceeded the maximum metafields input limit of {MAX_ENTRIES}.");
        let error = UserError::new(&["metafields"], message).code("LESS_THAN_OR_EQUAL_TO");
        payload.errors.push(error);
        return payload;
    }
    let mut entries = Vec::new();
    for (index, entry) in given.iter().enumerate() {
        let unwilling = &state.faults.unwilling;
        match check(&state.shopify, entry) {
            Ok(entry) if unwilling.contains(&entry.owner) => {
                let place = index.to_string();
                let error = UserError::new(&["metafields", &place, "value"], "is refused");
                payload
                    .errors
                    .push(error.code("INVALID_VALUE").element(index));
            }
            Ok(entry) => entries.push(entry),
            Err((member, code, message)) => {
                let place = index.to_string();
                let error = UserError::new(&["metafields", &place, member], message);
                payload.errors.push(error.code(code).element(index));
            }
        }
    }
    // All or none.
    if payload.errors.is_empty() {
        write(state, now, entries, &mut payload);
    }
    payload
}

fn list<'f>(field: &'f Field<'_>) -> &'f [Json] {
    let given = field.args.get("metafields").and_then(Json::as_array);
    given.map_or(&[], Vec::as_slice)
}

fn text<'j>(entry: &'j Json, member: &str) -> Option<&'j str> {
    entry.get(member).and_then(Json::as_str)
}

fn name_of(entry: &Json) -> (String, String) {
    let namespace = canonical_namespace(text(entry, "namespace"));
    let key = text(entry, "key").unwrap_or_default();
    (namespace.to_owned(), key.to_owned())
}

/// Member at fault, code and message.
type Refusal = (&'static str, &'static str, String);

fn check(shopify: &ShopifyWorld, entry: &Json) -> Result<Entry, Refusal> {
    let owner = text(entry, "ownerId").and_then(|gid| number_of(gid, "Customer"));
    let Some((owner, customer)) = owner.and_then(|o| shopify.customers.get_key_value(&o)) else {
        return Err(("ownerId", "INVALID", "Owner does not exist.".to_owned()));
    };
    let name = name_of(entry);
    check_name(&name)?;
    let known = customer.metafields.get(&name);
    let kind = kind_of(shopify, entry, &name, known)?;
    let value = text(entry, "value").unwrap_or_default().to_owned();
    check_value(&kind, &value)?;
    if let Some(wanted) = entry.get("compareDigest") {
        check_digest(wanted.as_str(), known)?;
    }
    Ok(Entry {
        owner: *owner,
        name,
        kind,
        value,
    })
}

fn check_name((namespace, key): &(String, String)) -> Result<(), Refusal> {
    let length = |member: &'static str, text: &str, least: usize, most: usize| {
        let count = text.chars().count();
        if count < least {
            let message = format!("is too short (minimum is {least} characters)");
            return Err((member, "TOO_SHORT", message));
        }
        if count > most {
            let message = format!("is too long (maximum is {most} characters)");
            return Err((member, "TOO_LONG", message));
        }
        Ok(())
    };
    length("namespace", namespace, 3, 255)?;
    length("key", key, 2, 64)?;
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let spelled = namespace.strip_prefix('$').unwrap_or(namespace);
    if !spelled.chars().all(plain) || !key.chars().all(plain) {
        let message = "must have only letters, numbers, underscores and hyphens".to_owned();
        return Err(("key", "INVALID", message));
    }
    Ok(())
}

/// The type given, else that of the definition. One that is settled already stays.
fn kind_of(
    shopify: &ShopifyWorld,
    entry: &Json,
    name: &(String, String),
    known: Option<&Metafield>,
) -> Result<String, Refusal> {
    let settled = shopify.definitions.get(name).map(|d| &d.kind);
    let given = text(entry, "type");
    let kind = match (given, settled, known) {
        (Some(given), Some(settled), _) if given != settled => {
            let message = format!("Type must be consistent with the definition's type: {settled}");
            return Err(("type", "INVALID_TYPE", message));
        }
        (Some(given), _, _) => given,
        (None, Some(settled), _) => settled,
        (None, None, Some(known)) => &known.kind,
        (None, None, None) => return Err(("type", "BLANK", "can't be blank".to_owned())),
    };
    if KINDS.contains(&kind) {
        return Ok(kind.to_owned());
    }
    let message = format!("Type must be one of the following: {}.", KINDS.join(", "));
    Err(("type", "INCLUSION", message))
}

fn check_value(kind: &str, value: &str) -> Result<(), Refusal> {
    if value.is_empty() {
        return Err(("value", "BLANK", "may not be empty".to_owned()));
    }
    let fits = match kind {
        "boolean" => ["true", "false"].contains(&value),
        "date" => value.parse::<jiff::civil::Date>().is_ok(),
        "date_time" => Moment::parse(value).is_some(),
        "json" => serde_json::from_str::<serde::de::IgnoredAny>(value).is_ok(),
        "number_decimal" => value.parse::<f64>().is_ok_and(f64::is_finite),
        "number_integer" => value.parse::<i64>().is_ok(),
        "single_line_text_field" => !value.contains(['\n', '\r']),
        "url" => url::Url::parse(value).is_ok(),
        _ => true,
    };
    if fits {
        return Ok(());
    }
    let message = format!("Value is invalid for the type {kind}.");
    Err(("value", "INVALID_VALUE", message))
}

/// Compare-and-set: null means "must not exist yet".
fn check_digest(wanted: Option<&str>, known: Option<&Metafield>) -> Result<(), Refusal> {
    let is = known.map(|metafield| digest(&metafield.value));
    if wanted == is.as_deref() {
        return Ok(());
    }
    let well_formed = |text: &str| text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
    if wanted.is_some_and(|wanted| !well_formed(wanted)) {
        let message = "The compareDigest is not a digest.".to_owned();
        return Err(("compareDigest", "INVALID_COMPARE_DIGEST", message));
    }
    let message = "The resource has been updated since it was loaded. Try again with an updated \
                   compareDigest value.";
    Err(("compareDigest", "STALE_OBJECT", message.to_owned()))
}

fn write(state: &mut State, now: Moment, entries: Vec<Entry>, payload: &mut Payload) {
    let mut touched: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for entry in entries {
        let target = format!("{}.{}", entry.name.0, entry.name.1);
        let subjects = touched.entry(target).or_default();
        subjects.push(gid("Customer", entry.owner));
        payload.metafields.push((entry.owner, entry.name.clone()));
        put(&mut state.shopify, now, entry);
    }
    for (target, subjects) in touched {
        record(state, now, "metafieldsSet", target, subjects);
    }
}

fn put(shopify: &mut ShopifyWorld, now: Moment, entry: Entry) {
    let number = shopify.next_number();
    let Some(customer) = shopify.customers.get_mut(&entry.owner) else {
        return;
    };
    let known = customer.metafields.get(&entry.name);
    // The same value again is no change.
    if known.is_some_and(|is| is.value == entry.value && is.kind == entry.kind) {
        return;
    }
    let metafield = Metafield {
        id: known.map_or(number, |known| known.id),
        kind: entry.kind,
        value: entry.value,
        updated: now,
    };
    customer.metafields.insert(entry.name, metafield);
    customer.updated = now;
}

pub(super) fn delete(state: &mut State, now: Moment, field: &Field<'_>) -> Payload {
    let mut payload = Payload::default();
    let mut owned = Vec::new();
    for (index, entry) in list(field).iter().enumerate() {
        let owner = text(entry, "ownerId").and_then(|gid| number_of(gid, "Customer"));
        let owner = owner.filter(|owner| state.shopify.customers.contains_key(owner));
        match owner {
            Some(owner) => owned.push((owner, name_of(entry))),
            None => {
                let place = index.to_string();
                let at = ["metafields", &place, "ownerId"];
                payload
                    .errors
                    .push(UserError::new(&at, "Owner does not exist."));
            }
        }
    }
    if !payload.errors.is_empty() {
        return payload;
    }
    for (owner, name) in owned {
        let customer = state.shopify.customers.get_mut(&owner);
        let existed = customer.is_some_and(|customer| {
            let existed = customer.metafields.remove(&name).is_some();
            if existed {
                customer.updated = now;
            }
            existed
        });
        let target = format!("{}.{}", name.0, name.1);
        let subject = vec![gid("Customer", owner)];
        record(state, now, "metafieldsDelete", target, subject);
        payload.deleted.push((owner, name, existed));
    }
    payload
}

pub(super) fn define(state: &mut State, now: Moment, field: &Field<'_>) -> Result<Payload, Fault> {
    let given = field.args.get("definition").unwrap_or(&Json::Null);
    if text(given, "ownerType") != Some("CUSTOMER") {
        return Err(Fault::not_served(
            "metafields of other owners than customers",
        ));
    }
    let name = name_of(given);
    let kind = text(given, "type").unwrap_or_default();
    let mut payload = Payload::default();
    let refusal = if state.shopify.definitions.contains_key(&name) {
        let message = "Key is in use for Customer metafields on the given namespace.";
        Some(("key", "TAKEN", message.to_owned()))
    } else if !KINDS.contains(&kind) {
        let message = format!("Type name {kind} is not a valid type.");
        Some(("type", "INCLUSION", message))
    } else {
        check_name(&name).err()
    };
    if let Some((member, code, message)) = refusal {
        let error = UserError::new(&["definition", member], message).code(code);
        payload.errors.push(error);
        return Ok(payload);
    }
    let definition = Definition {
        id: state.shopify.next_number(),
        name: text(given, "name").unwrap_or_default().to_owned(),
        kind: kind.to_owned(),
    };
    state.shopify.definitions.insert(name.clone(), definition);
    let target = format!("{}.{}", name.0, name.1);
    record(state, now, "metafieldDefinitionCreate", target, Vec::new());
    payload.definition = Some(name);
    Ok(payload)
}
