//! Evaluation: one walk over the timeline, then the leaves that matter.

use super::condition::Measurement;
use super::leaf::Leaf;
use super::number::NumberTest;
use super::program::{Compiled, Program};
use super::selection::TextAnswers;
use super::subject::Subject;
use super::verdict::{Course, Span, Verdict};
use super::window::SECOND;
use crate::model::{Event, Money, Text};

/// Evaluates subjects, one after the other. Not shared between threads; make one for each.
#[derive(Debug)]
pub struct Evaluator<'p> {
    program: &'p Program,
    span: Span,
    /// By counter: the seconds that count at the beginning of the span, if they are one range.
    bounds: Vec<Option<(i64, i64)>>,
    texts: Vec<Vec<TextAnswers>>,
    /// By metric: the places of its events in the timeline.
    by_metric: Vec<Vec<usize>>,
    /// Room for the events that a selection takes.
    taken: Vec<Occurrence>,
    // What the walk over one timeline found:
    tallies: Vec<Tally>,
    changes: Vec<Change>,
    instants: Vec<Vec<i64>>,
    /// By leaf: the verdict at the beginning of the span, once somebody asked.
    verdicts: Vec<Option<Verdict>>,
}

/// How many events, and the sum of their values.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Tally {
    count: i64,
    sum: Money,
    /// The second of the last of them; says nothing once some were taken off.
    last: i64,
}

/// One event, as far as it is counted.
#[derive(Clone, Copy, Debug)]
struct Occurrence {
    micros: i64,
    tally: Tally,
}

/// From an instant on, a counter's tally is another one.
#[derive(Clone, Copy, Debug)]
struct Change {
    counter: usize,
    at: i64,
    by: Tally,
}

impl Program {
    /// An evaluator for one instant or, with its flips, a span.
    pub fn evaluator(&self, span: Span) -> Evaluator<'_> {
        let to_seconds = |(from, until): (i64, i64)| (ceiling(from), ceiling(until));
        let counters = self.selections.counters.iter();
        Evaluator {
            program: self,
            span,
            bounds: counters
                .map(|counter| counter.window.bounds(span.now).map(to_seconds))
                .collect(),
            texts: self.selections.text_answers(),
            by_metric: vec![Vec::new(); self.selections.metrics()],
            taken: Vec::new(),
            tallies: vec![Tally::NONE; self.selections.counters.len()],
            changes: Vec::new(),
            instants: vec![Vec::new(); self.selections.len()],
            verdicts: vec![None; self.leaves.len()],
        }
    }
}

/// The first whole second at or after an instant.
fn ceiling(instant: i64) -> i64 {
    instant.div_euclid(SECOND) + i64::from(instant.rem_euclid(SECOND) > 0)
}

