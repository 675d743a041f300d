//! `/api/profiles`: listing, one by id, and the resource as lists and segments show it too.

use super::failure::{Failure, Failures};
use super::filter::Condition;
use super::paging::{self, Key, Page};
use super::query::{NOTHING, Query, Spec};
use super::resource::{self, relation};
use super::world::{self, Dated, Profile, Suppression};
use super::{Call, Reply};
use axum::http::StatusCode;
use serde_json::{Value as Json, json};
use std::ops::Bound;

/// Attributes of a profile; members of lists and segments have one more.
pub(super) const FIELDS: &[&str] = &[
    "created",
    "email",
    "external_id",
    "first_name",
    "id",
    "image",
    "last_event_date",
    "last_name",
    "locale",
    "location",
    "organization",
    "phone_number",
    "predictive_analytics",
    "properties",
    "subscriptions",
    "title",
    "updated",
];
/// Attributes that are off by default.
pub(super) const ADDITIONAL: &[&str] = &["subscriptions", "predictive_analytics"];

const IDENTITY: &[&str] = &["equals", "equals[]", "any[]"];
const SUPPRESSED_AT: &str = "subscriptions.email.marketing.suppression.timestamp";
const SUPPRESSED_WHY: &str = "subscriptions.email.marketing.suppression.reason";

pub(super) const ONE: Spec = Spec {
    fields: &[("profile", FIELDS)],
    additional: &[("profile", ADDITIONAL)],
    ..NOTHING
};

const LIST: Spec = Spec {
    filters: &[
        ("id", IDENTITY),
        ("email", IDENTITY),
        ("phone_number", IDENTITY),
        ("external_id", IDENTITY),
        ("created", &["@greater-than", "@less-than"]),
        ("updated", &["@greater-than", "@less-than"]),
        (SUPPRESSED_WHY, &["equals"]),
        (
            SUPPRESSED_AT,
            &[
                "@greater-than",
                "@greater-or-equal",
                "@less-than",
                "@less-or-equal",
            ],
        ),
    ],
    sorts: &["created", "email", "id", "updated", SUPPRESSED_AT],
    page: Some((20, 100)),
    sizable: true,
    ..ONE
};

type Row<'a> = (&'a String, &'a Profile);

/// A page of profiles; by id unless told otherwise.
pub(super) fn list(state: &mut world::State, call: &Call) -> Result<Reply, Failures> {
    let query = Query::read(call, &LIST)?;
    let profiles = &state.klaviyo.profiles;
    let named = named(&query, profiles);
    if query.sort == "created" && named.is_none() {
        return Ok(document(call, &query, by_creation(profiles, &query)));
    }
    let by_id = matches!(query.sort.as_str(), "" | "id") && !query.descending;
    let after = query.after.as_ref().map_or("", |position| &position.id);
    let start = if by_id && query.after.is_some() {
        Bound::Excluded(after)
    } else {
        Bound::Unbounded
    };
    let candidates: Box<dyn Iterator<Item = Row<'_>>> = match named {
        Some(named) => Box::new(named.into_iter()),
        None => Box::new(profiles.range::<str, _>((start, Bound::Unbounded))),
    };
    let rows = candidates
        .filter(|(id, profile)| admits(&query, id, profile))
        .map(|(id, profile)| (key(&query.sort, id, profile), (id, profile)));
    let in_order = by_id
        && query
            .filters
            .iter()
            .all(|condition| condition.field != "id");
    let page: Page<Row<'_>> = match in_order {
        true => paging::page_in_order(rows, &query),
        false => paging::page(rows, &query),
    };
    Ok(document(call, &query, page))
}

fn document(call: &Call, query: &Query, page: Page<Row<'_>>) -> Reply {
    let document = page.document(call, query, |(id, profile)| {
        render(call, query, id, profile)
    });
    (StatusCode::OK, Some(document))
}

fn by_creation<'a>(profiles: &'a Dated<Profile>, query: &Query) -> Page<Row<'a>> {
    let rows = paging::dated(profiles.order(), query, "created").filter_map(|row| {
        let found = profiles.get_key_value(&row.1)?;
        Some((paging::key_of_dated(row), found))
    });
    paging::page_in_order(rows.filter(|(_, row)| admits(query, row.0, row.1)), query)
}

/// One profile.
pub(super) fn one(state: &mut world::State, call: &Call) -> Result<Reply, Failures> {
    let query = Query::read(call, &ONE)?;
    let profile = state
        .klaviyo
        .profiles
        .get(call.id())
        .ok_or_else(|| absent(call.id()))?;
    let rendered = render(call, &query, call.id(), profile);
    Ok(resource::one(StatusCode::OK, call, &query, rendered))
}

/// The vendor's words for a profile that is not there.
pub(super) fn absent(id: &str) -> Failure {
    Failure::missing(&format!("A profile with id {id} does not exist."))
}

/// The profiles that an `id` filter names, if there is one.
fn named<'a>(query: &Query, profiles: &'a Dated<Profile>) -> Option<Vec<Row<'a>>> {
    let condition = query
        .filters
        .iter()
        .find(|condition| condition.field == "id")?;
    let mut ids: Vec<&String> = condition.values.iter().collect();
    ids.sort_unstable();
    ids.dedup();
    let found = ids.into_iter().filter_map(|id| profiles.get_key_value(id));
    Some(found.collect())
}

fn key<'a>(sort: &str, id: &'a str, profile: &'a Profile) -> Key<'a> {
    match sort {
        "created" => (profile.created.0, "", id),
        "updated" => (profile.updated.0, "", id),
        "email" => (0, profile.email.as_deref().unwrap_or(""), id),
        SUPPRESSED_AT => {
            let last = profile.suppressions.iter().map(|known| known.at.0).max();
            (last.unwrap_or(i64::MIN), "", id)
        }
        _ => (0, "", id),
    }
}

fn admits(query: &Query, id: &str, profile: &Profile) -> bool {
    let of_suppression = |condition: &Condition| condition.field.contains(".suppression.");
    let suppressed = |known: &Suppression| {
        query.admits(|condition| match condition.field.as_str() {
            SUPPRESSED_WHY => condition.names(Some(known.reason)),
            SUPPRESSED_AT => condition.admits(Some(known.at)),
            _ => true,
        })
    };
    if query.filters.iter().any(of_suppression) && !profile.suppressions.iter().any(suppressed) {
        return false;
    }
    query.admits(|condition| match condition.field.as_str() {
        "id" => condition.names(Some(id)),
        "email" => condition.names(profile.email.as_deref()),
        "phone_number" => condition.names(profile.phone_number.as_deref()),
        "external_id" => condition.names(profile.external_id.as_deref()),
        "created" => condition.admits(Some(profile.created)),
        "updated" => condition.admits(Some(profile.updated)),
        _ => true,
    })
}

/// The resource.
pub(super) fn render(call: &Call, query: &Query, id: &str, profile: &Profile) -> Json {
    let path = format!("/api/profiles/{id}");
    let mut attributes = profile.attributes();
    if let Some(all) = attributes.as_object_mut() {
        all.retain(|name, _| !ADDITIONAL.contains(&name.as_str()) || query.adds(name));
    }
    json!({
        "type": "profile",
        "id": id,
        "attributes": attributes,
        "relationships": {
            "lists": relation(call, &path, "lists"),
            "segments": relation(call, &path, "segments"),
        },
        "links": { "self": call.link(&path) },
    })
}
