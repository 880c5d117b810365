//! What was found, as a JSON list.

use knit_domain::id::{KnitId, PlanId, RunId};

use super::super::super::{At, DataFilter, Limit, PlanFilter, RunFilter, Store};
use super::{Reused, Writer};

/// Data, Runs or Plans that were found, of which the JSON is being written: a list of
/// [`knit_schemas::api::DataDetail`], [`knit_schemas::api::RunDetail`] or [`knit_schemas::api::PlanDetail`].
#[derive(Debug)]
pub struct ListJson {
    found: Found,
    /// How many of them are behind.
    next: usize,
    begun: bool,
    limit: Limit,
    reused: Reused,
}

/// Only ids are kept of what was found.
#[derive(Debug)]
enum Found {
    Data(Vec<KnitId>),
    Runs(Vec<RunId>),
    Plans(Vec<PlanId>),
}

impl Store {
    /// The Data that [`Store::find_data`] finds, to be written as JSON piece by piece. Ask for a position, not
    /// for now: events may be applied between two pieces.
    #[must_use]
    pub fn data_json(&self, filter: &DataFilter, at: At) -> ListJson {
        ListJson::new(Found::Data(self.find_data(filter, at)), at)
    }

    /// The same of the Runs that [`Store::find_runs`] finds.
    #[must_use]
    pub fn runs_json(&self, filter: &RunFilter, at: At) -> ListJson {
        ListJson::new(Found::Runs(self.find_runs(filter, at)), at)
    }

    /// The same of the Plans that [`Store::find_plans`] finds.
    #[must_use]
    pub fn plans_json(&self, filter: &PlanFilter, at: At) -> ListJson {
        ListJson::new(Found::Plans(self.find_plans(filter, at)), at)
    }
}

impl ListJson {
    fn new(found: Found, at: At) -> Self {
        Self { found, next: 0, begun: false, limit: at.limit(), reused: Reused::default() }
    }

    /// Writes on until `out` has `room_bytes`, or a thing more, or all is written; answers whether there is more.
    ///
    /// `store` is the one that was asked, perhaps with more events by now.
    pub fn write(&mut self, store: &Store, out: &mut Vec<u8>, room_bytes: usize) -> bool {
        let mut json = Writer { store, limit: self.limit, out, reused: &mut self.reused };
        while json.out.len() < room_bytes {
            let end = json.out.len();
            json.text(if self.begun { "," } else { "[" });
            let Some(written) = self.found.write(self.next, &mut json) else {
                json.out.truncate(end);
                json.text(if self.begun { "]" } else { "[]" });
                return false;
            };
            self.next += 1;
            self.begun |= written;
            if !written {
                json.out.truncate(end);
            }
        }
        true
    }
}

impl Found {
    /// Writes the thing at `at`, if it is there; `None` behind the last.
    fn write(&self, at: usize, json: &mut Writer<'_>) -> Option<bool> {
        let (store, limit) = (json.store, json.limit);
        Some(match self {
            Self::Data(ids) => {
                let row = store.data.row(*ids.get(at)?, limit, &store.runs.steps);
                row.is_some_and(|row| json.data(row))
            }
            Self::Runs(ids) => {
                let row = store.runs.ids.row(ids.get(at)?.0);
                let there = row.and_then(|row| Some((row, store.runs.standing(row, limit)?)));
                there.inspect(|(row, standing)| json.run(*row, standing)).is_some()
            }
            Self::Plans(ids) => {
                let row = store.plans.row(*ids.get(at)?, limit);
                row.inspect(|row| json.plan_detail(*row)).is_some()
            }
        })
    }
}
