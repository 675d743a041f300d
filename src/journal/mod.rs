//! What was about to be done, and what became of it: append-only, checksummed, readable.
//!
//! Nothing is sent upstream before its intent is durable here, and every intent reaches exactly one
//! end. Unlike the mirror, the journal cannot be rebuilt from anywhere else. After a crash the open
//! intents tell what may or may not have been sent: observe, then decide.
//!
//! Records are acknowledged append by append: a commit line closes each, and counts only together
//! with every line it closes. What stands behind the last whole append was never acknowledged. The
//! commit lines are chained by hashes, so that the past cannot be changed without a trace. What an
//! intent says of a person is sealed with a key of [`crate::vault`].

mod audit;
mod chain;
mod copy;
mod entry;
mod error;
mod files;
mod line;
mod names;
mod reader;
mod sealing;
mod state;

#[cfg(test)]
mod tests;

pub use audit::{Audit, audit};
pub use chain::Link;
pub use copy::restore_file;
pub use entry::{DataRequest, EffectId, Entry, Forgetting, Intent, Job, Outcome, Purpose, RunId};
pub use error::JournalError;
pub use reader::{Reading, read};

use crate::disk::Disk;
use crate::model::{EffectKind, End, Moment};
use crate::vault::{Mark, Vault};
use chain::Chain;
use files::Tail;
use state::State;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// A file that has grown to this size is followed by a new one.
const FILE_BYTES: u64 = 64 << 20;

/// So many intents are appended at once: a kilobyte each.
const APPEND: usize = 2_000;

/// One shop's journal, open for writing.
#[derive(Debug)]
pub struct Journal {
    dir: PathBuf,
    vault: Vault,
    tail: Tail,
    file_bytes: u64,
    /// Of the last append.
    link: Link,
    state: State,
    /// Set by a failed write or sync. A later sync could report success for pages that are gone.
    poisoned: bool,
    _lock: File,
}

/// What was found when a journal was opened.
#[derive(Clone, Debug, PartialEq)]
pub struct Recovery {
    /// Bytes of a torn last append that were cut; it was never acknowledged. Worth a warning.
    pub cut_bytes: u64,
    /// Intents without an outcome, by effect id: sent or not, nobody knows.
    pub open: Vec<Intent>,
    /// Jobs that carry any of them.
    pub jobs: Vec<Job>,
    /// The run that [`Journal::begin_run`] will begin.
    pub next_run: RunId,
}

/// One effect of a run, and its end if it has one.
#[derive(Clone, Debug, PartialEq)]
pub struct Effected {
    /// What was intended, with what was there before.
    pub intent: Intent,
    /// `None` while it is open.
    pub outcome: Option<Outcome>,
}

impl Journal {
    /// Opens the journal in `dir`, creating it if absent, and locks it. A torn last append is cut; a
    /// damaged record before it is an error, for what it said may have been sent.
    pub fn open(dir: &Path, vault: &Vault) -> Result<(Self, Recovery), JournalError> {
        Self::open_on(Disk::default(), dir, vault)
    }

    /// As [`Journal::open`], on a disk that may have flaws.
    ///
    /// # Errors
    /// As [`Journal::open`].
    pub fn open_on(
        disk: Disk,
        dir: &Path,
        vault: &Vault,
    ) -> Result<(Self, Recovery), JournalError> {
        Self::open_with(disk, dir, vault, FILE_BYTES)
    }

    pub(crate) fn open_with(
        disk: Disk,
        dir: &Path,
        vault: &Vault,
        file_bytes: u64,
    ) -> Result<(Self, Recovery), JournalError> {
        files::create_dir(dir)?;
        let lock = lock(dir)?;
        let mut state = State::default();
        let mut tail = None;
        let mut cut_bytes = 0;
        let mut chain = Chain::default();
        let numbers = files::numbers(dir)?;
        for &number in &numbers {
            let is_last = numbers.last() == Some(&number);
            let read = files::read(dir, number, is_last, &mut chain, |entry| {
                state.apply(entry.unsealed(vault))
            })?;
            if is_last {
                cut_bytes = read.torn;
                tail = Some(Tail::open(dir, number, &read, disk.clone())?);
            }
        }
        // Whatever was under way has ended with the process.
        state.running = None;
        let recovery = Recovery {
            cut_bytes,
            open: state.open.values().cloned().collect(),
            jobs: state.open_jobs(),
            next_run: RunId(state.last_run + 1),
        };
        let tail = match tail {
            Some(tail) => tail,
            None => Tail::create(dir, 1, disk)?,
        };
        let journal = Self {
            dir: dir.to_owned(),
            vault: vault.clone(),
            tail,
            file_bytes,
            link: chain.link,
            state,
            poisoned: false,
            _lock: lock,
        };
        Ok((journal, recovery))
    }

