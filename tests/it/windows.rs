//! First fills by bulk operation: orders in windows of their creation, five operations at a time, each
//! window with an end, a failure and a restart of its own.

use crate::bulk_writes::customers;
use crate::house::{Edit, House, ROOMY, hours, morning, records};
use driftless::api::Fault;
use driftless::clock::Clock;
use driftless::mirror::{Part, Stream};
use driftless::model::{Moment, Money};
use driftless::pass::{Options, PassError, Summary};
use driftless::policy::Guard;
use driftless::pull::PullError;
use driftless::sandbox::Speed;
use driftless::sandbox::faults::{FailingBulk, Fault as Planned, FaultKind};
use driftless::sandbox::world::{BulkOperation, Order, State};
use driftless::telemetry::Progress;
use std::collections::BTreeMap;

/// Guards on the number of changes out of the way.
const EDITS: [Edit<'static>; 4] = [
    ROOMY[0],
    ROOMY[1],
    ROOMY[2],
    ("guards", "first_run", "false"),
];
const BULK: &str = "/bulk/";
const GRAPHQL: &str = "/admin/api";
const BUYERS: u64 = 40;
/// More than go into one window.
const MANY: u64 = 6_000;
/// Of what is asked of Shopify first, the start of the customers' operation comes third.
const FIRST_START: u32 = 2;

/// A shop whose orders were created so many seconds ago.
fn shop(ages: impl Iterator<Item = u64>) -> State {
    let mut state = customers(BUYERS);
    for (number, age) in (1..).zip(ages) {
        let created = Moment::from_secs(morning().secs() - age.cast_signed());
        let order = Order {
            customer: Some(number % BUYERS + 1),
            created,
            processed: created,
            updated: created,
            total: Money(1_000 + number.cast_signed()),
            ..Order::default()
        };
        state.shopify.orders.insert(number, order);
    }
    state
}

/// Orders of two years, evenly.
fn busy() -> State {
    shop((0..MANY).map(|nth| 730 * 86_400 * (nth + 1) / MANY))
}

async fn house(state: State) -> House {
    House::build(state, morning(), Speed::Fast, &EDITS).await
}

/// What a shop's customers and orders are in a mirror that was filled without a fault.
async fn calm(state: State) -> Vec<String> {
    let mut house = house(state).await;
    house.pass().await;
    records(house.mirror())
}

#[track_caller]
fn assert_same(house: &mut House, calm: &[String]) {
    let found = records(house.mirror());
    assert_eq!(found.len(), calm.len());
    let differing = found.iter().zip(calm).find(|(a, b)| a != b);
    assert_eq!(differing, None);
}

/// All queries that were started, in order.
fn operations(house: &House) -> Vec<BulkOperation> {
    let state = house.world.state();
    let all = state.shopify.operations.values();
    all.filter(|one| one.query.contains("driftless") || one.query.contains("orders("))
        .cloned()
        .collect()
}

/// Orders in the result of each operation that read orders to the end.
fn orders_of(operations: &[BulkOperation]) -> Vec<u64> {
    let orders = operations
        .iter()
        .filter(|one| one.query.contains("orders("));
    let whole = orders.filter(|one| one.error.is_none() && one.completed.is_some());
    whole.map(|one| one.root_count).collect()
}

/// Results that were fetched.
fn fetched(house: &House) -> u64 {
    let counts = house.sandbox.requests().into_iter();
    let of_bulk = counts.filter(|((_, path), _)| path.starts_with(BULK));
    of_bulk.map(|(_, (all, _))| all).sum()
}

/// Operations that ran at the same time at most.
fn most_at_once(operations: &[BulkOperation]) -> usize {
    let ended = |one: &BulkOperation| one.completed.unwrap_or(one.due);
    let at_once = operations.iter().map(|begun| {
        let others = operations.iter();
        let running =
            others.filter(|one| one.created <= begun.created && ended(one) > begun.created);
        running.count()
    });
    at_once.max().unwrap_or_default()
}

