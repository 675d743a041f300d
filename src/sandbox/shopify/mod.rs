//! Shopify's Admin API 2026-10 in miniature: GraphQL with its costs, bulk operations, tokens.
//!
//! A request is parsed, compiled against the served part of the published schema, priced, paid from
//! the bucket and run over the [`World`]. What the schema here lacks is refused as an unknown field.

mod auth;
mod bulk;
mod compile;
mod cost;
mod document;
mod execute;
mod fault;
mod mutate;
mod page;
mod resolve;
mod schema;
mod search;
mod server;
mod staged;
mod value;

#[cfg(test)]
mod tests;

use crate::sandbox::{Speed, World};
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use server::Server;
use std::sync::Arc;

/// The Admin server of a world's shop.
///
/// It keeps the cost bucket of the one app it knows; everything else lives in the world.
/// `base_url` begins the URLs of bulk results when a request has no `Host` header. With
/// [`Speed::Fast`] the bucket never empties and bulk operations hurry.
pub fn router(world: World, speed: Speed, base_url: String) -> Router {
    let server = Arc::new(Server::new(world, speed, base_url));
    let large = DefaultBodyLimit::max(staged::LARGEST);
    Router::new()
        .route("/admin/api/{version}/graphql.json", post(server::graphql))
        .route("/admin/oauth/access_token", post(server::token))
        .route("/bulk/{name}", get(server::bulk_result))
        .route("/staged", post(server::upload).layer(large))
        .with_state(server)
}
