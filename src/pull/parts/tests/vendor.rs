//! A vendor of profiles: sorted by creation, filtered by range, two on a page.

use crate::api::klaviyo::{Klaviyo, Stack};
use crate::api::{Answer, ApiError, Budgets, Call, Conduct, Exchange, Headers};
use crate::clock::Clock;
use crate::config::KlaviyoAccess;
use crate::model::Moment;
use crate::telemetry::Meter;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Small pages, so that many of them cost little.
const PAGE: usize = 2;

#[derive(Clone)]
pub struct Vendor(Arc<Inner>);

struct Inner {
    clock: Clock,
    /// Seconds, ascending.
    created: Vec<i64>,
    latency: Duration,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    requests: u64,
    at_once: u64,
    most_at_once: u64,
    refused: u64,
    /// Cursors of an earlier one are refused.
    generation: u64,
}

pub fn client(vendor: &Vendor, clock: &Clock) -> Klaviyo<Stack<Vendor>> {
    let access = KlaviyoAccess {
        base_url: url::Url::parse("https://a.klaviyo.com").unwrap(),
        key: "pk_test".into(),
        account: None,
        budget_share: 0.7,
        limits: true,
    };
    let (budgets, conduct) = (Budgets::default(), Conduct::default());
    let draws = (&budgets, "acme");
    let meter = Meter::default();
    Klaviyo::on(
        vendor.clone(),
        &access,
        draws,
        clock.clone(),
        meter,
        conduct,
    )
}

impl Vendor {
    pub fn new(clock: &Clock, created: &[i64], latency: Duration) -> Self {
        assert!(created.is_sorted());
        Self(Arc::new(Inner {
            clock: clock.clone(),
            created: created.to_vec(),
            latency,
            seen: Mutex::default(),
        }))
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.0.seen.lock().unwrap()
    }

    pub fn requests(&self) -> u64 {
        self.seen().requests
    }

    pub fn refused(&self) -> u64 {
        self.seen().refused
    }

    pub fn most_at_once(&self) -> u64 {
        self.seen().most_at_once
    }

    /// As many as one walk takes.
    pub fn fewest(&self) -> u64 {
        self.0.created.len().div_ceil(PAGE) as u64
    }

    /// Whoever asked is gone; how many requests were under way.
    pub fn abandon(&self) -> u64 {
        std::mem::take(&mut self.seen().at_once)
    }

    pub fn forget_cursors(&self) {
        self.seen().generation += 1;
    }

    /// The document of a page; `None` for a cursor of another generation.
    fn page(&self, query: &BTreeMap<String, String>) -> Option<serde_json::Value> {
        let generation = self.seen().generation;
        assert_eq!(query["sort"], "created");
        let filter = query.get("filter").map_or("", String::as_str);
        let bound = |name: &str| {
            let (_, rest) = filter.split_once(&format!("{name}(created,"))?;
            Moment::parse(rest.split(')').next()?).map(|at| at.secs())
        };
        let created = &self.0.created;
        let begin =
            bound("greater-than").map_or(0, |from| created.partition_point(|at| *at <= from));
        let end =
            bound("less-than").map_or(created.len(), |to| created.partition_point(|at| *at < to));
        let start = match query.get("page[cursor]") {
            None => begin,
            Some(cursor) => {
                let (of, place) = cursor.split_once('.').unwrap();
                (of == generation.to_string()).then(|| place.parse().unwrap())?
            }
        };
        let stop = (start + PAGE).min(end).max(start);
        let profile = |n: usize| {
            let at = Moment::from_secs(created[n]).to_string();
            let attributes =
                json!({"email": format!("p{n}@example.com"), "created": at, "updated": at});
            json!({"type": "profile", "id": format!("P{n:06}"), "attributes": attributes})
        };
        let data: Vec<_> = (start..stop).map(profile).collect();
        let next = (stop < end).then(|| {
            let mut pairs = url::form_urlencoded::Serializer::new(String::new());
            pairs.extend_pairs(query.iter().filter(|(name, _)| *name != "page[cursor]"));
            pairs.append_pair("page[cursor]", &format!("{generation}.{stop}"));
            format!("https://a.klaviyo.com/api/profiles?{}", pairs.finish())
        });
        Some(json!({"data": data, "links": {"next": next}}))
    }
}

impl Exchange for Vendor {
    async fn exchange(&self, call: &Call) -> Result<Answer, ApiError> {
        {
            let mut seen = self.seen();
            seen.requests += 1;
            seen.at_once += 1;
            seen.most_at_once = seen.most_at_once.max(seen.at_once);
        }
        self.0.clock.sleep(self.0.latency).await;
        let (_, query) = call.path_and_query.split_once('?').unwrap();
        let query = url::form_urlencoded::parse(query.as_bytes());
        let page = self.page(&query.into_owned().collect());
        let mut seen = self.seen();
        seen.at_once -= 1;
        seen.refused += u64::from(page.is_none());
        let headers = Headers {
            date: Some(self.0.clock.now()),
            ..Headers::default()
        };
        Ok(Answer {
            status: if page.is_some() { 200 } else { 400 },
            headers,
            body: page
                .map_or_else(Vec::new, |page| page.to_string().into_bytes())
                .into(),
            envelope: None,
        })
    }
}
