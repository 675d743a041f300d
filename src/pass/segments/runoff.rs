//! The exact run-off: how large each segment will be at any instant to come, if nobody acts.

use super::sweep::Gather;
use crate::model::{Moment, Slot};
use crate::segment::{Course, Verdict};
use std::collections::BTreeMap;

/// The size of one segment over a span, if nothing happens but time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunOff {
    /// At the beginning.
    pub initial: u64,
    /// Of each second in which somebody flips: how many join, how many leave.
    pub moves: BTreeMap<i64, (u64, u64)>,
}

impl RunOff {
    /// The size at an instant of the span.
    pub fn at(&self, instant: Moment) -> u64 {
        let moves = self.moves.range(..=instant.secs());
        moves.fold(self.initial, |size, (_, (joins, leaves))| {
            size + joins - leaves
        })
    }

    /// The next second in which somebody flips, with how many join and leave.
    pub fn next(&self) -> Option<(Moment, u64, u64)> {
        let (at, (joins, leaves)) = self.moves.first_key_value()?;
        Some((Moment::from_secs(*at), *joins, *leaves))
    }

    fn note(&mut self, course: &Course) {
        let mut before = course.initial;
        self.initial += u64::from(before == Verdict::In);
        for (at, verdict) in &course.flips {
            let (joins, leaves) = (*verdict == Verdict::In, before == Verdict::In);
            before = *verdict;
            // A flip between out and unknown moves nobody.
            if joins || leaves {
                let moves = self.moves.entry(*at).or_default();
                moves.0 += u64::from(joins);
                moves.1 += u64::from(leaves);
            }
        }
    }
}

/// The run-off of every segment of a program.
#[derive(Debug)]
pub struct RunOffs(pub Vec<RunOff>);

impl Gather for RunOffs {
    fn note(&mut self, _slot: Slot, courses: &[Course]) {
        for (run_off, course) in self.0.iter_mut().zip(courses) {
            run_off.note(course);
        }
    }

    fn append(&mut self, later: Self) {
        for (known, new) in self.0.iter_mut().zip(later.0) {
            known.initial += new.initial;
            for (at, (joins, leaves)) in new.moves {
                let moves = known.moves.entry(at).or_default();
                moves.0 += joins;
                moves.1 += leaves;
            }
        }
    }
}
