//! The handle that everybody uses.

mod redactions;
mod snapshots;

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use knit_domain::event::{Entity, Position, Recorded, Sequence, StreamId};
use knit_domain::id::EventId;
use knit_domain::reservation::{Holder, Scope};
use knit_domain::time::Timestamp;
use tokio::sync::{Mutex, mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};

use crate::appender::{self, Appender, Pending, Queued};
use crate::backend::Backend;
use crate::chain::{self, Hash};
use crate::columns::{hash, unsigned};
use crate::database::{Database, Options};
use crate::error::{AppendError, Fault, OpenError, ReadError};
use crate::lease::Lease;
use crate::postgres::Postgres;
use crate::reader::{self, Between, Content, EventRow, ReadAhead, Span, StoredEvent, patiently};
use crate::recent::{Made, Recalled, Recent};
use crate::redacted::Redacted;
use crate::request::{Appended, Prepared, Request};
use crate::sqlite::Sqlite;
use crate::tail::{self, Asker, Head};

/// The event log. Clones are handles on the same one; its tasks end with the last handle.
#[derive(Clone, Debug)]
pub struct Log {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    backend: Arc<Backend>,
    queue: mpsc::Sender<Queued>,
    newest: Arc<watch::Sender<Position>>,
    recent: Arc<Recent>,
    redacted: Arc<Redacted>,
    askers: mpsc::Sender<Asker>,
    closing: watch::Sender<bool>,
    appender: Mutex<Option<JoinHandle<()>>>,
    /// Looking and listening; aborted with the last handle.
    followers: Mutex<JoinSet<()>>,
}

impl Log {
    /// Opens the log, making or migrating its tables, and starts its tasks on the current runtime.
    ///
    /// # Errors
    /// [`OpenError::NewerSchema`] for tables of a newer program, [`OpenError::InUse`] for an SQLite
    /// file that another process has open, and what the database and the file system say.
    pub async fn open(database: &Database, options: Options) -> Result<Self, OpenError> {
        let backend = Arc::new(match database {
            Database::Postgres(address) => {
                Backend::Postgres(Box::new(Postgres::open(address.as_ref().clone(), options.readers).await?))
            }
            Database::Sqlite(path) => Backend::Sqlite(Sqlite::open(path, options.readers).await?),
        });
        let ends = patiently("looking at the head of the log", || backend.ends()).await?;
        let newest = Arc::new(watch::Sender::new(ends.head.position));
        let (recent, redacted) = (Arc::new(Recent::default()), Arc::new(Redacted::default()));
        let closing = watch::Sender::new(false);
        let (queue, pending) = mpsc::channel(appender::QUEUE_REQUESTS_MAX);
        let (askers, asked) = mpsc::channel(tail::ASKERS_MAX);
        let appender = Appender {
            backend: backend.clone(),
            clock: options.clock,
            newest: newest.clone(),
            recent: recent.clone(),
            redacted: redacted.clone(),
            patience: options.append_patience,
            observer: options.observer,
        };
        let appender = tokio::spawn(appender.run(pending, closing.subscribe()));
        let mut followers = JoinSet::new();
        followers.spawn(tail::answer_askers(backend.clone(), asked, newest.clone()));
        followers.spawn(tail::listen(backend.clone(), newest.clone()));
        let (appender, followers) = (Mutex::new(Some(appender)), Mutex::new(followers));
        let inner = Inner { backend, queue, newest, recent, redacted, askers, closing, appender, followers };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Writes what was let in, then lets go of the database. Every handle is closed by it.
    pub async fn close(&self) {
        self.inner.closing.send_replace(true);
        if let Some(appender) = self.inner.appender.lock().await.take() {
            // It only ends early if it panicked, which its own callers have seen.
            appender.await.ok();
        }
        self.inner.followers.lock().await.shutdown().await;
        self.inner.backend.close().await;
    }

    /// Appends the events of a decision, all or none, if all its conditions hold.
    ///
    /// An append once handed in is carried out even if the caller stops waiting. Whoever is told
    /// [`Fault::OutcomeUnknown`] asks again with the same request.
    ///
    /// # Errors
    /// [`AppendError::Conflict`] when something moved since the decision, [`AppendError::Refused`]
    /// for what can never be appended, [`AppendError::Fault`] when the world broke.
    pub async fn append(&self, request: Request) -> Result<Appended, AppendError> {
        let (pending, verdict) = Pending::new(Prepared::of(request)?);
        self.queue(Queued::Request(pending)).await?;
        verdict.await.map_err(|_| Fault::Closed)?
    }

    pub(crate) async fn queue(&self, what: Queued) -> Result<(), Fault> {
        self.inner.queue.send(what).await.map_err(|_| Fault::Closed)
    }

    /// The end of the log as the database has it now; those who ask at once share one look.
    ///
    /// # Errors
    /// When the database does not answer, and [`Fault::OtherEnd`] when head row and last event contradict each other.
    pub async fn head(&self) -> Result<Head, Fault> {
        let (asker, head) = oneshot::channel();
        self.inner.askers.send(asker).await.map_err(|_| Fault::Closed)?;
        head.await.map_err(|_| Fault::Closed)?
    }

    /// The head as its row says, and the position of the last event that is there, with nothing checked: whoever verifies
    /// the log wants to see both.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn ends_unchecked(&self) -> Result<(Head, Position), Fault> {
        let ends = patiently("looking at the head of the log", || self.inner.backend.ends()).await?;
        Ok((ends.head, ends.last.position))
    }

