//! Instants with millisecond precision, the finest that both vendors give and rules need.

mod text;

pub use text::micros;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// Milliseconds in a day; rules count in whole UTC days.
pub const DAY_MS: i64 = 86_400_000;

/// An instant, in milliseconds since 1970-01-01T00:00:00Z.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Moment(pub i64);

impl Moment {
    /// From whole Unix seconds.
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs * 1000)
    }

    /// Whole Unix seconds, rounded down.
    pub const fn secs(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// Reads RFC 3339 with `T` or a space between date and time, or a bare date (midnight UTC).
    /// `None` when it is neither.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Some(micros) = micros(text) {
            return Some(Self(micros.div_euclid(1000)));
        }
        if let Ok(at) = text.parse::<Timestamp>() {
            return Some(at.into());
        }
        let date: jiff::civil::Date = (text.len() == 10).then(|| text.parse().ok()).flatten()?;
        let midnight = date.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
        Some(midnight.timestamp().into())
    }

    /// Days since 1970-01-01 in UTC.
    pub const fn day(self) -> i64 {
        self.0.div_euclid(DAY_MS)
    }

    /// Midnight UTC of the day that is `day` days after 1970-01-01.
    pub const fn from_day(day: i64) -> Self {
        Self(day * DAY_MS)
    }

    /// Whole days from `self` to `now`, counted as differences of UTC dates; negative when `self`
    /// lies in the future.
    pub const fn days_until(self, now: Moment) -> i64 {
        now.day() - self.day()
    }

    /// This instant moved back by `span`, saturating.
    pub fn minus(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(millis(span)))
    }

    /// This instant moved forward by `span`, saturating.
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(millis(span)))
    }

    /// Time from `earlier` to `self`; zero when `earlier` is later.
    pub fn since(self, earlier: Moment) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The date in UTC as `2026-11-21`.
    pub fn date(self) -> String {
        let text = self.to_string();
        text.split('T').next().unwrap_or(&text).to_owned()
    }
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

impl From<Timestamp> for Moment {
    fn from(at: Timestamp) -> Self {
        Self(at.as_millisecond())
    }
}

impl fmt::Display for Moment {
    /// RFC 3339 in UTC, without fractional zeros: `2026-11-21T08:00:00Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Timestamp::from_millisecond(self.0) {
            Ok(at) => at.fmt(f),
            Err(_) => write!(f, "{} ms after 1970", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_both_vendors_send_are_read_alike() {
        let expected = Some(Moment::from_secs(1_691_652_116));
        for text in [
            "2023-08-10T07:21:56+00:00",
            "2023-08-10 07:21:56+00:00",
            "2023-08-10T07:21:56Z",
            "2023-08-10T09:21:56+02:00",
        ] {
            assert_eq!(Moment::parse(text), expected, "{text}");
        }
        assert_eq!(
            Moment::parse("2023-08-10").map(Moment::secs),
            Some(1_691_625_600)
        );
        assert_eq!(Moment::parse("10.08.2023"), None);
    }

    #[test]
    fn days_are_utc_calendar_days() {
        let evening = Moment::parse("2026-01-01T23:59:59Z").unwrap();
        let morning = Moment::parse("2026-01-02T00:00:01Z").unwrap();
        assert_eq!(evening.days_until(morning), 1);
        assert_eq!(morning.days_until(evening), -1);
        assert_eq!(evening.to_string(), "2026-01-01T23:59:59Z");
        assert_eq!(evening.date(), "2026-01-01");
    }
}
