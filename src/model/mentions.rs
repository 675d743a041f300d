//! What the store bothers to keep.

use super::{Channel, MetricId};
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
    /// Built-in attributes of profiles by path: `title`, `location['city']`.
    pub attributes: BTreeSet<String>,
    /// Channels beside e-mail.
    pub channels: BTreeSet<Channel>,
    /// How and where consent to e-mail was given.
    pub consent_details: bool,
    /// Klaviyo's predictions. They make reading profiles five times slower.
    pub predictions: bool,
    /// Ids of lists whose members' times of joining are read.
    pub joined: BTreeSet<String>,
}

impl Mentions {
    /// Adds everything that `other` mentions; the prefix stays.
    pub fn extend(&mut self, other: Mentions) {
        self.profile.extend(other.profile);
        for (metric, properties) in other.events {
            self.events.entry(metric).or_default().extend(properties);
        }
        self.attributes.extend(other.attributes);
        self.channels.extend(other.channels);
        self.consent_details |= other.consent_details;
        self.predictions |= other.predictions;
        self.joined.extend(other.joined);
    }

    /// Whether a custom profile property is kept.
    pub fn keeps(&self, property: &str) -> bool {
        self.is_ours(property) || self.profile.contains(property)
    }

    /// Whether a custom profile property is one that driftless keeps.
    pub fn is_ours(&self, property: &str) -> bool {
        !self.profile_prefix.is_empty() && property.starts_with(&self.profile_prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_extension_adds_and_takes_nothing_away() {
        let of = |name: &str, flag: bool| Mentions {
            profile: [name.to_owned()].into(),
            events: [("M".into(), [name.to_owned()].into())].into(),
            attributes: [name.to_owned()].into(),
            joined: [name.to_owned()].into(),
            consent_details: flag,
            predictions: !flag,
            ..Mentions::default()
        };
        let mut mentions = of("a", true);
        mentions.extend(of("b", false));
        let both: BTreeSet<String> = ["a".to_owned(), "b".to_owned()].into();
        let joined = (&mentions.attributes, &mentions.joined);
        assert_eq!((&mentions.profile, joined), (&both, (&both, &both)));
        assert_eq!(mentions.events[&"M".into()], both);
        assert!(mentions.consent_details && mentions.predictions);
    }

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
