//! One condition. Filters stay JSON here: what they say matters only to an evaluator.

use crate::model::{Mentions, MetricId};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Public samples use both names for one flag (klaviyo.md, section 10.5).
const SYNONYMS: [&str; 2] = ["Apple Privacy Open", "machine_open"];

/// A condition, typed as far as it says what it reads. Fields that are not named here are kept in
/// `rest`.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// What somebody did, how often or for how much.
    Metric(ProfileMetric),
    /// Things done, or not done, in order.
    Funnel(MetricFunnel),
    /// A property of the profile.
    Property(ProfileProperty),
    /// Being on a list or in a segment, or not.
    GroupMembership(GroupMembership),
    /// Consent to marketing on a channel.
    MarketingConsent(MarketingConsent),
    /// A type, or a shape, that nothing here reads.
    Unknown(Value),
}

/// `profile-metric`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProfileMetric {
    /// The metric that is counted or summed.
    pub metric_id: MetricId,
    /// Which of its events; absent and `null` mean all, and are told apart.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    pub metric_filters: Option<Option<Vec<MetricFilter>>>,
    /// Everything else.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// One of `metric_filters`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricFilter {
    /// The raw event property.
    pub property: String,
    /// Everything else, the filter first of all.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// `profile-metric-funnel`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricFunnel {
    /// In order.
    pub steps: Vec<FunnelStep>,
    /// Everything else.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// One step of a funnel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FunnelStep {
    /// The metric.
    pub metric_id: MetricId,
    /// Which of its events; absent and `null` mean all, and are told apart.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    pub metric_filters: Option<Option<Vec<MetricFilter>>>,
    /// Everything else.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// `profile-property`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProfileProperty {
    /// A path: `email`, `location['city']`, `properties['Name']`.
    pub property: String,
    /// Everything else, the filter first of all.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// `profile-group-membership`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroupMembership {
    /// In any of the groups, or in none.
    pub is_member: bool,
    /// Lists or segments.
    pub group_ids: Vec<String>,
    /// Everything else.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// `profile-marketing-consent`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MarketingConsent {
    /// Channel, reachability, subscription and its filters (klaviyo.md, section 10.3).
    pub consent: Map<String, Value>,
    /// Everything else.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

impl Condition {
    /// Reads a condition; a known type in an unexpected shape is as unknown as an unknown type.
    pub(super) fn from_json(json: Value) -> Self {
        let read = match json.get("type").and_then(Value::as_str) {
            Some("profile-metric") => ProfileMetric::deserialize(&json).map(Self::Metric),
            Some("profile-metric-funnel") => MetricFunnel::deserialize(&json).map(Self::Funnel),
            Some("profile-property") => ProfileProperty::deserialize(&json).map(Self::Property),
            Some("profile-group-membership") => {
                GroupMembership::deserialize(&json).map(Self::GroupMembership)
            }
            Some("profile-marketing-consent") => {
                MarketingConsent::deserialize(&json).map(Self::MarketingConsent)
            }
            _ => return Self::Unknown(json),
        };
        read.unwrap_or(Self::Unknown(json))
    }

    /// The JSON it was read from.
    pub fn to_json(&self) -> Value {
        let written = match self {
            Self::Metric(condition) => serde_json::to_value(condition),
            Self::Funnel(condition) => serde_json::to_value(condition),
            Self::Property(condition) => serde_json::to_value(condition),
            Self::GroupMembership(condition) => serde_json::to_value(condition),
            Self::MarketingConsent(condition) => serde_json::to_value(condition),
            Self::Unknown(json) => Ok(json.clone()),
        };
        written.expect("structs of JSON with text keys are JSON")
    }

    /// Adds what must be fetched for it.
    pub(super) fn mention(&self, mentions: &mut Mentions) {
        match self {
            Self::Metric(metric) => {
                mention_metric(&metric.metric_id, &metric.metric_filters, mentions);
            }
            Self::Funnel(funnel) => {
                for step in &funnel.steps {
                    mention_metric(&step.metric_id, &step.metric_filters, mentions);
                }
            }
            Self::Property(property) => {
                mentions
                    .profile
                    .extend(custom(&property.property).map(String::from));
            }
            Self::GroupMembership(_) | Self::MarketingConsent(_) | Self::Unknown(_) => {}
        }
    }
}

fn mention_metric(
    metric: &MetricId,
    filters: &Option<Option<Vec<MetricFilter>>>,
    mentions: &mut Mentions,
) {
    let read: &mut BTreeSet<String> = mentions.events.entry(metric.clone()).or_default();
    for filter in filters.iter().flatten().flatten() {
        match filter.property.as_str() {
            "$value" => {}
            name if SYNONYMS.contains(&name) => read.extend(SYNONYMS.map(String::from)),
            name => {
                read.insert(name.to_owned());
            }
        }
    }
}

/// The name in `properties['name']`: everything between the first `['` and the last `']`.
fn custom(path: &str) -> Option<&str> {
    let name = path.strip_prefix("properties['")?.strip_suffix("']")?;
    (!name.is_empty()).then_some(name)
}

/// Tells `null` from absent: the inner `None` is `null`.
fn present<'de, D, T>(field: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(field).map(Some)
}
