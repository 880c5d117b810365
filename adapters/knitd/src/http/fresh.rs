//! Freshness: a read sees what was committed before it arrived, and every answer says what it saw (D13).

use ::http::{HeaderName, Method, StatusCode};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use knit_schemas::api;

use super::export;
use super::front::Api;
use super::problem::Problem;
use super::reply;

/// How the address of an event begins.
const ONE_EVENT: &str = "/api/events/";

/// Before a read, waits until the projections show what the log holds, and before a command, until they have
/// shown all of it once: nobody decides on a log of which this program may not be able to read the rest. Behind
/// any request, tells the position unless the handler told a later one.
///
/// The position told is taken before the handler looks, so it never promises more than was seen.
pub(super) async fn wait_and_tell(State(api): State<Api>, request: Request, next: Next) -> Response {
    // Damage keeps nobody from looking at one event: that shows what is wrong.
    let is_look_at_damage = |path: &str| api.app.views().damage().is_some() && path.starts_with(ONE_EVENT);
    let freshness = match (request.uri().path().starts_with("/api/"), request.method()) {
        (false, _) => Ok(api.app.views().position()),
        // It is about the log itself, also about one that no projection can follow.
        (true, &Method::GET) if request.uri().path() == export::PATH || is_look_at_damage(request.uri().path()) => {
            Ok(api.app.views().position())
        }
        (true, &Method::GET) => api.app.fresh().await,
        (true, _) => api.app.caught_up().await,
    };
    let position = match freshness {
        Ok(position) => position,
        Err(error) => return Problem::of_log(error).into_response(),
    };
    let is_question = request.method() == Method::GET;
    let mut response = next.run(request).await;
    if response.status() == StatusCode::INTERNAL_SERVER_ERROR && !is_question {
        response = told_apart(&api, response).await;
    }
    if response.headers().contains_key(HeaderName::from_static(api::POSITION_HEADER)) {
        return response;
    }
    reply::at(position, response)
}

/// A command that failed because the log cannot be reached is answered as a question would be: it will work
/// later, and nobody has to look for a mistake.
async fn told_apart(api: &Api, failed: Response) -> Response {
    match api.app.head().await {
        Ok(_) => failed,
        Err(fault) => Problem::of_log(fault).into_response(),
    }
}
