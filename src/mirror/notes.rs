//! What the rest of the house must remember between passes.

use super::page::Fact;
use super::shelf::{Shelf, tail_u32};
use super::{Cursor, Mirror, MirrorError, Page, Stream, codec};
use crate::model::{ListId, Moment, ProfileId, Slot};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The accounts this mirror belongs to. A key of another account must not fill it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pins {
    /// Klaviyo's account id.
    pub klaviyo_account: Option<String>,
    /// The `myshopify.com` domain.
    pub shop_domain: Option<String>,
}

/// What the stored memberships rest on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evaluated {
    /// A hash of everything that was evaluated.
    pub program: [u8; 32],
    /// The moment it was evaluated for.
    pub at: Moment,
}

impl Mirror {
    /// How far a stream was pulled; `None` before its first page.
    pub fn cursor(&self, stream: &Stream) -> Result<Option<Cursor>, MirrorError> {
        self.store.read(&stream_key(Shelf::Cursors, stream))
    }

    /// Records in the last complete listing of a stream.
    pub fn complete_count(&self, stream: &Stream) -> Result<Option<u64>, MirrorError> {
        self.store.read(&stream_key(Shelf::Counts, stream))
    }

    /// The property names a stream's records were pulled with. When another one is mentioned, the
    /// stream is pulled again from its beginning.
    pub fn mentions(&self, stream: &Stream) -> Result<Option<Vec<String>>, MirrorError> {
        self.store.read(&stream_key(Shelf::Mentions, stream))
    }

    /// The accounts this mirror belongs to.
    pub fn pins(&self) -> Result<Pins, MirrorError> {
        Ok(self.store.read(&Fact::Pins.key())?.unwrap_or_default())
    }

    /// Which Klaviyo list a managed list is, by the name in the policy.
    pub fn bindings(&self) -> Result<BTreeMap<String, ListId>, MirrorError> {
        let bindings = self.store.scan_as(&Shelf::Bindings.key(&[]));
        bindings.collect()
    }

    /// When the last pass began that came to its end and was free to write.
    pub fn last_pass(&self) -> Result<Option<Moment>, MirrorError> {
        self.store.read(&Fact::LastPass.key())
    }

    /// What every stored membership was evaluated with; `None` before the first evaluation.
    pub fn evaluated(&self) -> Result<Option<Evaluated>, MirrorError> {
        self.store.read(&Fact::Evaluated.key())
    }

    /// Whether profiles, customers and orders were each read to the end once.
    pub fn is_filled(&self) -> Result<bool, MirrorError> {
        for stream in [
            Stream::KlaviyoProfiles,
            Stream::ShopifyCustomers,
            Stream::ShopifyOrders,
        ] {
            let cursor = self.cursor(&stream)?.unwrap_or_default();
            if cursor.watermark.is_none() && !cursor.done {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Profiles that must be in every complete listing (guard `sentinels`), when chosen by us.
    pub fn sentinels(&self) -> Result<Vec<ProfileId>, MirrorError> {
        Ok(self.store.read(&Fact::Sentinels.key())?.unwrap_or_default())
    }

    /// List members whose record is known to be missing, and since when (guard `two_scans`).
    pub fn absences(&self) -> Result<BTreeMap<Slot, Moment>, MirrorError> {
        let mut absences = BTreeMap::new();
        for pair in self.store.scan(&Shelf::Absences.key(&[])) {
            let (key, payload) = pair?;
            let slot = tail_u32(&key).ok_or_else(|| codec::bad(&key))?;
            absences.insert(Slot(slot), codec::decode(&key, &payload)?);
        }
        Ok(absences)
    }
}

impl Page<'_> {
    /// Sets how far a stream was pulled: up to and including this page.
    pub fn cursor(&mut self, stream: &Stream, cursor: &Cursor) {
        self.put(stream_key(Shelf::Cursors, stream), cursor);
    }

    /// Forgets how far a stream was pulled, its count and its property names.
    pub fn forget_stream(&mut self, stream: &Stream) {
        for shelf in [Shelf::Cursors, Shelf::Counts, Shelf::Mentions] {
            self.remove(stream_key(shelf, stream));
        }
    }

    /// Sets the number of records in a listing that reached its end.
    pub fn complete_count(&mut self, stream: &Stream, records: u64) {
        self.put(stream_key(Shelf::Counts, stream), &records);
    }

    /// Sets the property names a stream's records are pulled with from now on.
    pub fn mentions(&mut self, stream: &Stream, names: &[String]) {
        self.put(stream_key(Shelf::Mentions, stream), names);
    }

    /// Sets the accounts this mirror belongs to.
    pub fn pin(&mut self, pins: &Pins) {
        self.put(Fact::Pins.key(), pins);
    }

    /// Notes which Klaviyo list a managed list is.
    pub fn bind(&mut self, name: &str, list: &ListId) {
        self.put(binding_key(name), &(name, list));
    }

    /// Forgets which Klaviyo list a managed list is.
    pub fn unbind(&mut self, name: &str) {
        self.remove(binding_key(name));
    }

    /// Notes when a pass began that was free to write and has now come to its end.
    pub fn last_pass(&mut self, began: Moment) {
        self.put(Fact::LastPass.key(), &began);
    }

    /// Notes that all memberships, timers and settled marks are those of a program and a moment.
    pub fn evaluated(&mut self, program: [u8; 32], at: Moment) {
        self.put(Fact::Evaluated.key(), &Evaluated { program, at });
    }

    /// Sets the profiles that must be in every complete listing.
    pub fn sentinels(&mut self, profiles: &[ProfileId]) {
        self.put(Fact::Sentinels.key(), profiles);
    }

    /// Notes since when a list member's record is known to be missing; `None` forgets it.
    pub fn absent(&mut self, slot: Slot, since: Option<Moment>) {
        let key = Shelf::Absences.slot(slot);
        match since {
            Some(since) => self.put(key, &since),
            None => self.remove(key),
        }
    }
}

fn stream_key(shelf: Shelf, stream: &Stream) -> Vec<u8> {
    shelf.key(&[stream.to_string().as_bytes()])
}

fn binding_key(name: &str) -> Vec<u8> {
    Shelf::Bindings.key(&[name.as_bytes()])
}
