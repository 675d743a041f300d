//! Staged events become part of their timelines, in key order.
//!
//! A window of staged parts is sorted by (slot, time) and merged timeline by timeline; its parts
//! go once all of it is merged. Merging the same events again changes nothing, so that a crash in
//! between costs only time.

use super::bytes::Reader;
use super::lateness::Arrivals;
use super::shelf::Shelf;
use super::slots::Identity;
use super::staging::{lie_together, read_staged};
use super::timeline::Raw;
use super::{Mirror, MirrorError, Page, codec};
use crate::clock::Stop;
use crate::model::{MetricId, Moment, ProfileId, Slot};
use std::collections::{BTreeMap, HashMap};
use std::sync::PoisonError;

/// A window ends with its partition of owners once it is this large: smaller ones rewrite timelines more often,
/// larger ones take more memory.
const WINDOW_EVENTS: usize = 1 << 18;
/// However large a partition is, a window ends here.
const MOST_EVENTS: usize = 1 << 20;
const MOST_BYTES: usize = 64 << 20;

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

/// Staged events of one window.
#[derive(Default)]
struct Window {
    /// Keys of the parts read.
    parts: Vec<Vec<u8>>,
    /// Profiles, numbered by first sight in this window.
    owners: HashMap<ProfileId, u32>,
    places: Vec<Place>,
    tails: Vec<u8>,
}

/// Where one event's tail begins, and what it sorts by. There are a million of these: 24 bytes.
struct Place {
    at: i64,
    owner: u32,
    id: u32,
    from: u32,
    metric: u16,
}

impl Place {
    fn raw<'a>(&self, tails: &'a [u8]) -> Raw<'a> {
        let mut reader = Reader::new(&tails[self.from as usize..]);
        Raw::read(self.at, &mut reader).expect("the window copied a tail that was read whole")
    }
}

