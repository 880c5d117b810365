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

/// The last events that may be asked for at once: a person looks through fewer, and a program goes on behind a position.
pub const EVENTS_LAST_MAX: usize = 1_000;

/// The name of every event, sorted: what a shell completes, and what may be asked for.
pub const EVENT_TYPES: &[&str] = &[
    "AgentClosed",
    "AgentOpened",
    "BuiltinPlanDefined",
    "DataDiscarded",
    "DataReserved",
    "DataTagsChanged",
    "EventRedacted",
    "EventSkipped",
    "ImportStarted",
    "LogRedacted",
    "PlanActivated",
    "PlanAdmitted",
    "PlanAnnotationsChanged",
    "PlanDeactivated",
    "PlanRegistered",
    "PlanResourcesChanged",
    "PlanServiceAccountCleared",
    "PlanServiceAccountSet",
    "RunErased",
    "RunFailed",
    "RunFailureDecided",
    "RunInvalidated",
    "RunProjected",
    "RunRetried",
    "RunStarted",
    "RunSucceeded",
    "RunSuccessDecided",
    "RunVolumesPrepared",
    "UploadStarted",
    "VolumeReclaimed",
    "WorkerRequested",
    "WorkerSpawned",
];

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
    #[schema(value_type = Object)]
    pub payload: P,
}

/// Everything about one event: what it says, what it is about, and how it is sealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SealedEvent<P = Value> {
    /// The event as whoever watches is told of it.
    #[schema(value_type = LogEvent)]
    pub event: LogEvent<P>,
    /// Every Plan, Run and Data that it says something about, as `data:ID`, `plan:ID` or `run:ID`.
    pub about: Vec<String>,
    /// The event that it followed from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<EventMark>,
    /// What was hashed, and what came of it.
    pub seal: Seal,
}

/// What an event was when it was recorded, text for text, and its place in the chain of hashes.
///
/// The leaf is the SHA-256 of salt, event id, type and id of the stream, sequence, type and version of the event,
/// payload and metadata, each behind its length in bytes; lengths and the sequence are 64-bit numbers, the highest
/// byte first, and the id is its 16 bytes. The chain is the SHA-256 of the chain before, the position,
/// `recordedAtMs` (both such numbers) and the leaf.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Seal {
    /// Random bytes, in hexadecimal.
    pub salt: String,
    /// The payload as it is stored.
    pub payload: String,
    /// Who and why, as it is stored.
    pub metadata: String,
    /// When it was recorded, in milliseconds since 1970.
    pub recorded_at_ms: i64,
    /// The hash of the event, in hexadecimal.
    pub leaf: String,
    /// Whether the leaf is the hash of what is stored now.
    pub leaf_holds: bool,
    /// The chain up to the event before, in hexadecimal.
    pub chain_before: String,
    /// The chain up to this event, in hexadecimal.
    pub chain: String,
    /// Whether the chain continues the one before with this leaf.
    pub chain_holds: bool,
    /// The position of the `EventRedacted` for which the content was taken out; the leaf is that of the former content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redacted_at: Option<u64>,
    /// Of a redacted event: whether metadata, id, stream, sequence, type and version are those that it had when it was
    /// redacted, as a hash in the `EventRedacted` says. Absent where an older program redacted it, which took none: then
    /// nothing proves them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub envelope_holds: Option<bool>,
}

/// What led to an event, and what it led to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Why {
    /// The event.
    pub event: EventMark,
    /// What all of it belongs to: every consequence of one request shares this.
    pub correlation: String,
    /// The events that led to it, one following from the other, the oldest first.
    pub causes: Vec<EventMark>,
    /// Whether there are earlier ones than are told.
    pub causes_cut: bool,
    /// The events that followed from it, from those that did, and so on, in the order of the log.
    pub consequences: Vec<EventMark>,
    /// Whether there are more than are told.
    pub consequences_cut: bool,
}

/// An event, where it stands among causes and consequences.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventMark {
    /// Place in the one order of all events.
    pub position: u64,
    /// When it was recorded.
    pub recorded_at: Instant,
    /// What it is about.
    pub stream: EventStream,
    /// Its name.
    #[serde(rename = "type")]
    pub event_type: String,
    /// Who caused it.
    pub actor: String,
    /// The position of the event that it followed from, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<u64>,
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
