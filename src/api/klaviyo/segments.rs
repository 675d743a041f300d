//! Segments with their definitions, as text: only `segment` understands them.

use super::client::{Klaviyo, Listing, quoted, segment};
use super::limits::{GET_SEGMENT_PROFILES, GET_SEGMENTS};
use super::members::joined_at_or_after;
use super::profiles::{MOST_IDS, check_count};
use crate::api::lenient;
use crate::api::{ApiError, Cursor, Exchange, Page};
use crate::model::{Member, Moment, ProfileId, Segment, SegmentId};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer};
use serde_json::value::RawValue;

const PATH: &str = "/api/segments";

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
            surcharge: None,
            path: PATH,
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

    /// One page of a segment's members in order of joining: all, or those who joined at or after an
    /// instant. Who left does not appear in either.
    ///
    /// # Errors
    /// [`crate::api::Fault::NotFound`] when the segment is gone, and whatever the request meets.
    pub async fn segment_members(
        &self,
        id: &SegmentId,
        joined_since: Option<Moment>,
        cursor: Option<&Cursor>,
    ) -> Result<Page<Member>, ApiError> {
        let since = joined_since.map(joined_at_or_after);
        self.member_page(&GET_SEGMENT_PROFILES, &members_of(id), since, cursor)
            .await
    }

    /// Those among up to 100 profiles that are in a segment.
    ///
    /// # Errors
    /// [`crate::api::Fault::TooMany`], [`crate::api::Fault::NotFound`] when the segment is gone, and
    /// whatever the request meets.
    pub async fn segment_members_among(
        &self,
        id: &SegmentId,
        profiles: &[ProfileId],
    ) -> Result<Page<Member>, ApiError> {
        let class = &GET_SEGMENT_PROFILES;
        check_count(profiles.len(), MOST_IDS).map_err(|fault| ApiError::new(class, fault))?;
        let ids = quoted(profiles.iter().map(ProfileId::as_str));
        let filter = format!("any(profile_id,[{ids}])");
        self.member_page(class, &members_of(id), Some(filter), None)
            .await
    }
}

fn members_of(id: &SegmentId) -> String {
    format!("{PATH}/{}/profiles", segment(id.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
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

    #[tokio::test]
    async fn members_are_asked_for_by_time_or_by_id() {
        let reply = r#"{"data":[{"id":"01A","attributes":{"joined_group_at":"2026-01-02T00:00:00+00:00"}}]}"#;
        let fake = Fake::new([body(reply), body(reply)]);
        let (klaviyo, id) = (client(&fake), "Sg".into());
        let since = Some(Moment::from_secs(0));
        let page = klaviyo.segment_members(&id, since, None).await.unwrap();
        assert_eq!(page.items[0].joined, Moment::parse("2026-01-02"));
        let some = ["01A".into(), "01B".into()];
        klaviyo.segment_members_among(&id, &some).await.unwrap();
        let asked = fake.seen();
        let filter = |index: usize| {
            let (path, query) = asked[index].path_and_query.split_once('?').unwrap();
            assert_eq!(path, "/api/segments/Sg/profiles");
            let mut pairs = url::form_urlencoded::parse(query.as_bytes()).into_owned();
            pairs.find(|(name, _)| name == "filter").unwrap().1
        };
        let since = "greater-or-equal(joined_group_at,1970-01-01T00:00:00Z)";
        assert_eq!(filter(0), since);
        assert_eq!(filter(1), r#"any(profile_id,["01A","01B"])"#);
        let many = vec![ProfileId::from("01A"); 101];
        assert!(klaviyo.segment_members_among(&id, &many).await.is_err());
        assert_eq!(fake.seen().len(), 2, "refused before any request");
    }
}
