//! One shop, opened: its mirror, its journal and its vendors.

use super::probation::{self, Damage};
use super::{PassError, privacy};
use crate::api::{ApiError, Budgets, Vendors};
use crate::backup::{self, BackupError};
use crate::clock::Clock;
use crate::config;
use crate::disk::Disk;
use crate::hooks::{Hooks, Inbox, InboxError, Whose};
use crate::journal::{Journal, JournalError};
use crate::mirror::{Mirror, MirrorError, Rebuilt, Repaired};
use crate::model::Moment;
use crate::telemetry::{Meter, PseudonymError, Pseudonyms};
use crate::vault::VaultError;
use std::fs::File;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::Arc;

/// A shop that passes can be made over. Holds the lock on its state directory.
#[derive(Debug)]
pub struct Shop {
    pub(super) config: config::Shop,
    pub(super) mirror: Arc<Mirror>,
    pub(super) journal: Journal,
    pub(super) vendors: Vendors,
    pub(super) pseudonyms: Pseudonyms,
    pub(super) clock: Clock,
    pub(super) meter: Meter,
    /// What webhooks brought, where any are, or were, heard.
    pub(super) inbox: Option<Inbox>,
    /// A pass met damage in the mirror; the next opening sets it aside.
    pub(super) is_damaged: bool,
}

/// What opening had to mend.
#[derive(Debug, Default)]
pub struct OpenNotes {
    /// The mirror was repaired.
    pub repaired: Option<Repaired>,
    /// The mirror was beyond repair: the next pass fills a new one.
    pub rebuilt: Option<Rebuilt>,
    /// Bytes of a torn last record cut from the journal.
    pub journal_cut: u64,
    /// Intents without an end, from an earlier run.
    pub open_intents: usize,
}

