//! What passes between the layers: a call goes down, an answer comes up.

use super::shopify::Envelope;
use super::{ApiError, Fault, Place};
use crate::model::Moment;
use crate::pace::RateHeaders;
use crate::telemetry::Api;
use bytes::Bytes;
use reqwest::header::HeaderValue;
use sha2::{Digest, Sha256};
use std::time::Duration;

pub use reqwest::Method;

/// An endpoint class: requests that share a limit, a counter and a name in logs and metrics.
#[derive(Debug, PartialEq, Eq)]
pub struct Class {
    /// Whose.
    pub api: Api,
    /// The vendor's name of the operation.
    pub name: &'static str,
    /// Fixed windows; `None` where the vendor counts otherwise.
    pub limits: Option<Limits>,
}

/// The published limits of an endpoint class (klaviyo.md, section 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Requests per second.
    pub burst: u32,
    /// Requests per minute.
    pub steady: u32,
    /// Requests per day, where there is such a cap.
    pub daily: Option<u32>,
}

/// One request, before any layer has seen it.
#[derive(Clone, Debug)]
pub struct Call {
    /// The endpoint class.
    pub class: &'static Class,
    /// A second class whose limit this request uses up as well: an expensive parameter has a quota
    /// of its own, shared by all endpoints.
    pub surcharge: Option<&'static Class>,
    /// HTTP method.
    pub method: Method,
    /// Encoded path and query, from the first slash on. The origin is the transport's.
    pub path_and_query: String,
    /// The body with its media type.
    pub body: Option<(&'static str, Bytes)>,
    /// A credential that is not fixed for the client's life.
    pub token: Option<HeaderValue>,
    /// Whether a repeat after an unknown outcome is harmless.
    pub idempotent: bool,
    /// Estimated points of a query cost; `None` where none is counted.
    pub cost: Option<f64>,
    /// Somebody waits for the answer: it goes before bulk work, up to a quarter of the budget.
    pub urgent: bool,
}

impl Call {
    /// A read.
    pub fn get(class: &'static Class, path_and_query: String) -> Self {
        Self {
            class,
            surcharge: None,
            method: Method::GET,
            path_and_query,
            body: None,
            token: None,
            idempotent: true,
            cost: None,
            urgent: false,
        }
    }

    /// What it is about, for a fair share among the resources of a shop: the path of a REST call, the
    /// operation of a GraphQL one.
    pub fn resource(&self) -> &str {
        match self.cost {
            Some(_) => self.class.name,
            None => self.path_and_query.split('?').next().unwrap_or_default(),
        }
    }

    /// A request with a body; idempotent unless the caller says otherwise.
    pub fn send(
        class: &'static Class,
        method: Method,
        path_and_query: String,
        media: &'static str,
        body: Vec<u8>,
    ) -> Self {
        Self {
            method,
            body: Some((media, body.into())),
            ..Self::get(class, path_and_query)
        }
    }
}

/// One reply of any status.
#[derive(Clone, Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The headers that some layer reads.
    pub headers: Headers,
    /// The decompressed body.
    pub body: Bytes,
    /// The GraphQL envelope, where the body is one.
    pub envelope: Option<Envelope>,
}

impl Answer {
    /// An error that this answer gave rise to. Of a body that is no JSON the log gets what tells one from
    /// another, and never the body.
    pub(super) fn error(&self, class: &Class, fault: Fault) -> ApiError {
        if fault == Fault::NotJson {
            let hash = Sha256::digest(&self.body);
            let start = hash
                .iter()
                .take(8)
                .fold(0, |start: u64, byte| start << 8 | u64::from(*byte));
            tracing::warn!(
                class = class.name,
                media = self.headers.media.as_deref(),
                bytes = self.body.len(),
                sha256 = %format_args!("{start:016x}"),
                "an answer that is not JSON"
            );
        }
        let place = Place {
            api: class.api,
            class: class.name,
            status: Some(self.status),
            request_id: self.headers.request_id.clone(),
        };
        ApiError { fault, place }
    }
}

/// The headers that some layer reads.
#[derive(Clone, Debug, Default)]
pub struct Headers {
    /// The server's clock.
    pub date: Option<Moment>,
    /// The steady window, as the vendor counts it.
    pub rate: Option<RateHeaders>,
    /// How long a 429 asks to wait; `None` when absent or nonsense.
    pub retry_after: Option<Duration>,
    /// The vendor's id of this request, for their support.
    pub request_id: Option<Box<str>>,
    /// The API version that really answered.
    pub api_version: Option<Box<str>>,
    /// What the body claims to be, such as `text/html`.
    pub media: Option<Box<str>>,
    /// The origin that was asked.
    pub origin: Box<str>,
    /// Origin of a redirect's target.
    pub redirect: Option<Box<str>>,
}

/// One layer, or the whole stack of them.
pub trait Exchange: Send + Sync {
    /// Sends a call on its way and brings back the answer.
    fn exchange(&self, call: &Call) -> impl Future<Output = Result<Answer, ApiError>> + Send;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::fake::{body, call};
    use std::io;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn of_an_answer_that_is_not_json_the_log_has_kind_and_hash_and_not_the_body() {
        let log = Log::default();
        let writer = log.clone();
        let lines = tracing_subscriber::fmt().with_ansi(false);
        let lines = lines.with_writer(move || writer.clone()).finish();
        let mut portal = body("<html>jane@example.com, welcome to the hotel</html>");
        portal.headers.media = Some("text/html".into());
        tracing::subscriber::with_default(lines, || {
            portal.error(call().class, Fault::NotFound);
            let error = portal.error(call().class, Fault::NotJson);
            assert_eq!(error.place.status, Some(200));
        });
        let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.lines().count(), 1, "{text}");
        // The beginning of what `sha256sum` says of it.
        for part in [
            "get_profiles",
            "text/html",
            "bytes=51",
            "sha256=feee5d722630defa",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("jane") && !text.contains("hotel"), "{text}");
    }
}
