//! Reading a journal without changing or locking it; nobody else is disturbed.

use super::chain::Chain;
use super::{Entry, JournalError, Link, files};
use crate::vault::Vault;
use std::path::Path;

/// How far a reading came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Files read.
    pub files: u64,
    /// The link of the last whole append: kept elsewhere, it proves what the journal said by then.
    pub link: Link,
    /// Bytes of a torn last append, or of one that is being written; it was never acknowledged.
    pub torn_bytes: u64,
}

/// Tells every record of a journal, in order; intents whose subjects were forgotten, closed. `Err` from `visit` is damage at its place.
///
/// # Errors
/// Damage before the last append, a missing file, a past that was rewritten.
pub fn read(
    dir: &Path,
    vault: &Vault,
    mut visit: impl FnMut(Entry) -> Result<(), ()>,
) -> Result<Reading, JournalError> {
    read_sealed(dir, |entry| visit(entry.unsealed(vault)))
}

/// The same without a look at what is personal.
pub(super) fn read_sealed(
    dir: &Path,
    mut visit: impl FnMut(Entry) -> Result<(), ()>,
) -> Result<Reading, JournalError> {
    let mut reading = Reading::default();
    let mut chain = Chain::default();
    let numbers = files::numbers(dir)?;
    for &number in &numbers {
        let is_last = numbers.last() == Some(&number);
        let read = files::read(dir, number, is_last, &mut chain, &mut visit)?;
        reading.link = chain.link;
        reading.files += 1;
        reading.torn_bytes = read.torn;
    }
    Ok(reading)
}