/// Why a shop could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The state directory cannot be made.
    #[error("cannot make the state directory {path}: {source}")]
    StateDir {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The mirror.
    #[error(transparent)]
    Mirror(#[from] MirrorError),
    /// The keys to both.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The key of the pseudonyms in logs.
    #[error(transparent)]
    Pseudonyms(#[from] PseudonymError),
    /// What a restore has built cannot be moved to its place.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// What was to be forgotten could not be, or a file beside the mirror is not to be had.
    #[error(transparent)]
    Forgetting(#[from] PassError),
    /// What webhooks brought.
    #[error(transparent)]
    Inbox(#[from] InboxError),
    /// A client could not be built.
    #[error(transparent)]
    Api(#[from] ApiError),
}

impl Shop {
    /// Opens mirror and journal, mending what a crash may have left, and builds the clients, which draw
    /// on `budgets`.
    pub fn open(
        config: config::Shop,
        budgets: &Budgets,
        clock: Clock,
        meter: Meter,
    ) -> Result<(Self, OpenNotes), OpenError> {
        Self::open_on(Disk::default(), config, budgets, clock, meter)
    }

    /// As [`Shop::open`], for a command beside the passes: a damaged mirror stays where it is.
    ///
    /// # Errors
    /// As [`Shop::open`], and damage.
    pub fn look(
        config: config::Shop,
        clock: Clock,
        meter: Meter,
    ) -> Result<(Self, OpenNotes), OpenError> {
        let (disk, budgets) = (Disk::default(), Budgets::default());
        Self::open_with(disk, config, &budgets, clock, meter, Damage::Stays)
    }

    /// As [`Shop::open`], on a disk that may have flaws.
    ///
    /// # Errors
    /// As [`Shop::open`].
    pub fn open_on(
        disk: Disk,
        config: config::Shop,
        budgets: &Budgets,
        clock: Clock,
        meter: Meter,
    ) -> Result<(Self, OpenNotes), OpenError> {
        Self::open_with(disk, config, budgets, clock, meter, Damage::IsSetAside)
    }

    fn open_with(
        disk: Disk,
        config: config::Shop,
        budgets: &Budgets,
        clock: Clock,
        meter: Meter,
        damage: Damage,
    ) -> Result<(Self, OpenNotes), OpenError> {
        let dir = &config.state_dir;
        let failed = |source| OpenError::StateDir {
            path: dir.clone(),
            source,
        };
        let mut private = std::fs::DirBuilder::new();
        private.recursive(true).mode(0o700);
        private.create(dir).map_err(failed)?;
        backup::settle(dir)?;
        let vault = config.vault()?;
        if vault.is_destroyed() {
            privacy::clear(dir, clock.now())?;
            let path = dir.clone();
            return Err(PassError::Erased { path }.into());
        }
        let (mirror, repaired, rebuilt) =
            probation::open_mirror(&disk, &config, &vault, clock.now(), damage)?;
        if repaired.is_some() || rebuilt.is_some() {
            meter.repaired();
        }
        let pseudonyms = Pseudonyms::open(dir)?;
        let (journal, recovery) = Journal::open_on(disk, &dir.join("journal"), &vault)?;
        let vendors = Vendors::new(&config, budgets, &clock, &meter)?;
        let heard = config.webhooks.is_some() || Inbox::exists(dir);
        let inbox = heard.then(|| Inbox::open(dir)).transpose()?;
        let notes = OpenNotes {
            repaired,
            rebuilt,
            journal_cut: recovery.cut_bytes,
            open_intents: recovery.open.len(),
        };
        let mut shop = Self {
            config,
            mirror: Arc::new(mirror),
            journal,
            vendors,
            pseudonyms,
            clock,
            meter,
            inbox,
            is_damaged: false,
        };
        shop.remember_budget()?;
        shop.go_on_forgetting()?;
        Ok((shop, notes))
    }

    /// The shop's name.
    pub fn name(&self) -> &str {
        &self.config.name
    }

    /// What hears this shop's webhooks, if its config wants that.
    pub fn hooks(&self) -> Option<Hooks> {
        let (webhooks, inbox) = self.config.webhooks.clone().zip(self.inbox.clone())?;
        let whose = Whose {
            domain: self.config.shopify.domain.clone(),
            account: self.config.klaviyo.account.clone(),
        };
        let (vault, clock) = (self.mirror.vault().clone(), self.clock.clone());
        let meter = self.meter.clone();
        Some(Hooks::new(webhooks, whose, inbox, vault, clock, meter))
    }

    /// When the last pass began that came to its end and was free to write; over restarts.
    pub fn last_pass(&self) -> Result<Option<Moment>, MirrorError> {
        self.mirror.last_pass()
    }

    /// The mirror, for reading.
    pub fn mirror(&self) -> &Mirror {
        &self.mirror
    }

    /// Whether a write to mirror or journal failed, or the mirror turned out to be damaged. What the disk
    /// holds is unknown then; nothing more is written until the shop is opened anew.
    pub fn is_broken(&self) -> bool {
        self.is_damaged || self.mirror.is_failed() || self.journal.is_poisoned()
    }

    /// Everything this shop holds, as a backup in a file without a name, to be read from its beginning.
    /// Between two passes all of it belongs to one moment.
    ///
    /// # Errors
    /// Damage in mirror or journal, too little room, and whatever else the disk says.
    pub fn back_up(&mut self) -> Result<File, BackupError> {
        let made = self.copy();
        if let Err(error) = &made {
            self.note_damage_of_backup(error);
        }
        made
    }

    fn copy(&self) -> Result<File, BackupError> {
        if !self.is_whole()? {
            return Err(BackupError::Unproven);
        }
        let dir = &self.config.state_dir;
        let source = backup::Source {
            shop: &self.config.name,
            key_file: &Pseudonyms::key_file(dir),
            mirror: &self.mirror,
            journal: &self.journal,
        };
        self.check_room(source.size())?;
        let mut file = backup::spool(dir)?;
        backup::write(&source, self.clock.now(), &mut file, dir)?;
        Ok(file)
    }

    /// Whether the mirror has what there is: a new one in place of one that was damaged may be empty, and
    /// says nothing about anybody.
    ///
    /// # Errors
    /// The mirror cannot be read.
    pub fn is_whole(&self) -> Result<bool, MirrorError> {
        let is_new = self.readings_due().unwrap_or_default() > 0;
        Ok(!is_new || self.mirror.is_filled()?)
    }

    /// A full disk would stop every mirror on it.
    fn check_room(&self, bytes: u64) -> Result<(), BackupError> {
        let wanted = bytes.saturating_add(self.config.min_free_disk);
        match self.free_disk() {
            Some(free) if free < wanted => Err(BackupError::NoRoom {
                path: self.config.state_dir.clone(),
                free,
                wanted,
            }),
            _ => Ok(()),
        }
    }

    /// A pass that runs out of space midway is survivable, but one that does not start is better.
    pub(super) fn check_disk(&self) -> Result<(), PassError> {
        let least = self.config.min_free_disk;
        match self.free_disk() {
            Some(free) if free < least => Err(PassError::DiskLow {
                path: self.config.state_dir.clone(),
                free,
                least,
            }),
            _ => Ok(()),
        }
    }

    /// Bytes free for us; `None` when the file system cannot say, for it is not known to be full.
    fn free_disk(&self) -> Option<u64> {
        let disk = rustix::fs::statvfs(&self.config.state_dir).ok()?;
        Some(disk.f_bavail.saturating_mul(disk.f_frsize))
    }
}
