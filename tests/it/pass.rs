//! The main job: observe, apply, nothing to do.

use crate::house::{House, ROOMY};
use crate::invariants::{Deed, deeds_of, written};
use crate::oracle;
use driftless::journal::Intent;
use driftless::model::{EffectKind, End};
use driftless::policy::Guard;
use std::collections::BTreeSet;

/// Every write was journaled first, and nothing was done twice or left out.
pub fn assert_history_is_the_journal(house: &House) {
    let intents = house.intents();
    let mut done = Vec::new();
    for write in house.history() {
        for deed in written(&write, &house.world.state()) {
            let before =
                |intent: &Intent| intent.at <= write.at && deeds_of(intent).contains(&deed);
            assert!(intents.iter().any(before), "not journaled: {deed:?}");
            done.push(deed);
        }
    }
    done.sort();
    let once: BTreeSet<&Deed> = done.iter().collect();
    assert_eq!(once.len(), done.len(), "something was written twice");
    let mut planned: Vec<Deed> = intents.iter().flat_map(deeds_of).collect();
    planned.sort();
    assert_eq!(done, planned);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_pass_observes_the_second_applies_the_third_finds_nothing() {
    let mut house = House::of(400, &[]).await;
    let first = house.pass().await;
    assert_eq!(first.trips.len(), 1);
    assert_eq!(first.trips[0].guard, Guard::FirstRun);
    assert_eq!(house.writes(), 0);
    assert_eq!(house.intents(), []);

    let second = house.pass().await;
    assert_eq!(second.trips, []);
    assert_eq!(second.planned, first.planned);
    let planned: u64 = second.planned.values().sum();
    assert_eq!(second.effects.ended(End::Confirmed), planned);
    let written = house.writes();

    let third = house.pass().await;
    assert!(third.is_quiet(), "{:?}", third.planned);
    assert_eq!(house.writes(), written);
    assert_history_is_the_journal(&house);
    let intents = house.intents().len() as u64;
    assert_eq!(intents, planned);
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_and_properties_are_those_of_an_independent_count() {
    let mut house = House::of(400, &[]).await;
    let applied = house.settle().await;
    let state = house.world.state();
    let (lapsed, at_risk) = oracle::lists(&state, applied.now);
    assert!(lapsed.len() > 10 && at_risk.len() > 10);
    let wrong = oracle::wrong_properties(&state, applied.now);
    assert_eq!(wrong, Vec::<String>::new());
    drop(state);
    assert_eq!(house.members("Lapsed customers"), lapsed);
    assert_eq!(house.members("Win-back"), at_risk);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_summary_counts_what_the_world_holds() {
    let mut house = House::of(400, &[]).await;
    let summary = house.pass().await;
    let state = house.world.state();
    let humans = oracle::everybody(&state, summary.now);
    let people = &summary.people;
    assert_eq!(people.profiles, state.klaviyo.profiles.len() as u64);
    assert_eq!(people.customers, state.shopify.customers.len() as u64);
    let sum = |of: &dyn Fn(&oracle::Human) -> u64| humans.iter().map(of).sum::<u64>();
    assert_eq!(people.orders, sum(&|human| u64::from(human.orders)));
    assert_eq!(people.buyers, sum(&|human| u64::from(human.orders > 0)));
    assert_eq!(
        people.repeat_buyers,
        sum(&|human| u64::from(human.orders > 1))
    );
    let spent: i64 = humans.iter().map(|human| human.spent).sum();
    assert_eq!(people.spent.0, spent);
    for (stage, count) in &people.stages {
        let name = stage.as_str();
        assert_eq!(
            *count,
            sum(&|human| u64::from(human.stage == name)),
            "{name}"
        );
    }
    for (tier, count) in &people.tiers {
        let name = tier.as_str();
        assert_eq!(
            *count,
            sum(&|human| u64::from(human.tier == name)),
            "{name}"
        );
    }
    assert_eq!(summary.quarantined, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn weeks_later_only_the_changed_are_written_and_the_world_is_right_again() {
    let mut house = House::of(300, &ROOMY).await;
    house.settle().await;
    house.clock.advance(crate::house::hours(24 * 40));
    let before = house.writes();
    let later = house.pass().await;
    assert_eq!(later.trips, []);
    assert!(later.planned[&EffectKind::Property] < 300);
    assert!(later.planned.contains_key(&EffectKind::ListRemove));
    assert!(house.writes() > before);
    let wrong = oracle::wrong_properties(&house.world.state(), later.now);
    assert_eq!(wrong, Vec::<String>::new());
    let (lapsed, at_risk) = oracle::lists(&house.world.state(), later.now);
    assert_eq!(house.members("Lapsed customers"), lapsed);
    assert_eq!(house.members("Win-back"), at_risk);
    assert!(house.pass().await.is_quiet());
}
