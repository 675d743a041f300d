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

/// What a result file held.
#[derive(Clone, Copy, Debug, Default)]
struct Read {
    /// Lines that came undamaged.
    lines: u64,
    /// Enough of them could be understood.
    whole: bool,
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
            None => Read {
                lines: 0,
                whole: true,
            },
        };
        let complete = read.whole && read.lines == roots;
        let read = read.lines;
        let mut page = self.mirror.page();
        if complete {
            let watermark = cursor.run_start;
            page.cursor(
                &bulk.stream,
                &Cursor {
                    watermark,
                    done: true,
                    ..Cursor::default()
                },
            );
        } else {
            // A truncated file: what it held is good, what it lacks proves nothing.
            tracing::warn!(
                stream = bulk.name,
                read,
                roots,
                "bulk result incomplete; asked again"
            );
            page.cursor(&bulk.stream, &Cursor::default());
        }
        page.commit()?;
        let listing = Listing {
            name: bulk.name.to_owned(),
            count: read,
            before: self.mirror.complete_count(&bulk.stream)?,
            complete,
        };
        let stream = bulk.stream.clone();
        pulled.listings.push(Counted { stream, listing });
        self.progress.over(bulk.name, read);
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

    /// Stores all lines after the first `stored`, and counts all but those that were damaged on their way:
    /// what these held is missing, whatever their number says.
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
        // After a kill those before it count as well.
        let (mut read, mut misfits) = (0, cursor.unreadable);
        let mut damaged = Vec::new();
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let line = lines.next().await?;
            let last = line.is_none();
            if let Some(line) = line {
                read += 1;
                if read <= stored {
                    continue;
                }
                match (bulk.decode)(&line) {
                    Some(record) => batch.push(record),
                    None if is_json(&line) => misfits += 1,
                    None => damaged.push(read),
                }
            }
            if batch.len() == BATCH || (last && !batch.is_empty()) {
                self.check_stop()?;
                pulled.add(bulk.name, batch.len() as u64);
                // After a kill the damage must be seen again.
                let sound = damaged.first().map_or(read, |first| first - 1);
                let reached = Cursor {
                    position: Some(position(operation, sound)),
                    unreadable: misfits,
                    ..cursor.clone()
                };
                self.keep_lines(bulk, batch.drain(..), &reached)?;
                self.progress.at(bulk.name, read, None);
            }
            if last {
                let read = read - damaged.len() as u64;
                let legibility = Legibility {
                    read: read.saturating_sub(misfits),
                    unreadable: misfits,
                };
                pulled.quarantined += misfits;
                pulled.judge(&bulk.stream, legibility.read, misfits);
                return Ok(Read {
                    lines: read,
                    whole: !legibility.is_poor(),
                });
            }
        }
    }

    /// Commits records together with the cursor behind them.
    fn keep_lines<T>(
        &self,
        bulk: &Bulk<T>,
        mut records: impl Iterator<Item = T>,
        reached: &Cursor,
    ) -> Result<(), PullError> {
        let mut page = self.mirror.page();
        records.try_for_each(|record| (bulk.store)(&mut page, record))?;
        page.cursor(&bulk.stream, reached);
        Ok(page.commit()?)
    }
}

/// Whether a line is whole, whatever it says.
fn is_json(line: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(line).is_ok()
}
