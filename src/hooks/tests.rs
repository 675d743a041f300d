//! Deliveries over real sockets, and the inbox on disk.

use super::inbox::inbox_file;
use super::*;
use crate::clock::Clock;
use crate::config::{SigningSecrets, Webhooks};
use crate::listen::{Listen, Server};
use crate::model::{CustomerId, Moment, OrderId, ProfileId};
use crate::telemetry::Meter;
use crate::vault::{Subject, Vault};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value as Json, json};
use sha2::Sha256;
use std::fs;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;

const NOW: &str = "2026-11-21T08:00:00Z";
const SECRET: &str = "a-secret-of-the-app";
const OLD: &str = "the-secret-before-it";
const DOMAIN: &str = "acme.myshopify.com";
const DAY: Duration = Duration::from_hours(24);

fn now() -> Moment {
    Moment::parse(NOW).unwrap()
}

/// A listener with both vendors' secrets, on a clock that stands still.
struct Ear {
    dir: TempDir,
    clock: Clock,
    hooks: Hooks,
    server: Server,
}

impl Ear {
    async fn new() -> Self {
        // Whoever installs it first; loopback without TLS needs none, but the library wants one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let dir = tempfile::tempdir().unwrap();
        let clock = Clock::manual(now());
        let secrets = || SigningSecrets {
            current: SECRET.into(),
            old: Some(OLD.into()),
        };
        let config = Webhooks {
            listen: "127.0.0.1:0".parse().unwrap(),
            shopify: Some(secrets()),
            klaviyo: Some(secrets()),
            delay: Duration::from_secs(30),
            min_gap: Duration::from_mins(5),
        };
        let whose = Whose {
            domain: DOMAIN.to_owned(),
            account: Some("AbC123".to_owned()),
        };
        let hooks = Hooks::new(
            config,
            whose,
            Inbox::open(dir.path()).unwrap(),
            Vault::open(dir.path(), None).unwrap(),
            clock.clone(),
            Meter::default(),
        );
        let server = hooks.serve().await.unwrap();
        Self {
            dir,
            clock,
            hooks,
            server,
        }
    }

    fn reopened(&self) -> Inbox {
        Inbox::open(self.dir.path()).unwrap()
    }

    fn named(&self) -> Vec<Named> {
        self.hooks.inbox().take().named.into_iter().collect()
    }

    async fn send(&self, letter: &Letter) -> u16 {
        let Listen::Tcp(address) = &self.server.listen else {
            panic!("it listens on loopback");
        };
        let client = reqwest::Client::new();
        let mut request = client.post(format!("http://{address}/{}", letter.path));
        for (name, value) in &letter.headers {
            request = request.header(*name, value);
        }
        let reply = request.body(letter.body.clone()).send().await.unwrap();
        reply.status().as_u16()
    }

    fn count(&self, vendor: &str, what: &str) -> u64 {
        let status = self.hooks.status();
        let source = &status["sources"][vendor];
        let counted = [&source[what], &source["refused"][what]];
        counted.into_iter().find_map(Json::as_u64).unwrap_or(0)
    }
}

/// One delivery, to be spoilt.
#[derive(Clone)]
struct Letter {
    path: &'static str,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

fn mac(secret: &str, parts: &[&[u8]]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().to_vec()
}

impl Letter {
    fn shopify(id: &str, topic: &str, body: &Json) -> Self {
        let letter = Self {
            path: "shopify",
            headers: vec![
                ("X-Shopify-Topic", topic.to_owned()),
                ("X-Shopify-Shop-Domain", DOMAIN.to_owned()),
                ("X-Shopify-Webhook-Id", id.to_owned()),
                ("X-Shopify-Event-Id", format!("event of {id}")),
                ("X-Shopify-Triggered-At", NOW.to_owned()),
            ],
            body: body.to_string().into_bytes(),
        };
        letter.signed(SECRET)
    }

    fn klaviyo(body: &Json) -> Self {
        let letter = Self {
            path: "klaviyo",
            headers: vec![
                ("Klaviyo-Webhook-Id", "hook-1".to_owned()),
                (
                    "Klaviyo-Timestamp",
                    "Sat, 21 Nov 2026 08:00:00 GMT".to_owned(),
                ),
            ],
            body: body.to_string().into_bytes(),
        };
        letter.signed(SECRET)
    }

    fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| *known == name);
        found.map_or("", |(_, value)| value)
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self = self.without(name);
        self.headers.push((name, value.into()));
        self
    }

    fn without(mut self, name: &'static str) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self
    }

    fn signed(self, secret: &str) -> Self {
        if self.path == "shopify" {
            let signature = BASE64.encode(mac(secret, &[&self.body]));
            return self.with("X-Shopify-Hmac-Sha256", signature);
        }
        let timestamp = self.header("Klaviyo-Timestamp").as_bytes();
        let signature = mac(secret, &[&self.body, timestamp]);
        let hex: String = signature.iter().map(|byte| format!("{byte:02x}")).collect();
        self.with("Klaviyo-Signature", hex)
    }
}

fn customer(id: &str, number: u64) -> Letter {
    let body = json!({"id": number, "updated_at": NOW});
    Letter::shopify(id, "customers/update", &body)
}

fn event(id: &str, profile: &str) -> Json {
    json!({"topic": "event:klaviyo.bounced_email", "external_id": id, "payload": {"data": {
        "type": "event", "id": id, "relationships": {"profile": {"data": {"type": "profile", "id": profile}}},
    }}})
}

fn events(events: &[Json]) -> Letter {
    Letter::klaviyo(&json!({
        "meta": {"timestamp": "2026-11-21T08:00:00.101159+00:00", "klaviyo_webhook_id": "hook-1",
            "klaviyo_account_id": "AbC123", "version": "2026-07-15"},
        "data": events,
    }))
}

#[tokio::test]
async fn a_delivery_that_comes_twice_five_times_or_a_day_late_counts_once() {
    let ear = Ear::new().await;
    let letter = customer("w1", 7);
    for time in 0..5 {
        assert_eq!(ear.send(&letter).await, 200, "time {time}");
    }
    // The same action through another subscription.
    let twin = letter.clone().with("X-Shopify-Webhook-Id", "w2");
    let twin = twin.with("X-Shopify-Event-Id", "event of w1");
    assert_eq!(ear.send(&twin).await, 200);
    ear.clock.advance(DAY);
    assert_eq!(ear.send(&letter).await, 200);
    assert_eq!(ear.send(&customer("w3", 8)).await, 200);
    assert_eq!(ear.count("shopify", "accepted"), 2);
    assert_eq!(ear.count("shopify", "repeated"), 6);
    let both = [7, 8].map(|id| Named::Customer(CustomerId(id)));
    assert_eq!(ear.named(), both);
    // What was fetched is not fetched again because of a repeat, nor after a restart.
    ear.hooks
        .inbox()
        .fetched(&ear.hooks.inbox().take())
        .unwrap();
    assert_eq!(ear.send(&letter).await, 200);
    assert_eq!(ear.named(), []);
    assert_eq!(ear.reopened().take().named.len(), 0);
}

#[tokio::test]
async fn one_action_about_several_records_names_them_all() {
    let ear = Ear::new().await;
    for id in 1..=3 {
        let letter = customer(&format!("w{id}"), id).with("X-Shopify-Event-Id", "one action");
        assert_eq!(ear.send(&letter).await, 200);
    }
    let order = Letter::shopify("w4", "orders/create", &json!({"id": 1001}));
    ear.send(&order.with("X-Shopify-Event-Id", "one action"))
        .await;
    assert_eq!(ear.named().len(), 4);
    assert!(ear.named().contains(&Named::Order(OrderId(1001))));
}

