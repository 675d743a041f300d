mod sockets;
mod trust;

use super::*;
use crate::api::fake::call;
use crate::api::{Conduct, Record, Retry, Verdict, klaviyo, shopify};
use crate::clock::Clock;
use crate::telemetry::Meter;
use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

async fn serve(app: Router) -> Url {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    Url::parse(&format!("http://{address}")).unwrap()
}

fn transport(base: &Url) -> Transport {
    let token = HeaderName::from_static("x-token");
    Transport::new(base, HeaderMap::new(), token, Duration::from_secs(5)).unwrap()
}

/// With everything between a request and its socket that takes note of failures.
fn asking(transport: Transport, clock: &Clock, meter: &Meter) -> Retry<Record<Transport>> {
    let record = Record::new(transport, clock.clone(), meter.clone());
    let (clock, meter) = (clock.clone(), meter.clone());
    Retry::new(record, klaviyo::judge, Conduct::default(), clock, meter)
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_not_followed() {
    let visits = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&visits);
    let target = move || {
        counter.fetch_add(1, Ordering::SeqCst);
        async { "secret" }
    };
    let moved = || async { (StatusCode::FOUND, [("location", "https://evil.example/x")]) };
    let local = || async { (StatusCode::PERMANENT_REDIRECT, [("location", "/target")]) };
    let app = Router::new()
        .route("/api/profiles", get(moved))
        .route("/local", get(local))
        .route("/target", get(target));
    let base = serve(app).await;
    let answer = transport(&base).exchange(&call()).await.unwrap();
    assert_eq!(answer.status, 302);
    assert_eq!(
        answer.headers.redirect.as_deref(),
        Some("https://evil.example")
    );
    let mut same_origin = call();
    same_origin.path_and_query = "/local".to_owned();
    let answer = transport(&base).exchange(&same_origin).await.unwrap();
    assert_eq!(answer.status, 308);
    let home = base.origin().ascii_serialization();
    assert_eq!(answer.headers.redirect.as_deref(), Some(&*home));
    assert_eq!(visits.load(Ordering::SeqCst), 0);
    // What either vendor's judge makes of it names both ends.
    let moved = transport(&base).exchange(&call()).await.unwrap();
    let wanted = Fault::Redirected {
        from: home.into(),
        to: Some("https://evil.example".into()),
    };
    let error = klaviyo::judge(&call(), moved.clone()).unwrap_err();
    assert_eq!(error.fault, wanted);
    assert!(
        error
            .to_string()
            .contains(base.as_str().trim_end_matches('/'))
    );
    assert!(
        error.to_string().contains("https://evil.example"),
        "{error}"
    );
    assert_eq!(error.verdict(true), Verdict::GiveUp);
    let error = shopify::judge(&call(), moved).unwrap_err();
    assert_eq!(error.fault, wanted);
}

#[tokio::test]
async fn a_body_beyond_the_cap_is_cut_off() {
    let huge = || async { vec![b' '; BODY_CAP + 1] };
    let base = serve(Router::new().route("/api/profiles", get(huge))).await;
    let error = transport(&base).exchange(&call()).await.unwrap_err();
    assert_eq!(error.fault, Fault::TooLarge { cap: BODY_CAP });
    assert_eq!(error.place.status, Some(200));
}

#[tokio::test]
async fn headers_are_read_and_nonsense_among_them_is_no_header() {
    let reply = || async {
        let headers = [
            ("date", "Sun, 22 Nov 2026 08:00:00 GMT"),
            ("ratelimit-limit", "750, 75;w=1"),
            ("ratelimit-remaining", "749"),
            ("ratelimit-reset", "31"),
            ("x-request-id", "r-1"),
            ("retry-after", "soon"),
        ];
        (headers, "{}")
    };
    let base = serve(Router::new().route("/api/profiles", get(reply))).await;
    let headers = transport(&base).exchange(&call()).await.unwrap().headers;
    assert_eq!(headers.date, Moment::parse("2026-11-22T08:00:00Z"));
    let reset = Duration::from_secs(31);
    let rate = RateHeaders {
        limit: 750,
        remaining: 749,
        reset,
    };
    assert_eq!(headers.rate, Some(rate));
    assert_eq!(headers.request_id.as_deref(), Some("r-1"));
    assert_eq!(headers.retry_after, None);
}

#[test]
fn retry_after_is_seconds_within_a_day_or_nothing() {
    let seconds = |text| retry_after(text).map(|wait| wait.as_secs());
    assert_eq!(seconds("7"), Some(7));
    assert_eq!(seconds("2.5"), Some(2));
    assert_eq!(seconds("0"), Some(1));
    assert_eq!(seconds("67608"), Some(67_608));
    assert_eq!(seconds("1000000000000"), Some(86_400));
    for garbage in ["-1", "Sun, 22 Nov 2026 08:00:00 GMT", "NaN", "inf", ""] {
        assert_eq!(seconds(garbage), None, "{garbage}");
    }
}

#[tokio::test]
async fn no_listener_is_unreachable_and_surely_not_sent() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let base = Url::parse(&base).unwrap();
    let error = transport(&base).exchange(&call()).await.unwrap_err();
    let expected = Fault::Unreachable {
        host: "127.0.0.1".into(),
        phase: Phase::Connect,
        cause: Cause::Refused,
    };
    assert_eq!(error.fault, expected);
}

#[tokio::test]
async fn a_path_cannot_become_another_host() {
    let base = serve(Router::new()).await;
    for path in ["@evil.example/x", ":80@evil.example/", ".evil.example/", ""] {
        let mut call = call();
        call.path_and_query = path.to_owned();
        let error = transport(&base).exchange(&call).await.unwrap_err();
        assert_eq!(error.fault, Fault::ForeignLink, "{path}");
    }
}

#[test]
fn plain_http_is_for_loopback_only() {
    let check = |text: &str| check_origin(&Url::parse(text).unwrap()).is_ok();
    assert!(check("https://a.klaviyo.com"));
    assert!(check("http://127.0.0.1:80"));
    assert!(check("http://[::1]:80"));
    assert!(!check("http://a.klaviyo.com"));
    assert!(!check("http://10.0.0.1"));
    assert!(!check("https://user@a.klaviyo.com"));
    assert!(!check("ftp://127.0.0.1"));
}
