//! Tags and metafields of many customers: one bulk operation, each line with an end of its own.

use crate::house::{Edit, House, ROOMY, hours, morning};
use crate::requests::leads;
use driftless::clock::Brake;
use driftless::journal::Entry;
use driftless::model::{EffectKind, End};
use driftless::pass::{Options, Summary};
use driftless::sandbox::faults::{Fault, FaultKind};
use driftless::sandbox::world::{BulkOperation, Customer, State};
use driftless::sandbox::{Speed, World};
use driftless::telemetry::Progress;
use std::collections::BTreeMap;
use std::sync::Arc;

/// With a canary of 25, so many are left that they go in bulk.
const ENOUGH: u64 = 1_030;
/// Somebody who does not go with the canary.
const CULPRIT: u64 = 700;

const TAGS: Edit<'static> = ("shopify_tags", "facts", r#"["stage"]"#);
const METAFIELD: Edit<'static> = ("shopify_metafield", "facts", r#"["stage"]"#);

/// A shop of so many customers who never bought.
pub fn customers(count: u64) -> State {
    let mut state = leads(10);
    let created = morning().minus(hours(24 * 400));
    for number in 1..=count {
        let customer = Customer {
            email: Some(format!("customer-{number}@example.com")),
            created,
            updated: created,
            email_state: "SUBSCRIBED",
            ..Customer::default()
        };
        state.shopify.customers.insert(number, customer);
    }
    state
}

/// That shop, one pass before anything is written.
async fn observed(count: u64, edit: Edit<'_>) -> House {
    let edits = [&ROOMY[..], &[edit]].concat();
    let mut house = House::build(customers(count), morning(), Speed::Fast, &edits).await;
    house.pass().await;
    house
}

fn ended(summary: &Summary, kind: EffectKind, end: End) -> u64 {
    let ends = &summary.effects.ends;
    ends.get(&(kind, end)).copied().unwrap_or_default()
}

/// That shop, in which everybody carries a tag of ours that is not theirs.
async fn mistagged() -> House {
    let mut state = customers(ENOUGH);
    for customer in state.shopify.customers.values_mut() {
        customer.tags.push("driftless:vip".to_owned());
    }
    let edits = [&ROOMY[..], &[TAGS]].concat();
    let mut house = House::build(state, morning(), Speed::Fast, &edits).await;
    house.pass().await;
    house
}

/// How often each kind of write hit somebody.
fn hits(house: &House, kind: &str) -> usize {
    let history = house.history().into_iter();
    let of_kind = history.filter(|write| write.kind == kind);
    of_kind.map(|write| write.subjects.len()).sum()
}

/// Leaves no place for an operation of ours.
fn occupy(house: &House) {
    let now = house.clock.now();
    for number in 1..=5 {
        let others = BulkOperation {
            lines: Some(Arc::default()),
            created: now,
            due: now.plus(hours(5)),
            ..BulkOperation::default()
        };
        let operations = &mut house.world.state().shopify.operations;
        operations.insert(90_000 + number, others);
    }
}

/// How many calls each bulk mutation made.
fn mutations(world: &World) -> Vec<usize> {
    let state = world.state();
    let all = state.shopify.operations.values();
    let lines = all.filter_map(|operation| operation.lines.as_ref());
    lines.map(|lines| lines.len()).collect()
}

fn asked(house: &House, path: &str) -> u64 {
    let counts = house.sandbox.requests().into_iter();
    let of_path = counts.filter(|((_, endpoint), _)| endpoint.starts_with(path));
    of_path.map(|(_, (all, _))| all).sum()
}

/// Each customer was written to just once.
#[track_caller]
fn assert_once(house: &House, count: u64) {
    let mut times: BTreeMap<String, u32> = BTreeMap::new();
    let history = house.history().into_iter();
    for write in history.filter(|write| write.kind == "tagsAdd") {
        for subject in write.subjects {
            *times.entry(subject).or_default() += 1;
        }
    }
    let again: Vec<_> = times.iter().filter(|(_, times)| **times != 1).collect();
    assert_eq!(again, [], "written again");
    assert_eq!(times.len() as u64, count);
}

