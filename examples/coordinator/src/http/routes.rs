//! The routes. None of them does more than to ask the bus.

use axum::extract::rejection::JsonRejection;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::StatusCode;
use axum::response::sse::{KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bus::Bus;

use super::answers::Refusal;
use super::feed::Feed;
use crate::contracts::{Answer, Request, Status, process_request, status};

/// The largest body of a request, in bytes.
const LARGEST: usize = 16 << 10;

#[derive(Clone)]
struct Front {
    bus: Bus,
    feed: Feed,
}

/// What the front answers to, on `bus`.
pub fn router(bus: Bus, feed: Feed) -> Router {
    Router::new()
        .route("/requests", post(submit))
        .route("/requests/{id}", get(look))
        .route("/requests/{id}/events", get(watch))
        .route("/health", get(health))
        .layer(DefaultBodyLimit::max(LARGEST))
        .with_state(Front { bus, feed })
}

async fn submit(
    State(front): State<Front>,
    request: Result<Json<Request>, JsonRejection>,
) -> Result<Answer, Refusal> {
    let Json(request) = request.map_err(Refusal::Malformed)?;
    Ok(process_request::on(&front.bus).execute(request).await?)
}

async fn look(State(front): State<Front>, Path(id): Path<String>) -> Result<Json<Status>, Refusal> {
    known(&front, &id).await.map(Json)
}

async fn watch(State(front): State<Front>, Path(id): Path<String>) -> Result<Response, Refusal> {
    // First, so that nothing happens between the look and the watch.
    let watch = front.feed.watch();
    let now = known(&front, &id).await?;
    Ok(Sse::new(watch.events(id, &now)).keep_alive(KeepAlive::default()).into_response())
}

async fn known(front: &Front, id: &str) -> Result<Status, Refusal> {
    status::on(&front.bus).execute(id).await?.ok_or(Refusal::Unknown)
}

async fn health(State(front): State<Front>) -> Response {
    let health = front.bus.health();
    let code = if health.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = serde_json::json!({
        "live": health.live, "ready": health.ready, "reasons": health.reasons,
    });
    (code, Json(body)).into_response()
}
