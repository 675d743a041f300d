//! A profile as the API shows it. The server leaves out what was not asked for; segments look at all of it.

use super::{Channel, ConsentSource, Predictions, Profile};
use crate::model::Moment;
use serde_json::{Value as Json, json};

/// An instant as the API writes it: `2023-08-10T07:21:56+00:00`.
pub(in crate::sandbox) fn instant(at: Moment) -> String {
    at.to_string().replace('Z', "+00:00")
}

impl Profile {
    /// All attributes, also those that the API shows on request only.
    pub fn attributes(&self) -> Json {
        json!({
            "email": self.email,
            "phone_number": self.phone_number,
            "external_id": self.external_id,
            "first_name": self.first_name,
            "last_name": self.last_name,
            "organization": self.organization,
            "locale": self.locale,
            "title": self.title,
            "image": null,
            "created": instant(self.created),
            "updated": instant(self.updated),
            "last_event_date": self.last_event_date.map(instant),
            "location": self.location(),
            "properties": self.properties,
            "subscriptions": self.subscriptions(),
            "predictive_analytics": predictions(self.predictions.as_ref()),
        })
    }

    fn location(&self) -> Json {
        json!({
            "address1": null, "address2": null, "city": self.city, "country": self.country,
            "latitude": self.position.map(|at| at.0), "longitude": self.position.map(|at| at.1),
            "region": self.region, "zip": self.zip, "timezone": self.timezone, "ip": null,
        })
    }

    fn subscriptions(&self) -> Json {
        let suppressions = self.suppressions.iter();
        let suppressions: Vec<Json> = suppressions
            .map(|known| json!({ "reason": known.reason, "timestamp": instant(known.at) }))
            .collect();
        let mut email = consent(self.consent, self.consent_at, &self.source);
        email["custom_method_detail"] = json!(self.source.custom_detail);
        email["can_receive_email_marketing"] = json!(self.can_receive());
        email["double_optin"] = json!(self.double_opt_in);
        email["suppression"] = json!(suppressions);
        email["list_suppressions"] = json!([]);
        let nothing = Channel::default();
        json!({
            "email": { "marketing": email },
            "sms": {
                "marketing": channel(&self.sms, "can_receive_sms_marketing"),
                "transactional": channel(&nothing, "can_receive_sms_transactional"),
            },
            "mobile_push": { "marketing": push(&self.push) },
            "whatsapp": { "marketing": whatsapp(&self.whatsapp), "transactional": whatsapp(&nothing) },
        })
    }
}

fn consent(consent: &str, at: Option<Moment>, source: &ConsentSource) -> Json {
    let at = at.map(instant);
    json!({
        "consent": if consent.is_empty() { "NEVER_SUBSCRIBED" } else { consent },
        "consent_timestamp": at,
        "last_updated": at,
        "method": source.method,
        "method_detail": source.detail,
    })
}

/// Other than e-mail, these channels need a positive consent.
fn channel(channel: &Channel, flag: &str) -> Json {
    let mut shown = consent(channel.consent, channel.at, &channel.source);
    shown[flag] = json!(channel.consent == "SUBSCRIBED");
    shown
}

/// The vendor tells neither how nor where a push token was given.
fn push(known: &Channel) -> Json {
    let shown = channel(known, "can_receive_push_marketing");
    let told = ["consent", "consent_timestamp", "can_receive_push_marketing"];
    let told = told.map(|name| (name.to_owned(), shown[name].clone()));
    Json::Object(told.into_iter().collect())
}

fn whatsapp(known: &Channel) -> Json {
    let at = known.at.map(instant);
    json!({
        "consent": known.consent, "can_receive": known.consent == "SUBSCRIBED",
        "consent_timestamp": at, "created_timestamp": at, "last_updated": at,
        "metadata": {}, "valid_until": null, "phone_number": null,
    })
}

/// Nulls where the vendor predicts nothing.
fn predictions(known: Option<&Predictions>) -> Json {
    let figure = |of: fn(&Predictions) -> f64| known.map(of);
    json!({
        "historic_clv": figure(|p| p.historic_value),
        "predicted_clv": figure(|p| p.predicted_value),
        "total_clv": figure(|p| p.historic_value + p.predicted_value),
        "historic_number_of_orders": known.map(|p| p.orders),
        "predicted_number_of_orders": figure(|p| p.predicted_orders),
        "average_days_between_orders": known.and_then(|p| p.days_between_orders),
        "average_order_value": figure(|p| p.average_value),
        "churn_probability": figure(|p| p.churn),
        "expected_date_of_next_order": known.and_then(|p| p.next_order).map(instant),
        "ranked_channel_affinity": known.map(|p| p.channels.clone()),
    })
}
