//! What is asked of the appender, and what it answers.
//!
//! Everything that does not depend on the state of the log is done here, in the task of whoever
//! asks: encoding, salting, hashing, and the derivation of reservations. The appender, of which
//! there is one, only judges and writes.

use std::collections::HashSet;

use knit_domain::decision::{Attachment, Condition, Decision};
use knit_domain::event::journal::JournalEvent;
use knit_domain::event::{Entity, Event, Metadata, Position, Sequence, StreamId};
use knit_domain::id::EventId;
use knit_domain::reservation::{self, Change};
use knit_domain::time::Timestamp;
use rand::Rng;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::chain::{Hash, Leaf, Salt};
use crate::error::Refusal;
use crate::redacted::{Emptying, detached_by, emptied_by};

/// Most events of one request. The largest honest one erases the tombstones of a discarded Data,
/// a few events for each; more would hold up everybody who waits in the same batch.
pub const EVENTS_PER_REQUEST_MAX: usize = 10_000;
/// Largest stored event, payload and metadata. The largest honest one is a Plan with its annotations.
pub const EVENT_BYTES_MAX: usize = 1 << 20;
/// Largest request, attachments included; far below what either database takes as one statement.
pub const REQUEST_BYTES_MAX: usize = 16 << 20;
/// Longest id of a stream and longest name of a holder; PostgreSQL indexes at most about 2,700 bytes.
pub const NAME_BYTES_MAX: usize = 512;

/// A decision to append, by whom, and under which event ids.
#[derive(Debug, Clone)]
pub struct Request {
    /// Events and conditions.
    pub decision: Decision,
    /// Who and why; the same for every event.
    pub metadata: Metadata,
    /// One id for each event, in order. Appending the same ids again answers the old positions.
    pub event_ids: Vec<EventId>,
}

impl Request {
    /// A request with fresh event ids. Keep it to ask again after an unknown outcome.
    ///
    /// They begin with the time, so that the newest are the last of their index. Random ones would each change
    /// another page of it, which is written to the journal with every commit.
    #[must_use]
    pub fn new(decision: Decision, metadata: Metadata) -> Self {
        let event_ids = decision.events().map(|_| EventId(Uuid::now_v7())).collect();
        Self { decision, metadata, event_ids }
    }
}

/// A request as it was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appended {
    /// Position of its last event; of the log's last event if it has none.
    pub position: Position,
    /// Position of each event, in order.
    pub positions: Vec<Position>,
    /// The stamp of its events.
    pub recorded_at: Timestamp,
    /// An earlier call with the same event ids had recorded it already.
    pub repeated: bool,
}

/// A request, ready to be judged and written.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) conditions: Vec<Condition>,
    pub(crate) writes: Vec<(StreamId, Sequence)>,
    pub(crate) events: Vec<PreparedEvent>,
    pub(crate) changes: Vec<Change>,
    pub(crate) attachments: Vec<Attachment>,
    /// The same for every event.
    pub(crate) metadata: Metadata,
    /// Size of everything that is stored.
    pub(crate) bytes: usize,
}

/// An event, but for its position, its stamp and the chain.
#[derive(Debug)]
pub(crate) struct PreparedEvent {
    pub(crate) id: EventId,
    pub(crate) stream: StreamId,
    pub(crate) sequence: Sequence,
    pub(crate) event: Event,
    pub(crate) event_type: &'static str,
    pub(crate) event_version: String,
    pub(crate) payload: String,
    pub(crate) metadata: String,
    pub(crate) salt: Salt,
    pub(crate) leaf: Hash,
    pub(crate) entities: Vec<Entity>,
}

impl PreparedEvent {
    /// Size of what is stored of it, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.payload.len() + self.metadata.len()
    }
}

impl Prepared {
    /// Every event that is emptied: a pure function of its events, as reservations are.
    pub(crate) fn emptied(&self) -> impl Iterator<Item = Emptying> {
        self.events.iter().filter_map(|event| emptied_by(&event.event))
    }

    /// Hashes of the attachments that go, in the same way.
    pub(crate) fn detached(&self) -> impl Iterator<Item = &str> {
        self.events.iter().flat_map(|event| detached_by(&event.event)).map(String::as_str)
    }

