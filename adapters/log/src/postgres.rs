//! The log on a PostgreSQL server, which several processes may share.
//!
//! Reads go through a few connections that are lent in turn ([`connections`]). Appends go through one
//! of their own ([`writer`]), so that they never wait behind readers.

mod connections;
mod copied;
mod importing;
mod sql;
mod writer;

use std::time::Duration;

use futures::TryStreamExt;
use knit_domain::event::{Entity, Position, StreamId};
use knit_domain::id::EventId;
use knit_domain::reservation::{Holder, Scope};
use knit_domain::time::Timestamp;
use knit_schemas::migrations::{self, Migration};
use postgres_es::PostgresEventRepository;
use sqlx::postgres::{PgConnectOptions, PgListener, PgPool, PgPoolOptions, PgRow};
use sqlx::{ConnectOptions, Connection, Decode, PgConnection, Row, Type};
use uuid::Uuid;

use self::connections::{Connections, Statement};

use crate::columns::{entity, hash, holder, signed, unsigned};
use crate::ends::Ends;
use crate::error::{Fault, OpenError};
use crate::lease::Lease;
use crate::reader::{Between, EventRow, StoredEvent, Visit};
use crate::snapshot::{Chunk, Listed, SnapshotMeta};

pub(crate) use importing::{Importing, copied_events};
pub(crate) use writer::Writer;
use writer::columns_of;

/// How long a connection may take to come about; a server that takes longer is treated as gone.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections of sqlx's own pool: one listens; the other serves the stock repository, if it is used.
const POOLED_CONNECTIONS: u32 = 2;

/// How the server treats our connections. They run few statements, each over and over, and each is a
/// walk along one index.
const SETTINGS: [(&str, &str); 6] = [
    // A batch that lost the race for the head must see so, instead of failing as not serialisable.
    ("default_transaction_isolation", r"read\ committed"),
    // How long a process that stopped between two statements may hold the lock of the head.
    ("idle_in_transaction_session_timeout", "10s"),
    // Planning these statements takes longer than running them, so each is planned once …
    ("plan_cache_mode", "force_generic_plan"),
    // … and, planned while the tables are small, must still be right when they have grown.
    ("enable_seqscan", "off"),
    ("enable_bitmapscan", "off"),
    // The cost of a forbidden plan would seem to justify compiling the statement.
    ("jit", "off"),
];

/// A log on PostgreSQL.
#[derive(Debug)]
pub(crate) struct Postgres {
    connections: Connections,
    pool: PgPool,
    pub(crate) writer: Writer,
}

impl Postgres {
    pub(crate) async fn open(options: PgConnectOptions, readers: u32) -> Result<Self, OpenError> {
        let options = options.application_name("knit-log").options(SETTINGS).disable_statement_logging();
        // A pool does not say why it has no connection, so the first is made without it.
        let mut first =
            connect(&options).await.map_err(|source| OpenError::Unreachable { database: address(&options), source })?;
        migrate(&mut first).await?;
        // It has done its work; a failed goodbye loses nothing.
        first.close().await.ok();
        let pool = PgPoolOptions::new().max_connections(POOLED_CONNECTIONS).acquire_timeout(CONNECT_TIMEOUT);
        let pool = pool.connect_with(options.clone()).await.map_err(opening)?;
        Ok(Self { connections: Connections::new(options.clone(), readers), pool, writer: Writer::new(options) })
    }

    pub(crate) async fn close(&self) {
        self.writer.close().await;
        self.connections.close().await;
        self.pool.close().await;
    }

    pub(crate) fn stock(&self) -> PostgresEventRepository {
        PostgresEventRepository::new(self.pool.clone())
    }

    /// A connection that hears of every batch, of any process.
    pub(crate) async fn listen(&self) -> Result<PgListener, sqlx::Error> {
        let mut listener = PgListener::connect_with(&self.pool).await?;
        listener.listen(sql::CHANNEL).await?;
        Ok(listener)
    }

    /// Whether the connection that listens still has somebody to listen to.
    pub(crate) async fn ask_listener(listener: &mut PgListener) -> Result<(), sqlx::Error> {
        sqlx::query(sql::NOTHING).execute(listener).await.map(drop)
    }

