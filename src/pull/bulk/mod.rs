//! First fills by bulk operation: started early, five at a time, polled together, and read line by line
//! in constant memory.
//!
//! Orders are cut into windows of their creation, each with an operation and a position of its own: the
//! operation's id and the number of lines already stored. A kill costs at most the batches of lines in
//! flight. Customers are one window: what counts them by creation (`created_at`) lists nobody by it, and
//! what lists them by it (`customer_date`) counts nobody, and was ignored for a year; a window with an
//! ignored filter is the whole shop.

mod cut;
mod lines;
mod run;

use super::{Counted, Pull, PullError, Pulled};
use crate::api::shopify::{BulkQuery, decode_customer, decode_order};
use crate::api::{ApiError, Fault};
use crate::mirror::{Cursor, MirrorError, Page as MirrorPage, Part, Stream};
use crate::model::{BulkId, Customer, Moment, Order};
use crate::plan::{Legibility, Listing};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What bulk operations deliver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Customers,
    Orders,
}

/// One line.
enum Record {
    Customer(Customer),
    Order(Order),
}

impl Kind {
    /// Its name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Customers => "customers",
            Self::Orders => "orders",
        }
    }

    /// Where its cursor is kept.
    pub const fn stream(self) -> Stream {
        match self {
            Self::Customers => Stream::ShopifyCustomers,
            Self::Orders => Stream::ShopifyOrders,
        }
    }

    fn decode(self, line: &str) -> Option<Record> {
        match self {
            Self::Customers => decode_customer(line).map(Record::Customer),
            Self::Orders => decode_order(line).map(Record::Order),
        }
    }
}

impl Record {
    fn store(self, page: &mut MirrorPage<'_>) -> Result<(), MirrorError> {
        match self {
            Self::Customer(customer) => page.customer(customer).map(drop),
            Self::Order(order) => page.order(order).map(drop),
        }
    }
}

/// A first fill under way.
pub(super) struct Fill {
    kind: Kind,
    /// When it began, by the server's clock.
    start: Moment,
    windows: BTreeMap<u32, Window>,
    /// An earlier pass began it.
    resumed: bool,
    /// A start may have been told to Shopify and not noted here.
    unsure: bool,
    /// Shopify does not deliver it so.
    by_pages: bool,
    /// Lines that were read, of all windows.
    told: Arc<AtomicU64>,
}

/// What one operation lists.
struct Window {
    part: Part,
    stage: Stage,
    /// How often what it was asked for with failed.
    setbacks: u32,
    /// A result of it was lost.
    lost: bool,
    /// Lines of its result, as far as Shopify told.
    roots: u64,
}

/// How far a window has come.
enum Stage {
    /// Not asked for.
    Waiting,
    /// Shopify is at it.
    Running(BulkId),
    /// Its result is there; `None` for an empty one.
    Ready(BulkId, Option<String>),
    /// Its result is being read.
    Reading,
    /// Its result was read to the end.
    Over,
}

impl Window {
    fn of(part: Part) -> Self {
        let under_way = part.position.as_deref().and_then(parse_position);
        let stage = match under_way {
            _ if part.done => Stage::Over,
            Some((operation, _)) => Stage::Running(operation),
            None => Stage::Waiting,
        };
        Self {
            part,
            stage,
            setbacks: 0,
            lost: false,
            roots: 0,
        }
    }

    /// Is to be asked for, as if nothing of it had been read.
    fn wait(&mut self) {
        self.part = anew(&self.part);
        (self.stage, self.roots) = (Stage::Waiting, 0);
    }
}

impl Fill {
    fn new(kind: Kind, start: Moment, parts: BTreeMap<u32, Part>, resumed: bool) -> Self {
        let told: u64 = parts.values().map(lines_of).sum();
        let windows = parts.into_iter();
        Self {
            kind,
            start,
            windows: windows
                .map(|(number, part)| (number, Window::of(part)))
                .collect(),
            resumed,
            unsure: resumed,
            by_pages: false,
            told: Arc::new(told.into()),
        }
    }

    /// How much of all that was read could be understood.
    fn legibility(&self) -> Legibility {
        let parts = || self.windows.values().map(|window| &window.part);
        Legibility {
            read: parts().map(|part| part.seen).sum(),
            unreadable: parts().map(|part| part.unreadable).sum(),
        }
    }

