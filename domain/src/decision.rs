//! Decisions: what a command comes to, before anything is appended.
//!
//! A decision is taken on folded streams, each with the version it was read at. It says which events
//! go to which streams and what else must still hold when they are appended. The log appends all of
//! it or nothing (D5). If something has moved in between, the append is a conflict, and the caller
//! loads again and decides again; a decision itself is never wrong, only out of date.
//!
//! Reservations are not listed here: they follow from the events alone
//! ([`crate::reservation::changes`]), and the log derives them.

use crate::event::{Event, Position, Sequence, StreamId};
use crate::reservation::{Holder, Scope};

/// Events to append together, and what must hold for it. A decision to do nothing is empty.
#[derive(Debug, Clone, PartialEq, Default)]
#[must_use = "a decision changes nothing until it is appended"]
pub struct Decision {
    /// Events by stream; each stream occurs at most once.
    pub writes: Vec<Write>,
    /// What must hold besides, in streams that are not written and in reservations.
    pub conditions: Vec<Condition>,
    /// Bytes that events refer to by hash; stored in the same append.
    pub attachments: Vec<Attachment>,
}

/// Events for one stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Write {
    /// Which stream.
    pub stream: StreamId,
    /// The version the decision was taken on. 0: the stream must not exist yet.
    pub expected: Sequence,
    /// At least one event, in order.
    pub events: Vec<Event>,
}

/// Something that must hold at the moment of the append, and is only checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// The stream is exactly at this version (0: it does not exist).
    StreamAt {
        /// Which stream.
        stream: StreamId,
        /// Its last sequence.
        version: Sequence,
    },
    /// Nobody by this name holds a place in the scope.
    Free {
        /// Which scope.
        scope: Scope,
        /// Whose place.
        holder: Holder,
    },
    /// This holder has a place in the scope.
    Taken {
        /// Which scope.
        scope: Scope,
        /// Whose place.
        holder: Holder,
    },
    /// Nobody holds any place in the scope.
    ScopeEmpty {
        /// Which scope.
        scope: Scope,
    },
    /// Nothing was appended behind this position. Only for what rests on everything that was said before, and is
    /// rare: whoever names it loses to every other append.
    LogAt {
        /// The position of the last event.
        position: Position,
    },
}

/// Bytes that belong to an event but are too large to be in it, such as the kept tail of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// SHA-256 of the bytes, lower-case hex; the event refers to them by it.
    pub sha256: String,
    /// The content.
    pub bytes: Vec<u8>,
}

/// A folded stream and the version it was folded at. The default is a stream that does not exist.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Versioned<T> {
    /// What the events have made of it.
    pub state: T,
    /// Sequence of the last event folded; 0 when there is none.
    pub version: Sequence,
}

impl Decision {
    /// The decision that everything is already as wanted.
    pub fn nothing() -> Self {
        Self::default()
    }

    /// Whether nothing is to be appended.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.writes.is_empty()
    }

    /// Events for one stream; nothing when there are none.
    pub fn write<E: Into<Event>>(stream: StreamId, expected: Sequence, events: impl IntoIterator<Item = E>) -> Self {
        Self::nothing().and_write(stream, expected, events)
    }

    /// The same with events for one stream more; none leave it as it is.
    pub fn and_write<E: Into<Event>>(
        mut self,
        stream: StreamId,
        expected: Sequence,
        events: impl IntoIterator<Item = E>,
    ) -> Self {
        let events: Vec<Event> = events.into_iter().map(Into::into).collect();
        if !events.is_empty() {
            self.writes.push(Write { stream, expected, events });
        }
        self
    }

    /// The same, provided that `condition` holds.
    pub fn given(mut self, condition: Condition) -> Self {
        self.conditions.push(condition);
        self
    }

    /// The same with bytes to store.
    pub fn with_attachment(mut self, attachment: Attachment) -> Self {
        self.attachments.push(attachment);
        self
    }

    /// Whether any other append makes it out of date.
    #[must_use]
    pub fn rests_on_whole_log(&self) -> bool {
        self.conditions.iter().any(|condition| matches!(condition, Condition::LogAt { .. }))
    }

    /// All events in the order in which they are appended.
    pub fn events(&self) -> impl Iterator<Item = &Event> {
        self.writes.iter().flat_map(|write| &write.events)
    }
}

impl<T> Versioned<T> {
    /// A state as it was folded up to `version`.
    #[must_use]
    pub fn new(state: T, version: Sequence) -> Self {
        Self { state, version }
    }

    /// Whether the stream has any event.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.version > 0
    }
}

impl<T: Default> Versioned<T> {
    /// Folds the events of one stream from its beginning, with the state's own `apply`.
    #[must_use]
    pub fn fold<'e, E: 'e>(events: impl IntoIterator<Item = &'e E>, apply: impl Fn(&mut T, &E)) -> Self {
        let mut folded = Self::default();
        for event in events {
            apply(&mut folded.state, event);
            folded.version += 1;
        }
        folded
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::plan::PlanEvent;
    use crate::id::PlanId;

    fn stream() -> StreamId {
        StreamId::plan(PlanId(uuid::Uuid::nil()))
    }

    #[test]
    fn a_decision_without_events_is_nothing() {
        let none: [PlanEvent; 0] = [];
        assert!(Decision::write(stream(), 3, none).is_nothing());
        assert!(!Decision::write(stream(), 3, [PlanEvent::PlanActivated {}]).is_nothing());
    }

    #[test]
    fn the_version_of_a_folded_stream_counts_its_events() {
        let empty = Versioned::<u32>::default();
        let folded = Versioned::<u32>::fold(&[5, 7], |sum, event| *sum += event);
        assert!(!empty.exists());
        assert_eq!(folded, Versioned::new(12, 2));
    }
}