#[tokio::test]
async fn nothing_is_believed_without_the_right_signature() {
    let ear = Ear::new().await;
    let good = customer("w1", 7);
    let signature = good.header("X-Shopify-Hmac-Sha256").to_owned();
    let mut changed = good.clone();
    changed.body = changed
        .body
        .iter()
        .map(|byte| if *byte == b'7' { b'8' } else { *byte })
        .collect();
    let cases = [
        (good.clone().without("X-Shopify-Hmac-Sha256"), "unsigned"),
        (good.clone().with("X-Shopify-Hmac-Sha256", ""), "forged"),
        (good.clone().with("X-Shopify-Hmac-Sha256", "AA=="), "forged"),
        (
            good.clone().with("X-Shopify-Hmac-Sha256", &signature[..20]),
            "forged",
        ),
        (good.clone().signed("another-secret-key"), "forged"),
        (changed, "forged"),
    ];
    for (letter, reason) in cases {
        let before = ear.count("shopify", reason);
        assert_eq!(ear.send(&letter).await, 401, "{reason}");
        assert_eq!(ear.count("shopify", reason), before + 1);
    }
    let mail = events(&[event("e1", "01P")]);
    let late = mail
        .clone()
        .with("Klaviyo-Timestamp", "Sun, 22 Nov 2026 08:00:00 GMT");
    for letter in [
        mail.clone().without("Klaviyo-Signature"),
        mail.signed("x"),
        late,
    ] {
        assert_eq!(ear.send(&letter).await, 401);
    }
    assert_eq!(ear.count("klaviyo", "forged"), 2);
    assert_eq!(ear.named(), []);
    assert_eq!(ear.send(&good.signed(OLD)).await, 200);
    assert_eq!(ear.count("shopify", "signed_with_old_secret"), 1);
}

#[tokio::test]
async fn a_long_body_is_not_read_to_its_end() {
    let ear = Ear::new().await;
    let mut letter = customer("w1", 7);
    letter.body.resize(5 << 20, b' ');
    assert_eq!(ear.send(&letter.signed(SECRET)).await, 413);
    assert_eq!(ear.count("shopify", "too_large"), 1);
    let mut fits = customer("w2", 8);
    fits.body.resize(1 << 20, b' ');
    assert_eq!(ear.send(&fits.signed(SECRET)).await, 200);
}

#[tokio::test]
async fn what_is_of_another_shop_too_old_or_garbled_is_refused() {
    let ear = Ear::new().await;
    let good = customer("w1", 7);
    let body = |text: &str| {
        Letter {
            body: text.into(),
            ..good.clone()
        }
        .signed(SECRET)
    };
    let at = |at: &str| good.clone().with("X-Shopify-Triggered-At", at);
    let meta = |from: &str, to: &str| {
        let letter = events(&[event("e1", "01P")]);
        let text = String::from_utf8(letter.body.clone()).unwrap();
        assert!(text.contains(from));
        Letter {
            body: text.replace(from, to).into(),
            ..letter
        }
        .signed(SECRET)
    };
    for (letter, code, reason) in [
        (
            good.clone()
                .with("X-Shopify-Shop-Domain", "evil.myshopify.com"),
            403,
            "foreign",
        ),
        (at("2026-11-14T07:59:59Z"), 400, "stale"),
        (at("2026-11-21T09:00:00Z"), 400, "stale"),
        (at("yesterday"), 400, "malformed"),
        (good.clone().without("X-Shopify-Topic"), 400, "malformed"),
        (body("{"), 400, "malformed"),
        (body(""), 400, "malformed"),
        (meta("\"hook-1\"", "\"hook-2\""), 403, "foreign"),
        (meta("AbC123", "XyZ789"), 403, "foreign"),
        (meta("2026-11-21T", "2026-11-01T"), 400, "stale"),
        (meta("external_id", "id"), 400, "malformed"),
    ] {
        let before = ear.count(letter.path, reason);
        assert_eq!(ear.send(&letter).await, code, "{reason}");
        assert_eq!(ear.count(letter.path, reason), before + 1, "{reason}");
    }
    assert_eq!(ear.named(), []);
    // Seven days to the second, with the digits that Shopify gives.
    assert_eq!(ear.send(&at("2026-11-14T08:00:00.877041743Z")).await, 200);
    let other = Letter::shopify("w9", "products/update", &json!({"id": 7}));
    assert_eq!(ear.send(&other).await, 200);
    assert_eq!(ear.count("shopify", "ignored"), 1);
}

#[tokio::test]
async fn klaviyos_events_name_their_profiles_and_count_one_by_one() {
    let ear = Ear::new().await;
    let first = events(&[event("e1", "01P"), event("e2", "01Q")]);
    assert_eq!(ear.send(&first).await, 200);
    let again = events(&[
        event("e2", "01Q"),
        event("e3", "01R"),
        event("e4", "any(id,x)"),
    ]);
    assert_eq!(ear.send(&again).await, 200);
    let named = ["01P", "01Q", "01R"].map(|id| Named::Profile(ProfileId::from(id)));
    assert_eq!(ear.named(), named);
    assert_eq!(ear.send(&first).await, 200);
    assert_eq!(ear.count("klaviyo", "repeated"), 1);
}

