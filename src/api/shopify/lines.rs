//! The result of a bulk operation: JSON lines of any length in all, in constant memory.

use crate::api::page::is_loopback;
use crate::api::transport::unreachable;
use crate::api::{ApiError, Class, Fault, Phase};
use crate::telemetry::Api;
use bytes::BytesMut;
use url::Url;

static RESULT: Class = Class {
    api: Api::Shopify,
    name: "bulk_result",
    limits: None,
};

/// Longest line that is read.
const LINE_CAP: usize = 10 * 1024 * 1024;

/// Where Shopify keeps results, beside hosts of its own: an object store, whose host is anybody's.
const RESULTS: &str = "storage.googleapis.com";
const OWN: [&str; 2] = [".shopify.com", ".shopifycloud.com"];

/// The lines of one result.
#[derive(Debug)]
pub struct BulkLines {
    response: reqwest::Response,
    host: Box<str>,
    buffer: BytesMut,
    /// How much of the buffer holds no line end.
    searched: usize,
    ended: bool,
    unterminated: bool,
}

impl BulkLines {
    pub(super) async fn open(
        client: &reqwest::Client,
        base: &Url,
        url: &str,
    ) -> Result<Self, ApiError> {
        let url = checked(url, base, RESULTS).map_err(|fault| ApiError::new(&RESULT, fault))?;
        let host: Box<str> = url.host_str().unwrap_or_default().into();
        let lost = |error| ApiError::new(&RESULT, unreachable(&host, &error));
        let response = client.get(url).send().await.map_err(lost)?;
        let status = response.status().as_u16();
        if status != 200 {
            let mut error = ApiError::new(&RESULT, status_fault(status, &host));
            error.place.status = Some(status);
            return Err(error);
        }
        Ok(Self {
            response,
            host,
            buffer: BytesMut::new(),
            searched: 0,
            ended: false,
            unterminated: false,
        })
    }

    /// The next line that is not blank, without its end; `None` after the last. A cut-off line comes
    /// as it is: it will not decode, and the count of lines tells.
    ///
    /// # Errors
    /// [`Fault::TooLarge`] for a line over 10 MiB, [`Fault::NotJson`] for one that is not UTF-8,
    /// [`Fault::Unreachable`] when the connection breaks: start the result over.
    pub async fn next(&mut self) -> Result<Option<String>, ApiError> {
        while let Some(line) = self.next_raw().await? {
            let text = std::str::from_utf8(&line);
            let text = text.map_err(|_| ApiError::new(&RESULT, Fault::NotJson))?;
            if !text.trim().is_empty() {
                return Ok(Some(text.trim().to_owned()));
            }
        }
        Ok(None)
    }

    /// Whether the last line came without its end: it may be cut off.
    pub fn is_unterminated(&self) -> bool {
        self.unterminated
    }

    async fn next_raw(&mut self) -> Result<Option<BytesMut>, ApiError> {
        loop {
            let fresh = &self.buffer[self.searched..];
            if let Some(end) = fresh.iter().position(|byte| *byte == b'\n') {
                let line = self.buffer.split_to(self.searched + end + 1);
                self.searched = 0;
                return Ok(Some(line));
            }
            self.searched = self.buffer.len();
            if self.searched > LINE_CAP {
                return Err(ApiError::new(&RESULT, Fault::TooLarge { cap: LINE_CAP }));
            }
            if self.ended {
                self.searched = 0;
                let rest = self.buffer.split();
                self.unterminated |= !rest.is_empty();
                return Ok((!rest.is_empty()).then_some(rest));
            }
            match self.response.chunk().await {
                Ok(Some(chunk)) => self.buffer.extend_from_slice(&chunk),
                Ok(None) => self.ended = true,
                Err(error) => {
                    let fault = unreachable(&self.host, &error);
                    return Err(ApiError::new(&RESULT, fault));
                }
            }
        }
    }
}

/// Https to a host of the vendor's, or to its store; loopback only when the shop itself is on loopback.
pub(super) fn checked(url: &str, base: &Url, store: &str) -> Result<Url, Fault> {
    let foreign = |host: Option<&str>| Fault::ForeignHost {
        host: host.unwrap_or("a result URL").into(),
    };
    let url = Url::parse(url).map_err(|_| foreign(None))?;
    let host = url.host_str().unwrap_or_default();
    let known = host == store || OWN.iter().any(|own| host.ends_with(own));
    let vendor = url.scheme() == "https" && url.port().is_none() && known;
    let local = matches!(url.scheme(), "http" | "https") && is_loopback(&url) && is_loopback(base);
    if (vendor || local) && url.username().is_empty() && url.password().is_none() {
        return Ok(url);
    }
    Err(foreign(url.host_str()))
}

