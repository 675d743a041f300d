//! A clock of ours that is not the vendors'.

use crate::house::{Edit, House, ROOMY, crowd, hours, morning};
use crate::merchant;
use crate::modes::suppress_at_risk;
use driftless::clock::Clock;
use driftless::model::{EffectKind, Moment};
use driftless::pass::{Options, Summary};
use driftless::policy::Guard;
use driftless::sandbox::Speed;
use fastrand::Rng;
use std::time::Duration;

/// Four people may be taken off lists a day. Whoever is looked at for a comparison of segments would be
/// known in more detail afterwards.
const EDITS: [Edit<'static>; 3] = [
    ROOMY[0],
    (
        "guards",
        "max_list_removals",
        "{ count = 4, share = 1.0, floor = 0 }",
    ),
    ("parity", "read", "\"none\""),
];

const A_MINUTE: Duration = Duration::from_secs(60);

/// A shop whose clock begins somewhere, while it is morning at the vendors.
async fn begun(profiles: usize, ours: Moment) -> House {
    let mut house = House::of(profiles, &EDITS).await;
    house.clock = Clock::manual(ours);
    house
}

/// A pass during which the vendors' clock goes as fast as ours, wherever either stands.
async fn pass(house: &mut House) -> Summary {
    let (ours, theirs) = (house.clock.clone(), house.world.clock.clone());
    let (here, there) = (ours.now(), theirs.now());
    let follow = async {
        loop {
            let due = there.plus(ours.now().since(here));
            theirs.advance(due.since(theirs.now()));
            tokio::task::yield_now().await;
        }
    };
    let options = Options::default();
    tokio::select! {
        summary = house.unreleased(&options) => summary.unwrap(),
        () = follow => unreachable!("it follows for ever"),
    }
}

fn wait(house: &House, span: Duration) {
    house.clock.advance(span);
    house.world.clock.advance(span);
}

/// A shop at rest that has taken its four off lists today.
async fn spent() -> House {
    let mut house = begun(300, morning()).await;
    pass(&mut house).await;
    house.release();
    pass(&mut house).await;
    wait(&house, hours(1));
    suppress_at_risk(&house, 4);
    let four = pass(&mut house).await;
    assert_eq!(
        (&four.trips, four.planned[&EffectKind::ListRemove]),
        (&vec![], 4)
    );
    wait(&house, A_MINUTE);
    house
}

/// Somebody else is to leave: that is seen, and is more than a day may have.
#[track_caller]
fn assert_refused(summary: &Summary) {
    let removals = summary.planned[&EffectKind::ListRemove];
    assert!(
        (1..=4).contains(&removals),
        "{removals} alone would be too many"
    );
    let guards: Vec<Guard> = summary.trips.iter().map(|trip| trip.guard).collect();
    assert_eq!(guards, [Guard::MaxListRemovals]);
    assert!(summary.trips[0].count > 4);
}

#[tokio::test]
async fn a_clock_that_steps_back_hides_no_change_and_refills_no_budget() {
    let mut house = spent().await;
    // As after a restart, for what paces requests counts on a clock that never steps back.
    house.close();
    house.clock = Clock::manual(house.clock.now().minus(hours(1)));
    suppress_at_risk(&house, 1);
    assert_refused(&pass(&mut house).await);
}

#[tokio::test]
async fn a_clock_that_steps_forward_a_day_refills_no_budget_until_the_vendors_day_is_over() {
    let mut house = spent().await;
    house.clock.advance(hours(25));
    // What takes nobody off a list is carried out, and what was spent is not forgotten over it.
    let now = house.world.clock.now();
    let edit = merchant::Edit::Property;
    edit.make(&mut house.world.state(), &mut Rng::with_seed(1), now);
    let written = pass(&mut house).await;
    assert_eq!(written.trips, []);
    assert!(written.effects.run.is_some());
    suppress_at_risk(&house, 1);
    assert_refused(&pass(&mut house).await);
    wait(&house, hours(25));
    assert_eq!(pass(&mut house).await.trips, []);
}

#[tokio::test]
async fn whichever_way_the_clocks_differ_no_change_is_missed() {
    let ten_minutes = Duration::from_secs(600);
    for ours in [morning().minus(ten_minutes), morning().plus(ten_minutes)] {
        let mut house = begun(60, ours).await;
        pass(&mut house).await;
        for _ in 0..3 {
            // At once after the pass, and a little before the next.
            change(&house);
            wait(&house, A_MINUTE * 4);
            change(&house);
            wait(&house, A_MINUTE);
            pass(&mut house).await;
        }
        let mirror = house.mirror();
        house.move_to("fresh");
        pass(&mut house).await;
        let fresh = house.mirror();
        let missed: Vec<_> = fresh.iter().filter(|line| !mirror.contains(line)).collect();
        assert_eq!(missed, Vec::<&String>::new());
        assert!(mirror == fresh);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_eight_hours_asleep_a_pass_asks_for_what_any_other_does() {
    let mut house = House::build(crowd(120), morning(), Speed::Real, &EDITS).await;
    let mut costs = Vec::new();
    for span in [
        A_MINUTE,
        A_MINUTE * 15,
        A_MINUTE * 15,
        hours(8),
        A_MINUTE * 15,
    ] {
        house.clock.advance(span);
        let (before, _) = house.requests();
        house.unreleased(&Options::default()).await.unwrap();
        costs.push(house.requests().0 - before);
    }
    let [.., ordinary, asleep, after] = costs[..] else {
        unreachable!("five passes");
    };
    assert!(asleep <= ordinary && after <= ordinary, "{costs:?}");
    assert_eq!(house.requests().1, 0, "none was too much");
}

/// Somebody buys, somebody clicks, somebody joins.
fn change(house: &House) {
    let now = house.world.clock.now();
    let mut state = house.world.state();
    let customer = *state.shopify.customers.keys().next_back().unwrap();
    merchant::buy(&mut state, customer, now);
    let profile = state.klaviyo.profiles.keys().next().unwrap().clone();
    merchant::click(&mut state, &profile, now);
    merchant::join(&mut state, now);
}
