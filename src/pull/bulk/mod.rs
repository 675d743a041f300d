//! First fills by bulk operation: started early, polled, and read line by line in constant memory.
//!
//! The operation's id and the number of lines already stored are the stream's cursor, so a kill
//! costs at most the batch of lines in flight.

use super::{Counted, Pull, PullError, Pulled};
use crate::api::Fault;
use crate::api::shopify::{BulkQuery, BulkStatus};
use crate::mirror::{Cursor, MirrorError, Page as MirrorPage, Stream};
use crate::model::{BulkId, Moment};
use crate::plan::{Legibility, Listing};
use std::time::Duration;

/// Lines that are committed together (store.md: a thousand small records to a batch).
const BATCH: usize = 1000;

/// One kind of record that a bulk operation delivers.
pub(super) struct Bulk<T> {
    /// Its name in reports.
    pub name: &'static str,
    /// Where its cursor is kept.
    pub stream: Stream,
    /// What to ask for.
    pub query: BulkQuery,
    /// Reads one line.
    pub decode: fn(&str) -> Option<T>,
    /// Puts one record into the mirror's page.
    pub store: fn(&mut MirrorPage<'_>, T) -> Result<(), MirrorError>,
}

/// What was read of a result file.
#[derive(Clone, Copy, Debug, Default)]
struct Read {
    /// Lines so far.
    lines: u64,
    /// Whole lines that could not be understood.
    misfits: u64,
    /// Lines that were damaged on their way.
    damaged: u64,
    /// The first of these.
    first_damaged: Option<u64>,
}

impl Read {
    /// Decodes the last line that was read.
    fn take_in<T>(&mut self, line: &str, decode: fn(&str) -> Option<T>) -> Option<T> {
        let record = decode(line);
        if record.is_none() && is_json(line) {
            self.misfits += 1;
        } else if record.is_none() {
            self.damaged += 1;
            self.first_damaged.get_or_insert(self.lines);
        }
        record
    }

    /// Lines that need not be read again after a kill, which must see the damage again.
    fn settled(&self) -> u64 {
        self.first_damaged.map_or(self.lines, |first| first - 1)
    }

    /// What damaged lines held is missing, whatever their number says.
    fn undamaged(&self) -> u64 {
        self.lines - self.damaged
    }

    fn legibility(&self) -> Legibility {
        Legibility {
            read: self.undamaged().saturating_sub(self.misfits),
            unreadable: self.misfits,
        }
    }
}

/// Where a first fill stands: `<operation> <lines stored>`.
fn position(operation: &BulkId, lines: u64) -> String {
    format!("{operation} {lines}")
}

fn parse_position(text: &str) -> Option<(BulkId, u64)> {
    let (operation, lines) = text.rsplit_once(' ')?;
    Some((operation.into(), lines.parse().ok()?))
}

impl Pull<'_> {
    /// Starts the operation unless the stream was filled before or one is under way. The id is
    /// stored before anything waits for it.
    pub(super) async fn start<T>(&self, bulk: &Bulk<T>, now: Moment) -> Result<(), PullError> {
        let cursor = self.mirror.cursor(&bulk.stream)?.unwrap_or_default();
        if cursor.watermark.is_some() || cursor.position.is_some() {
            return Ok(());
        }
        let operation = match self.vendors.shopify.start_bulk(bulk.query).await {
            // No place is free: paging does the same work, more slowly.
            Err(error) if matches!(error.fault, Fault::Invalid { .. }) => {
                tracing::info!(stream = bulk.name, %error, "no bulk operation; reading by pages");
                return Ok(());
            }
            other => other?,
        };
        let cursor = Cursor {
            position: Some(position(&operation, 0)),
            run_start: Some(now),
            ..Cursor::default()
        };
        let mut page = self.mirror.page();
        page.cursor(&bulk.stream, &cursor);
        Ok(page.commit()?)
    }

    /// Waits for the operation and stores its lines. `false` when the stream is past its first fill, or to
    /// be read by pages.
    pub(super) async fn finish<T>(
        &self,
        bulk: &Bulk<T>,
        pulled: &mut Pulled,
    ) -> Result<bool, PullError> {
        let cursor = self.mirror.cursor(&bulk.stream)?.unwrap_or_default();
        let under_way = cursor.position.as_deref().and_then(parse_position);
        let (Some((operation, stored)), None) = (under_way, cursor.watermark) else {
            return Ok(false);
        };
        let Some((url, roots)) = self.completed(bulk, &operation).await? else {
            return Ok(false);
        };
        let read = match url {
            Some(url) => {
                let lines = self.lines(bulk, &cursor, &operation, stored, &url, pulled);
                match lines.await {
                    // Results are kept for a week; one that expired can only be asked for again.
                    Err(PullError::Api(error)) if error.fault == Fault::NotFound => Read::default(),
                    read => read?,
                }
            }
            None => Read::default(),
        };
        let complete = read.undamaged() == roots && !read.legibility().is_poor();
        let count = read.undamaged();
        let next = match complete {
            true => Cursor {
                watermark: cursor.run_start,
                done: true,
                ..Cursor::default()
            },
            // A truncated file: what it held is good, what it lacks proves nothing.
            false => Cursor::default(),
        };
        if !complete {
            let stream = bulk.name;
            tracing::warn!(stream, count, roots, "bulk result incomplete; asked again");
        }
        let mut page = self.mirror.page();
        page.cursor(&bulk.stream, &next);
        page.commit()?;
        let listing = Listing {
            name: bulk.name.to_owned(),
            count,
            before: self.mirror.complete_count(&bulk.stream)?,
            complete,
        };
        let stream = bulk.stream.clone();
        pulled.listings.push(Counted { stream, listing });
        self.progress.over(bulk.name, count);
        Ok(true)
    }

