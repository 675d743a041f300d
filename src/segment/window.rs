//! When a date fits: of an instant at a given `now`, and of a `now` for a given instant.
//!
//! Instants are microseconds, evaluation moments whole seconds, both since 1970. Most operators are
//! a range with two edges that stand still or move with `now`; a moving edge passes an instant once,
//! and the second in which it does is the flip. Anniversaries come back, so they are enumerated.

use super::assumption::Assumptions;
use super::filter::{DateFilter, Length, Unit};
use super::season::{Recurring, Season};
use super::verdict::{Course, Span, Verdict};
use crate::model::micros;

pub(super) const SECOND: i64 = 1_000_000;
pub(super) const DAY_SECS: i64 = 86_400;
const HOUR_SECS: i64 = 3_600;

/// One end of a range of instants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Edge {
    /// There is none.
    Open,
    /// Fixed, in microseconds.
    At(i64),
    /// Midnight of the day of evaluation, so many days later.
    Day(i64),
    /// The evaluation moment, so many seconds later.
    Second(i64),
}

/// A date filter, compiled.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Window {
    shape: Shape,
    /// What a day's midnight is ahead of UTC's, in seconds; zero but for a hypothesis.
    offset: i64,
}

#[derive(Clone, Debug, PartialEq)]
enum Shape {
    /// From the first edge on, before the second.
    Range(Edge, Edge),
    /// Spans of `now` that come back with the instant's day in the year.
    Recurring(Recurring),
    /// The month of the instant, 1 to 12.
    Month(i64),
    /// The last season that is over.
    Season(Season),
}

impl Window {
    /// Compiles a filter; `None` for an operand that means nothing.
    pub(super) fn compile(filter: &DateFilter, assumptions: &Assumptions) -> Option<Self> {
        let offset = i64::from(assumptions.utc_offset_minutes) * 60;
        let midnight = |text: &str, days: i64| {
            if !assumptions.static_dates_are_days {
                // `after` excludes the instant itself, an end includes it.
                return Some(Edge::At(micros(text)? + days.signum()));
            }
            let day = day_of(micros(text)?, offset) + days;
            Some(Edge::At((day * DAY_SECS - offset) * SECOND))
        };
        let open = Edge::Open;
        let shape = match filter {
            DateFilter::Alltime => Shape::Range(open, open),
            DateFilter::Before { date } => Shape::Range(open, midnight(date, 0)?),
            DateFilter::After { date } => Shape::Range(midnight(date, 1)?, open),
            DateFilter::BetweenStatic { start, end } => {
                Shape::Range(midnight(start, 0)?, midnight(end, 1)?)
            }
            DateFilter::InTheLast(length) => {
                let until = match assumptions.last_includes_future {
                    true => open,
                    false => Edge::Second(1),
                };
                Shape::Range(back(length)?, until)
            }
            DateFilter::AtLeast(length) => Shape::Range(open, back(length)?),
            DateFilter::Between { unit, start, end } => {
                let (near, far) = (
                    units(*unit, *start.min(end))?,
                    units(*unit, *start.max(end))?,
                );
                match unit {
                    Unit::Hour => Shape::Range(Edge::Second(-far), Edge::Second(-near)),
                    Unit::Day | Unit::Week => Shape::Range(Edge::Day(-far), Edge::Day(1 - near)),
                }
            }
            DateFilter::InTheNext(length) => Shape::Range(Edge::Second(0), ahead(length)?),
            DateFilter::AnniversaryLast(length) => Shape::Recurring(match length.unit {
                Unit::Hour => Recurring::LastSeconds(units(length.unit, length.quantity)?),
                Unit::Day | Unit::Week => Recurring::LastDays(units(length.unit, length.quantity)?),
            }),
            DateFilter::AnniversaryNext(length) => Shape::Recurring(match length.unit {
                Unit::Hour => Recurring::NextSeconds(units(length.unit, length.quantity)?),
                Unit::Day | Unit::Week => Recurring::NextDays(units(length.unit, length.quantity)?),
            }),
            DateFilter::Anniversary => Shape::Recurring(Recurring::Day),
            DateFilter::AnniversaryMonth => Shape::Recurring(Recurring::Month),
            DateFilter::CalendarMonth { value } => {
                Shape::Month((1..=12).contains(value).then_some(*value)?)
            }
            DateFilter::DriftlessLastSeason { from, to } => Shape::Season(Season::parse(from, to)?),
        };
        Some(Self { shape, offset })
    }

    /// The instants that fit at `now`, from the first on and before the second, where they are one
    /// range.
    pub(super) fn bounds(&self, now: i64) -> Option<(i64, i64)> {
        match self.shape {
            Shape::Range(from, until) => Some((
                self.place(from, now, i64::MIN),
                self.place(until, now, i64::MAX),
            )),
            Shape::Season(season) => {
                let (from, until) = season.before(now + self.offset)?;
                Some((
                    (from - self.offset).saturating_mul(SECOND),
                    (until - self.offset).saturating_mul(SECOND),
                ))
            }
            Shape::Recurring(_) | Shape::Month(_) => None,
        }
    }

