//! Klaviyo's deliveries: up to 1,000 events at once, each about a profile.

use super::delivery::{Named, Notice, print};
use super::tally::Refusal;
use crate::model::{Moment, ProfileId};
use axum::http::HeaderMap;
use serde::Deserialize;
use serde_json::Value as Json;

pub(super) const SIGNATURE: &str = "klaviyo-signature";
pub(super) const TIMESTAMP: &str = "klaviyo-timestamp";
const WEBHOOK: &str = "klaviyo-webhook-id";
/// Ids go into a filter, so they are letters and digits alone.
const LONGEST_ID: usize = 64;

#[derive(Deserialize)]
struct Body {
    meta: Meta,
    data: Vec<Happening>,
}

#[derive(Deserialize)]
struct Meta {
    timestamp: String,
    klaviyo_webhook_id: String,
    #[serde(default)]
    klaviyo_account_id: Option<String>,
}

#[derive(Deserialize)]
struct Happening {
    external_id: String,
    #[serde(default)]
    payload: Json,
}

/// Reads a delivery whose signature was right: what it names, event by event, and when it was sent. The
/// time in the body counts: that in the header has no documented form.
pub(super) fn read(
    headers: &HeaderMap,
    body: &[u8],
    account: Option<&str>,
) -> Result<(Vec<Notice>, Moment), Refusal> {
    let body: Body = serde_json::from_slice(body).map_err(|_| Refusal::Malformed)?;
    let webhook = headers.get(WEBHOOK).and_then(|value| value.to_str().ok());
    let ours = account.zip(body.meta.klaviyo_account_id.as_deref());
    if webhook != Some(&body.meta.klaviyo_webhook_id) || ours.is_some_and(|(a, b)| a != b) {
        return Err(Refusal::Foreign);
    }
    let sent = Moment::parse(&body.meta.timestamp).ok_or(Refusal::Malformed)?;
    let notices = body.data.iter().map(|happening| Notice {
        prints: vec![print(&["klaviyo event", &happening.external_id])],
        named: profile(&happening.payload).into_iter().collect(),
        demand: None,
    });
    Ok((notices.collect(), sent))
}

fn profile(payload: &Json) -> Option<Named> {
    let id = payload["data"]["relationships"]["profile"]["data"]["id"].as_str()?;
    let plain = id.len() <= LONGEST_ID && id.bytes().all(|b| b.is_ascii_alphanumeric());
    (plain && !id.is_empty()).then(|| Named::Profile(ProfileId::from(id)))
}
