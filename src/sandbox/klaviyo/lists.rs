//! `/api/lists`: catalogue, one, create, rename.

use super::failure::{Failure, Failures};
use super::paging::{self, Key};
use super::query::{NOTHING, Query, Spec};
use super::resource::{self, instant, relation};
use super::world::{self, List, Write};
use super::{Call, Reply};
use crate::sandbox::ids;
use axum::http::StatusCode;
use serde_json::{Value as Json, json};

const FIELDS: &[&str] = &["created", "id", "name", "opt_in_process", "updated"];

const WRITE: Spec = Spec {
    fields: &[("list", FIELDS)],
    ..NOTHING
};

const ONE: Spec = Spec {
    fields: &[(
        "list",
        &[
            "created",
            "id",
            "name",
            "opt_in_process",
            "profile_count",
            "updated",
        ],
    )],
    additional: &[("list", &["profile_count"])],
    ..NOTHING
};

/// Filters of both catalogues.
pub(super) const CATALOGUE_FILTERS: &super::filter::Allowed = &[
    ("name", &["any[]", "equals[]"]),
    ("id", &["equals", "equals[]", "any[]"]),
    ("created", &["@greater-than"]),
    ("updated", &["@greater-than"]),
];

const LIST: Spec = Spec {
    filters: CATALOGUE_FILTERS,
    sorts: &["created", "id", "name", "updated"],
    page: Some((10, 10)),
    sizable: true,
    ..WRITE
};

/// A page of the catalogue.
pub(super) fn list(state: &mut world::State, call: &Call) -> Result<Reply, Failures> {
    let query = Query::read(call, &LIST)?;
    let fits = |(id, list): &(&String, &List)| {
        query.admits(|condition| match condition.field.as_str() {
            "name" => condition.names(Some(&list.name)),
            "id" => condition.names(Some(id)),
            "created" => condition.admits(Some(list.created)),
            _ => condition.admits(Some(list.updated)),
        })
    };
    let rows = state.klaviyo.lists.iter().filter(fits);
    let rows = rows.map(|(id, list)| (key(&query.sort, id, list), (id, list)));
    let page = paging::page(rows, &query);
    let document = page.document(call, &query, |(id, list)| render(call, &query, id, list));
    Ok((StatusCode::OK, Some(document)))
}

/// One list, with its size when asked.
pub(super) fn one(state: &mut world::State, call: &Call) -> Result<Reply, Failures> {
    let query = Query::read(call, &ONE)?;
    let list = state
        .klaviyo
        .lists
        .get(call.id())
        .ok_or_else(|| absent(call.id()))?;
    let rendered = render(call, &query, call.id(), list);
    Ok(resource::one(StatusCode::OK, call, &query, rendered))
}

/// A new, empty list.
pub(super) fn create(state: &mut world::State, call: &Call) -> Result<Reply, Failures> {
    let query = Query::read(call, &WRITE)?;
    let attributes = &call.body["data"]["attributes"];
    let name = attributes["name"].as_str().filter(|name| !name.is_empty());
    if call.body["data"]["type"] != "list" || name.is_none() {
        let detail = "A list needs a name.";
        return Err(Failure::pointer(detail, "/data/attributes/name").into());
    }
    let list = List {
        name: name.unwrap_or_default().to_owned(),
        created: call.now,
        updated: call.now,
        double_opt_in: attributes["opt_in_process"] == "double_opt_in",
        ..List::default()
    };
    let id = ids::short(&mut state.klaviyo.mint());
    record(state, call, "list create", &id);
    let rendered = render(call, &query, &id, &list);
    state.klaviyo.lists.insert(id, list);
    Ok(resource::one(StatusCode::CREATED, call, &query, rendered))
}

/// A new name or opt-in process.
pub(super) fn patch(state: &mut world::State, call: &Call) -> Result<Reply, Failures> {
    let query = Query::read(call, &WRITE)?;
    let data = &call.body["data"];
    if data["type"] != "list" || data["id"] != call.id() {
        let detail = "type and id must be those of the path.";
        return Err(Failure::pointer(detail, "/data").into());
    }
    let list = state
        .klaviyo
        .lists
        .get_mut(call.id())
        .ok_or_else(|| absent(call.id()))?;
    if let Some(name) = data["attributes"]["name"].as_str() {
        name.clone_into(&mut list.name);
    }
    if let Some(process) = data["attributes"]["opt_in_process"].as_str() {
        list.double_opt_in = process == "double_opt_in";
    }
    list.updated = call.now;
    let rendered = render(call, &query, call.id(), list);
    record(state, call, "list patch", call.id());
    Ok(resource::one(StatusCode::OK, call, &query, rendered))
}

fn record(state: &mut world::State, call: &Call, kind: &'static str, id: &str) {
    state.history.push(Write {
        at: call.now,
        kind,
        target: id.to_owned(),
        subjects: Vec::new(),
    });
}

/// The vendor's words for a list that is not there.
pub(super) fn absent(id: &str) -> Failure {
    Failure::missing(&format!("A list with id {id} does not exist."))
}

fn key<'a>(sort: &str, id: &'a str, list: &'a List) -> Key<'a> {
    match sort {
        "created" => (list.created.0, "", id),
        "updated" => (list.updated.0, "", id),
        "name" => (0, &list.name, id),
        _ => (0, "", id),
    }
}

fn render(call: &Call, query: &Query, id: &str, list: &List) -> Json {
    let path = format!("/api/lists/{id}");
    let process = if list.double_opt_in {
        "double_opt_in"
    } else {
        "single_opt_in"
    };
    let mut attributes = json!({
        "name": list.name,
        "created": instant(list.created),
        "updated": instant(list.updated),
        "opt_in_process": process,
    });
    if query.adds("profile_count") {
        attributes["profile_count"] = json!(list.members.len());
    }
    json!({
        "type": "list",
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