/// Asked before every commit whether the fold may make it.
struct Commits<'a>(&'a mut dyn FnMut() -> bool);

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
        self.fold_arrived_unless(asked_before, &Stop::default())
    }

    /// As [`Mirror::fold_arrived`], until it is time to stop; the next fold goes on from there.
    pub fn fold_arrived_unless(
        &self,
        asked_before: &BTreeMap<MetricId, Moment>,
        stop: &Stop,
    ) -> Result<Folded, MirrorError> {
        let unless = || !stop.is_set();
        self.fold_while(unless, &self.arrivals(asked_before))
    }

    /// As [`Mirror::fold`], giving up before the first commit that is not granted, as a crash would.
    pub(super) fn fold_while(
        &self,
        mut granted: impl FnMut() -> bool,
        arrivals: &Arrivals,
    ) -> Result<Folded, MirrorError> {
        let _alone = self.folding.lock().unwrap_or_else(PoisonError::into_inner);
        let mut commits = Commits(&mut granted);
        let mut folded = Folded::default();
        loop {
            let window = self.read_window()?;
            if window.parts.is_empty()
                || !self.fold_window(window, arrivals, &mut commits, &mut folded)?
            {
                return Ok(folded);
            }
        }
    }

    fn read_window(&self) -> Result<Window, MirrorError> {
        let mut window = Window::default();
        for pair in self.store.scan(&Shelf::Staged.key(&[])) {
            let (key, payload) = pair?;
            if window.ends_before(&key) {
                break;
            }
            let mut reader = Reader::new(&payload);
            while !reader.is_empty() {
                let (owner, raw) = read_staged(&mut reader).ok_or_else(|| codec::bad(&key))?;
                window.add(owner, &raw);
            }
            window.parts.push(key.to_vec());
        }
        Ok(window)
    }

    /// Whether the window was finished.
    fn fold_window(
        &self,
        mut window: Window,
        arrivals: &Arrivals,
        commits: &mut Commits<'_>,
        folded: &mut Folded,
    ) -> Result<bool, MirrorError> {
        let owners = std::mem::take(&mut window.owners);
        let Some(slots) = self.slots_of(owners, commits)? else {
            return Ok(false);
        };
        let slot_of = |place: &Place| slots[place.owner as usize];
        // Of equal keys the one staged last comes last.
        window.places.sort_unstable_by_key(|place| {
            let key = (slot_of(place), place.at, place.metric, place.id);
            (key, place.from)
        });
        let mut page = self.page();
        let mut in_page = 0;
        for events in window.places.chunk_by(|a, b| a.owner == b.owner) {
            if in_page == TIMELINES_PER_COMMIT {
                if !commits.spend(page)? {
                    return Ok(false);
                }
                page = self.page();
                in_page = 0;
            }
            let Some(first) = events.first() else {
                continue;
            };
            let raws = without_repeats(events, &window.tails);
            let added = page.merge_timeline(slot_of(first), &raws, arrivals)?;
            in_page += 1;
            folded.events += events.len() as u64;
            folded.added += added;
            folded.timelines += 1;
        }
        self.remove_parts(page, window.parts, commits)
    }

    /// Removes what was merged, together with the last that a page holds; whether that was finished. What is
    /// left by a kill is merged again, so that not all of it has to go at once.
    fn remove_parts<'m>(
        &'m self,
        mut page: Page<'m>,
        parts: Vec<Vec<u8>>,
        commits: &mut Commits<'_>,
    ) -> Result<bool, MirrorError> {
        for (number, part) in parts.into_iter().enumerate() {
            if number > 0 && number.is_multiple_of(PARTS_PER_COMMIT) {
                if !commits.spend(page)? {
                    return Ok(false);
                }
                page = self.page();
            }
            page.remove(part);
        }
        commits.spend(page)
    }

    /// The slots of all owners, new ones for those never seen. Looked up here, once per owner and
    /// window and in key order, rather than for every event when it is staged. `None` when the
    /// commit is not granted.
    fn slots_of(
        &self,
        owners: HashMap<ProfileId, u32>,
        commits: &mut Commits<'_>,
    ) -> Result<Option<Vec<Slot>>, MirrorError> {
        let mut slots = vec![Slot(0); owners.len()];
        let mut owners: Vec<(ProfileId, u32)> = owners.into_iter().collect();
        owners.sort_unstable();
        let mut page = self.page();
        let mut given = page.next_slot;
        for (id, number) in owners {
            slots[number as usize] = page.slot_for(Identity::Profile(id))?;
            if (page.next_slot - given) as usize >= TIMELINES_PER_COMMIT {
                if !commits.spend(page)? {
                    return Ok(None);
                }
                page = self.page();
                given = page.next_slot;
            }
        }
        let unfinished = page.next_slot != given;
        if unfinished && !commits.spend(page)? {
            return Ok(None);
        }
        Ok(Some(slots))
    }
}

impl Window {
    /// Whether the staged part of a key belongs to the next window.
    fn ends_before(&self, key: &[u8]) -> bool {
        let Some(last) = self.parts.last() else {
            return false;
        };
        let full = self.places.len() >= MOST_EVENTS || self.tails.len() >= MOST_BYTES;
        full || (self.places.len() >= WINDOW_EVENTS && !lie_together(last, key))
    }

    fn add(&mut self, owner: &str, raw: &Raw<'_>) {
        // Both stay far below 2^32: a window ends at 2^20 events or 2^26 bytes, and one part.
        let next = self.owners.len() as u32;
        let from = self.tails.len() as u32;
        let owner = *self.owners.entry(owner.into()).or_insert(next);
        self.tails.extend_from_slice(raw.tail);
        self.places.push(Place {
            at: raw.at,
            owner,
            id: raw.id,
            from,
            metric: raw.metric,
        });
    }
}

impl Commits<'_> {
    /// Commits, unless that is not granted; then the page is dropped.
    fn spend(&mut self, page: Page<'_>) -> Result<bool, MirrorError> {
        let granted = (self.0)();
        if granted {
            page.commit()?;
        }
        Ok(granted)
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
