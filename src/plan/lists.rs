//! Who belongs on a managed list.

use crate::detect::Verdicts;
use crate::model::Moment;
use crate::policy::Where;
use crate::score::Facts;

impl Where {
    /// Whether every condition that is given holds. A person without an order satisfies no
    /// condition on the last order's age.
    pub fn holds(&self, facts: &Facts, verdicts: &Verdicts, now: Moment) -> bool {
        let days = facts.last_order.map(|at| at.days_until(now));
        let is = |wanted: Option<bool>, actual| wanted.is_none_or(|wanted| wanted == actual);
        self.stage
            .as_ref()
            .is_none_or(|stages| stages.contains(&facts.stage))
            && self
                .tier
                .as_ref()
                .is_none_or(|tiers| tiers.contains(&facts.tier))
            && is(self.stale, verdicts.stale.is_some())
            && is(self.bouncing, verdicts.bouncing)
            && is(self.reachable, facts.reachable)
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
