//! The log on a PostgreSQL server, which several processes may share.
//!
//! Reads go through a pool. Appends go through one connection of their own ([`writer`]), so that they
//! never wait behind readers.

mod sql;
mod writer;

use std::time::Duration;

use futures::StreamExt;
use futures::stream::BoxStream;
use knit_domain::event::{Entity, Position, StreamId};
use knit_domain::id::EventId;
use knit_domain::reservation::{Holder, Scope};
use knit_domain::time::Timestamp;
use knit_schemas::migrations::{self, Migration};
use postgres_es::PostgresEventRepository;
use sqlx::postgres::{PgConnectOptions, PgListener, PgPool, PgPoolOptions, PgRow};
use sqlx::{Connection, PgConnection, Row};
use uuid::Uuid;

use crate::columns::{entity, hash, holder, signed, unsigned};
use crate::error::{Fault, OpenError};
use crate::lease::Lease;
use crate::reader::StoredEvent;
use crate::snapshot::{Chunk, Listed};
use crate::tail::Head;

pub(crate) use writer::Writer;

/// How long a connection may take to come about; a server that takes longer is treated as gone.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections beside the readers: one listens, one looks at the head.
const OTHER_CONNECTIONS: u32 = 2;

/// A log on PostgreSQL.
#[derive(Debug)]
pub(crate) struct Postgres {
    pool: PgPool,
    pub(crate) writer: Writer,
}

impl Postgres {
    pub(crate) async fn open(options: PgConnectOptions, readers: u32) -> Result<Self, OpenError> {
        let options = options.application_name("knit-log");
        // Reads are retried when their connection turns out dead, which costs less than asking every
        // connection whether it lives before every read.
        let pool = PgPoolOptions::new()
            .max_connections(readers + OTHER_CONNECTIONS)
            .acquire_timeout(CONNECT_TIMEOUT)
            .test_before_acquire(false)
            .connect_with(options.clone())
            .await
            .map_err(opening)?;
        migrate(&pool).await?;
        Ok(Self { pool, writer: Writer::new(options) })
    }

    pub(crate) async fn close(&self) {
        self.writer.close().await;
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

    pub(crate) async fn head(&self) -> Result<Head, sqlx::Error> {
        let row = sqlx::query(sql::HEAD).fetch_one(&self.pool).await?;
        Ok(Head {
            position: unsigned(row.try_get(0)?)?,
            chain: hash(row.try_get(1)?)?,
            recorded_at: Timestamp(row.try_get(2)?),
            log: row.try_get(3)?,
        })
    }

    pub(crate) fn events(&self, from: Position, limit: i64) -> BoxStream<'_, Result<StoredEvent, sqlx::Error>> {
        let rows = sqlx::query(sql::EVENTS).bind(signed(from)).bind(limit).fetch(&self.pool);
        rows.map(|row| stored_event(&row?)).boxed()
    }

    pub(crate) async fn stream(&self, stream: &StreamId) -> Result<Vec<StoredEvent>, sqlx::Error> {
        let query = sqlx::query(sql::STREAM).bind(stream.kind.as_str()).bind(&stream.id);
        query.fetch_all(&self.pool).await?.iter().map(stored_event).collect()
    }

    pub(crate) async fn chain_at(&self, position: Position) -> Result<Option<Vec<u8>>, sqlx::Error> {
        sqlx::query_scalar(sql::CHAIN_AT).bind(signed(position)).fetch_optional(&self.pool).await
    }

    pub(crate) async fn holders(&self, scope: Scope) -> Result<Vec<Holder>, sqlx::Error> {
        let query = sqlx::query_scalar(sql::HOLDERS).bind(scope.to_string());
        let texts: Vec<String> = query.fetch_all(&self.pool).await?;
        texts.iter().map(|text| holder(text)).collect()
    }

    pub(crate) async fn positions_of(
        &self,
        of: Entity,
        after: Position,
        limit: i64,
    ) -> Result<Vec<Position>, sqlx::Error> {
        let (kind, id) = entity(of);
        let query = sqlx::query_scalar(sql::POSITIONS).bind(kind).bind(id).bind(signed(after)).bind(limit);
        let positions: Vec<i64> = query.fetch_all(&self.pool).await?;
        positions.into_iter().map(unsigned).collect()
    }

