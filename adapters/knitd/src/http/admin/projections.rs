//! The projections: how they are, and saving them.

use axum::extract::State;
use axum::response::Response;
use knit_domain::event::Position;
use knit_projections::projection::Projection;
use knit_schemas::api::{ProjectionState, SavedSnapshot};
use knit_schemas::instant::Instant;

use super::Admin;
use crate::app::App;
use crate::background::background;
use crate::http::problem::Problem;
use crate::http::reply;
use crate::http::request::Asked;
use crate::snapshots;
use crate::views::{Look, ViewOf, image};

/// Snapshots that are counted: more than are kept.
const SNAPSHOTS_TOLD_MAX: usize = 2 * snapshots::KEPT;

/// `GET /admin/projections`: how every projection is; with `digest`, what its content comes to.
pub(super) async fn show(State(admin): State<Admin>, Asked(query): Asked) -> Result<Response, Problem> {
    let app = admin.app;
    let head = match app.head().await {
        Ok(head) => head.position,
        // How the projections are is to be seen also then.
        Err(fault) if fault.is_damage() => app.log().position(),
        Err(fault) => return Err(Problem::of_log(fault)),
    };
    // What was appended a moment ago is not what is asked for.
    app.shown(head).await;
    let with_digest = query.has("digest");
    let states = [
        state(&app, |views| &views.store, head, with_digest).await?,
        state(&app, |views| &views.matcher, head, with_digest).await?,
        state(&app, |views| &views.worklists, head, with_digest).await?,
    ];
    Ok(reply::json(&states))
}

async fn state<P>(app: &App, view: ViewOf<P>, head: Position, with_digest: bool) -> Result<ProjectionState, Problem>
where
    P: Projection + Send + Sync + 'static,
{
    let views = app.views();
    let Look { reached, seen: copy, .. } = image(views, view).await;
    // Both walk through everything, for which nobody is to wait.
    let walk = move || (copy.heap_bytes(), with_digest.then(|| hex::encode(copy.digest())));
    let (memory_bytes, digest) = background().spawn_blocking(walk).await.map_err(|_| Problem::bug())?;
    let (previous, position) = (view(views).kept_position(), reached.position);
    let kept = app.log().kept_snapshots(P::NAME, P::REVISION, SNAPSHOTS_TOLD_MAX).await.map_err(Problem::of_log)?;
    let newest = kept.first();
    let damage = app.views().damage().filter(|_| position < head || !views.followed().caught_up);
    let state = match (&reached.stopped, &damage) {
        (Some(_), _) => "stopped",
        (None, Some(_)) => "damaged",
        (None, None) if position < head => "behind",
        (None, None) => "live",
    };
    Ok(ProjectionState {
        name: P::NAME.to_owned(),
        state: state.to_owned(),
        position,
        lag: head.saturating_sub(position),
        revision: P::REVISION,
        memory_bytes: memory_bytes as u64,
        snapshot: newest.map(|newest| newest.position),
        snapshot_bytes: newest.map(|newest| newest.bytes),
        snapshot_saved_at: newest.and_then(|newest| Instant::from_unix_ms(newest.saved_at?.0)),
        snapshots_kept: kept.len() as u64,
        previous,
        skipped: view(views).skipped() as u64,
        why: reached.stopped.or_else(|| damage.map(|damage| damage.why.clone())),
        digest,
    })
}

/// `POST /admin/snapshots`: saves every projection now.
pub(super) async fn save(State(admin): State<Admin>) -> Result<Response, Problem> {
    let saved = snapshots::save_all(admin.app.log(), &admin.app.shared_views()).await;
    let saved = saved.map_err(|why| Problem::unavailable(format!("{why:#}")))?;
    let told =
        saved.map(|saved| SavedSnapshot { name: saved.name.to_owned(), position: saved.position, bytes: saved.bytes });
    Ok(reply::json(&told))
}
