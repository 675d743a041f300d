//! Where a range of instants is cut in two, so that more of it can be read at the same time.
//!
//! How dense a range is the vendor's counts by day tell, or else its last page. A cut costs a page more at
//! most, the half-empty one that either side may end with; by the counts it costs hardly any.

use super::density::{Density, Left};
use crate::api::{Cursor as PageCursor, Trail};
use crate::mirror::Part;
use crate::model::Moment;

/// Fewer pages than this are read one after the other: the saving would not be worth the page.
const LEAST_PAGES: f64 = 16.0;

/// The same where the pages are counted, so that a cut seldom costs one.
const LEAST_COUNTED: f64 = 6.0;

/// A page tells no more than this of what follows it: a burst of imported records is followed by years
/// with few.
const FARTHEST_PAGES: f64 = 256.0;

const SECOND_MS: i64 = 1_000;

/// A part of a first fill while it is read.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Range {
    /// What is stored of it.
    pub part: Part,
    /// A request for its next page is under way.
    pub busy: bool,
    /// It differs from what is stored.
    pub changed: bool,
    /// A refused cursor was given up once.
    pub restarted: bool,
    /// The pages that led here.
    pub trail: Trail,
    /// Milliseconds that the last page covered.
    pace: Option<f64>,
    /// Where it was taken up, and the records that were kept since.
    start: Option<Moment>,
    read: u64,
}

/// What is known of the stream that a range is of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extent<'s> {
    /// Where a range without an end ends.
    pub end: Moment,
    /// Its vendor's counts, and how many records a page holds.
    pub counted: Option<(&'s Density, f64)>,
}

impl Range {
    pub fn of(part: Part) -> Self {
        Self {
            start: part.reached.or(part.from),
            read: 0,
            part,
            busy: false,
            changed: false,
            restarted: false,
            trail: Trail::default(),
            pace: None,
        }
    }

    /// Whether its next page is to be asked for.
    pub fn is_waiting(&self) -> bool {
        !self.busy && !self.part.done
    }

    /// Whether a record of an instant is to be kept from here: a page may reach into what was cut off,
    /// or begin before it. A record without one belongs to whoever finds it.
    pub fn holds(&self, at: Option<Moment>) -> bool {
        let after_start = self.part.from.is_none_or(|from| at >= Some(from));
        let before_end = self.part.to.is_none_or(|to| at < Some(to));
        at.is_none() || (after_start && before_end)
    }

    /// Takes note of a page's instants, in their order, and of where the listing goes on.
    pub fn advance(&mut self, listed: &[Option<Moment>], next: Option<&PageCursor>) {
        let instants = || listed.iter().flatten().copied();
        let kept = listed.iter().filter(|at| self.holds(**at));
        let (count, latest) = kept.fold((0, None), |(count, latest), at| {
            (count + 1, latest.max(*at))
        });
        if let (Some(first), Some(last)) = (instants().min(), instants().max()) {
            self.pace = Some((last.0 - first.0).max(SECOND_MS) as f64);
        }
        let ended = self.part.to.is_some_and(|to| instants().max() >= Some(to));
        self.read += count;
        let part = &mut self.part;
        part.seen += count;
        if latest > part.reached {
            (part.reached, part.at_reached) = (latest, 0);
        }
        let is_latest = |at: &&Option<Moment>| at.is_some() && **at == part.reached;
        part.at_reached += listed.iter().filter(is_latest).count() as u64;
        part.done = next.is_none() || ended;
        part.position = next.filter(|_| !ended).map(|next| next.as_str().to_owned());
        self.changed = true;
    }

    /// Gives up a cursor that is refused: goes on from the latest instant that was seen, whose records
    /// are read again.
    pub fn restart(&mut self) {
        let part = &mut self.part;
        part.seen -= part.at_reached;
        part.from = part.reached.take().or(part.from);
        (part.at_reached, part.position) = (0, None);
        (self.start, self.read) = (part.from, 0);
        self.trail = Trail::default();
        (self.restarted, self.changed) = (true, true);
    }

    /// Gives up all that was read of it: in a circle nobody knows what was counted twice.
    pub fn start_over(&mut self) {
        self.part = Part {
            from: self.part.from,
            to: self.part.to,
            ..Part::default()
        };
        (self.start, self.read) = (self.part.from, 0);
        (self.trail, self.changed) = (Trail::default(), true);
    }

    /// Whether a refusal may be the stored cursor's fault.
    pub fn may_restart(&self) -> bool {
        self.part.position.is_some() && !self.restarted
    }

    /// Pages that are expected in it, as far as one can tell, if they are worth a cut.
    pub fn long(&self, extent: &Extent<'_>) -> Option<f64> {
        self.middle(extent).map(|(pages, _)| pages)
    }

    /// Cuts its later half off, or whatever is too far away to be guessed at.
    pub fn cut(&mut self, extent: &Extent<'_>) -> Option<Self> {
        let (_, at) = self.middle(extent)?;
        let later = Self {
            changed: true,
            ..Self::of(Part {
                from: Some(at),
                to: self.part.to,
                ..Part::default()
            })
        };
        self.part.to = Some(at);
        self.changed = true;
        Some(later)
    }

