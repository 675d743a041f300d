//! Changes that become visible and durable together.

use super::days::Days;
use super::lateness::Learned;
use super::names::Names;
use super::staging::Pending;
use super::{Mirror, MirrorError, Writer, codec, shelf::Shelf, tally::Tally};
use crate::model::{Moment, Slot};
use parking_lot::MutexGuard;
use roaring::RoaringBitmap;
use serde::{Serialize, de::DeserializeOwned};
use std::collections::BTreeMap;

/// Collects the records of one page, with the cursor that stands after it. Nothing is visible to
/// readers before [`Page::commit`]; a dropped page never was.
///
/// There is one page at a time: opening a second one waits for the first, forever if the same
/// thread holds both. It is not `Send`, so that no page is held while waiting for a vendor.
pub struct Page<'m> {
    pub(super) mirror: &'m Mirror,
    pub(super) writer: MutexGuard<'m, Writer>,
    /// Version byte and payload by key; `None` removes.
    changes: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    pub(super) next_slot: u32,
    pub(super) next_staged: u64,
    pub(super) pending: Pending,
    pub(super) names: Names,
    pub(super) tally: Tally,
    /// Slots of profiles that this page changes.
    pub(super) changed: RoaringBitmap,
    /// Timers that this page sets or removes, by slot.
    pub(super) timers: BTreeMap<u32, Option<Moment>>,
    /// Events that come or go, by metric and day.
    pub(super) days: Days,
    /// How late the events came that are new with this page.
    pub(super) lateness: Learned,
}

/// A key and its payload.
type Entry = (Vec<u8>, Vec<u8>);

/// Facts: single values, one byte each.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
pub(super) enum Fact {
    NextSlot = 1,
    Tally = 2,
    Pins = 3,
    // 4 was a hash of rules, which are now released beside the mirror.
    Sentinels = 5,
    LastPass = 6,
    Evaluated = 7,
    Vault = 8,
    Forgotten = 9,
    Recounted = 10,
}

impl Fact {
    pub(super) fn key(self) -> Vec<u8> {
        Shelf::Facts.key(&[&[self as u8]])
    }
}

impl Mirror {
    /// Opens a page; see [`Page`].
    pub fn page(&self) -> Page<'_> {
        let writer = self.writer();
        Page {
            mirror: self,
            changes: BTreeMap::new(),
            next_slot: writer.next_slot,
            next_staged: writer.next_staged,
            pending: Pending::default(),
            names: Names::default(),
            tally: writer.tally,
            changed: RoaringBitmap::new(),
            timers: BTreeMap::new(),
            days: Days::default(),
            lateness: Learned::default(),
            writer,
        }
    }
}

