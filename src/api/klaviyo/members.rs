//! Members of lists and of segments, which come alike.

use super::client::{Klaviyo, Listing};
use super::jsonapi::plain;
use crate::api::lenient;
use crate::api::{ApiError, Class, Cursor, Exchange, Page};
use crate::model::{Member, Moment, ProfileId};
use serde::Deserialize;

#[derive(Deserialize)]
struct MemberItem {
    id: ProfileId,
    #[serde(default)]
    attributes: Option<Joined>,
}

#[derive(Deserialize)]
struct Joined {
    #[serde(default, deserialize_with = "lenient::instant")]
    joined_group_at: Option<Moment>,
}

/// The filter for those who joined at an instant or later.
pub(super) fn joined_at_or_after(since: Moment) -> String {
    format!("greater-or-equal(joined_group_at,{since})")
}

impl<E: Exchange> Klaviyo<E> {
    /// One page, of 100 at most, in order of joining.
    pub(super) async fn member_page(
        &self,
        class: &'static Class,
        path: &str,
        filter: Option<String>,
        cursor: Option<&Cursor>,
    ) -> Result<Page<Member>, ApiError> {
        let mut query = vec![
            ("fields[profile]", "joined_group_at"),
            ("page[size]", "100"),
            ("sort", "joined_group_at"),
        ];
        query.extend(filter.as_deref().map(|filter| ("filter", filter)));
        let listing = Listing {
            class,
            surcharge: None,
            path,
            query: &query,
        };
        let page = self.page(&listing, cursor, plain::<MemberItem>()).await?;
        Ok(page.map(|item| Member {
            profile: item.id,
            joined: item.attributes.and_then(|joined| joined.joined_group_at),
        }))
    }
}
