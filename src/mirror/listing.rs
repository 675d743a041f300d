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
pub(super) struct Listing {
    pub(super) complete: Option<Generation>,
    arriving: Option<Generation>,
    next: u32,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Generation {
    pub(super) no: u32,
    begun: Moment,
    /// Without the members of pages that are not merged yet.
    pub(super) size: u64,
    /// Members of upstream that are not kept, because they were forgotten.
    forgotten: u64,
    /// Whether it is kept when members joined.
    pub(super) keeps_times: bool,
    /// How many pages were laid down.
    pub(super) pages: u32,
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

    /// How many members of the last complete listing are not kept, because they were forgotten.
    pub fn members_forgotten(&self, id: &ListId) -> Result<u64, MirrorError> {
        let listing: Option<Listing> = self.store.read(&Shelf::Listings.under(id.as_str()))?;
        let complete = listing.and_then(|listing| listing.complete);
        Ok(complete.map_or(0, |complete| complete.forgotten))
    }

    /// When the last complete listing began: what is absent from it was absent then.
    pub fn listed_at(&self, id: &ListId) -> Result<Option<Moment>, MirrorError> {
        let listing: Option<Listing> = self.store.read(&Shelf::Listings.under(id.as_str()))?;
        Ok(listing
            .and_then(|listing| listing.complete)
            .map(|complete| complete.begun))
    }

    /// Whether the listing under way keeps when members joined, or else the last complete one.
    pub fn keeps_times(&self, id: &ListId) -> Result<bool, MirrorError> {
        let listing: Option<Listing> = self.store.read(&Shelf::Listings.under(id.as_str()))?;
        let latest = listing.and_then(|listing| listing.arriving.or(listing.complete));
        Ok(latest.is_some_and(|generation| generation.keeps_times))
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
    /// for. When its members joined is kept if `keep_times`.
    pub fn begin_listing(
        &mut self,
        id: &ListId,
        now: Moment,
        keep_times: bool,
    ) -> Result<(), MirrorError> {
        let mut listing = self.listing_state(id)?;
        if let Some(abandoned) = listing.arriving {
            self.remove_generation(id, abandoned.no)?;
        }
        listing.arriving = Some(Generation {
            no: listing.next,
            begun: now,
            size: 0,
            forgotten: 0,
            keeps_times: keep_times,
            pages: 0,
        });
        listing.next = listing.next.wrapping_add(1);
        self.put(Shelf::Listings.under(id.as_str()), &listing);
        Ok(())
    }

    /// Adds members to the listing under way. Readers see them once it is complete. A member that
    /// comes twice counts once.
    pub fn listing(&mut self, id: &ListId, members: &[Member]) -> Result<(), MirrorError> {
        let mut listing = self.listing_state(id)?;
        let arriving = listing.arriving.as_mut().ok_or_else(|| not_listing(id))?;
        let arrived = self.slots_and_times(members)?;
        arriving.forgotten += (members.len() - arrived.len()) as u64;
        if arriving.keeps_times {
            self.put_joins(id, arriving, timed(&arrived).collect());
        }
        let slots = arrived.iter().map(|(slot, _)| *slot).collect();
        self.lay_down(id, arriving, slots)?;
        self.put(Shelf::Listings.under(id.as_str()), &listing);
        Ok(())
    }

    /// If these are the members of the last complete listing, all of them and no others, the listing is as new
    /// as they are, and nothing else is written but what becomes of our own receipts. `now` is when the
    /// first page was asked for.
    pub fn confirm_listing(
        &mut self,
        id: &ListId,
        now: Moment,
        members: &[Member],
        keep_times: bool,
    ) -> Result<bool, MirrorError> {
        let mut listing = self.listing_state(id)?;
        let Some(complete) = listing.complete.as_mut() else {
            return Ok(false);
        };
        let arrived = self.slots_and_times(members)?;
        let slots: RoaringBitmap = arrived.iter().map(|(slot, _)| *slot).collect();
        let forgotten = (members.len() - arrived.len()) as u64;
        let same = complete.keeps_times == keep_times
            && complete.forgotten == forgotten
            && slots == self.bitmap(&generation_key(id, complete.no))?
            && (!keep_times || self.joined_at(id, complete, timed(&arrived).collect())?);
        if !same {
            return Ok(false);
        }
        complete.begun = now;
        if let Some(given_up) = listing.arriving.take() {
            self.remove_generation(id, given_up.no)?;
        }
        self.drop_settled_receipts(id, now)?;
        self.put(Shelf::Listings.under(id.as_str()), &listing);
        Ok(true)
    }

    /// Adds those who joined after the last complete listing began.
    pub fn joined(&mut self, id: &ListId, members: &[Member]) -> Result<(), MirrorError> {
        let mut listing = self.listing_state(id)?;
        let complete = listing.complete.as_mut().ok_or_else(|| not_listing(id))?;
        let arrived = self.slots_and_times(members)?;
        complete.forgotten += (members.len() - arrived.len()) as u64;
        let slots = arrived.iter().map(|(slot, _)| *slot);
        let added = self.extend_bitmap(&generation_key(id, complete.no), slots)?;
        complete.size += added.len();
        self.changed |= added;
        if complete.keeps_times {
            for (slot, at) in timed(&arrived) {
                if self.put_join(id, complete, (slot, at))? {
                    self.mark_changed(Slot(slot));
                }
            }
        }
        self.put(Shelf::Listings.under(id.as_str()), &listing);
        Ok(())
    }

    fn slots_and_times(
        &mut self,
        members: &[Member],
    ) -> Result<Vec<(u32, Option<Moment>)>, MirrorError> {
        let mut arrived = Vec::with_capacity(members.len());
        for member in members {
            let slot = self.slot_of_profile(&member.profile)?;
            arrived.extend(slot.map(|slot| (slot.0, member.joined)));
        }
        Ok(arrived)
    }

    /// The listing under way reached its end and replaces the one before, which goes. A caller who
    /// mistrusts the sizes drops the page instead of committing it.
    pub fn complete_listing(&mut self, id: &ListId) -> Result<Listed, MirrorError> {
        let mut listing = self.listing_state(id)?;
        let mut arriving = listing.arriving.take().ok_or_else(|| not_listing(id))?;
        self.merge_pages(id, &mut arriving)?;
        let before = listing.complete.replace(arriving);
        self.mark_difference(id, before.as_ref(), &arriving)?;
        if let Some(before) = before {
            self.remove_generation(id, before.no)?;
        }
        self.drop_settled_receipts(id, arriving.begun)?;
        self.put(Shelf::Listings.under(id.as_str()), &listing);
        Ok(Listed {
            before: before.map(|before| before.size),
            after: arriving.size,
        })
    }

    /// Marks who joined, left or joined again.
    fn mark_difference(
        &mut self,
        id: &ListId,
        before: Option<&Generation>,
        after: &Generation,
    ) -> Result<(), MirrorError> {
        let old = match before {
            Some(before) => self.bitmap(&generation_key(id, before.no))?,
            None => RoaringBitmap::new(),
        };
        self.changed |= old ^ self.bitmap(&generation_key(id, after.no))?;
        self.mark_rejoined(id, before, after)
    }

    /// Removes everything about the members of a list that is gone, and marks them.
    pub(super) fn forget_members(&mut self, id: &ListId) -> Result<(), MirrorError> {
        if let Some(complete) = self.listing_state(id)?.complete {
            self.changed |= self.bitmap(&generation_key(id, complete.no))?;
        }
        for (key, _) in self.entries(&Shelf::Receipts.under(id.as_str()))? {
            self.changed.extend(tail_u32(&key));
        }
        self.remove(Shelf::Listings.under(id.as_str()));
        for shelf in [
            Shelf::Members,
            Shelf::ListingPages,
            Shelf::Joins,
            Shelf::Receipts,
        ] {
            self.remove_under(&shelf.under(id.as_str()))?;
        }
        Ok(())
    }

    /// Takes slots off a list, wherever they stand as members; `upstream` tells whether they are still on it
    /// there.
    pub(super) fn drop_members(
        &mut self,
        id: &ListId,
        slots: &RoaringBitmap,
        upstream: bool,
    ) -> Result<(), MirrorError> {
        let mut listing = self.listing_state(id)?;
        if let Some(arriving) = listing.arriving.as_mut() {
            self.merge_pages(id, arriving)?;
        }
        let generations = [&mut listing.complete, &mut listing.arriving];
        for generation in generations.into_iter().flatten() {
            let members = generation_key(id, generation.no);
            let gone = self.bitmap(&members)? & slots;
            generation.size -= gone.len();
            generation.forgotten += if upstream { gone.len() } else { 0 };
            self.shrink_bitmap(&members, &gone)?;
        }
        self.put(Shelf::Listings.under(id.as_str()), &listing);
        Ok(())
    }

    fn remove_generation(&mut self, id: &ListId, no: u32) -> Result<(), MirrorError> {
        self.remove_pages(id, no)?;
        self.remove_under(&generation_key(id, no))?;
        self.remove_joins(id, no)
    }

    /// Notes that we put a profile on a list or took it off, confirmed at `at`.
    pub(super) fn member_written(&mut self, id: &ListId, who: Slot, on: bool, at: Moment) {
        let mut key = Shelf::Receipts.under(id.as_str());
        key.extend_from_slice(&who.0.to_be_bytes());
        self.put(key, &Written { on, at });
        self.mark_changed(who);
    }

    /// A listing begun well after a write has seen it. Until one has, it decides against our own
    /// receipt or for it as time passes, so that the member counts as changed.
    fn drop_settled_receipts(&mut self, id: &ListId, begun: Moment) -> Result<(), MirrorError> {
        for pair in self.mirror.store.scan(&Shelf::Receipts.under(id.as_str())) {
            let (key, payload) = pair?;
            let written: Written = codec::decode(&key, &payload)?;
            self.changed.extend(tail_u32(&key));
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

/// Those whose time of joining came along.
fn timed(arrived: &[(u32, Option<Moment>)]) -> impl Iterator<Item = (u32, i64)> {
    let timed = arrived.iter().filter(|(_, joined)| joined.is_some());
    timed.map(|(slot, joined)| (*slot, joined.unwrap_or_default().0))
}

pub(super) fn generation_key(id: &ListId, no: u32) -> Vec<u8> {
    let mut prefix = Shelf::Members.under(id.as_str());
    prefix.extend_from_slice(&no.to_be_bytes());
    prefix
}

fn not_listing(id: &ListId) -> MirrorError {
    MirrorError::NotListing { list: id.clone() }
}
