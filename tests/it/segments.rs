//! Every segment, kept evaluated: what a pass stores equals what a full evaluation finds, and what is
//! foretold comes.

use crate::house::{House, hours};
use driftless::clock::Stop;
use driftless::mirror::{Membership, Mirror};
use driftless::model::Moment;
use driftless::pass::Summary;
use driftless::pass::segments::{Lists, RunOff, RunOffs, SegmentKey, Sweep, Sweeper};
use driftless::sandbox::world::{Event, State};
use driftless::segment::Span;
use driftless::telemetry::Meter;
use fastrand::Rng;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A full evaluation at one instant, beside whatever is stored.
fn whole(house: &mut House, now: Moment) -> BTreeMap<SegmentKey, Membership> {
    let shop = house.shop();
    let book = shop.book().unwrap();
    let shelf = book.lasting();
    let sweep = sweeper(shop.mirror(), &shelf.program, Span::at(now.secs()))
        .everybody(|| Sweep::of(&shelf.program))
        .unwrap();
    shelf.keys.iter().cloned().zip(sweep.memberships).collect()
}

fn sweeper<'a>(
    mirror: &'a Mirror,
    program: &'a driftless::segment::Program,
    span: Span,
) -> Sweeper<'a> {
    Sweeper {
        mirror,
        program,
        lists: Lists::load(mirror, program, Moment::from_secs(span.now)).unwrap(),
        span,
        past: None,
        stop: Box::leak(Box::new(Stop::default())),
        meter: Box::leak(Box::new(Meter::default())),
    }
}

fn stored(house: &mut House) -> BTreeMap<SegmentKey, Membership> {
    let shop = house.shop();
    let book = shop.book().unwrap();
    let keys = book.lasting().keys.iter();
    let one = |key: &SegmentKey| {
        let membership = shop.mirror().membership(&key.to_string()).unwrap();
        (key.clone(), membership.unwrap_or_default())
    };
    keys.map(one).collect()
}

/// Something happens to somebody, as the vendor would record it now.
fn disturb(state: &mut State, rng: &mut Rng, now: Moment) {
    let klaviyo = &mut state.klaviyo;
    let ids: Vec<String> = klaviyo.profiles.keys().cloned().collect();
    let id = ids[rng.usize(..ids.len())].clone();
    match rng.u32(..4) {
        0 | 1 => {
            let metrics: Vec<String> = klaviyo.metrics.keys().cloned().collect();
            let metric = &metrics[rng.usize(..metrics.len())];
            let event = Event {
                id: format!("new{:016x}", rng.u64(..)),
                timestamp: now.secs() - rng.i64(0..3_600),
                profile: Some(id.clone()),
                properties: Arc::new(json!({"$value": rng.u32(1..200), "Bounce Type": "Soft"})),
            };
            let events = klaviyo.events.entry(metric.clone()).or_default();
            events.push(event);
            events.sort_by_key(|event| (event.timestamp, event.id.clone()));
        }
        2 => {
            let lists: Vec<String> = klaviyo.lists.keys().cloned().collect();
            let list = &lists[rng.usize(..lists.len())];
            let members = &mut klaviyo.lists.get_mut(list).unwrap().members;
            if members.remove(&id).is_none() {
                members.insert(id.clone(), now);
            }
        }
        _ => {
            let profile = klaviyo.profiles.get_mut(&id).unwrap();
            let names: Vec<String> = profile.properties.keys().cloned().collect();
            match names.first() {
                Some(name) if rng.bool() => drop(profile.properties.remove(name)),
                Some(name) => drop(profile.properties.insert(name.clone(), json!("gold"))),
                None => drop(
                    profile
                        .properties
                        .insert("loyalty_tier".to_owned(), json!("gold")),
                ),
            }
            profile.updated = now;
        }
    }
    klaviyo.note_change(&id, now);
}

#[tokio::test]
async fn what_is_kept_equals_a_full_evaluation_after_any_changes_and_any_time() {
    let mut house = House::of(250, &[]).await;
    house.pass().await;
    let mut rng = Rng::with_seed(3);
    let mut moved = 0;
    for round in 0..12 {
        for _ in 0..rng.u32(0..6) {
            let now = house.clock.now();
            disturb(&mut house.world.state(), &mut rng, now);
        }
        let span = [1, 60, 3_600, 86_400, 9 * 86_400][rng.usize(..5)];
        house.clock.advance(Duration::from_secs(span));
        let before = stored(&mut house);
        let summary: Summary = house.pass().await;
        let (kept, fresh) = (stored(&mut house), whole(&mut house, summary.now));
        for (key, membership) in &fresh {
            assert_eq!(kept.get(key), Some(membership), "round {round}: {key}");
        }
        moved += usize::from(before != kept);
    }
    assert!(moved > 5, "hardly anything moved: {moved} of 12 rounds");
}

#[tokio::test]
async fn passing_time_costs_only_those_who_flip() {
    let mut house = House::of(400, &[]).await;
    house.pass().await;
    let due = |house: &mut House, at: Moment| house.shop().mirror().due(at).unwrap().len();
    let now = house.clock.now();
    assert!(due(&mut house, now.plus(hours(24 * 400))) > 0);
    // Until the next timer nobody is due, and the stored memberships stay right to the second.
    let next = house.shop().mirror().next_timer().unwrap().unwrap();
    let just_before = Moment(next.0 - 1000);
    assert_eq!(due(&mut house, just_before), 0);
    let kept = stored(&mut house);
    assert_eq!(whole(&mut house, just_before), kept);
    let flipped = whole(&mut house, next);
    assert_ne!(flipped, kept);
    let moved = kept.iter().flat_map(|(key, before)| {
        let after = &flipped[key];
        let inside = &before.inside ^ &after.inside;
        let unknown = &before.unknown ^ &after.unknown;
        (inside | unknown).into_iter()
    });
    let moved: std::collections::BTreeSet<u32> = moved.collect();
    let ring: Vec<u32> = house
        .shop()
        .mirror()
        .due(next)
        .unwrap()
        .into_iter()
        .collect();
    assert_eq!(moved.into_iter().collect::<Vec<_>>(), ring);
}

#[tokio::test]
async fn the_run_off_is_what_comes_at_any_instant() {
    const DAYS: i64 = 90;
    let mut house = House::of(120, &[]).await;
    let now = house.pass().await.now;
    let run_offs: Vec<RunOff> = {
        let shop = house.shop();
        let book = shop.book().unwrap();
        let shelf = book.lasting();
        let span = Span {
            now: now.secs(),
            until: now.secs() + DAYS * 86_400,
        };
        let empty = || RunOffs(vec![RunOff::default(); shelf.keys.len()]);
        sweeper(shop.mirror(), &shelf.program, span)
            .everybody(empty)
            .unwrap()
            .0
    };
    assert!(run_offs.iter().any(|run_off| run_off.moves.len() > 10));
    let mut rng = Rng::with_seed(9);
    // Instants of chance, and the very seconds of the moves with their neighbours.
    let chance = (0..1_000).map(|_| now.secs() + rng.i64(0..=DAYS * 86_400));
    let moves = run_offs
        .iter()
        .flat_map(|run_off| run_off.moves.keys().take(4));
    let edges = moves.flat_map(|at| [at - 1, *at]);
    let instants: Vec<i64> = chance.chain(edges).collect();
    for instant in instants {
        let at = Moment::from_secs(instant);
        let sizes = whole(&mut house, at);
        for (run_off, (key, membership)) in run_offs.iter().zip(&sizes) {
            assert_eq!(run_off.at(at), membership.inside.len(), "{key} at {at}");
        }
    }
}
