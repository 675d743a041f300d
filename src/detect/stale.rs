//! Stale people: mailed, and silent.

use crate::model::{Code, Moment};
use crate::policy::StaleRule;
use crate::score::Facts;

/// Whether a person is stale: mailed at least so often, without a human act or an order for more than
/// the configured days. Somebody who never acted is silent since the first mail (since creation if
/// the rule asks for no mail). Too few mails are not staleness: nobody asked this person anything.
pub fn stale(facts: &Facts, rule: &StaleRule, now: Moment) -> Option<Code> {
    if facts.mails < rule.min_mails {
        return None;
    }
    let asked = facts.first_mail.or(facts.created);
    let (since, code) = match facts.last_human {
        Some(at) => (at, Code::StaleQuiet),
        None => (asked?, Code::StaleNeverEngaged),
    };
    (since.days_until(now) > i64::from(rule.quiet_days)).then_some(code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Lifecycle;
    use crate::score::fixtures::{Vendor, day, order, person};
    use crate::score::{Roles, facts};

    const NOW: i64 = 20_500;

    /// The verdict on somebody mailed and acting so many days ago.
    fn verdict(created: i64, mails: &[i64], clicks: &[i64], orders: &[i64]) -> Option<Code> {
        let mut vendor = Vendor::default();
        let ago = |days: &i64| day(NOW - days);
        let mut events = Vec::new();
        for at in mails {
            events.push(vendor.event("Received Email", ago(at), &[]));
            events.push(vendor.event("Opened Email", ago(at), &[("machine_open", "true")]));
        }
        events.extend(
            clicks
                .iter()
                .map(|at| vendor.event("Clicked Email", ago(at), &[])),
        );
        let mut dossier = person("a@shop.com", Some(ago(&created)), events);
        dossier.orders = orders.iter().map(|at| order(ago(at), 1_000)).collect();
        let roles = Roles::of(&vendor.vocabulary);
        let facts = facts(&dossier, &roles, &Lifecycle::default(), day(NOW));
        stale(&facts, &StaleRule::default(), day(NOW))
    }

    #[test]
    fn mailed_often_and_silent_too_long_is_stale() {
        let mails = [300, 250, 200, 100, 50];
        assert_eq!(verdict(400, &mails, &[181], &[]), Some(Code::StaleQuiet));
        assert_eq!(verdict(400, &mails, &[180], &[]), None);
        assert_eq!(verdict(400, &mails, &[], &[200]), Some(Code::StaleQuiet));
        assert_eq!(verdict(400, &mails, &[300], &[10]), None);
    }

    #[test]
    fn machine_opens_keep_nobody_fresh() {
        let mails = [300, 250, 200, 100, 1];
        assert_eq!(
            verdict(400, &mails, &[], &[]),
            Some(Code::StaleNeverEngaged)
        );
    }

    #[test]
    fn never_or_hardly_mailed_is_not_stale() {
        assert_eq!(verdict(900, &[], &[], &[]), None);
        assert_eq!(verdict(900, &[], &[500], &[]), None);
        assert_eq!(verdict(900, &[400, 300, 200, 100], &[], &[]), None);
    }

    #[test]
    fn somebody_first_mailed_lately_has_had_no_time_to_answer() {
        let lately = [180, 100, 50, 20, 10];
        assert_eq!(verdict(180, &lately, &[], &[]), None);
        assert_eq!(verdict(900, &lately, &[], &[]), None);
        let longer = [181, 100, 50, 20, 10];
        assert_eq!(
            verdict(181, &longer, &[], &[]),
            Some(Code::StaleNeverEngaged)
        );
    }
}
