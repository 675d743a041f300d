//! JSON:API documents. Records are read by a seed, so that a listing is parsed once and a record
//! that does not fit is left out alone instead of taking its page along.

use crate::api::Fault;
use crate::api::lenient::{misfit, sift};
use crate::model::ProfileId;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

/// The seed of records that need no context to be read.
pub(super) struct Plain<T>(PhantomData<T>);

/// Reads records of `T`.
pub(super) const fn plain<T>() -> Plain<T> {
    Plain(PhantomData)
}

impl<T> Clone for Plain<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Plain<T> {}

impl<'de, T: Deserialize<'de>> DeserializeSeed<'de> for Plain<T> {
    type Value = T;
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<T, D::Error> {
        T::deserialize(from)
    }
}

/// A string of the body, borrowed where it holds no escapes.
#[derive(Deserialize)]
#[serde(transparent)]
pub(super) struct Text<'a>(#[serde(borrow)] pub Cow<'a, str>);

/// The records of one page.
pub(super) struct Collection<T> {
    pub items: Vec<T>,
    pub quarantined: u64,
    pub next: Option<String>,
}

/// Reads `{"data": […], "links": {"next": …}}`.
pub(super) fn collection<'de, S>(body: &'de [u8], seed: S) -> Result<Collection<S::Value>, Fault>
where
    S: DeserializeSeed<'de> + Copy,
{
    let mut json = serde_json::Deserializer::from_slice(body);
    match Document(seed).deserialize(&mut json) {
        Ok((items, next)) => Ok(Collection {
            items,
            quarantined: 0,
            next,
        }),
        Err(_) => record_by_record(body, seed),
    }
}

fn record_by_record<'de, S>(body: &'de [u8], seed: S) -> Result<Collection<S::Value>, Fault>
where
    S: DeserializeSeed<'de> + Copy,
{
    let mut json = serde_json::Deserializer::from_slice(body);
    let (records, next) = Document(plain::<&RawValue>())
        .deserialize(&mut json)
        .map_err(|error| misfit(&error))?;
    let (items, quarantined) = sift(&records, |raw| {
        let mut json = serde_json::Deserializer::from_str(raw);
        seed.deserialize(&mut json).ok()
    });
    Ok(Collection {
        items,
        quarantined,
        next,
    })
}

/// Reads `{"data": {…}}`.
pub(super) fn single<'de, T: Deserialize<'de>>(body: &'de [u8]) -> Result<T, Fault> {
    #[derive(Deserialize)]
    struct Single<T> {
        data: T,
    }
    let document: Single<T> = serde_json::from_slice(body).map_err(|error| misfit(&error))?;
    Ok(document.data)
}

struct Document<S>(S);

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "lowercase")]
enum Part {
    Data,
    Links,
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Links {
    #[serde(default)]
    next: Option<String>,
}

impl<'de, S: DeserializeSeed<'de> + Copy> DeserializeSeed<'de> for Document<S> {
    type Value = (Vec<S::Value>, Option<String>);
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de, S: DeserializeSeed<'de> + Copy> Visitor<'de> for Document<S> {
    type Value = (Vec<S::Value>, Option<String>);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON:API document")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut items, mut next) = (None, None);
        while let Some(part) = map.next_key()? {
            match part {
                Part::Data => items = Some(map.next_value_seed(Records(self.0))?),
                Part::Links => next = map.next_value::<Option<Links>>()?.and_then(|l| l.next),
                Part::Other => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        let items = items.ok_or_else(|| A::Error::missing_field("data"))?;
        Ok((items, next))
    }
}

struct Records<S>(S);

impl<'de, S: DeserializeSeed<'de> + Copy> DeserializeSeed<'de> for Records<S> {
    type Value = Vec<S::Value>;
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_seq(self)
    }
}

impl<'de, S: DeserializeSeed<'de> + Copy> Visitor<'de> for Records<S> {
    type Value = Vec<S::Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of records")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(self.0)? {
            items.push(item);
        }
        Ok(items)
    }
}

/// `{"errors": […]}`.
#[derive(Deserialize)]
pub(super) struct ErrorDocument {
    #[serde(default)]
    pub errors: Vec<ErrorObject>,
}

/// One error. Its `detail` can hold data of people: it is only searched for a scope's name.
#[derive(Deserialize)]
pub(super) struct ErrorObject {
    pub code: Option<String>,
    pub title: Option<String>,
    pub detail: Option<String>,
    source: Option<Source>,
    meta: Option<Meta>,
}

#[derive(Deserialize)]
pub(super) struct Source {
    pub pointer: Option<String>,
    pub parameter: Option<String>,
}

#[derive(Deserialize)]
struct Meta {
    duplicate_profile_id: Option<ProfileId>,
}

impl ErrorObject {
    /// Where in the request.
    pub fn place(&self) -> Option<&str> {
        let source = self.source.as_ref()?;
        source.pointer.as_deref().or(source.parameter.as_deref())
    }

    /// The profile that owns the identifier already.
    pub fn duplicate(&self) -> Option<ProfileId> {
        self.meta.as_ref()?.duplicate_profile_id.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Row {
        id: u32,
    }

    #[test]
    fn a_record_that_does_not_fit_is_left_out_and_counted() {
        let body = br#"{"links":{"next":"/x"},"data":[{"id":1},{"id":"x"},{"id":null},{"id":4}],
            "meta":{"agent_hints":{}}}"#;
        let page = collection(body, plain::<Row>()).ok().unwrap();
        assert_eq!(page.items, [Row { id: 1 }, Row { id: 4 }]);
        assert_eq!((page.quarantined, page.next.as_deref()), (2, Some("/x")));
    }

    #[test]
    fn the_end_of_a_listing_is_null_or_absent() {
        for body in [
            r#"{"data":[],"links":{"next":null}}"#,
            r#"{"data":[],"links":null}"#,
            r#"{"data":[]}"#,
        ] {
            let page = collection(body.as_bytes(), plain::<Row>()).ok().unwrap();
            assert_eq!((page.items.len(), page.next), (0, None));
        }
    }

    #[test]
    fn a_portal_is_not_an_empty_listing() {
        let fault = |body: &'static str| collection(body.as_bytes(), plain::<Row>()).err();
        assert_eq!(
            fault("<html>Welcome to the hotel</html>"),
            Some(Fault::NotJson)
        );
        assert_eq!(fault(""), Some(Fault::NotJson));
        assert_eq!(fault(r#"{"data":[{"id":1}"#), Some(Fault::NotJson));
        for other in [r#"{"links":{}}"#, r#"{"data":null}"#, "[]", "1"] {
            assert!(matches!(fault(other), Some(Fault::Shape { .. })), "{other}");
        }
    }
}
