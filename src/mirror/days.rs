//! How many events there are of each metric and UTC day, so that they can be compared with what Klaviyo
//! counts.
//!
//! Kept by every commit that changes a timeline: a comparison is due every day, and a sweep over all
//! timelines would cost more than everything else in it. Days, not hours: a fill touches every day of
//! every metric at each of its commits, and hours would double what it writes. Hours are counted by a
//! sweep, for the few days that differ.
//!
//! What belongs to a profile that is gone upstream does not count: its events were deleted with it, or
//! moved to the profile it was merged into.

use super::page::Fact;
use super::shelf::{Shelf, sortable, tail_u64, unsortable};
use super::timeline;
use super::{Mirror, MirrorError, Page, codec, pack};
use crate::model::{MetricId, MetricNo, Moment, Slot};
use std::collections::BTreeMap;
use std::ops::Range;

/// Days in one value.
const SPAN: i64 = 256;

const DAY_SECS: i64 = 86_400;
const HOUR_SECS: i64 = 3_600;

/// Metric number and instant (seconds) of events that were not there before.
pub(super) type Added = Vec<(u16, i64)>;

/// Changes of the counts, by metric number and day.
#[derive(Debug, Default)]
pub(super) struct Days(BTreeMap<(u16, i64), i64>);

impl Days {
    /// Counts events in (`by` = 1) or out (-1).
    pub(super) fn add(&mut self, events: &[(u16, i64)], by: i64) {
        for (metric, at) in events {
            let day = at.div_euclid(DAY_SECS);
            *self.0.entry((*metric, day)).or_default() += by;
        }
    }
}

/// Whatever lies together in one value.
fn chunk_key(metric: u16, day: i64) -> Vec<u8> {
    let chunk = sortable(day.div_euclid(SPAN));
    Shelf::EventDays.key(&[&metric.to_be_bytes(), &chunk])
}

/// The day a value begins with.
fn first_day(key: &[u8]) -> Option<i64> {
    let chunk = tail_u64(key)?;
    unsortable(chunk.to_be_bytes()).checked_mul(SPAN)
}

impl Mirror {
    /// Events of a metric by day (since 1970, UTC), as far as there are any; of profiles that are not
    /// gone upstream, and without those still staged.
    pub fn events_by_day(
        &self,
        metric: &MetricId,
        days: Range<i64>,
    ) -> Result<BTreeMap<i64, u64>, MirrorError> {
        let mut counts = BTreeMap::new();
        let Some(no) = self.metric_no(metric) else {
            return Ok(counts);
        };
        let (first, last) = (chunk_key(no.0, days.start), chunk_key(no.0, days.end));
        for pair in self.store.between(&first, &last) {
            let (key, payload) = pair?;
            let start = first_day(&key).ok_or_else(|| codec::bad(&key))?;
            let values: Vec<u64> = codec::decode(&key, &payload)?;
            let known = (start..).zip(values);
            counts.extend(known.filter(|(day, count)| days.contains(day) && *count > 0));
        }
        Ok(counts)
    }

    /// The first day with an event of a metric.
    pub fn first_event_day(&self, metric: &MetricId) -> Result<Option<i64>, MirrorError> {
        let days = self.events_by_day(metric, i64::MIN / DAY_SECS..i64::MAX / DAY_SECS)?;
        Ok(days.into_keys().next())
    }

    /// Events by hour (since 1970, UTC) of the metrics and days given: a sweep over all timelines.
    pub fn events_by_hour(
        &self,
        wanted: &BTreeMap<MetricId, Vec<i64>>,
    ) -> Result<BTreeMap<(MetricId, i64), u64>, MirrorError> {
        let mut numbers = BTreeMap::new();
        for (metric, days) in wanted {
            if let Some(no) = self.metric_no(metric) {
                numbers.insert(no.0, (metric, days));
            }
        }
        let mut counts: BTreeMap<(u16, i64), u64> = BTreeMap::new();
        self.each_counted(|metric, at| {
            if let Some((_, days)) = numbers.get(&metric)
                && days.contains(&at.div_euclid(DAY_SECS))
            {
                let hour = at.div_euclid(HOUR_SECS);
                *counts.entry((metric, hour)).or_default() += 1;
            }
        })?;
        let named = counts.into_iter().filter_map(|((metric, hour), count)| {
            let (id, _) = numbers.get(&metric)?;
            Some((((*id).clone(), hour), count))
        });
        Ok(named.collect())
    }

