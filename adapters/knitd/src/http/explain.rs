//! Why a Run is there, and in what two results differ (ours).

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::Response;
use knit_domain::event::{Entity, Position, Recorded, StreamId};
use knit_domain::id::{KnitId, RunId, WorkerName};
use knit_domain::run::Status;
use knit_domain::time::Timestamp;
use knit_projections::projection::Projection as _;
use knit_projections::store::{
    At, FailureStory, InputStory, RunStory, RunTrigger, RunTriggerKind, StepStory, Store, TagStory,
};
use knit_runtime::port::{Room, Share};
use knit_schemas::api;
use knit_schemas::instant::Instant;

use super::front::Api;
use super::problem::Problem;
use super::query::Query;
use super::request::{Asked, Named};
use super::{as_of, matches, past, reply};

/// Events outside the Run's own stream that are looked up for one answer. Each is a question to the database, and a
/// Plan may have hundreds of inputs; the moments of what is beyond are left out.
const LOOKED_UP_MAX: usize = 256;
/// Runs that are named as holding the room for which another one waits: a person looks into a few.
const HOLDERS_MAX: usize = 20;

/// `GET /api/runs/{id}/explain`: what set the Run off, what it waited for, why it failed.
#[utoipa::path(get, path = "/api/runs/{id}/explain", operation_id = "explainRun",
    params(
        ("id" = String, Path, description = "Id of a Run"),
        ("as-of" = Option<String>, Query, description = "The time that is asked about: a position of the log, RFC 3339, or like `2h ago`; now if absent"),
    ),
    responses((status = 200, body = api::RunExplanation), Problem))]
pub(super) async fn run(State(api): State<Api>, named: Named, Asked(query): Asked) -> Result<Response, Problem> {
    let id: RunId = named.id("Run")?;
    let at = as_of::at(&api, &query).await?;
    past::existed(&api, Entity::Run(id), at).await?;
    let asked = api.ask(move |store| {
        let position = at.position(store.position());
        let story = store.explain_run(id, at);
        let plan = story.as_ref().and_then(|story| store.plan(story.plan_id, at));
        (position, story.zip(plan))
    });
    let (position, told) = asked.await?;
    let (story, plan) = told.ok_or_else(|| Problem::not_found("Run", &id.to_string()))?;
    let moments = moments(&api, &story).await?;
    let attempt = story.steps.last().map_or(1, |step| step.attempt);
    let is_starting = story.status == Status::Starting;
    let mut told = explanation(story, plan.summary(), position, &moments);
    if let Some(waiting) = told.waits_for.as_mut() {
        let until = match at {
            At::Now => Some(as_of::now()),
            At::Position(position) => past_moment(&api, &query, position).await?,
        };
        waiting.waited_ms = until.map(|until| positive(until.0 - waiting.since.unix_ms()));
        waiting.room = if is_starting && at == At::Now { room(&api, id, attempt).await } else { None };
    }
    Ok(reply::at(position, reply::json(&told)))
}

/// The moment that was asked about: the time that was named, or when the event at the `position` was recorded.
async fn past_moment(api: &Api, query: &Query, position: Position) -> Result<Option<Timestamp>, Problem> {
    if let Some(text) = query.scalar("as-of")
        && let as_of::Asked::Time(time) = as_of::Asked::parse("as-of", text, as_of::now())?
    {
        return Ok(Some(time));
    }
    let event = api.app.log().event_at(position).await.map_err(Problem::of_log)?;
    Ok(event.map(|event| event.recorded_at))
}

/// What room the Worker of a Run waits for. Nothing is kept of it: the runtime is asked as it is now.
async fn room(api: &Api, run: RunId, attempt: u32) -> Option<api::WantedRoom> {
    let Room { asked, free, whole, ahead, holders } = api.app.runtime().room_for(&WorkerName::of(run, attempt)).await?;
    let share = |share: Share| api::Share { cpu_millis: share.cpu_millis, memory_bytes: share.memory_bytes };
    let holder = |(worker, held): &(WorkerName, Share)| {
        Some(api::Holder { run_id: worker.run()?.to_string(), share: share(*held) })
    };
    let held_by = holders.iter().filter_map(holder).take(HOLDERS_MAX).collect();
    Some(api::WantedRoom { asked: share(asked), free: share(free), whole: share(whole), ahead: ahead as u64, held_by })
}

