//! Facts: every event there is, the envelope it is recorded in, and how it is stored and read back.
//!
//! An event is decided, in the past tense, and carries everything that was not determined: ids,
//! names, chance. The instant is not in it: the log stamps `recorded_at`, and whatever needs a time
//! (a Data's timestamp, a Run's `updatedAt`) takes that stamp.
//!
//! Stored form: `event_type` is the variant's name, `event_version` an integer, the payload the JSON
//! `{"<variant>": {…}}`. That is what cqrs-es reads and writes, so its repositories read our table.

pub mod agent;
pub mod catalog;
pub mod data;
pub mod journal;
pub mod plan;
pub mod run;
mod upcast;

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::id::{AgentName, EventId, KnitId, PlanId, RunId};
use crate::time::Timestamp;

/// Place of an event in the one total order: 1, 2, 3 … without gaps. 0 is before the first.
pub type Position = u64;
/// Place of an event in its stream: 1, 2, 3 …. The version of a stream is its last sequence.
pub type Sequence = u64;

/// Every event there is, by the kind of stream it belongs to.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Admission of Plans, where equivalence and cycles are decided.
    Catalog(catalog::CatalogEvent),
    /// Life of one Plan.
    Plan(plan::PlanEvent),
    /// Life of one Run.
    Run(run::RunEvent),
    /// Life of one Data.
    Data(data::DataEvent),
    /// Life of one Data Agent.
    Agent(agent::AgentEvent),
    /// Acts of administrators upon the log itself.
    Journal(journal::JournalEvent),
}

/// The kinds of streams; each kind's events have names of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StreamType {
    /// `plan-catalog`, one stream.
    Catalog,
    /// `plan`, one stream for each Plan.
    Plan,
    /// `run`, one stream for each Run.
    Run,
    /// `data`, one stream for each Data.
    Data,
    /// `agent`, one stream for each Data Agent.
    Agent,
    /// `journal`, one stream.
    Journal,
}

impl StreamType {
    /// Every kind, for exhaustive tests and checks.
    pub const ALL: [Self; 6] = [Self::Catalog, Self::Plan, Self::Run, Self::Data, Self::Agent, Self::Journal];

    /// The stored name; it is hashed and never changes.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Catalog => "plan-catalog",
            Self::Plan => "plan",
            Self::Run => "run",
            Self::Data => "data",
            Self::Agent => "agent",
            Self::Journal => "journal",
        }
    }
}

impl FromStr for StreamType {
    type Err = UndecodableEvent;
    fn from_str(text: &str) -> Result<Self, UndecodableEvent> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| UndecodableEvent::UnknownStreamType { stream_type: text.to_owned() })
    }
}

/// A stream: the events of one thing, with versions of its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId {
    /// The kind of thing.
    pub kind: StreamType,
    /// Which one.
    pub id: String,
}

impl StreamId {
    /// The one stream in which Plans are admitted.
    #[must_use]
    pub fn catalog() -> Self {
        Self { kind: StreamType::Catalog, id: "plans".to_owned() }
    }
    /// The stream of a Plan.
    #[must_use]
    pub fn plan(id: PlanId) -> Self {
        Self { kind: StreamType::Plan, id: id.to_string() }
    }
    /// The stream of a Run.
    #[must_use]
    pub fn run(id: RunId) -> Self {
        Self { kind: StreamType::Run, id: id.to_string() }
    }
    /// The stream of a Data.
    #[must_use]
    pub fn data(id: KnitId) -> Self {
        Self { kind: StreamType::Data, id: id.to_string() }
    }
    /// The stream of a Data Agent.
    #[must_use]
    pub fn agent(name: &AgentName) -> Self {
        Self { kind: StreamType::Agent, id: name.0.clone() }
    }
    /// The one stream of administrators' acts.
    #[must_use]
    pub fn journal() -> Self {
        Self { kind: StreamType::Journal, id: "log".to_owned() }
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.kind.as_str(), self.id)
    }
}

/// Who caused an event and what it belongs to; stored and hashed with the event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Metadata {
    /// A user (`anonymous` while there is no authentication) or a reactor (`reactor:finishing`).
    pub actor: String,
    /// Everything that one outside request set in motion shares this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation: Option<EventId>,
    /// The event that was reacted to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub causation: Option<EventId>,
}

