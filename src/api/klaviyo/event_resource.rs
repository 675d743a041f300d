//! One event, read in one sweep over its text: what no definition or rule mentions is skipped
//! without being allocated.

use super::jsonapi::Text;
use super::resource::{self, NotAResource};
use crate::model::{IncomingEvent, IncomingValue, MetricId, Moment, Money, ProfileId};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value as Json;
use std::collections::BTreeSet;
use std::fmt;

/// Reads one event from the JSON text of its resource, as `GET /api/events` shows it, with its
/// metric. A text without an id gives an empty one, a text without relationships neither metric nor
/// profile.
///
/// # Errors
/// The place where the text is no such resource; never what stands there.
pub fn event_from_json(
    text: &str,
    wanted: &BTreeSet<String>,
) -> Result<(Option<MetricId>, IncomingEvent), NotAResource> {
    let wanted = Some(wanted);
    let read = resource::read("event", text, FileSeed(EventSeed { wanted }))?;
    Ok((read.metric, read.event))
}

/// An event with the metric it is of.
pub(super) struct Owned {
    pub(super) metric: Option<MetricId>,
    pub(super) event: IncomingEvent,
}

/// Reads one event of a listing, with the wanted properties.
#[derive(Clone, Copy)]
pub(super) struct EventSeed<'m> {
    pub(super) wanted: Option<&'m BTreeSet<String>>,
}

/// Reads one event of a file.
struct FileSeed<'m>(EventSeed<'m>);

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

#[derive(Default, Deserialize)]
struct Relationships {
    profile: Option<Relationship<ProfileId>>,
    metric: Option<Relationship<MetricId>>,
}

#[derive(Deserialize)]
struct Relationship<Id> {
    data: Option<Related<Id>>,
}

#[derive(Deserialize)]
struct Related<Id> {
    id: Option<Id>,
}

impl<Id> Relationship<Id> {
    fn id(self) -> Option<Id> {
        self.data?.id
    }
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
    type Value = Owned;
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Owned, D::Error> {
        let read = FileSeed(self).deserialize(from)?;
        if read.event.id.is_empty() {
            return Err(D::Error::missing_field("id"));
        }
        Ok(read)
    }
}

impl<'de> DeserializeSeed<'de> for FileSeed<'_> {
    type Value = Owned;
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Owned, D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for FileSeed<'_> {
    type Value = Owned;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Owned, A::Error> {
        let (mut id, mut attributes) = (String::new(), Attributes::default());
        let mut related = Relationships::default();
        while let Some(member) = map.next_key()? {
            match member {
                Member::Id => id = map.next_value()?,
                Member::Attributes => attributes = map.next_value_seed(AttributesSeed(self.0))?,
                Member::Relationships => {
                    related = map.next_value::<Option<_>>()?.unwrap_or_default();
                }
                Member::Other => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        let at = attributes.at;
        let event = IncomingEvent {
            id,
            at: at.ok_or_else(|| A::Error::missing_field("datetime"))?,
            profile: related.profile.and_then(Relationship::id),
            value: attributes.properties.value,
            properties: attributes.properties.kept,
        };
        let metric = related.metric.and_then(Relationship::id);
        Ok(Owned { metric, event })
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
            let Segmentable(value) = map.next_value()?;
            if let (true, Some(IncomingValue::Number(units))) = (key.is_value, &value) {
                read.value = money(*units);
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

/// A property value that segments can ask about: a scalar or a flat list. Null, objects and what
/// holds one, or a list in a list, are none.
struct Segmentable(Option<IncomingValue>);

impl<'de> Deserialize<'de> for Segmentable {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(ValueVisitor).map(Segmentable)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
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
        let mut items: Vec<Json> = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        let is_flat = !items.iter().any(|item| item.is_array() || item.is_object());
        Ok(is_flat.then(|| IncomingValue::List(Json::Array(items).to_string())))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

/// An amount of `$value`, in thousandths.
fn money(units: f64) -> Option<Money> {
    let thousandths = (units * 1000.0).round();
    // Beyond 2^53 thousandths a float is no longer an amount of money.
    (thousandths.abs() <= 9_007_199_254_740_992.0).then_some(Money(thousandths as i64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn an_amount_is_rounded_to_thousandths_and_nonsense_is_none() {
        assert_eq!(money(0.1 + 0.2), Some(Money(300)));
        assert_eq!(money(-5.0), Some(Money(-5_000)));
        assert_eq!(money(f64::NAN), None);
        assert_eq!(money(1e300), None);
    }

    #[test]
    fn a_value_counts_as_a_number_and_is_kept_raw_when_wanted() {
        let read = |value: &str, names: &[&str]| {
            let text = format!(
                r#"{{"attributes":{{"datetime":"2026-01-01","event_properties":{{"$value":{value}}}}}}}"#
            );
            event_from_json(&text, &wanted(names)).unwrap().1
        };
        let kept = |value| vec![("$value".to_owned(), value)];
        let text = read(r#""12.5""#, &["$value"]);
        assert_eq!(text.value, None, "a text is no amount");
        let raw = IncomingValue::Text("12.5".to_owned());
        assert_eq!(text.properties, kept(raw));
        let number = read("12.5", &["$value"]);
        assert_eq!(number.value, Some(Money(12_500)));
        assert_eq!(number.properties, kept(IncomingValue::Number(12.5)));
        assert_eq!(read("12.5", &[]).properties, []);
        assert_eq!(read("true", &["$value"]).value, None);
    }

    #[test]
    fn a_flat_list_is_kept_and_whatever_holds_more_is_missing() {
        let text = r#"{"id":"e","attributes":{"event_properties":{
            "flat":["é\u0022", 1.0, 2, null, true], "empty":[ ], "nested":[1,[2]], "held":[{"a":1}],
            "object":{"a":[1]}, "null":null},"datetime":"2026-01-01T00:00:00.5Z"},
            "relationships":{"metric":{"data":{"type":"metric","id":"M"}},"profile":null}}"#;
        let names = ["flat", "empty", "nested", "held", "object", "null"];
        let (metric, event) = event_from_json(text, &wanted(&names)).unwrap();
        assert_eq!(metric, Some("M".into()));
        assert_eq!((event.id.as_str(), event.profile), ("e", None));
        assert_eq!(event.at, Moment(1_767_225_600_500));
        let list = |json: &str| IncomingValue::List(json.to_owned());
        let expected = [
            ("flat".to_owned(), list(r#"["é\"",1.0,2,null,true]"#)),
            ("empty".to_owned(), list("[]")),
        ];
        assert_eq!(event.properties, expected);
    }

    #[test]
    fn a_file_may_leave_ids_out_but_not_the_time() {
        let wanted = BTreeSet::new();
        let bare = r#"{"attributes":{"datetime":"2026-01-01"}}"#;
        let (metric, event) = event_from_json(bare, &wanted).unwrap();
        assert_eq!((metric, event.id.as_str(), event.profile), (None, "", None));
        let lost = "{\n \"attributes\": {\"datetime\": \"jane@example.com\"}}";
        let error = event_from_json(lost, &wanted).unwrap_err();
        assert_eq!((error.kind, error.line), ("event", 2));
        assert!(!error.to_string().contains("jane"));
        assert!(event_from_json(&format!("{bare} {bare}"), &wanted).is_err());
    }
}
