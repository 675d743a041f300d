//! Evaluation: one walk over the timeline, then the leaves that matter.

use super::condition::Measurement;
use super::leaf::Leaf;
use super::number::{Num, NumberTest, Small};
use super::program::{Compiled, Program};
use super::subject::Subject;
use super::verdict::{Course, Span, Verdict, join};
use super::walk::{Tally, Walk};
use super::window::SECOND;
use crate::model::{Money, Text};
use std::borrow::Cow;

/// Evaluates subjects, one after the other. Not shared between threads; make one for each.
#[derive(Debug)]
pub struct Evaluator<'p> {
    program: &'p Program,
    span: Span,
    walk: Walk<'p>,
    /// By leaf: the counter that it tests and the small counts that pass.
    counts: Vec<Option<(usize, Small)>>,
    /// By leaf: the verdict at the beginning of the span, once somebody asked.
    verdicts: Vec<Option<Verdict>>,
}

impl Program {
    /// An evaluator for one instant or, with its flips, a span.
    pub fn evaluator(&self, span: Span) -> Evaluator<'_> {
        Evaluator {
            program: self,
            span,
            walk: Walk::new(self, span),
            counts: self.leaves.iter().map(Leaf::count).collect(),
            verdicts: vec![None; self.leaves.len()],
        }
    }

    /// By counter: whether some leaf tests the sum of its events.
    pub(super) fn sums(&self) -> Vec<bool> {
        let mut sums = vec![false; self.selections.counters.len()];
        for leaf in &self.leaves {
            if let Leaf::Metric {
                counter,
                measurement: Measurement::Sum,
                ..
            } = leaf
            {
                sums[*counter] = true;
            }
        }
        sums
    }
}

impl Evaluator<'_> {
    /// The verdict of every segment at the beginning of the span.
    pub fn verdicts<T: Text>(
        &mut self,
        subject: &Subject<'_, T>,
        mut tell: impl FnMut(usize, Verdict),
    ) {
        self.walk.over(subject.events);
        self.verdicts.fill(None);
        let program = self.program;
        for (number, segment) in program.segments.iter().enumerate() {
            tell(number, self.verdict(segment, subject));
        }
    }

    /// The course of every segment over the span.
    pub fn courses<T: Text>(&mut self, subject: &Subject<'_, T>) -> Vec<Course> {
        if self.span.now == self.span.until {
            let mut courses = Vec::with_capacity(self.program.len());
            self.verdicts(subject, |_, verdict| {
                courses.push(Course::constant(verdict))
            });
            return courses;
        }
        let leaves = self.leaves(subject);
        let segments = self.program.segments.iter();
        segments.map(|segment| course(segment, &leaves)).collect()
    }

    /// The course of every leaf over the span.
    pub(super) fn leaves<T: Text>(&mut self, subject: &Subject<'_, T>) -> Vec<Course> {
        self.walk.over(subject.events);
        let leaves = self.program.leaves.iter();
        leaves.map(|leaf| self.leaf(leaf, subject)).collect()
    }

    /// What a counter found: how many events, and the sum of their values.
    pub(super) fn tally(&self, counter: usize) -> (i64, Money) {
        let Tally { count, sum, .. } = self.walk.tally(counter);
        (count, sum)
    }

    /// A leaf of the program.
    pub(super) fn leaf_of(&self, leaf: usize) -> &Leaf {
        &self.program.leaves[leaf]
    }

    /// Whether an event that happens now would count.
    pub(super) fn counts_now(&self, counter: usize) -> bool {
        let now = self.span.now;
        let window = &self.program.selections.counters[counter].window;
        window.holds(now.saturating_mul(SECOND), now)
    }

    /// The second of the last event that a counter found.
    pub(super) fn last_counted(&self, counter: usize) -> Option<i64> {
        let tally = self.walk.tally(counter);
        (tally.count > 0).then_some(tally.last)
    }

    fn verdict<T: Text>(&mut self, segment: &Compiled, subject: &Subject<'_, T>) -> Verdict {
        let mut all = Verdict::In;
        for group in &segment.groups {
            let mut any = Verdict::Out;
            for leaf in group {
                any = any.max(self.leaf_verdict(*leaf, subject));
                if any == Verdict::In {
                    break;
                }
            }
            if group.is_empty() {
                any = Verdict::Unknown;
            }
            all = all.min(any);
            if all == Verdict::Out {
                return all;
            }
        }
        match segment.groups.is_empty() {
            true => Verdict::Unknown,
            false => all,
        }
    }

    fn leaf_verdict<T: Text>(&mut self, leaf: usize, subject: &Subject<'_, T>) -> Verdict {
        if let Some((counter, small)) = self.counts[leaf]
            && let Some(holds) = small.holds(self.walk.tally(counter).count)
        {
            return Verdict::of(holds);
        }
        if let Some(known) = self.verdicts[leaf] {
            return known;
        }
        let verdict = match &self.program.leaves[leaf] {
            Leaf::Metric {
                counter,
                measurement,
                test,
            } => self.walk.tally(*counter).verdict(*measurement, test),
            leaf @ Leaf::Funnel(_) => self.leaf(leaf, subject).initial,
            leaf => leaf.answer(subject, self.span),
        };
        self.verdicts[leaf] = Some(verdict);
        verdict
    }

    fn leaf<T: Text>(&self, leaf: &Leaf, subject: &Subject<'_, T>) -> Course {
        match leaf {
            Leaf::Metric {
                counter,
                measurement,
                test,
            } => {
                let verdict_of = |tally: &Tally| tally.verdict(*measurement, test);
                let (tally, changes) = (self.walk.tally(*counter), self.walk.changes(*counter));
                Course::follow(tally, changes, Tally::add, verdict_of)
            }
            Leaf::Funnel(funnel) => {
                let steps = funnel.steps.iter();
                let missing = |(exists, selection): &(bool, usize)| {
                    *exists && self.walk.instants(*selection).is_empty()
                };
                if steps.clone().any(missing) {
                    return Course::constant(Verdict::Out);
                }
                let events: Vec<Vec<i64>> = steps
                    .map(|(_, selection)| self.walk.instants(*selection).to_vec())
                    .collect();
                funnel.course(&events, self.span)
            }
            leaf => leaf.answer(subject, self.span),
        }
    }
}

impl Leaf {
    fn count(&self) -> Option<(usize, Small)> {
        match self {
            Self::Metric {
                counter,
                measurement: Measurement::Count,
                test,
            } => Some((*counter, test.small())),
            _ => None,
        }
    }
}

impl Tally {
    fn verdict(&self, measurement: Measurement, test: &NumberTest) -> Verdict {
        Verdict::of(match measurement {
            Measurement::Count => test.holds(Num::Int(self.count)),
            Measurement::Sum => test.holds_money(self.sum),
        })
    }
}

/// A segment's course from those of its leaves.
pub(super) fn course(segment: &Compiled, leaves: &[Course]) -> Course {
    let unknown = || Cow::Owned(Course::constant(Verdict::Unknown));
    let group = |group: &Vec<usize>| match group.is_empty() {
        true => unknown(),
        false => join(
            group.iter().map(|leaf| Cow::Borrowed(&leaves[*leaf])),
            Verdict::Out,
        ),
    };
    match segment.groups.is_empty() {
        true => unknown().into_owned(),
        false => join(segment.groups.iter().map(group), Verdict::In).into_owned(),
    }
}
