//! What ends a pass early, and that nothing is written then; and what does not end it.

use crate::house::{Edit, House, ROOMY, crowd, hours, morning};
use crate::modes::suppress_at_risk;
use axum::http::Method;
use driftless::api::Fault;
use driftless::model::{EffectKind, End, HoldReason};
use driftless::pass::PassError;
use driftless::policy::Guard;
use driftless::pull::PullError;
use driftless::sandbox::faults::FaultKind;
use driftless::sandbox::{Speed, from_csv};

/// The vendor's refusal behind the end of a pass.
#[track_caller]
fn fault(error: PassError) -> Fault {
    match error {
        PassError::Pull(PullError::Api(error)) => error.fault,
        other => panic!("{other}"),
    }
}

/// A shop whose next pass would write.
async fn ready() -> House {
    let mut house = House::of(120, &ROOMY).await;
    house.pass().await;
    house
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_klaviyo_key_is_named_and_nothing_written() {
    let mut house = ready().await;
    "pk_rotated".clone_into(&mut house.world.state().klaviyo.api_key);
    let error = house.refused().await;
    assert!(
        error
            .to_string()
            .contains("Klaviyo get_accounts: the credential is not accepted")
    );
    assert_eq!(fault(error), Fault::WrongKey);
    assert_eq!(house.writes(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_missing_klaviyo_scope_for_reading_is_named_and_nothing_written() {
    for scope in [
        "accounts:read",
        "profiles:read",
        "lists:read",
        "segments:read",
        "metrics:read",
        "events:read",
    ] {
        let mut house = ready().await;
        house
            .world
            .state()
            .klaviyo
            .scopes
            .retain(|known| known != scope);
        let expected = Fault::MissingScope {
            scope: Some(scope.into()),
        };
        assert_eq!(fault(house.refused().await), expected);
        assert_eq!(house.writes(), 0, "{scope}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_scope_for_writing_ends_the_push_and_the_next_pass_makes_up_for_it() {
    let mut house = ready().await;
    let scopes = house.world.state().klaviyo.scopes.clone();
    house
        .world
        .state()
        .klaviyo
        .scopes
        .retain(|known| known != "lists:write");
    let error = house.refused().await.to_string();
    assert!(error.contains("lists:write"), "{error}");
    assert_eq!(house.writes(), 0, "lists are the first to be written");
    house.world.state().klaviyo.scopes = scopes;
    assert_eq!(house.pass().await.trips, []);
    assert!(house.pass().await.is_quiet());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_shopify_token_is_named_and_nothing_written() {
    let mut house = ready().await;
    "shpat_rotated".clone_into(&mut house.world.state().shopify.token);
    let error = house.refused().await;
    assert!(error.to_string().contains("Shopify shop"), "{error}");
    assert_eq!(fault(error), Fault::WrongKey);
    assert_eq!(house.writes(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_shopify_scopes_are_named_and_nothing_written() {
    let mut house = ready().await;
    house
        .world
        .state()
        .shopify
        .scopes
        .retain(|scope| !scope.contains("orders"));
    let error = house.refused().await;
    let missing = matches!(&error, PassError::Pull(PullError::MissingScopes(scopes)) if scopes == &["read_orders"]);
    assert!(missing, "{error}");
    assert_eq!(house.writes(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_is_not_the_pinned_one_is_refused() {
    let mut house = ready().await;
    house.edit(&[("klaviyo", "account", "\"ZZZZZZ\"")]);
    let found = house.world.state().klaviyo.account.clone();
    let expected = Fault::WrongAccount {
        expected: "ZZZZZZ".into(),
        got: found.into(),
    };
    assert_eq!(fault(house.refused().await), expected);
    house.edit(&[("shopify", "domain", "\"another.myshopify.com\"")]);
    house.edit(&[("klaviyo", "account", &format!("\"{}\"", account(&house)))]);
    let refused = fault(house.refused().await);
    assert!(matches!(refused, Fault::WrongAccount { .. }), "{refused:?}");
    assert_eq!(house.writes(), 0);
}

fn account(house: &House) -> String {
    house.world.state().klaviyo.account.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_of_another_account_or_shop_is_left_alone() {
    let mut house = ready().await;
    let (before, known) = (house.mirror(), account(&house));
    "NEWACC".clone_into(&mut house.world.state().klaviyo.account);
    house.edit(&[("klaviyo", "account", "\"NEWACC\"")]);
    assert_other(house.refused().await, "Klaviyo");
    known.clone_into(&mut house.world.state().klaviyo.account);
    house.edit(&[("klaviyo", "account", &format!("\"{known}\""))]);
    "moved.myshopify.com".clone_into(&mut house.world.state().shopify.domain);
    house.edit(&[("shopify", "domain", "\"moved.myshopify.com\"")]);
    assert_other(house.refused().await, "Shopify");
    assert_eq!(house.mirror(), before);
    assert_eq!(house.writes(), 0);
}

#[track_caller]
fn assert_other(error: PassError, who: &str) {
    match error {
        PassError::Pull(PullError::WrongAccount { vendor, .. }) => assert_eq!(vendor, who),
        other => panic!("{other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_too_full_is_seen_before_anything_is_asked() {
    let floor: Edit<'_> = ("shop", "min_free_disk", "\"900000GB\"");
    let mut house = House::of(60, &[floor]).await;
    let error = house.refused().await;
    assert!(matches!(error, PassError::DiskLow { least, .. } if least == 900_000_000_000_000));
    assert!(error.to_string().contains("free some space"), "{error}");
    assert_eq!(house.requests().0, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vendor_that_fails_for_a_while_is_asked_again() {
    let mut house = ready().await;
    {
        let faults = &mut house.world.state().faults;
        faults.plan("/api/profiles", None, 3, FaultKind::Status(503));
        faults.plan("/api/events", None, 2, FaultKind::Status(500));
        faults.plan("/admin", None, 3, FaultKind::Status(502));
        faults.plan("/api/lists", Some(Method::GET), 2, FaultKind::Reset);
        faults.plan(
            "/api/profile-bulk-import-jobs",
            Some(Method::POST),
            1,
            FaultKind::Status(503),
        );
    }
    assert_eq!(house.pass().await.trips, []);
    assert!(
        house
            .world
            .state()
            .faults
            .planned
            .iter()
            .all(|fault| fault.times == 0)
    );
    assert!(house.pass().await.is_quiet());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vendor_that_goes_on_failing_ends_the_pass_until_the_next() {
    let mut house = ready().await;
    house
        .world
        .state()
        .faults
        .plan("/api/segments", None, 5, FaultKind::Status(503));
    assert_eq!(fault(house.refused().await), Fault::VendorDown);
    assert_eq!(house.writes(), 0);
    assert_eq!(house.pass().await.trips, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_429_is_sat_out() {
    let mut house = ready().await;
    let until = house.clock.now().plus(std::time::Duration::from_secs(120));
    house.world.state().faults.storm_until = Some(until);
    let summary = house.pass().await;
    assert_eq!(summary.trips, []);
    assert!(summary.traffic.throttled > 0);
    assert!(house.clock.now() >= until);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_lost_in_the_middle_of_a_page_costs_one_more_request() {
    let asked = |house: &House| {
        let profiles = ("GET".to_owned(), "/api/profiles".to_owned());
        house.sandbox.requests()[&profiles].0
    };
    let mut calm = House::of(250, &[]).await;
    calm.pass().await;
    let mut house = House::of(250, &[]).await;
    {
        let faults = &mut house.world.state().faults;
        faults.plan("/api/profiles", None, 2, FaultKind::Reset);
        faults.plan("/admin", None, 1, FaultKind::Reset);
    }
    house.pass().await;
    assert_eq!(asked(&house), asked(&calm) + 2);
    assert_eq!(house.mirror(), calm.mirror());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_cut_short_is_no_page_and_nothing_is_written() {
    let mut house = ready().await;
    suppress_at_risk(&house, 1);
    house
        .world
        .state()
        .faults
        .plan("/api/lists", None, 1, FaultKind::Truncate);
    let refused = fault(house.refused().await);
    assert!(
        matches!(refused, Fault::NotJson | Fault::Shape { .. }),
        "{refused:?}"
    );
    assert_eq!(house.writes(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_html_instead_of_graphql_ends_the_pass() {
    let mut house = ready().await;
    house
        .world
        .state()
        .faults
        .plan("/admin", None, 1, FaultKind::Status(200));
    assert_eq!(fault(house.refused().await), Fault::NotJson);
    assert_eq!(house.writes(), 0);
    assert_eq!(house.pass().await.trips, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_truncated_bulk_file_stops_the_plan_and_is_asked_for_again() {
    let no_first_run = ("guards", "first_run", "false");
    let mut house = House::of(200, &[no_first_run]).await;
    house
        .world
        .state()
        .faults
        .plan("/bulk/", None, 2, FaultKind::Truncate);
    let summary = house.pass().await;
    let guards: Vec<Guard> = summary.trips.iter().map(|trip| trip.guard).collect();
    assert_eq!(guards, [Guard::CompleteListing, Guard::CompleteListing]);
    assert_eq!(house.writes(), 0);
    let again = house.pass().await;
    assert_eq!(again.trips, []);
    assert_eq!(again.people.orders, whole_orders(&house, &again));
    assert!(house.writes() > 0);
}

fn whole_orders(house: &House, summary: &driftless::pass::Summary) -> u64 {
    let humans = crate::oracle::everybody(&house.world.state(), summary.now);
    humans.iter().map(|human| u64::from(human.orders)).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bulk_file_cut_within_its_last_line_is_not_taken_for_whole() {
    let csv = "customer_id,date,units,amount\n1,2026-01-05,1,9.99\n";
    let state = from_csv(csv.as_bytes(), morning()).unwrap();
    let no_first_run = ("guards", "first_run", "false");
    let mut house = House::build(state, morning(), Speed::Fast, &[no_first_run]).await;
    house
        .world
        .state()
        .faults
        .plan("/bulk/", None, 2, FaultKind::Truncate);
    let summary = house.pass().await;
    let guards: Vec<Guard> = summary.trips.iter().map(|trip| trip.guard).collect();
    assert_eq!(guards, [Guard::CompleteListing, Guard::CompleteListing]);
    let again = house.pass().await;
    assert_eq!((again.people.customers, again.people.orders), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_lost_in_a_bulk_file_goes_on_from_there() {
    let mut calm = House::of(200, &[]).await;
    calm.pass().await;
    let mut house = House::of(200, &[]).await;
    house
        .world
        .state()
        .faults
        .plan("/bulk/", None, 1, FaultKind::Reset);
    let refused = fault(house.refused().await);
    assert!(matches!(refused, Fault::Unreachable { .. }), "{refused:?}");
    house.pass().await;
    assert_eq!(house.mirror(), calm.mirror());
    assert_eq!(
        house.world.state().shopify.operations.len(),
        2,
        "none was started twice"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bulk_result_that_expired_is_asked_for_again() {
    let mut house = House::build(crowd(100), morning(), Speed::Fast, &[]).await;
    house
        .world
        .state()
        .faults
        .plan("/bulk/", None, 1, FaultKind::Reset);
    house.refused().await;
    house.clock.advance(hours(24 * 9));
    house.pass().await;
    let summary = house.pass().await;
    assert_eq!(summary.people.orders, whole_orders(&house, &summary));
    assert!(summary.people.orders > 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_for_which_a_whole_import_is_refused_is_found_and_the_others_land() {
    let no_first_run = ("guards", "first_run", "false");
    let mut house = House::of(200, &[ROOMY[0], ROOMY[1], no_first_run]).await;
    let poisonous = house
        .world
        .state()
        .klaviyo
        .profiles
        .keys()
        .nth(150)
        .cloned()
        .unwrap();
    house
        .world
        .state()
        .faults
        .poisonous
        .insert(poisonous.clone());
    let summary = house.pass().await;
    let ended = |end| {
        summary
            .effects
            .ends
            .get(&(EffectKind::Property, end))
            .copied()
    };
    assert_eq!(ended(End::Refused), Some(1));
    assert_eq!(ended(End::Confirmed), Some(199));
    let refused = house.intents().into_iter().find(|intent| {
        intent.kind == EffectKind::Property && intent.subject.as_deref() == Some(&poisonous)
    });
    assert!(refused.is_some());
    let imports = house
        .history()
        .iter()
        .filter(|write| write.kind == "import")
        .count();
    // The canary, and of the 175 others as many jobs as they can be halved, but one refused each time.
    assert!(imports <= 1 + 8 + 1, "{imports} jobs");
    // It is not tried again at once: nothing about it has changed.
    let again = house.pass().await;
    assert!(
        again
            .held_back
            .iter()
            .any(|held| held.reason == HoldReason::RefusedLately)
    );
    assert_eq!(again.planned.get(&EffectKind::Property), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_for_which_a_whole_suppression_is_refused_is_found_and_the_others_land() {
    let acts = ("rules.bounce", "act", "true");
    let many = (
        "guards",
        "max_suppressions",
        "{ count = 1000, share = 1.0 }",
    );
    let mut house = House::of(300, &[&ROOMY[..], &[acts, many]].concat()).await;
    let plan = house.pass().await.planned;
    let dead = plan[&EffectKind::Suppression];
    assert!(dead > 2);
    let plan = std::fs::read_to_string(house.state_dir().join("plan.jsonl")).unwrap();
    let doomed = plan.lines().find(|line| line.contains("\"suppression\""));
    let doomed: serde_json::Value = serde_json::from_str(doomed.unwrap()).unwrap();
    let poisonous = doomed["subject"].as_str().unwrap().to_owned();
    house.world.state().faults.poisonous.insert(poisonous);
    let ends = house.pass().await.effects.ends;
    let ended = |end| ends.get(&(EffectKind::Suppression, end)).copied();
    assert_eq!(ended(End::Refused), Some(1));
    assert_eq!(ended(End::Confirmed), Some(dead - 1));
}
