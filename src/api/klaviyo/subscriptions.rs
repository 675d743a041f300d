//! `subscriptions` of a profile: e-mail always, other channels as far as they are mentioned.

use crate::api::lenient;
use crate::model::{Channel, ChannelState, Consent, EmailMarketing, Mentions, Moment, Profile};
use crate::model::{Suppression, SuppressionReason, Value};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// Channels that may not be mentioned stay text: their shape matters to nobody then.
#[derive(Default, Deserialize)]
pub(super) struct Subscriptions<'a> {
    email: Option<Email>,
    #[serde(borrow)]
    sms: Option<&'a RawValue>,
    #[serde(borrow)]
    mobile_push: Option<&'a RawValue>,
    #[serde(borrow)]
    whatsapp: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Email {
    marketing: Option<Marketing>,
}

#[derive(Deserialize)]
struct Marketing {
    #[serde(default, deserialize_with = "lenient::boolean")]
    can_receive_email_marketing: Option<bool>,
    #[serde(default, deserialize_with = "lenient::text")]
    consent: Option<String>,
    #[serde(default, deserialize_with = "lenient::instant")]
    consent_timestamp: Option<Moment>,
    #[serde(default)]
    suppression: Option<Vec<SuppressionItem>>,
    #[serde(default, deserialize_with = "lenient::verbatim")]
    method: Option<String>,
    #[serde(default, deserialize_with = "lenient::verbatim")]
    method_detail: Option<String>,
    #[serde(default, deserialize_with = "lenient::verbatim")]
    custom_method_detail: Option<String>,
    #[serde(default, deserialize_with = "as_sent")]
    double_optin: Option<Value>,
}

#[derive(Deserialize)]
struct SuppressionItem {
    #[serde(default, deserialize_with = "lenient::text")]
    reason: Option<String>,
    #[serde(default, deserialize_with = "lenient::instant")]
    timestamp: Option<Moment>,
}

/// The kinds of messages of one channel.
#[derive(Deserialize)]
struct Kinds {
    marketing: Option<State>,
    transactional: Option<State>,
}

#[derive(Deserialize)]
struct State {
    #[serde(
        default,
        alias = "can_receive_sms_marketing",
        alias = "can_receive_push_marketing",
        deserialize_with = "lenient::boolean"
    )]
    can_receive: Option<bool>,
    #[serde(default, deserialize_with = "lenient::verbatim")]
    consent: Option<String>,
    #[serde(default, deserialize_with = "lenient::instant")]
    consent_timestamp: Option<Moment>,
    #[serde(default, deserialize_with = "lenient::instant")]
    created_timestamp: Option<Moment>,
    #[serde(default, deserialize_with = "lenient::verbatim")]
    method: Option<String>,
    #[serde(default, deserialize_with = "lenient::verbatim")]
    method_detail: Option<String>,
}

/// Tells `null` from absent.
fn as_sent<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Value>, D::Error> {
    let json = serde_json::Value::deserialize(from)?;
    Ok(Some(Value::from_json_or_null(&json)))
}

impl Subscriptions<'_> {
    /// Puts everything mentioned into the profile.
    pub(super) fn fill(
        self,
        mentions: &Mentions,
        profile: &mut Profile,
    ) -> Result<(), serde_json::Error> {
        let mut channels = BTreeMap::new();
        for &channel in &mentions.channels {
            channels.extend(self.state_of(channel)?.map(|state| (channel, state)));
        }
        profile.channels = Some(channels);
        let marketing = self.email.and_then(|email| email.marketing);
        profile.email_marketing =
            marketing.map(|marketing| marketing.cut_to(mentions.consent_details));
        Ok(())
    }

    fn state_of(&self, channel: Channel) -> Result<Option<ChannelState>, serde_json::Error> {
        let sent = match channel {
            Channel::Sms => self.sms,
            Channel::Push => self.mobile_push,
            Channel::WhatsappMarketing | Channel::WhatsappTransactional => self.whatsapp,
        };
        let Some(raw) = sent else {
            return Ok(None);
        };
        let kinds: Kinds = serde_json::from_str(raw.get())?;
        let state = match channel {
            Channel::WhatsappTransactional => kinds.transactional,
            Channel::Sms | Channel::Push | Channel::WhatsappMarketing => kinds.marketing,
        };
        Ok(state.map(Into::into))
    }
}

impl Marketing {
    fn cut_to(self, with_details: bool) -> EmailMarketing {
        let consent = match self.consent.as_deref() {
            Some("SUBSCRIBED") => Consent::Subscribed,
            Some("UNSUBSCRIBED") => Consent::Unsubscribed,
            Some("NEVER_SUBSCRIBED") => Consent::NeverSubscribed,
            other => Consent::Other(other.unwrap_or_default().to_owned()),
        };
        let suppressions = self.suppression.unwrap_or_default();
        let known = EmailMarketing {
            can_receive: self.can_receive_email_marketing,
            consent_at: self.consent_timestamp,
            suppressions: suppressions.into_iter().map(Into::into).collect(),
            ..EmailMarketing::new(consent)
        };
        if !with_details {
            return known;
        }
        EmailMarketing {
            method: self.method,
            method_detail: self.method_detail,
            custom_source: self.custom_method_detail,
            double_optin: self.double_optin,
            ..known
        }
    }
}

impl From<State> for ChannelState {
    fn from(state: State) -> Self {
        Self {
            can_receive: state.can_receive,
            consent: state.consent,
            consent_at: state.consent_timestamp,
            created_at: state.created_timestamp,
            method: state.method,
            method_detail: state.method_detail,
        }
    }
}

impl From<SuppressionItem> for Suppression {
    fn from(item: SuppressionItem) -> Self {
        let reason = match item.reason.unwrap_or_default().as_str() {
            "HARD_BOUNCE" => SuppressionReason::HardBounce,
            "INVALID_EMAIL" => SuppressionReason::InvalidEmail,
            "SPAM_COMPLAINT" => SuppressionReason::SpamComplaint,
            "UNSUBSCRIBE" => SuppressionReason::Unsubscribe,
            "USER_SUPPRESSED" => SuppressionReason::UserSuppressed,
            other => SuppressionReason::Other(other.to_owned()),
        };
        Self {
            reason,
            at: item.timestamp,
        }
    }
}
