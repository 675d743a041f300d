//! A disk of which one operation goes wrong.

use driftless::disk::{Flaw, Flaws, Operation};
use driftless::sandbox::World;
use driftless::sandbox::faults::FaultKind;
use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// How an operation of the disk goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// Nothing is written.
    Lost,
    /// All is written, and nobody is told.
    Unknown,
    /// There is no room; of an append there is some.
    Full,
    /// It is done, and the process ends there.
    Stop,
}

impl Damage {
    pub const ALL: [Damage; 4] = [Self::Lost, Self::Unknown, Self::Full, Self::Stop];
}

/// Counts every operation, and lets one go wrong.
#[derive(Debug)]
pub struct Flaky {
    /// Which, counted from 0, and how.
    pub strikes: Option<(Operation, u64, Damage)>,
    /// Asked nothing any more once the process has ended.
    pub world: World,
    /// Where the journal's first file is.
    pub journal: PathBuf,
    pub seen: Mutex<BTreeMap<Operation, u64>>,
    pub stopped: AtomicBool,
}

impl Flaky {
    /// How many operations there were.
    pub fn seen(&self) -> BTreeMap<Operation, u64> {
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn damage(&self, operation: Operation, damage: Damage) -> Flaw {
        match damage {
            Damage::Lost => Flaw::Before(io::Error::other("the disk does not answer")),
            Damage::Unknown => Flaw::After(io::Error::other("the disk does not answer")),
            Damage::Full => {
                if operation == Operation::Append {
                    self.tear();
                }
                Flaw::Before(io::ErrorKind::StorageFull.into())
            }
            Damage::Stop => {
                self.stopped.store(true, Ordering::SeqCst);
                let faults = &mut self.world.state().faults;
                faults.plan("", None, u32::MAX, FaultKind::Deaf);
                Flaw::After(ended())
            }
        }
    }

    /// Leaves the beginning of a record behind.
    fn tear(&self) {
        let opened = OpenOptions::new().append(true).open(&self.journal);
        opened
            .unwrap()
            .write_all(b"211 0badc0de {\"type\"")
            .unwrap();
    }
}

fn ended() -> io::Error {
    io::Error::other("the process has ended")
}

impl Flaws for Flaky {
    fn strike(&self, operation: Operation) -> Option<Flaw> {
        if self.stopped.load(Ordering::SeqCst) {
            return Some(Flaw::Before(ended()));
        }
        let nth = {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            let count = seen.entry(operation).or_default();
            *count += 1;
            *count - 1
        };
        match self.strikes {
            Some((struck, at, damage)) if (struck, at) == (operation, nth) => {
                Some(self.damage(operation, damage))
            }
            _ => None,
        }
    }
}