    /// What a window lists. The end of the last one lies ahead of the server's clock, and what is created
    /// after its operation began is found by polling.
    fn query(&self, part: &Part) -> BulkQuery {
        match self.kind {
            Kind::Customers => BulkQuery::Customers,
            Kind::Orders => {
                let span = span(part, self.start);
                BulkQuery::Orders {
                    created_from: span.start,
                    created_to: span.end,
                }
            }
        }
    }
}

/// The instants of a part of a fill that began then.
fn span(part: &Part, start: Moment) -> std::ops::Range<Moment> {
    part.from.unwrap_or_default()..part.to.unwrap_or(start.plus(DAY))
}

/// A part of which nothing was read.
fn anew(part: &Part) -> Part {
    Part {
        from: part.from,
        to: part.to,
        position: last_operation(part).map(spent),
        ..Part::default()
    }
}

/// The parts that some instants, ascending, cut everything into.
fn parts(cuts: &[Moment]) -> BTreeMap<u32, Part> {
    let starts = std::iter::once(None).chain(cuts.iter().copied().map(Some));
    let ends = cuts.iter().copied().map(Some).chain([None]);
    let parts = starts.zip(ends).map(|(from, to)| Part {
        from,
        to,
        ..Part::default()
    });
    (0..).zip(parts).collect()
}

fn lines_of(part: &Part) -> u64 {
    part.seen + part.unreadable
}

/// Where a window stands: `<operation> <lines stored>`.
fn position(operation: &BulkId, lines: u64) -> String {
    format!("{operation} {lines}")
}

/// Where a window stands that is to be asked for again: `<operation> -`, whose result is of no use.
fn spent(operation: &str) -> String {
    format!("{operation} -")
}

fn parse_position(text: &str) -> Option<(BulkId, u64)> {
    let (operation, lines) = text.rsplit_once(' ')?;
    Some((operation.into(), lines.parse().ok()?))
}

/// The last operation that a part was asked for with, as far as was noted.
fn last_operation(part: &Part) -> Option<&str> {
    Some(part.position.as_deref()?.rsplit_once(' ')?.0)
}

/// An answer that helps and is not needed; `None` where Shopify will not give it, or in another form.
fn told<T>(answer: Result<T, ApiError>) -> Result<Option<T>, PullError> {
    match answer {
        Err(error)
            if matches!(
                error.fault,
                Fault::MissingScope { .. }
                    | Fault::Invalid { .. }
                    | Fault::GraphqlErrors { .. }
                    | Fault::SearchWarning { .. }
                    | Fault::FilterIgnored
                    | Fault::Shape { .. }
            ) =>
        {
            tracing::warn!(%error, "bulk operations go on without");
            Ok(None)
        }
        answer => Ok(Some(answer?)),
    }
}

