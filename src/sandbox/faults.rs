//! What goes wrong on purpose: refusals, storms of 429, dropped connections, truncated files, delay.
//!
//! One middleware stands before either server, so that a fault looks the same to the client whoever
//! answers. A status is answered *instead of* the work; a reset or a truncation hits the reply *after* the
//! work was done, which is the harder case for a client.

use super::World;
use crate::model::Moment;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::response::Parts;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// Replies larger than this are not buffered to be cut.
const LARGEST_REPLY: usize = 1 << 30;

/// Everything that goes wrong at present; nothing by default.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// Taken in order; the first that fits a request strikes.
    pub planned: Vec<Fault>,
    /// Every request waits this long on the world's clock.
    pub latency: Duration,
    /// Until then every request of every endpoint is answered with 429.
    pub storm_until: Option<Moment>,
    /// Accepted list changes show this much later.
    pub lag: Duration,
    /// Profiles (ids) for which a whole import, suppression or unsubscription is refused, without saying
    /// which it was.
    pub poisonous: BTreeSet<String>,
    /// Profiles (ids) for which imports, suppressions and unsubscriptions claim to be carried out, and are
    /// not.
    pub unkept: BTreeSet<String>,
    /// Profiles (ids) that belong to others (ids) now: an import with one of them is a conflict.
    pub duplicates: BTreeMap<String, String>,
    /// Told whenever a request is left without an answer, so that whoever asked can be ended there.
    pub silence: Arc<Notify>,
    /// Customers (numbers) of whom no tag or metafield can be set.
    pub unwilling: BTreeSet<u64>,
    /// Bulk queries that fail; the first that fits strikes.
    pub failing_bulks: Vec<FailingBulk>,
    /// Customers (numbers) whose lines are missing from the results of bulk mutations, though they were
    /// carried out.
    pub unsaid: BTreeSet<u64>,
}

/// Bulk queries that begin, and fail at half of their rows.
#[derive(Clone, Debug)]
pub struct FailingBulk {
    /// A piece of their text, such as `orders(`.
    pub query: &'static str,
    /// `TIMEOUT`, or another of Shopify's codes.
    pub code: &'static str,
    /// How many still fail.
    pub times: u32,
}

/// One planned fault.
#[derive(Clone, Debug)]
pub struct Fault {
    /// Start of the path, such as `/api/events` or `/bulk/`.
    pub path: String,
    /// Only this method, if given.
    pub method: Option<Method>,
    /// How many requests that fit still pass unharmed before the first is struck.
    pub skip: u32,
    /// How many requests it still strikes.
    pub times: u32,
    /// What happens.
    pub kind: FaultKind,
}

/// What happens to a request.
#[derive(Clone, Copy, Debug)]
pub enum FaultKind {
    /// Nothing is done, and this status is answered without a JSON body, as a proxy in front would.
    Status(u16),
    /// Nothing is done, and 429 is answered with this `Retry-After`, whatever it says, or with none.
    Refuse(Option<&'static str>),
    /// Nothing is done, and the connection drops before any reply.
    Hangup,
    /// The work is done, then the connection drops in the middle of the reply.
    Reset,
    /// The work is done, and the reply ends cleanly in its middle.
    Truncate,
    /// The work is done, and the reply's body is changed so.
    Alter(fn(Vec<u8>) -> Vec<u8>),
    /// Nothing is done, and nothing is ever answered.
    Deaf,
    /// The work is done, and nothing is ever answered.
    Mute,
}

impl Faults {
    /// Plans a fault for the next `times` requests that fit.
    pub fn plan(&mut self, path: &str, method: Option<Method>, times: u32, kind: FaultKind) {
        let path = path.to_owned();
        self.planned.push(Fault {
            path,
            method,
            skip: 0,
            times,
            kind,
        });
    }

    /// Plans a fault for one request: the one that comes after `skip` others, whichever they are.
    pub fn plan_after(&mut self, skip: u32, kind: FaultKind) {
        self.planned.push(Fault {
            path: String::new(),
            method: None,
            skip,
            times: 1,
            kind,
        });
    }

    /// Why a bulk query that begins is to fail, if it is.
    pub(super) fn strike_bulk(&mut self, query: &str) -> Option<&'static str> {
        let mut failing = self.failing_bulks.iter_mut();
        let failing = failing.find(|one| one.times > 0 && query.contains(one.query))?;
        failing.times -= 1;
        Some(failing.code)
    }

