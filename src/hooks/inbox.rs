//! What deliveries brought and nobody has dealt with yet, and by what they are known again. All of it is
//! on disk before a delivery is answered, and bounded.

use super::MEMORY;
use super::delivery::{Demand, Named, Notice, Print};
use super::file::{Log, Record};
use crate::model::Moment;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// Records that wait to be fetched; what is named beyond that the ordinary pull finds.
const MOST_NAMED: usize = 10_000;
/// Demands that wait. Beyond that deliveries are refused, so that they come again.
const MOST_DEMANDS: usize = 10_000;
/// Notices that are known again: ten a minute for a week.
const MOST_PRINTS: usize = 200_000;
/// The file is written anew when it is larger than this and than twice of what it must hold.
const SLACK_BYTES: u64 = 1 << 20;
/// Of one print in the file, roughly.
const PRINT_BYTES: u64 = 24;

/// The inbox cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[error("the file of webhooks {path}: {source}")]
pub struct InboxError {
    path: PathBuf,
    source: io::Error,
}

/// Records that were named, to be fetched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Which.
    pub named: BTreeSet<Named>,
    /// For [`Inbox::fetched`].
    pub through: u64,
}

/// A demand that is not met yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// For [`Inbox::met`].
    pub no: u64,
    /// When it was heard.
    pub at: Moment,
    /// What is demanded.
    pub demand: Demand,
}

/// One shop's inbox; clones share it.
#[derive(Clone, Debug)]
pub struct Inbox(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    content: Mutex<Content>,
    changed: watch::Sender<()>,
}

#[derive(Debug)]
struct Content {
    log: Log,
    state: State,
}

#[derive(Debug, Default)]
struct State {
    /// The number of the last record.
    last: u64,
    /// By which notices are known again, and when they came.
    seen: BTreeMap<Print, Moment>,
    /// The same by age.
    ages: BTreeSet<(Moment, Print)>,
    /// What to fetch: the number that named it last, and since when it waits.
    named: BTreeMap<Named, (u64, Moment)>,
    demands: BTreeMap<u64, (Moment, Demand)>,
    /// Names that there was no room for.
    dropped: u64,
}

/// What became of notices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Kept {
    pub fresh: usize,
    pub repeated: usize,
}

/// Where a shop's inbox lies.
pub(super) fn inbox_file(state_dir: &Path) -> PathBuf {
    state_dir.join("webhooks")
}

impl Inbox {
    /// Opens `<state_dir>/webhooks`, or makes it. For whoever has the lock on the state directory.
    ///
    /// # Errors
    /// Whatever the file system says.
    pub fn open(state_dir: &Path) -> Result<Self, InboxError> {
        let path = inbox_file(state_dir);
        let mut state = State::default();
        let failed = |source| InboxError {
            path: path.clone(),
            source,
        };
        let (mut log, unsound) = Log::open(&path, |record| state.apply(record)).map_err(failed)?;
        if unsound.torn > 0 {
            // Never acknowledged, so its vendor sends it again.
            tracing::warn!(bytes = unsound.torn, "Torn end of the file of webhooks cut");
        }
        if unsound.damaged > 0 {
            // Names the pull finds, and demands are written twice.
            tracing::error!(
                bytes = unsound.damaged,
                "the file of webhooks was damaged; what is sound is kept"
            );
            log.replace(&state.records()).map_err(failed)?;
        }
        let content = Mutex::new(Content { log, state });
        let changed = watch::Sender::new(());
        Ok(Self(Arc::new(Shared {
            path,
            content,
            changed,
        })))
    }

    /// Whether a shop has one, from when it heard webhooks.
    pub fn exists(state_dir: &Path) -> bool {
        inbox_file(state_dir).exists()
    }

    /// Keeps what has not come before; on `Ok` it survives a power cut.
    pub(super) fn keep(&self, notices: Vec<Notice>, now: Moment) -> Result<Kept, InboxError> {
        let mut content = self.content();
        let Content { log, state } = &mut *content;
        log.mend(|| state.records())
            .map_err(|source| self.failed(source))?;
        let mut records = Vec::new();
        let mut kept = Kept::default();
        for notice in notices {
            let repeated = notice
                .prints
                .iter()
                .any(|print| state.seen.contains_key(print));
            if repeated {
                kept.repeated += 1;
                continue;
            }
            kept.fresh += 1;
            let record = state
                .heard(notice, now)
                .map_err(|source| self.failed(source))?;
            state.apply(record.clone());
            records.extend(copies(record));
        }
        if !records.is_empty()
            && let Err(source) = log.append(&records)
        {
            return Err(self.failed(source));
        }
        state.forget(now);
        if log.bytes > SLACK_BYTES.max(2 * state.bytes()) {
            log.replace(&state.records())
                .map_err(|source| self.failed(source))?;
        }
        drop(content);
        self.0.changed.send_replace(());
        Ok(kept)
    }

    /// Keeps a name as a delivery would.
    #[cfg(test)]
    pub(crate) fn name(&self, one: Named, print: &str, now: Moment) {
        let notice = Notice {
            prints: vec![super::delivery::print(&[print])],
            named: [one].into(),
            demand: None,
        };
        self.keep(vec![notice], now).unwrap();
    }

    /// What is to be fetched.
    pub fn take(&self) -> Taken {
        let content = self.content();
        Taken {
            named: content.state.named.keys().cloned().collect(),
            through: content.state.last,
        }
    }

