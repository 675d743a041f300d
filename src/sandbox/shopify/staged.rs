//! Staged uploads: a place for a file is asked for here, and filled like an object store.

use super::auth::TOKEN_HEADER;
use super::compile::Field;
use super::mutate::{Payload, UserError};
use super::resolve::{Ctx, Node, Out};
use crate::sandbox::world::{ShopifyWorld, State};
use axum::http::{HeaderMap, StatusCode, header};
use bytes::Bytes;
use serde_json::Value as Json;
use sha2::{Digest, Sha256};

/// Largest upload.
pub(super) const LARGEST: usize = 101 * 1024 * 1024;

/// What a form must hold before the file, in this order.
const PARAMETERS: [&str; 4] = ["key", "Content-Type", "success_action_status", "policy"];

/// `stagedUploadsCreate`.
pub(super) fn create(state: &mut State, field: &Field<'_>) -> Payload {
    let mut payload = Payload::default();
    let inputs = field.args.get("input").and_then(Json::as_array);
    for (index, input) in inputs.into_iter().flatten().enumerate() {
        if input["httpMethod"] != "POST" || input["mimeType"] != "text/jsonl" {
            let place = ["input", &index.to_string()];
            let message = "Variables are posted as text/jsonl.";
            payload.errors.push(UserError::new(&place, message));
            continue;
        }
        let number = state.shopify.next_number();
        let name = input["filename"].as_str().unwrap_or_default();
        payload.staged.push(format!("tmp/{number}/bulk/{name}"));
    }
    payload
}

/// A field of a place for a file.
pub(super) fn target<'s>(ctx: &Ctx<'s>, path: &'s str, field: &Field<'_>) -> Out<'s> {
    match field.name() {
        "url" => format!("{}/staged", ctx.origin).into(),
        "resourceUrl" => format!("{}/staged/{path}", ctx.origin).into(),
        _ => {
            let all = PARAMETERS.into_iter();
            Out::Many(all.map(|name| Some(Node::Parameter(name, path))).collect())
        }
    }
}

/// Name or value of a parameter.
pub(super) fn parameter<'s>(ctx: &Ctx<'s>, name: &str, path: &str, field: &Field<'_>) -> Out<'s> {
    match field.name() {
        "name" => name.into(),
        _ => value(&ctx.state.shopify, name, path).into(),
    }
}

fn value(shopify: &ShopifyWorld, name: &str, path: &str) -> String {
    match name {
        "key" => path.to_owned(),
        "Content-Type" => "text/jsonl".to_owned(),
        "success_action_status" => "201".to_owned(),
        _ => {
            let seed = format!("{}/{}/{path}", shopify.domain, shopify.client.1);
            let hash = Sha256::digest(seed.as_bytes());
            hash.iter().map(|byte| format!("{byte:02x}")).collect()
        }
    }
}

/// Takes a form: every parameter as it was given, the file last.
pub(super) fn receive(shopify: &mut ShopifyWorld, headers: &HeaderMap, body: &Bytes) -> StatusCode {
    if headers.contains_key(TOKEN_HEADER) || headers.contains_key(header::AUTHORIZATION) {
        return StatusCode::BAD_REQUEST;
    }
    let media = headers.get(header::CONTENT_TYPE);
    let media = media.and_then(|media| media.to_str().ok()).unwrap_or("");
    let boundary = media.strip_prefix("multipart/form-data; boundary=");
    let parts = boundary.and_then(|boundary| parts(body, boundary));
    let Some(parts) = parts else {
        return StatusCode::BAD_REQUEST;
    };
    let Some(((name, file), given)) = parts.split_last() else {
        return StatusCode::BAD_REQUEST;
    };
    let path = given.first().map(|(_, path)| path).unwrap_or(body);
    let Ok(path) = str::from_utf8(path) else {
        return StatusCode::BAD_REQUEST;
    };
    let expected = PARAMETERS.map(|name| (name.to_owned(), value(shopify, name, path).into()));
    if name != "file" || given != expected {
        return StatusCode::FORBIDDEN;
    }
    shopify.uploads.insert(path.to_owned(), file.clone());
    StatusCode::CREATED
}

/// Name and content of each part.
fn parts(body: &Bytes, boundary: &str) -> Option<Vec<(String, Bytes)>> {
    let (first, between) = (format!("--{boundary}\r\n"), format!("\r\n--{boundary}"));
    let mut rest = body.strip_prefix(first.as_bytes())?;
    let mut parts = Vec::new();
    loop {
        let head = find(rest, b"\r\n\r\n")?;
        let (head, content) = (str::from_utf8(&rest[..head]).ok()?, &rest[head + 4..]);
        let end = find(content, between.as_bytes())?;
        let name = head.split_once("; name=\"")?.1.split_once('"')?.0;
        parts.push((name.to_owned(), body.slice_ref(&content[..end])));
        rest = &content[end + between.len()..];
        if rest.starts_with(b"--") {
            return Some(parts);
        }
        rest = rest.strip_prefix(b"\r\n")?;
    }
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|part| part == wanted)
}
