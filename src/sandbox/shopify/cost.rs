//! What a request costs (shopify.md, section 3.1), and the bucket it is paid from (section 3.2).

use super::compile::{Field, Selection};
use serde_json::{Value as Json, json};
use std::time::Duration;

/// Points one request may ask for.
pub(super) const MAX_COST: u64 = 1_000;

/// Plan Standard: size of the bucket in points.
const SIZE: f64 = 2_000.0;
/// Plan Standard: points restored each second.
const RESTORE: f64 = 100.0;

/// Types that cost nothing themselves.
const FREE: [&str; 4] = ["MoneyBag", "MoneyV2", "MailingAddress", "PageInfo"];

/// Cost of a mutation, its payload's own objects included.
const MUTATION: u64 = 10;

/// What an object of this type costs without its fields.
pub(super) fn own(type_name: &str) -> u64 {
    match type_name {
        "Count" => 10,
        name if FREE.contains(&name) => 0,
        _ => 1,
    }
}

/// What a connection multiplies the cost of one node by.
pub(super) fn factor(nodes: u64) -> u64 {
    match nodes {
        0 => 0,
        // The formula is a floor by its nature; page sizes are far below f64's exact range.
        nodes => (2.0 * (nodes.max(2) as f64).ln()).floor() as u64,
    }
}

/// The cost of a connection over so many nodes of this cost.
pub(super) fn connection(nodes: u64, each: u64) -> u64 {
    2 + factor(nodes) * each
}

/// The requested cost of a whole operation.
pub(super) fn requested(root: &str, selection: &Selection<'_>) -> u64 {
    let fields = selection.fields().iter();
    if root == "Mutation" {
        fields.map(mutation).sum()
    } else {
        fields.map(field).sum()
    }
}

/// The requested cost of one mutation: what lies directly in the payload is free.
pub(super) fn mutation(root: &Field<'_>) -> u64 {
    let payload = root.selection.fields().iter();
    let inside: u64 = payload.map(|field| children(&field.selection)).sum();
    MUTATION + inside
}

fn field(field: &Field<'_>) -> u64 {
    let Some(type_name) = field.composite() else {
        return 0;
    };
    if field.is_connection() {
        let first = field.args.get("first").and_then(Json::as_u64);
        return connection(first.unwrap_or(0), each(&field.selection));
    }
    own(type_name) + children(&field.selection)
}

/// The cost of one node of a connection.
fn each(selection: &Selection<'_>) -> u64 {
    let fields = selection.fields().iter();
    let cost = |field: &Field<'_>| match (field.name(), field.composite()) {
        ("nodes", Some(type_name)) => own(type_name) + children(&field.selection),
        ("edges", _) => children(&field.selection),
        _ => 0,
    };
    fields.map(cost).sum()
}

/// The fields of an object; of the dearest type when several may turn up.
fn children(selection: &Selection<'_>) -> u64 {
    let types = selection.by_type.values();
    let cost = |fields: &Vec<Field<'_>>| fields.iter().map(field).sum();
    types.map(cost).max().unwrap_or(0)
}

/// The leaky bucket of one app in one shop.
#[derive(Debug)]
pub(super) struct Bucket {
    available: f64,
    at: Duration,
    /// Never runs out.
    endless: bool,
}

impl Bucket {
    pub(super) fn new(now: Duration, endless: bool) -> Self {
        Self {
            available: SIZE,
            at: now,
            endless,
        }
    }

    /// Takes the requested cost out, or says no.
    pub(super) fn take(&mut self, cost: u64, now: Duration) -> bool {
        self.refill(now);
        let enough = self.available >= cost as f64;
        if enough {
            self.available -= cost as f64;
        }
        enough
    }

    /// Gives back what was taken too much.
    pub(super) fn give_back(&mut self, points: u64) {
        self.available = (self.available + points as f64).min(SIZE);
    }

    fn refill(&mut self, now: Duration) {
        let passed = now.saturating_sub(self.at).as_secs_f64();
        self.available = (self.available + passed * RESTORE).min(SIZE);
        if self.endless {
            self.available = SIZE;
        }
        self.at = self.at.max(now);
    }

    /// `extensions.cost`; `actual` is `None` when throttled.
    pub(super) fn report(&self, requested: u64, actual: Option<u64>) -> Json {
        json!({
            "requestedQueryCost": requested,
            "actualQueryCost": actual,
            "throttleStatus": {
                "maximumAvailable": SIZE,
                // Whole points, as the API shows them.
                "currentlyAvailable": self.available.floor() as u64,
                "restoreRate": RESTORE,
            },
        })
    }
}
