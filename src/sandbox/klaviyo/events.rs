//! `/api/events`.

use super::failure::Failures;
use super::paging::{self, Key};
use super::query::{NOTHING, Query, Spec};
use super::resource::instant;
use super::world::{self, Event};
use super::{Call, Reply};
use crate::model::Moment;
use axum::http::StatusCode;
use serde_json::{Value as Json, json};
use std::collections::BTreeSet;

const TIMES: &[&str] = &[
    "@greater-than",
    "@greater-or-equal",
    "@less-than",
    "@less-or-equal",
];

const LIST: Spec = Spec {
    filters: &[
        ("metric_id", &["equals", "equals[]"]),
        ("profile_id", &["equals"]),
        ("profile", &["has"]),
        ("metric", &["has"]),
        ("datetime", TIMES),
        ("timestamp", TIMES),
    ],
    sorts: &["datetime", "timestamp"],
    page: Some((200, 1000)),
    sizable: true,
    fields: &[(
        "event",
        &["datetime", "event_properties", "id", "timestamp", "uuid"],
    )],
    ..NOTHING
};

/// Between the epochs of UUIDs (1582) and Unix, in units of 100 ns.
const UUID_EPOCH: u64 = 0x01b2_1dd2_1381_4000;

type Row<'a> = (&'a str, &'a Event);

/// A page of events in time order, ascending unless told otherwise.
pub(super) fn list(state: &mut world::State, call: &Call) -> Result<Reply, Failures> {
    let query = Query::read(call, &LIST)?;
    let metrics = wanted_metrics(&query);
    let streams = state.klaviyo.events.iter().filter(|(metric, _)| {
        let metric = metric.as_str();
        metrics
            .as_ref()
            .is_none_or(|wanted| wanted.contains(metric))
    });
    // No page takes more of one metric than fits on it, so each stream is read no further.
    let rows = streams.flat_map(|(metric, events)| {
        let fits = |event: &&Event| admits(&query, event);
        let window = paging::window(events, &query, &["datetime", "timestamp"], key, happened);
        let few = paging::directed(window, &query)
            .filter(fits)
            .take(query.size + 1);
        few.map(|event| (key(event), (metric.as_str(), event)))
            .collect::<Vec<(Key<'_>, Row<'_>)>>()
    });
    let page = paging::page(rows, &query);
    let properties = query.wants("event", "event_properties");
    let document = page.document(call, &query, |(metric, event)| {
        render(call, metric, event, properties)
    });
    Ok((StatusCode::OK, Some(document)))
}

fn wanted_metrics(query: &Query) -> Option<BTreeSet<&str>> {
    let condition = query
        .filters
        .iter()
        .find(|condition| condition.field == "metric_id")?;
    Some(condition.values.iter().map(String::as_str).collect())
}

fn key(event: &Event) -> Key<'_> {
    (event.timestamp, "", &event.id)
}

fn happened(event: &Event) -> Moment {
    Moment::from_secs(event.timestamp)
}

/// The conditions that bounds and choice of metrics do not cover.
fn admits(query: &Query, event: &Event) -> bool {
    query.admits(|condition| match condition.field.as_str() {
        "profile_id" => condition.names(event.profile.as_deref()),
        "profile" => event.profile.is_some(),
        _ => true,
    })
}

fn render(call: &Call, metric: &str, event: &Event, properties: bool) -> Json {
    let mut attributes = json!({
        "timestamp": event.timestamp,
        "datetime": instant(Moment::from_secs(event.timestamp)),
        "uuid": uuid(event),
    });
    if properties {
        let mut all = (*event.properties).clone();
        let message = all["$message"].as_str().unwrap_or(metric).to_owned();
        all["$event_id"] = json!(format!("{message}:{}", event.id));
        attributes["event_properties"] = all;
    }
    let mut relationships = json!({ "metric": { "data": { "type": "metric", "id": metric } } });
    if let Some(profile) = &event.profile {
        relationships["profile"] = json!({ "data": { "type": "profile", "id": profile } });
    }
    json!({
        "type": "event",
        "id": event.id,
        "attributes": attributes,
        "relationships": relationships,
        "links": { "self": call.link(&format!("/api/events/{}", event.id)) },
    })
}

/// A version 1 UUID whose time is the event's, as the vendor makes them.
fn uuid(event: &Event) -> String {
    let seconds = u64::try_from(event.timestamp).unwrap_or(0);
    let time = seconds * 10_000_000 + UUID_EPOCH;
    let (low, middle, high) = (time & 0xffff_ffff, time >> 32 & 0xffff, time >> 48 & 0x0fff);
    let node = crc32c::crc32c(event.id.as_bytes());
    format!("{low:08x}-{middle:04x}-1{high:03x}-8001-0000{node:08x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_carries_the_time_of_its_event() {
        let event = Event {
            id: "4vRpBT".to_owned(),
            timestamp: 1_691_652_116,
            profile: None,
            properties: std::sync::Arc::default(),
        };
        let text = uuid(&event);
        // The vendor's own sample for this second begins alike (klaviyo.md, section 4.4).
        assert!(text.starts_with("96150200-374e-11ee-8001-"), "{text}");
    }
}
