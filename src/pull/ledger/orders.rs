//! Stored orders beside Shopify's counts, once a day. A difference is narrowed down by ranges of ids,
//! which ascend with creation, until a range is short enough to be listed: what is missing is stored,
//! and what is not listed is asked for by its id and removed when it is gone.
//!
//! One that is missing and one that is gone cancel out only within a range of the first cut; both are
//! found once either is counted alone.

use super::{LOOK_AGAIN, RECENT_EVERY};
use crate::api::shopify::MOST_RANGES;
use crate::mirror::{Checked, Gap, MirrorError, Stream, Window};
use crate::model::{Moment, OrderId};
use crate::pull::sweep::quietly;
use crate::pull::{Pull, PullError, Pulled, is_out_of_reach};
use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::Duration;

/// So many requests for counts of a pass at most.
const MOST_COUNTS: usize = 20;

/// So many pages of 250 orders of a pass at most.
const MOST_PAGES: usize = 40;

/// A range with this many orders is listed rather than cut.
const SHORT: u64 = 250;

/// Shopify's index takes a while to know an order.
const SETTLING: Duration = Duration::from_secs(60 * 60);

const FOUND: &str = "orders that were missing";

type Ids = RangeInclusive<OrderId>;

/// The orders' one gap: they are not counted by day.
const WHOLE: i64 = 0;

