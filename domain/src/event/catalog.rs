//! Events of the one stream in which Plans are admitted.
//!
//! Two Plans may each be fine alone and equivalent, or a cycle, together. All admissions go through
//! one stream with an expected version, so the second of two hurried registrations decides again.

use serde::{Deserialize, Serialize};

use super::{Entity, stored_events};
use crate::event::plan::PlanDefinition;
use crate::id::PlanId;

/// What happens in the Plan catalog.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum CatalogEvent {
    /// A Plan was admitted: no equivalent one existed and it closed no cycle.
    PlanAdmitted {
        /// The new Plan.
        plan_id: PlanId,
        /// What makes it the Plan it is.
        definition: PlanDefinition,
    },
}

stored_events!(CatalogEvent { PlanAdmitted = 1 });

impl CatalogEvent {
    pub(super) fn entities(&self, all: &mut Vec<Entity>) {
        match self {
            Self::PlanAdmitted { plan_id, .. } => all.push(Entity::Plan(*plan_id)),
        }
    }
}
