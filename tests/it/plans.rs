//! Plans that somebody looks at first: made, applied or refused, and taken back.

use crate::house::{Edit, House, ROOMY, hours};
use crate::modes::suppress_at_risk;
use driftless::journal::{Entry, RunId};
use driftless::model::{EffectKind, End, HoldReason};
use driftless::pass::{Options, PassError, PlanFile, ReleaseError, Summary, Task};
use driftless::policy::{Allowances, Guard};
use driftless::push::Described;
use driftless::sandbox::faults::{Fault, FaultKind};
use driftless::sandbox::world::State;
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const TAGS: Edit<'static> = ("shopify_tags", "facts", "[\"stage\"]");
const METAFIELD: Edit<'static> = ("shopify_metafield", "facts", "[\"stage\", \"orders\"]");
const BOUNCES: Edit<'static> = ("rules.bounce", "act", "true");

fn dry(task: Task) -> Options {
    Options {
        observe: true,
        task,
        ..Options::default()
    }
}

fn only(file: &PlanFile) -> Options {
    Options {
        task: file.head.task,
        only: Some(Arc::new(file.clone())),
        ..Options::default()
    }
}

/// The plan that the last pass left, and its effects.
fn plan(house: &House) -> (PlanFile, Vec<Described>) {
    let mut effects = Vec::new();
    let path = house.state_dir().join("plan.jsonl");
    let file = PlanFile::read(&path, |effect| effects.push(effect)).unwrap();
    (file, effects)
}

/// A plan of what the rules want, released by nobody.
async fn planned(house: &mut House) -> (PlanFile, Vec<Described>) {
    house.unreleased(&dry(Task::Rules)).await.unwrap();
    plan(house)
}

async fn applied(house: &mut House, options: &Options) -> Summary {
    house.unreleased(options).await.unwrap()
}

/// What effects that can be taken back change: properties, lists, tags and metafields.
pub fn upstream(state: &State) -> Json {
    let profiles = state.klaviyo.profiles.iter();
    let profiles: BTreeMap<_, _> = profiles.map(|(id, one)| (id, &one.properties)).collect();
    let lists = state.klaviyo.lists.values();
    let lists = lists.filter(|list| !list.members.is_empty());
    let lists: BTreeMap<_, Vec<_>> = lists
        .map(|list| (&list.name, list.members.keys().collect()))
        .collect();
    let customers = state.shopify.customers.iter();
    let tags: BTreeMap<_, BTreeSet<_>> = customers
        .map(|(id, one)| (id.to_string(), one.tags.iter().collect()))
        .collect();
    let customers = state.shopify.customers.iter();
    let metafields: BTreeMap<_, Vec<_>> = customers
        .map(|(id, one)| {
            let values = one.metafields.iter();
            let values = values.map(|((space, key), one)| (space, key, &one.value));
            (id.to_string(), values.collect())
        })
        .collect();
    json!({"profiles": profiles, "lists": lists, "tags": tags, "metafields": metafields})
}

