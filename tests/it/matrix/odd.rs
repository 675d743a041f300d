//! Answers that come, and are not what they should be.

use crate::bulk_writes::customers;
use crate::house::{Edit, House, ROOMY, morning, only, records};
use driftless::api::Fault;
use driftless::clock::Brake;
use driftless::mirror::Stream;
use driftless::pass::{Options, PassError, Summary, put_on_probation};
use driftless::policy::Guard;
use driftless::pull::PullError;
use driftless::sandbox::faults::{FailingBulk, FaultKind};
use driftless::sandbox::world::Write;
use driftless::sandbox::{Speed, World};
use driftless::telemetry::Progress;
use serde_json::{Value as Json, json};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const PROFILES: &str = "/api/profiles";
const GRAPHQL: &str = "/admin/api";
const BULK: &str = "/bulk/";

/// Plans written at once, and without reading members of segments.
const EDITS: [Edit<'static>; 5] = [
    ROOMY[0],
    ROOMY[1],
    ROOMY[2],
    ("guards", "first_run", "false"),
    ("parity", "read", "\"none\""),
];

fn alter(house: &House, path: &str, times: u32, change: fn(Vec<u8>) -> Vec<u8>) {
    let kind = FaultKind::Alter(change);
    house.world.state().faults.plan(path, None, times, kind);
}

/// A body changed as JSON; one that is none stays as it is.
fn edited(body: Vec<u8>, change: impl FnOnce(&mut Json)) -> Vec<u8> {
    match serde_json::from_slice(&body) {
        Ok(mut json) => {
            change(&mut json);
            serde_json::to_vec(&json).unwrap()
        }
        Err(_) => body,
    }
}

fn writes(house: &House) -> Vec<Write> {
    house.history()
}

#[track_caller]
fn fault(error: PassError) -> Fault {
    match error {
        PassError::Pull(PullError::Api(error)) => error.fault,
        other => panic!("{other}"),
    }
}

fn asked(house: &House, path: &str) -> u64 {
    let requests = house.sandbox.requests();
    let of_it = ("GET".to_owned(), path.to_owned());
    requests.get(&of_it).map_or(0, |(count, _)| *count)
}

/// A mirror that nothing happened to holds the same records, once what was written is read back.
async fn assert_whole(house: &mut House) {
    house.clock.advance(Duration::from_secs(600));
    let observe = Options {
        observe: true,
        ..Options::default()
    };
    house.unreleased(&observe).await.unwrap();
    let found = records(house.mirror());
    let truth = records(house.undisturbed().await);
    assert!(truth.len() > 200, "{}", truth.len());
    let (lost, more) = (only(&truth, &found), only(&found, &truth));
    let first = (lost.first(), more.first());
    assert_eq!((lost.len(), more.len()), (0, 0), "{first:?}");
}

/// A shop at rest that looks at everybody by id in its next pass.
async fn suspicious() -> House {
    let mut house = House::of(120, &EDITS).await;
    house.settle().await;
    house.close();
    put_on_probation(&house.state_dir(), house.clock.now()).unwrap();
    house
}

