//! The Runs: which combinations ever had one, and what those that have not ended will make.

use std::collections::{BTreeMap, HashMap};

use knit_domain::id::{KnitId, RunId};

use super::numbers::{PlanNo, TagNo};
use crate::heap;

/// Runs, as far as matching is concerned.
#[derive(Debug, Clone, Default)]
pub(super) struct Runs {
    /// Runs ever made of combinations, even deleted ones: each is a lasting veto (domain.md 3.4).
    pub(super) projected: HashMap<RunId, PlanNo>,
    /// Runs that have not ended, uploads and imports among them.
    pub(super) unfinished: BTreeMap<RunId, Unfinished>,
    /// Data of Runs that have not ended.
    pub(super) expected: HashMap<KnitId, Expected>,
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
        self.unfinished.entry(run).or_default().outputs.push(knit_id);
        self.expected.insert(knit_id, Expected { run, tags });
    }

    /// Bytes of heap held, roughly.
    pub(super) fn heap_bytes(&self) -> usize {
        let outputs: usize = self.unfinished.values().map(|run| heap::of_list(&run.outputs)).sum();
        let tags: usize = self.expected.values().map(|data| size_of_val(&*data.tags)).sum();
        let tables = heap::of_table(&self.projected) + heap::of_table(&self.expected);
        tables + heap::of_tree(&self.unfinished) + outputs + tags
    }

    /// A Data will not be made after all.
    pub(super) fn give_up(&mut self, knit_id: KnitId) {
        let Some(expected) = self.expected.remove(&knit_id) else { return };
        if let Some(unfinished) = self.unfinished.get_mut(&expected.run) {
            unfinished.outputs.retain(|output| *output != knit_id);
        }
    }
}
