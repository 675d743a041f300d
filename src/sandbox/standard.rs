//! What every account of the sandbox has: metrics, keys and ten segments in Klaviyo's definition language.

use super::ids;
use super::world::{KlaviyoWorld, List, Metric, Segment, ShopifyWorld};
use crate::model::Moment;
use fastrand::Rng;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;

pub(super) const RECEIVED: &str = "Received Email";
pub(super) const OPENED: &str = "Opened Email";
pub(super) const CLICKED: &str = "Clicked Email";
pub(super) const BOUNCED: &str = "Bounced Email";
pub(super) const DROPPED: &str = "Dropped Email";
pub(super) const COMPLAINED: &str = "Marked Email as Spam";
pub(super) const SUBSCRIBED: &str = "Subscribed to Email Marketing";
pub(super) const UNSUBSCRIBED: &str = "Unsubscribed from Email Marketing";
pub(super) const MANUALLY_SUPPRESSED: &str = "Manually Suppressed from Email Marketing";
pub(super) const ON_SITE: &str = "Active on Site";
pub(super) const VIEWED: &str = "Viewed Product";
pub(super) const CHECKOUT: &str = "Checkout Started";
pub(super) const ORDERED: &str = "Placed Order";

/// Name and integration of every metric (klaviyo.md, section 12).
const METRICS: [(&str, &str); 13] = [
    (RECEIVED, "Klaviyo"),
    (OPENED, "Klaviyo"),
    (CLICKED, "Klaviyo"),
    (BOUNCED, "Klaviyo"),
    (DROPPED, "Klaviyo"),
    (COMPLAINED, "Klaviyo"),
    (SUBSCRIBED, "Klaviyo"),
    (UNSUBSCRIBED, "Klaviyo"),
    (MANUALLY_SUPPRESSED, "Klaviyo"),
    (ON_SITE, "API"),
    (VIEWED, "API"),
    (CHECKOUT, "Shopify"),
    (ORDERED, "Shopify"),
];

/// Scopes that a daemon needs in mode `full` (klaviyo.md, section 1).
const KLAVIYO_SCOPES: [&str; 12] = [
    "accounts:read",
    "profiles:read",
    "profiles:write",
    "subscriptions:read",
    "subscriptions:write",
    "lists:read",
    "lists:write",
    "segments:read",
    "metrics:read",
    "events:read",
    "campaigns:read",
    "flows:read",
];

const SHOPIFY_SCOPES: [&str; 4] = [
    "read_customers",
    "write_customers",
    "read_orders",
    "read_all_orders",
];

/// An account with metrics and nobody in it.
pub(super) fn klaviyo(rng: &mut Rng, created: Moment) -> KlaviyoWorld {
    let mut metrics = BTreeMap::new();
    let mut events = BTreeMap::new();
    for (name, integration) in METRICS {
        let category = match integration {
            "Klaviyo" => "Internal",
            "Shopify" => "eCommerce",
            _ => "API",
        };
        let id = ids::short(rng);
        let metric = Metric {
            name: name.to_owned(),
            integration: (integration.to_owned(), category.to_owned()),
            created,
        };
        metrics.insert(id.clone(), metric);
        events.insert(id, Vec::new());
    }
    KlaviyoWorld {
        account: ids::short(rng),
        api_key: format!("pk_sandbox_{:016x}", rng.u64(..)),
        scopes: KLAVIYO_SCOPES.map(str::to_owned).to_vec(),
        metrics,
        events,
        timezone: "UTC".to_owned(),
        ..KlaviyoWorld::default()
    }
}

/// A shop with nobody in it.
pub(super) fn shopify(rng: &mut Rng) -> ShopifyWorld {
    ShopifyWorld {
        domain: "driftless-sandbox.myshopify.com".to_owned(),
        token: format!("shpat_sandbox_{:016x}", rng.u64(..)),
        client: (
            format!("{:032x}", rng.u128(..)),
            format!("shpss_sandbox_{:016x}", rng.u64(..)),
        ),
        scopes: SHOPIFY_SCOPES.map(str::to_owned).to_vec(),
        currency: "USD".to_owned(),
        timezone: "UTC".to_owned(),
        ..ShopifyWorld::default()
    }
}

/// The id of a standard metric.
pub(super) fn metric(klaviyo: &KlaviyoWorld, name: &str) -> String {
    let found = klaviyo
        .metrics
        .iter()
        .find(|(_, metric)| metric.name == name);
    found.map(|(id, _)| id.clone()).unwrap_or_default()
}

/// Adds a list; says its id.
pub(super) fn add_list(
    klaviyo: &mut KlaviyoWorld,
    rng: &mut Rng,
    name: &str,
    created: Moment,
    members: BTreeMap<String, Moment>,
) -> String {
    let id = ids::short(rng);
    let updated = members.values().copied().max().unwrap_or(created);
    let list = List {
        name: name.to_owned(),
        created,
        updated: updated.max(created),
        double_opt_in: false,
        members,
    };
    klaviyo.lists.insert(id.clone(), list);
    id
}

