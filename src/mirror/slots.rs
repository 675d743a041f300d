//! Dense numbers: whoever is named gets one at first sight and keeps it.

use super::sealed::{Personal, id_of};
use super::shelf::Shelf;
use super::{Mirror, MirrorError, Page, codec};
use crate::model::{Customer, CustomerId, OrderOwner, Profile, ProfileId, Slot};
use crate::vault::{Subject, Vault};
use serde::{Deserialize, Serialize};

/// What a slot stands for. The order is on disk (postcard) and in the keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Identity {
    Profile(ProfileId),
    Customer(CustomerId),
    /// A lower-cased e-mail address; the empty one is nobody's.
    Guest(String),
}

/// Kind bytes in the keys of [`Shelf::Ids`].
pub(super) const PROFILE: u8 = 1;
pub(super) const CUSTOMER: u8 = 2;
pub(super) const GUEST: u8 = 3;

impl Identity {
    pub(super) fn of(owner: &OrderOwner) -> Self {
        match owner {
            OrderOwner::Customer(id) => Self::Customer(*id),
            OrderOwner::Guest(email) => Self::Guest(email.to_lowercase()),
            OrderOwner::Nobody => Self::Guest(String::new()),
        }
    }

    pub(super) fn owner(self) -> OrderOwner {
        match self {
            Self::Customer(id) => OrderOwner::Customer(id),
            Self::Guest(email) if !email.is_empty() => OrderOwner::Guest(email),
            Self::Guest(_) | Self::Profile(_) => OrderOwner::Nobody,
        }
    }

    pub(super) fn subject(&self) -> Subject<'_> {
        match self {
            Self::Profile(id) => Subject::Profile(id),
            Self::Customer(id) => Subject::Customer(*id),
            Self::Guest(email) => Subject::Address(email),
        }
    }

    /// Vendors' ids as they are, addresses as their marks; nobody's stays empty.
    fn key(&self, vault: &Vault) -> Vec<u8> {
        match self {
            Self::Profile(id) => profile_key(id),
            Self::Customer(id) => customer_key(*id),
            Self::Guest(email) if email.is_empty() => Shelf::Ids.key(&[&[GUEST]]),
            Self::Guest(_) => Shelf::Ids.key(&[&[GUEST], vault.mark(self.subject()).bytes()]),
        }
    }
}

fn profile_key(id: &ProfileId) -> Vec<u8> {
    Shelf::Ids.key(&[&[PROFILE], id.as_str().as_bytes()])
}

fn customer_key(id: CustomerId) -> Vec<u8> {
    Shelf::Ids.key(&[&[CUSTOMER], &id.0.to_be_bytes()])
}

impl Mirror {
    /// The slot of a profile, if anything ever named it.
    pub fn slot_of_profile(&self, id: &ProfileId) -> Result<Option<Slot>, MirrorError> {
        self.store.read(&profile_key(id))
    }

    /// The slot of a customer, if anything ever named it.
    pub fn slot_of_customer(&self, id: CustomerId) -> Result<Option<Slot>, MirrorError> {
        self.store.read(&customer_key(id))
    }

    /// The profiles after one, in the order of their ids, that anything ever named; so many at most.
    pub fn profiles_after(
        &self,
        after: Option<&ProfileId>,
        count: usize,
    ) -> Result<Vec<ProfileId>, MirrorError> {
        let prefix = Shelf::Ids.key(&[&[PROFILE]]);
        let after = after.map_or_else(|| prefix.clone(), profile_key);
        let keys = self.store.keys_after(&prefix, &after).take(count);
        keys.map(|key| {
            let key = key?;
            let id = key.get(prefix.len()..).map(std::str::from_utf8);
            let id = id.and_then(Result::ok).ok_or_else(|| codec::bad(&key))?;
            Ok(ProfileId::from(id))
        })
        .collect()
    }

