//! `GET /metrics`: the figures of this process, as Prometheus reads them.

use ::http::StatusCode;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;

use super::front::Api;
use super::reply;
use crate::metrics::CONTENT_TYPE;

/// `GET /metrics`: whatever else is broken, this answers, without asking the database for more than a second or so.
#[utoipa::path(get, path = "/metrics", operation_id = "measure",
    responses((status = 200, description = "OpenMetrics", body = String, content_type = "application/openmetrics-text")))]
pub(super) async fn show(State(api): State<Api>) -> Response {
    let metrics = api.app.metrics();
    metrics.transfers_open(api.transfers.open());
    reply::with_type(StatusCode::OK, CONTENT_TYPE, Body::from(metrics.text(&api.app).await))
}
