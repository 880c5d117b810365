//! Whether the process lives, and whether it should be sent requests.

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use knit_domain::event::Position;
use serde::Serialize;

use super::front::Api;
use super::problem::Problem;
use super::reply;

/// What a healthy server says of itself.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Health {
    /// `ok`.
    status: &'static str,
    /// The position that the projections have reached.
    position: Position,
}

/// `GET /healthz`: the process lives and answers.
#[utoipa::path(get, path = "/healthz", operation_id = "isAlive", responses((status = 200, body = Health)))]
pub(super) async fn alive(State(api): State<Api>) -> Response {
    reply::json(&Health { status: "ok", position: api.app.views().position() })
}

/// `GET /readyz`: the log can be reached and the projections show all of it; 503 says what is missing.
#[utoipa::path(get, path = "/readyz", operation_id = "isReady", responses((status = 200, body = Health), Problem))]
pub(super) async fn ready(State(api): State<Api>) -> Response {
    let views = api.app.views();
    if let Some(stopped) = views.stopped() {
        return Problem::unavailable(format!("a projection has stopped: {stopped}")).into_response();
    }
    if let Some(damage) = views.damage() {
        return Problem::damaged(damage.why.clone()).into_response();
    }
    if !views.followed().caught_up {
        return Problem::unavailable("the projections are being folded from the log").into_response();
    }
    match api.app.head().await {
        Err(fault) if fault.is_damage() => Problem::of_log(fault).into_response(),
        Err(fault) => Problem::unavailable(format!("the log cannot be reached: {fault}")).into_response(),
        Ok(head) => match api.app.shown(head.position).await {
            shown if shown >= head.position => reply::json(&Health { status: "ok", position: shown }),
            shown => {
                let cause = format!("the projections have reached position {shown} of {}", head.position);
                Problem::unavailable(cause).into_response()
            }
        },
    }
}
