//! Whose records changed since segments were last evaluated for them. Marked together with the
//! change, so that no crash can lose one.

use super::shelf::Shelf;
use super::{Mirror, MirrorError, Page};
use crate::model::Slot;
use roaring::RoaringBitmap;

impl Mirror {
    /// The slots of profiles whose record, events or lists changed since they were last settled. Some
    /// may have changed back, and some may not have arrived.
    ///
    /// A receipt that a lagging listing contradicts counts as a change when it is written and at every
    /// later listing until one has settled it.
    pub fn changed(&self) -> Result<RoaringBitmap, MirrorError> {
        self.bitmap(&Shelf::Changed.key(&[]))
    }
}

impl Page<'_> {
    /// These were evaluated as they are now. Not for slots that another page may have changed since
    /// they were read.
    pub fn settle(&mut self, evaluated: &RoaringBitmap) -> Result<(), MirrorError> {
        self.shrink_bitmap(&Shelf::Changed.key(&[]), evaluated)
    }

    pub(super) fn mark_changed(&mut self, slot: Slot) {
        self.changed.insert(slot.0);
    }

    /// Puts this page's marks among its changes.
    pub(super) fn write_marks(&mut self) -> Result<(), MirrorError> {
        let marked = std::mem::take(&mut self.changed);
        self.extend_bitmap(&Shelf::Changed.key(&[]), &marked)?;
        Ok(())
    }
}
