//! Profiles, customers and guests.

use super::pack::EVERYBODY;
use super::shelf::{Shelf, tail_u32};
use super::slots::Identity;
use super::{Mirror, MirrorError, Page, codec};
use crate::model::{Customer, Dossier, Person, Profile, Record, Slot};
use crate::vault::Subject;
use roaring::RoaringBitmap;
use std::iter::Peekable;

impl Mirror {
    /// A profile that has arrived.
    pub fn profile(&self, slot: Slot) -> Result<Option<Profile>, MirrorError> {
        self.sealed(slot)
    }

    /// A customer that has arrived.
    pub fn customer(&self, slot: Slot) -> Result<Option<Customer>, MirrorError> {
        self.sealed(slot)
    }

    /// One record; `None` for a slot never given, for one whose record is gone upstream, and for the one
    /// that owns ownerless orders.
    pub fn record(&self, slot: Slot) -> Result<Option<Record>, MirrorError> {
        if let Some(profile) = self.profile(slot)? {
            return Ok(Some(Record::Profile(profile)));
        }
        if let Some(customer) = self.customer(slot)? {
            return Ok(Some(Record::Customer(customer)));
        }
        if let Some(email) = self.guest(slot)? {
            return Ok(Some(Record::Guest(email)));
        }
        let unseen = self.store.contains(&Shelf::Unseen.slot(slot))?;
        Ok(unseen.then_some(Record::Unseen))
    }

    /// The slots of all profiles that have arrived.
    pub fn known_profiles(&self) -> Result<RoaringBitmap, MirrorError> {
        let mut known = RoaringBitmap::new();
        for piece in self.pieces(Shelf::Profiles, EVERYBODY) {
            known.insert(piece?.0.0);
        }
        Ok(known)
    }

    /// All records, ascending by slot. The slot that owns ownerless orders is left out: it stands
    /// for no human. Pages committed meanwhile may or may not show, as with [`super::Subjects`].
    pub fn records(&self) -> impl Iterator<Item = Result<(Slot, Record), MirrorError>> + '_ {
        let profiles = self.all_sealed::<Profile>();
        let customers = self.all_sealed::<Customer>();
        let mut heads = [
            entries(profiles, Record::Profile),
            entries(customers, Record::Customer),
            entries(self.all_guests(), Record::Guest),
            self.unseen_records().peekable(),
        ];
        let mut failed = false;
        std::iter::from_fn(move || {
            if failed {
                return None;
            }
            let next = next_in_order(&mut heads)?;
            failed = next.is_err();
            Some(next)
        })
    }

    fn unseen_records(&self) -> Entries {
        let keys = self.store.keys(&Shelf::Unseen.key(&[]));
        Box::new(keys.map(|key| Ok((slot_at_end(&key?)?, Record::Unseen))))
    }

    /// Everything about one person: records, events in time order, orders by date of sale.
    pub fn dossier(&self, person: &Person) -> Result<Dossier, MirrorError> {
        let mut dossier = Dossier {
            id: person.id,
            profiles: Vec::new(),
            customers: Vec::new(),
            guests: Vec::new(),
            events: Vec::new(),
            orders: Vec::new(),
        };
        for &slot in &person.slots {
            match self.record(slot)? {
                Some(Record::Profile(profile)) => {
                    dossier.events.extend(self.timeline(slot)?.events);
                    dossier.profiles.push((slot, profile));
                }
                Some(Record::Customer(customer)) => {
                    dossier.orders.extend(self.orders(slot)?);
                    dossier.customers.push((slot, customer));
                }
                Some(Record::Guest(email)) => {
                    dossier.orders.extend(self.orders(slot)?);
                    dossier.guests.push(email);
                }
                Some(Record::Unseen) => {
                    dossier.events.extend(self.timeline(slot)?.events);
                    dossier.orders.extend(self.orders(slot)?);
                }
                None => {}
            }
        }
        let by_time = |event: &crate::model::Event| (event.at, event.metric, event.id);
        dossier.events.sort_by_key(by_time);
        dossier
            .orders
            .sort_by_key(|order| (order.processed, order.id));
        Ok(dossier)
    }
}

type Entry = Result<(Slot, Record), MirrorError>;
type Entries = Box<dyn Iterator<Item = Entry>>;

