//! Records that upstream does not show any more, because they were deleted or merged there. They count
//! nowhere, but what they were is kept, sealed as before, as evidence for undoing and for whoever is to
//! be forgotten.

use super::codec;
use super::sealed::{Personal, id_of, unseal};
use super::shelf::Shelf;
use super::slots::Identity;
use super::{Mirror, MirrorError, Page};
use crate::model::{Customer, CustomerId, Moment, OrderId, Profile, ProfileId, Record, Slot};
use roaring::RoaringBitmap;
use serde::{Deserialize, Serialize};

/// A record as it lay when it went.
#[derive(Serialize, Deserialize)]
struct Kept {
    since: Moment,
    is_profile: bool,
    payload: Vec<u8>,
}

impl Mirror {
    /// Since when a record is known to be gone upstream; `None` when it is not.
    pub fn gone_since(&self, slot: Slot) -> Result<Option<Moment>, MirrorError> {
        Ok(self.kept(slot)?.map(|kept| kept.since))
    }

    /// A record that is gone upstream, as it was.
    pub fn gone_record(&self, slot: Slot) -> Result<Option<Record>, MirrorError> {
        match self.kept(slot)? {
            Some(kept) => self.record_of(&kept),
            None => Ok(None),
        }
    }

    /// Everything that is gone upstream, as it was, ascending by slot.
    pub fn gone_records(
        &self,
    ) -> impl Iterator<Item = Result<(Slot, Record), MirrorError>> + use<'_> {
        let kept = self.store.scan(&Shelf::Gone.key(&[])).map(|pair| {
            let (key, payload) = pair?;
            let slot = super::records::slot_at_end(&key)?;
            let record = self.record_of(&codec::decode(&key, &payload)?)?;
            Ok(record.map(|record| (slot, record)))
        });
        kept.filter_map(Result::transpose)
    }

    pub(super) fn gone_profile_id(&self, slot: Slot) -> Result<Option<ProfileId>, MirrorError> {
        let kept = self.kept(slot)?.filter(|kept| kept.is_profile);
        kept.map(|kept| id_of::<Profile>(&kept.payload)).transpose()
    }

    pub(super) fn gone_customer_id(&self, slot: Slot) -> Result<Option<CustomerId>, MirrorError> {
        let kept = self.kept(slot)?.filter(|kept| !kept.is_profile);
        kept.map(|kept| id_of::<Customer>(&kept.payload))
            .transpose()
    }

    fn kept(&self, slot: Slot) -> Result<Option<Kept>, MirrorError> {
        self.store.read(&Shelf::Gone.slot(slot))
    }

    /// `None` when its person was forgotten.
    fn record_of(&self, kept: &Kept) -> Result<Option<Record>, MirrorError> {
        let mut plain = Vec::new();
        let (key, keys) = ([Shelf::Gone as u8], self.vault.keys());
        let open = match kept.is_profile {
            true => unseal::<Profile>(&keys, &kept.payload, &mut plain)?,
            false => unseal::<Customer>(&keys, &kept.payload, &mut plain)?,
        };
        Ok(match (open, kept.is_profile) {
            (false, _) => None,
            (true, true) => Some(Record::Profile(codec::decode(&key, &plain)?)),
            (true, false) => Some(Record::Customer(codec::decode(&key, &plain)?)),
        })
    }
}

impl Page<'_> {
    /// Upstream shows these profiles no more: from here on they count in no segment, list or plan. What
    /// never arrived, or is gone already, stays as it is. How many went. One that arrives again counts
    /// again.
    pub fn profiles_gone(&mut self, ids: &[ProfileId], now: Moment) -> Result<u64, MirrorError> {
        let mut went = RoaringBitmap::new();
        for id in ids {
            let slot = self.known_slot(&Identity::Profile(id.clone()))?;
            if let Some(slot) = slot
                && self.went::<Profile>(slot, now)?
            {
                self.tally.profiles -= 1;
                self.timer(slot, None);
                self.changed.remove(slot.0);
                went.insert(slot.0);
            }
        }
        if !went.is_empty() {
            self.leave_groups(&went, false)?;
            self.shrink_bitmap(&Shelf::Changed.key(&[]), &went)?;
        }
        Ok(went.len())
    }

    /// The same for customers. Their orders stay in their books until they are read with their next owner.
    pub fn customers_gone(&mut self, ids: &[CustomerId], now: Moment) -> Result<u64, MirrorError> {
        let mut went = 0;
        for id in ids {
            let slot = self.known_slot(&Identity::Customer(*id))?;
            if let Some(slot) = slot
                && self.went::<Customer>(slot, now)?
            {
                self.tally.customers -= 1;
                went += 1;
            }
        }
        Ok(went)
    }

    /// Upstream shows these orders no more: they were never sold. How many there were.
    pub fn orders_gone(&mut self, ids: &[OrderId]) -> Result<u64, MirrorError> {
        let mut went = 0;
        for id in ids {
            went += u64::from(self.drop_order(*id)?);
        }
        Ok(went)
    }

    /// Takes a record that has arrived out of its place; `false` when there is none.
    fn went<T: Personal>(&mut self, slot: Slot, now: Moment) -> Result<bool, MirrorError> {
        let Some(payload) = self.packed_payload(T::SHELF, slot)? else {
            return Ok(false);
        };
        let kept = Kept {
            since: now,
            is_profile: T::SHELF == Shelf::Profiles,
            payload,
        };
        if kept.is_profile {
            self.count_timeline(slot, -1)?;
        }
        self.put(Shelf::Gone.slot(slot), &kept);
        self.remove_packed(T::SHELF, slot)?;
        Ok(true)
    }
}
