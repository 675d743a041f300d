//! What is left of a delivery once it was believed.

use crate::model::{CustomerId, OrderId, ProfileId};
use crate::vault::Mark;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;

/// A record that somebody named: it is to be fetched. The order is that on disk.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Named {
    /// A Shopify customer.
    Customer(CustomerId),
    /// A Shopify order.
    Order(OrderId),
    /// A Klaviyo profile.
    Profile(ProfileId),
}

/// What the law gives a customer or a shop. The e-mail address is kept as a mark alone, which names it
/// to the vault and to nobody else. The order of the variants is that on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Demand {
    /// `customers/redact`: a customer is to be forgotten.
    Forget(Redacted),
    /// `customers/data_request`: a customer wants to know what is held of them.
    Disclose {
        /// Shopify's number of the request.
        request: u64,
        /// Whose data.
        customer: Option<CustomerId>,
    },
    /// `shop/redact`: everything personal of the shop is to be erased.
    Erase,
}

/// Who is to be forgotten; some deliveries name the address alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redacted {
    /// Their number.
    pub customer: Option<CustomerId>,
    /// The mark of their address.
    pub address: Option<Mark>,
    /// The mark of their phone.
    pub phone: Option<Mark>,
}

/// A digest by which a notice is known again.
pub(super) type Print = [u8; 16];

/// One thing that happened upstream, as far as it is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Notice {
    /// It has come before when any of these has.
    pub prints: Vec<Print>,
    /// What to fetch.
    pub named: BTreeSet<Named>,
    /// What is demanded.
    pub demand: Option<Demand>,
}

/// A digest over parts, each after its length.
pub(super) fn print(parts: &[&str]) -> Print {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let digest = hash.finalize();
    *digest.first_chunk().expect("SHA-256 has 32 bytes")
}