    fn strike(&mut self, method: &Method, path: &str) -> Option<FaultKind> {
        let fault = self.planned.iter_mut().find(|fault| {
            let method_fits = fault.method.as_ref().is_none_or(|wanted| wanted == method);
            fault.times > 0 && method_fits && path.starts_with(&fault.path)
        })?;
        if fault.skip > 0 {
            fault.skip -= 1;
            return None;
        }
        fault.times -= 1;
        Some(fault.kind)
    }
}

/// The middleware.
pub(super) async fn disturb(State(world): State<World>, request: Request, next: Next) -> Response {
    let (latency, kind, storm, silence) = {
        let now = world.clock.now();
        let faults = &mut world.state().faults;
        let storm = faults.storm_until.filter(|until| now < *until);
        let struck = faults.strike(request.method(), request.uri().path());
        let storm = storm.map(|until| until.since(now));
        (faults.latency, struck, storm, faults.silence.clone())
    };
    if !latency.is_zero() {
        world.clock.sleep(latency).await;
    }
    if let Some(left) = storm {
        return throttled(left.as_secs() + 1, Some((left.as_secs() + 1).to_string()));
    }
    match kind {
        None => next.run(request).await,
        Some(FaultKind::Status(code)) => {
            let status = StatusCode::from_u16(code).unwrap_or(StatusCode::BAD_GATEWAY);
            (
                status,
                [(header::CONTENT_TYPE, "text/html")],
                "<html></html>",
            )
                .into_response()
        }
        Some(FaultKind::Refuse(wait)) => throttled(1, wait.map(str::to_owned)),
        Some(FaultKind::Hangup) => broken(().into_response().into_parts().0, None),
        Some(FaultKind::Reset) => cut(next.run(request).await, true).await,
        Some(FaultKind::Truncate) => cut(next.run(request).await, false).await,
        Some(FaultKind::Alter(change)) => altered(next.run(request).await, change).await,
        Some(FaultKind::Deaf) => unanswered(&silence).await,
        Some(FaultKind::Mute) => {
            drop(next.run(request).await);
            unanswered(&silence).await
        }
    }
}

fn throttled(seconds: u64, retry_after: Option<String>) -> Response {
    let body = json!({"errors": [{
        "id": "00000000-0000-4000-8000-000000000429", "status": 429, "code": "throttled",
        "title": "Request was throttled.",
        "detail": format!("Request was throttled. Expected available in {seconds} seconds."),
    }]});
    let kind = [(header::CONTENT_TYPE, "application/vnd.api+json")];
    let mut reply = (StatusCode::TOO_MANY_REQUESTS, kind, body.to_string()).into_response();
    let wait = retry_after.and_then(|text| HeaderValue::try_from(text).ok());
    if let Some(wait) = wait {
        reply.headers_mut().insert(header::RETRY_AFTER, wait);
    }
    reply
}

async fn altered(reply: Response, change: fn(Vec<u8>) -> Vec<u8>) -> Response {
    let (mut parts, body) = reply.into_parts();
    let Ok(whole) = axum::body::to_bytes(body, LARGEST_REPLY).await else {
        return StatusCode::BAD_GATEWAY.into_response();
    };
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(change(whole.into())))
}

/// Ends with the connection.
async fn unanswered(silence: &Notify) -> Response {
    silence.notify_one();
    std::future::pending().await
}

/// Keeps the first half of a reply and then breaks the connection or ends the reply.
async fn cut(reply: Response, break_connection: bool) -> Response {
    let (mut parts, body) = reply.into_parts();
    let Ok(whole) = axum::body::to_bytes(body, LARGEST_REPLY).await else {
        return StatusCode::BAD_GATEWAY.into_response();
    };
    let half = whole.slice(..whole.len() / 2);
    if !break_connection {
        parts.headers.remove(header::CONTENT_LENGTH);
        return Response::from_parts(parts, Body::from(half));
    }
    // Announced in full, so that even an empty half is seen to be incomplete.
    let announced = HeaderValue::from(whole.len().max(1));
    parts.headers.insert(header::CONTENT_LENGTH, announced);
    if parts.status == StatusCode::NO_CONTENT {
        parts.status = StatusCode::OK;
    }
    broken(parts, Some(half))
}

/// A reply that ends with its connection, behind a piece of its body. Without one not even the head is
/// sent.
fn broken(head: Parts, piece: Option<Bytes>) -> Response {
    let end: io::Result<Bytes> = Err(io::ErrorKind::ConnectionReset.into());
    let pieces = piece.map(Ok).into_iter().chain([end]);
    Response::from_parts(head, Body::from_stream(stream::iter(pieces)))
}
