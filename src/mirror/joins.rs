//! When members joined a list, for lists of which some definition asks it.
//!
//! A listing's pages are laid down as they come, each as one value: its members are scattered over
//! all slots, so that any order but theirs would rewrite much for each page. Who joins later has a
//! value of their own.

use super::bytes::{Reader, put_signed, put_varint};
use super::codec::{self, VERSION};
use super::listing::{Generation, Listing};
use super::shelf::Shelf;
use super::{Mirror, MirrorError, Page};
use crate::model::{ListId, Moment, Slot};

/// Pages of a listing, and those who joined since, in the keys.
const PAGE: u8 = 0;
const SINCE: u8 = 1;

/// When members of one list most recently joined it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Joins {
    /// Ascending, and as long as `times`: together twelve bytes a member.
    slots: Vec<u32>,
    times: Vec<i64>,
}

impl Joins {
    fn new(mut joins: Vec<(u32, i64)>) -> Self {
        joins.sort_unstable();
        let mut sorted = Self::default();
        for (slot, at) in joins {
            if sorted.slots.last() == Some(&slot) {
                // The most recent of several comes last.
                sorted.slots.pop();
                sorted.times.pop();
            }
            sorted.slots.push(slot);
            sorted.times.push(at);
        }
        sorted
    }

    /// When a member joined, if Klaviyo said so.
    pub fn get(&self, slot: Slot) -> Option<Moment> {
        let index = self.slots.binary_search(&slot.0).ok()?;
        self.times.get(index).copied().map(Moment)
    }

    /// The slots whose times are not the same in both.
    fn differing(&self, other: &Joins) -> impl Iterator<Item = Slot> {
        let only_here = self.missing_in(other);
        only_here.chain(other.missing_in(self))
    }

    fn missing_in(&self, other: &Joins) -> impl Iterator<Item = Slot> {
        let pairs = self.slots.iter().zip(&self.times);
        let differing = pairs.filter(|(slot, at)| other.get(Slot(**slot)) != Some(Moment(**at)));
        differing.map(|(slot, _)| Slot(*slot))
    }
}

impl Mirror {
    /// When the members of the last complete listing, and those who joined since, joined. `None` when
    /// no listing was complete, or the last one did not keep the times.
    pub fn joins(&self, id: &ListId) -> Result<Option<Joins>, MirrorError> {
        let listing: Option<Listing> = self.store.read(&Shelf::Listings.under(id.as_str()))?;
        let complete = listing.and_then(|listing| listing.complete);
        let Some(generation) = complete.filter(|complete| complete.keeps_times) else {
            return Ok(None);
        };
        let mut joins = Vec::new();
        for pair in self.store.scan(&generation_key(id, generation.no)) {
            let (key, payload) = pair?;
            read(&key, &payload, &mut joins)?;
        }
        Ok(Some(Joins::new(joins)))
    }
}

