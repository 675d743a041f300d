//! `[[list]]`: Klaviyo lists kept equal to a rule.

use super::reader::{Complaint, Section};
use super::rules::MANY_DAYS;
use super::value::{choice, flag, money, quoted, text, whole};
use crate::policy::{ManagedList, Stage, Tier, Where};
use std::collections::BTreeSet;
use std::fmt::Display;

pub(super) fn read(root: &Section<'_>) -> Vec<ManagedList> {
    let mut names = BTreeSet::new();
    root.tables("list", |section| {
        let name = section.require("name", "\"Lapsed customers\"", text)?.value;
        // Klaviyo would take both; in its interface nobody could tell them apart.
        if !names.insert(name.to_lowercase()) {
            let message = format!("there is already a list {}", quoted(&name));
            let help = "one rule per list; join the two rules or name one of them otherwise";
            section.complain("name", &Complaint::new(message).help(help));
        }
        if !section.holds("who") {
            section.missing("who", "{ stage = [\"lapsed\"], reachable = true }");
            return None;
        }
        let who = section.within("who", conditions);
        Some(ManagedList { name, who })
    })
    .into_iter()
    .flatten()
    .collect()
}

fn conditions(who: &Section<'_>) -> Where {
    let found = Where {
        stage: who.each("stage", choice("stage", &Stage::ALL, Stage::as_str)),
        tier: who.each("tier", choice("tier", &Tier::ALL, Tier::as_str)),
        stale: who.read("stale", flag),
        bouncing: who.read("bouncing", flag),
        reachable: who.read("reachable", flag),
        orders_at_least: who.read("orders_at_least", whole(0..=1_000_000)),
        orders_at_most: who.read("orders_at_most", whole(0..=1_000_000)),
        spent_at_least: who.read("spent_at_least", money),
        spent_at_most: who.read("spent_at_most", money),
        last_order_days_at_least: who.read("last_order_days_at_least", whole(0..=MANY_DAYS)),
        last_order_days_at_most: who.read("last_order_days_at_most", whole(0..=MANY_DAYS)),
        segment: who.each("segment", text),
        not_segment: who.each("not_segment", text),
    };
    if who.is_empty() {
        let message = "`who` has no condition: everybody would be put on the list";
        let help = "to mean that, write `who = { reachable = true }`";
        who.complain_here(&Complaint::new(message).help(help));
    }
    let named = |names: &Option<Vec<String>>| names.clone().unwrap_or_default();
    let unwanted = named(&found.not_segment);
    let both = named(&found.segment).into_iter();
    for name in both.filter(|name| unwanted.contains(name)) {
        let message = format!("{} is wanted and unwanted", quoted(&name));
        who.complain("not_segment", &Complaint::new(message));
    }
    order(
        who,
        "orders_at_most",
        found.orders_at_least,
        found.orders_at_most,
    );
    order(
        who,
        "spent_at_most",
        found.spent_at_least,
        found.spent_at_most,
    );
    order(
        who,
        "last_order_days_at_most",
        found.last_order_days_at_least,
        found.last_order_days_at_most,
    );
    found
}

/// Nobody is at least 5 and at most 3.
fn order<T: PartialOrd + Display>(
    who: &Section<'_>,
    key: &'static str,
    least: Option<T>,
    most: Option<T>,
) {
    if let (Some(least), Some(most)) = (least, most)
        && least > most
    {
        let message = format!("nobody has at least {least} and at most {most}");
        who.complain(key, &Complaint::new(message));
    }
}
