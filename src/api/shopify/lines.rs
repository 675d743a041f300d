//! The result of a bulk operation: JSON lines of any length in all, in constant memory.

use crate::api::page::is_loopback;
use crate::api::record::note_loss;
use crate::api::transport::{Body, head, redirect};
use crate::api::{ApiError, Class, Fault};
use crate::telemetry::{Api, Meter};
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
    body: Body,
    meter: Meter,
    buffer: BytesMut,
    /// How much of the buffer holds no line end.
    searched: usize,
    ended: bool,
}

impl BulkLines {
    pub(super) async fn open(
        (client, meter): (&reqwest::Client, &Meter),
        base: &Url,
        url: &str,
    ) -> Result<Self, ApiError> {
        let url = checked(url, base, RESULTS).map_err(|fault| ApiError::new(&RESULT, fault))?;
        let host: Box<str> = url.host_str().unwrap_or_default().into();
        let head = head(&host, client.get(url).send()).await;
        let response = head.map_err(|fault| lost(meter, fault))?;
        if response.status().as_u16() != 200 {
            return Err(refusal(&RESULT, &response));
        }
        Ok(Self {
            body: Body::new(response, &host),
            meter: meter.clone(),
            buffer: BytesMut::new(),
            searched: 0,
            ended: false,
        })
    }

    /// The next line that is not blank, without its end; `None` after the last. A cut-off line comes
    /// as it is, and is no JSON. One that is not UTF-8 comes as a
    /// replacement character alone, which is none either.
    ///
    /// # Errors
    /// [`Fault::TooLarge`] for a line over 10 MiB, [`Fault::Unreachable`] when the connection breaks or
    /// brings too little: start the result over.
    pub async fn next(&mut self) -> Result<Option<String>, ApiError> {
        while let Some(line) = self.next_raw().await? {
            let text = std::str::from_utf8(&line).unwrap_or("\u{fffd}");
            if !text.trim().is_empty() {
                return Ok(Some(text.trim().to_owned()));
            }
        }
        Ok(None)
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
                return Ok((!rest.is_empty()).then_some(rest));
            }
            let chunk = self.body.chunk().await;
            match chunk.map_err(|fault| lost(&self.meter, fault))? {
                Some(chunk) => self.buffer.extend_from_slice(&chunk),
                None => self.ended = true,
            }
        }
    }
}

/// A result that came to no end is counted as any exchange is.
fn lost(meter: &Meter, fault: Fault) -> ApiError {
    let error = ApiError::new(&RESULT, fault);
    note_loss(meter, &error);
    error
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

/// What a place that is not the shop's own answers instead of what was asked of it.
pub(super) fn refusal(class: &Class, response: &reqwest::Response) -> ApiError {
    let status = response.status().as_u16();
    let fault = match status {
        // A link that expired, or whose signature did.
        400 | 403 | 404 | 410 => Fault::NotFound,
        300..=399 => Fault::Redirected {
            from: response.url().origin().ascii_serialization().into(),
            to: redirect(response.headers(), response.url()),
        },
        408 | 429 | 500.. => Fault::VendorDown,
        status => Fault::Invalid {
            code: format!("status {status}").into(),
            title: None,
            pointer: None,
        },
    };
    let mut error = ApiError::new(class, fault);
    error.place.status = Some(status);
    error
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Cause;
    use crate::api::transport::builder;
    use axum::Router;
    use axum::http::{HeaderMap, StatusCode};
    use axum::routing::get;
    use std::time::Duration;

    async fn serve(app: Router) -> Url {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await });
        Url::parse(&format!("http://{address}/bulk.jsonl?signature=x")).unwrap()
    }

    async fn open(url: &Url) -> Result<BulkLines, ApiError> {
        let client = builder(false).build().unwrap();
        BulkLines::open((&client, &Meter::default()), url, url.as_str()).await
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
    async fn an_endless_line_is_cut_off_and_half_a_character_spoils_its_line_alone() {
        let long = || async { vec![b'x'; LINE_CAP + 100_000] };
        let half = || async { b"{\"a\":1}\n{\"b\":\"\xc3\"}\n{\"c\":3}\n".to_vec() };
        let app = Router::new()
            .route("/bulk.jsonl", get(long))
            .route("/half", get(half));
        let mut url = serve(app).await;
        let error = open(&url).await.unwrap().next().await.unwrap_err();
        assert_eq!(error.fault, Fault::TooLarge { cap: LINE_CAP });
        url.set_path("/half");
        let mut lines = open(&url).await.unwrap();
        for expected in [Some("{\"a\":1}"), Some("\u{fffd}"), Some("{\"c\":3}"), None] {
            assert_eq!(lines.next().await.unwrap().as_deref(), expected);
        }
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
        let home: Box<str> = url.origin().ascii_serialization().into();
        let (from, to) = (home.clone(), Some(home));
        assert_eq!(error.fault, Fault::Redirected { from, to });
        url.set_path("/gone");
        assert_eq!(open(&url).await.unwrap_err().fault, Fault::NotFound);
    }

    #[tokio::test]
    async fn a_storage_host_that_is_busy_is_asked_again_and_a_link_it_refuses_is_not() {
        let answer = |axum::extract::Path(status): axum::extract::Path<u16>| async move {
            StatusCode::from_u16(status).unwrap()
        };
        let mut url = serve(Router::new().route("/{status}", get(answer))).await;
        for (status, fault) in [
            (400, Fault::NotFound),
            (403, Fault::NotFound),
            (408, Fault::VendorDown),
            (429, Fault::VendorDown),
            (503, Fault::VendorDown),
        ] {
            url.set_path(&status.to_string());
            assert_eq!(open(&url).await.unwrap_err().fault, fault, "{status}");
        }
        url.set_path("409");
        let other = open(&url).await.unwrap_err().fault;
        assert!(matches!(other, Fault::Invalid { .. }), "{other:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_result_that_drips_is_cut_off_however_long_its_reader_takes_elsewhere() {
        let minute = Duration::from_secs(60);
        let dripping = || async {
            let drops = futures_util::stream::unfold((), |()| async {
                tokio::time::sleep(Duration::from_secs(1)).await;
                Some((Ok::<_, std::io::Error>("{}\n"), ()))
            });
            axum::body::Body::from_stream(drops)
        };
        // Each piece lies ready long before it is read.
        let swift = || async {
            let pieces = futures_util::stream::unfold(0, |piece| async move {
                tokio::time::sleep(Duration::from_secs(5)).await;
                let lines = "{\"a\":1}\n".repeat(100);
                (piece < 20).then_some((Ok::<_, std::io::Error>(lines), piece + 1))
            });
            axum::body::Body::from_stream(pieces)
        };
        let app = Router::new()
            .route("/bulk.jsonl", get(dripping))
            .route("/swift", get(swift));
        let mut url = serve(app).await;
        let mut lines = open(&url).await.unwrap();
        let mut read = 0;
        let error = loop {
            match lines.next().await {
                Ok(line) => read += u32::from(line.is_some()),
                Err(error) => break error,
            }
        };
        let slow = matches!(
            &error.fault,
            Fault::Unreachable {
                cause: Cause::Slow,
                ..
            }
        );
        assert!(slow && (28..=30).contains(&read), "{read}: {error}");
        url.set_path("/swift");
        let mut lines = open(&url).await.unwrap();
        for line in 0..2_000 {
            assert!(lines.next().await.unwrap().is_some());
            if line % 100 == 99 {
                tokio::time::sleep(minute).await;
            }
        }
        assert_eq!(lines.next().await, Ok(None));
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
