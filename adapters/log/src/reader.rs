//! Reading the log: in order, without gaps, each event linked to the one before.

mod ahead;
mod between;

use std::ops::ControlFlow;
use std::time::Duration;

use knit_domain::event::{Event, Metadata, Position, Recorded, Sequence, StreamId, UndecodableEvent};
use knit_domain::id::EventId;
use knit_domain::time::Timestamp;
use knit_schemas::export;
use tokio::time::Instant;

use crate::backend::Backend;
use crate::chain::{self, Hash, Leaf};
use crate::error::{Fault, ReadError, Trouble};
use crate::recent::Recent;
use crate::redacted::{Redacted, Remaining};

pub use ahead::ReadAhead;
pub(crate) use between::Between;

/// How long a read keeps trying while the database is away. Shorter than an append's patience:
/// whoever reads can simply ask again.
const PATIENCE: Duration = Duration::from_secs(5);
/// The pause before the first further try; it doubles. Short, because the usual reason is a pooled
/// connection that died long ago, and the next one may live.
const PAUSE_MIN: Duration = Duration::from_millis(1);
/// The longest pause between tries.
const PAUSE_MAX: Duration = Duration::from_millis(500);
/// How long one answer may take, a page or a chunk. A machine that vanished does not close its
/// connections, and without a limit those who wait for it would wait for ever.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of payloads and metadata after which a page is long enough, however few events they are. A thousand of
/// the usual events are a quarter of a megabyte; this bounds the memory for a thousand of the largest.
const PAGE_BYTES_MAX: usize = 16 << 20;

/// What is made of an event that is read.
pub(crate) type Take<'t, T> = dyn Fn(EventRow<'_>) -> Result<T, ReadError> + Sync + 't;

/// Takes stored events one by one, and says when to stop.
pub(crate) type Visit<'v> = dyn FnMut(EventRow<'_>) -> ControlFlow<()> + Send + 'v;

/// An event in the row that the database has just handed out. Most readers want what it says, not its texts, so
/// these are not copied before they are read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EventRow<'r> {
    pub(crate) position: Position,
    pub(crate) event_id: EventId,
    pub(crate) stream_type: &'r str,
    pub(crate) stream_id: &'r str,
    pub(crate) sequence: Sequence,
    pub(crate) event_type: &'r str,
    pub(crate) event_version: &'r str,
    pub(crate) payload: &'r str,
    pub(crate) metadata: &'r str,
    pub(crate) recorded_at: Timestamp,
    pub(crate) salt: &'r [u8],
    pub(crate) leaf: Hash,
    pub(crate) chain: Hash,
}

impl EventRow<'_> {
    /// Whether its content was taken out. No other event is without a salt.
    pub(crate) fn is_emptied(&self) -> bool {
        self.salt.is_empty()
    }

    fn parts(&self) -> Leaf<'_> {
        Leaf {
            salt: self.salt,
            event_id: self.event_id,
            stream_type: self.stream_type,
            stream_id: self.stream_id,
            sequence: self.sequence,
            event_type: self.event_type,
            event_version: self.event_version,
            payload: self.payload,
            metadata: self.metadata,
        }
    }

    /// The hash of the content as it is stored now.
    pub(crate) fn leaf_of_content(&self) -> Hash {
        self.parts().hash()
    }

    /// The hash of all but salt and payload.
    pub(crate) fn envelope(&self) -> Hash {
        self.parts().envelope()
    }

    /// The row, if it says what was appended. Of one that was emptied, the redaction says what the leaf was of.
    pub(crate) fn as_appended(self) -> Result<Self, ReadError> {
        if self.is_emptied() || self.leaf_of_content() == self.leaf {
            Ok(self)
        } else {
            Err(ReadError::Changed { position: self.position })
        }
    }

    /// The row by itself, text for text.
    pub(crate) fn stored(self) -> StoredEvent {
        StoredEvent {
            position: self.position,
            event_id: self.event_id,
            stream_type: self.stream_type.to_owned(),
            stream_id: self.stream_id.to_owned(),
            sequence: self.sequence,
            event_type: self.event_type.to_owned(),
            event_version: self.event_version.to_owned(),
            payload: self.payload.to_owned(),
            metadata: self.metadata.to_owned(),
            recorded_at: self.recorded_at,
            salt: self.salt.to_owned(),
            leaf: self.leaf,
            chain: self.chain,
        }
    }

    /// Why it cannot be read. What was changed behind the log may look like what a newer program has written, which no
    /// newer program would read. What remains of an emptied event was held against its leaf as far as that can be.
    fn not_decoded(&self, source: UndecodableEvent) -> ReadError {
        let position = self.position;
        match self.as_appended() {
            Ok(_) => ReadError::Undecodable { position, source },
            Err(changed) => changed,
        }
    }

    /// Reads the event.
    pub(crate) fn decode(self) -> Result<Recorded, ReadError> {
        let undecodable = |source| self.not_decoded(source);
        let kind = self.stream_type.parse().map_err(undecodable)?;
        let event = Event::decode(kind, self.event_type, self.event_version, self.payload).map_err(undecodable)?;
        let metadata: Metadata = serde_json::from_str(self.metadata).map_err(|error| {
            undecodable(UndecodableEvent::BadPayload {
                event_type: self.event_type.to_owned(),
                reason: format!("metadata: {error}"),
            })
        })?;
        Ok(Recorded {
            position: self.position,
            event_id: self.event_id,
            stream: StreamId { kind, id: self.stream_id.to_owned() },
            sequence: self.sequence,
            recorded_at: self.recorded_at,
            event,
            metadata,
            leaf: self.leaf,
            chain: self.chain,
        })
    }
}

