//! What must outlive a restart.

use super::MINUTE;
use crate::model::Moment;
use crate::pace::{DayCount, PAD};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// A reservation is used up or given up within this.
pub(super) const RESERVED_FOR: Duration = Duration::from_secs(1);

/// Days partly spent, classes told to wait, and what may have been sent within the last minute.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BudgetMemory {
    /// Requests of the day, by endpoint class with a daily cap.
    pub days: BTreeMap<String, DayCount>,
    /// Until when a class must not be asked.
    pub parked: BTreeMap<String, Moment>,
    /// Requests by class, each entry written before the first of them left, and all of them sent within
    /// a second of it.
    #[serde(default)]
    pub sent: BTreeMap<String, Vec<Sent>>,
}

/// Requests that may have been sent within a second of one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// The instant.
    pub at: Moment,
    /// Tells processes apart.
    pub by: u64,
    /// How many at most.
    pub count: u32,
}

/// Keeps a memory where a restart finds it, even after a power cut if it is to be lasting.
pub type Keeper = Arc<dyn Fn(&BudgetMemory, bool) -> io::Result<()> + Send + Sync>;

/// What is remembered of one class.
#[derive(Clone, Debug, Default)]
pub(super) struct Remembered {
    pub parked: Option<Moment>,
    pub sent: Vec<Sent>,
}

impl Remembered {
    /// Adds what another memory has beyond this one.
    pub fn merge(&mut self, other: Self) {
        self.parked = self.parked.max(other.parked);
        for sent in other.sent {
            self.add(sent);
        }
    }

    /// Adds an entry, or raises one of the same instant and process; by how much.
    pub fn add(&mut self, sent: Sent) -> u32 {
        let mut known = self.sent.iter_mut();
        match known.find(|known| (known.at, known.by) == (sent.at, sent.by)) {
            Some(known) => {
                let more = sent.count.saturating_sub(known.count);
                known.count += more;
                more
            }
            None => {
                self.sent.push(sent);
                sent.count
            }
        }
    }

    /// Nothing older than this matters to any window.
    pub fn prune(&mut self, now: Moment) {
        let age = MINUTE + PAD + RESERVED_FOR;
        self.sent.retain(|sent| sent.at.plus(age) > now);
        self.parked = self.parked.filter(|until| *until > now);
    }

    pub fn write(&self, class: &str, now: Moment, memory: &mut BudgetMemory) {
        let mut kept = self.clone();
        kept.prune(now);
        if !kept.sent.is_empty() {
            memory.sent.insert(class.to_owned(), kept.sent);
        }
        if let Some(until) = kept.parked {
            memory.parked.insert(class.to_owned(), until);
        }
    }
}

/// By class.
pub(super) fn by_class(memory: BudgetMemory) -> BTreeMap<String, Remembered> {
    let mut classes = BTreeMap::<String, Remembered>::new();
    for (class, until) in memory.parked {
        classes.entry(class).or_default().parked = Some(until);
    }
    for (class, sent) in memory.sent {
        classes.entry(class).or_default().sent = sent;
    }
    classes
}
