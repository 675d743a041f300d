//! One profile, cut down to what is mentioned while it is read.

use super::jsonapi::Text;
use super::resource::{self, NotAResource};
use super::subscriptions::Subscriptions;
use crate::api::lenient;
use crate::model::{Mentions, Moment, Profile, ProfileId, Value, micros};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::fmt;

/// Reads one profile from the JSON text of its resource, as `GET /api/profiles` shows it.
///
/// # Errors
/// The place where the text is no such resource; never what stands there.
pub fn profile_from_json(text: &str, mentions: &Mentions) -> Result<Profile, NotAResource> {
    resource::read("profile", text, ProfileSeed(mentions))
}

/// The key in `location['key']`.
pub(super) fn location_key(path: &str) -> Option<&str> {
    path.strip_prefix("location['")?.strip_suffix("']")
}

/// Reads one profile.
#[derive(Clone, Copy)]
pub(super) struct ProfileSeed<'m>(pub(super) &'m Mentions);

impl<'de> DeserializeSeed<'de> for ProfileSeed<'_> {
    type Value = Profile;
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Profile, D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for ProfileSeed<'_> {
    type Value = Profile;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a profile")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Profile, A::Error> {
        let (mut id, mut profile) = (None, None);
        while let Some(Text(member)) = map.next_key()? {
            match &*member {
                "id" => id = Some(map.next_value::<ProfileId>()?),
                "attributes" => profile = Some(map.next_value_seed(AttributesSeed(self.0))?),
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        let profile = profile.ok_or_else(|| A::Error::missing_field("attributes"))?;
        let id = id.ok_or_else(|| A::Error::missing_field("id"))?;
        Ok(Profile { id, ..profile })
    }
}

/// Reads the attributes into a profile that has no id yet.
#[derive(Clone, Copy)]
struct AttributesSeed<'m>(&'m Mentions);

impl<'de> DeserializeSeed<'de> for AttributesSeed<'_> {
    type Value = Profile;
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Profile, D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for AttributesSeed<'_> {
    type Value = Profile;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a profile's attributes")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Profile, A::Error> {
        let mentions = self.0;
        let mut profile = Profile::new("");
        while let Some(Text(name)) = map.next_key()? {
            match &*name {
                "properties" => {
                    profile.properties = map.next_value_seed(PropertiesSeed(mentions))?;
                }
                "subscriptions" => {
                    let sent: Option<Subscriptions<'_>> = map.next_value()?;
                    let filled = sent.unwrap_or_default().fill(mentions, &mut profile);
                    filled.map_err(|_| A::Error::custom("not the state of a channel"))?;
                }
                "predictive_analytics" if mentions.predictions => {
                    let sent: Option<BTreeMap<String, Json>> = map.next_value()?;
                    let sent = sent.unwrap_or_default().into_iter();
                    let kept = sent.map(|(key, json)| (key, Value::from_json_or_null(&json)));
                    profile.predictions = Some(kept.collect());
                }
                "location" => {
                    let profile = &mut profile;
                    map.next_value_seed(LocationSeed { mentions, profile })?;
                }
                name => self.built_in(name, &mut map, &mut profile)?,
            }
        }
        Ok(profile)
    }
}

impl AttributesSeed<'_> {
    fn built_in<'de, A: MapAccess<'de>>(
        self,
        name: &str,
        map: &mut A,
        profile: &mut Profile,
    ) -> Result<(), A::Error> {
        let mut attributes = std::mem::take(&mut profile.attributes);
        let mut reader = BuiltIn {
            is_mentioned: self.0.attributes.contains(name),
            path: name,
            attributes: &mut attributes,
        };
        match name {
            "email" => profile.email = reader.text(map)?,
            "phone_number" => profile.phone = reader.text(map)?,
            "external_id" => profile.external_id = reader.text(map)?,
            "created" => profile.created = reader.instant(map)?,
            "updated" => profile.updated = reader.instant(map)?,
            _ if reader.is_mentioned => {
                let json: Json = map.next_value()?;
                reader.keep(&json);
            }
            _ => drop(map.next_value::<IgnoredAny>()?),
        }
        profile.attributes = attributes;
        Ok(())
    }
}

/// Reads a built-in attribute. One that is mentioned is kept as sent, too, unless the typed field
/// says the same.
struct BuiltIn<'a> {
    is_mentioned: bool,
    path: &'a str,
    attributes: &'a mut BTreeMap<String, Value>,
}

