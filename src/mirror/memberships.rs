//! Who is in a segment by our own evaluation.

use super::shelf::Shelf;
use super::{Mirror, MirrorError, Page};
use crate::model::GroupId;
use roaring::RoaringBitmap;

/// The outcome of one definition for everybody.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Membership {
    /// Slots for which it holds.
    pub inside: RoaringBitmap,
    /// Slots for which it cannot be told.
    pub unknown: RoaringBitmap,
}

const INSIDE: u8 = 0;
const UNKNOWN: u8 = 1;

impl Mirror {
    /// The membership stored under a key; `None` when none ever was, or it was forgotten.
    pub fn membership(&self, key: &str) -> Result<Option<Membership>, MirrorError> {
        if !self.store.contains(&name_key(key))? {
            return Ok(None);
        }
        Ok(Some(Membership {
            inside: self.bitmap(&side(key, INSIDE))?,
            unknown: self.bitmap(&side(key, UNKNOWN))?,
        }))
    }

    /// The keys of all memberships, ascending.
    pub fn membership_keys(&self) -> Result<Vec<String>, MirrorError> {
        let names = Shelf::MembershipKeys.key(&[]);
        self.store.scan_as(&names).collect()
    }
}

impl Page<'_> {
    /// Replaces the membership under a key, writing only where it differs.
    pub fn membership(&mut self, key: &str, membership: &Membership) -> Result<(), MirrorError> {
        self.put(name_key(key), key);
        self.replace_bitmap(&side(key, INSIDE), &membership.inside)?;
        self.replace_bitmap(&side(key, UNKNOWN), &membership.unknown)
    }

    /// Forgets the membership under a key, and how its size moved.
    pub fn forget_membership(&mut self, key: &str) -> Result<(), MirrorError> {
        self.remove(name_key(key));
        self.forget_history(&GroupId::Evaluated(key.into()))?;
        self.remove_under(&Shelf::Memberships.under(key))
    }
}

fn name_key(key: &str) -> Vec<u8> {
    Shelf::MembershipKeys.key(&[key.as_bytes()])
}

fn side(key: &str, side: u8) -> Vec<u8> {
    let mut prefix = Shelf::Memberships.under(key);
    prefix.push(side);
    prefix
}
