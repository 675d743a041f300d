//! Kleene's three values, and how they move with time.

use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;

/// Whether somebody belongs. `and` is the minimum, `or` the maximum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// No.
    Out,
    /// Cannot be said.
    Unknown,
    /// Yes.
    In,
}

impl Verdict {
    /// Of a plain yes or no.
    pub const fn of(holds: bool) -> Self {
        if holds { Self::In } else { Self::Out }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Out => "out",
            Self::Unknown => "unknown",
            Self::In => "in",
        })
    }
}

/// A span of evaluation instants in whole Unix seconds: from `now`, up to and including `until`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Where the verdict begins.
    pub now: i64,
    /// Up to here its changes are told; the same as `now` when only the verdict is asked for.
    pub until: i64,
}

impl Span {
    /// One instant.
    pub const fn at(now: i64) -> Self {
        Self { now, until: now }
    }
}

/// A verdict over a [`Span`], as long as nothing but time passes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Course {
    /// At the beginning.
    pub initial: Verdict,
    /// The first second of each other verdict, ascending; no two neighbours are equal.
    pub flips: Vec<(i64, Verdict)>,
}

impl Course {
    /// The same for good.
    pub const fn constant(initial: Verdict) -> Self {
        Self {
            initial,
            flips: Vec::new(),
        }
    }

    /// The verdict at an instant of the span.
    pub fn at(&self, instant: i64) -> Verdict {
        let passed = self.flips.partition_point(|(at, _)| *at <= instant);
        match passed.checked_sub(1) {
            Some(last) => self.flips[last].1,
            None => self.initial,
        }
    }

    /// All must hold.
    pub fn all(courses: impl IntoIterator<Item = Self>) -> Self {
        join(courses.into_iter().map(Cow::Owned), Verdict::In).into_owned()
    }

    /// One must hold.
    pub fn any(courses: impl IntoIterator<Item = Self>) -> Self {
        join(courses.into_iter().map(Cow::Owned), Verdict::Out).into_owned()
    }

    /// Follows a measure: `verdict_of` its value at the beginning, and after each change.
    pub(super) fn follow<M>(
        mut measure: M,
        changes: impl IntoIterator<Item = (i64, M)>,
        add: impl Fn(&mut M, M),
        verdict_of: impl Fn(&M) -> Verdict,
    ) -> Self {
        let mut course = Self::constant(verdict_of(&measure));
        let mut changes = changes.into_iter().peekable();
        while let Some((at, change)) = changes.next() {
            add(&mut measure, change);
            if changes.peek().is_none_or(|(next, _)| *next != at) {
                course.push(at, verdict_of(&measure));
            }
        }
        course
    }

    /// Notes a verdict from an instant on; instants ascend.
    fn push(&mut self, at: i64, verdict: Verdict) {
        let before = self.flips.last().map_or(self.initial, |(_, last)| *last);
        if before != verdict {
            self.flips.push((at, verdict));
        }
    }
}

/// Joins courses instant by instant. What is decided, or decides nothing, for good is not looked at
/// twice: most courses never change.
pub(super) fn join<'c>(
    courses: impl IntoIterator<Item = Cow<'c, Course>>,
    neutral: Verdict,
) -> Cow<'c, Course> {
    let (pick, absorbing): (fn(Verdict, Verdict) -> Verdict, _) = match neutral {
        Verdict::In => (Verdict::min, Verdict::Out),
        _ => (Verdict::max, Verdict::In),
    };
    let constant = |course: &Course| course.flips.is_empty().then_some(course.initial);
    let mut courses = courses.into_iter();
    let nobody = || Cow::Owned(Course::constant(neutral));
    let first = courses.next().unwrap_or_else(nobody);
    courses.fold(first, |joined, next| {
        match (constant(&joined), constant(&next)) {
            (Some(known), _) if known == absorbing => joined,
            (_, Some(known)) if known == absorbing => next,
            (Some(known), _) if known == neutral => next,
            (_, Some(known)) if known == neutral => joined,
            _ => Cow::Owned(merge(&joined, &next, pick)),
        }
    })
}

fn merge(one: &Course, other: &Course, pick: fn(Verdict, Verdict) -> Verdict) -> Course {
    let (mut a, mut b) = (one.initial, other.initial);
    let mut course = Course::constant(pick(a, b));
    let (mut left, mut right) = (one.flips.iter().peekable(), other.flips.iter().peekable());
    while let Some(at) = [left.peek(), right.peek()]
        .into_iter()
        .flatten()
        .map(|(at, _)| *at)
        .min()
    {
        if let Some((_, verdict)) = left.next_if(|(next, _)| *next == at) {
            a = *verdict;
        }
        if let Some((_, verdict)) = right.next_if(|(next, _)| *next == at) {
            b = *verdict;
        }
        course.push(at, pick(a, b));
    }
    course
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::strategy::Just;

    fn verdict() -> impl Strategy<Value = Verdict> {
        prop_oneof![
            Just(Verdict::Out),
            Just(Verdict::Unknown),
            Just(Verdict::In)
        ]
    }

    fn course() -> impl Strategy<Value = Course> {
        let changes = proptest::collection::btree_map(1..20_i64, verdict(), 0..6);
        (verdict(), changes).prop_map(|(initial, changes)| {
            let mut course = Course::constant(initial);
            for (at, verdict) in changes {
                course.push(at, verdict);
            }
            course
        })
    }

    proptest! {
        #[test]
        fn joined_courses_are_joined_at_every_instant(
            courses in proptest::collection::vec(course(), 0..4)
        ) {
            let (all, any) = (Course::all(courses.clone()), Course::any(courses.clone()));
            for instant in 0..21 {
                let verdicts = || courses.iter().map(|course| course.at(instant));
                prop_assert_eq!(all.at(instant), verdicts().min().unwrap_or(Verdict::In));
                prop_assert_eq!(any.at(instant), verdicts().max().unwrap_or(Verdict::Out));
            }
            for course in [all, any] {
                let mut before = course.initial;
                for (_, verdict) in course.flips {
                    prop_assert_ne!(before, verdict);
                    before = verdict;
                }
            }
        }
    }
}
