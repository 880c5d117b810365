//! `--limit` of a graph: so many of its nodes, those first that a walk from the start comes to first.

use clap::Args;
use knit_schemas::api::{LineageGraph, PlanGraph};
use knit_schemas::lineage::graph::Graph;

use crate::client::Query;
use crate::number;

/// What is said where a limit has left something out.
pub(crate) const NOT_ALL: &str = "note: this is not all of it; `--limit 0` prints all";

/// How many nodes of a graph are wanted.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Limit {
    /// Print at most so many nodes of the graph, those nearest to its start; 0 prints all
    #[arg(long, value_name = "NUMBER", default_value_t = 0, hide_default_value = true, value_parser = number::parse::<usize>)]
    limit: usize,
}

impl Limit {
    /// The parameter of a request that says this.
    pub(crate) fn query(self) -> Query {
        self.nodes().iter().map(|nodes| ("limit", nodes.to_string())).collect()
    }

    fn nodes(self) -> Option<usize> {
        Some(self.limit).filter(|limit| *limit > 0)
    }

    /// Leaves out of a lineage that was fetched node by node what is too much; whether that was anything.
    pub(crate) fn cut(self, graph: &mut LineageGraph) -> bool {
        let Some(nodes) = self.nodes().filter(|nodes| *nodes < graph.data.len() + graph.runs.len()) else {
            return false;
        };
        // Neither has an order with the other any more, and a Run without its Data says little.
        graph.data.truncate(nodes);
        graph.runs.truncate(nodes - graph.data.len());
        graph.plans.retain(|plan| graph.runs.iter().any(|run| run.plan_id == plan.plan_id));
        graph.cut.retain(|id| graph.data.iter().any(|data| data.knit_id == *id));
        true
    }

    /// Leaves out of a way what is too far from its beginning; whether that was anything. A Data is its first node, the
    /// Run behind it its second.
    pub(crate) fn cut_way(self, graph: &mut Graph<'_>) -> bool {
        let Some(nodes) = self.nodes().filter(|nodes| *nodes < graph.data.len() + graph.runs.len()) else {
            return false;
        };
        graph.data.truncate(nodes.div_ceil(2));
        graph.runs.truncate(nodes / 2);
        graph.plans.retain(|plan| graph.runs.iter().any(|run| run.plan_id.as_str() == plan.plan_id));
        graph.cut.retain(|id| graph.data.iter().any(|data| data.knit_id == *id));
        true
    }

    /// Leaves out of a graph of Plans what is too much; whether that was anything.
    pub(crate) fn cut_plans(self, graph: &mut PlanGraph) -> bool {
        let Some(nodes) = self.nodes().filter(|nodes| *nodes < graph.plans.len()) else { return false };
        graph.plans.truncate(nodes);
        let is_there = |id: &String| graph.plans.iter().any(|plan| plan.id() == id);
        graph.edges.retain(|edge| is_there(&edge.from) && is_there(&edge.to));
        graph.cut.retain(is_there);
        true
    }
}