#[tokio::test(flavor = "multi_thread")]
async fn data_that_is_null_or_comes_with_errors_proves_nobody_gone() {
    let denied = |body| {
        edited(body, |reply| {
            if let Some(nodes) = reply["data"]["nodes"].as_array_mut() {
                nodes.fill(Json::Null);
                reply["errors"] =
                    json!([{"message": "Something went wrong", "path": ["nodes", 0]}]);
            }
        })
    };
    let mut house = suspicious().await;
    let before = records(house.mirror());
    alter(&house, GRAPHQL, u32::MAX, denied);
    let summary = house.unreleased(&Options::default()).await.unwrap();
    assert_eq!((summary.gone.swept, summary.quarantined), (0, 0));
    assert_eq!(records(house.mirror()), before);
    // That is what shows them gone where no errors come with it.
    house.world.state().faults.planned.clear();
    let null = |body| {
        edited(body, |reply| {
            if let Some(nodes) = reply["data"]["nodes"].as_array_mut() {
                nodes.fill(Json::Null);
            }
        })
    };
    let mut house = suspicious().await;
    alter(&house, GRAPHQL, u32::MAX, null);
    let summary = house.unreleased(&Options::default()).await.unwrap();
    assert!(summary.gone.swept > 50, "{:?}", summary.gone);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_whose_data_is_null_is_not_an_empty_one() {
    let nothing = |body| edited(body, |reply| reply["data"] = Json::Null);
    let mut house = House::of(120, &EDITS).await;
    house.settle().await;
    let before = (house.mirror(), house.writes());
    alter(&house, GRAPHQL, 1, nothing);
    let refused = fault(house.refused().await);
    assert!(matches!(refused, Fault::Shape { .. }), "{refused:?}");
    assert!((house.mirror(), house.writes()) == before);
}

/// Gives every object members that nobody has heard of; the text of a definition is kept as it is.
fn enrich(value: &mut Json) {
    match value {
        Json::Object(members) => {
            for (name, member) in members.iter_mut() {
                if name != "definition" {
                    enrich(member);
                }
            }
            members.insert("a_new_field".to_owned(), json!({"of": [1, null, "kind"]}));
        }
        Json::Array(items) => items.iter_mut().for_each(enrich),
        _ => {}
    }
}

fn enriched(body: Vec<u8>) -> Vec<u8> {
    let text = String::from_utf8(body).unwrap();
    let lines = text.lines().map(|line| match serde_json::from_str(line) {
        Ok(mut json) => {
            enrich(&mut json);
            json.to_string() + "\n"
        }
        Err(_) => line.to_owned(),
    });
    lines.collect::<String>().into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_that_nobody_has_heard_of_change_nothing() {
    let mut calm = House::of(120, &EDITS).await;
    let expected = calm.pass().await;
    let mut house = House::of(120, &EDITS).await;
    alter(&house, "/", u32::MAX, enriched);
    let summary = house.pass().await;
    assert_eq!((summary.quarantined, &summary.trips), (0, &vec![]));
    assert_eq!(summary.planned, expected.planned);
    assert!(house.mirror() == calm.mirror());
}

/// The first forty profiles of a page: dates that are lists, ids that are missing, texts that are numbers.
fn garble(body: Vec<u8>) -> Vec<u8> {
    edited(body, |page| {
        let items = page["data"].as_array_mut().unwrap();
        for (at, item) in items.iter_mut().take(40).enumerate() {
            match at % 3 {
                0 => item["attributes"]["updated"] = json!([1]),
                1 => drop(item.as_object_mut().unwrap().remove("id")),
                _ => item["attributes"] = Json::Null,
            }
        }
    })
}

fn guards(summary: &Summary) -> Vec<(Guard, u64)> {
    let trips = summary.trips.iter().map(|trip| (trip.guard, trip.count));
    trips.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_cannot_be_understood_are_left_out_and_many_of_them_stop_all_writes() {
    let mut house = House::of(120, &EDITS).await;
    house.settle().await;
    let known = records(house.mirror());
    {
        let now = house.clock.now();
        let mut state = house.world.state();
        let profiles = state.klaviyo.profiles.values_mut();
        profiles.for_each(|profile| {
            (profile.country, profile.updated) = (Some("Atlantis".to_owned()), now);
        });
    }
    crate::modes::suppress_at_risk(&house, 1);
    let moved = |house: &mut House| {
        let lines = records(house.mirror());
        lines
            .iter()
            .filter(|line| line.contains("Atlantis"))
            .count()
    };
    let before = writes(&house);
    // Until they are readable, however long ago they changed.
    for _ in 0..2 {
        house.clock.advance(Duration::from_secs(3_600));
        alter(&house, PROFILES, 1, garble);
        let summary = house.pass().await;
        assert_eq!(guards(&summary), [(Guard::Unreadable, 40)]);
        assert_eq!((summary.quarantined, writes(&house)), (40, before.clone()));
        // Each is known as it was: neither gone, nor changed.
        assert_eq!(records(house.mirror()).len(), known.len());
    }
    let some = moved(&mut house);
    house.clock.advance(Duration::from_secs(3_600));
    assert_eq!(house.pass().await.quarantined, 0);
    assert!(writes(&house).len() > before.len());
    assert!(some > 0 && moved(&mut house) >= some + 40);
    assert_whole(&mut house).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_reading_with_too_many_unreadable_records_is_done_again() {
    let mut house = House::of(120, &EDITS).await;
    alter(&house, PROFILES, 1, garble);
    let summary = house.pass().await;
    let stopped = guards(&summary).into_iter().map(|(guard, _)| guard);
    let stopped: Vec<Guard> = stopped.collect();
    assert!(stopped.contains(&Guard::Unreadable), "{stopped:?}");
    assert!(stopped.contains(&Guard::CompleteListing), "{stopped:?}");
    assert_eq!((summary.quarantined, house.writes()), (40, 0));
    house.clock.advance(Duration::from_secs(3_600));
    let summary = house.pass().await;
    assert_eq!((summary.quarantined, guards(&summary)), (0, vec![]));
    assert!(house.writes() > 0);
    assert_whole(&mut house).await;
}

/// Customers that nobody can make out, of a bulk result.
fn garble_lines(body: Vec<u8>) -> Vec<u8> {
    let text = String::from_utf8(body).unwrap();
    let lines = text.lines().enumerate().map(|(at, line)| match at % 3 {
        0 => "{\"id\":7}\n".to_owned(),
        _ => format!("{line}\n"),
    });
    lines.collect::<String>().into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bulk_result_with_too_many_unreadable_lines_is_asked_for_again() {
    let mut house = House::of(120, &EDITS).await;
    alter(&house, BULK, 1, garble_lines);
    let summary = house.pass().await;
    let stopped = guards(&summary).into_iter().map(|(guard, _)| guard);
    let stopped: Vec<Guard> = stopped.collect();
    assert!(stopped.contains(&Guard::Unreadable), "{stopped:?}");
    assert!(stopped.contains(&Guard::CompleteListing), "{stopped:?}");
    assert!(summary.quarantined > 10);
    let begun = house.world.state().shopify.operations.len();
    let summary = house.pass().await;
    assert_eq!((summary.quarantined, guards(&summary)), (0, vec![]));
    assert_eq!(house.world.state().shopify.operations.len(), begun + 1);
    assert_whole(&mut house).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn values_that_nobody_has_heard_of_are_neither_a_bounce_nor_a_consent() {
    let unheard = |body: Vec<u8>| {
        let text = String::from_utf8(body).unwrap();
        let text = text.replace("\"HARD_BOUNCE\"", "\"SOLAR_FLARE\"");
        text.replace("\"SUBSCRIBED\"", "\"PERHAPS\"").into_bytes()
    };
    let mut calm = House::of(300, &EDITS).await;
    calm.pass().await;
    let mut house = House::of(300, &EDITS).await;
    alter(&house, PROFILES, u32::MAX, unheard);
    let summary = house.pass().await;
    assert_eq!((summary.quarantined, guards(&summary)), (0, vec![]));
    let count = |house: &mut House, word: &str| {
        let lines = records(house.mirror());
        lines.iter().filter(|line| line.contains(word)).count()
    };
    assert!(count(&mut house, "SOLAR_FLARE") > 0 && count(&mut house, "PERHAPS") > 0);
    assert_eq!(count(&mut house, "HardBounce"), 0);
    assert!(count(&mut calm, "HardBounce") > 0);
}

/// The page after the first leads back to it.
fn back(body: Vec<u8>) -> Vec<u8> {
    edited(body, |page| {
        let own = page["links"]["self"].as_str().unwrap().to_owned();
        if let Some((first, _)) = own.split_once("&page%5Bcursor%5D") {
            page["links"]["next"] = first.into();
        }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_that_goes_in_a_circle_ends_the_pass_and_loses_nothing() {
    let itself = |body| {
        edited(body, |page| {
            page["links"]["next"] = page["links"]["self"].clone()
        })
    };
    for (name, change, most) in [("circle", back as fn(_) -> _, 4), ("itself", itself, 1)] {
        let mut house = House::of(250, &EDITS).await;
        alter(&house, PROFILES, u32::MAX, change);
        assert_eq!(fault(house.refused().await), Fault::Loop, "{name}");
        assert!(asked(&house, PROFILES) <= most, "{name}");
        assert_eq!(house.writes(), 0, "{name}");
        let parts = house.shop().mirror().parts(&Stream::KlaviyoProfiles);
        let parts = parts.unwrap().into_values();
        assert!(
            parts
                .map(|part| (part.position, part.seen))
                .all(|one| one == (None, 0))
        );
        house.world.state().faults.planned.clear();
        house.pass().await;
        assert_whole(&mut house).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_circle_is_not_entered_again_by_the_next_pass() {
    let mut house = House::of(250, &EDITS).await;
    house.settle().await;
    {
        let now = house.clock.now();
        let profiles = &mut house.world.state().klaviyo.profiles;
        profiles
            .values_mut()
            .for_each(|profile| profile.updated = now);
    }
    house.clock.advance(Duration::from_secs(3_600));
    let walk = |house: &mut House| {
        let cursor = house.shop().mirror().cursor(&Stream::KlaviyoProfiles);
        cursor.unwrap().unwrap()
    };
    let before = walk(&mut house);
    alter(&house, PROFILES, u32::MAX, back);
    assert_eq!(fault(house.refused().await), Fault::Loop);
    let given_up = walk(&mut house);
    assert!(given_up.run_start.is_some());
    assert_eq!((given_up.position, given_up.seen), (None, 0));
    assert_eq!(given_up.watermark, before.watermark);
    house.world.state().faults.planned.clear();
    house.pass().await;
    assert!(walk(&mut house).watermark > before.watermark);
    assert_whole(&mut house).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_with_a_member_that_cannot_be_understood_is_not_complete_and_nobody_left_it() {
    let nameless = |body| {
        edited(body, |page| {
            let first = page["data"].as_array_mut().and_then(|all| all.first_mut());
            first
                .and_then(Json::as_object_mut)
                .map(|one| one.remove("id"));
        })
    };
    let mut house = House::of(120, &EDITS).await;
    house.settle().await;
    house.clock.advance(Duration::from_secs(3_600));
    let state_of = |house: &mut House| {
        let now = house.clock.now();
        let mirror = house.shop().mirror();
        let lists = mirror.lists().unwrap().into_iter();
        let members = lists.map(|list| mirror.members(&list.id, now).unwrap().unwrap());
        members.collect::<Vec<_>>()
    };
    let known = state_of(&mut house);
    crate::modes::suppress_at_risk(&house, 1);
    let before = writes(&house);
    alter(&house, "/api/lists/", u32::MAX, nameless);
    let summary = house.pass().await;
    assert!(summary.quarantined > 0);
    let mut stopped = guards(&summary).into_iter().map(|(guard, _)| guard);
    assert!(stopped.any(|guard| guard == Guard::CompleteListing));
    assert_eq!((state_of(&mut house), writes(&house)), (known, before));
    house.world.state().faults.planned.clear();
    assert_eq!(guards(&house.pass().await), []);
    assert_whole(&mut house).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_leads_to_another_place_ends_the_pass_and_is_not_followed() {
    let mut house = House::of(250, &EDITS).await;
    for change in [
        |body| {
            edited(body, |page| {
                page["links"]["next"] = json!("https://evil.example/api/profiles")
            })
        },
        |body| {
            edited(body, |page| {
                page["links"]["next"] = json!("http://10.0.0.1/api/profiles?x=1")
            })
        },
        |body| edited(body, |page| page["links"]["next"] = json!("/api/lists?x=1")),
    ] {
        let asked = |house: &House| [PROFILES, "/api/lists"].map(|path| asked(house, path));
        let [profiles, lists] = asked(&house);
        alter(&house, PROFILES, 1, change);
        assert_eq!(fault(house.refused().await), Fault::ForeignLink);
        // The catalogue of each pass is all that is asked of lists.
        assert_eq!(asked(&house), [profiles + 1, lists + 1]);
        assert_eq!(house.writes(), 0);
    }
    house.pass().await;
    assert_whole(&mut house).await;
}

/// Blank lines, and a byte that begins a character and is followed by none.
fn damage(body: Vec<u8>) -> Vec<u8> {
    let text = String::from_utf8(body).unwrap();
    let mut spoiled = text.replace('\n', "\n\n  \n").into_bytes();
    let quote = spoiled.iter().position(|byte| *byte == b'"').unwrap();
    spoiled[quote + 1] = 0xc3;
    spoiled
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bulk_result_with_half_a_character_is_not_whole_and_is_asked_for_again() {
    let mut house = House::of(250, &EDITS).await;
    alter(&house, BULK, 1, damage);
    let summary = house.pass().await;
    let stopped: Vec<Guard> = summary.trips.iter().map(|trip| trip.guard).collect();
    assert_eq!(stopped, [Guard::CompleteListing]);
    assert_eq!((house.writes(), summary.quarantined), (0, 0));
    let begun = house.world.state().shopify.operations.len();
    assert_eq!(house.pass().await.trips, []);
    assert_eq!(house.world.state().shopify.operations.len(), begun + 1);
    assert!(house.writes() > 0);
    assert_whole(&mut house).await;
}

async fn stop_after_a_thousand_customers(house: &mut House) {
    let (brake, stop) = Brake::new();
    let progress = Progress::new(move |step| {
        if step.stage == "customers" && step.done >= 1_000 {
            brake.set();
        }
    });
    let options = Options {
        progress,
        stop,
        ..Options::default()
    };
    let error = house.unreleased(&options).await.unwrap_err();
    assert!(
        matches!(error, PassError::Pull(PullError::Stopped)),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_in_a_bulk_result_is_not_forgotten_over_a_stop_behind_it() {
    let mut house = House::build(customers(2_100), morning(), Speed::Fast, &EDITS).await;
    alter(&house, BULK, 1, damage);
    stop_after_a_thousand_customers(&mut house).await;
    assert!(house.shop().mirror().totals().unwrap().customers >= 900);
    house.close();
    house.pass().await;
    let totals = house.shop().mirror().totals().unwrap();
    assert_eq!(totals.customers, 2_100);
    let begun = house.world.state().shopify.operations.len();
    assert_eq!(begun, 2, "what was prepared is read again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bulk_result_that_is_damaged_to_its_end_can_be_stopped_and_is_kept_for_the_next_start() {
    let cut = |body: Vec<u8>| {
        let text = String::from_utf8(body).unwrap();
        let lines = text.lines().enumerate().map(|(at, line)| match at < 1_000 {
            true => format!("{line}\n"),
            false => "{\n".to_owned(),
        });
        lines.collect::<String>().into_bytes()
    };
    let mut house = House::build(customers(2_100), morning(), Speed::Fast, &EDITS).await;
    alter(&house, BULK, 1, cut);
    stop_after_a_thousand_customers(&mut house).await;
    let parts = house.shop().mirror().parts(&Stream::ShopifyCustomers);
    let position = parts.unwrap().remove(&0).unwrap().position;
    assert!(position.unwrap().ends_with(" 1000"));
}

#[tokio::test(flavor = "multi_thread")]
async fn bulk_operations_that_fail_are_made_up_for_by_pages() {
    let mut house = House::of(250, &EDITS).await;
    let failing = ["customers", "orders("].map(|query| FailingBulk {
        query,
        code: "INTERNAL_SERVER_ERROR",
        times: u32::MAX,
    });
    house.world.state().faults.failing_bulks = failing.to_vec();
    let summary = house.pass().await;
    assert_eq!((summary.trips.len(), summary.quarantined), (0, 0));
    let partial = house
        .world
        .state()
        .shopify
        .operations
        .values()
        .all(|one| one.error.is_some() && one.completed.is_some() && !one.rows.is_empty());
    assert!(partial, "each left a part of its result");
    let fetched = house.sandbox.requests().into_keys();
    assert_eq!(
        fetched.filter(|(_, path)| path.starts_with(BULK)).count(),
        0
    );
    assert_whole(&mut house).await;
    assert!(house.pass().await.is_quiet());
}

/// Changes one profile that was read and one that is yet to be, after every page.
fn restless(world: World) -> Progress {
    let turn = AtomicUsize::new(0);
    Progress::new(move |step| {
        if step.stage != "profiles" || step.over {
            return;
        }
        let turn = turn.fetch_add(1, Ordering::SeqCst);
        let now = world.clock.now();
        let profiles = &mut world.state().klaviyo.profiles;
        let last = profiles.len() - 1;
        for at in [turn, last - turn] {
            let profile = profiles.values_mut().nth(at).unwrap();
            (profile.country, profile.updated) = (Some(format!("Atlantis {turn}")), now);
        }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_change_while_they_are_listed_are_not_missed() {
    let mut house = House::of(450, &EDITS).await;
    for _ in 0..2 {
        // First by id, then whoever changed in the order of changes.
        let options = Options {
            progress: restless(house.world.clone()),
            ..Options::default()
        };
        house.unreleased(&options).await.unwrap();
        let now = house.clock.now();
        let mut state = house.world.state();
        let profiles = state.klaviyo.profiles.values_mut();
        profiles.for_each(|profile| profile.updated = now);
        drop(state);
        house.clock.advance(Duration::from_secs(600));
    }
    house.pass().await;
    let found = records(house.mirror());
    let moved = found
        .iter()
        .filter(|line| line.contains("Atlantis"))
        .count();
    assert!(moved >= 6, "{moved}");
    assert_whole(&mut house).await;
}
