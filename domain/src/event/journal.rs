//! Events about the log itself: redactions and skips, each by a named actor (see the metadata).

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Position, stored_events};

/// What administrators did to the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum JournalEvent {
    /// The content of an earlier event was emptied; its leaf stays (D15). See [`crate::redaction`].
    EventRedacted {
        /// Which event.
        position: Position,
        /// Its leaf, lower-case hex.
        leaf: String,
        /// The hash of its envelope, lower-case hex: of what stays of it, which its leaf proves no more. Absent where the
        /// first version of this event redacted it, which did not have it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        envelope_sha256: Option<String>,
        /// Why.
        reason: String,
        /// What readers take for the emptied event from now on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        remains: Option<Remains>,
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

/// What an event says when content was taken out of it; name and stream are those of the event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remains {
    /// The version of the payload's shape.
    pub version: u32,
    /// The payload, as it would have been stored.
    pub payload: Value,
}

stored_events!(JournalEvent { EventRedacted = 2, EventSkipped = 1 });
