use super::*;
use crate::clock::Clock;
use crate::model::DAY_MS;
use crate::sandbox::definition::{EventIndex, Judge, Record, When};
use crate::sandbox::world::{KlaviyoWorld, State};
use crate::sandbox::{GeneratorSettings, generate};
use std::collections::BTreeSet;
use std::sync::OnceLock;

fn now() -> Moment {
    Moment::parse("2026-11-21T08:00:00Z").unwrap()
}

/// One account for all tests, large enough for a large list.
fn account() -> &'static KlaviyoWorld {
    static ACCOUNT: OnceLock<KlaviyoWorld> = OnceLock::new();
    ACCOUNT.get_or_init(|| generate(GeneratorSettings::usual(4_000, 7, now())).klaviyo)
}

fn world() -> World {
    let state = State {
        klaviyo: account().clone(),
        ..State::default()
    };
    World::new(Clock::manual(now()), state)
}

/// Where Klaviyo shows other members than one who knows the definitions of today and the data of before; and the
/// members nobody can know.
type Pairs = BTreeSet<(String, String)>;

fn compare(before: &KlaviyoWorld, shown: &KlaviyoWorld) -> (Pairs, Pairs) {
    let judge = Judge::new(shown, &When::utc(now()), |_, _| true);
    let events = EventIndex::new(before, Moment(i64::MAX), |_| true);
    let (mut apart, mut unknown) = (Pairs::new(), Pairs::new());
    for id in before.profiles.keys().chain(shown.profiles.keys()) {
        let record = Record::of(before, &events, id);
        let verdicts = record.as_ref().map(|record| judge.verdicts(record));
        for (segment, known) in &shown.segments {
            let member = known.members.contains_key(id);
            let verdict = match &verdicts {
                Some(verdicts) => verdicts[segment.as_str()],
                None => Some(false),
            };
            let pair = (segment.clone(), id.clone());
            match verdict {
                Some(verdict) if verdict != member => apart.insert(pair),
                None if member => unknown.insert(pair),
                _ => false,
            };
        }
    }
    (apart, unknown)
}

fn pairs(planted: &[Planted]) -> Pairs {
    let pair = |known: &Planted| (known.segment.clone(), known.profile.clone());
    planted.iter().map(pair).collect()
}

/// Plants, and checks that what is set apart is just what is said; says what was planted.
fn planted(world: &World, cause: Cause, count: usize) -> Vec<Planted> {
    let planted = plant(world, cause, count, 3);
    assert!(planted.iter().all(|known| known.cause == cause));
    assert!(
        !planted.is_empty() && planted.len() <= count,
        "{} planted",
        planted.len()
    );
    let (apart, _) = compare(account(), &world.state().klaviyo);
    assert_eq!(pairs(&planted), apart);
    assert_eq!(planted.len(), apart.len());
    planted
}

#[test]
fn an_undisturbed_account_shows_no_disagreement() {
    let (apart, unknown) = compare(account(), account());
    assert!(apart.is_empty(), "{apart:?}");
    assert!(!unknown.is_empty());
}

#[test]
fn names_of_causes_are_read_back() {
    for (cause, name) in Cause::ALL {
        assert_eq!(cause.to_string(), name);
        assert_eq!(name.parse(), Ok(cause));
    }
    assert!(
        "gremlins"
            .parse::<Cause>()
            .unwrap_err()
            .contains("late-event")
    );
}

#[test]
fn equal_seeds_plant_alike() {
    let of = |seed| plant(&world(), Cause::LateEvent, 20, seed);
    assert_eq!(of(1), of(1));
    assert_ne!(of(1), of(2));
}

#[test]
fn pinned_memberships_outlast_the_next_refresh() {
    for cause in [
        Cause::DailyRefresh,
        Cause::UnsetProperty,
        Cause::TimeZone,
        Cause::Unexplained,
    ] {
        let world = world();
        let planted = planted(&world, cause, 30);
        let shown = |state: &State, known: &Planted| {
            state.klaviyo.segments[&known.segment]
                .members
                .contains_key(&known.profile)
        };
        let mut state = world.state();
        let before: Vec<bool> = planted.iter().map(|known| shown(&state, known)).collect();
        refresh(&mut state, Moment(now().0 + DAY_MS));
        let after: Vec<bool> = planted.iter().map(|known| shown(&state, known)).collect();
        assert_eq!(before, after, "{cause}");
    }
}

#[test]
fn a_daily_lag_is_what_was_true_within_a_day() {
    let world = world();
    let planted = planted(&world, Cause::DailyRefresh, 40);
    let state = world.state();
    let past: Vec<BTreeSet<(String, String)>> = (1..24)
        .map(|hours| {
            let then = Moment(now().0 - hours * 3_600_000);
            let judge = Judge::new(account(), &When::utc(then), |_, _| true);
            let events = EventIndex::new(account(), Moment(i64::MAX), |_| true);
            let members = planted.iter().filter(|known| {
                let record = Record::of(account(), &events, &known.profile).unwrap();
                let shown = state.klaviyo.segments[&known.segment]
                    .members
                    .contains_key(&known.profile);
                judge.verdicts(&record)[known.segment.as_str()] == Some(shown)
            });
            members
                .map(|known| (known.segment.clone(), known.profile.clone()))
                .collect()
        })
        .collect();
    for pair in pairs(&planted) {
        assert!(past.iter().any(|then| then.contains(&pair)), "{pair:?}");
    }
}

#[test]
fn another_time_zone_shows_in_the_account() {
    let world = world();
    planted(&world, Cause::TimeZone, 20);
    assert_eq!(world.state().klaviyo.timezone, "America/New_York");
}

