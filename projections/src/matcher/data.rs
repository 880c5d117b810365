//! The Data that may be used now.

use knit_domain::id::KnitId;
use knit_domain::time::Timestamp;

use super::numbers::{Arrival, DataNo, InputNo, TagNo};
use crate::blocks::Blocks;
use crate::heap;
use crate::table::RowIndex;

/// Data in a block: each has lists of its own, which cost more to copy than the rest of it.
const DATA_TOGETHER: usize = 128;

/// Usable Data: their Runs are done and they are not discarded.
#[derive(Debug, Clone, Default)]
pub(super) struct DataTable {
    numbers: RowIndex<DataNo>,
    /// Empty where a Data was discarded: numbers are not used again, so that their order stays the
    /// order in which Data became usable.
    entries: Entries,
}

type Entries = Blocks<Option<Usable>, DATA_TOGETHER>;

/// A Data that may be used.
#[derive(Debug, Clone)]
pub(super) struct Usable {
    pub(super) knit_id: KnitId,
    /// When its Run was done.
    pub(super) timestamp: Timestamp,
    /// Its user tags, sorted.
    pub(super) tags: Box<[TagNo]>,
    /// The inputs it fits, and the place of each pair in the order of the Plan's pairs.
    pub(super) pairs: Vec<(InputNo, Arrival)>,
}

impl DataTable {
    pub(super) fn add(&mut self, data: Usable) -> DataNo {
        let number = DataNo::at(self.entries.len());
        self.entries.push(Some(data));
        self.numbers.insert(number, |number| usable(&self.entries, number).knit_id);
        number
    }

    pub(super) fn remove(&mut self, number: DataNo) -> Option<Usable> {
        let knit_id = self.entries[number.place()].as_ref()?.knit_id;
        self.numbers.remove(knit_id, |other| other == number);
        self.entries[number.place()].take()
    }

    pub(super) fn find(&self, knit_id: KnitId) -> Option<DataNo> {
        self.numbers.find(knit_id, |number| self.of(number).knit_id == knit_id)
    }

    pub(super) fn of(&self, number: DataNo) -> &Usable {
        usable(&self.entries, number)
    }

    pub(super) fn of_mut(&mut self, number: DataNo) -> &mut Usable {
        self.entries[number.place()].as_mut().expect("what refers to a Data is dropped when it is discarded")
    }

    /// Bytes of heap held, roughly.
    pub(super) fn heap_bytes(&self) -> usize {
        let of_one = |data: &Usable| size_of_val(&*data.tags) + heap::of_list(&data.pairs);
        let all: usize = self.entries.iter().flatten().map(of_one).sum();
        self.numbers.heap_bytes() + self.entries.heap_bytes() + all
    }

    /// All, in the order in which they became usable.
    pub(super) fn iter(&self) -> impl Iterator<Item = (DataNo, &Usable)> {
        let numbered = self.entries.iter().enumerate();
        numbered.filter_map(|(place, data)| data.as_ref().map(|data| (DataNo::at(place), data)))
    }
}

fn usable(entries: &Entries, number: DataNo) -> &Usable {
    entries[number.place()].as_ref().expect("what refers to a Data is dropped when it is discarded")
}

impl Usable {
    pub(super) fn has(&self, tag: TagNo) -> bool {
        self.tags.binary_search(&tag).is_ok()
    }
}
