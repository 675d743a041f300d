//! From a day whose counts differ to the hours that lack something, which are read again.

use super::{Check, Doubt, Read, witnessed};
use crate::api::Trail;
use crate::api::klaviyo::Interval;
use crate::mirror::Stream;
use crate::model::{Mentions, MetricId, Moment};
use crate::pull::{Pull, PullError, Pulled};
use std::collections::BTreeMap;
use std::ops::Range;

/// So many requests for hours of a pass at most, beside those for days.
const MOST_REQUESTS: usize = 8;

/// So many pages of a thousand events of a pass; a day that was begun is read to its end, so that every
/// pass gets further.
const MOST_PAGES: usize = 200;

/// Days whose hours are asked for together. Klaviyo's other reports give the hours of a week at most.
const DAYS_AT_ONCE: i64 = 7;

const HOUR_MS: i64 = 3_600_000;

/// Hours since 1970 with what is counted in them.
type Hours = BTreeMap<i64, u64>;

impl Pull<'_> {
    /// Looks into every doubt, as far as the pass's share goes.
    pub(super) async fn repair(
        &self,
        checks: &[Check],
        doubts: &mut [Doubt],
        mentions: &Mentions,
        pulled: &mut Pulled,
    ) -> Result<(), PullError> {
        if doubts.is_empty() {
            return Ok(());
        }
        let mut arrived = BTreeMap::new();
        let read = self
            .read_again(checks, doubts, mentions, &mut arrived)
            .await;
        // Whatever a walk missed was late, by its age at most.
        let folded = self.fold(&arrived, pulled).await;
        if folded.is_err() {
            // What waits to be folded would count as missing.
            doubts.iter_mut().for_each(|doubt| doubt.read = None);
        }
        folded.and(read)
    }

    /// Reads the hours that the doubts are about. `arrived`: until when their metrics were asked for before.
    async fn read_again(
        &self,
        checks: &[Check],
        doubts: &mut [Doubt],
        mentions: &Mentions,
        arrived: &mut BTreeMap<MetricId, Moment>,
    ) -> Result<(), PullError> {
        let mut pages = MOST_PAGES;
        // Days of one check ascend.
        let together = |a: &Doubt, b: &Doubt| {
            a.check == b.check && a.day.div_euclid(DAYS_AT_ONCE) == b.day.div_euclid(DAYS_AT_ONCE)
        };
        let in_share = doubts.chunk_by(together).take(MOST_REQUESTS).flatten();
        let ours = self
            .mirror
            .events_by_hour(&days_in_doubt(checks, in_share))?;
        for some in doubts.chunk_by_mut(together).take(MOST_REQUESTS) {
            let metric = &checks[some[0].check].metric;
            let theirs = self.their_hours(metric, some).await?;
            let of_metric = ours.iter().filter(|((id, _), _)| id == metric);
            let ours: Hours = of_metric.map(|((_, hour), n)| (*hour, *n)).collect();
            let watermark = self.mirror.cursor(&Stream::Events(metric.clone()))?;
            arrived.extend(watermark.and_then(|at| Some((metric.clone(), at.watermark?))));
            for doubt in some {
                let lacking = lacking(doubt.day, &ours, theirs.as_ref(), doubt.theirs);
                doubt.read = self
                    .read_hours(metric, lacking, &mut pages, mentions)
                    .await?;
            }
        }
        Ok(())
    }

    /// Klaviyo's counts of every hour from the first of some days to the last; `None` when it gives none.
    async fn their_hours(
        &self,
        metric: &MetricId,
        doubts: &[Doubt],
    ) -> Result<Option<Hours>, PullError> {
        let (Some(first), Some(last)) = (doubts.first(), doubts.last()) else {
            return Ok(None);
        };
        self.check_stop()?;
        let span = Moment::from_day(first.day)..Moment::from_day(last.day + 1);
        let klaviyo = &self.vendors.klaviyo;
        let counts = klaviyo.event_counts(metric, Interval::Hour, span);
        let counts = witnessed(counts.await)?;
        let by_hour = |(at, count): (Moment, u64)| (at.0.div_euclid(HOUR_MS), count);
        Ok(counts.map(|counts| counts.into_iter().map(by_hour).collect()))
    }

    /// Reads a day's spans of a metric again; `None` when the share is used up. What Klaviyo refuses to
    /// list, or lists so that nobody understands it, stays a gap.
    async fn read_hours(
        &self,
        metric: &MetricId,
        spans: Vec<Range<i64>>,
        pages: &mut usize,
        mentions: &Mentions,
    ) -> Result<Option<Read>, PullError> {
        if *pages == 0 {
            return Ok(None);
        }
        let mut read = Read::default();
        for hours in spans {
            let [since, until] = [hours.start, hours.end].map(|hour| Moment(hour * HOUR_MS));
            let (mut cursor, mut trail) = (None, Trail::default());
            loop {
                *pages = pages.saturating_sub(1);
                self.check_stop()?;
                let klaviyo = &self.vendors.klaviyo;
                let events = klaviyo.events(metric, since, until, cursor.as_ref(), mentions);
                let Some(events) = witnessed(events.await)? else {
                    break;
                };
                trail.step(&events)?;
                read.unreadable += events.quarantined;
                let mut page = self.mirror.page();
                read.ownerless += page.events(metric, events.items)?.orphans as u64;
                page.commit()?;
                cursor = events.next;
                if cursor.is_none() {
                    break;
                }
            }
        }
        Ok(Some(read))
    }
}