/// Adds the ten segments; their members are computed by a refresh.
pub(super) fn add_segments(
    klaviyo: &mut KlaviyoWorld,
    rng: &mut Rng,
    newsletter: &str,
    created: Moment,
) {
    let definitions = definitions(klaviyo, newsletter);
    for (name, groups) in definitions {
        let groups: Vec<Json> = groups
            .into_iter()
            .map(|any| json!({ "conditions": any }))
            .collect();
        let segment = Segment {
            name: name.to_owned(),
            definition: json!({ "condition_groups": groups }),
            created,
            updated: created,
            is_active: true,
            ..Segment::default()
        };
        klaviyo.segments.insert(ids::short(rng), segment);
    }
}

/// A conjunction of disjunctions.
type Groups = Vec<Vec<Json>>;

fn definitions(klaviyo: &KlaviyoWorld, newsletter: &str) -> [(&'static str, Groups); 10] {
    let of = |name: &str, measure: (&str, f64), window: Json, filters: Json| {
        json!({
            "type": "profile-metric",
            "metric_id": metric(klaviyo, name),
            "measurement": "count",
            "measurement_filter": { "type": "numeric", "operator": measure.0, "value": measure.1 },
            "timeframe_filter": window,
            "metric_filters": filters,
        })
    };
    let some = |name, window| of(name, ("greater-than", 0.0), window, Json::Null);
    let none = |name, window| of(name, ("equals", 0.0), window, Json::Null);
    let at_least =
        |name, count, window| of(name, ("greater-than-or-equal", count), window, Json::Null);
    let opened = |days| {
        let human = json!({ "type": "boolean", "operator": "equals", "value": false });
        let filters = json!([{ "property": "machine_open", "filter": human }]);
        of(OPENED, ("greater-than", 0.0), last(days), filters)
    };
    let soft = json!({ "type": "string", "operator": "equals", "value": "Soft" });
    let soft = json!([{ "property": "Bounce Type", "filter": soft }]);
    let soft_bounces = of(BOUNCED, ("greater-than-or-equal", 4.0), last(90), soft);
    let mut spent = at_least(ORDERED, 400.0, alltime());
    spent["measurement"] = json!("sum");
    let cooling = json!({
        "type": "date", "operator": "between", "unit": "day", "start": 91, "end": 180,
    });
    [
        (
            "Engaged 30 days",
            vec![
                vec![opened(30), some(CLICKED, last(30))],
                vec![reachable("any")],
            ],
        ),
        (
            "Engaged 90 days",
            vec![
                vec![opened(90), some(CLICKED, last(90))],
                vec![reachable("any")],
            ],
        ),
        (
            "Unengaged 180 days",
            vec![
                vec![at_least(RECEIVED, 5.0, alltime())],
                vec![none(OPENED, last(180))],
                vec![none(CLICKED, last(180))],
                vec![none(ORDERED, last(180))],
            ],
        ),
        (
            "Repeat buyers",
            vec![vec![at_least(ORDERED, 2.0, alltime())]],
        ),
        ("Big spenders", vec![vec![spent]]),
        (
            "Lapsed buyers",
            vec![
                vec![some(ORDERED, ago(365))],
                vec![none(ORDERED, last(365))],
            ],
        ),
        (
            "Cooling off",
            vec![vec![some(ORDERED, cooling)], vec![none(ORDERED, last(90))]],
        ),
        (
            "Looked but did not buy",
            vec![
                vec![some(ON_SITE, last(14)), some(VIEWED, last(14))],
                vec![none(ORDERED, last(30))],
            ],
        ),
        (
            "Chronic soft bounces",
            vec![vec![soft_bounces], vec![reachable("any")]],
        ),
        (
            "Newsletter readers in the United States",
            vec![
                vec![on_list(newsletter)],
                vec![american()],
                vec![reachable("subscribed")],
            ],
        ),
    ]
}

fn last(days: u32) -> Json {
    json!({ "type": "date", "operator": "in-the-last", "unit": "day", "quantity": days })
}

fn ago(days: u32) -> Json {
    json!({ "type": "date", "operator": "at-least", "unit": "day", "quantity": days })
}

fn alltime() -> Json {
    json!({ "type": "date", "operator": "alltime" })
}

fn reachable(subscription: &str) -> Json {
    json!({
        "type": "profile-marketing-consent",
        "consent": {
            "channel": "email",
            "can_receive_marketing": true,
            "consent_status": { "subscription": subscription },
        },
    })
}

fn on_list(list: &str) -> Json {
    json!({
        "type": "profile-group-membership",
        "is_member": true,
        "group_ids": [list],
        "timeframe_filter": null,
    })
}

fn american() -> Json {
    json!({
        "type": "profile-property",
        "property": "location['country']",
        "filter": { "type": "string", "operator": "equals", "value": "United States" },
    })
}
