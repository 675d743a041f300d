//! A sequence too long to be held as it is: encoded, and compressed a block at a time.

use flate2::Compression;
use flate2::write::{DeflateDecoder, DeflateEncoder};
use serde::{Serialize, de::DeserializeOwned};
use std::borrow::Cow;
use std::fmt;
use std::io::Write;
use std::marker::PhantomData;

/// Bytes of a block before it is compressed: twice as far as deflate looks back.
const BLOCK: usize = 64 * 1024;

/// Items that are added one by one and read in that order.
#[derive(Clone)]
pub struct Packed<T> {
    sealed: Vec<Box<[u8]>>,
    open: Vec<u8>,
    len: u64,
    items: PhantomData<fn() -> T>,
}

impl<T: Serialize + DeserializeOwned> Packed<T> {
    /// Adds an item at the end.
    pub fn push(&mut self, item: &T) {
        let open = std::mem::take(&mut self.open);
        self.open = postcard::to_extend(item, open).expect("memory takes whatever is written");
        self.len += 1;
        if self.open.len() >= BLOCK {
            self.sealed.push(deflate(&self.open));
            self.open.clear();
        }
    }

    /// How many items there are.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// The items, in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = T> + '_ {
        let sealed = self.sealed.iter().map(|block| Cow::Owned(inflate(block)));
        let blocks = sealed.chain([Cow::Borrowed(self.open.as_slice())]);
        blocks.flat_map(items_of)
    }
}

impl<T> Default for Packed<T> {
    fn default() -> Self {
        Self {
            sealed: Vec::new(),
            open: Vec::new(),
            len: 0,
            items: PhantomData,
        }
    }
}

impl<T: Serialize + DeserializeOwned + fmt::Debug> fmt::Debug for Packed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<T: Serialize + DeserializeOwned + PartialEq> PartialEq for Packed<T> {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.iter().eq(other.iter())
    }
}

fn items_of<T: DeserializeOwned>(block: Cow<'_, [u8]>) -> impl Iterator<Item = T> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = block.get(at..).filter(|rest| !rest.is_empty())?;
        let (item, after) = postcard::take_from_bytes(rest).expect("whole items were encoded");
        at = block.len() - after.len();
        Some(item)
    })
}

fn deflate(block: &[u8]) -> Box<[u8]> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
    let written = encoder.write_all(block).and_then(|()| encoder.finish());
    let compressed = written.expect("memory takes whatever is written");
    compressed.into_boxed_slice()
}

fn inflate(block: &[u8]) -> Vec<u8> {
    let mut decoder = DeflateDecoder::new(Vec::with_capacity(BLOCK));
    let written = decoder.write_all(block).and_then(|()| decoder.finish());
    written.expect("what was compressed here is whole")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_was_added_comes_back_in_order(
            items in prop::collection::vec((any::<u32>(), ".{0,400}"), 0..1500),
        ) {
            let mut packed = Packed::default();
            for item in &items {
                packed.push(item);
            }
            prop_assert_eq!(packed.len(), items.len() as u64);
            prop_assert_eq!(packed.iter().collect::<Vec<_>>(), items);
        }
    }

    #[test]
    fn what_repeats_takes_a_fraction_of_its_room() {
        let mut packed = Packed::default();
        for number in 0..100_000u32 {
            packed.push(&(number, "stage lapsed, tier dormant".to_owned()));
        }
        let held: usize = packed.sealed.iter().map(|block| block.len()).sum();
        let written = 100_000 * 30;
        assert!(packed.open.len() < BLOCK && held * 4 < written, "{held}");
    }
}
