//! Instants in texts and windows of time (klaviyo.md, section 11.1; assumptions A1 to A8).

use crate::model::Moment;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde_json::Value as Json;

/// Microseconds since 1970; dates in texts are kept to this precision.
pub(super) type Micros = i64;

const SECOND: Micros = 1_000_000;
const HOUR: Micros = 3_600 * SECOND;
const DAY: Micros = 24 * HOUR;

/// An instant of the world.
pub(super) fn micros(at: Moment) -> Micros {
    at.0.saturating_mul(1000)
}

/// The instant of evaluation, and whose days count. Only windows relative to it ever follow another zone
/// than UTC.
#[derive(Clone)]
pub(in crate::sandbox) struct When {
    pub(super) now: Micros,
    zone: TimeZone,
}

impl When {
    /// As the vendor does it: days of UTC.
    pub(in crate::sandbox) fn utc(now: Moment) -> Self {
        Self::in_zone(now, TimeZone::UTC)
    }

    /// As somebody might think the vendor does it: days of another zone.
    pub(in crate::sandbox) fn in_zone(now: Moment, zone: TimeZone) -> Self {
        let now = micros(now);
        Self { now, zone }
    }

    /// The start of the day that lies this many days after today.
    fn midnight(&self, days: i64) -> Option<Micros> {
        let now = Timestamp::from_microsecond(self.now).ok()?;
        let today = now.to_zoned(self.zone.clone()).date();
        let day = today.checked_add(days.days()).ok()?;
        let start = day.to_zoned(self.zone.clone()).ok()?;
        Some(start.timestamp().as_microsecond())
    }
}

/// When a value matches; made for one instant of evaluation.
pub(super) enum Window {
    /// From the first, up to but not including the second.
    Span(Micros, Micros),
    /// An anniversary lies in this span; both ends belong to it.
    Anniversary(Micros, Micros),
    /// The same month and day.
    MonthAndDay(i8, i8),
    /// The same month.
    Month(i8),
}

impl Window {
    /// Reads a date filter; `None` when it is malformed or unknown.
    pub(super) fn read(json: &Json, when: &When) -> Option<Self> {
        if json["type"] != "date" {
            return None;
        }
        let day_of = |name: &str| parse(json[name].as_str()?).map(|at| at.div_euclid(DAY) * DAY);
        let today = || date_of(when.now);
        Some(match json["operator"].as_str()? {
            "alltime" => Self::Span(i64::MIN, i64::MAX),
            "before" => Self::Span(i64::MIN, day_of("date")?),
            "after" => Self::Span(day_of("date")? + DAY, i64::MAX),
            "between-static" => Self::Span(day_of("start")?, day_of("end")? + DAY),
            "anniversary" => Self::MonthAndDay(today()?.month(), today()?.day()),
            "anniversary-month" => Self::Month(today()?.month()),
            "calendar-month" => {
                let month = i8::try_from(json["value"].as_i64()?).ok()?;
                Self::Month(Some(month).filter(|month| (1..=12).contains(month))?)
            }
            operator => Self::relative(operator, json, when)?,
        })
    }

    fn relative(operator: &str, json: &Json, when: &When) -> Option<Self> {
        let hours = json["unit"] == "hour";
        let days = match json["unit"].as_str()? {
            "week" => 7,
            _ => 1,
        };
        if !["hour", "day", "week"].contains(&json["unit"].as_str()?) {
            return None;
        }
        let count = |name: &str| {
            json[name]
                .as_i64()
                .filter(|count| (0..1 << 20).contains(count))
        };
        // The start of a span that begins this many units ago, and the end of one that reaches up to then.
        let from = |ago: i64| match hours {
            true => Some(when.now - ago * HOUR),
            false => when.midnight(-ago * days),
        };
        let until = |ago: i64| match hours {
            true => Some(when.now - ago * HOUR),
            false => when.midnight(1 - ago * days),
        };
        let quantity = || count("quantity");
        Some(match operator {
            "in-the-last" => Self::Span(from(quantity()?)?, i64::MAX),
            "at-least" => Self::Span(i64::MIN, from(quantity()?)?),
            "in-the-next" => Self::Span(when.now, until(-quantity()?)?),
            "between" => {
                let (a, b) = (count("start")?, count("end")?);
                Self::Span(from(a.max(b))?, until(a.min(b))?)
            }
            "anniversary-last" => Self::Anniversary(from(quantity()?)?, when.now),
            "anniversary-next" => Self::Anniversary(when.now, until(-quantity()?)? - 1),
            _ => return None,
        })
    }

    pub(super) fn holds(&self, at: Micros) -> bool {
        match self {
            Self::Span(from, until) => *from <= at && at < *until,
            Self::Anniversary(from, until) => anniversary(at, *from, *until) == Some(true),
            Self::MonthAndDay(month, day) => {
                date_of(at).is_some_and(|date| (date.month(), date.day()) == (*month, *day))
            }
            Self::Month(month) => date_of(at).is_some_and(|date| date.month() == *month),
        }
    }
}

/// The day in UTC.
fn date_of(at: Micros) -> Option<Date> {
    let at = Timestamp::from_microsecond(at).ok()?;
    Some(at.to_zoned(TimeZone::UTC).date())
}

