//! Runs: finding, reading, stopping, retrying, deleting, and their attempts.

use std::str::FromStr;

use ::http::StatusCode;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use knit_domain::event::Entity;
use knit_domain::id::RunId;
use knit_domain::run::Status;
use knit_projections::projection::Projection as _;
use knit_projections::store::{At, AttemptView, ListJson, RunFilter};
use knit_schemas::api;

use super::front::Api;
use super::problem::{Problem, RunOperation};
use super::query::Query;
use super::request::{Asked, Named};
use super::{as_of, past, reply};
use crate::command::{Cause, CommandError};

/// `GET /api/runs`: every Run that meets the query, by `updatedAt`, then id.
#[utoipa::path(get, path = "/api/runs", operation_id = "findRuns",
    params(
        ("plan" = Option<String>, Query, description = "Ids of Plans, joined by commas"),
        ("knitIdInput" = Option<String>, Query, description = "Ids of Data that an input takes, joined by commas"),
        ("knitIdOutput" = Option<String>, Query, description = "Ids of Data that an output or the log makes, joined by commas"),
        ("status" = Option<String>, Query, description = "Statuses, joined by commas"),
        ("since" = Option<String>, Query, description = "RFC 3339: changed its status then or later"),
        ("duration" = Option<String>, Query, description = "Like 1h30m: and earlier than so long after `since`"),
        ("as-of" = Option<String>, Query, description = "The time that is asked about: a position of the log, RFC 3339, or like `2h ago`; now if absent"),
    ),
    responses((status = 200, body = Vec<api::RunDetail>), Problem))]
pub(super) async fn find(State(api): State<Api>, Asked(query): Asked) -> Result<Response, Problem> {
    let filter = filter_of(&query)?;
    let at = as_of::at(&api, &query).await?;
    api.ask_for_json(at, move |store, at| Ok(store.runs_json(&filter, at)), ListJson::write).await
}

/// `GET /api/runs/{id}`; tombstones included.
#[utoipa::path(get, path = "/api/runs/{id}", operation_id = "showRun",
    params(
        ("id" = String, Path, description = "Id of a Run"),
        ("as-of" = Option<String>, Query, description = "The time that is asked about: a position of the log, RFC 3339, or like `2h ago`; now if absent"),
    ),
    responses((status = 200, body = api::RunDetail), Problem))]
pub(super) async fn show(State(api): State<Api>, named: Named, Asked(query): Asked) -> Result<Response, Problem> {
    let id: RunId = named.id("Run")?;
    let at = as_of::at(&api, &query).await?;
    past::existed(&api, Entity::Run(id), at).await?;
    detail_at(&api, id, at)
}

/// `GET /api/runs/{id}/attempts` (ours): how each attempt went, oldest first.
#[utoipa::path(get, path = "/api/runs/{id}/attempts", operation_id = "findAttempts",
    params(
        ("id" = String, Path, description = "Id of a Run"),
        ("as-of" = Option<String>, Query, description = "The time that is asked about: a position of the log, RFC 3339, or like `2h ago`; now if absent"),
    ),
    responses((status = 200, body = Vec<api::Attempt>), Problem))]
pub(super) async fn attempts(State(api): State<Api>, named: Named, Asked(query): Asked) -> Result<Response, Problem> {
    let id: RunId = named.id("Run")?;
    let at = as_of::at(&api, &query).await?;
    past::existed(&api, Entity::Run(id), at).await?;
    let store = api.app.views().store.read();
    let attempts = store.attempts(id, at).ok_or_else(|| Problem::not_found("Run", &id.to_string()))?;
    let attempts: Vec<api::Attempt> = attempts.iter().map(AttemptView::render).collect();
    Ok(reply::at(at.position(store.position()), reply::json(&attempts)))
}

/// `PUT /api/runs/{id}/abort`: stop it as failed.
#[utoipa::path(put, path = "/api/runs/{id}/abort", operation_id = "abortRun", params(("id" = String, Path, description = "Id of a Run")), responses((status = 200, body = api::RunDetail), Problem))]
pub(super) async fn abort(State(api): State<Api>, named: Named, cause: Cause) -> Result<Response, Problem> {
    let id = named.id("Run")?;
    if let Err(error) = api.app.abort(&cause, id).await {
        return Err(past::told_run(&api, id, Problem::of_run(RunOperation::Abort, error)).await);
    }
    detail(&api, id)
}

/// `PUT /api/runs/{id}/tearoff`: stop it as succeeded.
#[utoipa::path(put, path = "/api/runs/{id}/tearoff", operation_id = "tearOffRun", params(("id" = String, Path, description = "Id of a Run")), responses((status = 200, body = api::RunDetail), Problem))]
pub(super) async fn tear_off(State(api): State<Api>, named: Named, cause: Cause) -> Result<Response, Problem> {
    let id = named.id("Run")?;
    if let Err(error) = api.app.tear_off(&cause, id).await {
        return Err(past::told_run(&api, id, Problem::of_run(RunOperation::TearOff, error)).await);
    }
    detail(&api, id)
}

