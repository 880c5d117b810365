//! Interning: every id and every text is kept once and spoken of by its row.

use std::hash::{BuildHasher, Hash, RandomState};

use hashbrown::HashTable;
use uuid::Uuid;

use super::column::{Column, Row, TextRow};

/// Finds rows by the value they hold. It keeps the rows only, so the values are not held twice.
#[derive(Debug, Clone)]
pub(super) struct RowIndex<R> {
    table: HashTable<R>,
    hasher: RandomState,
}

impl<R> Default for RowIndex<R> {
    fn default() -> Self {
        Self { table: HashTable::new(), hasher: RandomState::new() }
    }
}

impl<R: Row> RowIndex<R> {
    /// The row that holds `key`, as `holds` tells.
    pub(super) fn find(&self, key: impl Hash, holds: impl Fn(R) -> bool) -> Option<R> {
        self.table.find(self.hasher.hash_one(key), |row| holds(*row)).copied()
    }

    /// Adds the row of a key that is not there yet; `key_of` gives the key of any row.
    pub(super) fn insert<K: Hash>(&mut self, row: R, key_of: impl Fn(R) -> K) {
        let hash = |row: R| self.hasher.hash_one(key_of(row));
        self.table.insert_unique(hash(row), row, |other| hash(*other));
    }

    /// Bytes of heap held.
    pub(super) fn heap_bytes(&self) -> usize {
        self.table.allocation_size()
    }
}

/// Ids of one kind.
#[derive(Debug, Clone)]
pub(super) struct Ids<R> {
    ids: Column<R, Uuid>,
    index: RowIndex<R>,
}

impl<R> Default for Ids<R> {
    fn default() -> Self {
        Self { ids: Column::default(), index: RowIndex::default() }
    }
}

impl<R: Row> Ids<R> {
    /// The row of an id.
    pub(super) fn row(&self, id: Uuid) -> Option<R> {
        self.index.find(id, |row| self.ids[row] == id)
    }

    /// The id of a row.
    pub(super) fn id(&self, row: R) -> Uuid {
        self.ids[row]
    }

    /// Adds an id that is not there yet.
    pub(super) fn add(&mut self, id: Uuid) -> R {
        let row = self.ids.push(id);
        self.index.insert(row, |row| self.ids[row]);
        row
    }

    /// Number of ids.
    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    /// Every id, in the order of rows, a block of them at a time.
    pub(super) fn blocks(&self) -> impl Iterator<Item = &[Uuid]> {
        self.ids.blocks()
    }

    /// Every row.
    pub(super) fn rows(&self) -> impl DoubleEndedIterator<Item = R> + use<R> {
        self.ids.rows()
    }

    /// Bytes of heap held.
    pub(super) fn heap_bytes(&self) -> usize {
        self.ids.heap_bytes() + self.index.heap_bytes()
    }
}

/// Texts, each once, end to end in one allocation.
#[derive(Debug, Clone, Default)]
pub(super) struct Texts {
    text: String,
    /// Where each text ends; it begins where the one before ends.
    ends: Column<TextRow, usize>,
    index: RowIndex<TextRow>,
}

impl Texts {
    /// The row of a text.
    pub(super) fn row(&self, text: &str) -> Option<TextRow> {
        self.index.find(text, |row| self.get(row) == text)
    }

    /// The text of a row.
    pub(super) fn get(&self, row: TextRow) -> &str {
        slice(&self.text, &self.ends, row)
    }

    /// The row of a text, added if it is new.
    pub(super) fn intern(&mut self, text: &str) -> TextRow {
        if let Some(row) = self.row(text) {
            return row;
        }
        self.text.push_str(text);
        let row = self.ends.push(self.text.len());
        self.index.insert(row, |row| slice(&self.text, &self.ends, row));
        row
    }

    /// Number of texts.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Every text, in the order of rows.
    pub(super) fn all(&self) -> impl Iterator<Item = &str> {
        self.ends.rows().map(|row| self.get(row))
    }

    /// Bytes of heap held.
    pub(super) fn heap_bytes(&self) -> usize {
        self.text.capacity() + self.ends.heap_bytes() + self.index.heap_bytes()
    }
}

fn slice<'a>(text: &'a str, ends: &Column<TextRow, usize>, row: TextRow) -> &'a str {
    let begin = row.index().checked_sub(1).and_then(TextRow::at).map_or(0, |before| ends[before]);
    &text[begin..ends[row]]
}

#[cfg(test)]
mod tests {
    use super::super::column::DataRow;
    use super::*;

    #[test]
    fn a_text_is_kept_once() {
        let mut texts = Texts::default();
        let rows: Vec<TextRow> = ["type", "", "corpus", "type", ""].iter().map(|text| texts.intern(text)).collect();
        assert_eq!((rows[0], rows[1]), (rows[3], rows[4]));
        assert_eq!(texts.len(), 3);
        assert_eq!(texts.all().collect::<Vec<_>>(), ["type", "", "corpus"]);
        assert_eq!(texts.row("corpus"), Some(rows[2]));
        assert_eq!(texts.row("cor"), None);
    }

    #[test]
    fn ids_are_found_after_the_table_has_grown() {
        let mut ids: Ids<DataRow> = Ids::default();
        let given: Vec<Uuid> = (0..1_000_u128).map(|n| Uuid::from_u128(n << 64)).collect();
        let rows: Vec<DataRow> = given.iter().map(|id| ids.add(*id)).collect();
        for (id, row) in given.iter().zip(rows) {
            assert_eq!(ids.row(*id), Some(row));
            assert_eq!(ids.id(row), *id);
        }
        assert_eq!(ids.row(Uuid::from_u128(7)), None);
    }
}
