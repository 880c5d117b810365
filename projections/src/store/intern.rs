//! Interning: every id and every text is kept once and spoken of by its row.

use uuid::Uuid;

use super::column::{self, Column, Row, TextRow};
use crate::blocks::Stretch;
use crate::strung::Strung;
use crate::table::RowIndex;

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

    /// Every id, in the order of rows, as many at a time as snapshots have in a record.
    pub(super) fn stretches(&self) -> impl Iterator<Item = Stretch<'_, Uuid>> {
        self.ids.stretches()
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

/// Texts, each once, end to end.
#[derive(Debug, Clone, Default)]
pub(super) struct Texts {
    texts: Strung<String>,
    index: RowIndex<TextRow>,
}

impl Texts {
    /// The row of a text.
    pub(super) fn row(&self, text: &str) -> Option<TextRow> {
        self.index.find(text, |row| self.get(row) == text)
    }

    /// The text of a row.
    pub(super) fn get(&self, row: TextRow) -> &str {
        self.texts.get(row.index())
    }

    /// The row of a text, added if it is new.
    pub(super) fn intern(&mut self, text: &str) -> TextRow {
        if let Some(row) = self.row(text) {
            return row;
        }
        let row = column::next(self.texts.len());
        self.texts.push(text);
        self.index.insert(row, |row: TextRow| self.texts.get(row.index()));
        row
    }

    /// Number of texts.
    pub(super) fn len(&self) -> usize {
        self.texts.len()
    }

    /// Every text, in the order of rows.
    pub(super) fn all(&self) -> impl Iterator<Item = &str> {
        (0..self.texts.len()).map(|place| self.texts.get(place))
    }

    /// Bytes of heap held.
    pub(super) fn heap_bytes(&self) -> usize {
        self.texts.heap_bytes() + self.index.heap_bytes()
    }
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
