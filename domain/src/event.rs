//! Facts: every event there is, and the envelope it is recorded in. How it is stored and read back: `event/stored.rs`.
//!
//! An event is decided, in the past tense, and carries everything that was not determined: ids,
//! names, chance. The instant is not in it: the log stamps `recorded_at`, and whatever needs a time
//! (a Data's timestamp, a Run's `updatedAt`) takes that stamp.

pub mod agent;
pub mod catalog;
pub mod data;
pub mod journal;
pub mod plan;
pub mod run;
mod stored;
mod upcast;

pub use stored::UndecodableEvent;
pub(crate) use stored::stored_events;

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

impl Event {
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
}
