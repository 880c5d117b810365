//! `GET /api/data/{id}/lineage` and `GET /api/runs/{id}/lineage` (ours): where something comes from and what was
//! made of it, in one answer or in parts.

use axum::extract::State;
use axum::response::Response;
use knit_domain::event::{Entity, Position};
use knit_domain::id::{KnitId, RunId};
use knit_projections::projection::Projection as _;
use knit_projections::store::{At, Continuation, LineageJson, Show, Start, Store, Walk};
use knit_schemas::api;

use super::front::Api;
use super::openapi::LineageAnswer;
use super::problem::Problem;
use super::query::Query;
use super::request::{Asked, Named};
use super::{as_of, drawing, past, reply, runs};

/// Layers of Runs on each side when nothing is said, as `knit data lineage` has it.
const DEPTH_DEFAULT: u32 = 3;

/// Most nodes that one answer may be asked for; without a limit there are all.
const NODES_MAX: usize = 10_000_000;

/// `GET /api/data/{id}/lineage?direction=up|down|both&depth=N|all`.
///
/// Filters select what is shown, not where the walk goes; Data that are not shown stay in the lists of their Runs.
#[utoipa::path(get, path = "/api/data/{id}/lineage", operation_id = "showLineage",
    params(
        ("id" = String, Path, description = "Id of a Data"),
        ("direction" = Option<String>, Query, description = "up, down or both; both if absent"),
        ("depth" = Option<String>, Query, description = "Layers of Runs on each side, or `all`; 3 if absent"),
        ("tag" = Option<Vec<api::Tag>>, Query, description = "KEY:VALUE; show only Data that have all of them"),
        ("plan" = Option<String>, Query, description = "Ids of Plans, joined by commas: show only their Runs"),
        ("status" = Option<String>, Query, description = "Statuses, joined by commas: show only such Runs"),
        ("limit" = Option<u64>, Query, description = "Data and Runs in this answer; it says then what to ask `after` for the rest"),
        ("after" = Option<String>, Query, description = "What an answer said is `next`; the other parameters must be the same"),
        ("as-of" = Option<String>, Query, description = "The time that is asked about: a position of the log, RFC 3339, or like `2h ago`; now if absent"),
        ("format" = Option<String>, Query, description = "json, or drawn as dot, mermaid, svg, openlineage, prov or ro-crate; json if absent"),
    ),
    responses(LineageAnswer, Problem))]
pub(super) async fn around(State(api): State<Api>, named: Named, Asked(query): Asked) -> Result<Response, Problem> {
    let id: KnitId = named.id("Data")?;
    answer(api, Entity::Data(id), id.into(), &query).await
}

/// `GET /api/runs/{id}/lineage`: the same from a Run, which is shown with all it takes and makes.
#[utoipa::path(get, path = "/api/runs/{id}/lineage", operation_id = "showRunLineage",
    params(
        ("id" = String, Path, description = "Id of a Run"),
        ("direction" = Option<String>, Query, description = "up, down or both; both if absent"),
        ("depth" = Option<String>, Query, description = "Layers of further Runs on each side, or `all`; 3 if absent"),
        ("tag" = Option<Vec<api::Tag>>, Query, description = "KEY:VALUE; show only Data that have all of them"),
        ("plan" = Option<String>, Query, description = "Ids of Plans, joined by commas: show only their Runs"),
        ("status" = Option<String>, Query, description = "Statuses, joined by commas: show only such Runs"),
        ("limit" = Option<u64>, Query, description = "Data and Runs in this answer; it says then what to ask `after` for the rest"),
        ("after" = Option<String>, Query, description = "What an answer said is `next`; the other parameters must be the same"),
        ("as-of" = Option<String>, Query, description = "The time that is asked about: a position of the log, RFC 3339, or like `2h ago`; now if absent"),
        ("format" = Option<String>, Query, description = "json, or drawn as dot, mermaid, svg, openlineage, prov or ro-crate; json if absent"),
    ),
    responses(LineageAnswer, Problem))]
pub(super) async fn around_run(State(api): State<Api>, named: Named, Asked(query): Asked) -> Result<Response, Problem> {
    let id: RunId = named.id("Run")?;
    answer(api, Entity::Run(id), id.into(), &query).await
}

/// `GET /api/data/{id}/path?to=ID`: how one Data and another hang together.
#[utoipa::path(get, path = "/api/data/{id}/path", operation_id = "showPath",
    params(
        ("id" = String, Path, description = "Id of a Data"),
        ("to" = String, Query, description = "Id of another Data, an origin of the first or made of it"),
        ("as-of" = Option<String>, Query, description = "The time that is asked about: a position of the log, RFC 3339, or like `2h ago`; now if absent"),
        ("format" = Option<String>, Query, description = "json, or drawn as dot, mermaid, svg, openlineage, prov or ro-crate; json if absent"),
    ),
    responses(LineageAnswer, Problem))]
pub(super) async fn path(State(api): State<Api>, named: Named, Asked(query): Asked) -> Result<Response, Problem> {
    let from: KnitId = named.id("Data")?;
    let to = query.scalar("to").ok_or_else(|| Problem::bad_request("`to` should be the id of another Data"))?;
    let to: KnitId = to.parse().map_err(|_| Problem::not_found("Data", to))?;
    let at = as_of::at(&api, &query).await?;
    past::existed(&api, Entity::Data(from), at).await?;
    past::existed(&api, Entity::Data(to), at).await?;
    let question = move |store: &Store, at| {
        let none = || Problem::absent(format!("neither of Data `{from}` and Data `{to}` was made of the other"));
        store.path(from, to, at).ok_or_else(none)
    };
    if let Some(drawing) = drawing::wanted(&query)? {
        return drawing::whole(&api, drawing, at, question).await;
    }
    let asked = api.ask(move |store| {
        let position = at.position(store.position());
        question(store, At::Position(position)).map(|graph| reply::at(position, reply::json(&graph)))
    });
    asked.await?
}

