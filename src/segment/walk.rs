//! One walk over a timeline, for all counters at once.

use super::program::Program;
use super::selection::{Selections, TextAnswers};
use super::verdict::Span;
use super::window::SECOND;
use crate::model::{Event, Money, Vocabulary};

/// What was found in one timeline after the other; the room is used again.
#[derive(Debug)]
pub(super) struct Walk<'p> {
    selections: &'p Selections,
    vocabulary: &'p Vocabulary,
    span: Span,
    /// By counter: the seconds that count at the beginning of the span, if they are one range.
    bounds: Vec<Option<Seconds>>,
    /// By counter: whether the sum of its events is asked for.
    sums: Vec<bool>,
    /// By selection: the seconds outside of which none of its events is asked for.
    hulls: Vec<Option<Seconds>>,
    texts: Vec<Vec<TextAnswers>>,
    /// By metric: the places of its events in the timeline, ascending by time.
    places: Vec<Vec<usize>>,
    /// Room for those that a selection takes.
    room: Vec<usize>,
    /// By counter.
    tallies: Vec<Tally>,
    /// Ascending by counter and instant.
    changes: Vec<Change>,
    /// By selection, of those that keep them: the instants of its events, ascending.
    instants: Vec<Vec<i64>>,
}

/// From the first on, before the second.
type Seconds = (i64, i64);

/// How many events, and the sum of their values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Tally {
    pub(super) count: i64,
    pub(super) sum: Money,
    /// The second of the last of them; says nothing once some were taken off.
    pub(super) last: i64,
}

/// From an instant on, a counter's tally is another one.
#[derive(Clone, Copy, Debug)]
struct Change {
    counter: usize,
    at: i64,
    by: Tally,
}

impl<'p> Walk<'p> {
    pub(super) fn new(program: &'p Program, span: Span) -> Self {
        let selections = &program.selections;
        let to_seconds = |(from, until)| (ceiling(from), ceiling(until));
        let bounds_of = |window: &super::window::Window| window.bounds(span.now).map(to_seconds);
        let counters = selections.counters.iter();
        let bounds: Vec<_> = counters.map(|counter| bounds_of(&counter.window)).collect();
        let is_instant = span.now == span.until;
        let hull = |selection| match is_instant && !selections.keeps_instants(selection) {
            true => hull(selections.counters_of(selection), &bounds),
            false => None,
        };
        Self {
            hulls: (0..selections.len()).map(hull).collect(),
            sums: program
                .sums()
                .iter()
                .map(|sums| *sums || !is_instant)
                .collect(),
            bounds,
            selections,
            vocabulary: &program.vocabulary,
            span,
            texts: selections.text_answers(),
            places: vec![Vec::new(); selections.metrics()],
            room: Vec::new(),
            tallies: vec![Tally::NONE; selections.counters.len()],
            changes: Vec::new(),
            instants: vec![Vec::new(); selections.len()],
        }
    }

    /// What a counter found at the beginning of the span.
    pub(super) fn tally(&self, counter: usize) -> Tally {
        self.tallies[counter]
    }

    /// How it changes over the span.
    pub(super) fn changes(&self, counter: usize) -> impl Iterator<Item = (i64, Tally)> {
        let from = self
            .changes
            .partition_point(|change| change.counter < counter);
        let own = self.changes[from..].iter();
        let own = own.take_while(move |change| change.counter == counter);
        own.map(|change| (change.at, change.by))
    }

    /// The instants of a selection's events, ascending; kept for funnels alone.
    pub(super) fn instants(&self, selection: usize) -> &[i64] {
        &self.instants[selection]
    }

    /// Counts every event for every counter that it belongs to.
    pub(super) fn over(&mut self, events: &[Event]) {
        self.tallies.fill(Tally::NONE);
        self.changes.clear();
        self.instants.iter_mut().for_each(Vec::clear);
        self.places.iter_mut().for_each(Vec::clear);
        for (place, event) in events.iter().enumerate() {
            // A metric beyond is one that no definition asks about.
            if let Some(places) = self.places.get_mut(usize::from(event.metric.0)) {
                places.push(place);
            }
        }
        for metric in 0..self.places.len() {
            let mut places = std::mem::take(&mut self.places[metric]);
            if !places.is_sorted_by_key(|place| events[*place].at) {
                places.sort_by_key(|place| events[*place].at);
            }
            if !places.is_empty() {
                self.metric(metric, events, &places);
            }
            self.places[metric] = places;
        }
        self.changes
            .sort_by_key(|change| (change.counter, change.at));
    }