    /// Encodes and hashes a request, and refuses what could never be stored.
    pub(crate) fn of(request: Request) -> Result<Self, Refusal> {
        let Request { decision, metadata, event_ids } = request;
        check_ids(decision.events().count(), &event_ids)?;
        check_streams(&decision)?;
        let stored = serde_json::to_string(&metadata).expect("metadata has only strings");
        let mut ids = event_ids.into_iter();
        let mut events = Vec::with_capacity(ids.len());
        let mut changes = Vec::new();
        for write in &decision.writes {
            for (event, sequence) in write.events.iter().zip(write.expected + 1..) {
                let id = ids.next().expect("there are as many ids as events");
                changes.extend(reservation::changes(&write.stream, event));
                events.push(prepare_event(id, &write.stream, sequence, event, &stored)?);
            }
        }
        check_changes(&changes)?;
        check_hashes(&events)?;
        let attachments = decision.attachments;
        let bytes = check_bytes(&events, &attachments)?;
        let writes = decision.writes.into_iter().map(|write| (write.stream, write.expected)).collect();
        let conditions = decision.conditions;
        Ok(Self { conditions, writes, events, changes, attachments, metadata, bytes })
    }
}

fn prepare_event(
    id: EventId,
    stream: &StreamId,
    sequence: Sequence,
    event: &Event,
    metadata: &str,
) -> Result<PreparedEvent, Refusal> {
    let event_type = event.type_name();
    if event.stream_type() != stream.kind {
        return Err(Refusal::WrongStream { event_type, stream: stream.clone() });
    }
    let payload = event.encode();
    let bytes = payload.len() + metadata.len();
    if bytes > EVENT_BYTES_MAX {
        return Err(Refusal::EventTooLarge { event_type, bytes, bytes_max: EVENT_BYTES_MAX });
    }
    let event_version = event.version().to_string();
    let mut salt = Salt::default();
    rand::rng().fill(&mut salt);
    let leaf = Leaf {
        salt: &salt,
        event_id: id,
        stream_type: stream.kind.as_str(),
        stream_id: &stream.id,
        sequence,
        event_type,
        event_version: &event_version,
        payload: &payload,
        metadata,
    }
    .hash();
    let entities = event.entities(stream);
    let (stream, event, metadata) = (stream.clone(), event.clone(), metadata.to_owned());
    Ok(PreparedEvent {
        id,
        stream,
        sequence,
        event,
        event_type,
        event_version,
        payload,
        metadata,
        salt,
        leaf,
        entities,
    })
}

fn check_hashes(events: &[PreparedEvent]) -> Result<(), Refusal> {
    for PreparedEvent { event, .. } in events {
        if let Event::Journal(JournalEvent::EventRedacted { position, .. }) = event
            && emptied_by(event).is_none()
        {
            return Err(Refusal::MalformedHash { position: *position });
        }
    }
    Ok(())
}

fn check_ids(events: usize, event_ids: &[EventId]) -> Result<(), Refusal> {
    if events > EVENTS_PER_REQUEST_MAX {
        return Err(Refusal::TooManyEvents { events, events_max: EVENTS_PER_REQUEST_MAX });
    }
    let ids = event_ids.iter().collect::<HashSet<_>>().len();
    if ids != events || event_ids.len() != events {
        return Err(Refusal::EventIdsMismatch { events, ids });
    }
    Ok(())
}

fn check_streams(decision: &Decision) -> Result<(), Refusal> {
    let mut seen = HashSet::new();
    for write in &decision.writes {
        check_name(&write.stream.id)?;
        if !seen.insert(&write.stream) {
            return Err(Refusal::StreamTwice { stream: write.stream.clone() });
        }
    }
    for condition in &decision.conditions {
        match condition {
            Condition::StreamAt { stream, .. } => check_name(&stream.id)?,
            Condition::Free { holder, .. } | Condition::Taken { holder, .. } => check_name(&holder.to_string())?,
            Condition::ScopeEmpty { .. } | Condition::LogAt { .. } => {}
        }
    }
    Ok(())
}

fn check_changes(changes: &[Change]) -> Result<(), Refusal> {
    changes.iter().try_for_each(|change| match change {
        Change::Take(_, holder) | Change::Release(_, holder) => check_name(&holder.to_string()),
    })
}

fn check_name(name: &str) -> Result<(), Refusal> {
    if name.is_empty() || name.len() > NAME_BYTES_MAX || name.contains('\0') {
        return Err(Refusal::UnstorableName { name: name.to_owned(), bytes_max: NAME_BYTES_MAX });
    }
    Ok(())
}

fn check_bytes(events: &[PreparedEvent], attachments: &[Attachment]) -> Result<usize, Refusal> {
    for attachment in attachments {
        if hex::encode(Sha256::digest(&attachment.bytes)) != attachment.sha256 {
            return Err(Refusal::AttachmentHash { sha256: attachment.sha256.clone() });
        }
    }
    let stored: usize = events.iter().map(PreparedEvent::bytes).sum();
    let bytes = stored + attachments.iter().map(|attachment| attachment.bytes.len()).sum::<usize>();
    if bytes > REQUEST_BYTES_MAX {
        return Err(Refusal::RequestTooLarge { bytes, bytes_max: REQUEST_BYTES_MAX });
    }
    Ok(bytes)
}
