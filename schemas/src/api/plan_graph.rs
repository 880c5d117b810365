//! *Ours.* Which Plans feed which, in one answer.
//!
//! The original tells it a Plan at a time, each with all its neighbours; here every Plan and every edge is written
//! once.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{LogPoint, Mountpoint, PlanDetail, PlanSummary};

/// Plans around a Plan, in the order of discovery, and every edge between them (knit-cli 2.17).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct PlanGraph {
    /// Id of the Plan that was asked about.
    pub start: String,
    /// Every Plan.
    pub plans: Vec<GraphPlan>,
    /// What feeds what: both ends are among the Plans.
    pub edges: Vec<PlanEdge>,
    /// Ids of Plans at which the depth ended the walk although it could have gone on.
    pub cut: Vec<String>,
    /// The log position that the answer is about, where another time than now was asked about.
    #[serde(rename = "asOf", default, skip_serializing_if = "Option::is_none")]
    pub as_of: Option<u64>,
}

/// A Plan in the graph.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GraphPlan {
    /// What it is.
    #[serde(flatten)]
    pub plan: PlanSummary,
    /// Whether its Runs may start.
    pub active: bool,
    /// What it takes.
    pub inputs: Vec<Mountpoint>,
    /// What it makes.
    pub outputs: Vec<Mountpoint>,
    /// Where its log goes; absent when none is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<LogPoint>,
}

/// An output or a log has all the tags that an input asks for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
pub struct PlanEdge {
    /// Id of the Plan that feeds.
    pub from: String,
    /// Path of its output; absent when it is its log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// Id of the Plan that is fed.
    pub to: String,
    /// Path of its input.
    pub input: String,
}

impl PlanGraph {
    /// Builds the answer from full details, given in the order of discovery.
    #[must_use]
    pub fn from_details(start: String, plans: &[PlanDetail], cut: Vec<String>) -> Self {
        let known: HashSet<&str> = plans.iter().map(|plan| plan.plan_id.as_str()).collect();
        let edges = plans.iter().flat_map(edges_into).filter(|edge| known.contains(edge.from.as_str()));
        let edges = edges.collect();
        Self { start, plans: plans.iter().map(GraphPlan::from).collect(), edges, cut, as_of: None }
    }
}

fn edges_into(plan: &PlanDetail) -> impl Iterator<Item = PlanEdge> {
    plan.inputs.iter().flat_map(|input| {
        input.upstreams.iter().map(|source| PlanEdge {
            from: source.plan.plan_id.clone(),
            output: source.mountpoint.as_ref().map(|output| output.path.clone()),
            to: plan.plan_id.clone(),
            input: input.path.clone(),
        })
    })
}

impl From<&PlanDetail> for GraphPlan {
    fn from(plan: &PlanDetail) -> Self {
        let point = |path: &String, tags: &Vec<super::Tag>| Mountpoint { path: path.clone(), tags: tags.clone() };
        Self {
            plan: plan.summary(),
            active: plan.active,
            inputs: plan.inputs.iter().map(|input| point(&input.path, &input.tags)).collect(),
            outputs: plan.outputs.iter().map(|output| point(&output.path, &output.tags)).collect(),
            log: plan.log.as_ref().map(|log| LogPoint { tags: log.tags.clone() }),
        }
    }
}
