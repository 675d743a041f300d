//! The bottom layer: bytes over TLS, to one origin only.

mod body;

pub(super) use body::Body;

use super::error::label;
use super::page::is_loopback;
use super::{Answer, ApiError, Call, Cause, Class, Exchange, Fault, Headers, Phase};
use crate::model::Moment;
use crate::pace::RateHeaders;
use bytes::{Bytes, BytesMut};
use reqwest::header::{self, HeaderMap, HeaderName};
use std::time::Duration;
use url::Url;

/// Largest decompressed body that is read (reliability.md, row 27).
const BODY_CAP: usize = 32 * 1024 * 1024;

/// Longest wait a `Retry-After` can ask for.
const LONGEST_PARK: Duration = Duration::from_secs(86_400);

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Idle connections that are kept: each holds a buffer of up to 400 KB, and whoever waits for a reply has one of
/// its own.
const IDLE_CONNECTIONS: usize = 4;
/// Longest wait for a reply's head, and for each further piece of its body.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// An HTTP client bound to one origin.
#[derive(Debug)]
pub struct Transport {
    client: reqwest::Client,
    origin: String,
    host: Box<str>,
    token_header: HeaderName,
}

impl Transport {
    /// A client for `base`'s origin: https, or plain http to loopback. `fixed` goes with every
    /// request, [`Call::token`] under `token_header`; `total` is the time one exchange may take.
    ///
    /// # Errors
    /// [`Fault::ForeignHost`] for any other base URL, [`Fault::Setup`] when TLS cannot be set up.
    pub fn new(
        base: &Url,
        fixed: HeaderMap,
        token_header: HeaderName,
        total: Duration,
    ) -> Result<Self, Fault> {
        check_origin(base)?;
        let client = builder(base.scheme() == "https")
            .default_headers(fixed)
            .timeout(total)
            .build()
            .map_err(|_| Fault::Setup)?;
        Ok(Self {
            client,
            origin: base.origin().ascii_serialization(),
            host: base.host_str().unwrap_or_default().into(),
            token_header,
        })
    }

    fn request(&self, call: &Call) -> Result<reqwest::Request, Fault> {
        let url = Url::parse(&format!("{}{}", self.origin, call.path_and_query));
        let url = url
            .ok()
            .filter(|url| call.path_and_query.starts_with('/') && self.is_home(url))
            .ok_or(Fault::ForeignLink)?;
        let mut request = self.client.request(call.method.clone(), url);
        if let Some((media, body)) = &call.body {
            request = request
                .header(header::CONTENT_TYPE, *media)
                .body(body.clone());
        }
        if let Some(token) = &call.token {
            request = request.header(&self.token_header, token.clone());
        }
        request.build().map_err(|_| Fault::ForeignLink)
    }

    fn is_home(&self, url: &Url) -> bool {
        url.origin().ascii_serialization() == self.origin
    }

    async fn send(&self, class: &Class, request: reqwest::Request) -> Result<Answer, ApiError> {
        let head = head(&self.host, self.client.execute(request)).await;
        let response = head.map_err(|fault| ApiError::new(class, fault))?;
        let status = response.status().as_u16();
        let headers = read_headers(response.headers(), response.url());
        let body = read_body(Body::new(response, &self.host)).await;
        match body {
            Ok(body) => Ok(Answer {
                status,
                headers,
                body,
                envelope: None,
            }),
            Err(fault) => {
                let mut error = ApiError::new(class, fault);
                error.place.status = Some(status);
                error.place.request_id = headers.request_id;
                Err(error)
            }
        }
    }
}

impl Exchange for Transport {
    async fn exchange(&self, call: &Call) -> Result<Answer, ApiError> {
        let request = self.request(call);
        let request = request.map_err(|fault| ApiError::new(call.class, fault))?;
        self.send(call.class, request).await
    }
}

/// A client builder with this house's rules: no redirects, no proxy from the environment, our name.
pub(super) fn builder(https_only: bool) -> reqwest::ClientBuilder {
    // Fails only when a provider is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .user_agent(concat!("driftless/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .referer(false)
        .https_only(https_only)
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_max_idle_per_host(IDLE_CONNECTIONS)
}

/// The head of the reply to a request that is on its way.
pub(super) async fn head(
    host: &str,
    sent: impl Future<Output = reqwest::Result<reqwest::Response>>,
) -> Result<reqwest::Response, Fault> {
    match tokio::time::timeout(READ_TIMEOUT, sent).await {
        Ok(head) => head.map_err(|error| unreachable(host, Phase::Head, &error)),
        Err(_) => Err(Fault::Unreachable {
            host: host.into(),
            phase: Phase::Head,
            cause: Cause::Timeout,
        }),
    }
}

