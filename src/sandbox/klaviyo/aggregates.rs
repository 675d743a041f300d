//! `POST /api/metric-aggregates`: what a metric's events come to in each interval of a span.

use super::failure::{Failure, Failures};
use super::filter;
use super::paging::self_link;
use super::query::{NOTHING, Query, Spec};
use super::resource::instant;
use super::world::{self, Event};
use super::{Call, Reply};
use crate::model::Moment;
use axum::http::StatusCode;
use jiff::{ToSpan, Unit, Zoned, civil::DateTime, tz::TimeZone};
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeSet;
use std::ops::Range;

const SPEC: Spec = Spec {
    fields: &[("metric-aggregate", &["data", "dates", "id"])],
    ..NOTHING
};
const MEASUREMENTS: [&str; 3] = ["count", "sum_value", "unique"];
/// Everything a query may hold; by what to group is not served.
const ATTRIBUTES: [&str; 9] = [
    "filter",
    "interval",
    "measurements",
    "metric_id",
    "page_cursor",
    "page_size",
    "return_fields",
    "sort",
    "timezone",
];

/// The measurements of a metric by interval. Events count whether or not they still have a profile.
pub(super) fn query(state: &mut world::State, call: &Call) -> Result<Reply, Failures> {
    let query = Query::read(call, &SPEC)?;
    let attributes = attributes(call)?;
    let wrong =
        |detail: &str, name: &str| Failure::pointer(detail, &format!("/data/attributes/{name}"));
    let metric = attributes["metric_id"].as_str().unwrap_or_default();
    if !state.klaviyo.metrics.contains_key(metric) {
        return Err(wrong("No such metric.", "metric_id").into());
    }
    let wanted = measurements(&attributes["measurements"]);
    let wanted = wanted.ok_or_else(|| wrong("Not measurements.", "measurements"))?;
    let zone = match attributes["timezone"].as_str() {
        Some(name) => TimeZone::get(name).map_err(|_| wrong("No time zone.", "timezone"))?,
        None => TimeZone::UTC,
    };
    let span = span(&attributes["filter"], &zone);
    let span = span.ok_or_else(|| wrong("A range of datetime is needed.", "filter"))?;
    let interval = attributes["interval"].as_str().unwrap_or("day");
    let starts = starts(&span, interval, &zone);
    let starts = starts.ok_or_else(|| wrong("Not an interval.", "interval"))?;
    let events = state
        .klaviyo
        .events
        .get(metric)
        .map_or(&[][..], Vec::as_slice);
    let dates: Vec<String> = starts.iter().map(|at| instant(*at)).collect();
    let aggregate = json!({
        "type": "metric-aggregate",
        "id": format!("{:08x}", crc32c::crc32c(attributes.to_string().as_bytes())),
        "attributes": {
            "dates": dates,
            "data": [{
                "dimensions": [],
                "measurements": measured(&wanted, &starts, &inside(events, &span)),
            }],
        },
        "links": { "self": self_link(call) },
    });
    let document = json!({ "data": query.cut(aggregate), "links": { "self": self_link(call) } });
    Ok((StatusCode::OK, Some(document)))
}

fn attributes(call: &Call) -> Result<&Json, Failure> {
    let data = &call.body["data"];
    if data["type"] != "metric-aggregate" {
        return Err(Failure::pointer("The type is wrong.", "/data/type"));
    }
    let attributes = &data["attributes"];
    let names = attributes.as_object().into_iter().flatten();
    for (name, _) in names.filter(|(_, value)| !value.is_null()) {
        if !ATTRIBUTES.contains(&name.as_str()) {
            let place = format!("/data/attributes/{name}");
            return Err(Failure::pointer("This is not served.", &place));
        }
    }
    Ok(attributes)
}

