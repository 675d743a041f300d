//! What is possible for the events of one metric.
//!
//! Conditions select events by time frame and filters. Two events that the same selections take are
//! alike; such a class is a *cell*, and the cells that exist are found by instants and property
//! values that stand for all others. Counts are then reached one event at a time, each capped where
//! no condition can tell it from a larger one, so all that can be reached is reached. A sum of
//! `$value` is free as soon as there is an event whose amount moves it without moving what is settled
//! already; where no such order of events exists, nothing is claimed.

use super::atom::Atom;
use super::instants::representatives;
use super::space::{MOST_OPEN, Mask, Rest, Space, because, bits, freed, is_open_filter, twins};
use super::tallies::{Amounts, Reached, Tallies, answers_of};
use super::values::{Home, Values, plain};
use super::witness::{Amount, Deed, Witness};
use crate::model::{MetricId, Moment, Money, Value};
use crate::segment::leaf::Leaf;
use crate::segment::mention::{NEVER_SEGMENTABLE, SYNONYMS};
use crate::segment::number::NumberTest;
use crate::segment::value::{StaticTest, Test, kept_in_event};
use crate::segment::window::{SECOND, Window};
use crate::segment::{
    Assumptions, Condition, ConditionGroup, DateFilter, Definition, Filter, Measurement,
    MetricFilter, Nullable, ProfileMetric, Verdict,
};
use std::collections::{BTreeMap, BTreeSet};

/// More cells, or more selections, are not combined.
const MOST_CELLS: usize = 4_000;

/// A filter on an event's property.
#[derive(Clone)]
struct PropertyFilter<'a> {
    name: &'a str,
    filter: &'a Filter,
    /// `None` for what the evaluator refuses.
    test: Option<StaticTest>,
}

/// Which events a condition counts: a time frame, and filters, by number.
#[derive(Clone, Debug, PartialEq)]
struct Selector {
    window: usize,
    filters: BTreeSet<usize>,
}

/// What conditions on a metric select by.
#[derive(Default)]
struct Selectors<'a> {
    frames: Vec<(&'a DateFilter, Window)>,
    filters: Vec<PropertyFilter<'a>>,
    all: Vec<Selector>,
    /// Amounts, in thousandths, that events are to have beside those that filters ask for.
    amounts: Vec<i64>,
}

/// Events that the same selections take, and one of them.
#[derive(Clone, Debug)]
struct Cell {
    selections: Mask,
    at: Moment,
    properties: BTreeMap<String, Value>,
}

/// What is possible for the events of a metric.
pub(super) fn space(metric: &MetricId, atoms: &[&Atom], now: i64) -> Space {
    let conditions: Vec<(&ProfileMetric, &NumberTest)> = atoms
        .iter()
        .filter_map(|atom| match (atom.condition.as_ref()?, atom.leaf()?) {
            (Condition::ProfileMetric(condition), Leaf::Metric { test, .. }) => {
                Some((condition, test))
            }
            _ => None,
        })
        .collect();
    let mut selectors = Selectors::default();
    let tallies: Option<Vec<Tallies>> = conditions
        .iter()
        .map(|(condition, test)| {
            let selector = selectors.number(condition)?;
            Tallies::of(selector, condition, test)
        })
        .collect();
    let Some(tallies) = tallies else {
        let why = because(atoms, "its numbers are too large to count to");
        return anything(why);
    };
    let sums = conditions
        .iter()
        .any(|(condition, _)| condition.measurement == Measurement::Sum);
    let priced = selectors.filters.iter().any(|filter| filter.name == VALUE);
    if sums && priced {
        selectors.amounts = tallies.iter().flat_map(Tallies::amounts).collect();
    }
    let Some((cells, loose, gap)) = selectors.cells(now) else {
        return anything(because(atoms, "it selects events in too many ways"));
    };
    if sums && priced {
        return Space {
            found: few(metric, &tallies, &cells),
            rest: Rest::Anything(because(atoms, "amounts are both summed and selected by")),
        };
    }
    let masks = |cells: &[Cell]| cells.iter().map(|cell| cell.selections).collect::<Vec<_>>();
    let reached = Amounts::reach(&tallies, &masks(&cells));
    let person = |reached: &Reached| Witness {
        events: deeds(metric, &cells, reached),
        ..Witness::default()
    };
    let found = reached
        .all
        .iter()
        .map(|(mask, reached)| (*mask, person(reached)));
    let found = found.collect();
    let gap = gap.or(reached.gap);
    let rest = match (gap, loose) {
        (Some(gap), _) => Rest::Anything(because(atoms, gap)),
        (None, None) => Rest::Nothing,
        (None, Some(loose)) => {
            let reached = Amounts::reach(&tallies, &loose);
            let why = because(atoms, "not every combination of texts could be tried");
            match reached.gap {
                Some(gap) => Rest::Anything(because(atoms, gap)),
                None => Rest::Within(reached.all.keys().copied().collect(), why),
            }
        }
    };
    Space { found, rest }
}

