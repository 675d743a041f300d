//! Dates and instants as text, in the forms that a segment's date operators accept.

const DAY_SECS: i64 = 86_400;
/// 0001-01-01 and the day after 9999-12-31, in days since 1970.
const FIRST_DAY: i64 = -719_162;
const END_DAY: i64 = 2_932_897;

/// Microseconds since 1970 of `2026-11-21`, or of a date, `T` or one space, and `15:04`,
/// `15:04:05` or `15:04:05.678`, with `Z`, `±hh:mm` or no zone behind it. No zone is UTC, a date
/// alone is its midnight, digits beyond the microsecond are cut. `None` for any other text, for
/// days that no calendar has, and for UTC years outside 1 to 9999.
pub fn micros(text: &str) -> Option<i64> {
    let mut rest = Rest(text.as_bytes());
    let day = rest.date()?;
    let (mut secs, mut fraction) = (day * DAY_SECS, 0);
    if !rest.0.is_empty() {
        rest.one_of(b"T ")?;
        let (of_day, micros) = rest.time()?;
        secs += of_day - rest.offset()?;
        fraction = micros;
    }
    let in_range = (FIRST_DAY * DAY_SECS..END_DAY * DAY_SECS).contains(&secs);
    (rest.0.is_empty() && in_range).then_some(secs * 1_000_000 + fraction)
}

/// What is still to be read.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn one_of(&mut self, accepted: &[u8]) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        accepted.contains(first).then(|| {
            self.0 = rest;
            *first
        })
    }

    fn skip(&mut self, byte: u8) -> Option<u8> {
        self.one_of(&[byte])
    }

    fn digit(&mut self) -> Option<i64> {
        let digit = self.one_of(b"0123456789")?;
        Some(i64::from(digit - b'0'))
    }

    fn two_digits(&mut self) -> Option<i64> {
        Some(self.digit()? * 10 + self.digit()?)
    }

    /// Two digits, no more than `most`.
    fn up_to(&mut self, most: i64) -> Option<i64> {
        self.two_digits().filter(|number| *number <= most)
    }

    /// Days since 1970.
    fn date(&mut self) -> Option<i64> {
        let year = self.two_digits()? * 100 + self.two_digits()?;
        self.skip(b'-')?;
        let month = self.up_to(12).filter(|month| *month > 0)?;
        self.skip(b'-')?;
        let day = self.up_to(days_in(year, month)).filter(|day| *day > 0)?;
        Some(days_since_1970(year, month, day))
    }

    /// Seconds of the day, and microseconds behind them.
    fn time(&mut self) -> Option<(i64, i64)> {
        let hours = self.up_to(23)?;
        self.skip(b':')?;
        let mut secs = (hours * 60 + self.up_to(59)?) * 60;
        let mut micros = 0;
        if self.skip(b':').is_some() {
            secs += self.up_to(59)?;
            if self.skip(b'.').is_some() {
                micros = self.fraction()?;
            }
        }
        Some((secs, micros))
    }

    fn fraction(&mut self) -> Option<i64> {
        let mut unit = 100_000;
        let mut micros = self.digit()? * unit;
        while let Some(digit) = self.digit() {
            unit /= 10;
            micros += digit * unit;
        }
        Some(micros)
    }

    /// Seconds east of UTC.
    fn offset(&mut self) -> Option<i64> {
        if self.0.is_empty() || self.skip(b'Z').is_some() {
            return Some(0);
        }
        let sign = if self.one_of(b"+-")? == b'-' { -1 } else { 1 };
        let hours = self.up_to(23)?;
        self.skip(b':')?;
        Some(sign * (hours * 60 + self.up_to(59)?) * 60)
    }
}

fn days_in(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Counts from 1 March, so that a leap day ends its year.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leap_days + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_accepted_form_is_read_to_the_microsecond() {
        let noon = 1_795_262_400_000_000;
        for (text, expected) in [
            ("2026-11-21", noon - 43_200_000_000),
            ("2026-11-21T12:00", noon),
            ("2026-11-21 12:00Z", noon),
            ("2026-11-21T17:30:00+05:30", noon),
            ("2026-11-20 23:15:00-12:45", noon),
            ("2026-11-21T12:00:00.1", noon + 100_000),
            ("2026-11-21 12:00:00.0000019Z", noon + 1),
            ("2024-02-29", 1_709_164_800_000_000),
            ("1969-12-31T23:59:59.999999", -1),
            ("0001-01-01", -62_135_596_800_000_000),
            (
                "0000-12-31T23:30-01:00",
                -62_135_596_800_000_000 + 1_800_000_000,
            ),
            ("9999-12-31T23:59:59.999999", 253_402_300_799_999_999),
        ] {
            assert_eq!(micros(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn every_other_text_is_no_date() {
        for text in [
            "",
            "2026",
            "2026-11-21 ",
            " 2026-11-21",
            "2026-11-21T",
            "2026-11-21Z",
            "2026-11-21+01:00",
            "2026-11-21t12:00",
            "2026-11-21T12:00z",
            "2026-11-21  12:00",
            "2026-11-21T12",
            "2026-11-21T24:00",
            "2026-11-21T12:60",
            "2026-11-21T12:00:60",
            "2026-11-21T12:00.5",
            "2026-11-21T12:00:00.",
            "2026-11-21T12:00:00,5",
            "2026-11-21T12:00+0100",
            "2026-11-21T12:00+01",
            "2026-11-21T12:00+24:00",
            "2026-11-21T12:00Z+01:00",
            "2026-02-29",
            "1900-02-29",
            "2026-04-31",
            "2026-13-01",
            "2026-00-10",
            "2026-11-00",
            "26-11-21",
            "11/21/2026",
            "20261121",
            "２026-11-21",
            "0000-12-31",
            "0001-01-01T00:00+00:01",
            "9999-12-31T23:59-00:01",
        ] {
            assert_eq!(micros(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn a_timestamp_is_read_as_it_was_printed(
            micro in -62_135_596_800_000_000_i64..253_402_207_200_000_000,
        ) {
            let printed = jiff::Timestamp::from_microsecond(micro).unwrap().to_string();
            prop_assert_eq!(micros(&printed), Some(micro), "{}", printed);
        }

        #[test]
        fn foreign_text_never_panics(text: String) {
            let _ = micros(&text);
        }
    }
}