impl Metadata {
    /// What `actor` does because of `event`. It belongs to what the event belongs to; an event that belongs to
    /// nothing, because it was recorded before such things were, begins something with its own id.
    #[must_use]
    pub fn because_of(actor: impl Into<String>, event: &Recorded) -> Self {
        Self { actor: actor.into(), correlation: Some(event.belongs_to()), causation: Some(event.event_id) }
    }
}

/// An event as the log keeps it.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// Place in the total order.
    pub position: Position,
    /// Identity, chosen by whoever appended it.
    pub event_id: EventId,
    /// Its stream.
    pub stream: StreamId,
    /// Place in its stream.
    pub sequence: Sequence,
    /// When it was appended; never goes back along positions.
    pub recorded_at: Timestamp,
    /// The fact.
    pub event: Event,
    /// Who and why.
    pub metadata: Metadata,
    /// SHA-256 over the event, as the design (D15) defines it.
    pub leaf: [u8; 32],
    /// SHA-256 over the chain before, position, `recorded_at` and leaf.
    pub chain: [u8; 32],
}

impl Recorded {
    /// What everything that this event sets in motion shares.
    #[must_use]
    pub fn belongs_to(&self) -> EventId {
        self.metadata.correlation.unwrap_or(self.event_id)
    }
}

/// A stored event that this program cannot read; the reader stops there, visibly.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UndecodableEvent {
    /// No such kind of stream.
    #[error("unknown stream type `{stream_type}`: written by a newer program")]
    UnknownStreamType {
        /// As stored.
        stream_type: String,
    },
    /// A version this program does not know: upgrade the readers first (D8).
    #[error("event `{event_type}` of version `{event_version}` is not known to this program: upgrade it")]
    UnknownVersion {
        /// As stored.
        event_type: String,
        /// As stored.
        event_version: String,
    },
    /// The payload is not what the name and version promise.
    #[error("payload of event `{event_type}` does not decode: {reason}")]
    BadPayload {
        /// As stored.
        event_type: String,
        /// What the decoder said.
        reason: String,
    },
}

macro_rules! each_kind {
    ($event:expr, $e:ident => $body:expr) => {
        match $event {
            Event::Catalog($e) => $body,
            Event::Plan($e) => $body,
            Event::Run($e) => $body,
            Event::Data($e) => $body,
            Event::Agent($e) => $body,
            Event::Journal($e) => $body,
        }
    };
}

