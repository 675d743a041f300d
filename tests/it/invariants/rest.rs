//! What is true besides once nothing is left to do.

use super::deeds::{Aspect, Place};
use super::{Evidence, Invariant, Violation, always, ends, violation, wishes};
use driftless::sandbox::world::State;
use serde_json::{Value as Json, json};
use std::collections::BTreeSet;

/// What can be looked at when the passes have come to their end.
#[derive(Clone, Copy)]
pub struct Rest<'a> {
    /// The plan of the second pass after the last fault, effect by effect.
    pub plan: &'a str,
    /// Every line of the mirror that lived through the faults.
    pub mirror: &'a [String],
    /// Every line of one that was filled undisturbed.
    pub undisturbed: &'a [String],
}

/// Every promise that was not kept, now that all should be.
pub fn at_rest(evidence: &Evidence<'_>, rest: &Rest<'_>) -> Vec<Violation> {
    let mut found = always(evidence);
    found.extend(last_word(evidence));
    found.extend(all_ended(evidence));
    found.extend(settled(rest));
    found.extend(same_mirror(rest));
    found
}

/// Upstream has what the last confirmed intent wanted, or what a later one did whose answer was lost.
fn last_word(evidence: &Evidence<'_>) -> Vec<Violation> {
    let mut found = Vec::new();
    for (place, wishes) in wishes(evidence.journal) {
        let Some(last) = wishes.iter().rposition(|wish| wish.confirmed.is_some()) else {
            continue;
        };
        let others = evidence.others.iter();
        let mut touched = others.filter(|(_, who)| *who == place.0);
        if touched.any(|(at, _)| *at >= wishes[last].at) {
            continue;
        }
        let there = upstream(evidence.world, &place);
        if !wishes[last..].iter().any(|wish| same(&wish.to, &there)) {
            let wanted = &wishes[last].to;
            let how = format!("{place:?} is {there}, confirmed was {wanted}");
            found.push(violation(Invariant::LastWord, how));
        }
    }
    found
}

/// What a vendor holds at a place now.
fn upstream(world: &State, (subject, aspect): &Place) -> Json {
    let klaviyo = &world.klaviyo;
    let profile = klaviyo.profiles.get(subject);
    let number = subject.rsplit('/').next().and_then(|no| no.parse().ok());
    let customer = number.and_then(|number: u64| world.shopify.customers.get(&number));
    match aspect {
        Aspect::List(name) => {
            let named = klaviyo.lists.values().filter(|list| list.name == *name);
            json!(named.count() == 1)
        }
        Aspect::Member(list) => {
            let list = klaviyo.lists.get(list);
            json!(list.is_some_and(|list| list.members.contains_key(subject)))
        }
        Aspect::Property(name) => {
            let value = profile.and_then(|profile| profile.properties.get(name));
            value.cloned().unwrap_or_default()
        }
        Aspect::Suppression => json!(profile.is_some_and(|p| !p.suppressions.is_empty())),
        Aspect::Consent => json!(
            profile.is_some_and(|profile| profile.consent == "SUBSCRIBED")
                || customer.is_some_and(|customer| customer.email_state == "SUBSCRIBED")
        ),
        Aspect::Tag(tag) => {
            let mut tags = customer.into_iter().flat_map(|customer| &customer.tags);
            json!(tags.any(|has| has.to_lowercase() == *tag))
        }
        Aspect::Metafield => {
            let fields = customer
                .into_iter()
                .flat_map(|customer| &customer.metafields);
            let mut ours = fields.filter(|((_, key), _)| key == "driftless");
            json!(ours.next().map(|(_, field)| &field.value))
        }
    }
}

/// Equal numbers are equal however they are spelt.
fn same(one: &Json, other: &Json) -> bool {
    one == other || (one.is_number() && one.as_f64() == other.as_f64())
}

fn all_ended(evidence: &Evidence<'_>) -> Vec<Violation> {
    let open = ends(evidence.journal).into_iter();
    let open = open.filter(|(_, (_, ends))| *ends == 0);
    open.map(|(id, _)| violation(Invariant::OneEnd, format!("{id} has no end")))
        .collect()
}

fn settled(rest: &Rest<'_>) -> Option<Violation> {
    let left = rest.plan.lines().next()?;
    let how = format!("{} effects are left: {left}", rest.plan.lines().count());
    Some(violation(Invariant::Settled, how))
}

fn same_mirror(rest: &Rest<'_>) -> Vec<Violation> {
    let (ours, theirs): (BTreeSet<&String>, BTreeSet<&String>) = (
        rest.mirror.iter().collect(),
        rest.undisturbed.iter().collect(),
    );
    let lost = theirs.difference(&ours).map(|line| format!("lost {line}"));
    let extra = ours.difference(&theirs).map(|line| format!("extra {line}"));
    let order = (ours == theirs && rest.mirror != rest.undisturbed)
        .then(|| "the same lines in another order or number".to_owned());
    let how = lost.chain(extra).chain(order);
    how.map(|how| violation(Invariant::SameMirror, how))
        .collect()
}