    /// How many pages are left of it, and where it would be cut: at a midnight by what is counted, or else,
    /// such as within a day that much happened on, at the pace of the last page.
    fn middle(&self, extent: &Extent<'_>) -> Option<(f64, Moment)> {
        if self.part.done {
            return None;
        }
        let counted = extent.counted.and_then(|(density, page)| {
            let pages = density.left(&self.left()) / page;
            let midnight = density.middle(&self.left(), page)?;
            (pages >= LEAST_COUNTED).then_some((pages, midnight))
        });
        counted.or_else(|| self.middle_by_pace(extent))
    }

    fn middle_by_pace(&self, extent: &Extent<'_>) -> Option<(f64, Moment)> {
        let start = self.part.reached.or(self.part.from)?;
        let end = self.part.to.unwrap_or(extent.end);
        let pace = self.pace?;
        let pages = (end.0 - start.0) as f64 / pace;
        let counted = extent.counted;
        let most = counted.and_then(|(density, page)| Some(density.most(&self.left())? / page));
        let pages = most.map_or(pages, |most| pages.min(most));
        if pages < LEAST_PAGES {
            return None;
        }
        let kept = pace * (pages / 2.0).min(FARTHEST_PAGES);
        // Whole seconds: that is how instants are listed.
        let at = Moment((start.0 + kept as i64).div_euclid(SECOND_MS) * SECOND_MS);
        (start < at && at < end).then_some((pages, at))
    }

    fn left(&self) -> Left {
        Left {
            start: self.start,
            read: self.read,
            reached: self.part.reached,
            to: self.part.to,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNCOUNTED: Extent<'_> = Extent {
        end: Moment(1_000_000 * SECOND_MS),
        counted: None,
    };

    fn seconds(of: impl IntoIterator<Item = i64>) -> Vec<Option<Moment>> {
        of.into_iter()
            .map(|at| Some(Moment::from_secs(at)))
            .collect()
    }

    /// A range after a page that covered so many seconds.
    fn begun(page: i64) -> Range {
        let mut range = Range::of(Part::default());
        range.advance(&seconds([0, page]), Some(&PageCursor::from_stored("next")));
        range
    }

    #[test]
    fn a_range_is_cut_in_the_middle_of_what_is_left_and_a_short_one_is_not() {
        let mut range = begun(10_000);
        let later = range.cut(&UNCOUNTED).unwrap();
        assert_eq!(range.part.to, Some(Moment::from_secs(505_000)));
        assert_eq!(later.part.from, range.part.to);
        assert_eq!(later.part.to, None);
        assert!(range.changed && later.changed && later.is_waiting());
        assert_eq!(begun(62_500).cut(&UNCOUNTED), None);
        assert_eq!(
            Range::of(Part::default()).cut(&UNCOUNTED),
            None,
            "nothing is known of it"
        );
    }

    #[test]
    fn a_burst_is_not_taken_for_what_follows_it() {
        let mut range = begun(2);
        range.cut(&UNCOUNTED).unwrap();
        assert_eq!(range.part.to, Some(Moment::from_secs(2 + 2 * 256)));
    }

    #[test]
    fn a_page_of_one_instant_can_be_gone_on_from_but_not_cut_within_it() {
        let mut range = Range::of(Part {
            to: Some(Moment::from_secs(8)),
            ..Part::default()
        });
        let next = PageCursor::from_stored("next");
        range.advance(&seconds([7; 1_000]), Some(&next));
        assert_eq!(range.cut(&UNCOUNTED), None);
        range.advance(&seconds([7; 1_000]), Some(&next));
        assert_eq!((range.part.seen, range.part.at_reached), (2_000, 2_000));
        assert!(range.is_waiting());
    }

    #[test]
    fn what_was_cut_off_is_kept_by_the_later_range_alone() {
        let mut range = begun(100);
        let short = Extent {
            end: Moment::from_secs(2_100),
            counted: None,
        };
        let mut later = range.cut(&short).unwrap();
        let cut = range.part.to.unwrap().0 / SECOND_MS;
        let page = seconds([cut - 1, cut - 1, cut, cut + 5]);
        let kept = |range: &Range| page.iter().filter(|at| range.holds(**at)).count();
        assert_eq!((kept(&range), kept(&later)), (2, 2));
        let next = PageCursor::from_stored("next");
        range.advance(&page, Some(&next));
        assert!(range.part.done && range.part.position.is_none());
        assert_eq!(range.part.seen, 4, "two of the page before");
        later.advance(&page, Some(&next));
        assert!(!later.part.done);
        assert_eq!(later.part.seen, 2);
    }

    #[test]
    fn a_restart_counts_nobody_twice() {
        let mut range = begun(100);
        range.advance(
            &seconds([101, 102, 102]),
            Some(&PageCursor::from_stored("x")),
        );
        range.restart();
        assert_eq!(range.part.from, Some(Moment::from_secs(102)));
        assert_eq!((range.part.seen, &range.part.position), (3, &None));
        range.advance(&seconds([102, 102, 103]), None);
        assert_eq!(range.part.seen, 6);
        assert!(range.part.done);
    }
}