    /// Begins a run that carries out a plan, named by its id. Spending and refusals older than a day before `now` are forgotten.
    pub fn begin_run(&mut self, now: Moment, plan: &str) -> Result<RunId, JournalError> {
        let run = RunId(self.state.last_run + 1);
        let plan = Some(plan.to_owned());
        self.write(vec![Entry::Run { run, at: now, plan }])?;
        Ok(run)
    }

    /// The last run that began; 0 before the first.
    pub fn last_run(&self) -> RunId {
        RunId(self.state.last_run)
    }

    /// Ends the run under way. Its open intents stay open.
    pub fn end_run(&mut self, run: RunId, now: Moment) -> Result<(), JournalError> {
        if self.state.running != Some(run) {
            return Err(JournalError::NotRunning { run });
        }
        self.write(vec![Entry::RunEnd { run, at: now }])
    }

    /// Whether a write failed, so that no other is taken.
    pub fn is_poisoned(&self) -> bool {
        self.poisoned
    }

    /// Writes intents down, a few thousand with one sync. Only after `Ok` may any of them be sent; after an
    /// error, some may be open all the same.
    pub fn intend(&mut self, intents: Vec<Intent>) -> Result<(), JournalError> {
        let mut fresh = BTreeSet::new();
        for intent in &intents {
            let (run, effect) = (intent.run, intent.id);
            if self.state.running != Some(run) {
                return Err(JournalError::NotRunning { run });
            }
            if self.state.is_intended(effect) || !fresh.insert(effect) {
                return Err(JournalError::Repeated { effect });
            }
        }
        let mut entries = intents.into_iter().map(Entry::Intent).peekable();
        while entries.peek().is_some() {
            self.write(entries.by_ref().take(APPEND).collect())?;
        }
        Ok(())
    }

    /// Notes a job that the vendor accepted, before its first poll.
    pub fn job(
        &mut self,
        run: RunId,
        job: &str,
        effects: &[EffectId],
        now: Moment,
    ) -> Result<(), JournalError> {
        for &effect in effects {
            if !self.state.open.contains_key(&effect) {
                return Err(JournalError::NotOpen { effect });
            }
        }
        self.write(vec![Entry::Job(Job {
            run,
            job: job.to_owned(),
            effects: effects.to_vec(),
            at: now,
        })])
    }

    /// Writes outcomes down: how each effect ended, with the vendor's code if there is one.
    pub fn conclude(
        &mut self,
        ends: &[(EffectId, End, Option<String>)],
        now: Moment,
    ) -> Result<(), JournalError> {
        let mut fresh = BTreeSet::new();
        let mut entries = Vec::with_capacity(ends.len());
        for (effect, end, code) in ends {
            let effect = *effect;
            if !self.state.open.contains_key(&effect) || !fresh.insert(effect) {
                return Err(JournalError::NotOpen { effect });
            }
            entries.push(Entry::Outcome(Outcome {
                effect,
                end: *end,
                code: code.clone(),
                at: now,
            }));
        }
        self.write(entries)
    }

    /// Writes down that effects of a run, confirmed before, were not true when they were read back.
    pub fn unkept(
        &mut self,
        run: RunId,
        effects: &[EffectId],
        now: Moment,
    ) -> Result<(), JournalError> {
        self.write(vec![Entry::Unkept {
            run,
            effects: effects.to_vec(),
            at: now,
        }])
    }

    /// Writes down that a person is to be forgotten: from here on it is settled, whatever happens.
    pub fn forget(&mut self, forgetting: Forgetting) -> Result<(), JournalError> {
        self.write(vec![Entry::Forget(forgetting)])
    }

    /// Writes down that they were; it ends every forgetting of the same marks.
    pub fn forgotten(&mut self, marks: &[Mark], now: Moment) -> Result<(), JournalError> {
        let (marks, at) = (marks.to_vec(), now);
        self.write(vec![Entry::Forgotten { marks, at }])
    }

    /// What was begun and not ended.
    pub fn forgetting(&self) -> &[Forgetting] {
        &self.state.forgetting
    }

    /// The marks of everybody who was, or is, to be forgotten: more than the vault knows of when that
    /// is an older copy.
    pub fn all_forgotten(&self) -> impl Iterator<Item = Mark> {
        self.state.forgotten.iter().copied()
    }

