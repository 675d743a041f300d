//! Told to wait: shortly, for hours, without end, or without saying how long. And a vendor that is down.

use crate::house::{Edit, House, ROOMY, crowd, hours, morning};
use axum::http::Method;
use driftless::api::{Conduct, Fault, Shopify};
use driftless::pass::{Options, PassError};
use driftless::pull::PullError;
use driftless::push::PushError;
use driftless::report;
use driftless::sandbox::Speed;
use driftless::sandbox::faults::FaultKind;
use driftless::telemetry::{Api, Meter, Outcome};
use std::time::Duration;

const LISTS: &str = "/api/lists";
const MINUTE: Duration = Duration::from_secs(60);
/// As Klaviyo once said.
const LONG: &str = "67608";

/// Without comparing segments, which does without what is parked.
const PLAIN: [Edit<'static>; 4] = [ROOMY[0], ROOMY[1], ROOMY[2], ("parity", "read", "\"none\"")];

/// A shop whose next pass would write.
async fn ready(edits: &[Edit<'_>]) -> House {
    let mut house = House::of(120, edits).await;
    house.pass().await;
    house
}

fn refuse(house: &House, path: &str, retry_after: Option<&'static str>) {
    let kind = FaultKind::Refuse(retry_after);
    let faults = &mut house.world.state().faults;
    faults.plan(path, Some(Method::GET), 1, kind);
}

fn asked(house: &House, path: &str) -> u64 {
    let requests = house.sandbox.requests();
    let of_it = ("GET".to_owned(), path.to_owned());
    requests.get(&of_it).map_or(0, |(count, _)| *count)
}

/// The vendor's refusal behind the end of a pass.
#[track_caller]
fn fault(error: &PassError) -> &Fault {
    match error {
        PassError::Pull(PullError::Api(error)) | PassError::Push(PushError::Api(error)) => {
            &error.fault
        }
        other => panic!("{other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_wait_is_sat_out_and_the_same_request_sent_once_more() {
    let (mut calm, mut house) = (ready(&PLAIN).await, ready(&PLAIN).await);
    refuse(&house, LISTS, Some("7"));
    let (before, begun) = (asked(&house, LISTS), house.clock.now());
    let summary = house.pass().await;
    let undisturbed = calm.pass().await;
    assert_eq!((summary.trips.len(), summary.traffic.throttled), (0, 1));
    assert_eq!(summary.effects, undisturbed.effects);
    assert!(house.clock.now().since(begun) >= Duration::from_secs(7));
    assert_eq!(
        asked(&house, LISTS) - before,
        asked(&calm, LISTS) - before + 1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_an_hour_is_asked_about_once_and_loses_nothing() {
    let (mut calm, mut house) = (ready(&PLAIN).await, ready(&PLAIN).await);
    let over = house.clock.now().plus(hours(1));
    house.world.state().faults.storm_until = Some(over);
    let (_, before) = house.requests();
    let mut passes = 0;
    let summary = loop {
        match house.run(&Options::default()).await {
            Ok(summary) => break summary,
            Err(error) => {
                let is_parked = matches!(fault(&error), Fault::Parked { until } if *until >= over);
                assert!(is_parked, "{error}");
            }
        }
        house.clock.advance(5 * MINUTE);
        passes += 1;
    };
    assert!(passes >= 9 && house.clock.now() >= over, "{passes}");
    let (_, told) = house.requests();
    assert_eq!(told - before, 1, "one class was asked, once");
    assert_eq!(
        summary.traffic.throttled, 0,
        "nor is it too much afterwards"
    );
    assert_eq!(summary.effects, calm.pass().await.effects);
    assert!(house.pass().await.is_quiet());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_of_hours_parks_its_class_alone_over_restarts_until_it_is_over() {
    let mut house = ready(&PLAIN).await;
    refuse(&house, LISTS, Some(LONG));
    let until = house.clock.now().plus(Duration::from_secs(67_608));
    let error = house.refused().await.to_string();
    assert!(
        error.contains("get_lists: parked until 2026-11-22T"),
        "{error}"
    );
    let (lists, accounts) = (asked(&house, LISTS), asked(&house, "/api/accounts"));
    for _ in 0..3 {
        // Ended as the end of the process would, and opened anew.
        house.close();
        let error = house.refused().await;
        assert!(matches!(fault(&error), Fault::Parked { until: told } if *told >= until));
        house.clock.advance(hours(6));
    }
    assert_eq!(asked(&house, LISTS), lists, "nobody asks");
    assert_eq!(
        asked(&house, "/api/accounts"),
        accounts + 3,
        "other classes go on"
    );
    house.clock.advance(until.since(house.clock.now()) + MINUTE);
    house.close();
    let summary = house.pass().await;
    assert!(asked(&house, LISTS) > lists);
    assert_eq!((summary.trips.len(), summary.traffic.parked.len()), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pass_that_does_without_a_parked_class_names_it_and_the_time() {
    let mut house = House::of(120, &[]).await;
    refuse(&house, "/api/segments/", Some(LONG));
    let summary = house.pass().await;
    let table = report::text(&summary);
    let row = "    parked: get_profiles_for_segment, not asked until 2026-11-22T";
    assert!(table.contains(row), "{table}");
    let json = report::json(&summary);
    let until = json["parked"]["get_profiles_for_segment"].as_str().unwrap();
    assert!(until.starts_with("2026-11-22T"), "{until}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_after_that_is_missing_or_nonsense_waits_a_window_and_none_more_than_a_day() {
    let mut house = ready(&PLAIN).await;
    house.settle().await;
    for nonsense in [
        None,
        Some("Sun, 22 Nov 2026 08:00:00 GMT"),
        Some("-5"),
        Some("soon"),
    ] {
        refuse(&house, LISTS, nonsense);
        let begun = house.clock.now();
        assert!(house.pass().await.is_quiet());
        let took = house.clock.now().since(begun);
        assert!(
            (MINUTE..2 * MINUTE).contains(&took),
            "{nonsense:?}: {took:?}"
        );
    }
    refuse(&house, LISTS, Some("1000000000000"));
    let latest = house.clock.now().plus(hours(24) + MINUTE);
    let error = house.refused().await;
    assert!(
        matches!(fault(&error), Fault::Parked { until } if *until <= latest),
        "{error}"
    );
}

/// Another app has emptied the shop's bucket.
async fn drain(house: &House) {
    // Whoever installs it first; loopback without TLS needs none, but the library wants one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let token = house.world.state().shopify.token.clone();
    let url = format!(
        "{}/admin/api/2026-10/graphql.json",
        house.sandbox.shopify_url
    );
    let query = r#"{"query":"{ customers(first: 250) { nodes { id } } }"}"#;
    for _ in 0..1_000 {
        let ask = reqwest::Client::new().post(&url).body(query);
        let ask = ask.header("content-type", "application/json");
        let reply = ask.header("x-shopify-access-token", &token).send().await;
        let reply = reply.unwrap().text().await.unwrap();
        if reply.contains("THROTTLED") {
            return;
        }
        assert!(reply.contains(r#""data":{"customers""#), "{reply}");
    }
    panic!("no bucket is so large");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_somebody_else_has_emptied_is_waited_for_by_cost() {
    let house = House::build(crowd(120), morning(), Speed::Real, &PLAIN).await;
    let (access, clock, meter) = (
        house.config().shopify,
        house.clock.clone(),
        Meter::default(),
    );
    let conduct = Conduct::default();
    let shopify = Shopify::new(&access, None, clock, meter.clone(), conduct).unwrap();
    drain(&house).await;
    let begun = house.clock.now();
    let page = shopify.customers(None, None).await.unwrap();
    assert!(!page.items.is_empty());
    let requests = meter.totals().requests;
    let told = |outcome| requests.get(&(Api::Shopify, "customers", outcome)).copied();
    assert_eq!(
        (told(Outcome::Throttled), told(Outcome::Ok)),
        (Some(1), Some(1))
    );
    let took = house.clock.now().since(begun);
    let second = Duration::from_secs(1);
    assert!((second..3 * second).contains(&took), "{took:?}");
}

/// Between its passes it rests as a daemon would.
#[tokio::test(flavor = "multi_thread")]
async fn a_vendor_that_is_down_for_an_hour_is_asked_little_and_nothing_is_lost() {
    let (mut calm, mut house) = (ready(&PLAIN).await, ready(&PLAIN).await);
    let down = FaultKind::Status(503);
    house
        .world
        .state()
        .faults
        .plan("/api", None, u32::MAX, down);
    let (begun, (before, _)) = (house.clock.now(), house.requests());
    let mut rest = Duration::from_secs(30);
    let mut passes = 0;
    while house.clock.now().since(begun) < hours(1) {
        let error = house.refused().await;
        assert_eq!(fault(&error), &Fault::VendorDown);
        house.clock.advance(rest);
        rest *= 2;
        passes += 1;
    }
    let asked = house.requests().0 - before;
    println!("{asked} requests of {passes} passes within an hour");
    assert!(asked <= 5 * passes, "{asked}");
    house.world.state().faults.planned.clear();
    assert_eq!(
        house.pass().await.effects.ends,
        calm.pass().await.effects.ends
    );
    assert!(house.pass().await.is_quiet());
}
