//! *Ours.* In what the histories of two results differ.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Tag;

/// The ancestors in which two results differ, those nearest to the results first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Difference {
    /// Id of the one result.
    pub left: String,
    /// Id of the other.
    pub right: String,
    /// The position that the answer is about.
    pub as_of: u64,
    /// Pairs of Data or Runs that stand at the same place of both histories and differ.
    pub differing: Vec<DifferingPair>,
    /// Whether there is more: so many pairs were looked at that the walk was ended.
    pub cut: bool,
}

/// Two Data, or two Runs, that stand at the same place of both histories and differ in themselves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DifferingPair {
    /// `data` or `run`.
    pub kind: PairKind,
    /// Runs between the results and these; 0 for the results themselves.
    pub distance: u32,
    /// The inputs that lead from the results to these, the nearest first.
    pub route: Vec<String>,
    /// Id of the one in the first history.
    pub left: String,
    /// Id of the one in the other.
    pub right: String,
    /// The Data on the one side: itself, or what the Run made on the way to the result; absent where two Runs were asked
    /// about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_data: Option<DifferingData>,
    /// The Data on the other side.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub right_data: Option<DifferingData>,
    /// In what they differ.
    pub aspects: Vec<Aspect>,
}

/// A Data by which one history is known from the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DifferingData {
    /// The Data.
    pub knit_id: String,
    /// Its user tags.
    pub tags: Vec<Tag>,
}

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum PairKind {
    /// Two Data.
    Data,
    /// Two Runs.
    Run,
}

/// One thing in which two Data or Runs differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Aspect {
    /// Which thing.
    pub name: AspectName,
    /// What is only in the first, or how it is there.
    pub left: Vec<String>,
    /// What is only in the other, or how it is there.
    pub right: Vec<String>,
}

/// In what Data or Runs can differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AspectName {
    /// They were uploaded, or imported, each by itself.
    Upload,
    /// They are other outputs of their Runs.
    Output,
    /// User tags of the Data.
    Tags,
    /// The Plans of the Runs are not the same.
    Plan,
    /// Image of the Plan.
    Image,
    /// What the image's tag meant when the Worker was made.
    ImageDigest,
    /// Entry point of the Plan.
    Entrypoint,
    /// Arguments of the Plan.
    Args,
    /// Inputs of the Plan: where they are and what they ask for.
    Inputs,
    /// Outputs and log of the Plan: where they are and what they give.
    Outputs,
    /// Which nodes the Plan wants.
    OnNode,
    /// Limits of the Worker, as they were when it was asked for.
    Resources,
    /// Account of the Worker, as it was when it was asked for.
    ServiceAccount,
    /// Status of the Run.
    Status,
    /// How the Run ended.
    Exit,
}
