use super::*;
use crate::telemetry::Meter;

fn busy_shop(metrics: &Metrics) -> Meter {
    let meter = Meter::registered("acme", metrics);
    let took = Duration::from_millis(300);
    meter.exchange(Api::Klaviyo, "profiles", Outcome::Ok, took);
    meter.exchange(Api::Klaviyo, "profiles", Outcome::Throttled, took);
    meter.lost(Api::Shopify, "body", "timeout");
    meter.waited(Api::Shopify, "graphql", Duration::from_secs(7));
    meter.effects(EffectKind::ListAdd, End::Confirmed, 25);
    meter.recovered(2);
    meter.over_limit(Api::Klaviyo);
    meter.untold(Api::Klaviyo);
    meter.repaired();
    meter.clock_skew(-1.5);
    meter.guard_tripped(Guard::EmptySource);
    meter.delivery(Api::Shopify, "forged");
    meter.findings(&BTreeMap::from([(Code::StaleQuiet, 12)]));
    meter.quarantined(4);
    meter.gone("sweep", 3);
    meter.records("profiles", 20_000);
    let now = Moment::from_secs(1_700_000_000);
    metrics.pass("acme", PassEnd::Ok, Duration::from_secs(9), now);
    meter
}

#[test]
fn the_names_and_help_texts_are_these() {
    let metrics = Metrics::new();
    busy_shop(&metrics);
    let page = metrics.text();
    let heads: Vec<&str> = page.lines().filter(|line| line.starts_with('#')).collect();
    insta::assert_snapshot!(heads.join("\n"), @r"
    # HELP driftless_build The version that runs.
    # TYPE driftless_build info
    # HELP driftless_http_requests Attempts at requests to a vendor by endpoint class and outcome.
    # TYPE driftless_http_requests counter
    # HELP driftless_http_requests_lost Requests that ended without a whole answer, by how far they got and by what ended them.
    # TYPE driftless_http_requests_lost counter
    # HELP driftless_http_request_duration_seconds Seconds that one attempt at a request took.
    # TYPE driftless_http_request_duration_seconds histogram
    # HELP driftless_rate_limit_wait_seconds Seconds that requests waited for their budget before they were sent.
    # TYPE driftless_rate_limit_wait_seconds histogram
    # HELP driftless_rate_limited Requests that the vendor told to wait.
    # TYPE driftless_rate_limited counter
    # HELP driftless_over_limit Refusals in a row with nobody else seen on the key, which must not be.
    # TYPE driftless_over_limit counter
    # HELP driftless_rate_headers_unusable Replies whose headers on the limit were missing or contradicted each other.
    # TYPE driftless_rate_headers_unusable counter
    # HELP driftless_effects Intended changes upstream that reached their end, by kind and end.
    # TYPE driftless_effects counter
    # HELP driftless_effects_recovered Effects left open by an earlier run that a look brought to their end.
    # TYPE driftless_effects_recovered counter
    # HELP driftless_store_repairs Mirrors that had to be repaired before they opened.
    # TYPE driftless_store_repairs counter
    # HELP driftless_clock_skew_seconds Seconds by which this machine's clock is ahead of Klaviyo's.
    # TYPE driftless_clock_skew_seconds gauge
    # HELP driftless_guard_trips Plans stopped by a guard before their first write.
    # TYPE driftless_guard_trips counter
    # HELP driftless_passes Passes by how they ended.
    # TYPE driftless_passes counter
    # HELP driftless_last_success_timestamp_seconds Unix time at which the last successful pass finished.
    # TYPE driftless_last_success_timestamp_seconds gauge
    # HELP driftless_pass_duration_seconds Seconds that one pass took.
    # TYPE driftless_pass_duration_seconds histogram
    # HELP driftless_findings Findings of the last pass by code.
    # TYPE driftless_findings gauge
    # HELP driftless_webhook_deliveries Webhook deliveries by vendor and what became of them.
    # TYPE driftless_webhook_deliveries counter
    # HELP driftless_records_quarantined Records that could not be understood and were left out.
    # TYPE driftless_records_quarantined counter
    # HELP driftless_records_gone Records found deleted or merged upstream, by what showed it.
    # TYPE driftless_records_gone counter
    # HELP driftless_mirror_records Records in the mirror by kind.
    # TYPE driftless_mirror_records gauge
    # EOF
    ");
}

#[test]
fn a_meter_shows_up_under_its_shop() {
    let metrics = Metrics::new();
    busy_shop(&metrics);
    let page = metrics.text();
    for line in [
        r#"driftless_build_info{version="0.1.0"} 1"#,
        r#"driftless_http_requests_total{store="acme",api="klaviyo",class="profiles",outcome="ok"} 1"#,
        r#"driftless_http_requests_total{store="acme",api="klaviyo",class="profiles",outcome="throttled"} 1"#,
        r#"driftless_http_request_duration_seconds_bucket{le="0.5",store="acme",api="klaviyo",class="profiles"} 2"#,
        r#"driftless_http_requests_lost_total{store="acme",api="shopify",phase="body",cause="timeout"} 1"#,
        r#"driftless_rate_limited_total{store="acme",api="klaviyo"} 1"#,
        r#"driftless_over_limit_total{store="acme",api="klaviyo"} 1"#,
        r#"driftless_rate_headers_unusable_total{store="acme",api="klaviyo"} 1"#,
        r#"driftless_rate_limit_wait_seconds_sum{store="acme",api="shopify"} 7.0"#,
        r#"driftless_effects_total{store="acme",kind="list_add",end="confirmed"} 25"#,
        r#"driftless_effects_recovered_total{store="acme"} 2"#,
        r#"driftless_store_repairs_total{store="acme"} 1"#,
        r#"driftless_clock_skew_seconds{store="acme"} -1.5"#,
        r#"driftless_guard_trips_total{store="acme",guard="empty_source"} 1"#,
        r#"driftless_webhook_deliveries_total{store="acme",api="shopify",result="forged"} 1"#,
        r#"driftless_passes_total{store="acme",end="ok"} 1"#,
        r#"driftless_last_success_timestamp_seconds{store="acme"} 1700000000.0"#,
        r#"driftless_pass_duration_seconds_sum{store="acme"} 9.0"#,
        r#"driftless_findings{store="acme",code="stale-quiet"} 12"#,
        r#"driftless_findings{store="acme",code="group-empty"} 0"#,
        r#"driftless_records_quarantined_total{store="acme"} 4"#,
        r#"driftless_records_gone_total{store="acme",found_by="sweep"} 3"#,
        r#"driftless_mirror_records{store="acme",kind="profiles"} 20000"#,
    ] {
        assert!(page.lines().any(|found| found == line), "{line}\n{page}");
    }
}

#[test]
fn the_page_does_not_depend_on_the_order_of_arrival() {
    let names: Vec<String> = (0..40).map(|number| format!("shop-{number}")).collect();
    let page = |names: &mut dyn Iterator<Item = &String>| {
        let metrics = Metrics::new();
        for name in names {
            metrics.pass(name, PassEnd::Ok, Duration::from_secs(20), Moment(0));
        }
        metrics.text()
    };
    let forward = page(&mut names.iter());
    assert_eq!(forward, page(&mut names.iter().rev()));
    let bounds = forward.lines().filter(|line| line.contains(r#"le=""#));
    let bounds = bounds.filter(|line| line.contains(r#"store="shop-7"}"#));
    let bounds: Vec<&str> = bounds.filter_map(|line| line.split('"').nth(1)).collect();
    assert_eq!(bounds.first(), Some(&"1.0"));
    assert_eq!(bounds.last(), Some(&"+Inf"));
}

#[test]
fn a_shop_that_left_shows_no_present_state() {
    let metrics = Metrics::new();
    busy_shop(&metrics);
    metrics.forget("acme");
    let page = metrics.text();
    for gauge in [
        "last_success_timestamp_seconds{",
        "findings{",
        "mirror_records{",
    ] {
        assert!(!page.contains(gauge), "{gauge}\n{page}");
    }
    assert!(page.contains("driftless_effects_total{"), "counters stay");
}

#[test]
fn shops_beyond_the_cap_share_one_label() {
    let metrics = Metrics::new();
    for number in 0..Metrics::MAX_STORES + 5 {
        let meter = Meter::registered(&format!("shop-{number:04}"), &metrics);
        meter.guard_tripped(Guard::Canary);
    }
    let page = metrics.text();
    let series = page.matches("driftless_guard_trips_total{").count();
    assert_eq!(series, Metrics::MAX_STORES + 1);
    let shared = r#"driftless_guard_trips_total{store="other",guard="canary"} 5"#;
    assert!(page.contains(shared));
}