impl Evaluator<'_> {
    /// The verdict of every segment at the beginning of the span.
    pub fn verdicts<T: Text>(
        &mut self,
        subject: &Subject<'_, T>,
        mut tell: impl FnMut(usize, Verdict),
    ) {
        self.walk(subject.events);
        self.verdicts.fill(None);
        let program = self.program;
        for (number, segment) in program.segments.iter().enumerate() {
            tell(number, self.verdict(segment, subject));
        }
    }

    /// The course of every segment over the span.
    pub fn courses<T: Text>(&mut self, subject: &Subject<'_, T>) -> Vec<Course> {
        let leaves = self.leaves(subject);
        let segments = self.program.segments.iter();
        segments.map(|segment| course(segment, &leaves)).collect()
    }

    /// The course of every leaf over the span.
    pub(super) fn leaves<T: Text>(&mut self, subject: &Subject<'_, T>) -> Vec<Course> {
        self.walk(subject.events);
        let leaves = self.program.leaves.iter();
        leaves.map(|leaf| self.leaf(leaf, subject)).collect()
    }

    /// What a counter found: how many events, and the sum of their values.
    pub(super) fn tally(&self, counter: usize) -> (i64, Money) {
        let Tally { count, sum, .. } = self.tallies[counter];
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
        let tally = self.tallies[counter];
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
        if let Some(known) = self.verdicts[leaf] {
            return known;
        }
        let verdict = match &self.program.leaves[leaf] {
            Leaf::Metric {
                counter,
                measurement,
                test,
            } => self.tallies[*counter].verdict(*measurement, test),
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
                let from = self
                    .changes
                    .partition_point(|change| change.counter < *counter);
                let own = self.changes[from..].iter();
                let own = own.take_while(|change| change.counter == *counter);
                let changes = own.map(|change| (change.at, change.by));
                Course::follow(self.tallies[*counter], changes, Tally::add, verdict_of)
            }
            Leaf::Funnel(funnel) => {
                let steps = funnel.steps.iter();
                let missing = |(exists, selection): &(bool, usize)| {
                    *exists && self.instants[*selection].is_empty()
                };
                if steps.clone().any(missing) {
                    return Course::constant(Verdict::Out);
                }
                let events: Vec<Vec<i64>> = steps
                    .map(|(_, selection)| self.instants[*selection].clone())
                    .collect();
                funnel.course(&events, self.span)
            }
            leaf => leaf.answer(subject, self.span),
        }
    }

    /// Counts every event for every counter that it belongs to.
    fn walk(&mut self, events: &[Event]) {
        self.tallies.fill(Tally::NONE);
        self.changes.clear();
        self.instants.iter_mut().for_each(Vec::clear);
        self.by_metric.iter_mut().for_each(Vec::clear);
        for (place, event) in events.iter().enumerate() {
            // A metric beyond is one that no definition asks about.
            if let Some(places) = self.by_metric.get_mut(usize::from(event.metric.0)) {
                places.push(place);
            }
        }
        for metric in 0..self.by_metric.len() {
            if !self.by_metric[metric].is_empty() {
                self.count_metric(metric, events);
            }
        }
        self.changes
            .sort_by_key(|change| (change.counter, change.at));
        self.instants
            .iter_mut()
            .for_each(|known| known.sort_unstable());
    }

    /// Counts the events of one metric, selection by selection and counter by counter: so the bounds
    /// stay at hand while the events change.
    fn count_metric(&mut self, metric: usize, events: &[Event]) {
        let selections = &self.program.selections;
        let vocabulary = &self.program.vocabulary;
        let places = std::mem::take(&mut self.by_metric[metric]);
        let mut taken = std::mem::take(&mut self.taken);
        for &number in selections.of_metric(metric) {
            let (selection, texts) = (selections.get(number), &mut self.texts[number]);
            let those = places.iter().map(|place| &events[*place]);
            let those = those.filter(|event| selection.takes(event, vocabulary, texts));
            taken.clear();
            taken.extend(those.map(Occurrence::of));
            if selections.keeps_instants(number) {
                self.instants[number].extend(taken.iter().map(|one| one.micros));
            }
            for &counter in selections.counters_of(number) {
                self.count(counter, &taken);
                if self.span.now != self.span.until {
                    taken.iter().for_each(|one| self.note_changes(counter, one));
                }
            }
        }
        self.by_metric[metric] = places;
        self.taken = taken;
    }

    fn count(&mut self, counter: usize, taken: &[Occurrence]) {
        let tally = &mut self.tallies[counter];
        // Nothing is added rather than skipped: whether an event counts is anybody's guess, the
        // processor's too.
        let mut add = |counts: bool, one: &Occurrence| {
            tally.add(if counts { one.tally } else { Tally::NONE });
        };
        match self.bounds[counter] {
            // A bound is a whole second, so the event's own second decides.
            Some((from, until)) => taken.iter().for_each(|one| {
                let at = one.tally.last;
                add(from <= at && at < until, one);
            }),
            None => {
                let window = &self.program.selections.counters[counter].window;
                let now = self.span.now;
                taken
                    .iter()
                    .for_each(|one| add(window.holds(one.micros, now), one));
            }
        }
    }

    fn note_changes(&mut self, counter: usize, one: &Occurrence) {
        let window = &self.program.selections.counters[counter].window;
        let Span { now, until } = self.span;
        let changes = &mut self.changes;
        window.spells(one.micros, self.span, |from, end| {
            for (at, by) in [(from, one.tally), (end, one.tally.negative())] {
                if now < at && at <= until {
                    changes.push(Change { counter, at, by });
                }
            }
        });
    }
}

impl Occurrence {
    fn of(event: &Event) -> Self {
        Self {
            micros: event.micros(),
            tally: Tally {
                count: 1,
                sum: event.value.unwrap_or_default(),
                last: event.at,
            },
        }
    }
}

impl Tally {
    const NONE: Self = Self {
        count: 0,
        sum: Money::ZERO,
        last: i64::MIN,
    };

    fn add(&mut self, other: Self) {
        self.count += other.count;
        self.sum += other.sum;
        self.last = self.last.max(other.last);
    }

    fn verdict(&self, measurement: Measurement, test: &NumberTest) -> Verdict {
        Verdict::of(match measurement {
            Measurement::Count => test.holds_count(self.count),
            Measurement::Sum => test.holds_money(self.sum),
        })
    }

    fn negative(self) -> Self {
        Self {
            count: -self.count,
            sum: -self.sum,
            last: i64::MIN,
        }
    }
}

/// A segment's course from those of its leaves.
pub(super) fn course(segment: &Compiled, leaves: &[Course]) -> Course {
    let group = |group: &Vec<usize>| match group.is_empty() {
        true => Course::constant(Verdict::Unknown),
        false => Course::any(group.iter().map(|leaf| leaves[*leaf].clone())),
    };
    match segment.groups.is_empty() {
        true => Course::constant(Verdict::Unknown),
        false => Course::all(segment.groups.iter().map(group)),
    }
}
