//! Some events in a row, ready to be written.

use std::collections::BTreeMap;

use knit_domain::event::{Entity, Position, Recorded, StreamId};
use knit_domain::id::EventId;
use knit_domain::reservation::{self, Change, Holder, Scope};
use knit_domain::time::Timestamp;
use knit_schemas::export::Event;
use uuid::Uuid;

use super::ImportError;
use crate::batch::{End, Place};
use crate::columns::{self, signed};
use crate::error::ReadError;
use crate::postgres::Copied;
use crate::reader::EventRow;
use crate::redacted::{EMPTIED, emptied_by};

/// A row of the index from entities to events: kind, id, position.
pub(crate) type IndexRow = (&'static str, Uuid, i64);

/// Some events in a row, ready to be written.
#[derive(Debug)]
pub struct ImportPage {
    pub(crate) first: Position,
    /// The last of them.
    pub(crate) end: End,
    pub(crate) rows: Rows,
    /// Places to be given back, and then those to be taken.
    pub(crate) released: Vec<Place>,
    pub(crate) taken: Vec<Place>,
    /// Events whose content was taken out; what they mean is said behind them.
    pub(super) emptied: Vec<Event>,
    /// Those that say what remains of such events.
    pub(super) redactions: Vec<Recorded>,
    /// Places that are given back, and where.
    pub(super) released_at: Vec<(Place, Position)>,
}

/// The rows as the database takes them.
#[derive(Debug)]
pub(crate) enum Rows {
    /// The events written down as PostgreSQL copies them.
    Copied(Copied),
    /// As values.
    Bound { events: Vec<Event>, index: Vec<IndexRow> },
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
        // Neighbours in the index are written one after another, so that each of its pages is touched once; PostgreSQL
        // puts several pages' together.
        index.sort_unstable();
        let released_at = std::mem::take(&mut places.released_at);
        let (released, taken) = places.net();
        let rows = Rows::of(events, index, is_copied);
        Ok(Some(Self { first, end, rows, released, taken, emptied, redactions, released_at }))
    }

    /// What is written beside the events, when the last of those it is about is `last`.
    pub(super) fn without_events(last: &Event, index: Vec<IndexRow>, taken: Vec<Place>, is_copied: bool) -> Self {
        let recorded_at = Timestamp(last.recorded_at_ms);
        let end = End { position: last.position, chain: last.chain, recorded_at };
        let rows = Rows::of(Vec::new(), index, is_copied);
        let (emptied, redactions, released_at) = (Vec::new(), Vec::new(), Vec::new());
        Self { first: last.position, end, rows, released: Vec::new(), taken, emptied, redactions, released_at }
    }

    /// How many events they are.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.end.position + 1 - self.first
    }
}

impl Rows {
    fn of(events: Vec<Event>, index: Vec<IndexRow>, is_copied: bool) -> Self {
        if is_copied { Self::Copied(Copied::of(&events, index)) } else { Self::Bound { events, index } }
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

/// Places that were mentioned, with what must have been of each before, and what is now.
#[derive(Debug, Default)]
struct Places {
    mentioned: BTreeMap<(Scope, Holder), (bool, bool)>,
    released_at: Vec<(Place, Position)>,
}

impl Places {
    fn change(&mut self, position: Position, change: Change) -> Result<(), ImportError> {
        match change {
            Change::Take(scope, holder) => {
                let (_, is_taken) = self.mentioned.entry((scope, holder.clone())).or_insert((false, false));
                if std::mem::replace(is_taken, true) {
                    return Err(ImportError::TakenTwice { position, scope, holder });
                }
            }
            Change::Release(scope, holder) => {
                self.released_at.push(((scope, holder.clone()), position));
                self.mentioned.entry((scope, holder)).or_insert((true, true)).1 = false;
            }
        }
        Ok(())
    }

    /// Those to be given back, and then those to be taken.
    fn net(self) -> (Vec<Place>, Vec<Place>) {
        let (mut released, mut taken) = (Vec::new(), Vec::new());
        for (place, (was_taken, is_taken)) in self.mentioned {
            if is_taken {
                taken.push(place.clone());
            }
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
        assert_eq!(places.net(), (vec![place(3), place(4)], vec![place(2), place(4)]));
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
