//! How far a shop may be written to, and what is written where.

use crate::house::{Edit, House, ROOMY};
use crate::oracle::{self, Human};
use crate::pass::assert_history_is_the_journal;
use driftless::model::{EffectKind, HoldReason};
use driftless::pass::Options;
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};

fn mode(name: &'static str) -> Edit<'static> {
    match name {
        "observe" => ("write", "mode", "\"observe\""),
        "enrich" => ("write", "mode", "\"enrich\""),
        "additive" => ("write", "mode", "\"additive\""),
        _ => ("write", "mode", "\"full\""),
    }
}

/// Kinds of write after two passes, and after a third in which somebody should leave a list.
async fn kinds_written(name: &'static str) -> (BTreeSet<&'static str>, BTreeSet<&'static str>) {
    let mut house = House::of(250, &[ROOMY[0], ROOMY[1], mode(name)]).await;
    house.pass().await;
    let applied = house.pass().await;
    assert_eq!(applied.mode.as_str(), name);
    let kinds = |house: &House| house.history().iter().map(|write| write.kind).collect();
    let first = kinds(&house);
    let before = house.writes();
    suppress_at_risk(&house, 3);
    // Klaviyo's clock must have moved for a change to be newer than what was read.
    house.clock.advance(crate::house::hours(1));
    let third = house.pass().await;
    if name == "full" {
        assert_eq!(third.planned[&EffectKind::ListRemove], 3);
    } else {
        assert!(!third.planned.contains_key(&EffectKind::ListRemove));
    }
    let held = |kind| {
        let mut held = third.held_back.iter();
        held.any(|held| held.kind == kind && held.reason == HoldReason::Mode)
    };
    assert_eq!(held(EffectKind::Property), name == "observe");
    assert_eq!(
        held(EffectKind::ListAdd),
        ["observe", "enrich"].contains(&name)
    );
    assert_eq!(held(EffectKind::ListRemove), name == "additive");
    let later = house.history().split_off(before);
    (first, later.iter().map(|write| write.kind).collect())
}

/// The merchant suppresses so many people of the win-back list: mail does not reach them any more.
pub fn suppress_at_risk(house: &House, count: usize) -> Vec<String> {
    use driftless::sandbox::world::Suppression;
    let now = house.world.clock.now();
    let mut state = house.world.state();
    let (_, mut at_risk) = oracle::lists(&state, now);
    let alone = |id: &String| {
        !state
            .truth
            .duplicates
            .iter()
            .flatten()
            .any(|twin| twin == id)
    };
    at_risk.retain(alone);
    at_risk.truncate(count);
    assert_eq!(at_risk.len(), count);
    for id in &at_risk {
        let profile = state.klaviyo.profiles.get_mut(id).unwrap();
        let at = now.plus(std::time::Duration::from_secs(1));
        profile.suppressions.push(Suppression {
            reason: "USER_SUPPRESSED",
            at,
        });
        profile.updated = at;
    }
    at_risk
}

#[tokio::test(flavor = "multi_thread")]
async fn each_mode_writes_what_the_one_before_does_and_more() {
    let (first, later) = kinds_written("observe").await;
    assert_eq!((first, later), (BTreeSet::new(), BTreeSet::new()));
    let (first, later) = kinds_written("enrich").await;
    assert_eq!(
        (first, later),
        (BTreeSet::from(["import"]), BTreeSet::new())
    );
    let added = BTreeSet::from(["import", "list create", "list add"]);
    let (first, later) = kinds_written("additive").await;
    assert_eq!((first, later), (added.clone(), BTreeSet::new()));
    let (first, later) = kinds_written("full").await;
    assert_eq!((first, later), (added, BTreeSet::from(["list remove"])));
}

#[tokio::test(flavor = "multi_thread")]
async fn observing_writes_nothing_whatever_the_mode() {
    let mut house = House::of(150, &[]).await;
    house.pass().await;
    let options = Options {
        observe: true,
        ..Options::default()
    };
    for _ in 0..2 {
        let summary = house.run(&options).await.unwrap();
        assert!(summary.dry_run && !summary.planned.is_empty());
        assert_eq!(summary.trips, []);
    }
    let options = Options {
        as_of: Some(house.clock.now()),
        ..Options::default()
    };
    let summary = house.run(&options).await.unwrap();
    assert!(summary.dry_run && !summary.planned.is_empty());
    assert_eq!(house.writes(), 0);
    assert_eq!(house.intents(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_and_the_metafield_say_what_an_independent_count_says() {
    let edits = [
        mode("enrich"),
        ROOMY[2],
        ("shopify_tags", "facts", "[\"stage\", \"tier\"]"),
        (
            "shopify_metafield",
            "facts",
            "[\"stage\", \"orders\", \"spent\", \"last_order\"]",
        ),
    ];
    let mut house = House::of(150, &edits).await;
    let before = tags_of_others(&house);
    let applied = house.settle().await;
    let state = house.world.state();
    let mut seen = 0;
    for human in oracle::everybody(&state, applied.now) {
        for number in &human.customers {
            let customer = &state.shopify.customers[number];
            let ours = customer
                .tags
                .iter()
                .filter(|tag| tag.starts_with("driftless:"));
            let ours: BTreeSet<String> = ours.cloned().collect();
            let stage = format!("driftless:stage:{}", human.stage);
            let tier = format!("driftless:tier:{}", human.tier);
            assert_eq!(ours, BTreeSet::from([stage, tier]));
            let (_, metafield) = customer
                .metafields
                .iter()
                .find(|((_, key), _)| key == "driftless")
                .unwrap();
            let value: Json = serde_json::from_str(&metafield.value).unwrap();
            assert_eq!(value, metafield_of(&human));
            seen += 1;
        }
    }
    assert_eq!(seen, state.shopify.customers.len());
    drop(state);
    assert_eq!(tags_of_others(&house), before);
}

fn metafield_of(human: &Human) -> Json {
    let mut value = json!({
        "stage": human.stage,
        "orders": human.orders,
        "spent": (human.spent as f64 / 10.0).round() / 100.0,
    });
    if let Some(at) = human.last_order {
        value["last_order"] = json!(at.to_string()[..10]);
    }
    value
}

/// Tags without our prefix, by customer.
fn tags_of_others(house: &House) -> BTreeMap<u64, Vec<String>> {
    let state = house.world.state();
    let customers = state.shopify.customers.iter();
    let others = customers.map(|(number, customer)| {
        let tags = customer.tags.iter();
        let tags = tags.filter(|tag| !tag.to_lowercase().starts_with("driftless:"));
        (*number, tags.cloned().collect())
    });
    others.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_that_is_no_longer_true_is_replaced_and_no_other_touched() {
    let edits = [
        mode("enrich"),
        ROOMY[2],
        ("shopify_tags", "facts", "[\"stage\"]"),
    ];
    let mut house = House::of(100, &edits).await;
    house.settle().await;
    let number = *house.world.state().shopify.customers.keys().next().unwrap();
    let now = house.clock.now();
    {
        let mut state = house.world.state();
        let customer = state.shopify.customers.get_mut(&number).unwrap();
        customer.tags = vec!["Driftless:stage:gone".to_owned(), "vip".to_owned()];
        customer.updated = now;
    }
    let before = house.writes();
    let repaired = house.pass().await;
    assert_eq!(repaired.planned, BTreeMap::from([(EffectKind::Tag, 1)]));
    let writes = house.history().split_off(before);
    let kinds: Vec<&str> = writes.iter().map(|write| write.kind).collect();
    assert_eq!(kinds, ["tagsRemove", "tagsAdd"]);
    let state = house.world.state();
    let tags = &state.shopify.customers[&number].tags;
    assert_eq!(tags.len(), 2);
    assert!(tags.contains(&"vip".to_owned()), "{tags:?}");
    assert!(!tags.iter().any(|tag| tag.ends_with("gone")), "{tags:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn exactly_the_dead_mailboxes_upstream_missed_are_suppressed() {
    let mut house = House::of(900, &[("rules.bounce", "act", "true")]).await;
    let (dead, victims) = {
        let state = house.world.state();
        let open = |id: &&String| state.klaviyo.profiles[*id].suppressions.is_empty();
        let dead: BTreeSet<String> = state
            .truth
            .dead_mailboxes
            .iter()
            .filter(open)
            .cloned()
            .collect();
        (dead, state.truth.outage_victims.clone())
    };
    assert!(dead.len() > 5 && victims.len() > 20);
    let applied = house.settle().await;
    assert_eq!(applied.planned[&EffectKind::Suppression], dead.len() as u64);
    assert_history_is_the_journal(&house);
    let state = house.world.state();
    let suppressed = |id: &String| {
        let reasons = &state.klaviyo.profiles[id].suppressions;
        reasons
            .iter()
            .any(|known| known.reason == "USER_SUPPRESSED")
    };
    assert!(dead.iter().all(suppressed));
    let addressed: usize = state
        .history
        .iter()
        .filter(|write| write.kind == "suppress")
        .map(|write| write.subjects.len())
        .sum();
    assert_eq!(addressed, dead.len());
    assert!(!victims.iter().any(|id| dead.contains(id)));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_leave_to_act_dead_mailboxes_are_only_reported() {
    let mut house = House::of(300, &[]).await;
    house.pass().await;
    let applied = house.pass().await;
    assert!(!applied.planned.contains_key(&EffectKind::Suppression));
    let held = applied.held_back.iter();
    let mut held = held.filter(|held| held.kind == EffectKind::Suppression);
    assert_eq!(held.next().unwrap().reason, HoldReason::RuleOnlyReports);
    assert!(!house.history().iter().any(|write| write.kind == "suppress"));
}
