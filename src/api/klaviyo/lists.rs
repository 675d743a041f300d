//! Lists and who is on them.

use super::client::{Klaviyo, Listing, encode, quoted, segment};
use super::jsonapi::{plain, single};
use super::limits::{GET_LIST, GET_LIST_PROFILES, GET_LISTS, PROFILE_COUNT};
use super::members::joined_at_or_after;
use super::profiles::check_count;
use crate::api::lenient;
use crate::api::{ApiError, Call, Cursor, Exchange, Fault, Page};
use crate::model::{List, ListId, Member, Moment};
use serde::Deserialize;

const PATH: &str = "/api/lists";

/// Most addresses in one `any(email, […])`.
const MOST_EMAILS: usize = 100;

#[derive(Deserialize)]
struct ListItem {
    id: ListId,
    attributes: ListAttributes,
}

#[derive(Deserialize)]
struct ListAttributes {
    name: Option<String>,
    #[serde(default, deserialize_with = "lenient::instant")]
    updated: Option<Moment>,
}

#[derive(Deserialize)]
struct Counted {
    attributes: Count,
}

#[derive(Deserialize)]
struct Count {
    #[serde(default, deserialize_with = "lenient::count")]
    profile_count: Option<u64>,
}

impl<E: Exchange> Klaviyo<E> {
    /// All lists.
    ///
    /// # Errors
    /// Whatever a request meets.
    pub async fn lists(&self) -> Result<Page<List>, ApiError> {
        let listing = Listing {
            class: &GET_LISTS,
            surcharge: None,
            path: PATH,
            query: &[
                ("fields[list]", "name,updated"),
                ("page[size]", "10"),
                ("sort", "id"),
            ],
        };
        let page = self.walk(&listing, plain::<ListItem>()).await?;
        Ok(page.map(|item| List {
            id: item.id,
            name: item.attributes.name.unwrap_or_default(),
            updated: item.attributes.updated,
        }))
    }

    /// How many profiles Klaviyo counts on a list. Dear: 15 a minute for all lists and segments.
    ///
    /// # Errors
    /// [`Fault::NotFound`] when the list is gone, and whatever the request meets.
    pub async fn list_size(&self, list: &ListId) -> Result<u64, ApiError> {
        let query = [
            ("additional-fields[list]", "profile_count"),
            ("fields[list]", "profile_count"),
        ];
        let path = format!("{PATH}/{}?{}", segment(list.as_str()), encode(&query));
        let mut call = Call::get(&GET_LIST, path);
        call.surcharge = Some(&PROFILE_COUNT);
        let answer = self.ask(&call).await?;
        let failed = |fault| answer.error(&GET_LIST, fault);
        let counted: Counted = single(&answer.body).map_err(failed)?;
        let missing = Fault::Shape { line: 1, column: 1 };
        counted.attributes.profile_count.ok_or(failed(missing))
    }

    /// One page of a list's members in order of joining: all, or those who joined at or after an
    /// instant. Who left does not appear in either.
    ///
    /// # Errors
    /// [`Fault::NotFound`] when the list is gone, and whatever the request meets.
    pub async fn list_members(
        &self,
        list: &ListId,
        joined_since: Option<Moment>,
        joined_before: Option<Moment>,
        cursor: Option<&Cursor>,
    ) -> Result<Page<Member>, ApiError> {
        let path = format!("{PATH}/{}/profiles", segment(list.as_str()));
        let since = joined_since.map(joined_at_or_after);
        let before = joined_before.map(|at| format!("less-than(joined_group_at,{at})"));
        let conditions: Vec<String> = since.into_iter().chain(before).collect();
        let filter = (!conditions.is_empty()).then(|| conditions.join(","));
        self.member_page(&GET_LIST_PROFILES, &path, filter, cursor)
            .await
    }

    /// Those among up to 100 addresses that are on a list. Lists cannot be asked by profile id.
    ///
    /// # Errors
    /// [`Fault::TooMany`], [`Fault::NotFound`] when the list is gone, and whatever the request meets.
    pub async fn list_members_by_email(
        &self,
        list: &ListId,
        emails: &[&str],
    ) -> Result<Page<Member>, ApiError> {
        let class = &GET_LIST_PROFILES;
        check_count(emails.len(), MOST_EMAILS).map_err(|fault| ApiError::new(class, fault))?;
        let path = format!("{PATH}/{}/profiles", segment(list.as_str()));
        let filter = format!("any(email,[{}])", quoted(emails.iter().copied()));
        self.member_page(class, &path, Some(filter), None).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::fake::{Fake, body};
    use crate::api::klaviyo::client::tests_support::client;

    #[tokio::test]
    async fn members_come_with_the_time_they_joined() {
        let reply = r#"{"data":[{"type":"profile","id":"01A","attributes":{"joined_group_at":"2026-01-02T00:00:00+00:00"}},
            {"type":"profile","id":"01B","attributes":{}},{"type":"profile","id":null}],
            "links":{"next":"/api/lists/Y6nRLr/profiles?page%5Bcursor%5D=z"}}"#;
        let fake = Fake::new([body(reply)]);
        let page = client(&fake)
            .list_members(&"Y6nRLr".into(), None, None, None)
            .await;
        let page = page.unwrap();
        assert_eq!(page.items[0].joined, Moment::parse("2026-01-02"));
        assert_eq!(page.items[1].joined, None);
        assert_eq!(page.quarantined, 1);
        assert!(page.next.is_some());
    }

    #[tokio::test]
    async fn members_are_filtered_by_when_they_joined() {
        let fake = Fake::new([body(r#"{"data":[]}"#), body(r#"{"data":[]}"#)]);
        let (klaviyo, list) = (client(&fake), "Y6nRLr".into());
        let [from, to] = [10, 20].map(|at| Some(Moment::from_secs(at)));
        klaviyo.list_members(&list, from, to, None).await.unwrap();
        klaviyo.list_members(&list, None, to, None).await.unwrap();
        let filters: Vec<String> = fake.seen().iter().map(filter_of).collect();
        let before = "less-than(joined_group_at,1970-01-01T00:00:20Z)";
        let both = format!("greater-or-equal(joined_group_at,1970-01-01T00:00:10Z),{before}");
        assert_eq!(filters, [both.as_str(), before]);
    }

    fn filter_of(call: &crate::api::Call) -> String {
        let query = call.path_and_query.split_once('?').unwrap().1;
        let mut pairs = url::form_urlencoded::parse(query.as_bytes());
        pairs
            .find(|(name, _)| name == "filter")
            .unwrap()
            .1
            .into_owned()
    }

    #[tokio::test]
    async fn a_cursor_of_another_list_is_refused_before_any_request() {
        let fake = Fake::default();
        let cursor = Cursor::from_stored("/api/lists/OTHER/profiles?page%5Bcursor%5D=z");
        let (klaviyo, list) = (client(&fake), "Y6nRLr".into());
        let result = klaviyo.list_members(&list, None, None, Some(&cursor)).await;
        assert_eq!(result.unwrap_err().fault, Fault::ForeignLink);
        assert!(fake.seen().is_empty());
    }

    #[tokio::test]
    async fn a_count_pays_for_its_parameter() {
        let fake = Fake::new([body(
            r#"{"data":{"id":"a","attributes":{"profile_count":12}}}"#,
        )]);
        assert_eq!(client(&fake).list_size(&"a".into()).await, Ok(12));
        assert_eq!(fake.seen()[0].surcharge, Some(&PROFILE_COUNT));
    }
}
