//! How many records of a stream there are on each day, as its vendor counts them: where a first fill cuts.

use crate::model::Moment;
use std::collections::BTreeMap;

const DAY_MS: f64 = 24.0 * 60.0 * 60.0 * 1_000.0;

/// A cut lies between these shares of what is left, so that either side is about as long.
const MIDDLE: std::ops::RangeInclusive<f64> = 0.375..=0.625;

/// Within them, an eighth to one side is as bad as a quarter of a page that is left empty.
const LOPSIDED: f64 = 2.0;

/// This share of the last page before a cut is for records beyond it: their sight ends the range, and a
/// record more than was counted takes no other page.
const SLACK: f64 = 0.02;

/// Records by UTC day.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Density {
    first: i64,
    /// Records until the end of the first day, of the next, and so on.
    sums: Vec<u64>,
}

/// What is left of a range.
#[derive(Clone, Copy, Debug)]
pub(super) struct Left {
    /// Where it was begun to be read; `None` for its first record.
    pub start: Option<Moment>,
    /// Records that were read since.
    pub read: u64,
    /// The latest of them.
    pub reached: Option<Moment>,
    /// Where it ends; `None` for the last record.
    pub to: Option<Moment>,
}

impl Density {
    /// Of counts by day; `None` when there is nothing to be counted.
    pub fn new(counts: &BTreeMap<i64, u64>) -> Option<Self> {
        let mut counted = counts.iter().filter(|(_, count)| **count > 0);
        let (first, last) = (*counted.next()?.0, *counts.last_key_value()?.0);
        let days = (first..=last).map(|day| counts.get(&day).copied().unwrap_or(0));
        let sums = days.scan(0_u64, |sum, count| {
            *sum = sum.saturating_add(count);
            Some(*sum)
        });
        Some(Self {
            first,
            sums: sums.collect(),
        })
    }

    /// Records that are left of a range; below zero where more were read than were counted.
    pub fn left(&self, left: &Left) -> f64 {
        self.until(left, left.to)
    }

    /// The most that may be left of it: all of the days that it touches, as nobody counts within them. `None`
    /// where more were read than were counted.
    pub fn most(&self, left: &Left) -> Option<f64> {
        let midnight = |at: Moment| Moment::from_day(at.day());
        let next = |at: Moment| Moment::from_day(at.day() + 1);
        let whole = Left {
            start: left.reached.or(left.start).map(midnight),
            read: 0,
            ..*left
        };
        (self.left(left) >= 0.0).then(|| self.until(&whole, left.to.map(next)))
    }

    /// The midnight that halves what is left of a range, more or less, where the last page before it is all
    /// but full.
    pub fn middle(&self, left: &Left, page: f64) -> Option<Moment> {
        let all = self.left(left);
        if all <= 0.0 {
            return None;
        }
        let begun = left.reached.or(left.start);
        let from = begun.map_or(self.first, |at| at.day() + 1);
        let end = self.first + self.sums.len() as i64;
        let until = left.to.map_or(end, |to| end.min(to.day() + 1));
        let midnights = (from.max(self.first)..until).map(|day| {
            let midnight = Moment::from_day(day);
            (midnight, self.until(left, Some(midnight)))
        });
        let slack = (SLACK * page).ceil();
        let cost = |records: f64| {
            let pages = (records + slack) / page;
            (pages.ceil() - pages) + LOPSIDED * (records / all - 0.5).abs()
        };
        midnights
            .filter(|(at, kept)| {
                left.to.is_none_or(|to| *at < to) && MIDDLE.contains(&(kept / all))
            })
            .min_by(|(_, a), (_, b)| cost(*a).total_cmp(&cost(*b)))
            .map(|(midnight, _)| midnight)
    }

    fn until(&self, left: &Left, to: Option<Moment>) -> f64 {
        let start = left.start.map_or(0.0, |start| self.before(start));
        let end = to.map_or(self.all(), |to| self.before(to));
        end - start - left.read as f64
    }

    fn all(&self) -> f64 {
        self.sums.last().map_or(0.0, |all| *all as f64)
    }

