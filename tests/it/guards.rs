//! What stops a plan before its first write, and what lets it through.

use crate::house::{House, ROOMY, hours};
use crate::modes::suppress_at_risk;
use crate::oracle;
use axum::http::Method;
use driftless::model::{EffectKind, End};
use driftless::pass::{Options, ReleaseError, Summary};
use driftless::policy::Guard;
use driftless::sandbox::faults::FaultKind;
use std::time::Duration;

/// The one guard that stopped a pass, and the count that would let it through.
#[track_caller]
fn trip(summary: &Summary) -> (Guard, u64) {
    assert_eq!(summary.trips.len(), 1, "{:?}", summary.trips);
    (summary.trips[0].guard, summary.trips[0].count)
}

/// A pass that the guard stops, one that an allowance too small does not help, one let through.
async fn stopped_then_allowed(house: &mut House, guard: Guard, count: u64) -> Summary {
    let before = house.history();
    assert_eq!(trip(&house.pass().await), (guard, count));
    assert_eq!(
        trip(&house.allowing(guard, count - 1).await),
        (guard, count)
    );
    assert_eq!(
        house.history(),
        before,
        "a tripped guard means no write at all"
    );
    let let_through = house.allowing(guard, count).await;
    assert_eq!(let_through.trips, []);
    assert!(house.writes() > before.len());
    let_through
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_leaving_lists_are_stopped() {
    let few = (
        "guards",
        "max_list_removals",
        "{ count = 4, share = 1.0, floor = 0 }",
    );
    let mut house = House::of(300, &[ROOMY[0], few]).await;
    house.settle().await;
    house.clock.advance(hours(1));
    let gone = suppress_at_risk(&house, 6);
    let done = stopped_then_allowed(&mut house, Guard::MaxListRemovals, 6).await;
    assert_eq!(done.planned[&EffectKind::ListRemove], 6);
    assert!(!house.members("Win-back").iter().any(|id| gone.contains(id)));
    // Six left within a day: the seventh is one too many, and tomorrow it is not.
    suppress_at_risk(&house, 1);
    assert_eq!(trip(&house.pass().await), (Guard::MaxListRemovals, 7));
    house.clock.advance(hours(25));
    let tomorrow = house.pass().await;
    assert_eq!(tomorrow.trips, []);
    assert!(tomorrow.planned[&EffectKind::ListRemove] >= 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_property_changes_are_stopped() {
    let few = (
        "guards",
        "max_property_changes",
        "{ count = 100, share = 1.0, floor = 0 }",
    );
    let mut house = House::of(150, &[few]).await;
    assert_eq!(house.pass().await.trips.len(), 2);
    let done = stopped_then_allowed(&mut house, Guard::MaxPropertyChanges, 150).await;
    assert_eq!(done.planned[&EffectKind::Property], 150);
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_suppressions_are_stopped() {
    let few = (
        "guards",
        "max_suppressions",
        "{ count = 1, share = 1.0, floor = 0 }",
    );
    let mut house = House::of(300, &[few, ("rules.bounce", "act", "true")]).await;
    let first = house.pass().await;
    let dead = first.planned[&EffectKind::Suppression];
    assert!(dead > 1);
    stopped_then_allowed(&mut house, Guard::MaxSuppressions, dead).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_tag_changes_are_stopped() {
    let few = (
        "guards",
        "max_tag_changes",
        "{ count = 9, share = 1.0, floor = 0 }",
    );
    let mut house = House::of(100, &[few, ("shopify_tags", "facts", "[\"stage\"]")]).await;
    house.pass().await;
    let customers = house.world.state().shopify.customers.len() as u64;
    stopped_then_allowed(&mut house, Guard::MaxTagChanges, customers).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_we_made_smaller_is_not_taken_for_broken() {
    let mut house = House::of(300, &ROOMY).await;
    house.settle().await;
    house.clock.advance(hours(1));
    let half = house.members("Win-back").len() / 2;
    suppress_at_risk(&house, half);
    assert_eq!(house.pass().await.trips, []);
    house.clock.advance(hours(1));
    suppress_at_risk(&house, 1);
    let summary = house.pass().await;
    assert_eq!(summary.trips, []);
    assert_eq!(summary.planned[&EffectKind::ListRemove], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_we_made_smaller_without_hearing_of_it_is_not_taken_for_broken() {
    let mut house = House::of(300, &ROOMY).await;
    house.settle().await;
    house.clock.advance(hours(1));
    let half = house.members("Win-back").len() / 2;
    let gone = suppress_at_risk(&house, half);
    // The work is done, and no answer tells: all that a killed process leaves behind, too.
    let leave = Some(Method::DELETE);
    {
        let faults = &mut house.world.state().faults;
        faults.plan("/api/lists/", leave, u32::MAX, FaultKind::Reset);
    }
    house.run(&Options::default()).await.unwrap();
    house.world.state().faults.planned.clear();
    assert!(!house.members("Win-back").iter().any(|id| gone.contains(id)));
    house.close();
    house.clock.advance(hours(1));
    suppress_at_risk(&house, 1);
    let summary = house.pass().await;
    assert_eq!(summary.trips, []);
    assert_eq!(summary.planned[&EffectKind::ListRemove], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_lost_a_quarter_is_taken_for_broken() {
    let mut house = House::of(300, &ROOMY).await;
    house.settle().await;
    let lost = {
        let mut state = house.world.state();
        let mut lists = state.klaviyo.lists.values_mut();
        let newsletter = lists.find(|list| list.name == "Newsletter").unwrap();
        let kept = newsletter.members.len() * 3 / 4;
        let from = newsletter.members.keys().nth(kept).unwrap().clone();
        newsletter.members.split_off(&from).len() as u64
    };
    suppress_at_risk(&house, 2);
    house.clock.advance(hours(1));
    let before = house.writes();
    assert_eq!(trip(&house.pass().await), (Guard::EmptySource, lost));
    assert_eq!(house.writes(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_listing_stays_broken_until_an_operator_says_otherwise() {
    let mut house = House::of(300, &ROOMY).await;
    house.settle().await;
    let lost = {
        let mut state = house.world.state();
        let mut lists = state.klaviyo.lists.values_mut();
        let newsletter = lists.find(|list| list.name == "Newsletter").unwrap();
        std::mem::take(&mut newsletter.members).len() as u64
    };
    suppress_at_risk(&house, 2);
    house.clock.advance(hours(1));
    let before = house.writes();
    for _ in 0..3 {
        assert_eq!(trip(&house.pass().await), (Guard::EmptySource, lost));
    }
    assert_eq!(house.writes(), before);
    assert_eq!(house.allowing(Guard::EmptySource, lost).await.trips, []);
    assert!(house.writes() > before);
    suppress_at_risk(&house, 1);
    house.clock.advance(hours(1));
    assert_eq!(
        house.pass().await.trips,
        [],
        "the smaller size was accepted"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_managed_list_that_would_change_by_half_is_stopped() {
    let floor = ("guards", "segment_jump_floor", "10");
    let mut house = House::of(300, &[ROOMY[0], ROOMY[1], floor]).await;
    house.settle().await;
    house.clock.advance(hours(1));
    let half = house.members("Win-back").len() / 2;
    assert!(half >= 5);
    suppress_at_risk(&house, half);
    stopped_then_allowed(&mut house, Guard::SegmentJump, half as u64).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_sentinel_stops_everything() {
    let mut house = House::of(200, &ROOMY).await;
    house.settle().await;
    suppress_at_risk(&house, 2);
    house.clock.advance(hours(1));
    {
        let mut state = house.world.state();
        // The first of all profiles is a sentinel: they are spread evenly.
        let (id, _) = state.klaviyo.profiles.pop_first().unwrap();
        for list in state.klaviyo.lists.values_mut() {
            list.members.remove(&id);
        }
    }
    let before = house.writes();
    let summary = house.pass().await;
    assert!(
        summary
            .trips
            .iter()
            .any(|trip| trip.guard == Guard::Sentinels && trip.count == 1)
    );
    assert_eq!(house.writes(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn new_and_changed_rules_only_observe_until_they_are_released() {
    let mut house = House::of(120, &ROOMY).await;
    let not_observed = driftless::pass::release(&house.config(), house.clock.now());
    assert!(matches!(not_observed, Err(ReleaseError::NotObserved)));
    let options = Options::default();
    for _ in 0..2 {
        let first = house.unreleased(&options).await.unwrap();
        let planned: u64 = first.planned.values().sum();
        assert_eq!(trip(&first), (Guard::FirstRun, planned));
    }
    house.release();
    assert_eq!(house.pass().await.trips, []);
    let written = house.writes();
    house.edit(&[("rules.lifecycle", "active_days", "60")]);
    let unseen = driftless::pass::release(&house.config(), house.clock.now());
    assert!(matches!(unseen, Err(ReleaseError::NotObserved)));
    for _ in 0..2 {
        let changed = house.unreleased(&options).await.unwrap();
        assert_eq!(trip(&changed).0, Guard::FirstRun);
    }
    assert_eq!(house.writes(), written);
    house.release();
    assert_eq!(house.pass().await.trips, []);
    assert!(house.writes() > written);

    house.move_to("elsewhere");
    house.edit(&[("rules.lifecycle", "active_days", "61")]);
    let fresh = house.allowing(Guard::FirstRun, 100_000).await;
    assert_eq!(fresh.trips, [], "an allowance lets a first pass write");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_that_does_not_read_back_stops_the_rest() {
    let mut house = House::of(400, &ROOMY).await;
    let first = house.pass().await;
    let (lapsed, at_risk) = oracle::lists(&house.world.state(), first.now);
    let joins = (lapsed.len() + at_risk.len()) as u64;
    assert!(joins > 25);
    house.world.state().faults.lag = hours(2);
    let summary = house.pass().await;
    assert_eq!(trip(&summary), (Guard::Canary, 25));
    let confirmed = |kind| summary.effects.ends.get(&(kind, End::Confirmed)).copied();
    let stopped = |kind| summary.effects.ends.get(&(kind, End::Stopped)).copied();
    assert_eq!(confirmed(EffectKind::ListAdd), Some(25));
    assert_eq!(stopped(EffectKind::ListAdd), Some(joins - 25));
    assert_eq!(confirmed(EffectKind::Property), Some(25));
    assert_eq!(stopped(EffectKind::Property), Some(375));
    let sent: usize = house
        .history()
        .iter()
        .map(|write| write.subjects.len())
        .sum();
    assert_eq!(sent, 50, "only the canary was sent");

    house.world.state().faults.lag = Duration::ZERO;
    house.clock.advance(hours(3));
    assert_eq!(house.pass().await.trips, []);
    assert_eq!(house.members("Lapsed customers").len(), lapsed.len());
    assert!(house.pass().await.is_quiet());
    crate::pass::assert_history_is_the_journal(&house);
}
