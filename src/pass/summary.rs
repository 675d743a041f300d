//! What one pass amounted to: the numbers behind every report.

use super::Parity;
use crate::journal::{DataRequest, RunId};
use crate::model::{Code, EffectKind, End, HeldBack, Moment, Money};
use crate::plan::{ListChange, Trip};
use crate::policy::{Lock, Mode, Stage, Tier};
use crate::pull::{Freshness, Gone, Swept};
use crate::push::PushError;
use crate::score::Facts;
use crate::telemetry::{Api, Totals};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// One pass of one shop.
#[derive(Clone, Debug)]
pub struct Summary {
    /// The shop's name.
    pub shop: String,
    /// Where the plan and the findings of this pass lie, one by one.
    pub state_dir: PathBuf,
    /// The instant everything was evaluated at.
    pub now: Moment,
    /// How far the shop may be written to.
    pub mode: Mode,
    /// Nothing was to be written, whatever the mode.
    pub dry_run: bool,
    /// Records read in this pass, by stream.
    pub pulled: BTreeMap<&'static str, u64>,
    /// Records that did not fit their type and were skipped.
    pub quarantined: u64,
    /// Records that turned out to be gone upstream.
    pub gone: Gone,
    /// Milliseconds by which our clock was ahead of Klaviyo's.
    pub clock_skew_ms: i64,
    /// How far the sweeps have come, by what they look at.
    pub sweeps: BTreeMap<&'static str, Swept>,
    /// Where each kind of record stands.
    pub freshness: Vec<Freshness>,
    /// The shop's people.
    pub people: People,
    /// Findings by code.
    pub findings: BTreeMap<Code, u64>,
    /// How each of Klaviyo's segments stands beside our evaluation.
    pub parity: Vec<Parity>,
    /// Effects planned, by kind.
    pub planned: BTreeMap<EffectKind, u64>,
    /// Managed lists.
    pub lists: Vec<ListChange>,
    /// What was held back, and why.
    pub held_back: Vec<HeldBack>,
    /// What a suppression binds to; `None` when none is wanted.
    pub lock: Option<Lock>,
    /// Guards that stopped the plan.
    pub trips: Vec<Trip>,
    /// What became of the effects.
    pub effects: Effects,
    /// Why the push ended early, if it did.
    pub failure: Option<Arc<PushError>>,
    /// Customers who want to see their data and were not answered yet.
    pub data_requests: Vec<DataRequest>,
    /// Requests and waits of this pass.
    pub traffic: Traffic,
    /// Wall time.
    pub took: Duration,
}

/// The shop's people in numbers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct People {
    /// Persons.
    pub persons: u64,
    /// Klaviyo profiles.
    pub profiles: u64,
    /// Shopify customers.
    pub customers: u64,
    /// Persons with an order.
    pub buyers: u64,
    /// Persons with more than one order.
    pub repeat_buyers: u64,
    /// Orders that count.
    pub orders: u64,
    /// What was spent on them, in the shop's currency.
    pub spent: Money,
    /// Persons by lifecycle stage.
    pub stages: BTreeMap<Stage, u64>,
    /// Persons by engagement tier.
    pub tiers: BTreeMap<Tier, u64>,
}

impl People {
    /// Counts one person.
    pub fn count(&mut self, facts: &Facts) {
        self.persons += 1;
        self.buyers += u64::from(facts.orders > 0);
        self.repeat_buyers += u64::from(facts.orders > 1);
        self.orders += u64::from(facts.orders);
        self.spent += facts.spent;
        *self.stages.entry(facts.stage).or_default() += 1;
        *self.tiers.entry(facts.tier).or_default() += 1;
    }
}

/// What became of the planned effects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// Their run in the journal, if there were any.
    pub run: Option<RunId>,
    /// Ends by kind.
    pub ends: BTreeMap<(EffectKind, End), u64>,
    /// Sent, without an answer; the next pass looks before it sends again.
    pub unknown: u64,
    /// Accepted, but not true when it was read back, by kind; the next pass tries again.
    pub unkept: BTreeMap<EffectKind, u64>,
    /// Reasons of refusals, by the vendor's code.
    pub refusals: BTreeMap<String, u64>,
    /// Open intents of an earlier run that this pass brought to an end.
    pub recovered: u64,
}

impl Effects {
    /// Effects that ended so.
    pub fn ended(&self, end: End) -> u64 {
        self.ends
            .iter()
            .filter(|((_, e), _)| *e == end)
            .map(|(_, n)| n)
            .sum()
    }
}

/// Requests and waits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Attempts by vendor.
    pub requests: BTreeMap<Api, u64>,
    /// Attempts by vendor and endpoint class.
    pub by_endpoint: BTreeMap<(Api, &'static str), u64>,
    /// Attempts that were told to wait.
    pub throttled: u64,
    /// Time waited for budgets, by vendor.
    pub waited: BTreeMap<Api, Duration>,
    /// Klaviyo's endpoint classes that must not be asked, and until when.
    pub parked: BTreeMap<String, Moment>,
}

impl Traffic {
    /// What was added between two readings of a meter.
    pub fn between(before: &Totals, after: &Totals) -> Self {
        let mut traffic = Self::default();
        for ((api, endpoint, outcome), count) in &after.requests {
            let earlier = before.requests.get(&(*api, *endpoint, *outcome)).copied();
            let added = count - earlier.unwrap_or(0);
            if added > 0 {
                *traffic.requests.entry(*api).or_default() += added;
                *traffic.by_endpoint.entry((*api, *endpoint)).or_default() += added;
                if *outcome == crate::telemetry::Outcome::Throttled {
                    traffic.throttled += added;
                }
            }
        }
        for (api, span) in &after.waited {
            let earlier = before.waited.get(api).copied().unwrap_or_default();
            traffic.waited.insert(*api, span.saturating_sub(earlier));
        }
        traffic
    }
}

impl Summary {
    /// Nothing had to be done.
    pub fn is_quiet(&self) -> bool {
        self.planned.is_empty() && self.trips.is_empty()
    }

    /// One line for a status page: no person in it.
    pub fn line(&self) -> String {
        let findings: u64 = self.findings.values().sum();
        let planned: u64 = self.planned.values().sum();
        let confirmed = self.effects.ended(End::Confirmed);
        if let Some(failure) = &self.failure {
            return format!("{confirmed} of {planned} effects done, then: {failure}");
        }
        match (self.trips.first(), self.dry_run) {
            (Some(trip), false) => format!("stopped by guard {}: {}", trip.guard, trip.note),
            (_, true) => format!("{findings} findings, {planned} effects planned, dry run"),
            (None, false) if planned == 0 => format!("{findings} findings, nothing to do"),
            (None, false) => format!("{findings} findings, {confirmed} of {planned} effects done"),
        }
    }
}
