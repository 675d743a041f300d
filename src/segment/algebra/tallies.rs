//! Counts and sums over cells of events: which answers can be reached together.

use super::operands::bounds;
use super::space::Mask;
use crate::model::Money;
use crate::segment::number::{Num, NumberTest};
use crate::segment::{Filter, Measurement, ProfileMetric};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// One condition on a metric: how much of a selection it wants.
pub(super) struct Tallies<'a> {
    selector: usize,
    measurement: Measurement,
    test: &'a NumberTest,
    /// For counts: from here on all answers are the same. For sums: the amounts, in thousandths, that
    /// stand for all others.
    cap: u32,
    amounts: Vec<i64>,
}

/// Counts beyond are not counted to.
const MOST: f64 = 5_000.0;
/// Amounts beyond are not exact as floating-point numbers of units.
const MOST_AMOUNT: f64 = 1e12;
/// More states are not visited.
const MOST_STATES: usize = 40_000;

impl<'a> Tallies<'a> {
    /// `None` for a bound that is too large.
    pub(super) fn of(
        selector: usize,
        condition: &ProfileMetric,
        test: &'a NumberTest,
    ) -> Option<Self> {
        let Filter::Numeric(filter) = &condition.measurement_filter else {
            return None;
        };
        let bounds: Vec<f64> = bounds(filter)
            .into_iter()
            .filter_map(|n| n.as_f64())
            .collect();
        let most = bounds.iter().copied().fold(0.0, f64::max);
        let measurement = condition.measurement;
        let fits = match measurement {
            Measurement::Count => most <= MOST,
            Measurement::Sum => bounds.iter().all(|bound| bound.abs() <= MOST_AMOUNT),
        };
        fits.then(|| Self {
            selector,
            measurement,
            test,
            cap: most as u32 + 2,
            amounts: amounts(&bounds),
        })
    }
}

impl Tallies<'_> {
    /// Amounts that stand for all others.
    pub(super) fn amounts(&self) -> impl Iterator<Item = i64> {
        self.amounts.iter().copied()
    }
}

/// Which conditions hold for events of these selections and amounts.
pub(super) fn answers_of(tallies: &[Tallies<'_>], events: &[(Mask, i64)]) -> Mask {
    let holds = |tally: &Tallies<'_>| {
        let taken = events
            .iter()
            .filter(|(selections, _)| selections >> tally.selector & 1 == 1);
        match tally.measurement {
            Measurement::Count => tally
                .test
                .holds(Num::Int(i64::try_from(taken.count()).unwrap_or(i64::MAX))),
            Measurement::Sum => tally
                .test
                .holds_money(Money(taken.map(|(_, amount)| amount).sum())),
        }
    };
    super::space::bits(tallies.iter().map(holds))
}

/// Amounts in thousandths around bounds: each side of each of them, and the bounds themselves.
fn amounts(bounds: &[f64]) -> Vec<i64> {
    let near = bounds.iter().flat_map(|bound| {
        let floor = (bound * 1000.0).floor() as i64;
        floor - 1..=floor + 2
    });
    let rounds = bounds.iter().flat_map(|bound| {
        let unit = bound.floor() as i64 * 1000;
        [unit - 1000, unit + 1000]
    });
    let all: BTreeSet<i64> = rounds.chain(near).chain([0]).collect();
    all.into_iter().collect()
}

/// How a set of answers was reached.
#[derive(Clone, Debug, Default)]
pub(super) struct Reached {
    /// The cells of the events, by number.
    pub(super) cells: Vec<usize>,
    /// What a cell adds to sums, in thousandths.
    pub(super) amounts: BTreeMap<usize, i64>,
}

/// Every set of answers, with a way to reach it.
#[derive(Debug, Default)]
pub(super) struct Amounts {
    pub(super) all: BTreeMap<Mask, Reached>,
    /// Why there may be others.
    pub(super) gap: Option<&'static str>,
}

/// Counts by selector, capped, and the sum selectors' patterns of which there is an event.
type State = (Vec<u32>, BTreeSet<Mask>);

