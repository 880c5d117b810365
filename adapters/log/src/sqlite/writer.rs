//! Writing on SQLite: one connection, taken in turn by the appender and by whoever saves a snapshot
//! or renews a lease. A snapshot gives the turn back after each chunk, so appends never wait for the
//! whole of it.
//!
//! A batch is judged on what it takes for granted, and the statement that moves the head checks that; only if
//! something is otherwise is the database asked, and the batch judged again on its answers.

use std::time::Duration;

use knit_domain::event::Position;
use knit_domain::id::EventId;
use knit_domain::time::Timestamp;
use knit_failpoint::failpoints;
use serde_json::json;
use sqlx::error::DatabaseError;
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteConnectOptions, SqliteRow};
use sqlx::{Connection, Row, SqliteConnection};
use tokio::sync::Mutex;
use uuid::Uuid;

use super::{ends, event_row, sql};
use crate::appender::{Judge, Unwritten};
use crate::batch::{Answers, Changes, End, Known, Place, Placed, Questions};
use crate::columns::{entity, holder, not_as_recorded, signed, unsigned};
use crate::redacted::{EMPTIED, Emptying};

type Transaction<'c> = sqlx::Transaction<'c, sqlx::Sqlite>;
pub(super) type Statement<'q> = Query<'q, sqlx::Sqlite, SqliteArguments<'q>>;

/// The connection that writes.
#[derive(Debug)]
pub(crate) struct Writer {
    options: Box<SqliteConnectOptions>,
    slot: Mutex<Slot>,
}

/// What there is to write with.
#[derive(Debug)]
enum Slot {
    Ready(Session),
    /// The last connection failed, or is with somebody who was cut off.
    Empty,
    /// The log was closed.
    Closed,
}

/// A connection, and the end that the last batch left. The file belongs to this process, so that nobody else
/// moves it; it is checked all the same as the next batch is written.
#[derive(Debug)]
struct Session {
    connection: SqliteConnection,
    end: Option<End>,
}

impl Slot {
    /// Takes the session out, or opens another. Whoever does not put it back leaves an empty slot.
    async fn take(&mut self, options: &SqliteConnectOptions) -> Result<Session, sqlx::Error> {
        match std::mem::replace(self, Self::Empty) {
            Self::Ready(session) => Ok(session),
            Self::Empty => Ok(Session { connection: SqliteConnection::connect_with(options).await?, end: None }),
            Self::Closed => {
                *self = Self::Closed;
                Err(closed())
            }
        }
    }

    /// Puts a session back unless it has failed. After an error of the disk SQLite may have rolled back by
    /// itself; sqlx would count the transaction as open for ever, and refuse every later one.
    fn put_back<T, E>(&mut self, session: Session, outcome: Result<T, E>) -> Result<T, E> {
        if outcome.is_ok() {
            *self = Self::Ready(session);
        }
        outcome
    }
}

impl Writer {
    /// Writes with `connection`, and after a failure with another that is opened by `options`.
    pub(super) fn new(connection: SqliteConnection, options: SqliteConnectOptions) -> Self {
        let session = Session { connection, end: None };
        Self { options: Box::new(options), slot: Mutex::new(Slot::Ready(session)) }
    }

    /// A connection that writes beside this one, one of them at a time: it waits so long for its turn. It has memory for
    /// so many pages.
    pub(super) async fn another(&self, wait: Duration, cache: &'static str) -> Result<SqliteConnection, sqlx::Error> {
        let options = SqliteConnectOptions::clone(&self.options);
        SqliteConnection::connect_with(&options.busy_timeout(wait).pragma("cache_size", cache)).await
    }

    pub(super) async fn close(&self) {
        let last = std::mem::replace(&mut *self.slot.lock().await, Slot::Closed);
        if let Slot::Ready(session) = last
            && let Err(error) = session.connection.close().await
        {
            tracing::warn!(error = %error, "the event log was not closed cleanly; nothing is lost, it recovers when opened");
        }
    }

