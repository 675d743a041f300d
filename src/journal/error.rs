use super::{EffectId, RunId};
use crate::vault::VaultError;
use std::io;

/// What the journal may answer instead. Files are named by their number, records by their line.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// A record before the last append is damaged; nothing after it can be trusted.
    #[error(
        "journal file {file:08}.log is damaged at line {line}: restore the shop from a backup \
         (`driftless restore`), or move the journal directory away after checking what was in flight"
    )]
    Damaged {
        /// The file's number.
        file: u64,
        /// Counted from 1.
        line: u64,
    },
    /// Every record is whole, but they are not those that were written.
    #[error(
        "journal file {file:08}.log, line {line}: the hash over everything before it is another one, \
         so a record was changed, added or taken out: restore the file from a backup"
    )]
    Rewritten {
        /// The file's number.
        file: u64,
        /// Counted from 1.
        line: u64,
    },
    /// A file between two others, or the first, is gone.
    #[error(
        "journal file {file:08}.log is missing: restore the shop from a backup (`driftless restore`)"
    )]
    Missing {
        /// The file's number.
        file: u64,
    },
    /// A sound record of a kind that this version does not know.
    #[error(
        "journal file {file:08}.log, line {line}, was written by a newer driftless: use that one"
    )]
    Newer {
        /// The file's number.
        file: u64,
        /// Counted from 1.
        line: u64,
    },
    /// Another process has the journal open.
    #[error("the journal is in use by another process: stop that driftless, or wait for it to end")]
    Locked,
    /// Personal values cannot be sealed.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// A file operation failed.
    #[error(
        "cannot {action} the journal: {source}; check the disk and the directory's permissions"
    )]
    Io {
        /// What was tried.
        action: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// A write failed earlier; what is on disk is unknown until the journal is opened again.
    #[error("the journal takes nothing more after a failed write: restart driftless")]
    Poisoned,
    /// An outcome for an effect that is not open: never intended, or concluded already.
    #[error("effect {effect} is not open: each intent reaches exactly one end")]
    NotOpen {
        /// Which effect.
        effect: EffectId,
    },
    /// The same effect was intended before in this run.
    #[error("effect {effect} was intended already: plan each target once a run")]
    Repeated {
        /// Which effect.
        effect: EffectId,
    },
    /// An intent of a run that is not the one under way.
    #[error("run {run} is not under way: begin a run before intending anything in it")]
    NotRunning {
        /// The intent's run.
        run: RunId,
    },
}

impl JournalError {
    pub(super) fn io(action: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, source }
    }
}
