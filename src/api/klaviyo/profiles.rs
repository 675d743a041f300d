//! Profiles, cut down to what is mentioned while they are read.

use super::client::{Klaviyo, Listing, quoted};
use super::jsonapi;
use super::limits::{GET_PROFILES, PREDICTIONS};
use super::profile_resource::{ProfileSeed, location_key};
use crate::api::{ApiError, Cursor, Exchange, Fault, Page};
use crate::model::{Mentions, Moment, Profile, ProfileId};
use std::time::Duration;

const PATH: &str = "/api/profiles";
const SUPPRESSED_AT: &str = "subscriptions.email.marketing.suppression.timestamp";

/// Attributes that are asked for only when mentioned.
const MORE_FIELDS: &[&str] = &[
    "first_name",
    "last_name",
    "organization",
    "locale",
    "title",
    "image",
    "last_event_date",
];

const SECOND: Duration = Duration::from_secs(1);

/// Most ids in one `any(id, […])`.
pub const MOST_IDS: usize = 100;

/// Which profiles, and from where on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProfileQuery {
    /// Only those changed after this instant, in order of change; all in the order of their creation
    /// when absent.
    pub updated_since: Option<Moment>,
    /// Only those created from this instant on, and those of the second before it: Klaviyo compares
    /// strictly, and shows whole seconds.
    pub created_from: Option<Moment>,
    /// Only those created before this instant.
    pub created_to: Option<Moment>,
    /// The page to read; the first when absent.
    pub cursor: Option<Cursor>,
}

impl ProfileQuery {
    /// All conditions together; `None` without any.
    fn filter(&self) -> Option<String> {
        let above = |name, at| format!("greater-than({name},{at})");
        let conditions = [
            self.updated_since.map(|since| above("updated", since)),
            self.created_from
                .map(|from| above("created", from.minus(SECOND))),
            self.created_to.map(|to| format!("less-than(created,{to})")),
        ];
        let conditions: Vec<String> = conditions.into_iter().flatten().collect();
        (!conditions.is_empty()).then(|| conditions.join(","))
    }
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
        let sort = match query.updated_since {
            Some(_) => "updated",
            None => "created",
        };
        let (filter, cursor) = (query.filter(), query.cursor.as_ref());
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
        let fields = fields(mentions);
        let (additional, surcharge) = match mentions.predictions {
            true => ("subscriptions,predictive_analytics", Some(&PREDICTIONS)),
            false => ("subscriptions", None),
        };
        let mut query = vec![
            ("additional-fields[profile]", additional),
            ("fields[profile]", &fields),
            ("page[size]", "100"),
            ("sort", sort),
        ];
        query.extend(filter.as_deref().map(|filter| ("filter", filter)));
        let listing = Listing {
            class: &GET_PROFILES,
            surcharge,
            path: PATH,
            query: &query,
        };
        let mentions = mentions.clone();
        let read = move |body: &[u8]| jsonapi::collection(body, ProfileSeed(&mentions));
        self.large_page(&listing, cursor, read).await
    }
}

/// Refuses more than the vendor takes in one call.
pub(super) fn check_count(got: usize, limit: usize) -> Result<(), Fault> {
    if got > limit {
        return Err(Fault::TooMany { limit, got });
    }
    Ok(())
}

