//! Staged events become part of their timelines, in key order.
//!
//! A window of staged parts is sorted by (slot, time), share by share of its people, and merged timeline by
//! timeline; its parts go once all of it is merged. Merging the same events again changes nothing, so that a crash in
//! between costs only time.

use super::lateness::Arrivals;
use super::slots::Identity;
use super::timeline::Raw;
use super::window::{Place, Share, Window};
use super::{Mirror, MirrorError, Page};
use crate::model::{MetricId, Moment, ProfileId, Slot};
use std::collections::{BTreeMap, HashMap};

/// Larger batches gain nothing and hold readers up longer (store.md).
const TIMELINES_PER_COMMIT: usize = 1000;
/// Of staged parts, whose removal writes little.
const PARTS_PER_COMMIT: usize = 5000;

/// What a fold did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Folded {
    /// Staged events read.
    pub events: u64,
    /// Those among them that were new.
    pub added: u64,
    /// Timelines merged into, once per window.
    pub timelines: u64,
}

/// A fold under way.
struct Work<'a> {
    goes_on: &'a mut dyn FnMut(Folded) -> bool,
    folded: Folded,
}

impl Mirror {
    /// Folds all staged events into their timelines. Call it after pulling events and before
    /// reading timelines. Not while the same thread holds a page.
    pub fn fold(&self) -> Result<Folded, MirrorError> {
        self.fold_arrived(&BTreeMap::new())
    }

    /// As [`Mirror::fold`], and learns how late events arrive: of each metric given, those before its
    /// instant were asked for earlier and not there. Everything staged of these metrics must come
    /// from pulls that began after it.
    pub fn fold_arrived(
        &self,
        asked_before: &BTreeMap<MetricId, Moment>,
    ) -> Result<Folded, MirrorError> {
        self.fold_while(asked_before, |_| true)
    }

    /// As [`Mirror::fold_arrived`], as long as `goes_on` wants, which hears of what was folded before every
    /// window and after every commit. The rest is left to the next fold.
    pub fn fold_while(
        &self,
        asked_before: &BTreeMap<MetricId, Moment>,
        mut goes_on: impl FnMut(Folded) -> bool,
    ) -> Result<Folded, MirrorError> {
        let arrivals = self.arrivals(asked_before);
        let _alone = self.folding.lock();
        let mut work = Work {
            goes_on: &mut goes_on,
            folded: Folded::default(),
        };
        while work.goes_on() {
            let (window, first) = self.read_window()?;
            if window.parts.is_empty() || !self.fold_window(window, first, &arrivals, &mut work)? {
                break;
            }
        }
        Ok(work.folded)
    }

    /// Whether the window was finished.
    fn fold_window(
        &self,
        window: Window,
        first: Share,
        arrivals: &Arrivals,
        work: &mut Work<'_>,
    ) -> Result<bool, MirrorError> {
        let Some(mut page) = self.fold_share(first, arrivals, work)? else {
            return Ok(false);
        };
        for number in 1..window.shares {
            if !work.commit(page)? {
                return Ok(false);
            }
            let share = self.read_share(&window, number)?;
            let Some(last) = self.fold_share(share, arrivals, work)? else {
                return Ok(false);
            };
            page = last;
        }
        self.remove_parts(page, window.parts, work)
    }

    /// Merges the events of a share; the page with the last of them, `None` when the fold does not go on.
    fn fold_share(
        &self,
        mut share: Share,
        arrivals: &Arrivals,
        work: &mut Work<'_>,
    ) -> Result<Option<Page<'_>>, MirrorError> {
        let owners = std::mem::take(&mut share.owners);
        let Some(slots) = self.slots_of(owners, work)? else {
            return Ok(None);
        };
        let slot_of = |place: &Place| slots[place.owner as usize];
        // Of equal keys the one staged last comes last.
        share.places.sort_unstable_by_key(|place| {
            let key = (slot_of(place), place.at, place.metric, place.id);
            (key, place.from)
        });
        let mut page = self.page();
        let mut in_page = 0;
        for events in share.places.chunk_by(|a, b| a.owner == b.owner) {
            if in_page == TIMELINES_PER_COMMIT {
                if !work.commit(page)? {
                    return Ok(None);
                }
                page = self.page();
                in_page = 0;
            }
            let Some(first) = events.first() else {
                continue;
            };
            let raws = without_repeats(events, &share.tails);
            let added = page.merge_timeline(slot_of(first), &raws, arrivals)?;
            in_page += 1;
            work.folded.events += events.len() as u64;
            work.folded.added += added;
            work.folded.timelines += 1;
        }
        Ok(Some(page))
    }

    /// Removes what was merged, together with the last that a page holds; whether that was finished. What is
    /// left by a kill is merged again, so that not all of it has to go at once.
    fn remove_parts<'m>(
        &'m self,
        mut page: Page<'m>,
        parts: Vec<Vec<u8>>,
        work: &mut Work<'_>,
    ) -> Result<bool, MirrorError> {
        for (number, part) in parts.into_iter().enumerate() {
            if number > 0 && number.is_multiple_of(PARTS_PER_COMMIT) {
                if !work.commit(page)? {
                    return Ok(false);
                }
                page = self.page();
            }
            page.remove(part);
        }
        work.commit(page)
    }

    /// The slots of all owners, new ones for those never seen. Looked up here, once per owner and
    /// window and in key order, rather than for every event when it is staged. `None` when the fold does
    /// not go on.
    fn slots_of(
        &self,
        owners: HashMap<Box<str>, u32>,
        work: &mut Work<'_>,
    ) -> Result<Option<Vec<Slot>>, MirrorError> {
        let mut slots = vec![Slot(0); owners.len()];
        let mut owners: Vec<(Box<str>, u32)> = owners.into_iter().collect();
        owners.sort_unstable();
        for some in owners.chunks(TIMELINES_PER_COMMIT) {
            let mut page = self.page();
            for (id, number) in some {
                slots[*number as usize] =
                    page.slot_for(Identity::Profile(ProfileId(id.clone())))?;
            }
            if !work.commit(page)? {
                return Ok(None);
            }
        }
        Ok(Some(slots))
    }
}

impl Work<'_> {
    fn goes_on(&mut self) -> bool {
        (self.goes_on)(self.folded)
    }

    /// Commits a page; whether the fold goes on, which is asked when others may have theirs.
    fn commit(&mut self, page: Page<'_>) -> Result<bool, MirrorError> {
        page.commit()?;
        Ok(self.goes_on())
    }
}

/// The last of every key.
fn without_repeats<'a>(events: &[Place], tails: &'a [u8]) -> Vec<Raw<'a>> {
    let mut raws: Vec<Raw<'a>> = Vec::with_capacity(events.len());
    for place in events {
        let raw = place.raw(tails);
        match raws.last_mut() {
            Some(last) if last.key() == raw.key() => *last = raw,
            _ => raws.push(raw),
        }
    }
    raws
}
