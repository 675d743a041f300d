//! Who belongs on a managed list.

use super::members::{Judged, all};
use crate::model::Moment;
use crate::policy::Where;
use crate::score::Facts;

impl Where {
    /// Whether every condition that is given holds; `None` when that hangs on something unknown. A
    /// person without an order satisfies no condition on the last order's age. `in_any` says whether
    /// the person is in one of some segments.
    pub(super) fn holds(
        &self,
        facts: &Facts,
        judged: &Judged,
        now: Moment,
        in_any: impl Fn(&[String]) -> Option<bool>,
    ) -> Option<bool> {
        let is = |wanted: Option<bool>, actual: Option<bool>| match wanted {
            Some(wanted) => actual.map(|actual| wanted == actual),
            None => Some(true),
        };
        let segments = |names: &Option<Vec<String>>, wanted| {
            let names = names.as_deref();
            names.map_or(Some(true), |names| is(Some(wanted), in_any(names)))
        };
        if !self.facts_hold(facts, now) {
            return Some(false);
        }
        all([
            is(self.stale, judged.stale()),
            is(self.bouncing, judged.bouncing()),
            segments(&self.segment, true),
            segments(&self.not_segment, false),
        ])
    }

    fn facts_hold(&self, facts: &Facts, now: Moment) -> bool {
        let days = facts.last_order.map(|at| at.days_until(now));
        self.stage
            .as_ref()
            .is_none_or(|stages| stages.contains(&facts.stage))
            && self
                .tier
                .as_ref()
                .is_none_or(|tiers| tiers.contains(&facts.tier))
            && self
                .reachable
                .is_none_or(|wanted| wanted == facts.reachable)
            && self
                .orders_at_least
                .is_none_or(|least| facts.orders >= least)
            && self.orders_at_most.is_none_or(|most| facts.orders <= most)
            && self.spent_at_least.is_none_or(|least| facts.spent >= least)
            && self.spent_at_most.is_none_or(|most| facts.spent <= most)
            && at_least(days, self.last_order_days_at_least)
            && at_most(days, self.last_order_days_at_most)
    }
}

fn at_least(days: Option<i64>, least: Option<u32>) -> bool {
    least.is_none_or(|least| days.is_some_and(|days| days >= i64::from(least)))
}

fn at_most(days: Option<i64>, most: Option<u32>) -> bool {
    most.is_none_or(|most| days.is_some_and(|days| days <= i64::from(most)))
}
