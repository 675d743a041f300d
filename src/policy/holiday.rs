//! What a suppression costs besides the mail: Klaviyo does not let it be lifted again for a while, and
//! the busiest days of the year may lie in between.

use crate::model::Moment;
use jiff::civil::Date;
use serde::Serialize;

/// Days for which Klaviyo refuses to lift a suppression (user-pains.md, part 2).
pub const LOCKED_DAYS: i64 = 90;

/// Days of the year on which a shop sells more, both ends included; it may reach over New Year.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Holiday {
    /// Such as `Black Friday`.
    pub name: String,
    /// Month and day of its first day.
    pub from: (i8, i8),
    /// Month and day of its last.
    pub to: (i8, i8),
}

/// How long nobody who is suppressed now can be mailed again, whatever happens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lock {
    /// The first day on which it may be lifted, such as `2027-02-20`.
    pub until: String,
    /// Holidays before that, by their first day in it.
    pub holidays: Vec<(String, String)>,
}

impl Lock {
    /// Of whoever is suppressed at `now`.
    pub fn of(holidays: &[Holiday], now: Moment) -> Self {
        let until = now.day() + LOCKED_DAYS;
        let date = |day: i64| Moment::from_day(day).date();
        let mut within: Vec<(i64, &str)> = holidays
            .iter()
            .filter_map(|holiday| Some((holiday.next(now.day(), until)?, holiday.name.as_str())))
            .collect();
        within.sort_unstable();
        let named = within.into_iter();
        Self {
            until: date(until),
            holidays: named
                .map(|(day, name)| (name.to_owned(), date(day)))
                .collect(),
        }
    }
}

impl Holiday {
    /// Month and day of a text such as `11-20`.
    pub fn parse(text: &str) -> Option<(i8, i8)> {
        let (month, day) = text.split_once('-')?;
        let pair = (month.parse().ok()?, day.parse().ok()?);
        // Every day of the year is one of a leap year.
        (text.len() == 5 && Date::new(2024, pair.0, pair.1).is_ok()).then_some(pair)
    }

    /// Its first day from a day on and before another, counted since 1970.
    fn next(&self, day: i64, until: i64) -> Option<i64> {
        (day..until).find(|day| {
            let year = Moment::from_day(*day).date();
            let today: Option<Date> = year.parse().ok();
            today.is_some_and(|date| self.holds((date.month(), date.day())))
        })
    }

    fn holds(&self, day: (i8, i8)) -> bool {
        match self.from <= self.to {
            true => self.from <= day && day <= self.to,
            false => self.from <= day || day <= self.to,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holiday(name: &str, from: &str, to: &str) -> Holiday {
        let day = |text| Holiday::parse(text).unwrap();
        Holiday {
            name: name.to_owned(),
            from: day(from),
            to: day(to),
        }
    }

    #[test]
    fn holidays_of_the_next_ninety_days_are_told_by_their_first_day_in_them() {
        let all = [
            holiday("Valentine", "02-07", "02-14"),
            holiday("Sales", "12-27", "01-05"),
            holiday("Black Friday", "11-20", "12-02"),
            holiday("Summer", "06-01", "08-31"),
        ];
        let now = Moment::parse("2026-11-22T10:00:00Z").unwrap();
        let lock = Lock::of(&all, now);
        assert_eq!(lock.until, "2027-02-20");
        let told = |name: &str, day: &str| (name.to_owned(), day.to_owned());
        let expected = [
            told("Black Friday", "2026-11-22"),
            told("Sales", "2026-12-27"),
            told("Valentine", "2027-02-07"),
        ];
        assert_eq!(lock.holidays, expected);
        let spring = Moment::parse("2026-03-01T00:00:00Z").unwrap();
        assert_eq!(Lock::of(&all, spring).holidays, []);
    }

    #[test]
    fn a_day_of_the_year_has_two_digits_each() {
        assert_eq!(Holiday::parse("02-29"), Some((2, 29)));
        for wrong in ["2-29", "02-30", "13-01", "0229", "02-29-1", "", "ab-cd"] {
            assert_eq!(Holiday::parse(wrong), None, "{wrong}");
        }
    }
}