    /// Lets `judge` decide on what the batch takes for granted, or on answers to `questions`, and writes what it
    /// decided.
    pub(crate) async fn transact(&self, questions: &Questions, judge: &mut Judge<'_, '_>) -> Result<(), Unwritten> {
        let mut slot = self.slot.lock().await;
        let mut session = slot.take(&self.options).await.map_err(Unwritten::certain)?;
        let outcome = session.transact(questions, judge).await;
        slot.put_back(session, outcome)
    }

    /// Runs one statement in its turn; how many rows it changed.
    pub(super) async fn execute(&self, statement: Statement<'_>) -> Result<u64, sqlx::Error> {
        let mut slot = self.slot.lock().await;
        let mut session = slot.take(&self.options).await?;
        let outcome = statement.execute(&mut session.connection).await;
        Ok(slot.put_back(session, outcome)?.rows_affected())
    }

    /// Removes snapshots in one turn, so that none is saved between the look at them and their end.
    pub(super) async fn forget_snapshots_before(&self, position: Position) -> Result<(), sqlx::Error> {
        let mut slot = self.slot.lock().await;
        let mut session = slot.take(&self.options).await?;
        let outcome = forget_snapshots_before(&mut session.connection, signed(position)).await;
        slot.put_back(session, outcome)
    }

    /// Runs one statement in its turn; the number it answers.
    pub(super) async fn fetch_optional(&self, statement: Statement<'_>) -> Result<Option<i64>, sqlx::Error> {
        let mut slot = self.slot.lock().await;
        let mut session = slot.take(&self.options).await?;
        let outcome = statement.fetch_optional(&mut session.connection).await;
        slot.put_back(session, outcome)?.map(|row| row.try_get(0)).transpose()
    }
}

impl Session {
    async fn transact(&mut self, questions: &Questions, judge: &mut Judge<'_, '_>) -> Result<(), Unwritten> {
        if self.write_presumed(questions, judge).await? {
            return Ok(());
        }
        let mut transaction = begin(&mut self.connection).await?;
        let answers = ask(&mut transaction, questions).await.map_err(Unwritten::certain)?;
        self.end = Some(answers.end);
        let changes = judge(answers);
        if changes.events.is_empty() {
            return transaction.rollback().await.map_err(Unwritten::certain);
        }
        move_head(&mut transaction, &changes).await.map_err(Unwritten::certain)?;
        write(&mut transaction, &changes).await.map_err(Unwritten::certain)?;
        commit(transaction, &changes).await?;
        self.end = Some(changes.after);
        Ok(())
    }

    /// Writes on what the batch takes for granted; answers whether that was so.
    async fn write_presumed(&mut self, questions: &Questions, judge: &mut Judge<'_, '_>) -> Result<bool, Unwritten> {
        let Some(end) = self.end else { return Ok(false) };
        let changes = judge(questions.presumed(end));
        if changes.events.is_empty() {
            // Nothing would be written, so nothing would be checked.
            return Ok(false);
        }
        let mut transaction = begin(&mut self.connection).await?;
        let written = match move_head_presumed(&mut transaction, questions, &changes).await {
            Ok(true) => write(&mut transaction, &changes).await.map(|()| true),
            other => other,
        };
        match written {
            Ok(true) => {
                commit(transaction, &changes).await?;
                self.end = Some(changes.after);
                return Ok(true);
            }
            Ok(false) => {}
            // Events that were taken to be new are in the log already.
            Err(error) if error.as_database_error().is_some_and(DatabaseError::is_unique_violation) => {}
            Err(error) => return Err(Unwritten::certain(error)),
        }
        transaction.rollback().await.map_err(Unwritten::certain)?;
        Ok(false)
    }
}

async fn begin(connection: &mut SqliteConnection) -> Result<Transaction<'_>, Unwritten> {
    connection.begin_with(sql::BEGIN).await.map_err(Unwritten::certain)
}

async fn commit(transaction: Transaction<'_>, changes: &Changes<'_>) -> Result<(), Unwritten> {
    failpoints("commit", changes.event_types());
    transaction.commit().await.map_err(Unwritten::unless_full)?;
    failpoints("committed", changes.event_types());
    Ok(())
}

