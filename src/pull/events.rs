//! Events of the metrics that rules or definitions mention, staged page by page.

use super::density::Density;
use super::ledger::MOST_YEARS;
use super::parts::Ranged;
use super::walk::Source;
use super::{Pull, PullError, Pulled};
use crate::api::klaviyo::{Interval, Klaviyo, MOST_DAYS_COUNTED};
use crate::api::{ApiError, Cursor as PageCursor, Exchange, Page};
use crate::mirror::{MirrorError, Page as MirrorPage, Stream};
use crate::model::{IncomingEvent, Mentions, MetricId, Moment};
use std::collections::BTreeMap;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(60 * 60);
/// How far back a walk looks as long as nothing is known of its metric.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Whatever the events of a metric do, no walk looks further back.
const MOST_DAYS: i64 = 10;
/// A metric that had no event for so long had none before, as far as a first fill plans.
const QUIET_DAYS: i64 = 90;
/// Events on a page.
const PAGE: u64 = 1_000;

/// Requests at a time of a first fill, of all metrics together. A page takes a second or two, so that this
/// is some 20,000 events a second, beside the 900 profiles that come meanwhile; a page under way takes about a
/// megabyte.
pub(super) const ABREAST: usize = 32;

pub(super) struct Events<'a, E> {
    pub klaviyo: &'a Klaviyo<E>,
    pub metric: &'a MetricId,
    pub mentions: &'a Mentions,
    /// The server's clock when the walk began: windows close here, never at the newest event, whose
    /// date may lie in the future.
    pub until: Moment,
    /// Events have no arrival time: one that arrives late is found only by reading its hour again.
    pub look_back: Duration,
}

impl<E: Exchange> Source for Events<'_, E> {
    type Item = IncomingEvent;
    const NAME: &'static str = "events";

    fn overlap(&self) -> Duration {
        self.look_back
    }

    fn stream(&self) -> Stream {
        Stream::Events(self.metric.clone())
    }

    async fn page(
        &self,
        since: Option<Moment>,
        after: Option<&PageCursor>,
    ) -> Result<Page<IncomingEvent>, ApiError> {
        let since = since.unwrap_or_default();
        self.klaviyo
            .events(self.metric, since, self.until, after, self.mentions)
            .await
    }

    fn store(
        &self,
        page: &mut MirrorPage<'_>,
        items: Vec<IncomingEvent>,
    ) -> Result<(), MirrorError> {
        page.events(self.metric, items).map(drop)
    }
}

impl<E: Exchange> Ranged for Events<'_, E> {
    fn until(&self) -> Option<Moment> {
        Some(self.until)
    }

    fn at(event: &IncomingEvent) -> Option<Moment> {
        Some(event.at)
    }

    async fn range(
        &self,
        from: Option<Moment>,
        to: Option<Moment>,
        after: Option<&PageCursor>,
    ) -> Result<Page<IncomingEvent>, ApiError> {
        // Instants are listed in whole seconds; however they are rounded, none is missed.
        let since = from.map_or(Moment(0), |from| from.minus(SECOND));
        let until = to.unwrap_or(self.until);
        self.klaviyo
            .events(self.metric, since, until, after, self.mentions)
            .await
    }

    /// By the metric's counts, year by year into the past until there is one that begins without an event.
    async fn density(&self) -> Result<Option<Density>, ApiError> {
        let mut counts = BTreeMap::new();
        let mut end = self.until.day() + 1;
        for _ in 0..MOST_YEARS {
            let start = end - MOST_DAYS_COUNTED;
            let span = Moment::from_day(start)..Moment::from_day(end);
            let year = self
                .klaviyo
                .event_counts(self.metric, Interval::Day, span)
                .await?;
            let begun = Moment::from_day(start + QUIET_DAYS);
            let is_first = year.range(..begun).all(|(_, count)| *count == 0);
            counts.extend(year.into_iter().map(|(at, count)| (at.day(), count)));
            if is_first {
                break;
            }
            end = start;
        }
        Ok(Density::new(&counts))
    }
}

impl Pull<'_> {
    /// Events of every mentioned metric. Of those that were asked for before: until when.
    pub(super) async fn events(
        &self,
        now: Moment,
        mentions: &Mentions,
        pulled: &mut Pulled,
    ) -> Result<BTreeMap<MetricId, Moment>, PullError> {
        // What an interrupted pull left behind says nothing of lateness.
        self.fold(&BTreeMap::new(), pulled).await?;
        let mut asked_before = BTreeMap::new();
        let mut first = Vec::new();
        for (metric, properties) in &mentions.events {
            let stream = Stream::Events(metric.clone());
            let wanted: Vec<String> = properties.iter().cloned().collect();
            self.keep_only(&stream, &wanted)?;
            let known = self.mirror.cursor(&stream)?.unwrap_or_default();
            let source = Events {
                klaviyo: &self.vendors.klaviyo,
                metric,
                mentions,
                until: known.run_start.unwrap_or(now),
                look_back: self.look_back(metric, now)?,
            };
            if self.is_first_fill(&stream)? {
                first.push(source);
                continue;
            }
            let walked = self.walk(&source, now, pulled).await?;
            if !walked.complete {
                asked_before.extend(known.watermark.map(|until| (metric.clone(), until)));
            }
        }
        self.first_fill(&first, ABREAST, now, pulled).await?;
        self.progress.over("events", pulled.count("events"));
        Ok(asked_before)
    }

    /// As far back as 999 of 1,000 events have needed so far, an hour at least. Beyond a day only as long
    /// as that takes no more pages than a day does: the others are found by the ledger, a day later at
    /// most and for fewer requests.
    fn look_back(&self, metric: &MetricId, now: Moment) -> Result<Duration, PullError> {
        let Some(reach) = self.mirror.lateness(metric)?.reach() else {
            return Ok(DAY);
        };
        if reach <= DAY {
            return Ok(reach.max(HOUR));
        }
        let today = now.day();
        let counts = self
            .mirror
            .events_by_day(metric, today - MOST_DAYS..today + 1)?;
        let pages = |days: i64| {
            let events: u64 = counts.range(today - days..).map(|(_, count)| count).sum();
            events.div_ceil(PAGE).max(1)
        };
        let free = (1..=MOST_DAYS).take_while(|days| pages(*days) <= pages(1));
        let days = free.count().try_into().unwrap_or(1);
        Ok(reach.min(DAY * days))
    }
}
