//! Events in order (A21, the weakest of all assumptions).

use super::condition::CompletionWindow;
use super::verdict::{Course, Span, Verdict};
use super::window::{SECOND, Window};

/// A funnel, compiled. Its events are collected by the walk over the timeline.
#[derive(Clone, Debug)]
pub(super) struct Funnel {
    /// When events count at all.
    pub(super) timeframe: Window,
    /// Seconds from the first chosen event to the last.
    pub(super) completion: Option<i64>,
    /// In order: whether it happened, and which selection of events it is.
    pub(super) steps: Vec<(bool, usize)>,
}

impl CompletionWindow {
    /// Its length in seconds; a year has 365 days (A21).
    pub(super) const fn secs(self) -> i64 {
        const DAY: i64 = 86_400;
        match self {
            Self::Hours1 => 3_600,
            Self::Days1 => DAY,
            Self::Days3 => 3 * DAY,
            Self::Days5 => 5 * DAY,
            Self::Weeks1 => 7 * DAY,
            Self::Days30 => 30 * DAY,
            Self::Days90 => 90 * DAY,
            Self::Days180 => 180 * DAY,
            Self::Years1 => 365 * DAY,
        }
    }
}

impl Funnel {
    /// The verdict. `events` are the instants of each step's events, ascending.
    pub(super) fn course(&self, events: &[Vec<i64>], span: Span) -> Course {
        let mut edges = Vec::new();
        for at in events.iter().flatten() {
            self.timeframe.spells(*at, span, |from, until| {
                edges.extend([from, until]);
            });
        }
        edges.retain(|edge| span.now < *edge && *edge <= span.until);
        edges.sort_unstable();
        edges.dedup();
        let changes = edges.into_iter().map(|at| (at, at));
        let replace = |now: &mut i64, at| *now = at;
        Course::follow(span.now, changes, replace, |now| {
            Verdict::of(self.holds(events, *now))
        })
    }

    /// Whether a choice of events exists at `now`.
    fn holds(&self, events: &[Vec<i64>], now: i64) -> bool {
        let counts = |at: &&i64| self.timeframe.holds(**at, now);
        let counted = |step: &Vec<i64>| step.iter().filter(counts).copied().collect();
        let events: Vec<Vec<i64>> = events.iter().map(counted).collect();
        let Some(first) = self.steps.iter().position(|(exists, _)| *exists) else {
            return events.iter().all(Vec::is_empty);
        };
        let (before, from) = events.split_at(first);
        let nothing_before = before.iter().all(Vec::is_empty);
        nothing_before
            && from[0]
                .iter()
                .any(|start| self.follows(first, &from[1..], *start))
    }

    /// Whether the steps after the first chosen event can be met. Of all choices for a step the earliest
    /// leaves most room for the next; an absence only asks that the choice before it be late enough.
    fn follows(&self, first: usize, later: &[Vec<i64>], start: i64) -> bool {
        let deadline = self
            .completion
            .map_or(i64::MAX, |secs| start.saturating_add(secs * SECOND));
        let mut choices = vec![start];
        for ((exists, _), events) in self.steps[first + 1..].iter().zip(later) {
            let in_time = events.iter().copied().filter(|at| *at <= deadline);
            if *exists {
                let Some(earliest) = choices.first().copied() else {
                    return false;
                };
                choices = in_time.filter(|at| *at > earliest).collect();
            } else if let Some(last) = in_time.max() {
                choices.retain(|choice| *choice >= last);
            }
        }
        !choices.is_empty()
    }
}
