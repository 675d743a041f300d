//! Events that a pull never brought are found by comparing counts, and read again; those that come late
//! teach the next walk how far to look back.

mod late;

use crate::house::{Edit, House, crowd, hours, morning, only};
use crate::merchant;
use driftless::clock::Brake;
use driftless::model::Moment;
use driftless::pass::{Options, Summary};
use driftless::pull::Freshness;
use driftless::sandbox::Speed;
use driftless::sandbox::faults::FaultKind;
use driftless::sandbox::world::{Event, State};
use driftless::telemetry::{Api, Progress};
use fastrand::Rng;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

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

fn standing<'s>(summary: &'s Summary, name: &str) -> &'s Freshness {
    let mut rows = summary.freshness.iter();
    rows.find(|row| row.name == name).unwrap()
}

fn first_profile(house: &House) -> String {
    let state = house.world.state();
    state.klaviyo.profiles.keys().next().unwrap().clone()
}

fn opened(state: &State) -> String {
    let mut metrics = state.klaviyo.metrics.iter();
    let opened = metrics.find(|(_, known)| known.name == "Opened Email");
    opened.unwrap().0.clone()
}

/// Takes the profile from an opening of some days ago, as Klaviyo does when it deletes one.
fn orphan(state: &mut State) -> (String, Event) {
    let metric = opened(state);
    let events = state.klaviyo.events.get_mut(&metric).unwrap();
    let some_days_ago = morning().secs() - 900_000;
    let mut older = events.iter_mut().rev();
    let event = older.find(|event| event.timestamp < some_days_ago).unwrap();
    event.profile = None;
    (metric, event.clone())
}

