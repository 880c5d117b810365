//! How events are stored and read back.
//!
//! Stored form: `event_type` is the variant's name, `event_version` an integer, the payload the JSON
//! `{"<variant>": {…}}`. That is what cqrs-es reads and writes, so its repositories read our table.

use serde::Deserialize;

use super::upcast::upcast;
use super::{Event, StreamType, agent, catalog, data, journal, plan, run};

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

    /// Reads what is stored of an event without its name and stream: the events of each kind of stream have names of
    /// their own.
    ///
    /// # Errors
    /// [`UndecodableEvent`] when no event is stored so.
    pub fn decode_payload(version: u32, payload: &serde_json::Value) -> Result<Self, UndecodableEvent> {
        let name = payload.as_object().and_then(|object| object.keys().next()).map_or("", String::as_str);
        let is_its = |kind: &StreamType| Self::stored(*kind).iter().any(|(stored, _)| *stored == name);
        let unknown =
            || UndecodableEvent::UnknownVersion { event_type: name.to_owned(), event_version: version.to_string() };
        let kind = StreamType::ALL.into_iter().find(is_its).ok_or_else(unknown)?;
        Self::decode(kind, name, &version.to_string(), &payload.to_string())
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
        upcast(event_type, version, current, payload)
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
    pub(super) fn stored(stream: StreamType) -> &'static [(&'static str, u32)] {
        match stream {
            StreamType::Catalog => catalog::CatalogEvent::STORED,
            StreamType::Plan => plan::PlanEvent::STORED,
            StreamType::Run => run::RunEvent::STORED,
            StreamType::Data => data::DataEvent::STORED,
            StreamType::Agent => agent::AgentEvent::STORED,
            StreamType::Journal => journal::JournalEvent::STORED,
        }
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
    let upcast = upcast(event_type, version, current, payload);
    upcast.map(|payload| payload.to_string()).ok_or_else(|| bad(format!("it is not what version {version} has")))
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