    pub(crate) async fn ends(&self) -> Result<Ends, sqlx::Error> {
        let rows = self.connections.rows(sqlx::query(sql::ENDS)).await?;
        ends(rows.first().ok_or(sqlx::Error::RowNotFound)?)
    }

    /// Begins an import; answers the last position there is as well.
    pub(crate) async fn import(&self) -> Result<(Importing, Position), sqlx::Error> {
        Importing::begin(self.connections.another().await?).await
    }

    /// Hands rows to `visit` while they come, until it has had enough.
    pub(crate) async fn visit_events(
        &self,
        from: Position,
        limit: i64,
        visit: &mut Visit<'_>,
    ) -> Result<(), sqlx::Error> {
        let mut lent = self.connections.lend().await?;
        let statement = sql::copy_events(from, limit);
        let mut rows = lent.connection.copy_out_raw(&statement).await?;
        while let Some(row) = rows.try_next().await? {
            if copied::event(&row)?.is_some_and(|event| visit(event).is_break()) {
                // The connection has more to say that nobody will hear, and is not given back.
                return Ok(());
            }
        }
        drop(rows);
        lent.give_back();
        Ok(())
    }

    pub(crate) async fn stream(&self, stream: &StreamId) -> Result<Vec<StoredEvent>, sqlx::Error> {
        let statement = sqlx::query(sql::STREAM).bind(stream.kind.as_str()).bind(&stream.id);
        self.connections.rows(statement).await?.iter().map(|row| Ok(event_row(row)?.stored())).collect()
    }

    pub(crate) async fn chain_at(&self, position: Position) -> Result<Option<Vec<u8>>, sqlx::Error> {
        self.one(sqlx::query(sql::CHAIN_AT).bind(signed(position))).await
    }

    pub(crate) async fn position_of(&self, event: EventId) -> Result<Option<i64>, sqlx::Error> {
        self.one(sqlx::query(sql::POSITION_OF).bind(event.0)).await
    }

    /// For each of these times, how far halving has come.
    pub(crate) async fn halved(&self, times_ms: &[i64]) -> Result<Vec<Between>, sqlx::Error> {
        let rows = self.connections.rows(sqlx::query(sql::HALVED).bind(times_ms)).await?;
        rows.iter().map(|row| Between::of(row.try_get(0)?, row.try_get(1)?)).collect()
    }

    pub(crate) async fn holders(&self, scope: Scope) -> Result<Vec<Holder>, sqlx::Error> {
        let rows = self.connections.rows(sqlx::query(sql::HOLDERS).bind(scope.to_string())).await?;
        rows.iter().map(|row| holder(row.try_get(0)?)).collect()
    }

    pub(crate) async fn positions_of(
        &self,
        of: Entity,
        after: Position,
        limit: i64,
    ) -> Result<Vec<Position>, sqlx::Error> {
        let (kind, id) = entity(of);
        let statement = sqlx::query(sql::POSITIONS).bind(kind).bind(id).bind(signed(after)).bind(limit);
        self.connections.rows(statement).await?.iter().map(|row| unsigned(row.try_get(0)?)).collect()
    }

    pub(crate) async fn attachment(&self, sha256: &str) -> Result<Option<Vec<u8>>, sqlx::Error> {
        self.one(sqlx::query(sql::ATTACHMENT).bind(sha256)).await
    }

    pub(crate) async fn save_chunk(&self, chunk: &Chunk<'_>) -> Result<(), sqlx::Error> {
        let statement = sqlx::query(sql::SAVE_CHUNK).bind(chunk.id).bind(chunk.chunk).bind(&chunk.meta.name);
        let statement = statement.bind(i64::from(chunk.meta.revision)).bind(signed(chunk.meta.position));
        let statement = statement.bind(chunk.meta.chain.as_slice()).bind(chunk.chunks).bind(chunk.bytes);
        let statement = statement.bind(signed(chunk.meta.generation));
        self.connections.execute(statement).await.map(drop)
    }