/// An event as it is stored, text for text: what was hashed, what an export carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// Place in the total order.
    pub position: Position,
    /// Identity.
    pub event_id: EventId,
    /// Stored name of the kind of stream.
    pub stream_type: String,
    /// Which stream.
    pub stream_id: String,
    /// Place in the stream.
    pub sequence: Sequence,
    /// Stored name of the event.
    pub event_type: String,
    /// Stored version of the event.
    pub event_version: String,
    /// JSON text.
    pub payload: String,
    /// JSON text.
    pub metadata: String,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// Random bytes of the leaf.
    pub salt: Vec<u8>,
    /// Hash of the content.
    pub leaf: Hash,
    /// Hash of the log up to here.
    pub chain: Hash,
}

/// The event as an export carries it.
impl From<StoredEvent> for export::Event {
    fn from(event: StoredEvent) -> Self {
        Self {
            position: event.position,
            event_id: event.event_id.0,
            stream_type: event.stream_type,
            stream_id: event.stream_id,
            sequence: event.sequence,
            event_type: event.event_type,
            event_version: event.event_version,
            payload: event.payload,
            metadata: event.metadata,
            recorded_at_ms: event.recorded_at.0,
            salt: event.salt,
            leaf: event.leaf,
            chain: event.chain,
        }
    }
}

impl From<export::Event> for StoredEvent {
    fn from(event: export::Event) -> Self {
        Self {
            position: event.position,
            event_id: EventId(event.event_id),
            stream_type: event.stream_type,
            stream_id: event.stream_id,
            sequence: event.sequence,
            event_type: event.event_type,
            event_version: event.event_version,
            payload: event.payload,
            metadata: event.metadata,
            recorded_at: Timestamp(event.recorded_at_ms),
            salt: event.salt,
            leaf: event.leaf,
            chain: event.chain,
        }
    }
}

impl StoredEvent {
    /// The leaf that the stored content has now; another one than [`Self::leaf`] means that the
    /// content was changed.
    #[must_use]
    pub fn leaf_of_content(&self) -> Hash {
        self.row().leaf_of_content()
    }

    /// Whether its content was taken out.
    #[must_use]
    pub fn is_emptied(&self) -> bool {
        self.row().is_emptied()
    }

    /// Reads the event.
    ///
    /// # Errors
    /// [`ReadError::Undecodable`] when this program does not know the stream, event or version, or
    /// the content is not what they promise; [`ReadError::Changed`] when that is so because it was changed.
    pub fn decode(self) -> Result<Recorded, ReadError> {
        self.row().decode()
    }

    pub(crate) fn row(&self) -> EventRow<'_> {
        EventRow {
            position: self.position,
            event_id: self.event_id,
            stream_type: &self.stream_type,
            stream_id: &self.stream_id,
            sequence: self.sequence,
            event_type: &self.event_type,
            event_version: &self.event_version,
            payload: &self.payload,
            metadata: &self.metadata,
            recorded_at: self.recorded_at,
            salt: &self.salt,
            leaf: self.leaf,
            chain: self.chain,
        }
    }
}

