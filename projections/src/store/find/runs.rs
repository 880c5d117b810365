//! Finding Runs by Plan, Data, status and time (web-api 2.4.1).

use knit_domain::id::{KnitId, PlanId, RunId};
use knit_domain::run::Status;
use knit_domain::time::Timestamp;

use super::super::column::{DataRow, PlanRow, RunRow};
use super::super::{At, Limit, Store};
use super::within;

/// Which Runs to find; the default is all of them, deleted ones included. Any element of a list will
/// do; what is `None` does not restrict, and an empty list fits nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RunFilter {
    /// They carry out one of these.
    pub plans: Option<Vec<PlanId>>,
    /// They have one of these in an input.
    pub inputs: Option<Vec<KnitId>>,
    /// They make one of these, as an output or as the log.
    pub outputs: Option<Vec<KnitId>>,
    /// They are in one of these statuses.
    pub statuses: Option<Vec<Status>>,
    /// Their last change is at or after this.
    pub since: Option<Timestamp>,
    /// It is before this.
    pub until: Option<Timestamp>,
}

impl Store {
    /// The Runs that fit, by their last change, then by id.
    #[must_use]
    pub fn find_runs(&self, filter: &RunFilter, at: At) -> Vec<RunId> {
        let limit = at.limit();
        let plans: Option<Vec<PlanRow>> =
            filter.plans.as_ref().map(|ids| ids.iter().filter_map(|id| self.plans.row(*id, limit)).collect());
        let keyed = self.runs_around(filter, limit).into_iter().filter_map(|row| {
            let record = &self.runs.records[row];
            if plans.as_ref().is_some_and(|plans| !plans.contains(&record.plan)) {
                return None;
            }
            let standing = self.runs.standing(row, limit)?;
            let status = standing.status.under(self.plans.record(record.plan).at(limit).active);
            let fits = filter.statuses.as_ref().is_none_or(|statuses| statuses.contains(&status))
                && within(standing.updated_at, filter.since, filter.until);
            fits.then(|| (standing.updated_at, self.runs.id(row)))
        });
        let mut found: Vec<_> = keyed.collect();
        found.sort_unstable();
        found.into_iter().map(|(_, id)| id).collect()
    }

    /// The Runs that have the Data of the filter, each once; all Runs if it names none.
    fn runs_around(&self, filter: &RunFilter, limit: Limit) -> Vec<RunRow> {
        let users = filter.inputs.as_ref().map(|ids| self.runs_of(ids, limit, |data| self.users(data)));
        let makers =
            filter.outputs.as_ref().map(|ids| self.runs_of(ids, limit, |data| vec![self.data.records[data].run]));
        match (users, makers) {
            (None, None) => self.runs.ids.rows().collect(),
            (Some(runs), None) | (None, Some(runs)) => runs,
            (Some(mut users), Some(makers)) => {
                users.retain(|run| makers.binary_search(run).is_ok());
                users
            }
        }
    }

    fn runs_of(&self, ids: &[KnitId], limit: Limit, runs: impl Fn(DataRow) -> Vec<RunRow>) -> Vec<RunRow> {
        let data = ids.iter().filter_map(|id| self.data.row(*id, limit, &self.runs.steps));
        let mut found: Vec<RunRow> = data.flat_map(runs).collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Every Run that ever had a Data in an input; deleted ones keep it.
    fn users(&self, data: DataRow) -> Vec<RunRow> {
        let mut next = self.data.records[data].first_use;
        std::iter::from_fn(|| {
            let edge = self.runs.edges[next?];
            next = edge.next_use;
            Some(edge.run)
        })
        .collect()
    }
}
