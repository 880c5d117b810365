//! Logs of Runs: stored ones, live ones, and what is kept of earlier attempts (web-api 2.4.8).

use ::http::StatusCode;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use futures::{StreamExt as _, future, stream};
use knit_domain::event::data::DataEvent;
use knit_domain::event::run::OutputData;
use knit_domain::event::{Event, Recorded, StreamId};
use knit_domain::id::{RunId, WorkerName};
use knit_domain::run::{RunRecord, Status};
use knit_runtime::port::{Fault, LogStream, ReadError};
use knit_schemas::api::OCTET_STREAM;

use super::front::Api;
use super::openapi::RawBytes;
use super::problem::Problem;
use super::request::{Asked, Named, NamedAttempt};
use super::{as_of, past, reply};
use crate::command::{Cause, with_causes};
use crate::streams;

/// Why a log is not shown as it was.
const GROWS_ONLY: &str = "a log grows and never changes, and when each line came is not kept";

/// `GET /api/runs/{id}/log`, with `?follow`.
#[utoipa::path(get, path = "/api/runs/{id}/log", operation_id = "showLog",
    params(
        ("id" = String, Path, description = "Id of a Run"),
        ("follow" = Option<String>, Query, description = "Whatever its value: go on until the Worker ends"),
    ),
    responses((status = 200, body = inline(RawBytes), content_type = "application/octet-stream"), Problem))]
pub(super) async fn log(
    State(api): State<Api>,
    named: Named,
    cause: Cause,
    Asked(query): Asked,
) -> Result<Response, Problem> {
    as_of::only_now(&query, GROWS_ONLY)?;
    api.transfers.offered()?;
    let run = existing(&api, named.id("Run")?).await?;
    let log = run.log().ok_or_else(|| Problem::absent("the Plan of this Run keeps no log"))?;
    match run.status {
        Status::Deactivated | Status::Waiting | Status::Ready => {
            Err(Problem::unavailable(format!("the Run is {} and has no log yet", run.status)))
        }
        Status::Starting | Status::Running if query.has("follow") => live(&api, &run, log).await,
        Status::Starting
        | Status::Running
        | Status::Completing
        | Status::Aborting
        | Status::Done
        | Status::Failed
        | Status::Invalidated => stored(&api, &cause, log).await,
    }
}

/// `GET /api/runs/{id}/attempts/{attempt}/log` (ours): the kept end of an earlier attempt's log; of the
/// present attempt the whole log, as far as it goes.
#[utoipa::path(get, path = "/api/runs/{id}/attempts/{attempt}/log", operation_id = "showLogOfAttempt",
    params(
        ("id" = String, Path, description = "Id of a Run"),
        ("attempt" = u32, Path, description = "1, 2, …"),
    ),
    responses((status = 200, body = inline(RawBytes), content_type = "application/octet-stream"), Problem))]
pub(super) async fn of_attempt(
    State(api): State<Api>,
    named: NamedAttempt,
    cause: Cause,
    Asked(query): Asked,
) -> Result<Response, Problem> {
    as_of::only_now(&query, GROWS_ONLY)?;
    api.transfers.offered()?;
    let run = existing(&api, named.run_id()?).await?;
    let attempt = named.attempt().filter(|attempt| *attempt <= run.attempt);
    let attempt = attempt.ok_or_else(|| Problem::absent(format!("the Run has attempts 1 to {}", run.attempt)))?;
    if attempt == run.attempt {
        let log = run.log().ok_or_else(|| Problem::absent("the Plan of this Run keeps no log"))?;
        return stored(&api, &cause, log).await;
    }
    let past = run.earlier.iter().find(|past| past.attempt == attempt);
    let tail = past.and_then(|past| past.log_tail.as_ref());
    let tail = tail.ok_or_else(|| Problem::absent(format!("no log of attempt {attempt} was kept")))?;
    let kept = api.app.log().attachment(&tail.sha256).await.map_err(|fault| Problem::unexpected(fault.to_string()))?;
    let kept = kept.ok_or_else(|| Problem::absent(gone(attempt)))?;
    Ok(reply::with_type(StatusCode::OK, OCTET_STREAM, Body::from(kept)))
}

