//! What the operator wants, already validated: rules, thresholds, guards, managed lists.
//!
//! Built by `config` and read by the pure rooms. Defaults come from `analytics.md` and
//! `reliability.md`, section 2.2.

mod guard;
mod holiday;
mod lists;
mod parity;
mod rules;
mod segments;
mod writeback;

pub use guard::{Allowances, Budget, Guard, Guards, UnknownGuard};
pub use holiday::{Holiday, LOCKED_DAYS, Lock};
pub use lists::{ManagedList, Where};
pub use parity::{ParityRule, ParityScope};
pub use rules::{
    BounceRule, ConsentRule, GroupRule, IdentityRule, Lifecycle, Stage, StaleRule, Tier,
};
pub use segments::{LocalSegment, SegmentSource};
pub use writeback::{Fact, MetafieldMap, Mode, PropertyMap, TagMap};

use crate::model::EffectKind;
use crate::segment::Assumptions;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Everything an operator may decide about one shop.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Policy {
    /// How far the shop may be written to.
    pub mode: Mode,
    /// The mode of single kinds of effects, where it is another one.
    pub modes: BTreeMap<EffectKind, Mode>,
    /// When a person counts as stale.
    pub stale: StaleRule,
    /// When a mailbox counts as dead.
    pub bounce: BounceRule,
    /// What follows when the platforms contradict each other about a consent.
    pub consent: ConsentRule,
    /// When a list or segment draws attention.
    pub groups: GroupRule,
    /// What is assumed of Klaviyo's segments where it documents nothing.
    pub assumptions: Assumptions,
    /// How our evaluation of segments is compared with Klaviyo's.
    pub parity: ParityRule,
    /// Limits of the lifecycle stages.
    pub lifecycle: Lifecycle,
    /// How records become persons.
    pub identity: IdentityRule,
    /// Segments that lists and rules may name.
    pub segments: Vec<LocalSegment>,
    /// Klaviyo lists that driftless fills.
    pub lists: Vec<ManagedList>,
    /// Profile properties that driftless keeps.
    pub properties: PropertyMap,
    /// Customer tags that driftless keeps.
    pub tags: TagMap,
    /// The one customer metafield that driftless keeps.
    pub metafield: Option<MetafieldMap>,
    /// Days on which the shop sells more.
    pub holidays: Vec<Holiday>,
    /// What stops a plan before its first write.
    pub guards: Guards,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            mode: Mode::Observe,
            modes: BTreeMap::new(),
            stale: StaleRule::default(),
            bounce: BounceRule::default(),
            consent: ConsentRule::default(),
            groups: GroupRule::default(),
            assumptions: Assumptions::default(),
            parity: ParityRule::default(),
            lifecycle: Lifecycle::default(),
            identity: IdentityRule::default(),
            segments: Vec::new(),
            lists: Vec::new(),
            properties: PropertyMap::default(),
            tags: TagMap::default(),
            metafield: None,
            holidays: Vec::new(),
            guards: Guards::default(),
        }
    }
}

impl Policy {
    /// Whether effects of a kind may be written.
    pub fn allows(&self, kind: EffectKind) -> bool {
        let mode = self.modes.get(&kind).unwrap_or(&self.mode);
        *mode >= Mode::least_for(kind)
    }

    /// The rules as JSON, guards and mode left out: what must have been observed once before its
    /// consequences may be written (guard `first_run`). A segment that no list and no rule names has
    /// no consequences.
    pub fn rules_json(&self) -> String {
        let named = self.segment_names();
        let segments = self.segments.iter();
        let segments = segments.filter(|segment| named.contains(segment.name.as_str()));
        let rules = (
            (&self.stale, &self.bounce, &self.consent),
            (&self.lifecycle, &self.identity),
            (&self.lists, &self.properties, &self.tags, &self.metafield),
            segments.collect::<Vec<_>>(),
        );
        serde_json::to_string(&rules).unwrap_or_default()
    }

    /// Every segment that a list or a rule names, be it of this config or Klaviyo's.
    pub fn segment_names(&self) -> BTreeSet<&str> {
        let lists = self.lists.iter().flat_map(|list| {
            let who = &list.who;
            who.segment.iter().chain(&who.not_segment)
        });
        let rules = [&self.stale.unless_segment, &self.bounce.unless_segment];
        let names = lists.chain(rules).flatten();
        names.map(String::as_str).collect()
    }

    /// The segment of this config that has the name.
    pub fn local_segment(&self, name: &str) -> Option<&LocalSegment> {
        let mut segments = self.segments.iter();
        segments.find(|segment| segment.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::Definition;

    fn policy(definition: &str) -> Policy {
        let segment = |name: &str| LocalSegment {
            name: name.to_owned(),
            definition: Definition::parse(definition).unwrap(),
            source: SegmentSource::Inline,
        };
        Policy {
            segments: vec![segment("VIP"), segment("Unused")],
            ..Policy::default()
        }
    }

    #[test]
    fn the_rules_change_with_the_segments_that_they_name() {
        let (plain, other) = (policy("{}"), policy("null"));
        assert_eq!(plain.rules_json(), other.rules_json());
        let naming = |mut policy: Policy| {
            policy.bounce.unless_segment = vec!["VIP".to_owned()];
            policy.rules_json()
        };
        assert_ne!(naming(plain.clone()), plain.rules_json());
        assert_ne!(naming(plain.clone()), naming(other));
        let moved = SegmentSource::File("vip.json".into());
        let mut elsewhere = plain.clone();
        elsewhere.segments[0].source = moved;
        assert_eq!(naming(elsewhere), naming(plain));
    }

    #[test]
    fn a_budget_counts_every_kind_that_is_budgeted() {
        let counted = |kind| {
            let budgets = Guards::default().budgets();
            budgets.iter().any(|(_, _, kinds)| kinds.contains(&kind))
        };
        for kind in EffectKind::ALL {
            assert_eq!(counted(kind), kind.is_budgeted(), "{kind}");
        }
    }

    #[test]
    fn a_kind_may_have_a_mode_of_its_own() {
        let mut policy = Policy {
            mode: Mode::Full,
            ..Policy::default()
        };
        assert!(EffectKind::ALL.into_iter().all(|kind| policy.allows(kind)));
        policy.modes.insert(EffectKind::Suppression, Mode::Additive);
        policy.modes.insert(EffectKind::Tag, Mode::Enrich);
        let held = EffectKind::ALL
            .into_iter()
            .filter(|kind| !policy.allows(*kind));
        assert_eq!(held.collect::<Vec<_>>(), [EffectKind::Suppression]);
        policy.mode = Mode::Observe;
        policy.modes.insert(EffectKind::ListAdd, Mode::Additive);
        let allowed = EffectKind::ALL
            .into_iter()
            .filter(|kind| policy.allows(*kind));
        assert_eq!(
            allowed.collect::<Vec<_>>(),
            [EffectKind::ListAdd, EffectKind::Tag]
        );
    }

    #[test]
    fn every_place_that_may_name_a_segment_is_looked_at() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let mut policy = policy("{}");
        policy.stale.unless_segment = names(&["a", "b"]);
        policy.bounce.unless_segment = names(&["b", "c"]);
        let who = Where {
            segment: Some(names(&["d"])),
            not_segment: Some(names(&["e"])),
            ..Where::default()
        };
        policy.lists.push(ManagedList {
            name: "List".to_owned(),
            who,
        });
        let found: Vec<&str> = policy.segment_names().into_iter().collect();
        assert_eq!(found, ["a", "b", "c", "d", "e"]);
        assert!(policy.local_segment("VIP").is_some() && policy.local_segment("a").is_none());
    }
}