/// What is to be measured; `None` for nothing or something unknown.
fn measurements(list: &Json) -> Option<Vec<&str>> {
    let names = list.as_array().filter(|names| !names.is_empty())?;
    let known = |name: &&str| MEASUREMENTS.contains(name);
    names
        .iter()
        .map(|name| name.as_str().filter(known))
        .collect()
}

/// The half-open range of a list of filters; instants without an offset are those of the zone.
fn span(filters: &Json, zone: &TimeZone) -> Option<Range<Moment>> {
    let allowed: &filter::Allowed = &[("datetime", &["greater-or-equal", "less-than"])];
    let (mut start, mut end) = (None, None);
    for text in filters.as_array()? {
        for condition in filter::parse(text.as_str()?, allowed).ok()? {
            let value = condition.values.first()?;
            let at = match value.parse::<DateTime>() {
                Ok(local) if !value.ends_with('Z') => {
                    local.to_zoned(zone.clone()).ok()?.timestamp().into()
                }
                _ => Moment::parse(value)?,
            };
            match condition.op.as_str() {
                "less-than" => end = Some(at),
                _ => start = Some(at),
            }
        }
    }
    let span = start?..end?;
    (!span.is_empty()).then_some(span)
}

/// Where the intervals of a span begin, the first one with or before it.
fn starts(span: &Range<Moment>, interval: &str, zone: &TimeZone) -> Option<Vec<Moment>> {
    let first = jiff::Timestamp::from_millisecond(span.start.0).ok()?;
    let first = first.to_zoned(zone.clone());
    let midnight = first.start_of_day().ok()?;
    let (mut start, step): (Zoned, jiff::Span) = match interval {
        "hour" => {
            let down = jiff::ZonedRound::new()
                .smallest(Unit::Hour)
                .mode(jiff::RoundMode::Floor);
            (first.round(down).ok()?, 1.hour())
        }
        "day" => (midnight, 1.day()),
        "week" => {
            let back = i64::from(midnight.weekday().to_monday_zero_offset());
            (midnight.checked_sub(back.days()).ok()?, 1.week())
        }
        "month" => (midnight.first_of_month().ok()?, 1.month()),
        _ => return None,
    };
    let mut starts = Vec::new();
    while Moment::from(start.timestamp()) < span.end {
        starts.push(start.timestamp().into());
        start = start.checked_add(step).ok()?;
    }
    Some(starts)
}

fn inside<'a>(events: &'a [Event], span: &Range<Moment>) -> Vec<&'a Event> {
    let fits = |event: &&Event| span.contains(&Moment::from_secs(event.timestamp));
    events.iter().filter(fits).collect()
}

/// Each measurement's values, one for each interval. `events` ascend.
fn measured(wanted: &[&str], starts: &[Moment], events: &[&Event]) -> Json {
    let ends = starts.iter().skip(1).map(Some).chain([None]);
    let mut rest = events;
    let mut columns: Vec<Vec<Json>> = vec![Vec::new(); wanted.len()];
    for end in ends {
        let before =
            |event: &&Event| end.is_none_or(|end| Moment::from_secs(event.timestamp) < *end);
        let (here, later) = rest.split_at(rest.partition_point(before));
        rest = later;
        for (name, column) in wanted.iter().zip(&mut columns) {
            column.push(measure(name, here));
        }
    }
    let named = wanted.iter().map(|name| (*name).to_owned());
    Json::Object(
        named
            .zip(columns.into_iter().map(Json::Array))
            .collect::<Map<_, _>>(),
    )
}

fn measure(name: &str, events: &[&Event]) -> Json {
    let value = |event: &&Event| event.properties["$value"].as_f64();
    match name {
        "sum_value" => json!(events.iter().filter_map(value).sum::<f64>()),
        "unique" => {
            let owners: BTreeSet<_> = events
                .iter()
                .filter_map(|one| one.profile.as_ref())
                .collect();
            json!(owners.len() as f64)
        }
        // The vendor gives its counts a decimal point.
        _ => json!(events.len() as f64),
    }
}