impl BuiltIn<'_> {
    fn text<'de, A: MapAccess<'de>>(&mut self, map: &mut A) -> Result<Option<String>, A::Error> {
        match map.next_value()? {
            Json::String(text) if !text.is_empty() => Ok(Some(text)),
            other => {
                self.keep(&other);
                lenient::text(&other).map_err(|_| A::Error::custom("not a text"))
            }
        }
    }

    fn instant<'de, A: MapAccess<'de>>(&mut self, map: &mut A) -> Result<Option<Moment>, A::Error> {
        let json: Json = map.next_value()?;
        let read = lenient::instant(&json).map_err(|_| A::Error::custom("not an instant"))?;
        let exact = json.as_str().and_then(micros);
        let typed = read.and_then(|moment| moment.0.checked_mul(1000));
        if exact.is_none() || exact != typed {
            self.keep(&json);
        }
        Ok(read)
    }

    fn keep(&mut self, json: &Json) {
        if self.is_mentioned {
            let value = Value::from_json_or_null(json);
            self.attributes.insert(self.path.to_owned(), value);
        }
    }
}

/// Reads `location` into a profile: the country, and what else is mentioned. Null is empty.
struct LocationSeed<'a> {
    mentions: &'a Mentions,
    profile: &'a mut Profile,
}

impl<'de> DeserializeSeed<'de> for LocationSeed<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for LocationSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a location")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(Text(key)) = map.next_key()? {
            let mut paths = self.mentions.attributes.iter();
            let mentioned = paths.find(|path| location_key(path) == Some(&*key));
            let mut reader = BuiltIn {
                is_mentioned: mentioned.is_some(),
                path: mentioned.map_or("", String::as_str),
                attributes: &mut self.profile.attributes,
            };
            if key == "country" {
                self.profile.country = reader.text(&mut map)?;
            } else if reader.is_mentioned {
                let json: Json = map.next_value()?;
                reader.keep(&json);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

/// Keeps the mentioned custom properties. Null is none of them.
struct PropertiesSeed<'m>(&'m Mentions);

