//! JSON:API errors as the vendor words them.

use super::document_reply;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde_json::{Value as Json, json};

/// One error object. Boxed, since it travels through results that are mostly fine.
#[derive(Clone, Debug)]
pub(super) struct Failure(Box<Details>);

#[derive(Clone, Debug)]
struct Details {
    status: StatusCode,
    code: &'static str,
    title: &'static str,
    detail: String,
    source: Option<(&'static str, String)>,
    meta: Json,
    retry_after: Option<i64>,
}

/// Never empty; the first decides the status.
pub(super) type Failures = Vec<Failure>;

impl From<Failure> for Failures {
    fn from(failure: Failure) -> Self {
        vec![failure]
    }
}

impl Failure {
    fn new(status: StatusCode, code: &'static str, title: &'static str, detail: &str) -> Self {
        Self(Box::new(Details {
            status,
            code,
            title,
            detail: detail.to_owned(),
            source: None,
            meta: json!({}),
            retry_after: None,
        }))
    }

    fn at(mut self, kind: &'static str, place: &str) -> Self {
        self.0.source = Some((kind, place.to_owned()));
        self
    }

    fn invalid(detail: &str) -> Self {
        let status = StatusCode::BAD_REQUEST;
        Self::new(status, "invalid", "Invalid input.", detail)
    }

    /// A query parameter is wrong.
    pub(super) fn parameter(detail: &str, parameter: &str) -> Self {
        Self::invalid(detail).at("parameter", parameter)
    }

    /// A part of the body is wrong.
    pub(super) fn pointer(detail: &str, pointer: &str) -> Self {
        Self::invalid(detail).at("pointer", pointer)
    }

    pub(super) fn unauthorized() -> Self {
        let detail = "Missing or invalid private key.";
        let code = "authentication_failed";
        Self::new(
            StatusCode::UNAUTHORIZED,
            code,
            "Authentication failed.",
            detail,
        )
    }

    pub(super) fn revision() -> Self {
        let detail = "The revision header is missing or not a revision of this endpoint.";
        Self::parameter(detail, "revision")
    }

    pub(super) fn scope(missing: &str) -> Self {
        let detail = format!("The key lacks the scope {missing}.");
        let code = "permission_denied";
        Self::new(StatusCode::FORBIDDEN, code, "Permission denied.", &detail)
    }

    pub(super) fn path() -> Self {
        Self::missing("The path you requested could not be found.")
    }

    /// A resource that does not exist.
    pub(super) fn missing(detail: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "Not found.", detail)
    }

    pub(super) fn method() -> Self {
        let status = StatusCode::METHOD_NOT_ALLOWED;
        let detail = "Method not allowed.";
        Self::new(status, "method_not_allowed", "Method not allowed.", detail)
    }

    pub(super) fn unserved() -> Self {
        let status = StatusCode::NOT_IMPLEMENTED;
        let detail = "The sandbox does not serve this documented endpoint.";
        Self::new(status, "not_implemented", "Not implemented.", detail)
    }

    pub(super) fn too_large() -> Self {
        let status = StatusCode::PAYLOAD_TOO_LARGE;
        let detail = "Request body exceeds 5 MB.";
        Self::new(status, "invalid", "Payload too large.", detail)
    }

    pub(super) fn media_type() -> Self {
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        let detail = "Send application/vnd.api+json.";
        Self::new(status, "invalid", "Unsupported media type.", detail)
    }

    pub(super) fn throttled(seconds: i64) -> Self {
        let status = StatusCode::TOO_MANY_REQUESTS;
        let detail = format!("Request was throttled. Expected available in {seconds} seconds.");
        let mut failure = Self::new(status, "throttled", "Request was throttled.", &detail);
        failure.0.retry_after = Some(seconds);
        failure.at("pointer", "/data")
    }

    /// An identifier belongs to another profile.
    pub(super) fn duplicate(owner: &str) -> Self {
        let detail = "A profile already exists with one of these identifiers.";
        let status = StatusCode::CONFLICT;
        let mut failure = Self::new(status, "duplicate_profile", "Conflict.", detail);
        failure.0.meta = json!({ "duplicate_profile_id": owner });
        failure.at("pointer", "/data/attributes")
    }

    pub(super) fn into_reply(self) -> Response {
        reply(&[self])
    }
}

/// The reply of a request that failed.
pub(super) fn reply(failures: &[Failure]) -> Response {
    let first = failures.first();
    let status = first.map_or(StatusCode::INTERNAL_SERVER_ERROR, |failure| {
        failure.0.status
    });
    let errors: Vec<Json> = failures.iter().enumerate().map(error).collect();
    let mut reply = document_reply(status, &json!({ "errors": errors }));
    if let Some(seconds) = first.and_then(|failure| failure.0.retry_after) {
        let value = HeaderValue::from(seconds);
        reply.headers_mut().insert(header::RETRY_AFTER, value);
    }
    reply
}

fn error((index, failure): (usize, &Failure)) -> Json {
    let mut error = json!({
        "id": format!("00000000-0000-4000-8000-{index:012}"),
        "status": failure.0.status.as_u16(),
        "code": failure.0.code,
        "title": failure.0.title,
        "detail": failure.0.detail,
        "links": {},
        "meta": failure.0.meta,
    });
    if let Some((kind, place)) = &failure.0.source {
        error["source"] = json!({ *kind: place });
    }
    error
}
