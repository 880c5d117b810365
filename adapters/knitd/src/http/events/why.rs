//! `GET /api/events/{position}/why` (ours): what led to an event, and what it led to.
//!
//! Every event names the one that it followed from, so what led to it is a way, looked up event by event. What it led
//! to is a tree, and nothing points down: the log is read on from the event, and whoever follows from what was found
//! belongs to it. All of it shares one correlation, so that everything else is passed over without a look-up.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use knit_domain::event::{Position, Recorded};
use knit_domain::id::EventId;
use knit_log::Log;
use knit_schemas::api::{EventMark, Why};

use super::one::mark;
use crate::http::front::Api;
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::http::request::{Asked, Named};
use crate::http::{as_of, reply};

/// Events of the way that led there, each two look-ups; the nearest are told. A Run is ten of them.
const CAUSES_MAX: usize = 1_000;
/// Consequences that are told if nothing is said: what a person can still look through.
const CONSEQUENCES_DEFAULT: usize = 1_000;
/// The most consequences that are told: a few megabytes. Whoever wants all asks for the events of the correlation.
const CONSEQUENCES_MAX: usize = 10_000;
/// Events read at once.
const PAGE_EVENTS_MAX: usize = 1_000;

/// `GET /api/events/{position}/why`.
#[utoipa::path(get, path = "/api/events/{position}/why", operation_id = "explainEvent",
    params(
        ("position" = u64, Path, description = "Position of an event"),
        ("limit" = Option<u64>, Query, description = "Tell at most so many consequences, the first ones; 1000 if absent, 10000 at most"),
    ),
    responses((status = 200, body = Why), Problem))]
pub(in crate::http) async fn why(
    State(api): State<Api>,
    named: Named,
    Asked(query): Asked,
) -> Result<Response, Problem> {
    as_of::only_now(&query, super::NEVER_CHANGES)?;
    let position: Position = named.id("event")?;
    let limit = limit(&query)?;
    let log = api.app.log();
    // What was folded is known to continue the log that there was; the watchers are told no more either.
    let until = api.app.views().followed().position;
    let event = log.event_at(position).await.map_err(Problem::of_log)?.filter(|event| event.position <= until);
    let event = event.ok_or_else(|| Problem::not_found("event", &position.to_string()))?;
    let (causes, causes_cut) = causes(log, &event).await?;
    let (consequences, consequences_cut) = consequences(log, &event, until, limit).await?;
    let cause = causes.last().map(|cause| cause.position);
    let correlation = event.belongs_to().to_string();
    let told = Why { event: mark(&event, cause), correlation, causes, causes_cut, consequences, consequences_cut };
    Ok(reply::at(until, reply::json(&told)))
}

fn limit(query: &Query) -> Result<usize, Problem> {
    let Some(text) = query.scalar("limit") else { return Ok(CONSEQUENCES_DEFAULT) };
    let limit = text.parse().ok().filter(|limit| *limit <= CONSEQUENCES_MAX);
    limit.ok_or_else(|| {
        let wanted = format!("`limit` should be a number of consequences, {CONSEQUENCES_MAX} at most");
        Problem::bad_request(wanted).because(format!("got `{text}`"))
    })
}

/// The way that led to `event`, the oldest first, and whether there is more before it.
async fn causes(log: &Log, event: &Recorded) -> Result<(Vec<EventMark>, bool), Problem> {
    let mut way: Vec<Arc<Recorded>> = Vec::new();
    let mut next = event.metadata.causation;
    while let Some(id) = next.filter(|_| way.len() < CAUSES_MAX) {
        // An event that is not there can be nothing's cause; what names it was written by another program.
        let Some(cause) = log.event_by_id(id).await.map_err(Problem::of_log)? else { break };
        next = cause.metadata.causation;
        way.push(cause);
    }
    let is_cut = next.is_some();
    way.reverse();
    let before = std::iter::once(None).chain(way.iter().map(|cause| Some(cause.position)));
    Ok((way.iter().zip(before).map(|(cause, before)| mark(cause, before)).collect(), is_cut))
}

/// The first `limit` consequences of `event` up to `until`, in order, and whether there are more.
async fn consequences(
    log: &Log,
    event: &Recorded,
    until: Position,
    limit: usize,
) -> Result<(Vec<EventMark>, bool), Problem> {
    let mut family: HashMap<EventId, Position> = HashMap::from([(event.event_id, event.position)]);
    let (mut found, mut after) = (Vec::new(), event.position);
    while after < until {
        let page = super::filter::next(log, after, until, PAGE_EVENTS_MAX).await.map_err(Problem::of_log)?;
        for one in page.events.iter().filter(|one| one.belongs_to() == event.belongs_to()) {
            let Some(cause) = one.metadata.causation.and_then(|id| family.get(&id)).copied() else { continue };
            if found.len() == limit {
                return Ok((found, true));
            }
            family.insert(one.event_id, one.position);
            found.push(mark(one, Some(cause)));
        }
        if page.up_to == after {
            break;
        }
        after = page.up_to;
    }
    Ok((found, false))
}