/// `PUT /api/runs/{id}/retry`: 200 without a body or a content type.
#[utoipa::path(put, path = "/api/runs/{id}/retry", operation_id = "retryRun", params(("id" = String, Path, description = "Id of a Run")), responses((status = 200, description = "The next attempt waits; no body"), Problem))]
pub(super) async fn retry(State(api): State<Api>, named: Named, cause: Cause) -> Result<Response, Problem> {
    // The end of the present log is kept with the attempt that ends; it must be in reach.
    api.transfers.offered()?;
    let id = named.id("Run")?;
    if let Err(error) = api.app.retry(&cause, id).await {
        return Err(past::told_run(&api, id, not_retried(&api, id, error)).await);
    }
    Ok(reply::at(api.app.views().position(), StatusCode::OK.into_response()))
}

/// `DELETE /api/runs/{id}`: 204.
#[utoipa::path(delete, path = "/api/runs/{id}", operation_id = "deleteRun", params(("id" = String, Path, description = "Id of a Run")), responses((status = 204, description = "Deleted"), Problem))]
pub(super) async fn delete(State(api): State<Api>, named: Named, cause: Cause) -> Result<Response, Problem> {
    let id = named.id("Run")?;
    if let Err(error) = api.app.delete(&cause, id).await {
        return Err(past::told_run(&api, id, Problem::of_run(RunOperation::Delete, error)).await);
    }
    Ok(reply::at(api.app.views().position(), StatusCode::NO_CONTENT.into_response()))
}

/// The wire says of an upload in use that it is in use, and not first that it cannot be retried at all; the
/// advice must not send anybody to delete what uses it.
fn not_retried(api: &Api, id: RunId, error: CommandError) -> Problem {
    let problem = Problem::of_run(RunOperation::Retry, error);
    let is_root = api.app.views().store.read().run(id, At::Now).is_some_and(|run| run.plan.name.is_some());
    if is_root { problem.of_a_root() } else { problem }
}

fn detail(api: &Api, id: RunId) -> Result<Response, Problem> {
    detail_at(api, id, At::Now)
}

fn detail_at(api: &Api, id: RunId, at: At) -> Result<Response, Problem> {
    let store = api.app.views().store.read();
    let run = store.run(id, at).ok_or_else(|| Problem::not_found("Run", &id.to_string()))?;
    Ok(reply::at(at.position(store.position()), reply::json(&run)))
}

fn filter_of(query: &Query) -> Result<RunFilter, Problem> {
    let range = query.range()?;
    let statuses = statuses(query)?;
    Ok(RunFilter {
        plans: ids(query, "plan"),
        inputs: ids(query, "knitIdInput"),
        outputs: ids(query, "knitIdOutput"),
        statuses,
        since: range.since,
        until: range.until,
    })
}

/// The ids in a list; what is no id matches nothing, so it is left out.
pub(super) fn ids<T: FromStr>(query: &Query, name: &str) -> Option<Vec<T>> {
    let given = query.list(name)?;
    Some(given.into_iter().filter_map(|text| text.parse().ok()).collect())
}

/// The statuses asked for.
///
/// # Errors
/// 400 for a word that is none.
pub(super) fn statuses(query: &Query) -> Result<Option<Vec<Status>>, Problem> {
    query.list("status").map(|words| words.into_iter().map(status).collect()).transpose()
}

/// A status that can be asked for; `invalidated` cannot, though such Runs are listed.
fn status(word: &str) -> Result<Status, Problem> {
    let asked: Option<Status> = word.parse().ok();
    asked.filter(|status| *status != Status::Invalidated).ok_or_else(|| {
        let words = Status::ALL.into_iter().filter(|status| *status != Status::Invalidated);
        let words: Vec<String> = words.map(|status| status.to_string()).collect();
        Problem::bad_request(format!("`status` should be one or more of {}, joined by commas", words.join(", ")))
            .because(format!("`{word}` is not one of them"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(query: &str) -> Result<RunFilter, Problem> {
        filter_of(&Query::parse(Some(query)))
    }

    #[test]
    fn fnd_20_only_the_nine_statuses_can_be_asked_for() {
        let all = "deactivated,waiting,ready,starting,running,completing,aborting,done,failed";
        assert_eq!(filter(&format!("status={all}")).unwrap().statuses.unwrap().len(), 9);
        for bad in ["invalidated", "", "done,", "Done", "finished"] {
            let problem = filter(&format!("status={bad}")).unwrap_err();
            assert_eq!(problem.status(), StatusCode::BAD_REQUEST, "{bad}");
            assert!(problem.message().contains("completing"), "{bad}");
        }
    }

    #[test]
    fn what_is_no_id_matches_nothing() {
        let filter = filter("plan=x,&knitIdInput=").unwrap();
        assert_eq!((filter.plans, filter.inputs, filter.outputs), (Some(Vec::new()), Some(Vec::new()), None));
    }
}
