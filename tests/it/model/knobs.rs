//! What an operator may change in a config while the shop goes on.

use crate::house::House;
use fastrand::Rng;

const BROAD: &str = "{ count = 100000, share = 1.0 }";

/// One key with the values it may have; the first is that of a shop at rest.
#[derive(Debug)]
struct Knob {
    section: &'static str,
    key: &'static str,
    values: &'static [&'static str],
    /// Whether another value is another rule, which must be released first.
    is_rule: bool,
}

const fn knob(
    section: &'static str,
    key: &'static str,
    is_rule: bool,
    values: &'static [&'static str],
) -> Knob {
    Knob {
        section,
        key,
        values,
        is_rule,
    }
}

const MODE: usize = 0;
const BUDGETS: usize = 1;
const KNOBS: [Knob; 16] = [
    knob(
        "write",
        "mode",
        true,
        &["\"full\"", "\"additive\"", "\"enrich\"", "\"observe\""],
    ),
    knob(
        "guards",
        "max_suppressions",
        false,
        &[BROAD, "{ count = 2, share = 1.0, floor = 0 }"],
    ),
    knob(
        "guards",
        "max_list_removals",
        false,
        &[BROAD, "{ count = 4, share = 1.0, floor = 0 }"],
    ),
    knob(
        "guards",
        "max_tag_changes",
        false,
        &[BROAD, "{ count = 9, share = 1.0, floor = 0 }"],
    ),
    knob(
        "guards",
        "max_property_changes",
        false,
        &[BROAD, "{ count = 20, share = 1.0, floor = 0 }"],
    ),
    knob(
        "guards",
        "max_unsubscriptions",
        false,
        &[BROAD, "{ count = 2, share = 1.0, floor = 0 }"],
    ),
    knob("guards", "segment_jump_floor", false, &["50", "5"]),
    knob("parity", "read", false, &["\"none\"", "\"all\""]),
    knob("rules.bounce", "act", true, &["true", "false"]),
    knob("rules.consent", "act", true, &["true", "false"]),
    knob("rules.bounce", "min_span_days", true, &["21", "5"]),
    knob("rules.lifecycle", "active_days", true, &["120", "60"]),
    knob(
        "shopify_tags",
        "facts",
        true,
        &["[\"stage\"]", "[\"stage\", \"tier\"]", "[\"stale\"]"],
    ),
    knob(
        "shopify_metafield",
        "facts",
        true,
        &["[\"orders\"]", "[\"stage\", \"last_order\"]"],
    ),
    knob(
        LIST,
        "who",
        true,
        &[
            "{ stage = [\"lapsed\"] }",
            "{ stage = [\"lapsed\", \"lead\"], reachable = true }",
        ],
    ),
    knob(LIST, "name", true, &["\"Win-back\"", "\"Come back\""]),
];

/// Of which there are several.
const LIST: &str = "[list]";

/// How far people may be changed within a day, by the writes that change them.
pub const BUDGETED: [(&[&str], usize); 5] = [
    (&["suppress"], 2),
    (&["list remove"], 4),
    (
        &["tagsAdd", "tagsRemove", "metafieldsSet", "metafieldsDelete"],
        9,
    ),
    (&["import"], 20),
    (&["unsubscribe", "customerEmailMarketingConsentUpdate"], 2),
];

/// Where each knob stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Setting([usize; KNOBS.len()]);

impl Setting {
    /// Gives a new house the values that a shop at rest has.
    pub fn furnish(house: &mut House) -> Self {
        for knob in KNOBS.iter().filter(|knob| knob.section != LIST) {
            house.edit(&[(knob.section, knob.key, knob.values[0])]);
        }
        Self::default()
    }

    /// Turns one knob somewhere else; says which.
    pub fn turn(&mut self, house: &mut House, random: &mut Rng) -> String {
        let nth = random.usize(..KNOBS.len());
        let others = KNOBS[nth].values.len() - 1;
        let to = (self.0[nth] + 1 + random.usize(..others)) % (others + 1);
        self.set(house, nth, to);
        format!("{} = {}", KNOBS[nth].key, KNOBS[nth].values[to])
    }

    /// Turns every knob back.
    pub fn reset(&mut self, house: &mut House) {
        for nth in 0..KNOBS.len() {
            self.set(house, nth, 0);
        }
    }

    fn set(&mut self, house: &mut House, nth: usize, to: usize) {
        let knob = &KNOBS[nth];
        let (old, new) = (knob.values[self.0[nth]], knob.values[to]);
        match knob.section {
            LIST => house.reword(
                &format!("{} = {old}", knob.key),
                &format!("{} = {new}", knob.key),
            ),
            _ => house.edit(&[(knob.section, knob.key, new)]),
        }
        self.0[nth] = to;
    }

    /// What an operator releases: rules and how far they may write.
    pub fn rules(&self) -> Vec<usize> {
        let rules = self.0.iter().zip(&KNOBS).filter(|(_, knob)| knob.is_rule);
        rules.map(|(at, _)| *at).collect()
    }

    pub fn only_observes(&self) -> bool {
        KNOBS[MODE].values[self.0[MODE]] == "\"observe\""
    }

    /// Whether the nth budget of [`BUDGETED`] is in force.
    pub fn is_tight(&self, nth: usize) -> bool {
        self.0[BUDGETS + nth] > 0
    }
}
