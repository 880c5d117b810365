//! Appending a batch on PostgreSQL: one statement that checks and writes.
//!
//! A process that appended last knows the end of the log, and nearly every batch finds the streams and
//! reservations as it expects them. So the batch is judged on what it takes for granted, and one statement
//! checks that, moves the head row from the remembered end, and writes: one round trip, one transaction, and
//! the head's lock is held only while the server itself works. If anything is otherwise, nothing is written;
//! the server is asked how things are, and the batch is judged again on its answers. If another process
//! moves the head between that look and the write, the third judgement is done under the row's lock, so that a
//! process with rivals waits its turn instead of losing again and again.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use futures::TryStreamExt as _;
use knit_domain::event::Position;
use knit_domain::id::EventId;
use knit_domain::reservation::Scope;
use knit_domain::time::Timestamp;
use knit_failpoint::{failpoint, failpoints};
use sqlx::error::DatabaseError;
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection, Row};
use tokio::sync::Mutex;
use uuid::Uuid;

use super::{connect, ends, event_row, sql};
use crate::appender::{Judge, Unwritten};
use crate::batch::{Answers, Changes, End, Known, Place, Questions};
use crate::columns::{entity, holder, not_as_recorded, signed, unsigned};
use crate::redacted::{EMPTIED, Emptying};

/// How long one batch may take. A server that takes longer is treated as gone, and the batch is
/// looked for again through a new connection.
const BATCH_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a connection that is asked whether it lives may take to say so; a batch would have to wait as long.
const PING_TIMEOUT: Duration = Duration::from_secs(5);

/// The connection that appends.
#[derive(Debug)]
pub(crate) struct Writer {
    options: PgConnectOptions,
    slot: Mutex<Option<Session>>,
}

/// A connection, and what is known of the log through it. The two go together: a database that is restored to an
/// older state closes its connections.
#[derive(Debug)]
struct Session {
    connection: PgConnection,
    /// The end that the last batch left. Another process may have moved it since.
    end: Option<End>,
    /// Whether another process was met since; then a look pays before it is relied on again.
    has_rivals: bool,
}

impl Writer {
    pub(super) fn new(options: PgConnectOptions) -> Self {
        Self { options, slot: Mutex::new(None) }
    }

    pub(super) async fn close(&self) {
        if let Some(session) = self.slot.lock().await.take() {
            // The server notices a closed socket as well; a failed goodbye loses nothing.
            session.connection.close().await.ok();
        }
    }

    /// Makes sure that others who append know that this process wants to hear of it.
    pub(crate) async fn be_present(&self) -> Result<(), sqlx::Error> {
        let mut slot = self.slot.lock().await;
        // Taken out meanwhile: whoever is cut off here leaves no connection that waits for an answer.
        let known = slot.take();
        *slot = Some(match known {
            Some(session) => session.if_it_lives(&self.options).await?,
            None => Session::open(&self.options).await?,
        });
        Ok(())
    }

    /// Lets `judge` decide on what the batch takes for granted, or on answers to `questions`, and writes what it
    /// decided.
    pub(crate) async fn transact(&self, questions: &Questions, judge: &mut Judge<'_, '_>) -> Result<(), Unwritten> {
        let mut slot = self.slot.lock().await;
        let mut session = match slot.take() {
            Some(session) => session,
            None => Session::open(&self.options).await.map_err(Unwritten::certain)?,
        };
        let attempt = session.transact(questions, judge);
        let outcome = match tokio::time::timeout(BATCH_TIMEOUT, attempt).await {
            Ok(outcome) => outcome,
            Err(_elapsed) => Err(Unwritten::unless_answered(sqlx::Error::PoolTimedOut)),
        };
        // A connection that has failed may be in the middle of anything: the next batch gets a new one.
        if outcome.is_ok() {
            *slot = Some(session);
        }
        outcome
    }
}

