//! Instants that stand for all others, as far as date filters can tell them apart at one `now`.
//!
//! A filter of the range kind changes its answer at its two edges, all of them whole seconds: the
//! edges and the instants half a step beside them meet every range. What comes back every year asks
//! for month, day and time of day alone, and changes its answer at a few of those, in years of either
//! length. Nine years hold a leap year (1896 to 1904 do), so nine years of every stretch between two
//! edges meet every combination.

use crate::segment::window::{DAY_SECS, SECOND, Window};
use crate::segment::{Assumptions, DateFilter, Unit};
use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use std::collections::BTreeSet;

/// Half of the least distance of two edges.
const STEP: i64 = SECOND / 2;

/// Years of a stretch that meet every day of the year.
const YEARS: i16 = 8;

/// Microseconds since 1970, one for each set of filters that instants can fit; those that no text can
/// name are left out. A filter that means nothing is not asked.
pub(super) fn representatives(filters: &[&DateFilter], now: i64) -> Vec<i64> {
    let assumptions = Assumptions::default();
    let compiled: Vec<(&DateFilter, Window)> = filters
        .iter()
        .filter_map(|filter| Some((*filter, Window::compile(filter, &assumptions)?)))
        .collect();
    let edges: BTreeSet<i64> = compiled
        .iter()
        .filter_map(|(_, window)| window.bounds(now))
        .flat_map(|(from, until)| [from, until])
        .chain([now * SECOND])
        .filter(|edge| datetime(*edge).is_some())
        .collect();
    let recurring = compiled
        .iter()
        .filter(|(_, window)| window.bounds(now).is_none());
    let days: Vec<&DateFilter> = recurring.map(|(filter, _)| *filter).collect();
    let mut points = edges.clone();
    if !days.is_empty() {
        points.extend(every_year(&turns(&days, now), &edges));
    }
    let around = points
        .iter()
        .flat_map(|point| [*point, point - STEP, point + STEP]);
    let mut seen = BTreeSet::new();
    let fits = |instant: i64| -> Vec<bool> {
        compiled
            .iter()
            .map(|(_, window)| window.holds(instant, now))
            .collect()
    };
    around
        .filter(|instant| datetime(*instant).is_some())
        .filter(|instant| seen.insert(fits(*instant)))
        .collect()
}

/// As definitions' date operators read it.
pub(super) fn datetime(micros: i64) -> Option<DateTime> {
    let at = Timestamp::from_microsecond(micros).ok()?;
    let at = at.to_zoned(TimeZone::UTC).datetime();
    (1..=9999).contains(&at.year()).then_some(at)
}

/// Where in a year recurring filters change their answer.
fn turns(filters: &[&DateFilter], now: i64) -> BTreeSet<(i8, i8, i64)> {
    let midnight = now - now.rem_euclid(DAY_SECS);
    let mut instants = vec![now, midnight, midnight + DAY_SECS];
    for filter in filters {
        let (DateFilter::AnniversaryLast(length) | DateFilter::AnniversaryNext(length)) = filter
        else {
            continue;
        };
        let unit = match length.unit {
            Unit::Hour => 3_600,
            Unit::Day => DAY_SECS,
            Unit::Week => 7 * DAY_SECS,
        };
        let span = length.quantity.saturating_mul(unit);
        let ends = [now, midnight, midnight + DAY_SECS];
        instants.extend(
            ends.iter()
                .flat_map(|end| [end.saturating_sub(span), end.saturating_add(span)]),
        );
    }
    let of_year = |instant: &i64| {
        let at = datetime(instant.checked_mul(SECOND)?)?;
        Some((at.month(), at.day(), instant.rem_euclid(DAY_SECS)))
    };
    let months = (1..=12).map(|month| (month, 1, 0));
    let found = instants.iter().filter_map(of_year);
    found.chain(months).chain([(2, 29, 0)]).collect()
}

/// The turns in enough years of every stretch between two edges.
fn every_year(turns: &BTreeSet<(i8, i8, i64)>, edges: &BTreeSet<i64>) -> Vec<i64> {
    let years = edges
        .iter()
        .filter_map(|edge| Some(datetime(*edge)?.year()));
    let years: BTreeSet<i16> = years
        .flat_map(|year| year - YEARS..=year + YEARS)
        .filter(|year| (1..=9999).contains(year))
        .collect();
    let at = |year: i16, (month, day, secs): (i8, i8, i64)| {
        let date = Date::new(year, month, day).ok()?;
        let midnight = date.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second();
        Some((midnight + secs) * SECOND)
    };
    let all = years
        .iter()
        .flat_map(|year| turns.iter().map(|turn| (*year, *turn)));
    all.filter_map(|(year, turn)| at(year, turn)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    const NOW: i64 = 1_795_273_200; // 2026-11-21T15:00:00Z

    fn filter() -> impl Strategy<Value = DateFilter> {
        let unit = prop_oneof![Just("hour"), Just("day"), Just("week")];
        let length = (unit, 0..500_i64);
        let operators = [
            "in-the-last",
            "at-least",
            "in-the-next",
            "anniversary-last",
            "anniversary-next",
            "anniversary",
            "anniversary-month",
            "calendar-month",
            "before",
            "between",
        ];
        (proptest::sample::select(operators.to_vec()), length, 1..=12_i64).prop_map(
            |(operator, (unit, quantity), value)| {
                let json = json!({
                    "operator": operator, "unit": unit, "quantity": quantity, "value": value,
                    "start": quantity, "end": value, "date": format!("20{:02}-{value:02}-28", value + 15),
                });
                serde_json::from_value(json).unwrap()
            },
        )
    }

    proptest! {
        #[test]
        fn no_instant_fits_filters_that_no_representative_fits(
            filters in proptest::collection::vec(filter(), 1..4),
            instants in proptest::collection::vec(
                prop_oneof![NOW - 40_000_000..NOW + 40_000_000, NOW - 4_000..NOW + 4_000, 0..4_000_000_000_i64],
                1..40,
            ),
        ) {
            let filters: Vec<&DateFilter> = filters.iter().collect();
            let windows: Vec<Window> = filters
                .iter()
                .map(|filter| Window::compile(filter, &Assumptions::default()).unwrap())
                .collect();
            let fits = |instant: i64| -> Vec<bool> {
                windows.iter().map(|window| window.holds(instant, NOW)).collect()
            };
            for beside in [0, 250_000] {
                let known: BTreeSet<Vec<bool>> =
                    representatives(&filters, NOW).into_iter().map(fits).collect();
                for instant in &instants {
                    let midnight = instant - instant.rem_euclid(DAY_SECS);
                    for instant in [*instant, midnight] {
                        prop_assert!(known.contains(&fits(instant * SECOND + beside)), "{instant}");
                    }
                }
            }
        }
    }
}
