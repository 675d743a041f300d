//! Pieces that every resource shares: sparse fieldsets, instants, documents of one.

use super::paging::self_link;
use super::query::Query;
pub(super) use super::world::instant;
use super::{Call, Reply};
use axum::http::StatusCode;
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeSet;

/// Keeps the named attributes; a dotted name keeps a part of an object.
pub(super) fn sparse(attributes: &Json, fields: &BTreeSet<String>) -> Json {
    let mut kept = json!({});
    for field in fields {
        let mut from = attributes;
        let mut parts = field.split('.').peekable();
        let mut into = &mut kept;
        while let Some(part) = parts.next() {
            let Some(value) = from.get(part) else { break };
            let Some(object) = into.as_object_mut() else {
                break;
            };
            if parts.peek().is_none() {
                object.insert(part.to_owned(), value.clone());
                break;
            }
            from = value;
            into = object
                .entry(part)
                .or_insert_with(|| Json::Object(Map::new()));
        }
    }
    kept
}

/// A relationship without its data.
pub(super) fn relation(call: &Call, path: &str, name: &str) -> Json {
    json!({ "links": {
        "self": call.link(&format!("{path}/relationships/{name}")),
        "related": call.link(&format!("{path}/{name}")),
    }})
}

/// The document of one resource.
pub(super) fn one(status: StatusCode, call: &Call, query: &Query, resource: Json) -> Reply {
    let data = query.cut(resource);
    let document = json!({ "data": data, "links": { "self": self_link(call) } });
    (status, Some(document))
}
