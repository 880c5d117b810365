//! Which events somebody wants to see, and finding them.
//!
//! Whoever names only Data, Plans and Runs by their ids is served from the log's index of them: the life of one
//! Run is a dozen events of a million, and nobody should read all of these for it.

use std::collections::{BTreeSet, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use knit_domain::event::agent::AgentEvent;
use knit_domain::event::catalog::CatalogEvent;
use knit_domain::event::data::DataEvent;
use knit_domain::event::journal::JournalEvent;
use knit_domain::event::plan::PlanEvent;
use knit_domain::event::run::RunEvent;
use knit_domain::event::{Entity, Position, Recorded, StreamType};
use knit_domain::id::EventId;
use knit_log::{Log, ReadError};

use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::http::request::correlation;

/// Ids that may be named at once: each is a question to the database whenever something happens.
const ENTITIES_MAX: usize = 100;

/// Events that are looked at first where the last ones are wanted: as many as are read at once.
const WINDOW_EVENTS_MIN: Position = 200;

/// Which events are wanted; whatever is empty does not narrow it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Filter {
    kinds: Vec<StreamType>,
    entities: Vec<Entity>,
    types: Vec<String>,
    actors: Vec<String>,
    correlations: Vec<EventId>,
}

/// Some events, and how far the log was looked through for them.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) events: Vec<Arc<Recorded>>,
    pub(super) up_to: Position,
}

impl Filter {
    /// Reads `entity`, `type`, `actor` and `correlation`.
    ///
    /// # Errors
    /// 400 for a word that names no kind, a malformed id, an event that does not exist, or too many ids.
    pub(super) fn of(query: &Query) -> Result<Self, Problem> {
        let mut filter = Self::default();
        for word in words(query, "entity") {
            match word.split_once(':') {
                None => filter.kinds.push(kind(word)?),
                Some((kind, id)) => filter.entities.push(entity(kind, id)?),
            }
        }
        if filter.entities.len() > ENTITIES_MAX {
            return Err(Problem::bad_request(format!("`entity` names more than {ENTITIES_MAX} ids: name a kind")));
        }
        for word in words(query, "type") {
            if !names().any(|name| name == word) {
                let known: Vec<&str> = names().collect();
                let problem = Problem::bad_request(format!("there is no event `{word}`, but {}", known.join(", ")));
                return Err(problem);
            }
            filter.types.push(word.to_owned());
        }
        filter.actors = words(query, "actor").map(str::to_owned).collect();
        filter.correlations = words(query, "correlation").map(correlation).collect();
        Ok(filter)
    }

    fn admits(&self, event: &Recorded) -> bool {
        let of_type = self.types.is_empty() || self.types.iter().any(|name| name == event.event.type_name());
        of_type && self.is_by(event) && self.is_within(event) && (self.is_about_all() || self.is_about(event))
    }

    /// `reactor` is every actor `reactor:…`.
    fn is_by(&self, event: &Recorded) -> bool {
        let actor = &event.metadata.actor;
        let kind = actor.split_once(':').map(|(kind, _)| kind);
        self.actors.is_empty() || self.actors.iter().any(|wanted| wanted == actor || Some(wanted.as_str()) == kind)
    }

    fn is_within(&self, event: &Recorded) -> bool {
        self.correlations.is_empty() || self.correlations.contains(&event.belongs_to())
    }

    fn is_about_all(&self) -> bool {
        self.kinds.is_empty() && self.entities.is_empty()
    }

    fn is_about(&self, event: &Recorded) -> bool {
        self.kinds.contains(&event.stream.kind)
            || !self.entities.is_empty()
                && event.event.entities(&event.stream).iter().any(|entity| self.entities.contains(entity))
    }

    fn is_indexed(&self) -> bool {
        self.kinds.is_empty() && !self.entities.is_empty()
    }
}

/// The words of a list; an empty one is none.
fn words<'q>(query: &'q Query, name: &str) -> impl Iterator<Item = &'q str> {
    query.list(name).unwrap_or_default().into_iter().filter(|word| !word.is_empty())
}

fn kind(word: &str) -> Result<StreamType, Problem> {
    word.parse().map_err(|_| {
        let kinds = StreamType::ALL.map(StreamType::as_str).join(", ");
        Problem::bad_request(format!("each `entity` should be data:ID, plan:ID, run:ID, or one of {kinds}"))
            .because(format!("got `{word}`"))
    })
}

fn entity(kind: &str, id: &str) -> Result<Entity, Problem> {
    let entity = match kind {
        "data" => id.parse().map(Entity::Data),
        "plan" => id.parse().map(Entity::Plan),
        "run" => id.parse().map(Entity::Run),
        _ => {
            let problem = Problem::bad_request("only data, plan and run have ids in `entity`");
            return Err(problem.because(format!("got `{kind}:{id}`")));
        }
    };
    entity.map_err(|malformed| Problem::bad_request(format!("`entity`: {malformed}")))
}

/// The name of every event there is.
fn names() -> impl Iterator<Item = &'static str> {
    let all = [
        CatalogEvent::STORED,
        PlanEvent::STORED,
        RunEvent::STORED,
        DataEvent::STORED,
        AgentEvent::STORED,
        JournalEvent::STORED,
    ];
    all.into_iter().flatten().map(|(name, _)| *name)
}

