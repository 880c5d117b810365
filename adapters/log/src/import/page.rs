//! Some events in a row, ready to be written.

use std::collections::BTreeMap;

use knit_domain::event::{Entity, Position, Recorded, StreamId};
use knit_domain::id::EventId;
use knit_domain::reservation::{self, Change, Holder, Scope};
use knit_domain::time::Timestamp;
use knit_schemas::export::Event;

use super::ImportError;
use super::beside::Meaning;
use crate::batch::{End, Place};
use crate::columns::{self, signed};
use crate::error::ReadError;
use crate::postgres::copied_events;
use crate::reader::EventRow;
use crate::redacted::{EMPTIED, emptied_by};

/// Some events in a row, ready to be written.
#[derive(Debug)]
pub struct ImportPage {
    pub(crate) first: Position,
    /// The last of them.
    pub(crate) end: End,
    pub(crate) events: Rows,
    pub(super) meaning: Meaning,
    /// Events whose content was taken out; what they mean is said behind them.
    pub(super) emptied: Vec<Event>,
    /// Those that say what remains of such events.
    pub(super) redactions: Vec<Recorded>,
    /// Places that are given back, and where.
    pub(super) released_at: Vec<(Place, Position)>,
}

/// The events as the database takes them.
#[derive(Debug)]
pub(crate) enum Rows {
    /// Written down as PostgreSQL copies them.
    Copied(Vec<u8>),
    /// As values.
    Bound(Vec<Event>),
}

impl ImportPage {
    /// Reads what the events say of entities and reservations.
    pub(super) fn of(mut events: Vec<Event>, is_copied: bool) -> Result<Option<Self>, ImportError> {
        let Some((first, last)) = events.first().map(|event| event.position).zip(events.last()) else {
            return Ok(None);
        };
        let recorded_at = Timestamp(last.recorded_at_ms);
        let end = End { position: last.position, chain: last.chain, recorded_at };
        let (mut index, mut places) = (Vec::new(), Places::default());
        let (mut emptied, mut redactions) = (Vec::new(), Vec::new());
        for event in &mut events {
            let position = signed(event.position);
            let mut index_of = |entity: Entity| {
                let (kind, id) = columns::entity(entity);
                index.push((kind, id, position));
            };
            if event.is_emptied() {
                EMPTIED.clone_into(&mut event.payload);
                own_entity(event)?.into_iter().for_each(&mut index_of);
                emptied.push(event.clone());
                continue;
            }
            let recorded = row(event).decode()?;
            recorded.event.entities(&recorded.stream).into_iter().for_each(&mut index_of);
            let mut changes = reservation::changes(&recorded.stream, &recorded.event).into_iter();
            changes.try_for_each(|change| places.change(event.position, change))?;
            if emptied_by(&recorded.event).is_some() {
                redactions.push(recorded);
            }
        }
        // What is in order by itself is soon in order together.
        index.sort_unstable();
        let released_at = std::mem::take(&mut places.released_at);
        let (released, taken) = places.net();
        let meaning = Meaning { index, released, taken };
        let events = if is_copied { Rows::Copied(copied_events(&events)) } else { Rows::Bound(events) };
        Ok(Some(Self { first, end, events, meaning, emptied, redactions, released_at }))
    }

    /// How many events they are.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.end.position + 1 - self.first
    }
}

/// The entity whose stream the event is of, if it is one's: all that is known of an emptied event by itself.
pub(super) fn own_entity(event: &Event) -> Result<Option<Entity>, ReadError> {
    let kind = event.stream_type.parse();
    let kind = kind.map_err(|source| ReadError::Undecodable { position: event.position, source })?;
    Ok(Entity::of_stream(&StreamId { kind, id: event.stream_id.clone() }))
}

pub(super) fn row(event: &Event) -> EventRow<'_> {
    EventRow {
        position: event.position,
        event_id: EventId(event.event_id),
        stream_type: &event.stream_type,
        stream_id: &event.stream_id,
        sequence: event.sequence,
        event_type: &event.event_type,
        event_version: &event.event_version,
        payload: &event.payload,
        metadata: &event.metadata,
        recorded_at: Timestamp(event.recorded_at_ms),
        salt: &event.salt,
        leaf: event.leaf,
        chain: event.chain,
    }
}

/// Places that were mentioned: whether each must have been taken before, and what has taken it since.
#[derive(Debug, Default)]
struct Places {
    mentioned: BTreeMap<(Scope, Holder), (bool, Option<Position>)>,
    released_at: Vec<(Place, Position)>,
}

impl Places {
    fn change(&mut self, position: Position, change: Change) -> Result<(), ImportError> {
        match change {
            Change::Take(scope, holder) => {
                let (_, taken_at) = self.mentioned.entry((scope, holder.clone())).or_insert((false, None));
                if taken_at.replace(position).is_some() {
                    return Err(ImportError::TakenTwice { position, scope, holder });
                }
            }
            Change::Release(scope, holder) => {
                self.released_at.push(((scope, holder.clone()), position));
                self.mentioned.entry((scope, holder)).or_insert((true, None)).1 = None;
            }
        }
        Ok(())
    }

    /// Those to be given back, and then those to be taken.
    fn net(self) -> (Vec<Place>, Vec<(Place, Position)>) {
        let (mut released, mut taken) = (Vec::new(), Vec::new());
        for (place, (was_taken, taken_at)) in self.mentioned {
            taken.extend(taken_at.map(|position| (place.clone(), position)));
            if was_taken {
                released.push(place);
            }
        }
        (released, taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use knit_domain::id::{KnitId, RunId};
    use uuid::Uuid;

    fn place(n: u128) -> Place {
        (Scope::DataUse(KnitId(Uuid::from_u128(n))), Holder::Run(RunId(Uuid::from_u128(7))))
    }

    #[test]
    fn what_is_taken_and_given_back_within_a_page_leaves_no_trace() {
        let mut places = Places::default();
        let take = |n| Change::Take(place(n).0, place(n).1);
        let release = |n| Change::Release(place(n).0, place(n).1);
        for change in [take(1), take(2), release(1), release(3), release(4), take(4), take(1), release(1)] {
            places.change(1, change).unwrap();
        }
        assert_eq!(places.net(), (vec![place(3), place(4)], vec![(place(2), 1), (place(4), 1)]));
    }

    #[test]
    fn a_place_that_is_taken_twice_is_named() {
        let mut places = Places::default();
        let (scope, holder) = place(1);
        places.change(1, Change::Take(scope, holder.clone())).unwrap();
        let refused = places.change(2, Change::Take(scope, holder)).unwrap_err();
        assert!(matches!(refused, ImportError::TakenTwice { position: 2, .. }), "{refused}");
    }
}
