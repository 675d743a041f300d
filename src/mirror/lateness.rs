//! How late the events of each metric arrive, learned from those that a walk brings although an earlier
//! one had asked for their time: they decide how far back the next walk looks.

use super::shelf::Shelf;
use super::{Mirror, MirrorError, Page};
use crate::model::{MetricId, Moment};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

const HOUR: i64 = 3_600;

/// Upper ends of the classes, in seconds. Whatever comes later is counted with the last.
const ENDS: [i64; 11] = [
    0,
    HOUR,
    2 * HOUR,
    4 * HOUR,
    8 * HOUR,
    16 * HOUR,
    24 * HOUR,
    48 * HOUR,
    96 * HOUR,
    168 * HOUR,
    240 * HOUR,
];

/// What is older than this when it arrives is no late event but an imported or a repaired one.
const LATEST: i64 = 30 * 24 * HOUR;

/// From so many events on, older ones count half: what was true a year ago need not be true now.
const ENOUGH: u64 = 100_000;

/// Fewer events than this tell nothing of the last thousandth.
const FEWEST: u64 = 1_000;

/// Of each metric number, the instant (seconds) until which a walk had asked before.
#[derive(Debug, Default)]
pub(super) struct Arrivals(BTreeMap<u16, i64>);

/// How late the events of one metric arrived: their number in each class.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lateness {
    classes: [u64; ENDS.len()],
}

impl Lateness {
    /// Events seen.
    pub fn seen(&self) -> u64 {
        self.classes.iter().sum()
    }

    /// How far behind the end of the last walk the next one must begin to find 999 of 1,000 events;
    /// `None` as long as too few were seen.
    pub fn reach(&self) -> Option<Duration> {
        let seen = self.seen();
        if seen < FEWEST {
            return None;
        }
        let mut missed = seen;
        let ends = ENDS.iter().zip(self.classes);
        let mut ends = ends.map(|(end, count)| {
            missed -= count;
            (*end, missed)
        });
        let (end, _) = ends.find(|(_, missed)| *missed * 1_000 <= seen)?;
        Some(Duration::from_secs(end.unsigned_abs()))
    }

    fn count(&mut self, late: i64) {
        let class = ENDS.iter().position(|end| late <= *end);
        if let Some(count) = self.classes.get_mut(class.unwrap_or(ENDS.len() - 1)) {
            *count += 1;
        }
    }

    fn absorb(&mut self, newer: &Self) {
        for (count, more) in self.classes.iter_mut().zip(newer.classes) {
            *count += more;
        }
        while self.seen() > ENOUGH {
            self.classes.iter_mut().for_each(|count| *count /= 2);
        }
    }
}

/// What a page learned, by metric number.
#[derive(Debug, Default)]
pub(super) struct Learned(BTreeMap<u16, Lateness>);

impl Learned {
    /// Notes new events of metrics that were asked for before.
    pub(super) fn observe(&mut self, added: &[(u16, i64)], arrivals: &Arrivals) {
        for (metric, at) in added {
            let Some(asked_before) = arrivals.0.get(metric) else {
                continue;
            };
            let late = (asked_before - at).max(0);
            if late <= LATEST {
                self.0.entry(*metric).or_default().count(late);
            }
        }
    }
}

fn key(metric: u16) -> Vec<u8> {
    Shelf::Lateness.key(&[&metric.to_be_bytes()])
}

impl Mirror {
    /// How late the events of a metric arrived so far.
    pub fn lateness(&self, metric: &MetricId) -> Result<Lateness, MirrorError> {
        let no = self.writer().names.known_metric(metric);
        let known = no.map(|no| self.store.read(&key(no.0))).transpose()?;
        Ok(known.flatten().unwrap_or_default())
    }

    pub(super) fn arrivals(&self, asked_before: &BTreeMap<MetricId, Moment>) -> Arrivals {
        let writer = self.writer();
        let known = asked_before.iter().filter_map(|(metric, at)| {
            let no = writer.names.known_metric(metric)?;
            Some((no.0, at.secs()))
        });
        Arrivals(known.collect())
    }
}

impl Page<'_> {
    /// Puts what was learned among the changes of the page.
    pub(super) fn write_lateness(&mut self) -> Result<(), MirrorError> {
        for (metric, newer) in std::mem::take(&mut self.lateness.0) {
            let key = key(metric);
            let mut known: Lateness = self.read(&key)?.unwrap_or_default();
            known.absorb(&newer);
            self.put(key, &known);
        }
        Ok(())
    }
}