    /// The customers after one, likewise.
    pub fn customers_after(
        &self,
        after: Option<CustomerId>,
        count: usize,
    ) -> Result<Vec<CustomerId>, MirrorError> {
        let prefix = Shelf::Ids.key(&[&[CUSTOMER]]);
        let after = after.map_or_else(|| prefix.clone(), customer_key);
        let keys = self.store.keys_after(&prefix, &after).take(count);
        keys.map(|key| {
            let key = key?;
            let number = key.get(prefix.len()..).map(<[u8; 8]>::try_from);
            let number = number
                .and_then(Result::ok)
                .ok_or_else(|| codec::bad(&key))?;
            Ok(CustomerId(u64::from_be_bytes(number)))
        })
        .collect()
    }

    /// The Klaviyo id behind a slot, whether or not the profile has arrived, or is gone.
    pub fn profile_id(&self, slot: Slot) -> Result<Option<ProfileId>, MirrorError> {
        let arrived = self.id_at_front::<Profile>(slot)?;
        match arrived {
            Some(id) => Ok(Some(id)),
            None => match self.unseen(slot)? {
                Some(Identity::Profile(id)) => Ok(Some(id)),
                _ => self.gone_profile_id(slot),
            },
        }
    }

    /// The Shopify id behind a slot, whether or not the customer has arrived, or is gone.
    pub fn customer_id(&self, slot: Slot) -> Result<Option<CustomerId>, MirrorError> {
        let arrived = self.id_at_front::<Customer>(slot)?;
        match arrived {
            Some(id) => Ok(Some(id)),
            None => match self.unseen(slot)? {
                Some(Identity::Customer(id)) => Ok(Some(id)),
                _ => self.gone_customer_id(slot),
            },
        }
    }

    /// Whose orders a slot holds, as far as it can hold any.
    pub(super) fn owner_at(&self, slot: Slot) -> Result<OrderOwner, MirrorError> {
        if let Some(id) = self.customer_id(slot)? {
            return Ok(OrderOwner::Customer(id));
        }
        let guest = self.guest(slot)?;
        Ok(Identity::Guest(guest.unwrap_or_default()).owner())
    }

    fn unseen(&self, slot: Slot) -> Result<Option<Identity>, MirrorError> {
        self.store.read(&Shelf::Unseen.slot(slot))
    }

    fn id_at_front<T: Personal>(&self, slot: Slot) -> Result<Option<T::Id>, MirrorError> {
        let payload = self.packed_payload(T::SHELF, slot)?;
        payload.map(|payload| id_of::<T>(&payload)).transpose()
    }
}

impl Page<'_> {
    /// The slot of an identity, given now if it had none. A new one counts as unseen (guests are
    /// nothing but their address, so they arrive at once).
    pub(super) fn slot_for(&mut self, identity: Identity) -> Result<Slot, MirrorError> {
        if let Some(slot) = self.known_slot(&identity)? {
            return Ok(slot);
        }
        let key = identity.key(&self.mirror.vault);
        let slot = Slot(self.next_slot);
        let next = self.next_slot.checked_add(1);
        self.next_slot = next.ok_or(MirrorError::Exhausted { what: "record" })?;
        self.put(key, &slot);
        match identity {
            Identity::Guest(email) => {
                self.tally.guests += u64::from(!email.is_empty());
                self.put_guest(slot, &email)?;
            }
            identity => self.put(Shelf::Unseen.slot(slot), &identity),
        }
        Ok(slot)
    }

    /// The slot of an identity that has one.
    pub(super) fn known_slot(&self, identity: &Identity) -> Result<Option<Slot>, MirrorError> {
        self.read(&identity.key(&self.mirror.vault))
    }

    /// The slot of a profile that something names, given now if it had none; `None` when it was
    /// forgotten.
    pub fn slot_of_profile(&mut self, id: &ProfileId) -> Result<Option<Slot>, MirrorError> {
        match self.mirror.vault.is_forgotten(Subject::Profile(id)) {
            true => Ok(None),
            false => self.slot_for(Identity::Profile(id.clone())).map(Some),
        }
    }
}
