//! Klaviyo's segment definitions (klaviyo.md, section 10), as far as they say what to fetch: which
//! metrics, event properties, profile properties and groups they read.

mod condition;
mod definition;

pub use condition::{Condition, FunnelStep, GroupMembership, MarketingConsent, MetricFilter};
pub use condition::{MetricFunnel, ProfileMetric, ProfileProperty};
pub use definition::{ConditionGroup, Definition, DefinitionError};
