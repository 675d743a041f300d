//! Where orders are cut into windows of their creation, so that Shopify prepares several at a time. A few
//! counts tell how dense the years are; between two of them density is taken to be even.

use super::{Pull, PullError, told};
use crate::api::shopify::MOST_RANGES;
use crate::model::Moment;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// Shopify reads some thousand rows a second (shopify.md, section 5.2): fewer than this are there within a
/// few looks, and three operations more would cost more than they save.
const MANY: u64 = 5_000;

/// Windows at least, where they pay: the fifth place is the customers'.
const ABREAST: u64 = 4;

/// Rows of a window at most: one that fails, or whose file expires, costs no more than that.
const MOST_ROWS: u64 = 250_000;

/// Counting requests of a cut at most.
const MOST_COUNTS: usize = 8;

/// A piece of an eighth of a window's rows need not be known any closer.
const FINE: u64 = 8;

/// Into how many windows so many orders are cut.
pub(super) fn windows(orders: u64) -> u64 {
    match orders < MANY {
        true => 1,
        false => orders.div_ceil(MOST_ROWS).max(ABREAST),
    }
}

/// Orders created before each of some instants, in seconds.
struct Survey(BTreeMap<i64, u64>);

impl Survey {
    /// What to ask first: both ends, and ever shorter pieces before the end, for shops grow.
    fn first(span: &Range<i64>) -> Vec<i64> {
        let length = span.end - span.start;
        let ages = (1..=5).map(|halvings| length >> halvings);
        let instants = ages.map(|age| span.end - age);
        let all: BTreeSet<i64> = [span.start, span.end].into_iter().chain(instants).collect();
        all.into_iter().collect()
    }

    /// Takes counts in. Orders that come and go between two requests must not turn them around.
    fn note(&mut self, instants: Vec<i64>, counts: Vec<u64>) {
        for (at, count) in instants.into_iter().zip(counts) {
            let before = self
                .0
                .range(..at)
                .next_back()
                .map_or(0, |(_, count)| *count);
            let after = self.0.range(at..).next();
            let after = after.map_or(u64::MAX, |(_, count)| *count);
            self.0.insert(at, count.clamp(before, after.max(before)));
        }
    }

    /// How many orders lie before the first and before the last instant.
    fn ends(&self) -> Option<(u64, u64)> {
        Some((*self.0.first_key_value()?.1, *self.0.last_key_value()?.1))
    }

    /// The two neighbours that the order of a rank was created between.
    fn around(&self, rank: u64) -> Option<[(i64, u64); 2]> {
        let known = || self.0.iter().map(|(at, count)| (*at, *count));
        let before = known().rev().find(|(_, count)| *count <= rank)?;
        let after = known().find(|(_, count)| *count > rank)?;
        Some([before, after])
    }

    /// What to ask next, so that all ranks are known as finely as that; nothing when they are.
    fn next(&self, ranks: &[u64], fine: u64) -> Vec<i64> {
        let around = ranks.iter().filter_map(|rank| self.around(*rank));
        let coarse = around.filter(|[a, b]| b.1 - a.1 > fine && b.0 - a.0 > 1);
        let coarse: BTreeMap<i64, [(i64, u64); 2]> =
            coarse.map(|piece| (piece[0].0, piece)).collect();
        let mut coarse: Vec<[(i64, u64); 2]> = coarse.into_values().collect();
        coarse.sort_by_key(|[a, b]| std::cmp::Reverse(b.1 - a.1));
        coarse.truncate(MOST_RANGES);
        let each = MOST_RANGES / coarse.len().max(1);
        let inside = coarse.iter().flat_map(|[(from, _), (to, _)]| {
            let cuts = 1..=each as i64;
            cuts.map(move |cut| from + (to - from) * cut / (each as i64 + 1))
        });
        let fresh: BTreeSet<i64> = inside.filter(|at| !self.0.contains_key(at)).collect();
        fresh.into_iter().collect()
    }

    /// About when the order of a rank was created.
    fn place(&self, rank: u64) -> Option<i64> {
        let [(from, before), (to, after)] = self.around(rank)?;
        let share = (rank - before) as f64 / (after - before) as f64;
        Some(from + ((to - from) as f64 * share).round() as i64)
    }

    /// The ranks of the orders that windows begin with, but for the first.
    fn ranks(&self, windows: u64) -> Vec<u64> {
        let (first, last) = self.ends().unwrap_or_default();
        let each = (last - first) as f64 / windows as f64;
        let ranks = (1..windows).map(|nth| first + (each * nth as f64) as u64);
        ranks.collect()
    }
}

