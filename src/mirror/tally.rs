//! Counts that would cost a scan otherwise.

use super::{Mirror, MirrorError, page::Fact, shelf::Shelf};
use serde::{Deserialize, Serialize};

/// Kept up to date by every page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Tally {
    pub(super) profiles: u64,
    pub(super) customers: u64,
    pub(super) guests: u64,
    pub(super) orders: u64,
    pub(super) events: u64,
}

/// What the mirror holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MirrorTotals {
    /// Klaviyo profiles that have arrived.
    pub profiles: u64,
    /// Shopify customers that have arrived.
    pub customers: u64,
    /// Guest buyers.
    pub guests: u64,
    /// Orders of all owners and of nobody.
    pub orders: u64,
    /// Events in timelines; staged ones count once they are folded.
    pub events: u64,
    /// Klaviyo lists.
    pub lists: u64,
    /// Klaviyo segments.
    pub segments: u64,
}

impl Mirror {
    /// What the mirror holds, from counters kept by every commit.
    pub fn totals(&self) -> Result<MirrorTotals, MirrorError> {
        let tally: Tally = self.store.read(&Fact::Tally.key())?.unwrap_or_default();
        Ok(MirrorTotals {
            profiles: tally.profiles,
            customers: tally.customers,
            guests: tally.guests,
            orders: tally.orders,
            events: tally.events,
            lists: self.count_keys(Shelf::Lists)?,
            segments: self.count_keys(Shelf::Segments)?,
        })
    }

    fn count_keys(&self, shelf: Shelf) -> Result<u64, MirrorError> {
        let mut count = 0;
        for key in self.store.keys(&shelf.key(&[])) {
            key?;
            count += 1;
        }
        Ok(count)
    }
}
