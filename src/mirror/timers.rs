//! When somebody's memberships change by the mere passing of time.
//!
//! Most timers ring at a midnight, so those of one instant lie together as sets of slots. What a
//! slot's own timer is stands beside them, many slots to a value.

use super::bitmap;
use super::bytes::{Reader, put_signed, put_varint};
use super::codec::{self, VERSION};
use super::shelf::{Shelf, sortable, unsortable};
use super::{Mirror, MirrorError, Page};
use crate::model::{Moment, Slot};
use roaring::RoaringBitmap;
use std::collections::BTreeMap;

/// Slots to a value: 256 of them stay well below the bytes that fit a page of sled.
const CHUNK_BITS: u32 = 8;

/// The timers of one chunk by the low bits of their slots.
type Chunk = BTreeMap<u8, Moment>;

impl Mirror {
    /// The slots whose timers ring at `until` or before.
    pub fn due(&self, until: Moment) -> Result<RoaringBitmap, MirrorError> {
        let first = Shelf::Timers.key(&[]);
        let last = Shelf::Timers.key(&[&sortable(until.0), &[u8::MAX; 4]]);
        bitmap::united(self.store.between(&first, &last))
    }

    /// A slot's timer.
    pub fn timer(&self, slot: Slot) -> Result<Option<Moment>, MirrorError> {
        let (key, low) = place(slot.0);
        let payload = self.store.get(&key)?;
        let chunk = read_chunk(&key, payload.as_deref())?;
        Ok(chunk.get(&low).copied())
    }

    /// When the next timer rings, or should have rung.
    pub fn next_timer(&self) -> Result<Option<Moment>, MirrorError> {
        let Some(first) = self.store.keys(&Shelf::Timers.key(&[])).next() else {
            return Ok(None);
        };
        let key = first?;
        let instant = key.get(1..).and_then(|rest| rest.first_chunk());
        let instant = instant.ok_or_else(|| codec::bad(&key))?;
        Ok(Some(Moment(unsortable(*instant))))
    }
}

impl Page<'_> {
    /// Sets a slot's one timer, or removes it. A page with very many takes long to commit, and other
    /// writers wait: spread them over several.
    pub fn timer(&mut self, slot: Slot, at: Option<Moment>) {
        self.timers.insert(slot.0, at);
    }

    /// Puts this page's timers among its changes.
    pub(super) fn write_timers(&mut self) -> Result<(), MirrorError> {
        let wanted: Vec<(u32, Option<Moment>)> =
            std::mem::take(&mut self.timers).into_iter().collect();
        let (mut gone, mut new) = (BTreeMap::new(), BTreeMap::new());
        for wanted in wanted.chunk_by(|(a, _), (b, _)| a >> CHUNK_BITS == b >> CHUNK_BITS) {
            self.write_timer_chunk(wanted, &mut gone, &mut new)?;
        }
        for (at, slots) in gone {
            self.shrink_bitmap(&Shelf::Timers.key(&[&sortable(at)]), slots)?;
        }
        for (at, slots) in new {
            self.extend_bitmap(&Shelf::Timers.key(&[&sortable(at)]), slots)?;
        }
        Ok(())
    }

    /// Changes the timers of slots of one chunk; which instants lost and won slots.
    fn write_timer_chunk(
        &mut self,
        wanted: &[(u32, Option<Moment>)],
        gone: &mut BTreeMap<i64, Vec<u32>>,
        new: &mut BTreeMap<i64, Vec<u32>>,
    ) -> Result<(), MirrorError> {
        let Some(&(first, _)) = wanted.first() else {
            return Ok(());
        };
        let (key, _) = place(first);
        let mut chunk = read_chunk(&key, self.read_payload(&key)?.as_deref())?;
        let before = chunk.clone();
        for &(slot, at) in wanted {
            let (_, low) = place(slot);
            let old = match at {
                Some(at) => chunk.insert(low, at),
                None => chunk.remove(&low),
            };
            if old == at {
                continue;
            }
            if let Some(old) = old {
                gone.entry(old.0).or_default().push(slot);
            }
            if let Some(at) = at {
                new.entry(at.0).or_default().push(slot);
            }
        }
        if chunk.is_empty() {
            self.remove(key);
        } else if chunk != before {
            self.put_body(key, write_chunk(&chunk));
        }
        Ok(())
    }
}

/// The key of the chunk a slot lies in, and its place there.
fn place(slot: u32) -> (Vec<u8>, u8) {
    let chunk = (slot >> CHUNK_BITS).to_be_bytes();
    let [low, ..] = slot.to_le_bytes();
    (Shelf::TimersBySlot.key(&[&chunk]), low)
}

/// Version byte, the earliest instant, then each slot's low bits and its distance from there.
fn write_chunk(chunk: &Chunk) -> Vec<u8> {
    let earliest = chunk.values().min().map_or(0, |first| first.0);
    let mut body = vec![VERSION];
    put_signed(&mut body, earliest);
    for (low, at) in chunk {
        body.push(*low);
        put_varint(&mut body, at.0.abs_diff(earliest));
    }
    body
}

fn read_chunk(key: &[u8], payload: Option<&[u8]>) -> Result<Chunk, MirrorError> {
    match payload {
        None => Ok(Chunk::new()),
        Some(payload) => parse_chunk(payload).ok_or_else(|| codec::bad(key)),
    }
}

fn parse_chunk(payload: &[u8]) -> Option<Chunk> {
    let mut reader = Reader::new(payload);
    let earliest = reader.signed()?;
    let mut chunk = Chunk::new();
    while !reader.is_empty() {
        let [low] = reader.array()?;
        let at = earliest.checked_add_unsigned(reader.varint()?)?;
        chunk.insert(low, Moment(at));
    }
    Some(chunk)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_chunk_comes_back(timers in proptest::collection::btree_map(any::<u8>(), any::<i64>(), 0..40)) {
            let chunk: Chunk = timers.into_iter().map(|(low, at)| (low, Moment(at))).collect();
            prop_assert_eq!(parse_chunk(&write_chunk(&chunk)[1..]), Some(chunk));
        }

        #[test]
        fn foreign_bytes_never_panic(bytes: Vec<u8>) {
            let _ = parse_chunk(&bytes);
        }
    }
}