/// The property whose amounts are summed.
const VALUE: &str = "$value";

fn anything(why: String) -> Space {
    Space {
        found: Vec::new(),
        rest: Rest::Anything(why),
    }
}

/// Nobody, and people with one or two events, or one event a few times, as they are.
fn few(metric: &MetricId, tallies: &[Tallies<'_>], cells: &[Cell]) -> Vec<(Mask, Witness)> {
    const MOST: usize = 120;
    let priced: Vec<(Mask, i64)> = cells
        .iter()
        .map(|cell| (cell.selections, cell.thousandths()))
        .collect();
    let numbers = 0..cells.len().min(MOST);
    let pairs = numbers
        .clone()
        .flat_map(|one| (one..numbers.end).map(move |other| vec![one, other]));
    let repeated = numbers
        .clone()
        .flat_map(|one| [1, 3, 4, 5].map(|times| vec![one; times]));
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for chosen in std::iter::once(Vec::new()).chain(repeated).chain(pairs) {
        let events: Vec<(Mask, i64)> = chosen.iter().map(|cell| priced[*cell]).collect();
        let mask = answers_of(tallies, &events);
        if seen.insert(mask) {
            let reached = Reached {
                cells: chosen,
                amounts: BTreeMap::new(),
            };
            let person = Witness {
                events: deeds(metric, cells, &reached),
                ..Witness::default()
            };
            found.push((mask, person));
        }
    }
    found
}

/// One event for each that was counted, with amounts that make the sums.
fn deeds(metric: &MetricId, cells: &[Cell], reached: &Reached) -> Vec<Deed> {
    let mut amounts: BTreeMap<usize, i64> = reached.amounts.clone();
    let one = |cell: &usize| {
        let Cell { at, properties, .. } = &cells[*cell];
        let mut properties = properties.clone();
        // The first event of a cell carries all that the cell adds to a sum.
        if let Some(thousandths) = amounts.remove(cell).filter(|amount| *amount != 0) {
            properties.insert(VALUE.to_owned(), plain(thousandths as f64 / 1000.0));
        }
        Deed {
            metric: metric.clone(),
            at: *at,
            properties,
        }
    };
    reached.cells.iter().map(one).collect()
}

impl Cell {
    /// What an event of it adds to a sum.
    fn thousandths(&self) -> i64 {
        let amount = self.properties.get(VALUE).and_then(Amount::to_money);
        amount.map_or(0, |Money(thousandths)| thousandths)
    }
}

impl<'a> Selectors<'a> {
    /// The number of a condition's selector.
    fn number(&mut self, condition: &'a ProfileMetric) -> Option<usize> {
        let Filter::Date(frame) = &condition.timeframe_filter else {
            return None;
        };
        let window = Window::compile(frame, &Assumptions::default())?;
        let known = self.frames.iter().position(|(_, known)| *known == window);
        let window = known.unwrap_or_else(|| {
            self.frames.push((frame, window));
            self.frames.len() - 1
        });
        let filters = asked(&condition.metric_filters);
        let selector = Selector {
            window,
            filters: filters.map(|filter| self.filter(filter)).collect(),
        };
        let known = self.all.iter().position(|known| *known == selector);
        Some(known.unwrap_or_else(|| {
            self.all.push(selector);
            self.all.len() - 1
        }))
    }

    fn filter(&mut self, filter: PropertyFilter<'a>) -> usize {
        let is_it =
            |known: &PropertyFilter<'_>| known.name == filter.name && known.filter == filter.filter;
        let known = self.filters.iter().position(is_it);
        known.unwrap_or_else(|| {
            self.filters.push(filter);
            self.filters.len() - 1
        })
    }

    /// Every cell with an event of it; masks of cells that cannot be excluded, if there are any; and
    /// why the cells may not be all. `None` when there are too many to combine.
    #[expect(clippy::type_complexity, reason = "told once, taken apart at once")]
    fn cells(&self, now: i64) -> Option<(Vec<Cell>, Option<Vec<Mask>>, Option<&'static str>)> {
        let mut options = vec![(0, BTreeMap::new())];
        let mut loose: BTreeSet<Mask> = BTreeSet::from([0]);
        let (mut is_open, mut gap) = (false, None);
        let names: BTreeSet<&str> = self
            .filters
            .iter()
            .map(|filter| flag(filter.name))
            .collect();
        for name in names {
            let property = self.property(name, now);
            gap = gap.or(property.gap);
            is_open |= property.open;
            let joined =
                options
                    .iter()
                    .flat_map(|(passed, properties): &(Mask, BTreeMap<_, _>)| {
                        property.found.iter().map(move |(mask, own)| {
                            let both = properties.iter().chain(own);
                            let both = both.map(|(name, value): (&String, &Value)| {
                                (name.clone(), value.clone())
                            });
                            (passed | mask, both.collect())
                        })
                    });
            options = joined.take(MOST_CELLS + 1).collect();
            let pairs = loose
                .iter()
                .flat_map(|mask| property.loose.iter().map(move |own| mask | own));
            loose = pairs.take(MOST_CELLS + 1).collect();
        }
        let frames: Vec<&DateFilter> = self.frames.iter().map(|(frame, _)| *frame).collect();
        let instants = representatives(&frames, now);
        let too_many = options.len().max(loose.len()) * instants.len() > MOST_CELLS;
        if too_many || self.all.len() > 60 || self.filters.len() > 60 {
            return None;
        }
        let (mut cells, mut masks) = (BTreeMap::new(), BTreeSet::new());
        for instant in instants {
            let fits: Vec<bool> = self
                .frames
                .iter()
                .map(|(_, window)| window.holds(instant, now))
                .collect();
            for (passed, properties) in &options {
                let selections = self.selections(&fits, *passed);
                let apart =
                    (!self.amounts.is_empty()).then(|| format!("{:?}", properties.get(VALUE)));
                cells.entry((selections, apart)).or_insert_with(|| Cell {
                    selections,
                    at: Moment(instant.div_euclid(1000)),
                    properties: properties.clone(),
                });
            }
            masks.extend(loose.iter().map(|passed| self.selections(&fits, *passed)));
        }
        cells.retain(|(selections, _), _| *selections != 0);
        masks.remove(&0);
        let loose = is_open.then(|| masks.into_iter().collect());
        Some((cells.into_values().collect(), loose, gap))
    }

    fn selections(&self, fits: &[bool], passed: Mask) -> Mask {
        let takes = |selector: &Selector| {
            fits[selector.window]
                && selector
                    .filters
                    .iter()
                    .all(|filter| passed >> filter & 1 == 1)
        };
        bits(self.all.iter().map(takes))
    }

    /// The values of a property, or of both names of the one flag.
    fn property(&self, name: &str, now: i64) -> Property {
        let own: Vec<usize> = (0..self.filters.len())
            .filter(|at| flag(self.filters[*at].name) == name)
            .collect();
        let filters = own.iter().map(|at| self.filters[*at].filter);
        let mut values = Values::of(filters, Home::Event, false, now);
        let apart = name == VALUE && !self.amounts.is_empty();
        let amounts = self.amounts.iter().filter(|_| apart);
        values
            .all
            .extend(amounts.map(|amount| Some(plain(*amount as f64 / 1000.0))));
        let names: Vec<&str> = match SYNONYMS.contains(&name) {
            true => SYNONYMS.to_vec(),
            false => vec![name],
        };
        let mut property = Property {
            open: values.open,
            gap: values.gap,
            ..Property::default()
        };
        let mut seen = BTreeSet::new();
        for properties in assignments(&names, &values.all) {
            let mask = self.passed(&own, &properties);
            if seen.insert(mask) || apart {
                property.found.push((mask, properties));
            }
        }
        property.loose = seen;
        if values.open {
            let open: Vec<bool> = self
                .filters
                .iter()
                .enumerate()
                .map(|(at, filter)| own.contains(&at) && is_open_filter(filter.filter))
                .collect();
            if open.iter().filter(|open| **open).count() > MOST_OPEN || names.len() > 1 {
                property.gap = Some("too many texts could be anything");
            }
            let twins = twins(
                self.filters
                    .iter()
                    .enumerate()
                    .map(|(at, filter)| own.contains(&at).then_some(filter.filter)),
            );
            for value in &values.vague {
                let properties = BTreeMap::from([(name.to_owned(), value.clone())]);
                property
                    .loose
                    .extend(freed(self.passed(&own, &properties), &open, &twins));
            }
        }
        property
    }

    /// Which of these filters an event with these properties passes.
    fn passed(&self, filters: &[usize], properties: &BTreeMap<String, Value>) -> Mask {
        let passes = |at: &&usize| self.filters[**at].passes(properties);
        filters.iter().filter(passes).map(|at| 1 << at).sum()
    }
}

/// The values of a property, by the filters they pass.
#[derive(Default)]
struct Property {
    found: Vec<(Mask, BTreeMap<String, Value>)>,
    loose: BTreeSet<Mask>,
    open: bool,
    gap: Option<&'static str>,
}

/// Each value for each name.
fn assignments(names: &[&str], values: &[Option<Value>]) -> Vec<BTreeMap<String, Value>> {
    names.iter().fold(vec![BTreeMap::new()], |begun, name| {
        let longer = |properties: &BTreeMap<String, Value>| {
            let with = |value: &Option<Value>| {
                let mut properties = properties.clone();
                properties.extend(value.clone().map(|value| ((*name).to_owned(), value)));
                properties
            };
            values.iter().map(with).collect::<Vec<_>>()
        };
        begun.iter().flat_map(longer).collect()
    })
}

/// One name for both of the one flag.
fn flag(name: &str) -> &str {
    if SYNONYMS.contains(&name) {
        SYNONYMS[0]
    } else {
        name
    }
}

impl PropertyFilter<'_> {
    /// Whether an event with these properties passes, as the evaluator reads them (A12, A18).
    fn passes(&self, properties: &BTreeMap<String, Value>) -> bool {
        let name = self.name;
        let others = SYNONYMS
            .iter()
            .filter(|other| SYNONYMS.contains(&name) && **other != name);
        let names = std::iter::once(&name).chain(others);
        let mut kept = names
            .filter(|name| !NEVER_SEGMENTABLE.contains(name))
            .filter_map(|name| kept_in_event(properties.get(*name)));
        let kept = kept.next();
        self.test.as_ref().is_some_and(|test| test.holds(kept))
    }
}

