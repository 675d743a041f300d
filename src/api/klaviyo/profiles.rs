//! Profiles, cut down to what is mentioned while they are read.

use super::client::{Klaviyo, Listing, quoted};
use super::limits::GET_PROFILES;
use crate::api::lenient;
use crate::api::{ApiError, Cursor, Exchange, Fault, Page};
use crate::model::{Consent, EmailMarketing, Mentions, Moment, Profile, ProfileId};
use crate::model::{Suppression, SuppressionReason, Value};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use std::collections::BTreeMap;
use std::fmt;

const PATH: &str = "/api/profiles";
const SUPPRESSED_AT: &str = "subscriptions.email.marketing.suppression.timestamp";
const FIELDS: &str =
    "email,phone_number,external_id,location.country,created,updated,properties,subscriptions";

/// Most ids in one `any(id, […])`.
const MOST_IDS: usize = 100;

/// Which profiles, and from where on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProfileQuery {
    /// Only those changed after this instant, in order of change; all by id when absent.
    pub updated_since: Option<Moment>,
    /// The page to read; the first when absent.
    pub cursor: Option<Cursor>,
}

impl<E: Exchange> Klaviyo<E> {
    /// One page of profiles, 100 at most.
    ///
    /// # Errors
    /// Whatever the request meets.
    pub async fn profiles(
        &self,
        query: &ProfileQuery,
        mentions: &Mentions,
    ) -> Result<Page<Profile>, ApiError> {
        let filter = query
            .updated_since
            .map(|since| format!("greater-than(updated,{since})"));
        let sort = if filter.is_some() { "updated" } else { "id" };
        let cursor = query.cursor.as_ref();
        self.profile_page(filter, sort, cursor, mentions).await
    }

    /// One page of the profiles globally suppressed at or after `since`, in that order. A lifted
    /// suppression does not appear here.
    ///
    /// # Errors
    /// Whatever the request meets.
    pub async fn suppressed_since(
        &self,
        since: Moment,
        cursor: Option<&Cursor>,
        mentions: &Mentions,
    ) -> Result<Page<Profile>, ApiError> {
        let filter = format!("greater-or-equal({SUPPRESSED_AT},{since})");
        self.profile_page(Some(filter), SUPPRESSED_AT, cursor, mentions)
            .await
    }

    /// Profiles by id, 100 at most in one call. An id that is not in the answer is gone.
    ///
    /// # Errors
    /// [`Fault::TooMany`], and whatever the request meets.
    pub async fn profiles_by_id(
        &self,
        ids: &[ProfileId],
        mentions: &Mentions,
    ) -> Result<Page<Profile>, ApiError> {
        check_count(ids.len(), MOST_IDS).map_err(|f| ApiError::new(&GET_PROFILES, f))?;
        let filter = format!("any(id,[{}])", quoted(ids.iter().map(ProfileId::as_str)));
        self.profile_page(Some(filter), "id", None, mentions).await
    }

    async fn profile_page(
        &self,
        filter: Option<String>,
        sort: &str,
        cursor: Option<&Cursor>,
        mentions: &Mentions,
    ) -> Result<Page<Profile>, ApiError> {
        let mut query = vec![
            ("additional-fields[profile]", "subscriptions"),
            ("fields[profile]", FIELDS),
            ("page[size]", "100"),
            ("sort", sort),
        ];
        query.extend(filter.as_deref().map(|filter| ("filter", filter)));
        let listing = Listing {
            class: &GET_PROFILES,
            path: PATH,
            query: &query,
        };
        self.page(&listing, cursor, ProfileSeed(mentions)).await
    }
}

/// Refuses more than the vendor takes in one call.
pub(super) fn check_count(got: usize, limit: usize) -> Result<(), Fault> {
    if got > limit {
        return Err(Fault::TooMany { limit, got });
    }
    Ok(())
}

/// Reads one profile.
#[derive(Clone, Copy)]
struct ProfileSeed<'m>(&'m Mentions);

#[derive(Deserialize)]
struct Item<'a> {
    id: ProfileId,
    #[serde(borrow)]
    attributes: Attributes<'a>,
}

