//! Which reads the key may do. Klaviyo has no list of a key's scopes, so each door is knocked at.

use super::client::{Klaviyo, encode};
use super::limits::{GET_EVENTS, GET_LISTS, GET_METRICS, GET_PROFILES, GET_SEGMENTS};
use crate::api::{ApiError, Call, Class, Exchange, Fault};

/// The cheapest read behind a scope.
struct Door {
    scope: &'static str,
    class: &'static Class,
    path: &'static str,
    query: &'static [(&'static str, &'static str)],
}

const ONE: (&str, &str) = ("page[size]", "1");

/// Consent is part of profiles, so it has the same door.
const DOORS: [Door; 6] = [
    Door {
        scope: "profiles:read",
        class: &GET_PROFILES,
        path: "/api/profiles",
        query: &[ONE],
    },
    Door {
        scope: "subscriptions:read",
        class: &GET_PROFILES,
        path: "/api/profiles",
        query: &[("additional-fields[profile]", "subscriptions"), ONE],
    },
    Door {
        scope: "lists:read",
        class: &GET_LISTS,
        path: "/api/lists",
        query: &[ONE],
    },
    Door {
        scope: "segments:read",
        class: &GET_SEGMENTS,
        path: "/api/segments",
        query: &[ONE],
    },
    Door {
        scope: "metrics:read",
        class: &GET_METRICS,
        path: "/api/metrics",
        query: &[],
    },
    Door {
        scope: "events:read",
        class: &GET_EVENTS,
        path: "/api/events",
        query: &[ONE],
    },
];

impl<E: Exchange> Klaviyo<E> {
    /// The scopes for reading that the key lacks. Scopes for writing show only when something is
    /// written.
    ///
    /// # Errors
    /// Whatever a request meets besides a missing scope.
    pub async fn missing_scopes(&self) -> Result<Vec<&'static str>, ApiError> {
        let mut missing = Vec::new();
        for Door {
            scope,
            class,
            path,
            query,
        } in DOORS
        {
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