fn days_in_doubt<'d>(
    checks: &[Check],
    doubts: impl Iterator<Item = &'d Doubt>,
) -> BTreeMap<MetricId, Vec<i64>> {
    let mut days: BTreeMap<MetricId, Vec<i64>> = BTreeMap::new();
    for doubt in doubts {
        let metric = checks[doubt.check].metric.clone();
        days.entry(metric).or_default().push(doubt.day);
    }
    days
}

/// The hours of a day in which there are fewer here than there, as spans; all of them when nobody knows,
/// or when no hour tells what the day lacks.
fn lacking(day: i64, ours: &Hours, theirs: Option<&Hours>, of_day: u64) -> Vec<Range<i64>> {
    let count = |hours: &Hours, hour: i64| hours.get(&hour).copied().unwrap_or(0);
    let all = day * 24..(day + 1) * 24;
    let is_told = |theirs: &&Hours| {
        all.clone()
            .any(|hour| count(ours, hour) < count(theirs, hour))
    };
    let stored: u64 = all.clone().map(|hour| count(ours, hour)).sum();
    let theirs = theirs.filter(|theirs| is_told(theirs) || stored >= of_day);
    let lacks = |hour: &i64| theirs.is_none_or(|theirs| count(ours, *hour) < count(theirs, *hour));
    let mut spans: Vec<Range<i64>> = Vec::new();
    for hour in (day * 24..(day + 1) * 24).filter(lacks) {
        match spans.last_mut() {
            Some(span) if span.end == hour => span.end += 1,
            _ => spans.push(hour..hour + 1),
        }
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_hours_that_lack_something_are_read_again() {
        let ours = Hours::from([(47, 9), (48, 2), (50, 5), (71, 1)]);
        let theirs = Hours::from([
            (47, 10),
            (48, 2),
            (49, 1),
            (50, 6),
            (52, 1),
            (71, 0),
            (72, 3),
        ]);
        assert_eq!(lacking(2, &ours, Some(&theirs), 10), [49..51, 52..53]);
        assert_eq!(lacking(2, &ours, Some(&ours), 8), []);
        let whole = Some(&(48..72));
        assert_eq!(lacking(2, &ours, Some(&ours), 9).first(), whole);
        assert_eq!(lacking(2, &ours, None, 8).first(), whole);
    }
}
