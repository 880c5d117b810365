//! Events of a Data.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Entity, stored_events};
use crate::id::{KnitId, PlanId, RunId, VolumeRef};
use crate::tag::{Tag, TagSet};

/// What happens to a Data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum DataEvent {
    /// Its place is reserved, in the same append as the Run (or attempt) that will make it.
    DataReserved {
        /// The Data.
        knit_id: KnitId,
        /// Its volume.
        volume_ref: VolumeRef,
        /// The Run that makes it.
        run_id: RunId,
        /// Which attempt of that Run.
        attempt: u32,
        /// The Plan of that Run.
        plan_id: PlanId,
        /// Path of the output; `/log` for the log.
        path: String,
        /// Whether it is the log.
        log: bool,
        /// Tags it is born with.
        tags: TagSet,
    },
    /// Its user tags changed: the effective difference.
    DataTagsChanged {
        /// Tags that were not there.
        added: BTreeSet<Tag>,
        /// Tags that were there.
        removed: BTreeSet<Tag>,
    },
    /// It is gone for ever; its volume is garbage.
    DataDiscarded {
        /// By what.
        reason: DiscardReason,
        /// The volume to destroy.
        volume_ref: VolumeRef,
    },
    /// It was the log of a Run, and its text is to be forgotten (D15): it is gone for ever as if it were discarded, while
    /// the Run and the hash of the text stay.
    LogRedacted {
        /// The volume to destroy.
        volume_ref: VolumeRef,
        /// What was kept of the logs of earlier attempts and goes in the same append: the SHA-256 of each, lower-case hex.
        tails: Vec<String>,
        /// Why.
        reason: String,
    },
    /// Its volume was destroyed.
    VolumeReclaimed {
        /// The volume.
        volume_ref: VolumeRef,
    },
}

stored_events!(DataEvent {
    DataReserved = 1,
    DataTagsChanged = 1,
    DataDiscarded = 1,
    LogRedacted = 1,
    VolumeReclaimed = 1,
});

/// Why a Data was discarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DiscardReason {
    /// Its Run was retried.
    Retry,
    /// Its Run was deleted.
    Delete,
}

impl DataEvent {
    pub(super) fn entities(&self, all: &mut Vec<Entity>) {
        match self {
            Self::DataReserved { run_id, plan_id, .. } => {
                all.push(Entity::Run(*run_id));
                all.push(Entity::Plan(*plan_id));
            }
            Self::DataTagsChanged { .. }
            | Self::DataDiscarded { .. }
            | Self::LogRedacted { .. }
            | Self::VolumeReclaimed { .. } => {}
        }
    }
}