impl Session {
    /// Connects, and is present from then on to the processes that append beside this one.
    async fn open(options: &PgConnectOptions) -> Result<Self, sqlx::Error> {
        let mut connection = connect(options).await?;
        // It waits for a commit that is under way.
        let present = sqlx::query(sql::BE_PRESENT).execute(&mut connection);
        tokio::time::timeout(BATCH_TIMEOUT, present).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))?;
        Ok(Self { connection, end: None, has_rivals: false })
    }

    /// The same session if its connection answers, or else another.
    async fn if_it_lives(mut self, options: &PgConnectOptions) -> Result<Self, sqlx::Error> {
        match tokio::time::timeout(PING_TIMEOUT, self.connection.ping()).await {
            Ok(Ok(())) => Ok(self),
            Ok(Err(_)) | Err(_) => Self::open(options).await,
        }
    }

    async fn transact(&mut self, questions: &Questions, judge: &mut Judge<'_, '_>) -> Result<(), Unwritten> {
        if questions.empties {
            // That is several statements, which must be one transaction; it is rare, and may wait for its turn.
            return self.write_under_lock(questions, judge).await;
        }
        if self.write_presumed(questions, judge).await? {
            return Ok(());
        }
        let answers = ask(&mut self.connection, questions).await.map_err(Unwritten::certain)?;
        self.has_rivals = self.end.is_some_and(|end| end != answers.end);
        let changes = judge(answers);
        failpoints("commit", changes.event_types());
        if write(&mut self.connection, questions, &changes, false).await.map_err(Unwritten::unless_answered)? {
            failpoints("committed", changes.event_types());
            self.end = Some(changes.after);
            return Ok(());
        }
        (self.end, self.has_rivals) = (None, true);
        self.write_under_lock(questions, judge).await
    }

    /// Writes on what the batch takes for granted; answers whether that was so.
    async fn write_presumed(&mut self, questions: &Questions, judge: &mut Judge<'_, '_>) -> Result<bool, Unwritten> {
        let Some(end) = self.end.filter(|_| !self.has_rivals) else { return Ok(false) };
        let changes = judge(questions.presumed(end));
        if changes.events.is_empty() {
            // Nothing would be written, so nothing would be checked.
            return Ok(false);
        }
        failpoints("commit", changes.event_types());
        match write(&mut self.connection, questions, &changes, true).await {
            Ok(true) => {
                failpoints("committed", changes.event_types());
                self.end = Some(changes.after);
                Ok(true)
            }
            Ok(false) => Ok(false),
            // Events that were taken to be new are in the log already.
            Err(error) if error.as_database_error().is_some_and(DatabaseError::is_unique_violation) => Ok(false),
            Err(error) => Err(Unwritten::unless_answered(error)),
        }
    }

    async fn write_under_lock(&mut self, questions: &Questions, judge: &mut Judge<'_, '_>) -> Result<(), Unwritten> {
        let mut transaction = self.connection.begin().await.map_err(Unwritten::certain)?;
        sqlx::query(sql::LOCK_HEAD).execute(&mut *transaction).await.map_err(Unwritten::certain)?;
        let answers = ask(&mut transaction, questions).await.map_err(Unwritten::certain)?;
        failpoint("append.head-locked");
        let changes = judge(answers);
        write(&mut transaction, questions, &changes, false).await.map_err(Unwritten::certain)?;
        detach(&mut transaction, &changes.detached).await.map_err(Unwritten::certain)?;
        empty(&mut transaction, &changes.emptied).await.map_err(Unwritten::certain)?;
        failpoint("append.written-under-lock");
        failpoints("commit", changes.event_types());
        transaction.commit().await.map_err(Unwritten::unless_answered)?;
        failpoints("committed", changes.event_types());
        self.end = Some(changes.after);
        Ok(())
    }
}

async fn ask(connection: &mut PgConnection, questions: &Questions) -> Result<Answers, sqlx::Error> {
    let kinds: Vec<&str> = questions.streams.iter().map(|stream| stream.kind.as_str()).collect();
    let streams: Vec<&str> = questions.streams.iter().map(|stream| stream.id.as_str()).collect();
    let (scopes, holders) = columns_of(&questions.places);
    let whole: HashMap<String, Scope> = questions.scopes.iter().map(|scope| (scope.to_string(), *scope)).collect();
    let whole_texts: Vec<&str> = whole.keys().map(String::as_str).collect();
    let event_ids: Vec<Uuid> = questions.event_ids.iter().map(|id| id.0).collect();
    let query = sqlx::query(sql::ASK).bind(kinds).bind(streams).bind(scopes).bind(holders);
    let row = query.bind(whole_texts).bind(event_ids).fetch_one(connection).await?;
    let versions: Vec<i64> = row.try_get(7)?;
    let (members, their_holders): (Vec<String>, Vec<String>) = (row.try_get(9)?, row.try_get(10)?);
    let (known, positions, times): (Vec<Uuid>, Vec<i64>, Vec<i64>) =
        (row.try_get(11)?, row.try_get(12)?, row.try_get(13)?);
    Ok(Answers {
        end: ends(&row)?.end()?,
        versions: versions.into_iter().map(unsigned).collect::<Result<_, _>>()?,
        taken: row.try_get(8)?,
        members: members
            .iter()
            .zip(their_holders)
            .filter_map(|(scope, text)| whole.get(scope).map(|scope| Ok((*scope, holder(&text)?))))
            .collect::<Result<_, sqlx::Error>>()?,
        known: known
            .into_iter()
            .zip(positions.into_iter().zip(times))
            .map(|(id, (position, at))| {
                Ok((EventId(id), Known { position: unsigned(position)?, recorded_at: Timestamp(at) }))
            })
            .collect::<Result<_, sqlx::Error>>()?,
    })
}

