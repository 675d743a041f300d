use crate::model::{ListId, Slot};
use crate::vault::VaultError;
use std::io::{self, ErrorKind};

/// What helps against a mirror that cannot be read.
pub(super) const REFILL: &str = "a new mirror has to be filled, with `driftless rebuild` if the next start does not \
                                 begin one by itself";

/// What the mirror may answer instead. No variant carries a key, a value or an address.
#[derive(Debug, thiserror::Error)]
pub enum MirrorError {
    /// Another process works on the same state directory.
    #[error(
        "the state directory is in use by {holder}: stop that driftless, or wait for it to end"
    )]
    Locked {
        /// Process id, host and start of the holder, as it wrote them down.
        holder: String,
    },
    /// The store cannot be opened, even without its snapshots, or read.
    #[error("the mirror cannot be read ({what}): {remedy}")]
    Damaged {
        /// What the store said.
        what: String,
        /// What helps.
        remedy: &'static str,
    },
    /// A value's checksum or form is wrong; it was not used.
    #[error("the mirror's shelf `{shelf}` holds a damaged value: {}", REFILL)]
    BadValue {
        /// Where.
        shelf: &'static str,
    },
    /// A value was written by a later version.
    #[error(
        "the mirror's shelf `{shelf}` has format {found}, this driftless reads up to {known}: \
         use the version that wrote it, or `driftless rebuild`"
    )]
    Newer {
        /// Where.
        shelf: &'static str,
        /// The value's format.
        found: u8,
        /// The newest format known here.
        known: u8,
    },
    /// A value was written by an earlier version, in a format that is no longer read.
    #[error(
        "the mirror has format {found}, this driftless reads {known}: `driftless rebuild` sets it \
         aside, and the next pass fills a new one"
    )]
    Older {
        /// The value's format.
        found: u8,
        /// The format read here.
        known: u8,
    },
    /// A file operation beside the store failed.
    #[error("cannot {action}: {source}; check the state directory's space and permissions")]
    Io {
        /// What was tried.
        action: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// The store itself failed.
    #[error("the mirror failed to {action}: {source}; check the disk, then restart driftless")]
    Store {
        /// What was tried.
        action: &'static str,
        /// Why not.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A write failed earlier; what is on disk is unknown until the mirror is opened again.
    #[error("the mirror takes no more writes after a failed one ({first}): restart driftless")]
    Failed {
        /// What failed first.
        first: String,
    },
    /// A dense number would not fit its width.
    #[error(
        "the mirror has no number left for another {what}: `driftless rebuild` sets it aside, and the \
         next pass numbers afresh"
    )]
    Exhausted {
        /// Of what kind.
        what: &'static str,
    },
    /// Members or an end arrived for a listing that was never begun.
    #[error("no listing of list {list} is under way: begin one first")]
    NotListing {
        /// Which list.
        list: ListId,
    },
    /// The keys to what is in the mirror are not the ones in the state directory.
    #[error(
        "the mirror's keys are not in the state directory: put the `vault` file back that belongs to it. Without one, \
         `driftless rebuild`; who was forgotten is known no more then"
    )]
    OtherVault,
    /// The keys.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// A receipt names a record that the mirror does not hold.
    #[error("record {slot} is not a stored {what}: pull it before writing to it")]
    NoRecord {
        /// Which record.
        slot: Slot,
        /// What it should be.
        what: &'static str,
    },
}

impl MirrorError {
    /// Whether the mirror's bytes are not what was written.
    pub fn is_rot(&self) -> bool {
        matches!(self, Self::Damaged { .. } | Self::BadValue { .. })
    }

    /// The store panicked, as it does over some damage.
    pub(crate) fn panicked() -> Self {
        Self::Damaged {
            what: "reading it panicked".to_owned(),
            remedy: REFILL,
        }
    }

    /// Whether what is on disk cannot be understood, as opposed to not be had.
    pub(super) fn is_damage(&self) -> bool {
        matches!(
            self,
            Self::Damaged { .. }
                | Self::BadValue { .. }
                | Self::Newer { .. }
                | Self::Older { .. }
                | Self::OtherVault
        )
    }

    pub(crate) fn io(action: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, source }
    }

    pub(super) fn store(action: &'static str) -> impl FnOnce(sled::Error) -> Self {
        move |source| match source {
            // Settings that it cannot read it takes for those of an older version.
            sled::Error::Corruption { .. }
            | sled::Error::ReportableBug(_)
            | sled::Error::Unsupported(_) => Self::Damaged {
                what: source.to_string(),
                remedy: REFILL,
            },
            // A length that was changed leads past the end.
            sled::Error::Io(error) if error.kind() == ErrorKind::UnexpectedEof => Self::Damaged {
                what: error.to_string(),
                remedy: REFILL,
            },
            source => Self::Store {
                action,
                source: Box::new(source),
            },
        }
    }
}
