//! What is known about a person, in the forms that are written back.

use super::members::Judged;
use crate::detect::Verdicts;
use crate::model::{Customer, Dossier, Profile, PropertyChange, Value};
use crate::policy::{Fact, MetafieldMap, PropertyMap, TagMap};
use crate::score::Facts;
use std::collections::BTreeMap;

/// Shopify's limit of tags on one customer (shopify.md, section 7.1).
const MAX_TAGS: usize = 250;

/// The value of one fact; `None` unsets it upstream. No value moves by the mere passing of a day, or
/// a steady shop would be rewritten daily.
pub(super) fn value(fact: Fact, facts: &Facts, verdicts: &Verdicts) -> Option<Value> {
    match fact {
        Fact::Stage => Some(Value::Text(facts.stage.as_str().to_owned())),
        Fact::Tier => Some(Value::Text(facts.tier.as_str().to_owned())),
        Fact::Orders => Some(Value::Int(i64::from(facts.orders))),
        Fact::Spent => Some(facts.spent.into()),
        Fact::AverageOrderValue => facts.average_order_value.map(Value::from),
        Fact::LastOrder => facts.last_order.map(|at| Value::Text(at.date())),
        Fact::LastEngaged => facts.last_human.map(|at| Value::Text(at.date())),
        Fact::Stale => Some(Value::Bool(verdicts.stale.is_some())),
        Fact::Bouncing => Some(Value::Bool(verdicts.bouncing)),
    }
}

/// The properties of a profile that differ from what they should be. One in doubt stays as it is.
pub(super) fn property_changes(
    map: &PropertyMap,
    profile: &Profile,
    facts: &Facts,
    judged: &Judged,
) -> Vec<PropertyChange> {
    let certain = map.fields.iter().filter(|(fact, _)| !judged.doubts(*fact));
    let wanted = certain.map(|(fact, name)| {
        (
            format!("{}{name}", map.prefix),
            value(*fact, facts, &judged.verdicts),
        )
    });
    wanted
        .filter_map(|(key, to)| {
            let from = profile.properties.get(&key).cloned();
            let same = Value::same(from.as_ref(), to.as_ref());
            (!same).then_some(PropertyChange { key, from, to })
        })
        .collect()
}

/// Tags to add and to remove. Shopify compares tags without regard to case and may store them in
/// another spelling, so we compare folded and remove in the spelling that was read.
pub(super) enum TagChange {
    /// All tags are as they should be.
    None,
    /// These are not.
    Some {
        add: Vec<String>,
        remove: Vec<String>,
    },
    /// The customer has no room for ours.
    NoRoom,
}

/// Compares a customer's tags under our prefix with the facts. One in doubt stays as it is.
pub(super) fn tag_change(
    map: &TagMap,
    customer: &Customer,
    facts: &Facts,
    judged: &Judged,
) -> TagChange {
    if map.facts.is_empty() {
        return TagChange::None;
    }
    let (doubtful, certain): (Vec<Fact>, Vec<Fact>) =
        map.facts.iter().partition(|fact| judged.doubts(**fact));
    let wanted: Vec<String> = certain
        .iter()
        .filter_map(|fact| match value(*fact, facts, &judged.verdicts)? {
            Value::Bool(true) => Some(format!("{}{}", map.prefix, fact.as_str())),
            Value::Bool(false) => None,
            other => Some(format!("{}{}:{other}", map.prefix, fact.as_str())),
        })
        .collect();
    let same = |a: &str, b: &str| a.to_lowercase() == b.to_lowercase();
    let in_doubt = |tag: &str| {
        let mut doubtful = doubtful.iter();
        doubtful.any(|fact| same(tag, &format!("{}{}", map.prefix, fact.as_str())))
    };
    let ours =
        |tag: &str| tag.to_lowercase().starts_with(&map.prefix.to_lowercase()) && !in_doubt(tag);
    let has = |tag: &str| customer.tags.iter().any(|have| same(have, tag));
    let add: Vec<String> = wanted.iter().filter(|tag| !has(tag)).cloned().collect();
    let unwanted = |tag: &&String| ours(tag) && !wanted.iter().any(|want| same(want, tag));
    let remove: Vec<String> = customer.tags.iter().filter(unwanted).cloned().collect();
    if add.is_empty() && remove.is_empty() {
        TagChange::None
    } else if customer.tags.len() + add.len() > MAX_TAGS + remove.len() {
        TagChange::NoRoom
    } else {
        TagChange::Some { add, remove }
    }
}

/// The metafield's new JSON text, if it differs from the one that was read. A fact in doubt stays as
/// it is.
pub(super) fn metafield_change(
    map: &MetafieldMap,
    customer: &Customer,
    facts: &Facts,
    judged: &Judged,
) -> Option<String> {
    let seen = customer.metafield.as_deref();
    let seen: Option<serde_json::Value> = seen.and_then(|text| serde_json::from_str(text).ok());
    let value = |fact: Fact| match judged.doubts(fact) {
        true => seen.as_ref()?.get(fact.as_str()).cloned(),
        false => Some(value(fact, facts, &judged.verdicts)?.to_json()),
    };
    let wanted: BTreeMap<&str, serde_json::Value> = map
        .facts
        .iter()
        .filter_map(|fact| Some((fact.as_str(), value(*fact)?)))
        .collect();
    let wanted: serde_json::Value = wanted.into_iter().collect();
    (seen.as_ref() != Some(&wanted)).then(|| wanted.to_string())
}

/// Whether a person's profiles are several mailboxes: then a bounce of one says nothing about the
/// others, and no profile may be suppressed for it.
pub(super) fn several_mailboxes(dossier: &Dossier) -> bool {
    let mut addresses = dossier
        .profiles
        .iter()
        .filter_map(|(_, profile)| profile.email.as_deref());
    let first = addresses.next();
    addresses.any(|other| first.is_some_and(|first| !first.eq_ignore_ascii_case(other)))
}