async fn answer(api: Api, of: Entity, start: Start, query: &Query) -> Result<Response, Problem> {
    let walk = walk_of(query)?;
    let show = show_of(query)?;
    let after = after_of(query)?;
    let drawing = drawing::wanted(query)?;
    if drawing.is_some() && (show.nodes_max.is_some() || after.is_some()) {
        return Err(Problem::bad_request(IN_PARTS));
    }
    let at = match after {
        // What was shown is left out of the same answer only.
        Some(Continuation { position, .. }) => same_time(&api, query, position).await?,
        None => as_of::at(&api, query).await?,
    };
    let behind = after.map_or(0, |after| after.behind);
    let show = Show { behind, is_dated: at != At::Now || show.nodes_max.is_some(), ..show };
    past::existed(&api, of, at).await?;
    if let Some(drawing) = drawing {
        return drawing::of_walk(api, drawing, at, (start, walk, show)).await;
    }
    let question = move |store: &Store, at| {
        let shown = store.shown_json(start, &walk, &show, at);
        let shown = shown.ok_or_else(|| Problem::not_found("such thing", &start.to_string()))?;
        // An answer that says it goes on has something behind it.
        let is_beyond = behind > 0 && shown.is_empty();
        if is_beyond { Err(no_answer_said(&format!("{behind} Data and Runs are not before it"))) } else { Ok(shown) }
    };
    api.ask_for_json(at, question, LineageJson::write).await
}

/// The time of the answers before: what was shown is left out of the same answer only.
///
/// # Errors
/// 400 where the query asks about another one. How long ago something was has another meaning with every question, so
/// that is held against nothing.
async fn same_time(api: &Api, query: &Query, position: Position) -> Result<At, Problem> {
    let is_relative = query.scalar("as-of").is_some_and(|text| text.trim_end().ends_with("ago"));
    let asked = as_of::at(api, query).await?;
    match asked {
        At::Position(other) if other != position && !is_relative => {
            Err(Problem::bad_request("ask `after` with the same `as-of` as before, or without one")
                .because(format!("`after` is about position {position}, and `as-of` about {other}")))
        }
        At::Now | At::Position(_) => as_of::at_position(api, position).await,
    }
}

/// Why a drawing is not drawn in parts.
const IN_PARTS: &str = "a drawing is drawn whole, since nothing in it could say that more is to come: leave out `limit` \
                        and `after`, or ask for json; `depth`, `direction` and filters make it smaller";

fn no_answer_said(got: &str) -> Problem {
    Problem::bad_request("`after` should be what an answer said is `next`").because(got)
}

fn show_of(query: &Query) -> Result<Show, Problem> {
    let nodes_max = match query.scalar("limit").map(|text| (text, text.parse())) {
        None => None,
        Some((_, Ok(nodes_max))) if (1..=NODES_MAX).contains(&nodes_max) => Some(nodes_max),
        Some((text, _)) => {
            let problem = Problem::bad_request(format!("`limit` should be a number from 1 to {NODES_MAX}"));
            return Err(problem.because(format!("got `{text}`")));
        }
    };
    let plans = runs::ids(query, "plan");
    Ok(Show { tags: query.tags("tag")?, plans, statuses: runs::statuses(query)?, nodes_max, ..Show::default() })
}

fn after_of(query: &Query) -> Result<Option<Continuation>, Problem> {
    let Some(text) = query.scalar("after") else { return Ok(None) };
    text.parse().map(Some).map_err(|()| no_answer_said(&format!("got `{text}`")))
}

/// Which way and how far to go.
///
/// # Errors
/// 400 for a direction or a depth that is none.
pub(super) fn walk_of(query: &Query) -> Result<Walk, Problem> {
    let (upstream, downstream) = match query.scalar("direction") {
        None | Some("both") => (true, true),
        Some("up") => (true, false),
        Some("down") => (false, true),
        Some(other) => {
            return Err(
                Problem::bad_request("`direction` should be up, down or both").because(format!("got `{other}`"))
            );
        }
    };
    let depth = match query.scalar("depth") {
        None => Some(DEPTH_DEFAULT),
        Some("all") => None,
        Some(text) => match text.parse() {
            Ok(depth) if depth > 0 => Some(depth),
            Ok(_) | Err(_) => {
                let problem = Problem::bad_request("`depth` should be a number above 0, or `all`");
                return Err(problem.because(format!("got `{text}`")));
            }
        },
    };
    Ok(Walk { upstream, downstream, depth })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(query: &str) -> Result<Walk, Problem> {
        walk_of(&Query::parse(Some(query)))
    }

    #[test]
    fn lin_01_without_a_direction_both_are_walked() {
        assert_eq!(walk(""), Ok(Walk { upstream: true, downstream: true, depth: Some(DEPTH_DEFAULT) }));
        assert_eq!(walk("direction=down&depth=all"), Ok(Walk { upstream: false, downstream: true, depth: None }));
        assert_eq!(walk("direction=up&depth=1"), Ok(Walk { upstream: true, downstream: false, depth: Some(1) }));
    }

    #[test]
    fn lin_02_a_depth_of_zero_or_less_is_refused() {
        for bad in ["depth=0", "depth=-1", "depth=x", "direction=sideways"] {
            assert_eq!(walk(bad).unwrap_err().status(), ::http::StatusCode::BAD_REQUEST, "{bad}");
        }
    }
}
