//! The conditions of the grammar, and driftless' own (klaviyo.md, sections 10.1 to 10.4).

use super::consent::{Consent, Permission};
use super::extension::{Fact, Radius, Sample};
use super::filter::Filter;
use super::presence::{Nullable, present};
use crate::model::{Channel, MetricId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One condition. A known type in an unexpected shape is as unknown as an unknown type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Condition {
    /// What somebody did, how often or for how much.
    ProfileMetric(ProfileMetric),
    /// Things done, or not done, in order.
    ProfileMetricFunnel(MetricFunnel),
    /// A property of the profile.
    ProfileProperty(ProfileProperty),
    /// Being on a list, or not.
    ProfileGroupMembership(GroupMembership),
    /// Consent to marketing on a channel.
    ProfileMarketingConsent(MarketingConsent),
    /// WhatsApp's permissions.
    ProfilePermissions(Permissions),
    /// Living in a part of the world.
    ProfileRegion(Region),
    /// Klaviyo's own predictions.
    ProfilePredictiveAnalytics(Predictive),
    /// Living near a postal code. Only Klaviyo knows its gazetteer.
    ProfilePostalCodeDistance(PostalCodeDistance),
    /// Objects of the merchant's own kinds. Their records cannot be read.
    ProfileHasCustomObject(CustomObject),
    /// Extension: within a distance of a place, by coordinates.
    DriftlessRadius(Radius),
    /// Extension: a fact that driftless works out from orders and events.
    DriftlessFact(Fact),
    /// Extension: a share of everybody, chosen by hash.
    DriftlessSample(Sample),
    /// A type, or a shape, that nothing here reads.
    #[serde(untagged)]
    Unknown(Value),
}

/// `profile-metric`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProfileMetric {
    /// The metric that is counted or summed.
    pub metric_id: MetricId,
    /// What is measured.
    pub measurement: Measurement,
    /// What the measure is compared with.
    pub measurement_filter: Filter,
    /// When it happened.
    pub timeframe_filter: Filter,
    /// Which of the metric's events; absent and `null` mean all, and are told apart.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    pub metric_filters: Nullable<Vec<MetricFilter>>,
}

/// What is measured of the events that count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Measurement {
    /// How many.
    Count,
    /// The sum of their `$value`.
    Sum,
}

/// One of `metric_filters`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricFilter {
    /// The raw event property.
    pub property: String,
    /// The test; absent and `null` ask nothing (A19), and are told apart.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    pub filter: Nullable<Filter>,
}

/// `profile-metric-funnel`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricFunnel {
    /// When it happened.
    pub timeframe_filter: Filter,
    /// How soon after its first step it must be over; absent and `null` ask nothing, and are told
    /// apart.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    pub completion_window_seconds: Nullable<CompletionWindow>,
    /// In order.
    pub steps: Vec<FunnelStep>,
}

/// One step of a funnel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FunnelStep {
    /// Whether it happened.
    pub metric_exists: bool,
    /// The metric.
    pub metric_id: MetricId,
    /// Which of its events; absent and `null` mean all, and are told apart.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    pub metric_filters: Nullable<Vec<MetricFilter>>,
}

/// `completion_window_seconds`: words, despite its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "they say what they are")]
pub enum CompletionWindow {
    #[serde(rename = "HOURS_1")]
    Hours1,
    #[serde(rename = "DAYS_1")]
    Days1,
    #[serde(rename = "DAYS_3")]
    Days3,
    #[serde(rename = "DAYS_5")]
    Days5,
    #[serde(rename = "WEEKS_1")]
    Weeks1,
    #[serde(rename = "DAYS_30")]
    Days30,
    #[serde(rename = "DAYS_90")]
    Days90,
    #[serde(rename = "DAYS_180")]
    Days180,
    #[serde(rename = "YEARS_1")]
    Years1,
}

/// `profile-property`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProfileProperty {
    /// A path: `email`, `location['city']`, `properties['Name']`.
    pub property: String,
    /// The test.
    pub filter: Filter,
}

/// `profile-group-membership`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroupMembership {
    /// On any of the lists, or on none.
    pub is_member: bool,
    /// Lists.
    pub group_ids: Vec<String>,
    /// When somebody joined; absent and `null` ask nothing, and are told apart.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    pub timeframe_filter: Nullable<Filter>,
}

