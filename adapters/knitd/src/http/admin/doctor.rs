//! Whether all is well with the server.

use axum::extract::State;
use axum::response::Response;

use super::Admin;
use crate::doctor;
use crate::http::reply;

/// `GET /admin/doctor`: what was looked at, and how it is.
pub(super) async fn look(State(admin): State<Admin>) -> Response {
    reply::json(&doctor::look(&admin.app, &admin.surroundings).await)
}
