//! Taking everything out that belongs to people who were forgotten.
//!
//! Who they are is known by their marks alone, so that a mirror out of an old backup can be treated
//! in the same way.

use super::page::Fact;
use super::shelf::{Shelf, tail_u32, text_of};
use super::slots::{CUSTOMER, GUEST, PROFILE};
use super::{Mirror, MirrorError, Page, codec};
use crate::model::{CustomerId, ListId, Order, OrderOwner, ProfileId, Slot};
use crate::vault::{Mark, Subject};
use roaring::RoaringBitmap;

impl Mirror {
    /// Removes the records, events and memberships of everybody whom the vault has forgotten; their
    /// orders become nobody's. How many records that were.
    ///
    /// Looks at every record's id when somebody was forgotten since the last time, and at none else.
    pub fn forget(&self) -> Result<u64, MirrorError> {
        let forgotten = self.vault.count_forgotten();
        let done: Option<u64> = self.store.read(&Fact::Forgotten.key())?;
        if done.unwrap_or_default() == forgotten {
            return Ok(0);
        }
        // Staged events name their profiles; in timelines they are found by slot.
        self.fold()?;
        let found = self.records_forgotten()?;
        let slots: RoaringBitmap = found.iter().map(|(_, slot)| slot.0).collect();
        let mut page = self.page();
        page.leave_groups(&slots, true)?;
        page.commit()?;
        // Their ids last: what a kill leaves is found again.
        for (key, slot) in &found {
            let mut page = self.page();
            page.forget(*slot)?;
            page.remove(key.clone());
            page.commit()?;
        }
        let mut page = self.page();
        page.put(Fact::Forgotten.key(), &forgotten);
        page.commit()?;
        Ok(found.len() as u64)
    }

    /// The keys and slots of ids whose marks are forgotten.
    fn records_forgotten(&self) -> Result<Vec<(Vec<u8>, Slot)>, MirrorError> {
        let mut found = Vec::new();
        for pair in self.store.scan(&Shelf::Ids.key(&[])) {
            let (key, payload) = pair?;
            let mark = self.mark_in(&key).ok_or_else(|| codec::bad(&key))?;
            if mark.is_some_and(|mark| self.vault.is_gone(mark)) {
                found.push((key.to_vec(), codec::decode(&key, &payload)?));
            }
        }
        Ok(found)
    }

    /// The mark of the record that a key of [`Shelf::Ids`] leads to; `Some(None)` for nobody.
    fn mark_in(&self, key: &[u8]) -> Option<Option<Mark>> {
        let (kind, id) = key.get(1..)?.split_first()?;
        let mark = match *kind {
            PROFILE => {
                let id = ProfileId::from(std::str::from_utf8(id).ok()?);
                self.vault.mark(Subject::Profile(&id))
            }
            CUSTOMER => {
                let id = u64::from_be_bytes(id.try_into().ok()?);
                self.vault.mark(Subject::Customer(CustomerId(id)))
            }
            GUEST if id.is_empty() => return Some(None),
            GUEST => Mark::from(*id.first_chunk()?),
            _ => return None,
        };
        Some(Some(mark))
    }
}

impl Page<'_> {
    /// Removes everything about a slot but the id that leads to it.
    fn forget(&mut self, slot: Slot) -> Result<(), MirrorError> {
        self.forget_orders(slot)?;
        self.forget_record(slot)?;
        self.forget_sentinel(slot)?;
        self.timer(slot, None);
        self.changed.remove(slot.0);
        self.shrink_bitmap(&Shelf::Changed.key(&[]), [slot.0])
    }

    /// What was sold stays sold; to whom is forgotten.
    fn forget_orders(&mut self, slot: Slot) -> Result<(), MirrorError> {
        for order in self.mirror.orders(slot)? {
            self.order(Order {
                owner: OrderOwner::Nobody,
                ..order
            })?;
        }
        self.remove_under(&Shelf::Orders.slot(slot))
    }

    fn forget_record(&mut self, slot: Slot) -> Result<(), MirrorError> {
        let shelves = [Shelf::Profiles, Shelf::Customers, Shelf::Timelines];
        let [profiles, customers, _] = shelves.map(|shelf| self.mirror.piece(shelf, slot));
        self.tally.profiles -= u64::from(profiles?.is_some());
        self.tally.customers -= u64::from(customers?.is_some());
        self.tally.events -= self.mirror.timeline(slot)?.events.len() as u64;
        if !self.is_gone(slot)? {
            self.count_timeline(slot, -1)?;
        }
        for shelf in shelves {
            self.remove_packed(shelf, slot)?;
        }
        let is_guest = self.mirror.store.contains(&Shelf::Guests.slot(slot))?;
        self.tally.guests -= u64::from(is_guest);
        for shelf in [Shelf::Guests, Shelf::Unseen, Shelf::Absences, Shelf::Gone] {
            self.remove(shelf.slot(slot));
        }
        Ok(())
    }

    /// Takes slots out of every segment and off every list. `upstream` tells whether they are still on
    /// those lists there.
    pub(super) fn leave_groups(
        &mut self,
        slots: &RoaringBitmap,
        upstream: bool,
    ) -> Result<(), MirrorError> {
        for key in self.mirror.membership_keys()? {
            let mut membership = self.mirror.membership(&key)?.unwrap_or_default();
            membership.inside -= slots;
            membership.unknown -= slots;
            self.membership(&key, &membership)?;
        }
        for key in self.mirror.store.keys(&Shelf::Listings.key(&[])) {
            let key = key?;
            let id = ListId::from(text_of(&key).ok_or_else(|| codec::bad(&key))?);
            self.drop_members(&id, slots, upstream)?;
        }
        for shelf in [Shelf::Disagreements, Shelf::Receipts] {
            for key in self.mirror.store.keys(&shelf.key(&[])) {
                let key = key?;
                if tail_u32(&key).is_some_and(|slot| slots.contains(slot)) {
                    self.remove(key.to_vec());
                }
            }
        }
        Ok(())
    }

    /// A sentinel that is gone would stop every pass.
    fn forget_sentinel(&mut self, slot: Slot) -> Result<(), MirrorError> {
        let Some(id) = self.mirror.profile_id(slot)? else {
            return Ok(());
        };
        let mut sentinels = self.mirror.sentinels()?;
        let before = sentinels.len();
        sentinels.retain(|sentinel| *sentinel != id);
        if sentinels.len() != before {
            self.put(Fact::Sentinels.key(), &sentinels);
        }
        Ok(())
    }
}