/// The wanted events among the next ones behind `after`, but none behind `until`; about `limit` are looked at.
pub(super) async fn page(
    log: &Log,
    filter: &Filter,
    after: Position,
    until: Position,
    limit: usize,
) -> Result<Page, ReadError> {
    let mut page = if after >= until {
        Page { events: Vec::new(), up_to: after }
    } else if filter.is_indexed() {
        indexed(log, filter, after, until, limit).await?
    } else if !filter.types.is_empty() {
        of_types(log, &filter.types, after, until, limit).await?
    } else {
        next(log, after, until, limit).await?
    };
    page.events.retain(|event| filter.admits(event));
    Ok(page)
}

/// Where the last `count` wanted events up to `until` begin, as the position before the first of them; `until` where
/// there is none.
///
/// The log is looked through from its end, in windows that double: what is asked for is mostly near, and where it is
/// not, the questions about a thing that little is said of stay few.
pub(super) async fn before_last(
    log: &Log,
    filter: &Filter,
    count: usize,
    until: Position,
    limit: usize,
) -> Result<Position, ReadError> {
    if *filter == Filter::default() {
        return Ok(until.saturating_sub(count as Position));
    }
    let (mut first, mut left, mut end, mut window) = (until, count, until, WINDOW_EVENTS_MIN);
    while end > 0 && left > 0 {
        let begin = end.saturating_sub(window);
        let found = last_within(log, filter, left, begin..end, limit).await?;
        first = found.front().map_or(first, |position| position - 1);
        (left, end, window) = (left - found.len(), begin, window.saturating_mul(2));
    }
    Ok(first)
}

/// The positions of the last wanted events, at most `count`, behind the beginning of a window and up to its end.
async fn last_within(
    log: &Log,
    filter: &Filter,
    count: usize,
    window: Range<Position>,
    limit: usize,
) -> Result<VecDeque<Position>, ReadError> {
    let (mut found, mut after) = (VecDeque::with_capacity(count), window.start);
    while after < window.end {
        let page = page(log, filter, after, window.end, limit).await?;
        for event in page.events {
            if found.len() == count {
                found.pop_front();
            }
            found.push_back(event.position);
        }
        if page.up_to == after {
            return Err(ReadError::Missing { position: after + 1 });
        }
        after = page.up_to;
    }
    Ok(found)
}

/// The next events, whatever they are; what this process has just appended is not read again.
pub(super) async fn next(log: &Log, after: Position, until: Position, limit: usize) -> Result<Page, ReadError> {
    let mut events = match log.recent(after, limit) {
        Some(events) => events,
        None => log.read(after, limit).await?.into_iter().map(Arc::new).collect(),
    };
    events.retain(|event| event.position <= until);
    let up_to = events.last().map_or(after, |event| event.position);
    Ok(Page { events, up_to })
}

/// Those of the next events that are of some types. The others are passed over without being decoded, so more of them
/// can be looked at.
async fn of_types(
    log: &Log,
    types: &[String],
    after: Position,
    until: Position,
    limit: usize,
) -> Result<Page, ReadError> {
    if log.recent(after, 1).is_some() {
        return next(log, after, until, limit).await;
    }
    let read = log.read_of_types(after, limit * PASSED_OVER_AT_ONCE, types).await?;
    let up_to = until.min(after + read.len() as Position);
    let events = read.into_iter().flatten().filter(|event| event.position <= until).map(Arc::new).collect();
    Ok(Page { events, up_to })
}

/// Events that are passed over take up no memory to speak of, and most are: so many times more are looked at at once.
const PASSED_OVER_AT_ONCE: usize = 10;

/// The next events about the named things.
async fn indexed(
    log: &Log,
    filter: &Filter,
    after: Position,
    until: Position,
    limit: usize,
) -> Result<Page, ReadError> {
    // The index is written together with the events: up to the position that is known it is whole.
    let (mut positions, mut up_to) = (BTreeSet::new(), until);
    for entity in &filter.entities {
        let found = log.positions_of(*entity, after, limit).await?;
        // Behind the last of a full list there may be more of that thing.
        if let Some(last) = found.last().filter(|_| found.len() >= limit) {
            up_to = up_to.min(*last);
        }
        positions.extend(found);
    }
    let mut events = Vec::new();
    for position in positions.into_iter().filter(|position| *position <= up_to) {
        events.extend(log.event_at(position).await?);
    }
    Ok(Page { events, up_to })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "3b0f5a52-6c1e-4d0e-9a53-0d1f6f6b7c11";

    fn read(query: &str) -> Result<Filter, Problem> {
        Filter::of(&Query::parse(Some(query)))
    }

    #[test]
    fn the_names_that_are_published_are_those_of_the_events_there_are() {
        let known: std::collections::BTreeSet<&str> = names().collect();
        assert_eq!(known.into_iter().collect::<Vec<_>>(), knit_schemas::api::EVENT_TYPES);
    }

    #[test]
    fn kinds_ids_and_names_are_lists() {
        let filter = read(&format!("entity=run,data:{ID}&type=RunSucceeded,RunFailed")).unwrap();
        assert_eq!(filter.kinds, [StreamType::Run]);
        assert_eq!(filter.entities, [Entity::Data(ID.parse().unwrap())]);
        assert_eq!(filter.types, ["RunSucceeded", "RunFailed"]);
        assert_eq!(read("entity=&type=&actor=&correlation="), Ok(Filter::default()));
    }

    #[test]
    fn what_names_nothing_is_a_bad_request() {
        let many = vec![format!("run:{ID}"); ENTITIES_MAX + 1].join(",");
        for bad in ["entity=runs", "entity=run:1", "entity=agent:x", "type=RunEnded", &format!("entity={many}")] {
            let problem = read(bad).unwrap_err();
            assert_eq!(problem.status(), ::http::StatusCode::BAD_REQUEST, "{bad}");
        }
    }
}
