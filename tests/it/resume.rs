//! A pass that ends anywhere goes on where it ended: nothing lost, nothing twice.

use crate::house::{Edit, House, ROOMY};
use crate::invariants::{self, Deed, deeds_of};
use crate::oracle;
use driftless::clock::Brake;
use driftless::journal::Entry;
use driftless::model::EffectKind;
use driftless::pass::Options;
use driftless::sandbox::faults::FaultKind;
use std::collections::BTreeMap;

/// Refused for good by either vendor, whatever was asked.
const FATAL: FaultKind = FaultKind::Status(401);

/// Without comparing segments, which may break without breaking the pass.
const FILL_ONLY: [Edit<'static>; 1] = [("parity", "read", "\"none\"")];

/// Every kind of write that Klaviyo takes.
const PUSHED: [Edit<'static>; 3] = [ROOMY[0], ROOMY[1], ("rules.bounce", "act", "true")];

#[tokio::test(flavor = "multi_thread")]
async fn a_first_fill_that_breaks_at_any_request_ends_in_the_same_mirror() {
    let mut house = House::of(250, &FILL_ONLY).await;
    let (before, _) = house.requests();
    house.pass().await;
    let undisturbed = house.mirror();
    let requests = u32::try_from(house.requests().0 - before).unwrap();
    assert!(requests > 30);
    let mut broken = 0;
    for nth in 0..requests {
        house.move_to(&format!("broken-at-{nth}"));
        house.world.state().faults.plan_after(nth, FATAL);
        let ended = house.unreleased(&Options::default()).await;
        // A count that is not to be had holds nothing up.
        broken += u32::from(ended.is_err());
        house.close();
        house.pass().await;
        assert!(house.mirror() == undisturbed, "broken at request {nth}");
        assert!(
            house
                .world
                .state()
                .faults
                .planned
                .iter()
                .all(|fault| fault.times == 0)
        );
    }
    println!("broken at {broken} of {requests} requests, and gone on");
    assert!(broken > 30 && broken + 9 >= requests);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fill_that_breaks_again_and_again_still_ends() {
    let mut house = House::of(250, &FILL_ONLY).await;
    house.pass().await;
    let undisturbed = house.mirror();
    house.move_to("stuttering");
    let mut tries = 0;
    loop {
        house.world.state().faults.planned.clear();
        house.world.state().faults.plan_after(tries, FATAL);
        if house.run(&Options::default()).await.is_ok() {
            break;
        }
        house.close();
        tries += 1;
        assert!(tries < 60, "never ends");
    }
    assert!(tries > 20);
    println!("broken {tries} times, each time a request later");
    let differing = house
        .mirror()
        .into_iter()
        .zip(&undisturbed)
        .find(|(a, b)| a != *b);
    assert_eq!(differing, None);
    assert!(house.mirror() == undisturbed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_between_two_pages_is_heard_and_gone_on_from() {
    let mut house = House::of(250, &[]).await;
    house.pass().await;
    let undisturbed = house.mirror();
    house.move_to("stopped");
    let (brake, stop) = Brake::new();
    brake.set();
    let options = Options {
        stop,
        ..Options::default()
    };
    let error = house.run(&options).await.unwrap_err();
    assert!(error.to_string().contains("stopped on request"), "{error}");
    house.pass().await;
    assert!(house.mirror() == undisturbed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_that_breaks_at_any_request_does_everything_once() {
    let mut nth = 0;
    let mut broken = 0;
    loop {
        let mut house = House::of(45, &PUSHED).await;
        let (before, _) = house.requests();
        house.pass().await;
        let observed = u32::try_from(house.requests().0 - before).unwrap();
        // A second pass reads less than the first; a fault beyond its end breaks nothing.
        house.world.state().faults.plan_after(nth, FATAL);
        let ended = house.run(&Options::default()).await;
        let planned = std::mem::take(&mut house.world.state().faults.planned);
        if ended.is_ok_and(|summary| summary.failure.is_none()) {
            if planned.iter().any(|fault| fault.times > 0) {
                break;
            }
            // A count that is not to be had holds nothing up.
            nth += 1;
            continue;
        }
        broken += 1;
        house.close();
        finish(&mut house, nth).await;
        for (done, times) in written(&house) {
            assert_eq!(times, 1, "broken at request {nth}: {done:?}");
        }
        nth += 1;
        assert!(nth < 2 * observed, "the push never ends");
    }
    println!("broken at each of {broken} requests of an applying pass");
    assert!(broken > 30);
}

/// A reply lost after the work was done: nobody knows, so the next pass looks before it sends again.
/// A job whose number was lost with the reply may still be under way then, so it may be sent a second
/// time, as an intent of its own; a list is never made twice.
#[tokio::test(flavor = "multi_thread")]
async fn a_push_whose_replies_are_lost_at_any_request_ends_right_and_on_record() {
    for nth in 0.. {
        let mut house = House::of(45, &PUSHED).await;
        house.pass().await;
        house
            .world
            .state()
            .faults
            .plan_after(nth, FaultKind::Truncate);
        let ended = house.run(&Options::default()).await;
        let faults = std::mem::take(&mut house.world.state().faults.planned);
        if faults.iter().any(|fault| fault.times > 0) {
            assert!(ended.is_ok() && nth > 30);
            break;
        }
        house.close();
        finish(&mut house, nth).await;
        for (done, times) in written(&house) {
            let is_job = [EffectKind::Property, EffectKind::Suppression].contains(&done.kind);
            assert!(times == 1 || is_job, "at {nth}: {done:?}");
        }
    }
}

/// Goes on until nothing is left, then compares the world, its history and the journal.
async fn finish(house: &mut House, nth: u32) {
    let mut passes = 0;
    while !house.pass().await.is_quiet() {
        passes += 1;
        assert!(passes < 4, "never quiet after a break at request {nth}");
    }
    let now = house.clock.now();
    let state = house.world.state();
    let wrong = oracle::wrong_properties(&state, now);
    assert_eq!(wrong, Vec::<String>::new(), "broken at request {nth}");
    let (lapsed, at_risk) = oracle::lists(&state, now);
    drop(state);
    assert_eq!(
        house.members("Lapsed customers"),
        lapsed,
        "broken at request {nth}"
    );
    assert_eq!(
        house.members("Win-back"),
        at_risk,
        "broken at request {nth}"
    );
    assert_each_write_was_journaled(house, nth);
    assert_every_intent_ended_once(house, nth);
}

/// How often each single thing was written.
fn written(house: &House) -> BTreeMap<Deed, usize> {
    let mut written = BTreeMap::new();
    for write in house.history() {
        for done in invariants::written(&write, &house.world.state()) {
            *written.entry(done).or_default() += 1;
        }
    }
    written
}

fn assert_each_write_was_journaled(house: &House, nth: u32) {
    let mut journaled: BTreeMap<Deed, usize> = BTreeMap::new();
    for intent in house.intents() {
        for deed in deeds_of(&intent) {
            *journaled.entry(deed).or_default() += 1;
        }
    }
    for (done, times) in written(house) {
        let intents = journaled.get(&done).copied().unwrap_or(0);
        assert!(
            times <= intents,
            "at {nth}: {times} times, {intents} intents: {done:?}"
        );
    }
}

fn assert_every_intent_ended_once(house: &House, nth: u32) {
    let mut ends: BTreeMap<_, u32> = BTreeMap::new();
    for entry in house.journal() {
        match entry {
            Entry::Intent(intent) => drop(ends.entry(intent.id).or_default()),
            Entry::Outcome(outcome) => *ends.entry(outcome.effect).or_default() += 1,
            _ => {}
        }
    }
    let wrong = ends.values().filter(|count| **count != 1).count();
    assert_eq!(
        wrong, 0,
        "broken at request {nth}: intents without exactly one end"
    );
}