/// `GET /api/data/{id}/diff?with=ID`: in what the histories of two Data differ.
#[utoipa::path(get, path = "/api/data/{id}/diff", operation_id = "diffData",
    params(
        ("id" = String, Path, description = "Id of a Data"),
        ("with" = String, Query, description = "Id of the other"),
        ("as-of" = Option<String>, Query, description = "The time that is asked about: a position of the log, RFC 3339, or like `2h ago`; now if absent"),
    ),
    responses((status = 200, body = api::Difference), Problem))]
pub(super) async fn data_diff(State(api): State<Api>, named: Named, Asked(query): Asked) -> Result<Response, Problem> {
    let left: KnitId = named.id("Data")?;
    let other = query.scalar("with").ok_or_else(|| Problem::bad_request("`with` should be the id of another Data"))?;
    let right: KnitId = other.parse().map_err(|_| Problem::not_found("Data", other))?;
    let at = as_of::at(&api, &query).await?;
    past::existed(&api, Entity::Data(left), at).await?;
    past::existed(&api, Entity::Data(right), at).await?;
    differ(&api, move |store| store.diff_data(left, right, at)).await
}

/// `GET /api/runs/{id}/diff?with=ID`: in what the histories of two Runs differ.
#[utoipa::path(get, path = "/api/runs/{id}/diff", operation_id = "diffRuns",
    params(
        ("id" = String, Path, description = "Id of a Run"),
        ("with" = String, Query, description = "Id of the other"),
        ("as-of" = Option<String>, Query, description = "The time that is asked about: a position of the log, RFC 3339, or like `2h ago`; now if absent"),
    ),
    responses((status = 200, body = api::Difference), Problem))]
pub(super) async fn run_diff(State(api): State<Api>, named: Named, Asked(query): Asked) -> Result<Response, Problem> {
    let left: RunId = named.id("Run")?;
    let other = query.scalar("with").ok_or_else(|| Problem::bad_request("`with` should be the id of another Run"))?;
    let right: RunId = other.parse().map_err(|_| Problem::not_found("Run", other))?;
    let at = as_of::at(&api, &query).await?;
    past::existed(&api, Entity::Run(left), at).await?;
    past::existed(&api, Entity::Run(right), at).await?;
    differ(&api, move |store| store.diff_runs(left, right, at)).await
}

async fn differ(
    api: &Api,
    question: impl FnOnce(&Store) -> Option<api::Difference> + Send + 'static,
) -> Result<Response, Problem> {
    let difference = api.ask(question).await?.ok_or_else(|| Problem::absent("one of the two went meanwhile"))?;
    Ok(reply::at(difference.as_of, reply::json(&difference)))
}

/// Who did what and when, at the positions that a story names.
type Moments = BTreeMap<Position, api::Moment>;

async fn moments(api: &Api, story: &RunStory) -> Result<Moments, Problem> {
    let own = api.app.log().load(&StreamId::run(story.run_id)).await.map_err(Problem::of_log)?;
    let mut moments: Moments = own.iter().filter_map(moment).collect();
    let mut looked_up = 0;
    for position in positions(story) {
        if looked_up < LOOKED_UP_MAX && !moments.contains_key(&position) {
            looked_up += 1;
            let event = api.app.log().event_at(position).await.map_err(Problem::of_log)?;
            moments.extend(event.iter().filter_map(|event| moment(event)));
        }
    }
    Ok(moments)
}

/// The positions that a story names, the most telling first.
fn positions(story: &RunStory) -> Vec<Position> {
    let trigger = story.trigger.iter().flat_map(|trigger| [Some(trigger.position), trigger.rest_since]).flatten();
    let held = story
        .steps
        .iter()
        .flat_map(|step| step.held.iter().chain(&step.full))
        .flat_map(|(from, until)| [*from, *until]);
    let available = story.inputs.iter().filter_map(|input| input.available);
    let tags = story.inputs.iter().flat_map(|input| &input.tags);
    let tags = tags.flat_map(|tag| [tag.since, tag.until]).flatten();
    trigger.chain(held).chain(available).chain(tags).collect()
}

/// An event as a moment, with its position.
pub(super) fn moment(recorded: &Recorded) -> Option<(Position, api::Moment)> {
    let Recorded { position, recorded_at, event, metadata, .. } = recorded;
    let (at, actor, event) = (instant(*recorded_at)?, metadata.actor.clone(), event.type_name().to_owned());
    Some((*position, api::Moment { position: *position, at, actor, event }))
}

