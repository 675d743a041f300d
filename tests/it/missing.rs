//! Events that a pull never brought are found by comparing counts, and read again; those that come late
//! teach the next walk how far to look back.

use crate::house::{Edit, House, crowd, hours, morning, only};
use crate::merchant;
use driftless::model::Moment;
use driftless::pass::{Options, Summary};
use driftless::pull::Freshness;
use driftless::sandbox::Speed;
use driftless::sandbox::world::{Event, State};
use fastrand::Rng;
use std::collections::BTreeSet;
use std::time::Duration;

const FOUND: &str = "events that were missing";

/// Nothing but the ledger looks at events again.
const ALONE: Edit<'static> = ("parity", "read", "\"none\"");
/// Everything is compared once a day.
const DAILY: Edit<'static> = ("schedule", "ledger", "\"1d\"");

fn events(house: &mut House) -> Vec<String> {
    let mut lines = house.mirror();
    lines.retain(|line| is_event(line));
    lines
}

fn is_event(line: &str) -> bool {
    line.starts_with("{\"kind\":\"event\"")
}

/// Takes one event in so many out of the world.
fn withhold(state: &mut State, one_in: u32, random: &mut Rng) -> Vec<(String, Event)> {
    let mut withheld = Vec::new();
    for (metric, events) in &mut state.klaviyo.events {
        let taken = events.extract_if(.., |_| random.u32(0..one_in) == 0);
        withheld.extend(taken.map(|event| (metric.clone(), event)));
    }
    withheld
}

/// A pass that only looks.
async fn look(house: &mut House) -> Summary {
    let observe = Options {
        observe: true,
        ..Options::default()
    };
    house.unreleased(&observe).await.unwrap()
}

/// Requests for counts and for events so far.
fn asked(house: &House) -> (u64, u64) {
    let counts = house.sandbox.requests();
    let of = |method: &str, path: &str| {
        let count = counts.get(&(method.to_owned(), path.to_owned()));
        count.map_or(0, |(all, _)| *all)
    };
    (
        of("POST", "/api/metric-aggregates"),
        of("GET", "/api/events"),
    )
}

fn of_events(summary: &Summary) -> Vec<&Freshness> {
    let rows = summary.freshness.iter();
    rows.filter(|row| row.name.starts_with("events: "))
        .collect()
}

/// So many passes, half a day apart, and what they found.
async fn live(house: &mut House, passes: u32) -> u64 {
    let mut found = 0;
    for _ in 0..passes {
        house.clock.advance(hours(12));
        let pulled = look(house).await.pulled;
        found += pulled.get(FOUND).copied().unwrap_or(0);
    }
    found
}

