//! `GET /api/tags` (ours): Tags by how they begin, for shells that complete them.

use axum::extract::State;
use axum::response::Response;
use knit_projections::projection::Projection as _;

use super::as_of;
use super::front::Api;
use super::problem::Problem;
use super::reply;
use super::request::Asked;

/// Most texts in an answer: more than a person picks from.
const TAGS_MAX: usize = 1_000;
/// So many if nothing is said.
const TAGS_DEFAULT: usize = 100;

/// `GET /api/tags?prefix=TEXT&limit=N`: keys with their colon, and from the colon on whole Tags, sorted.
#[utoipa::path(get, path = "/api/tags", operation_id = "findTags",
    params(
        ("prefix" = Option<String>, Query, description = "How they begin: some of a key, or a key, a colon, and some of a value"),
        ("limit" = Option<u32>, Query, description = "At most so many, from 1 to 1000; 100 if absent"),
    ),
    responses((status = 200, body = Vec<String>), Problem))]
pub(super) async fn find(State(api): State<Api>, Asked(query): Asked) -> Result<Response, Problem> {
    as_of::only_now(&query, "what completes a command is offered as it is now")?;
    let prefix = query.scalar("prefix").unwrap_or_default().to_owned();
    let limit = query.scalar("limit").map_or(Ok(TAGS_DEFAULT), limit)?;
    let found = api.ask(move |store| (store.position(), store.tags_beginning(&prefix, limit)));
    let (position, tags) = found.await?;
    Ok(reply::at(position, reply::json(&tags)))
}

fn limit(text: &str) -> Result<usize, Problem> {
    match text.parse() {
        Ok(limit @ 1..=TAGS_MAX) => Ok(limit),
        _ => {
            Err(Problem::bad_request(format!("`limit` should be from 1 to {TAGS_MAX}"))
                .because(format!("got `{text}`")))
        }
    }
}
