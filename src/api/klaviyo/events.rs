//! Events, read in one sweep over the body: what no definition or rule mentions is skipped without
//! being allocated.

use super::client::{Klaviyo, Listing};
use super::jsonapi::Text;
use super::limits::GET_EVENTS;
use crate::api::{ApiError, Cursor, Exchange, Page};
use crate::model::{IncomingEvent, IncomingValue, Mentions, MetricId, Moment, Money, ProfileId};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::collections::BTreeSet;
use std::fmt;

impl<E: Exchange> Klaviyo<E> {
    /// One page, of 1,000 at most, of a metric's events in `[since, until)`, in time order.
    ///
    /// # Errors
    /// Whatever the request meets.
    pub async fn events(
        &self,
        metric: &MetricId,
        since: Moment,
        until: Moment,
        cursor: Option<&Cursor>,
        mentions: &Mentions,
    ) -> Result<Page<IncomingEvent>, ApiError> {
        let filter = format!(
            "equals(metric_id,{}),greater-or-equal(datetime,{since}),less-than(datetime,{until})",
            super::client::quoted([metric.as_str()].into_iter()),
        );
        let listing = Listing {
            class: &GET_EVENTS,
            path: "/api/events",
            query: &[
                ("fields[event]", "datetime,event_properties"),
                ("filter", &filter),
                ("page[size]", "1000"),
                ("sort", "datetime"),
            ],
        };
        let wanted = mentions.events.get(metric);
        self.page(&listing, cursor, EventSeed { wanted }).await
    }
}

/// Reads one event.
#[derive(Clone, Copy)]
struct EventSeed<'m> {
    wanted: Option<&'m BTreeSet<String>>,
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "lowercase")]
enum Member {
    Id,
    Attributes,
    Relationships,
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Attribute {
    Datetime,
    EventProperties,
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Relationships {
    profile: Option<Relationship>,
}

#[derive(Deserialize)]
struct Relationship {
    data: Option<Owner>,
}

#[derive(Deserialize)]
struct Owner {
    id: Option<ProfileId>,
}

#[derive(Default)]
struct Attributes {
    at: Option<Moment>,
    properties: Properties,
}

#[derive(Default)]
struct Properties {
    value: Option<Money>,
    kept: Vec<(String, IncomingValue)>,
}

impl<'de> DeserializeSeed<'de> for EventSeed<'_> {
    type Value = IncomingEvent;
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<IncomingEvent, D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for EventSeed<'_> {
    type Value = IncomingEvent;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<IncomingEvent, A::Error> {
        let (mut id, mut profile, mut attributes) = (None, None, Attributes::default());
        while let Some(member) = map.next_key()? {
            match member {
                Member::Id => id = Some(map.next_value::<String>()?),
                Member::Attributes => attributes = map.next_value_seed(AttributesSeed(self))?,
                Member::Relationships => {
                    let all: Option<Relationships> = map.next_value()?;
                    let owner = all.and_then(|all| all.profile?.data);
                    profile = owner.and_then(|owner| owner.id);
                }
                Member::Other => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(IncomingEvent {
            id: id.ok_or_else(|| A::Error::missing_field("id"))?,
            at: attributes
                .at
                .ok_or_else(|| A::Error::missing_field("datetime"))?,
            profile,
            value: attributes.properties.value,
            properties: attributes.properties.kept,
        })
    }
}

struct AttributesSeed<'m>(EventSeed<'m>);

impl<'de> DeserializeSeed<'de> for AttributesSeed<'_> {
    type Value = Attributes;
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Attributes, D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for AttributesSeed<'_> {
    type Value = Attributes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event's attributes")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Attributes, A::Error> {
        let mut attributes = Attributes::default();
        while let Some(attribute) = map.next_key()? {
            match attribute {
                Attribute::Datetime => {
                    let Text(text) = map.next_value()?;
                    let at = Moment::parse(&text);
                    attributes.at = Some(at.ok_or_else(|| A::Error::custom("not an instant"))?);
                }
                Attribute::EventProperties => {
                    attributes.properties = map.next_value_seed(PropertiesSeed(self.0))?;
                }
                Attribute::Other => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(attributes)
    }
}

/// Reads `event_properties`; null is none of them.
struct PropertiesSeed<'m>(EventSeed<'m>);

impl<'de> DeserializeSeed<'de> for PropertiesSeed<'_> {
    type Value = Properties;
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Properties, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for PropertiesSeed<'_> {
    type Value = Properties;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of properties")
    }

    fn visit_unit<E>(self) -> Result<Properties, E> {
        Ok(Properties::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Properties, A::Error> {
        let mut read = Properties::default();
        while let Some(key) = map.next_key_seed(KeySeed(self.0.wanted))? {
            if !key.is_value && key.wanted.is_none() {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let Scalar(value) = map.next_value()?;
            if key.is_value {
                read.value = value.as_ref().and_then(money);
            }
            read.kept.extend(key.wanted.map(str::to_owned).zip(value));
        }
        Ok(read)
    }
}

/// What a key means to us, in borrowed text.
struct Key<'m> {
    is_value: bool,
    wanted: Option<&'m str>,
}

struct KeySeed<'m>(Option<&'m BTreeSet<String>>);