/// Whether the content of every event that is read is held against its leaf. That costs about as much as decoding it,
/// and whoever follows the log at a start has no time for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    /// Taken as it is stored.
    Trusted,
    /// What was changed behind the log ends the reading.
    Checked,
}

/// A part of the log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    /// The events behind this position,
    pub(crate) after: Position,
    /// up to so many.
    pub(crate) limit: usize,
    /// A position that the log is known to have reached before this look.
    pub(crate) known: Position,
}

/// The events of `span`; of those that were emptied, what remains of them.
pub(crate) async fn read_seen(
    backend: &Backend,
    redacted: &Redacted,
    span: Span,
    content: Content,
) -> Result<Vec<Recorded>, ReadError> {
    match read_as(&redacted.known(), backend, span, content).await {
        Err(ReadError::Emptied { .. }) => read_as(&*redacted.look(backend).await?, backend, span, content).await,
        read => read,
    }
}

/// The same of the events of some `types` alone; nothing is in the place of the others.
pub(crate) async fn read_seen_of(
    backend: &Backend,
    redacted: &Redacted,
    Span { after, limit, known }: Span,
    types: &[String],
) -> Result<Vec<Option<Recorded>>, ReadError> {
    let read_as = async |remaining: &Remaining| {
        let is_wanted = |row: &EventRow<'_>| types.iter().any(|name| name == row.event_type);
        let take = |row: EventRow<'_>| {
            if is_wanted(&row) { remaining.seen(row)?.decode().map(Some) } else { Ok(None) }
        };
        read(backend, after, limit, known, &take).await
    };
    match read_as(&redacted.known()).await {
        Err(ReadError::Emptied { .. }) => read_as(&*redacted.look(backend).await?).await,
        read => read,
    }
}

async fn read_as(
    remaining: &Remaining,
    backend: &Backend,
    span: Span,
    content: Content,
) -> Result<Vec<Recorded>, ReadError> {
    let Span { after, limit, known } = span;
    let take = |row: EventRow<'_>| match content {
        Content::Trusted => remaining.seen(row)?.decode(),
        Content::Checked => remaining.seen(row.as_appended()?)?.decode(),
    };
    read(backend, after, limit, known, &take).await
}

/// Up to `limit` events after `after`, each made into what `take` makes of it.
///
/// `known` is a position that the log is known to have reached before this look. What is wrong with
/// the first event is an error; what is wrong with a later one ends the page before it, so that a
/// follower gets up to it and then sees it.
pub(crate) async fn read<T: Send>(
    backend: &Backend,
    after: Position,
    limit: usize,
    known: Position,
    take: &Take<'_, T>,
) -> Result<Vec<T>, ReadError> {
    let known_to_come = usize::try_from(known.saturating_sub(after)).unwrap_or(limit).min(limit);
    let (page, end) = patiently("reading events", || async {
        let mut page = Page::after(after, take, known_to_come);
        let end = page.fill(backend, limit).await;
        // What has come is good, also when the connection broke after it.
        if page.events.is_empty() { end.map(|end| (page, end)) } else { Ok((page, end.unwrap_or(Ok(())))) }
    })
    .await?;
    if !page.events.is_empty() {
        return Ok(page.events);
    }
    end?;
    if page.position < known && limit > 0 {
        return Err(ReadError::Missing { position: page.position + 1 });
    }
    Ok(page.events)
}

/// Up to `limit` events after `after` as they are stored, whatever is wrong with them: positions may be missing, and
/// nothing needs to fit together. What cannot be read at all ends them, and is an error where it comes first.
pub(crate) async fn read_unchecked(
    backend: &Backend,
    after: Position,
    limit: usize,
) -> Result<Vec<StoredEvent>, ReadError> {
    let rows = i64::try_from(limit).unwrap_or(i64::MAX);
    let read = patiently("reading events", || async {
        let (mut events, mut bytes) = (Vec::new(), 0);
        let mut visit = |event: EventRow<'_>| {
            bytes += event.payload.len() + event.metadata.len();
            events.push(event.stored());
            if bytes < PAGE_BYTES_MAX { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        };
        let end = backend.visit_events(after + 1, rows, &mut visit).await;
        if events.is_empty() { end.map(|()| events) } else { Ok(events) }
    });
    Ok(read.await?)
}