/// A pass that is stopped once the ledger has read events again, before they are in timelines; whether it was.
async fn look_until_the_ledger_folds(house: &mut House) -> bool {
    let (brake, stop) = Brake::new();
    let feeds_are_read = AtomicBool::new(false);
    let progress = Progress::new(move |step| {
        if step.stage == "timelines" && feeds_are_read.fetch_or(step.over, Ordering::Relaxed) {
            brake.set();
        }
    });
    let options = Options {
        observe: true,
        progress,
        stop,
        ..Options::default()
    };
    house.unreleased(&options).await.is_err()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_to_be_folded_when_a_pass_is_stopped_is_no_gap() {
    let mut state = crowd(100);
    let withheld = withhold(&mut state, 200, &mut Rng::with_seed(3));
    let mut house = House::build(state, morning(), Speed::Fast, &[ALONE, DAILY]).await;
    look(&mut house).await;
    for (metric, event) in &withheld {
        let mut state = house.world.state();
        merchant::show(&mut state, metric, event.clone(), morning());
    }
    let mut stops = 0;
    for _ in 0..6 {
        house.clock.advance(hours(12));
        stops += u32::from(look_until_the_ledger_folds(&mut house).await);
        let next = look(&mut house).await;
        for row in of_events(&next) {
            assert_eq!((row.missing, row.gaps), (0, 0), "{}", row.name);
        }
    }
    assert!(stops > 0);
    assert_eq!(events(&mut house), truth(&mut house).await);
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
    let (metric, lost) = orphan(&mut state);
    let mut house = House::build(state, morning(), Speed::Fast, &[ALONE, DAILY]).await;
    assert_eq!(live(&mut house, 6).await, 0);
    let before = asked(&house).1;
    let first = look(&mut house).await;
    let row = standing(&first, "events: Opened Email");
    assert_eq!((row.gaps, row.missing), (1, 0));
    let (day, gap) = row.latest[0];
    assert_eq!(day, lost.timestamp.div_euclid(86_400));
    assert_eq!((gap.theirs - gap.stored, gap.ownerless), (1, 1));
    assert_eq!(gap.reason(), "of nobody, or of forgotten people");
    let walks = asked(&house).1 - before;
    let before = asked(&house).1;
    assert_eq!(live(&mut house, 4).await, 0);
    assert_eq!(
        asked(&house).1 - before,
        4 * walks,
        "nothing was read again"
    );

    let owner = first_profile(&house);
    let late = Event {
        id: "LATE".to_owned(),
        profile: Some(owner),
        ..lost
    };
    merchant::show(&mut house.world.state(), &metric, late, morning());
    assert_eq!(live(&mut house, 4).await, 1);
    let last = look(&mut house).await;
    let (_, after) = standing(&last, "events: Opened Email").latest[0];
    assert_eq!(
        (after.theirs, after.stored),
        (gap.theirs + 1, gap.stored + 1)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vendor_that_counts_nothing_holds_nothing_up() {
    let mut house = House::of(60, &[ALONE]).await;
    for kind in [
        FaultKind::Status(503),
        FaultKind::Status(200),
        FaultKind::Truncate,
    ] {
        {
            let faults = &mut house.world.state().faults;
            faults.planned.clear();
            faults.plan("/api/metric-aggregates", None, u32::MAX, kind);
        }
        house.clock.advance(hours(25));
        let summary = look(&mut house).await;
        let rows = of_events(&summary);
        assert!(rows.iter().all(|row| row.proven.is_none()), "{kind:?}");
        assert!(rows.iter().all(|row| row.complete.is_some()), "{kind:?}");
    }
    house.world.state().faults.planned.clear();
    live(&mut house, 20).await;
    let summary = look(&mut house).await;
    assert!(of_events(&summary).iter().all(|row| row.proven.is_some()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_that_cannot_be_read_again_holds_nothing_up_and_is_read_later() {
    let mut state = crowd(150);
    let withheld = withhold(&mut state, 200, &mut Rng::with_seed(3));
    let mut house = House::build(state, morning(), Speed::Fast, &[ALONE, DAILY]).await;
    look(&mut house).await;
    let before = asked(&house).1;
    live(&mut house, 1).await;
    let walks = u32::try_from(asked(&house).1 - before).unwrap();
    for (metric, event) in &withheld {
        let mut state = house.world.state();
        merchant::show(&mut state, metric, event.clone(), morning());
    }
    for _ in 0..8 {
        {
            let faults = &mut house.world.state().faults;
            faults.planned.clear();
            faults.plan("/api/events", None, u32::MAX, FaultKind::Status(400));
            faults.planned.last_mut().unwrap().skip = walks;
        }
        assert_eq!(live(&mut house, 1).await, 0);
    }
    house.world.state().faults.planned.clear();
    let summary = look(&mut house).await;
    let missing = of_events(&summary)
        .iter()
        .map(|row| row.missing)
        .sum::<u64>();
    assert_eq!(missing, withheld.len() as u64);
    // Their numbers stay the same, and a while later they are looked into once more.
    assert_eq!(live(&mut house, 1).await, 0);
    house.clock.advance(hours(24 * 7));
    assert_eq!(live(&mut house, 6).await, withheld.len() as u64);
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

fn orders(mut mirror: Vec<String>) -> Vec<String> {
    mirror.retain(|line| line.starts_with("{\"kind\":\"order\""));
    mirror
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_that_were_never_brought_or_are_gone_are_found_by_counting() {
    let mut state = crowd(250);
    let numbers: Vec<u64> = state.shopify.orders.keys().copied().collect();
    let pick = |part: usize| numbers[numbers.len() * part / 8];
    let withheld = [1, 4, 5].map(|part| state.shopify.orders.remove_entry(&pick(part)).unwrap());
    let mut house = House::build(state, morning(), Speed::Fast, &[ALONE]).await;
    look(&mut house).await;
    house.world.state().shopify.orders.extend(withheld);
    house.world.state().shopify.orders.remove(&pick(6));
    house.clock.advance(hours(25));
    let before = house.requests().0;
    let summary = look(&mut house).await;
    println!(
        "3 orders missing and 1 gone of {}: {} requests for counts in {} of the pass",
        numbers.len(),
        requests(&summary, "order_counts"),
        house.requests().0 - before
    );
    assert_eq!(summary.pulled["orders that were missing"], 3);
    assert_eq!(summary.pulled["records gone upstream"], 1);
    let row = standing(&summary, "orders");
    assert_eq!((row.missing, row.gaps, row.note), (0, 0, None));
    assert!(row.proven.is_some());
    let here = orders(house.mirror());
    assert_eq!(here, orders(house.undisturbed().await));
    house.clock.advance(hours(1));
    assert_eq!(requests(&look(&mut house).await, "order_counts"), 0);
}

fn requests(summary: &Summary, endpoint: &'static str) -> u64 {
    let requests = &summary.traffic.by_endpoint;
    let counts = requests.get(&(Api::Shopify, endpoint));
    counts.copied().unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_is_missing_and_one_that_is_gone_do_not_cancel_out() {
    let mut state = crowd(250);
    let numbers: Vec<u64> = state.shopify.orders.keys().copied().collect();
    let pick = |part: usize| numbers[numbers.len() * part / 8];
    let withheld = state.shopify.orders.remove_entry(&pick(1)).unwrap();
    let mut house = House::build(state, morning(), Speed::Fast, &[ALONE]).await;
    look(&mut house).await;
    house.world.state().shopify.orders.extend([withheld]);
    house.world.state().shopify.orders.remove(&pick(6));
    house.clock.advance(hours(25));
    let summary = look(&mut house).await;
    assert_eq!(summary.pulled["orders that were missing"], 1);
    assert_eq!(summary.pulled["records gone upstream"], 1);
    assert_eq!((summary.gone.named, summary.gone.swept), (0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_nobody_can_read_is_looked_for_once_a_week_however_the_shop_grows() {
    let mut state = crowd(250);
    let numbers: Vec<u64> = state.shopify.orders.keys().copied().collect();
    let unreadable = state.shopify.orders.get_mut(&numbers[40]).unwrap();
    // A year that no date of Shopify's has.
    unreadable.processed = Moment(i64::MAX / 2);
    let mut house = House::build(state, morning(), Speed::Fast, &[ALONE]).await;
    look(&mut house).await;
    let buyer = *house.world.state().shopify.customers.keys().next().unwrap();
    let mut listed = Vec::new();
    for _ in 0..10 {
        house.clock.advance(hours(24));
        let now = house.clock.now();
        merchant::buy(&mut house.world.state(), buyer, now);
        listed.push(requests(&look(&mut house).await, "orders"));
    }
    println!("lists of orders by day: {listed:?}");
    // One for what is new.
    let again = listed.iter().map(|lists| lists - 1).collect::<Vec<_>>();
    assert_eq!(again, [0, 0, 0, 0, 0, 0, 1, 0, 0, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_from_before_the_first_that_is_here_are_found() {
    let state = crowd(150);
    let metric = opened(&state);
    let first = state.klaviyo.events[&metric][0].clone();
    let mut house = House::build(state, morning(), Speed::Fast, &[ALONE, DAILY]).await;
    look(&mut house).await;
    let older = Event {
        id: "OLDER".to_owned(),
        timestamp: first.timestamp - 360 * 86_400,
        ..first
    };
    merchant::show(&mut house.world.state(), &metric, older, morning());
    assert_eq!(live(&mut house, 8).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_scope_for_all_orders_nothing_is_compared_and_that_is_said() {
    let mut state = crowd(60);
    state
        .shopify
        .scopes
        .retain(|scope| scope != "read_all_orders");
    let mut house = House::build(state, morning(), Speed::Fast, &[ALONE]).await;
    let summary = look(&mut house).await;
    let row = standing(&summary, "orders");
    assert_eq!(
        row.note,
        Some("of 60 days only: the token lacks read_all_orders")
    );
    assert_eq!((row.proven, row.next), (None, None));
    let text = driftless::report::text(&summary);
    assert!(text.contains("the token lacks read_all_orders"), "{text}");
    assert_eq!(requests(&summary, "order_counts"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_dated_in_the_future_moves_no_cursor_past_the_servers_clock() {
    let mut state = crowd(60);
    let later = morning().plus(hours(72));
    let owner = state.klaviyo.profiles.keys().next().unwrap().clone();
    merchant::open(&mut state, &owner, later);
    state.klaviyo.profiles.get_mut(&owner).unwrap().updated = later;
    state.shopify.customers.values_mut().next().unwrap().updated = later;
    state.shopify.orders.values_mut().next().unwrap().updated = later;
    let mut house = House::build(state, morning(), Speed::Fast, &[ALONE]).await;
    for _ in 0..3 {
        let summary = look(&mut house).await;
        for row in &summary.freshness {
            assert!(
                row.complete.is_some_and(|at| at <= house.clock.now()),
                "{}",
                row.name
            );
        }
        house.clock.advance(hours(1));
    }
    // What happens meanwhile is seen, and the event of the future when its time has come.
    merchant::open(&mut house.world.state(), &owner, morning().plus(hours(2)));
    let before = house.shop().mirror().totals().unwrap().events;
    look(&mut house).await;
    assert_eq!(house.shop().mirror().totals().unwrap().events, before + 1);
    house.clock.advance(hours(72));
    look(&mut house).await;
    assert_eq!(house.shop().mirror().totals().unwrap().events, before + 2);
}