    /// Whether an instant fits at `now`.
    pub(super) fn holds(&self, instant: i64, now: i64) -> bool {
        match self.bounds(now) {
            Some((from, until)) => from <= instant && instant < until,
            None => {
                let mut holds = false;
                self.spells(instant, Span::at(now), |from, until| {
                    holds |= from <= now && now < until;
                });
                holds
            }
        }
    }

    /// Whether an instant fits, over a span.
    pub(super) fn course(&self, instant: i64, span: Span) -> Course {
        let mut spells = Vec::new();
        self.spells(instant, span, |from, until| spells.push((from, until)));
        let inside = |spell: &(i64, i64)| spell.0 <= span.now && span.now < spell.1;
        let initial = Verdict::of(spells.iter().any(inside));
        let ends = spells.into_iter().flat_map(|(from, until)| {
            let ends = [(from, Verdict::In), (until, Verdict::Out)];
            ends.into_iter()
                .filter(|(at, _)| span.now < *at && *at <= span.until)
        });
        Course {
            initial,
            flips: ends.collect(),
        }
    }

    /// Tells the spans of `now`, from the first second on and before the second one, in which an
    /// instant fits, as far as they touch the span; ascending, and no two of them touch.
    pub(super) fn spells(&self, instant: i64, span: Span, mut tell: impl FnMut(i64, i64)) {
        match &self.shape {
            Shape::Range(from, until) => {
                let (starts, ends) = (
                    self.passes(*until, instant, false),
                    self.passes(*from, instant, true),
                );
                if starts < ends && starts <= span.until && span.now < ends {
                    tell(starts, ends);
                }
            }
            Shape::Month(month) => {
                let civil = super::season::civil(day_of(instant, self.offset));
                if civil.is_some_and(|date| i64::from(date.month()) == *month) {
                    tell(i64::MIN, i64::MAX);
                }
            }
            Shape::Recurring(recurring) => recurring.spells(instant, self.offset, span, tell),
            Shape::Season(season) => {
                let local = instant.div_euclid(SECOND) + self.offset;
                if let Some((from, until)) = season.shown(local) {
                    tell(from - self.offset, until - self.offset);
                }
            }
        }
    }

    fn place(&self, edge: Edge, now: i64, open: i64) -> i64 {
        match edge {
            Edge::Open => open,
            Edge::At(instant) => instant,
            Edge::Second(ahead) => (now + ahead).saturating_mul(SECOND),
            Edge::Day(ahead) => {
                let day = (now + self.offset).div_euclid(DAY_SECS) + ahead;
                (day * DAY_SECS - self.offset).saturating_mul(SECOND)
            }
        }
    }

    /// The first second at which an edge lies beyond an instant. A fixed edge, or none, lies there
    /// always or never: none bounds nothing, on whichever side it is missing.
    fn passes(&self, edge: Edge, instant: i64, is_lower: bool) -> i64 {
        let second = instant.div_euclid(SECOND);
        match edge {
            Edge::Open if is_lower => i64::MAX,
            Edge::Open => i64::MIN,
            Edge::At(at) if at > instant => i64::MIN,
            Edge::At(_) => i64::MAX,
            Edge::Second(ahead) => second - ahead + 1,
            Edge::Day(ahead) => (day_of(instant, self.offset) - ahead + 1) * DAY_SECS - self.offset,
        }
    }
}

/// The day of an instant, since 1970.
pub(super) fn day_of(instant: i64, offset: i64) -> i64 {
    (instant.div_euclid(SECOND) + offset).div_euclid(DAY_SECS)
}

/// Lengths beyond this many days reach past the calendar, whichever way.
const LONGEST_DAYS: i64 = 4_000_000;

/// A length in seconds for hours, in days for days and weeks; `None` for one below zero.
fn units(unit: Unit, quantity: i64) -> Option<i64> {
    let (each, most) = match unit {
        Unit::Hour => (HOUR_SECS, LONGEST_DAYS * DAY_SECS),
        Unit::Day => (1, LONGEST_DAYS),
        Unit::Week => (7, LONGEST_DAYS),
    };
    (quantity >= 0).then(|| quantity.saturating_mul(each).min(most))
}

fn back(length: &Length) -> Option<Edge> {
    let count = units(length.unit, length.quantity)?;
    Some(match length.unit {
        Unit::Hour => Edge::Second(-count),
        Unit::Day | Unit::Week => Edge::Day(-count),
    })
}

fn ahead(length: &Length) -> Option<Edge> {
    let count = units(length.unit, length.quantity)?;
    Some(match length.unit {
        Unit::Hour => Edge::Second(count),
        Unit::Day | Unit::Week => Edge::Day(count + 1),
    })
}
