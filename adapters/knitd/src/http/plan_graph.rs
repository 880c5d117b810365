//! `GET /api/plans/{id}/graph` (ours): which Plans feed which, in one answer.

use ::http::StatusCode;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use knit_domain::event::Entity;
use knit_domain::id::PlanId;
use knit_projections::projection::Projection as _;
use knit_projections::store::At;
use knit_schemas::api;
use knit_schemas::plan_graph::{PlanDrawing, PlanIndex};

use super::front::Api;
use super::openapi::PlanGraphAnswer;
use super::problem::Problem;
use super::query::Query;
use super::request::{Asked, Named};
use super::{as_of, lineage, past, reply};

/// `GET /api/plans/{id}/graph?direction=up|down|both&depth=N|all`.
#[utoipa::path(get, path = "/api/plans/{id}/graph", operation_id = "showPlanGraph",
    params(
        ("id" = String, Path, description = "Id of a Plan"),
        ("direction" = Option<String>, Query, description = "up, down or both; both if absent"),
        ("depth" = Option<String>, Query, description = "Plans in a row on each side, or `all`; 3 if absent"),
        ("as-of" = Option<String>, Query, description = "The time that is asked about: a position of the log, RFC 3339, or like `2h ago`; now if absent"),
        ("format" = Option<String>, Query, description = "json, or drawn as dot, mermaid or svg; json if absent"),
    ),
    responses(PlanGraphAnswer, Problem))]
pub(super) async fn show(State(api): State<Api>, named: Named, Asked(query): Asked) -> Result<Response, Problem> {
    let id: PlanId = named.id("Plan")?;
    let walk = lineage::walk_of(&query)?;
    let drawing = drawing_of(&query)?;
    let at = as_of::at(&api, &query).await?;
    past::existed(&api, Entity::Plan(id), at).await?;
    let asked = api.ask(move |store| {
        let position = at.position(store.position());
        let graph = store.plan_graph(id, &walk, At::Position(position))?;
        Some((position, api::PlanGraph { as_of: (at != At::Now).then_some(position), ..graph }))
    });
    let (position, graph) = asked.await?.ok_or_else(|| Problem::not_found("Plan", &id.to_string()))?;
    let answer = match drawing {
        None => reply::json(&graph),
        Some(drawing) => drawn(drawing, &graph)?,
    };
    Ok(reply::at(position, answer))
}

fn drawing_of(query: &Query) -> Result<Option<PlanDrawing>, Problem> {
    match query.scalar("format") {
        None | Some("json") => Ok(None),
        Some(name) => PlanDrawing::named(name).map(Some).ok_or_else(|| {
            let names = PlanDrawing::ALL.map(PlanDrawing::name).join(", ");
            Problem::bad_request(format!("`format` should be json, {names}")).because(format!("got `{name}`"))
        }),
    }
}

fn drawn(drawing: PlanDrawing, graph: &api::PlanGraph) -> Result<Response, Problem> {
    let mut picture = Vec::new();
    drawing.draw(&PlanIndex::new(graph), &mut picture).map_err(|_| Problem::bug())?;
    Ok(reply::with_type(StatusCode::OK, drawing.content_type(), Body::from(picture)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_drawings_of_plans_can_be_asked_for() {
        let asked = |text: &str| drawing_of(&Query::parse(Some(text)));
        assert_eq!((asked(""), asked("format=json")), (Ok(None), Ok(None)));
        for drawing in PlanDrawing::ALL {
            assert_eq!(asked(&format!("format={}", drawing.name())), Ok(Some(drawing)));
        }
        for bad in ["format=openlineage", "format=prov", "format=gif"] {
            assert_eq!(asked(bad).unwrap_err().status(), StatusCode::BAD_REQUEST, "{bad}");
        }
    }
}
