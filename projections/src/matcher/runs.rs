//! The Runs: which combinations ever had one, and what those that have not ended will make.

use knit_domain::id::{KnitId, RunId};

use super::numbers::{PlanNo, TagNo};
use crate::heap;
use crate::table::Map;

/// Runs, as far as matching is concerned.
#[derive(Debug, Clone, Default)]
pub(super) struct Runs {
    /// Runs ever made of combinations, even deleted ones: each is a lasting veto (domain.md 3.4).
    pub(super) projected: Map<RunId, PlanNo>,
    /// Runs that have not ended, uploads and imports among them.
    pub(super) unfinished: Map<RunId, Unfinished>,
    /// Data of Runs that have not ended.
    pub(super) expected: Map<KnitId, Expected>,
}

/// A Run that has not ended.
#[derive(Debug, Clone, Default)]
pub(super) struct Unfinished {
    /// Its Plan; none for uploads and imports.
    pub(super) plan: Option<PlanNo>,
    /// What it makes, in the order of reservation.
    pub(super) outputs: Vec<KnitId>,
}

/// A Data that is not made yet.
#[derive(Debug, Clone)]
pub(super) struct Expected {
    /// The Run that makes it.
    pub(super) run: RunId,
    /// Its user tags, sorted.
    pub(super) tags: Box<[TagNo]>,
}

impl Runs {
    /// A Data will be made by `run`.
    pub(super) fn expect(&mut self, run: RunId, knit_id: KnitId, tags: Box<[TagNo]>) {
        self.unfinished.or_default(&run).outputs.push(knit_id);
        self.expected.insert(knit_id, Expected { run, tags });
    }

    /// Bytes of heap held, roughly.
    pub(super) fn heap_bytes(&self) -> usize {
        let outputs: usize = self.unfinished.iter().map(|(_, run)| heap::of_list(&run.outputs)).sum();
        let tags: usize = self.expected.iter().map(|(_, data)| size_of_val(&*data.tags)).sum();
        let tables = self.projected.heap_bytes() + self.unfinished.heap_bytes() + self.expected.heap_bytes();
        tables + outputs + tags
    }

    /// A Data will not be made after all.
    pub(super) fn give_up(&mut self, knit_id: KnitId) {
        let Some(expected) = self.expected.remove(&knit_id) else { return };
        if let Some(unfinished) = self.unfinished.get_mut(&expected.run) {
            unfinished.outputs.retain(|output| *output != knit_id);
        }
    }
}
