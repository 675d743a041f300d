//! HTTP: headers, statuses, and the life of one GraphQL request.

use super::compile::{Mode, Selection, compile};
use super::cost::{self, Bucket, MAX_COST};
use super::document::Request;
use super::execute::Executor;
use super::fault::Fault;
use super::mutate::{self, Setting};
use super::resolve::{Ctx, Node};
use super::{auth, bulk, staged};
use crate::model::Moment;
use crate::sandbox::world::State as WorldState;
use crate::sandbox::{Speed, World};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use jiff::fmt::rfc2822::DateTimePrinter;
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The version spoken. Older ones are answered in it too, as the real API does with retired ones.
const VERSION: &str = "2026-10";

/// The Admin server of one shop.
pub(super) struct Server {
    world: World,
    speed: Speed,
    base_url: String,
    bucket: Mutex<Bucket>,
    requests: AtomicU64,
}

/// What is left of a request before it runs.
struct Ready<'q> {
    root: &'static str,
    selection: Selection<'q>,
    requested: u64,
}

/// What running one came to.
struct Outcome {
    data: Json,
    faults: Vec<Fault>,
    warnings: Vec<Json>,
    actual: u64,
}

impl Server {
    pub(super) fn new(world: World, speed: Speed, base_url: String) -> Self {
        let bucket = Bucket::new(world.clock.monotonic(), speed == Speed::Fast);
        Self {
            world,
            speed,
            base_url: base_url.trim_end_matches('/').to_owned(),
            bucket: Mutex::new(bucket),
            requests: AtomicU64::new(0),
        }
    }

    fn bucket(&self) -> MutexGuard<'_, Bucket> {
        self.bucket.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the client reached this server, so that a proxy in front keeps seeing its requests.
    fn origin(&self, headers: &HeaderMap) -> String {
        let host = headers
            .get(header::HOST)
            .and_then(|host| host.to_str().ok());
        let scheme = self.base_url.split("://").next().unwrap_or("http");
        match host {
            Some(host) => format!("{scheme}://{host}"),
            None => self.base_url.clone(),
        }
    }

    fn reply(&self, status: StatusCode, body: &Json) -> Response {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let now = jiff::Timestamp::from_millisecond(self.world.clock.now().0).unwrap_or_default();
        let date = DateTimePrinter::new().timestamp_to_rfc9110_string(&now);
        let mut headers = HeaderMap::new();
        let json = HeaderValue::from_static("application/json; charset=utf-8");
        headers.insert(header::CONTENT_TYPE, json);
        let version = HeaderName::from_static("x-shopify-api-version");
        headers.insert(version, HeaderValue::from_static(VERSION));
        let id = HeaderName::from_static("x-request-id");
        let ids = HeaderValue::try_from(format!(
            "{number:08x}-5a4d-4b0c-8000-{:012x}",
            now.as_second()
        ));
        headers.extend(ids.map(|value| (id, value)));
        headers.extend(date.ok().and_then(|date| {
            let value = HeaderValue::try_from(date).ok()?;
            Some((header::DATE, value))
        }));
        (status, headers, body.to_string()).into_response()
    }

    /// Answers a GraphQL body.
    fn answer(&self, body: &[u8], origin: &str) -> (StatusCode, Json) {
        let parsed: Option<Map<String, Json>> = serde_json::from_slice(body).ok();
        let query = parsed.as_ref().and_then(|body| body.get("query")?.as_str());
        let (Some(parsed), Some(query)) = (&parsed, query) else {
            let errors = json!({"errors": {"query": "Required parameter missing or invalid"}});
            return (StatusCode::BAD_REQUEST, errors);
        };
        let variables = match parsed.get("variables") {
            Some(Json::Object(given)) => given.clone(),
            None | Some(Json::Null) => Map::new(),
            Some(_) => {
                let errors = json!({"errors": {"variables": "Must be an object"}});
                return (StatusCode::BAD_REQUEST, errors);
            }
        };
        let name = parsed.get("operationName").and_then(Json::as_str);
        let reply = Request::parse(query)
            .map_err(|fault| vec![fault])
            .and_then(|request| self.run(&request, name, variables, origin))
            .unwrap_or_else(|faults| json!({"errors": errors(&faults)}));
        (StatusCode::OK, reply)
    }

    fn run(
        &self,
        request: &Request,
        name: Option<&str>,
        variables: Map<String, Json>,
        origin: &str,
    ) -> Result<Json, Vec<Fault>> {
        let operation = request.operation(name).map_err(|fault| vec![fault])?;
        let variables = operation.variables(variables)?;
        let selection = compile(&operation, &variables, Mode::Page)?;
        let requested = cost::requested(operation.root, &selection);
        if requested > MAX_COST {
            return Err(vec![too_dear(requested)]);
        }
        let now = self.world.clock.monotonic();
        if !self.bucket().take(requested, now) {
            let cost = self.bucket().report(requested, None);
            return Ok(json!({"errors": errors(&[throttled()]), "extensions": {"cost": cost}}));
        }
        let root = operation.root;
        let outcome = self.execute(
            &Ready {
                root,
                selection,
                requested,
            },
            origin,
        );
        let mut bucket = self.bucket();
        bucket.give_back(requested.saturating_sub(outcome.actual));
        let cost = bucket.report(requested, Some(outcome.actual));
        Ok(body(outcome, cost))
    }

