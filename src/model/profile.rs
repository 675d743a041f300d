//! Klaviyo's record of a human. Fields that definitions read and rules do not are filled only as
//! far as something mentions them ([`super::Mentions`]).

use super::{Moment, ProfileId, Value};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A Klaviyo profile (klaviyo.md, section 4.1), cut to what rules and definitions read. Its texts are
/// its own, or borrowed from where it is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound(deserialize = "T: Ord + Deserialize<'de>"))]
pub struct Profile<T = String> {
    /// Klaviyo's own id.
    pub id: ProfileId,
    /// As stored upstream, not normalised.
    pub email: Option<T>,
    /// E.164 upstream; kept as sent.
    pub phone: Option<T>,
    /// The merchant's own id for this profile.
    pub external_id: Option<T>,
    /// `location.country`: a display name or a code, whatever the sender wrote.
    pub country: Option<T>,
    /// When the profile was created.
    pub created: Option<Moment>,
    /// Last change of any property, Klaviyo-maintained timestamps included.
    pub updated: Option<Moment>,
    /// E-mail marketing state; `None` when subscriptions were not fetched.
    pub email_marketing: Option<EmailMarketing<T>>,
    /// Custom properties that a definition, a rule or our own prefix mentions.
    pub properties: BTreeMap<T, Value<T>>,
    /// Mentioned built-in attributes as sent, by path (`title`, `location['city']`), as far as no
    /// field above carries them faithfully.
    pub attributes: BTreeMap<T, Value<T>>,
    /// Mentioned channels beside e-mail; `None` when subscriptions were not fetched.
    pub channels: Option<BTreeMap<Channel, ChannelState<T>>>,
    /// `predictive_analytics` as sent, by key; `None` when it was not fetched.
    pub predictions: Option<BTreeMap<T, Value<T>>>,
}

/// A channel beside e-mail, with the kind of messages where Klaviyo tells them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Channel {
    /// `sms.marketing`.
    Sms,
    /// `mobile_push.marketing`.
    Push,
    /// `whatsapp.marketing`.
    WhatsappMarketing,
    /// `whatsapp.transactional`.
    WhatsappTransactional,
}

/// What `subscriptions` says about one channel. A field that was absent or null is `None`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChannelState<T = String> {
    /// Whether messages would reach the person.
    pub can_receive: Option<bool>,
    /// What the person agreed to, in Klaviyo's word.
    pub consent: Option<T>,
    /// When the consent was given or withdrawn.
    pub consent_at: Option<Moment>,
    /// When the consent was recorded.
    pub created_at: Option<Moment>,
    /// By what means it was given.
    pub method: Option<T>,
    /// Where exactly.
    pub method_detail: Option<T>,
}

impl<T> Default for ChannelState<T> {
    fn default() -> Self {
        Self {
            can_receive: None,
            consent: None,
            consent_at: None,
            created_at: None,
            method: None,
            method_detail: None,
        }
    }
}

/// `subscriptions.email.marketing`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EmailMarketing<T = String> {
    /// No *global* suppression exists, whatever the consent. `None` when the reply did not say.
    pub can_receive: Option<bool>,
    /// What the person agreed to.
    pub consent: Consent,
    /// When the consent was given or withdrawn.
    pub consent_at: Option<Moment>,
    /// Global suppressions; any of them stops marketing e-mail.
    pub suppressions: Vec<Suppression>,
    /// By what means the consent was given; this and what follows only when mentioned.
    pub method: Option<T>,
    /// Where exactly.
    pub method_detail: Option<T>,
    /// `custom_method_detail`: where exactly, in the merchant's words.
    pub custom_source: Option<T>,
    /// `double_optin` as sent, null included.
    pub double_optin: Option<Value<T>>,
}

/// E-mail marketing consent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Consent {
    /// Opted in.
    Subscribed,
    /// Opted out.
    Unsubscribed,
    /// Never asked or never answered.
    NeverSubscribed,
    /// A value this version does not know; it decides nothing.
    Other(String),
}

impl Consent {
    /// Klaviyo's word; empty when there was none.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Subscribed => "SUBSCRIBED",
            Self::Unsubscribed => "UNSUBSCRIBED",
            Self::NeverSubscribed => "NEVER_SUBSCRIBED",
            Self::Other(word) => word,
        }
    }
}

/// One global suppression.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suppression {
    /// Why.
    pub reason: SuppressionReason,
    /// Since when.
    pub at: Option<Moment>,
}

/// Reasons the API gives (klaviyo.md, section 4.1). There is none for soft bounces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SuppressionReason {
    /// The mailbox refused for good.
    HardBounce,
    /// The address cannot exist.
    InvalidEmail,
    /// Marked as spam.
    SpamComplaint,
    /// Unsubscribed globally.
    Unsubscribe,
    /// By a person, a job of ours, or Klaviyo's bot protection.
    UserSuppressed,
    /// A value this version does not know; it still suppresses.
    Other(String),
}

impl EmailMarketing {
    /// A consent of which nothing else is known.
    pub const fn new(consent: Consent) -> Self {
        Self {
            can_receive: None,
            consent,
            consent_at: None,
            suppressions: Vec::new(),
            method: None,
            method_detail: None,
            custom_source: None,
            double_optin: None,
        }
    }
}

impl Profile {
    /// A profile of which nothing but its id is known.
    pub fn new(id: impl Into<ProfileId>) -> Self {
        Self {
            id: id.into(),
            email: None,
            phone: None,
            external_id: None,
            country: None,
            created: None,
            updated: None,
            email_marketing: None,
            properties: BTreeMap::new(),
            attributes: BTreeMap::new(),
            channels: None,
            predictions: None,
        }
    }

    /// Whether marketing e-mail would reach this profile: it has an address, and upstream says it
    /// can receive. An unfetched or silent state counts as "no", so that nobody is added on a guess.
    pub fn is_reachable(&self) -> bool {
        let can = self
            .email_marketing
            .as_ref()
            .and_then(|marketing| marketing.can_receive);
        self.email.is_some() && can == Some(true)
    }

    /// Whether its owner agreed to marketing e-mail.
    pub fn is_subscribed(&self) -> bool {
        self.has_consent(&Consent::Subscribed)
    }

    /// Whether its owner refused marketing e-mail.
    pub fn is_unsubscribed(&self) -> bool {
        self.has_consent(&Consent::Unsubscribed)
    }

    fn has_consent(&self, consent: &Consent) -> bool {
        let marketing = self.email_marketing.as_ref();
        marketing.is_some_and(|marketing| marketing.consent == *consent)
    }

    /// Whether any global suppression is on record upstream.
    pub fn is_suppressed(&self) -> bool {
        self.email_marketing.as_ref().is_some_and(|marketing| {
            !marketing.suppressions.is_empty() || marketing.can_receive == Some(false)
        })
    }

    /// Whether a suppression for this very reason is on record upstream.
    pub fn is_suppressed_for(&self, reason: &SuppressionReason) -> bool {
        let marketing = self.email_marketing.as_ref();
        marketing.is_some_and(|m| m.suppressions.iter().any(|s| s.reason == *reason))
    }
}