    /// Removes every other snapshot of the same projection, revision and position.
    pub(crate) async fn supersede(&self, id: Uuid, meta: &SnapshotMeta) -> Result<(), sqlx::Error> {
        let statement = sqlx::query(sql::SUPERSEDE_SNAPSHOTS).bind(&meta.name).bind(i64::from(meta.revision));
        let statement = statement.bind(signed(meta.position)).bind(signed(meta.generation)).bind(id);
        self.connections.execute(statement).await.map(drop)
    }

    /// Whole snapshots, the newest first.
    pub(crate) async fn snapshots(&self, name: &str, revision: u32, limit: i64) -> Result<Vec<Listed>, sqlx::Error> {
        let statement = sqlx::query(sql::WHOLE_SNAPSHOTS).bind(name).bind(i64::from(revision)).bind(limit);
        let listed = |row: &PgRow| {
            let (id, position, chain) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            let (generation, saved_at, bytes) = (row.try_get(3)?, row.try_get(4)?, row.try_get(5)?);
            Ok(Listed { id, position, chain, generation, saved_at, bytes })
        };
        self.connections.rows(statement).await?.iter().map(listed).collect()
    }

    pub(crate) async fn chunks(&self, id: Uuid) -> Result<Vec<Vec<u8>>, sqlx::Error> {
        let rows = self.connections.rows(sqlx::query(sql::CHUNKS).bind(id)).await?;
        rows.iter().map(|row| row.try_get(0)).collect()
    }

    /// The newest generation of a projection of which something was saved; 0 if nothing was.
    pub(crate) async fn newest_generation(&self, name: &str) -> Result<i64, sqlx::Error> {
        Ok(self.one(sqlx::query(sql::NEWEST_GENERATION).bind(name)).await?.unwrap_or(0))
    }

    pub(crate) async fn prune(&self, name: &str, newest: &Listed, keep: &[Uuid]) -> Result<(), sqlx::Error> {
        let statement = sqlx::query(sql::PRUNE_SNAPSHOTS).bind(name).bind(newest.generation).bind(newest.position);
        let statement = statement.bind(keep);
        self.connections.execute(statement).await.map(drop)
    }

    /// Bytes of everything, and of the snapshots in it.
    pub(crate) async fn size(&self) -> Result<(i64, i64), sqlx::Error> {
        let rows = self.connections.rows(sqlx::query(sql::SIZE)).await?;
        let row = rows.first().ok_or(sqlx::Error::RowNotFound)?;
        Ok((row.try_get(0)?, row.try_get(1)?))
    }

    /// Kind, id and length of the longest streams.
    pub(crate) async fn longest_streams(&self, limit: i64) -> Result<Vec<(String, String, i64)>, sqlx::Error> {
        let rows = self.connections.rows(sqlx::query(sql::LONGEST_STREAMS).bind(limit)).await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?))).collect()
    }

    pub(crate) async fn now_ms(&self) -> Result<i64, sqlx::Error> {
        self.one(sqlx::query(sql::NOW_MS)).await?.ok_or(sqlx::Error::RowNotFound)
    }

    pub(crate) async fn forget_snapshots_of(&self, name: &str) -> Result<(), sqlx::Error> {
        self.connections.execute(sqlx::query(sql::FORGET_SNAPSHOTS_OF).bind(name)).await.map(drop)
    }

    pub(crate) async fn forget_snapshots_before(&self, position: Position) -> Result<(), sqlx::Error> {
        let statement = sqlx::query(sql::FORGET_SNAPSHOTS_BEFORE).bind(signed(position));
        self.connections.execute(statement).await.map(drop)
    }

    /// What was removed is in dead rows and in the write-ahead log, which are not for this program to clear away.
    pub(crate) async fn wipe(&self) -> Result<bool, sqlx::Error> {
        Ok(false)
    }

    pub(crate) async fn acquire_lease(
        &self,
        role: &str,
        holder: &str,
        ttl_ms: i64,
    ) -> Result<Option<i64>, sqlx::Error> {
        self.one(sqlx::query(sql::ACQUIRE_LEASE).bind(role).bind(holder).bind(ttl_ms)).await
    }

    pub(crate) async fn renew_lease(&self, lease: &Lease) -> Result<bool, sqlx::Error> {
        let statement = sqlx::query(sql::RENEW_LEASE).bind(&lease.role).bind(&lease.holder);
        let statement = statement.bind(signed(lease.fence)).bind(Lease::ttl_ms(lease.ttl));
        Ok(self.connections.execute(statement).await? == 1)
    }

    pub(crate) async fn release_lease(&self, lease: &Lease) -> Result<(), sqlx::Error> {
        let statement = sqlx::query(sql::RELEASE_LEASE).bind(&lease.role).bind(&lease.holder);
        self.connections.execute(statement.bind(signed(lease.fence))).await.map(drop)
    }

    /// The first column of the first row, if there is one.
    async fn one<T>(&self, statement: Statement<'_>) -> Result<Option<T>, sqlx::Error>
    where
        T: for<'r> Decode<'r, sqlx::Postgres> + Type<sqlx::Postgres>,
    {
        self.connections.rows(statement).await?.first().map(|row| row.try_get(0)).transpose()
    }
}