/// Https, or plain http to loopback; no user-info.
pub(super) fn check_origin(url: &Url) -> Result<(), Fault> {
    let safe = url.scheme() == "https" || (url.scheme() == "http" && is_loopback(url));
    if safe && url.username().is_empty() && url.password().is_none() && url.host().is_some() {
        return Ok(());
    }
    Err(Fault::ForeignHost {
        host: url.host_str().unwrap_or("the base URL").into(),
    })
}

async fn read_body(mut from: Body) -> Result<Bytes, Fault> {
    let mut body = BytesMut::new();
    while let Some(chunk) = from.chunk().await? {
        if body.len() + chunk.len() > BODY_CAP {
            return Err(Fault::TooLarge { cap: BODY_CAP });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// Sorts a transport error that came after `phase` had begun, or before any connection. Its own text is
/// not used: it holds the URL.
fn unreachable(host: &str, phase: Phase, error: &reqwest::Error) -> Fault {
    let host = host.into();
    if !error.is_connect() {
        let cause = match error.is_timeout() {
            true => Cause::Timeout,
            false => Cause::Lost,
        };
        return Fault::Unreachable { host, phase, cause };
    }
    let cause = match error {
        error if error.is_timeout() => Cause::Timeout,
        error if sources(error).any(is_distrust) => return Fault::Untrusted { host },
        error if sources(error).any(|cause| cause.to_string() == "dns error") => Cause::Name,
        _ => Cause::Refused,
    };
    let phase = Phase::Connect;
    Fault::Unreachable { host, phase, cause }
}

/// Whether it is for its certificate, or because what is there speaks no TLS that is safe. Whatever else ends
/// a handshake may be over in a moment.
fn is_distrust(cause: &(dyn std::error::Error + 'static)) -> bool {
    use rustls::{AlertDescription as Alert, Error};
    matches!(
        cause.downcast_ref(),
        Some(
            Error::InvalidCertificate(_)
                | Error::PeerIncompatible(_)
                | Error::InvalidMessage(_)
                | Error::AlertReceived(Alert::ProtocolVersion | Alert::HandshakeFailure)
        )
    )
}

/// Everything that an error came of.
fn sources(error: &reqwest::Error) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    std::iter::successors(std::error::Error::source(error), |error| {
        // What an IO error wraps it does not call its source.
        let io = error.downcast_ref::<std::io::Error>();
        match io.and_then(std::io::Error::get_ref) {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        }
    })
}

/// The origin that a redirect leads to.
pub(super) fn redirect(headers: &HeaderMap, asked: &Url) -> Option<Box<str>> {
    let link = headers.get(header::LOCATION)?.to_str().ok()?;
    let target = asked.join(link).ok()?;
    Some(target.origin().ascii_serialization().into())
}

fn read_headers(headers: &HeaderMap, asked: &Url) -> Headers {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    Headers {
        date: text("date").and_then(http_date),
        rate: rate_headers(&text),
        retry_after: text("retry-after").and_then(retry_after),
        request_id: text("x-request-id")
            .or_else(|| text("cf-ray"))
            .and_then(label),
        api_version: text("x-shopify-api-version").and_then(label),
        media: text("content-type").and_then(media),
        origin: asked.origin().ascii_serialization().into(),
        redirect: redirect(headers, asked),
    }
}

/// `text/html` out of `text/html; charset=utf-8`.
fn media(text: &str) -> Option<Box<str>> {
    label(text.split(';').next().unwrap_or_default().trim())
}

fn rate_headers<'a>(text: &impl Fn(&str) -> Option<&'a str>) -> Option<RateHeaders> {
    let number = |name| text(name).and_then(leading_number);
    Some(RateHeaders {
        limit: u32::try_from(number("ratelimit-limit")?).ok()?,
        remaining: u32::try_from(number("ratelimit-remaining")?).ok()?,
        reset: Duration::from_secs(number("ratelimit-reset")?),
    })
}

/// `750` out of `750, 75;w=1`.
fn leading_number(text: &str) -> Option<u64> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit());
    text[..end.unwrap_or(text.len())].parse().ok()
}

/// Seconds, perhaps fractional; at least one second, at most a day. A date or nonsense is none.
fn retry_after(text: &str) -> Option<Duration> {
    let seconds: f64 = text.trim().parse().ok()?;
    let known = seconds.is_finite() && seconds >= 0.0;
    known.then(|| Duration::from_secs_f64(seconds.clamp(1.0, LONGEST_PARK.as_secs_f64())))
}

/// `Sun, 22 Nov 2026 08:00:00 GMT`.
fn http_date(text: &str) -> Option<Moment> {
    let zoned = jiff::fmt::rfc2822::parse(text).ok()?;
    Some(zoned.timestamp().into())
}

#[cfg(test)]
mod tests;
