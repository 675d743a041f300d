//! What the store bothers to keep.

use super::MetricId;
use std::collections::{BTreeMap, BTreeSet};

/// The property names that some segment definition or rule reads, and our own. Only these are
/// decoded and stored; everything else about a profile or an event is skipped on arrival.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mentions {
    /// Custom profile properties by name.
    pub profile: BTreeSet<String>,
    /// The prefix of the properties driftless keeps; empty means that it keeps none.
    pub profile_prefix: String,
    /// Event properties by metric.
    pub events: BTreeMap<MetricId, BTreeSet<String>>,
}

impl Mentions {
    /// Adds everything that `other` mentions; the prefix stays.
    pub fn extend(&mut self, other: Mentions) {
        self.profile.extend(other.profile);
        for (metric, properties) in other.events {
            self.events.entry(metric).or_default().extend(properties);
        }
    }

    /// Whether a custom profile property is kept.
    pub fn keeps(&self, property: &str) -> bool {
        let ours = !self.profile_prefix.is_empty() && property.starts_with(&self.profile_prefix);
        ours || self.profile.contains(property)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_prefix_keeps_nothing() {
        let mut mentions = Mentions::default();
        assert!(!mentions.keeps("tier"));
        mentions.profile.insert("tier".to_owned());
        mentions.profile_prefix = "driftless_".to_owned();
        assert!(mentions.keeps("tier"));
        assert!(mentions.keeps("driftless_stage"));
        assert!(!mentions.keeps("stage"));
    }
}