impl Page<'_> {
    /// Keeps when the members of one page of a listing joined.
    pub(super) fn put_joins(
        &mut self,
        id: &ListId,
        generation: &Generation,
        mut joins: Vec<(u32, i64)>,
    ) {
        if joins.is_empty() {
            return;
        }
        joins.sort_unstable();
        let key = key(id, generation.no, PAGE, generation.pages);
        self.put_body(key, write(&joins));
    }

    /// Keeps when somebody joined after the listing; whether that was not known.
    pub(super) fn put_join(
        &mut self,
        id: &ListId,
        generation: &Generation,
        (slot, at): (u32, i64),
    ) -> Result<bool, MirrorError> {
        let key = key(id, generation.no, SINCE, slot);
        let body = write(&[(slot, at)]);
        if self.read_payload(&key)?.as_deref() == body.get(1..) {
            return Ok(false);
        }
        self.put_body(key, body);
        Ok(true)
    }

    /// Marks those whose times differ between two generations of a list.
    pub(super) fn mark_rejoined(
        &mut self,
        id: &ListId,
        before: Option<&Generation>,
        after: &Generation,
    ) -> Result<(), MirrorError> {
        if !after.keeps_times {
            return Ok(());
        }
        let before = match before {
            Some(before) => self.joins_of(id, before)?,
            None => Joins::default(),
        };
        let after = self.joins_of(id, after)?;
        before
            .differing(&after)
            .for_each(|slot| self.mark_changed(slot));
        Ok(())
    }

    /// Whether the members of a generation joined exactly then.
    pub(super) fn joined_at(
        &self,
        id: &ListId,
        generation: &Generation,
        joins: Vec<(u32, i64)>,
    ) -> Result<bool, MirrorError> {
        Ok(self.joins_of(id, generation)? == Joins::new(joins))
    }

    fn joins_of(&self, id: &ListId, generation: &Generation) -> Result<Joins, MirrorError> {
        let mut joins = Vec::new();
        for (key, payload) in self.entries(&generation_key(id, generation.no))? {
            read(&key, &payload, &mut joins)?;
        }
        Ok(Joins::new(joins))
    }

    /// Removes a generation's times.
    pub(super) fn remove_joins(&mut self, id: &ListId, no: u32) -> Result<(), MirrorError> {
        self.remove_under(&generation_key(id, no))
    }
}

fn generation_key(id: &ListId, no: u32) -> Vec<u8> {
    let mut prefix = Shelf::Joins.under(id.as_str());
    prefix.extend_from_slice(&no.to_be_bytes());
    prefix
}

fn key(id: &ListId, no: u32, kind: u8, number: u32) -> Vec<u8> {
    let mut key = generation_key(id, no);
    key.push(kind);
    key.extend_from_slice(&number.to_be_bytes());
    key
}

/// Version byte, then for each member the distance of its slot from the one before (the first: the
/// slot) and of its time from the one before (the first: the time).
fn write(joins: &[(u32, i64)]) -> Vec<u8> {
    let mut body = vec![VERSION];
    let (mut slot_before, mut before) = (0, 0);
    for &(slot, at) in joins {
        put_varint(&mut body, u64::from(slot.wrapping_sub(slot_before)));
        put_signed(&mut body, at.wrapping_sub(before));
        (slot_before, before) = (slot, at);
    }
    body
}

fn read(key: &[u8], payload: &[u8], joins: &mut Vec<(u32, i64)>) -> Result<(), MirrorError> {
    parse(payload, joins).ok_or_else(|| codec::bad(key))
}

fn parse(payload: &[u8], joins: &mut Vec<(u32, i64)>) -> Option<()> {
    let mut reader = Reader::new(payload);
    let (mut slot, mut at) = (0_u32, 0_i64);
    while !reader.is_empty() {
        slot = slot.checked_add(u32::try_from(reader.varint()?).ok()?)?;
        at = at.wrapping_add(reader.signed()?);
        joins.push((slot, at));
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_page_comes_back(mut joins: Vec<(u32, i64)>) {
            joins.sort_unstable();
            let mut back = Vec::new();
            prop_assert_eq!(parse(&write(&joins)[1..], &mut back), Some(()));
            prop_assert_eq!(back, joins);
        }

        #[test]
        fn foreign_bytes_never_panic(bytes: Vec<u8>) {
            let _ = parse(&bytes, &mut Vec::new());
        }
    }

    #[test]
    fn the_most_recent_of_several_times_counts() {
        let joins = Joins::new(vec![(7, 30), (3, 5), (7, 10)]);
        assert_eq!(joins.get(Slot(7)), Some(Moment(30)));
        assert_eq!(
            (joins.get(Slot(3)), joins.get(Slot(4))),
            (Some(Moment(5)), None)
        );
        let later = Joins::new(vec![(7, 31), (3, 5), (9, 1)]);
        let differing: Vec<u32> = joins.differing(&later).map(|slot| slot.0).collect();
        assert_eq!(differing, [7, 7, 9]);
    }
}