impl Pull<'_> {
    /// Compares all orders that have settled, when that is due. Shopify out of reach ends it until the
    /// next pass.
    pub(in crate::pull) async fn order_ledger(
        &self,
        now: Moment,
        pulled: &mut Pulled,
    ) -> Result<(), PullError> {
        let stream = Stream::ShopifyOrders;
        let known = self.mirror.checked(&stream, Window::Recent)?;
        let is_due = known.is_none_or(|known| known.asked.plus(RECENT_EVERY) <= now);
        let read = self.mirror.cursor(&stream)?;
        let read = read.is_some_and(|cursor| cursor.watermark.is_some());
        // Without the scope Shopify counts 60 days, and we may hold more.
        if !pulled.all_orders || !is_due || !read {
            return Ok(());
        }
        match self.compare_orders(now, known, pulled).await {
            Err(PullError::Api(error)) if !is_out_of_reach(&error) => {
                tracing::warn!(%error, "orders could not be counted");
                self.orders_checked(now, known.and_then(|known| known.done), None)
            }
            compared => quietly(compared),
        }
    }

    async fn compare_orders(
        &self,
        now: Moment,
        checked: Option<Checked>,
        pulled: &mut Pulled,
    ) -> Result<(), PullError> {
        let stream = Stream::ShopifyOrders;
        let Some(last) = self.last_settled(now)? else {
            return Ok(());
        };
        let all = OrderId(1)..=last;
        let before = self.orders_stored(&all)?;
        let (theirs, mut apart) = self.apart(&all, before).await?;
        let mut stored = before;
        let gap = self.mirror.gaps(&stream)?.remove(&WHOLE);
        let lasting =
            gap.filter(|gap| apart_by(gap.stored, gap.theirs) == apart_by(stored, theirs));
        let known = lasting.filter(|gap| now.since(gap.looked) < LOOK_AGAIN);
        let mut whole = true;
        if !apart.is_empty() && known.is_none() {
            // Others begin every day, so that no range keeps all others from their turn for ever.
            let first = now.day().rem_euclid(apart.len() as i64);
            apart.rotate_left(first as usize);
            whole = self.narrow(apart, pulled).await?;
            stored = self.orders_stored(&all)?;
        }
        let gap = Gap {
            stored,
            theirs,
            ownerless: 0,
            unreadable: 0,
            since: lasting.map_or(now, |gap| gap.since),
            looked: looked(known, whole, now),
        };
        let done = match whole {
            true => Some(now),
            false => checked.and_then(|checked| checked.done),
        };
        // What the pass's share did not suffice for goes on with the next one, as long as that helps.
        let asked = match whole || stored == before {
            true => now,
            false => now.minus(RECENT_EVERY),
        };
        self.orders_checked(asked, done, (stored != theirs).then_some(gap))
    }

    fn orders_checked(
        &self,
        asked: Moment,
        done: Option<Moment>,
        gap: Option<Gap>,
    ) -> Result<(), PullError> {
        let stream = Stream::ShopifyOrders;
        let mut page = self.mirror.page();
        page.gap(&stream, WHOLE, gap);
        page.checked(&stream, Window::Recent, Checked { asked, done });
        Ok(page.commit()?)
    }

    /// How many orders of a range we have. Their ids are counted as they are read: all of them at once are
    /// too many.
    fn orders_stored(&self, range: &Ids) -> Result<u64, PullError> {
        let ids = self.mirror.order_ids_within(range)?;
        let counted = ids
            .into_iter()
            .try_fold(0, |count, id| id.map(|_| count + 1));
        Ok(counted?)
    }

    /// Shopify's count of a range of which we have so many, and the pieces of it whose counts differ.
    async fn apart(&self, range: &Ids, stored: u64) -> Result<(u64, Vec<Ids>), PullError> {
        self.check_stop()?;
        let ids = self.mirror.order_ids_within(range)?;
        let (pieces, ours) = pieces(range, stored, ids)?;
        let theirs = self.vendors.shopify.order_counts(&pieces).await?;
        let all = theirs.iter().sum();
        let counted = pieces.into_iter().zip(ours.into_iter().zip(theirs));
        let apart = counted.filter(|(_, (ours, theirs))| ours != theirs);
        Ok((all, apart.map(|(piece, _)| piece).collect()))
    }

    /// Cuts ranges that differ until they can be listed; `false` when the pass's share was used up.
    async fn narrow(&self, mut open: Vec<Ids>, pulled: &mut Pulled) -> Result<bool, PullError> {
        let (mut counts, mut pages) = (MOST_COUNTS, MOST_PAGES);
        while let Some(range) = open.pop() {
            let stored = self.orders_stored(&range)?;
            if stored <= SHORT {
                let ids = self.mirror.order_ids_within(&range)?;
                let ids = ids.collect::<Result<_, _>>()?;
                if !self.list_again(&range, ids, &mut pages, pulled).await? {
                    return Ok(false);
                }
                continue;
            }
            let Some(left) = counts.checked_sub(1) else {
                return Ok(false);
            };
            counts = left;
            open.extend(self.apart(&range, stored).await?.1);
        }
        Ok(true)
    }

    /// Lists a range and makes the mirror hold what is there; `false` when there were no pages left.
    async fn list_again(
        &self,
        range: &Ids,
        mut unlisted: BTreeSet<OrderId>,
        pages: &mut usize,
        pulled: &mut Pulled,
    ) -> Result<bool, PullError> {
        let mut cursor = None;
        loop {
            let Some(left) = pages.checked_sub(1) else {
                return Ok(false);
            };
            *pages = left;
            self.check_stop()?;
            let shopify = &self.vendors.shopify;
            let orders = shopify.orders_within(range, cursor.as_ref()).await?;
            pulled.quarantined += orders.quarantined;
            let mut missing = 0;
            let mut page = self.mirror.page();
            for order in orders.items {
                missing += u64::from(!unlisted.remove(&order.id));
                page.order(order)?;
            }
            page.commit()?;
            pulled.add_some(FOUND, missing);
            cursor = orders.next;
            if cursor.is_none() {
                break;
            }
        }
        // A listing may lag; an id that leads nowhere is gone.
        let unlisted = unlisted.into_iter().collect();
        self.refetch_all_orders(unlisted, pulled).await?;
        Ok(true)
    }

    /// The newest order that nothing happened to of late: every one with a lower id is older.
    fn last_settled(&self, now: Moment) -> Result<Option<OrderId>, PullError> {
        for id in self.mirror.order_ids().rev() {
            let id = id?;
            let order = self.mirror.order(id)?;
            if order.is_some_and(|order| order.updated.plus(SETTLING) <= now) {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }
}

/// By how many the vendor's count is ahead of ours.
fn apart_by(stored: u64, theirs: u64) -> i64 {
    theirs as i64 - stored as i64
}

/// When a difference counts as looked into: a look that was cut off does not, so that the next one goes on.
fn looked(known: Option<Gap>, whole: bool, now: Moment) -> Moment {
    match (known, whole) {
        (Some(gap), _) => gap.looked,
        (None, true) => now,
        (None, false) => now.minus(LOOK_AGAIN),
    }
}

/// A range cut into as many as one request counts, with about as many stored orders in each, and how many
/// those are. `ids` are the stored ones, ascending, `stored` of them.
fn pieces(
    range: &Ids,
    stored: u64,
    ids: impl Iterator<Item = Result<OrderId, MirrorError>>,
) -> Result<(Vec<Ids>, Vec<u64>), MirrorError> {
    let each = stored.div_ceil(MOST_RANGES as u64).max(1);
    let (mut pieces, mut counts) = (Vec::new(), Vec::new());
    let (mut start, mut count) = (*range.start(), 0);
    for id in ids {
        let id = id?;
        count += 1;
        let is_full = count == each && pieces.len() + 1 < MOST_RANGES;
        if is_full && id < *range.end() {
            pieces.push(start..=id);
            counts.push(std::mem::take(&mut count));
            start = OrderId(id.0 + 1);
        }
    }
    pieces.push(start..=*range.end());
    counts.push(count);
    Ok((pieces, counts))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_that_was_cut_off_goes_on_and_a_whole_one_rests_a_week() {
        let now = Moment::from_day(20_000);
        let rests = |whole, after| now.plus(after).since(looked(None, whole, now)) < LOOK_AGAIN;
        assert!(rests(true, RECENT_EVERY) && !rests(true, LOOK_AGAIN));
        assert!(!rests(false, Duration::ZERO));
        assert_ne!(apart_by(7, 8), apart_by(8, 7));
    }

    #[test]
    fn the_pieces_of_a_range_are_the_range() {
        for count in [0_u64, 1, 7, 8, 9, 15, 16, 17, 1_000] {
            let ids: Vec<OrderId> = (0..count).map(|n| OrderId(10 + 3 * n)).collect();
            let range = OrderId(1)..=OrderId(5_000);
            let (pieces, counts) = pieces(&range, count, ids.iter().copied().map(Ok)).unwrap();
            assert!((1..=MOST_RANGES).contains(&pieces.len()), "{count}");
            assert_eq!(pieces[0].start(), range.start());
            assert_eq!(pieces[pieces.len() - 1].end(), range.end());
            for pair in pieces.windows(2) {
                assert_eq!(pair[0].end().0 + 1, pair[1].start().0, "{count}");
            }
            let within = |piece: &Ids| ids.iter().filter(|id| piece.contains(id)).count() as u64;
            let counted: Vec<u64> = pieces.iter().map(within).collect();
            assert_eq!(counts, counted, "{count}");
            let most = counts.into_iter().max().unwrap_or(0);
            assert!(
                most <= count.div_ceil(MOST_RANGES as u64).max(1),
                "{count}: {most}"
            );
        }
    }
}
