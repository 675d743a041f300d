//! What one shop's traffic and work amount to.

use super::Metrics;
use crate::model::{Code, EffectKind, End, Moment};
use crate::policy::Guard;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
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

impl Api {
    /// The spelling in metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Klaviyo => "klaviyo",
            Self::Shopify => "shopify",
        }
    }
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

impl Outcome {
    /// The spelling in metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Throttled => "throttled",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Unreachable => "unreachable",
        }
    }
}

/// A vendor that cannot be asked, since when and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct OutOfReach {
    /// When the first request failed of which none has been answered since.
    pub since: Moment,
    /// When the last one did: a vendor that was not asked again may be there.
    pub last: Moment,
    /// It does not prove who it is, so nothing is sent to it.
    pub untrusted: bool,
}

impl OutOfReach {
    /// A network may be gone for so long without a word.
    const SILENT: Duration = Duration::from_secs(5 * 60);

    /// What an operator is told, if there is something to tell: a vendor that is not trusted at once,
    /// one that did not answer for five minutes.
    pub fn told(&self) -> Option<&'static str> {
        match self.untrusted {
            true => Some("untrusted"),
            false => (self.last >= self.since.plus(Self::SILENT)).then_some("unreachable"),
        }
    }
}

/// Sums since the meter was made.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Totals {
    /// Attempts by vendor, endpoint class and outcome.
    pub requests: BTreeMap<(Api, &'static str, Outcome), u64>,
    /// Time spent waiting for a budget, by vendor.
    pub waited: BTreeMap<Api, Duration>,
    /// Signs of life: attempts, waits, commits and ends of effects.
    pub beats: u64,
    /// No sign of life is due before this, because a long wait was announced.
    pub parked_until: Option<Moment>,
    /// Until when endpoint classes of Klaviyo's must not be asked; also of times that are over.
    pub held: BTreeMap<String, Moment>,
    /// Vendors that gave no answer to the last request.
    pub out_of_reach: BTreeMap<Api, OutOfReach>,
}

/// Counts for one shop; clones share the same counts.
#[derive(Clone, Default)]
pub struct Meter(Arc<Inner>);

#[derive(Default)]
struct Inner {
    totals: Mutex<Totals>,
    /// Where the counts are shown, and under which label.
    shown: Option<(Metrics, Arc<str>)>,
}

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Meter").field(&self.0.totals).finish()
    }
}

impl Meter {
    /// A meter whose counts also appear in the metrics, under the shop's name.
    pub fn registered(shop: &str, metrics: &Metrics) -> Self {
        let shown = Some((metrics.clone(), metrics.store(shop)));
        Self(Arc::new(Inner {
            totals: Mutex::default(),
            shown,
        }))
    }

    /// One attempt at a request of an endpoint class ended.
    pub fn exchange(&self, api: Api, class: &'static str, outcome: Outcome, took: Duration) {
        self.count(|totals| {
            *totals.requests.entry((api, class, outcome)).or_default() += 1;
            if outcome != Outcome::Unreachable {
                totals.out_of_reach.remove(&api);
            }
        });
        if let Some((metrics, store)) = &self.0.shown {
            metrics.exchange(store, api, class, outcome, took);
        }
    }

    /// A vendor gave no answer.
    pub fn out_of_reach(&self, api: Api, untrusted: bool, now: Moment) {
        self.count(|totals| {
            let since = totals
                .out_of_reach
                .get(&api)
                .map_or(now, |known| known.since);
            let known = OutOfReach {
                since,
                last: now,
                untrusted,
            };
            totals.out_of_reach.insert(api, known);
        });
    }

    /// A request got so far and no further, for that reason.
    pub fn lost(&self, api: Api, phase: &'static str, cause: &'static str) {
        if let Some((metrics, store)) = &self.0.shown {
            metrics.lost(store, api, phase, cause);
        }
    }

    /// A request waited for its budget.
    pub fn waited(&self, api: Api, _class: &'static str, span: Duration) {
        self.count(|totals| *totals.waited.entry(api).or_default() += span);
        if let Some((metrics, store)) = &self.0.shown {
            metrics.waited(store, api, span);
        }
    }

    /// A wait begins that may last longer than the watchdog's patience, such as for a daily quota.
    pub fn parked(&self, until: Moment) {
        self.count(|totals| totals.parked_until = Some(until));
    }

    /// An endpoint class of Klaviyo's must not be asked before then.
    pub fn held(&self, class: &str, until: Moment) {
        self.count(|totals| {
            let held = totals.held.entry(class.to_owned()).or_insert(until);
            *held = until.max(*held);
        });
    }

    /// Refused twice in a row, though nobody else was seen on the key.
    pub fn over_limit(&self, api: Api) {
        if let Some((metrics, store)) = &self.0.shown {
            metrics.over_limit(store, api);
        }
    }

    /// A reply should have told how much of a limit is left, and did not, or contradicted itself.
    pub fn untold(&self, api: Api) {
        if let Some((metrics, store)) = &self.0.shown {
            metrics.untold(store, api);
        }
    }

    /// So many effects of one kind reached an end.
    pub fn effects(&self, kind: EffectKind, end: End, count: u64) {
        self.beat();
        if let Some((metrics, store)) = &self.0.shown {
            metrics.effects(store, kind, end, count);
        }
    }

    /// So many effects that an earlier run left open were brought to their end.
    pub fn recovered(&self, count: u64) {
        if let Some((metrics, store)) = &self.0.shown {
            metrics.recovered(store, count);
        }
    }

