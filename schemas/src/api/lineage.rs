//! *Ours.* A piece of the lineage graph in one answer.
//!
//! It says of every node only what is drawn: a closure has a hundred thousand of them, and their
//! full details, which repeat all neighbours, would be a hundred times the size. Edges are in the
//! Runs; a Plan is written once, however many Runs carry it out.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{DataDetail, Exit, PlanSummary, RunDetail, Tag};
use crate::instant::Instant;

/// Data and Runs around a Data, in the order of discovery (knit-cli 2.7).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct LineageGraph {
    /// Id of the Data, or the Run, that was asked about.
    pub start: String,
    /// Every Data.
    pub data: Vec<LineageData>,
    /// Every Run.
    pub runs: Vec<LineageRun>,
    /// Every Plan that a Run refers to, once.
    pub plans: Vec<PlanSummary>,
    /// Ids of Data at which the depth ended the walk although it could have gone on.
    pub cut: Vec<String>,
    /// When not all is there: what to ask `after` for the rest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// The log position that the answer is about.
    #[serde(rename = "asOf", default, skip_serializing_if = "Option::is_none")]
    pub as_of: Option<u64>,
}

/// A Data in the graph.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LineageData {
    /// Its id.
    pub knit_id: String,
    /// System and user tags, sorted.
    pub tags: Vec<Tag>,
}

/// A Run in the graph, with its edges.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LineageRun {
    /// Its id.
    pub run_id: String,
    /// One of the ten words.
    pub status: String,
    /// When the status last changed.
    pub updated_at: Instant,
    /// When the present attempt was seen to run, or its transfer began. Absent before that, when its Worker ended
    /// before it was seen, and where the server is an original one, which does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Instant>,
    /// How it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<Exit>,
    /// What it carries out; described in [`LineageGraph::plans`].
    pub plan_id: String,
    /// What it takes.
    pub inputs: Vec<LineageEdge>,
    /// What it makes, without the log.
    pub outputs: Vec<LineageEdge>,
    /// Id of its log's Data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
}

/// A Data in an input or output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LineageEdge {
    /// Where it is mounted.
    pub path: String,
    /// The Data.
    pub knit_id: String,
}

impl LineageGraph {
    /// Builds the answer from full details, given in the order of discovery.
    #[must_use]
    pub fn from_details(start: String, data: &[DataDetail], runs: &[RunDetail], cut: Vec<String>) -> Self {
        let mut seen = HashSet::new();
        let plans = runs.iter().map(|run| &run.plan).filter(|plan| seen.insert(plan.plan_id.as_str()));
        Self {
            start,
            data: data.iter().map(LineageData::from).collect(),
            runs: runs.iter().map(LineageRun::from).collect(),
            plans: plans.cloned().collect(),
            cut,
            next: None,
            as_of: None,
        }
    }
}

impl From<&DataDetail> for LineageData {
    fn from(data: &DataDetail) -> Self {
        Self { knit_id: data.knit_id.clone(), tags: data.tags.clone() }
    }
}

impl From<&RunDetail> for LineageRun {
    /// Outputs that are gone (of `invalidated` Runs) have no edge.
    fn from(run: &RunDetail) -> Self {
        let edges = |mountpoints: &[super::RunMountpoint]| {
            let there = mountpoints.iter().filter(|mountpoint| !mountpoint.knit_id.is_empty());
            there
                .map(|mountpoint| LineageEdge { path: mountpoint.path.clone(), knit_id: mountpoint.knit_id.clone() })
                .collect()
        };
        Self {
            run_id: run.run_id.clone(),
            status: run.status.clone(),
            updated_at: run.updated_at,
            started_at: None,
            exit: run.exit.clone(),
            plan_id: run.plan.plan_id.clone(),
            inputs: edges(&run.inputs),
            outputs: edges(&run.outputs),
            log: run.log.as_ref().map(|log| log.knit_id.clone()).filter(|id| !id.is_empty()),
        }
    }
}