impl Amounts {
    /// What can be reached with events of these cells, each the mask of its selectors.
    pub(super) fn reach(tallies: &[Tallies<'_>], cells: &[Mask]) -> Self {
        let mut reached = Self::default();
        let counted = selectors(tallies, Measurement::Count);
        let summed = selectors(tallies, Measurement::Sum);
        let caps: Vec<u32> = counted
            .iter()
            .map(|selector| cap(tallies, *selector))
            .collect();
        let pattern = |cell: Mask| restrict(cell, &summed);
        let start: State = (vec![0; counted.len()], BTreeSet::new());
        let mut parents: BTreeMap<State, Option<(State, usize)>> =
            BTreeMap::from([(start.clone(), None)]);
        let mut queue = VecDeque::from([start]);
        let mut seen = BTreeSet::new();
        while let Some(state) = queue.pop_front() {
            let counts = answers(tallies, &counted, &state.0);
            if seen.insert((counts, state.1.clone())) {
                let path = path(&parents, &state);
                reached.sums(tallies, &summed, counts, cells, path);
            }
            for (number, cell) in cells.iter().enumerate() {
                let mut next = state.clone();
                for ((count, selector), cap) in next.0.iter_mut().zip(&counted).zip(&caps) {
                    let more = u32::try_from(cell >> selector & 1).unwrap_or(0);
                    *count = (*count + more).min(*cap);
                }
                next.1
                    .extend(Some(pattern(*cell)).filter(|pattern| *pattern != 0));
                if next != state && !parents.contains_key(&next) {
                    parents.insert(next.clone(), Some((state.clone(), number)));
                    queue.push_back(next);
                }
            }
            if parents.len() > MOST_STATES {
                reached.gap = Some("there are too many counts to try");
                return reached;
            }
        }
        reached
    }

    /// Adds every set of answers that sums can have with these events.
    fn sums(
        &mut self,
        tallies: &[Tallies<'_>],
        summed: &[usize],
        counts: Mask,
        cells: &[Mask],
        path: Vec<usize>,
    ) {
        // Of each pattern the first event carries the amount.
        let mut carriers: BTreeMap<Mask, usize> = BTreeMap::new();
        for cell in &path {
            carriers
                .entry(restrict(cells[*cell], summed))
                .or_insert(*cell);
        }
        carriers.remove(&0);
        let patterns: Vec<Mask> = carriers.keys().copied().collect();
        let Some(order) = Order::of(summed, &patterns) else {
            self.gap = Some("its sums depend on one another");
            self.all
                .entry(counts | sum_answers(tallies, &BTreeMap::new()))
                .or_insert(Reached {
                    cells: path,
                    amounts: BTreeMap::new(),
                });
            return;
        };
        for wanted in order.choices(tallies) {
            let (sums, by_pattern) = order.solve(&wanted);
            let mask = counts | sum_answers(tallies, &sums);
            self.all.entry(mask).or_insert_with(|| Reached {
                cells: path.clone(),
                amounts: by_pattern
                    .iter()
                    .map(|(pattern, amount)| (carriers[pattern], *amount))
                    .collect(),
            });
        }
    }
}

fn selectors(tallies: &[Tallies<'_>], measurement: Measurement) -> Vec<usize> {
    let own = tallies
        .iter()
        .filter(|tally| tally.measurement == measurement);
    let all: BTreeSet<usize> = own.map(|tally| tally.selector).collect();
    all.into_iter().collect()
}

fn cap(tallies: &[Tallies<'_>], selector: usize) -> u32 {
    let counts = tallies
        .iter()
        .filter(|tally| tally.measurement == Measurement::Count);
    counts
        .filter(|tally| tally.selector == selector)
        .map(|tally| tally.cap)
        .max()
        .unwrap_or(0)
}

fn restrict(cell: Mask, selectors: &[usize]) -> Mask {
    selectors.iter().map(|selector| cell & 1 << selector).sum()
}

fn answers(tallies: &[Tallies<'_>], counted: &[usize], counts: &[u32]) -> Mask {
    let holds = |tally: &Tallies<'_>| {
        let at = counted
            .iter()
            .position(|selector| *selector == tally.selector);
        let count = at
            .filter(|_| tally.measurement == Measurement::Count)
            .map(|at| counts[at]);
        count.is_some_and(|count| tally.test.holds(Num::Int(count.into())))
    };
    super::space::bits(tallies.iter().map(holds))
}

/// A selector without a sum has none: zero.
fn sum_answers(tallies: &[Tallies<'_>], sums: &BTreeMap<usize, i64>) -> Mask {
    let holds = |tally: &Tallies<'_>| {
        let sum = Money(sums.get(&tally.selector).copied().unwrap_or(0));
        tally.measurement == Measurement::Sum && tally.test.holds_money(sum)
    };
    super::space::bits(tallies.iter().map(holds))
}

fn path(parents: &BTreeMap<State, Option<(State, usize)>>, state: &State) -> Vec<usize> {
    let mut cells = Vec::new();
    let mut at = state;
    while let Some(Some((before, cell))) = parents.get(at) {
        cells.push(*cell);
        at = before;
    }
    cells.reverse();
    cells
}

/// An order in which sums can be set one after the other without moving those set before.
struct Order {
    /// Classes of selectors whose sums are always the same, each with the pattern that sets it. A later
    /// pattern may move an earlier class, so the last is set first.
    steps: Vec<(Vec<usize>, Mask)>,
}

impl Order {
    /// `None` if there is none. Selectors that no pattern moves stay at zero.
    fn of(summed: &[usize], patterns: &[Mask]) -> Option<Self> {
        let moved_by = |selector: usize| -> Vec<Mask> {
            patterns
                .iter()
                .copied()
                .filter(|pattern| pattern >> selector & 1 == 1)
                .collect()
        };
        let mut classes: BTreeMap<Vec<Mask>, Vec<usize>> = BTreeMap::new();
        for selector in summed {
            classes
                .entry(moved_by(*selector))
                .or_default()
                .push(*selector);
        }
        classes.remove(&Vec::new());
        let mut open: Vec<Vec<usize>> = classes.into_values().collect();
        let mut steps = Vec::new();
        while !open.is_empty() {
            let (at, pattern) = patterns.iter().find_map(|pattern| {
                let mut moved = (0..open.len()).filter(|at| pattern >> open[*at][0] & 1 == 1);
                let only = moved.next()?;
                moved.next().is_none().then_some((only, *pattern))
            })?;
            steps.push((open.remove(at), pattern));
        }
        Some(Self { steps })
    }

    /// Every choice of a sum for each class.
    fn choices(&self, tallies: &[Tallies<'_>]) -> Vec<Vec<i64>> {
        let of_class = |class: &[usize]| -> BTreeSet<i64> {
            let sums = tallies
                .iter()
                .filter(|tally| tally.measurement == Measurement::Sum);
            let own = sums.filter(|tally| class.contains(&tally.selector));
            own.flat_map(|tally| tally.amounts.iter().copied())
                .collect()
        };
        self.steps
            .iter()
            .fold(vec![Vec::new()], |begun, (class, _)| {
                let amounts = of_class(class);
                let longer = |start: &Vec<i64>| {
                    amounts
                        .iter()
                        .map(|amount| [start.as_slice(), &[*amount]].concat())
                        .collect::<Vec<_>>()
                };
                begun.iter().flat_map(longer).collect()
            })
    }

    /// The sum of each selector, and what events of each pattern add to reach it.
    fn solve(&self, wanted: &[i64]) -> (BTreeMap<usize, i64>, BTreeMap<Mask, i64>) {
        let mut added: BTreeMap<Mask, i64> = BTreeMap::new();
        for ((class, pattern), sum) in self.steps.iter().zip(wanted).rev() {
            let others = added
                .iter()
                .filter(|(other, _)| **other >> class[0] & 1 == 1);
            let there: i64 = others.map(|(_, amount)| amount).sum();
            added.insert(*pattern, sum - there);
        }
        let classes = self.steps.iter().zip(wanted);
        let sums = classes.flat_map(|((class, _), sum)| class.iter().map(|at| (*at, *sum)));
        (sums.collect(), added)
    }
}
