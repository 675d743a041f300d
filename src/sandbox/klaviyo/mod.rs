//! The Klaviyo server: one door that checks key, revision, scope and limits, and one file per resource
//! behind it.

mod accounts;
mod aggregates;
mod deletion_jobs;
mod events;
mod failure;
mod filter;
mod import_jobs;
pub mod limits;
mod lists;
mod members;
mod metrics;
mod paging;
mod profile_write;
mod profiles;
mod query;
mod reports;
mod resource;
mod segments;
mod suppression_jobs;
#[cfg(test)]
mod tests;
mod unsubscribe_jobs;

use super::{Speed, World, world};
use crate::model::Moment;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use failure::{Failure, Failures};
use limits::{Limiter, Operation, Row, Unmatched, Verdict};
use serde_json::Value as Json;
use std::sync::{Arc, Mutex, PoisonError};

/// The only media type of the API.
const JSON_API: &str = "application/vnd.api+json";
/// Largest request body after decompression.
const LARGEST_BODY: usize = 5 * 1024 * 1024;

/// One request, ready for its handler.
struct Call {
    /// Values of the path's placeholders.
    parameters: Vec<String>,
    /// The path as requested.
    path: String,
    /// Decoded query pairs, in order.
    query: Vec<(String, String)>,
    /// `http://` and the Host header, so that links survive a proxy in front.
    origin: String,
    /// The body; null when there is none.
    body: Json,
    /// The server's time.
    now: Moment,
}

impl Call {
    /// The first placeholder's value; an operation without one never asks.
    fn id(&self) -> &str {
        self.parameters.first().map_or("", String::as_str)
    }

    /// An absolute link to a path of the API.
    fn link(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }
}

/// What a handler answers: a status and a document, or no body at all.
type Reply = (StatusCode, Option<Json>);
type Handler = fn(&mut world::State, &Call) -> Result<Reply, Failures>;

#[derive(Clone)]
struct Door {
    world: World,
    speed: Speed,
    limiter: Arc<Mutex<Limiter>>,
}

/// Routes of the Klaviyo API over a world.
pub fn router(world: World, speed: Speed) -> Router {
    let limiter = Arc::default();
    let door = Door {
        world,
        speed,
        limiter,
    };
    Router::new().fallback(serve).with_state(door)
}

async fn serve(State(door): State<Door>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path();
    let operation = match limits::operation(&parts.method, path) {
        Ok(operation) => operation,
        Err(Unmatched::Path) => return Failure::path().into_reply(),
        Err(Unmatched::Method) => return Failure::method().into_reply(),
    };
    let query = query::pairs(parts.uri.query().unwrap_or_default());
    let headers = &parts.headers;
    if let Err(failure) = door.admit(headers, &operation) {
        let verdict = door
            .limiter()
            .figures(operation.base, door.world.clock.now());
        return with_limits(failure.into_reply(), verdict);
    }
    let verdict = door.limiter().admit(
        operation.base,
        &query,
        door.world.clock.now(),
        door.speed == Speed::Real,
    );
    if let Verdict::Throttled(seconds) = verdict {
        return Failure::throttled(seconds).into_reply();
    }
    let body = match read_body(headers, body).await {
        Ok(body) => body,
        Err(failure) => return with_limits(failure.into_reply(), verdict),
    };
    let call = Call {
        parameters: operation.parameters,
        path: path.to_owned(),
        query,
        origin: origin(headers),
        body,
        now: door.world.clock.now(),
    };
    with_limits(door.answer(operation.base, &call), verdict)
}

impl Door {
    fn limiter(&self) -> std::sync::MutexGuard<'_, Limiter> {
        self.limiter.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Key, revision and scope, in the order in which the vendor complains.
    fn admit(&self, headers: &HeaderMap, operation: &Operation) -> Result<(), Failure> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let key = text("authorization").and_then(|value| value.strip_prefix("Klaviyo-API-Key "));
        let state = self.world.state();
        if key != Some(state.klaviyo.api_key.as_str()) {
            return Err(Failure::unauthorized());
        }
        match text("revision") {
            Some(revision) if revision.trim_end_matches(".pre") == operation.base.revision => {}
            Some(revision) if revision == operation.base.revision => {}
            _ => return Err(Failure::revision()),
        }
        let has = |scope: &&&str| state.klaviyo.scopes.iter().any(|owned| owned == **scope);
        let missing = operation.base.scopes.iter().find(|scope| !has(scope));
        missing.map_or(Ok(()), |scope| Err(Failure::scope(scope)))
    }

    fn answer(&self, row: &Row, call: &Call) -> Response {
        let Some(handler) = handler(&row.method, row.path) else {
            return Failure::unserved().into_reply();
        };
        let outcome = {
            let mut state = self.world.state();
            settle(&mut state, call);
            handler(&mut state, call)
        };
        match outcome {
            Ok((status, None)) => status.into_response(),
            Ok((status, Some(document))) => document_reply(status, &document),
            Err(failures) => failure::reply(&failures),
        }
    }
}

