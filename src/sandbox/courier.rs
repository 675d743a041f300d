//! The vendors' webhooks: looks what changed in the world and delivers it, signed, as unreliably as wished.

use super::World;
use super::world::{State, instant};
use crate::model::Moment;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value as Json, json};
use sha2::Sha256;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Shopify waits this long for an answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Events in one of Klaviyo's deliveries.
const EVENTS: usize = 1_000;

/// What goes wrong on the way.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Habits {
    /// Whether deliveries overtake each other.
    pub shuffle: bool,
    /// The share of deliveries that come twice.
    pub repeat: f64,
    /// The share of deliveries that never come.
    pub drop: f64,
}

/// One delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// `shopify` or `klaviyo`.
    pub path: &'static str,
    /// Names and values.
    pub headers: Vec<(&'static str, String)>,
    /// The raw body.
    pub body: Vec<u8>,
}

/// Who delivers; the same seed and the same changes give the same deliveries.
#[derive(Debug)]
pub struct Courier {
    world: World,
    secret: String,
    habits: Habits,
    random: fastrand::Rng,
    seen: Seen,
    /// Deliveries so far.
    count: u64,
}

/// The world at the last look, as far as webhooks tell of it.
#[derive(Debug, Default)]
struct Seen {
    customers: BTreeMap<u64, Moment>,
    orders: BTreeMap<u64, Moment>,
    events: BTreeSet<String>,
}

impl Seen {
    fn of(state: &State) -> Self {
        let customers = state.shopify.customers.iter();
        let orders = state.shopify.orders.iter();
        let events = state.klaviyo.events.values().flatten();
        Self {
            customers: customers.map(|(id, one)| (*id, one.updated)).collect(),
            orders: orders.map(|(id, one)| (*id, one.updated)).collect(),
            events: events.map(|event| event.id.clone()).collect(),
        }
    }
}

impl Courier {
    /// One who signs with `secret` and delivers what changes from now on.
    pub fn new(world: World, secret: &str, habits: Habits, seed: u64) -> Self {
        let seen = Seen::of(&world.state());
        Self {
            world,
            secret: secret.to_owned(),
            habits,
            random: fastrand::Rng::with_seed(seed),
            seen,
            count: 0,
        }
    }

    /// Deliveries of everything that changed since the last look, in the order in which they arrive.
    pub fn collect(&mut self) -> Vec<Letter> {
        let now = self.world.clock.now();
        let (seen, events) = {
            let state = self.world.state();
            (Seen::of(&state), new_events(&state, &self.seen.events))
        };
        let before = std::mem::replace(&mut self.seen, seen);
        let mut changes = changes("customers", &before.customers, &self.seen.customers);
        changes.extend(changes_of_orders(&before.orders, &self.seen.orders));
        let mut letters = Vec::new();
        for (topic, body) in changes {
            letters.push(self.shopify_letter(&topic, &body));
        }
        for some in events.chunks(EVENTS) {
            letters.push(self.klaviyo_letter(some, now));
        }
        self.spoil(letters)
    }

    /// A delivery of Shopify's, signed.
    pub fn shopify_letter(&mut self, topic: &str, body: &Json) -> Letter {
        self.count += 1;
        let body = body.to_string().into_bytes();
        let signature = BASE64.encode(self.mac(&[&body]));
        let domain = self.world.state().shopify.domain.clone();
        Letter {
            path: "shopify",
            headers: vec![
                ("X-Shopify-Topic", topic.to_owned()),
                ("X-Shopify-Shop-Domain", domain),
                ("X-Shopify-API-Version", "2026-10".to_owned()),
                ("X-Shopify-Hmac-Sha256", signature),
                ("X-Shopify-Webhook-Id", format!("delivery-{}", self.count)),
                ("X-Shopify-Event-Id", format!("event-{}", self.count)),
                ("X-Shopify-Triggered-At", self.world.clock.now().to_string()),
            ],
            body,
        }
    }

