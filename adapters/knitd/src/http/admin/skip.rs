//! Passing over an event that a projection cannot apply.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::response::Response;
use knit_schemas::api::{SkipOrder, Skipped};

use super::{Admin, By, named};
use crate::http::problem::Problem;
use crate::http::reply;

/// `POST /admin/projections/{name}/skips`: lets the projection pass over the event at which it has stopped.
pub(super) async fn skip(
    State(admin): State<Admin>,
    By(cause): By,
    Path(name): Path<String>,
    order: Result<Json<SkipOrder>, JsonRejection>,
) -> Result<Response, Problem> {
    let name = named(&name)?;
    let Json(order) = order.map_err(|error| Problem::bad_request(error.body_text()))?;
    let done = admin.app.skip(&cause, name, order.position, &order.reason).await?;
    let reached = admin.app.goes_on_behind(name, order.position).await;
    Ok(reply::json(&Skipped {
        projection: name.as_str().to_owned(),
        position: order.position,
        recorded_at: done.position,
        reached: reached.position,
        why: reached.stopped,
    }))
}
