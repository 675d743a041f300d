//! What a share of the people told about themselves: place, tastes, consent beyond e-mail, and what the vendor
//! predicts of buyers.

use super::chance::{between, happens, weighted};
use super::standard;
use crate::model::{DAY_MS, Moment};
use crate::sandbox::world::{Channel, ConsentSource, KlaviyoWorld, Predictions, Profile};
use fastrand::Rng;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;

/// Buyers below which the vendor predicts nothing (klaviyo.md, section 4.1).
const LEAST_BUYERS: usize = 500;

/// City, region, postal code, time zone, latitude and longitude.
type City = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    (f64, f64),
);
const CITIES: [City; 7] = [
    (
        "Portland",
        "Oregon",
        "97201",
        "America/Los_Angeles",
        (45.51, -122.68),
    ),
    (
        "Austin",
        "Texas",
        "78701",
        "America/Chicago",
        (30.27, -97.74),
    ),
    (
        "Halifax",
        "Nova Scotia",
        "B3H",
        "America/Halifax",
        (44.65, -63.58),
    ),
    ("Leeds", "England", "LS1", "Europe/London", (53.8, -1.55)),
    (
        "Leipzig",
        "Saxony",
        "04109",
        "Europe/Berlin",
        (51.34, 12.37),
    ),
    (
        "Hobart",
        "Tasmania",
        "7000",
        "Australia/Hobart",
        (-42.88, 147.33),
    ),
    (
        "Nantes",
        "Pays de la Loire",
        "44000",
        "Europe/Paris",
        (47.22, -1.55),
    ),
];
const CLUB: [(&str, u32); 3] = [("gold", 15), ("silver", 35), ("bronze", 50)];
const BREWING: [(&str, u32); 4] = [
    ("loose leaf, hot", 50),
    ("bags, hot", 30),
    ("iced, overnight", 15),
    ("iced and hot", 5),
];
const DIETS: [(&str, u32); 4] = [
    ("none", 60),
    ("vegetarian", 20),
    ("vegan", 15),
    ("fasting", 5),
];

/// Fills in the details, by chance of their own so that they change nothing else about the shop.
pub(super) fn tell(klaviyo: &mut KlaviyoWorld, seed: u64, now: Moment) {
    let mut rng = Rng::with_seed(seed ^ 0x00de_7a11);
    let orders = orders(klaviyo);
    let predicted = orders.len() >= LEAST_BUYERS;
    for (id, profile) in &mut klaviyo.profiles {
        place(profile, &mut rng);
        tastes(profile, &mut rng);
        agree(profile, &mut rng);
        if let Some(orders) = orders.get(id).filter(|_| predicted) {
            profile.predictions = Some(predict(orders, now, &mut rng));
        }
    }
}

/// Time and value of each order that Klaviyo knows of.
fn orders(klaviyo: &KlaviyoWorld) -> BTreeMap<String, Vec<(Moment, f64)>> {
    let mut orders: BTreeMap<String, Vec<(Moment, f64)>> = BTreeMap::new();
    let placed = klaviyo
        .events
        .get(&standard::metric(klaviyo, standard::ORDERED));
    for event in placed.into_iter().flatten() {
        if let Some(profile) = &event.profile {
            let value = event.properties["$value"].as_f64().unwrap_or_default();
            let order = (Moment::from_secs(event.timestamp), value);
            orders.entry(profile.clone()).or_default().push(order);
        }
    }
    orders
}

fn place(profile: &mut Profile, rng: &mut Rng) {
    let city = profile.city.as_deref();
    let known = CITIES.iter().find(|(name, ..)| Some(*name) == city);
    let told = happens(rng, 0.8);
    if let Some((_, region, zip, timezone, position)) = known.filter(|_| told) {
        profile.region = Some((*region).to_owned());
        profile.zip = Some((*zip).to_owned());
        profile.timezone = Some((*timezone).to_owned());
        profile.position = Some(*position);
    }
    let locale = match profile.country.as_deref() {
        Some("Germany") => "de-DE",
        Some("France") => "fr-FR",
        Some("United Kingdom") => "en-GB",
        _ => "en-US",
    };
    profile.locale = happens(rng, 0.6).then(|| locale.to_owned());
    let employed = happens(rng, 0.05);
    profile.organization = employed.then(|| "Brindlewick Supply".to_owned());
    profile.title = (employed && happens(rng, 0.5)).then(|| "Buyer".to_owned());
}

