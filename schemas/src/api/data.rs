//! Data on the wire (web-api 4.2, 4.3).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{LogPoint, Mountpoint, PlanSummary, RunSummary, Tag, null_as_default, tag};

/// A Data and its neighbours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DataDetail {
    /// Its id.
    #[serde(rename = "knitId")]
    pub knit_id: String,
    /// System and user tags, sorted, without repeats.
    #[serde(default, deserialize_with = "null_as_default")]
    pub tags: Vec<Tag>,
    /// What made it.
    pub upstream: DataUpstream,
    /// What uses it; `invalidated` Runs are left out.
    #[serde(default, deserialize_with = "null_as_default")]
    pub downstreams: Vec<DataDownstream>,
    /// Inputs of Plans for which it is a candidate.
    #[serde(default, deserialize_with = "null_as_default")]
    pub nomination: Vec<Nomination>,
}

/// What made a Data: exactly one of `mountpoint` and `log`, and the Run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DataUpstream {
    /// The output it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mountpoint: Option<Mountpoint>,
    /// The log it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<LogPoint>,
    /// Whose.
    pub run: RunSummary,
}

/// One use of a Data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DataDownstream {
    /// The input it fills.
    pub mountpoint: Mountpoint,
    /// Whose.
    pub run: RunSummary,
}

/// An input for which a Data is a candidate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Nomination {
    /// Where the input is mounted.
    #[serde(default)]
    pub path: String,
    /// What the input asks for.
    #[serde(default, deserialize_with = "null_as_default")]
    pub tags: Vec<Tag>,
    /// Whose input.
    pub plan: PlanSummary,
}

/// A change of a Data's tags, as a request; removal comes first.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct TagChange {
    /// Tags to add.
    #[serde(default, deserialize_with = "null_as_default", serialize_with = "tag::as_objects")]
    pub add: Vec<Tag>,
    /// Tags to remove.
    #[serde(default, deserialize_with = "null_as_default", serialize_with = "tag::as_objects")]
    pub remove: Vec<Tag>,
    /// Keys all of whose tags are removed.
    #[serde(default, deserialize_with = "null_as_default")]
    pub remove_key: Vec<String>,
}
