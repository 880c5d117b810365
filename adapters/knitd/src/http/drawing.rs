//! `format=` of a lineage: the same graph drawn, by the same functions with which `knit` draws.
//!
//! DOT is written node by node while it is sent, as JSON is. The other drawings need the whole graph at once: a picture
//! has to know all boxes before it can place the first, and a flowchart numbers them. So they are bounded.

use ::http::StatusCode;
use axum::body::Body;
use axum::response::Response;
use knit_projections::projection::Projection as _;
use knit_projections::store::{At, LineageDot, Show, Start, Store, Walk};
use knit_schemas::api::LineageGraph;
use knit_schemas::lineage::graph::Graph;
use knit_schemas::lineage::{Drawing, Index};

use super::front::Api;
use super::problem::Problem;
use super::query::Query;
use super::reply;

/// Data and Runs of a drawing that needs all of them at once. Each takes up to five kilobytes while it is drawn (as
/// PROV, measured with Runs of ten mounts), so the largest takes a quarter of a gigabyte; and no program shows a picture
/// of as many.
const NODES_MAX: usize = 50_000;

/// The drawing that is asked for; `None` for JSON.
///
/// # Errors
/// 400 for a name that no drawing has.
pub(super) fn wanted(query: &Query) -> Result<Option<Drawing>, Problem> {
    match query.scalar("format") {
        None | Some("json") => Ok(None),
        Some(name) => Drawing::named(name).map(Some).ok_or_else(|| {
            let names = Drawing::ALL.map(Drawing::name).join(", ");
            Problem::bad_request(format!("`format` should be json, {names}")).because(format!("got `{name}`"))
        }),
    }
}

/// Draws what is to be shown of a walk.
///
/// # Errors
/// 404 when there is no such start; 400 when the drawing would be too large; 500 when drawing panicked.
pub(super) async fn of_walk(
    api: Api,
    drawing: Drawing,
    at: At,
    (start, walk, show): (Start, Walk, Show),
) -> Result<Response, Problem> {
    let none = move || Problem::not_found("such thing", &start.to_string());
    if drawing == Drawing::Dot {
        let question = move |store: &Store, at| store.shown_dot(start, &walk, &show, at).ok_or_else(none);
        return api.ask_for_text(drawing.content_type(), at, question, LineageDot::write).await;
    }
    let question = move |store: &Store, at| {
        let graph = store.small_graph(start, &walk, &show, at, NODES_MAX).ok_or_else(none)?;
        graph.map_err(|nodes| too_large(drawing, nodes))
    };
    whole(&api, drawing, at, question).await
}

fn too_large(drawing: Drawing, nodes: usize) -> Problem {
    let name = drawing.name();
    Problem::bad_request(format!(
        "at most {NODES_MAX} Data and Runs are drawn as {name}: ask for fewer with `depth`, `direction` or a filter, or \
         for json or dot, which have no limit"
    ))
    .because(format!("there are {nodes}"))
}

/// Draws the graph that `question` answers, all of it at once; but while it is drawn, nobody waits for the projections.
///
/// # Errors
/// What `question` answers instead; 500 when drawing panicked.
pub(super) async fn whole(
    api: &Api,
    drawing: Drawing,
    at: At,
    question: impl FnOnce(&Store, At) -> Result<LineageGraph, Problem> + Send + 'static,
) -> Result<Response, Problem> {
    let asked = api.ask(move |store| {
        let position = at.position(store.position());
        question(store, At::Position(position)).map(|graph| (position, graph))
    });
    let (position, graph) = asked.await??;
    let drawing_up = tokio::task::spawn_blocking(move || {
        let mut picture = Vec::new();
        // Whoever asks may be anywhere, so times are in UTC, as everywhere on the wire.
        let drawn = drawing.draw(&Index::new(&Graph::from(&graph)), |instant| *instant, &mut picture);
        drawn.map(|()| picture)
    });
    let picture = drawing_up.await.map_err(|_| Problem::bug())?.map_err(|_| Problem::bug())?;
    Ok(reply::at(position, reply::with_type(StatusCode::OK, drawing.content_type(), Body::from(picture))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_large_says_what_to_do() {
        let problem = too_large(Drawing::Svg, NODES_MAX + 1);
        assert_eq!(problem.status(), StatusCode::BAD_REQUEST);
        assert!(problem.message().contains("50001") && problem.message().contains("`depth`"), "{}", problem.message());
    }

    #[test]
    fn every_drawing_can_be_asked_for_by_its_name() {
        let asked = |text: &str| wanted(&Query::parse(Some(text)));
        assert_eq!((asked(""), asked("format=json")), (Ok(None), Ok(None)));
        for drawing in Drawing::ALL {
            assert_eq!(asked(&format!("format={}", drawing.name())), Ok(Some(drawing)));
        }
        assert_eq!(asked("format=gif").unwrap_err().status(), StatusCode::BAD_REQUEST);
    }
}
