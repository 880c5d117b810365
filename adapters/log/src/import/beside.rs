//! What the log keeps beside the events, the index of entities and the places in scopes: it is put together while events
//! are written, and written itself when there is much of it, in its own order.
//!
//! The more is written at once, the fewer pages of the tables are touched: written with each page of events, the index
//! takes PostgreSQL twice as long. A place that is taken and given back in between is never written.

use std::collections::BTreeSet;

use knit_domain::event::Position;
use uuid::Uuid;

use super::ImportError;
use crate::batch::Place;

/// A row of the index from entities to events: kind, id, position.
pub(crate) type IndexRow = (&'static str, Uuid, i64);

/// Rows that are put together before they are written: those of some 400,000 events, in less than 200 MB of memory.
pub(super) const ROWS_MAX: usize = 1 << 20;

/// What some events mean.
#[derive(Debug, Default)]
pub(super) struct Meaning {
    pub(super) index: Vec<IndexRow>,
    /// Places to be given back.
    pub(super) released: Vec<Place>,
    /// Places to be taken then, and by which event.
    pub(super) taken: Vec<(Place, Position)>,
}

/// What is put together.
#[derive(Debug, Default)]
pub(super) struct Beside {
    index: Vec<IndexRow>,
    /// Places that were written as taken.
    released: BTreeSet<Place>,
    taken: BTreeSet<Place>,
}

/// What is written at once, each in the order of its table. Places are given back before others are taken.
#[derive(Debug)]
pub(crate) struct BesideRows {
    pub(crate) index: Vec<IndexRow>,
    pub(crate) released: Vec<Place>,
    pub(crate) taken: Vec<Place>,
}

impl Beside {
    /// Adds what the next events mean.
    ///
    /// # Errors
    /// [`ImportError::TakenTwice`].
    pub(super) fn add(&mut self, meaning: &Meaning) -> Result<(), ImportError> {
        self.index.extend_from_slice(&meaning.index);
        for place in &meaning.released {
            if !self.taken.remove(place) {
                self.released.insert(place.clone());
            }
        }
        for (place, position) in &meaning.taken {
            if !self.taken.insert(place.clone()) {
                let (scope, holder) = place.clone();
                return Err(ImportError::TakenTwice { position: *position, scope, holder });
            }
        }
        Ok(())
    }

    /// How many rows it is.
    pub(super) fn len(&self) -> usize {
        self.index.len() + self.released.len() + self.taken.len()
    }

    /// All of it. Much is sorted for tenths of a second: not on a thread on which others wait.
    pub(super) fn rows(mut self) -> BesideRows {
        // Each page was in order by itself, and this sort makes use of that.
        self.index.sort();
        let (released, taken) = (self.released.into_iter().collect(), self.taken.into_iter().collect());
        BesideRows { index: self.index, released, taken }
    }
}

#[cfg(test)]
mod tests {
    use knit_domain::id::{KnitId, RunId};
    use knit_domain::reservation::{Holder, Scope};

    use super::*;

    fn place(n: u128) -> Place {
        (Scope::DataUse(KnitId(Uuid::from_u128(n))), Holder::Run(RunId(Uuid::from_u128(7))))
    }

    fn meaning(released: &[u128], taken: &[u128]) -> Meaning {
        let taken = taken.iter().map(|n| (place(*n), 5)).collect();
        Meaning { index: vec![], released: released.iter().map(|n| place(*n)).collect(), taken }
    }

    #[test]
    fn what_is_taken_and_given_back_in_between_is_not_written() {
        let mut beside = Beside::default();
        for (released, taken) in [(&[][..], &[1, 2][..]), (&[1, 3, 4], &[4, 5]), (&[4, 5], &[1])] {
            beside.add(&meaning(released, taken)).unwrap();
        }
        let rows = beside.rows();
        assert_eq!((rows.released, rows.taken), (vec![place(3), place(4)], vec![place(1), place(2)]));
    }

    #[test]
    fn a_place_that_is_taken_on_two_pages_is_named() {
        let mut beside = Beside::default();
        beside.add(&meaning(&[], &[1])).unwrap();
        let refused = beside.add(&meaning(&[], &[1])).unwrap_err();
        assert!(matches!(refused, ImportError::TakenTwice { position: 5, .. }), "{refused}");
    }

    #[test]
    fn the_index_is_written_in_its_order() {
        let mut beside = Beside::default();
        let (a, b) = (Uuid::from_u128(1), Uuid::from_u128(2));
        for index in [vec![("data", b, 1), ("run", a, 2)], vec![("data", a, 3), ("data", b, 3)]] {
            beside.add(&Meaning { index, ..Meaning::default() }).unwrap();
        }
        assert_eq!(beside.rows().index, [("data", a, 3), ("data", b, 1), ("data", b, 3), ("run", a, 2)]);
    }
}
