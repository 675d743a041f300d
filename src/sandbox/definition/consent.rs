//! Consent to e-mail, SMS and push, and permission for WhatsApp (klaviyo.md, sections 10.3 and 10.4;
//! assumptions A23 to A27).

use super::condition::Secret;
use super::dates::When;
use super::values::{Test, Value};
use super::{Subject, every};
use serde_json::Value as Json;

/// Whether marketing may be sent on a channel, and the state of its consent.
pub(super) struct Consent {
    channel: &'static str,
    flag: &'static str,
    can: bool,
    status: Option<&'static str>,
    filters: Vec<Filter>,
}

/// A filter on the circumstances.
enum Filter {
    /// A value of the channel.
    Value(&'static str, Test),
    /// How it came about, and in detail.
    Method(String, Option<Test>),
    /// When a suppression for this reason began.
    Suppressed(&'static str, Test),
    /// What the API does not show.
    Hidden(Secret),
}

/// The channel's part of the subscriptions. `None` when they were not fetched; a channel that is not there
/// is as good as an empty one.
fn part<'a>(subject: &Subject<'a>, path: &str) -> Option<&'a Json> {
    let subscriptions = subject.attributes.get("subscriptions")?;
    Some(subscriptions.pointer(path).unwrap_or(&Json::Null))
}

impl Consent {
    pub(super) fn read(json: &Json, when: &When) -> Option<Self> {
        let (channel, flag) = match json["channel"].as_str()? {
            "email" => ("/email/marketing", "can_receive_email_marketing"),
            "sms" => ("/sms/marketing", "can_receive_sms_marketing"),
            "push" => ("/mobile_push/marketing", "can_receive_push_marketing"),
            _ => return None,
        };
        let status = &json["consent_status"];
        Some(Self {
            channel,
            flag,
            can: json["can_receive_marketing"].as_bool()?,
            status: match status["subscription"].as_str()? {
                "any" => None,
                "subscribed" => Some("SUBSCRIBED"),
                "unsubscribed" => Some("UNSUBSCRIBED"),
                "never_subscribed" => Some("NEVER_SUBSCRIBED"),
                _ => return None,
            },
            filters: filters(&status["filters"], when)?,
        })
    }

    pub(super) fn holds(&self, subject: &Subject<'_>) -> Option<bool> {
        let channel = part(subject, self.channel)?;
        let can = channel[self.flag] == true;
        let consent = channel["consent"].as_str().unwrap_or("NEVER_SUBSCRIBED");
        let plain = can == self.can && self.status.is_none_or(|status| status == consent);
        let filters = self
            .filters
            .iter()
            .map(|filter| filter.holds(subject, channel));
        every(std::iter::once(Some(plain)).chain(filters))
    }
}

fn filters(json: &Json, when: &When) -> Option<Vec<Filter>> {
    if json.is_null() {
        return Some(Vec::new());
    }
    json.as_array()?
        .iter()
        .map(|filter| Filter::read(filter, when))
        .collect()
}

impl Filter {
    /// Reads a filter; `None` when its test is malformed.
    fn read(json: &Json, when: &When) -> Option<Self> {
        let test = || Test::read(&json["filter"], when);
        Some(match json["field"].as_str()? {
            "status_date" | "effective_date" => Self::Value("consent_timestamp", test()?),
            "recorded_date" => Self::Value("created_timestamp", test()?),
            "custom_source" => Self::Value("custom_method_detail", test()?),
            "is_double_opt_in" | "is_double_optin" => Self::Value("double_optin", test()?),
            "bounce_date" => Self::Suppressed("HARD_BOUNCE", test()?),
            "manual_suppression_date" => Self::Suppressed("USER_SUPPRESSED", test()?),
            "invalid_email_date" => Self::Suppressed("INVALID_EMAIL", test()?),
            "method" => {
                let detail = match &json["filter"] {
                    Json::Null => None,
                    _ => Some(test()?),
                };
                Self::Method(json["method"].as_str()?.to_owned(), detail)
            }
            _ => Self::Hidden(Secret::of(json)),
        })
    }

    fn holds(&self, subject: &Subject<'_>, channel: &Json) -> Option<bool> {
        Some(match self {
            Self::Value(name, test) => test.holds(channel.get(name)),
            Self::Method(method, detail) => {
                let known: Value<'_> = channel.get("method_detail");
                let mine = channel["method"].as_str().map(str::to_lowercase);
                mine.as_ref() == Some(method)
                    && detail.as_ref().is_none_or(|detail| detail.holds(known))
            }
            Self::Suppressed(reason, test) => {
                let known = channel["suppression"].as_array().into_iter().flatten();
                let mut mine = known.filter(|known| known["reason"] == *reason);
                mine.any(|known| test.holds(known.get("timestamp")))
            }
            Self::Hidden(secret) => return secret.answer(subject),
        })
    }
}

/// Whether somebody can be reached by WhatsApp, and whether they ever said something about that.
pub(super) struct Permission {
    channel: &'static str,
    /// `None` when either will do.
    explicit: Option<bool>,
    can: bool,
    filters: Vec<Filter>,
}

impl Permission {
    pub(super) fn read(json: &Json, when: &When) -> Option<Self> {
        let permission = &json["permission"];
        let (explicit, can) = match permission["reachable_status"].as_str()? {
            "explicitly_reachable" => (Some(true), true),
            "explicitly_unreachable" => (Some(true), false),
            "implicitly_reachable" => (Some(false), true),
            "implicitly_unreachable" => (Some(false), false),
            "implicitly_or_explicitly_reachable" => (None, true),
            "implicitly_or_explicitly_unreachable" => (None, false),
            _ => return None,
        };
        Some(Self {
            channel: match json["channel"].as_str()? {
                "whatsapp_marketing" => "/whatsapp/marketing",
                "whatsapp_transactional" => "/whatsapp/transactional",
                _ => return None,
            },
            explicit,
            can,
            filters: filters(&permission["filters"], when)?,
        })
    }

    pub(super) fn holds(&self, subject: &Subject<'_>) -> Option<bool> {
        let channel = part(subject, self.channel)?;
        let spoken = ["SUBSCRIBED", "UNSUBSCRIBED"]
            .iter()
            .any(|state| channel["consent"] == *state);
        let can = channel["can_receive"] == true;
        let plain = can == self.can && self.explicit.is_none_or(|explicit| explicit == spoken);
        let filters = self
            .filters
            .iter()
            .map(|filter| filter.holds(subject, channel));
        every(std::iter::once(Some(plain)).chain(filters))
    }
}
