//! The log as cqrs-es sees it (D4): its stock repositories read, our appender writes.
//!
//! Snapshots of aggregates are refused instead of being ignored: the snapshot stores of cqrs-es 0.5
//! apply events twice, and a store that was set up for them must not seem to work.

use cqrs_es::Aggregate;
use cqrs_es::persist::{
    EventUpcaster, PersistedEventRepository, PersistenceError, ReplayFeed, ReplayStream, SerializedEvent,
    SerializedSnapshot,
};
use knit_domain::decision::Decision;
use knit_domain::event::{Event, Metadata, Position, StreamId, StreamType};
use serde_json::Value;

use crate::backend::Backend;
use crate::error::AppendError;
use crate::log::Log;
use crate::reader::StoredEvent;
use crate::request::Request;

/// Events that wait between the log and whoever replays it.
const REPLAY_QUEUE_EVENTS_MAX: usize = 200;
/// Events fetched at once for a replay.
const REPLAY_PAGE_EVENTS_MAX: usize = 1_000;
/// The actor of events for which none is given.
const NOBODY: &str = "anonymous";

/// Lets the stock event store of cqrs-es read what older programs stored, as [`Log`] reads it:
/// `PersistedEventStore::new_event_store(…).with_upcasters(vec![Box::new(Upcaster::of(StreamType::Run))])`.
#[derive(Debug, Clone, Copy)]
pub struct Upcaster {
    kind: StreamType,
}

impl Upcaster {
    /// For the streams of one kind.
    #[must_use]
    pub fn of(kind: StreamType) -> Self {
        Self { kind }
    }
}

impl EventUpcaster for Upcaster {
    fn can_upcast(&self, event_type: &str, event_version: &str) -> bool {
        Event::current_version(self.kind, event_type).is_some_and(|current| current.to_string() != event_version)
    }

    fn upcast(&self, event: SerializedEvent) -> SerializedEvent {
        let SerializedEvent { event_type, event_version, payload, .. } = &event;
        match Event::upcast(self.kind, event_type, event_version, payload.clone()) {
            Some(payload) => SerializedEvent { payload, ..event },
            // Of a newer program or damaged: decoding it will say so.
            None => event,
        }
    }
}

/// The log as an event repository of cqrs-es.
#[derive(Debug, Clone)]
pub struct EventRepository {
    log: Log,
}

impl EventRepository {
    /// A repository on `log`.
    #[must_use]
    pub fn new(log: Log) -> Self {
        Self { log }
    }
}

impl PersistedEventRepository for EventRepository {
    async fn get_events<A: Aggregate>(&self, id: &str) -> Result<Vec<SerializedEvent>, PersistenceError> {
        match self.log.backend() {
            Backend::Postgres(database) => database.stock().get_events::<A>(id).await,
            Backend::Sqlite(database) => database.stock().get_events::<A>(id).await,
        }
    }

    async fn get_last_events<A: Aggregate>(
        &self,
        id: &str,
        last_sequence: usize,
    ) -> Result<Vec<SerializedEvent>, PersistenceError> {
        match self.log.backend() {
            Backend::Postgres(database) => database.stock().get_last_events::<A>(id, last_sequence).await,
            Backend::Sqlite(database) => database.stock().get_last_events::<A>(id, last_sequence).await,
        }
    }

    async fn get_snapshot<A: Aggregate>(&self, _id: &str) -> Result<Option<SerializedSnapshot>, PersistenceError> {
        Err(snapshots_unsupported())
    }

    async fn persist<A: Aggregate>(
        &self,
        events: &[SerializedEvent],
        snapshot: Option<(String, Value, usize)>,
    ) -> Result<(), PersistenceError> {
        if snapshot.is_some() {
            return Err(snapshots_unsupported());
        }
        let Some(first) = events.first() else { return Ok(()) };
        let request = request::<A>(first, events)?;
        self.log.append(request).await.map(drop).map_err(|error| match error {
            AppendError::Conflict(_) => PersistenceError::OptimisticLockError,
            AppendError::Fault(fault) => PersistenceError::ConnectionError(Box::new(fault)),
            AppendError::Refused(refusal) => PersistenceError::UnknownError(Box::new(refusal)),
        })
    }

    async fn stream_events<A: Aggregate>(&self, id: &str) -> Result<ReplayStream, PersistenceError> {
        let events = self.get_events::<A>(id).await?;
        let (mut feed, stream) = ReplayStream::new(REPLAY_QUEUE_EVENTS_MAX);
        tokio::spawn(async move {
            for event in events {
                if feed.push(Ok(event)).await.is_err() {
                    return;
                }
            }
        });
        Ok(stream)
    }

    async fn stream_all_events<A: Aggregate>(&self) -> Result<ReplayStream, PersistenceError> {
        let (feed, stream) = ReplayStream::new(REPLAY_QUEUE_EVENTS_MAX);
        tokio::spawn(replay(self.log.clone(), A::TYPE, feed));
        Ok(stream)
    }
}

/// Feeds every event of one kind of stream, in the order of the log. Unlike the stock repositories
/// it says so when it cannot go on, instead of ending as if that were all.
async fn replay(log: Log, stream_type: &'static str, mut feed: ReplayFeed) {
    let mut after: Position = 0;
    loop {
        let page = match log.read_stored(after, REPLAY_PAGE_EVENTS_MAX).await {
            Ok(page) => page,
            Err(error) => return drop(feed.push(Err(PersistenceError::ConnectionError(Box::new(error)))).await),
        };
        let Some(last) = page.last() else { return };
        after = last.position;
        for event in page.into_iter().filter(|event| event.stream_type == stream_type) {
            // Whoever replays may have had enough.
            if feed.push(serialized(event)).await.is_err() {
                return;
            }
        }
    }
}

fn serialized(event: StoredEvent) -> Result<SerializedEvent, PersistenceError> {
    let payload = serde_json::from_str(&event.payload)?;
    let metadata = serde_json::from_str(&event.metadata)?;
    let sequence = usize::try_from(event.sequence).map_err(unknown)?;
    let StoredEvent { stream_id, stream_type, event_type, event_version, .. } = event;
    Ok(SerializedEvent::new(stream_id, sequence, stream_type, event_type, event_version, payload, metadata))
}

fn request<A: Aggregate>(first: &SerializedEvent, events: &[SerializedEvent]) -> Result<Request, PersistenceError> {
    let kind: StreamType = A::TYPE.parse().map_err(unknown)?;
    let stream = StreamId { kind, id: first.aggregate_id.clone() };
    let decoded = |event: &SerializedEvent| {
        Event::decode(kind, &event.event_type, &event.event_version, &event.payload.to_string()).map_err(unknown)
    };
    let decoded = events.iter().map(decoded).collect::<Result<Vec<Event>, _>>()?;
    // The framework's plain `execute` gives no metadata at all.
    let none = first.metadata.as_object().is_some_and(serde_json::Map::is_empty);
    let nobody = || Metadata { actor: NOBODY.to_owned(), ..Metadata::default() };
    let metadata = if none { nobody() } else { serde_json::from_value(first.metadata.clone())? };
    let expected = (first.sequence as u64).saturating_sub(1);
    Ok(Request::new(Decision::write(stream, expected, decoded), metadata))
}

fn unknown(error: impl std::error::Error + Send + Sync + 'static) -> PersistenceError {
    PersistenceError::UnknownError(Box::new(error))
}

fn snapshots_unsupported() -> PersistenceError {
    let reason = "the event log keeps no snapshots of aggregates: the stock snapshot stores apply events twice";
    PersistenceError::UnknownError(Box::from(reason))
}
