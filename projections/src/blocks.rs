//! Lists that are copied without copying what is in them.
//!
//! A projection is looked at as a whole, to save, to digest or to compare it, while it goes on changing. Whoever
//! does that takes a copy, and nobody may notice how long that takes. So a long list is kept in blocks that its
//! copies share; who changes a row in a shared block copies that block first.

use std::ops::{Index, IndexMut};
use std::sync::Arc;

/// Rows in a block. Copying one on the first change takes some microseconds, and a copy of a list of a million rows
/// counts a hundred references. Snapshots of the store have blocks of this size as well: another one changes its
/// digests.
pub(crate) const BLOCK_ROWS: usize = 8_192;

/// A list that grows at its end.
#[derive(Debug, Clone)]
pub(crate) struct Blocks<T> {
    /// Each has [`BLOCK_ROWS`] rows.
    full: Vec<Arc<[T]>>,
    /// Fewer.
    last: Vec<T>,
}

impl<T> Default for Blocks<T> {
    fn default() -> Self {
        Self { full: Vec::new(), last: Vec::new() }
    }
}

impl<T> Blocks<T> {
    /// Appends a row.
    pub(crate) fn push(&mut self, row: T) {
        self.last.push(row);
        if self.last.len() == BLOCK_ROWS {
            self.full.push(std::mem::take(&mut self.last).into());
        }
    }

    /// Number of rows.
    pub(crate) fn len(&self) -> usize {
        self.full.len() * BLOCK_ROWS + self.last.len()
    }

    /// The row at a place counted from 0, if there is one.
    pub(crate) fn get(&self, place: usize) -> Option<&T> {
        match self.full.get(place / BLOCK_ROWS) {
            Some(block) => block.get(place % BLOCK_ROWS),
            None => self.last.get(place.checked_sub(self.full.len() * BLOCK_ROWS)?),
        }
    }

    /// How many rows come before those for which `is_before` is false, in a list in which none of them comes earlier.
    pub(crate) fn partition_point(&self, is_before: impl Fn(&T) -> bool) -> usize {
        let whole = self.full.partition_point(|block| block.last().is_some_and(&is_before));
        let block = self.full.get(whole).map_or(self.last.as_slice(), |block| &**block);
        whole * BLOCK_ROWS + block.partition_point(is_before)
    }

    /// The blocks in their order. None is empty, and all but the last have [`BLOCK_ROWS`] rows.
    pub(crate) fn blocks(&self) -> impl Iterator<Item = &[T]> {
        let last = Some(self.last.as_slice()).filter(|last| !last.is_empty());
        self.full.iter().map(|block| &**block).chain(last)
    }

    /// Every row, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.blocks().flatten()
    }

    /// Bytes of heap held, without what the rows themselves point to. Blocks that a copy shares count for both.
    pub(crate) fn heap_bytes(&self) -> usize {
        let rows = self.full.len() * BLOCK_ROWS + self.last.capacity();
        self.full.capacity() * size_of::<Arc<[T]>>() + rows * size_of::<T>()
    }
}

impl<T> Index<usize> for Blocks<T> {
    type Output = T;

    fn index(&self, place: usize) -> &T {
        match self.full.get(place / BLOCK_ROWS) {
            Some(block) => &block[place % BLOCK_ROWS],
            None => &self.last[place - self.full.len() * BLOCK_ROWS],
        }
    }
}

impl<T: Clone> IndexMut<usize> for Blocks<T> {
    fn index_mut(&mut self, place: usize) -> &mut T {
        let whole = self.full.len() * BLOCK_ROWS;
        match self.full.get_mut(place / BLOCK_ROWS) {
            Some(block) => &mut Arc::make_mut(block)[place % BLOCK_ROWS],
            None => &mut self.last[place - whole],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(rows: usize) -> Blocks<usize> {
        let mut list = Blocks::default();
        (0..rows).for_each(|row| list.push(row));
        list
    }

    #[test]
    fn rows_are_found_on_both_sides_of_every_border() {
        for rows in [0, 1, BLOCK_ROWS - 1, BLOCK_ROWS, BLOCK_ROWS + 1, 2 * BLOCK_ROWS] {
            let list = counted(rows);
            assert_eq!(list.len(), rows);
            assert!(list.iter().copied().eq(0..rows), "{rows} rows are in order");
            assert!((0..rows).all(|row| list[row] == row && list.get(row) == Some(&row)), "{rows} rows are found");
            assert_eq!(list.get(rows), None);
            assert!(list.blocks().all(|block| !block.is_empty()));
        }
    }

    #[test]
    fn a_place_in_a_sorted_list_is_found_on_both_sides_of_every_border() {
        for rows in [0, 1, BLOCK_ROWS, BLOCK_ROWS + 1, 2 * BLOCK_ROWS] {
            let list = counted(rows);
            for place in [0, 1, BLOCK_ROWS - 1, BLOCK_ROWS, BLOCK_ROWS + 1, 2 * BLOCK_ROWS, 3 * BLOCK_ROWS] {
                assert_eq!(list.partition_point(|row| *row < place), place.min(rows), "{place} of {rows}");
            }
        }
    }

    #[test]
    fn a_copy_stays_as_it_was_and_so_does_the_other() {
        let mut list = counted(2 * BLOCK_ROWS + 2);
        let copy = list.clone();
        list[1] = 7;
        list[2 * BLOCK_ROWS + 1] = 8;
        list.push(9);
        assert!(copy.iter().copied().eq(0..2 * BLOCK_ROWS + 2));
        assert_eq!((list[0], list[1], list[2 * BLOCK_ROWS + 1], list[2 * BLOCK_ROWS + 2]), (0, 7, 8, 9));
        let shared = |place: usize| std::ptr::eq(&raw const list[place], &raw const copy[place]);
        assert_eq!((shared(0), shared(BLOCK_ROWS)), (false, true), "only the block that was changed is another");
    }
}