fn gone(attempt: u32) -> String {
    format!(
        "the log of attempt {attempt} is not here: it was removed, or has stayed where the history was imported from"
    )
}

/// The Run, unless it was deleted.
async fn existing(api: &Api, id: RunId) -> Result<RunRecord, Problem> {
    let run = streams::run(api.app.log(), id).await.map_err(|error| Problem::unexpected(error.to_string()))?;
    match run.state.record {
        None => Err(past::told_run(api, id, Problem::not_found("Run", &id.to_string())).await),
        Some(run) if run.status == Status::Invalidated => {
            let gone = Problem::absent(format!("the Run `{id}` was removed, and its log with it"));
            Err(past::told_run(api, id, gone).await)
        }
        Some(run) => Ok(run),
    }
}

/// What the Worker writes, from the beginning until it ends. When the server stops before, the answer breaks off at
/// once: were it ended in good order, what there is would be taken for the whole log.
async fn live(api: &Api, run: &RunRecord, log: &OutputData) -> Result<Response, Problem> {
    let worker = run.worker_name.clone().unwrap_or_else(|| WorkerName::of(run.id, run.attempt));
    match api.app.runtime().follow_log(&worker, &log.volume_ref).await {
        Ok(text) => {
            let leaving = api.watchers.leaving();
            let broken_off = leaving.clone();
            let ending = stream::once(async move { broken_off.is_cancelled().then(|| Err(stopping())) });
            let text = text.take_until(leaving.cancelled_owned()).map(Some).chain(ending).filter_map(future::ready);
            Ok(pieces(Box::pin(text), future::ready(())))
        }
        Err(ReadError::Missing { .. }) => Err(Problem::unavailable("the Worker has not begun its log yet")),
        Err(error) => Err(error.into()),
    }
}

/// Who has redacted the log, if somebody has: its text is gone then, and only its hash is left.
async fn redacted(api: &Api, log: &OutputData) -> Result<Option<Problem>, Problem> {
    let events = api.app.log().load(&StreamId::data(log.knit_id)).await.map_err(Problem::of_log)?;
    let redaction = events.iter().rev().find_map(|event| match &event.event {
        Event::Data(DataEvent::LogRedacted { reason, .. }) => Some((event, reason)),
        Event::Data(_) | Event::Catalog(_) | Event::Plan(_) | Event::Run(_) | Event::Agent(_) | Event::Journal(_) => {
            None
        }
    });
    Ok(redaction.map(|(event, reason)| {
        let Recorded { position, recorded_at, metadata, .. } = event;
        let actor = &metadata.actor;
        Problem::absent(format!("the log of this Run was redacted by {actor} at {recorded_at}: {reason}"))
            .because(format!("event {position} records it, and the end of the Run records the hash of the text"))
    }))
}

fn stopping() -> Fault {
    Fault::new("go on with the log of a Worker", "the server stops")
}

/// What is in the log's Data. A Run that ended before it started has no volume; its log is empty.
async fn stored(api: &Api, cause: &Cause, log: &OutputData) -> Result<Response, Problem> {
    let reader = match api.transfers.open_reader(&api.app, cause, log.knit_id).await {
        Ok(reader) => reader,
        Err(refused) => return Err(redacted(api, log).await?.unwrap_or(refused)),
    };
    match api.app.runtime().read_log(reader.volume()).await {
        Ok(text) => Ok(pieces(text, reader.close())),
        Err(ReadError::Missing { .. }) => Ok(reply::with_type(StatusCode::OK, OCTET_STREAM, Body::empty())),
        Err(error) => Err(error.into()),
    }
}

/// Sends each piece as soon as it is there. `end` is awaited behind the last, or dropped when the client is
/// gone.
fn pieces(text: LogStream, end: impl Future<Output = ()> + Send + 'static) -> Response {
    let pieces = stream::unfold((text, end), |(mut text, end)| async move {
        match text.next().await {
            Some(piece) => {
                let told = piece.inspect_err(|fault| tracing::warn!("a log breaks off: {}", with_causes(fault)));
                Some((told, (text, end)))
            }
            None => {
                end.await;
                None
            }
        }
    });
    reply::with_type(StatusCode::OK, OCTET_STREAM, Body::from_stream(pieces))
}
