//! Dense columns and the numbers of their rows.
//!
//! A row is four bytes, also when it may be absent, and a row of one kind of column does not fit
//! another. Rows are never removed: what ends is marked with the position at which it ended, because
//! the past stays askable.

use std::marker::PhantomData;
use std::ops::{Index, IndexMut};

use crate::blocks::{Blocks, Stretch};

/// Rows a column can hold. An event that would go beyond is refused before anything is changed.
pub(super) const ROWS_MAX: usize = u32::MAX as usize - 1;

/// The number of a row.
pub(super) trait Row: Copy + Eq {
    /// The row at a place counted from 0; `None` beyond [`ROWS_MAX`].
    fn at(index: usize) -> Option<Self>;
    /// Its place, counted from 0.
    fn index(self) -> usize;
    /// Its number in snapshots, counted from 1, so that 0 can say "none".
    fn number(self) -> u32;
}

/// Numbers of rows, one type for each kind of column.
macro_rules! rows {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(super) struct $name(std::num::NonZeroU32);

        impl $crate::store::column::Row for $name {
            fn at(index: usize) -> Option<Self> {
                u32::try_from(index).ok()?.checked_add(1).and_then(std::num::NonZeroU32::new).map(Self)
            }
            fn index(self) -> usize {
                self.0.get() as usize - 1
            }
            fn number(self) -> u32 {
                self.0.get()
            }
        }
    )*};
}
pub(super) use rows;

rows! {
    /// A Plan.
    PlanRow;
    /// A Run.
    RunRow;
    /// A Data.
    DataRow;
    /// A step in the life of a Run.
    StepRow;
    /// A Data in an input of a Run.
    EdgeRow;
    /// A change of a Data's tags.
    RetagRow;
    /// A tag.
    TagRow;
    /// A set of tags.
    SetRow;
    /// A text.
    TextRow;
}

/// Number of a row that may be absent, as snapshots have it.
pub(super) fn number_of<R: Row>(row: Option<R>) -> u32 {
    row.map_or(0, Row::number)
}

/// The row that comes after so many.
pub(super) fn next<R: Row>(rows: usize) -> R {
    R::at(rows).expect("the store refuses events for which there are no rows left")
}

/// A list that grows at its end, addressed by rows of one kind.
#[derive(Debug, Clone)]
pub(super) struct Column<R, T> {
    cells: Blocks<T>,
    rows: PhantomData<R>,
}

impl<R, T> Default for Column<R, T> {
    fn default() -> Self {
        Self { cells: Blocks::default(), rows: PhantomData }
    }
}

impl<R: Row, T> Column<R, T> {
    /// Appends a row.
    pub(super) fn push(&mut self, cell: T) -> R {
        let row = next(self.cells.len());
        self.cells.push(cell);
        row
    }

    /// Number of rows.
    pub(super) fn len(&self) -> usize {
        self.cells.len()
    }

    /// The last row, if there is any.
    pub(super) fn last(&self) -> Option<R> {
        self.cells.len().checked_sub(1).and_then(R::at)
    }

    /// The cell, if there is such a row.
    pub(super) fn get(&self, row: R) -> Option<&T> {
        self.cells.get(row.index())
    }

    /// Every row.
    pub(super) fn rows(&self) -> impl DoubleEndedIterator<Item = R> + use<R, T> {
        (0..self.cells.len()).filter_map(R::at)
    }

    /// Every cell, in order.
    pub(super) fn cells(&self) -> impl Iterator<Item = &T> {
        self.cells.iter()
    }

    /// Every cell, in order, as many at a time as snapshots have in a record.
    pub(super) fn stretches(&self) -> impl Iterator<Item = Stretch<'_, T>> {
        self.cells.stretches()
    }

    /// Bytes of heap held, without what the cells themselves point to.
    pub(super) fn heap_bytes(&self) -> usize {
        self.cells.heap_bytes()
    }
}

impl<R: Row, T> Index<R> for Column<R, T> {
    type Output = T;
    fn index(&self, row: R) -> &T {
        &self.cells[row.index()]
    }
}

impl<R: Row, T: Clone> IndexMut<R> for Column<R, T> {
    fn index_mut(&mut self, row: R) -> &mut T {
        &mut self.cells[row.index()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_that_may_be_absent_costs_four_bytes() {
        assert_eq!(size_of::<Option<DataRow>>(), 4);
    }

    #[test]
    fn rows_count_from_zero_inside_and_from_one_in_snapshots() {
        let mut column: Column<DataRow, &str> = Column::default();
        let first = column.push("first");
        assert_eq!((first.index(), first.number(), number_of(Some(first))), (0, 1, 1));
        assert_eq!(number_of::<DataRow>(None), 0);
        assert_eq!(column[first], "first");
        assert!(DataRow::at(ROWS_MAX + 1).is_none());
    }
}
