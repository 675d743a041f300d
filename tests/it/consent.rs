//! A refusal that one platform knows of reaches the other; nothing else about consent ever does.

use crate::house::{Edit, House, ROOMY, hours};
use driftless::journal::RunId;
use driftless::model::{EffectKind, End, HoldReason, Moment};
use driftless::pass::{Options, Summary, Task};
use driftless::policy::Guard;
use driftless::sandbox::world::State;
use std::collections::BTreeSet;
use std::time::Duration;

const ACT: Edit<'static> = ("rules.consent", "act", "true");
const BOTH: [EffectKind; 2] = [
    EffectKind::Unsubscription,
    EffectKind::CustomerUnsubscription,
];

fn edits() -> Vec<Edit<'static>> {
    let many = (
        "guards",
        "max_unsubscriptions",
        "{ count = 100000, share = 1.0 }",
    );
    [&ROOMY[..], &[ACT, many]].concat()
}

/// Profiles and customers with the same address, of whom one is subscribed and the other is not.
fn contradictions(state: &State) -> Vec<(String, u64)> {
    let mut found = Vec::new();
    for (id, profile) in &state.klaviyo.profiles {
        for (number, customer) in &state.shopify.customers {
            let alike = profile.email.is_some() && profile.email == customer.email;
            let states = [profile.consent, customer.email_state];
            let differ = states == ["SUBSCRIBED", "UNSUBSCRIBED"]
                || states == ["UNSUBSCRIBED", "SUBSCRIBED"];
            if alike && differ {
                found.push((id.clone(), *number));
            }
        }
    }
    found
}

/// Everybody subscribed anywhere, and since when.
fn subscribed(state: &State) -> BTreeSet<(String, Option<Moment>)> {
    let profiles = state.klaviyo.profiles.iter();
    let profiles = profiles.filter(|(_, profile)| profile.consent == "SUBSCRIBED");
    let customers = state.shopify.customers.iter();
    let customers = customers.filter(|(_, customer)| customer.email_state == "SUBSCRIBED");
    profiles
        .map(|(id, profile)| (id.clone(), profile.consent_at))
        .chain(customers.map(|(number, customer)| (number.to_string(), customer.email_state_at)))
        .collect()
}

fn planned(summary: &Summary) -> u64 {
    let counts = BOTH.iter().filter_map(|kind| summary.planned.get(kind));
    counts.sum()
}

