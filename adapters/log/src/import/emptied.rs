//! What events mean whose content was taken out (D15): entities they speak of, places they take.
//!
//! The journal says what remains of them, often far behind. So they are remembered until everything is there, together
//! with what was given back behind them: a Run that was projected and has gone since takes no place any more. An emptied
//! event gives nothing back, because those that do carry nothing that can be redacted.

use std::collections::BTreeMap;

use knit_domain::event::Position;
use knit_domain::reservation::{self, Change};
use knit_schemas::export::Event;

use super::beside::Meaning;
use super::page::{ImportPage, own_entity, row};
use crate::batch::Place;
use crate::columns::{entity, signed};
use crate::error::ReadError;
use crate::redacted::Remaining;

/// Emptied events of an import, and what has been said since.
#[derive(Debug, Default)]
pub(super) struct Emptied {
    events: Vec<Event>,
    remaining: Remaining,
    /// Where places were given back last, behind the first emptied event.
    released: BTreeMap<Place, Position>,
}

impl Emptied {
    /// Takes note of the next page.
    pub(super) fn note(&mut self, page: &ImportPage) {
        self.events.extend(page.emptied.iter().cloned());
        page.redactions.iter().for_each(|redaction| self.remaining.take(redaction.clone()));
        if !self.events.is_empty() {
            self.released.extend(page.released_at.iter().cloned());
        }
    }

    /// What is still to be said once everything is there: rows of the index and places.
    ///
    /// # Errors
    /// [`ReadError`] where it is not known what remains, or cannot be read.
    pub(super) fn meaning(&self) -> Result<Meaning, ReadError> {
        let mut meaning = Meaning::default();
        for event in &self.events {
            let recorded = self.remaining.seen(row(event))?.decode()?;
            let own = own_entity(event)?;
            let others = recorded.event.entities(&recorded.stream).into_iter().filter(|other| Some(*other) != own);
            meaning.index.extend(others.map(entity).map(|(kind, id)| (kind, id, signed(event.position))));
            for change in reservation::changes(&recorded.stream, &recorded.event) {
                match change {
                    Change::Take(scope, holder) => meaning.taken.push(((scope, holder), event.position)),
                    Change::Release(..) => {}
                }
            }
        }
        let is_kept =
            |(place, position): &(Place, Position)| self.released.get(place).is_none_or(|released| released < position);
        meaning.taken.retain(is_kept);
        Ok(meaning)
    }
}
