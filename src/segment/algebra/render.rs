//! A witness as the API would show it: what `driftless segment eval` reads.

use super::witness::Witness;
use crate::model::{Channel, ChannelState, EmailMarketing, Moment, SuppressionReason};
use crate::segment::Path;
use serde_json::{Map, Value as Json, json};

impl Witness {
    /// One object with the profile, the events and the lists, with ids that nobody has.
    pub fn to_json(&self) -> Json {
        let profile = json!({"type": "profile", "id": "WITNESS", "attributes": self.attributes()});
        let events = self.events.iter().enumerate().map(|(number, deed)| {
            let properties = deed.properties.iter();
            let properties: Map<String, Json> = properties
                .map(|(name, value)| (name.clone(), value.to_json()))
                .collect();
            json!({
                "type": "event",
                "id": format!("WITNESS-{number}"),
                "attributes": {
                    "datetime": deed.at.to_string(),
                    "event_properties": properties,
                },
                "relationships": {"metric": {"data": {"type": "metric", "id": deed.metric}}},
            })
        });
        let lists = self.lists.iter();
        let lists = lists.map(|(id, at)| json!({"id": id, "joined_group_at": text(*at)}));
        let mut line = Map::new();
        line.insert("profile".to_owned(), profile);
        line.insert("events".to_owned(), events.collect());
        line.insert("lists".to_owned(), lists.collect());
        Json::Object(line)
    }

    fn attributes(&self) -> Json {
        let mut attributes = Map::new();
        let (mut location, mut properties) = (Map::new(), Map::new());
        for (path, value) in &self.properties {
            let inside = path
                .strip_prefix("location['")
                .and_then(|rest| rest.strip_suffix("']"));
            let (object, key) = match (Path::parse(path), inside) {
                (Some(Path::Custom(name)), _) => (&mut properties, name),
                (_, Some(key)) => (&mut location, key),
                (_, None) => (&mut attributes, path.as_str()),
            };
            object.insert(key.to_owned(), value.to_json());
        }
        let predictions = self.predictions.iter();
        let predictions: Map<String, Json> = predictions
            .map(|(key, value)| (key.clone(), value.to_json()))
            .collect();
        attributes.insert("location".to_owned(), location.into());
        attributes.insert("properties".to_owned(), properties.into());
        attributes.insert("subscriptions".to_owned(), self.subscriptions());
        attributes.insert("predictive_analytics".to_owned(), predictions.into());
        attributes.into()
    }

    fn subscriptions(&self) -> Json {
        let channel = |channel| self.channels.get(&channel);
        let mut all = Map::new();
        if let Some(email) = &self.email {
            all.insert(
                "email".to_owned(),
                json!({"marketing": email_marketing(email)}),
            );
        }
        for (key, state, flag) in [
            ("sms", channel(Channel::Sms), "can_receive_sms_marketing"),
            (
                "mobile_push",
                channel(Channel::Push),
                "can_receive_push_marketing",
            ),
        ] {
            let state = state.map(|state| json!({"marketing": subscription(state, flag)}));
            all.extend(state.map(|state| (key.to_owned(), state)));
        }
        let mut whatsapp = Map::new();
        for (key, state) in [
            ("marketing", channel(Channel::WhatsappMarketing)),
            ("transactional", channel(Channel::WhatsappTransactional)),
        ] {
            let state = state.map(|state| subscription(state, "can_receive"));
            whatsapp.extend(state.map(|state| (key.to_owned(), state)));
        }
        all.insert("whatsapp".to_owned(), whatsapp.into());
        all.into()
    }
}

fn text(at: Option<Moment>) -> Option<String> {
    at.map(|at| at.to_string())
}

fn subscription(state: &ChannelState, flag: &str) -> Json {
    json!({
        flag: state.can_receive,
        "consent": state.consent,
        "consent_timestamp": text(state.consent_at),
        "created_timestamp": text(state.created_at),
        "method": state.method,
        "method_detail": state.method_detail,
    })
}

fn email_marketing(email: &EmailMarketing) -> Json {
    let suppressions = email.suppressions.iter().map(|one| {
        let reason = match &one.reason {
            SuppressionReason::HardBounce => "HARD_BOUNCE",
            SuppressionReason::InvalidEmail => "INVALID_EMAIL",
            SuppressionReason::SpamComplaint => "SPAM_COMPLAINT",
            SuppressionReason::Unsubscribe => "UNSUBSCRIBE",
            SuppressionReason::UserSuppressed => "USER_SUPPRESSED",
            SuppressionReason::Other(word) => word,
        };
        json!({"reason": reason, "timestamp": text(one.at)})
    });
    let mut marketing = json!({
        "can_receive_email_marketing": email.can_receive,
        "consent": email.consent.as_str(),
        "consent_timestamp": text(email.consent_at),
        "method": email.method,
        "method_detail": email.method_detail,
        "custom_method_detail": email.custom_source,
        "suppression": suppressions.collect::<Json>(),
    });
    if let Some(double_optin) = &email.double_optin {
        marketing["double_optin"] = double_optin.to_json();
    }
    marketing
}
