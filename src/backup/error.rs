use crate::journal::JournalError;
use crate::mirror::MirrorError;
use crate::vault::VaultError;
use std::io;
use std::path::{Path, PathBuf};

/// Why there is no backup, or nothing was restored from it.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// Nothing is there to be backed up.
    #[error("there is no {} yet: make a pass with --reconcile first", path.display())]
    Absent {
        /// The mirror or the journal.
        path: PathBuf,
    },
    /// A backup of it would push out a better one, and it does not know who is in it.
    #[error(
        "the mirror is being filled anew after damage: ask again once a pass has read everything"
    )]
    Unproven,
    /// A backup never takes another file's place.
    #[error("{} exists already: name another file, or remove that one", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// Some other file.
    #[error("{} is no backup of driftless", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// Written by another version.
    #[error(
        "{} has format {found}, this driftless reads {known}: restore it with the version that wrote it",
        path.display()
    )]
    OtherFormat {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The one format read here.
        known: u32,
    },
    /// The end is missing.
    #[error(
        "{} has no end mark, so its writing was cut short: use another backup",
        path.display()
    )]
    Unfinished {
        /// The file.
        path: PathBuf,
    },
    /// Something in it is not as it was written.
    #[error("{} is damaged ({what}): use another backup, or another copy of it", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// The mirror in it was written by another version.
    #[error(
        "{} holds a mirror of format {found}, this driftless reads {known}: restore it with the \
         version that wrote it",
        path.display()
    )]
    MirrorFormat {
        /// The file.
        path: PathBuf,
        /// The mirror's format.
        found: u8,
        /// The format read here.
        known: u8,
    },
    /// The keys to it are not here.
    #[error(
        "{} opens only with the vault it was made with: put your copy of that file at {}, with mode 0600",
        path.display(), vault.display()
    )]
    NoVault {
        /// The file.
        path: PathBuf,
        /// Where the vault should be.
        vault: PathBuf,
    },
    /// It belongs to another shop.
    #[error(
        "{} is of {what} `{theirs}`, the config says `{ours}`: use that shop's backup or its config",
        path.display()
    )]
    OtherShop {
        /// The file.
        path: PathBuf,
        /// What differs.
        what: &'static str,
        /// What the backup says.
        theirs: String,
        /// What the config says.
        ours: String,
    },
    /// A restore never takes the place of anything.
    #[error(
        "{} is there already: stop driftless, move `mirror` and `journal` out of the state \
         directory, and restore again",
        path.display()
    )]
    Occupied {
        /// The mirror or the journal.
        path: PathBuf,
    },
    /// A copy might fill the disk that mirrors live on.
    #[error(
        "{free} bytes are free at {}, a copy and shop.min_free_disk take {wanted}: free some space, or \
         back up while driftless is stopped, which needs room for the file alone",
        path.display()
    )]
    NoRoom {
        /// The state directory.
        path: PathBuf,
        /// Bytes free now.
        free: u64,
        /// Bytes wanted.
        wanted: u64,
    },
    /// A file operation failed.
    #[error("cannot {action} {}: {source}; check space and permissions there", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// With which file or directory.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The keys to what is in it.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The mirror, here or on its way back.
    #[error(transparent)]
    Mirror(#[from] MirrorError),
    /// The journal, here or on its way back.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl BackupError {
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }
}
