//! The listener: reads a delivery whole, believes it or not, writes down what it names, answers.

use super::delivery::Notice;
use super::inbox::Inbox;
use super::signature::{self, SignedBy};
use super::tally::{Heard, Refusal, Tally};
use super::{MEMORY, klaviyo, shopify};
use crate::clock::Clock;
use crate::config::Webhooks;
use crate::listen::{self, ListenError, Server};
use crate::model::Moment;
use crate::telemetry::{Api, Meter};
use crate::vault::Vault;
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde_json::{Value as Json, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, watch};

/// Vendors send less than this by far.
const LARGEST_BODY: usize = 1 << 20;
/// Shopify gives up after five seconds.
const READ_WITHIN: Duration = Duration::from_secs(4);
/// Bodies that are held in memory at once.
const AT_ONCE: usize = 32;
/// A vendor's clock may be this far ahead of ours.
const AHEAD: Duration = Duration::from_mins(10);

/// Whose deliveries are believed.
#[derive(Clone, Debug)]
pub struct Whose {
    /// The shop's own domain.
    pub domain: String,
    /// The Klaviyo account, where it is known.
    pub account: Option<String>,
}

/// One shop's webhooks; clones share counts and inbox.
#[derive(Clone, Debug)]
pub struct Hooks {
    config: Arc<Webhooks>,
    whose: Arc<Whose>,
    inbox: Inbox,
    vault: Vault,
    clock: Clock,
    tally: Tally,
    room: Arc<Semaphore>,
}

