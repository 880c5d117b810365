//! Events about the log itself: redactions and skips, each by a named actor (see the metadata).

use serde::{Deserialize, Serialize};

use super::{Position, stored_events};

/// What administrators did to the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum JournalEvent {
    /// The content of an earlier event was emptied; its leaf stays (D15).
    EventRedacted {
        /// Which event.
        position: Position,
        /// Its leaf, lower-case hex.
        leaf: String,
        /// Why.
        reason: String,
    },
    /// A projection passes over an event that it cannot apply (D8).
    EventSkipped {
        /// Name of the projection.
        projection: String,
        /// Which event.
        position: Position,
        /// Why.
        reason: String,
    },
}

stored_events!(JournalEvent { EventRedacted = 1, EventSkipped = 1 });