    fn klaviyo_letter(&self, events: &[Json], now: Moment) -> Letter {
        let account = self.world.state().klaviyo.account.clone();
        let meta = json!({
            "timestamp": instant(now), "klaviyo_webhook_id": "hook-1",
            "klaviyo_account_id": account, "version": "2026-07-15",
        });
        let body = json!({"meta": meta, "data": events}).to_string();
        let timestamp = now.to_string();
        let signature = self.mac(&[body.as_bytes(), timestamp.as_bytes()]);
        let hex = signature.iter().map(|byte| format!("{byte:02x}"));
        Letter {
            path: "klaviyo",
            headers: vec![
                ("Klaviyo-Signature", hex.collect()),
                ("Klaviyo-Timestamp", timestamp),
                ("Klaviyo-Webhook-Id", "hook-1".to_owned()),
            ],
            body: body.into_bytes(),
        }
    }

    fn mac(&self, parts: &[&[u8]]) -> Vec<u8> {
        let key = self.secret.as_bytes();
        let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
        parts.iter().for_each(|part| mac.update(part));
        mac.finalize().into_bytes().to_vec()
    }

    fn spoil(&mut self, letters: Vec<Letter>) -> Vec<Letter> {
        let mut sent = Vec::new();
        for letter in letters {
            if self.random.f64() < self.habits.drop {
                continue;
            }
            if self.random.f64() < self.habits.repeat {
                sent.push(letter.clone());
            }
            sent.push(letter);
        }
        if self.habits.shuffle {
            self.random.shuffle(&mut sent);
        }
        sent
    }
}

/// Delivers to a base address such as `http://127.0.0.1:9181`; the status of each answer, `None` where
/// nobody answered in time.
pub async fn deliver(base: &str, letters: &[Letter]) -> Vec<Option<u16>> {
    // Whoever installs it first; loopback without TLS needs none, but the library wants one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::new();
    let mut answers = Vec::with_capacity(letters.len());
    for letter in letters {
        let mut request = client.post(format!("{base}/{}", letter.path));
        for (name, value) in &letter.headers {
            request = request.header(*name, value);
        }
        let request = request.timeout(PATIENCE).body(letter.body.clone());
        let answer = request.send().await.ok();
        answers.push(answer.map(|answer| answer.status().as_u16()));
    }
    answers
}

type Change = (String, Json);

/// Topic and body of each record that came, changed or went.
fn changes(area: &str, before: &BTreeMap<u64, Moment>, now: &BTreeMap<u64, Moment>) -> Vec<Change> {
    let body = |id: &u64, at: &Moment| json!({"id": id, "updated_at": at.to_string()});
    let mut changes = Vec::new();
    for (id, at) in now {
        match before.get(id) {
            None => changes.push((format!("{area}/create"), body(id, at))),
            Some(known) if known != at => changes.push((format!("{area}/update"), body(id, at))),
            Some(_) => {}
        }
    }
    let went = before.keys().filter(|id| !now.contains_key(id));
    changes.extend(went.map(|id| (format!("{area}/delete"), json!({ "id": id }))));
    changes
}

/// Shopify's orders are `updated`, where its customers `update`.
fn changes_of_orders(
    before: &BTreeMap<u64, Moment>,
    now: &BTreeMap<u64, Moment>,
) -> impl Iterator<Item = Change> {
    let changes = changes("orders", before, now).into_iter();
    changes.map(|(topic, body)| match topic.as_str() {
        "orders/update" => ("orders/updated".to_owned(), body),
        _ => (topic, body),
    })
}

fn new_events(state: &State, known: &BTreeSet<String>) -> Vec<Json> {
    let mut told = Vec::new();
    for (metric, events) in &state.klaviyo.events {
        let name = state.klaviyo.metrics.get(metric);
        let name = name.map_or("", |metric| metric.name.as_str());
        let topic = format!("event:klaviyo.{}", name.to_lowercase().replace(' ', "_"));
        for event in events.iter().filter(|event| !known.contains(&event.id)) {
            let profile = event.profile.as_ref();
            let profile = profile.map(|id| json!({"type": "profile", "id": id}));
            let payload = json!({"data": {
                "type": "event", "id": event.id,
                "attributes": {"timestamp": event.timestamp},
                "relationships": {"profile": {"data": profile}},
            }});
            told.push(json!({"topic": topic, "external_id": event.id, "payload": payload}));
        }
    }
    told
}
