//! The lineage of a Data, walked the plain way.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::model::{DataNo, Model, RunNo, Status};
use super::render::texts;
use super::user::Known;

/// Which way, and how many Runs in a row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Way {
    pub(crate) up: bool,
    pub(crate) down: bool,
    pub(crate) depth: Option<usize>,
}

impl Model {
    pub(crate) fn lineage(&self, start: DataNo, way: Way, known: &Known) -> Value {
        let (mut data, mut runs) = (BTreeSet::from([start]), BTreeSet::new());
        let above = if way.up { self.walk(start, way.depth, true, &mut data, &mut runs) } else { Vec::new() };
        let below = if way.down { self.walk(start, way.depth, false, &mut data, &mut runs) } else { Vec::new() };
        let goes_on = |end: &DataNo, up| self.next_to(*end, up).iter().any(|run| !runs.contains(run));
        let above = above.into_iter().filter(|end| goes_on(end, true));
        let cut: BTreeSet<DataNo> = above.chain(below.into_iter().filter(|end| goes_on(end, false))).collect();
        let plans: BTreeSet<usize> = runs.iter().map(|run| self.runs[*run].plan).collect();
        json!({
            "start": self.data_id(start),
            "data": data.iter().map(|it| json!({"knitId": self.data_id(*it), "tags": texts(&self.all_tags(*it, known))}))
                .collect::<Value>(),
            "runs": runs.iter().map(|run| self.in_lineage(*run, known)).collect::<Value>(),
            "plans": plans.into_iter().map(|plan| self.plan_summary(plan)).collect::<Value>(),
            "cut": cut.into_iter().map(|it| json!(self.data_id(it))).collect::<Value>(),
        })
    }

    /// Goes from Data to Data by way of Runs; answers where the depth ended it.
    fn walk(
        &self,
        start: DataNo,
        depth: Option<usize>,
        up: bool,
        data: &mut BTreeSet<DataNo>,
        runs: &mut BTreeSet<RunNo>,
    ) -> Vec<DataNo> {
        let (mut open, mut done) = (vec![start], 0);
        while !open.is_empty() && depth.is_none_or(|depth| done < depth) {
            let mut next = Vec::new();
            for run in open.iter().flat_map(|it| self.next_to(*it, up)).collect::<Vec<_>>() {
                if runs.insert(run) {
                    let Run { inputs, made } = self.around(run);
                    data.extend(inputs.iter().chain(&made));
                    next.extend(if up { inputs } else { made });
                }
            }
            open = next;
            done += 1;
        }
        open
    }

    /// The Runs that made, or use, a Data; tombstones are no longer spoken of.
    fn next_to(&self, data: DataNo, up: bool) -> Vec<RunNo> {
        let visible = self.there().filter(|run| self.runs[*run].status != Status::Invalidated);
        let around = |run: &RunNo| if up { self.around(*run).made } else { self.around(*run).inputs };
        visible.filter(|run| around(run).contains(&data)).collect()
    }

    fn around(&self, run: RunNo) -> Run {
        Run { inputs: self.runs[run].inputs.clone(), made: self.runs[run].made.clone() }
    }

    fn in_lineage(&self, run: RunNo, known: &Known) -> Value {
        let detail = self.run_detail(run, known);
        let edge = |point: &Value| json!({"path": point["path"], "knitId": point["knitId"]});
        let edges = |list: &str| detail[list].as_array().into_iter().flatten().map(edge).collect::<Value>();
        let mut told = json!({
            "runId": detail["runId"], "status": detail["status"], "updatedAt": detail["updatedAt"],
            "planId": detail["plan"]["planId"], "inputs": edges("inputs"), "outputs": edges("outputs"),
        });
        if let Some(exit) = detail.get("exit") {
            told["exit"] = exit.clone();
        }
        if let Some(log) = detail["log"].as_object() {
            told["log"] = log["knitId"].clone();
        }
        told
    }
}

/// The Data around a Run.
struct Run {
    inputs: Vec<DataNo>,
    made: Vec<DataNo>,
}
