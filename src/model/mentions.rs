//! What definitions and rules read, and therefore what is worth storing.

use super::MetricId;
use std::collections::{BTreeMap, BTreeSet};

/// The properties that some definition or rule mentions. Nothing else is fetched or stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mentions {
    /// Custom profile properties, by full name.
    pub profile: BTreeSet<String>,
    /// Profile properties that start with this are ours and always kept; empty keeps none.
    pub profile_prefix: String,
    /// Metrics, and the event properties read from each. `$value` is always read.
    pub events: BTreeMap<MetricId, BTreeSet<String>>,
}