impl Pull<'_> {
    /// Lets Shopify prepare what was never read to the end.
    pub(super) async fn begin_fills(&self, now: Moment) -> Result<Vec<Fill>, PullError> {
        let mut fills = Vec::new();
        for kind in [Kind::Customers, Kind::Orders] {
            fills.extend(self.taken_over(kind, now).await?);
        }
        self.start_waiting(&mut fills).await?;
        Ok(fills)
    }

    /// A fill that goes on where it was left, or begins; `None` for one that is over, or goes by pages.
    async fn taken_over(&self, kind: Kind, now: Moment) -> Result<Option<Fill>, PullError> {
        let stream = kind.stream();
        let cursor = self.mirror.cursor(&stream)?.unwrap_or_default();
        if cursor.watermark.is_some() || cursor.position.is_some() {
            return Ok(None);
        }
        if let Some(start) = cursor.run_start {
            let parts = self.mirror.parts(&stream)?;
            if !parts.is_empty() {
                return Ok(Some(Fill::new(kind, start, parts, true)));
            }
        }
        let cuts = match kind {
            Kind::Customers => Vec::new(),
            Kind::Orders => {
                let everything = span(&Part::default(), now);
                self.cuts(everything, cut::windows).await?
            }
        };
        let parts = parts(&cuts);
        let begun = Cursor {
            run_start: Some(now),
            ..Cursor::default()
        };
        let mut page = self.mirror.page();
        // Parts of a fill that was given up.
        page.forget_parts(&stream)?;
        page.cursor(&stream, &begun);
        for (number, part) in &parts {
            page.part(&stream, *number, part);
        }
        page.commit()?;
        Ok(Some(Fill::new(kind, now, parts, false)))
    }

    /// Waits for the operations and stores their lines. What is not to be read any further in this pass: all
    /// else is past its first fill, or to be read by pages.
    pub(super) async fn finish_fills(
        &self,
        mut fills: Vec<Fill>,
        pulled: &mut Pulled,
    ) -> Result<Vec<Kind>, PullError> {
        self.run_fills(&mut fills, pulled).await?;
        let mut read = Vec::new();
        for fill in fills {
            match fill.by_pages {
                true => self.give_up(&fill)?,
                false => {
                    let complete = self.conclude_fill(&fill, pulled)?;
                    // Much may have changed since an earlier pass: what did is read before anything follows
                    // from it.
                    if !(complete && fill.resumed) {
                        read.push(fill.kind);
                    }
                }
            }
        }
        Ok(read)
    }

    /// Judges a fill whose results were all read; whether it is complete. Windows that lack lines are asked for again in the next
    /// pass, and where too much cannot be understood, those that hold any of it.
    fn conclude_fill(&self, fill: &Fill, pulled: &mut Pulled) -> Result<bool, PullError> {
        let (stream, name) = (fill.kind.stream(), fill.kind.name());
        let all = fill.legibility();
        pulled.judge(&stream, all.read, all.unreadable);
        let bad = fill.windows.iter().filter(|(_, Window { part, .. })| {
            let is_poor = all.is_poor() && part.unreadable > 0;
            !part.done || is_poor
        });
        let bad: BTreeMap<u32, Part> = bad
            .map(|(number, window)| (*number, anew(&window.part)))
            .collect();
        let complete = bad.is_empty();
        let mut page = self.mirror.page();
        if complete {
            let filled = Cursor {
                watermark: Some(fill.start),
                done: true,
                ..Cursor::default()
            };
            page.cursor(&stream, &filled);
            page.forget_parts(&stream)?;
        }
        // What these held is good, what they lack proves nothing.
        bad.iter()
            .for_each(|(number, part)| page.part(&stream, *number, part));
        page.commit()?;
        let count = all.read + all.unreadable;
        let listing = Listing {
            name: name.to_owned(),
            count,
            before: self.mirror.complete_count(&stream)?,
            complete,
        };
        pulled.listings.push(Counted { stream, listing });
        self.progress.over(name, count);
        Ok(complete)
    }

    /// Forgets a fill that Shopify does not deliver in bulk. What was read until then lacks nobody knows
    /// what.
    fn give_up(&self, fill: &Fill) -> Result<(), PullError> {
        let stream = fill.kind.stream();
        let lines = fill.told.load(Ordering::Relaxed);
        tracing::info!(%stream, lines, "no whole bulk result; reading by pages");
        let mut page = self.mirror.page();
        page.cursor(&stream, &Cursor::default());
        page.forget_parts(&stream)?;
        Ok(page.commit()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_meet_and_reach_from_the_beginning_of_everything_to_the_end() {
        assert_eq!(parts(&[]), BTreeMap::from([(0, Part::default())]));
        let cuts = [10, 20].map(Moment::from_secs);
        let parts = parts(&cuts);
        let start = Moment::from_secs(100);
        let spans: Vec<_> = parts.values().map(|part| span(part, start)).collect();
        let [a, b] = cuts;
        assert_eq!(spans, [Moment(0)..a, a..b, b..start.plus(DAY)]);
    }

    #[test]
    fn a_window_goes_on_with_its_operation_until_the_result_is_spent() {
        let operation = BulkId::from("gid://shopify/BulkOperation/7");
        let part = Part {
            to: Some(Moment(1)),
            position: Some(position(&operation, 2_000)),
            seen: 1_999,
            unreadable: 1,
            ..Part::default()
        };
        let window = Window::of(part.clone());
        assert!(matches!(&window.stage, Stage::Running(one) if *one == operation));
        let again = anew(&part);
        assert_eq!((again.to, lines_of(&again)), (part.to, 0));
        assert_eq!(last_operation(&again), Some(operation.as_str()));
        assert!(matches!(Window::of(again.clone()).stage, Stage::Waiting));
        assert_eq!(anew(&again), again);
    }

    #[test]
    fn who_goes_by_pages_waits_for_no_place() {
        let part = Part {
            position: Some(position(&"gid://shopify/BulkOperation/1".into(), 0)),
            ..Part::default()
        };
        let parts = BTreeMap::from([(0, part)]);
        let mut fill = Fill::new(Kind::Orders, Moment(0), parts, true);
        assert_eq!(fill.running(), 1);
        fill.by_pages = true;
        assert_eq!(fill.running(), 0);
    }
}
