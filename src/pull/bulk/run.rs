//! The operations of all fills under way: at most five at a time, looked at together; what is ready is
//! read while others run.

use super::lines::{Reading, Ready};
use super::{
    Fill, Kind, Pull, PullError, Pulled, Stage, Window, anew, last_operation, position, span, told,
};
use crate::api::shopify::{AskedBulk, Bulk, BulkStatus};
use crate::api::{ApiError, Fault};
use crate::mirror::Part;
use crate::model::BulkId;
use futures_util::future::{Either, select};
use futures_util::stream::{FuturesUnordered, StreamExt};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Bulk queries that Shopify runs at a time, for an app in a shop.
const PLACES: usize = 5;

/// Results that are read at a time: the mirror's writers take turns, so more would only hold memory.
const READINGS: usize = 2;

/// A window fails this often, cut into ever smaller ones (an eighth at last), before all of its stream is
/// read by pages.
const MOST_SETBACKS: u32 = 3;

/// What became of a start.
enum Start {
    Begun(BulkId),
    /// Others have all places.
    NoPlace,
    /// Shopify will not.
    Refused,
}

impl Fill {
    fn count(&self, is: impl Fn(&Stage) -> bool) -> usize {
        let stages = self.windows.values().map(|window| &window.stage);
        stages.filter(|stage| is(stage)).count()
    }

    /// Operations that hold a place and will give it back. Nobody looks at those of a fill that goes by pages:
    /// Shopify tells whether they leave one.
    pub(super) fn running(&self) -> usize {
        if self.by_pages {
            return 0;
        }
        self.count(|stage| matches!(stage, Stage::Running(_)))
    }

    fn is_open(&self) -> bool {
        !self.by_pages && self.count(|stage| !matches!(stage, Stage::Over)) > 0
    }

    /// Whether it comes forward without another start.
    fn is_moving(&self) -> bool {
        !self.by_pages && self.count(|stage| !matches!(stage, Stage::Over | Stage::Waiting)) > 0
    }

    fn numbers(&self, is: impl Fn(&Stage) -> bool) -> Vec<u32> {
        let windows = self.windows.iter().filter(|(_, window)| is(&window.stage));
        windows.map(|(number, _)| *number).collect()
    }

    fn waiting(&self) -> Vec<u32> {
        match self.by_pages {
            true => Vec::new(),
            false => self.numbers(|stage| matches!(stage, Stage::Waiting)),
        }
    }

    fn window(&mut self, number: u32) -> &mut Window {
        self.windows
            .get_mut(&number)
            .expect("a window that is there")
    }
}