#[tokio::test]
async fn demands_are_kept_without_the_address_and_hold_however_late_they_come() {
    let ear = Ear::new().await;
    let person = json!({"id": 7, "email": "Jane@Example.org", "phone": "555-625-1199"});
    let about = |more: &Json| {
        let mut body = json!({"shop_id": 1, "shop_domain": DOMAIN, "customer": person});
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        body
    };
    let redact = Letter::shopify(
        "w1",
        "customers/redact",
        &about(&json!({"orders_to_redact": [1]})),
    );
    let redact = redact.with("X-Shopify-Triggered-At", "2026-10-01T00:00:00Z");
    let request = about(&json!({"data_request": {"id": 9999}}));
    let letters = [
        redact.clone(),
        redact,
        Letter::shopify("w2", "customers/data_request", &request),
        Letter::shopify(
            "w3",
            "shop/redact",
            &json!({"shop_id": 1, "shop_domain": DOMAIN}),
        ),
    ];
    for letter in &letters {
        assert_eq!(ear.send(letter).await, 200);
    }
    let order = json!({"id": 1, "customer": person});
    for (number, topic, body, status) in [
        (
            "w4",
            "customers/redact",
            about(&json!({"customer": {}, "orders_to_redact": []})),
            400,
        ),
        // The topic is not signed: other bodies with the right signature are no demands.
        ("w5", "customers/redact", order.clone(), 400),
        ("w6", "customers/redact", about(&json!({})), 400),
        ("w7", "shop/redact", about(&json!({})), 400),
        (
            "w8",
            "shop/redact",
            json!({"shop_id": 2, "shop_domain": "other.myshopify.com"}),
            403,
        ),
    ] {
        let letter = Letter::shopify(number, topic, &body);
        assert_eq!(ear.send(&letter).await, status, "{number}");
    }
    let vault = Vault::open(ear.dir.path(), None).unwrap();
    let demands: Vec<Demand> = ear
        .reopened()
        .demands()
        .into_iter()
        .map(|one| one.demand)
        .collect();
    let [
        Demand::Forget(Redacted {
            customer,
            address: Some(_),
            phone: Some(_),
        }),
        disclose,
        Demand::Erase,
    ] = &demands[..]
    else {
        panic!("{demands:?}");
    };
    assert_eq!(*customer, Some(CustomerId(7)));
    let (request, customer) = (9999, Some(CustomerId(7)));
    assert_eq!(*disclose, Demand::Disclose { request, customer });
    assert!(!vault.is_forgotten(Subject::Customer(CustomerId(7))));
    let bytes = fs::read(inbox_file(ear.dir.path())).unwrap();
    let text = String::from_utf8_lossy(&bytes).to_lowercase();
    assert!(
        !text.contains("jane") && !text.contains("555-625"),
        "{text}"
    );
    // Met ones are gone for good.
    let first = ear.hooks.inbox().demands()[0].no;
    ear.hooks.inbox().met(first).unwrap();
    assert_eq!(ear.reopened().demands().len(), 2);
}

#[tokio::test]
async fn a_pass_is_due_a_little_after_the_first_name_and_not_too_often() {
    let ear = Ear::new().await;
    assert_eq!(ear.hooks.due(None), None);
    ear.send(&customer("w1", 7)).await;
    ear.clock.advance(Duration::from_secs(20));
    ear.send(&customer("w2", 8)).await;
    assert_eq!(
        ear.hooks.due(None),
        Some(now().plus(Duration::from_secs(30)))
    );
    let last = now().minus(Duration::from_mins(1));
    assert_eq!(
        ear.hooks.due(Some(last)),
        Some(now().plus(Duration::from_mins(4)))
    );
    // Named again while it was fetched: it stays, and waits anew.
    let inbox = ear.hooks.inbox();
    let taken = inbox.take();
    ear.send(&customer("w3", 8)).await;
    inbox.fetched(&taken).unwrap();
    assert_eq!(ear.named(), [Named::Customer(CustomerId(8))]);
}

