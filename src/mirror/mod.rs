//! The local copy of one shop: what both platforms said. It can always be rebuilt from them.
//!
//! The only room that names sled. Everything lies in one tree, so that one batch is atomic over
//! records, indexes and the cursor of a page; a commit counts after an fdatasync. Every value
//! carries a version and a checksum: a damaged one is reported, never used.
//!
//! What is personal is sealed, record by record, with keys of [`crate::vault`].
//!
//! Records get dense numbers ([`crate::model::Slot`]) at first sight, in the order of arrival.
//! Events are staged as they come and folded into one compact timeline per profile afterwards.

mod arriving;
mod audit;
mod bitmap;
mod bytes;
mod cache;
mod changed;
mod codec;
mod copy;
mod days;
mod disagreements;
mod error;
mod export;
mod fold;
mod forget;
mod gone;
mod groups;
mod joins;
mod lateness;
mod ledger;
mod listing;
mod lock;
mod memberships;
mod merge;
mod names;
mod notes;
mod orders;
mod pack;
mod page;
mod parts;
mod receipts;
mod records;
mod sealed;
mod shelf;
mod slots;
mod staging;
mod store;
mod stream;
mod subjects;
mod tally;
mod timeline;
mod timers;
mod window;

#[cfg(test)]
mod tests;

pub use audit::Audit;
pub use copy::{FORMAT, RawEntry, Rebuilt};
pub use error::MirrorError;
pub use fold::Folded;
pub use groups::Look;
pub use joins::Joins;
pub use lateness::Lateness;
pub use ledger::{Checked, Gap, Window};
pub use listing::{LIST_LAG, Listed};
pub use lock::StateLock;
pub use memberships::Membership;
pub use notes::{Evaluated, Pins};
pub use page::Page;
pub use parts::Part;
pub use receipts::Receipt;
pub use staging::{Staged, event_id};
pub use store::Repaired;
pub use stream::{Cursor, Stream};
pub use subjects::{EventBuffer, Subject, Subjects};
pub use tally::MirrorTotals;

use crate::disk::Disk;
use crate::model::Moment;
use crate::vault::Vault;
use names::Names;
use page::Fact;
use parking_lot::{Mutex, MutexGuard};
use std::fmt;
use std::path::Path;
use store::Store;
use tally::Tally;

/// One shop's mirror. Share it by `Arc`; readers never wait for each other, writers take turns.
pub struct Mirror {
    writer: Mutex<Writer>,
    /// Held by the one fold that may run.
    folding: Mutex<()>,
    store: Store,
    vault: Vault,
}

/// What a page needs to know about everything committed so far.
struct Writer {
    next_slot: u32,
    next_staged: u64,
    names: Names,
    tally: Tally,
}

impl Writer {
    fn load(store: &Store) -> Result<Self, MirrorError> {
        Ok(Self {
            next_slot: store.read(&Fact::NextSlot.key())?.unwrap_or_default(),
            next_staged: staging::next_part(store)?,
            names: Names::load(store)?,
            tally: store.read(&Fact::Tally.key())?.unwrap_or_default(),
        })
    }
}

impl fmt::Debug for Mirror {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mirror")
    }
}

impl Mirror {
    /// Opens `<state_dir>/mirror`, creating it if absent, and locks the state directory for as
    /// long as the mirror lives. `now` is written down for whoever finds it locked.
    ///
    /// Snapshot files that keep the store from opening are set aside and every checksum is
    /// verified; the caller should log that it was [`Repaired`]. Who was forgotten since the mirror
    /// was last open, or since the backup it comes from, is forgotten here, too.
    pub fn open(
        state_dir: &Path,
        vault: &Vault,
        now: Moment,
    ) -> Result<(Self, Option<Repaired>), MirrorError> {
        Self::open_on(Disk::default(), state_dir, vault, now)
    }

    /// As [`Mirror::open`], on a disk that may have flaws.
    ///
    /// # Errors
    /// As [`Mirror::open`].
    pub fn open_on(
        disk: Disk,
        state_dir: &Path,
        vault: &Vault,
        now: Moment,
    ) -> Result<(Self, Option<Repaired>), MirrorError> {
        let (store, repaired) = Store::open(state_dir, now, disk)?;
        Ok((Self::over(store, vault)?, repaired))
    }

    fn over(store: Store, vault: &Vault) -> Result<Self, MirrorError> {
        // A new one would not open what is here, and be in the way of the right one.
        if store.contains(&Fact::Vault.key())? && !vault.is_kept() {
            return Err(MirrorError::OtherVault);
        }
        vault.take_up()?;
        let mirror = Self {
            writer: Mutex::new(Writer::load(&store)?),
            folding: Mutex::new(()),
            store,
            vault: vault.clone(),
        };
        mirror.check_vault()?;
        mirror.forget()?;
        Ok(mirror)
    }

    /// A new mirror takes the vault it is opened with, and then no other.
    fn check_vault(&self) -> Result<(), MirrorError> {
        let ours = self.vault.id();
        match self.store.read::<[u8; 16]>(&Fact::Vault.key())? {
            Some(id) if id == *ours.bytes() => Ok(()),
            None if self.writer().next_slot == 0 => {
                let mut page = self.page();
                page.put(Fact::Vault.key(), ours.bytes());
                page.commit()
            }
            _ => Err(MirrorError::OtherVault),
        }
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        // A panic cannot leave the writer half changed: it changes only after a durable commit.
        self.writer.lock()
    }

    /// The keys to what is personal here.
    pub fn vault(&self) -> &Vault {
        &self.vault
    }

    /// Whether a write failed, so that no other is taken.
    pub fn is_failed(&self) -> bool {
        self.store.is_failed()
    }

    /// Reads every value and checks its checksum; how many there are.
    pub fn verify(&self) -> Result<u64, MirrorError> {
        self.store.verify()
    }
}