    /// Records before an instant; those of its day are taken to be spread over it.
    fn before(&self, at: Moment) -> f64 {
        let Ok(day) = usize::try_from(at.day() - self.first) else {
            return 0.0;
        };
        let Some(with) = self.sums.get(day) else {
            return self.all();
        };
        let without = day.checked_sub(1).map_or(0, |before| self.sums[before]) as f64;
        let share = (at.0 - Moment::from_day(at.day()).0) as f64 / DAY_MS;
        without + (*with as f64 - without) * share
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: Left = Left {
        start: None,
        read: 0,
        reached: None,
        to: None,
    };

    fn day(day: i64) -> Option<Moment> {
        Some(Moment::from_day(day))
    }

    fn density(counts: impl IntoIterator<Item = (i64, u64)>) -> Density {
        Density::new(&counts.into_iter().collect()).unwrap()
    }

    #[test]
    fn what_is_left_is_counted_from_where_a_range_was_taken_up() {
        let density = density([(10, 4), (11, 0), (13, 8), (14, 0)]);
        assert_eq!(density.left(&WHOLE), 12.0);
        let begun = Left {
            read: 3,
            reached: day(10),
            ..WHOLE
        };
        assert_eq!(density.left(&begun), 9.0);
        assert_eq!(
            density.left(&Left {
                to: day(13),
                ..begun
            }),
            1.0
        );
        let noon = Moment::from_day(13).plus(std::time::Duration::from_secs(12 * 3_600));
        let late = Left {
            start: Some(noon),
            ..WHOLE
        };
        assert_eq!(density.left(&late), 4.0, "half of a day's events");
        assert_eq!(
            density.left(&Left { read: 9, ..late }),
            -5.0,
            "more than were counted"
        );
        assert_eq!(
            density.left(&Left {
                start: day(30),
                ..WHOLE
            }),
            0.0
        );
        assert_eq!(
            density.left(&Left {
                start: day(-30),
                ..WHOLE
            }),
            12.0
        );
    }

    #[test]
    fn a_range_may_hold_all_of_the_days_that_it_touches_unless_the_counts_are_wrong() {
        let density = density([(10, 4), (11, 100), (12, 2), (13, 8)]);
        let late = Moment::from_day(11).plus(std::time::Duration::from_secs(23 * 3_600));
        let evening = Left {
            start: Some(late),
            to: Some(late.plus(std::time::Duration::from_secs(2 * 3_600))),
            ..WHOLE
        };
        assert_eq!(density.most(&evening), Some(102.0));
        assert_eq!(density.most(&WHOLE), Some(114.0));
        assert_eq!(density.most(&Left { read: 5, ..evening }), None);
    }

    #[test]
    fn nothing_to_be_counted_is_no_density() {
        assert_eq!(Density::new(&BTreeMap::new()), None);
        assert_eq!(Density::new(&[(10, 0), (11, 0)].into()), None);
    }

    #[test]
    fn a_range_is_halved_where_the_last_page_is_all_but_full() {
        let even = density((0..90).map(|day| (day, 29)));
        assert_eq!(even.middle(&WHOLE, 100.0), day(48), "13.92 of 26.1 pages");
        let begun = Left {
            read: 100,
            reached: day(3),
            ..WHOLE
        };
        assert_eq!(
            even.middle(&begun, 100.0),
            day(48),
            "a page of them was read"
        );
        let rest = Left {
            start: day(48),
            ..WHOLE
        };
        assert_eq!(even.middle(&rest, 100.0), day(72), "6.96 of 12.18 pages");
    }

    #[test]
    fn a_range_within_a_day_has_no_midnight_to_be_cut_at() {
        let burst = density([(5, 9_000)]);
        assert_eq!(burst.middle(&WHOLE, 100.0), None);
        let lopsided = density([(5, 9_000), (6, 10)]);
        assert_eq!(lopsided.middle(&WHOLE, 100.0), None);
        let even = density([(5, 900), (6, 1_000)]);
        assert_eq!(even.middle(&WHOLE, 100.0), day(6));
        assert_eq!(
            even.middle(
                &Left {
                    to: day(6),
                    ..WHOLE
                },
                100.0
            ),
            None
        );
    }
}
