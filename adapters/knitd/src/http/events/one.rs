//! `GET /api/events/{position}` (ours): everything about one event, so that it can be checked by others.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use knit_domain::event::{Entity, Position, Recorded};
use knit_log::chain::{Hash, link};
use knit_log::{ReadError, StoredEvent};
use knit_schemas::api::{EventMark, Seal, SealedEvent};
use serde_json::value::RawValue;

use super::{instant, of_the_wire, stream_of};
use crate::command::with_causes;
use crate::http::front::Api;
use crate::http::problem::Problem;
use crate::http::request::{Asked, Named};
use crate::http::{as_of, reply};

/// Of a payload that cannot be read, so much is told: more than nearly all are long, and less than a terminal scrolls by.
const PAYLOAD_TOLD_CHARS: usize = 2_000;

/// What to do about an event that is in order, and that this program does not know.
const NEWER: &str = "a newer `knitd` can read it: ask that one";

/// `GET /api/events/{position}`.
#[utoipa::path(get, path = "/api/events/{position}", operation_id = "showEvent",
    params(("position" = u64, Path, description = "Position of an event")),
    responses((status = 200, body = SealedEvent), Problem))]
pub(in crate::http) async fn show(
    State(api): State<Api>,
    named: Named,
    Asked(query): Asked,
) -> Result<Response, Problem> {
    as_of::only_now(&query, super::NEVER_CHANGES)?;
    let position: Position = named.id("event")?;
    let stored = stored(&api, position).await?;
    let before = api.app.log().chain_at(position - 1).await.map_err(Problem::of_log)?;
    let mut seal = seal(&stored, before.as_ref());
    let is_emptied = stored.is_emptied();
    if is_emptied {
        let redaction = api.app.log().redaction_of(&stored).await.map_err(Problem::of_log)?;
        seal.redacted_at = redaction.map(|redaction| redaction.position);
        seal.envelope_holds = redaction.and_then(|redaction| redaction.envelope_holds);
    }
    let event = if is_emptied {
        // What remains of it.
        let event = api.app.log().event_at(position).await.map_err(Problem::of_log)?;
        event.ok_or_else(|| missing(position))?
    } else {
        Arc::new(stored.clone().decode().map_err(|error| unreadable(&stored, &error))?)
    };
    let cause = match event.metadata.causation {
        Some(id) => api.app.log().event_by_id(id).await.map_err(Problem::of_log)?,
        None => None,
    };
    let told: SealedEvent<Box<RawValue>> = SealedEvent {
        about: event.event.entities(&event.stream).into_iter().map(word).collect(),
        cause: cause.map(|event| mark(&event, None)),
        event: of_the_wire(&event),
        seal,
    };
    Ok(reply::at(api.app.views().position(), reply::json(&told)))
}

/// The event as it is stored.
async fn stored(api: &Api, position: Position) -> Result<StoredEvent, Problem> {
    let never = || Problem::not_found("event", &position.to_string());
    let before = position.checked_sub(1).ok_or_else(never)?;
    // Whatever is wrong with it is to be seen.
    let page = api.app.log().read_unchecked(before, 1).await.map_err(Problem::of_log)?;
    if let Some(stored) = page.into_iter().next().filter(|stored| stored.position == position) {
        return Ok(stored);
    }
    let (head, last) = api.app.log().ends_unchecked().await.map_err(Problem::of_log)?;
    Err(if position <= head.position.max(last) { missing(position) } else { never() })
}

/// The log has come so far, and nothing is there.
fn missing(position: Position) -> Problem {
    Problem::damaged(format!("event {position} is missing from the log"))
}