fn asked(filters: &Nullable<Vec<MetricFilter>>) -> impl Iterator<Item = PropertyFilter<'_>> {
    let filters = filters.iter().flatten().flatten();
    filters.filter_map(|MetricFilter { property, filter }| {
        let filter = filter.as_ref()?.as_ref()?;
        let test = match Test::compile(filter, &Assumptions::default()) {
            Ok(Test::Static(test)) => Some(test),
            _ => None,
        };
        Some(PropertyFilter {
            name: property,
            filter,
            test,
        })
    })
}

/// A funnel that somebody went through, and one that nobody did. Whether it holds together with
/// other conditions on its metrics is not worked out: the evaluator is asked about every witness.
pub(super) fn funnel(atom: &Atom, now: i64) -> Space {
    let Some(Condition::ProfileMetricFunnel(funnel)) = &atom.condition else {
        return anything(because(&[atom], "it cannot be read"));
    };
    let frames: Vec<&DateFilter> = match &funnel.timeframe_filter {
        Filter::Date(frame) => vec![frame],
        _ => Vec::new(),
    };
    let steps: Vec<(&MetricId, Selectors)> = funnel
        .steps
        .iter()
        .filter(|step| step.metric_exists)
        .map(|step| {
            let filters = asked(&step.metric_filters).collect();
            let selectors = Selectors {
                filters,
                ..Selectors::default()
            };
            (&step.metric_id, selectors)
        })
        .collect();
    let walk = |first: i64| Witness {
        events: (first..)
            .zip(&steps)
            .filter_map(|(at, (metric, selectors))| {
                Some(Deed {
                    metric: (*metric).clone(),
                    at: Moment::from_secs(at),
                    properties: selectors.passing(now)?,
                })
            })
            .collect(),
        ..Witness::default()
    };
    let alone = ConditionGroup::any(atom.condition.iter().cloned().collect());
    let definition = Definition::of(vec![alone]);
    let instants = representatives(&frames, now).into_iter();
    let instants = instants.map(|instant| instant.div_euclid(SECOND));
    // From an instant on, and up to it.
    let starts = instants.flat_map(|instant| [instant, instant + 1 - steps.len() as i64]);
    let people = std::iter::once(Witness::default()).chain(starts.map(walk));
    let mut found: Vec<(Mask, Witness)> = Vec::new();
    for person in people {
        let verdict = person.verdicts(&[&definition], now);
        let mask = Mask::from(verdict == [Verdict::In]);
        if found.iter().all(|(known, _)| *known != mask) {
            found.push((mask, person));
        }
    }
    let why = because(&[atom], "funnels are not worked out");
    Space {
        found,
        rest: Rest::Within(BTreeSet::from([0, 1]), why),
    }
}

impl Selectors<'_> {
    /// Properties that pass every filter.
    fn passing(&self, now: i64) -> Option<BTreeMap<String, Value>> {
        let names: BTreeSet<&str> = self
            .filters
            .iter()
            .map(|filter| flag(filter.name))
            .collect();
        let mut all = BTreeMap::new();
        for name in names {
            let own: Mask = bits(self.filters.iter().map(|other| flag(other.name) == name));
            let found = self.property(name, now).found;
            let passing = found.into_iter().find(|(mask, _)| *mask == own)?;
            all.extend(passing.1);
        }
        Some(all)
    }
}