fn open(dir: &Path) -> Inbox {
    Inbox::open(dir).unwrap()
}

#[tokio::test]
async fn a_torn_end_costs_only_what_was_never_answered() {
    let ear = Ear::new().await;
    ear.send(&customer("w1", 7)).await;
    let path = inbox_file(ear.dir.path());
    let whole = fs::read(&path).unwrap();
    ear.send(&customer("w2", 8)).await;
    let longer = fs::read(&path).unwrap();
    for cut in (0..longer.len()).step_by(7) {
        fs::write(&path, &longer[..cut]).unwrap();
        let named = open(ear.dir.path()).take().named.len();
        assert_eq!(named, usize::from(cut >= whole.len()), "cut at {cut}");
        // And what is left can be gone on with.
        assert_eq!(open(ear.dir.path()).take().named.len(), named);
    }
}

#[test]
fn no_changed_byte_loses_a_demand_or_more_than_one_name() {
    use super::delivery::{Demand, Notice, print};
    let dir = tempfile::tempdir().unwrap();
    let inbox = open(dir.path());
    let notice = |id: u64, demand| Notice {
        prints: vec![print(&["test", &id.to_string()])],
        named: [Named::Customer(CustomerId(id))].into(),
        demand,
    };
    let demand = Demand::Forget(Redacted {
        customer: Some(CustomerId(2)),
        ..Redacted::default()
    });
    for one in [notice(1, None), notice(2, Some(demand)), notice(3, None)] {
        inbox.keep(vec![one], now()).unwrap();
    }
    let path = inbox_file(dir.path());
    let whole = fs::read(&path).unwrap();
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        fs::write(&path, &damaged).unwrap();
        let Ok(opened) = Inbox::open(dir.path()) else {
            // The one digit of the version: nothing is touched.
            assert_eq!((damaged[at], fs::read(&path).unwrap()), (b'3', damaged));
            continue;
        };
        assert_eq!(opened.demands().len(), 1, "byte {at}");
        let named = opened.take().named.len();
        assert!(named >= 2, "byte {at}: {named}");
        // What is sound was written anew, and nothing of it goes.
        let again = open(dir.path());
        assert_eq!(
            (again.demands().len(), again.take().named.len()),
            (1, named)
        );
    }
}

#[test]
fn an_inbox_of_a_later_version_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = inbox_file(dir.path());
    fs::write(&path, b"driftless webhooks 12\nwhatever").unwrap();
    let refused = Inbox::open(dir.path()).unwrap_err().to_string();
    assert!(refused.contains("another version"), "{refused}");
    assert_eq!(fs::read(&path).unwrap(), b"driftless webhooks 12\nwhatever");
}

#[test]
fn the_inbox_is_bounded_and_forgets_after_a_week() {
    use super::delivery::{Notice, print};
    let dir = tempfile::tempdir().unwrap();
    let inbox = open(dir.path());
    let notice = |id: u64| Notice {
        prints: vec![print(&["test", &id.to_string()])],
        named: [Named::Customer(CustomerId(id))].into(),
        demand: None,
    };
    let size = || fs::metadata(inbox_file(dir.path())).unwrap().len();
    inbox
        .keep((0..30_000).map(notice).collect(), now())
        .unwrap();
    assert_eq!(inbox.sizes(), (10_000, 0, 20_000));
    inbox.fetched(&inbox.take()).unwrap();
    let week = now().plus(MEMORY);
    let kept = inbox.keep(vec![notice(1)], week).unwrap();
    assert_eq!((kept.fresh, kept.repeated), (0, 1));
    assert!(size() > 1 << 20, "{}", size());
    let later = week.plus(Duration::from_secs(1));
    inbox.keep(vec![notice(30_000)], later).unwrap();
    let kept = inbox.keep(vec![notice(1)], later).unwrap();
    assert_eq!((kept.fresh, kept.repeated), (1, 0));
    // Written anew, it says the same.
    assert!(size() < 1_000, "{}", size());
    let again = open(dir.path());
    assert_eq!(again.take(), inbox.take());
    let kept = again.keep(vec![notice(30_000)], later).unwrap();
    assert_eq!((kept.fresh, kept.repeated), (0, 1));
}
