//! Parameters of a query that no route knows: a question with a misspelt one must not be answered as another.
//!
//! What a route knows is what its description names, so the two cannot differ. A route that is ours alone refuses every
//! other name. The original ignores them, and its clients and whoever scripts it rely on that; so on its routes only a
//! name that is nearly a known one is refused, which no client of the original sends.

use std::collections::HashMap;
use std::sync::LazyLock;

use ::http::Method;
use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use knit_schemas::slip::is_slip_of;

use super::openapi;
use super::problem::Problem;
use super::query::Query;

/// The routes of the original's API. What is not among them is ours.
const ORIGINAL: [&str; 14] = [
    "/api/data",
    "/api/data/{id}",
    "/api/plans",
    "/api/plans/{id}",
    "/api/plans/{id}/active",
    "/api/plans/{id}/annotations",
    "/api/plans/{id}/resources",
    "/api/plans/{id}/serviceaccount",
    "/api/runs",
    "/api/runs/{id}",
    "/api/runs/{id}/abort",
    "/api/runs/{id}/log",
    "/api/runs/{id}/retry",
    "/api/runs/{id}/tearoff",
];
/// Routes that read and have no past refuse it with their own reason.
const ALWAYS_KNOWN: &str = "as-of";

/// The names that each operation knows.
static KNOWN: LazyLock<HashMap<(String, Method), Vec<String>>> = LazyLock::new(openapi::query_parameters);

/// Lets a request pass whose parameters are all heeded, or may be ignored.
pub(super) async fn heed(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let known = route.and_then(|route| Some((KNOWN.get(&(route.clone(), request.method().clone()))?, route)));
    if let Some((known, route)) = known
        && let Err(problem) = check(&route, known, &Query::parse(request.uri().query()))
    {
        return problem.into_response();
    }
    next.run(request).await
}

/// # Errors
/// 400 for a name that the route does not know, unless it may ignore it.
fn check(route: &str, known: &[String], query: &Query) -> Result<(), Problem> {
    // Whoever collects figures may add what it likes; nothing outside of the API depends on a query.
    let is_ours = route.starts_with("/api/") && !ORIGINAL.contains(&route);
    let is_known = |name: &str| name == ALWAYS_KNOWN || known.iter().any(|known| known == name);
    for name in query.names().filter(|name| !is_known(name)) {
        let meant = known.iter().map(String::as_str).chain([ALWAYS_KNOWN]).find(|known| is_slip_of(name, known));
        let advice = match meant {
            Some(meant) => format!("there is no `{name}`; did you mean `{meant}`?"),
            None if !is_ours => continue,
            None if known.is_empty() => format!("there is no `{name}` here: leave it out, as this takes no parameters"),
            None => format!("there is no `{name}` here, but {}", known.join(", ")),
        };
        return Err(Problem::bad_request(advice));
    }
    Ok(())
}