impl<'de, 'm> DeserializeSeed<'de> for KeySeed<'m> {
    type Value = Key<'m>;
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Key<'m>, D::Error> {
        from.deserialize_identifier(self)
    }
}

impl<'m> Visitor<'_> for KeySeed<'m> {
    type Value = Key<'m>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a property's name")
    }

    fn visit_str<E>(self, key: &str) -> Result<Key<'m>, E> {
        Ok(Key {
            is_value: key == "$value",
            wanted: self.0.and_then(|all| all.get(key)).map(String::as_str),
        })
    }
}

/// A scalar property value; null, arrays and objects are none, as no rule reads them.
struct Scalar(Option<IncomingValue>);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(ScalarVisitor).map(Scalar)
    }
}

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Option<IncomingValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, v: bool) -> Result<Self::Value, E> {
        Ok(Some(IncomingValue::Bool(v)))
    }

    fn visit_i64<E>(self, v: i64) -> Result<Self::Value, E> {
        Ok(Some(IncomingValue::Number(v as f64)))
    }

    fn visit_u64<E>(self, v: u64) -> Result<Self::Value, E> {
        Ok(Some(IncomingValue::Number(v as f64)))
    }

    fn visit_f64<E>(self, v: f64) -> Result<Self::Value, E> {
        Ok(Some(IncomingValue::Number(v)))
    }

    fn visit_str<E>(self, v: &str) -> Result<Self::Value, E> {
        Ok(Some(IncomingValue::Text(v.to_owned())))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

/// `$value` as money: a number, or a number as text.
fn money(value: &IncomingValue) -> Option<Money> {
    let units = match value {
        IncomingValue::Number(number) => *number,
        IncomingValue::Text(text) => match text.trim().parse() {
            Ok(exact) => return Some(exact),
            Err(_) => text.trim().parse().ok()?,
        },
        IncomingValue::Bool(_) | IncomingValue::List(_) => return None,
    };
    let thousandths = (units * 1000.0).round();
    // Beyond 2^53 thousandths a float is no longer an amount of money.
    (thousandths.abs() <= 9_007_199_254_740_992.0).then_some(Money(thousandths as i64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::fake::{Fake, body};
    use crate::api::klaviyo::client::tests_support::client;

    const REPLY: &str = r#"{"data":[
        {"type":"event","id":"e1","attributes":{"timestamp":1691652116,"datetime":"2023-08-10 07:21:56+00:00",
          "event_properties":{"$value":49.95,"$extra":{"a":[1,{"b":2}]},"Bounce Type":"Soft","Su\u0062ject":"Hi \"you\"","machine_open":true,"skip":"x"},"uuid":"u"},
         "relationships":{"profile":{"data":{"type":"profile","id":"01H"}},"metric":{"data":{"type":"metric","id":"M"}}},"links":{"self":"s"}},
        {"type":"event","id":"e2","relationships":{"profile":{"data":null}},"attributes":{"datetime":"2023-08-10T07:21:57+00:00","event_properties":null}},
        {"type":"event","id":"e3","attributes":{"datetime":"2023-08-10T07:21:58+00:00","event_properties":{"$value":"12.5","Bounce Type":["x"]}}},
        {"type":"event","id":"e4","attributes":{"datetime":null}},
        {"type":"event","id":5,"attributes":{"datetime":"2023-08-10T07:21:58+00:00"}}],
        "links":{"next":null}}"#;

    fn mentions() -> Mentions {
        let names = ["Bounce Type", "Subject", "machine_open"].map(str::to_owned);
        Mentions {
            events: [(MetricId::from("M"), names.into())].into(),
            ..Mentions::default()
        }
    }

    async fn read(reply: &str) -> (Page<IncomingEvent>, String) {
        let fake = Fake::new([body(reply)]);
        let (since, until) = (Moment::from_secs(0), Moment::from_secs(86_400));
        let (klaviyo, mentions) = (client(&fake), mentions());
        let metric = "M".into();
        let page = klaviyo.events(&metric, since, until, None, &mentions);
        let page = page.await.unwrap();
        (page, fake.seen()[0].path_and_query.clone())
    }

    #[tokio::test]
    async fn only_mentioned_properties_are_kept_and_the_value_always() {
        let (page, _) = read(REPLY).await;
        let [first, orphan, text] = &page.items[..] else {
            panic!("three events fit")
        };
        assert_eq!(page.quarantined, 2);
        assert_eq!(first.at, Moment::from_secs(1_691_652_116));
        assert_eq!(first.profile, Some("01H".into()));
        assert_eq!(first.value, Some(Money(49_950)));
        let kept = [
            ("Bounce Type", IncomingValue::Text("Soft".to_owned())),
            ("Subject", IncomingValue::Text("Hi \"you\"".to_owned())),
            ("machine_open", IncomingValue::Bool(true)),
        ];
        assert_eq!(first.properties, kept.map(|(k, v)| (k.to_owned(), v)));
        assert_eq!((&orphan.profile, orphan.properties.len()), (&None, 0));
        assert_eq!(
            (text.value, text.properties.len()),
            (Some(Money(12_500)), 0)
        );
    }

    #[tokio::test]
    async fn a_window_is_half_open_and_in_time_order() {
        let (_, asked) = read(r#"{"data":[]}"#).await;
        let query = asked.strip_prefix("/api/events?").unwrap();
        let pairs: Vec<_> = url::form_urlencoded::parse(query.as_bytes()).collect();
        assert!(
            pairs.contains(&(
                "filter".into(),
                "equals(metric_id,\"M\"),greater-or-equal(datetime,1970-01-01T00:00:00Z),\
             less-than(datetime,1970-01-02T00:00:00Z)"
                    .into()
            ))
        );
        assert!(pairs.contains(&("sort".into(), "datetime".into())));
        assert!(pairs.contains(&("page[size]".into(), "1000".into())));
    }

    #[test]
    fn an_amount_is_rounded_to_thousandths_and_nonsense_is_none() {
        let number = |n| money(&IncomingValue::Number(n));
        assert_eq!(number(0.1 + 0.2), Some(Money(300)));
        assert_eq!(number(-5.0), Some(Money(-5_000)));
        assert_eq!(number(f64::NAN), None);
        assert_eq!(number(1e300), None);
        assert_eq!(
            money(&IncomingValue::Text("1e2".to_owned())),
            Some(Money(100_000))
        );
        assert_eq!(money(&IncomingValue::Text("much".to_owned())), None);
    }
}