/// Whether the batch was written: not if the log has another end than the one it was judged on, or, where it was
/// `presumed`, something is not as `questions` expect it.
async fn write(
    connection: &mut PgConnection,
    questions: &Questions,
    changes: &Changes<'_>,
    presumed: bool,
) -> Result<bool, sqlx::Error> {
    if changes.events.is_empty() {
        return Ok(true);
    }
    let reservations = !(questions.places.is_empty() && questions.scopes.is_empty());
    let parts = sql::Parts { presumed, reservations, attachments: !changes.attachments.is_empty() };
    let (before, after, events) = (&changes.before, &changes.after, &changes.events);
    let query = sqlx::query(sql::write(parts))
        .bind(signed(before.position))
        .bind(before.chain.as_slice())
        .bind(signed(after.position))
        .bind(after.chain.as_slice())
        .bind(after.recorded_at.0)
        .bind(events.iter().map(|e| e.event.stream.kind.as_str()).collect::<Vec<_>>())
        .bind(events.iter().map(|e| e.event.stream.id.as_str()).collect::<Vec<_>>())
        .bind(events.iter().map(|e| signed(e.event.sequence)).collect::<Vec<_>>())
        .bind(events.iter().map(|e| e.event.event_type).collect::<Vec<_>>())
        .bind(events.iter().map(|e| e.event.event_version.as_str()).collect::<Vec<_>>())
        .bind(events.iter().map(|e| e.event.payload.as_str()).collect::<Vec<_>>())
        .bind(events.iter().map(|e| e.event.metadata.as_str()).collect::<Vec<_>>())
        .bind(events.iter().map(|e| signed(e.position)).collect::<Vec<_>>())
        .bind(events.iter().map(|e| e.event.id.0).collect::<Vec<_>>())
        .bind(events.iter().map(|e| e.event.salt.as_slice()).collect::<Vec<_>>())
        .bind(events.iter().map(|e| e.event.leaf.as_slice()).collect::<Vec<_>>())
        .bind(events.iter().map(|e| e.chain.as_slice()).collect::<Vec<_>>());
    let (mut kinds, mut ids, mut positions) = (Vec::new(), Vec::new(), Vec::new());
    for placed in events {
        for (kind, id) in placed.event.entities.iter().copied().map(entity) {
            kinds.push(kind);
            ids.push(id);
            positions.push(signed(placed.position));
        }
    }
    let (released, taken) = (columns_of(&changes.released), columns_of(&changes.taken));
    let attachments = &changes.attachments;
    let (places, scopes) = (columns_of(&questions.places), &questions.scopes);
    let query = query
        .bind(kinds)
        .bind(ids)
        .bind(positions)
        .bind(released.0)
        .bind(released.1)
        .bind(taken.0)
        .bind(taken.1)
        .bind(attachments.iter().map(|a| a.sha256.as_str()).collect::<Vec<_>>())
        .bind(attachments.iter().map(|a| a.bytes.as_slice()).collect::<Vec<_>>())
        .bind(questions.streams.iter().map(|stream| stream.kind.as_str()).collect::<Vec<_>>())
        .bind(questions.streams.iter().map(|stream| stream.id.as_str()).collect::<Vec<_>>())
        .bind(questions.expected.iter().copied().map(signed).collect::<Vec<_>>())
        .bind(places.0)
        .bind(places.1)
        .bind(questions.held.as_slice())
        .bind(scopes.iter().map(ToString::to_string).collect::<Vec<_>>());
    Ok(query.fetch_optional(connection).await?.is_some())
}

async fn detach(connection: &mut PgConnection, detached: &[&str]) -> Result<(), sqlx::Error> {
    if detached.is_empty() {
        return Ok(());
    }
    sqlx::query(sql::DETACH).bind(detached).execute(connection).await.map(drop)
}

/// Takes out the content of events that are as they were recorded, and everything that was saved while they had it.
async fn empty(connection: &mut PgConnection, emptied: &[Emptying]) -> Result<(), sqlx::Error> {
    if emptied.is_empty() {
        return Ok(());
    }
    are_as_recorded(connection, emptied).await?;
    for Emptying { position, leaf, .. } in emptied {
        let empty = sqlx::query(sql::EMPTY).bind(EMPTIED).bind(signed(*position)).bind(leaf.as_slice());
        if empty.execute(&mut *connection).await?.rows_affected() != 1 {
            return Err(not_as_recorded(*position));
        }
    }
    sqlx::query(sql::FORGET_SNAPSHOTS_BEFORE).bind(i64::MAX).execute(connection).await.map(drop)
}

/// Looks at all of them in one round trip: others wait for the head meanwhile.
async fn are_as_recorded(connection: &mut PgConnection, emptied: &[Emptying]) -> Result<(), sqlx::Error> {
    let mut unseen: BTreeMap<Position, &Emptying> = emptied.iter().map(|event| (event.position, event)).collect();
    let positions: Vec<i64> = unseen.keys().copied().map(signed).collect();
    let mut rows = sqlx::query(sql::AT).bind(positions).fetch(connection);
    while let Some(row) = rows.try_next().await? {
        let row = event_row(&row)?;
        if !unseen.remove(&row.position).is_some_and(|event| event.is_of(&row)) {
            return Err(not_as_recorded(row.position));
        }
    }
    unseen.into_keys().next().map_or(Ok(()), |missing| Err(not_as_recorded(missing)))
}

pub(super) fn columns_of(places: &[Place]) -> (Vec<String>, Vec<String>) {
    places.iter().map(|(scope, holder)| (scope.to_string(), holder.to_string())).unzip()
}