impl Page<'_> {
    /// Writes everything at once; on `Ok` it survives a power cut.
    pub fn commit(mut self) -> Result<(), MirrorError> {
        self.write_pending();
        self.write_marks()?;
        self.write_timers()?;
        self.write_days()?;
        self.write_lateness()?;
        if self.next_slot != self.writer.next_slot {
            self.put(Fact::NextSlot.key(), &self.next_slot.clone());
        }
        if self.tally != self.writer.tally {
            self.put(Fact::Tally.key(), &self.tally.clone());
        }
        if self.changes.is_empty() {
            return Ok(());
        }
        let store = &self.mirror.store;
        let mut written = Vec::new();
        let mut batch = sled::Batch::default();
        for (key, body) in std::mem::take(&mut self.changes) {
            match body {
                Some(body) => {
                    let sealed = codec::seal(&key, body);
                    written.push((key.clone(), sealed.len()));
                    batch.insert(key, sealed);
                }
                None => batch.remove(key),
            }
        }
        store.apply(batch)?;
        self.writer.next_slot = self.next_slot;
        self.writer.next_staged = self.next_staged;
        self.writer.tally = self.tally;
        self.writer.names.absorb(std::mem::take(&mut self.names));
        // Last: whatever fails here, the page is written.
        for (key, bytes) in written {
            store.touched(&key, bytes)?;
        }
        Ok(())
    }

    pub(super) fn put<T: Serialize + ?Sized>(&mut self, key: Vec<u8>, value: &T) {
        self.put_body(key, codec::encode(value));
    }

    /// `body` begins with the version byte.
    pub(super) fn put_body(&mut self, key: Vec<u8>, body: Vec<u8>) {
        self.changes.insert(key, Some(body));
    }

    pub(super) fn remove(&mut self, key: Vec<u8>) {
        self.changes.insert(key, None);
    }

    /// Takes this page's change of one key back.
    pub(super) fn keep_as_stored(&mut self, key: &[u8]) {
        self.changes.remove(key);
    }

    /// Whether a slot was given by this very page.
    pub(super) fn is_new(&self, slot: Slot) -> bool {
        slot.0 >= self.writer.next_slot
    }

    /// Takes this page's changes of everything whose key begins so back.
    pub(super) fn forget_changes_under(&mut self, prefix: &[u8]) {
        self.changes.retain(|key, _| !key.starts_with(prefix));
    }

    /// Key and payload of everything whose key begins so, as it will be after this page; in no order.
    pub(super) fn entries(&self, prefix: &[u8]) -> Result<Vec<Entry>, MirrorError> {
        let mut entries = Vec::new();
        for pair in self.mirror.store.scan(prefix) {
            let (key, payload) = pair?;
            if !self.changes.contains_key(key.as_ref()) {
                entries.push((key.to_vec(), payload.to_vec()));
            }
        }
        let changed = self.changes.range(prefix.to_vec()..);
        for (key, body) in changed.take_while(|(key, _)| key.starts_with(prefix)) {
            if let Some(body) = body {
                let payload = codec::body_payload(key, body)?;
                entries.push((key.clone(), payload.to_vec()));
            }
        }
        Ok(entries)
    }

    /// Removes everything whose key begins so, changes of this page included.
    pub(super) fn remove_under(&mut self, prefix: &[u8]) -> Result<(), MirrorError> {
        for change in self.changes.range_mut(prefix.to_vec()..) {
            if !change.0.starts_with(prefix) {
                break;
            }
            *change.1 = None;
        }
        for key in self.mirror.store.keys(prefix) {
            self.changes.insert(key?.to_vec(), None);
        }
        Ok(())
    }

    /// A value as it will be after this page.
    pub(super) fn read<T: DeserializeOwned>(&self, key: &[u8]) -> Result<Option<T>, MirrorError> {
        match self.changes.get(key) {
            Some(Some(body)) => codec::decode(key, codec::body_payload(key, body)?).map(Some),
            Some(None) => Ok(None),
            None => self.mirror.store.read(key),
        }
    }

    /// A payload as it will be after this page.
    pub(super) fn read_payload(&self, key: &[u8]) -> Result<Option<Vec<u8>>, MirrorError> {
        match self.changes.get(key) {
            Some(Some(body)) => Ok(Some(codec::body_payload(key, body)?.to_vec())),
            Some(None) => Ok(None),
            None => Ok(self.mirror.store.get(key)?.map(|payload| payload.to_vec())),
        }
    }

    /// The entry with the greatest key from `first` to `last`, both included, as it will be after
    /// this page. The shelves it is used on never remove an entry, only replace it.
    pub(super) fn last_between<T: DeserializeOwned>(
        &self,
        first: &[u8],
        last: &[u8],
    ) -> Result<Option<(Vec<u8>, T)>, MirrorError> {
        let mut changed = self.changes.range(first.to_vec()..=last.to_vec()).rev();
        let changed = changed.find_map(|(key, body)| body.as_ref().map(|body| (key, body)));
        let stored = self.mirror.store.last_between(first, last)?;
        match (changed, stored) {
            (Some((key, _)), Some((stored, payload))) if stored.as_ref() > key.as_slice() => {
                Ok(Some((stored.to_vec(), codec::decode(&stored, &payload)?)))
            }
            (Some((key, body)), _) => {
                let value = codec::decode(key, codec::body_payload(key, body)?)?;
                Ok(Some((key.clone(), value)))
            }
            (None, Some((key, payload))) => {
                Ok(Some((key.to_vec(), codec::decode(&key, &payload)?)))
            }
            (None, None) => Ok(None),
        }
    }
}
