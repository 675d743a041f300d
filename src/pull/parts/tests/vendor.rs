//! A vendor of profiles and events: sorted by their instants, filtered by range.

use crate::api::klaviyo::{Klaviyo, Stack};
use crate::api::{Answer, ApiError, Budgets, Call, Conduct, Exchange, Headers};
use crate::clock::Clock;
use crate::config::KlaviyoAccess;
use crate::model::Moment;
use crate::telemetry::Meter;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Small pages, so that many of them cost little.
const PAGE: usize = 2;

#[derive(Clone)]
pub struct Vendor(Arc<Inner>);

struct Inner {
    clock: Clock,
    /// Of every profile, and of every event of each metric: seconds, ascending.
    created: Vec<i64>,
    latency: Duration,
    /// Records on a page.
    page: usize,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    /// For pages.
    requests: u64,
    /// For counts.
    censuses: u64,
    at_once: u64,
    most_at_once: u64,
    refused: u64,
    /// Cursors of an earlier one are refused.
    generation: u64,
    /// Nothing is counted.
    uncounted: bool,
    /// Takes any number of requests at a time.
    is_unlimited: bool,
    /// The number of a request that the key is not good for.
    forbidden: Option<u64>,
}

pub fn client(vendor: &Vendor, clock: &Clock) -> Klaviyo<Stack<Vendor>> {
    let access = KlaviyoAccess {
        base_url: url::Url::parse("https://a.klaviyo.com").unwrap(),
        key: "pk_test".into(),
        account: None,
        budget_share: 0.7,
        limits: !vendor.seen().is_unlimited,
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
        Self::paged(clock, created, latency, PAGE)
    }

    pub fn paged(clock: &Clock, created: &[i64], latency: Duration, page: usize) -> Self {
        assert!(created.is_sorted());
        Self(Arc::new(Inner {
            clock: clock.clone(),
            created: created.to_vec(),
            latency,
            page,
            seen: Mutex::default(),
        }))
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.0.seen.lock().unwrap()
    }

    pub fn requests(&self) -> u64 {
        self.seen().requests
    }

    pub fn censuses(&self) -> u64 {
        self.seen().censuses
    }

    pub fn refused(&self) -> u64 {
        self.seen().refused
    }

    pub fn most_at_once(&self) -> u64 {
        self.seen().most_at_once
    }

    /// As many as one walk takes.
    pub fn fewest(&self) -> u64 {
        self.0.created.len().div_ceil(self.0.page) as u64
    }

    /// Whoever asked is gone; how many requests were under way.
    pub fn abandon(&self) -> u64 {
        std::mem::take(&mut self.seen().at_once)
    }

    pub fn forget_cursors(&self) {
        self.seen().generation += 1;
    }

    pub fn refuse_counts(&self) {
        self.seen().uncounted = true;
    }

    /// Whoever asks next need not keep to limits, so that pages arrive together.
    pub fn lift_limits(&self) {
        self.seen().is_unlimited = true;
    }

    /// The request of this number is one that the key is not good for.
    pub fn forbid(&self, request: u64) {
        self.seen().forbidden = Some(request);
    }

    /// The counts of a metric's events by day.
    fn counts(&self, asked: &Json) -> Json {
        let filter = &asked["data"]["attributes"]["filter"];
        let bound = |n: usize| {
            let (_, at) = filter[n].as_str().unwrap().split_once(',').unwrap();
            Moment::parse(&at.replace(')', "Z")).unwrap().day()
        };
        let days: Vec<i64> = (bound(0)..bound(1)).collect();
        let below = |day| {
            let midnight = Moment::from_day(day).secs();
            self.0.created.partition_point(|at| *at < midnight)
        };
        let counts: Vec<usize> = days
            .iter()
            .map(|day| below(day + 1) - below(*day))
            .collect();
        let dates = days.iter().map(|day| Moment::from_day(*day).to_string());
        let dates: Vec<String> = dates.collect();
        let data = json!([{"dimensions": [], "measurements": {"count": counts}}]);
        json!({"data": {"type": "metric-aggregate", "attributes": {"dates": dates, "data": data}}})
    }

    /// The document of a page; `None` for a cursor of another generation.
    fn page(&self, path: &str, query: &BTreeMap<String, String>) -> Option<Json> {
        let generation = self.seen().generation;
        let filter = query.get("filter").map_or("", String::as_str);
        let bound = |name: &str| {
            let (_, rest) = filter.split_once(&format!("{name}({},", query["sort"]))?;
            Moment::parse(rest.split(')').next()?).map(|at| at.secs())
        };
        let created = &self.0.created;
        let below = |limit: i64| created.partition_point(|at| *at < limit);
        let begin = bound("greater-than").map(|from| from + 1);
        let begin = begin.or(bound("greater-or-equal")).map_or(0, below);
        let end = bound("less-than").map_or(created.len(), below);
        let start = match query.get("page[cursor]") {
            None => begin,
            Some(cursor) => {
                let (of, place) = cursor.split_once('.').unwrap();
                (of == generation.to_string()).then(|| place.parse().unwrap())?
            }
        };
        let stop = (start + self.0.page).min(end).max(start);
        let metric = filter.split('"').nth(1);
        let record = |n| match metric {
            None => profile(n, created[n]),
            Some(metric) => event(metric, n, created[n]),
        };
        let data: Vec<_> = (start..stop).map(record).collect();
        let next = (stop < end).then(|| {
            let mut pairs = url::form_urlencoded::Serializer::new(String::new());
            pairs.extend_pairs(query.iter().filter(|(name, _)| *name != "page[cursor]"));
            pairs.append_pair("page[cursor]", &format!("{generation}.{stop}"));
            format!("https://a.klaviyo.com{path}?{}", pairs.finish())
        });
        Some(json!({"data": data, "links": {"next": next}}))
    }
}

