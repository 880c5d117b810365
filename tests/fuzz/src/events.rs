//! Stored events: decoded, folded by every aggregate and projection, in whatever order they stand.
//!
//! One event a line, as `MILLISECONDS KIND STREAM NAME VERSION PAYLOAD`. Ids are long and have to agree with
//! each other, so `$` and two hexadecimal digits stand for one of 256 ids.

use std::collections::BTreeMap;

use knit_domain::agent::Agent;
use knit_domain::catalog::Catalog;
use knit_domain::data::Data;
use knit_domain::event::{Event, Metadata, Position, Recorded, StreamId};
use knit_domain::id::EventId;
use knit_domain::plan::Plan;
use knit_domain::reservation;
use knit_domain::run::Run;
use knit_domain::time::Timestamp;
use knit_log::StoredEvent;
use knit_projections::matcher::Matcher;
use knit_projections::projection::Projection;
use knit_projections::store::Store;
use knit_projections::worklists::Worklists;
use uuid::Uuid;

use crate::snapshots::Answers;

/// Events of one history that are folded; each costs a look at the whole projection.
const EVENTS_MAX: usize = 100;

/// A history.
pub(crate) fn events(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let text = with_ids(text);
    let mut history: Vec<Recorded> = Vec::new();
    for line in text.lines() {
        let after = history.last().map_or((0, Timestamp(i64::MIN)), |event| (event.position, event.recorded_at));
        history.extend(decoded(line, after.0 + 1, after.1));
        if history.len() == EVENTS_MAX {
            break;
        }
    }
    fold_streams(&history);
    fold::<Store>(&history);
    fold::<Matcher>(&history);
    fold::<Worklists>(&history);
}

/// The id that a number stands for.
pub(crate) fn id(number: u8) -> Uuid {
    Uuid::new_v5(&Uuid::nil(), &[number])
}

fn with_ids(text: &str) -> String {
    let mut pieces = text.split('$');
    let mut all = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        match piece.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(number) => all.push_str(&format!("{}{}", id(number), &piece[2..])),
            None => all.push_str(piece),
        }
    }
    all
}

/// The event of a line, at a position and not before a time: so much the log promises.
fn decoded(line: &str, position: Position, not_before: Timestamp) -> Option<Recorded> {
    let mut words = line.splitn(6, ' ');
    let mut word = || words.next().map(str::to_owned);
    let recorded_at = Timestamp(word()?.parse().ok()?).max(not_before);
    let (stream_type, stream_id, event_type, event_version) = (word()?, word()?, word()?, word()?);
    let stored = StoredEvent {
        position,
        event_id: EventId(Uuid::nil()),
        stream_type,
        stream_id,
        sequence: 1,
        event_type,
        event_version,
        payload: word()?,
        metadata: serde_json::to_string(&Metadata::default()).unwrap(),
        recorded_at,
        salt: Vec::new(),
        leaf: [0; 32],
        chain: [0; 32],
    };
    let recorded = stored.decode().ok()?;
    check_storing(&recorded);
    Some(recorded)
}

/// What was understood is stored and understood again.
fn check_storing(recorded: &Recorded) {
    let event = &recorded.event;
    let again = Event::decode(event.stream_type(), event.type_name(), &event.version().to_string(), &event.encode());
    assert_eq!(again.as_ref(), Ok(event));
    let entities = event.entities(&recorded.stream);
    assert!(entities.is_sorted());
    let changes = reservation::changes(&recorded.stream, event);
    for change in changes {
        let (reservation::Change::Take(_, holder) | reservation::Change::Release(_, holder)) = change;
        assert_eq!(reservation::Holder::parse(&holder.to_string()), Some(holder), "a holder is read back");
    }
}

/// Folds each stream by its aggregate, whatever it holds.
fn fold_streams(history: &[Recorded]) {
    let mut streams: BTreeMap<&StreamId, Vec<&Event>> = BTreeMap::new();
    for recorded in history {
        streams.entry(&recorded.stream).or_default().push(&recorded.event);
    }
    for events in streams.into_values() {
        let (mut catalog, mut plan, mut run) = (Catalog::default(), Plan::default(), Run::default());
        let (mut data, mut agent) = (Data::default(), Agent::default());
        for event in events {
            match event {
                Event::Catalog(event) => catalog.apply(event),
                Event::Plan(event) => plan.apply(event),
                Event::Run(event) => run.apply(event),
                Event::Data(event) => data.apply(event),
                Event::Agent(event) => agent.apply(event),
                Event::Journal(_) => {}
            }
        }
    }
}

/// Folds the history as an administrator would: what cannot be applied has changed nothing, and is skipped.
fn fold<P: Projection + Answers>(history: &[Recorded]) {
    let mut projection = P::default();
    for event in history {
        let before = projection.digest();
        if projection.apply(event).is_err() {
            assert_eq!(projection.digest(), before, "{} refused an event and changed", P::NAME);
            projection.skip(event.position).unwrap();
        }
        assert_eq!(projection.position(), event.position);
    }
    projection.answer_everything();
    let restored = P::restore(&projection.snapshot()).unwrap_or_else(|error| panic!("its own snapshot: {error}"));
    assert_eq!(restored.digest(), projection.digest(), "{} comes back from its snapshot", P::NAME);
}