    pub(crate) async fn attachment(&self, sha256: &str) -> Result<Option<Vec<u8>>, sqlx::Error> {
        sqlx::query_scalar(sql::ATTACHMENT).bind(sha256).fetch_optional(&self.pool).await
    }

    pub(crate) async fn save_chunk(&self, chunk: &Chunk<'_>) -> Result<(), sqlx::Error> {
        let query = sqlx::query(sql::SAVE_CHUNK).bind(chunk.id).bind(chunk.chunk).bind(&chunk.meta.name);
        let query = query.bind(i64::from(chunk.meta.revision)).bind(signed(chunk.meta.position));
        let query = query.bind(chunk.meta.chain.as_slice()).bind(chunk.chunks).bind(chunk.bytes);
        query.execute(&self.pool).await.map(drop)
    }

    /// Whole snapshots, the newest first.
    pub(crate) async fn snapshots(&self, name: &str, revision: u32, limit: i64) -> Result<Vec<Listed>, sqlx::Error> {
        let query = sqlx::query(sql::WHOLE_SNAPSHOTS).bind(name).bind(i64::from(revision)).bind(limit);
        let rows = query.fetch_all(&self.pool).await?;
        let listed =
            |row: &PgRow| Ok(Listed { id: row.try_get(0)?, position: row.try_get(1)?, chain: row.try_get(2)? });
        rows.iter().map(listed).collect()
    }

    pub(crate) async fn chunks(&self, id: Uuid) -> Result<Vec<Vec<u8>>, sqlx::Error> {
        sqlx::query_scalar(sql::CHUNKS).bind(id).fetch_all(&self.pool).await
    }

    pub(crate) async fn prune(&self, name: &str, up_to: i64, keep: &[Uuid]) -> Result<(), sqlx::Error> {
        sqlx::query(sql::PRUNE_SNAPSHOTS).bind(name).bind(up_to).bind(keep).execute(&self.pool).await.map(drop)
    }

    pub(crate) async fn acquire_lease(
        &self,
        role: &str,
        holder: &str,
        ttl_ms: i64,
    ) -> Result<Option<i64>, sqlx::Error> {
        let query = sqlx::query_scalar(sql::ACQUIRE_LEASE).bind(role).bind(holder).bind(ttl_ms);
        query.fetch_optional(&self.pool).await
    }

    pub(crate) async fn renew_lease(&self, lease: &Lease) -> Result<bool, sqlx::Error> {
        let query = sqlx::query(sql::RENEW_LEASE).bind(&lease.role).bind(&lease.holder).bind(signed(lease.fence));
        let done = query.bind(Lease::ttl_ms(lease.ttl)).execute(&self.pool).await?;
        Ok(done.rows_affected() == 1)
    }

    pub(crate) async fn release_lease(&self, lease: &Lease) -> Result<(), sqlx::Error> {
        let query = sqlx::query(sql::RELEASE_LEASE).bind(&lease.role).bind(&lease.holder).bind(signed(lease.fence));
        query.execute(&self.pool).await.map(drop)
    }
}

fn stored_event(row: &PgRow) -> Result<StoredEvent, sqlx::Error> {
    // The wire form of `json` is its text, so it is read without a cast in the server.
    let (payload, metadata) = (row.try_get_unchecked(7)?, row.try_get_unchecked(8)?);
    Ok(StoredEvent {
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
async fn migrate(pool: &PgPool) -> Result<(), OpenError> {
    let mut transaction = pool.begin().await.map_err(opening)?;
    sqlx::query(sql::LOCK_SCHEMA).execute(&mut *transaction).await.map_err(opening)?;
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

fn opening(error: sqlx::Error) -> OpenError {
    Fault::of("opening the event log", error).into()
}

/// Opens a connection outside the pool.
async fn connect(options: &PgConnectOptions) -> Result<PgConnection, sqlx::Error> {
    let connecting = PgConnection::connect_with(options);
    tokio::time::timeout(CONNECT_TIMEOUT, connecting).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
}
