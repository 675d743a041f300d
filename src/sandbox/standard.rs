//! What every account of the sandbox has: metrics and keys.

use super::ids;
use super::world::{KlaviyoWorld, List, Metric, ShopifyWorld};
use crate::model::Moment;
use fastrand::Rng;
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

/// Scopes that a daemon needs in mode `full`, and that of deletions (klaviyo.md, section 1).
const KLAVIYO_SCOPES: [&str; 13] = [
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
    "data-privacy:write",
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
        members: members.into(),
    };
    klaviyo.lists.insert(id.clone(), list);
    id
}
