//! Waiting for the vendor's jobs.

use super::Push;
use crate::clock::{Clock, Stop};
use std::time::Duration;

const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// A job that takes longer is looked at again by the next pass.
const PATIENCE: Duration = Duration::from_secs(2 * 60 * 60);

/// Looks at a job, further and further apart.
pub(super) struct Looks<'a> {
    clock: &'a Clock,
    stop: &'a Stop,
    until: Duration,
    wait: Duration,
}

impl<'a> Looks<'a> {
    pub fn new(push: &Push<'a>) -> Self {
        Self::within(push, PATIENCE)
    }

    /// As long as this.
    pub fn within(push: &Push<'a>, patience: Duration) -> Self {
        let until = push.clock.monotonic() + patience;
        Self {
            clock: push.clock,
            stop: push.stop,
            until,
            wait: FIRST_WAIT,
        }
    }

    /// Waits for the next look; `false` when there should be none.
    pub async fn again(&mut self) -> bool {
        if self.stop.is_set() || self.clock.monotonic() >= self.until {
            return false;
        }
        tokio::select! {
            () = self.clock.sleep(self.wait) => {}
            () = self.stop.wait() => return false,
        }
        self.wait = (self.wait * 2).min(LONGEST_WAIT);
        true
    }
}
