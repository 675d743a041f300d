//! Whether the journal can be read to its end, and how everything in it ended.

use super::{Entry, JournalError, files, state::State};
use crate::model::End;
use std::collections::BTreeMap;
use std::path::Path;

/// What an audit found. A journal that contradicts itself is an error, as when it is opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// Files read.
    pub files: u64,
    /// Runs begun.
    pub runs: u64,
    /// Effects intended.
    pub intents: u64,
    /// How they ended.
    pub ends: BTreeMap<End, u64>,
    /// Those that have not ended.
    pub open: u64,
    /// Bytes of a torn last append, or of one that is being written; it was never acknowledged.
    pub torn_bytes: u64,
}

/// Reads a journal without changing or locking it; nobody else is disturbed.
///
/// # Errors
/// Damage before the last append, a missing file, and an end or a job without its intent.
pub fn audit(dir: &Path) -> Result<Audit, JournalError> {
    let mut state = State::default();
    let mut audit = Audit::default();
    let numbers = files::numbers(dir)?;
    if numbers.is_empty() {
        return Err(JournalError::Missing { file: 1 });
    }
    for &number in &numbers {
        let is_last = numbers.last() == Some(&number);
        let read = files::read(dir, number, is_last, |entry| {
            audit.count(&entry);
            state.apply(&entry)
        })?;
        audit.files += 1;
        audit.torn_bytes = read.torn;
    }
    audit.open = state.open.len() as u64;
    Ok(audit)
}

impl Audit {
    fn count(&mut self, entry: &Entry) {
        match entry {
            Entry::Run { .. } => self.runs += 1,
            Entry::Intent(_) => self.intents += 1,
            Entry::Outcome(outcome) => *self.ends.entry(outcome.end).or_default() += 1,
            Entry::Job(_) | Entry::RunEnd { .. } => {}
        }
    }
}
