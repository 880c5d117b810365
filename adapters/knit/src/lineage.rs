//! Lineage graphs: fetching them node by node where a server cannot do better, and drawing them.

pub(crate) mod dot;
pub(crate) mod graph;
pub(crate) mod tree;
pub(crate) mod walk;

use std::collections::HashMap;

use graph::{Data, Edge, Graph, Run};
use knit_schemas::api::PlanSummary;

/// A graph with its lookups. All orders are those of discovery.
pub(crate) struct Index<'a> {
    pub(crate) graph: &'a Graph<'a>,
    pub(crate) data: HashMap<&'a str, &'a Data<'a>>,
    plans: HashMap<&'a str, &'a PlanSummary>,
}

impl<'a> Index<'a> {
    pub(crate) fn new(graph: &'a Graph<'a>) -> Self {
        let data = graph.data.iter().map(|data| (data.knit_id.as_str(), data)).collect();
        let plans = graph.plans.iter().map(|plan| (plan.plan_id.as_str(), plan)).collect();
        Self { graph, data, plans }
    }

    /// The image of the Run's Plan, or the name of a built-in one.
    pub(crate) fn what_runs(&self, run: &Run<'_>) -> &'a str {
        let plan = self.plans.get(run.plan_id.as_str());
        plan.and_then(|plan| plan.image.as_deref().or(plan.name.as_deref())).unwrap_or("(unknown Plan)")
    }

    /// The words of the Plan's command; none where the image has its own.
    fn command(&self, run: &Run<'_>) -> Vec<&'a str> {
        let plan = self.plans.get(run.plan_id.as_str());
        plan.into_iter().flat_map(|plan| plan.entrypoint.iter().chain(&plan.args)).map(String::as_str).collect()
    }
}

/// How the log is written where outputs have their path.
const LOG: &str = "(log)";

/// Everything the Run made that is in the graph: (path, Data), the log last.
fn made<'a>(index: &Index<'a>, run: &'a Run<'a>) -> Vec<(&'a str, &'a Data<'a>)> {
    let log = run.log.as_ref().map(|knit_id| (LOG, knit_id.as_str()));
    known(index, run.outputs.iter().map(Edge::parts).chain(log))
}

/// Everything the Run took that is in the graph: (path, Data).
fn taken<'a>(index: &Index<'a>, run: &'a Run<'a>) -> Vec<(&'a str, &'a Data<'a>)> {
    known(index, run.inputs.iter().map(Edge::parts))
}

fn known<'a>(index: &Index<'a>, all: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<(&'a str, &'a Data<'a>)> {
    all.filter_map(|(path, knit_id)| Some((path, *index.data.get(knit_id)?))).collect()
}