/// A part of the log, checked as it grows.
struct Page<'t, T> {
    take: &'t Take<'t, T>,
    position: Position,
    /// The chain at `position`, once known.
    chain: Option<Hash>,
    events: Vec<T>,
    bytes: usize,
}

impl<'t, T: Send> Page<'t, T> {
    fn after(position: Position, take: &'t Take<'t, T>, known_to_come: usize) -> Self {
        let chain = (position == 0).then_some(chain::GENESIS);
        Self { take, position, chain, events: Vec::with_capacity(known_to_come), bytes: 0 }
    }

    /// Takes rows while they come: each is decoded while the server works on those after it.
    async fn fill(&mut self, backend: &Backend, limit: usize) -> Result<Result<(), ReadError>, sqlx::Error> {
        // The event before the page tells the chain that its first event continues.
        let (from, rows) = if self.chain.is_some() { (self.position + 1, limit) } else { (self.position, limit + 1) };
        let mut outcome = Ok(());
        let mut visit = |event: EventRow<'_>| match self.push(event) {
            Ok(bytes) if bytes < PAGE_BYTES_MAX => ControlFlow::Continue(()),
            Ok(_) => ControlFlow::Break(()),
            Err(error) => {
                outcome = Err(error);
                ControlFlow::Break(())
            }
        };
        backend.visit_events(from, i64::try_from(rows).unwrap_or(i64::MAX), &mut visit).await?;
        Ok(outcome)
    }

    /// Takes the next event; answers of how many bytes there are some by then.
    fn push(&mut self, event: EventRow<'_>) -> Result<usize, ReadError> {
        let Some(before) = self.chain else {
            if event.position != self.position {
                return Err(ReadError::Missing { position: self.position });
            }
            self.chain = Some(event.chain);
            return Ok(self.bytes);
        };
        let position = self.position + 1;
        if event.position != position {
            return Err(ReadError::Missing { position });
        }
        if chain::link(&before, position, event.recorded_at, &event.leaf) != event.chain {
            return Err(ReadError::BrokenChain { position });
        }
        self.events.push((self.take)(event)?);
        self.position = position;
        self.chain = Some(event.chain);
        self.bytes += event.payload.len() + event.metadata.len();
        Ok(self.bytes)
    }
}

/// The events of one stream, which are remembered.
pub(crate) async fn load(
    backend: &Backend,
    recent: &Recent,
    redacted: &Redacted,
    stream: &StreamId,
) -> Result<Vec<Recorded>, ReadError> {
    let forgotten = recent.forgotten();
    let stored = patiently("reading a stream", || backend.stream(stream)).await?;
    let largest_bytes = stored.iter().map(|event| event.payload.len() + event.metadata.len()).max();
    let mut events = Vec::with_capacity(stored.len());
    for (event, sequence) in stored.into_iter().zip(1..) {
        if event.sequence != sequence {
            return Err(ReadError::MissingInStream { stream: stream.clone(), sequence });
        }
        let seen = redacted.known().seen(event.row()).and_then(EventRow::decode);
        events.push(match seen {
            Err(ReadError::Emptied { .. }) => redacted.look(backend).await?.seen(event.row())?.decode()?,
            seen => seen?,
        });
    }
    recent.loaded(forgotten, stream, &events, largest_bytes.unwrap_or(0));
    Ok(events)
}

/// Asks again while the database is away, within bounds.
pub(crate) async fn patiently<T, F: Future<Output = Result<T, sqlx::Error>>>(
    doing: &'static str,
    mut ask: impl FnMut() -> F,
) -> Result<T, Fault> {
    let deadline = Instant::now() + PATIENCE;
    let mut pause = PAUSE_MIN;
    loop {
        let answer = tokio::time::timeout(ANSWER_TIMEOUT, ask()).await;
        match answer.unwrap_or(Err(sqlx::Error::PoolTimedOut)) {
            Ok(answer) => return Ok(answer),
            Err(error) if Trouble::of(&error) == Trouble::Connection && Instant::now() + pause < deadline => {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
            }
            Err(error) => return Err(Fault::of(doing, error)),
        }
    }
}
