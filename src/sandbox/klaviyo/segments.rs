//! `/api/segments`: catalogue and one.

use super::failure::{Failure, Failures};
use super::paging::{self, Key};
use super::query::{NOTHING, Query, Spec};
use super::resource::{self, instant, relation};
use super::world::{self, Segment};
use super::{Call, Reply};
use axum::http::StatusCode;
use serde_json::{Value as Json, json};

const LIST: Spec = Spec {
    filters: &[
        ("name", &["any[]", "equals[]"]),
        ("id", &["equals", "equals[]", "any[]"]),
        ("created", &["@greater-than"]),
        ("updated", &["@greater-than"]),
        ("is_active", &["equals", "equals[]", "any[]"]),
    ],
    sorts: &["created", "id", "name", "updated"],
    page: Some((10, 10)),
    sizable: true,
    fields: &[(
        "segment",
        &[
            "created",
            "definition",
            "id",
            "is_active",
            "is_processing",
            "is_starred",
            "name",
            "updated",
        ],
    )],
    ..NOTHING
};

const ONE: Spec = Spec {
    fields: &[(
        "segment",
        &[
            "created",
            "definition",
            "id",
            "is_active",
            "is_processing",
            "is_starred",
            "name",
            "profile_count",
            "updated",
        ],
    )],
    additional: &[("segment", &["profile_count"])],
    ..NOTHING
};

/// A page of the catalogue.
pub(super) fn list(state: &mut world::State, call: &Call) -> Result<Reply, Failures> {
    let query = Query::read(call, &LIST)?;
    let fits = |(id, segment): &(&String, &Segment)| {
        let active = if segment.is_active { "true" } else { "false" };
        query.admits(|condition| match condition.field.as_str() {
            "name" => condition.names(Some(&segment.name)),
            "id" => condition.names(Some(id)),
            "is_active" => condition.names(Some(active)),
            "created" => condition.admits(Some(segment.created)),
            _ => condition.admits(Some(segment.updated)),
        })
    };
    let rows = state.klaviyo.segments.iter().filter(fits);
    let rows = rows.map(|(id, segment)| (key(&query.sort, id, segment), (id, segment)));
    let page = paging::page(rows, &query);
    let document = page.document(call, &query, |(id, segment)| {
        render(call, &query, id, segment)
    });
    Ok((StatusCode::OK, Some(document)))
}

/// One segment, with its size when asked.
pub(super) fn one(state: &mut world::State, call: &Call) -> Result<Reply, Failures> {
    let query = Query::read(call, &ONE)?;
    let segment = state.klaviyo.segments.get_mut(call.id());
    let segment = segment.ok_or_else(|| absent(call.id()))?;
    segment.last_read = Some(call.now);
    let rendered = render(call, &query, call.id(), segment);
    Ok(resource::one(StatusCode::OK, call, &query, rendered))
}

/// The vendor's words for a segment that is not there.
pub(super) fn absent(id: &str) -> Failure {
    Failure::missing(&format!("A segment with id {id} does not exist."))
}

fn key<'a>(sort: &str, id: &'a str, segment: &'a Segment) -> Key<'a> {
    match sort {
        "created" => (segment.created.0, "", id),
        "updated" => (segment.updated.0, "", id),
        "name" => (0, &segment.name, id),
        _ => (0, "", id),
    }
}

fn render(call: &Call, query: &Query, id: &str, segment: &Segment) -> Json {
    let path = format!("/api/segments/{id}");
    let mut attributes = json!({
        "name": segment.name,
        "definition": segment.definition,
        "created": instant(segment.created),
        "updated": instant(segment.updated),
        "is_active": segment.is_active,
        "is_processing": segment.recount.is_some(),
        "is_starred": false,
    });
    if query.adds("profile_count") {
        attributes["profile_count"] = json!(segment.members.len());
    }
    json!({
        "type": "segment",
        "id": id,
        "attributes": attributes,
        "relationships": {
            "profiles": relation(call, &path, "profiles"),
            "tags": relation(call, &path, "tags"),
            "flow-triggers": relation(call, &path, "flow-triggers"),
        },
        "links": { "self": call.link(&path) },
    })
}
