//! Events of a Data Agent: one upload or one download.

use serde::{Deserialize, Serialize};

use super::{Entity, stored_events};
use crate::id::{AgentMode, AgentName, KnitId};

/// What happens to a Data Agent. While it is open its Data cannot be discarded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum AgentEvent {
    /// A transfer begins.
    AgentOpened {
        /// The agent.
        name: AgentName,
        /// Its Data.
        knit_id: KnitId,
        /// Direction.
        mode: AgentMode,
        /// Which server process serves it; housekeeping closes agents of servers that died.
        server: String,
    },
    /// The transfer is over.
    AgentClosed {
        /// The agent.
        name: AgentName,
        /// Its Data.
        knit_id: KnitId,
        /// Direction.
        mode: AgentMode,
        /// Why.
        cause: AgentClosure,
    },
}

stored_events!(AgentEvent { AgentOpened = 1, AgentClosed = 1 });

/// Why an agent was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AgentClosure {
    /// It served its request, well or badly.
    Finished,
    /// It could not start.
    StartFailed,
    /// Its server is gone.
    Housekeeping,
}

impl AgentEvent {
    pub(super) fn entities(&self, all: &mut Vec<Entity>) {
        match self {
            Self::AgentOpened { knit_id, .. } | Self::AgentClosed { knit_id, .. } => all.push(Entity::Data(*knit_id)),
        }
    }
}
