//! `format=` of a lineage: the same graph drawn, by the same functions with which `knit` draws.

use ::http::StatusCode;
use axum::body::Body;
use axum::response::Response;
use knit_projections::projection::Projection as _;
use knit_projections::store::{At, Store};
use knit_schemas::api::LineageGraph;
use knit_schemas::lineage::graph::Graph;
use knit_schemas::lineage::{Drawing, Index};

use super::front::Api;
use super::problem::Problem;
use super::query::Query;
use super::reply;

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

/// Draws the graph that `question` answers. A drawing needs all of it at once, unlike JSON, which is sent while it is
/// written; but while it is drawn, nobody waits for the projections.
///
/// # Errors
/// What `question` answers instead; 500 when drawing panicked.
pub(super) async fn drawn(
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
    fn every_drawing_can_be_asked_for_by_its_name() {
        let asked = |text: &str| wanted(&Query::parse(Some(text)));
        assert_eq!((asked(""), asked("format=json")), (Ok(None), Ok(None)));
        for drawing in Drawing::ALL {
            assert_eq!(asked(&format!("format={}", drawing.name())), Ok(Some(drawing)));
        }
        assert_eq!(asked("format=gif").unwrap_err().status(), StatusCode::BAD_REQUEST);
    }
}
