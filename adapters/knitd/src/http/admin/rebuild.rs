//! Rebuilding projections, and switching back.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use ::http::StatusCode;
use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use knit_schemas::api::{RebuildOrder, RebuildStep};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::{Admin, Peer, named, steps};
use crate::http::problem::Problem;
use crate::rebuild::{self, Listener, STEPS_WAITING_MAX};
use crate::views::Name;

/// The rebuilds that are under way: one of each projection at most, since each holds another copy of it.
#[derive(Debug, Clone, Default)]
pub(super) struct Rebuilds(Arc<Mutex<HashMap<Name, Begun>>>);

/// Who has begun something with a projection, and when.
#[derive(Debug)]
struct Begun {
    /// What is done, for whoever wants to begin something else.
    doing: &'static str,
    by: String,
    at: Instant,
    cancelled: CancellationToken,
    /// Says how it ended.
    ended: watch::Receiver<Option<RebuildStep>>,
}

impl Rebuilds {
    /// Begins one, unless somebody else has; it is under way until the answer is dropped.
    fn begin(
        &self,
        name: Name,
        doing: &'static str,
        peer: Peer,
        stop: &CancellationToken,
    ) -> Result<UnderWay, Problem> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Begun { doing, by, at, .. }) = all.get(&name) {
            return Err(Problem::conflict(doing)
                .advising(format!("wait for its end, or end it: `knit admin rebuild-projection --cancel {name}`"))
                .because(format!("{by} began {} s ago", at.elapsed().as_secs())));
        }
        let (Peer(by), cancelled, (end, ended)) = (peer, stop.child_token(), watch::channel(None));
        all.insert(name, Begun { doing, by, at: Instant::now(), cancelled: cancelled.clone(), ended });
        Ok(UnderWay { all: self.clone(), name, cancelled, end })
    }

    /// Wants one to end, and answers who will say how it did; none if it is not under way.
    fn cancel(&self, name: Name) -> Option<watch::Receiver<Option<RebuildStep>>> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let begun = all.get(&name)?;
        begun.cancelled.cancel();
        Some(begun.ended.clone())
    }
}

/// A rebuild that is under way.
struct UnderWay {
    all: Rebuilds,
    name: Name,
    cancelled: CancellationToken,
    end: watch::Sender<Option<RebuildStep>>,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.all.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.name);
    }
}

/// `POST /admin/projections/{name}/rebuild`: folds it again beside the live one; tells every step, a line each.
pub(super) async fn begin(
    State(admin): State<Admin>,
    Path(name): Path<String>,
    peer: Peer,
    order: Option<Json<RebuildOrder>>,
) -> Result<Response, Problem> {
    let name = named(&name)?;
    let order = order.map(|Json(order)| order).unwrap_or_default();
    let under_way = admin.rebuilds.begin(name, "it is being rebuilt already", peer, &admin.stop)?;
    let app = admin.app;
    Ok(told(under_way, move |listener| async move {
        match name {
            Name::Store => rebuild::rebuild(&app, |views| &views.store, order, &listener).await,
            Name::Matcher => rebuild::rebuild(&app, |views| &views.matcher, order, &listener).await,
            Name::Worklists => rebuild::rebuild(&app, |views| &views.worklists, order, &listener).await,
        }
    }))
}

/// `DELETE /admin/projections/{name}/rebuild`: ends the rebuild that is under way, and answers when it has ended.
pub(super) async fn cancel(
    State(admin): State<Admin>,
    Path(name): Path<String>,
    Peer(actor): Peer,
) -> Result<Response, Problem> {
    let name = named(&name)?;
    let Some(mut ended) = admin.rebuilds.cancel(name) else {
        return Err(Problem::absent(format!("`{name}` is not being rebuilt")));
    };
    tracing::info!(actor, projection = %name, "told to end a rebuild");
    let end = ended.wait_for(Option::is_some).await.ok().and_then(|end| end.clone());
    if let Some(RebuildStep::Switched { position, .. }) = end {
        return Err(Problem::conflict("it came too late").because(format!("it was switched at position {position}")));
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `POST /admin/projections/{name}/rollback`: switches back to what was kept; tells every step, a line each.
pub(super) async fn roll_back(
    State(admin): State<Admin>,
    Path(name): Path<String>,
    peer: Peer,
) -> Result<Response, Problem> {
    let name = named(&name)?;
    let under_way = admin.rebuilds.begin(name, "it is being switched back already", peer, &admin.stop)?;
    if admin.app.views().kept_position(name).is_none() {
        return Err(Problem::conflict("nothing is kept").advising(format!(
            "a rebuild keeps what it replaces with `--keep-old`, until this server stops: \
             `knit admin rebuild-projection --keep-old {name}`"
        )));
    }
    let app = admin.app;
    Ok(told(under_way, move |listener| async move {
        match name {
            Name::Store => rebuild::roll_back(&app, |views| &views.store, &listener).await,
            Name::Matcher => rebuild::roll_back(&app, |views| &views.matcher, &listener).await,
            Name::Worklists => rebuild::roll_back(&app, |views| &views.worklists, &listener).await,
        }
    }))
}

/// Lets `work` be done, whose steps are the answer, its end the last. It ends early when nobody reads the answer.
fn told<F>(under_way: UnderWay, work: impl FnOnce(Listener) -> F) -> Response
where
    F: Future<Output = RebuildStep> + Send + 'static,
{
    let (steps, heard) = mpsc::channel(STEPS_WAITING_MAX);
    let work = work(Listener { steps: Some(steps.clone()), cancelled: under_way.cancelled.clone() });
    tokio::spawn(async move {
        let end = work.await;
        if let RebuildStep::Failed { why } | RebuildStep::Flawed { why, .. } = &end {
            steps::came_to_nothing(format_args!("rebuilding `{}`", under_way.name), why);
        }
        under_way.end.send_replace(Some(end.clone()));
        // It is over before it is told: whoever hears the end may begin another.
        drop(under_way);
        let _ = steps.send(end).await;
    });
    steps::told(heard)
}
