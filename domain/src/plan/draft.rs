//! A Plan as somebody wrote it down, before any rule has looked at it.

use std::collections::{BTreeMap, BTreeSet};

use crate::event::plan::{Image, LogPoint, Mountpoint, OnNode, PlanDefinition, PlanEvent};
use crate::plan::hash;

/// Limits of Workers whose Plan names none, each on its own.
pub const DEFAULT_RESOURCES: [(&str, &str); 2] = [("cpu", "1"), ("memory", "1Gi")];

/// What a user wants to register. Nothing in it is checked, sorted or completed yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanDraft {
    /// The container image.
    pub image: Image,
    /// Replaces the image's entry point unless empty.
    pub entrypoint: Vec<String>,
    /// Replaces the image's command unless empty.
    pub args: Vec<String>,
    /// In any order; paths may end in one slash.
    pub inputs: Vec<Mountpoint>,
    /// In any order; paths may end in one slash.
    pub outputs: Vec<Mountpoint>,
    /// Whether and how the log is kept.
    pub log: Option<LogPoint>,
    /// In any order, repeats allowed.
    pub on_node: Vec<OnNode>,
    /// Whether Runs may start; absent means yes.
    pub active: Option<bool>,
    /// Resource name to canonical quantity; [`DEFAULT_RESOURCES`] fill what is absent.
    pub resources: BTreeMap<String, String>,
    /// Service account of its Workers; the empty name means none.
    pub service_account: Option<String>,
    /// Free (key, value) pairs.
    pub annotations: BTreeSet<(String, String)>,
}

impl PlanDraft {
    /// A draft of nothing but an image and inputs.
    #[must_use]
    pub fn new(image: Image, inputs: Vec<Mountpoint>) -> Self {
        Self {
            image,
            entrypoint: Vec::new(),
            args: Vec::new(),
            inputs,
            outputs: Vec::new(),
            log: None,
            on_node: Vec::new(),
            active: None,
            resources: BTreeMap::new(),
            service_account: None,
            annotations: BTreeSet::new(),
        }
    }

    /// The registration of this draft, whose validated definition is `definition`, with defaults filled in.
    pub(crate) fn registered(self, definition: PlanDefinition) -> PlanEvent {
        let mut resources: BTreeMap<String, String> =
            DEFAULT_RESOURCES.map(|(name, quantity)| (name.to_owned(), quantity.to_owned())).into();
        resources.extend(self.resources);
        PlanEvent::PlanRegistered {
            hash: hash(&definition),
            definition,
            resources,
            service_account: self.service_account.filter(|name| !name.is_empty()),
            annotations: self.annotations,
            active: self.active.unwrap_or(true),
        }
    }
}

/// Drafts for tests, in few words.
#[cfg(test)]
pub(crate) mod samples;