impl Pull<'_> {
    /// Brings all fills to their end, each with every window read or given up.
    pub(super) async fn run_fills(
        &self,
        fills: &mut [Fill],
        pulled: &mut Pulled,
    ) -> Result<(), PullError> {
        let abreast = match self.clock.sleeps_overlap() {
            true => READINGS,
            false => 1,
        };
        let (mut reading, mut over) = (FuturesUnordered::new(), Vec::new());
        let mut looks = 0;
        while fills.iter().any(Fill::is_open) || !reading.is_empty() {
            self.check_stop()?;
            let round = meanwhile(self.round(fills), &mut reading, &mut over);
            if round.await? {
                looks = 0;
            }
            while reading.len() < abreast
                && let Some(ready) = next_ready(fills)
            {
                reading.push(self.read_result(ready));
            }
            if !self.clock.sleeps_overlap() && !reading.is_empty() {
                over.extend(reading.next().await);
            } else if over.is_empty() && (!reading.is_empty() || fills.iter().any(Fill::is_open)) {
                let nap = self.clock.sleep(until_next_look(looks));
                looks += 1;
                nap_or_end(nap, &mut reading, &mut over).await;
            }
            for ended in over.drain(..) {
                self.take_note(fills, ended?, pulled)?;
            }
        }
        Ok(())
    }

    /// Looks at whatever runs, and starts what there is a place for; whether anything began.
    async fn round(&self, fills: &mut [Fill]) -> Result<bool, PullError> {
        for fill in fills.iter_mut().filter(|fill| !fill.by_pages) {
            for number in fill.numbers(|stage| matches!(stage, Stage::Running(_))) {
                self.check_stop()?;
                self.look(fill, number).await?;
                if fill.by_pages {
                    break;
                }
            }
            let roots = fill.windows.values().map(|window| window.roots).sum();
            let told = fill.told.load(Ordering::Relaxed);
            self.progress
                .at(fill.kind.name(), told, Some(told.max(roots)));
        }
        let waiting =
            |fills: &[Fill]| -> usize { fills.iter().map(|fill| fill.waiting().len()).sum() };
        let before = waiting(fills);
        let is_full = self.start_waiting(fills).await?;
        if is_full && !fills.iter().any(Fill::is_moving) {
            // None of ours will give a place back, and others' may take days.
            let stuck = fills.iter_mut().filter(|fill| !fill.waiting().is_empty());
            stuck.for_each(|fill| fill.by_pages = true);
        }
        Ok(waiting(fills) < before)
    }

    /// Starts what there is a place for; whether others hold the places that we could use.
    pub(super) async fn start_waiting(&self, fills: &mut [Fill]) -> Result<bool, PullError> {
        self.adopt(fills).await?;
        let mut running: usize = fills.iter().map(Fill::running).sum();
        for fill in fills {
            for number in fill.waiting() {
                if running >= PLACES {
                    return Ok(false);
                }
                self.check_stop()?;
                match self.start(fill, number).await? {
                    Start::Begun(operation) => self.begun(fill, number, operation)?,
                    Start::NoPlace => return Ok(true),
                    Start::Refused => {
                        fill.by_pages = true;
                        break;
                    }
                }
                running += 1;
            }
        }
        Ok(false)
    }

    /// Follows operations that were started before a kill and not noted.
    async fn adopt(&self, fills: &mut [Fill]) -> Result<(), PullError> {
        let is_unsure = |fill: &&mut Fill| fill.unsure && !fill.waiting().is_empty();
        if !fills.iter_mut().any(|fill| is_unsure(&fill)) {
            return Ok(());
        }
        let asked = self.vendors.shopify.bulk_queries().await;
        let asked = told(asked)?.unwrap_or_default();
        for fill in fills {
            if !std::mem::take(&mut fill.unsure) {
                continue;
            }
            for number in fill.waiting() {
                if let Some(operation) = self.ours(fill, number, &asked) {
                    tracing::info!(%operation, "a bulk operation that was started before is followed");
                    self.begun(fill, number, operation)?;
                }
            }
        }
        Ok(())
    }

    /// The last operation, of some with the newest first, if it was started for a window and not noted.
    fn ours(&self, fill: &Fill, number: u32, asked: &[AskedBulk]) -> Option<BulkId> {
        let part = &fill.windows[&number].part;
        let query = fill.query(part);
        let last = asked.iter().find(|one| {
            let is_of_fill = one.created.secs() >= fill.start.secs();
            is_of_fill && self.vendors.shopify.is_for(query, one)
        })?;
        let is_good = match last.status {
            BulkStatus::Created | BulkStatus::Running | BulkStatus::Completed => true,
            BulkStatus::Failed
            | BulkStatus::Canceling
            | BulkStatus::Canceled
            | BulkStatus::Expired
            | BulkStatus::Other(_) => false,
        };
        let is_new = last_operation(part) != Some(last.id.as_str());
        (is_good && is_new).then(|| last.id.clone())
    }

    /// Starts a window's operation. Where the outcome is unknown it is looked for before it is started
    /// again.
    async fn start(&self, fill: &Fill, number: u32) -> Result<Start, PullError> {
        let stream = fill.kind.name();
        let query = fill.query(&fill.windows[&number].part);
        let mut is_first = true;
        loop {
            match self.vendors.shopify.start_bulk(query).await {
                Err(error) if lacks_place(&error) => {
                    tracing::debug!(stream, "no place for another bulk operation");
                    return Ok(Start::NoPlace);
                }
                Err(error) if matches!(error.fault, Fault::Invalid { .. }) => {
                    tracing::info!(stream, %error, "no bulk operation; reading by pages");
                    return Ok(Start::Refused);
                }
                Err(error) if error.is_outcome_unknown() && is_first => {
                    tracing::info!(stream, %error, "a bulk operation may have been started; looking for it");
                    let asked = self.vendors.shopify.bulk_queries().await?;
                    if let Some(operation) = self.ours(fill, number, &asked) {
                        return Ok(Start::Begun(operation));
                    }
                    is_first = false;
                }
                started => return Ok(Start::Begun(started?)),
            }
        }
    }

    /// Notes an operation before anything waits for it.
    fn begun(&self, fill: &mut Fill, number: u32, operation: BulkId) -> Result<(), PullError> {
        let window = fill.window(number);
        window.part.position = Some(position(&operation, 0));
        window.stage = Stage::Running(operation);
        self.keep_windows(fill, &[number])
    }

    fn keep_windows(&self, fill: &Fill, numbers: &[u32]) -> Result<(), PullError> {
        let stream = fill.kind.stream();
        let mut page = self.mirror.page();
        for number in numbers {
            page.part(&stream, *number, &fill.windows[number].part);
        }
        Ok(page.commit()?)
    }

    /// Where an operation stands, and what follows from it.
    async fn look(&self, fill: &mut Fill, number: u32) -> Result<(), PullError> {
        let window = fill.window(number);
        let Stage::Running(operation) = &window.stage else {
            return Ok(());
        };
        let operation = operation.clone();
        let bulk = match self.vendors.shopify.bulk(&operation).await {
            Err(error) if error.fault == Fault::NotFound => {
                return self.lose(fill, number, "forgotten");
            }
            bulk => bulk?,
        };
        window.roots = bulk.roots;
        match bulk.status {
            BulkStatus::Created
            | BulkStatus::Running
            | BulkStatus::Canceling
            | BulkStatus::Other(_) => Ok(()),
            BulkStatus::Completed => {
                window.stage = Stage::Ready(operation, bulk.url);
                Ok(())
            }
            BulkStatus::Expired => self.lose(fill, number, "expired"),
            BulkStatus::Failed | BulkStatus::Canceled => self.fail(fill, number, &bulk).await,
        }
    }

    /// A result that is gone can only be asked for again; once, for the next one may go as well.
    fn lose(&self, fill: &mut Fill, number: u32, why: &str) -> Result<(), PullError> {
        tracing::info!(
            stream = fill.kind.name(),
            number,
            why,
            "a bulk result is lost"
        );
        let window = fill.window(number);
        if std::mem::replace(&mut window.lost, true) {
            fill.by_pages = true;
            return Ok(());
        }
        window.wait();
        self.keep_windows(fill, &[number])
    }

    /// What took too long is asked for in halves; what broke, once more before that. Shopify itself cancels what
    /// does not come forward (shopify.md, section 5.2): that, too, is asked for once more. All else does not
    /// get better.
    async fn fail(&self, fill: &mut Fill, number: u32, bulk: &Bulk) -> Result<(), PullError> {
        let code = bulk.error.as_deref();
        let (stream, status) = (fill.kind.name(), &bulk.status);
        tracing::info!(
            stream,
            number,
            ?status,
            code,
            "a bulk operation did not complete"
        );
        let window = fill.window(number);
        window.setbacks += 1;
        let is_first = window.setbacks == 1;
        let may_go_on = window.setbacks <= MOST_SETBACKS;
        match (&bulk.status, code) {
            (BulkStatus::Canceled, _) | (BulkStatus::Failed, Some("INTERNAL_SERVER_ERROR"))
                if is_first =>
            {
                window.wait();
                self.keep_windows(fill, &[number])
            }
            (BulkStatus::Failed, Some("INTERNAL_SERVER_ERROR" | "TIMEOUT")) if may_go_on => {
                self.cut_in_two(fill, number).await
            }
            _ => {
                fill.by_pages = true;
                Ok(())
            }
        }
    }

    /// Both halves at once, or neither.
    async fn cut_in_two(&self, fill: &mut Fill, number: u32) -> Result<(), PullError> {
        let half = match fill.kind {
            Kind::Customers => None,
            Kind::Orders => {
                let window = &fill.windows[&number].part;
                self.half(span(window, fill.start)).await?
            }
        };
        let Some(half) = half else {
            fill.by_pages = true;
            return Ok(());
        };
        let window = fill.window(number);
        let later = Part {
            from: Some(half),
            ..anew(&window.part)
        };
        window.part.to = Some(half);
        window.wait();
        let later = Window {
            setbacks: window.setbacks,
            ..Window::of(later)
        };
        let last = fill.windows.last_key_value().map_or(0, |(last, _)| *last);
        fill.windows.insert(last + 1, later);
        self.keep_windows(fill, &[number, last + 1])
    }

    /// Takes in how a reading ended.
    fn take_note(
        &self,
        fills: &mut [Fill],
        reading: Reading,
        pulled: &mut Pulled,
    ) -> Result<(), PullError> {
        pulled.absorb(reading.pulled);
        let fill = fills.iter_mut().find(|fill| fill.kind == reading.kind);
        let fill = fill.expect("a fill that is there");
        let (number, part) = reading.window;
        if reading.gone {
            return self.lose(fill, number, "its link leads nowhere");
        }
        let window = fill.window(number);
        (window.part, window.stage) = (part, Stage::Over);
        Ok(())
    }
}