impl Hooks {
    /// For a shop whose state directory is locked.
    pub fn new(
        config: Webhooks,
        whose: Whose,
        inbox: Inbox,
        vault: Vault,
        clock: Clock,
        meter: Meter,
    ) -> Self {
        Self {
            config: Arc::new(config),
            whose: Arc::new(whose),
            inbox,
            vault,
            clock,
            tally: Tally::new(meter),
            room: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    /// Listens at `/shopify` and `/klaviyo`, whichever has a secret, until the server is dropped.
    ///
    /// # Errors
    /// [`ListenError`]: the address is taken, or refused by the system.
    pub async fn serve(&self) -> Result<Server, ListenError> {
        let mut router = Router::new();
        if self.config.shopify.is_some() {
            router = router.route("/shopify", post(from_shopify));
        }
        if self.config.klaviyo.is_some() {
            router = router.route("/klaviyo", post(from_klaviyo));
        }
        // The signature tells who speaks; `Host` may be the name by which the proxy is known.
        let server = listen::serve(&self.config.listen, router.with_state(self.clone())).await?;
        tracing::info!(listen = %server.listen, "Hearing webhooks");
        Ok(server)
    }

    /// What waits for the next pass.
    pub fn inbox(&self) -> &Inbox {
        &self.inbox
    }

    /// When a pass should fetch what was named, `last_start` being the start of the last one; `None`
    /// when nothing waits.
    /// A demand that no pass has seen is due at once.
    pub fn due(&self, last_start: Option<Moment>) -> Option<Moment> {
        let demanded = self.inbox.demands().last().map(|waiting| waiting.at);
        let unseen = demanded.filter(|at| last_start.is_none_or(|last| last <= *at));
        let earliest = last_start.map(|last| last.plus(self.config.min_gap));
        let fetch = self
            .inbox
            .since()
            .map(|since| since.plus(self.config.delay));
        let fetch = fetch.map(|due| earliest.map_or(due, |earliest| due.max(earliest)));
        unseen.into_iter().chain(fetch).min()
    }

    /// Hears of every change from now on.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.inbox.changes()
    }

    /// For `/status`: what was heard since the start, and what waits.
    pub fn status(&self) -> Json {
        let (named, demands, dropped) = self.inbox.sizes();
        json!({
            "sources": self.tally.status(),
            "to_fetch": named,
            "to_do": demands,
            "dropped": dropped,
        })
    }

    /// Counts how a delivery ended; what its sender is answered.
    fn answer(&self, from: Api, ended: Result<(Heard, SignedBy), Refusal>) -> StatusCode {
        match ended {
            Ok((heard, by)) => {
                self.tally.heard(from, heard, by, self.clock.now());
                StatusCode::OK
            }
            Err(refusal) => {
                let count = self.tally.refused(from, refusal);
                let (from, reason) = (from.as_str(), refusal.as_str());
                // A wrong secret shows at once, and whoever knocks without one fills no log.
                match count.ilog10() {
                    digits if 10_u64.pow(digits) == count => {
                        tracing::warn!(from, reason, count, "Webhook turned away");
                    }
                    _ => tracing::debug!(from, reason, count, "Webhook turned away"),
                }
                status_of(refusal)
            }
        }
    }

    async fn hear_shopify(&self, request: Request) -> Result<(Heard, SignedBy), Refusal> {
        let secrets = self.config.shopify.as_ref().ok_or(Refusal::Unsigned)?;
        let given = header(request.headers(), shopify::SIGNATURE)?;
        let (headers, body) = self.read(request).await?;
        let by = signature::of_shopify(secrets, &body, &given).ok_or(Refusal::Forged)?;
        let (notice, sent) = shopify::read(&headers, &body, &self.whose.domain, &self.vault)?;
        Ok((self.keep(vec![notice], sent).await?, by))
    }

    async fn hear_klaviyo(&self, request: Request) -> Result<(Heard, SignedBy), Refusal> {
        let secrets = self.config.klaviyo.as_ref().ok_or(Refusal::Unsigned)?;
        let given = header(request.headers(), klaviyo::SIGNATURE)?;
        let timestamp = header(request.headers(), klaviyo::TIMESTAMP)?;
        let (headers, body) = self.read(request).await?;
        let by = signature::of_klaviyo(secrets, &body, timestamp.as_bytes(), &given);
        let by = by.ok_or(Refusal::Forged)?;
        let (notices, sent) = klaviyo::read(&headers, &body, self.whose.account.as_deref())?;
        Ok((self.keep(notices, Some(sent)).await?, by))
    }

    /// The headers and the whole body, as it came.
    async fn read(&self, request: Request<Body>) -> Result<(HeaderMap, Bytes), Refusal> {
        let room = tokio::time::timeout(READ_WITHIN, self.room.acquire()).await;
        let _room = room.map_err(|_| Refusal::Busy)?;
        let (parts, body) = request.into_parts();
        let length = parts.headers.get("content-length");
        let length = length.and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
        if length.is_some_and(|length| length > LARGEST_BODY) {
            return Err(Refusal::TooLarge);
        }
        let body = tokio::time::timeout(READ_WITHIN, to_bytes(body, LARGEST_BODY)).await;
        let body = body.map_err(|_| Refusal::Busy)?;
        Ok((parts.headers, body.map_err(|_| Refusal::TooLarge)?))
    }

    /// Writes down what was named; `sent` is `None` for what holds at any age.
    async fn keep(&self, notices: Vec<Notice>, sent: Option<Moment>) -> Result<Heard, Refusal> {
        let now = self.clock.now();
        if let Some(sent) = sent
            && (sent.plus(MEMORY) < now || sent > now.plus(AHEAD))
        {
            return Err(Refusal::Stale);
        }
        let mentions = |notice: &Notice| !notice.named.is_empty() || notice.demand.is_some();
        if !notices.iter().any(mentions) {
            return Ok(Heard::Ignored);
        }
        let inbox = self.inbox.clone();
        let kept = tokio::task::spawn_blocking(move || inbox.keep(notices, now)).await;
        match kept {
            Ok(Ok(kept)) if kept.fresh > 0 => Ok(Heard::Accepted),
            Ok(Ok(_)) => Ok(Heard::Repeated),
            Ok(Err(error)) => {
                tracing::error!(%error, "A webhook was not taken, for it cannot be kept");
                Err(Refusal::Busy)
            }
            Err(_) => Err(Refusal::Busy),
        }
    }
}

async fn from_shopify(State(hooks): State<Hooks>, request: Request) -> StatusCode {
    let ended = hooks.hear_shopify(request).await;
    hooks.answer(Api::Shopify, ended)
}

async fn from_klaviyo(State(hooks): State<Hooks>, request: Request) -> StatusCode {
    let ended = hooks.hear_klaviyo(request).await;
    hooks.answer(Api::Klaviyo, ended)
}

fn header(headers: &HeaderMap, name: &str) -> Result<String, Refusal> {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.map(str::to_owned).ok_or(Refusal::Unsigned)
}

const fn status_of(refusal: Refusal) -> StatusCode {
    match refusal {
        Refusal::Unsigned | Refusal::Forged => StatusCode::UNAUTHORIZED,
        Refusal::Foreign => StatusCode::FORBIDDEN,
        Refusal::Stale | Refusal::Malformed => StatusCode::BAD_REQUEST,
        Refusal::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Refusal::Busy => StatusCode::SERVICE_UNAVAILABLE,
    }
}
