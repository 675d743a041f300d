//! What upstream accepted and did not keep is noticed, and tried again.

use crate::house::{House, ROOMY, hours};
use driftless::model::{EffectKind, End};
use std::collections::BTreeSet;

const CANARY: usize = 25;

#[tokio::test(flavor = "multi_thread")]
async fn what_was_accepted_and_not_kept_is_told_and_tried_again() {
    let mut house = House::of(300, &ROOMY).await;
    house.pass().await;
    let plan = std::fs::read_to_string(house.state_dir().join("plan.jsonl")).unwrap();
    let lines = plan
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    let changes = lines.filter(|line: &serde_json::Value| line["kind"] == "property");
    let subjects = changes.map(|line| line["subject"].as_str().unwrap().to_owned());
    let behind_the_canary: BTreeSet<String> = subjects.skip(CANARY).collect();
    let count = behind_the_canary.len() as u64;
    assert!(count > 200);
    house.world.state().faults.unkept = behind_the_canary.clone();

    let summary = house.pass().await;
    let confirmed = (EffectKind::Property, End::Confirmed);
    assert_eq!(summary.effects.ends[&confirmed], count + CANARY as u64);
    assert_eq!(
        summary.effects.unkept,
        [(EffectKind::Property, count)].into()
    );

    house.world.state().faults.unkept.clear();
    house.clock.advance(hours(1));
    let again = house.pass().await;
    assert_eq!(again.planned[&EffectKind::Property], count);
    assert!(again.effects.unkept.is_empty());
    let state = house.world.state();
    let mut kept = behind_the_canary
        .iter()
        .map(|id| &state.klaviyo.profiles[id]);
    assert!(kept.all(|profile| profile.properties.contains_key("driftless_stage")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suppression_that_was_not_kept_is_no_decision_of_somebody_elses() {
    let acts = ("rules.bounce", "act", "true");
    let many = (
        "guards",
        "max_suppressions",
        "{ count = 1000, share = 1.0 }",
    );
    let one = ("guards", "canary", "{ count = 1, share = 0.001 }");
    let mut house = House::of(300, &[&ROOMY[..], &[acts, many, one]].concat()).await;
    house.pass().await;
    let plan = std::fs::read_to_string(house.state_dir().join("plan.jsonl")).unwrap();
    let lines = plan
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    let doomed = lines.filter(|line: &serde_json::Value| line["kind"] == "suppression");
    let subjects = doomed.map(|line| line["subject"].as_str().unwrap().to_owned());
    let behind_the_canary: BTreeSet<String> = subjects.skip(1).collect();
    let count = behind_the_canary.len() as u64;
    assert!(count > 0);
    house.world.state().faults.unkept = behind_the_canary;
    let summary = house.pass().await;
    assert_eq!(
        summary.effects.unkept,
        [(EffectKind::Suppression, count)].into()
    );
    house.world.state().faults.unkept.clear();
    house.clock.advance(hours(1));
    let again = house.pass().await;
    assert_eq!(again.planned[&EffectKind::Suppression], count);
}
