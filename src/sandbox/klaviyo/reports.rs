//! `POST /api/segment-values-reports`: sizes and movements of up to 100 segments in one call.

use super::failure::{Failure, Failures};
use super::filter;
use super::paging::self_link;
use super::query::{NOTHING, Query, Spec};
use super::world::{self, Segment};
use super::{Call, Reply};
use crate::model::Moment;
use axum::http::StatusCode;
use jiff::civil::Date;
use jiff::{Timestamp, ToSpan, tz::TimeZone};
use serde_json::{Map, Value as Json, json};

/// Most segments in one report.
const MOST_SEGMENTS: usize = 100;
const STATISTICS: [&str; 4] = [
    "members_added",
    "members_removed",
    "net_members_changed",
    "total_members",
];
const SPEC: Spec = Spec {
    fields: &[("segment-values-report", &["id", "results"])],
    ..NOTHING
};

/// The figures of a time frame for each segment asked for.
pub(super) fn values(state: &mut world::State, call: &Call) -> Result<Reply, Failures> {
    let query = Query::read(call, &SPEC)?;
    let attributes = &call.body["data"]["attributes"];
    let place = |name: &str| format!("/data/attributes/{name}");
    let wrong = |detail: &str, name: &str| Failure::pointer(detail, &place(name));
    if call.body["data"]["type"] != "segment-values-report" {
        return Err(Failure::pointer("The type is wrong.", "/data/type").into());
    }
    let statistics = attributes["statistics"]
        .as_array()
        .filter(|list| !list.is_empty());
    let statistics: Option<Vec<&str>> =
        statistics.and_then(|list| list.iter().map(known_statistic).collect());
    let statistics = statistics.ok_or_else(|| wrong("Not statistics.", "statistics"))?;
    let frame = frame(&attributes["timeframe"], call.now, &zone(state));
    let frame = frame.ok_or_else(|| wrong("Not a time frame.", "timeframe"))?;
    let wanted = wanted(attributes)?;
    let chosen = |id: &str| {
        wanted
            .as_ref()
            .is_none_or(|ids| ids.iter().any(|want| want == id))
    };
    let segments = state.klaviyo.segments.iter().filter(|(id, _)| chosen(id));
    let results: Vec<Json> = segments
        .map(|(id, segment)| {
            let figures = figures(segment, &statistics, frame);
            json!({ "groupings": { "segment_id": id }, "statistics": figures })
        })
        .collect();
    let report = json!({
        "type": "segment-values-report",
        "attributes": { "results": results },
    });
    let document = json!({ "data": query.cut(report), "links": { "self": self_link(call) } });
    Ok((StatusCode::OK, Some(document)))
}

fn known_statistic(value: &Json) -> Option<&str> {
    value.as_str().filter(|name| STATISTICS.contains(name))
}

fn wanted(attributes: &Json) -> Result<Option<Vec<String>>, Failure> {
    let Some(text) = attributes["filter"].as_str() else {
        return Ok(None);
    };
    let allowed: &filter::Allowed = &[("segment_id", &["equals", "any[]"])];
    let pointer = "/data/attributes/filter";
    let conditions = filter::parse(text, allowed)
        .map_err(|_| Failure::pointer("Filter by segment_id with equals or any.", pointer))?;
    let ids: Vec<String> = conditions
        .into_iter()
        .flat_map(|known| known.values)
        .collect();
    if ids.len() > MOST_SEGMENTS {
        return Err(Failure::pointer("At most 100 segments.", pointer));
    }
    Ok(Some(ids))
}

/// The figures; the size is that at the end of the frame, found by taking later movements back.
fn figures(segment: &Segment, statistics: &[&str], (start, end): (Moment, Moment)) -> Json {
    let (mut joined, mut left) = (0, 0);
    let mut total = i64::try_from(segment.members.len()).unwrap_or(i64::MAX);
    for (at, came, went) in &segment.moves {
        let (came, went) = (*came as i64, *went as i64);
        if *at >= end {
            total -= came - went;
        } else if *at >= start {
            joined += came;
            left += went;
        }
    }
    let figure = |name: &str| match name {
        "members_added" => joined,
        "members_removed" => left,
        "net_members_changed" => joined - left,
        _ => total,
    };
    let named = statistics
        .iter()
        .map(|name| ((*name).to_owned(), json!(figure(name))));
    Json::Object(named.collect::<Map<String, Json>>())
}

/// The account's time zone, which reports follow although segments do not.
fn zone(state: &world::State) -> TimeZone {
    TimeZone::get(&state.klaviyo.timezone).unwrap_or(TimeZone::UTC)
}

/// The half-open span of a time frame in a zone.
fn frame(timeframe: &Json, now: Moment, zone: &TimeZone) -> Option<(Moment, Moment)> {
    if let Some(key) = timeframe["key"].as_str() {
        let today = Timestamp::from_millisecond(now.0)
            .ok()?
            .to_zoned(zone.clone())
            .date();
        let (start, end) = named_frame(key, today)?;
        return Some((midnight(start, zone)?, midnight(end, zone)?));
    }
    let start = Moment::parse(timeframe["start"].as_str()?)?;
    let end = Moment::parse(timeframe["end"].as_str()?)?;
    (start < end).then_some((start, end))
}

fn named_frame(key: &str, today: Date) -> Option<(Date, Date)> {
    let days_back = |days: i64| today.checked_sub(days.days()).ok();
    let tomorrow = today.tomorrow().ok()?;
    let week = days_back(i64::from(today.weekday().to_monday_zero_offset()))?;
    let month = today.first_of_month();
    let year = today.first_of_year();
    Some(match key {
        "today" => (today, tomorrow),
        "yesterday" => (days_back(1)?, today),
        "this_week" => (week, tomorrow),
        "last_week" => (week.checked_sub(7.days()).ok()?, week),
        "this_month" => (month, tomorrow),
        "last_month" => (month.checked_sub(1.month()).ok()?, month),
        "last_3_months" => (month.checked_sub(3.months()).ok()?, month),
        "last_12_months" => (month.checked_sub(12.months()).ok()?, month),
        "this_year" => (year, tomorrow),
        "last_year" => (year.checked_sub(1.year()).ok()?, year),
        "last_7_days" => (days_back(7)?, tomorrow),
        "last_30_days" => (days_back(30)?, tomorrow),
        "last_90_days" => (days_back(90)?, tomorrow),
        "last_365_days" => (days_back(365)?, tomorrow),
        _ => return None,
    })
}

fn midnight(date: Date, zone: &TimeZone) -> Option<Moment> {
    Some(date.to_zoned(zone.clone()).ok()?.timestamp().into())
}