/// `profile-marketing-consent`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MarketingConsent {
    /// Channel, reachability and what was agreed to.
    pub consent: Consent,
}

/// `profile-permissions`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Permissions {
    /// `whatsapp_marketing` or `whatsapp_transactional`.
    pub channel: PermissionChannel,
    /// What is permitted.
    pub permission: Permission,
}

/// The channels that have permissions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "Klaviyo's words")]
pub enum PermissionChannel {
    WhatsappMarketing,
    WhatsappTransactional,
}

impl PermissionChannel {
    /// The mirror's word for the channel.
    pub(super) const fn mirrored(self) -> Channel {
        match self {
            Self::WhatsappMarketing => Channel::WhatsappMarketing,
            Self::WhatsappTransactional => Channel::WhatsappTransactional,
        }
    }
}

/// `profile-region`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Region {
    /// Inside or outside.
    pub in_region: bool,
    /// Which.
    pub region: RegionName,
}

/// Klaviyo's two regions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "Klaviyo's words")]
pub enum RegionName {
    EuropeanUnion,
    UnitedStates,
}

/// `profile-predictive-analytics`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Predictive {
    /// A number.
    Number {
        /// Which.
        dimension: NumberDimension,
        /// The test.
        filter: Filter,
    },
    /// The expected date of the next order.
    NextPurchase {
        /// The one name.
        dimension: NextPurchase,
        /// The test.
        filter: Filter,
    },
    /// Which channel somebody prefers.
    Affinity(Affinity),
    /// Guessed from the first name. Not readable through the API.
    Gender {
        /// The one name.
        dimension: PredictedGender,
        /// The test.
        filter: Filter,
    },
}

/// Predictions that are numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "Klaviyo's words")]
pub enum NumberDimension {
    AverageDaysBetweenOrders,
    AverageOrderValue,
    ChurnProbability,
    HistoricClv,
    HistoricNumberOfOrders,
    PredictedClv,
    PredictedNumberOfOrders,
    TotalClv,
}

impl NumberDimension {
    /// The key in `predictive_analytics`.
    pub const fn key(self) -> &'static str {
        match self {
            Self::AverageDaysBetweenOrders => "average_days_between_orders",
            Self::AverageOrderValue => "average_order_value",
            Self::ChurnProbability => "churn_probability",
            Self::HistoricClv => "historic_clv",
            Self::HistoricNumberOfOrders => "historic_number_of_orders",
            Self::PredictedClv => "predicted_clv",
            Self::PredictedNumberOfOrders => "predicted_number_of_orders",
            Self::TotalClv => "total_clv",
        }
    }
}

/// `expected_date_of_next_purchase`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "Klaviyo's words")]
pub enum NextPurchase {
    ExpectedDateOfNextPurchase,
}

/// `predicted_gender`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "Klaviyo's words")]
pub enum PredictedGender {
    PredictedGender,
}

/// `channel_affinity`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Affinity {
    /// The one name.
    pub dimension: ChannelAffinity,
    /// By place in the ranking, or by its word, which the API does not show.
    pub measurement: AffinityMeasure,
    /// Of which channel.
    pub predicted_channel: String,
    /// The test.
    pub filter: Filter,
}

/// `channel_affinity`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "Klaviyo's words")]
pub enum ChannelAffinity {
    ChannelAffinity,
}

/// How affinity is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "Klaviyo's words")]
pub enum AffinityMeasure {
    Priority,
    Rank,
}

/// `profile-postal-code-distance`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PostalCodeDistance {
    /// ISO 3166 alpha-3.
    pub country_code: String,
    /// The place.
    pub postal_code: String,
    /// `kilometers` or `miles`.
    pub unit: DistanceUnit,
    /// How far.
    pub filter: Filter,
}

/// Units of distance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DistanceUnit {
    /// 1,000 m.
    Kilometers,
    /// 1,609.344 m.
    Miles,
}

/// `profile-has-custom-object`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CustomObject {
    /// The kind of object.
    pub object_type_id: String,
    /// How it hangs on the profile.
    pub object_type_relationship_id: String,
    /// How many.
    pub filter: Filter,
    /// Which.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    pub filters: Nullable<Vec<ObjectFilter>>,
}

/// A test of one property of a custom object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ObjectFilter {
    /// Which property.
    pub property_id: i64,
    /// The test.
    pub filter: Filter,
}
