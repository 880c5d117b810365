//! Rebuilding projections, and switching back.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use ::http::StatusCode;
use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use futures::StreamExt as _;
use knit_schemas::api::{JSON_LINES, RebuildOrder, RebuildStep};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;

use super::{Admin, named};
use crate::http::problem::Problem;
use crate::http::reply;
use crate::rebuild::{self, Listener, STEPS_WAITING_MAX};
use crate::views::Name;

/// The rebuilds that are under way: one of each projection at most, since each holds another copy of it.
#[derive(Debug, Clone, Default)]
pub(super) struct Rebuilds(Arc<Mutex<HashMap<Name, CancellationToken>>>);

impl Rebuilds {
    /// Begins one; it is under way until the answer is dropped.
    fn begin(&self, name: Name, stop: &CancellationToken) -> Result<UnderWay, Problem> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.contains_key(&name) {
            return Err(Problem::conflict("it is being rebuilt already")
                .advising(format!("wait for its end, or end it: `knit admin rebuild-projection --cancel {name}`")));
        }
        let cancelled = stop.child_token();
        all.insert(name, cancelled.clone());
        Ok(UnderWay { all: self.clone(), name, cancelled })
    }

    /// Ends one; answers whether it was under way.
    fn cancel(&self, name: Name) -> bool {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(&name).inspect(|cancelled| cancelled.cancel()).is_some()
    }
}

/// A rebuild that is under way.
struct UnderWay {
    all: Rebuilds,
    name: Name,
    cancelled: CancellationToken,
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
    order: Option<Json<RebuildOrder>>,
) -> Result<Response, Problem> {
    let name = named(&name)?;
    let order = order.map(|Json(order)| order).unwrap_or_default();
    let under_way = admin.rebuilds.begin(name, &admin.stop)?;
    let app = admin.app;
    Ok(told(under_way, move |listener| async move {
        match name {
            Name::Store => rebuild::rebuild(&app, |views| &views.store, order, &listener).await,
            Name::Matcher => rebuild::rebuild(&app, |views| &views.matcher, order, &listener).await,
            Name::Worklists => rebuild::rebuild(&app, |views| &views.worklists, order, &listener).await,
        }
    }))
}

/// `DELETE /admin/projections/{name}/rebuild`: ends the rebuild that is under way.
pub(super) async fn cancel(State(admin): State<Admin>, Path(name): Path<String>) -> Result<Response, Problem> {
    let name = named(&name)?;
    if admin.rebuilds.cancel(name) {
        Ok(StatusCode::NO_CONTENT.into_response())
    } else {
        Err(Problem::absent(format!("`{name}` is not being rebuilt")))
    }
}

/// `POST /admin/projections/{name}/rollback`: switches back to what was kept; tells every step, a line each.
pub(super) async fn roll_back(State(admin): State<Admin>, Path(name): Path<String>) -> Result<Response, Problem> {
    let name = named(&name)?;
    let under_way = admin.rebuilds.begin(name, &admin.stop)?;
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
    let work = work(Listener { steps: steps.clone(), cancelled: under_way.cancelled.clone() });
    tokio::spawn(async move {
        let end = work.await;
        // It is over before it is told: whoever hears the end may begin another.
        drop(under_way);
        let _ = steps.send(end).await;
    });
    let lines = ReceiverStream::new(heard).map(|step| {
        let mut line = serde_json::to_vec(&step).expect("a step is made of texts and numbers");
        line.push(b'\n');
        Ok::<_, Infallible>(line)
    });
    reply::with_type(StatusCode::OK, JSON_LINES, Body::from_stream(lines))
}