#[test]
fn people_without_the_property_become_members() {
    let world = world();
    for known in planted(&world, Cause::UnsetProperty, 50) {
        let state = world.state();
        let definition = state.klaviyo.segments[&known.segment]
            .definition
            .to_string();
        assert!(definition.contains("\"not-"), "{definition}");
        assert!(
            state.klaviyo.segments[&known.segment]
                .members
                .contains_key(&known.profile)
        );
    }
}

#[test]
fn late_events_are_older_than_what_is_read_again() {
    let world = world();
    planted(&world, Cause::LateEvent, 60);
    let state = world.state();
    let ids = |klaviyo: &KlaviyoWorld| -> BTreeSet<(i64, String)> {
        let all = klaviyo.events.values().flatten();
        all.map(|event| (event.timestamp, event.id.clone()))
            .collect()
    };
    let (before, after) = (ids(account()), ids(&state.klaviyo));
    let late: Vec<&(i64, String)> = after.difference(&before).collect();
    assert!(!late.is_empty());
    let days = |at: i64| (now().secs() - at) as f64 / 86_400.0;
    assert!(late.iter().all(|(at, _)| (2.0..10.0).contains(&days(*at))));
    for events in state.klaviyo.events.values() {
        assert!(events.is_sorted_by_key(|event| (event.timestamp, event.id.clone())));
    }
}

#[test]
fn a_list_that_loses_members_unseen_stays_large() {
    let world = world();
    planted(&world, Cause::ListRemovalUnseen, 5_000);
    let state = world.state();
    let mut shrunk = 0;
    for (id, list) in &state.klaviyo.lists {
        let before = account().lists[id].members.len();
        if list.members.len() < before {
            assert!(list.members.len() > 2_000);
            shrunk += 1;
        }
    }
    assert!(shrunk > 0);
}

#[test]
fn a_merge_leaves_one_profile_with_everything() {
    let world = world();
    let planted = planted(&world, Cause::IdentityMerge, 60);
    let state = world.state();
    let gone: Vec<&String> = account()
        .profiles
        .keys()
        .filter(|id| !state.klaviyo.profiles.contains_key(*id))
        .collect();
    assert!(!gone.is_empty());
    let mut destinations = 0;
    for known in &planted {
        if gone.contains(&&known.profile) {
            assert!(
                !state.klaviyo.segments[&known.segment]
                    .members
                    .contains_key(&known.profile)
            );
        } else {
            assert_eq!(state.klaviyo.profiles[&known.profile].updated, now());
            destinations += 1;
        }
    }
    assert!(destinations > 0);
    let all = |klaviyo: &KlaviyoWorld| klaviyo.events.values().map(Vec::len).sum::<usize>();
    assert_eq!(all(&state.klaviyo), all(account()));
    let mut owners = state
        .klaviyo
        .events
        .values()
        .flatten()
        .filter_map(|event| event.profile.as_ref());
    assert!(owners.all(|owner| state.klaviyo.profiles.contains_key(owner)));
    assert!(
        state
            .klaviyo
            .lists
            .values()
            .all(|list| gone.iter().all(|id| !list.members.contains_key(*id)))
    );
}

#[test]
fn what_is_missing_shows_in_no_listing_by_time_of_change() {
    let world = world();
    planted(&world, Cause::DataMissing, 80);
    let state = world.state();
    let (mut new, mut changed) = (0, 0);
    for (id, profile) in &state.klaviyo.profiles {
        match account().profiles.get(id) {
            None => {
                assert!(profile.updated < Moment(now().0 - DAY_MS));
                new += 1;
            }
            Some(before) => {
                assert_eq!(profile.updated, before.updated);
                changed += usize::from(profile.properties != before.properties);
            }
        }
    }
    assert!(new > 0 && changed > 0, "{new} new, {changed} changed");
}

#[test]
fn an_edited_segment_agrees_after_its_recount() {
    let world = world();
    let planted = planted(&world, Cause::DefinitionEdited, 40);
    let mut state = world.state();
    for known in &planted {
        let segment = &state.klaviyo.segments[&known.segment];
        assert_eq!(segment.updated, now());
        assert!(segment.recount.is_some_and(|at| at > now()));
    }
    refresh(&mut state, Moment(now().0 + 600_000));
    assert!(compare(account(), &state.klaviyo).0.is_empty());
}

#[test]
fn members_that_nobody_can_know_are_named_and_nothing_changes() {
    let world = world();
    let planted = plant(&world, Cause::NotEvaluable, 10_000, 3);
    let (apart, unknown) = compare(account(), &world.state().klaviyo);
    assert!(apart.is_empty());
    assert_eq!(pairs(&planted), unknown);
}

#[test]
fn all_causes_live_side_by_side() {
    let world = world();
    let mut all = Vec::new();
    for (cause, _) in Cause::ALL {
        all.extend(plant(&world, cause, 40, 5));
    }
    let causes: BTreeSet<Cause> = all.iter().map(|known| known.cause).collect();
    assert_eq!(causes.len(), Cause::ALL.len());
    let of_profile: BTreeSet<(&String, Cause)> = all
        .iter()
        .map(|known| (&known.profile, known.cause))
        .collect();
    let profiles: BTreeSet<&String> = all.iter().map(|known| &known.profile).collect();
    assert_eq!(of_profile.len(), profiles.len());
    let state = world.state();
    let (apart, _) = compare(account(), &state.klaviyo);
    all.retain(|known| known.cause != Cause::NotEvaluable);
    assert_eq!(pairs(&all), apart);
}
