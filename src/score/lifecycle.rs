//! Where a buyer stands (analytics.md, section 2).

use crate::model::Moment;
use crate::policy::{Lifecycle, Stage};

/// The stage of somebody created, last and next-to-last buying at these instants. Days are UTC
/// dates. Without an order and without a date of creation nobody is new.
pub fn stage(
    created: Option<Moment>,
    last_order: Option<Moment>,
    previous_order: Option<Moment>,
    limits: &Lifecycle,
    now: Moment,
) -> Stage {
    let Some(last) = last_order else {
        let age = created.map(|at| at.days_until(now));
        let new = age.is_some_and(|days| days <= i64::from(limits.new_lead_days));
        return if new { Stage::NewLead } else { Stage::Lead };
    };
    let quiet = last.days_until(now);
    let gap = previous_order.map_or(0, |previous| previous.days_until(last));
    let returned = gap > i64::from(limits.lapsed_days);
    if returned && quiet <= i64::from(limits.won_back_days) {
        Stage::WonBack
    } else if quiet <= i64::from(limits.active_days) {
        Stage::Active
    } else if quiet <= i64::from(limits.lapsed_days) {
        Stage::AtRisk
    } else {
        Stage::Lapsed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden;

    #[test]
    fn every_golden_history_reaches_its_stage() {
        let Some(golden) = golden::json("rfm/lifecycle_cases.json") else {
            return;
        };
        let now = Moment::parse("2026-06-30T09:00:00Z").unwrap();
        let ago = |days: i64| Moment::from_day(now.day() - days);
        let limits = Lifecycle::default();
        assert_eq!(golden["thresholds"]["lapse"], limits.lapsed_days);
        for case in golden["cases"].as_array().unwrap() {
            let days = case["order_days_ago"].as_array().unwrap();
            let order = |at: usize| days.get(at).map(|days| ago(days.as_i64().unwrap()));
            let created = Some(ago(case["age_days"].as_i64().unwrap()));
            let stage = stage(created, order(0), order(1), &limits, now);
            assert_eq!(case["expected"], stage.as_str(), "{case}");
        }
    }

    #[test]
    fn nobody_is_new_without_a_date_of_creation() {
        let now = Moment::from_day(20_000);
        let limits = Lifecycle::default();
        assert_eq!(stage(None, None, None, &limits, now), Stage::Lead);
    }
}
