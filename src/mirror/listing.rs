//! Members of lists. A listing arrives page by page and becomes valid as a whole, or never.

use super::shelf::{Shelf, tail_u32};
use super::{Mirror, MirrorError, Page, codec};
use crate::model::{ListId, Member, Moment, Slot};
use roaring::RoaringBitmap;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Klaviyo may go on showing the old members of a list for a while after a change (klaviyo.md,
/// section 14); so long our own receipt is believed over a listing.
pub const LIST_LAG: Duration = Duration::from_secs(15 * 60);

/// Which members are valid, and which are on their way. The generations' members lie apart.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Listing {
    complete: Option<Generation>,
    arriving: Option<Generation>,
    next: u32,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Generation {
    no: u32,
    begun: Moment,
    size: u64,
}

/// Our own last write about one member.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Written {
    on: bool,
    at: Moment,
}

/// A finished listing beside the one it replaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Members of the complete listing before; `None` when this is the first.
    pub before: Option<u64>,
    /// Members now.
    pub after: u64,
}

impl Mirror {
    /// The members by the last complete listing, with our own later or very recent writes on top;
    /// `None` while no listing was ever complete.
    pub fn members(&self, id: &ListId, now: Moment) -> Result<Option<RoaringBitmap>, MirrorError> {
        let Some((generation, mut members)) = self.listed(id)? else {
            return Ok(None);
        };
        for pair in self.store.scan(&Shelf::Receipts.under(id.as_str())) {
            let (key, payload) = pair?;
            let slot = tail_u32(&key).ok_or_else(|| codec::bad(&key))?;
            let written: Written = codec::decode(&key, &payload)?;
            let recent = now.since(written.at) < LIST_LAG;
            if recent || written.at > generation.begun {
                match written.on {
                    true => members.insert(slot),
                    false => members.remove(slot),
                };
            }
        }
        Ok(Some(members))
    }

    /// When the last complete listing began: what is absent from it was absent then.
    pub fn listed_at(&self, id: &ListId) -> Result<Option<Moment>, MirrorError> {
        let listing: Option<Listing> = self.store.read(&Shelf::Listings.under(id.as_str()))?;
        Ok(listing
            .and_then(|listing| listing.complete)
            .map(|complete| complete.begun))
    }

    /// The members by the last complete listing alone.
    pub(super) fn listed_members(&self, id: &ListId) -> Result<RoaringBitmap, MirrorError> {
        Ok(self
            .listed(id)?
            .map(|(_, members)| members)
            .unwrap_or_default())
    }

    fn listed(&self, id: &ListId) -> Result<Option<(Generation, RoaringBitmap)>, MirrorError> {
        let listing: Option<Listing> = self.store.read(&Shelf::Listings.under(id.as_str()))?;
        let Some(complete) = listing.and_then(|listing| listing.complete) else {
            return Ok(None);
        };
        let members = self.bitmap(&generation_key(id, complete.no))?;
        Ok(Some((complete, members)))
    }
}

impl Page<'_> {
    /// Begins a listing, dropping one that was under way. `now` is when the first page was asked
    /// for.
    pub fn begin_listing(&mut self, id: &ListId, now: Moment) -> Result<(), MirrorError> {
        let mut listing = self.listing_state(id)?;
        if let Some(abandoned) = listing.arriving {
            self.remove_under(&generation_key(id, abandoned.no))?;
        }
        listing.arriving = Some(Generation {
            no: listing.next,
            begun: now,
            size: 0,
        });
        listing.next = listing.next.wrapping_add(1);
        self.put(Shelf::Listings.under(id.as_str()), &listing);
        Ok(())
    }

    /// Adds members to the listing under way. Readers see them once it is complete. A member that
    /// comes twice counts once; when it joined is not kept.
    pub fn listing(&mut self, id: &ListId, members: &[Member]) -> Result<(), MirrorError> {
        let mut listing = self.listing_state(id)?;
        let arriving = listing.arriving.as_mut().ok_or_else(|| not_listing(id))?;
        let mut slots = Vec::with_capacity(members.len());
        for member in members {
            slots.push(self.slot_of_profile(&member.profile)?.0);
        }
        arriving.size += self.extend_bitmap(&generation_key(id, arriving.no), slots)?;
        self.put(Shelf::Listings.under(id.as_str()), &listing);
        Ok(())
    }

    /// Adds those who joined after the last complete listing began.
    pub fn joined(&mut self, id: &ListId, members: &[Member]) -> Result<(), MirrorError> {
        let mut listing = self.listing_state(id)?;
        let complete = listing.complete.as_mut().ok_or_else(|| not_listing(id))?;
        let mut slots = Vec::with_capacity(members.len());
        for member in members {
            slots.push(self.slot_of_profile(&member.profile)?.0);
        }
        complete.size += self.extend_bitmap(&generation_key(id, complete.no), slots)?;
        self.put(Shelf::Listings.under(id.as_str()), &listing);
        Ok(())
    }

    /// The listing under way reached its end and replaces the one before, which goes. A caller who
    /// mistrusts the sizes drops the page instead of committing it.
    pub fn complete_listing(&mut self, id: &ListId) -> Result<Listed, MirrorError> {
        let mut listing = self.listing_state(id)?;
        let arriving = listing.arriving.take().ok_or_else(|| not_listing(id))?;
        let before = listing.complete.replace(arriving);
        if let Some(before) = before {
            self.remove_under(&generation_key(id, before.no))?;
        }
        self.drop_settled_receipts(id, arriving.begun)?;
        self.put(Shelf::Listings.under(id.as_str()), &listing);
        Ok(Listed {
            before: before.map(|before| before.size),
            after: arriving.size,
        })
    }

    /// Notes that we put a profile on a list or took it off, confirmed at `at`.
    pub(super) fn member_written(&mut self, id: &ListId, who: Slot, on: bool, at: Moment) {
        let mut key = Shelf::Receipts.under(id.as_str());
        key.extend_from_slice(&who.0.to_be_bytes());
        self.put(key, &Written { on, at });
    }

    /// A listing begun well after a write has seen it.
    fn drop_settled_receipts(&mut self, id: &ListId, begun: Moment) -> Result<(), MirrorError> {
        for pair in self.mirror.store.scan(&Shelf::Receipts.under(id.as_str())) {
            let (key, payload) = pair?;
            let written: Written = codec::decode(&key, &payload)?;
            if written.at.plus(LIST_LAG) <= begun {
                self.remove(key.to_vec());
            }
        }
        Ok(())
    }

    fn listing_state(&self, id: &ListId) -> Result<Listing, MirrorError> {
        let stored = self.read(&Shelf::Listings.under(id.as_str()))?;
        Ok(stored.unwrap_or_default())
    }
}

fn generation_key(id: &ListId, no: u32) -> Vec<u8> {
    let mut prefix = Shelf::Members.under(id.as_str());
    prefix.extend_from_slice(&no.to_be_bytes());
    prefix
}

fn not_listing(id: &ListId) -> MirrorError {
    MirrorError::NotListing { list: id.clone() }
}