    /// The mirror had to be repaired before it opened.
    pub fn repaired(&self) {
        if let Some((metrics, store)) = &self.0.shown {
            metrics.repaired(store);
        }
    }

    /// So many records could not be understood.
    pub fn quarantined(&self, count: u64) {
        if let Some((metrics, store)) = &self.0.shown {
            metrics.quarantined(store, count);
        }
    }

    /// So many records turned out to be gone upstream, shown by a `webhook` or a `sweep`.
    pub fn gone(&self, found_by: &'static str, count: u64) {
        if let Some((metrics, store)) = &self.0.shown {
            metrics.gone(store, found_by, count);
        }
    }

    /// By so many seconds our clock is ahead of Klaviyo's.
    pub fn clock_skew(&self, seconds: f64) {
        if let Some((metrics, store)) = &self.0.shown {
            metrics.clock_skew(store, seconds);
        }
    }

    /// A guard stopped a plan.
    pub fn guard_tripped(&self, guard: Guard) {
        self.beat();
        if let Some((metrics, store)) = &self.0.shown {
            metrics.guard_tripped(store, guard);
        }
    }

    /// What the last detection found; codes left out were not found.
    pub fn findings(&self, counts: &BTreeMap<Code, u64>) {
        self.beat();
        if let Some((metrics, store)) = &self.0.shown {
            metrics.findings(store, counts);
        }
    }

    /// How many records of a kind the mirror holds.
    pub fn records(&self, kind: &'static str, count: u64) {
        self.beat();
        if let Some((metrics, store)) = &self.0.shown {
            metrics.records(store, kind, count);
        }
    }

    /// A webhook delivery was heard, or turned away.
    pub fn delivery(&self, from: Api, result: &'static str) {
        if let Some((metrics, store)) = &self.0.shown {
            metrics.delivery(store, from, result);
        }
    }

    /// Something moved on; the watchdog is fed by these.
    pub fn beat(&self) {
        self.count(|_| ());
    }

    /// The sums so far.
    pub fn totals(&self) -> Totals {
        self.totals_mut().clone()
    }

    /// Signs of life so far, and until when none is due; cheaper than [`Meter::totals`].
    pub fn pulse(&self) -> (u64, Option<Moment>) {
        let totals = self.totals_mut();
        (totals.beats, totals.parked_until)
    }

    /// Vendors of whom an operator must know that they cannot be asked.
    pub fn unreached(&self) -> BTreeMap<Api, OutOfReach> {
        let mut known = self.totals_mut().out_of_reach.clone();
        known.retain(|_, one| one.told().is_some());
        known
    }

    /// Which of Klaviyo's endpoint classes must not be asked after `now`, and until when.
    pub fn holding(&self, now: Moment) -> BTreeMap<String, Moment> {
        let mut held = self.totals_mut().held.clone();
        held.retain(|_, until| *until > now);
        held
    }

    fn count(&self, change: impl FnOnce(&mut Totals)) {
        let mut totals = self.totals_mut();
        change(&mut totals);
        totals.beats += 1;
    }

    fn totals_mut(&self) -> std::sync::MutexGuard<'_, Totals> {
        self.0.totals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vendor_without_an_answer_is_told_of_after_five_minutes_and_an_untrusted_one_at_once() {
        let (meter, begun) = (Meter::default(), Moment::from_secs(1_000));
        let after = |secs| begun.plus(Duration::from_secs(secs));
        let fails = |api, untrusted, secs| {
            meter.exchange(api, "any", Outcome::Unreachable, Duration::ZERO);
            meter.out_of_reach(api, untrusted, after(secs));
        };
        fails(Api::Klaviyo, false, 0);
        fails(Api::Klaviyo, false, 200);
        // However long ago that was.
        assert!(meter.unreached().is_empty());
        fails(Api::Klaviyo, false, 300);
        let told = meter.unreached()[&Api::Klaviyo];
        assert_eq!((told.since, told.told()), (begun, Some("unreachable")));
        fails(Api::Shopify, true, 299);
        let told = meter.unreached()[&Api::Shopify];
        assert_eq!(told.told(), Some("untrusted"));
        // Whatever it says, it is there again.
        meter.exchange(Api::Klaviyo, "any", Outcome::Failed, Duration::ZERO);
        let left: Vec<Api> = meter.unreached().into_keys().collect();
        assert_eq!(left, [Api::Shopify]);
        fails(Api::Klaviyo, false, 900);
        assert_eq!(meter.totals().out_of_reach[&Api::Klaviyo].since, after(900));
    }

    #[test]
    fn everything_that_moves_on_is_a_sign_of_life() {
        let meter = Meter::default();
        meter.beat();
        meter.exchange(Api::Klaviyo, "profiles", Outcome::Ok, Duration::ZERO);
        meter.waited(Api::Klaviyo, "profiles", Duration::from_secs(2));
        meter.effects(EffectKind::ListAdd, End::Confirmed, 10);
        meter.guard_tripped(Guard::Canary);
        meter.parked(Moment(5));
        assert_eq!(meter.pulse(), (6, Some(Moment(5))));
        let totals = meter.clone().totals();
        let key = (Api::Klaviyo, "profiles", Outcome::Ok);
        assert_eq!(totals.requests, BTreeMap::from([(key, 1)]));
        let waited = BTreeMap::from([(Api::Klaviyo, Duration::from_secs(2))]);
        assert_eq!(totals.waited, waited);
    }
}
