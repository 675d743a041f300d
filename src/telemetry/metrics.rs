//! Every metric that `/metrics` shows: name, labels and help in one table.
//!
//! The doc comment of a metric is its help text. No label holds a person, a profile or a group, and
//! at most [`Metrics::MAX_STORES`] shops get a label of their own.

use super::{Api, Outcome};
use crate::model::{Code, EffectKind, End, Moment};
use crate::policy::Guard;
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The shop as a label; shared, so that a label set costs no copy of the name.
type Store = Arc<str>;

macro_rules! labels {
    ($($name:ident { $($label:ident: $kind:ty),+ })*) => {$(
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
        struct $name { $($label: $kind),+ }
    )*};
}

labels! {
    StoreLabels { store: Store }
    ApiLabels { store: Store, api: &'static str }
    ClassLabels { store: Store, api: &'static str, class: &'static str }
    ExchangeLabels { store: Store, api: &'static str, class: &'static str, outcome: &'static str }
    LossLabels { store: Store, api: &'static str, phase: &'static str, cause: &'static str }
    EffectLabels { store: Store, kind: &'static str, end: &'static str }
    GuardLabels { store: Store, guard: &'static str }
    PassLabels { store: Store, end: &'static str }
    FindingLabels { store: Store, code: &'static str }
    DeliveryLabels { store: Store, api: &'static str, result: &'static str }
    GoneLabels { store: Store, found_by: &'static str }
    RecordLabels { store: Store, kind: &'static str }
}

/// Builds a histogram with fixed buckets; a named type, because a family names its constructor.
#[derive(Clone, Copy, Debug)]
struct Buckets(&'static [f64]);

impl MetricConstructor<Histogram> for Buckets {
    fn new_metric(&self) -> Histogram {
        Histogram::new(self.0.iter().copied())
    }
}

/// Seconds of one request: from a quick answer on the same continent to the total time limit.
const REQUEST_BUCKETS: Buckets =
    Buckets(&[0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0]);
/// Seconds of one wait: from a burst window to the rest of a day.
const WAIT_BUCKETS: Buckets = Buckets(&[
    0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 3600.0, 21600.0, 86400.0,
]);
/// Seconds of one pass: from nothing new to a first fill of a large account.
const PASS_BUCKETS: Buckets =
    Buckets(&[1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 43200.0]);

macro_rules! metrics {
    ($($(#[doc = $help:literal])+ $field:ident: $kind:ty = $make:expr, $name:literal;)*) => {
        struct Families { $($field: $kind),* }

        impl Families {
            fn register(registry: &mut Registry) -> Self {
                let families = Self { $($field: $make),* };
                $(registry.register($name, concat!($($help),+).trim(), families.$field.clone());)*
                families
            }
        }
    };
}

// A counter's name gets its `_total` and a help text its full stop from the encoder.
metrics! {
    /// Attempts at requests to a vendor by endpoint class and outcome
    exchanges: Family<ExchangeLabels, Counter> = Family::default(), "http_requests";
    /// Requests that ended without a whole answer, by how far they got and by what ended them
    losses: Family<LossLabels, Counter> = Family::default(), "http_requests_lost";
    /// Seconds that one attempt at a request took
    durations: Family<ClassLabels, Histogram, Buckets> =
        Family::new_with_constructor(REQUEST_BUCKETS), "http_request_duration_seconds";
    /// Seconds that requests waited for their budget before they were sent
    waits: Family<ApiLabels, Histogram, Buckets> =
        Family::new_with_constructor(WAIT_BUCKETS), "rate_limit_wait_seconds";
    /// Requests that the vendor told to wait
    limited: Family<ApiLabels, Counter> = Family::default(), "rate_limited";
    /// Refusals in a row with nobody else seen on the key, which must not be
    over_limit: Family<ApiLabels, Counter> = Family::default(), "over_limit";
    /// Replies whose headers on the limit were missing or contradicted each other
    untold: Family<ApiLabels, Counter> = Family::default(), "rate_headers_unusable";
    /// Intended changes upstream that reached their end, by kind and end
    effects: Family<EffectLabels, Counter> = Family::default(), "effects";
    /// Effects left open by an earlier run that a look brought to their end
    recovered: Family<StoreLabels, Counter> = Family::default(), "effects_recovered";
    /// Mirrors that had to be repaired before they opened
    repairs: Family<StoreLabels, Counter> = Family::default(), "store_repairs";
    /// Seconds by which this machine's clock is ahead of Klaviyo's
    clock_skew: Family<StoreLabels, Gauge<f64, AtomicU64>> =
        Family::default(), "clock_skew_seconds";
    /// Plans stopped by a guard before their first write
    guard_trips: Family<GuardLabels, Counter> = Family::default(), "guard_trips";
    /// Passes by how they ended
    passes: Family<PassLabels, Counter> = Family::default(), "passes";
    /// Unix time at which the last successful pass finished
    last_success: Family<StoreLabels, Gauge<f64, AtomicU64>> =
        Family::default(), "last_success_timestamp_seconds";
    /// Seconds that one pass took
    pass_durations: Family<StoreLabels, Histogram, Buckets> =
        Family::new_with_constructor(PASS_BUCKETS), "pass_duration_seconds";
    /// Findings of the last pass by code
    findings: Family<FindingLabels, Gauge> = Family::default(), "findings";
    /// Webhook deliveries by vendor and what became of them
    deliveries: Family<DeliveryLabels, Counter> = Family::default(), "webhook_deliveries";
    /// Records that could not be understood and were left out
    quarantined: Family<StoreLabels, Counter> = Family::default(), "records_quarantined";
    /// Records found deleted or merged upstream, by what showed it
    gone: Family<GoneLabels, Counter> = Family::default(), "records_gone";
    /// Records in the mirror by kind
    records: Family<RecordLabels, Gauge> = Family::default(), "mirror_records";
}

/// How a pass ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PassEnd {
    /// All of it was done.
    Ok,
    /// It stopped with an error, a guard or a refusal.
    Failed,
    /// It panicked: a bug.
    Panicked,
}

impl PassEnd {
    /// The spelling in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Panicked => "panicked",
        }
    }
}

/// The metrics of the process; clones share them.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    families: Families,
    stores: Mutex<Stores>,
}

/// Which shops have a label, and which of their gauges exist.
#[derive(Default)]
struct Stores {
    names: BTreeSet<Store>,
    record_kinds: BTreeMap<Store, BTreeSet<&'static str>>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

impl Metrics {
    /// Shops beyond this many share the label `other`, so that a scrape stays bounded.
    pub const MAX_STORES: usize = 1_000;

    /// An empty set of metrics.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("driftless");
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        // The encoder appends `_info`.
        registry.register("build", "The version that runs", Info::new(version));
        let families = Families::register(&mut registry);
        Self(Arc::new(Inner {
            registry,
            families,
            stores: Mutex::default(),
        }))
    }

    /// Everything in OpenMetrics text, ready for a scrape; the same counts give the same text.
    pub fn text(&self) -> String {
        let mut page = String::new();
        text::encode(&mut page, &self.0.registry).expect("a String takes any text");
        // The encoder walks hash maps, so the series of one metric come in any order.
        let mut lines: Vec<&str> = page.lines().collect();
        for family in lines.chunk_by_mut(|a, b| a.starts_with('#') == b.starts_with('#')) {
            if family.first().is_some_and(|line| !line.starts_with('#')) {
                family.sort_by_key(|line| series(line));
            }
        }
        lines.join("\n") + "\n"
    }

    /// A pass of a shop ended after `took`.
    pub fn pass(&self, store: &str, end: PassEnd, took: Duration, now: Moment) {
        let store = self.store(store);
        let families = &self.0.families;
        let of_store = StoreLabels {
            store: store.clone(),
        };
        let durations = families.pass_durations.get_or_create(&of_store);
        durations.observe(took.as_secs_f64());
        if end == PassEnd::Ok {
            let gauge = families.last_success.get_or_create(&of_store);
            gauge.set(now.0 as f64 / 1000.0);
        }
        let end = end.as_str();
        families
            .passes
            .get_or_create(&PassLabels { store, end })
            .inc();
    }

    /// Takes down what is shown as a shop's present state; its counters stay, as counters must.
    pub fn forget(&self, store: &str) {
        let (store, kinds) = {
            let mut stores = self.stores();
            // A shop under the shared label has no gauges of its own to take down.
            let Some(store) = stores.names.take(store) else {
                return;
            };
            let kinds = stores.record_kinds.remove(&store).unwrap_or_default();
            (store, kinds)
        };
        let families = &self.0.families;
        for kind in kinds {
            let store = store.clone();
            families.records.remove(&RecordLabels { store, kind });
        }
        for code in Code::ALL {
            let (store, code) = (store.clone(), code.as_str());
            families.findings.remove(&FindingLabels { store, code });
        }
        let of_store = StoreLabels { store };
        families.last_success.remove(&of_store);
        families.clock_skew.remove(&of_store);
    }

    /// The label of a shop: its name, or `other` when too many have one already.
    pub(super) fn store(&self, name: &str) -> Store {
        let mut stores = self.stores();
        if let Some(known) = stores.names.get(name) {
            return known.clone();
        }
        if stores.names.len() >= Self::MAX_STORES {
            return "other".into();
        }
        let store = Store::from(name);
        stores.names.insert(store.clone());
        store
    }

    pub(super) fn exchange(
        &self,
        store: &Store,
        api: Api,
        class: &'static str,
        outcome: Outcome,
        took: Duration,
    ) {
        let families = &self.0.families;
        let (store, api) = (store.clone(), api.as_str());
        if outcome == Outcome::Throttled {
            let labels = ApiLabels {
                store: store.clone(),
                api,
            };
            families.limited.get_or_create(&labels).inc();
        }
        let timed = ClassLabels {
            store: store.clone(),
            api,
            class,
        };
        let durations = families.durations.get_or_create(&timed);
        durations.observe(took.as_secs_f64());
        let counted = ExchangeLabels {
            store,
            api,
            class,
            outcome: outcome.as_str(),
        };
        families.exchanges.get_or_create(&counted).inc();
    }

    pub(super) fn lost(&self, store: &Store, api: Api, phase: &'static str, cause: &'static str) {
        let labels = LossLabels {
            store: store.clone(),
            api: api.as_str(),
            phase,
            cause,
        };
        self.0.families.losses.get_or_create(&labels).inc();
    }

    pub(super) fn waited(&self, store: &Store, api: Api, span: Duration) {
        let (store, api) = (store.clone(), api.as_str());
        let waits = &self.0.families.waits;
        let wait = waits.get_or_create(&ApiLabels { store, api });
        wait.observe(span.as_secs_f64());
    }

    pub(super) fn over_limit(&self, store: &Store, api: Api) {
        let (store, api) = (store.clone(), api.as_str());
        let over = &self.0.families.over_limit;
        over.get_or_create(&ApiLabels { store, api }).inc();
    }

    pub(super) fn untold(&self, store: &Store, api: Api) {
        let (store, api) = (store.clone(), api.as_str());
        let untold = &self.0.families.untold;
        untold.get_or_create(&ApiLabels { store, api }).inc();
    }

    pub(super) fn recovered(&self, store: &Store, count: u64) {
        let store = store.clone();
        let recovered = &self.0.families.recovered;
        recovered
            .get_or_create(&StoreLabels { store })
            .inc_by(count);
    }

    pub(super) fn repaired(&self, store: &Store) {
        let store = store.clone();
        let repairs = &self.0.families.repairs;
        repairs.get_or_create(&StoreLabels { store }).inc();
    }

    pub(super) fn quarantined(&self, store: &Store, count: u64) {
        let store = store.clone();
        let quarantined = &self.0.families.quarantined;
        quarantined
            .get_or_create(&StoreLabels { store })
            .inc_by(count);
    }

    pub(super) fn gone(&self, store: &Store, found_by: &'static str, count: u64) {
        let store = store.clone();
        let gone = &self.0.families.gone;
        gone.get_or_create(&GoneLabels { store, found_by })
            .inc_by(count);
    }

    pub(super) fn clock_skew(&self, store: &Store, seconds: f64) {
        let store = store.clone();
        let skew = &self.0.families.clock_skew;
        skew.get_or_create(&StoreLabels { store }).set(seconds);
    }

    pub(super) fn effects(&self, store: &Store, kind: EffectKind, end: End, count: u64) {
        let labels = EffectLabels {
            store: store.clone(),
            kind: kind.as_str(),
            end: end.as_str(),
        };
        let effects = &self.0.families.effects;
        effects.get_or_create(&labels).inc_by(count);
    }

    pub(super) fn guard_tripped(&self, store: &Store, guard: Guard) {
        let (store, guard) = (store.clone(), guard.as_str());
        let trips = &self.0.families.guard_trips;
        trips.get_or_create(&GuardLabels { store, guard }).inc();
    }

    pub(super) fn delivery(&self, store: &Store, api: Api, result: &'static str) {
        let (store, api) = (store.clone(), api.as_str());
        let labels = DeliveryLabels { store, api, result };
        self.0.families.deliveries.get_or_create(&labels).inc();
    }

    pub(super) fn findings(&self, store: &Store, counts: &BTreeMap<Code, u64>) {
        // Every code is shown, or one that is gone would keep its last count.
        for code in Code::ALL {
            let count = counts.get(code).copied().unwrap_or(0);
            let (store, code) = (store.clone(), code.as_str());
            let findings = &self.0.families.findings;
            let gauge = findings.get_or_create(&FindingLabels { store, code });
            gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    pub(super) fn records(&self, store: &Store, kind: &'static str, count: u64) {
        let mut stores = self.stores();
        let kinds = stores.record_kinds.entry(store.clone()).or_default();
        kinds.insert(kind);
        drop(stores);
        let store = store.clone();
        let records = &self.0.families.records;
        let gauge = records.get_or_create(&RecordLabels { store, kind });
        gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    fn stores(&self) -> std::sync::MutexGuard<'_, Stores> {
        self.0.stores.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What tells the series of one metric apart; the bounds of a histogram keep their own order.
fn series(line: &str) -> &str {
    let labels = line.split_once('{').map_or(line, |(_, labels)| labels);
    let labels = labels.rsplit_once('}').map_or(labels, |(labels, _)| labels);
    match labels
        .strip_prefix("le=\"")
        .and_then(|rest| rest.split_once("\","))
    {
        Some((_, labels)) => labels,
        None => labels,
    }
}

#[cfg(test)]
mod tests;