/// Gives every contradiction its dates: every third has the newer yes, one more has a tie, and one no
/// date at all. Tells which have the newer yes.
fn date(state: &mut State) -> Vec<(String, u64)> {
    let (early, late) = (Moment::from_day(20_000), Moment::from_day(20_100));
    let mut agreed_anew = Vec::new();
    for (nth, (id, number)) in contradictions(state).into_iter().enumerate() {
        let (yes, no) = match nth {
            0 => (Some(early), Some(early)),
            1 => (None, Some(late)),
            nth if nth % 3 == 0 => (Some(late), Some(early)),
            _ => (Some(early), Some(late)),
        };
        let profile = state.klaviyo.profiles.get_mut(&id).unwrap();
        let customer = state.shopify.customers.get_mut(&number).unwrap();
        // Both directions, whatever the world was made with.
        profile.suppressions.clear();
        (profile.consent, customer.email_state) = match nth % 2 {
            0 => ("SUBSCRIBED", "UNSUBSCRIBED"),
            _ => ("UNSUBSCRIBED", "SUBSCRIBED"),
        };
        (profile.consent_at, customer.email_state_at) = match nth % 2 {
            0 => (yes, no),
            _ => (no, yes),
        };
        if yes > no {
            agreed_anew.push((id, number));
        }
    }
    agreed_anew
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_refusal_reaches_the_other_platform_and_a_newer_yes_stays_where_it_is() {
    let mut house = House::of(600, &edits()).await;
    let agreed_anew = date(&mut house.world.state());
    let before = contradictions(&house.world.state());
    assert!(before.len() > 6 && agreed_anew.len() > 1);
    let yes_before = subscribed(&house.world.state());

    house.settle().await;
    let after = contradictions(&house.world.state());
    let undated = &before[1];
    let left: BTreeSet<_> = agreed_anew.iter().chain([undated]).collect();
    assert_eq!(after.iter().collect::<BTreeSet<_>>(), left);
    let yes_after = subscribed(&house.world.state());
    assert!(yes_after.is_subset(&yes_before), "nobody was subscribed");
    assert_eq!(
        yes_before.len() - yes_after.len(),
        before.len() - left.len()
    );

    house.clock.advance(hours(1));
    let quiet = house.pass().await;
    assert_eq!(planned(&quiet), 0);
    let held = quiet
        .held_back
        .iter()
        .filter(|held| BOTH.contains(&held.kind));
    let held: Vec<_> = held.map(|held| (held.reason, held.count)).collect();
    assert_eq!(held, [(HoldReason::Undated, 1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_only_reported_until_the_rule_may_act() {
    let mut house = House::of(600, &[]).await;
    date(&mut house.world.state());
    let before = subscribed(&house.world.state());
    let summary = house.settle().await;
    assert_eq!(planned(&summary), 0);
    let held = summary.held_back.iter();
    let reports =
        held.filter(|held| BOTH.contains(&held.kind) && held.reason == HoldReason::RuleOnlyReports);
    assert_eq!(reports.count(), 2);
    assert_eq!(subscribed(&house.world.state()), before);
}

/// What is changed behind the mirror's back: nothing of it shows in a listing by time of change.
async fn behind_the_back(change: impl Fn(&mut State, &(String, u64), Moment)) {
    let mut house = House::of(600, &edits()).await;
    date(&mut house.world.state());
    let wanted = planned(&house.pass().await);
    assert!(wanted > 3);
    let (before, now) = (subscribed(&house.world.state()), house.clock.now());
    let contradictory = contradictions(&house.world.state());
    for who in &contradictory {
        change(&mut house.world.state(), who, now);
    }
    house.release();
    let done = house.pass().await;
    let ends = |end| {
        let counts = BOTH
            .iter()
            .filter_map(|kind| done.effects.ends.get(&(*kind, end)));
        counts.sum::<u64>()
    };
    assert_eq!(ends(End::Withdrawn), wanted, "{:?}", done.effects.ends);
    let who = |subscribed: &BTreeSet<(String, Option<Moment>)>| -> BTreeSet<String> {
        subscribed.iter().map(|(id, _)| id.clone()).collect()
    };
    let after = subscribed(&house.world.state());
    assert!(who(&after).is_superset(&who(&before)));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_agreed_anew_where_they_were_subscribed_stays_so() {
    behind_the_back(|state, (id, number), now| {
        let profile = state.klaviyo.profiles.get_mut(id).unwrap();
        match profile.consent {
            "SUBSCRIBED" => profile.consent_at = Some(now),
            _ => {
                state
                    .shopify
                    .customers
                    .get_mut(number)
                    .unwrap()
                    .email_state_at = Some(now)
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_agreed_anew_where_they_had_refused_is_unsubscribed_nowhere() {
    behind_the_back(|state, (id, number), now| {
        let profile = state.klaviyo.profiles.get_mut(id).unwrap();
        let customer = state.shopify.customers.get_mut(number).unwrap();
        if profile.consent == "SUBSCRIBED" {
            (customer.email_state, customer.email_state_at) = ("SUBSCRIBED", Some(now));
        } else {
            (profile.consent, profile.consent_at) = ("SUBSCRIBED", Some(now));
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_unsubscribed_who_has_another_address_now() {
    behind_the_back(|state, (id, _), _| {
        let profile = state.klaviyo.profiles.get_mut(id).unwrap();
        profile.email = Some(format!("{}@elsewhere.example", id.to_lowercase()));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_that_is_refused_holds_up_nobody_and_one_that_is_not_kept_is_told() {
    let mut house = House::of(600, &edits()).await;
    date(&mut house.world.state());
    house.pass().await;
    let doomed: Vec<(String, u64)> = {
        let state = house.world.state();
        let mut doomed = contradictions(&state);
        doomed.retain(|(id, _)| {
            let profile = &state.klaviyo.profiles[id];
            let refused = profile.consent_at == Some(Moment::from_day(20_000));
            profile.consent == "SUBSCRIBED" && refused
        });
        doomed
    };
    let count = doomed.len() as u64;
    assert!(count > 2, "{count}");
    {
        let faults = &mut house.world.state().faults;
        faults.poisonous.insert(doomed[0].0.clone());
        faults.unkept.insert(doomed[1].0.clone());
    }
    house.release();
    let effects = house.pass().await.effects;
    let ended = |end| {
        effects
            .ends
            .get(&(EffectKind::Unsubscription, end))
            .copied()
    };
    assert_eq!(ended(End::Refused), Some(2), "{:?}", effects.refusals);
    assert_eq!(effects.refusals.get("not kept"), Some(&1));
    assert_eq!(ended(End::Confirmed), Some(count - 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_that_was_carried_over_is_not_carried_back() {
    let mut house = House::of(600, &edits()).await;
    date(&mut house.world.state());
    let before = contradictions(&house.world.state());
    house.settle().await;
    let carried = {
        let mut state = house.world.state();
        let (id, number) = before
            .into_iter()
            .find(|(id, number)| {
                let newest = Some(Moment::from_day(20_100));
                state.klaviyo.profiles[id].consent == "UNSUBSCRIBED"
                    && state.klaviyo.profiles[id].consent_at != newest
                    && state.shopify.customers[number].email_state == "UNSUBSCRIBED"
            })
            .unwrap();
        // Agreed between the person's refusal and the instant at which Klaviyo carried it out.
        let before = state.klaviyo.profiles[&id]
            .consent_at
            .map(|at| at.minus(Duration::from_secs(1)));
        let now = house.clock.now();
        let customer = state.shopify.customers.get_mut(&number).unwrap();
        (customer.email_state, customer.email_state_at) = ("SUBSCRIBED", before);
        customer.updated = now;
        number
    };
    house.clock.advance(hours(1));
    let summary = house.pass().await;
    assert_eq!(planned(&summary), 0);
    let held = summary.held_back.iter();
    let own = held.filter(|held| held.reason == HoldReason::OwnDoing);
    assert_eq!(own.map(|held| held.count).sum::<u64>(), 1);
    let state = house.world.state();
    assert_eq!(state.shopify.customers[&carried].email_state, "SUBSCRIBED");
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_unsubscriptions_are_stopped() {
    let few = (
        "guards",
        "max_unsubscriptions",
        "{ count = 1, share = 1.0, floor = 0 }",
    );
    let mut house = House::of(600, &[&ROOMY[..], &[ACT, few]].concat()).await;
    date(&mut house.world.state());
    let wanted = planned(&house.pass().await);
    let before = subscribed(&house.world.state());
    let stopped = house.pass().await;
    let trips = stopped.trips.iter().map(|trip| (trip.guard, trip.count));
    assert_eq!(
        trips.collect::<Vec<_>>(),
        [(Guard::MaxUnsubscriptions, wanted)]
    );
    assert_eq!(subscribed(&house.world.state()), before);
    let through = house.allowing(Guard::MaxUnsubscriptions, wanted).await;
    assert_eq!(through.trips, []);
    assert_eq!(
        subscribed(&house.world.state()).len() as u64,
        before.len() as u64 - wanted
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_takes_an_unsubscription_back() {
    let mut house = House::of(600, &edits()).await;
    date(&mut house.world.state());
    house.settle().await;
    let journal = house.intents();
    let of_both = journal.iter().filter(|intent| BOTH.contains(&intent.kind));
    let runs: BTreeSet<RunId> = of_both.clone().map(|intent| intent.run).collect();
    let count = of_both.count() as u64;
    let run = *runs.iter().next().unwrap();
    let before = subscribed(&house.world.state());
    let undone = Options {
        task: Task::Undo(run),
        ..Options::default()
    };
    house.clock.advance(Duration::from_secs(60));
    let summary = house.unreleased(&undone).await.unwrap();
    let held = summary
        .held_back
        .iter()
        .filter(|held| BOTH.contains(&held.kind));
    let held: Vec<_> = held.map(|held| (held.reason, held.count)).collect();
    assert!(
        held.iter()
            .all(|(reason, _)| *reason == HoldReason::NotUndoable)
    );
    assert_eq!(held.iter().map(|(_, count)| count).sum::<u64>(), count);
    assert_eq!(subscribed(&house.world.state()), before);
}
