//! The pages of a listing under way. A page's members are scattered over all chunks of slots, so that each is laid
//! down as it comes, as one value, and many are merged at a time.

use super::bytes::{Reader, put_varint};
use super::codec::{self, VERSION};
use super::listing::{Generation, generation_key};
use super::shelf::Shelf;
use super::{MirrorError, Page};
use crate::model::ListId;

/// So many pages are merged at a time: a merge rewrites most of the chunks.
const PAGES_PER_MERGE: u32 = 256;

impl Page<'_> {
    /// Adds one page of members to a listing under way.
    pub(super) fn lay_down(
        &mut self,
        id: &ListId,
        arriving: &mut Generation,
        mut slots: Vec<u32>,
    ) -> Result<(), MirrorError> {
        slots.sort_unstable();
        let number = arriving.pages.to_be_bytes();
        let key = [pages_key(id, arriving.no).as_slice(), &number].concat();
        self.put_body(key, write(&slots));
        arriving.pages += 1;
        match arriving.pages.is_multiple_of(PAGES_PER_MERGE) {
            true => self.merge_pages(id, arriving),
            false => Ok(()),
        }
    }

    /// Makes members of those on the pages laid down. Who is on several counts once.
    pub(super) fn merge_pages(
        &mut self,
        id: &ListId,
        arriving: &mut Generation,
    ) -> Result<(), MirrorError> {
        let mut slots = Vec::new();
        for (key, payload) in self.entries(&pages_key(id, arriving.no))? {
            read(&payload, &mut slots).ok_or_else(|| codec::bad(&key))?;
            self.remove(key);
        }
        let members = generation_key(id, arriving.no);
        arriving.size += self.extend_bitmap(&members, slots)?.len();
        Ok(())
    }

    /// Removes the pages of a listing that is given up.
    pub(super) fn remove_pages(&mut self, id: &ListId, no: u32) -> Result<(), MirrorError> {
        self.remove_under(&pages_key(id, no))
    }
}

fn pages_key(id: &ListId, no: u32) -> Vec<u8> {
    let mut prefix = Shelf::ListingPages.under(id.as_str());
    prefix.extend_from_slice(&no.to_be_bytes());
    prefix
}

/// Version byte, then for each slot its distance from the one before (the first: the slot).
fn write(slots: &[u32]) -> Vec<u8> {
    let mut body = vec![VERSION];
    let mut before = 0;
    for slot in slots {
        put_varint(&mut body, u64::from(slot - before));
        before = *slot;
    }
    body
}

fn read(payload: &[u8], slots: &mut Vec<u32>) -> Option<()> {
    let mut reader = Reader::new(payload);
    let mut slot = 0_u32;
    while !reader.is_empty() {
        slot = slot.checked_add(u32::try_from(reader.varint()?).ok()?)?;
        slots.push(slot);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_page_comes_back(mut slots: Vec<u32>) {
            slots.sort_unstable();
            let mut back = Vec::new();
            prop_assert_eq!(read(&write(&slots)[1..], &mut back), Some(()));
            prop_assert_eq!(back, slots);
        }

        #[test]
        fn foreign_bytes_never_panic(bytes: Vec<u8>) {
            let _ = read(&bytes, &mut Vec::new());
        }
    }
}
