//! `/api/metrics`.

use super::failure::{Failure, Failures};
use super::paging;
use super::query::{NOTHING, Query, Spec};
use super::resource::{self, instant, relation};
use super::world::{self, Metric};
use super::{Call, Reply};
use axum::http::StatusCode;
use serde_json::{Value as Json, json};

const ONE: Spec = Spec {
    fields: &[(
        "metric",
        &["created", "id", "integration", "name", "updated"],
    )],
    ..NOTHING
};
/// The vendor's pages hold 200 metrics, and the size cannot be chosen.
const LIST: Spec = Spec {
    filters: &[
        ("integration.name", &["equals"]),
        ("integration.category", &["equals"]),
    ],
    page: Some((200, 200)),
    ..ONE
};

/// A page of metrics.
pub(super) fn list(state: &mut world::State, call: &Call) -> Result<Reply, Failures> {
    let query = Query::read(call, &LIST)?;
    let fits = |(_, metric): &(&String, &Metric)| {
        query.admits(|condition| match condition.field.as_str() {
            "integration.name" => condition.names(Some(&metric.integration.0)),
            _ => condition.names(Some(&metric.integration.1)),
        })
    };
    let rows = state.klaviyo.metrics.iter().filter(fits);
    let rows = rows.map(|(id, metric)| ((0, "", id.as_str()), (id, metric)));
    let page = paging::page(rows, &query);
    let document = page.document(call, &query, |(id, metric)| render(call, id, metric));
    Ok((StatusCode::OK, Some(document)))
}

/// One metric.
pub(super) fn one(state: &mut world::State, call: &Call) -> Result<Reply, Failures> {
    let query = Query::read(call, &ONE)?;
    let metric = state.klaviyo.metrics.get(call.id());
    let metric = metric.ok_or_else(|| Failure::missing("No such metric."))?;
    let rendered = render(call, call.id(), metric);
    Ok(resource::one(StatusCode::OK, call, &query, rendered))
}

fn render(call: &Call, id: &str, metric: &Metric) -> Json {
    let path = format!("/api/metrics/{id}");
    let (name, category) = &metric.integration;
    let created = instant(metric.created);
    json!({
        "type": "metric",
        "id": id,
        "attributes": {
            "name": metric.name,
            "created": created,
            "updated": created,
            "integration": {
                "object": "integration",
                "id": format!("{:06x}", crc32c::crc32c(name.as_bytes()) & 0xff_ffff),
                "name": name,
                "category": category,
            },
        },
        "relationships": { "flow-triggers": relation(call, &path, "flow-triggers") },
        "links": { "self": call.link(&path) },
    })
}