fn entries<T: 'static>(
    found: impl Iterator<Item = Result<(Slot, T), MirrorError>> + 'static,
    record: fn(T) -> Record,
) -> Peekable<Entries> {
    let entries = found.map(move |found| found.map(|(slot, one)| (slot, record(one))));
    let entries: Entries = Box::new(entries);
    entries.peekable()
}

pub(super) fn slot_at_end(key: &[u8]) -> Result<Slot, MirrorError> {
    tail_u32(key).map(Slot).ok_or_else(|| codec::bad(key))
}

/// The entry with the lowest slot; an error before everything else.
fn next_in_order<I: Iterator<Item = Entry>>(heads: &mut [Peekable<I>]) -> Option<Entry> {
    let slots = heads.iter_mut().enumerate().filter_map(|(index, head)| {
        let entry = head.peek()?;
        Some((entry.as_ref().ok().map(|(slot, _)| *slot), index))
    });
    let (_, first) = slots.min()?;
    heads.get_mut(first)?.next()
}

impl Page<'_> {
    /// Stores a profile unless a newer one is there; equally old replaces. Its slot; `None` when it
    /// was forgotten.
    pub fn profile(&mut self, profile: Profile) -> Result<Option<Slot>, MirrorError> {
        let identity = Identity::Profile(profile.id.clone());
        if self.is_forgotten(&identity, profile.email.as_deref())? {
            return Ok(None);
        }
        let slot = self.slot_for(identity)?;
        match self.read_sealed::<Profile>(slot)? {
            Some(stored) if stored.updated > profile.updated || stored == profile => {}
            Some(_) => {
                self.mark_changed(slot);
                self.put_sealed(slot, &profile)?;
            }
            None => {
                self.tally.profiles += 1;
                if self.is_gone(slot)? {
                    self.count_timeline(slot, 1)?;
                }
                self.arrived(slot);
                self.mark_changed(slot);
                self.put_sealed(slot, &profile)?;
            }
        }
        Ok(Some(slot))
    }

    /// Stores a customer unless a newer one is there; equally old replaces. Its slot; `None` when it
    /// was forgotten.
    pub fn customer(&mut self, customer: Customer) -> Result<Option<Slot>, MirrorError> {
        let identity = Identity::Customer(customer.id);
        if self.is_forgotten(&identity, customer.email.as_deref())? {
            return Ok(None);
        }
        let slot = self.slot_for(identity)?;
        match self.read_sealed::<Customer>(slot)? {
            Some(stored) if stored.updated > customer.updated || stored == customer => {}
            Some(_) => self.put_sealed(slot, &customer)?,
            None => {
                self.tally.customers += 1;
                self.arrived(slot);
                self.put_sealed(slot, &customer)?;
            }
        }
        Ok(Some(slot))
    }

    /// Whether a record was forgotten. One that is new here and has a forgotten address is forgotten with
    /// it: lists and events name it by its id alone.
    fn is_forgotten(&self, who: &Identity, email: Option<&str>) -> Result<bool, MirrorError> {
        let vault = &self.mirror.vault;
        if vault.is_forgotten(who.subject()) {
            return Ok(true);
        }
        let Some(address) = email.map(str::to_lowercase) else {
            return Ok(false);
        };
        let address = Subject::Address(&address);
        if !vault.is_forgotten(address) || self.has_arrived(who)? {
            return Ok(false);
        }
        let when = vault.forgotten(vault.mark(address)).unwrap_or_default();
        vault.forget(&[vault.mark(who.subject())], when)?;
        Ok(true)
    }

    fn has_arrived(&self, who: &Identity) -> Result<bool, MirrorError> {
        let Some(slot) = self.known_slot(who)? else {
            return Ok(false);
        };
        let shelf = match who {
            Identity::Customer(_) => Shelf::Customers,
            Identity::Profile(_) | Identity::Guest(_) => Shelf::Profiles,
        };
        Ok(self.piece(shelf, slot)?.is_some())
    }

    fn arrived(&mut self, slot: Slot) {
        if self.is_new(slot) {
            self.keep_as_stored(&Shelf::Unseen.slot(slot));
            return;
        }
        for shelf in [Shelf::Unseen, Shelf::Absences, Shelf::Gone] {
            self.remove(shelf.slot(slot));
        }
    }
}
