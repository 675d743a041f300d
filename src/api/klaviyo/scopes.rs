//! Which reads the key may do. Klaviyo has no list of a key's scopes, so each door is knocked at.

use super::client::{Klaviyo, encode};
use super::limits::{GET_EVENTS, GET_LISTS, GET_METRICS, GET_PROFILES, GET_SEGMENTS};
use crate::api::{ApiError, Call, Class, Exchange, Fault};

/// The cheapest read behind each scope. Consent is part of profiles, so it has the same door.
const DOORS: [(&str, &Class, &str, &[(&str, &str)]); 6] = [
    (
        "profiles:read",
        &GET_PROFILES,
        "/api/profiles",
        &[("page[size]", "1")],
    ),
    (
        "subscriptions:read",
        &GET_PROFILES,
        "/api/profiles",
        &[
            ("additional-fields[profile]", "subscriptions"),
            ("page[size]", "1"),
        ],
    ),
    (
        "lists:read",
        &GET_LISTS,
        "/api/lists",
        &[("page[size]", "1")],
    ),
    (
        "segments:read",
        &GET_SEGMENTS,
        "/api/segments",
        &[("page[size]", "1")],
    ),
    ("metrics:read", &GET_METRICS, "/api/metrics", &[]),
    (
        "events:read",
        &GET_EVENTS,
        "/api/events",
        &[("page[size]", "1")],
    ),
];

impl<E: Exchange> Klaviyo<E> {
    /// The scopes for reading that the key lacks. Scopes for writing show only when something is
    /// written.
    ///
    /// # Errors
    /// Whatever a request meets besides a missing scope.
    pub async fn missing_scopes(&self) -> Result<Vec<&'static str>, ApiError> {
        let mut missing = Vec::new();
        for (scope, class, path, query) in DOORS {
            let place = match query {
                [] => path.to_owned(),
                query => format!("{path}?{}", encode(query)),
            };
            match self.ask(&Call::get(class, place)).await {
                Ok(_) => {}
                Err(error) if matches!(error.fault, Fault::MissingScope { .. }) => {
                    missing.push(scope);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(missing)
    }
}
