//! Reads the result of one window line by line, in constant memory. Every batch commits together with the
//! window's position.

use super::{Kind, Pull, PullError, Pulled, Record, parse_position, position};
use crate::api::Fault;
use crate::mirror::Part;
use crate::model::BulkId;
use crate::plan::Legibility;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Lines that are committed together (store.md: a thousand small records to a batch).
const BATCH: usize = 1000;

/// A result that is ready to be read.
pub(super) struct Ready {
    pub kind: Kind,
    /// The window's number and what is stored of it.
    pub window: (u32, Part),
    pub operation: BulkId,
    /// `None` for an empty result.
    pub url: Option<String>,
    /// Lines that there must be.
    pub roots: u64,
    /// Lines of all windows of the stream that were read.
    pub told: Arc<AtomicU64>,
}

/// How the reading of a result ended.
pub(super) struct Reading {
    pub kind: Kind,
    /// The window's number and what is stored of it now.
    pub window: (u32, Part),
    /// The link leads nowhere any more.
    pub gone: bool,
    /// What was read.
    pub pulled: Pulled,
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
    /// Lines and misfits before the first of these.
    sound: Option<(u64, u64)>,
}

impl Read {
    /// Decodes the last line that was read.
    fn take_in(&mut self, line: &str, kind: Kind) -> Option<Record> {
        let record = kind.decode(line);
        if record.is_none() && is_json(line) {
            self.misfits += 1;
        } else if record.is_none() {
            self.damaged += 1;
            self.sound.get_or_insert((self.lines - 1, self.misfits));
        }
        record
    }

    /// A window of which all sound lines were read, up to the first damaged one: those behind it are read
    /// again after a kill, which must see the damage again.
    fn settled(&self, window: &Part, operation: &BulkId) -> Part {
        let (lines, misfits) = self.sound.unwrap_or((self.lines, self.misfits));
        Part {
            position: Some(position(operation, lines)),
            seen: lines - misfits,
            unreadable: misfits,
            ..window.clone()
        }
    }

    /// What damaged lines held is missing, whatever their number says.
    fn undamaged(&self) -> u64 {
        self.lines - self.damaged
    }

    /// A window whose result came to its end.
    fn ended(&self, window: &Part, roots: u64) -> Part {
        let read = self.legibility();
        Part {
            seen: read.read,
            unreadable: read.unreadable,
            done: self.undamaged() == roots,
            ..window.clone()
        }
    }

    fn legibility(&self) -> Legibility {
        Legibility {
            read: self.undamaged().saturating_sub(self.misfits),
            unreadable: self.misfits,
        }
    }
}

impl Pull<'_> {
    /// Reads a result from where its window was left. One that lacks lines leaves the window not done.
    pub(super) async fn read_result(&self, ready: Ready) -> Result<Reading, PullError> {
        let mut pulled = Pulled::default();
        let (number, part) = &ready.window;
        let read = match &ready.url {
            None => Read::default(),
            Some(url) => match self.lines(&ready, url, &mut pulled).await {
                Err(PullError::Api(error)) if error.fault == Fault::NotFound => {
                    return Ok(Reading {
                        kind: ready.kind,
                        window: ready.window,
                        gone: true,
                        pulled,
                    });
                }
                read => read?,
            },
        };
        let part = read.ended(part, ready.roots);
        if part.done {
            self.keep_lines(&ready, &mut Vec::new(), &part, &mut pulled)?;
        } else {
            let (stream, roots) = (ready.kind.name(), ready.roots);
            let (number, count) = (*number, read.undamaged());
            tracing::warn!(
                stream,
                number,
                count,
                roots,
                "bulk result incomplete; asked again"
            );
        }
        Ok(Reading {
            kind: ready.kind,
            window: (*number, part),
            gone: false,
            pulled,
        })
    }

    /// Stores all lines after those that are stored.
    async fn lines(
        &self,
        ready: &Ready,
        url: &str,
        pulled: &mut Pulled,
    ) -> Result<Read, PullError> {
        let part = &ready.window.1;
        let stored = part.position.as_deref().and_then(parse_position);
        let stored = stored.map_or(0, |(_, lines)| lines);
        let mut lines = self.vendors.shopify.bulk_lines(url).await?;
        let mut read = Read {
            misfits: part.unreadable,
            ..Read::default()
        };
        let mut batch = Vec::with_capacity(BATCH);
        while let Some(line) = lines.next().await? {
            read.lines += 1;
            if read.lines.is_multiple_of(BATCH as u64) {
                self.check_stop()?;
            }
            if read.lines > stored {
                batch.extend(read.take_in(&line, ready.kind));
            }
            if batch.len() == BATCH {
                let settled = read.settled(part, &ready.operation);
                self.keep_lines(ready, &mut batch, &settled, pulled)?;
            }
        }
        let settled = read.settled(part, &ready.operation);
        self.keep_lines(ready, &mut batch, &settled, pulled)?;
        pulled.quarantined += read.misfits - part.unreadable;
        Ok(read)
    }

    /// Commits records together with the position behind them.
    fn keep_lines(
        &self,
        ready: &Ready,
        records: &mut Vec<Record>,
        reached: &Part,
        pulled: &mut Pulled,
    ) -> Result<(), PullError> {
        let (kind, count) = (ready.kind, records.len() as u64);
        let mut page = self.mirror.page();
        records
            .drain(..)
            .try_for_each(|record| record.store(&mut page))?;
        page.part(&kind.stream(), ready.window.0, reached);
        page.commit()?;
        pulled.add(kind.name(), count);
        let told = ready.told.fetch_add(count, Ordering::Relaxed) + count;
        self.progress.at(kind.name(), told, None);
        Ok(())
    }
}

/// Whether a line is whole, whatever it says.
fn is_json(line: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(line).is_ok()
}
