//! A hard cap for a vendor's fixed window whose phase nobody knows.

use std::collections::VecDeque;
use std::time::Duration;

/// Added to every window: requests may arrive up to this much closer together than they left.
pub const PAD: Duration = Duration::from_millis(250);

/// The last `limit` send times of one window. A send is allowed when the `limit`-th last is older
/// than the window and [`PAD`], so no fixed window of any phase ever sees more than `limit`
/// arrivals (reliability.md, section 6, rule 1).
#[derive(Clone, Debug)]
pub struct Window {
    limit: usize,
    span: Duration,
    sent: VecDeque<Duration>,
}

impl Window {
    /// A window of length `span` that takes `limit` requests; a limit of zero counts as one.
    pub fn new(limit: u32, span: Duration) -> Self {
        let mut window = Self {
            limit: 1,
            span,
            sent: VecDeque::new(),
        };
        window.set_limit(limit);
        window
    }

    /// Changes the limit; what was sent stays counted.
    pub fn set_limit(&mut self, limit: u32) {
        self.limit = usize::try_from(limit).unwrap_or(usize::MAX).max(1);
    }

    /// How long to wait before the next send; zero when it may go now.
    pub fn wait(&self, now: Duration) -> Duration {
        let oldest = self.sent.len().checked_sub(self.limit);
        match oldest.and_then(|index| self.sent.get(index)) {
            Some(sent) => (*sent + self.span + PAD).saturating_sub(now),
            None => Duration::ZERO,
        }
    }

    /// How many sends are known since `then`, up to the limit.
    pub fn count_since(&self, then: Duration) -> u32 {
        let recent = self.sent.iter().rev().take_while(|sent| **sent >= then);
        u32::try_from(recent.count()).unwrap_or(u32::MAX)
    }

    /// Counts a send.
    pub fn record(&mut self, now: Duration) {
        while self.sent.len() >= self.limit {
            self.sent.pop_front();
        }
        // A send never counts as older than the one before it, whatever the caller's clock did.
        let at = self.sent.back().map_or(now, |last| now.max(*last));
        self.sent.push_back(at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_request_after_the_limit_waits_for_the_first_to_age() {
        let mut window = Window::new(2, SECOND);
        let start = Duration::from_secs(100);
        for step in [0, 300] {
            assert_eq!(window.wait(start), Duration::ZERO);
            window.record(start + Duration::from_millis(step));
        }
        let later = start + Duration::from_millis(400);
        assert_eq!(window.wait(later), Duration::from_millis(850));
        assert_eq!(window.wait(start + SECOND + PAD), Duration::ZERO);
    }

    #[test]
    fn a_lowered_limit_counts_what_was_sent_before() {
        let mut window = Window::new(10, SECOND);
        for _ in 0..5 {
            window.record(SECOND);
        }
        assert_eq!(window.wait(SECOND), Duration::ZERO);
        window.set_limit(3);
        assert_eq!(window.wait(SECOND), SECOND + PAD);
    }

    proptest! {
        #[test]
        fn no_fixed_window_of_any_phase_sees_more_than_the_limit(
            limit in 1_u32..20,
            pauses in proptest::collection::vec(0_u64..400, 1..200),
            delays in proptest::collection::vec(0_u64..=250, 200),
            phase in 0_u64..1000,
        ) {
            let mut window = Window::new(limit, SECOND);
            let mut now = Duration::from_secs(5);
            let mut arrivals: Vec<u64> = Vec::new();
            for (pause, delay) in pauses.iter().zip(&delays) {
                now += Duration::from_millis(*pause);
                now += window.wait(now);
                window.record(now);
                arrivals.push(u64::try_from(now.as_millis()).unwrap() + delay);
            }
            let mut per_window = std::collections::BTreeMap::<u64, u32>::new();
            for at in arrivals {
                *per_window.entry((at + phase) / 1000).or_default() += 1;
            }
            prop_assert!(per_window.values().all(|count| *count <= limit));
        }

        #[test]
        fn waiting_as_told_is_always_enough(sends in 1_usize..60, limit in 1_u32..10) {
            let mut window = Window::new(limit, SECOND);
            let mut now = Duration::ZERO;
            for _ in 0..sends {
                now += window.wait(now);
                prop_assert_eq!(window.wait(now), Duration::ZERO);
                window.record(now);
            }
        }
    }
}
