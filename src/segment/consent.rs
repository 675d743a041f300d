//! Consent and permissions in definitions (klaviyo.md, sections 10.3 and 10.4).

use super::filter::Filter;
use super::presence::{Nullable, present};
use crate::model::Channel;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Channel, reachability and what was agreed to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Consent {
    /// The channel.
    pub channel: ConsentChannel,
    /// Whether marketing would reach the person.
    pub can_receive_marketing: bool,
    /// What was agreed to, and how.
    pub consent_status: ConsentStatus,
}

/// Channels with marketing consent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "Klaviyo's words")]
pub enum ConsentChannel {
    Email,
    Sms,
    Push,
}

impl ConsentChannel {
    /// The mirror's word for the channel; e-mail is always mirrored.
    pub(super) const fn mirrored(self) -> Option<Channel> {
        match self {
            Self::Email => None,
            Self::Sms => Some(Channel::Sms),
            Self::Push => Some(Channel::Push),
        }
    }
}

/// What was agreed to, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConsentStatus {
    /// What.
    pub subscription: Subscription,
    /// How and when; all of them must hold.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    pub filters: Nullable<Vec<ConsentFilter>>,
}

/// What was agreed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "Klaviyo's words")]
pub enum Subscription {
    Any,
    Subscribed,
    Unsubscribed,
    NeverSubscribed,
}

/// One of a consent's filters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "field", rename_all = "snake_case")]
#[allow(missing_docs, reason = "Klaviyo's words")]
pub enum ConsentFilter {
    StatusDate {
        filter: Filter,
    },
    BounceDate {
        filter: Filter,
    },
    ManualSuppressionDate {
        filter: Filter,
    },
    InvalidEmailDate {
        filter: Filter,
    },
    /// One published sample spells it without its second underscore.
    #[serde(alias = "is_double_optin")]
    IsDoubleOptIn {
        filter: Filter,
    },
    CustomSource {
        filter: Filter,
    },
    Method {
        method: String,
        #[serde(
            default,
            deserialize_with = "present",
            skip_serializing_if = "Option::is_none"
        )]
        filter: Nullable<Filter>,
    },
    /// A field that nothing here reads.
    #[serde(untagged)]
    Unknown(Value),
}

/// `permission` of `profile-permissions`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Permission {
    /// How far the person can be reached.
    pub reachable_status: Reachable,
    /// When; all of them must hold.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    pub filters: Nullable<Vec<PermissionFilter>>,
}

/// How far a person can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "Klaviyo's words")]
pub enum Reachable {
    ExplicitlyReachable,
    ExplicitlyUnreachable,
    ImplicitlyReachable,
    ImplicitlyUnreachable,
    ImplicitlyOrExplicitlyReachable,
    ImplicitlyOrExplicitlyUnreachable,
}

/// One of a permission's filters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "field", rename_all = "snake_case")]
#[allow(missing_docs, reason = "Klaviyo's words")]
pub enum PermissionFilter {
    EffectiveDate {
        filter: Filter,
    },
    RecordedDate {
        filter: Filter,
    },
    /// `subscribe_method` among them: the API does not show it (A27).
    #[serde(untagged)]
    Unknown(Value),
}
