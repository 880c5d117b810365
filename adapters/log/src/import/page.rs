//! Some events in a row, ready to be written.

use std::collections::BTreeMap;

use knit_domain::event::{Entity, Position, StreamId};
use knit_domain::id::EventId;
use knit_domain::reservation::{self, Change, Holder, Scope};
use knit_domain::time::Timestamp;
use knit_schemas::export::Event;
use uuid::Uuid;

use super::ImportError;
use crate::batch::{End, Place};
use crate::columns::{entity, signed};
use crate::error::ReadError;
use crate::postgres::Copied;
use crate::reader::EventRow;

/// What stands in the place of a payload that was taken out: `json` of PostgreSQL cannot hold an empty text.
const EMPTIED: &str = "{}";

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
}

/// The rows as the database takes them.
#[derive(Debug)]
pub(crate) enum Rows {
    /// Written down as PostgreSQL copies them.
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
        for event in &mut events {
            let (entities, changes) = meaning(event)?;
            let position = signed(event.position);
            index.extend(entities.into_iter().map(entity).map(|(kind, id)| (kind, id, position)));
            changes.into_iter().try_for_each(|change| places.change(event.position, change))?;
        }
        // Neighbours in the index are written one after another, so that each of its pages is touched once.
        index.sort_unstable();
        let (released, taken) = places.net();
        let rows = if is_copied { Rows::Copied(Copied::of(&events, &index)) } else { Rows::Bound { events, index } };
        Ok(Some(Self { first, end, rows, released, taken }))
    }

    /// How many events they are.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.end.position + 1 - self.first
    }
}

/// What the log derives from an event when it is appended.
fn meaning(event: &mut Event) -> Result<(Vec<Entity>, Vec<Change>), ReadError> {
    if event.is_emptied() {
        EMPTIED.clone_into(&mut event.payload);
        // Nobody can read it any more. What is taken out (tags, annotations) is of no other entity, and takes no place.
        let kind = event.stream_type.parse();
        let kind = kind.map_err(|source| ReadError::Undecodable { position: event.position, source })?;
        let of_stream = Entity::of_stream(&StreamId { kind, id: event.stream_id.clone() });
        return Ok((of_stream.into_iter().collect(), Vec::new()));
    }
    let recorded = row(event).decode()?;
    let changes = reservation::changes(&recorded.stream, &recorded.event);
    Ok((recorded.event.entities(&recorded.stream), changes))
}

fn row(event: &Event) -> EventRow<'_> {
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
struct Places(BTreeMap<(Scope, Holder), (bool, bool)>);

impl Places {
    fn change(&mut self, position: Position, change: Change) -> Result<(), ImportError> {
        match change {
            Change::Take(scope, holder) => {
                let (_, is_taken) = self.0.entry((scope, holder.clone())).or_insert((false, false));
                if std::mem::replace(is_taken, true) {
                    return Err(ImportError::TakenTwice { position, scope, holder });
                }
            }
            Change::Release(scope, holder) => self.0.entry((scope, holder)).or_insert((true, true)).1 = false,
        }
        Ok(())
    }

    /// Those to be given back, and then those to be taken.
    fn net(self) -> (Vec<Place>, Vec<Place>) {
        let (mut released, mut taken) = (Vec::new(), Vec::new());
        for (place, (was_taken, is_taken)) in self.0 {
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
