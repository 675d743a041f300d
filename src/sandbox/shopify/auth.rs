//! Who may ask: tokens, and the client credentials grant (shopify.md, section 2).

use crate::model::Moment;
use crate::sandbox::world::ShopifyWorld;
use axum::http::{HeaderMap, StatusCode, header};
use serde_json::{Map, Value as Json, json};
use sha2::{Digest, Sha256};
use std::time::Duration;

/// The header that carries the access token.
pub(super) const TOKEN_HEADER: &str = "x-shopify-access-token";

/// What a token from the grant lasts.
const LIFETIME: Duration = Duration::from_secs(86_399);

/// Whether a request carries a token that opens this shop.
pub(super) fn is_welcome(shopify: &ShopifyWorld, headers: &HeaderMap, now: Moment) -> bool {
    let token = headers
        .get(TOKEN_HEADER)
        .and_then(|value| value.to_str().ok());
    token.is_some_and(|token| {
        let granted = shopify.grants.get(token);
        (!token.is_empty() && token == shopify.token) || granted.is_some_and(|until| now < *until)
    })
}

/// Answers `POST /admin/oauth/access_token`.
pub(super) fn grant(
    shopify: &mut ShopifyWorld,
    headers: &HeaderMap,
    body: &[u8],
    now: Moment,
) -> (StatusCode, Json) {
    let refused = |error: &str, description: &str| {
        let body = json!({"error": error, "error_description": description});
        (StatusCode::BAD_REQUEST, body)
    };
    let Some(form) = form(headers, body) else {
        return refused("invalid_request", "The body is neither a form nor JSON");
    };
    let text = |name: &str| form.get(name).and_then(Json::as_str).unwrap_or_default();
    if text("grant_type") != "client_credentials" {
        return refused(
            "unsupported_grant_type",
            "Only client_credentials is served",
        );
    }
    let (id, secret) = shopify.client.clone();
    if id.is_empty() || text("client_id") != id.as_str() {
        return refused("application_cannot_be_found", "No such client_id");
    }
    if text("client_secret") != secret.as_str() {
        return refused("invalid_client", "The client_secret is wrong");
    }
    let number = shopify.next_number();
    let token = token(&secret, number);
    let reply = json!({
        "access_token": token,
        "scope": shopify.scopes.join(","),
        "expires_in": LIFETIME.as_secs(),
    });
    shopify.grants.retain(|_, until| now < *until);
    shopify.grants.insert(token, now.plus(LIFETIME));
    (StatusCode::OK, reply)
}

fn token(secret: &str, number: u64) -> String {
    let hash = Sha256::digest(format!("{secret}/{number}").as_bytes());
    let hex = hash.iter().take(16).map(|byte| format!("{byte:02x}"));
    format!("shpat_{}", hex.collect::<String>())
}

fn form(headers: &HeaderMap, body: &[u8]) -> Option<Map<String, Json>> {
    match media_type(headers).as_deref() {
        Some("application/x-www-form-urlencoded") => {
            let pairs = url::form_urlencoded::parse(body);
            Some(
                pairs
                    .map(|(k, v)| (k.into_owned(), v.into_owned().into()))
                    .collect(),
            )
        }
        Some("application/json") => serde_json::from_slice(body).ok(),
        _ => None,
    }
}

/// The content type without its parameters, in lower case.
pub(super) fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let essence = value.split(';').next().unwrap_or_default();
    Some(essence.trim().to_ascii_lowercase())
}
