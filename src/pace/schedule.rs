//! When the next pass starts: at a fixed interval, or by a cron line in UTC.

use crate::model::Moment;
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::tz::TimeZone;
use jiff::{Span, SpanRelativeTo, Timestamp, Zoned};
use std::time::Duration;

/// When passes start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// This long after the last start.
    Every(Duration),
    /// At the moments of a five-field cron line, in UTC.
    Cron(Box<Cron>),
}

/// The text is no schedule.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// Neither a span nor a cron line.
    #[error("this is neither a span of time nor a cron line")]
    Unknown,
    /// A span that is zero or beyond all use.
    #[error("passes cannot start this often or this seldom; one second to a year is possible")]
    OutOfRange,
    /// A cron line that croner refuses.
    #[error("this cron line is wrong: {0}")]
    Cron(String),
    /// A cron line such as the 30th of February.
    #[error("this cron line never comes true")]
    Never,
}

impl Schedule {
    /// Reads `15m`, `1h 30m`, `1d`, or a cron line of five fields (`*/15 * * * *`, `@hourly`).
    pub fn parse(text: &str) -> Result<Self, ScheduleError> {
        let text = text.trim();
        if let Some(span) = parse_span(text) {
            let possible = Duration::from_secs(1)..=Duration::from_hours(365 * 24);
            let within = possible.contains(&span).then_some(Self::Every(span));
            return within.ok_or(ScheduleError::OutOfRange);
        }
        if !text.starts_with('@') && text.split_whitespace().count() < 5 {
            return Err(ScheduleError::Unknown);
        }
        let parser = CronParser::builder();
        let parser = parser
            .seconds(Seconds::Disallowed)
            .year(Year::Disallowed)
            .build();
        let cron = parser.parse(text);
        let cron = cron.map_err(|error| ScheduleError::Cron(error.to_string()))?;
        // Any moment would do: a line that comes true at all does so within the leap years' cycle.
        match occurrence(&cron, Moment::from_secs(0)) {
            Some(_) => Ok(Self::Cron(Box::new(cron))),
            None => Err(ScheduleError::Never),
        }
    }

    /// The start that follows the one at `after`. Up to `jitter` is added, chosen by `random`, so
    /// that many shops do not start together.
    ///
    /// However long ago `after` was, one start follows from it: what was missed is not made up for.
    pub fn next(&self, after: Moment, jitter: Duration, random: u64) -> Moment {
        let due = match self {
            Self::Every(span) => after.plus(*span),
            // Only past the last year that a date can have.
            Self::Cron(cron) => occurrence(cron, after).unwrap_or(Moment(i64::MAX)),
        };
        let choices = u64::try_from(jitter.as_millis())
            .unwrap_or(u64::MAX)
            .saturating_add(1);
        due.plus(Duration::from_millis(random % choices))
    }
}

/// Reads a span such as `90s`, `15m`, `1h 30m` or `1d` (24 hours). `None` when it is none, when it
/// is negative, or when its length depends on the calendar (months).
pub fn parse_span(text: &str) -> Option<Duration> {
    let span: Span = text.trim().parse().ok()?;
    let span = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
    Duration::try_from(span).ok()
}

