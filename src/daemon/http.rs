//! Health, status and metrics on a loopback address or a UNIX socket; read-only, without a login,
//! and therefore nowhere else.

use super::shop::House;
use crate::listen::{self, Listen, ListenError, Server};
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::sync::Arc;

/// Starts to serve.
pub(super) async fn serve(listen: &Listen, house: Arc<House>) -> Result<Server, ListenError> {
    let pages = listen::for_local_names(listen, pages(house));
    let server = listen::serve(listen, pages).await?;
    tracing::info!(listen = %server.listen, "Serving /livez, /readyz, /status and /metrics");
    Ok(server)
}

fn pages(house: Arc<House>) -> Router {
    Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/status", get(status))
        .route("/metrics", get(metrics))
        .with_state(house)
}

async fn livez(State(house): State<Arc<House>>) -> Response {
    probe(house.board.alive(house.clock.monotonic()))
}

async fn readyz(State(house): State<Arc<House>>) -> Response {
    probe(house.board.ready())
}

fn probe(result: Result<(), String>) -> Response {
    match result {
        Ok(()) => "ok\n".into_response(),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")).into_response(),
    }
}

async fn status(State(house): State<Arc<House>>) -> Response {
    axum::Json(house.board.status(house.clock.now())).into_response()
}

async fn metrics(State(house): State<Arc<House>>) -> Response {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], house.metrics.text()).into_response()
}
