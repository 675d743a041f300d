//! Where mirror and journal write: the machine's disk, or one that fails where a test wants it to.
//!
//! Every batch of the mirror and every append to the journal is handed over here, operation by operation,
//! so that each of them can be the one that goes wrong. What opening and repairing write is not.

use std::fmt;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// Makes what was created, renamed or removed in a directory survive a power cut.
///
/// # Errors
/// Whatever the file system says.
pub fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Something that reaches the disk as a whole, or should.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// A batch of the mirror, written and synced.
    Commit,
    /// The lines of an append to the journal.
    Append,
    /// Their sync.
    Sync,
}

/// How an operation goes wrong. Whoever asked for it is told the same either way.
#[derive(Debug)]
pub enum Flaw {
    /// Nothing of it is done.
    Before(io::Error),
    /// All of it is done.
    After(io::Error),
}

/// What decides which operations go wrong.
pub trait Flaws: fmt::Debug + Send + Sync {
    /// Told of every operation before it is done.
    fn strike(&self, operation: Operation) -> Option<Flaw>;
}

/// A disk. Clones are the same one.
#[derive(Clone, Debug, Default)]
pub struct Disk(Option<Arc<dyn Flaws>>);

impl Disk {
    /// One with flaws; the default one is the machine's and has none but its own.
    pub fn flawed(flaws: Arc<dyn Flaws>) -> Self {
        Self(Some(flaws))
    }

    /// Does an operation, unless it goes wrong before.
    ///
    /// # Errors
    /// Whatever `work` answers, or what `failed` makes of a flaw.
    pub fn carry_out<T, E>(
        &self,
        operation: Operation,
        failed: impl FnOnce(io::Error) -> E,
        work: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        match self.0.as_ref().and_then(|flaws| flaws.strike(operation)) {
            None => work(),
            Some(Flaw::Before(error)) => Err(failed(error)),
            Some(Flaw::After(error)) => {
                work()?;
                Err(failed(error))
            }
        }
    }
}
