//! Lists that only grow, one for each owner, all in one allocation.
//!
//! Every link points to the link its owner got before, so a list is read newest first and adding to
//! it moves nothing. A vector for each of a million owners would cost several times as much.

use super::column::{Column, Row};

super::column::rows! {
    /// A link of some list.
    LinkRow;
}

/// What the owners have, newest first.
#[derive(Debug, Clone)]
pub(super) struct Chains<O, V> {
    ends: Column<O, End>,
    links: Column<LinkRow, Link<V>>,
}

#[derive(Debug, Clone, Copy, Default)]
struct End {
    newest: Option<LinkRow>,
    count: u32,
}

#[derive(Debug, Clone, Copy)]
struct Link<V> {
    value: V,
    older: Option<LinkRow>,
}

impl<O, V> Default for Chains<O, V> {
    fn default() -> Self {
        Self { ends: Column::default(), links: Column::default() }
    }
}

impl<O: Row, V: Copy> Chains<O, V> {
    /// Adds to the list of `owner`.
    pub(super) fn add(&mut self, owner: O, value: V) {
        while self.ends.get(owner).is_none() {
            self.ends.push(End::default());
        }
        let end = &mut self.ends[owner];
        end.newest = Some(self.links.push(Link { value, older: end.newest }));
        end.count = end.count.saturating_add(1);
    }

    /// How many `owner` has.
    pub(super) fn count(&self, owner: O) -> u32 {
        self.ends.get(owner).map_or(0, |end| end.count)
    }

    /// What `owner` has, newest first.
    pub(super) fn of(&self, owner: O) -> impl Iterator<Item = V> {
        let mut next = self.ends.get(owner).and_then(|end| end.newest);
        std::iter::from_fn(move || {
            let link = self.links[next?];
            next = link.older;
            Some(link.value)
        })
    }

    /// Links in all lists together.
    pub(super) fn len(&self) -> usize {
        self.links.len()
    }

    /// Bytes of heap held.
    pub(super) fn heap_bytes(&self) -> usize {
        self.ends.heap_bytes() + self.links.heap_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::super::column::{SetRow, TagRow};
    use super::*;

    #[test]
    fn each_owner_reads_its_own_list_newest_first() {
        let mut chains: Chains<TagRow, u8> = Chains::default();
        let (first, second) = (TagRow::at(0).unwrap(), TagRow::at(1).unwrap());
        for (owner, value) in [(first, 1), (second, 9), (first, 2), (first, 3)] {
            chains.add(owner, value);
        }
        assert_eq!(chains.of(first).collect::<Vec<_>>(), [3, 2, 1]);
        assert_eq!(chains.of(second).collect::<Vec<_>>(), [9]);
        assert_eq!((chains.count(first), chains.count(second), chains.len()), (3, 1, 4));
        assert_eq!(chains.of(TagRow::at(7).unwrap()).count(), 0);
    }

    #[test]
    fn a_link_to_a_row_costs_eight_bytes() {
        assert_eq!(size_of::<Link<SetRow>>(), 8);
    }
}
