//! Profiles, customers and guests lie sealed, each with its own key. In front stands the vendor's id,
//! which says nothing once the vendor has forgotten it, too.

use super::codec;
use super::pack::EVERYBODY;
use super::shelf::Shelf;
use super::{Mirror, MirrorError, Page};
use crate::model::{Customer, CustomerId, Profile, ProfileId, Slot};
use crate::vault::{Closed, Keys, Subject, Vault};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// A record of a person. Its first field is its id.
pub(super) trait Personal: Serialize + DeserializeOwned {
    /// Where it lies.
    const SHELF: Shelf;
    /// The vendor's id, where it lies.
    type Front<'p>: Deserialize<'p>;
    /// The vendor's id.
    type Id: for<'p> From<Self::Front<'p>>;
    /// Whose it is.
    fn subject(&self) -> Subject<'_>;
}

impl Personal for Profile {
    const SHELF: Shelf = Shelf::Profiles;
    type Front<'p> = &'p str;
    type Id = ProfileId;
    fn subject(&self) -> Subject<'_> {
        Subject::Profile(&self.id)
    }
}

impl Personal for Customer {
    const SHELF: Shelf = Shelf::Customers;
    type Front<'p> = CustomerId;
    type Id = CustomerId;
    fn subject(&self) -> Subject<'_> {
        Subject::Customer(self.id)
    }
}

/// The id in front of a sealed record, and what is behind it.
fn front<T: Personal>(payload: &[u8]) -> Result<(T::Front<'_>, &[u8]), MirrorError> {
    postcard::take_from_bytes(payload).map_err(|_| codec::bad(&[T::SHELF as u8]))
}

/// The id of a sealed record.
pub(super) fn id_of<T: Personal>(payload: &[u8]) -> Result<T::Id, MirrorError> {
    Ok(front::<T>(payload)?.0.into())
}

/// A record as a value's body, version byte first.
fn seal<T: Personal>(vault: &Vault, record: &T) -> Result<Vec<u8>, MirrorError> {
    let plain = codec::encode(record);
    let (_, rest) = front::<T>(&plain[1..])?;
    let (head, rest) = plain.split_at(plain.len() - rest.len());
    let mut body = head.to_vec();
    let mark = vault.mark(record.subject());
    vault.seal(mark, &head[1..], rest, &mut body)?;
    Ok(body)
}

/// Puts a record as it was encoded into a buffer; `false` when its person was forgotten.
pub(super) fn unseal<T: Personal>(
    keys: &Keys,
    payload: &[u8],
    out: &mut Vec<u8>,
) -> Result<bool, MirrorError> {
    out.clear();
    let (_, rest) = front::<T>(payload)?;
    let (head, rest) = payload.split_at(payload.len() - rest.len());
    out.extend_from_slice(head);
    match keys.unseal(head, rest, out) {
        Ok(()) => Ok(true),
        Err(Closed::Forgotten) => Ok(false),
        Err(Closed::Foreign) => Err(codec::bad(&[T::SHELF as u8])),
    }
}

fn decoded<T: Personal>(keys: &Keys, payload: &[u8]) -> Result<Option<T>, MirrorError> {
    let mut plain = Vec::new();
    match unseal::<T>(keys, payload, &mut plain)? {
        true => codec::decode(&[T::SHELF as u8], &plain).map(Some),
        false => Ok(None),
    }
}

/// A guest as a value's body, version byte first.
fn guest_body(vault: &Vault, email: &str) -> Result<Vec<u8>, MirrorError> {
    let mut body = vec![codec::VERSION];
    // The one that owns ownerless orders is nobody's.
    if !email.is_empty() {
        let mark = vault.mark(Subject::Address(email));
        vault.seal(mark, &[], email.as_bytes(), &mut body)?;
    }
    Ok(body)
}

fn guest_email(keys: &Keys, payload: &[u8]) -> Result<Option<String>, MirrorError> {
    let bad = || codec::bad(&[Shelf::Guests as u8]);
    let mut plain = Vec::new();
    match payload.is_empty() {
        true => return Ok(None),
        false => match keys.unseal(&[], payload, &mut plain) {
            Ok(()) => {}
            Err(Closed::Forgotten) => return Ok(None),
            Err(Closed::Foreign) => return Err(bad()),
        },
    }
    String::from_utf8(plain).map(Some).map_err(|_| bad())
}

impl Mirror {
    /// A record.
    pub(super) fn sealed<T: Personal>(&self, slot: Slot) -> Result<Option<T>, MirrorError> {
        match self.packed_payload(T::SHELF, slot)? {
            Some(payload) => decoded(&self.vault.keys(), &payload),
            None => Ok(None),
        }
    }

    /// Every record of a kind, ascending by slot.
    pub(super) fn all_sealed<T: Personal>(
        &self,
    ) -> impl Iterator<Item = Result<(Slot, T), MirrorError>> + use<T> {
        let keys = self.vault.keys();
        let pieces = self.pieces(T::SHELF, EVERYBODY).map(move |piece| {
            let (slot, payload) = piece?;
            Ok(decoded(&keys, &payload)?.map(|record| (slot, record)))
        });
        pieces.filter_map(Result::transpose)
    }

    /// The address of a guest; `None` for the slot that owns ownerless orders, and all others.
    pub(super) fn guest(&self, slot: Slot) -> Result<Option<String>, MirrorError> {
        match self.store.get(&Shelf::Guests.slot(slot))? {
            Some(payload) => guest_email(&self.vault.keys(), &payload),
            None => Ok(None),
        }
    }

    /// Every guest's address, ascending by slot.
    pub(super) fn all_guests(
        &self,
    ) -> impl Iterator<Item = Result<(Slot, String), MirrorError>> + use<> {
        let keys = self.vault.keys();
        let guests = self.store.scan(&Shelf::Guests.key(&[])).map(move |pair| {
            let (key, payload) = pair?;
            let slot = super::records::slot_at_end(&key)?;
            Ok(guest_email(&keys, &payload)?.map(|email| (slot, email)))
        });
        guests.filter_map(Result::transpose)
    }
}

impl Page<'_> {
    /// A record as it will be after this page.
    pub(super) fn read_sealed<T: Personal>(&self, slot: Slot) -> Result<Option<T>, MirrorError> {
        match self.packed_payload(T::SHELF, slot)? {
            Some(payload) => decoded(&self.mirror.vault.keys(), &payload),
            None => Ok(None),
        }
    }

    /// Stores a record.
    pub(super) fn put_sealed<T: Personal>(
        &mut self,
        slot: Slot,
        record: &T,
    ) -> Result<(), MirrorError> {
        let body = seal(&self.mirror.vault, record)?;
        self.put_packed(T::SHELF, slot, body)
    }

    pub(super) fn put_guest(&mut self, slot: Slot, email: &str) -> Result<(), MirrorError> {
        let body = guest_body(&self.mirror.vault, email)?;
        self.put_body(Shelf::Guests.slot(slot), body);
        Ok(())
    }
}