impl Event {
    /// The stored name, such as `RunProjected`.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        each_kind!(self, e => e.type_name())
    }

    /// The version in which it is stored today; older ones are read through upcasters.
    #[must_use]
    pub fn version(&self) -> u32 {
        each_kind!(self, e => e.version())
    }

    /// The kind of stream this event belongs to.
    #[must_use]
    pub fn stream_type(&self) -> StreamType {
        match self {
            Self::Catalog(_) => StreamType::Catalog,
            Self::Plan(_) => StreamType::Plan,
            Self::Run(_) => StreamType::Run,
            Self::Data(_) => StreamType::Data,
            Self::Agent(_) => StreamType::Agent,
            Self::Journal(_) => StreamType::Journal,
        }
    }

    /// The JSON text that is hashed and stored.
    ///
    /// # Panics
    /// Never: the payloads have string keys and finite numbers only.
    #[must_use]
    pub fn encode(&self) -> String {
        let text = each_kind!(self, e => serde_json::to_string(e));
        text.expect("events hold only strings, integers, lists and string-keyed maps")
    }

    /// Reads a stored event back, through the upcasters of its version.
    ///
    /// # Errors
    /// [`UndecodableEvent`] when the name, version or payload is not known.
    pub fn decode(
        stream: StreamType,
        event_type: &str,
        event_version: &str,
        payload: &str,
    ) -> Result<Self, UndecodableEvent> {
        let unknown = || UndecodableEvent::UnknownVersion {
            event_type: event_type.to_owned(),
            event_version: event_version.to_owned(),
        };
        // A payload of another version may well not look like one of today, and is not damaged for that.
        let current = Self::current_version(stream, event_type).ok_or_else(unknown)?;
        let version = known_version(event_version, current).ok_or_else(unknown)?;
        let event = if version == current {
            Self::read(stream, event_type, payload)?
        } else {
            Self::read(stream, event_type, &upcast_text(event_type, version, current, payload)?)?
        };
        if event.type_name() != event_type {
            return Err(unknown());
        }
        Ok(event)
    }

    /// The payload of a stored event as it would be stored today, for readers that decode it themselves. None if it is
    /// of today's version already, or of none that is known.
    #[must_use]
    pub fn upcast(
        stream: StreamType,
        event_type: &str,
        event_version: &str,
        payload: serde_json::Value,
    ) -> Option<serde_json::Value> {
        let current = Self::current_version(stream, event_type)?;
        let version = known_version(event_version, current).filter(|version| *version < current)?;
        upcast::upcast(event_type, version, current, payload)
    }

    /// Reads a payload of the current version.
    fn read(stream: StreamType, event_type: &str, payload: &str) -> Result<Self, UndecodableEvent> {
        Ok(match stream {
            StreamType::Catalog => Self::Catalog(json(event_type, payload)?),
            StreamType::Plan => Self::Plan(json(event_type, payload)?),
            StreamType::Run => Self::Run(json(event_type, payload)?),
            StreamType::Data => Self::Data(json(event_type, payload)?),
            StreamType::Agent => Self::Agent(json(event_type, payload)?),
            StreamType::Journal => Self::Journal(json(event_type, payload)?),
        })
    }

    /// The version in which events of this name are stored today.
    #[must_use]
    pub fn current_version(stream: StreamType, event_type: &str) -> Option<u32> {
        Self::stored(stream).iter().find(|(name, _)| *name == event_type).map(|(_, version)| *version)
    }

    /// Every (stored name, current version) in streams of this kind.
    fn stored(stream: StreamType) -> &'static [(&'static str, u32)] {
        match stream {
            StreamType::Catalog => catalog::CatalogEvent::STORED,
            StreamType::Plan => plan::PlanEvent::STORED,
            StreamType::Run => run::RunEvent::STORED,
            StreamType::Data => data::DataEvent::STORED,
            StreamType::Agent => agent::AgentEvent::STORED,
            StreamType::Journal => journal::JournalEvent::STORED,
        }
    }

    /// Every Plan, Run and Data that this event in `stream` says something about, without repeats.
    ///
    /// The log keeps an index from these to positions, for questions such as "what happened to X".
    #[must_use]
    pub fn entities(&self, stream: &StreamId) -> Vec<Entity> {
        let mut all = Vec::new();
        match self {
            Self::Catalog(event) => event.entities(&mut all),
            Self::Plan(_) | Self::Journal(_) => {}
            Self::Run(event) => event.entities(&mut all),
            Self::Data(event) => event.entities(&mut all),
            Self::Agent(event) => event.entities(&mut all),
        }
        all.extend(Entity::of_stream(stream));
        all.sort();
        all.dedup();
        all
    }
}

fn json<T: for<'de> Deserialize<'de>>(event_type: &str, payload: &str) -> Result<T, UndecodableEvent> {
    serde_json::from_str(payload)
        .map_err(|error| UndecodableEvent::BadPayload { event_type: event_type.to_owned(), reason: error.to_string() })
}

/// The number of a version from 1 to `current`, written as it is stored.
fn known_version(text: &str, current: u32) -> Option<u32> {
    text.parse().ok().filter(|version| (1..=current).contains(version) && text == version.to_string())
}

/// The payload of an older version as text of the current one.
fn upcast_text(event_type: &str, version: u32, current: u32, payload: &str) -> Result<String, UndecodableEvent> {
    let bad = |reason: String| UndecodableEvent::BadPayload { event_type: event_type.to_owned(), reason };
    let payload = serde_json::from_str(payload).map_err(|error| bad(error.to_string()))?;
    let upcast = upcast::upcast(event_type, version, current, payload);
    upcast.map(|payload| payload.to_string()).ok_or_else(|| bad(format!("it is not what version {version} has")))
}

macro_rules! kinds {
    ($($payload:ty => $kind:ident),+ $(,)?) => {$(
        impl From<$payload> for Event {
            fn from(event: $payload) -> Self {
                Self::$kind(event)
            }
        }
    )+};
}

kinds! {
    catalog::CatalogEvent => Catalog,
    plan::PlanEvent => Plan,
    run::RunEvent => Run,
    data::DataEvent => Data,
    agent::AgentEvent => Agent,
    journal::JournalEvent => Journal,
}

