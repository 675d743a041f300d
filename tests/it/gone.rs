//! Records that went between reading and writing.

use crate::house::{House, ROOMY};
use driftless::journal::Intent;
use driftless::model::{EffectKind, End};
use driftless::pass::Summary;

fn ended(summary: &Summary, kind: EffectKind, end: End) -> u64 {
    let ends = &summary.effects.ends;
    ends.get(&(kind, end)).copied().unwrap_or(0)
}

/// Intents for one subject.
fn meant_for(house: &House, subject: &str) -> Vec<Intent> {
    let mut intents = house.intents();
    intents.retain(|intent| intent.subject.as_deref() == Some(subject));
    intents
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_deleted_since_it_was_read_is_withdrawn_and_the_others_are_written() {
    let mut house = House::of(60, &ROOMY).await;
    let observed = house.pass().await;
    let lapsed = house.planned();
    let joins = |id: &str| {
        lapsed
            .lines()
            .any(|line| line.contains("list_add") && line.contains(id))
    };
    // No feed of Klaviyo's tells who was deleted.
    let gone = {
        let profiles = &mut house.world.state().klaviyo.profiles;
        let gone = profiles
            .keys()
            .find(|id| joins(id))
            .cloned()
            .expect("one who joins a list");
        profiles.remove(&gone);
        gone
    };
    let applied = house.pass().await;
    for kind in [EffectKind::Property, EffectKind::ListAdd] {
        let wanted = observed.planned[&kind];
        assert_eq!(ended(&applied, kind, End::Withdrawn), 1, "{kind}");
        assert_eq!(ended(&applied, kind, End::Confirmed), wanted - 1, "{kind}");
    }
    assert_eq!(meant_for(&house, &gone).len(), 2);
    // Nor is it asked again for at once.
    let again = house.pass().await;
    assert!(again.is_quiet(), "{:?} {:?}", again.planned, again.trips);
    assert_eq!(meant_for(&house, &gone).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_ends_the_effect_and_the_profile_that_took_over_gets_what_it_lacks() {
    let mut house = House::of(60, &ROOMY).await;
    let observed = house.pass().await;
    let wanted = observed.planned[&EffectKind::Property];
    let (gone, owner) = {
        let state = &mut *house.world.state();
        let profiles = &mut state.klaviyo.profiles;
        // Not at either end, where the sentinels are.
        let gone = profiles.keys().nth(20).unwrap().clone();
        let owner = profiles.keys().nth(21).unwrap().clone();
        profiles.remove(&gone);
        state.faults.duplicates.insert(gone.clone(), owner.clone());
        (gone, owner)
    };
    let applied = house.pass().await;
    assert_eq!(ended(&applied, EffectKind::Property, End::Superseded), 1);
    assert_eq!(
        ended(&applied, EffectKind::Property, End::Confirmed),
        wanted - 1
    );
    let again = house.pass().await;
    assert!(again.is_quiet(), "{:?} {:?}", again.planned, again.trips);
    let has_stage = {
        let state = house.world.state();
        let owner = &state.klaviyo.profiles[&owner];
        owner.properties.contains_key("driftless_stage")
    };
    assert!(has_stage);
    let journal = house.journal_text();
    let noted = |line: &&str| line.contains("superseded") && line.contains(&owner);
    assert_eq!(journal.lines().filter(noted).count(), 1);
    assert!(meant_for(&house, &gone).len() <= 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_of_two_profiles_that_both_exist_is_a_refusal_that_is_not_repeated() {
    let mut house = House::of(60, &ROOMY).await;
    house.pass().await;
    let one = {
        let state = &mut *house.world.state();
        let mut ids = state.klaviyo.profiles.keys().rev().cloned();
        let (one, other) = (ids.next().unwrap(), ids.next().unwrap());
        state.faults.duplicates.insert(one.clone(), other);
        one
    };
    let applied = house.pass().await;
    assert_eq!(ended(&applied, EffectKind::Property, End::Refused), 1);
    assert_eq!(applied.effects.refusals.get("conflict"), Some(&1));
    let before = meant_for(&house, &one).len();
    house.pass().await;
    assert_eq!(meant_for(&house, &one).len(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_deleted_since_it_was_read_is_withdrawn_and_the_others_are_written() {
    let tags = ("shopify_tags", "facts", "[\"stage\"]");
    let mut house = House::of(60, &[ROOMY[0], ROOMY[1], ROOMY[2], tags]).await;
    let observed = house.pass().await;
    let wanted = observed.planned[&EffectKind::Tag];
    // No feed of Shopify's tells who was deleted.
    let gone = {
        let mut state = house.world.state();
        let (number, _) = state.shopify.customers.pop_first().unwrap();
        format!("gid://shopify/Customer/{number}")
    };
    let applied = house.pass().await;
    assert_eq!(ended(&applied, EffectKind::Tag, End::Withdrawn), 1);
    assert_eq!(ended(&applied, EffectKind::Tag, End::Confirmed), wanted - 1);
    let before = meant_for(&house, &gone).len();
    let tags = meant_for(&house, &gone).into_iter();
    assert_eq!(tags.filter(|one| one.kind == EffectKind::Tag).count(), 1);
    // Nor is it asked again for at once.
    assert!(house.pass().await.is_quiet());
    assert_eq!(meant_for(&house, &gone).len(), before);
}
