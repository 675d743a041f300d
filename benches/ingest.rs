//! Ingest: pages as Klaviyo sends them, read by the real client and committed to a mirror on disk.
//! What is left out is the wire: the transport hands out bodies made beforehand.

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use driftless::api::klaviyo::{Klaviyo, ProfileQuery};
use driftless::api::{Answer, ApiError, Call, Cursor, Exchange, Headers};
use driftless::clock::Clock;
use driftless::mirror::{Cursor as Position, Mirror, Stream};
use driftless::model::{Mentions, MetricId, Moment};
use driftless::vault::Vault;
use serde_json::{Value as Json, json};
use std::hint::black_box;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

const PROFILES: u64 = 20_000;
const PROFILE_PAGE: u64 = 100;
const EVENTS: u64 = 200_000;
const EVENT_PAGE: u64 = 1_000;
const START: i64 = 1_700_000_000;

/// The bottom of the client: the body of page `n` for the cursor `n`, of the first without one.
struct Pages(Vec<Bytes>);

impl Exchange for Pages {
    async fn exchange(&self, call: &Call) -> Result<Answer, ApiError> {
        let cursor = call.path_and_query.split_once("?page=");
        let page: usize = cursor.map_or(0, |(_, number)| number.parse().expect("a page"));
        Ok(Answer {
            status: 200,
            headers: Headers::default(),
            body: self.0[page].clone(),
            envelope: None,
        })
    }
}

fn client(path: &str, pages: u64, record: impl Fn(u64) -> Json, size: u64) -> Klaviyo<Pages> {
    let page = |number: u64| {
        let rows = number * size..(number + 1) * size;
        let next = (number + 1 < pages).then(|| format!("{path}?page={}", number + 1));
        let body = json!({"data": rows.map(&record).collect::<Json>(), "links": {"next": next}});
        Bytes::from(body.to_string())
    };
    let pages = Pages((0..pages).map(page).collect());
    let base = "https://a.klaviyo.com".parse().expect("a URL");
    Klaviyo::over(pages, base, Clock::manual(Moment(0)), None)
}

fn id(number: u64) -> String {
    format!("01HZX{number:021}")
}

fn instant(seconds: u64) -> String {
    let at = Moment::from_secs(START + i64::try_from(seconds).expect("small"));
    at.to_string().replace('Z', "+00:00")
}

fn profile(number: u64) -> Json {
    let email = format!("person.{number}@example{}.com", number % 40);
    let at = instant(number * 61);
    json!({"type": "profile", "id": id(number), "attributes": {
        "email": email, "phone_number": format!("+1415555{:04}", number % 10_000),
        "external_id": (7_000_000_000_000 + number).to_string(),
        "created": at, "updated": at,
        "location": {"country": "United States"},
        "properties": {
            "Accepts Marketing": true, "Shopify Tags": ["vip", "spring"], "Source": "checkout",
            "driftless_stage": "active", "driftless_orders": number % 7, "shoe_size": 42,
        },
        "subscriptions": {
            "email": {"marketing": {
                "can_receive_email_marketing": true, "consent": "SUBSCRIBED",
                "consent_timestamp": at, "last_updated": at, "method": "FORM",
                "method_detail": "popup", "custom_method_detail": null, "double_optin": false,
                "suppression": [], "list_suppressions": [],
            }},
            "sms": {"marketing": {"can_receive_sms_marketing": false,
                "consent": "NEVER_SUBSCRIBED", "consent_timestamp": null}},
        },
    }, "relationships": {
        "lists": {"links": {"self": format!("https://a.klaviyo.com/api/profiles/{number}/lists")}},
    }, "links": {"self": format!("https://a.klaviyo.com/api/profiles/{number}")}})
}