    /// The events of one metric, selection by selection.
    fn metric(&mut self, metric: usize, events: &[Event], places: &[usize]) {
        let selections = self.selections;
        let mut room = std::mem::take(&mut self.room);
        for &number in selections.of_metric(metric) {
            let asked_for = match self.hulls[number] {
                Some(hull) => within(hull, events, places),
                None => places,
            };
            let selection = selections.get(number);
            let taken = match selection.takes_all() {
                true => asked_for,
                false => {
                    let texts = &mut self.texts[number];
                    let takes =
                        |place: &&usize| selection.takes(&events[**place], self.vocabulary, texts);
                    room.clear();
                    room.extend(asked_for.iter().filter(takes));
                    &room
                }
            };
            if selections.keeps_instants(number) {
                let instants = taken.iter().map(|place| events[*place].micros());
                self.instants[number].extend(instants);
            }
            for &counter in selections.counters_of(number) {
                self.tallies[counter] = self.count(counter, events, taken);
                self.note_changes(counter, events, taken);
            }
        }
        self.room = room;
    }

    fn count(&self, counter: usize, events: &[Event], taken: &[usize]) -> Tally {
        let Some(bounds) = self.bounds[counter] else {
            let window = &self.selections.counters[counter].window;
            let mut tally = Tally::NONE;
            let events = taken.iter().map(|place| &events[*place]);
            let inside = events.filter(|event| window.holds(event.micros(), self.span.now));
            inside.for_each(|event| tally.add(Tally::of(event)));
            return tally;
        };
        let inside = within(bounds, events, taken);
        let values = || inside.iter().filter_map(|place| events[*place].value);
        Tally {
            count: inside.len() as i64,
            sum: match self.sums[counter] {
                true => values().sum(),
                false => Money::ZERO,
            },
            last: inside.last().map_or(i64::MIN, |place| events[*place].at),
        }
    }

    fn note_changes(&mut self, counter: usize, events: &[Event], taken: &[usize]) {
        let Span { now, until } = self.span;
        if now == until {
            return;
        }
        let window = &self.selections.counters[counter].window;
        let changes = &mut self.changes;
        for event in taken.iter().map(|place| &events[*place]) {
            let one = Tally::of(event);
            window.spells(event.micros(), self.span, |from, end| {
                for (at, by) in [(from, one), (end, one.negative())] {
                    if now < at && at <= until {
                        changes.push(Change { counter, at, by });
                    }
                }
            });
        }
    }
}

/// The first whole second at or after an instant.
fn ceiling(instant: i64) -> i64 {
    instant.div_euclid(SECOND) + i64::from(instant.rem_euclid(SECOND) > 0)
}

/// The seconds from the first that some counter counts to the last.
fn hull(counters: &[usize], bounds: &[Option<Seconds>]) -> Option<Seconds> {
    let mut hull: Option<Seconds> = None;
    for counter in counters {
        let (from, until) = bounds[*counter]?;
        let (first, last) = hull.unwrap_or((from, until));
        hull = Some((first.min(from), last.max(until)));
    }
    hull
}

/// Those of the places, ascending by time, whose events lie within bounds. A bound is a whole second,
/// so an event's own second decides.
fn within<'e>((from, until): Seconds, events: &[Event], places: &'e [usize]) -> &'e [usize] {
    let at = |place: &usize| events[*place].at;
    let places = &places[places.partition_point(|place| at(place) < from)..];
    match places.last() {
        Some(last) if at(last) >= until => {
            &places[..places.partition_point(|place| at(place) < until)]
        }
        _ => places,
    }
}

impl Tally {
    pub(super) const NONE: Self = Self {
        count: 0,
        sum: Money::ZERO,
        last: i64::MIN,
    };

    fn of(event: &Event) -> Self {
        Self {
            count: 1,
            sum: event.value.unwrap_or_default(),
            last: event.at,
        }
    }

    pub(super) fn add(&mut self, other: Self) {
        self.count += other.count;
        self.sum += other.sum;
        self.last = self.last.max(other.last);
    }

    fn negative(self) -> Self {
        Self {
            count: -self.count,
            sum: -self.sum,
            last: i64::MIN,
        }
    }
}
