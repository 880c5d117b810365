//! What is not there at some time: when it began, or when it went and by whom.

use std::sync::Arc;

use knit_domain::event::data::DataEvent;
use knit_domain::event::run::RunEvent;
use knit_domain::event::{Entity, Event, Position, Recorded};
use knit_domain::id::{KnitId, RunId};
use knit_projections::projection::Projection as _;
use knit_projections::store::{At, Span};

use super::front::Api;
use super::problem::Problem;

/// Events that are read at once while the first of an act is looked for: nearly every act has fewer.
const ACT_PAGE_EVENTS: Position = 256;
/// Events before the end of something that are looked at for the first of the act it was a part of: one request appends
/// no more.
const ACT_EVENTS_MAX: Position = knit_log::EVENTS_PER_REQUEST_MAX as Position;

/// Whether `of` existed at the time that is asked about.
///
/// # Errors
/// 404 that says when it began or went, if it ever was; 503 when the log cannot say.
pub(super) async fn existed(api: &Api, of: Entity, at: At) -> Result<(), Problem> {
    let (what, id) = named(of);
    let (span, reached) = {
        let store = api.app.views().store.read();
        (store.span(of), at.position(store.position()))
    };
    match span {
        None => Err(Problem::not_found(what, &id)),
        Some(Span { from, .. }) if reached < from => {
            let made = event_at(api, from).await?;
            Err(Problem::absent(shown_by(of, from))
                .because(format!("{what} `{id}` was made only at {}, position {from}", made.recorded_at)))
        }
        Some(Span { gone: Some(gone), .. }) if gone <= reached => Err(went(api, of, gone).await?),
        Some(_) => Ok(()),
    }
}

/// What is to be said of a Data for which a request is `refused`: where it is not there, what became of it.
pub(super) async fn told(api: &Api, id: KnitId, refused: Problem) -> Problem {
    if !refused.is_absence() {
        return refused;
    }
    match existed(api, Entity::Data(id), At::Now).await {
        Err(gone) => refused.explained_by(gone),
        Ok(()) => refused,
    }
}

/// What is to be said of a Run for which a request is `refused`: where it was removed, when and by whom.
pub(super) async fn told_run(api: &Api, id: RunId, refused: Problem) -> Problem {
    let removed = api.app.views().store.read().run_removed_at(id);
    let Some(removed) = removed else { return refused };
    match went(api, Entity::Run(id), removed).await {
        Ok(gone) => refused.explained_by(gone),
        Err(_) => refused,
    }
}

async fn went(api: &Api, of: Entity, gone: Position) -> Result<Problem, Problem> {
    let (what, id) = named(of);
    let last = event_at(api, gone).await?;
    let begun = act_begins(api, &last).await?;
    let Recorded { recorded_at, event, metadata, .. } = &*last;
    let how = match event {
        Event::Data(DataEvent::LogRedacted { .. }) => "when it was redacted: it was the log of a Run",
        Event::Run(RunEvent::RunRetried { .. }) => "when its Run was retried",
        Event::Run(_) if matches!(of, Entity::Data(_)) => "when its Run was deleted",
        Event::Run(_) => "when it was deleted",
        Event::Data(_) | Event::Plan(_) | Event::Catalog(_) | Event::Agent(_) | Event::Journal(_) => {
            "for another reason"
        }
    };
    Ok(Problem::absent(shown_by(of, begun - 1))
        .because(format!("{what} `{id}` went {how}, at {recorded_at}, position {gone}, by {}", metadata.actor)))
}

/// Where the act began of which `last` is an event: between its events what it ended is half there. They were appended
/// at once, so they have one stamp; the correlation alone may be that of all that a script does.
async fn act_begins(api: &Api, last: &Recorded) -> Result<Position, Problem> {
    let Recorded { recorded_at, metadata, .. } = last;
    if metadata.correlation.is_none() {
        return Ok(last.position);
    }
    let is_part =
        |event: &&Recorded| event.metadata.correlation == metadata.correlation && event.recorded_at == *recorded_at;
    let floor = last.position.saturating_sub(ACT_EVENTS_MAX);
    let mut begun = last.position;
    while begun - 1 > floor {
        let after = (begun - 1).saturating_sub(ACT_PAGE_EVENTS).max(floor);
        let limit = usize::try_from(begun - 1 - after).expect("so few can be counted by any machine");
        let page = api.app.log().read(after, limit).await.map_err(Problem::of_log)?;
        let is_whole = page.last().is_some_and(|event| event.position == begun - 1);
        let parts = page.iter().rev().take_while(is_part).count();
        if !is_whole || parts < page.len() {
            // A page that is cut short, because its events are huge, is none of an act that removes something.
            return Ok(if is_whole { begun - parts as Position } else { begun });
        }
        begun = after + 1;
    }
    Ok(begun)
}

/// The command that shows something as it was.
fn shown_by(of: Entity, position: Position) -> String {
    let (what, id) = named(of);
    format!("`knit {} show --as-of {position} {id}` shows it as it was then", what.to_lowercase())
}

/// The event at `position`, which is in the log.
///
/// # Errors
/// 503 when the log cannot say.
pub(super) async fn event_at(api: &Api, position: Position) -> Result<Arc<Recorded>, Problem> {
    api.app.log().event_at(position).await.map_err(Problem::of_log)?.ok_or_else(|| not_in_log(position))
}

fn not_in_log(position: Position) -> Problem {
    Problem::unexpected(format!("event {position} is not in the log"))
}

fn named(of: Entity) -> (&'static str, String) {
    match of {
        Entity::Plan(id) => ("Plan", id.to_string()),
        Entity::Run(id) => ("Run", id.to_string()),
        Entity::Data(id) => ("Data", id.to_string()),
    }
}
