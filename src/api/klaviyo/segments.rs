//! Segments with their definitions, as text: only `segment` understands them.

use super::client::{Klaviyo, Listing};
use super::limits::GET_SEGMENTS;
use crate::api::lenient;
use crate::api::{ApiError, Exchange, Page};
use crate::model::{Moment, Segment, SegmentId};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer};
use serde_json::value::RawValue;

#[derive(Deserialize)]
struct Item<'a> {
    id: SegmentId,
    #[serde(borrow)]
    attributes: Attributes<'a>,
}

#[derive(Deserialize)]
struct Attributes<'a> {
    name: Option<String>,
    #[serde(borrow, default)]
    definition: Option<&'a RawValue>,
    #[serde(default, deserialize_with = "lenient::boolean")]
    is_active: Option<bool>,
    #[serde(default, deserialize_with = "lenient::boolean")]
    is_processing: Option<bool>,
    #[serde(default, deserialize_with = "lenient::instant")]
    updated: Option<Moment>,
}

#[derive(Clone, Copy)]
struct SegmentSeed;

impl<'de> DeserializeSeed<'de> for SegmentSeed {
    type Value = Segment;
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Segment, D::Error> {
        let item = Item::deserialize(from)?;
        let attributes = item.attributes;
        Ok(Segment {
            id: item.id,
            name: attributes.name.unwrap_or_default(),
            definition: attributes.definition.map(|raw| raw.get().to_owned()),
            is_active: attributes.is_active.unwrap_or(true),
            is_processing: attributes.is_processing.unwrap_or(false),
            updated: attributes.updated,
        })
    }
}

impl<E: Exchange> Klaviyo<E> {
    /// All segments with their definitions.
    ///
    /// # Errors
    /// Whatever a request meets.
    pub async fn segments(&self) -> Result<Page<Segment>, ApiError> {
        let listing = Listing {
            class: &GET_SEGMENTS,
            path: "/api/segments",
            query: &[
                (
                    "fields[segment]",
                    "name,definition,is_active,is_processing,updated",
                ),
                ("page[size]", "10"),
                ("sort", "id"),
            ],
        };
        self.walk(&listing, SegmentSeed).await
    }
}

#[cfg(test)]
mod tests {
    use crate::api::fake::{Fake, body};
    use crate::api::klaviyo::client::tests_support::client;

    #[tokio::test]
    async fn a_definition_stays_the_text_it_was_and_null_is_none() {
        let reply = r#"{"data":[
            {"id":"a","attributes":{"name":"A","definition":{"condition_groups":[ ]},"is_active":false,"is_processing":true,"updated":null}},
            {"id":"b","attributes":{"name":"B","definition":null}}]}"#;
        let fake = Fake::new([body(reply)]);
        let page = client(&fake).segments().await.unwrap();
        let [a, b] = &page.items[..] else {
            panic!("two segments")
        };
        assert_eq!(a.definition.as_deref(), Some(r#"{"condition_groups":[ ]}"#));
        assert!(!a.is_active && a.is_processing);
        assert_eq!((&b.definition, b.is_active), (&None, true));
    }
}