    /// The newest position known here, without asking anybody.
    #[must_use]
    pub fn position(&self) -> Position {
        *self.inner.newest.borrow()
    }

    /// Wakes whenever [`Self::position`] changes, also through other processes. It goes back only if
    /// the database was restored to an older state.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Position> {
        self.inner.newest.subscribe()
    }

    /// All events of one stream, in order.
    ///
    /// # Errors
    /// When an event is missing or cannot be read.
    pub async fn load(&self, stream: &StreamId) -> Result<Vec<Recorded>, ReadError> {
        reader::load(&self.inner.backend, &self.inner.recent, &self.inner.redacted, stream).await
    }

    /// All events of one stream as this process remembers them, or else as [`Self::load`] reads them.
    ///
    /// Another process may have appended to the stream in the meantime. So whoever decides on it must name its
    /// version, and look again with [`Self::load`] before a refusal.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub async fn recall(&self, stream: &StreamId) -> Result<Vec<Arc<Recorded>>, ReadError> {
        if let Some(events) = self.inner.recent.stream(stream) {
            return Ok(events);
        }
        Ok(self.load(stream).await?.into_iter().map(Arc::new).collect())
    }

    /// What was kept of a stream by [`Self::keep`], and the events behind it; where nothing of this kind was, all
    /// events, as [`Self::recall`] has them.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub async fn recall_made<T: Any + Send + Sync>(&self, stream: &StreamId) -> Result<Recalled<T>, ReadError> {
        // Before anything is recalled: what is redacted meanwhile may be in it.
        let forgotten = self.inner.recent.forgotten();
        if let Some(known) = self.inner.recent.remembered(stream)
            && let Some(made) = &known.made
            && let Ok(of) = Arc::clone(&made.of).downcast::<T>()
        {
            let events = known.rest().cloned().collect();
            return Ok(Recalled { made: Some((of, made.version)), events, forgotten });
        }
        Ok(Recalled { made: None, events: self.recall(stream).await?, forgotten })
    }

    /// Remembers what the caller has made of a whole stream, of which `newest` is the last event. Whoever recalls it
    /// need not read and fold the stream again, however long it is. Nothing is remembered if everything was forgotten
    /// since it was recalled, when that had happened `forgotten` times.
    pub fn keep<T: Any + Send + Sync>(&self, forgotten: u64, newest: &Arc<Recorded>, made: Arc<T>) {
        let made = Made { version: newest.sequence, of: made };
        self.inner.recent.made(forgotten, &newest.stream, made, Arc::clone(newest));
    }

    /// The event of a stream with this sequence, if it is remembered or else in the log.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub async fn recall_event(
        &self,
        stream: &StreamId,
        sequence: Sequence,
    ) -> Result<Option<Arc<Recorded>>, ReadError> {
        let known = self.inner.recent.remembered(stream);
        if let Some(event) = known.as_ref().and_then(|known| known.event(sequence)) {
            return Ok(Some(Arc::clone(event)));
        }
        let events = self.load(stream).await?;
        Ok(events.into_iter().find(|event| event.sequence == sequence).map(Arc::new))
    }

    /// Up to `limit` events after position `after` that this process appended, if the very next one is such and
    /// still remembered. Whoever follows checks that they continue the chain, as with [`Self::read`].
    #[must_use]
    pub fn recent(&self, after: Position, limit: usize) -> Option<Vec<Arc<Recorded>>> {
        self.inner.recent.after(after, limit)
    }

    /// The event at `position`, if the log has come so far; from memory where it is remembered.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub async fn event_at(&self, position: Position) -> Result<Option<Arc<Recorded>>, ReadError> {
        let Some(before) = position.checked_sub(1) else { return Ok(None) };
        if let Some(events) = self.recent(before, 1) {
            return Ok(events.into_iter().next());
        }
        Ok(self.read(before, 1).await?.into_iter().next().map(Arc::new))
    }

    /// The event with this id, if it is in the log.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub async fn event_by_id(&self, id: EventId) -> Result<Option<Arc<Recorded>>, ReadError> {
        let doing = "looking for an event";
        let Some(position) = patiently(doing, || self.inner.backend.position_of(id)).await? else { return Ok(None) };
        let position = unsigned(position).map_err(|error| Fault::of(doing, error))?;
        self.event_at(position).await
    }

    /// Forgets what this process remembers: the log turned out to be another one, or something was redacted in it.
    pub fn forget(&self) {
        self.inner.recent.forget();
        self.inner.redacted.forget();
    }

    /// The position of the newest redaction as the database has it now; 0 if there is none.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn redacted_up_to(&self) -> Result<Position, ReadError> {
        Ok(self.inner.redacted.look(&self.inner.backend).await?.up_to())
    }

    /// Up to `limit` events after position `after`, in order, without gaps, each linked to the chain.
    /// None means that there are none yet.
    ///
    /// # Errors
    /// When the very next event is missing, does not continue the chain, or cannot be read; what is
    /// before such an event is answered first.
    pub async fn read(&self, after: Position, limit: usize) -> Result<Vec<Recorded>, ReadError> {
        self.read_with(after, limit, Content::Trusted).await
    }

    /// Up to `limit` events after `after`, read as [`Self::read`] does; in the place of an event that is of none of
    /// `types` there is nothing, and it is not decoded.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub async fn read_of_types(
        &self,
        after: Position,
        limit: usize,
        types: &[String],
    ) -> Result<Vec<Option<Recorded>>, ReadError> {
        let Inner { backend, redacted, .. } = &*self.inner;
        reader::read_seen_of(backend, redacted, Span { after, limit, known: self.position() }, types).await
    }

    /// The same, with their content checked or not.
    pub(crate) async fn read_with(
        &self,
        after: Position,
        limit: usize,
        content: Content,
    ) -> Result<Vec<Recorded>, ReadError> {
        let Inner { backend, redacted, .. } = &*self.inner;
        let span = Span { after, limit, known: self.position() };
        let events = reader::read_seen(backend, redacted, span, content).await?;
        self.inner.recent.heed(&events);
        Ok(events)
    }

    /// Reads on and on in pages of up to `limit` events, ahead of whoever asks for them.
    ///
    /// # Panics
    /// Outside of a runtime.
    #[must_use]
    pub fn read_ahead(&self, limit: usize) -> ReadAhead {
        ReadAhead::new(self.clone(), limit)
    }

    /// The same events as [`Self::read`], text for text as they are stored.
    ///
    /// # Errors
    /// As [`Self::read`], but an event that this program does not know is no error here.
    pub async fn read_stored(&self, after: Position, limit: usize) -> Result<Vec<StoredEvent>, ReadError> {
        let take = |row: EventRow<'_>| Ok(row.stored());
        reader::read(&self.inner.backend, after, limit, self.position(), &take).await
    }

    /// Up to `limit` events after `after` as they are stored, with nothing checked: whoever verifies the log wants to
    /// see what is wrong with it. There may be fewer where they are long, and none only where there are no more.
    ///
    /// # Errors
    /// [`Fault::Damaged`] when the first of them is something that is no event, and other faults of the database.
    pub async fn read_unchecked(&self, after: Position, limit: usize) -> Result<Vec<StoredEvent>, ReadError> {
        reader::read_unchecked(&self.inner.backend, after, limit).await
    }

    /// Who holds a place in `scope`.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn holders(&self, scope: &Scope) -> Result<Vec<Holder>, Fault> {
        patiently("reading reservations", || self.inner.backend.holders(*scope)).await
    }

    /// Positions after `after` of up to `limit` events that say something about `entity`.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn positions_of(&self, entity: Entity, after: Position, limit: usize) -> Result<Vec<Position>, Fault> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        patiently("looking for events", || self.inner.backend.positions_of(entity, after, limit)).await
    }

    /// The chain at `position`, if the log has come so far. At 0 it is [`chain::GENESIS`].
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn chain_at(&self, position: Position) -> Result<Option<Hash>, Fault> {
        if position == 0 {
            return Ok(Some(chain::GENESIS));
        }
        let doing = "reading the chain";
        let bytes = patiently(doing, || self.inner.backend.chain_at(position)).await?;
        bytes.map(|bytes| hash(&bytes)).transpose().map_err(|error| Fault::of(doing, error))
    }

    /// The last position that was recorded at `time` or before it; 0 when there is none. It is the answer for ever
    /// only once something was recorded later than `time`.
    ///
    /// # Errors
    /// When an event is missing, or the database does not answer.
    pub async fn position_at(&self, time: Timestamp) -> Result<Position, ReadError> {
        Ok(self.positions_at(&[time]).await?.first().copied().unwrap_or_default())
    }

    /// The same for each of `times`, in one question to the database.
    ///
    /// # Errors
    /// As [`Self::position_at`].
    pub async fn positions_at(&self, times: &[Timestamp]) -> Result<Vec<Position>, ReadError> {
        let times_ms: Vec<i64> = times.iter().map(|time| time.0).collect();
        let found = patiently("looking for times", || self.inner.backend.halved(&times_ms)).await?;
        found.into_iter().map(Between::found).collect()
    }

    /// The bytes that were stored under their hash, if they were.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn attachment(&self, sha256: &str) -> Result<Option<Vec<u8>>, Fault> {
        patiently("reading an attachment", || self.inner.backend.attachment(sha256)).await
    }

    /// Lets nothing remain in the database's files of what was redacted; answers whether that is so. On PostgreSQL it is
    /// not: dead rows and the write-ahead log are its administrator's.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn wipe(&self) -> Result<bool, Fault> {
        patiently("overwriting what was redacted", || self.inner.backend.wipe()).await
    }

    /// Becomes the holder of `role` for `ttl`, unless somebody else is. `holder` is unique among those that live
    /// at the same time; one that died and came back under the same name need not wait. All who want a role
    /// use the same `ttl`. When the clock of the database goes back, leases of the dead last for twice as long.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn acquire_lease(&self, role: &str, holder: &str, ttl: Duration) -> Result<Option<Lease>, Fault> {
        let doing = "acquiring a lease";
        let fence = patiently(doing, || self.inner.backend.acquire_lease(role, holder, Lease::ttl_ms(ttl))).await?;
        let Some(fence) = fence else { return Ok(None) };
        let fence = unsigned(fence).map_err(|error| Fault::of(doing, error))?;
        Ok(Some(Lease { role: role.to_owned(), holder: holder.to_owned(), fence, ttl }))
    }

    /// Makes the lease last for its time from now. False: somebody else has it by now.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn renew_lease(&self, lease: &Lease) -> Result<bool, Fault> {
        patiently("renewing a lease", || self.inner.backend.renew_lease(lease)).await
    }

    /// Gives the lease back, so that another need not wait until it expires.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn release_lease(&self, lease: &Lease) -> Result<(), Fault> {
        patiently("giving a lease back", || self.inner.backend.release_lease(lease)).await
    }

    /// Goes on with a history that was imported up to `position`.
    pub(crate) fn took_over(&self, position: Position) {
        self.inner.recent.forget();
        tail::announce(&self.inner.newest, position);
    }

    pub(crate) fn backend(&self) -> &Backend {
        &self.inner.backend
    }
}
