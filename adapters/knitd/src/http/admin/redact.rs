//! Taking something out of the history.

use ::http::StatusCode;
use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::response::Response;
use knit_domain::redaction::Content;
use knit_domain::tag::Tag;
use knit_schemas::api::{RedactOrder, Redactable, Redaction};

use super::{Admin, By};
use crate::app::{App, Forgotten};
use crate::command::Cause;
use crate::http::problem::Problem;
use crate::http::reply;

/// `POST /admin/redactions`: forgets something for ever; with `dryRun`, tells which events say it.
pub(super) async fn redact(
    State(admin): State<Admin>,
    By(cause): By,
    order: Result<Json<RedactOrder>, JsonRejection>,
) -> Result<Response, Problem> {
    let Json(order) = order.map_err(|error| Problem::bad_request(error.body_text()))?;
    let app = admin.app;
    // It goes on to its end though nobody may wait for it: half of it is done when the event is recorded.
    let work = tokio::spawn(async move { carry_out(&app, &cause, order).await });
    let redaction = work.await.map_err(|_| Problem::bug())??;
    Ok(reply::json_with(StatusCode::OK, &redaction))
}

async fn carry_out(app: &App, cause: &Cause, order: RedactOrder) -> Result<Redaction, Problem> {
    let RedactOrder { what, reason, dry_run } = order;
    let content = match what {
        Redactable::Log(run) => return log(app, cause, &run, &reason, dry_run).await,
        Redactable::Tag(tag) => Content::Tag(Tag::new(tag.key, tag.value)),
        Redactable::Annotation(pair) => Content::Annotation { key: pair.key, value: pair.value },
        Redactable::Argument(word) => Content::Argument(word),
        Redactable::Event(position) => app.said_by(position).await?,
    };
    if dry_run {
        let what = Some(content.to_string());
        let events = app.would_redact(content, &reason).await?;
        return Ok(Redaction { what, events, ..Redaction::default() });
    }
    Ok(told(app.redact(cause, content, &reason).await?))
}

async fn log(app: &App, cause: &Cause, run: &str, reason: &str, dry_run: bool) -> Result<Redaction, Problem> {
    let id = run.parse().map_err(|_| Problem::not_found("Run", run))?;
    if dry_run {
        app.would_redact_log(id, reason).await?;
        return Ok(Redaction { what: Some(format!("the log of the Run {id}")), ..Redaction::default() });
    }
    Ok(told(app.redact_log(cause, id, reason).await?))
}

fn told(forgotten: Forgotten) -> Redaction {
    Redaction {
        what: None,
        events: forgotten.events,
        word: forgotten.word,
        recorded_at: Some(forgotten.recorded_at),
        forgotten: forgotten.is_out,
        overwritten: forgotten.is_overwritten,
        said_again: forgotten.is_said_again,
    }
}
