//! `GET /api/data/{id}/lineage` (ours): where a Data comes from and what was made of it, in one answer.

use axum::extract::State;
use axum::response::Response;
use knit_domain::id::KnitId;
use knit_projections::store::{LineageJson, Store, Walk};
use knit_schemas::api;

use super::front::Api;
use super::problem::Problem;
use super::query::Query;
use super::request::{Asked, Named};

/// Layers of Runs on each side when nothing is said, as `knit data lineage` has it.
const DEPTH_DEFAULT: u32 = 3;

/// `GET /api/data/{id}/lineage?direction=up|down|both&depth=N|all`.
#[utoipa::path(get, path = "/api/data/{id}/lineage", operation_id = "showLineage",
    params(
        ("id" = String, Path, description = "Id of a Data"),
        ("direction" = Option<String>, Query, description = "up, down or both; both if absent"),
        ("depth" = Option<String>, Query, description = "Layers of Runs on each side, or `all`; 3 if absent"),
    ),
    responses((status = 200, body = api::LineageGraph), Problem))]
pub(super) async fn around(State(api): State<Api>, named: Named, Asked(query): Asked) -> Result<Response, Problem> {
    let id: KnitId = named.id("Data")?;
    let walk = walk_of(&query)?;
    let question = move |store: &Store, at| {
        store.lineage_json(id, &walk, at).ok_or_else(|| Problem::not_found("Data", &id.to_string()))
    };
    api.ask_for_json(question, LineageJson::write).await
}

fn walk_of(query: &Query) -> Result<Walk, Problem> {
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
