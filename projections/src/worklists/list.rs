//! A list in the order in which things came into it.

use knit_domain::event::Position;

use crate::sorted::Sorted;

/// Keys by the position of the event that brought each into the list.
#[derive(Debug, Clone)]
pub(super) struct List<K>(Sorted<(Position, K)>);

impl<K> Default for List<K> {
    fn default() -> Self {
        Self(Sorted::default())
    }
}

impl<K: Ord + Clone> List<K> {
    pub(super) fn insert(&mut self, entered: Position, key: K) {
        self.0.insert((entered, key));
    }

    pub(super) fn remove(&mut self, entered: Position, key: K) {
        self.0.remove(&(entered, key));
    }

    /// Bytes of heap held, roughly.
    pub(super) fn heap_bytes(&self) -> usize {
        self.0.heap_bytes()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// What came into the list after a position, the earliest first.
    pub(super) fn after(&self, position: Position) -> impl Iterator<Item = &K> {
        self.0.from(move |(entered, _)| *entered <= position).map(|(_, key)| key)
    }
}
