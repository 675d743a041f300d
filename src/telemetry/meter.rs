//! What one shop's traffic amounts to.

use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A vendor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Api {
    /// Klaviyo.
    Klaviyo,
    /// Shopify.
    Shopify,
}

/// How one attempt at a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// A useful answer.
    Ok,
    /// Told to wait.
    Throttled,
    /// Refused for good.
    Refused,
    /// The vendor's fault, worth another try.
    Failed,
    /// No answer.
    Unreachable,
}

/// Sums since the meter was made.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Totals {
    /// Attempts by vendor, endpoint class and outcome.
    pub requests: BTreeMap<(Api, &'static str, Outcome), u64>,
    /// Time spent waiting for a budget, by vendor.
    pub waited: BTreeMap<Api, Duration>,
    /// Signs of life: attempts, waits and commits.
    pub beats: u64,
}

/// Counts for one shop; clones share the same counts.
#[derive(Clone, Debug, Default)]
pub struct Meter(Arc<Mutex<Totals>>);

impl Meter {
    /// One attempt at a request of an endpoint class ended.
    pub fn exchange(&self, api: Api, class: &'static str, outcome: Outcome, _took: Duration) {
        let mut totals = self.totals_mut();
        *totals.requests.entry((api, class, outcome)).or_default() += 1;
        totals.beats += 1;
    }

    /// A request waited for its budget.
    pub fn waited(&self, api: Api, _class: &'static str, span: Duration) {
        let mut totals = self.totals_mut();
        *totals.waited.entry(api).or_default() += span;
        totals.beats += 1;
    }

    /// Something moved on; the watchdog is fed by these.
    pub fn beat(&self) {
        self.totals_mut().beats += 1;
    }

    /// The sums so far.
    pub fn totals(&self) -> Totals {
        self.totals_mut().clone()
    }

    fn totals_mut(&self) -> std::sync::MutexGuard<'_, Totals> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
