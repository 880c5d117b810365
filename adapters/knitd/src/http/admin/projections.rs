//! The projections: how they are, and saving them.

use axum::extract::State;
use axum::response::Response;
use knit_domain::event::Position;
use knit_projections::projection::Projection;
use knit_schemas::api::{ProjectionState, SavedSnapshot};

use super::Admin;
use crate::http::problem::Problem;
use crate::http::reply;
use crate::http::request::Asked;
use crate::snapshots;
use crate::views::View;

/// `GET /admin/projections`: how every projection is; with `digest`, what its content comes to.
pub(super) async fn show(State(admin): State<Admin>, Asked(query): Asked) -> Result<Response, Problem> {
    let app = admin.app;
    let head = app.log().head().await.map_err(Problem::of_log)?.position;
    // What was appended a moment ago is not what is asked for.
    app.shown(head).await;
    let with_digest = query.has("digest");
    let views = app.shared_views();
    let standstill = app.views().stand_still().await;
    let looked = tokio::task::spawn_blocking(move || {
        [
            state(&views.store, head, with_digest),
            state(&views.matcher, head, with_digest),
            state(&views.worklists, head, with_digest),
        ]
    });
    let mut states = looked.await.map_err(|_| Problem::bug())?;
    drop(standstill);
    for state in &mut states {
        let newest = app.log().newest_snapshot_position(&state.name, state.revision).await;
        state.snapshot = newest.map_err(Problem::of_log)?;
    }
    Ok(reply::json(&states))
}

fn state<P: Projection>(view: &View<P>, head: Position, with_digest: bool) -> ProjectionState {
    let (reached, previous, projection) = (view.reached(), view.kept_position(), view.read());
    let position = projection.position();
    let state = match &reached.stopped {
        Some(_) => "stopped",
        None if position < head => "behind",
        None => "live",
    };
    ProjectionState {
        name: P::NAME.to_owned(),
        state: state.to_owned(),
        position,
        lag: head.saturating_sub(position),
        revision: P::REVISION,
        memory_bytes: projection.heap_bytes() as u64,
        snapshot: None,
        previous,
        skipped: view.skipped() as u64,
        why: reached.stopped,
        digest: with_digest.then(|| hex::encode(projection.digest())),
    }
}

/// `POST /admin/snapshots`: saves every projection now.
pub(super) async fn save(State(admin): State<Admin>) -> Result<Response, Problem> {
    let saved = snapshots::save_all(admin.app.log(), &admin.app.shared_views()).await;
    let saved = saved.map_err(|why| Problem::unavailable(format!("{why:#}")))?;
    let told =
        saved.map(|saved| SavedSnapshot { name: saved.name.to_owned(), position: saved.position, bytes: saved.bytes });
    Ok(reply::json(&told))
}