#[derive(Deserialize)]
struct Attributes<'a> {
    #[serde(default, deserialize_with = "lenient::text")]
    email: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    phone_number: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    external_id: Option<String>,
    #[serde(default, deserialize_with = "lenient::instant")]
    created: Option<Moment>,
    #[serde(default, deserialize_with = "lenient::instant")]
    updated: Option<Moment>,
    #[serde(default)]
    location: Option<Location>,
    #[serde(borrow, default)]
    properties: Option<&'a serde_json::value::RawValue>,
    #[serde(default)]
    subscriptions: Option<Subscriptions>,
}

#[derive(Deserialize)]
struct Location {
    #[serde(default, deserialize_with = "lenient::text")]
    country: Option<String>,
}

#[derive(Deserialize)]
struct Subscriptions {
    email: Option<Channel>,
}

#[derive(Deserialize)]
struct Channel {
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
}

#[derive(Deserialize)]
struct SuppressionItem {
    #[serde(default, deserialize_with = "lenient::text")]
    reason: Option<String>,
    #[serde(default, deserialize_with = "lenient::instant")]
    timestamp: Option<Moment>,
}

impl<'de> DeserializeSeed<'de> for ProfileSeed<'_> {
    type Value = Profile;
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Profile, D::Error> {
        let item = Item::deserialize(from)?;
        let attributes = item.attributes;
        let properties = match attributes.properties {
            None => BTreeMap::new(),
            Some(raw) => serde_json::Deserializer::from_str(raw.get())
                .deserialize_map(Chosen(self.0))
                .map_err(|_| serde::de::Error::custom("properties are not an object"))?,
        };
        let email = attributes.subscriptions.and_then(|all| all.email);
        Ok(Profile {
            email: attributes.email,
            phone: attributes.phone_number,
            external_id: attributes.external_id,
            country: attributes.location.and_then(|location| location.country),
            created: attributes.created,
            updated: attributes.updated,
            email_marketing: email.and_then(|email| email.marketing).map(Into::into),
            properties,
            ..Profile::new(item.id)
        })
    }
}