/// Something people ask about by its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Entity {
    /// A Plan.
    Plan(PlanId),
    /// A Run.
    Run(RunId),
    /// A Data.
    Data(KnitId),
}

impl Entity {
    /// The entity whose stream this is, if it is one's.
    #[must_use]
    pub fn of_stream(stream: &StreamId) -> Option<Self> {
        match stream.kind {
            StreamType::Plan => stream.id.parse().ok().map(Self::Plan),
            StreamType::Run => stream.id.parse().ok().map(Self::Run),
            StreamType::Data => stream.id.parse().ok().map(Self::Data),
            StreamType::Catalog | StreamType::Agent | StreamType::Journal => None,
        }
    }
}

/// Metadata as cqrs-es carries it: a flat map of strings.
impl From<&Metadata> for HashMap<String, String> {
    fn from(metadata: &Metadata) -> Self {
        let mut map = Self::from([("actor".to_owned(), metadata.actor.clone())]);
        if let Some(id) = metadata.correlation {
            map.insert("correlation".to_owned(), id.to_string());
        }
        if let Some(id) = metadata.causation {
            map.insert("causation".to_owned(), id.to_string());
        }
        map
    }
}

/// Gives an event enum its stored names and versions, and makes it a cqrs-es event.
macro_rules! stored_events {
    ($enum:ident { $($variant:ident = $version:literal),+ $(,)? }) => {
        impl $enum {
            /// Every (stored name, current version) of this kind.
            pub const STORED: &'static [(&'static str, u32)] = &[$((stringify!($variant), $version)),+];

            /// The stored name.
            #[must_use]
            pub fn type_name(&self) -> &'static str {
                match self { $(Self::$variant { .. } => stringify!($variant)),+ }
            }

            /// The stored version.
            #[must_use]
            pub fn version(&self) -> u32 {
                match self { $(Self::$variant { .. } => $version),+ }
            }
        }

        impl cqrs_es::DomainEvent for $enum {
            fn event_type(&self) -> String {
                self.type_name().to_owned()
            }
            fn event_version(&self) -> String {
                self.version().to_string()
            }
        }
    };
}
pub(crate) use stored_events;

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(metadata: Metadata) -> Recorded {
        Recorded {
            position: 7,
            event_id: EventId(uuid::Uuid::from_u128(7)),
            stream: StreamId::plan(PlanId(uuid::Uuid::nil())),
            sequence: 1,
            recorded_at: Timestamp(0),
            event: Event::Plan(plan::PlanEvent::PlanActivated {}),
            metadata,
            leaf: [0; 32],
            chain: [0; 32],
        }
    }

    #[test]
    fn what_is_done_because_of_an_event_names_it_and_belongs_to_the_same() {
        let request = EventId(uuid::Uuid::from_u128(1));
        let event = recorded(Metadata { correlation: Some(request), ..Metadata::default() });
        let consequence = Metadata::because_of("reactor:finishing", &event);
        assert_eq!(consequence.actor, "reactor:finishing");
        assert_eq!((consequence.correlation, consequence.causation), (Some(request), Some(event.event_id)));
    }

    #[test]
    fn an_event_of_before_is_read_and_what_it_sets_in_motion_belongs_to_it() {
        let old: Metadata = serde_json::from_str(r#"{"actor":"reactor:projection"}"#).unwrap();
        assert_eq!((old.correlation, old.causation), (None, None));
        let event = recorded(old);
        assert_eq!(Metadata::because_of("reactor:initialize", &event).correlation, Some(event.event_id));
    }

    /// Its payload need not look like anything that is known today.
    #[test]
    fn d8_an_event_of_a_newer_program_is_unknown_and_not_damaged() {
        for (event_type, event_version) in [("PlanRegistered", "2"), ("PlanRenamed", "1"), ("PlanRegistered", "01")] {
            let unknown = Event::decode(StreamType::Plan, event_type, event_version, r#"{"new": true}"#);
            assert!(matches!(unknown, Err(UndecodableEvent::UnknownVersion { .. })), "{event_type} {event_version}");
        }
        let damaged = Event::decode(StreamType::Plan, "PlanRegistered", "1", r#"{"new": true}"#);
        assert!(matches!(damaged, Err(UndecodableEvent::BadPayload { .. })), "{damaged:?}");
    }
}