    /// What was taken is fetched; what was named again meanwhile stays.
    ///
    /// # Errors
    /// Whatever the file system says.
    pub fn fetched(&self, taken: &Taken) -> Result<(), InboxError> {
        match taken.named.is_empty() {
            true => Ok(()),
            false => self.note(Record::Fetched(taken.through)),
        }
    }

    /// Demands that are not met, in the order in which they came.
    pub fn demands(&self) -> Vec<Waiting> {
        let content = self.content();
        let demands = content.state.demands.iter();
        let waiting = demands.map(|(no, (at, demand))| Waiting {
            no: *no,
            at: *at,
            demand: demand.clone(),
        });
        waiting.collect()
    }

    /// A demand is met.
    ///
    /// # Errors
    /// Whatever the file system says.
    pub fn met(&self, no: u64) -> Result<(), InboxError> {
        self.note(Record::Met(no))
    }

    /// Since when the oldest of what is to be fetched waits.
    pub(super) fn since(&self) -> Option<Moment> {
        self.content()
            .state
            .named
            .values()
            .map(|(_, since)| *since)
            .min()
    }

    /// Numbers of what waits: to be fetched, demanded, and dropped for lack of room.
    pub(super) fn sizes(&self) -> (usize, usize, u64) {
        let State {
            named,
            demands,
            dropped,
            ..
        } = &self.content().state;
        (named.len(), demands.len(), *dropped)
    }

    /// Hears of every change from now on.
    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.0.changed.subscribe()
    }

    fn note(&self, record: Record) -> Result<(), InboxError> {
        let mut content = self.content();
        let Content { log, state } = &mut *content;
        log.mend(|| state.records())
            .map_err(|source| self.failed(source))?;
        let noted = content.log.append(std::slice::from_ref(&record));
        noted.map_err(|source| self.failed(source))?;
        content.state.apply(record);
        Ok(())
    }

    fn failed(&self, source: io::Error) -> InboxError {
        let path = self.0.path.clone();
        InboxError { path, source }
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        self.0
            .content
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// A demand comes only once, and the law is behind it: damage to its record must not lose it.
fn copies(record: Record) -> impl Iterator<Item = Record> {
    let demands = matches!(
        &record,
        Record::Heard {
            demand: Some(_),
            ..
        }
    );
    let copy = demands.then(|| record.clone());
    [record].into_iter().chain(copy)
}

impl State {
    /// The record of something new, with as many of its names as there is room for.
    fn heard(&mut self, notice: Notice, at: Moment) -> io::Result<Record> {
        if notice.demand.is_some() && self.demands.len() >= MOST_DEMANDS {
            return Err(io::Error::other("too many demands wait"));
        }
        let mut named = notice.named;
        let mut room = MOST_NAMED.saturating_sub(self.named.len());
        let before = named.len();
        named.retain(|one| {
            let known = self.named.contains_key(one);
            let fits = known || room > 0;
            room -= usize::from(fits && !known);
            fits
        });
        self.dropped += (before - named.len()) as u64;
        Ok(Record::Heard {
            no: self.last + 1,
            at,
            prints: notice.prints,
            named,
            demand: notice.demand,
        })
    }

    fn apply(&mut self, record: Record) {
        match record {
            Record::Heard {
                no,
                at,
                prints,
                named,
                demand,
            } => {
                self.last = self.last.max(no);
                for print in prints {
                    self.seen.insert(print, at);
                    self.ages.insert((at, print));
                }
                for one in named {
                    self.named.entry(one).or_insert((no, at)).0 = no;
                }
                if let Some(demand) = demand {
                    self.demands.insert(no, (at, demand));
                }
            }
            Record::Fetched(through) => self.named.retain(|_, (no, _)| *no > through),
            Record::Met(no) => drop(self.demands.remove(&no)),
        }
    }

    /// What is too old to come again is not remembered, nor are more than fit.
    fn forget(&mut self, now: Moment) {
        let oldest = now.minus(MEMORY);
        while let Some((at, print)) = self.ages.first().copied() {
            if at >= oldest && self.ages.len() <= MOST_PRINTS {
                return;
            }
            self.ages.remove(&(at, print));
            self.seen.remove(&print);
        }
    }

    /// About what a file without superfluous records has.
    fn bytes(&self) -> u64 {
        (self.seen.len() + 2 * self.named.len() + 3 * self.demands.len()) as u64 * PRINT_BYTES
    }

    /// Records that give this state again.
    fn records(&self) -> Vec<Record> {
        let heard = |no, at| Record::Heard {
            no,
            at,
            prints: Vec::new(),
            named: BTreeSet::new(),
            demand: None,
        };
        let mut records = vec![heard(self.last, Moment(0))];
        for (moment, print) in &self.ages {
            match records.last_mut() {
                Some(Record::Heard { at, prints, .. }) if at == moment => prints.push(*print),
                _ => {
                    let mut next = heard(0, *moment);
                    if let Record::Heard { prints, .. } = &mut next {
                        prints.push(*print);
                    }
                    records.push(next);
                }
            }
        }
        for (one, (number, since)) in &self.named {
            let mut next = heard(*number, *since);
            if let Record::Heard { named, .. } = &mut next {
                named.insert(one.clone());
            }
            records.push(next);
        }
        for (number, (since, wanted)) in &self.demands {
            let mut next = heard(*number, *since);
            if let Record::Heard { demand, .. } = &mut next {
                *demand = Some(wanted.clone());
            }
            records.extend(copies(next));
        }
        records
    }
}
