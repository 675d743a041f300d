//! Shopify's leaking bucket of query cost.

use std::time::Duration;

/// `extensions.cost.throttleStatus` of a reply (shopify.md, section 3.2).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Throttle {
    /// Size of the bucket, in points.
    pub maximum: f64,
    /// Points in it now.
    pub available: f64,
    /// Points that come back each second.
    pub restore: f64,
}

impl Throttle {
    fn is_sane(&self) -> bool {
        let numbers = [self.maximum, self.available, self.restore];
        numbers.iter().all(|number| number.is_finite()) && self.maximum > 0.0 && self.restore > 0.0
    }

    /// How long until a refused request of this cost fits.
    pub fn wait_for(&self, cost: f64) -> Duration {
        let missing = cost.min(self.maximum) - self.available;
        if !self.is_sane() || missing <= 0.0 {
            return Duration::ZERO;
        }
        Duration::try_from_secs_f64(missing / self.restore).unwrap_or(Duration::MAX)
    }
}

/// Our picture of the bucket, corrected by every reply.
#[derive(Clone, Debug)]
pub struct CostBucket {
    level: Throttle,
    read_at: Duration,
    in_flight: f64,
}

impl CostBucket {
    /// The smallest plan's bucket, full: 2,000 points, 100 a second. The first reply corrects it.
    pub fn new(now: Duration) -> Self {
        Self {
            level: Throttle {
                maximum: 2000.0,
                available: 2000.0,
                restore: 100.0,
            },
            read_at: now,
            in_flight: 0.0,
        }
    }

    /// How long until `cost` points are there.
    pub fn wait(&self, cost: f64, now: Duration) -> Duration {
        let level = Throttle {
            available: self.available(now),
            ..self.level
        };
        level.wait_for(cost)
    }

    /// Takes `cost` points out for a request that leaves now.
    pub fn spend(&mut self, cost: f64, now: Duration) {
        self.level.available = self.available(now) - cost;
        self.read_at = now;
        self.in_flight += cost;
    }

    /// The request that cost `cost` was answered. What the reply says of the bucket replaces our
    /// picture, less what is still on its way; a reply without it, or with nonsense, gives nothing
    /// back.
    pub fn settle(&mut self, cost: f64, reply: Option<Throttle>, now: Duration) {
        self.in_flight = (self.in_flight - cost).max(0.0);
        if let Some(level) = reply.filter(Throttle::is_sane) {
            let available = level.available.min(level.maximum) - self.in_flight;
            self.level = Throttle { available, ..level };
            self.read_at = now;
        }
    }

    fn available(&self, now: Duration) -> f64 {
        let restored = self.level.restore * now.saturating_sub(self.read_at).as_secs_f64();
        (self.level.available + restored).min(self.level.maximum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const AT: Duration = Duration::from_secs(50);

    fn throttle(available: f64, restore: f64) -> Throttle {
        Throttle {
            maximum: 2000.0,
            available,
            restore,
        }
    }

    #[test]
    fn a_request_waits_for_what_is_missing() {
        let mut bucket = CostBucket::new(AT);
        bucket.settle(0.0, Some(throttle(12.0, 100.0)), AT);
        assert_eq!(bucket.wait(10.0, AT), Duration::ZERO);
        assert_eq!(bucket.wait(112.0, AT), Duration::from_secs(1));
        assert_eq!(
            bucket.wait(112.0, AT + Duration::from_secs(1)),
            Duration::ZERO
        );
    }

    #[test]
    fn a_reply_corrects_the_picture_but_not_what_is_on_its_way() {
        let mut bucket = CostBucket::new(AT);
        bucket.spend(100.0, AT);
        bucket.spend(300.0, AT);
        bucket.settle(100.0, Some(throttle(400.0, 50.0)), AT);
        assert_eq!(bucket.wait(100.0, AT), Duration::ZERO);
        assert_eq!(bucket.wait(200.0, AT), Duration::from_secs(2));
    }

    #[test]
    fn nonsense_in_a_reply_is_ignored_and_no_wait_is_endless() {
        let mut bucket = CostBucket::new(AT);
        for wrong in [
            throttle(f64::NAN, 100.0),
            throttle(0.0, 0.0),
            throttle(0.0, -5.0),
        ] {
            bucket.settle(0.0, Some(wrong), AT);
            assert_eq!(bucket.wait(1000.0, AT), Duration::ZERO);
        }
        bucket.spend(2000.0, AT);
        assert_eq!(bucket.wait(1e12, AT), Duration::from_secs(20));
    }

    proptest! {
        #[test]
        fn a_client_that_waits_as_told_is_never_refused(costs in proptest::collection::vec(1_u32..900, 1..60)) {
            let (mut bucket, mut server) = (CostBucket::new(AT), 2000.0_f64);
            let mut now = AT;
            for cost in costs {
                let wait = bucket.wait(f64::from(cost), now);
                now += wait;
                server = (server + 100.0 * wait.as_secs_f64()).min(2000.0);
                prop_assert!(server + 1e-3 >= f64::from(cost));
                bucket.spend(f64::from(cost), now);
                server -= f64::from(cost);
                bucket.settle(f64::from(cost), Some(throttle(server, 100.0)), now);
            }
        }
    }
}
