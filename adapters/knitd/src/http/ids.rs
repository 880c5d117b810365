//! `GET /api/ids` (ours): ids by how they begin, for people who type the first digits and shells that complete them.

use axum::extract::State;
use axum::response::Response;
use knit_projections::projection::Projection as _;
use knit_projections::store::{IdKind, IdPrefix};

use super::front::Api;
use super::problem::Problem;
use super::query::Query;
use super::request::Asked;
use super::{as_of, reply};

/// Ids in an answer if nothing is said: more than a person picks from, and enough to see that a beginning is not unique.
const IDS_DEFAULT: usize = 100;
/// Most ids in an answer: four megabytes, for whoever wants to know in which order all Plans were registered.
const IDS_MAX: usize = 100_000;

/// `GET /api/ids?of=data|plan|run&prefix=HEX&limit=N`: the newest first, a hundred if no limit is said.
#[utoipa::path(get, path = "/api/ids", operation_id = "findIds",
    params(
        ("of" = String, Query, description = "data, plan or run"),
        ("prefix" = Option<String>, Query, description = "How they begin: hex digits, with dashes or without"),
        ("limit" = Option<u32>, Query, description = "At most so many, from 1 to 100000; 100 if absent"),
        ("ever" = Option<String>, Query, description = "Whatever its value: where nothing that is there begins so, ids of what is gone or came later"),
        ("as-of" = Option<String>, Query, description = "The time that is asked about: a position of the log, RFC 3339, or like `2h ago`; now if absent"),
    ),
    responses((status = 200, body = Vec<String>), Problem))]
pub(super) async fn find(State(api): State<Api>, Asked(query): Asked) -> Result<Response, Problem> {
    let kind = kind_of(&query)?;
    let prefix = query.scalar("prefix").unwrap_or_default();
    let prefix = IdPrefix::parse(prefix).ok_or_else(|| {
        Problem::bad_request("`prefix` should be the first hex digits of an id").because(format!("got `{prefix}`"))
    })?;
    let at = as_of::at(&api, &query).await?;
    let ever = query.has("ever");
    let count_max = query.scalar("limit").map_or(Ok(IDS_DEFAULT), limit)?;
    let found = api.ask(move |store| {
        let mut ids = store.ids_beginning(kind, prefix, at, count_max);
        if ids.is_empty() && ever {
            ids = store.ids_ever_beginning(kind, prefix, count_max);
        }
        (at.position(store.position()), ids)
    });
    let (position, ids) = found.await?;
    Ok(reply::at(position, reply::json(&ids)))
}

fn limit(text: &str) -> Result<usize, Problem> {
    match text.parse() {
        Ok(limit @ 1..=IDS_MAX) => Ok(limit),
        Ok(_) | Err(_) => {
            Err(Problem::bad_request(format!("`limit` should be from 1 to {IDS_MAX}")).because(format!("got `{text}`")))
        }
    }
}

fn kind_of(query: &Query) -> Result<IdKind, Problem> {
    match query.scalar("of") {
        Some("data") => Ok(IdKind::Data),
        Some("plan") => Ok(IdKind::Plan),
        Some("run") => Ok(IdKind::Run),
        other => {
            let got = other.unwrap_or("nothing");
            Err(Problem::bad_request("`of` should be data, plan or run").because(format!("got `{got}`")))
        }
    }
}
