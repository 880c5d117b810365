//! *Ours.* Why a Plan matches, or can never match.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Moment, Tag};

/// What a Plan finds for its inputs at present.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlanMatches {
    /// The Plan.
    pub plan_id: String,
    /// One for every input, in the order of the Plan's.
    pub inputs: Vec<InputMatches>,
    /// Runs ever made of the Plan, whatever became of them.
    #[serde(default)]
    pub runs: u64,
    /// Runs of the Plan that have not ended.
    pub pending: u64,
    /// Runs of the Plan that were removed: what they ran on is not run again.
    #[serde(default)]
    pub removed: u64,
    /// Runs of the Plan that failed.
    #[serde(default)]
    pub failed: u64,
    /// The last of these that was made; absent where none failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_failed: Option<String>,
    /// Why no further Runs are made although Data fit; absent when nothing holds the Plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<String>,
}

/// What one input finds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct InputMatches {
    /// Where the input is mounted.
    pub path: String,
    /// What it asks for.
    pub tags: Vec<Tag>,
    /// How many usable Data fit.
    pub candidates: u64,
    /// When none fits: a Data that lacks the fewest tags, if any Data has at least one of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nearest: Option<String>,
    /// When none fits: the tags that the nearest Data lacks; all, if there is no nearest.
    #[serde(default)]
    pub missing: Vec<Tag>,
    /// When none fits: whether some Plan's output or log would fit once it is made.
    #[serde(default)]
    pub producible: bool,
    /// When none fits: the Plans with such an output or log, and how their Runs do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub producers: Vec<Producer>,
    /// When none fits: which of the tags are probably misspelt. Of a Plan that has had Runs nothing is said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub misspelt: Vec<MisspeltTag>,
    /// How the Data that was asked about does for this input; absent when none was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<DataVerdict>,
}

/// A tag that no Data has, and one that is nearly the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MisspeltTag {
    /// What the input asks for.
    pub tag: Tag,
    /// What was probably meant: some Data has it, or some Plan gives it.
    pub meant: Tag,
}

/// Whether one Data fits an input, and if not, why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DataVerdict {
    /// The Data.
    pub knit_id: String,
    /// Whether it fits.
    pub fits: bool,
    /// What the input asks for and the Data has not, pins included.
    pub lacks: Vec<Tag>,
    /// Status of the Run that makes it, when it is not `done`: the Data cannot be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unusable: Option<String>,
    /// The Run that makes it.
    pub made_by: String,
    /// Runs of the Plan that take the Data on this input, removed ones included; some of them.
    pub runs: Vec<String>,
    /// How many these are.
    pub runs_count: u64,
    /// Some of those that were removed: what they ran on is not run again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<RemovedRun>,
    /// How many were removed.
    #[serde(default)]
    pub removed_count: u64,
}

/// A Run that was removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RemovedRun {
    /// The Run.
    pub run_id: String,
    /// When it was removed, where in the log, and by whom.
    pub moment: Moment,
}

/// A Plan of which an output or log would fit an input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Producer {
    /// The Plan.
    pub plan_id: String,
    /// Its Runs that have not ended.
    pub pending: u64,
    /// Its Runs that have failed.
    pub failed: u64,
    /// Its Runs that were removed.
    #[serde(default)]
    pub removed: u64,
}
