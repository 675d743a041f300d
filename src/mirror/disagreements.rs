//! Where Klaviyo's members of a segment differ from our evaluation, since when, and why.

use super::shelf::{Shelf, tail_u32};
use super::{Mirror, MirrorError, Page, codec};
use crate::model::{Compared, Disagreement, SegmentId, Slot};
use std::collections::BTreeMap;

impl Mirror {
    /// The disagreements of a segment that the last comparison found.
    pub fn disagreements(
        &self,
        id: &SegmentId,
    ) -> Result<BTreeMap<Slot, Disagreement>, MirrorError> {
        let mut found = BTreeMap::new();
        for pair in self.store.scan(&Shelf::Disagreements.under(id.as_str())) {
            let (key, payload) = pair?;
            let slot = tail_u32(&key).ok_or_else(|| codec::bad(&key))?;
            found.insert(Slot(slot), codec::decode(&key, &payload)?);
        }
        Ok(found)
    }

    /// The last comparison of a segment; `None` before the first.
    pub fn compared(&self, id: &SegmentId) -> Result<Option<Compared>, MirrorError> {
        self.store.read(&Shelf::Comparisons.under(id.as_str()))
    }
}

impl Page<'_> {
    /// Replaces what is known about a segment by a new comparison.
    pub fn comparison(
        &mut self,
        id: &SegmentId,
        compared: &Compared,
        found: &BTreeMap<Slot, Disagreement>,
    ) -> Result<(), MirrorError> {
        self.put(Shelf::Comparisons.under(id.as_str()), compared);
        let prefix = Shelf::Disagreements.under(id.as_str());
        let key = |slot: &Slot| [prefix.as_slice(), &slot.0.to_be_bytes()].concat();
        for slot in self.mirror.disagreements(id)?.keys() {
            if !found.contains_key(slot) {
                self.remove(key(slot));
            }
        }
        for (slot, disagreement) in found {
            self.put(key(slot), disagreement);
        }
        Ok(())
    }

    /// Forgets what was compared of a segment.
    pub(super) fn forget_comparison(&mut self, id: &SegmentId) -> Result<(), MirrorError> {
        self.remove(Shelf::Comparisons.under(id.as_str()));
        self.remove_under(&Shelf::Disagreements.under(id.as_str()))
    }
}
