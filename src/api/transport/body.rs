//! A body as it comes in: neither for ever nor by drops.

use super::unreachable;
use crate::api::{Cause, Fault, Phase};
use crate::clock::Clock;
use crate::model::Moment;
use bytes::Bytes;
use std::time::Duration;

/// Nothing at all for so long is the end.
const SILENCE: Duration = super::READ_TIMEOUT;
/// Of the time that is spent waiting for a body, each such span must bring [`LEAST`].
const SPAN: Duration = Duration::from_secs(30);
/// 1 KiB a second (reliability.md, section 7, row 26).
const LEAST: usize = 30 * 1024;

/// The rest of a reply whose head has come.
#[derive(Debug)]
pub(in crate::api) struct Body {
    response: reqwest::Response,
    host: Box<str>,
    /// Goes with the timers that end a wait.
    watch: Clock,
    /// Spent waiting in this span. What the reader takes in between is not the sender's fault.
    waited: Duration,
    /// Bytes in this span.
    came: usize,
}

impl Body {
    pub fn new(response: reqwest::Response, host: &str) -> Self {
        Self {
            response,
            host: host.into(),
            watch: Clock::with_timers(Moment(0)),
            waited: Duration::ZERO,
            came: 0,
        }
    }

    /// The next piece, decompressed; `None` after the last.
    ///
    /// # Errors
    /// [`Fault::Unreachable`] when it breaks off, takes too long or comes too slowly.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Fault> {
        let mut silent = Duration::ZERO;
        loop {
            let left = SILENCE.saturating_sub(silent);
            let left = left.min(SPAN.saturating_sub(self.waited));
            let begun = self.watch.monotonic();
            let read = tokio::time::timeout(left, self.response.chunk()).await;
            let took = self.watch.monotonic().saturating_sub(begun);
            (silent, self.waited) = (silent + took, self.waited + took);
            if let Ok(read) = read {
                let chunk = read.map_err(|e| unreachable(&self.host, Phase::Body, &e))?;
                self.came += chunk.as_ref().map_or(0, Bytes::len);
                return Ok(chunk);
            }
            if silent >= SILENCE {
                return Err(self.lost(Cause::Timeout));
            }
            if self.came < LEAST {
                return Err(self.lost(Cause::Slow));
            }
            (self.waited, self.came) = (Duration::ZERO, 0);
        }
    }

    fn lost(&self, cause: Cause) -> Fault {
        Fault::Unreachable {
            host: self.host.clone(),
            phase: Phase::Body,
            cause,
        }
    }
}