impl Pull<'_> {
    /// Where a span is cut into as many windows as its number of orders asks for: instants of whole
    /// seconds, ascending, within it. None where nobody can tell.
    pub(super) async fn cuts(
        &self,
        span: Range<Moment>,
        windows: fn(u64) -> u64,
    ) -> Result<Vec<Moment>, PullError> {
        let span = span.start.secs()..span.end.secs();
        let (mut survey, mut ranks, mut fine) = (Survey(BTreeMap::new()), Vec::new(), 0);
        let mut asked = Survey::first(&span);
        for request in 0..MOST_COUNTS {
            self.check_stop()?;
            let instants: Vec<Moment> = asked.iter().copied().map(Moment::from_secs).collect();
            let counts = self.vendors.shopify.orders_created_before(&instants).await;
            let Some(counts) = told(counts)? else {
                return Ok(Vec::new());
            };
            survey.note(asked, counts);
            if request == 0 {
                let (first, last) = survey.ends().unwrap_or_default();
                let windows = windows(last - first).max(1);
                (ranks, fine) = (survey.ranks(windows), (last - first) / (windows * FINE));
            }
            asked = survey.next(&ranks, fine);
            if asked.is_empty() {
                break;
            }
        }
        let cuts = ranks.iter().filter_map(|rank| survey.place(*rank));
        let cuts: BTreeSet<i64> = cuts
            .filter(|at| *at > span.start && *at < span.end)
            .collect();
        Ok(cuts.into_iter().map(Moment::from_secs).collect())
    }

    /// Where a window is cut in two: where half of its orders lie, or in the middle of its time; `None`
    /// for a single second.
    pub(super) async fn half(&self, window: Range<Moment>) -> Result<Option<Moment>, PullError> {
        let middle = (window.start.secs() + window.end.secs()).div_euclid(2);
        let middle = Moment::from_secs(middle);
        let cuts = self.cuts(window.clone(), |_| 2).await?;
        let half = cuts.first().copied().unwrap_or(middle);
        Ok((half > window.start).then_some(half))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const YEAR: i64 = 365 * 86_400;
    const END: i64 = 56 * YEAR;

    /// Cuts orders, given by the seconds of their creation in order, as [`Pull::cuts`] does; the
    /// windows' sizes and how often was counted.
    fn cut(created: &[i64], windows: u64) -> (Vec<u64>, usize) {
        let before = |at: &i64| created.partition_point(|one| one < at) as u64;
        let mut survey = Survey(BTreeMap::new());
        let (mut asked, mut requests) = (Survey::first(&(0..END)), 0);
        let fine = created.len() as u64 / (windows * FINE);
        while !asked.is_empty() && requests < MOST_COUNTS {
            assert!(asked.len() <= MOST_RANGES);
            let counts = asked.iter().map(before).collect();
            survey.note(asked, counts);
            requests += 1;
            asked = survey.next(&survey.ranks(windows), fine);
        }
        let ranks = survey.ranks(windows);
        let places = ranks.iter().filter_map(|rank| survey.place(*rank));
        let places: BTreeSet<i64> = places.filter(|at| (1..END).contains(at)).collect();
        let mut ends: Vec<u64> = places.iter().map(before).collect();
        ends.push(created.len() as u64);
        let mut begun = 0;
        let sizes = ends
            .into_iter()
            .map(|end| end - std::mem::replace(&mut begun, end));
        (sizes.collect(), requests)
    }

    /// Orders spread evenly over the last years.
    fn even(years: i64, count: i64) -> Vec<i64> {
        (0..count)
            .map(|nth| END - years * YEAR + nth * years * YEAR / count)
            .collect()
    }

    #[track_caller]
    fn assert_even(sizes: &[u64], windows: u64) {
        assert_eq!(sizes.len() as u64, windows, "{sizes:?}");
        let each = sizes.iter().sum::<u64>() / windows;
        let off = |size: &&u64| size.abs_diff(each) > each / 4;
        assert_eq!(sizes.iter().find(off), None, "{sizes:?}");
    }

    #[test]
    fn few_orders_are_one_window_and_very_many_are_of_bounded_size() {
        let cuts = [0, 4_999, 5_000, 1_000_000, 1_000_001, 20_000_000].map(windows);
        assert_eq!(cuts, [1, 1, 4, 4, 5, 80]);
    }

    #[test]
    fn windows_hold_about_as_many_orders_each_and_take_a_few_counts() {
        for years in [1, 3, 12] {
            let (sizes, requests) = cut(&even(years, 400_000), 4);
            assert_even(&sizes, 4);
            assert!(requests <= 4, "{years} years: {requests}");
        }
        // Each year twice the one before.
        let growing: Vec<i64> = (0..10)
            .flat_map(|age| even(10 - age, 500 << age).into_iter().take(500))
            .collect::<BTreeSet<i64>>()
            .into_iter()
            .collect();
        assert_even(&cut(&growing, 4).0, 4);
    }

    #[test]
    fn a_day_with_most_orders_is_cut_and_a_second_with_most_cannot_be() {
        let day = END - 200 * 86_400;
        let mut created = even(10, 20_000);
        created.extend((0..60_000).map(|nth| day + nth * 86_400 / 60_000));
        created.sort_unstable();
        let (sizes, requests) = cut(&created, 4);
        assert_even(&sizes, 4);
        assert!(requests <= MOST_COUNTS, "{requests}");
        let mut created = even(10, 20_000);
        created.extend(std::iter::repeat_n(day, 60_000));
        created.sort_unstable();
        let (sizes, _) = cut(&created, 4);
        assert_eq!(sizes.iter().sum::<u64>(), 80_000);
        assert!(
            sizes.len() >= 2 && *sizes.iter().max().unwrap() < 70_000,
            "{sizes:?}"
        );
    }

    #[test]
    fn many_windows_are_placed_between_what_was_counted() {
        let (sizes, requests) = cut(&even(8, 800_000), 80);
        assert_eq!((sizes.len(), sizes.iter().sum::<u64>()), (80, 800_000));
        assert!(sizes.iter().all(|size| *size <= 20_000), "{sizes:?}");
        assert!(requests <= MOST_COUNTS, "{requests}");
    }

    #[test]
    fn counts_that_move_while_they_are_taken_do_not_turn_around() {
        let mut survey = Survey(BTreeMap::from([(0, 0), (100, 50)]));
        survey.note(vec![40, 60], vec![55, 20]);
        assert_eq!(
            survey.0,
            BTreeMap::from([(0, 0), (40, 50), (60, 50), (100, 50)])
        );
        assert_eq!(survey.place(60), None);
    }
}