/// Whether a year has this month, day and time of day within the span; 29 February is no day of most years.
fn anniversary(at: Micros, from: Micros, until: Micros) -> Option<bool> {
    let date = date_of(at)?;
    let years = date_of(from)?.year()..=date_of(until)?.year();
    let mut found = years.filter_map(|year| {
        let day = Date::new(year, date.month(), date.day()).ok()?;
        let start = day.to_zoned(TimeZone::UTC).ok()?.timestamp();
        Some(start.as_microsecond() + at.rem_euclid(DAY))
    });
    Some(found.any(|at| from <= at && at <= until))
}

/// Reads a text as an instant: `YYYY-MM-DD`, then perhaps `T` or a space and a time with or without seconds,
/// fraction and zone.
pub(super) fn parse(text: &str) -> Option<Micros> {
    let (date, time) = text.split_at_checked(10)?;
    let (year, month, day) = (date.get(..4)?, date.get(4..7)?, date.get(7..)?);
    let month = month.strip_prefix('-')?;
    let day = day.strip_prefix('-')?;
    let small = |text: &str| i8::try_from(digits(text, 2)?).ok();
    let date = Date::new(
        i16::try_from(digits(year, 4)?).ok()?,
        small(month)?,
        small(day)?,
    )
    .ok()?;
    let midnight = date.to_zoned(TimeZone::UTC).ok()?.timestamp();
    let of_day = if time.is_empty() {
        0
    } else {
        time_of_day(time)?
    };
    let at = midnight.as_microsecond() + of_day;
    date_of(at).filter(|date| date.year() >= 1).map(|_| at)
}

/// `THH:MM`, `THH:MM:SS`, `THH:MM:SS.f`, each with or without `Z` or `±hh:mm`; a space may stand for `T`.
fn time_of_day(text: &str) -> Option<Micros> {
    let text = text.strip_prefix(['T', ' '])?;
    let (hour, rest) = (text.get(..2)?, text.get(2..)?.strip_prefix(':')?);
    let (minute, mut rest) = (rest.get(..2)?, rest.get(2..)?);
    let mut at = clock(hour, minute)?;
    if let Some(seconds) = rest.strip_prefix(':') {
        let second = digits(seconds.get(..2)?, 2).filter(|second| *second < 60)?;
        at += second * SECOND;
        rest = seconds.get(2..)?;
        if let Some(fraction) = rest.strip_prefix('.') {
            let length = fraction.bytes().take_while(u8::is_ascii_digit).count();
            let (fraction, after) = fraction.split_at_checked(length).filter(|_| length > 0)?;
            at += digits(&format!("{fraction:0<6}")[..6], 6)?;
            rest = after;
        }
    }
    let sign = match rest.chars().next() {
        None => return Some(at),
        Some('Z') if rest.len() == 1 => return Some(at),
        Some('+') => -1,
        Some('-') => 1,
        _ => return None,
    };
    let (hour, minute) = rest.get(1..)?.split_once(':')?;
    Some(at + sign * clock(hour, minute)?)
}

fn clock(hour: &str, minute: &str) -> Option<Micros> {
    let hour = digits(hour, 2).filter(|hour| *hour < 24)?;
    let minute = digits(minute, 2).filter(|minute| *minute < 60)?;
    Some(hour * HOUR + minute * 60 * SECOND)
}

/// A number of exactly so many digits.
fn digits(text: &str, count: usize) -> Option<i64> {
    let plain = text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_documented_spellings_are_dates() {
        let noon = parse("2026-11-21T12:00Z").unwrap();
        for same in [
            "2026-11-21T12:00",
            "2026-11-21 12:00:00",
            "2026-11-21T12:00:00.0000009Z",
            "2026-11-21T17:30:00+05:30",
        ] {
            assert_eq!(parse(same), Some(noon), "{same}");
        }
        assert_eq!(parse("2026-11-21T12:00:00.25"), Some(noon + SECOND / 4));
        for wrong in [
            "11/21/2026",
            "2026-11-21Z",
            "2026-11-21t12:00",
            " 2026-11-21",
            "2026-02-29",
            "2026-11-21T24:00",
            "2026-11-21T12:00:60",
            "2026-11-21T12:00:00.Z",
            "2026-11-21T12:00z",
            "0001-01-01T00:00+01:00",
            "２０26-11-21",
        ] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn days_follow_the_zone_and_hours_do_not() {
        let now = Moment::parse("2026-11-21T08:00:00Z").unwrap();
        let day = serde_json::json!({ "type": "date", "operator": "in-the-last", "unit": "day", "quantity": 1 });
        let hour = serde_json::json!({ "type": "date", "operator": "in-the-last", "unit": "hour", "quantity": 1 });
        let west = TimeZone::fixed(jiff::tz::offset(-5));
        let bounds = |json: &Json, when: &When| match Window::read(json, when) {
            Some(Window::Span(from, _)) => (from - when.now) / HOUR,
            _ => 0,
        };
        let (utc, west) = (When::utc(now), When::in_zone(now, west));
        assert_eq!((bounds(&day, &utc), bounds(&day, &west)), (-32, -27));
        assert_eq!((bounds(&hour, &utc), bounds(&hour, &west)), (-1, -1));
    }
}
