//! Of each kind of record: until when everything has arrived, when that was last proven, what is known to
//! be missing, and when it is looked at next.

use super::ledger::RECENT_EVERY;
use super::{Pull, PullError, Pulled};
use crate::mirror::{Gap, Stream, Window};
use crate::model::{Mentions, MetricId, Moment};

/// So many gaps of a kind are told one by one, the latest ones.
const MOST_GAPS: usize = 5;

/// One kind of record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Freshness {
    /// Such as `profiles` or `events: Opened Email`.
    pub name: String,
    /// Everything that changed until then has arrived, as far as the vendor's feed tells; `None` before
    /// everything was read once.
    pub complete: Option<Moment>,
    /// What no feed tells is known until then; `None` before it was looked at once.
    pub proven: Option<Moment>,
    /// When the next look of that kind is due, or the one under way is to be over; `None` where every
    /// pass looks.
    pub next: Option<Moment>,
    /// Records that the vendor counts, and that are neither here nor accounted for.
    pub missing: u64,
    /// Days on which counts differ for good.
    pub gaps: u64,
    /// The latest of them, by day since 1970.
    pub latest: Vec<(i64, Gap)>,
    /// What limits all this.
    pub note: Option<&'static str>,
}

impl Freshness {
    fn of(name: &str, complete: Option<Moment>) -> Self {
        Self {
            name: name.to_owned(),
            complete,
            proven: None,
            next: None,
            missing: 0,
            gaps: 0,
            latest: Vec::new(),
            note: None,
        }
    }
}

impl Pull<'_> {
    /// Where each kind of record stands at the end of a pull.
    pub(super) fn freshness(
        &self,
        mentions: &Mentions,
        pulled: &Pulled,
    ) -> Result<Vec<Freshness>, PullError> {
        let mut rows =
            vec![self.swept("profiles", Stream::KlaviyoProfiles, Stream::KlaviyoSweep)?];
        let metrics = self.mirror.metrics()?;
        for metric in mentions.events.keys() {
            let named = metrics.iter().find(|known| known.id == *metric);
            let name = named.map_or(metric.as_str(), |known| &known.name);
            rows.push(self.counted(name, metric)?);
        }
        rows.push(self.lists()?);
        let stream = Stream::ShopifyCustomers;
        rows.push(self.swept("customers", stream, Stream::ShopifySweep)?);
        rows.push(self.ordered(pulled.all_orders)?);
        Ok(rows)
    }

    fn arrived(&self, stream: &Stream) -> Result<Option<Moment>, PullError> {
        let cursor = self.mirror.cursor(stream)?;
        Ok(cursor.and_then(|cursor| cursor.watermark))
    }

    fn swept(&self, name: &str, feed: Stream, sweep: Stream) -> Result<Freshness, PullError> {
        let sweep = self.mirror.cursor(&sweep)?.unwrap_or_default();
        let began = sweep.run_start.or(sweep.watermark);
        Ok(Freshness {
            proven: sweep.watermark,
            next: began.map(|began| began.plus(self.sweep)),
            ..Freshness::of(name, self.arrived(&feed)?)
        })
    }

    /// Events are proven to be here as of the window that was compared longest ago.
    fn counted(&self, name: &str, metric: &MetricId) -> Result<Freshness, PullError> {
        let checks = self.checks(metric)?;
        let done = checks.iter().map(|check| check.known?.done);
        let proven = done.min().flatten();
        let due = checks.iter().filter_map(|check| check.due(self.ledger));
        let stream = Stream::Events(metric.clone());
        let gaps = self.mirror.gaps(&stream)?;
        let latest = gaps.iter().rev().take(MOST_GAPS);
        let arrived = self.arrived(&stream)?;
        Ok(Freshness {
            proven,
            next: due.min(),
            missing: gaps.values().map(Gap::missing).sum(),
            gaps: gaps.len() as u64,
            latest: latest.map(|(day, gap)| (*day, *gap)).collect(),
            ..Freshness::of(&format!("events: {name}"), arrived)
        })
    }

    fn ordered(&self, all: bool) -> Result<Freshness, PullError> {
        let stream = Stream::ShopifyOrders;
        let arrived = Freshness::of("orders", self.arrived(&stream)?);
        if !all {
            let note = Some("of 60 days only: the token lacks read_all_orders");
            return Ok(Freshness { note, ..arrived });
        }
        let checked = self.mirror.checked(&stream, Window::Recent)?;
        let gaps = self.mirror.gaps(&stream)?;
        Ok(Freshness {
            proven: checked.and_then(|checked| checked.done),
            next: checked.map(|checked| checked.asked.plus(RECENT_EVERY)),
            missing: gaps.values().map(Gap::missing).sum(),
            gaps: gaps.len() as u64,
            note: (!gaps.is_empty()).then_some("Shopify counts other orders than it lists"),
            ..arrived
        })
    }

    /// Lists are as fresh as the one whose members were read longest ago.
    fn lists(&self) -> Result<Freshness, PullError> {
        let mut read = Vec::new();
        for list in self.mirror.lists()? {
            read.push(self.mirror.listed_at(&list.id)?);
        }
        Ok(Freshness::of("lists", read.into_iter().min().flatten()))
    }
}