impl From<Marketing> for EmailMarketing {
    fn from(state: Marketing) -> Self {
        let consent = match state.consent.as_deref() {
            Some("SUBSCRIBED") => Consent::Subscribed,
            Some("UNSUBSCRIBED") => Consent::Unsubscribed,
            Some("NEVER_SUBSCRIBED") => Consent::NeverSubscribed,
            other => Consent::Other(other.unwrap_or_default().to_owned()),
        };
        let suppressions = state.suppression.unwrap_or_default();
        Self {
            can_receive: state.can_receive_email_marketing,
            consent_at: state.consent_timestamp,
            suppressions: suppressions.into_iter().map(Into::into).collect(),
            ..Self::new(consent)
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

/// Keeps the mentioned custom properties.
struct Chosen<'m>(&'m Mentions);

impl<'de> Visitor<'de> for Chosen<'_> {
    type Value = BTreeMap<String, Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of properties")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut kept = BTreeMap::new();
        while let Some(super::jsonapi::Text(key)) = map.next_key()? {
            if self.0.keeps(&key) {
                let value: serde_json::Value = map.next_value()?;
                kept.extend(Value::from_json(&value).map(|value| (key.into_owned(), value)));
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::fake::{Fake, body};
    use crate::api::klaviyo::client::tests_support::client;

    const REPLY: &str = r#"{"data":[{"type":"profile","id":"01GDDKASAP8TKDDA2GRZDSVP4H","attributes":{
        "email":"sarah@example.org","phone_number":"+15005550006","external_id":7000000000001,
        "created":"2022-11-08T00:00:00+00:00","updated":"2022-11-08 00:00:00+00:00",
        "location":{"country":"United States","latitude":"40.7128","longitude":-74.006},
        "properties":{"tier":"gold","huge":{"a":[1,2]},"driftless_orders":3,"none":null,"driftless_x":null},
        "subscriptions":{"email":{"marketing":{"can_receive_email_marketing":"True","consent":"SUBSCRIBED",
            "consent_timestamp":"2023-02-21T20:07:38+00:00","double_optin":"True",
            "suppression":[{"reason":"HARD_BOUNCE","timestamp":"2023-02-21T20:07:38+00:00"},{"reason":"MOON"}],
            "list_suppressions":[]}},"sms":null}},
        "relationships":{"lists":{"links":{}}}},
        {"type":"profile","id":"01B","attributes":{"subscriptions":null,"properties":null,"location":null}},
        {"type":"profile","id":"01C","attributes":{"updated":"yesterday"}}],
        "links":{"self":"x","next":null}}"#;

    fn mentions() -> Mentions {
        Mentions {
            profile: ["tier".to_owned(), "none".to_owned()].into(),
            profile_prefix: "driftless_".to_owned(),
            ..Mentions::default()
        }
    }

    #[tokio::test]
    async fn a_profile_is_read_in_every_spelling_and_cut_to_what_is_mentioned() {
        let fake = Fake::new([body(REPLY)]);
        let query = ProfileQuery::default();
        let page = client(&fake).profiles(&query, &mentions()).await.unwrap();
        assert_eq!((page.items.len(), page.quarantined), (2, 1));
        let sarah = &page.items[0];
        assert_eq!(sarah.external_id.as_deref(), Some("7000000000001"));
        assert_eq!(sarah.country.as_deref(), Some("United States"));
        assert_eq!(sarah.updated, Moment::parse("2022-11-08"));
        let kept: Vec<&str> = sarah.properties.keys().map(String::as_str).collect();
        assert_eq!(kept, ["driftless_orders", "tier"]);
        let marketing = sarah.email_marketing.as_ref().unwrap();
        assert_eq!(marketing.can_receive, Some(true));
        assert_eq!(marketing.consent, Consent::Subscribed);
        let reasons: Vec<_> = marketing.suppressions.iter().map(|s| &s.reason).collect();
        let moon = SuppressionReason::Other("MOON".to_owned());
        assert_eq!(reasons, [&SuppressionReason::HardBounce, &moon]);
        assert_eq!(page.items[1].email_marketing, None);
    }

    #[tokio::test]
    async fn each_kind_of_walk_asks_for_what_it_needs() {
        let fake = Fake::new((0..4).map(|_| body(r#"{"data":[]}"#)));
        let (klaviyo, mentions) = (client(&fake), mentions());
        let since = Moment::from_secs(1_700_000_000);
        let mut query = ProfileQuery::default();
        klaviyo.profiles(&query, &mentions).await.unwrap();
        query.updated_since = Some(since);
        klaviyo.profiles(&query, &mentions).await.unwrap();
        let suppressed = klaviyo.suppressed_since(since, None, &mentions);
        suppressed.await.unwrap();
        let ids = ["01A".into(), "01B".into()];
        klaviyo.profiles_by_id(&ids, &mentions).await.unwrap();
        let asked = fake.seen();
        let query = |index: usize| {
            let query = asked[index].path_and_query.split_once('?').unwrap().1;
            let pairs = url::form_urlencoded::parse(query.as_bytes());
            pairs.into_owned().collect::<BTreeMap<String, String>>()
        };
        assert_eq!(query(0)["sort"], "id");
        assert_eq!(query(0)["page[size]"], "100");
        assert_eq!(
            query(1)["filter"],
            "greater-than(updated,2023-11-14T22:13:20Z)"
        );
        assert_eq!(query(1)["sort"], "updated");
        assert_eq!(
            query(2)["filter"],
            "greater-or-equal(subscriptions.email.marketing.suppression.timestamp,2023-11-14T22:13:20Z)"
        );
        assert_eq!(query(3)["filter"], r#"any(id,["01A","01B"])"#);
    }

    #[tokio::test]
    async fn more_ids_than_fit_are_refused_before_any_request() {
        let fake = Fake::default();
        let ids = vec![ProfileId::from("01A"); 101];
        let error = client(&fake).profiles_by_id(&ids, &mentions()).await;
        let expected = Fault::TooMany {
            limit: 100,
            got: 101,
        };
        assert_eq!(error.unwrap_err().fault, expected);
    }
}
