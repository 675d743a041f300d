//! Daily caps: how much of each was spent today.

use crate::model::{DAY_MS, Moment};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// Requests spent on one UTC day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayCount {
    /// Days since 1970-01-01, UTC.
    pub day: i64,
    /// Requests on that day.
    pub count: u32,
}

/// What was spent of every daily cap, by endpoint class. It outlives a restart only if the caller
/// keeps [`DayLedger::counts`] and hands it to [`DayLedger::restore`]: a restart must not refill it.
#[derive(Clone, Debug, Default)]
pub struct DayLedger(BTreeMap<String, DayCount>);

impl DayLedger {
    /// How long until one more request fits under `cap`: zero, or until the next midnight UTC.
    pub fn wait(&self, class: &str, cap: u32, now: Moment) -> Duration {
        match self.0.get(class) {
            // A clock that stepped back does not refill the day that was already spent.
            Some(spent) if spent.day >= now.day() && spent.count >= cap => {
                Moment(spent.day.saturating_add(1).saturating_mul(DAY_MS)).since(now)
            }
            _ => Duration::ZERO,
        }
    }

    /// Counts a request.
    pub fn record(&mut self, class: &str, now: Moment) {
        let fresh = DayCount {
            day: now.day(),
            count: 0,
        };
        let spent = self.0.entry(class.to_owned()).or_insert(fresh);
        if spent.day < fresh.day {
            *spent = fresh;
        }
        spent.count = spent.count.saturating_add(1);
    }

    /// Counts a request that was counted last, and never left, no more.
    pub fn take_back(&mut self, class: &str) {
        if let Some(spent) = self.0.get_mut(class) {
            spent.count = spent.count.saturating_sub(1);
        }
    }

    /// What was spent, by class.
    pub fn counts(&self) -> &BTreeMap<String, DayCount> {
        &self.0
    }

    /// Takes up counts from before a restart; the larger count of the same day wins.
    pub fn restore(&mut self, counts: BTreeMap<String, DayCount>) {
        for (class, kept) in counts {
            let spent = self.0.entry(class).or_insert(kept);
            if (kept.day, kept.count) > (spent.day, spent.count) {
                *spent = kept;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noon(day: i64) -> Moment {
        Moment::from_day(day).plus(Duration::from_secs(12 * 3600))
    }

    #[test]
    fn a_spent_cap_opens_again_at_midnight() {
        let mut ledger = DayLedger::default();
        for _ in 0..2 {
            assert_eq!(ledger.wait("reports", 2, noon(100)), Duration::ZERO);
            ledger.record("reports", noon(100));
        }
        let half_a_day = Duration::from_secs(12 * 3600);
        assert_eq!(ledger.wait("reports", 2, noon(100)), half_a_day);
        assert_eq!(ledger.wait("lists", 2, noon(100)), Duration::ZERO);
        assert_eq!(ledger.wait("reports", 2, noon(101)), Duration::ZERO);
    }

    #[test]
    fn neither_a_restart_nor_a_clock_that_steps_back_refills_it() {
        let mut before = DayLedger::default();
        before.record("reports", noon(100));
        let mut after = DayLedger::default();
        after.restore(before.counts().clone());
        assert!(after.wait("reports", 1, noon(100)) > Duration::ZERO);
        assert!(after.wait("reports", 1, noon(99)) > Duration::ZERO);
        after.record("reports", noon(99));
        assert_eq!(after.counts()["reports"].count, 2);
    }
}
