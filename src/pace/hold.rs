//! The vendor's own word: wait.

use super::PAD;
use std::time::Duration;

/// Nothing is sent before this instant.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hold {
    until: Duration,
}

/// `RateLimit-Limit`, `RateLimit-Remaining` and `RateLimit-Reset` of one reply; they describe the
/// steady window only (klaviyo.md, section 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateHeaders {
    /// Requests per window.
    pub limit: u32,
    /// Left in this window, approximately.
    pub remaining: u32,
    /// Until the window starts anew.
    pub reset: Duration,
}

impl Hold {
    /// How long to wait; zero when nothing holds.
    pub fn wait(&self, now: Duration) -> Duration {
        self.until.saturating_sub(now)
    }

    /// Holds for at least `span` from `now`; an older, longer hold stays.
    pub fn extend(&mut self, now: Duration, span: Duration) {
        self.until = self.until.max(now.saturating_add(span));
    }

    /// Holds until the reset and `jitter` when less than a tenth of the window is left. A reset longer
    /// than the window is a fault of the header and counts as one window.
    pub fn observe(
        &mut self,
        now: Duration,
        headers: RateHeaders,
        window: Duration,
        jitter: Duration,
    ) {
        let left = u64::from(headers.remaining) * 10;
        if headers.limit > 0 && left < u64::from(headers.limit) {
            self.extend(now, headers.reset.min(window) + PAD + jitter);
        }
    }
}

impl RateHeaders {
    /// Whether the figures can be true together; if not, none of them is believed.
    pub fn is_sound(&self) -> bool {
        self.limit > 0 && self.remaining <= self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const NONE: Duration = Duration::ZERO;

    fn headers(limit: u32, remaining: u32, reset: u64) -> RateHeaders {
        RateHeaders {
            limit,
            remaining,
            reset: Duration::from_secs(reset),
        }
    }

    #[test]
    fn under_a_tenth_holds_until_the_reset() {
        let mut hold = Hold::default();
        hold.observe(MINUTE, headers(750, 75, 30), MINUTE, NONE);
        assert_eq!(hold.wait(MINUTE), Duration::ZERO);
        hold.observe(MINUTE, headers(750, 74, 30), MINUTE, NONE);
        assert_eq!(hold.wait(MINUTE), Duration::from_secs(30) + PAD);
        let jitter = Duration::from_millis(400);
        hold.observe(MINUTE, headers(750, 74, 30), MINUTE, jitter);
        assert_eq!(hold.wait(MINUTE), Duration::from_secs(30) + PAD + jitter);
    }

    #[test]
    fn figures_that_contradict_each_other_are_no_figures() {
        assert!(headers(750, 750, 60).is_sound() && headers(750, 0, 0).is_sound());
        assert!(!headers(0, 0, 60).is_sound() && !headers(750, 751, 60).is_sound());
    }

    #[test]
    fn nonsense_in_the_headers_never_holds_longer_than_a_window() {
        let mut hold = Hold::default();
        hold.observe(MINUTE, headers(0, 0, 30), MINUTE, NONE);
        assert_eq!(hold.wait(MINUTE), Duration::ZERO);
        hold.observe(MINUTE, headers(750, 0, u64::MAX), MINUTE, NONE);
        assert_eq!(hold.wait(MINUTE), MINUTE + PAD);
    }

    #[test]
    fn a_shorter_hold_never_shortens_a_longer_one() {
        let mut hold = Hold::default();
        hold.extend(Duration::ZERO, MINUTE);
        hold.extend(Duration::ZERO, Duration::from_secs(1));
        assert_eq!(hold.wait(Duration::ZERO), MINUTE);
    }
}
