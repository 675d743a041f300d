//! What was heard since the start, for `/status` and the metrics.

use super::signature::SignedBy;
use crate::model::Moment;
use crate::telemetry::{Api, Meter};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Why a delivery was turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// It has no signature.
    Unsigned,
    /// Its signature is not one of its body with a secret of ours.
    Forged,
    /// It is about another shop or account, or comes from another webhook than its body says.
    Foreign,
    /// It was sent too long ago to be known again, or in the future.
    Stale,
    /// Its headers or its body are not what this vendor sends.
    Malformed,
    /// It is longer than 1 MiB.
    TooLarge,
    /// It did not arrive in time, too many came at once, or it could not be written down.
    Busy,
}

impl Refusal {
    /// The spelling in metrics and `/status`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unsigned => "unsigned",
            Self::Forged => "forged",
            Self::Foreign => "foreign",
            Self::Stale => "stale",
            Self::Malformed => "malformed",
            Self::TooLarge => "too_large",
            Self::Busy => "busy",
        }
    }
}

/// What became of a delivery that was believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// It brought something new.
    Accepted,
    /// All of it had come before.
    Repeated,
    /// It names nothing that is mirrored.
    Ignored,
}

impl Heard {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Repeated => "repeated",
            Self::Ignored => "ignored",
        }
    }
}

/// Counts since the start; clones share them.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    meter: Meter,
    sources: Arc<Mutex<BTreeMap<&'static str, Source>>>,
}

#[derive(Debug, Default)]
struct Source {
    heard: BTreeMap<&'static str, u64>,
    refused: BTreeMap<&'static str, u64>,
    by_old_secret: u64,
    last: Option<Moment>,
}

impl Tally {
    pub fn new(meter: Meter) -> Self {
        let sources = Arc::default();
        Self { meter, sources }
    }

    pub fn heard(&self, from: Api, heard: Heard, by: SignedBy, now: Moment) {
        let mut sources = self.sources();
        let source = sources.entry(from.as_str()).or_default();
        *source.heard.entry(heard.as_str()).or_default() += 1;
        source.by_old_secret += u64::from(by == SignedBy::Old);
        source.last = source.last.max(Some(now));
        self.meter.delivery(from, heard.as_str());
    }

    /// Counts a refusal; how many of the kind there were.
    pub fn refused(&self, from: Api, refusal: Refusal) -> u64 {
        self.meter.delivery(from, refusal.as_str());
        let mut sources = self.sources();
        let source = sources.entry(from.as_str()).or_default();
        let count = source.refused.entry(refusal.as_str()).or_default();
        *count += 1;
        *count
    }

    pub fn status(&self) -> Json {
        let sources = self.sources();
        let sources = sources.iter().map(|(name, source)| {
            let count = |heard: Heard| source.heard.get(heard.as_str()).copied().unwrap_or(0);
            let view = json!({
                "accepted": count(Heard::Accepted),
                "repeated": count(Heard::Repeated),
                "ignored": count(Heard::Ignored),
                "refused": source.refused,
                "signed_with_old_secret": source.by_old_secret,
                "last": source.last.map(|at| at.to_string()),
            });
            ((*name).to_owned(), view)
        });
        Json::Object(sources.collect())
    }

    fn sources(&self) -> MutexGuard<'_, BTreeMap<&'static str, Source>> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
