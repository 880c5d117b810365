//! A list in the order in which things came into it.

use std::collections::BTreeSet;
use std::ops::Bound;

use knit_domain::event::Position;
use knit_domain::id::{AgentName, KnitId, RunId};
use uuid::Uuid;

use crate::heap;

/// Keys by the position of the event that brought each into the list.
#[derive(Debug, Clone)]
pub(super) struct List<K>(BTreeSet<(Position, K)>);

/// The key of a list.
pub(super) trait Key: Ord + Clone {
    /// A key that none comes before.
    fn least() -> Self;
}

impl Key for RunId {
    fn least() -> Self {
        Self(Uuid::nil())
    }
}

impl Key for KnitId {
    fn least() -> Self {
        Self(Uuid::nil())
    }
}

impl Key for AgentName {
    fn least() -> Self {
        Self(String::new())
    }
}

impl<K> Default for List<K> {
    fn default() -> Self {
        Self(BTreeSet::new())
    }
}

impl<K: Key> List<K> {
    pub(super) fn insert(&mut self, entered: Position, key: K) {
        self.0.insert((entered, key));
    }

    pub(super) fn remove(&mut self, entered: Position, key: K) {
        self.0.remove(&(entered, key));
    }

    /// Bytes of heap held, roughly.
    pub(super) fn heap_bytes(&self) -> usize {
        heap::of_entries::<(Position, K)>(self.0.len())
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// What came into the list after a position, the earliest first.
    pub(super) fn after(&self, position: Position) -> impl Iterator<Item = &K> {
        let from = (position.saturating_add(1), K::least());
        self.0.range((Bound::Included(from), Bound::Unbounded)).map(|(_, key)| key)
    }
}