fn closed() -> sqlx::Error {
    sqlx::Error::Configuration("the event log is closed".into())
}

async fn ask(connection: &mut SqliteConnection, questions: &Questions) -> Result<Answers, sqlx::Error> {
    let end = ends(&sqlx::query(sql::ENDS).fetch_one(&mut *connection).await?)?.end()?;
    let streams = list(questions.streams.iter().map(|stream| json!([stream.kind.as_str(), stream.id])));
    let versions: Vec<i64> = sqlx::query_scalar(sql::ASK_VERSIONS).bind(streams).fetch_all(&mut *connection).await?;
    let taken = if questions.places.is_empty() {
        Vec::new()
    } else {
        let places = list(questions.places.iter().map(json_of));
        sqlx::query_scalar(sql::ASK_TAKEN).bind(places).fetch_all(&mut *connection).await?
    };
    let ids = list(questions.event_ids.iter().map(|id| hex::encode(id.0.as_bytes())));
    let known = sqlx::query(sql::ASK_KNOWN).bind(ids).fetch_all(&mut *connection).await?;
    Ok(Answers {
        end,
        versions: versions.into_iter().map(unsigned).collect::<Result<_, _>>()?,
        taken,
        members: ask_members(connection, questions).await?,
        known: known.iter().map(known_event).collect::<Result<_, _>>()?,
    })
}

async fn ask_members(connection: &mut SqliteConnection, questions: &Questions) -> Result<Vec<Place>, sqlx::Error> {
    if questions.scopes.is_empty() {
        return Ok(Vec::new());
    }
    let scopes = list(questions.scopes.iter().map(ToString::to_string));
    let rows = sqlx::query(sql::ASK_MEMBERS).bind(scopes).fetch_all(connection).await?;
    let place = |row: &SqliteRow| {
        let key: i64 = row.try_get(0)?;
        let scope = usize::try_from(key).ok().and_then(|key| questions.scopes.get(key));
        let scope = *scope.ok_or_else(|| sqlx::Error::Decode("a scope that was not asked for".into()))?;
        Ok((scope, holder(row.try_get(1)?)?))
    };
    rows.iter().map(place).collect()
}

fn known_event(row: &SqliteRow) -> Result<(EventId, Known), sqlx::Error> {
    let position: Position = unsigned(row.try_get(1)?)?;
    Ok((EventId(row.try_get(0)?), Known { position, recorded_at: Timestamp(row.try_get(2)?) }))
}

async fn move_head(connection: &mut SqliteConnection, changes: &Changes<'_>) -> Result<(), sqlx::Error> {
    let after = &changes.after;
    let head = sqlx::query(sql::MOVE_HEAD).bind(signed(after.position)).bind(after.chain.as_slice());
    head.bind(after.recorded_at.0).execute(connection).await.map(drop)
}

/// Moves the head if everything is as `questions` expect it; answers whether it was.
async fn move_head_presumed(
    connection: &mut SqliteConnection,
    questions: &Questions,
    changes: &Changes<'_>,
) -> Result<bool, sqlx::Error> {
    let (before, after) = (&changes.before, &changes.after);
    let has_reservations = !(questions.places.is_empty() && questions.scopes.is_empty());
    let statement = if has_reservations { sql::MOVE_HEAD_AS_HELD } else { sql::MOVE_HEAD_AS_EXPECTED };
    let streams = questions.streams.iter().zip(&questions.expected);
    let streams = list(streams.map(|(stream, version)| json!([stream.kind.as_str(), stream.id, version])));
    let query = sqlx::query(statement).bind(signed(after.position)).bind(after.chain.as_slice());
    let query = query.bind(after.recorded_at.0).bind(signed(before.position)).bind(before.chain.as_slice());
    let mut query = query.bind(streams);
    if has_reservations {
        let places = questions.places.iter().zip(&questions.held);
        let places = places.map(|((scope, holder), held)| json!([scope.to_string(), holder.to_string(), held]));
        query = query.bind(list(places)).bind(list(questions.scopes.iter().map(ToString::to_string)));
    }
    Ok(query.execute(connection).await?.rows_affected() == 1)
}