    /// Writes down that a customer wants to see their data, unless that is on record.
    pub fn data_request(&mut self, request: DataRequest) -> Result<(), JournalError> {
        match self.state.has_request(request.request) {
            true => Ok(()),
            false => self.write(vec![Entry::DataRequest(request)]),
        }
    }

    /// Writes down that such a request was answered; `false` when none with this number is open.
    pub fn data_answered(&mut self, request: u64, now: Moment) -> Result<bool, JournalError> {
        if !self.state.requests.contains_key(&request) {
            return Ok(false);
        }
        self.write(vec![Entry::DataAnswered { request, at: now }])?;
        Ok(true)
    }

    /// Requests that were not answered yet, by number.
    pub fn data_requests(&self) -> impl Iterator<Item = &DataRequest> {
        self.state.requests.values()
    }

    /// Writes down that everything personal of the shop is to be erased, once.
    pub fn shop_erased(&mut self, now: Moment) -> Result<(), JournalError> {
        match self.state.is_erased {
            true => Ok(()),
            false => self.write(vec![Entry::ShopErased { at: now }]),
        }
    }

    /// Distinct subjects with a confirmed or still open effect of these kinds, which budgets count, since
    /// then. Rolling guards count with it; it survives restarts. `since` lies at most a day back.
    pub fn spent(&self, kinds: &[EffectKind], since: Moment) -> BTreeSet<&str> {
        self.state.spent(kinds, since)
    }

    /// What was refused or withdrawn since then and not confirmed later: asking again so soon would
    /// only be refused again. It survives restarts. `since` lies at most a day back.
    pub fn refused_since(&self, since: Moment) -> BTreeSet<Purpose> {
        self.state.refused_since(since)
    }

    /// When this profile was last unsubscribed by an effect, if ever.
    pub fn unsubscribed_at(&self, profile: &str) -> Option<Moment> {
        self.state.unsubscribed_at(profile)
    }

    /// Whether a suppression of this profile was ever confirmed.
    pub fn was_suppressed(&self, profile: &str) -> bool {
        self.state.was_suppressed(profile)
    }

    /// An intent without an outcome.
    pub fn open_intent(&self, effect: EffectId) -> Option<&Intent> {
        self.state.open.get(&effect)
    }

    /// Intents without an outcome, by effect id.
    pub fn open_intents(&self) -> impl Iterator<Item = &Intent> {
        self.state.open.values()
    }

    /// Jobs that carry any intent without an outcome.
    pub fn open_jobs(&self) -> Vec<Job> {
        self.state.open_jobs()
    }

    /// All effects of one run with their ends, in the order in which they were intended.
    pub fn effects_of(&self, run: RunId) -> Result<Vec<Effected>, JournalError> {
        let mut effects: Vec<Effected> = Vec::new();
        let mut index = BTreeMap::new();
        read(&self.dir, &self.vault, |entry| {
            match entry {
                Entry::Intent(intent) if intent.run == run => {
                    index.insert(intent.id, effects.len());
                    let outcome = None;
                    effects.push(Effected { intent, outcome });
                }
                Entry::Outcome(outcome) => {
                    let at = index.get(&outcome.effect).copied();
                    if let Some(effected) = at.and_then(|at| effects.get_mut(at)) {
                        effected.outcome = Some(outcome);
                    }
                }
                _ => {}
            }
            Ok(())
        })?;
        Ok(effects)
    }

    /// Appends and syncs, all in one; only then the records count.
    fn write(&mut self, entries: Vec<Entry>) -> Result<(), JournalError> {
        if self.poisoned {
            return Err(JournalError::Poisoned);
        }
        if entries.is_empty() {
            return Ok(());
        }
        let mut lines = Vec::new();
        for entry in &entries {
            let sealed = entry.sealed(&self.vault)?;
            let json = serde_json::to_vec(&sealed).expect("entries have text keys");
            line::write(&mut lines, &json);
        }
        let link = self.link.after(&lines);
        let commit = line::Commit {
            records: entries.len() as u64,
            link: Some(link),
        };
        line::write_commit(&mut lines, commit);
        let written = self.tail.append(&self.dir, &lines, self.file_bytes);
        self.poisoned = written.is_err();
        written?;
        self.link = link;
        for entry in entries {
            let applied = self.state.apply(entry);
            applied.expect("every caller has checked its entries against the state");
        }
        Ok(())
    }
}

fn lock(dir: &Path) -> Result<File, JournalError> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    let file = options.open(dir.join("lock"));
    let file = file.map_err(JournalError::io("open the lock of"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(JournalError::Locked),
        Err(TryLockError::Error(source)) => Err(JournalError::io("lock")(source)),
    }
}