fn instant(timestamp: Timestamp) -> Option<Instant> {
    Instant::from_unix_ms(timestamp.0)
}

fn explanation(story: RunStory, plan: api::PlanSummary, as_of: Position, moments: &Moments) -> api::RunExplanation {
    let set_off = story.trigger.as_ref().map(|trigger| trigger.position);
    let waits_for = waiting(&story);
    api::RunExplanation {
        run_id: story.run_id.to_string(),
        status: story.status.to_string(),
        plan,
        as_of,
        trigger: story.trigger.and_then(|trigger| told_trigger(trigger, moments)),
        inputs: story.inputs.into_iter().map(|input| told_input(input, moments)).collect(),
        steps: told_steps(&story.steps, set_off, moments),
        waits_for,
        failure: story.failure.map(|failure| told_failure(failure, moments)),
    }
}

fn told_trigger(trigger: RunTrigger, moments: &Moments) -> Option<api::Trigger> {
    let what = match trigger.kind {
        RunTriggerKind::PlanRegistered => api::TriggerKind::PlanRegistered,
        RunTriggerKind::DataAvailable => api::TriggerKind::DataAvailable,
        RunTriggerKind::TagsChanged => api::TriggerKind::TagsChanged,
        RunTriggerKind::Uploaded => api::TriggerKind::Uploaded,
        RunTriggerKind::Imported => api::TriggerKind::Imported,
    };
    Some(api::Trigger {
        what,
        moment: moments.get(&trigger.position)?.clone(),
        knit_id: trigger.knit_id.map(|id| id.to_string()),
        paths: trigger.paths,
        tags: matches::wire_tags(trigger.tags),
        rest_since: trigger.rest_since.and_then(|position| moments.get(&position)).map(|moment| moment.at),
    })
}

fn told_input(input: InputStory, moments: &Moments) -> api::ExplainedInput {
    let at = |position: Option<Position>| position.and_then(|position| moments.get(&position)).cloned();
    let tags = input.tags.into_iter().map(|TagStory { tag, since, until }| api::MatchedTag {
        tag: api::Tag::new(tag.key, tag.value),
        since: at(since),
        until: at(until),
    });
    api::ExplainedInput {
        path: input.path,
        knit_id: input.knit_id.to_string(),
        made_by: input.made_by.to_string(),
        available: at(input.available),
        tags: tags.collect(),
    }
}

fn told_steps(steps: &[StepStory], set_off: Option<Position>, moments: &Moments) -> Vec<api::ExplainedStep> {
    let at_ms = |position: Position| moments.get(&position).map(|moment| moment.at.unix_ms());
    let mut before_ms = set_off.and_then(at_ms);
    let mut told = Vec::with_capacity(steps.len());
    for step in steps {
        let Some(moment) = moments.get(&step.position) else { continue };
        let spent = |spans: &[(Position, Position)]| {
            positive(spans.iter().filter_map(|(from, until)| Some(at_ms(*until)? - at_ms(*from)?)).sum())
        };
        told.push(api::ExplainedStep {
            attempt: step.attempt,
            moment: moment.clone(),
            status: step.status.map(|status| status.to_string()),
            waited_ms: before_ms.map_or(0, |before_ms| positive(step.at.0 - before_ms)),
            waited_for: step.waited_for.to_owned(),
            held_ms: spent(&step.held),
            full_ms: spent(&step.full),
        });
        before_ms = Some(step.at.0);
    }
    told
}

/// Stamps never go back along positions.
fn positive(ms: i64) -> u64 {
    u64::try_from(ms).unwrap_or_default()
}

fn waiting(story: &RunStory) -> Option<api::Waiting> {
    let what = story.waits_for?;
    let since = story.steps.last().and_then(|step| instant(step.at))?;
    let held = story.status == Status::Deactivated;
    let what = if held { "its Plan to be switched on" } else { what };
    Some(api::Waiting { what: what.to_owned(), since, held, waited_ms: None, room: None })
}

fn told_failure(failure: FailureStory, moments: &Moments) -> api::Failure {
    api::Failure {
        cause: Some(failure.cause.to_owned()),
        exit: failure.exit.map(|exit| api::Exit { code: exit.code, message: exit.message }),
        reason: failure.reason,
        decided: moments.get(&failure.position).cloned(),
    }
}