    /// When the counts were last made anew from the timelines.
    pub fn recounted(&self) -> Result<Option<Moment>, MirrorError> {
        self.store.read(&Fact::Recounted.key())
    }

    /// Counts every timeline's events anew; of how many days and metrics the kept count was wrong.
    /// Not while the same thread holds a page.
    pub fn recount_events(&self, now: Moment) -> Result<u64, MirrorError> {
        let mut page = self.page();
        page.days.0 = self.wrong_days()?;
        let wrong = page.days.0.len() as u64;
        page.put(Fact::Recounted.key(), &now);
        page.commit()?;
        Ok(wrong)
    }

    /// By how much the kept counts are too low, where they are not right.
    pub(super) fn wrong_days(&self) -> Result<BTreeMap<(u16, i64), i64>, MirrorError> {
        let mut counted = Days::default();
        self.each_counted(|metric, at| counted.add(&[(metric, at)], 1))?;
        let mut wrong = counted.0;
        for pair in self.store.scan(&Shelf::EventDays.key(&[])) {
            let (key, payload) = pair?;
            let metric = key.get(1..3).and_then(|bytes| bytes.try_into().ok());
            let (metric, start) = metric
                .map(u16::from_be_bytes)
                .zip(first_day(&key))
                .ok_or_else(|| codec::bad(&key))?;
            let values: Vec<u64> = codec::decode(&key, &payload)?;
            for (day, kept) in (start..).zip(values) {
                *wrong.entry((metric, day)).or_default() -= kept.cast_signed();
            }
        }
        wrong.retain(|_, by| *by != 0);
        Ok(wrong)
    }

    /// Metric number and instant of every event that counts.
    fn each_counted(&self, mut visit: impl FnMut(u16, i64)) -> Result<(), MirrorError> {
        let (mut before, mut counts) = (None, false);
        for piece in self.pieces(Shelf::Timelines, pack::EVERYBODY) {
            let (slot, payload) = piece?;
            // A long timeline comes in several pieces.
            if before.replace(slot) != Some(slot) {
                counts = !self.store.contains(&Shelf::Gone.slot(slot))?;
            }
            if counts {
                let raws = timeline::read_chunk(&payload);
                let raws = raws.ok_or_else(|| codec::bad(&[Shelf::Timelines as u8]))?;
                raws.iter().for_each(|raw| visit(raw.metric, raw.at));
            }
        }
        Ok(())
    }

    fn metric_no(&self, metric: &MetricId) -> Option<MetricNo> {
        self.writer().names.known_metric(metric)
    }
}

impl Page<'_> {
    /// Counts all events of a slot in (`by` = 1) or out (-1). What is staged follows with its fold.
    pub(super) fn count_timeline(&mut self, slot: Slot, by: i64) -> Result<(), MirrorError> {
        let events = self.mirror.timeline(slot)?.events;
        let events: Added = events.iter().map(|one| (one.metric.0, one.at)).collect();
        self.days.add(&events, by);
        Ok(())
    }

    pub(super) fn is_gone(&self, slot: Slot) -> Result<bool, MirrorError> {
        let key = Shelf::Gone.slot(slot);
        Ok(!self.is_new(slot) && self.read_payload(&key)?.is_some())
    }

    /// Puts the changed counts among the changes of the page.
    pub(super) fn write_days(&mut self) -> Result<(), MirrorError> {
        let mut chunks: BTreeMap<Vec<u8>, Vec<u64>> = BTreeMap::new();
        for ((metric, day), by) in std::mem::take(&mut self.days.0) {
            let key = chunk_key(metric, day);
            let counts = match chunks.entry(key) {
                std::collections::btree_map::Entry::Occupied(known) => known.into_mut(),
                std::collections::btree_map::Entry::Vacant(new) => {
                    let stored = self.read(new.key())?.unwrap_or_default();
                    new.insert(stored)
                }
            };
            let place = day.rem_euclid(SPAN) as usize;
            if counts.len() <= place {
                counts.resize(place + 1, 0);
            }
            counts[place] = counts[place].saturating_add_signed(by);
        }
        chunks
            .iter()
            .for_each(|(key, counts)| self.put(key.clone(), counts));
        Ok(())
    }
}
