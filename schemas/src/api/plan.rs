//! Plans on the wire (web-api 4.1, 4.4–4.7).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Pair, Tag, null_as_default};
use crate::quantity::Quantity;

/// A directory of a Worker and the *Plan's* tags for it, never the Data's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(expecting = "an object with `path` and `tags`")]
pub struct Mountpoint {
    /// Absolute path in the container.
    #[serde(default, deserialize_with = "null_as_default")]
    #[schema(example = "/in/corpus", pattern = "^/", required = true)]
    pub path: String,
    /// Input: what a Data must have. Output: what the Data is given.
    #[serde(default, deserialize_with = "null_as_default")]
    pub tags: Vec<Tag>,
}

/// Where standard output and error are kept.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(expecting = "an object with `tags`")]
pub struct LogPoint {
    /// What the log's Data is given.
    #[serde(default, deserialize_with = "null_as_default")]
    pub tags: Vec<Tag>,
}

/// A Plan in one glance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PlanSummary {
    /// Its id.
    #[serde(rename = "planId")]
    pub plan_id: String,
    /// `repository:tag`; absent for built-in Plans, never empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "registry.example.com:5000/nlp/train:v3")]
    pub image: Option<String>,
    /// Replaces the image's entry point.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub entrypoint: Vec<String>,
    /// Replaces the image's command.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub args: Vec<String>,
    /// `knit#uploaded` or `knit#imported`; built-in Plans only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Sorted by key, then value.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub annotations: Vec<Pair>,
}

/// A Plan with everything around it: the fields of [`PlanSummary`] and more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PlanDetail {
    /// Its id.
    #[serde(rename = "planId")]
    pub plan_id: String,
    /// `repository:tag`; absent for built-in Plans, never empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Replaces the image's entry point.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub entrypoint: Vec<String>,
    /// Replaces the image's command.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub args: Vec<String>,
    /// `knit#uploaded` or `knit#imported`; built-in Plans only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Sorted by key, then value.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub annotations: Vec<Pair>,
    /// What it takes.
    #[serde(default, deserialize_with = "null_as_default")]
    pub inputs: Vec<PlanInput>,
    /// What it makes.
    #[serde(default, deserialize_with = "null_as_default")]
    pub outputs: Vec<PlanOutput>,
    /// Where its log goes; absent when none is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<PlanLog>,
    /// Whether its Runs may start.
    #[serde(default)]
    pub active: bool,
    /// Which nodes it wants; absent when it does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_node: Option<OnNode>,
    /// Resource name to canonical quantity.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(required = false)]
    pub resources: BTreeMap<String, Quantity>,
    /// Account its Workers run under.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account: Option<String>,
}

impl PlanDetail {
    /// The same Plan in one glance.
    #[must_use]
    pub fn summary(&self) -> PlanSummary {
        PlanSummary {
            plan_id: self.plan_id.clone(),
            image: self.image.clone(),
            entrypoint: self.entrypoint.clone(),
            args: self.args.clone(),
            name: self.name.clone(),
            annotations: self.annotations.clone(),
        }
    }
}

/// An input of a Plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PlanInput {
    /// Where the Data is mounted.
    #[serde(default)]
    pub path: String,
    /// What the Data must have.
    #[serde(default, deserialize_with = "null_as_default")]
    pub tags: Vec<Tag>,
    /// Outputs and logs of Plans that could feed it.
    #[serde(default, deserialize_with = "null_as_default")]
    pub upstreams: Vec<PlanUpstream>,
}

/// A source of a Plan's input: exactly one of `mountpoint` and `log`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PlanUpstream {
    /// Whose it is.
    pub plan: PlanSummary,
    /// The output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mountpoint: Option<Mountpoint>,
    /// The log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<LogPoint>,
}

/// An output of a Plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PlanOutput {
    /// Where the Worker writes.
    #[serde(default)]
    pub path: String,
    /// What the Data is given.
    #[serde(default, deserialize_with = "null_as_default")]
    pub tags: Vec<Tag>,
    /// Inputs of Plans that it could feed.
    #[serde(default, deserialize_with = "null_as_default")]
    pub downstreams: Vec<PlanDownstream>,
}

/// The log of a Plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PlanLog {
    /// What the log's Data is given.
    #[serde(default, deserialize_with = "null_as_default")]
    pub tags: Vec<Tag>,
    /// Inputs of Plans that it could feed.
    #[serde(default, deserialize_with = "null_as_default")]
    pub downstreams: Vec<PlanDownstream>,
}

/// An input of another Plan that an output or a log could feed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PlanDownstream {
    /// Whose it is.
    pub plan: PlanSummary,
    /// The input.
    pub mountpoint: Mountpoint,
}

/// Which nodes a Plan's Workers want. All three lists are always written: the console iterates over
/// each of them without looking whether it is there.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct OnNode {
    /// Taints to tolerate.
    #[serde(default, deserialize_with = "null_as_default")]
    #[schema(required = false)]
    pub may: Vec<Pair>,
    /// Labels to prefer.
    #[serde(default, deserialize_with = "null_as_default")]
    #[schema(required = false)]
    pub prefer: Vec<Pair>,
    /// Labels to require.
    #[serde(default, deserialize_with = "null_as_default")]
    #[schema(required = false)]
    pub must: Vec<Pair>,
}

impl OnNode {
    /// Whether nothing is wished.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.may.is_empty() && self.prefer.is_empty() && self.must.is_empty()
    }
}

/// A Plan to be registered, as a request. Nothing is checked but the notation of its parts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(expecting = "an object with `image`, `inputs` and `outputs`")]
pub struct PlanSpec {
    /// See [`crate::image::ImageReference`].
    #[serde(default, deserialize_with = "null_as_default")]
    #[schema(required = true)]
    pub image: String,
    /// Replaces the image's entry point when not empty.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub entrypoint: Vec<String>,
    /// Replaces the image's command when not empty.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// At least one.
    #[serde(default, deserialize_with = "null_as_default")]
    #[schema(required = true, min_items = 1)]
    pub inputs: Vec<Mountpoint>,
    /// May be empty.
    #[serde(default, deserialize_with = "null_as_default")]
    pub outputs: Vec<Mountpoint>,
    /// Keep standard output and error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<LogPoint>,
    /// Which nodes to run on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_node: Option<OnNode>,
    /// Resource name to quantity; `cpu` and `memory` default to 1 and 1Gi.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub resources: BTreeMap<String, Quantity>,
    /// Account its Workers run under.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account: Option<String>,
    /// Free pairs.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub annotations: Vec<Pair>,
    /// Whether its Runs may start; absent means yes.
    #[serde(default)]
    pub active: Option<bool>,
}

/// A change of a Plan's resource limits, as a request.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct ResourceChange {
    /// Resource name to new quantity.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub set: BTreeMap<String, Quantity>,
    /// Resource names whose limit goes; wins over `set`.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub unset: Vec<String>,
}

/// A change of a Plan's annotations, as a request; removal comes first.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct AnnotationChange {
    /// Pairs to add.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub add: Vec<Pair>,
    /// Pairs to remove.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub remove: Vec<Pair>,
    /// Keys all of whose pairs are removed.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub remove_key: Vec<String>,
}

/// The account a Plan's Workers shall run under, as a request.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct ServiceAccount {
    /// Name of the account.
    #[serde(default, deserialize_with = "null_as_default")]
    pub service_account: String,
}
