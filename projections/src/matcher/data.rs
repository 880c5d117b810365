//! The Data that may be used now.

use std::collections::HashMap;

use knit_domain::id::KnitId;
use knit_domain::time::Timestamp;

use super::numbers::{Arrival, DataNo, InputNo, TagNo};
use crate::blocks::Blocks;
use crate::heap;

/// Usable Data: their Runs are done and they are not discarded.
#[derive(Debug, Clone, Default)]
pub(super) struct DataTable {
    numbers: HashMap<KnitId, DataNo>,
    /// Empty where a Data was discarded: numbers are not used again, so that their order stays the
    /// order in which Data became usable.
    entries: Blocks<Option<Usable>>,
}

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
        self.numbers.insert(data.knit_id, number);
        self.entries.push(Some(data));
        number
    }

    pub(super) fn remove(&mut self, number: DataNo) -> Option<Usable> {
        let data = self.entries[number.place()].take()?;
        self.numbers.remove(&data.knit_id);
        Some(data)
    }

    pub(super) fn find(&self, knit_id: KnitId) -> Option<DataNo> {
        self.numbers.get(&knit_id).copied()
    }

    pub(super) fn of(&self, number: DataNo) -> &Usable {
        self.entries[number.place()].as_ref().expect("what refers to a Data is dropped when it is discarded")
    }

    pub(super) fn of_mut(&mut self, number: DataNo) -> &mut Usable {
        self.entries[number.place()].as_mut().expect("what refers to a Data is dropped when it is discarded")
    }

    /// Bytes of heap held, roughly.
    pub(super) fn heap_bytes(&self) -> usize {
        let of_one = |data: &Usable| size_of_val(&*data.tags) + heap::of_list(&data.pairs);
        let all: usize = self.entries.iter().flatten().map(of_one).sum();
        heap::of_table(&self.numbers) + self.entries.heap_bytes() + all
    }

    /// All, in the order in which they became usable.
    pub(super) fn iter(&self) -> impl Iterator<Item = (DataNo, &Usable)> {
        let numbered = self.entries.iter().enumerate();
        numbered.filter_map(|(place, data)| data.as_ref().map(|data| (DataNo::at(place), data)))
    }
}

impl Usable {
    pub(super) fn has(&self, tag: TagNo) -> bool {
        self.tags.binary_search(&tag).is_ok()
    }
}
