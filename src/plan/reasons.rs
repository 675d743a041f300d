//! Why: the rule behind an effect, and what was known of the person when it was planned.

use super::Planned;
use crate::detect::Verdicts;
use crate::model::{Effect, Moment};
use crate::policy::Policy;
use crate::score::Facts;
use std::fmt::Write;

impl Planned {
    /// The rule that wants the effect, and its evidence.
    pub fn why(&self, policy: &Policy) -> String {
        let rule = rule(&self.effect, policy);
        match (self.effect.who(), &self.evidence) {
            (None, _) => rule,
            (Some(_), Some(evidence)) => format!("{rule}: {evidence}"),
            (Some(_), None) => format!("{rule}: no record of the profile"),
        }
    }
}

/// Where in the config an effect comes from.
fn rule(effect: &Effect, policy: &Policy) -> String {
    match effect {
        Effect::ListExists { list }
        | Effect::OnList { list, .. }
        | Effect::OffList { list, .. } => {
            let list = policy.lists.get(*list);
            format!("list `{}`", list.map_or("", |list| list.name.as_str()))
        }
        Effect::Properties { .. } => "properties".to_owned(),
        Effect::Suppressed { .. } => "rules.bounce".to_owned(),
        Effect::Unsubscribed { at, .. } => {
            format!("rules.consent, unsubscribed at Shopify on {at}")
        }
        Effect::CustomerUnsubscribed { at, .. } => {
            format!("rules.consent, unsubscribed in Klaviyo on {at}")
        }
        Effect::Tags { .. } => "shopify_tags".to_owned(),
        Effect::Metafield { .. } => "shopify_metafield".to_owned(),
    }
}

/// What rules read of a person, and what was found.
pub(super) fn evidence(facts: &Facts, verdicts: &Verdicts) -> String {
    let date = |at: Option<Moment>| at.map(Moment::date);
    let last_order = date(facts.last_order);
    let last_order = last_order.map_or_else(String::new, |day| format!(" (last {day})"));
    let last_act = date(facts.last_human);
    let last_act = last_act.map_or_else(
        || "no human act".to_owned(),
        |day| format!("last act {day}"),
    );
    let reachable = if facts.reachable {
        "reachable"
    } else {
        "out of reach"
    };
    let mut text = format!(
        "stage {}, tier {}, orders {}{last_order}, {last_act}, {reachable}",
        facts.stage.as_str(),
        facts.tier.as_str(),
        facts.orders,
    );
    for finding in &verdicts.findings {
        // Writing to a String cannot fail.
        let _ = write!(text, "; {}: {}", finding.code.as_str(), finding.evidence);
    }
    text
}