/// The first result that is ready to be read.
fn next_ready(fills: &mut [Fill]) -> Option<Ready> {
    for fill in fills.iter_mut().filter(|fill| !fill.by_pages) {
        let (kind, told) = (fill.kind, Arc::clone(&fill.told));
        let mut windows = fill.windows.iter_mut();
        let ready = windows.find(|(_, window)| matches!(window.stage, Stage::Ready(..)));
        let Some((number, window)) = ready else {
            continue;
        };
        if let Stage::Ready(operation, url) = std::mem::replace(&mut window.stage, Stage::Reading) {
            return Some(Ready {
                kind,
                window: (*number, window.part.clone()),
                operation,
                url,
                roots: window.roots,
                told,
            });
        }
    }
    None
}

/// Every second at first, then every 5, then every 30.
fn until_next_look(looks: u32) -> Duration {
    Duration::from_secs(match looks {
        0..10 => 1,
        10..60 => 5,
        _ => 30,
    })
}

/// Whether all places are taken.
fn lacks_place(error: &ApiError) -> bool {
    let codes = ["OPERATION_IN_PROGRESS", "LIMIT_REACHED"];
    matches!(&error.fault, Fault::Invalid { code, .. } if codes.contains(&&**code))
}

/// Works while others do; what they end with is kept.
async fn meanwhile<W: Future, F: Future>(
    work: W,
    others: &mut FuturesUnordered<F>,
    over: &mut Vec<F::Output>,
) -> W::Output {
    let mut work = pin!(work);
    while !others.is_empty() {
        match select(work.as_mut(), others.next()).await {
            Either::Left((done, _)) => return done,
            Either::Right((ended, _)) => over.extend(ended),
        }
    }
    work.await
}

/// Waits for the end of a nap or of one of others, whichever comes first.
async fn nap_or_end<F: Future>(
    nap: impl Future<Output = ()>,
    others: &mut FuturesUnordered<F>,
    over: &mut Vec<F::Output>,
) {
    if others.is_empty() {
        return nap.await;
    }
    if let Either::Right((ended, _)) = select(pin!(nap), others.next()).await {
        over.extend(ended);
    }
}
