//! Events of the metrics that rules or definitions mention, staged page by page.

use super::walk::Source;
use super::{Pull, PullError, Pulled};
use crate::api::klaviyo::Klaviyo;
use crate::api::{ApiError, Cursor as PageCursor, Page};
use crate::mirror::{MirrorError, Page as MirrorPage, Stream};
use crate::model::{IncomingEvent, Mentions, MetricId, Moment};
use std::time::Duration;

/// Events have no arrival time: one that arrives late is found only by reading its day again.
const OVERLAP: Duration = Duration::from_secs(24 * 60 * 60);

struct Events<'a> {
    klaviyo: &'a Klaviyo,
    metric: &'a MetricId,
    mentions: &'a Mentions,
    /// The server's clock when the walk began: windows close here, never at the newest event, whose
    /// date may lie in the future.
    until: Moment,
}

impl Source for Events<'_> {
    type Item = IncomingEvent;
    const NAME: &'static str = "events";
    const OVERLAP: Duration = OVERLAP;

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

impl Pull<'_> {
    /// Events of every mentioned metric.
    pub(super) async fn events(
        &self,
        now: Moment,
        mentions: &Mentions,
        pulled: &mut Pulled,
    ) -> Result<(), PullError> {
        for (metric, properties) in &mentions.events {
            let stream = Stream::Events(metric.clone());
            let wanted: Vec<String> = properties.iter().cloned().collect();
            self.keep_only(&stream, &wanted)?;
            let until = match self.mirror.cursor(&stream)? {
                Some(cursor) => cursor.run_start.unwrap_or(now),
                None => now,
            };
            let klaviyo = &self.vendors.klaviyo;
            self.walk(
                &Events {
                    klaviyo,
                    metric,
                    mentions,
                    until,
                },
                now,
                pulled,
            )
            .await?;
        }
        self.progress.over(Events::NAME, pulled.count(Events::NAME));
        Ok(())
    }
}
