//! Sets of slots, cut into chunks of 32,768: at most 4 KB each, so that sixteen of them still fit
//! one page of sled.

use super::codec::{self, VERSION};
use super::shelf::tail_u32;
use super::store::Pair;
use super::{Mirror, MirrorError, Page};
use roaring::RoaringBitmap;
use std::collections::BTreeMap;

const CHUNK_BITS: u32 = 15;
const DENSE_BYTES: usize = 1 << (CHUNK_BITS - 3);

/// Slots by chunk, each as its distance from the chunk's first slot, ascending.
pub(super) type Chunks = BTreeMap<u32, Vec<u16>>;

pub(super) fn cut(slots: impl IntoIterator<Item = u32>) -> Chunks {
    let mut chunks = Chunks::new();
    for slot in slots {
        let low = (slot & ((1 << CHUNK_BITS) - 1)) as u16;
        chunks.entry(slot >> CHUNK_BITS).or_default().push(low);
    }
    chunks
}

/// The body of one chunk, version byte first: a bit per slot, or two bytes per member when that
/// is shorter.
pub(super) fn write(members: &[u16]) -> Vec<u8> {
    let mut body = vec![VERSION];
    if members.len() * 2 < DENSE_BYTES {
        body.extend(members.iter().flat_map(|low| low.to_le_bytes()));
        return body;
    }
    let mut bits = vec![0_u8; DENSE_BYTES];
    for low in members {
        bits[usize::from(low / 8)] |= 1 << (low % 8);
    }
    body.extend(bits);
    body
}

/// The members of one chunk, ascending; `None` for bytes that are none.
pub(super) fn read(payload: &[u8]) -> Option<Vec<u16>> {
    if payload.len() == DENSE_BYTES {
        let lows = (0_u16..1 << CHUNK_BITS).filter(|low| {
            let byte = payload[usize::from(low / 8)];
            byte & (1 << (low % 8)) != 0
        });
        return Some(lows.collect());
    }
    let (pairs, rest) = payload.as_chunks::<2>();
    let lows = pairs.iter().map(|pair| u16::from_le_bytes(*pair));
    let lows: Vec<u16> = lows.collect();
    let ascending = lows.is_sorted_by(|a, b| a < b);
    let in_chunk = lows.last().is_none_or(|low| low >> CHUNK_BITS == 0);
    (rest.is_empty() && ascending && in_chunk).then_some(lows)
}

fn chunk_key(prefix: &[u8], chunk: u32) -> Vec<u8> {
    [prefix, &chunk.to_be_bytes()].concat()
}

/// All slots of some chunks.
pub(super) fn united(
    chunks: impl IntoIterator<Item = Result<Pair, MirrorError>>,
) -> Result<RoaringBitmap, MirrorError> {
    let mut bitmap = RoaringBitmap::new();
    for pair in chunks {
        let (key, payload) = pair?;
        add_chunk(&mut bitmap, &key, &payload)?;
    }
    Ok(bitmap)
}

fn add_chunk(bitmap: &mut RoaringBitmap, key: &[u8], payload: &[u8]) -> Result<(), MirrorError> {
    let chunk = tail_u32(key).filter(|chunk| chunk >> (32 - CHUNK_BITS) == 0);
    let lows = chunk.zip(read(payload));
    let (chunk, lows) = lows.ok_or_else(|| codec::bad(key))?;
    bitmap.extend(lows.iter().map(|low| chunk << CHUNK_BITS | u32::from(*low)));
    Ok(())
}

impl Mirror {
    /// The set stored under a prefix.
    pub(super) fn bitmap(&self, prefix: &[u8]) -> Result<RoaringBitmap, MirrorError> {
        united(self.store.scan(prefix))
    }
}

impl Page<'_> {
    /// The set under a prefix as it will be after this page.
    pub(super) fn bitmap(&self, prefix: &[u8]) -> Result<RoaringBitmap, MirrorError> {
        let mut bitmap = RoaringBitmap::new();
        for (key, payload) in self.entries(prefix)? {
            add_chunk(&mut bitmap, &key, &payload)?;
        }
        Ok(bitmap)
    }

    /// Adds slots to the set under a prefix; which of them were new.
    pub(super) fn extend_bitmap(
        &mut self,
        prefix: &[u8],
        slots: impl IntoIterator<Item = u32>,
    ) -> Result<RoaringBitmap, MirrorError> {
        let mut added = RoaringBitmap::new();
        for (chunk, mut members) in cut(slots) {
            let key = chunk_key(prefix, chunk);
            let mut stored = self.lows(&key)?;
            members.sort_unstable();
            members.dedup();
            members.retain(|low| stored.binary_search(low).is_err());
            if members.is_empty() {
                continue;
            }
            added.extend(
                members
                    .iter()
                    .map(|low| chunk << CHUNK_BITS | u32::from(*low)),
            );
            stored.extend(members);
            // Two runs, which this one merges.
            stored.sort();
            self.put_body(key, write(&stored));
        }
        Ok(added)
    }

    /// Takes slots, ascending, from the set under a prefix.
    pub(super) fn shrink_bitmap(
        &mut self,
        prefix: &[u8],
        slots: impl IntoIterator<Item = u32>,
    ) -> Result<(), MirrorError> {
        for (chunk, gone) in cut(slots) {
            let key = chunk_key(prefix, chunk);
            let mut members = self.lows(&key)?;
            let before = members.len();
            members.retain(|low| gone.binary_search(low).is_err());
            if members.is_empty() {
                self.remove(key);
            } else if members.len() != before {
                self.put_body(key, write(&members));
            }
        }
        Ok(())
    }

    fn lows(&self, key: &[u8]) -> Result<Vec<u16>, MirrorError> {
        let stored = self.read_payload(key)?.unwrap_or_default();
        read(&stored).ok_or_else(|| codec::bad(key))
    }

    /// Replaces the set under a prefix, touching only the chunks that differ.
    pub(super) fn replace_bitmap(
        &mut self,
        prefix: &[u8],
        bitmap: &RoaringBitmap,
    ) -> Result<(), MirrorError> {
        let mut chunks = cut(bitmap);
        self.forget_changes_under(prefix);
        let stored: Vec<_> = self.mirror.store.scan(prefix).collect::<Result<_, _>>()?;
        for (key, payload) in stored {
            let wanted = tail_u32(&key).and_then(|chunk| chunks.remove(&chunk));
            match wanted.map(|members| write(&members)) {
                None => self.remove(key.to_vec()),
                Some(body) if body[1..] == payload[..] => {}
                Some(body) => self.put_body(key.to_vec(), body),
            }
        }
        for (chunk, members) in chunks {
            self.put_body(chunk_key(prefix, chunk), write(&members));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn sparse_and_dense_chunks_come_back(
            slots in proptest::collection::btree_set(0_u32..100_000, 0..200),
            step in 1_u32..20,
        ) {
            let dense: RoaringBitmap = (0..60_000).step_by(step as usize).chain(slots).collect();
            let mut read_back = RoaringBitmap::new();
            for (chunk, members) in cut(&dense) {
                let body = write(&members);
                prop_assert!(body.len() <= 1 + DENSE_BYTES);
                let lows = read(&body[1..]).unwrap();
                read_back.extend(lows.iter().map(|low| chunk << CHUNK_BITS | u32::from(*low)));
            }
            prop_assert_eq!(read_back, dense);
        }

        #[test]
        fn foreign_bytes_never_panic(bytes: Vec<u8>) {
            let _ = read(&bytes);
        }
    }
}