/// Writes everything but the head.
async fn write(connection: &mut SqliteConnection, changes: &Changes<'_>) -> Result<(), sqlx::Error> {
    for (statement, events) in sql::WRITE_EVENTS.pieces(&changes.events) {
        events.iter().fold(sqlx::query(statement), bind_event).execute(&mut *connection).await?;
    }
    let index = changes.events.iter().flat_map(|placed| {
        let entities = placed.event.entities.iter().copied().map(entity);
        entities.map(|(kind, id)| (kind, id, signed(placed.position)))
    });
    let index: Vec<_> = index.collect();
    for (statement, rows) in sql::WRITE_INDEX.pieces(&index) {
        rows.iter().fold(sqlx::query(statement), bind_entity).execute(&mut *connection).await?;
    }
    for (statement, places) in [(sql::RELEASE, &changes.released), (sql::TAKE, &changes.taken)] {
        if !places.is_empty() {
            sqlx::query(statement).bind(list(places.iter().map(json_of))).execute(&mut *connection).await?;
        }
    }
    for attachment in &changes.attachments {
        let attach = sqlx::query(sql::ATTACH).bind(&attachment.sha256).bind(&attachment.bytes);
        attach.execute(&mut *connection).await?;
    }
    for sha256 in &changes.detached {
        sqlx::query(sql::DETACH).bind(*sha256).execute(&mut *connection).await?;
    }
    if changes.emptied.is_empty() { Ok(()) } else { empty(connection, &changes.emptied).await }
}

/// Takes out the content of events that are as they were recorded, and everything that was saved while they had it. What was in their place in the file
/// is overwritten: see `writing`, beside.
async fn empty(connection: &mut SqliteConnection, emptied: &[Emptying]) -> Result<(), sqlx::Error> {
    for event in emptied {
        let (position, leaf) = (signed(event.position), event.leaf.as_slice());
        let row = sqlx::query(sql::AT).bind(position).fetch_optional(&mut *connection).await?;
        let is_as_recorded = row.as_ref().map(event_row).transpose()?.is_some_and(|row| event.is_of(&row));
        let empty = sqlx::query(sql::EMPTY).bind(EMPTIED).bind(position).bind(leaf);
        if !is_as_recorded || empty.execute(&mut *connection).await?.rows_affected() != 1 {
            return Err(not_as_recorded(event.position));
        }
    }
    forget_snapshots_before(connection, i64::MAX).await
}

/// Removes snapshots, but not of which generations they were.
async fn forget_snapshots_before(connection: &mut SqliteConnection, position: i64) -> Result<(), sqlx::Error> {
    for statement in [sql::REMEMBER_GENERATIONS, sql::FORGET_SNAPSHOTS_BEFORE] {
        sqlx::query(statement).bind(position).execute(&mut *connection).await?;
    }
    Ok(())
}

pub(super) fn bind_entity<'q>(query: Statement<'q>, (kind, id, position): &(&'static str, Uuid, i64)) -> Statement<'q> {
    query.bind(*kind).bind(*id).bind(*position)
}

fn bind_event<'q>(query: Statement<'q>, placed: &Placed<'q>) -> Statement<'q> {
    let event = placed.event;
    let query = query.bind(event.stream.kind.as_str()).bind(&event.stream.id).bind(signed(event.sequence));
    let query = query.bind(event.event_type).bind(&event.event_version).bind(&event.payload).bind(&event.metadata);
    let query = query.bind(signed(placed.position)).bind(event.id.0).bind(placed.recorded_at.0);
    query.bind(event.salt.as_slice()).bind(event.leaf.as_slice()).bind(placed.chain.to_vec())
}

pub(super) fn json_of((scope, holder): &Place) -> serde_json::Value {
    json!([scope.to_string(), holder.to_string()])
}

/// A list as SQLite takes it.
pub(super) fn list<T: Into<serde_json::Value>>(items: impl Iterator<Item = T>) -> String {
    serde_json::Value::Array(items.map(Into::into).collect()).to_string()
}