/// Events as a mirror has them that was filled now.
async fn truth(house: &mut House) -> Vec<String> {
    let mut lines = house.undisturbed().await;
    lines.retain(|line| is_event(line));
    lines
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_were_never_brought_are_found_and_only_their_hours_are_read_again() {
    let mut state = crowd(250);
    let withheld = withhold(&mut state, 200, &mut Rng::with_seed(3));
    assert!(withheld.len() > 10, "{}", withheld.len());
    let mut house = House::build(state, morning(), Speed::Fast, &[ALONE, DAILY]).await;
    let whole = look(&mut house).await;
    let metrics = of_events(&whole).len() as u64;
    for (metric, event) in &withheld {
        let mut state = house.world.state();
        merchant::show(&mut state, metric, event.clone(), morning());
    }
    let (counted, read) = asked(&house);
    let found = live(&mut house, 6).await;
    let (counted, read) = (asked(&house).0 - counted, asked(&house).1 - read);
    // Each walk asks once for each metric.
    let again = read - 6 * metrics;
    println!(
        "{} withheld, {found} found: {counted} requests for counts, {again} for events",
        withheld.len()
    );
    assert_eq!(found, withheld.len() as u64);
    assert!(again <= found, "an hour is a page");
    let here = events(&mut house);
    assert_eq!(here, truth(&mut house).await);
    house.clock.advance(hours(1));
    let quiet = look(&mut house).await;
    for row in of_events(&quiet) {
        assert_eq!((row.missing, row.gaps), (0, 0), "{}", row.name);
        assert!(row.proven > Some(morning()), "{}", row.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_repaired_is_named_once_and_left_alone_until_it_changes() {
    let mut state = crowd(150);
    // Of a profile that was deleted Klaviyo keeps the events.
    let (metric, lost) = {
        let mut metrics = state.klaviyo.metrics.iter();
        let (metric, _) = metrics
            .find(|(_, known)| known.name == "Opened Email")
            .unwrap();
        let events = state.klaviyo.events.get_mut(metric).unwrap();
        let event = events
            .iter_mut()
            .rev()
            .find(|one| one.timestamp < morning().secs() - 900_000);
        let event = event.unwrap();
        event.profile = None;
        (metric.clone(), event.clone())
    };
    let mut house = House::build(state, morning(), Speed::Fast, &[ALONE, DAILY]).await;
    assert_eq!(live(&mut house, 6).await, 0);
    let name = house.world.state().klaviyo.metrics[&metric].name.clone();
    let standing = |summary: &Summary| {
        let mut rows = summary.freshness.iter().cloned();
        rows.find(|row| row.name == format!("events: {name}"))
            .unwrap()
    };
    let before = asked(&house).1;
    let first = look(&mut house).await;
    let row = standing(&first);
    assert_eq!((row.gaps, row.missing), (1, 0));
    let (day, gap) = row.latest[0];
    assert_eq!(day, lost.timestamp.div_euclid(86_400));
    assert_eq!((gap.theirs - gap.stored, gap.ownerless), (1, 1));
    assert_eq!(
        gap.reason(),
        "events without a profile, or of forgotten people"
    );
    let walks = asked(&house).1 - before;
    let before = asked(&house).1;
    assert_eq!(live(&mut house, 4).await, 0);
    assert_eq!(
        asked(&house).1 - before,
        4 * walks,
        "nothing was read again"
    );

    let owner = house
        .world
        .state()
        .klaviyo
        .profiles
        .keys()
        .next()
        .unwrap()
        .clone();
    let late = Event {
        id: "LATE".to_owned(),
        profile: Some(owner),
        ..lost
    };
    merchant::show(&mut house.world.state(), &metric, late, morning());
    assert_eq!(live(&mut house, 4).await, 1);
    let (_, after) = standing(&look(&mut house).await).latest[0];
    assert_eq!(
        (after.theirs, after.stored),
        (gap.theirs + 1, gap.stored + 1)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_events_of_a_merged_profile_follow_it() {
    let swept = ("schedule", "sweep", "\"1d\"");
    let mut house = House::of(150, &[ALONE, DAILY, swept]).await;
    look(&mut house).await;
    let (from, into) = {
        let mut state = house.world.state();
        let owners = state.klaviyo.events.values().flatten();
        let owners: BTreeSet<&String> = owners.filter_map(|one| one.profile.as_ref()).collect();
        // The first and the last profile are sentinels.
        let some: Vec<String> = owners.into_iter().skip(20).take(2).cloned().collect();
        let [from, into] = <[String; 2]>::try_from(some).unwrap();
        merchant::merge(&mut state, &from, &into, morning());
        (from, into)
    };
    let moved = live(&mut house, 8).await;
    assert!(moved > 0, "the events of {from} are now those of {into}");
    let here = events(&mut house);
    let truth = truth(&mut house).await;
    assert_eq!((only(&truth, &here), only(&here, &truth)), (vec![], vec![]));
    assert_eq!(house.shop().mirror().audit().unwrap().faults, [""; 0]);
}

/// When an event happens, and when Klaviyo shows it: 2 % of them an hour to ten days late.
fn happenings(count: usize, days: u64, random: &mut Rng) -> Vec<(Moment, Moment)> {
    let span = (hours(24 * days).as_secs()) as i64;
    let mut all: Vec<(Moment, Moment)> = (0..count)
        .map(|n| {
            let at = morning().plus(Duration::from_secs(random.i64(0..span).unsigned_abs()));
            let late = if n % 50 == 0 {
                random.u64(3_600..864_000)
            } else {
                random.u64(1..60)
            };
            (at, at.plus(Duration::from_secs(late)))
        })
        .collect();
    all.sort_by_key(|(_, shown)| *shown);
    all
}

/// A week in which 3,000 mails are opened, and the ten days after it; every event must be found. The
/// share of requests beyond those that a walk without any of this takes.
async fn week_of_late_events(pass_every: Duration) -> f64 {
    let mut random = Rng::with_seed(5);
    let mut house = House::of(80, &[ALONE]).await;
    let whole = look(&mut house).await;
    let metrics = of_events(&whole).len() as u64;
    let mut to_come = happenings(3_000, 7, &mut random).into_iter().peekable();
    let (all, (counted, read)) = (house.requests().0, asked(&house));
    let (mut passes, mut found) = (0, 0);
    while house.clock.now() < morning().plus(hours(24 * 18)) {
        house.clock.advance(pass_every);
        let now = house.clock.now();
        while let Some((at, _)) = to_come.next_if(|(_, shown)| *shown <= now) {
            let mut state = house.world.state();
            let owner = random
                .choice(state.klaviyo.profiles.keys())
                .unwrap()
                .clone();
            merchant::open(&mut state, &owner, at);
        }
        passes += 1;
        found += look(&mut house)
            .await
            .pulled
            .get(FOUND)
            .copied()
            .unwrap_or(0);
    }
    assert!(to_come.next().is_none());
    let (counted, read) = (asked(&house).0 - counted, asked(&house).1 - read);
    let again = read - passes * metrics;
    let all = house.requests().0 - all;
    let share = (counted + again) as f64 / (all - counted - again) as f64;
    println!(
        "{passes} passes in 18 days, 60 of 3,000 events 1 h to 10 d late: {found} found by counts, the \
         others by walks; {all} requests, of which {counted} for counts and {again} to read again: \
         {:.1} % more",
        share * 100.0
    );
    let here = events(&mut house);
    assert_eq!(here, truth(&mut house).await);
    share
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_come_days_late_are_found() {
    week_of_late_events(hours(12)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes; .ci/run runs it"]
async fn late_events_cost_less_than_a_twentieth_more_requests() {
    let share = week_of_late_events(Duration::from_secs(900)).await;
    assert!(share < 0.05, "{share}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes; .ci/run runs it"]
async fn one_missing_event_in_ten_thousand_is_found() {
    let mut state = crowd(5_000);
    let withheld = withhold(&mut state, 10_000, &mut Rng::with_seed(9));
    let mut house = House::build(state, morning(), Speed::Fast, &[ALONE]).await;
    look(&mut house).await;
    for (metric, event) in &withheld {
        let mut state = house.world.state();
        merchant::show(&mut state, metric, event.clone(), morning());
    }
    let (all, (counted, read)) = (house.requests().0, asked(&house));
    let found = live(&mut house, 16).await;
    let (counted, read) = (asked(&house).0 - counted, asked(&house).1 - read);
    println!(
        "{} of {} events withheld, {found} found in 8 days: {} requests, of which {counted} for \
         counts, {read} for events",
        withheld.len(),
        events(&mut house).len(),
        house.requests().0 - all,
    );
    assert_eq!(found, withheld.len() as u64);
    assert!(found > 3);
    let here = events(&mut house);
    assert_eq!(here, truth(&mut house).await);
}