/// An event that does not say what it should: what is stored is told as it is, for whoever looks into it.
fn unreadable(stored: &StoredEvent, error: &ReadError) -> Problem {
    let beginning: String = stored.payload.chars().take(PAYLOAD_TOLD_CHARS).collect();
    let (name, version) = (&stored.event_type, &stored.event_version);
    let said = format!("stored is `{name}` of version {version}, which says {beginning}");
    if let ReadError::Changed { position } = error {
        return Problem::damaged(format!("event {position} was changed; {said}"));
    }
    let why = format!("{}; {said}", with_causes(error));
    if error.is_damage() { Problem::damaged(why) } else { Problem::unavailable(why).advising(NEWER) }
}

/// What was hashed and what came of it, and whether that is so; `before` is none where the event before is missing.
fn seal(stored: &StoredEvent, before: Option<&Hash>) -> Seal {
    let leaf = stored.leaf_of_content();
    let chain = before.map(|before| link(before, stored.position, stored.recorded_at, &stored.leaf));
    Seal {
        salt: hex::encode(&stored.salt),
        payload: stored.payload.clone(),
        metadata: stored.metadata.clone(),
        recorded_at_ms: stored.recorded_at.0,
        leaf: hex::encode(stored.leaf),
        leaf_holds: leaf == stored.leaf,
        chain_before: before.map(hex::encode).unwrap_or_default(),
        chain: hex::encode(stored.chain),
        chain_holds: chain == Some(stored.chain),
        redacted_at: None,
        envelope_holds: None,
    }
}

/// An event in one line; `cause` is the position of the event that it followed from.
pub(super) fn mark(event: &Recorded, cause: Option<Position>) -> EventMark {
    EventMark {
        position: event.position,
        recorded_at: instant(event),
        stream: stream_of(event),
        event_type: event.event.type_name().to_owned(),
        actor: event.metadata.actor.clone(),
        cause,
    }
}

/// As `entity` of a question names it.
fn word(entity: Entity) -> String {
    match entity {
        Entity::Plan(id) => format!("plan:{id}"),
        Entity::Run(id) => format!("run:{id}"),
        Entity::Data(id) => format!("data:{id}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use knit_domain::id::EventId;
    use knit_domain::time::Timestamp;
    use knit_log::chain::GENESIS;

    fn stored() -> StoredEvent {
        let mut stored = StoredEvent {
            position: 1,
            event_id: EventId(uuid::Uuid::nil()),
            stream_type: "plan".to_owned(),
            stream_id: uuid::Uuid::nil().to_string(),
            sequence: 1,
            event_type: "PlanActivated".to_owned(),
            event_version: "1".to_owned(),
            payload: r#"{"PlanActivated":{}}"#.to_owned(),
            metadata: r#"{"actor":"anonymous"}"#.to_owned(),
            recorded_at: Timestamp(1_741_000_000_000),
            salt: vec![7; 16],
            leaf: GENESIS,
            chain: GENESIS,
        };
        stored.leaf = stored.leaf_of_content();
        stored.chain = link(&GENESIS, 1, stored.recorded_at, &stored.leaf);
        stored
    }

    fn holds(stored: &StoredEvent) -> (bool, bool) {
        let seal = seal(stored, Some(&GENESIS));
        (seal.leaf_holds, seal.chain_holds)
    }

    #[test]
    fn what_was_changed_shows_in_the_leaf_or_in_the_chain() {
        assert_eq!(holds(&stored()), (true, true));
        assert_eq!(holds(&StoredEvent { payload: "{}".to_owned(), ..stored() }), (false, true));
        assert_eq!(holds(&StoredEvent { metadata: r#"{"actor":"nobody"}"#.to_owned(), ..stored() }), (false, true));
        assert_eq!(holds(&StoredEvent { salt: vec![8; 16], ..stored() }), (false, true));
        assert_eq!(holds(&StoredEvent { recorded_at: Timestamp(0), ..stored() }), (true, false));
        let forged = StoredEvent { payload: "{}".to_owned(), ..stored() };
        let forged = StoredEvent { leaf: forged.leaf_of_content(), ..forged };
        assert_eq!(holds(&forged), (true, false));
    }
}