/// The first occurrence later than `after`.
fn occurrence(cron: &Cron, after: Moment) -> Option<Moment> {
    let after = Timestamp::from_millisecond(after.0).ok()?;
    let after: Zoned = after.to_zoned(TimeZone::UTC);
    let next = cron.find_next_occurrence(&after, false).ok()?;
    Some(next.timestamp().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO_JITTER: Duration = Duration::ZERO;

    fn at(text: &str) -> Moment {
        Moment::parse(text).unwrap()
    }

    fn next(schedule: &str, after: &str) -> String {
        let schedule = Schedule::parse(schedule).unwrap();
        schedule.next(at(after), NO_JITTER, 7).to_string()
    }

    #[test]
    fn an_interval_counts_from_the_last_start() {
        assert_eq!(next("15m", "2026-12-31T23:50:00Z"), "2027-01-01T00:05:00Z");
        assert_eq!(
            next("1h 30m", "2026-02-28T23:00:00Z"),
            "2026-03-01T00:30:00Z"
        );
        assert_eq!(next("1d", "2028-02-28T12:00:00Z"), "2028-02-29T12:00:00Z");
    }

    #[test]
    fn a_cron_line_is_read_in_utc_and_is_strictly_later() {
        for (cron, after, expected) in [
            (
                "*/15 * * * *",
                "2026-11-21T23:45:00Z",
                "2026-11-22T00:00:00Z",
            ),
            (
                "*/15 * * * *",
                "2026-11-21T23:44:59.900Z",
                "2026-11-21T23:45:00Z",
            ),
            (
                "*/15 * * * *",
                "2026-11-21T23:45:00.001Z",
                "2026-11-22T00:00:00Z",
            ),
            ("30 2 * * *", "2026-03-29T00:30:00Z", "2026-03-29T02:30:00Z"),
            (
                "0 6 * * MON",
                "2026-12-31T12:00:00Z",
                "2027-01-04T06:00:00Z",
            ),
            ("0 0 29 2 *", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00Z"),
            ("@daily", "2026-12-31T00:00:00Z", "2027-01-01T00:00:00Z"),
        ] {
            assert_eq!(next(cron, after), expected, "{cron} after {after}");
        }
    }

    #[test]
    fn each_due_start_comes_once_over_summer_time_leap_days_and_the_year_2038() {
        for (first, last) in [
            // Clocks go forward and back in Europe, and in America.
            ("2026-03-28T12:00:00Z", "2026-03-30T12:00:00Z"),
            ("2026-10-24T12:00:00Z", "2026-11-02T12:00:00Z"),
            // A leap second, and days that some years lack.
            ("2016-12-31T12:00:00Z", "2017-01-01T12:00:00Z"),
            ("2028-02-28T12:00:00Z", "2028-03-01T12:00:00Z"),
            ("2100-02-28T12:00:00Z", "2100-03-01T12:00:00Z"),
            // Seconds no longer fit 32 bits.
            ("2038-01-18T12:00:00Z", "2038-01-20T12:00:00Z"),
        ] {
            for text in ["15m", "*/15 * * * *"] {
                let schedule = Schedule::parse(text).unwrap();
                let (mut now, last) = (at(first), at(last));
                let quarters = last.since(now).as_secs() / 900;
                for _ in 0..quarters {
                    let due = schedule.next(now, NO_JITTER, 0);
                    assert_eq!(due.since(now).as_secs(), 900, "{text} after {now}");
                    now = due;
                }
                assert_eq!(now, last);
            }
        }
    }

    #[test]
    fn a_long_sleep_is_followed_by_one_start_not_by_many() {
        for text in ["15m", "*/15 * * * *"] {
            let schedule = Schedule::parse(text).unwrap();
            let woken = at("2026-11-25T08:07:30Z");
            let overdue = schedule.next(at("2026-11-21T08:00:00Z"), NO_JITTER, 0);
            assert!(overdue < woken, "{text}");
            let following = schedule.next(woken, NO_JITTER, 0);
            assert!(following > woken, "{text}");
        }
    }

    #[test]
    fn jitter_stays_within_its_bound_and_uses_all_of_it() {
        let schedule = Schedule::parse("1h").unwrap();
        let start = at("2026-11-21T08:00:00Z");
        let due = start.plus(Duration::from_hours(1));
        let jitter = Duration::from_secs(60);
        let late: Vec<_> = [0, 60_000, 60_001, u64::MAX]
            .map(|random| schedule.next(start, jitter, random).since(due).as_millis())
            .into();
        assert_eq!(late, [0, 60_000, 0, u128::from(u64::MAX % 60_001)]);
    }

    #[test]
    fn what_is_no_schedule_is_refused() {
        for text in ["", "15", "soon", "-5m", "15m ago", "1mo", "0s", "400d"] {
            assert!(Schedule::parse(text).is_err(), "{text}");
        }
        for text in [
            "* * * * * *",
            "61 * * * *",
            "* * * *",
            "a b c d e",
            "@reboot",
        ] {
            assert!(Schedule::parse(text).is_err(), "{text}");
        }
        assert_eq!(Schedule::parse("0 0 30 2 *"), Err(ScheduleError::Never));
    }

    #[test]
    fn no_text_makes_the_parser_panic() {
        let mut random = fastrand::Rng::with_seed(7);
        let alphabet: Vec<char> = "0123456789 */-,@?LW#+msdhMONJANé".chars().collect();
        for _ in 0..5_000 {
            let length = random.usize(0..24);
            let text: String = (0..length)
                .filter_map(|_| random.choice(&alphabet))
                .collect();
            if let Ok(schedule) = Schedule::parse(&text) {
                let start = at("2026-11-21T08:00:00Z");
                assert!(schedule.next(start, NO_JITTER, 0) > start, "{text}");
            }
        }
    }
}