pub(super) fn status_fault(status: u16, host: &str) -> Fault {
    match status {
        403 | 404 | 410 => Fault::NotFound,
        300..=399 => Fault::Redirected {
            from: host.into(),
            to: None,
        },
        500.. => Fault::VendorDown,
        _ => Fault::Unreachable {
            host: host.into(),
            phase: Phase::Sent,
            cause: "unexpected status",
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::transport::builder;
    use axum::Router;
    use axum::http::{HeaderMap, StatusCode};
    use axum::routing::get;

    async fn serve(app: Router) -> Url {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await });
        Url::parse(&format!("http://{address}/bulk.jsonl?signature=x")).unwrap()
    }

    async fn open(url: &Url) -> Result<BulkLines, ApiError> {
        let client = builder(false).build().unwrap();
        BulkLines::open(&client, url, url.as_str()).await
    }

    #[tokio::test]
    async fn lines_come_one_by_one_and_without_a_credential() {
        let reply = |headers: HeaderMap| async move {
            let secret = ["x-shopify-access-token", "authorization", "cookie"];
            if secret.iter().any(|name| headers.contains_key(*name)) {
                return (StatusCode::BAD_REQUEST, "");
            }
            (StatusCode::OK, "{\"a\":1}\n\n{\"b\":\"\u{e4}\"}\r\n{\"cut")
        };
        let url = serve(Router::new().route("/bulk.jsonl", get(reply))).await;
        let mut lines = open(&url).await.unwrap();
        let mut read = Vec::new();
        while let Some(line) = lines.next().await.unwrap() {
            read.push(line);
        }
        assert_eq!(read, ["{\"a\":1}", "{\"b\":\"\u{e4}\"}", "{\"cut"]);
        assert_eq!(lines.next().await, Ok(None));
    }

    #[tokio::test]
    async fn an_endless_line_is_cut_off_and_half_a_character_is_not_json() {
        let long = || async { vec![b'x'; LINE_CAP + 100_000] };
        let half = || async { vec![b'"', 0xc3, b'\n'] };
        let app = Router::new()
            .route("/bulk.jsonl", get(long))
            .route("/half", get(half));
        let mut url = serve(app).await;
        let error = open(&url).await.unwrap().next().await.unwrap_err();
        assert_eq!(error.fault, Fault::TooLarge { cap: LINE_CAP });
        url.set_path("/half");
        let error = open(&url).await.unwrap().next().await.unwrap_err();
        assert_eq!(error.fault, Fault::NotJson);
    }

    #[tokio::test]
    async fn a_redirect_or_an_expired_link_is_an_error() {
        let moved = || async { (StatusCode::FOUND, [("location", "/other")], "") };
        let gone = || async { StatusCode::FORBIDDEN };
        let app = Router::new()
            .route("/bulk.jsonl", get(moved))
            .route("/gone", get(gone));
        let mut url = serve(app).await;
        let error = open(&url).await.unwrap_err();
        assert!(matches!(error.fault, Fault::Redirected { .. }));
        url.set_path("/gone");
        assert_eq!(open(&url).await.unwrap_err().fault, Fault::NotFound);
    }

    #[test]
    fn only_the_vendors_hosts_are_fetched_from() {
        let shop = Url::parse("https://demo.myshopify.com").unwrap();
        let check = |url: &str| checked(url, &shop, RESULTS).is_ok();
        assert!(check(
            "https://storage.googleapis.com/shopify/x.jsonl?sig=1"
        ));
        assert!(check("https://bulk.shopifycloud.com/x.jsonl"));
        for wrong in [
            "http://storage.googleapis.com/x",
            "https://storage.googleapis.com:8443/x",
            "https://storage.googleapis.com.evil.example/x",
            "https://evil.storage.googleapis.com/x",
            "https://shopify-staged-uploads.storage.googleapis.com/",
            "https://evilshopify.com/x",
            "https://user@storage.googleapis.com/x",
            "https://169.254.169.254/latest/meta-data",
            "http://127.0.0.1:4000/x",
            "https://localhost/x",
            "file:///etc/passwd",
            "x",
        ] {
            assert!(!check(wrong), "{wrong}");
        }
        let sandbox = Url::parse("http://127.0.0.1:4002").unwrap();
        assert!(checked("http://127.0.0.1:4000/x", &sandbox, RESULTS).is_ok());
    }
}
