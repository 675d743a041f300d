//! What comes back every year: anniversaries, and seasons.

use super::verdict::Span;
use super::window::{DAY_SECS, SECOND, day_of};
use jiff::civil::Date;

/// Anniversary operators. The instant keeps its time of day (A8).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Recurring {
    /// Today is the day.
    Day,
    /// This is the month.
    Month,
    /// From so many days back, cut at midnight, up to now.
    LastDays(i64),
    /// From so many seconds back, up to now.
    LastSeconds(i64),
    /// From now, up to the end of the day so many days ahead.
    NextDays(i64),
    /// From now, for so many seconds.
    NextSeconds(i64),
}

/// A window of nine years holds an anniversary of any day: between two leap years lie eight at most.
const ALWAYS_DAYS: i64 = 9 * 366;

/// From a day of the year to another, both included.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Season {
    from: (i8, i8),
    to: (i8, i8),
}

impl Recurring {
    /// See [`super::window::Window::spells`].
    pub(super) fn spells(
        self,
        instant: i64,
        offset: i64,
        span: Span,
        mut tell: impl FnMut(i64, i64),
    ) {
        let day = day_of(instant, offset);
        let Some(date) = civil(day) else { return };
        if self.days() >= ALWAYS_DAYS {
            return tell(i64::MIN, i64::MAX);
        }
        // In microseconds; an instant between two seconds is past only at the second one.
        let into_day = instant + offset * SECOND - day * DAY_SECS * SECOND;
        let year_of = |second: i64| {
            civil((second + offset).div_euclid(DAY_SECS)).map(|date| i64::from(date.year()))
        };
        let reach = self.years();
        let (Some(first), Some(last)) = (year_of(span.now), year_of(span.until)) else {
            return;
        };
        let mut open: Option<(i64, i64)> = None;
        for year in first - reach..=last + reach {
            let Some((from, until)) = self.spell(date, into_day, year, offset) else {
                continue;
            };
            open = match open {
                Some((start, end)) if from <= end => Some((start, until.max(end))),
                before => {
                    told(before, span, &mut tell);
                    Some((from, until))
                }
            };
        }
        told(open, span, &mut tell);
    }

    /// How many years away an anniversary may still count.
    fn years(self) -> i64 {
        self.days() / 365 + 1
    }

    /// The length of the window.
    fn days(self) -> i64 {
        match self {
            Self::Day | Self::Month => 0,
            Self::LastDays(days) | Self::NextDays(days) => days,
            Self::LastSeconds(secs) | Self::NextSeconds(secs) => secs / DAY_SECS,
        }
    }

    /// The span of `now` in which the anniversary of one year counts.
    fn spell(self, date: Date, into_day: i64, year: i64, offset: i64) -> Option<(i64, i64)> {
        let year = i16::try_from(year).ok()?;
        let midnight = |day: i64| day * DAY_SECS - offset;
        if let Self::Month = self {
            let first = Date::new(year, date.month(), 1).ok()?;
            let days = i64::from(first.days_in_month());
            return Some((midnight(number(first)), midnight(number(first) + days)));
        }
        // There is a 29 February in leap years only.
        let day = number(Date::new(year, date.month(), date.day()).ok()?);
        let exact = midnight(day) * SECOND + into_day;
        let (floor, ceiling) = (exact.div_euclid(SECOND), -(-exact).div_euclid(SECOND));
        Some(match self {
            Self::Day | Self::Month => (midnight(day), midnight(day + 1)),
            Self::LastDays(days) => (ceiling, midnight(day + days + 1)),
            Self::LastSeconds(secs) => (ceiling, floor + secs + 1),
            Self::NextDays(days) => (midnight(day - days), floor + 1),
            Self::NextSeconds(secs) => (floor - secs + 1, floor + 1),
        })
    }
}

fn told(spell: Option<(i64, i64)>, span: Span, tell: &mut impl FnMut(i64, i64)) {
    if let Some((from, until)) = spell
        && from < until
        && from <= span.until
        && span.now < until
    {
        tell(from, until);
    }
}

impl Season {
    /// Reads two days of the year, `MM-DD`.
    pub(super) fn parse(from: &str, to: &str) -> Option<Self> {
        let day = |text: &str| {
            // A year that has every day.
            let date: Date = format!("2000-{text}").parse().ok()?;
            (text.len() == 5).then_some((date.month(), date.day()))
        };
        Some(Self {
            from: day(from)?,
            to: day(to)?,
        })
    }

    /// The season that begins in a year, from its first second to the first one after it.
    fn of(self, year: i16) -> Option<(i64, i64)> {
        let last_year = year.checked_add(i16::from(self.to < self.from))?;
        let from = number(clamped(year, self.from)?);
        let to = number(clamped(last_year, self.to)?);
        Some((from * DAY_SECS, (to + 1) * DAY_SECS))
    }

    /// The last season that is over at a local second.
    pub(super) fn before(self, now: i64) -> Option<(i64, i64)> {
        let year = civil(now.div_euclid(DAY_SECS))?.year();
        let candidates = [year, year.checked_sub(1)?, year.checked_sub(2)?];
        let seasons = candidates.into_iter().filter_map(|year| self.of(year));
        seasons.into_iter().find(|(_, until)| *until <= now)
    }

    /// For how long a local second lies in the last season that is over.
    pub(super) fn shown(self, second: i64) -> Option<(i64, i64)> {
        let year = civil(second.div_euclid(DAY_SECS))?.year();
        [year.checked_sub(1)?, year].into_iter().find_map(|year| {
            let (from, until) = self.of(year)?;
            let (_, next) = self.of(year.checked_add(1)?)?;
            (from <= second && second < until).then_some((until, next))
        })
    }
}

/// 29 February is the 28th where there is none.
fn clamped(year: i16, (month, day): (i8, i8)) -> Option<Date> {
    let first = Date::new(year, month, 1).ok()?;
    Date::new(year, month, day.min(first.days_in_month())).ok()
}

/// Days since 1970.
fn number(date: Date) -> i64 {
    let epoch = jiff::civil::date(1970, 1, 1);
    date.since(epoch)
        .map_or(0, |span| i64::from(span.get_days()))
}

/// The date so many days after 1970-01-01; `None` outside the calendar.
pub(super) fn civil(day: i64) -> Option<Date> {
    let days = jiff::Span::new().try_days(day).ok()?;
    jiff::civil::date(1970, 1, 1).checked_add(days).ok()
}
