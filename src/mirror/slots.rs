//! Dense numbers: whoever is named gets one at first sight and keeps it.

use super::shelf::Shelf;
use super::{Mirror, MirrorError, Page, codec};
use crate::model::{CustomerId, OrderOwner, ProfileId, Slot};
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

    fn key(&self) -> Vec<u8> {
        match self {
            Self::Profile(id) => profile_key(id),
            Self::Customer(id) => customer_key(*id),
            Self::Guest(email) => Shelf::Ids.key(&[&[GUEST], email.as_bytes()]),
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

    /// The Klaviyo id behind a slot, whether or not the profile has arrived.
    pub fn profile_id(&self, slot: Slot) -> Result<Option<ProfileId>, MirrorError> {
        let arrived = self.id_at_front(Shelf::Profiles, slot)?;
        match arrived {
            Some(id) => Ok(Some(id)),
            None => Ok(match self.unseen(slot)? {
                Some(Identity::Profile(id)) => Some(id),
                _ => None,
            }),
        }
    }

    /// The Shopify id behind a slot, whether or not the customer has arrived.
    pub fn customer_id(&self, slot: Slot) -> Result<Option<CustomerId>, MirrorError> {
        let arrived = self.id_at_front(Shelf::Customers, slot)?;
        match arrived {
            Some(id) => Ok(Some(id)),
            None => Ok(match self.unseen(slot)? {
                Some(Identity::Customer(id)) => Some(id),
                _ => None,
            }),
        }
    }

    /// Whose orders a slot holds, as far as it can hold any.
    pub(super) fn owner_at(&self, slot: Slot) -> Result<OrderOwner, MirrorError> {
        if let Some(id) = self.customer_id(slot)? {
            return Ok(OrderOwner::Customer(id));
        }
        let guest: Option<String> = self.store.read(&Shelf::Guests.slot(slot))?;
        Ok(Identity::Guest(guest.unwrap_or_default()).owner())
    }

    fn unseen(&self, slot: Slot) -> Result<Option<Identity>, MirrorError> {
        self.store.read(&Shelf::Unseen.slot(slot))
    }

    /// Only the id: it is the first field of profiles and customers.
    fn id_at_front<T: serde::de::DeserializeOwned>(
        &self,
        shelf: Shelf,
        slot: Slot,
    ) -> Result<Option<T>, MirrorError> {
        let Some(payload) = self.packed_payload(shelf, slot)? else {
            return Ok(None);
        };
        let id = postcard::take_from_bytes(&payload);
        let (id, _) = id.map_err(|_| codec::bad(&[shelf as u8]))?;
        Ok(Some(id))
    }
}

impl Page<'_> {
    /// The slot of an identity, given now if it had none. A new one counts as unseen (guests are
    /// nothing but their address, so they arrive at once).
    pub(super) fn slot_for(&mut self, identity: Identity) -> Result<Slot, MirrorError> {
        let key = identity.key();
        if let Some(slot) = self.read(&key)? {
            return Ok(slot);
        }
        let slot = Slot(self.next_slot);
        let next = self.next_slot.checked_add(1);
        self.next_slot = next.ok_or(MirrorError::Exhausted { what: "record" })?;
        self.put(key, &slot);
        match identity {
            Identity::Guest(email) => {
                self.tally.guests += u64::from(!email.is_empty());
                self.put(Shelf::Guests.slot(slot), &email);
            }
            identity => self.put(Shelf::Unseen.slot(slot), &identity),
        }
        Ok(slot)
    }

    /// The slot of a profile that something names, given now if it had none.
    pub fn slot_of_profile(&mut self, id: &ProfileId) -> Result<Slot, MirrorError> {
        self.slot_for(Identity::Profile(id.clone()))
    }
}
