//! *Ours.* An event of the log, as whoever watches is told of it.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::instant::Instant;

/// Content type of a stream of events.
pub const EVENT_STREAM: &str = "text/event-stream";
/// Request header with the position after which a stream goes on, as browsers send it when they come back.
pub const LAST_EVENT_ID_HEADER: &str = "last-event-id";
/// How long a stream is silent at most: then a line without meaning tells that it lives. Proxies cut connections
/// that are silent for a minute, some for half of one.
pub const EVENTS_SILENCE_SECONDS_MAX: u64 = 15;

/// One fact, and where in the log it stands.
///
/// The payload is read as it is wanted: whole by most, and as text by those who only pass it on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LogEvent<P = Value> {
    /// Place in the one order of all events: 1, 2, 3 ….
    pub position: u64,
    /// Its identity.
    pub event_id: String,
    /// When it was recorded; never goes back along positions.
    pub recorded_at: Instant,
    /// What it is about.
    pub stream: EventStream,
    /// Place in its stream: 1, 2, 3 ….
    pub sequence: u64,
    /// Its name, such as `RunSucceeded`.
    #[serde(rename = "type")]
    pub event_type: String,
    /// The version of the payload's shape.
    pub version: u32,
    /// Who caused it: a user (`anonymous` without login), or a part of the server such as `reactor:finishing`.
    pub actor: String,
    /// Shared by everything that one request set in motion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation: Option<String>,
    /// The event that was reacted to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub causation: Option<String>,
    /// What it says.
    pub payload: P,
}

/// The events of one thing, with an order of their own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EventStream {
    /// `data`, `plan`, `run`, `agent`, `plan-catalog` or `journal`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Which one.
    pub id: String,
}