/// A mail opened by anybody, in time order: neighbours in time are strangers.
fn event(number: u64) -> Json {
    let owner = fastrand::Rng::with_seed(number).u64(..PROFILES);
    json!({"type": "event", "id": format!("4vR{number:08}"), "attributes": {
        "datetime": instant(number * 13),
        "event_properties": {
            "$message": format!("01HZM{:021}", number / 2_000), "Subject": "Something new for you",
            "Campaign Name": "Letter", "machine_open": number.is_multiple_of(3),
            "Recipient Email Address": "person@example.com", "Client Type": "mobile",
            "Email Domain": "example.com", "Inbox Provider": "Other", "$event_id": number,
        },
    }, "relationships": {
        "metric": {"data": {"type": "metric", "id": "RdKtBz"}},
        "profile": {"data": {"type": "profile", "id": id(owner)}},
    }, "links": {"self": format!("https://a.klaviyo.com/api/events/{number}")}})
}

/// What a pull does with profiles: a commit a page, its cursor with it.
async fn profiles(klaviyo: &Klaviyo<Pages>, mirror: &Mirror, mentions: &Mentions) {
    let mut query = ProfileQuery::default();
    loop {
        let page = klaviyo.profiles(&query, mentions).await.expect("a page");
        let mut changes = mirror.page();
        for profile in page.items {
            changes.profile(profile).expect("stored");
        }
        changes.cursor(&Stream::KlaviyoProfiles, &position(page.next.as_ref()));
        changes.commit().expect("committed");
        query.cursor = page.next;
        if query.cursor.is_none() {
            return;
        }
    }
}

/// What a pull does with events: staged page by page, folded at the end.
async fn events(klaviyo: &Klaviyo<Pages>, mirror: &Mirror, mentions: &Mentions) {
    let metric = MetricId::from("RdKtBz");
    let (since, until) = (Moment(0), Moment(i64::MAX));
    let mut cursor = None;
    loop {
        let page = klaviyo.events(&metric, since, until, cursor.as_ref(), mentions);
        let page = page.await.expect("a page");
        let mut changes = mirror.page();
        changes.events(&metric, page.items).expect("staged");
        changes.cursor(
            &Stream::Events(metric.clone()),
            &position(page.next.as_ref()),
        );
        changes.commit().expect("committed");
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    let folded = mirror.fold().expect("folded");
    assert_eq!(black_box(folded).added, EVENTS);
}

fn position(next: Option<&Cursor>) -> Position {
    Position {
        position: next.map(|next| next.as_str().to_owned()),
        ..Position::default()
    }
}

fn mentions() -> Mentions {
    let read = ["$message", "machine_open"].map(str::to_owned);
    Mentions {
        profile_prefix: "driftless_".to_owned(),
        events: [("RdKtBz".into(), read.into())].into(),
        ..Mentions::default()
    }
}

fn empty_mirror() -> (TempDir, Mirror) {
    let dir = tempfile::tempdir().expect("a directory");
    let vault = Vault::open(dir.path(), None).expect("a vault");
    let (mirror, _) = Mirror::open(dir.path(), &vault, Moment(0)).expect("a mirror");
    (dir, mirror)
}

fn runtime() -> Runtime {
    Builder::new_current_thread().build().expect("a runtime")
}

fn ingest(c: &mut Criterion) {
    let (runtime, mentions) = (runtime(), mentions());
    let mut group = c.benchmark_group("ingest");
    group.sample_size(10);

    let klaviyo = client(
        "/api/profiles",
        PROFILES / PROFILE_PAGE,
        profile,
        PROFILE_PAGE,
    );
    group.throughput(Throughput::Elements(PROFILES));
    group.bench_function("20,000 profiles", |b| {
        b.iter_batched_ref(
            empty_mirror,
            |(_dir, mirror)| runtime.block_on(profiles(&klaviyo, mirror, &mentions)),
            BatchSize::PerIteration,
        );
    });

    let klaviyo = client("/api/events", EVENTS / EVENT_PAGE, event, EVENT_PAGE);
    group.throughput(Throughput::Elements(EVENTS));
    group.bench_function("200,000 events", |b| {
        b.iter_batched_ref(
            empty_mirror,
            |(_dir, mirror)| runtime.block_on(events(&klaviyo, mirror, &mentions)),
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group!(benches, ingest);
criterion_main!(benches);
