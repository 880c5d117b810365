//! Runs on the wire (web-api 4.1, 4.8), and their attempts (ours).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{PlanSummary, Tag, null_as_default};
use crate::instant::Instant;

/// How a Run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Exit {
    /// 0 is success.
    pub code: u8,
    /// Why, for people.
    #[serde(default)]
    pub message: String,
}

/// A Run in one glance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RunSummary {
    /// Its id.
    #[serde(rename = "runId")]
    pub run_id: String,
    /// One of the ten words of web-api 2.4.3.
    #[schema(example = "done")]
    pub status: String,
    /// When the status last changed.
    #[serde(rename = "updatedAt")]
    pub updated_at: Instant,
    /// Present as soon as the end was observed or requested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<Exit>,
    /// What it carries out.
    pub plan: PlanSummary,
}

/// A Run with its Data: the fields of [`RunSummary`] and more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RunDetail {
    /// Its id.
    #[serde(rename = "runId")]
    pub run_id: String,
    /// One of the ten words of web-api 2.4.3.
    #[schema(example = "done")]
    pub status: String,
    /// When the status last changed.
    #[serde(rename = "updatedAt")]
    pub updated_at: Instant,
    /// Present as soon as the end was observed or requested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<Exit>,
    /// What it carries out.
    pub plan: PlanSummary,
    /// What it takes.
    #[serde(default, deserialize_with = "null_as_default")]
    pub inputs: Vec<RunMountpoint>,
    /// What it makes.
    #[serde(default, deserialize_with = "null_as_default")]
    pub outputs: Vec<RunMountpoint>,
    /// Its log; written as `null` when the Plan keeps none.
    #[serde(default)]
    #[schema(required = true)]
    pub log: Option<RunLog>,
}

impl RunDetail {
    /// The same Run in one glance.
    #[must_use]
    pub fn summary(&self) -> RunSummary {
        RunSummary {
            run_id: self.run_id.clone(),
            status: self.status.clone(),
            updated_at: self.updated_at,
            exit: self.exit.clone(),
            plan: self.plan.clone(),
        }
    }
}

/// An input or output of a Run, with the Plan's tags for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RunMountpoint {
    /// Where it is mounted.
    #[serde(default)]
    pub path: String,
    /// The Plan's tags.
    #[serde(default, deserialize_with = "null_as_default")]
    pub tags: Vec<Tag>,
    /// The Data; empty for outputs of `invalidated` Runs.
    #[serde(rename = "knitId", default, deserialize_with = "null_as_default")]
    pub knit_id: String,
}

/// The log of a Run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RunLog {
    /// The Plan's tags.
    #[serde(default, deserialize_with = "null_as_default")]
    pub tags: Vec<Tag>,
    /// The Data; empty for `invalidated` Runs.
    #[serde(rename = "knitId", default, deserialize_with = "null_as_default")]
    pub knit_id: String,
}

/// *Ours.* One attempt of a Run; retrying a Run starts the next. Earlier attempts stay readable,
/// their Data do not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    /// 1, 2, ….
    pub attempt: u32,
    /// Status now; for an earlier attempt the status it ended with.
    pub status: String,
    /// When it began to wait.
    pub created_at: Instant,
    /// When its Worker was seen running.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Instant>,
    /// When it was `done` or `failed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Instant>,
    /// How it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<Exit>,
    /// Why it failed, where nothing exited: an upload or import.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What decided its end, such as `worker-failed` or `user`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// What its Worker was made differently from what the Plan asks, such as an ignored preference.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// What is kept of its log after a retry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<AttemptLog>,
}

/// *Ours.* What is kept of the log of an earlier attempt: its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AttemptLog {
    /// SHA-256 of the kept bytes, lower-case hex.
    pub sha256: String,
    /// Bytes kept.
    pub bytes: u64,
    /// Bytes the log had.
    pub total_bytes: u64,
}
