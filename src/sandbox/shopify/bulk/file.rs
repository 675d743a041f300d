//! Results behind signed URLs, served like an object store: no token, ranges allowed.

use crate::model::Moment;
use crate::sandbox::World;
use crate::sandbox::shopify::auth::TOKEN_HEADER;
use crate::sandbox::shopify::resolve::Ctx;
use crate::sandbox::world::State;
use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use sha2::{Digest, Sha256};
use std::convert::Infallible;
use std::time::Duration;

/// How long a result is kept.
pub(super) const KEPT: Duration = Duration::from_secs(7 * 86_400);

/// Where the result of an operation lies.
pub(in crate::sandbox::shopify) fn url(ctx: &Ctx<'_>, number: u64) -> String {
    let signature = signature(ctx.state, number);
    format!("{}/bulk/{number}.jsonl?signature={signature}", ctx.origin)
}

/// Not a secret worth guarding, but nothing a client could make up.
fn signature(state: &State, number: u64) -> String {
    let shopify = &state.shopify;
    let seed = format!("{}/{}/{number}", shopify.domain, shopify.client.1);
    let hash = Sha256::digest(seed.as_bytes());
    let hex = hash.iter().take(16).map(|byte| format!("{byte:02x}"));
    hex.collect()
}

/// Answers a request for `{number}.jsonl`.
pub(in crate::sandbox::shopify) fn serve(
    world: &World,
    name: &str,
    signed: Option<&str>,
    headers: &HeaderMap,
) -> Response {
    if headers.contains_key(TOKEN_HEADER) || headers.contains_key(header::AUTHORIZATION) {
        let message = "This URL is signed: it must be fetched without credentials.\n";
        return (StatusCode::BAD_REQUEST, message).into_response();
    }
    let now = world.clock.now();
    let number = name.strip_suffix(".jsonl").and_then(|n| n.parse().ok());
    match pieces(&world.state(), number, signed, now) {
        Ok(pieces) => send(pieces, start_of_range(headers)),
        Err(status) => status.into_response(),
    }
}

fn pieces(
    state: &State,
    number: Option<u64>,
    signed: Option<&str>,
    now: Moment,
) -> Result<Vec<Bytes>, StatusCode> {
    let number = number.ok_or(StatusCode::NOT_FOUND)?;
    if signed != Some(signature(state, number).as_str()) {
        return Err(StatusCode::FORBIDDEN);
    }
    let operation = state.shopify.operations.get(&number);
    let operation = operation.ok_or(StatusCode::NOT_FOUND)?;
    let ended = operation.completed.ok_or(StatusCode::NOT_FOUND)?;
    if now > ended.plus(KEPT) {
        return Err(StatusCode::FORBIDDEN);
    }
    Ok(operation.rows.clone())
}

/// The first byte wanted, from `Range: bytes=N-`.
fn start_of_range(headers: &HeaderMap) -> Option<usize> {
    let range = headers.get(header::RANGE)?.to_str().ok()?;
    range
        .strip_prefix("bytes=")?
        .strip_suffix('-')?
        .parse()
        .ok()
}

fn send(mut pieces: Vec<Bytes>, start: Option<usize>) -> Response {
    let whole: usize = pieces.iter().map(Bytes::len).sum();
    let mut status = StatusCode::OK;
    let mut range = None;
    if let Some(start) = start {
        if start >= whole {
            return StatusCode::RANGE_NOT_SATISFIABLE.into_response();
        }
        skip(&mut pieces, start);
        status = StatusCode::PARTIAL_CONTENT;
        range = Some(format!("bytes {start}-{}/{whole}", whole - 1));
    }
    let length = whole - start.unwrap_or(0);
    let body = Body::from_stream(stream::iter(pieces.into_iter().map(Ok::<_, Infallible>)));
    let mut response = Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, "application/jsonl")
        .header(header::CONTENT_LENGTH, length)
        .header(header::ACCEPT_RANGES, "bytes");
    if let Some(range) = range {
        response = response.header(header::CONTENT_RANGE, range);
    }
    let response = response.body(body);
    response.expect("every header above is well formed")
}

fn skip(pieces: &mut Vec<Bytes>, mut bytes: usize) {
    pieces.retain_mut(|piece| {
        let gone = bytes.min(piece.len());
        bytes -= gone;
        *piece = piece.slice(gone..);
        !piece.is_empty()
    });
}
