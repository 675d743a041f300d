//! First fills in parallel: a stream's records are listed by an instant that never changes, its range is
//! cut where it turns out to be dense, and the parts are walked side by side.
//!
//! A page commits with the position of its own part, in whatever order pages arrive, so that a kill costs
//! at most those under way. A cut is stored with the next page: both halves at once, or neither. Pages that
//! arrived while others were stored commit together; none waits for another.

use super::density::Density;
use super::split::{Extent, Range};
use super::walk::{Source, Walked, refuses_cursor};
use super::{Pull, PullError, Pulled};
use crate::api::{ApiError, Cursor as PageCursor, Fault, Page};
use crate::mirror::{Cursor, MirrorError, Page as MirrorPage, Part, Stream};
use crate::model::Moment;
use crate::plan::Legibility;
use futures_util::FutureExt;
use futures_util::stream::{FuturesUnordered, StreamExt};
use std::collections::BTreeMap;

/// Pages that commit together, if so many are there. A commit is a sync of the disk, and events lie in fewer
/// and larger pieces the more of them come at once; a page is up to a megabyte.
const TOGETHER: usize = 8;

/// Records that can be listed by range.
pub(super) trait Ranged: Source {
    /// Until when they are read; `None` for all there are.
    fn until(&self) -> Option<Moment>;

    /// The instant that a record is listed by. It must never change.
    fn at(item: &Self::Item) -> Option<Moment>;

    /// Fetches one page of a half-open range, in ascending order. Records of the second before the range
    /// may be among them.
    fn range(
        &self,
        from: Option<Moment>,
        to: Option<Moment>,
        after: Option<&PageCursor>,
    ) -> impl Future<Output = Result<Page<Self::Item>, ApiError>> + Send;

    /// How many records there are on each day; `None` where the vendor does not count them.
    fn density(&self) -> impl Future<Output = Result<Option<Density>, ApiError>> + Send {
        std::future::ready(Ok(None))
    }
}

/// A stream's first fill under way.
struct Fill<'s, S> {
    source: &'s S,
    stream: Stream,
    /// When it began, by the server's clock.
    start: Moment,
    /// Whether its first page is stored.
    begun: bool,
    ranges: BTreeMap<u32, Range>,
    census: Census,
    /// The most records that a page held.
    page: usize,
}

/// Whether a stream's records were counted.
enum Census {
    Unasked,
    /// Its ranges are not cut before it is known where.
    UnderWay,
    Taken(Density),
    /// Nobody tells.
    Untold,
}

/// What is asked for next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ask {
    /// The next page of the range of this number.
    Page(u32),
    /// How many records there are.
    Census,
}

/// What arrived.
enum Arrived<T> {
    Page(u32, Result<Page<T>, ApiError>),
    Census(Result<Option<Density>, ApiError>),
}

