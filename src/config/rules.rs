//! `[rules.*]`: thresholds.

use super::reader::{Complaint, Section};
use super::value::{above, choice, flag, text, whole};
use crate::policy::{
    BounceRule, ConsentRule, GroupRule, IdentityRule, Lifecycle, ParityRule, ParityScope, StaleRule,
};
use crate::segment::Assumptions;

/// Ten years: beyond it a number of days is a slip.
pub(super) const MANY_DAYS: u32 = 3650;

pub(super) struct Rules {
    pub stale: StaleRule,
    pub bounce: BounceRule,
    pub consent: ConsentRule,
    pub groups: GroupRule,
    pub lifecycle: Lifecycle,
    pub identity: IdentityRule,
}

/// `[parity]`: comparing segments with Klaviyo.
pub(super) fn parity(section: &Section<'_>) -> ParityRule {
    let usual = ParityRule::default();
    let scope = choice("read", &ParityScope::ALL, ParityScope::as_str);
    let people = |key, usual| section.read(key, whole(0..=100_000_000)).unwrap_or(usual);
    ParityRule {
        read: section.read("read", scope).unwrap_or(usual.read),
        members_per_pass: people("members_per_pass", usual.members_per_pass),
        sample: people("sample", usual.sample),
        probes: people("probes", usual.probes),
    }
}

/// `[assumptions]`: what Klaviyo does not document.
pub(super) fn assumptions(section: &Section<'_>) -> Assumptions {
    let usual = Assumptions::default();
    let switch = |key, usual| section.read(key, flag).unwrap_or(usual);
    let minutes = section.read("utc_offset_minutes", whole(-840..=840));
    Assumptions {
        utc_offset_minutes: minutes.unwrap_or(usual.utc_offset_minutes),
        last_includes_future: switch("last_includes_future", usual.last_includes_future),
        static_dates_are_days: switch("static_dates_are_days", usual.static_dates_are_days),
        negative_matches_missing: switch(
            "negative_matches_missing",
            usual.negative_matches_missing,
        ),
        empty_text_is_set: switch("empty_text_is_set", usual.empty_text_is_set),
        missing_is_no: switch("missing_is_no", usual.missing_is_no),
        no_country_is_outside: switch("no_country_is_outside", usual.no_country_is_outside),
    }
}

pub(super) fn read(rules: &Section<'_>, default_country: Option<String>) -> Rules {
    Rules {
        stale: rules.within("stale", stale),
        bounce: rules.within("bounce", bounce),
        consent: rules.within("consent", consent),
        groups: rules.within("groups", groups),
        lifecycle: rules.within("lifecycle", lifecycle),
        identity: rules.within("identity", |section| identity(section, default_country)),
    }
}

fn stale(section: &Section<'_>) -> StaleRule {
    let usual = StaleRule::default();
    let days = section.read("quiet_days", whole(1..=MANY_DAYS));
    // Without a single mail nobody can be silent.
    let mails = section.read("min_mails", whole(1..=10_000));
    StaleRule {
        quiet_days: days.unwrap_or(usual.quiet_days),
        min_mails: mails.unwrap_or(usual.min_mails),
        unless_segment: unless_segment(section),
    }
}

fn bounce(section: &Section<'_>) -> BounceRule {
    let usual = BounceRule::default();
    let rate = |key, high, usual| section.read(key, above(0.0, high)).unwrap_or(usual);
    let rule = BounceRule {
        healthy_rate: rate("healthy_rate", 0.99, usual.healthy_rate),
        dead_rate: rate("dead_rate", 0.99, usual.dead_rate),
        false_alarm: rate("false_alarm", 0.5, usual.false_alarm),
        missed: rate("missed", 0.5, usual.missed),
        min_span_days: section
            .read("min_span_days", whole(0..=365))
            .unwrap_or(usual.min_span_days),
        incident_min_sends: section
            .read("incident_min_sends", whole(1..=1_000_000))
            .unwrap_or(usual.incident_min_sends),
        incident_share: rate("incident_share", 1.0, usual.incident_share),
        act: section.read("act", flag).unwrap_or(usual.act),
        unless_segment: unless_segment(section),
    };
    if rule.healthy_rate >= rule.dead_rate {
        let message = "a dead mailbox must bounce more often than a healthy one";
        let help = format!(
            "`healthy_rate` is {}, `dead_rate` is {}",
            rule.healthy_rate, rule.dead_rate
        );
        section.complain("dead_rate", &Complaint::new(message).help(help));
    }
    rule
}

fn consent(section: &Section<'_>) -> ConsentRule {
    let usual = ConsentRule::default();
    ConsentRule {
        act: section.read("act", flag).unwrap_or(usual.act),
    }
}

/// People whom a rule leaves alone.
fn unless_segment(section: &Section<'_>) -> Vec<String> {
    section.each("unless_segment", text).unwrap_or_default()
}

fn groups(section: &Section<'_>) -> GroupRule {
    let usual = GroupRule::default();
    let people = |key, usual| section.read(key, whole(0..=100_000_000)).unwrap_or(usual);
    GroupRule {
        jump_share: section
            .read("jump_share", above(0.0, 10.0))
            .unwrap_or(usual.jump_share),
        jump_floor: people("jump_floor", usual.jump_floor),
        tiny_members: people("tiny_members", usual.tiny_members),
    }
}

fn lifecycle(section: &Section<'_>) -> Lifecycle {
    let usual = Lifecycle::default();
    let days = |key, usual| section.read(key, whole(1..=MANY_DAYS)).unwrap_or(usual);
    let limits = Lifecycle {
        new_lead_days: days("new_lead_days", usual.new_lead_days),
        active_days: days("active_days", usual.active_days),
        lapsed_days: days("lapsed_days", usual.lapsed_days),
        won_back_days: days("won_back_days", usual.won_back_days),
    };
    if limits.active_days >= limits.lapsed_days {
        let message = "`lapsed_days` must be more than `active_days`, or nobody is ever at risk";
        let help = format!(
            "`active_days` is {}, `lapsed_days` is {}",
            limits.active_days, limits.lapsed_days
        );
        section.complain("lapsed_days", &Complaint::new(message).help(help));
    }
    limits
}

fn identity(section: &Section<'_>, default_country: Option<String>) -> IdentityRule {
    let usual = IdentityRule::default();
    let external = section.read("external_id_is_customer", flag);
    IdentityRule {
        external_id_is_customer: external.unwrap_or(usual.external_id_is_customer),
        customer_id_property: section.read("customer_id_property", text),
        default_country,
    }
}