/// Brings the world up to the instant: jobs complete, list changes show, relative times are refreshed.
fn settle(state: &mut world::State, call: &Call) {
    let now = call.now;
    import_jobs::settle(state, now);
    suppression_jobs::settle(state, now);
    unsubscribe_jobs::settle(state, now);
    deletion_jobs::settle(state, now);
    members::settle(state, now);
    // Judging costs time, so changes wait until somebody looks.
    if call.path.starts_with("/api/segment") || super::definition::is_due(&state.klaviyo, now) {
        super::refresh(state, now);
    }
}

fn handler(method: &Method, path: &str) -> Option<Handler> {
    Some(match (method.as_str(), path) {
        ("GET", "/api/accounts") => accounts::list,
        ("GET", "/api/accounts/{id}") => accounts::one,
        ("GET", "/api/profiles") => profiles::list,
        ("GET", "/api/profiles/{id}") => profiles::one,
        ("PATCH", "/api/profiles/{id}") => profile_write::patch,
        ("GET", "/api/lists") => lists::list,
        ("POST", "/api/lists") => lists::create,
        ("GET", "/api/lists/{id}") => lists::one,
        ("PATCH", "/api/lists/{id}") => lists::patch,
        ("GET", "/api/lists/{id}/profiles") => members::of_list,
        ("GET", "/api/lists/{id}/relationships/profiles") => members::ids_of_list,
        ("POST", "/api/lists/{id}/relationships/profiles") => members::add,
        ("DELETE", "/api/lists/{id}/relationships/profiles") => members::remove,
        ("GET", "/api/segments") => segments::list,
        ("GET", "/api/segments/{id}") => segments::one,
        ("GET", "/api/segments/{id}/profiles") => members::of_segment,
        ("GET", "/api/segments/{id}/relationships/profiles") => members::ids_of_segment,
        ("POST", "/api/segment-values-reports") => reports::values,
        ("GET", "/api/metrics") => metrics::list,
        ("GET", "/api/metrics/{id}") => metrics::one,
        ("POST", "/api/metric-aggregates") => aggregates::query,
        ("GET", "/api/events") => events::list,
        ("GET", "/api/profile-bulk-import-jobs") => import_jobs::list,
        ("POST", "/api/profile-bulk-import-jobs") => import_jobs::create,
        ("GET", "/api/profile-bulk-import-jobs/{job_id}") => import_jobs::one,
        ("GET", "/api/profile-bulk-import-jobs/{id}/import-errors") => import_jobs::errors,
        ("GET", "/api/profile-suppression-bulk-create-jobs") => suppression_jobs::list,
        ("POST", "/api/profile-suppression-bulk-create-jobs") => suppression_jobs::create,
        ("GET", "/api/profile-suppression-bulk-create-jobs/{job_id}") => suppression_jobs::one,
        ("POST", "/api/profile-subscription-bulk-delete-jobs") => unsubscribe_jobs::create,
        ("POST", "/api/data-privacy-deletion-jobs") => deletion_jobs::create,
        _ => return None,
    })
}

async fn read_body(headers: &HeaderMap, body: Body) -> Result<Json, Failure> {
    let bytes: Bytes = axum::body::to_bytes(body, LARGEST_BODY)
        .await
        .map_err(|_| Failure::too_large())?;
    if bytes.is_empty() {
        return Ok(Json::Null);
    }
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|value| value.to_str().ok()).unwrap_or("");
    let media = kind.split(';').next().unwrap_or("").trim();
    if media != JSON_API && media != "application/json" {
        return Err(Failure::media_type());
    }
    serde_json::from_slice(&bytes).map_err(|_| Failure::pointer("The body is not JSON.", "/"))
}

fn origin(headers: &HeaderMap) -> String {
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    format!("http://{}", host.unwrap_or("127.0.0.1"))
}

fn document_reply(status: StatusCode, document: &Json) -> Response {
    let kind = [(header::CONTENT_TYPE, JSON_API)];
    (status, kind, document.to_string()).into_response()
}

fn with_limits(mut reply: Response, verdict: Verdict) -> Response {
    if let Verdict::Pass {
        limit,
        remaining,
        reset,
    } = verdict
    {
        let headers = reply.headers_mut();
        headers.insert("RateLimit-Limit", HeaderValue::from(limit));
        headers.insert("RateLimit-Remaining", HeaderValue::from(remaining));
        headers.insert("RateLimit-Reset", HeaderValue::from(reset));
    }
    reply
}
