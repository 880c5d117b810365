//! A shortest way from one Data to another: over the Runs that made it, or over those that used it.

use std::collections::{HashMap, VecDeque};

use knit_domain::id::KnitId;
use knit_schemas::api;

use super::super::column::{DataRow, PlanRow, RunRow};
use super::super::{At, Limit, Store};
use super::Seen;

/// Which way to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Towards {
    Origins,
    Consumers,
}

/// Over which Run, and from which Data, a Data was met first.
type Met = HashMap<DataRow, (RunRow, DataRow)>;

impl Store {
    /// The Data and Runs of a shortest way from the Data `from` to the Data `to`, in their order, whichever of both was
    /// made of the other; `None` if neither was, or one of them did not exist then.
    #[must_use]
    pub fn path(&self, from: KnitId, to: KnitId, at: At) -> Option<api::LineageGraph> {
        let limit = at.limit();
        let row = |id| self.data.row(id, limit, &self.runs.steps);
        let (first, last) = (row(from)?, row(to)?);
        let way = |towards| self.way(first, last, towards, limit);
        let (data, runs) = way(Towards::Origins).or_else(|| way(Towards::Consumers))?;
        let mut seen: Seen<PlanRow> = Seen::with_room_for(self.plans.len());
        let plans = runs.iter().map(|run| self.runs.records[*run].plan).filter(|plan| seen.insert(*plan));
        Some(api::LineageGraph {
            start: from.to_string(),
            plans: plans.map(|plan| self.plan_summary(plan, limit)).collect(),
            data: data.into_iter().map(|row| self.lineage_data(row, limit)).collect(),
            runs: runs.into_iter().filter_map(|row| self.lineage_run(row, limit)).collect(),
            ..api::LineageGraph::default()
        })
    }

    /// Breadth first, so that the first way found is a shortest one. What was made of something is never also its
    /// origin, so at most one direction finds any.
    fn way(
        &self,
        first: DataRow,
        last: DataRow,
        towards: Towards,
        limit: Limit,
    ) -> Option<(Vec<DataRow>, Vec<RunRow>)> {
        let mut met = Met::new();
        let mut seen_runs: Seen<RunRow> = Seen::with_room_for(self.runs.ids.len());
        let mut pending = VecDeque::from([first]);
        while let Some(data) = pending.pop_front() {
            if data == last {
                return Some(back(first, last, &met));
            }
            for run in self.beyond(data, towards, limit) {
                if !seen_runs.insert(run) {
                    continue;
                }
                for next in self.behind(run, towards, limit) {
                    if next != first && !met.contains_key(&next) {
                        met.insert(next, (run, data));
                        pending.push_back(next);
                    }
                }
            }
        }
        None
    }

    fn beyond(&self, data: DataRow, towards: Towards, limit: Limit) -> Vec<RunRow> {
        match towards {
            Towards::Origins => {
                Some(self.data.records[data].run).filter(|run| self.is_live(*run, limit)).into_iter().collect()
            }
            Towards::Consumers => self.live_uses(data, limit).map(|edge| edge.run).collect(),
        }
    }

    fn behind(&self, run: RunRow, towards: Towards, limit: Limit) -> Vec<DataRow> {
        let all = match towards {
            Towards::Origins => self.runs.inputs(run).map(|(_, edge)| edge.data).collect(),
            Towards::Consumers => self.outputs(run, limit),
        };
        all.into_iter().filter(|data| self.data.exists(*data, limit, &self.runs.steps)).collect()
    }
}

/// The way that was found, from its beginning.
fn back(first: DataRow, last: DataRow, met: &Met) -> (Vec<DataRow>, Vec<RunRow>) {
    let (mut data, mut runs) = (vec![last], Vec::new());
    let mut at = last;
    while at != first {
        let (run, before) = met[&at];
        runs.push(run);
        data.push(before);
        at = before;
    }
    data.reverse();
    runs.reverse();
    (data, runs)
}