    /// Polls until the operation is over: every second at first, then every 5, then every 30. `None` for
    /// one that will not deliver: what was too much at once is read by pages.
    async fn completed<T>(
        &self,
        bulk: &Bulk<T>,
        operation: &BulkId,
    ) -> Result<Option<(Option<String>, u64)>, PullError> {
        for look in 0u32.. {
            self.check_stop()?;
            let now = match self.vendors.shopify.bulk(operation).await {
                Err(error) if error.fault == Fault::NotFound => {
                    self.give_up(bulk, "forgotten")?;
                    return Ok(None);
                }
                other => other?,
            };
            self.progress.at(bulk.name, 0, Some(now.roots));
            match now.status {
                BulkStatus::Created
                | BulkStatus::Running
                | BulkStatus::Canceling
                | BulkStatus::Other(_) => {}
                BulkStatus::Completed => return Ok(Some((now.url, now.roots))),
                BulkStatus::Failed | BulkStatus::Canceled | BulkStatus::Expired => {
                    self.give_up(bulk, now.error.as_deref().unwrap_or("ended early"))?;
                    return Ok(None);
                }
            }
            let seconds = if look < 10 {
                1
            } else if look < 60 {
                5
            } else {
                30
            };
            self.clock.sleep(Duration::from_secs(seconds)).await;
        }
        unreachable!("the loop above ends only by returning")
    }

    /// Forgets an operation that will not deliver. What it read until then lacks nobody knows what.
    fn give_up<T>(&self, bulk: &Bulk<T>, reason: &str) -> Result<(), PullError> {
        let stream = bulk.name;
        tracing::info!(stream, reason, "bulk operation failed; reading by pages");
        let mut page = self.mirror.page();
        page.cursor(&bulk.stream, &Cursor::default());
        Ok(page.commit()?)
    }

    /// Stores all lines after the first `stored`.
    async fn lines<T>(
        &self,
        bulk: &Bulk<T>,
        cursor: &Cursor,
        operation: &BulkId,
        stored: u64,
        url: &str,
        pulled: &mut Pulled,
    ) -> Result<Read, PullError> {
        let mut lines = self.vendors.shopify.bulk_lines(url).await?;
        let mut read = Read {
            misfits: cursor.unreadable,
            ..Read::default()
        };
        let mut batch = Vec::with_capacity(BATCH);
        let reached = |read: &Read| Cursor {
            position: Some(position(operation, read.settled())),
            unreadable: read.misfits,
            ..cursor.clone()
        };
        while let Some(line) = lines.next().await? {
            read.lines += 1;
            if read.lines.is_multiple_of(BATCH as u64) {
                self.check_stop()?;
            }
            if read.lines > stored {
                batch.extend(read.take_in(&line, bulk.decode));
            }
            if batch.len() == BATCH {
                self.keep_lines(bulk, &mut batch, &reached(&read), pulled)?;
                self.progress.at(bulk.name, read.lines, None);
            }
        }
        self.keep_lines(bulk, &mut batch, &reached(&read), pulled)?;
        let Legibility {
            read: understood,
            unreadable,
        } = read.legibility();
        pulled.quarantined += unreadable;
        pulled.judge(&bulk.stream, understood, unreadable);
        Ok(read)
    }

    /// Commits records together with the cursor behind them.
    fn keep_lines<T>(
        &self,
        bulk: &Bulk<T>,
        records: &mut Vec<T>,
        reached: &Cursor,
        pulled: &mut Pulled,
    ) -> Result<(), PullError> {
        let mut page = self.mirror.page();
        pulled.add(bulk.name, records.len() as u64);
        records
            .drain(..)
            .try_for_each(|record| (bulk.store)(&mut page, record))?;
        page.cursor(&bulk.stream, reached);
        Ok(page.commit()?)
    }
}

/// Whether a line is whole, whatever it says.
fn is_json(line: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(line).is_ok()
}