fn profile(n: usize, at: i64) -> Json {
    let at = Moment::from_secs(at).to_string();
    let attributes = json!({"email": format!("p{n}@example.com"), "created": at, "updated": at});
    json!({"type": "profile", "id": format!("P{n:06}"), "attributes": attributes})
}

fn event(metric: &str, n: usize, at: i64) -> Json {
    let at = Moment::from_secs(at).to_string();
    let owner = json!({"data": {"type": "profile", "id": format!("P{:06}", n % 50)}});
    json!({
        "type": "event",
        "id": format!("{metric}{n}"),
        "attributes": {"datetime": at, "event_properties": {}},
        "relationships": {"profile": owner},
    })
}

impl Exchange for Vendor {
    async fn exchange(&self, call: &Call) -> Result<Answer, ApiError> {
        let is_forbidden = {
            let mut seen = self.seen();
            match call.body {
                None => seen.requests += 1,
                Some(_) => seen.censuses += 1,
            }
            seen.at_once += 1;
            seen.most_at_once = seen.most_at_once.max(seen.at_once);
            call.body.is_none() && seen.forbidden == Some(seen.requests)
        };
        self.0.clock.sleep(self.0.latency).await;
        let document = match &call.body {
            _ if is_forbidden => None,
            None => {
                let (path, query) = call.path_and_query.split_once('?').unwrap();
                let query = url::form_urlencoded::parse(query.as_bytes());
                self.page(path, &query.into_owned().collect())
            }
            Some(_) if self.seen().uncounted => None,
            Some((_, asked)) => Some(self.counts(&serde_json::from_slice(asked).unwrap())),
        };
        let mut seen = self.seen();
        seen.at_once -= 1;
        seen.refused += u64::from(document.is_none());
        let headers = Headers {
            date: Some(self.0.clock.now()),
            ..Headers::default()
        };
        Ok(Answer {
            status: match &document {
                Some(_) => 200,
                None if is_forbidden => 401,
                None => 400,
            },
            headers,
            body: document
                .map_or_else(Vec::new, |document| document.to_string().into_bytes())
                .into(),
            envelope: None,
        })
    }
}
