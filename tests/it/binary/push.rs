//! `kill -9` during a push.

use super::lab::{Lab, Town};
use super::process::{Running, eventually, run};
use crate::invariants::{self, Consents, Evidence, Rest};
use driftless::journal::Entry;
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

#[test]
fn a_push_killed_again_and_again_ends_with_every_intent_ended_once_and_the_lists_right() {
    let lab = Lab::new();
    let town = Town::fast(1100, 3);
    let shop = lab.shop("acme", &town.vendors, &[]);
    run(&mut lab.reconcile(&shop, &["--observe"])).expect(0);
    assert_eq!(town.writes(), 0);
    lab.release(&shop);
    let consents = invariants::consents(&town.world.state());

    // Between a write and its journaled outcome there is now time to be killed.
    town.world.state().faults.latency = Duration::from_millis(40);
    let mut killed_open = 0;
    for further in [1, 1, 2, 1] {
        let target = town.writes() + further;
        let process = Running::start(&mut lab.reconcile(&shop, &[]));
        eventually("another write", || (town.writes() >= target).then_some(()));
        assert_eq!(process.kill_9().code, None);
        killed_open += open(&lab.journal("acme"));
    }
    assert!(killed_open > 0, "no kill hit an effect in flight");
    println!("{killed_open} effects were in flight at the kills");

    town.world.state().faults.latency = Duration::ZERO;
    let rest = run(&mut lab.reconcile(&shop, &["--json"])).expect(0);
    let rest: Json = serde_json::from_str(&rest.out).unwrap();
    assert!(
        rest["shops"][0]["recovered"].as_u64().unwrap() > 0,
        "{rest}"
    );
    let quiet = run(&mut lab.reconcile(&shop, &["--json"])).expect(0);
    let quiet: Json = serde_json::from_str(&quiet.out).unwrap();
    assert_eq!(
        quiet["shops"][0]["plan"]["effects"],
        Json::Object(Default::default())
    );
    assert_eq!(quiet["shops"][0]["recovered"], 0);

    every_promise_is_kept(&lab, &town, &consents);
    the_lists_hold_what_they_should(&town, &quiet["shops"][0]);
}

fn open(journal: &[Json]) -> usize {
    let of = |kind: &str, id: &str| -> BTreeSet<String> {
        let records = journal.iter().filter(|record| record["type"] == kind);
        records
            .map(|r| r[id].as_str().unwrap().to_owned())
            .collect()
    };
    of("intent", "id")
        .difference(&of("outcome", "effect"))
        .count()
}

fn every_promise_is_kept(lab: &Lab, town: &Town, consents: &BTreeMap<String, Consents>) {
    let journal = invariants::entries(&lab.state("acme"));
    let intents = journal.iter().filter(|e| matches!(e, Entry::Intent(_)));
    assert!(intents.count() > 700);
    let plan = lab.planned("acme");
    let evidence = Evidence {
        world: &town.world.state(),
        journal: &journal,
        resent: false,
        asked: &town.endpoints(),
        consents,
        others: &[],
        stopped: &[],
    };
    let rest = Rest {
        plan: &plan,
        mirror: &[],
        undisturbed: &[],
    };
    assert_eq!(invariants::at_rest(&evidence, &rest), []);
}

fn the_lists_hold_what_they_should(town: &Town, summary: &Json) {
    let state = town.world.state();
    // The stage of every profile was written upstream as well, by another endpoint.
    let staged = |stage: &str| -> BTreeSet<&String> {
        let profiles = state.klaviyo.profiles.iter();
        let with =
            profiles.filter(|(_, p)| p.properties.get("driftless_stage") == Some(&stage.into()));
        with.map(|(id, _)| id).collect()
    };
    let members = |name: &str| -> BTreeSet<&String> {
        let mut named = state
            .klaviyo
            .lists
            .values()
            .filter(|list| list.name == name);
        let list = named.next().expect("the list was created");
        assert!(named.next().is_none(), "`{name}` was created twice");
        list.members.keys().collect()
    };
    let lapsed = members("Lapsed customers");
    assert!(!lapsed.is_empty());
    let everybody = staged("lapsed");
    assert!(lapsed.is_subset(&everybody));
    // A human with two profiles is on a list once; both profiles get the property.
    for profile in everybody.difference(&lapsed) {
        let mut humans = state.truth.duplicates.iter();
        let twins = humans.find(|twins| twins.contains(profile));
        let twins = twins.expect("a lapsed profile is not on the list");
        assert!(twins.iter().any(|twin| lapsed.contains(twin)), "{twins:?}");
    }
    let win_back = members("Win-back");
    assert!(!win_back.is_empty() && win_back.is_subset(&staged("at_risk")));
    let wanted = summary["plan"]["lists"].as_array().unwrap();
    let wanted = wanted
        .iter()
        .find(|list| list["name"] == "Win-back")
        .unwrap();
    assert_eq!(wanted["wanted"], win_back.len());
}
