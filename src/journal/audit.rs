//! Whether the journal can be read to its end, and how everything in it ended.

use super::reader::{Reading, read_sealed};
use super::state::State;
use super::{Entry, JournalError};
use crate::model::End;
use std::collections::BTreeMap;
use std::path::Path;

/// What an audit found. A journal that contradicts itself is an error, as when it is opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// How far it came.
    pub reading: Reading,
    /// Runs begun.
    pub runs: u64,
    /// Effects intended.
    pub intents: u64,
    /// How they ended.
    pub ends: BTreeMap<End, u64>,
    /// Those that have not ended.
    pub open: u64,
}

/// Reads a journal without changing or locking it; nobody else is disturbed.
///
/// # Errors
/// Damage before the last append, a missing file, and an end or a job without its intent.
pub fn audit(dir: &Path) -> Result<Audit, JournalError> {
    let mut state = State::default();
    let mut audit = Audit::default();
    audit.reading = read_sealed(dir, |entry| {
        audit.count(&entry);
        state.apply(entry)
    })?;
    if audit.reading.files == 0 {
        return Err(JournalError::Missing { file: 1 });
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
            Entry::Job(_)
            | Entry::Unkept { .. }
            | Entry::RunEnd { .. }
            | Entry::Forget(_)
            | Entry::Forgotten { .. }
            | Entry::DataRequest(_)
            | Entry::DataAnswered { .. }
            | Entry::ShopErased { .. } => {}
        }
    }
}