impl Pull<'_> {
    /// Whether nothing of a stream was ever read to the end, nor is a walk under way that is not in
    /// parts.
    pub(super) fn is_first_fill(&self, stream: &Stream) -> Result<bool, PullError> {
        let cursor = self.mirror.cursor(stream)?.unwrap_or_default();
        Ok(!cursor.done && cursor.watermark.is_none() && cursor.position.is_none())
    }

    /// Fills streams for the first time, so many requests at a time; how each ended.
    pub(super) async fn first_fill<S: Ranged>(
        &self,
        sources: &[S],
        abreast: usize,
        now: Moment,
        pulled: &mut Pulled,
    ) -> Result<Vec<Walked>, PullError> {
        let fills = sources.iter().map(|source| self.taken_up(source, now));
        let mut fills = fills.collect::<Result<Vec<_>, _>>()?;
        let abreast = if self.clock.sleeps_overlap() {
            abreast
        } else {
            1
        };
        let mut under_way = FuturesUnordered::new();
        loop {
            self.check_stop()?;
            while under_way.len() < abreast
                && let Some((nth, ask)) = next_ask(&mut fills)
            {
                under_way.push(self.fetch(&mut fills[nth], nth, ask));
            }
            // A census that is still under way tells nothing any more.
            if fills.iter().all(Fill::is_done) {
                break;
            }
            let Some(first) = under_way.next().await else {
                break;
            };
            let mut arrived = vec![first];
            while arrived.len() < TOGETHER
                && let Some(Some(more)) = under_way.next().now_or_never()
            {
                arrived.push(more);
            }
            self.store_arrived(&mut fills, arrived, pulled)?;
            let seen = fills.iter().map(Fill::seen).sum();
            self.progress.at(S::NAME, seen, None);
        }
        Ok(fills.iter().map(|fill| fill.walked(pulled)).collect())
    }

    /// A fill that goes on where it was left, or begins.
    fn taken_up<'s, S: Ranged>(
        &self,
        source: &'s S,
        now: Moment,
    ) -> Result<Fill<'s, S>, PullError> {
        let stream = source.stream();
        let known = self.mirror.cursor(&stream)?.unwrap_or_default().run_start;
        let parts = match known {
            Some(_) => self.mirror.parts(&stream)?,
            None => BTreeMap::new(),
        };
        let whole = Part {
            to: source.until(),
            ..Part::default()
        };
        let mut ranges: BTreeMap<u32, Range> = parts
            .into_iter()
            .map(|(number, part)| (number, Range::of(part)))
            .collect();
        if ranges.is_empty() {
            ranges.insert(0, Range::of(whole));
        }
        Ok(Fill {
            source,
            stream,
            start: known.unwrap_or(now),
            begun: known.is_some(),
            ranges,
            census: Census::Unasked,
            page: 1,
        })
    }

    /// Asks for the next page of a range of the `nth` fill, or for its census.
    fn fetch<'s, S: Ranged>(
        &self,
        fill: &mut Fill<'s, S>,
        nth: usize,
        ask: Ask,
    ) -> impl Future<Output = (usize, Arrived<S::Item>)> + Send + use<'s, S> {
        let source = fill.source;
        let part = match ask {
            Ask::Census => {
                fill.census = Census::UnderWay;
                None
            }
            Ask::Page(number) => {
                let range = fill.ranges.get_mut(&number).expect("a range that is there");
                range.busy = true;
                Some((number, range.part.clone()))
            }
        };
        async move {
            let Some((number, part)) = part else {
                return (nth, Arrived::Census(source.density().await));
            };
            let after = part.position.as_deref().map(PageCursor::from_stored);
            let page = source.range(part.from, part.to, after.as_ref()).await;
            (nth, Arrived::Page(number, page))
        }
    }

    /// Stores all pages of what arrived; then what went wrong with the first that is none.
    fn store_arrived<S: Ranged>(
        &self,
        fills: &mut [Fill<'_, S>],
        arrived: Vec<(usize, Arrived<S::Item>)>,
        pulled: &mut Pulled,
    ) -> Result<(), PullError> {
        let mut kept: Vec<Vec<S::Item>> = fills.iter().map(|_| Vec::new()).collect();
        let mut failed = None;
        for (nth, arrived) in arrived {
            match arrived {
                Arrived::Census(counted) => fills[nth].take_census(counted),
                Arrived::Page(number, page) => match fills[nth].take_page(number, page, pulled) {
                    Ok(items) => kept[nth].extend(items),
                    Err(error) => {
                        failed.get_or_insert(error);
                    }
                },
            }
        }
        self.keep_all(fills, kept)?;
        failed.map_or(Ok(()), |error| Err(error.into()))
    }

    /// Commits the records of each fill together with all its ranges that changed.
    fn keep_all<S: Ranged>(
        &self,
        fills: &mut [Fill<'_, S>],
        kept: Vec<Vec<S::Item>>,
    ) -> Result<(), PullError> {
        let mut page = self.mirror.page();
        for (fill, items) in fills.iter().zip(kept).filter(|(fill, _)| fill.changed()) {
            fill.store(&mut page, items)?;
        }
        page.commit()?;
        for fill in fills.iter_mut().filter(|fill| fill.changed()) {
            fill.begun = true;
            let ranges = fill.ranges.values_mut();
            ranges.for_each(|range| range.changed = false);
        }
        Ok(())
    }
}

impl<S: Ranged> Fill<'_, S> {
    /// What is to be kept of a page that was asked for; nothing if its cursor was refused.
    fn take_page(
        &mut self,
        number: u32,
        page: Result<Page<S::Item>, ApiError>,
        pulled: &mut Pulled,
    ) -> Result<Vec<S::Item>, ApiError> {
        let range = self.ranges.get_mut(&number).expect("a range that is there");
        range.busy = false;
        let page = page.and_then(|page| range.trail.step(&page).map(|()| page));
        let page = match page {
            Err(error) if range.may_restart() && refuses_cursor(&error) => {
                tracing::info!(stream = %self.stream, number, "cursor refused, range restarted");
                range.restart();
                return Ok(Vec::new());
            }
            Err(error) if error.fault == Fault::Loop => {
                // The position leads back into the circle.
                range.start_over();
                return Err(error);
            }
            other => other?,
        };
        let listed: Vec<Option<Moment>> = page.items.iter().map(S::at).collect();
        self.page = self.page.max(listed.len());
        let mut kept = page.items;
        kept.retain(|item| range.holds(S::at(item)));
        range.advance(&listed, page.next.as_ref());
        range.part.unreadable += page.quarantined;
        pulled.add(S::NAME, kept.len() as u64);
        pulled.quarantined += page.quarantined;
        Ok(kept)
    }

    /// Puts records and every part that changed into a page; with the last of them, the end of the fill.
    fn store(&self, page: &mut MirrorPage<'_>, items: Vec<S::Item>) -> Result<(), MirrorError> {
        let (source, stream) = (self.source, &self.stream);
        let walk = Cursor {
            run_start: Some(self.start),
            seen: self.seen(),
            ..Cursor::default()
        };
        if !self.begun {
            // Parts of a fill that was given up.
            page.forget_parts(stream)?;
            page.cursor(stream, &walk);
            source.begin(page, self.start)?;
        }
        source.store(page, items)?;
        if !self.is_done() {
            for (number, range) in self.ranges.iter().filter(|(_, range)| range.changed) {
                page.part(stream, *number, &range.part);
            }
            return Ok(());
        }
        // Nothing tells where the unreadable ones are: if they are too many, all are read again.
        let mut ready = Cursor::default();
        if source.is_whole(self.legibility()) {
            source.end(page, &walk)?;
            ready.watermark = source.watermark(self.start, None, None);
            ready.done = true;
        }
        page.cursor(stream, &ready);
        page.forget_parts(stream)
    }
}