/// Of the first seven columns of a row.
fn ends(row: &PgRow) -> Result<Ends, sqlx::Error> {
    let last: Option<i64> = row.try_get(4)?;
    let last = last.map(|position| Ok::<_, sqlx::Error>((position, row.try_get(5)?, row.try_get(6)?))).transpose()?;
    Ends::of((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?), row.try_get(3)?, last)
}

fn event_row(row: &PgRow) -> Result<EventRow<'_>, sqlx::Error> {
    // The wire form of `json` is its text, so it is read without a cast in the server.
    let (payload, metadata) = (row.try_get_unchecked(7)?, row.try_get_unchecked(8)?);
    Ok(EventRow {
        position: unsigned(row.try_get(0)?)?,
        event_id: EventId(row.try_get(1)?),
        stream_type: row.try_get(2)?,
        stream_id: row.try_get(3)?,
        sequence: unsigned(row.try_get(4)?)?,
        event_type: row.try_get(5)?,
        event_version: row.try_get(6)?,
        payload,
        metadata,
        recorded_at: Timestamp(row.try_get(9)?),
        salt: row.try_get(10)?,
        leaf: hash(row.try_get(11)?)?,
        chain: hash(row.try_get(12)?)?,
    })
}

/// Takes the tables to the newest version, in one transaction under a lock.
async fn migrate(connection: &mut PgConnection) -> Result<(), OpenError> {
    let mut transaction = connection.begin().await.map_err(opening)?;
    sqlx::query(sql::LOCK_SCHEMA).execute(&mut *transaction).await.map_err(opening)?;
    sqlx::query(sql::NO_NOTICES).execute(&mut *transaction).await.map_err(opening)?;
    sqlx::query(sql::CREATE_SCHEMA_VERSION).execute(&mut *transaction).await.map_err(opening)?;
    let found: i64 = sqlx::query_scalar(sql::SCHEMA_VERSION).fetch_one(&mut *transaction).await.map_err(opening)?;
    for step in crate::migration::missing(migrations::POSTGRES, found)? {
        take(&mut transaction, step).await.map_err(opening)?;
    }
    transaction.commit().await.map_err(opening)
}

async fn take(connection: &mut PgConnection, step: &Migration) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(step.sql).execute(&mut *connection).await?;
    sqlx::query(sql::RECORD_SCHEMA_VERSION).bind(step.version).bind(step.name).execute(connection).await?;
    Ok(())
}

/// What may be told to everybody: the password is a secret, and the user may be.
fn address(options: &PgConnectOptions) -> String {
    let host = options.get_socket().map_or_else(|| options.get_host().to_owned(), |path| path.display().to_string());
    format!("postgres://{host}:{}/{}", options.get_port(), options.get_database().unwrap_or_default())
}

fn opening(error: sqlx::Error) -> OpenError {
    Fault::of("opening the event log", error).into()
}

/// Opens a connection outside the pool.
async fn connect(options: &PgConnectOptions) -> Result<PgConnection, sqlx::Error> {
    let connecting = PgConnection::connect_with(options);
    tokio::time::timeout(CONNECT_TIMEOUT, connecting).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
}
