//! A limit that follows what the vendor's headers say.

use std::time::Duration;

/// A higher limit must have been claimed for this long before it is believed.
const TRUST_AFTER: Duration = Duration::from_secs(600);

/// A published limit no header may raise beyond this many times.
const MOST: u32 = 10;

/// The limit in force: lowered at once, raised only by ten minutes of the same claim
/// (reliability.md, section 6, rule 3).
#[derive(Clone, Copy, Debug)]
pub struct Ceiling {
    most: u32,
    limit: u32,
    higher: Option<(u32, Duration)>,
}

impl Ceiling {
    /// Starts at the published limit.
    pub fn new(published: u32) -> Self {
        Self {
            most: published.saturating_mul(MOST),
            limit: published,
            higher: None,
        }
    }

    /// Takes note of a header's limit; `Some` when the limit in force changes. Zero is ignored.
    pub fn observe(&mut self, claimed: u32, now: Duration) -> Option<u32> {
        let claimed = claimed.min(self.most);
        if claimed == 0 || claimed == self.limit {
            self.higher = None;
            return None;
        }
        if claimed > self.limit && !self.is_trusted(claimed, now) {
            return None;
        }
        self.higher = None;
        self.limit = claimed;
        Some(claimed)
    }

    fn is_trusted(&mut self, claimed: u32, now: Duration) -> bool {
        match self.higher {
            Some((same, since)) if same == claimed => now.saturating_sub(since) >= TRUST_AFTER,
            _ => {
                self.higher = Some((claimed, now));
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn down_at_once_and_up_after_ten_minutes_of_the_same_claim() {
        let mut ceiling = Ceiling::new(750);
        let at = Duration::from_secs;
        assert_eq!(ceiling.observe(700, at(0)), Some(700));
        assert_eq!(ceiling.observe(750, at(1)), None);
        assert_eq!(ceiling.observe(750, at(600)), None);
        assert_eq!(ceiling.observe(750, at(601)), Some(750));
        assert_eq!(ceiling.observe(750, at(602)), None);
    }

    #[test]
    fn a_claim_that_wavers_starts_over_and_zero_is_no_limit() {
        let mut ceiling = Ceiling::new(100);
        let at = Duration::from_secs;
        assert_eq!(ceiling.observe(0, at(0)), None);
        assert_eq!(ceiling.observe(200, at(0)), None);
        assert_eq!(ceiling.observe(300, at(300)), None);
        assert_eq!(ceiling.observe(300, at(700)), None);
        assert_eq!(ceiling.observe(300, at(900)), Some(300));
        assert_eq!(ceiling.observe(u32::MAX, at(901)), None);
        assert_eq!(ceiling.observe(u32::MAX, at(1600)), Some(1000));
    }
}
