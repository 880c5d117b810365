//! Lineage graphs: fetching them node by node where a server cannot do better, and drawing them.

pub(crate) mod dot;
pub(crate) mod tree;
pub(crate) mod walk;

use std::collections::HashMap;

use knit_schemas::api::{LineageData, LineageGraph, LineageRun, PlanSummary};

/// A graph with its lookups. All orders are those of discovery.
pub(crate) struct Index<'a> {
    pub(crate) graph: &'a LineageGraph,
    pub(crate) data: HashMap<&'a str, &'a LineageData>,
    plans: HashMap<&'a str, &'a PlanSummary>,
}

impl<'a> Index<'a> {
    pub(crate) fn new(graph: &'a LineageGraph) -> Self {
        let data = graph.data.iter().map(|data| (data.knit_id.as_str(), data)).collect();
        let plans = graph.plans.iter().map(|plan| (plan.plan_id.as_str(), plan)).collect();
        Self { graph, data, plans }
    }

    /// The image of the Run's Plan, or the name of a built-in one.
    pub(crate) fn what_runs(&self, run: &LineageRun) -> &'a str {
        let plan = self.plans.get(run.plan_id.as_str());
        plan.and_then(|plan| plan.image.as_deref().or(plan.name.as_deref())).unwrap_or("(unknown Plan)")
    }

    /// The words of the Plan's command; none where the image has its own.
    fn command(&self, run: &LineageRun) -> Vec<&'a str> {
        let plan = self.plans.get(run.plan_id.as_str());
        plan.into_iter().flat_map(|plan| plan.entrypoint.iter().chain(&plan.args)).map(String::as_str).collect()
    }
}

/// How the log is written where outputs have their path.
const LOG: &str = "(log)";

/// Everything the Run made that is in the graph: (path, Data), the log last.
fn made<'a>(index: &Index<'a>, run: &'a LineageRun) -> Vec<(&'a str, &'a LineageData)> {
    let outputs = run.outputs.iter().map(|edge| (edge.path.as_str(), edge.knit_id.as_str()));
    known(index, outputs.chain(run.log.as_deref().map(|knit_id| (LOG, knit_id))))
}

/// Everything the Run took that is in the graph: (path, Data).
fn taken<'a>(index: &Index<'a>, run: &'a LineageRun) -> Vec<(&'a str, &'a LineageData)> {
    known(index, run.inputs.iter().map(|edge| (edge.path.as_str(), edge.knit_id.as_str())))
}

fn known<'a>(index: &Index<'a>, all: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<(&'a str, &'a LineageData)> {
    all.filter_map(|(path, knit_id)| Some((path, *index.data.get(knit_id)?))).collect()
}