fn tastes(profile: &mut Profile, rng: &mut Rng) {
    let told = [
        ("Tea club", &CLUB[..], 0.5),
        ("Brewing", &BREWING[..], 0.6),
        ("Diet", &DIETS[..], 0.4),
    ];
    for (name, words, share) in told {
        let word = weighted(rng, words).copied();
        if let Some(word) = word.filter(|_| happens(rng, share)) {
            profile.properties.insert(name.to_owned(), json!(word));
        }
    }
    let interests: Vec<&str> = ["cups", "pots", "green tea", "black tea"]
        .into_iter()
        .filter(|_| happens(rng, 0.3))
        .collect();
    let birthday = Moment(rng.i64(0..10_000) * DAY_MS).date();
    let more: [(&str, Json, f64); 2] = [
        ("Interests", json!(interests), 0.3),
        ("Birthday", json!(birthday), 0.25),
    ];
    for (name, value, share) in more {
        if happens(rng, share) {
            profile.properties.insert(name.to_owned(), value);
        }
    }
}

fn agree(profile: &mut Profile, rng: &mut Rng) {
    match profile.consent {
        "SUBSCRIBED" => {
            profile.source = source("FORM", "XkT3Pq");
            profile.double_opt_in = happens(rng, 0.8).then(|| happens(rng, 0.6));
        }
        "UNSUBSCRIBED" => profile.source = source("PREFERENCE_PAGE", "shop.example/preferences"),
        _ => {}
    }
    let (created, updated) = (profile.created, profile.updated);
    let mut channel = |possible: bool, share: f64, method| {
        let asked = happens(rng, share) && possible;
        let consent = if happens(rng, 0.8) {
            "SUBSCRIBED"
        } else {
            "UNSUBSCRIBED"
        };
        let at = between(rng, created, updated);
        match asked {
            false => Channel::default(),
            true => Channel {
                consent,
                at: Some(at),
                source: source(method, "XkT3Pq"),
            },
        }
    };
    profile.sms = channel(profile.phone_number.is_some(), 0.5, "CHECKOUT");
    profile.push = channel(true, 0.1, "FORM");
    profile.whatsapp = channel(profile.phone_number.is_some(), 0.1, "FORM");
}

fn source(method: &'static str, detail: &str) -> ConsentSource {
    ConsentSource {
        method: Some(method),
        detail: Some(detail.to_owned()),
        custom_detail: None,
    }
}

fn predict(orders: &[(Moment, f64)], now: Moment, rng: &mut Rng) -> Predictions {
    let count = u32::try_from(orders.len()).unwrap_or(u32::MAX);
    let spent: f64 = orders.iter().map(|(_, value)| value).sum();
    let first = orders.first().map_or(now, |(at, _)| *at);
    let last = orders.last().map_or(now, |(at, _)| *at);
    let gap = (count > 1).then(|| (last.0 - first.0) as f64 / DAY_MS as f64 / f64::from(count - 1));
    let average = spent / f64::from(count.max(1));
    let idle = (now.0 - last.0) as f64 / DAY_MS as f64;
    let churn = idle / (idle + 3.0 * gap.unwrap_or(120.0).max(1.0));
    let expected = f64::from(count) * (1.0 - churn);
    let mut channels = ["email", "push", "sms", "whatsapp"];
    rng.shuffle(&mut channels);
    let cents = |value: f64| (value * 100.0).round() / 100.0;
    Predictions {
        historic_value: cents(spent),
        predicted_value: cents(expected * average),
        orders: count,
        predicted_orders: cents(expected),
        days_between_orders: gap.map(cents),
        average_value: cents(average),
        churn: cents(churn),
        next_order: gap.map(|days| Moment((last.day() + days as i64) * DAY_MS)),
        channels: channels.to_vec(),
    }
}