/// The attributes to ask for, the mentioned ones beside those that everybody gets.
fn fields(mentions: &Mentions) -> String {
    let mut fields = vec!["email", "phone_number", "external_id", "created", "updated"];
    let mentioned = mentions.attributes.iter().map(String::as_str);
    fields.extend(mentioned.filter(|path| MORE_FIELDS.contains(path)));
    let mut keys = mentions
        .attributes
        .iter()
        .filter_map(|path| location_key(path));
    fields.push(match keys.any(|key| key != "country") {
        true => "location",
        false => "location.country",
    });
    fields.extend(["properties", "subscriptions"]);
    if mentions.predictions {
        fields.push("predictive_analytics");
    }
    fields.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::fake::{Fake, body};
    use crate::api::klaviyo::client::tests_support::client;
    use crate::model::{Consent, SuppressionReason, Value};
    use std::collections::BTreeMap;

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
        assert_eq!(kept, ["driftless_orders", "none", "tier"]);
        assert_eq!(sarah.properties["none"], Value::Null, "mentioned, so told");
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
        let fake = Fake::new((0..5).map(|_| body(r#"{"data":[]}"#)));
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
        let range = ProfileQuery {
            created_from: Some(since),
            created_to: Some(Moment::from_secs(1_700_000_010)),
            ..ProfileQuery::default()
        };
        klaviyo.profiles(&range, &mentions).await.unwrap();
        let asked = fake.seen();
        let urgent: Vec<bool> = asked.iter().map(|call| call.urgent).collect();
        assert_eq!(urgent, [false, false, false, true, false]);
        let query = |index: usize| {
            let query = asked[index].path_and_query.split_once('?').unwrap().1;
            let pairs = url::form_urlencoded::parse(query.as_bytes());
            pairs.into_owned().collect::<BTreeMap<String, String>>()
        };
        assert_eq!(query(0)["sort"], "created");
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
        assert_eq!(
            query(4)["filter"],
            "greater-than(created,2023-11-14T22:13:19Z),less-than(created,2023-11-14T22:13:30Z)"
        );
        assert_eq!(query(4)["sort"], "created");
    }

    #[tokio::test]
    async fn what_is_mentioned_is_asked_for_and_predictions_pay_for_themselves() {
        let fake = Fake::new((0..3).map(|_| body(r#"{"data":[]}"#)));
        let klaviyo = client(&fake);
        let everybody = "email,phone_number,external_id,created,updated";
        let always = "properties,subscriptions";
        for (paths, predictions, expected) in [
            (
                vec![],
                false,
                format!("{everybody},location.country,{always}"),
            ),
            (
                vec!["title", "email", "location['country']", "made_up"],
                false,
                format!("{everybody},title,location.country,{always}"),
            ),
            (
                vec!["location['city']", "location['zip']"],
                true,
                format!("{everybody},location,{always},predictive_analytics"),
            ),
        ] {
            let mentions = Mentions {
                attributes: paths.into_iter().map(str::to_owned).collect(),
                predictions,
                ..Mentions::default()
            };
            let query = ProfileQuery::default();
            klaviyo.profiles(&query, &mentions).await.unwrap();
            let asked = fake.seen().pop().unwrap();
            assert_eq!(asked.surcharge, predictions.then_some(&PREDICTIONS));
            let query = asked.path_and_query.split_once('?').unwrap().1.to_owned();
            let pairs = url::form_urlencoded::parse(query.as_bytes()).into_owned();
            let pairs: BTreeMap<String, String> = pairs.collect();
            assert_eq!(pairs["fields[profile]"], expected);
            let additional = &pairs["additional-fields[profile]"];
            assert_eq!(additional.contains("predictive_analytics"), predictions);
        }
    }

    #[tokio::test]
    async fn a_page_that_is_read_on_another_thread_is_the_same_page() {
        let long = "x".repeat(1_000);
        let profile = |n| {
            format!(
                r#"{{"type":"profile","id":"P{n}","attributes":{{"email":"{long}@example.org"}}}}"#
            )
        };
        let profiles: Vec<String> = (0..100).map(profile).collect();
        let reply = |rest: &str| body(&format!(r#"{{"data":[{},{{}}]{rest}"#, profiles.join(",")));
        let fake = Fake::new([reply("}"), reply("")]);
        let (klaviyo, query) = (client(&fake), ProfileQuery::default());
        let page = klaviyo.profiles(&query, &mentions()).await.unwrap();
        assert_eq!((page.items.len(), page.quarantined), (100, 1));
        assert_eq!(page.items[99].id, "P99".into());
        let torn = klaviyo.profiles(&query, &mentions()).await.unwrap_err();
        assert!(
            matches!(torn.fault, Fault::Shape { .. } | Fault::NotJson),
            "{torn:?}"
        );
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
