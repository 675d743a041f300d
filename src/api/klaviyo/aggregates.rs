//! How many events of a metric Klaviyo counts, by day or hour (klaviyo.md, section 7).

use super::client::Klaviyo;
use super::jsonapi::single;
use super::limits::METRIC_AGGREGATES;
use crate::api::{ApiError, Exchange, Method, lenient};
use crate::model::{MetricId, Moment};
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::ops::Range;

/// The longest span that one request counts: a year.
pub const MOST_DAYS_COUNTED: i64 = 365;

/// What one count is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interval {
    /// A UTC day.
    Day,
    /// An hour.
    Hour,
}

impl Interval {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Hour => "hour",
        }
    }
}

#[derive(Deserialize)]
struct Aggregate {
    attributes: Series,
}

#[derive(Deserialize)]
#[serde(try_from = "Raw")]
struct Series {
    counts: BTreeMap<Moment, u64>,
}

#[derive(Deserialize)]
struct Raw {
    dates: Vec<Instant>,
    data: Vec<Row>,
}

#[derive(Deserialize)]
struct Instant(#[serde(deserialize_with = "lenient::instant")] Option<Moment>);

#[derive(Deserialize)]
struct Row {
    measurements: Measurements,
}

#[derive(Deserialize)]
struct Measurements {
    count: Vec<Count>,
}

#[derive(Deserialize)]
struct Count(#[serde(deserialize_with = "lenient::count")] Option<u64>);

impl TryFrom<Raw> for Series {
    type Error = &'static str;

    fn try_from(raw: Raw) -> Result<Self, Self::Error> {
        let mut counts = BTreeMap::new();
        for row in raw.data {
            let measured = row.measurements.count;
            if measured.len() != raw.dates.len() {
                return Err("dates and counts that do not belong together");
            }
            for (date, count) in raw.dates.iter().zip(measured) {
                let (date, count) = date.0.zip(count.0).ok_or("no date or no count")?;
                *counts.entry(date).or_default() += count;
            }
        }
        Ok(Self { counts })
    }
}

impl<E: Exchange> Klaviyo<E> {
    /// How many events of a metric there are in each interval of a span, by the interval's start. The
    /// span begins and ends with whole intervals and is [`MOST_DAYS_COUNTED`] long at most.
    ///
    /// # Errors
    /// Whatever the request meets.
    pub async fn event_counts(
        &self,
        metric: &MetricId,
        interval: Interval,
        span: Range<Moment>,
    ) -> Result<BTreeMap<Moment, u64>, ApiError> {
        let class = &METRIC_AGGREGATES;
        let document = json!({"data": {
            "type": "metric-aggregate",
            "attributes": {
                "metric_id": metric.as_str(),
                "measurements": ["count"],
                "interval": interval.as_str(),
                "timezone": "UTC",
                "filter": [
                    format!("greater-or-equal(datetime,{})", local(span.start)),
                    format!("less-than(datetime,{})", local(span.end)),
                ],
            },
        }});
        let path = "/api/metric-aggregates".to_owned();
        let answer = self
            .send(class, Method::POST, path, &document, true)
            .await?;
        let aggregate: Aggregate = single(&answer.body).map_err(|f| answer.error(class, f))?;
        Ok(aggregate.attributes.counts)
    }
}

/// The filter's instants are those of the time zone named beside it, without an offset.
fn local(at: Moment) -> String {
    at.to_string().trim_end_matches('Z').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::fake::{Fake, body};
    use crate::api::klaviyo::client::tests_support::client;

    async fn asked(reply: &str) -> (Result<BTreeMap<Moment, u64>, ApiError>, serde_json::Value) {
        let fake = Fake::new([body(reply)]);
        let span = Moment::from_day(20_605)..Moment::from_day(20_607);
        let (klaviyo, metric) = (client(&fake), "0rG4eQ".into());
        let counts = klaviyo.event_counts(&metric, Interval::Day, span).await;
        let (_, sent) = fake.seen()[0].body.clone().unwrap();
        (counts, serde_json::from_slice(&sent).unwrap())
    }

    #[tokio::test]
    async fn every_interval_has_its_count() {
        let reply = r#"{"data":{"type":"metric-aggregate","id":"x","attributes":{
            "dates":["2026-06-01T00:00:00+00:00","2026-06-02T00:00:00+00:00"],
            "data":[{"dimensions":[],"measurements":{"count":[12.0,3]}}]},"links":{"self":"s"}}}"#;
        let (counts, sent) = asked(reply).await;
        let expected = [
            (Moment::from_day(20_605), 12),
            (Moment::from_day(20_606), 3),
        ];
        assert_eq!(counts.unwrap(), BTreeMap::from(expected));
        let attributes = &sent["data"]["attributes"];
        let filter = [
            "greater-or-equal(datetime,2026-06-01T00:00:00)",
            "less-than(datetime,2026-06-03T00:00:00)",
        ];
        assert_eq!(attributes["filter"], json!(filter));
        assert_eq!(
            (&attributes["interval"], &attributes["timezone"]),
            (&json!("day"), &json!("UTC"))
        );
    }

    #[tokio::test]
    async fn counts_that_fit_no_date_are_refused() {
        for counts in ["[1]", "[1,2,3]", "[1,null]"] {
            let reply = format!(
                r#"{{"data":{{"attributes":{{"dates":["2026-06-01T00:00:00Z","2026-06-02T00:00:00Z"],
                "data":[{{"dimensions":[],"measurements":{{"count":{counts}}}}}]}}}}}}"#
            );
            let (refused, _) = asked(&reply).await;
            let fault = refused.unwrap_err().fault;
            assert!(
                matches!(fault, crate::api::Fault::Shape { .. }),
                "{counts}: {fault:?}"
            );
        }
    }
}
