//! A Plan: "this container image, fed with Data that carry these Tags, makes outputs that get those Tags".
//!
//! People draw one up ([`PlanDraft`]); it is checked ([`validate`]) and admitted among the others by
//! the [`crate::catalog`]. From then on what makes it the Plan it is (its [`PlanDefinition`]) never
//! changes and it is never deleted; only its attributes do: whether it is active, the limits and the
//! service account of its Workers, and its annotations. Two Plans are built in: they have no image
//! and no inputs, and own the Runs by which uploads and imports enter.

mod builtin;
mod change;
pub(crate) mod draft;
mod hash;
pub mod limits;
mod validation;

use std::collections::{BTreeMap, BTreeSet};

use cqrs_es::event_sink::EventSink;
use serde::{Deserialize, Serialize};

pub use self::builtin::{Builtin, define_builtin};
pub use self::change::{AnnotationChange, PlanChange, PlanRefused, ResourceChange, change};
pub use self::draft::{DEFAULT_RESOURCES, PlanDraft};
pub use self::hash::hash;
pub use self::validation::{InvalidPlan, PinProblem, Side, validate};
use crate::event::StreamType;
use crate::event::plan::{PlanDefinition, PlanEvent};
use crate::id::PlanId;
use crate::tag::TagSet;

/// Where a Worker's standard output and error are kept. Not a path a user chooses.
pub const LOG_PATH: &str = "/log";

/// One Plan, as its events have made it. The default is a Plan that does not exist.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Plan {
    /// What it is; absent before its first event.
    pub kind: Option<PlanKind>,
    /// Whether its Runs may start.
    pub active: bool,
    /// Limits of its Workers: resource name to canonical quantity.
    pub resources: BTreeMap<String, String>,
    /// Service account of its Workers; never empty.
    pub service_account: Option<String>,
    /// Free (key, value) pairs.
    pub annotations: BTreeSet<(String, String)>,
}

/// What a Plan is: a user's or built in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum PlanKind {
    /// Registered by a user.
    Image {
        /// What makes it the Plan it is.
        definition: Box<PlanDefinition>,
        /// Its [`hash`], lower-case hex.
        hash: String,
    },
    /// Defined at installation; its Runs are uploads or imports.
    Builtin {
        /// `knit#uploaded` or `knit#imported`.
        name: String,
        /// Where its one output is mounted.
        output_path: String,
    },
}

/// A place where a Run of a Plan makes Data: an output or the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputPoint<'plan> {
    /// Where it is mounted; [`LOG_PATH`] for the log.
    pub path: &'plan str,
    /// Whether it is the log. An output may be mounted at the same path.
    pub log: bool,
    /// Tags its Data are born with; none for built-in Plans.
    pub tags: Option<&'plan TagSet>,
}

impl Plan {
    /// Folds one event in.
    pub fn apply(&mut self, event: &PlanEvent) {
        match event {
            PlanEvent::PlanRegistered { definition, hash, resources, service_account, annotations, active } => {
                *self = Self {
                    kind: Some(PlanKind::Image { definition: Box::new(definition.clone()), hash: hash.clone() }),
                    active: *active,
                    resources: resources.clone(),
                    service_account: service_account.clone(),
                    annotations: annotations.clone(),
                };
            }
            PlanEvent::BuiltinPlanDefined { name, output_path } => {
                let kind = PlanKind::Builtin { name: name.clone(), output_path: output_path.clone() };
                *self = Self { kind: Some(kind), active: true, ..Self::default() };
            }
            PlanEvent::PlanActivated {} => self.active = true,
            PlanEvent::PlanDeactivated {} => self.active = false,
            PlanEvent::PlanResourcesChanged { set, unset } => {
                self.resources.extend(set.clone());
                self.resources.retain(|name, _| !unset.contains(name));
            }
            PlanEvent::PlanAnnotationsChanged { added, removed } => {
                self.annotations.retain(|pair| !removed.contains(pair));
                self.annotations.extend(added.iter().cloned());
            }
            PlanEvent::PlanServiceAccountSet { name } => self.service_account = Some(name.clone()),
            PlanEvent::PlanServiceAccountCleared {} => self.service_account = None,
        }
    }

    /// What makes a user's Plan the Plan it is; absent for built-in and unknown Plans.
    #[must_use]
    pub fn definition(&self) -> Option<&PlanDefinition> {
        match &self.kind {
            Some(PlanKind::Image { definition, .. }) => Some(definition),
            Some(PlanKind::Builtin { .. }) | None => None,
        }
    }

    /// Where its Runs make Data: outputs in path order, then the log.
    #[must_use]
    pub fn output_points(&self) -> Vec<OutputPoint<'_>> {
        match &self.kind {
            None => Vec::new(),
            Some(PlanKind::Builtin { output_path, .. }) => {
                vec![OutputPoint { path: output_path, log: false, tags: None }]
            }
            Some(PlanKind::Image { definition, .. }) => {
                let outputs = definition.outputs.iter();
                let outputs = outputs.map(|at| OutputPoint { path: &at.path, log: false, tags: Some(&at.tags) });
                let log = definition.log.iter();
                let log = log.map(|log| OutputPoint { path: LOG_PATH, log: true, tags: Some(&log.tags) });
                outputs.chain(log).collect()
            }
        }
    }
}

/// What may be asked of the stream of one Plan. Registration is asked of the [`crate::catalog`],
/// because it concerns all Plans.
#[derive(Debug, Clone, PartialEq)]
pub enum PlanCommand {
    /// Define a built-in Plan, if it is not yet.
    DefineBuiltin(Builtin),
    /// Change attributes of an existing Plan.
    Change {
        /// Which Plan.
        plan_id: PlanId,
        /// What to change.
        change: PlanChange,
    },
}

impl cqrs_es::Aggregate for Plan {
    const TYPE: &'static str = StreamType::Plan.as_str();
    type Command = PlanCommand;
    type Event = PlanEvent;
    type Error = PlanRefused;
    type Services = ();

    async fn handle(&mut self, command: PlanCommand, (): &(), sink: &EventSink<Self>) -> Result<(), PlanRefused> {
        let event = match command {
            PlanCommand::DefineBuiltin(builtin) => builtin.define(self),
            PlanCommand::Change { plan_id, change } => change.decide(plan_id, self)?,
        };
        if let Some(event) = event {
            sink.write(event, self).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: PlanEvent) {
        Self::apply(self, &event);
    }
}

#[cfg(test)]
mod tests;