fn failing(query: &'static str, code: &'static str, times: u32) -> FailingBulk {
    FailingBulk { query, code, times }
}

fn plan(house: &House, path: &str, (skip, times): (u32, u32), kind: FaultKind) {
    house.world.state().faults.planned.push(Planned {
        path: path.to_owned(),
        method: None,
        skip,
        times,
        kind,
    });
}

fn parts(house: &mut House) -> BTreeMap<u32, Part> {
    house.shop().mirror().parts(&Stream::ShopifyOrders).unwrap()
}

fn guards(summary: &Summary) -> Vec<Guard> {
    summary.trips.iter().map(|trip| trip.guard).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn many_orders_come_in_four_windows_beside_the_customers() {
    let mut house = house(busy()).await;
    let summary = house.pass().await;
    assert_eq!(
        (summary.people.customers, summary.people.orders),
        (BUYERS, MANY)
    );
    let operations = operations(&house);
    let sizes = orders_of(&operations);
    assert_eq!((operations.len(), sizes.len()), (5, 4));
    assert_eq!(sizes.iter().sum::<u64>(), MANY);
    assert!(
        sizes.iter().all(|size| size.abs_diff(MANY / 4) < MANY / 16),
        "{sizes:?}"
    );
    assert_eq!((most_at_once(&operations), fetched(&house)), (5, 5));
    assert!(parts(&mut house).is_empty());

    let mut paged = self::house(busy()).await;
    paged.world.state().faults.failing_bulks = vec![failing("", "ACCESS_DENIED", u32::MAX)];
    paged.pass().await;
    assert_eq!(fetched(&paged), 0);
    let paged = records(paged.mirror());
    assert_same(&mut house, &paged);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_with_most_of_the_orders_is_cut_within() {
    let day = 300 * 86_400;
    let sale = (0..5_000).map(move |nth| day + nth * 86_400 / 5_000);
    let others = (0..1_000).map(|nth| 1_000 * 86_400 * (nth + 1) / 1_000);
    let mut house = house(shop(sale.chain(others))).await;
    assert_eq!(house.pass().await.people.orders, MANY);
    let sizes = orders_of(&operations(&house));
    assert_eq!((sizes.len(), sizes.iter().sum::<u64>()), (4, MANY));
    assert!(
        sizes.iter().all(|size| size.abs_diff(MANY / 4) < MANY / 16),
        "{sizes:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_that_nobody_can_count_are_one_window() {
    let mut house = house(busy()).await;
    let uncounted = |body: Vec<u8>| {
        let text = String::from_utf8(body).unwrap();
        text.replace("\"count\":0", "\"count\":1").into_bytes()
    };
    plan(&house, GRAPHQL, (1, 1), FaultKind::Alter(uncounted));
    assert_eq!(house.pass().await.people.orders, MANY);
    assert_eq!(orders_of(&operations(&house)), [MANY]);
}

#[tokio::test(flavor = "multi_thread")]
async fn results_that_are_read_side_by_side_make_the_same_mirror() {
    let clock = Clock::with_timers(morning());
    let mut side_by_side = House::on(clock, busy(), Speed::Fast, &EDITS).await;
    side_by_side.pass().await;
    assert_eq!(orders_of(&operations(&side_by_side)).len(), 4);
    assert_same(&mut side_by_side, &calm(busy()).await);
}

/// Leaves so many of the five places to us, until others' operations end after this many hours.
fn occupy(house: &House, left: u64, until: u64) {
    let now = house.clock.now();
    for number in left..5 {
        let others = BulkOperation {
            query: "{ customers { edges { node { id } } } }".to_owned(),
            created: now,
            due: now.plus(hours(until)),
            ..BulkOperation::default()
        };
        let operations = &mut house.world.state().shopify.operations;
        operations.insert(90_000 + number, others);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_two_places_left_two_run_at_a_time_and_with_none_pages_are_read() {
    let calm = calm(busy()).await;
    let mut two = house(busy()).await;
    occupy(&two, 2, 50);
    two.pass().await;
    let found = operations(&two);
    assert_eq!(
        (found.len(), most_at_once(&found), fetched(&two)),
        (5, 2, 5)
    );
    assert_same(&mut two, &calm);

    let mut none = house(busy()).await;
    occupy(&none, 0, 50);
    let summary = none.pass().await;
    assert_eq!((summary.people.orders, fetched(&none)), (MANY, 0));
    assert_eq!(operations(&none).len(), 0);
    assert_same(&mut none, &calm);
    assert!(parts(&mut none).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_takes_too_long_is_asked_for_in_halves() {
    let few = || shop((0..300).map(|nth| nth * 86_400));
    let calm = calm(few()).await;
    let mut house = house(few()).await;
    house.world.state().faults.failing_bulks = vec![failing("orders(", "TIMEOUT", 1)];
    assert_eq!(guards(&house.pass().await), []);
    let found = operations(&house);
    assert_eq!((found.len(), fetched(&house)), (4, 3));
    let halves = orders_of(&found);
    assert_eq!(halves.iter().sum::<u64>(), 300);
    assert!(
        halves.iter().all(|half| (120..=180).contains(half)),
        "{halves:?}"
    );
    assert_same(&mut house, &calm);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_breaks_is_asked_for_once_more_and_only_what_keeps_failing_is_read_by_pages() {
    let few = || shop((0..300).map(|nth| nth * 86_400));
    let calm = calm(few()).await;
    for (code, times, started, results) in [
        ("INTERNAL_SERVER_ERROR", 1, 3, 2),
        // Once more, then both halves.
        ("INTERNAL_SERVER_ERROR", 2, 5, 3),
        ("ACCESS_DENIED", 1, 2, 1),
    ] {
        let mut house = house(few()).await;
        house.world.state().faults.failing_bulks = vec![failing("orders(", code, times)];
        assert_eq!(guards(&house.pass().await), []);
        assert_eq!(
            (operations(&house).len(), fetched(&house)),
            (started, results),
            "{code}"
        );
        assert_same(&mut house, &calm);
    }
    for code in ["INTERNAL_SERVER_ERROR", "TIMEOUT"] {
        let mut house = house(few()).await;
        house.world.state().faults.failing_bulks = vec![failing("orders(", code, u32::MAX)];
        assert_eq!(guards(&house.pass().await), []);
        assert_eq!(fetched(&house), 1, "the customers'");
        assert!(operations(&house).len() <= 16);
        assert_same(&mut house, &calm);
        assert!(parts(&mut house).is_empty());
    }
}

/// A pass during which the first so many operations for orders are cancelled, whenever one looks.
async fn pass_with_cancelled(house: &mut House, most: usize) {
    let (world, clock) = (house.world.clone(), house.clock.clone());
    let progress = Progress::new(move |step| {
        if ["profiles", "orders"].contains(&step.stage.as_str()) {
            let operations = &mut world.state().shopify.operations;
            let orders = operations.values_mut();
            let orders = orders.filter(|one| one.query.contains("orders("));
            for one in orders.take(most) {
                one.canceled.get_or_insert(clock.now());
            }
        }
    });
    let options = Options {
        progress,
        ..Options::default()
    };
    assert_eq!(house.run(&options).await.unwrap().people.orders, MANY);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_cancelled_is_asked_for_once_more_and_what_always_is_comes_by_pages() {
    let calm = calm(busy()).await;
    let mut once = house(busy()).await;
    pass_with_cancelled(&mut once, 1).await;
    assert_eq!((operations(&once).len(), fetched(&once)), (6, 5));
    assert_same(&mut once, &calm);
    assert!(parts(&mut once).is_empty());

    let mut always = house(busy()).await;
    pass_with_cancelled(&mut always, usize::MAX).await;
    assert!(fetched(&always) < 5, "{}", fetched(&always));
    assert_same(&mut always, &calm);
    assert!(parts(&mut always).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_gone_is_asked_for_again_alone_and_one_that_stays_gone_is_made_up_for_by_pages()
 {
    let calm = calm(busy()).await;
    let mut once = house(busy()).await;
    // The customers' and two windows' come before it.
    plan(&once, BULK, (3, 1), FaultKind::Status(404));
    assert_eq!(guards(&once.pass().await), []);
    assert_eq!((operations(&once).len(), fetched(&once)), (6, 6));
    assert_same(&mut once, &calm);

    let mut always = house(busy()).await;
    plan(&always, BULK, (1, u32::MAX), FaultKind::Status(403));
    assert_eq!(guards(&always.pass().await), []);
    assert_same(&mut always, &calm);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_that_lacks_lines_is_asked_for_again_alone() {
    let mut house = house(busy()).await;
    plan(&house, BULK, (2, 1), FaultKind::Truncate);
    assert!(guards(&house.pass().await).contains(&Guard::CompleteListing));
    let left: Vec<bool> = parts(&mut house).values().map(|part| part.done).collect();
    assert_eq!(left, [true, false, true, true]);
    assert_eq!(guards(&house.pass().await), []);
    assert_eq!((operations(&house).len(), fetched(&house)), (6, 6));
    let calm = calm(busy()).await;
    assert_same(&mut house, &calm);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fill_that_breaks_off_in_one_window_goes_on_there_and_reads_no_other_again() {
    let mut house = house(busy()).await;
    plan(&house, BULK, (3, 1), FaultKind::Reset);
    let broken = house.refused().await;
    let PassError::Pull(PullError::Api(error)) = broken else {
        panic!("{broken}")
    };
    assert!(matches!(error.fault, Fault::Unreachable { .. }), "{error}");
    let left: Vec<bool> = parts(&mut house).values().map(|part| part.done).collect();
    assert_eq!(left, [true, true, false, false]);
    house.close();
    assert_eq!(guards(&house.pass().await), []);
    assert_eq!((operations(&house).len(), fetched(&house)), (5, 6));
    let calm = calm(busy()).await;
    assert_same(&mut house, &calm);
}

/// Ends a first pass as a kill would, when a request to Shopify is left without an answer; the request was
/// carried out.
async fn killed_at(nth: u32) -> House {
    let mut house = house(busy()).await;
    plan(&house, GRAPHQL, (nth, 1), FaultKind::Mute);
    let silence = house.world.state().faults.silence.clone();
    let options = Options::default();
    let shop = house.shop();
    tokio::select! {
        biased;
        () = silence.notified() => {}
        ended = shop.pass(&options) => panic!("{:?}", ended.map(|summary| summary.line())),
    }
    house.close();
    house
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_whose_number_was_lost_in_a_kill_is_followed_and_not_started_again() {
    let calm = calm(busy()).await;
    let mut lost = 0;
    for nth in FIRST_START..FIRST_START + 10 {
        let mut house = killed_at(nth).await;
        let mut noted = 0;
        for stream in [Stream::ShopifyCustomers, Stream::ShopifyOrders] {
            let parts = house.shop().mirror().parts(&stream).unwrap();
            noted += parts
                .values()
                .filter(|part| part.position.is_some())
                .count();
        }
        lost += operations(&house).len() - noted;
        // Whether they still run then or not.
        house.clock.advance(hours(u64::from(nth % 2)));
        assert_eq!(guards(&house.pass().await), []);
        let found = operations(&house);
        assert_eq!((found.len(), fetched(&house)), (5, 5), "killed at {nth}");
        assert_same(&mut house, &calm);
    }
    assert_eq!(lost, 5, "each of them once");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_whose_start_was_not_answered_is_looked_for_before_it_is_started_again() {
    let few = || shop((0..300).map(|nth| nth * 86_400));
    let calm = calm(few()).await;
    for kind in [FaultKind::Truncate, FaultKind::Reset, FaultKind::Hangup] {
        let mut house = house(few()).await;
        plan(&house, GRAPHQL, (FIRST_START, 1), kind);
        assert_eq!(guards(&house.pass().await), []);
        assert_eq!(operations(&house).len(), 2, "{kind:?}");
        assert_same(&mut house, &calm);
    }
}