/// Of whom the journal says that they were refused, and with which code.
fn refused(house: &House) -> Vec<(String, String)> {
    let mut subjects = BTreeMap::new();
    let mut refused = Vec::new();
    for entry in house.journal() {
        match entry {
            Entry::Intent(intent) => drop(subjects.insert(intent.id, intent.subject)),
            Entry::Outcome(outcome) if outcome.end == End::Refused => {
                let subject = subjects[&outcome.effect].clone().unwrap();
                refused.push((subject, outcome.code.unwrap()));
            }
            _ => {}
        }
    }
    refused
}

#[tokio::test(flavor = "multi_thread")]
async fn of_1500_customers_1499_get_their_tags_in_bulk_and_the_culprit_is_named() {
    let mut house = observed(1_500, TAGS).await;
    house.world.state().faults.unwilling.insert(CULPRIT);
    let before = asked(&house, "/admin/");
    let applied = house.pass().await;
    assert_eq!(applied.planned[&EffectKind::Tag], 1_500);
    assert_eq!(ended(&applied, EffectKind::Tag, End::Confirmed), 1_499);
    assert_eq!(ended(&applied, EffectKind::Tag, End::Refused), 1);
    let culprit = format!("gid://shopify/Customer/{CULPRIT}");
    assert_eq!(refused(&house), [(culprit, "user_error".to_owned())]);
    assert_eq!(mutations(&house.world), [1_475]);
    assert_once(&house, 1_499);
    // The canary's 25 calls and its read-back, three reads, and the operation with its looks.
    let calls = asked(&house, "/admin/") - before;
    println!("{calls} GraphQL requests for 1,500 customers");
    assert!(calls < 40, "{calls}");
    assert_eq!(asked(&house, "/staged"), 1);
    assert_eq!(house.pass().await.planned.get(&EffectKind::Tag), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_5100_customers_all_but_one_get_their_metafield_in_bulk() {
    let mut house = observed(5_100, METAFIELD).await;
    house.world.state().faults.unwilling.insert(CULPRIT);
    let applied = house.pass().await;
    assert_eq!(
        ended(&applied, EffectKind::Metafield, End::Confirmed),
        5_099
    );
    let culprit = format!("gid://shopify/Customer/{CULPRIT}");
    assert_eq!(refused(&house), [(culprit, "INVALID_VALUE".to_owned())]);
    assert_eq!(mutations(&house.world), [5_049]);
    let state = house.world.state();
    let set = state.shopify.customers.values();
    assert_eq!(set.filter(|one| !one.metafields.is_empty()).count(), 5_099);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_that_is_killed_during_the_operation_is_followed_up_and_not_repeated() {
    let mut house = observed(ENOUGH, TAGS).await;
    let world = house.world.clone();
    let begun = async {
        while mutations(&world).is_empty() {
            tokio::task::yield_now().await;
        }
    };
    let options = Options::default();
    tokio::select! {
        ended = house.unreleased(&options) => panic!("{:?}", ended.map(|s| s.line())),
        () = begun => {}
    }
    house.close();
    let next = house.pass().await;
    assert_eq!(next.effects.recovered, ENOUGH - 25);
    assert_eq!(next.planned.get(&EffectKind::Tag), None);
    assert_eq!(mutations(&house.world), [1_005]);
    assert_once(&house, ENOUGH);
    assert!(house.pass().await.is_quiet());
}

/// Such a pass ends with the call for a place, the start and two looks. Their answers are lost one after the
/// other, and that before them: an operation whose start was not answered is found in the vendor's
/// list, and never started again.
#[tokio::test(flavor = "multi_thread")]
async fn an_operation_whose_start_was_not_answered_is_found_again() {
    let mut house = observed(ENOUGH, TAGS).await;
    let before = asked(&house, "/admin/");
    house.pass().await;
    let calls = u32::try_from(asked(&house, "/admin/") - before).unwrap();
    for back in 1..=5 {
        let mut house = observed(ENOUGH, TAGS).await;
        house.world.state().faults.planned.push(Fault {
            path: "/admin/".to_owned(),
            method: None,
            skip: calls - back,
            times: 1,
            kind: FaultKind::Reset,
        });
        let applied = house.pass().await;
        let confirmed = ended(&applied, EffectKind::Tag, End::Confirmed);
        assert_eq!(confirmed, ENOUGH, "{back} before the end");
        assert_eq!(mutations(&house.world), [1_005], "{back} before the end");
        assert_eq!(house.world.state().faults.planned[0].times, 0);
        assert_once(&house, ENOUGH);
        assert!(house.pass().await.is_quiet());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_the_result_lacks_is_looked_at_and_not_assumed() {
    let mut house = observed(ENOUGH, TAGS).await;
    house.world.state().faults.unsaid.insert(CULPRIT);
    let applied = house.pass().await;
    assert_eq!(applied.effects.unknown, 1);
    assert_eq!(ended(&applied, EffectKind::Tag, End::Confirmed), ENOUGH - 1);
    let next = house.pass().await;
    assert_eq!(next.effects.recovered, 1);
    assert_eq!(next.planned.get(&EffectKind::Tag), None);
    assert_once(&house, ENOUGH);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_place_is_free_tags_go_call_by_call() {
    let mut house = observed(ENOUGH, TAGS).await;
    occupy(&house);
    let applied = house.pass().await;
    assert_eq!(ended(&applied, EffectKind::Tag, End::Confirmed), ENOUGH);
    assert_eq!(mutations(&house.world), [0; 5]);
    assert_once(&house, ENOUGH);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_that_is_stopped_tells_what_it_left() {
    let mut house = observed(200, TAGS).await;
    let (brake, stop) = Brake::new();
    // The tenth of those behind the canary.
    let progress = Progress::new(move |step| {
        if (step.stage.as_str(), step.done, step.total) == ("tag", 10, Some(175)) {
            brake.set();
        }
    });
    let options = Options {
        progress,
        stop,
        ..Options::default()
    };
    let stopped = house.run(&options).await.unwrap();
    assert_eq!(stopped.planned[&EffectKind::Tag], 200);
    let ended = |end| ended(&stopped, EffectKind::Tag, end);
    assert_eq!((ended(End::Confirmed), ended(End::Stopped)), (35, 165));
    assert_once(&house, 35);
    assert_eq!(house.pass().await.planned[&EffectKind::Tag], 165);
    assert_once(&house, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_operation_takes_the_wrong_tags_and_one_gives_the_right_ones() {
    let mut house = mistagged().await;
    house.world.state().faults.unwilling.insert(CULPRIT);
    let applied = house.pass().await;
    assert_eq!(ended(&applied, EffectKind::Tag, End::Confirmed), ENOUGH - 1);
    assert_eq!(ended(&applied, EffectKind::Tag, End::Refused), 1);
    // Whoever keeps the wrong one gets no other.
    let bulk = usize::try_from(ENOUGH - 25).unwrap();
    assert_eq!(mutations(&house.world), [bulk, bulk - 1]);
    let state = house.world.state();
    let tags = &state.shopify.customers[&CULPRIT].tags;
    assert_eq!(*tags, ["driftless:vip"]);
    let mistagged = state.shopify.customers.values();
    let mistagged = mistagged.filter(|one| one.tags.contains(&tags[0]));
    assert_eq!(mistagged.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_place_is_free_each_tag_is_taken_and_given_once() {
    let mut house = mistagged().await;
    occupy(&house);
    let applied = house.pass().await;
    assert_eq!(ended(&applied, EffectKind::Tag, End::Confirmed), ENOUGH);
    assert_once(&house, ENOUGH);
    let all = usize::try_from(ENOUGH).unwrap();
    assert_eq!(
        (hits(&house, "tagsRemove"), hits(&house, "tagsAdd")),
        (all, all)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn while_an_operation_of_an_earlier_run_cannot_be_followed_nothing_else_is_sent_to_customers()
{
    let mut house = observed(ENOUGH, TAGS).await;
    let world = house.world.clone();
    let begun = async {
        while mutations(&world).is_empty() {
            tokio::task::yield_now().await;
        }
        let mut state = world.state();
        let operations = state.shopify.operations.values_mut();
        let far = operations.filter(|one| one.lines.is_some());
        far.for_each(|one| one.due = one.due.plus(hours(24 * 30)));
    };
    let options = Options::default();
    tokio::select! {
        () = begun => {}
        ended = house.unreleased(&options) => panic!("{ended:?}"),
    }
    house.close();
    let held = house.pass().await;
    assert_eq!(held.effects.recovered, 0);
    assert_eq!(held.planned.get(&EffectKind::Tag), None);
    let waiting: u64 = held.held_back.iter().map(|held| held.count).sum();
    // How many of its lines are done already is a matter of time.
    assert!(waiting > 0);
    assert_eq!(mutations(&house.world).len(), 1);
}
