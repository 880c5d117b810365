//! Events of a Plan, and the values they carry.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::stored_events;
use crate::tag::TagSet;

/// What happens to a Plan.
#[expect(clippy::large_enum_variant, reason = "Plan events are few and short-lived; a box would only be in the way")]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum PlanEvent {
    /// A user's Plan was registered.
    PlanRegistered {
        /// What makes it the Plan it is; never changes.
        definition: PlanDefinition,
        /// Hash of domain.md 1.5, lower-case hex.
        hash: String,
        /// Limits of its Workers: resource name to canonical quantity.
        resources: BTreeMap<String, String>,
        /// Service account of its Workers.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        service_account: Option<String>,
        /// Free (key, value) pairs.
        annotations: BTreeSet<(String, String)>,
        /// Whether its Runs may start.
        active: bool,
    },
    /// A built-in Plan was defined at installation.
    BuiltinPlanDefined {
        /// `knit#uploaded` or `knit#imported`.
        name: String,
        /// Where its one output is mounted.
        output_path: String,
    },
    /// Its waiting Runs may start.
    PlanActivated {},
    /// Its waiting Runs are held.
    PlanDeactivated {},
    /// Limits of its Workers changed; `set` was applied before `unset`.
    PlanResourcesChanged {
        /// Resource name to canonical quantity.
        set: BTreeMap<String, String>,
        /// Resource names.
        unset: BTreeSet<String>,
    },
    /// Annotations changed: the effective difference.
    PlanAnnotationsChanged {
        /// Pairs that were not there.
        added: BTreeSet<(String, String)>,
        /// Pairs that were there.
        removed: BTreeSet<(String, String)>,
    },
    /// Its Workers run under this account from now on.
    PlanServiceAccountSet {
        /// Name of the account.
        name: String,
    },
    /// Its Workers run under no account of their own from now on.
    PlanServiceAccountCleared {},
}

stored_events!(PlanEvent {
    PlanRegistered = 1,
    BuiltinPlanDefined = 1,
    PlanActivated = 1,
    PlanDeactivated = 1,
    PlanResourcesChanged = 1,
    PlanAnnotationsChanged = 1,
    PlanServiceAccountSet = 1,
    PlanServiceAccountCleared = 1,
});

/// What makes a Plan the Plan it is. Two equal definitions (inputs and outputs as sets) are one Plan.
///
/// Inputs and outputs are sorted by path, `on_node` by (mode, key, value) without repeats, so that
/// equality of values is equivalence of Plans.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanDefinition {
    /// The container image.
    pub image: Image,
    /// Replaces the image's entry point unless empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entrypoint: Vec<String>,
    /// Replaces the image's command unless empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// At least one; sorted by path. Tags may include the pins `knit#id` and `knit#timestamp`.
    pub inputs: Vec<Mountpoint>,
    /// Sorted by path; tags are put on the Data made there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<Mountpoint>,
    /// Tags of the Data that keeps standard output and error; absent when none is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<LogPoint>,
    /// Placement; sorted, without repeats.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub on_node: Vec<OnNode>,
}

/// A container image: repository (with registry and port) and tag.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Image {
    /// Everything before the tag.
    pub repository: String,
    /// After the last colon behind the last slash.
    pub tag: String,
}

impl std::fmt::Display for Image {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.repository, self.tag)
    }
}

/// A directory of a Worker and the tags that belong to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mountpoint {
    /// Absolute and clean, without a trailing slash.
    pub path: String,
    /// Input: required of the Data. Output: given to the Data.
    pub tags: TagSet,
}

/// The log of a Plan: an output at `/log` that receives standard output and error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogPoint {
    /// Given to the log's Data.
    pub tags: TagSet,
}

/// How strongly a Plan asks for a node. Sorted as the words are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeMode {
    /// Tolerate the taint.
    May,
    /// Require the label.
    Must,
    /// Prefer the label.
    Prefer,
}

impl NodeMode {
    /// The word on the wire and in the hash.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::May => "may",
            Self::Must => "must",
            Self::Prefer => "prefer",
        }
    }
}

/// One wish about the node a Worker runs on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct OnNode {
    /// How strongly.
    pub mode: NodeMode,
    /// Label key.
    pub key: String,
    /// Label value.
    pub value: String,
}
