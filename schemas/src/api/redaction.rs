//! *Ours.* What the administration socket takes and answers about redactions.

use serde::{Deserialize, Serialize};

use super::{EventStream, Pair, Tag};

/// What is to be forgotten, wherever the history says it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Redactable {
    /// The value of this tag, on Data and in Plans.
    Tag(Tag),
    /// The value of this annotation of Plans.
    Annotation(Pair),
    /// This word of the entry points and arguments of Plans, and of their Workers.
    Argument(String),
    /// The one thing that the event at this position says.
    Event(u64),
    /// The text of the log of this Run.
    Log(String),
}

/// That something is to be forgotten.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RedactOrder {
    /// What.
    pub what: Redactable,
    /// Why.
    pub reason: String,
    /// Tell what would be done, and do nothing.
    #[serde(default)]
    pub dry_run: bool,
}

/// What was forgotten, or would be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Redaction {
    /// What it is, in words; only where nothing was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub what: Option<String>,
    /// The events that say it, or did.
    pub events: Vec<RedactedEvent>,
    /// The word that stands in its place from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub word: Option<String>,
    /// The last event that records it; none where nothing was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recorded_at: Option<u64>,
    /// Whether this server shows it no more. Another one takes as long as it takes to fold the log.
    pub forgotten: bool,
    /// Whether nothing of it is left in the files of the database. On PostgreSQL that is its administrator's.
    pub overwritten: bool,
    /// Whether it was said again while it was being forgotten, so that it is there once more.
    #[serde(default)]
    pub said_again: bool,
}

/// An event that says what is to be forgotten, or did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RedactedEvent {
    /// Where it is.
    pub position: u64,
    /// What it is about.
    pub stream: EventStream,
    /// Its name.
    #[serde(rename = "type")]
    pub event_type: String,
}
