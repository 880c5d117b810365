//! Lists that are copied without copying what is in them.
//!
//! A projection is looked at as a whole, to save, to digest or to compare it, while it goes on changing. Whoever
//! does that takes a copy, and nobody may notice how long that takes. So what grows with the history is kept in blocks
//! that its copies share; who changes a row in a shared block copies that block first. The same is done with tables
//! ([`crate::table`]), with what is sorted ([`crate::sorted`]) and with texts ([`crate::strung`]).

use std::ops::{Index, IndexMut};
use std::sync::Arc;

/// Rows in a block, unless a list has others because its rows are costly to copy: some ten kilobytes, so that the first
/// change beside a copy takes some microseconds, and a copy of a million rows counts five hundred references. With
/// blocks of a quarter of that, the references to them are too many for the nearest cache, and walks were a tenth slower.
pub(crate) const BLOCK_ROWS: usize = 2_048;

/// Rows that are looked at together by [`Blocks::stretches`]: snapshots of the store have as many in a record, so that
/// another number changes its digests. Every number of rows in a block divides it.
pub(crate) const STRETCH_ROWS: usize = 8_192;

/// A list that grows at its end.
#[derive(Debug, Clone)]
pub(crate) struct Blocks<T, const ROWS: usize = BLOCK_ROWS> {
    full: Vec<Arc<[T; ROWS]>>,
    /// Fewer than a block has.
    last: Vec<T>,
}

/// Some rows of a list that follow one another.
#[derive(Debug)]
pub(crate) struct Stretch<'a, T, const ROWS: usize = BLOCK_ROWS> {
    full: &'a [Arc<[T; ROWS]>],
    last: &'a [T],
}

impl<T, const ROWS: usize> Default for Blocks<T, ROWS> {
    fn default() -> Self {
        Self { full: Vec::new(), last: Vec::new() }
    }
}

impl<T, const ROWS: usize> Blocks<T, ROWS> {
    /// Appends a row.
    pub(crate) fn push(&mut self, row: T) {
        self.last.push(row);
        if self.last.len() == ROWS {
            let block: Arc<[T]> = self.last.drain(..).collect();
            self.full.push(block.try_into().unwrap_or_else(|_| unreachable!("the block has just so many rows")));
        }
    }

    /// Number of rows.
    pub(crate) fn len(&self) -> usize {
        self.full.len() * ROWS + self.last.len()
    }

    /// The row at a place counted from 0, if there is one.
    pub(crate) fn get(&self, place: usize) -> Option<&T> {
        match self.full.get(place / ROWS) {
            Some(block) => block.get(place % ROWS),
            None => self.last.get(place.checked_sub(self.full.len() * ROWS)?),
        }
    }

    /// How many rows come before those for which `is_before` is false, in a list in which none of them comes earlier.
    pub(crate) fn partition_point(&self, is_before: impl Fn(&T) -> bool) -> usize {
        let whole = self.full.partition_point(|block| block.last().is_some_and(&is_before));
        let block = self.full.get(whole).map_or(self.last.as_slice(), |block| block.as_slice());
        whole * ROWS + block.partition_point(is_before)
    }

    /// The rows in their order, [`STRETCH_ROWS`] at a time; none is empty, and only the last has fewer.
    pub(crate) fn stretches(&self) -> impl Iterator<Item = Stretch<'_, T, ROWS>> {
        const { assert!(STRETCH_ROWS.is_multiple_of(ROWS)) };
        let mut whole = self.full.chunks_exact(STRETCH_ROWS / ROWS);
        let last = Stretch { full: whole.remainder(), last: &self.last };
        let whole = std::iter::from_fn(move || whole.next().map(|full| Stretch { full, last: &[] }));
        whole.chain(Some(last).filter(|last| last.iter().next().is_some()))
    }

    /// Every row, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        Stretch { full: &self.full, last: &self.last }.iter()
    }

    /// Bytes of heap held, without what the rows themselves point to. Blocks that a copy shares count for both.
    pub(crate) fn heap_bytes(&self) -> usize {
        let rows = self.full.len() * ROWS + self.last.capacity();
        self.full.capacity() * size_of::<Arc<[T; ROWS]>>() + rows * size_of::<T>()
    }
}

impl<'a, T, const ROWS: usize> Stretch<'a, T, ROWS> {
    /// The rows, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &'a T> + use<'a, T, ROWS> {
        self.full.iter().flat_map(|block| block.iter()).chain(self.last)
    }
}

impl<T, const ROWS: usize> Index<usize> for Blocks<T, ROWS> {
    type Output = T;

    fn index(&self, place: usize) -> &T {
        match self.full.get(place / ROWS) {
            Some(block) => &block[place % ROWS],
            None => &self.last[place - self.full.len() * ROWS],
        }
    }
}

impl<T: Clone, const ROWS: usize> IndexMut<usize> for Blocks<T, ROWS> {
    fn index_mut(&mut self, place: usize) -> &mut T {
        let whole = self.full.len() * ROWS;
        match self.full.get_mut(place / ROWS) {
            Some(block) => &mut Arc::make_mut(block)[place % ROWS],
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
        }
    }

    #[test]
    fn stretches_have_the_same_number_of_rows_but_for_the_last() {
        for rows in [0, 1, BLOCK_ROWS, STRETCH_ROWS - 1, STRETCH_ROWS, STRETCH_ROWS + 1, 2 * STRETCH_ROWS] {
            let list = counted(rows);
            let stretches: Vec<Vec<usize>> = list.stretches().map(|rows| rows.iter().copied().collect()).collect();
            let all: Vec<usize> = (0..rows).collect();
            let expected: Vec<&[usize]> = all.chunks(STRETCH_ROWS).collect();
            assert_eq!(stretches, expected, "{rows} rows");
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