#[tokio::test(flavor = "multi_thread")]
async fn applying_does_what_the_plan_says_and_nothing_else() {
    let mut house = House::of(200, &[ROOMY[0], ROOMY[1], ROOMY[2], TAGS]).await;
    let (file, effects) = planned(&mut house).await;
    assert!(effects.len() > 200, "{}", effects.len());
    assert_eq!(house.writes(), 0);
    let summary = applied(&mut house, &only(&file)).await;
    assert_eq!(summary.trips, [], "who applies a plan has released it");
    assert_eq!(summary.effects.ended(End::Confirmed), effects.len() as u64);
    let told = |effect: &Described| serde_json::to_string(effect).unwrap();
    let planned: BTreeSet<String> = effects.iter().map(told).collect();
    let lists = house.shop().mirror().bindings().unwrap();
    let intents = house.intents().into_iter().map(|intent| {
        // A list that the plan itself creates has no id before.
        let named = lists.iter().find(|(_, id)| id.as_str() == intent.target);
        let target = named.map_or(intent.target.clone(), |(name, _)| name.clone());
        told(&Described {
            kind: intent.kind,
            subject: intent.subject,
            target,
            from: intent.from,
            to: intent.to,
            why: intent.why.unwrap(),
        })
    });
    assert_eq!(intents.collect::<BTreeSet<_>>(), planned);
    assert!(
        house.journal_text().contains(&file.id),
        "the run names its plan"
    );
    // The plan is done; it cannot be done twice.
    let again = house.unreleased(&only(&file)).await;
    assert!(matches!(again, Err(PassError::Stale(why)) if why.contains("run 1")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_refused_as_a_whole_when_the_shop_has_moved_on() {
    let mut house = House::of(300, &ROOMY).await;
    let (file, effects) = planned(&mut house).await;
    house.clock.advance(hours(1));
    let gone = suppress_at_risk(&house, 1);
    let summary = applied(&mut house, &only(&file)).await;
    let moved: Vec<_> = summary
        .trips
        .iter()
        .map(|trip| (trip.guard, trip.count))
        .collect();
    assert_eq!(
        moved,
        [(Guard::StalePlan, 1)],
        "one is no longer wanted on a list"
    );
    assert_eq!(house.writes(), 0);
    let allowed = Options {
        allow: Allowances(BTreeMap::from([(Guard::StalePlan, 1)])),
        ..only(&file)
    };
    let summary = applied(&mut house, &allowed).await;
    assert_eq!(summary.trips, []);
    assert_eq!(
        summary.effects.ended(End::Confirmed),
        effects.len() as u64 - 1
    );
    assert!(!house.members("Win-back").contains(&gone[0]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wanted_beside_the_plan_waits_for_the_next_one() {
    let mut house = House::of(200, &ROOMY).await;
    house.settle().await;
    let (file, _) = planned(&mut house).await;
    assert!(file.is_empty());
    house.clock.advance(hours(1));
    suppress_at_risk(&house, 2);
    let before = house.writes();
    let summary = applied(&mut house, &only(&file)).await;
    let mut held = summary.held_back.iter();
    assert!(held.any(|held| held.kind == EffectKind::ListRemove
        && held.reason == HoldReason::NotInPlan
        && held.count == 2));
    assert_eq!(house.writes(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_rests_on_something_else_is_refused_before_anything_is_read() {
    let mut house = House::of(60, &ROOMY).await;
    let (file, _) = planned(&mut house).await;
    let requests = house.requests();
    let refused = |result: Result<Summary, PassError>, what: &str| match result {
        Err(PassError::Stale(why)) => assert!(why.contains(what), "{why}"),
        other => panic!("not refused: {other:?}"),
    };
    let mut foreign = file.clone();
    foreign.head.shop = "other".to_owned();
    refused(house.unreleased(&only(&foreign)).await, "shop `other`");
    house.edit(&[("rules.lifecycle", "active_days", "60")]);
    refused(house.unreleased(&only(&file)).await, "rules have changed");
    house.edit(&[("rules.lifecycle", "active_days", "90")]);
    house.clock.advance(hours(25));
    refused(house.unreleased(&only(&file)).await, "expired");
    assert_eq!(house.requests(), requests);
    assert_eq!(house.writes(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn undoing_brings_back_what_can_be_brought_back_and_holds_the_rules() {
    let mut house = House::of(
        200,
        &[ROOMY[0], ROOMY[1], ROOMY[2], TAGS, METAFIELD, BOUNCES],
    )
    .await;
    let before = upstream(&house.world.state());
    let done = house.settle().await;
    assert_ne!(upstream(&house.world.state()), before);
    let suppressed = done.planned[&EffectKind::Suppression];
    let created = done.planned[&EffectKind::ListCreate];

    let undone = applied(
        &mut house,
        &Options {
            task: Task::Undo(RunId(1)),
            ..Options::default()
        },
    )
    .await;
    assert_eq!(undone.trips, []);
    assert_eq!(upstream(&house.world.state()), before);
    let held: BTreeMap<_, _> = undone
        .held_back
        .iter()
        .map(|held| ((held.kind, held.reason), held.count))
        .collect();
    assert_eq!(
        held[&(EffectKind::Suppression, HoldReason::NotUndoable)],
        suppressed
    );
    assert_eq!(
        held[&(EffectKind::ListCreate, HoldReason::NotUndoable)],
        created
    );
    // Else the next pass would do it all again.
    let next = house.unreleased(&Options::default()).await.unwrap();
    assert_eq!(
        next.trips.first().map(|trip| trip.guard),
        Some(Guard::FirstRun)
    );
    assert_eq!(upstream(&house.world.state()), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn undoing_leaves_alone_what_somebody_changed_since() {
    let mut house = House::of(120, &ROOMY).await;
    house.settle().await;
    house.clock.advance(hours(1));
    let (touched, gone) = {
        let now = house.clock.now();
        let mut state = house.world.state();
        let (id, profile) = state.klaviyo.profiles.iter_mut().next().unwrap();
        let key = profile
            .properties
            .keys()
            .find(|key| key.starts_with("driftless_"));
        let key = key.unwrap().clone();
        profile.properties.insert(key.clone(), json!("by hand"));
        profile.updated = now;
        let touched = (id.clone(), key);
        let mut ids = state.klaviyo.profiles.keys();
        (touched, ids.nth(1).unwrap().clone())
    };
    let (file, effects) = {
        let summary = house.unreleased(&dry(Task::Undo(RunId(1)))).await.unwrap();
        assert_eq!(summary.planned.get(&EffectKind::ListCreate), None);
        plan(&house)
    };
    let of = |id: &str| {
        effects
            .iter()
            .find(|one| one.kind == EffectKind::Property && one.subject.as_deref() == Some(id))
    };
    assert!(of(&gone).is_some());
    let kept = of(&touched.0).and_then(|one| one.to.as_object().cloned());
    assert!(!kept.unwrap_or_default().contains_key(&touched.1));
    // An undoing is a plan like any other.
    let summary = applied(&mut house, &only(&file)).await;
    assert_eq!(summary.effects.ended(End::Confirmed), effects.len() as u64);
    let state = house.world.state();
    let profile = &state.klaviyo.profiles[&touched.0];
    assert_eq!(profile.properties[&touched.1], json!("by hand"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_never_was_cannot_be_undone() {
    let mut house = House::of(30, &[]).await;
    let task = Task::Undo(RunId(7));
    let refused = house.unreleased(&dry(task)).await;
    assert!(matches!(
        refused,
        Err(PassError::NoSuchRun { run: RunId(7) })
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn undoing_puts_nobody_back_who_said_no_since_on_either_platform() {
    let mut house = House::of(300, &ROOMY).await;
    house.settle().await;
    house.clock.advance(hours(1));
    let gone = suppress_at_risk(&house, 6);
    assert_eq!(house.pass().await.trips, []);
    assert!(!house.members("Win-back").iter().any(|id| gone.contains(id)));
    // All of them may be mailed again, but one unsubscribed at Klaviyo and one in the shop.
    house.clock.advance(hours(1));
    let (klaviyo, shop) = {
        let now = house.clock.now();
        let mut state = house.world.state();
        for id in &gone {
            let profile = state.klaviyo.profiles.get_mut(id).unwrap();
            profile.suppressions.clear();
            profile.updated = now;
        }
        let pairs = state.truth.pairs.clone();
        let customer_of = |id: &String| pairs.iter().find(|(profile, _)| profile == id);
        let (shop, number) = gone.iter().find_map(customer_of).cloned().unwrap();
        let customer = state.shopify.customers.get_mut(&number).unwrap();
        customer.email_state = "UNSUBSCRIBED";
        customer.updated = now;
        let klaviyo = gone.iter().find(|id| **id != shop).unwrap().clone();
        state.klaviyo.profiles.get_mut(&klaviyo).unwrap().consent = "UNSUBSCRIBED";
        (klaviyo, shop)
    };
    let options = Options {
        task: Task::Undo(RunId(2)),
        ..Options::default()
    };
    let undone = applied(&mut house, &options).await;
    assert_eq!(undone.trips, []);
    let back = house.members("Win-back");
    let returned = gone.iter().filter(|id| back.contains(id)).count();
    assert!(returned >= 1 && returned <= gone.len() - 2, "{returned}");
    assert!(!back.contains(&klaviyo) && !back.contains(&shop));
    // The plan of an undoing shows nobody what the rules want.
    let now = house.clock.now();
    let refused = driftless::pass::release(&house.config(), now);
    assert!(
        matches!(refused, Err(ReleaseError::NotObserved)),
        "{refused:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_later_run_wrote_is_not_taken_back_with_an_earlier_one() {
    let mut house = House::of(200, &ROOMY).await;
    house.settle().await;
    let first = upstream(&house.world.state());
    let undo = |run| Options {
        task: Task::Undo(RunId(run)),
        ..Options::default()
    };
    // Taken back and done again: the third run's doing is what stands there now.
    applied(&mut house, &undo(1)).await;
    house.unreleased(&dry(Task::Rules)).await.unwrap();
    house.release();
    assert_eq!(house.pass().await.trips, []);
    assert_eq!(upstream(&house.world.state()), first);
    let again = applied(&mut house, &undo(1)).await;
    assert!(again.planned.is_empty(), "{:?}", again.planned);
    // Nothing was taken back, so nothing is held.
    let next = house.unreleased(&Options::default()).await.unwrap();
    assert_eq!(
        (next.trips, upstream(&house.world.state())),
        (vec![], first)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_not_taken_back_where_nothing_would_hold_the_rules() {
    let mut house = House::of(60, &ROOMY).await;
    house.settle().await;
    house.edit(&[("guards", "first_run", "false")]);
    let refused = house.unreleased(&dry(Task::Undo(RunId(1)))).await;
    assert!(matches!(refused, Err(PassError::NothingHolds)));
    house.edit(&[("guards", "first_run", "true")]);
    house.clock.advance(hours(31 * 24));
    let old = house.unreleased(&dry(Task::Undo(RunId(1)))).await;
    assert!(matches!(old, Err(PassError::TooOld { run: RunId(1) })));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_reaches_no_further_than_the_mode_that_was_observed() {
    let observing = ("write", "mode", "\"observe\"");
    let mut house = House::of(60, &[ROOMY[0], ROOMY[1], observing]).await;
    house.unreleased(&Options::default()).await.unwrap();
    house.release();
    house.edit(&[("write", "mode", "\"full\"")]);
    let summary = house.unreleased(&Options::default()).await.unwrap();
    assert_eq!(
        summary.trips.first().map(|trip| trip.guard),
        Some(Guard::FirstRun)
    );
    house.release();
    assert_eq!(house.pass().await.trips, []);
    assert!(house.writes() > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_metafield_of_another_name_is_read_anew_and_left_alone() {
    let mut house = House::of(100, &[ROOMY[0], ROOMY[1], ROOMY[2], METAFIELD]).await;
    house.settle().await;
    let theirs = |state: &mut State| {
        let customers = state.shopify.customers.values_mut();
        for customer in customers {
            let known = customer.metafields.values().next().cloned();
            if let Some(mut metafield) = known {
                "{\"of\":\"theirs\"}".clone_into(&mut metafield.value);
                let name = ("custom".to_owned(), "loyalty".to_owned());
                customer.metafields.insert(name, metafield);
            }
        }
    };
    theirs(&mut house.world.state());
    house.edit(&[
        ("shopify_metafield", "namespace", "\"custom\""),
        ("shopify_metafield", "key", "\"loyalty\""),
    ]);
    let (_, effects) = planned(&mut house).await;
    let mut changes = effects
        .iter()
        .filter(|one| one.kind == EffectKind::Metafield);
    assert!(changes.all(|one| one.from == json!("{\"of\":\"theirs\"}")));
    let before = upstream(&house.world.state())["metafields"].clone();
    let undone = house.unreleased(&dry(Task::Undo(RunId(1)))).await.unwrap();
    assert_eq!(undone.planned.get(&EffectKind::Metafield), None);
    assert_eq!(upstream(&house.world.state())["metafields"], before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_that_was_to_be_taken_away_and_is_there_was_not_taken_away() {
    let mut house = House::of(60, &[ROOMY[0], ROOMY[1], ROOMY[2], TAGS]).await;
    let before = upstream(&house.world.state())["tags"].clone();
    house.settle().await;
    let tagged = upstream(&house.world.state())["tags"].clone();
    let task = Task::Undo(RunId(1));
    // Reads are the same in both; then comes the first write to the shop, and the process ends.
    let asked = shop_requests(&house);
    house.unreleased(&dry(task)).await.unwrap();
    let skip = shop_requests(&house) - asked;
    let silence = {
        let faults = &mut house.world.state().faults;
        faults.planned.push(Fault {
            path: "/admin/".to_owned(),
            method: None,
            skip: u32::try_from(skip).unwrap(),
            times: 1,
            kind: FaultKind::Deaf,
        });
        faults.silence.clone()
    };
    let undo = Options {
        task,
        ..Options::default()
    };
    tokio::select! {
        () = silence.notified() => {}
        _ = house.unreleased(&undo) => panic!("the pass came to its end"),
    }
    house.close();
    assert_eq!(upstream(&house.world.state())["tags"], tagged);
    applied(&mut house, &dry(Task::Rules)).await;
    let intents = house.intents().into_iter();
    let untagging = intents.filter(|one| one.run == RunId(2) && one.kind == EffectKind::Tag);
    let untagging: BTreeSet<_> = untagging.map(|intent| intent.id).collect();
    let ends = house.journal().into_iter().filter_map(|entry| match entry {
        Entry::Outcome(end) if untagging.contains(&end.effect) => Some(end.end),
        _ => None,
    });
    let ends: BTreeSet<End> = ends.collect();
    assert!(!untagging.is_empty());
    assert_eq!(ends, BTreeSet::from([End::Superseded]));
    // Nobody has changed them since, so that the same undoing goes on.
    applied(&mut house, &undo).await;
    assert_eq!(upstream(&house.world.state())["tags"], before);
}

fn shop_requests(house: &House) -> u64 {
    let counts = house.sandbox.requests().into_iter();
    let shop = counts.filter(|((_, path), _)| path.starts_with("/admin/"));
    shop.map(|(_, (all, _))| all).sum()
}
