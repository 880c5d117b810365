//! Folding a history, and telling what it comes to.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use knit_schemas::api::{ReplayStep, SkipAhead};
use knit_schemas::export::AHEAD_BYTES_MAX;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::{Admin, named, steps};
use crate::http::as_of::{self, Asked as Time};
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::http::request::Asked;
use crate::rebuild::STEPS_WAITING_MAX;
use crate::replay::{self, Until};

/// The parameter that says up to where.
const UNTIL: &str = "until";

/// `POST /admin/replay`: folds the log of this server, up to `until`; tells every step, a line each.
pub(super) async fn of_the_log(State(admin): State<Admin>, Asked(query): Asked) -> Result<Response, Problem> {
    let place = place(&admin)?;
    if let Some(flawed) = replay::flaw_at_the_end(&admin.app).await {
        return Ok(only(flawed).await);
    }
    let until = match until(&query)? {
        Until::End => admin.app.log().head().await.map_err(Problem::of_log)?.position,
        Until::Position(position) => as_of::reached(&admin.app, position).await?,
        Until::Time(time) => as_of::settled(&admin.app, UNTIL, time).await?,
    };
    let (telling, heard) = mpsc::channel(STEPS_WAITING_MAX);
    tokio::spawn(async move {
        let end = tokio::select! {
            end = replay::of_the_log(&admin.app, until, &telling) => end,
            () = admin.stop.cancelled() => ReplayStep::Failed { why: "the server stops".to_owned() },
        };
        tell(&end);
        // It is over before it is told: whoever hears the end may begin another.
        drop(place);
        let _ = telling.send(end).await;
    });
    Ok(steps::told(heard))
}

/// `POST /admin/replay/sent`: folds the export that is sent, up to `until`; tells the end. With `ahead`, so many bytes in
/// front of it tell its redactions.
pub(super) async fn of_what_is_sent(
    State(admin): State<Admin>,
    Asked(query): Asked,
    body: Body,
) -> Result<Response, Problem> {
    let place = place(&admin)?;
    let (until, skips, ahead) = (until(&query)?, skips(&query)?, ahead(&query)?);
    let end = tokio::select! {
        end = replay::of_what_is_sent(body, until, &skips, ahead) => end,
        () = admin.stop.cancelled() => ReplayStep::Failed { why: "the server stops".to_owned() },
    };
    tell(&end);
    drop(place);
    Ok(only(end).await)
}

/// An answer that is nothing but the end.
async fn only(end: ReplayStep) -> Response {
    let (telling, heard) = mpsc::channel(1);
    let _ = telling.send(end).await;
    steps::told(heard)
}

fn tell(end: &ReplayStep) {
    if let ReplayStep::Failed { why } | ReplayStep::Flawed { why, .. } = end {
        steps::came_to_nothing("a replay", why);
    }
}

fn place(admin: &Admin) -> Result<OwnedSemaphorePermit, Problem> {
    let place = Arc::clone(&admin.replaying).try_acquire_owned();
    place.map_err(|_| Problem::conflict("a replay is under way already").advising("wait for its end"))
}

fn until(query: &Query) -> Result<Until, Problem> {
    let Some(text) = query.scalar(UNTIL) else { return Ok(Until::End) };
    Ok(match Time::parse(UNTIL, text, as_of::now())? {
        Time::Position(position) => Until::Position(position),
        Time::Time(time) => Until::Time(time),
    })
}

/// How many bytes in front of the history tell its redactions; none if they are not told.
fn ahead(query: &Query) -> Result<Option<usize>, Problem> {
    let Some(text) = query.scalar("ahead") else { return Ok(None) };
    let most = format!("`ahead` should be a number of bytes, {AHEAD_BYTES_MAX} at most");
    let bytes = text.parse().ok().filter(|bytes| *bytes <= AHEAD_BYTES_MAX);
    bytes.map(Some).ok_or_else(|| Problem::bad_request(most).because(format!("got `{text}`")))
}

/// What projections pass over, each as `PROJECTION:POSITION`.
fn skips(query: &Query) -> Result<Vec<SkipAhead>, Problem> {
    let skip = |text: &str| {
        let malformed = || Problem::bad_request("`skip` should be like `store:17`").because(format!("got `{text}`"));
        let (projection, position) = text.split_once(':').ok_or_else(malformed)?;
        let projection = named(projection)?.as_str().to_owned();
        Ok(SkipAhead { projection, position: position.parse().map_err(|_| malformed())? })
    };
    query.each("skip").map(skip).collect()
}