    fn execute(&self, ready: &Ready<'_>, origin: &str) -> Outcome {
        let now = self.world.clock.now();
        let mut state = self.world.state();
        if ready.root == "Mutation" {
            return self.mutate(&mut state, ready, now, origin);
        }
        let ctx = Ctx::new(&state, now, origin);
        let mut executor = Executor::new(&ctx);
        let answer = executor.query(&ready.selection);
        let faults = executor.faults;
        let (data, actual) = answer.unwrap_or_default();
        Outcome {
            data,
            faults,
            warnings: ctx.take_warnings(),
            actual: actual.min(ready.requested),
        }
    }

    /// Runs the mutations of a request in order; one that is refused does not undo another.
    fn mutate(
        &self,
        state: &mut WorldState,
        ready: &Ready<'_>,
        now: Moment,
        origin: &str,
    ) -> Outcome {
        let setting = Setting {
            now,
            speed: self.speed,
        };
        let mut data = Map::new();
        let mut faults = Vec::new();
        let mut actual = 0;
        for field in ready.selection.fields() {
            if field.def.is_none() {
                data.insert(field.key.to_owned(), "Mutation".into());
                continue;
            }
            let value = match mutate::run(state, setting, field) {
                Ok(payload) => {
                    actual += cost::mutation(field);
                    let ctx = Ctx::new(state, now, origin);
                    let mut executor = Executor::new(&ctx);
                    let value = executor.payload(field, Node::Payload(&payload));
                    faults.append(&mut executor.faults);
                    value
                }
                Err(fault) => {
                    faults.push(fault.on(vec![field.key.into()]));
                    Json::Null
                }
            };
            data.insert(field.key.to_owned(), value);
        }
        Outcome {
            data: data.into(),
            faults,
            warnings: Vec::new(),
            actual,
        }
    }
}

fn errors(faults: &[Fault]) -> Json {
    faults.iter().map(Fault::to_json).collect()
}

fn throttled() -> Fault {
    let documentation = "https://shopify.dev/api/usage/rate-limits";
    Fault::new("THROTTLED", "Throttled").with("documentation", documentation)
}

fn too_dear(requested: u64) -> Fault {
    let message = format!(
        "Query cost is {requested}, which exceeds the single query max cost limit ({MAX_COST})."
    );
    Fault::new("MAX_COST_EXCEEDED", message)
        .with("cost", requested)
        .with("maxCost", MAX_COST)
}

fn body(outcome: Outcome, cost: Json) -> Json {
    let mut extensions = json!({"cost": cost});
    if !outcome.warnings.is_empty() {
        extensions["search"] = outcome.warnings.into();
    }
    let mut body = json!({"data": outcome.data, "extensions": extensions});
    if !outcome.faults.is_empty() {
        body["errors"] = errors(&outcome.faults);
    }
    body
}

/// Whether a version exists by now; what is not released yet is not found.
fn is_version(version: &str) -> bool {
    let quarter = version.split_once('-').is_some_and(|(year, month)| {
        let digits = year.len() == 4 && year.bytes().all(|b| b.is_ascii_digit());
        digits && ["01", "04", "07", "10"].contains(&month)
    });
    quarter && version <= VERSION
}

/// `POST /admin/api/{version}/graphql.json`.
pub(super) async fn graphql(
    State(server): State<Arc<Server>>,
    Path(version): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if !is_version(&version) {
        let body = json!({"errors": "Not Found"});
        return server.reply(StatusCode::NOT_FOUND, &body);
    }
    let now = server.world.clock.now();
    let welcome = auth::is_welcome(&server.world.state().shopify, &headers, now);
    if !welcome {
        let message =
            "[API] Invalid API key or access token (unrecognized login or wrong password)";
        return server.reply(StatusCode::UNAUTHORIZED, &json!({"errors": message}));
    }
    if auth::media_type(&headers).as_deref() != Some("application/json") {
        let body = json!({"errors": "Unsupported Media Type"});
        return server.reply(StatusCode::UNSUPPORTED_MEDIA_TYPE, &body);
    }
    bulk::advance(&server.world).await;
    let (status, reply) = server.answer(&body, &server.origin(&headers));
    server.reply(status, &reply)
}

/// `POST /admin/oauth/access_token`.
pub(super) async fn token(
    State(server): State<Arc<Server>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let now = server.world.clock.now();
    let (status, reply) = auth::grant(&mut server.world.state().shopify, &headers, &body, now);
    server.reply(status, &reply)
}

/// `GET /bulk/{number}.jsonl?signature=…`.
pub(super) async fn bulk_result(
    State(server): State<Arc<Server>>,
    Path(name): Path<String>,
    Query(query): Query<BTreeMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    let signature = query.get("signature").map(String::as_str);
    bulk::serve(&server.world, &name, signature, &headers)
}

/// `POST /staged`.
pub(super) async fn upload(
    State(server): State<Arc<Server>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    staged::receive(&mut server.world.state().shopify, &headers, &body).into_response()
}
