//! The bottom layer: bytes over TLS, to one origin only.

use super::error::label;
use super::page::is_loopback;
use super::{Answer, ApiError, Call, Class, Exchange, Fault, Headers, Phase};
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
        let lost = |error| ApiError::new(class, unreachable(&self.host, &error));
        let mut response = self.client.execute(request).await.map_err(lost)?;
        let status = response.status().as_u16();
        let headers = read_headers(response.headers(), &self.origin);
        let body = read_body(&mut response, &self.host).await;
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
        .read_timeout(READ_TIMEOUT)
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

async fn read_body(response: &mut reqwest::Response, host: &str) -> Result<Bytes, Fault> {
    let mut body = BytesMut::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() > BODY_CAP => {
                return Err(Fault::TooLarge { cap: BODY_CAP });
            }
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return Ok(body.freeze()),
            Err(error) => return Err(unreachable(host, &error)),
        }
    }
}

/// Sorts a transport error. Its own text is not used: it holds the URL.
pub(super) fn unreachable(host: &str, error: &reqwest::Error) -> Fault {
    let host = host.into();
    if is_untrusted(error) {
        return Fault::Untrusted { host };
    }
    let phase = if error.is_connect() {
        Phase::Connect
    } else {
        Phase::Sent
    };
    let cause = match (error.is_timeout(), phase) {
        (true, _) => "timed out",
        (false, Phase::Connect) => "no connection",
        (false, Phase::Sent) => "connection lost",
    };
    Fault::Unreachable { host, phase, cause }
}

fn is_untrusted(error: &reqwest::Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let io = cause.downcast_ref::<std::io::Error>();
        let inner = io.and_then(std::io::Error::get_ref);
        let tls = inner.and_then(|inner| inner.downcast_ref::<rustls::Error>());
        if let Some(rustls::Error::InvalidCertificate(_)) = tls {
            return true;
        }
        source = cause.source();
    }
    false
}

fn read_headers(headers: &HeaderMap, asked: &str) -> Headers {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let origin = |link: &str| Some(Url::parse(link).ok()?.origin().ascii_serialization().into());
    Headers {
        date: text("date").and_then(http_date),
        rate: rate_headers(&text),
        retry_after: text("retry-after").and_then(retry_after),
        request_id: text("x-request-id")
            .or_else(|| text("cf-ray"))
            .and_then(label),
        api_version: text("x-shopify-api-version").and_then(label),
        origin: asked.into(),
        redirect: text("location").and_then(origin),
    }
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