impl<S: Source> Fill<'_, S> {
    fn walked(&self, pulled: &mut Pulled) -> Walked {
        let legibility = self.legibility();
        pulled.judge(&self.stream, legibility.read, legibility.unreadable);
        Walked {
            count: legibility.read,
            complete: true,
            whole: self.source.is_whole(legibility),
        }
    }
}

impl<S> Fill<'_, S> {
    fn legibility(&self) -> Legibility {
        let parts = || self.ranges.values().map(|range| &range.part);
        Legibility {
            read: parts().map(|part| part.seen).sum(),
            unreadable: parts().map(|part| part.unreadable).sum(),
        }
    }

    /// Whether anything is to be stored of it.
    fn changed(&self) -> bool {
        self.ranges.values().any(|range| range.changed)
    }

    fn is_done(&self) -> bool {
        self.ranges.values().all(|range| range.part.done)
    }

    fn seen(&self) -> u64 {
        self.ranges.values().map(|range| range.part.seen).sum()
    }

    fn take_census(&mut self, counted: Result<Option<Density>, ApiError>) {
        self.census = match counted {
            Ok(Some(density)) => Census::Taken(density),
            Ok(None) => Census::Untold,
            Err(error) => {
                tracing::warn!(%error, stream = %self.stream, "records could not be counted");
                Census::Untold
            }
        };
    }

    /// Its ranges that are worth a cut: how many pages each is expected to have, and its number.
    fn long(&self) -> impl Iterator<Item = (f64, u32)> {
        let extent = self.census.extent(self.start, self.page);
        let ranges = self.ranges.iter();
        ranges.filter_map(move |(number, range)| Some((range.long(extent.as_ref()?)?, *number)))
    }

    /// Cuts a long range in two; before the first cut, the census is due instead.
    fn cut_or_count(&mut self, number: u32) -> Option<Ask> {
        if matches!(self.census, Census::Unasked) {
            return Some(Ask::Census);
        }
        let extent = self.census.extent(self.start, self.page)?;
        let later = self.ranges.get_mut(&number)?.cut(&extent)?;
        let number = self.ranges.last_key_value().map_or(0, |(last, _)| last + 1);
        self.ranges.insert(number, later);
        Some(Ask::Page(number))
    }
}

impl Census {
    /// What it tells of a stream that ends at `end`, whose pages hold so many records; `None` while it is
    /// under way.
    fn extent(&self, end: Moment, page: usize) -> Option<Extent<'_>> {
        let counted = match self {
            Self::UnderWay => return None,
            Self::Taken(density) => Some((density, page as f64)),
            Self::Unasked | Self::Untold => None,
        };
        Some(Extent { end, counted })
    }
}

/// What may be asked for next, of which fill: the next page of a range, or the first one of a piece of the
/// longest range when all are under way.
fn next_ask<S>(fills: &mut [Fill<'_, S>]) -> Option<(usize, Ask)> {
    for (nth, fill) in fills.iter().enumerate() {
        let waiting = fill.ranges.iter().find(|(_, range)| range.is_waiting());
        if let Some((number, _)) = waiting {
            return Some((nth, Ask::Page(*number)));
        }
    }
    let long = fills.iter().enumerate();
    let long = long.flat_map(|(nth, fill)| fill.long().map(move |long| (nth, long)));
    let mut long: Vec<_> = long.collect();
    long.sort_by(|(_, (a, _)), (_, (b, _))| b.total_cmp(a));
    let mut long = long.into_iter();
    long.find_map(|(nth, (_, number))| Some((nth, fills[nth].cut_or_count(number)?)))
}

#[cfg(test)]
mod tests;
