//! Sizes of many segments for one call: the cheap drift sensor (klaviyo.md, section 7).

use super::client::{Klaviyo, quoted};
use super::jsonapi::single;
use super::limits::SEGMENT_VALUES;
use super::profiles::check_count;
use crate::api::lenient;
use crate::api::{ApiError, Exchange, Method};
use crate::model::SegmentId;
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeMap;

/// Most segments in one report.
const MOST: usize = 100;

/// What Klaviyo counts of one segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentSize {
    /// Members now.
    pub total: u64,
    /// Joined since midnight in the account's time zone, if it says.
    pub added: Option<u64>,
    /// Left since then, if it says.
    pub removed: Option<u64>,
}

#[derive(Deserialize)]
struct Report {
    attributes: Results,
}

#[derive(Deserialize)]
struct Results {
    results: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    groupings: Groupings,
    statistics: Statistics,
}

#[derive(Deserialize)]
struct Groupings {
    segment_id: SegmentId,
}

#[derive(Deserialize)]
struct Statistics {
    #[serde(default, deserialize_with = "lenient::count")]
    total_members: Option<u64>,
    #[serde(default, deserialize_with = "lenient::count")]
    members_added: Option<u64>,
    #[serde(default, deserialize_with = "lenient::count")]
    members_removed: Option<u64>,
}

impl<E: Exchange> Klaviyo<E> {
    /// Sizes of up to 100 segments, for one of 225 calls a day. A segment without a row in the
    /// report, or without a total, is absent from the answer: that is not a size of zero.
    ///
    /// # Errors
    /// [`crate::api::Fault::TooMany`], and whatever the request meets.
    pub async fn segment_sizes(
        &self,
        segments: &[SegmentId],
    ) -> Result<BTreeMap<SegmentId, SegmentSize>, ApiError> {
        let class = &SEGMENT_VALUES;
        check_count(segments.len(), MOST).map_err(|fault| ApiError::new(class, fault))?;
        let ids = quoted(segments.iter().map(SegmentId::as_str));
        let document = json!({"data": {
            "type": "segment-values-report",
            "attributes": {
                "statistics": ["total_members", "members_added", "members_removed"],
                "timeframe": {"key": "today"},
                "filter": format!("any(segment_id,[{ids}])"),
            },
        }});
        let path = "/api/segment-values-reports".to_owned();
        let answer = self
            .send(class, Method::POST, path, &document, true)
            .await?;
        let report: Report = single(&answer.body).map_err(|f| answer.error(class, f))?;
        let size = |row: Row| {
            let size = SegmentSize {
                total: row.statistics.total_members?,
                added: row.statistics.members_added,
                removed: row.statistics.members_removed,
            };
            Some((row.groupings.segment_id, size))
        };
        Ok(report
            .attributes
            .results
            .into_iter()
            .filter_map(size)
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::fake::{Fake, body};
    use crate::api::klaviyo::client::tests_support::client;

    #[tokio::test]
    async fn sizes_are_read_and_what_is_missing_is_not_zero() {
        let reply = r#"{"data":{"type":"segment-values-report","attributes":{"results":[
            {"groupings":{"segment_id":"YaYUpQ"},"statistics":{"total_members":1200.0,"members_added":3,"members_removed":1}},
            {"groupings":{"segment_id":"Y6nRLr"},"statistics":{}}]}}}"#;
        let fake = Fake::new([body(reply)]);
        let asked = ["YaYUpQ".into(), "Y6nRLr".into()];
        let sizes = client(&fake).segment_sizes(&asked).await.unwrap();
        let expected = SegmentSize {
            total: 1200,
            added: Some(3),
            removed: Some(1),
        };
        assert_eq!(sizes, [("YaYUpQ".into(), expected)].into());
        let (_, sent) = fake.seen()[0].body.clone().unwrap();
        let sent: serde_json::Value = serde_json::from_slice(&sent).unwrap();
        let filter = &sent["data"]["attributes"]["filter"];
        assert_eq!(filter, r#"any(segment_id,["YaYUpQ","Y6nRLr"])"#);
    }
}