impl<'de> DeserializeSeed<'de> for PropertiesSeed<'_> {
    type Value = BTreeMap<String, Value>;
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for PropertiesSeed<'_> {
    type Value = BTreeMap<String, Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of properties")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(BTreeMap::new())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut kept = BTreeMap::new();
        while let Some(Text(key)) = map.next_key()? {
            if !self.0.keeps(&key) {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let json: Json = map.next_value()?;
            // A null of our own is no value: we write none.
            if !json.is_null() || !self.0.is_ours(&key) {
                kept.insert(key.into_owned(), Value::from_json_or_null(&json));
            }
        }
        Ok(kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden;
    use crate::model::{Channel, ChannelState, Consent};
    use serde_json::json;
    use std::collections::BTreeSet;

    fn everything() -> Mentions {
        let paths = "email phone_number external_id first_name title created updated last_event_date \
                     location['city'] location['country'] location['latitude']";
        Mentions {
            attributes: paths.split_whitespace().map(str::to_owned).collect(),
            channels: [Channel::Sms, Channel::Push, Channel::WhatsappTransactional].into(),
            consent_details: true,
            predictions: true,
            ..Mentions::default()
        }
    }

    fn read(attributes: &Json, mentions: &Mentions) -> Profile {
        let resource = json!({"type": "profile", "attributes": attributes, "id": "01A"});
        profile_from_json(&resource.to_string(), mentions).unwrap()
    }

    #[test]
    fn an_attribute_is_kept_as_sent_unless_its_typed_field_says_the_same() {
        let profile = read(
            &json!({
                "email": "a@b.c", "phone_number": null, "external_id": 7, "first_name": "",
                "last_name": "unmentioned", "title": null, "created": "2026-01-02 03:04:05.678Z",
                "updated": "2026-01-02T03:04:05.678901Z", "last_event_date": 5,
                "location": {"city": ["x"], "country": "Chad", "latitude": 1.5, "zip": "1"},
            }),
            &everything(),
        );
        let kept = [
            ("external_id", Value::Int(7)),
            ("first_name", Value::Text(String::new())),
            ("last_event_date", Value::Int(5)),
            (
                "location['city']",
                Value::List(vec![Value::Text("x".to_owned())]),
            ),
            ("location['latitude']", Value::Float(1.5)),
            ("phone_number", Value::Null),
            ("title", Value::Null),
            (
                "updated",
                Value::Text("2026-01-02T03:04:05.678901Z".to_owned()),
            ),
        ];
        let kept = kept.map(|(path, value)| (path.to_owned(), value));
        assert_eq!(profile.attributes, kept.into());
        assert_eq!(profile.external_id.as_deref(), Some("7"));
        assert_eq!(profile.country.as_deref(), Some("Chad"));
        assert_eq!(profile.updated, Some(Moment(1_767_323_045_678)));
        let unread = read(
            &json!({"title": "x", "external_id": 7}),
            &Mentions::default(),
        );
        assert_eq!(unread.attributes, BTreeMap::new());
    }

    #[test]
    fn channels_are_kept_as_mentioned_and_absent_is_not_null() {
        let mentions = everything();
        let subscriptions = json!({"subscriptions": {
            "sms": {"marketing": {"can_receive_sms_marketing": "True", "consent": "PENDING",
                "consent_timestamp": "2026-01-02", "method": "TEXT", "method_detail": ""},
                "transactional": null},
            "mobile_push": {"marketing": null},
            "whatsapp": {"transactional": {"can_receive": false, "created_timestamp": "2026-01-02"}},
            "email": {"marketing": {"consent": "SUBSCRIBED", "method": "API", "method_detail": 7,
                "custom_method_detail": "", "double_optin": null}},
        }});
        let profile = read(&subscriptions, &mentions);
        let day = Moment::parse("2026-01-02");
        let sms = ChannelState {
            can_receive: Some(true),
            consent: Some("PENDING".to_owned()),
            consent_at: day,
            method: Some("TEXT".to_owned()),
            method_detail: Some(String::new()),
            ..ChannelState::default()
        };
        let whatsapp = ChannelState {
            can_receive: Some(false),
            created_at: day,
            ..ChannelState::default()
        };
        let expected = [
            (Channel::Sms, sms),
            (Channel::WhatsappTransactional, whatsapp),
        ];
        assert_eq!(profile.channels, Some(expected.into()));
        let email = profile.email_marketing.unwrap();
        assert_eq!(
            (email.consent, email.method_detail),
            (Consent::Subscribed, None)
        );
        assert_eq!(email.method.as_deref(), Some("API"));
        assert_eq!(email.custom_source.as_deref(), Some(""));
        assert_eq!(email.double_optin, Some(Value::Null));

        let bare = read(&subscriptions, &Mentions::default());
        assert_eq!(bare.channels, Some(BTreeMap::new()));
        assert_eq!(bare.email_marketing.unwrap().method, None);
        let null = read(&json!({"subscriptions": null}), &mentions);
        assert_eq!(null.channels, Some(BTreeMap::new()));
        assert_eq!(read(&json!({}), &mentions).channels, None);
    }

    #[test]
    fn predictions_are_kept_as_sent_when_mentioned() {
        let sent = json!({"predictive_analytics": {"total_clv": 1, "churn_probability": null}});
        let kept = [
            ("churn_probability".to_owned(), Value::Null),
            ("total_clv".to_owned(), Value::Int(1)),
        ];
        let mentions = everything();
        assert_eq!(read(&sent, &mentions).predictions, Some(kept.into()));
        assert_eq!(read(&sent, &Mentions::default()).predictions, None);
        let null = json!({"predictive_analytics": null});
        assert_eq!(read(&null, &mentions).predictions, Some(BTreeMap::new()));
        assert_eq!(read(&json!({}), &mentions).predictions, None);
    }

    #[test]
    fn an_error_says_where_and_not_what() {
        let text = "{\"id\":\"01A\",\n\"attributes\":{\"email\":[\"jane@example.com\"]}}";
        let error = profile_from_json(text, &Mentions::default()).unwrap_err();
        assert_eq!((error.kind, error.line), ("profile", 2));
        assert!(!error.to_string().contains("jane"));
        for text in ["", "[]", "{}", r#"{"id":"01A"}"#, r#"{"attributes":{}}"#] {
            assert!(
                profile_from_json(text, &Mentions::default()).is_err(),
                "{text}"
            );
        }
    }

    #[test]
    fn every_golden_profile_and_event_is_read() {
        let Some(people) = golden::text("segments/people.jsonl") else {
            return;
        };
        let wanted: BTreeSet<String> = ["$value".to_owned(), "Items".to_owned()].into();
        for line in people.lines() {
            let person: Json = serde_json::from_str(line).unwrap();
            profile_from_json(&person["profile"].to_string(), &everything()).unwrap();
            for event in person["events"].as_array().unwrap() {
                let read = super::super::event_from_json(&event.to_string(), &wanted);
                assert!(read.unwrap().0.is_some(), "{event}");
            }
        }
    }
}
