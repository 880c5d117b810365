//! The log in an SQLite file, which belongs to one process.
//!
//! The file is in WAL mode with full synchronisation: an append that was acknowledged has reached the
//! disk. One connection writes, whatever is written; a pool of others reads beside it. A lock on a
//! file of its own keeps a second process out, which SQLite alone would let in to lose races and to
//! miss the announcements of new events.

mod importing;
mod pages;
mod sql;
mod writer;

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use knit_domain::event::{Entity, Position, StreamId};
use knit_domain::id::EventId;
use knit_domain::reservation::{Holder, Scope};
use knit_domain::time::Timestamp;
use knit_schemas::migrations::{self, Migration};
use sqlite_es::SqliteEventRepository;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow, SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection, Row, SqliteConnection};
use uuid::Uuid;

use self::pages::Page;
use crate::columns::{entity, hash, holder, signed, unsigned};
use crate::ends::Ends;
use crate::error::{Fault, OpenError};
use crate::import::HEAD_WAIT;
use crate::lease::Lease;
use crate::reader::{Between, EventRow, StoredEvent, Visit};
use crate::snapshot::{Chunk, Listed, SnapshotMeta};

pub(crate) use importing::Importing;
pub(crate) use writer::Writer;

/// How long a connection waits for another to finish a write, which within one process is short.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// Memory for pages of the file in the connection that writes: -KiB, as SQLite takes it. Ids are random, so that an
/// event touches some leaf of each index. The 2 MB that SQLite has by itself are less than a large batch touches:
/// pages would be written, read and written again within one transaction.
const WRITER_CACHE: &str = "-32768";
/// Pages in the write-ahead log after which they are copied into the file: 32 MB. By SQLite's own limit nearly every
/// large batch would wait for that; this far apart, pages that were written several times are copied once. A server
/// that is started after a crash reads as much in a tenth of a second.
const CHECKPOINT_PAGES: &str = "8192";

/// Events that one statement writes into one text. A statement costs as much as a few events, so that many should
/// share it; of the largest events that there may be, a text is a quarter of a gigabyte, of the usual ones 128 kB.
const PAGE_ROWS: i64 = 256;

/// A log on SQLite.
#[derive(Debug)]
pub(crate) struct Sqlite {
    readers: SqlitePool,
    pub(crate) writer: Writer,
    /// Held until the log is closed; the system releases it when the process dies.
    lock: File,
}

impl Sqlite {
    pub(crate) async fn open(path: &Path, readers: u32) -> Result<Self, OpenError> {
        let path = resolve(path)?;
        let lock = lock(&path)?;
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_TIMEOUT)
            .disable_statement_logging();
        let writing = writing(options.clone());
        let mut connection = SqliteConnection::connect_with(&writing).await.map_err(opening)?;
        migrate(&mut connection).await?;
        // A process that died behind a redaction has left there what it took out.
        sqlx::query(sql::CUT_WAL).execute(&mut connection).await.map_err(opening)?;
        let (options, writing) = (options.create_if_missing(false), writing.create_if_missing(false));
        let readers = SqlitePoolOptions::new()
            .max_connections(readers)
            .test_before_acquire(false)
            .connect_with(options.pragma("query_only", "ON"))
            .await
            .map_err(opening)?;
        Ok(Self { readers, writer: Writer::new(connection, writing), lock })
    }

    pub(crate) async fn close(&self) {
        // The writer goes last, so that it can fold the write-ahead log back into the file.
        self.readers.close().await;
        self.writer.close().await;
        if let Err(error) = self.lock.unlock() {
            tracing::warn!(error = %error, "cannot give back the lock of the event log; it goes with this process");
        }
    }

    pub(crate) fn stock(&self) -> SqliteEventRepository {
        SqliteEventRepository::new(self.readers.clone())
    }

    pub(crate) async fn ends(&self) -> Result<Ends, sqlx::Error> {
        ends(&sqlx::query(sql::ENDS).fetch_one(&self.readers).await?)
    }

    /// Begins an import; answers the last position there is as well.
    pub(crate) async fn import(&self) -> Result<(Importing, Position), sqlx::Error> {
        Importing::begin(self.writer.another(HEAD_WAIT, importing::CACHE).await?).await
    }

    /// Hands rows to `visit`, until it has had enough.
    pub(crate) async fn visit_events(
        &self,
        from: Position,
        limit: i64,
        visit: &mut Visit<'_>,
    ) -> Result<(), sqlx::Error> {
        let (mut next, mut left) = (from, limit);
        while left > 0 {
            let rows = left.min(PAGE_ROWS);
            let query = sqlx::query_scalar(sql::PAGE).bind(signed(next)).bind(rows);
            // An aggregate of nothing is null.
            let text: Option<Vec<u8>> = query.fetch_one(&self.readers).await?;
            let (mut page, mut seen) = (Page::of(text.as_deref().unwrap_or_default()), 0);
            while let Some(event) = page.next()? {
                next = event.position + 1;
                seen += 1;
                if visit(event).is_break() {
                    return Ok(());
                }
            }
            if seen < rows {
                return Ok(());
            }
            left -= rows;
        }
        Ok(())
    }

    pub(crate) async fn stream(&self, stream: &StreamId) -> Result<Vec<StoredEvent>, sqlx::Error> {
        let query = sqlx::query(sql::STREAM).bind(stream.kind.as_str()).bind(&stream.id);
        query.fetch_all(&self.readers).await?.iter().map(|row| Ok(event_row(row)?.stored())).collect()
    }

    pub(crate) async fn chain_at(&self, position: Position) -> Result<Option<Vec<u8>>, sqlx::Error> {
        sqlx::query_scalar(sql::CHAIN_AT).bind(signed(position)).fetch_optional(&self.readers).await
    }

    pub(crate) async fn position_of(&self, event: EventId) -> Result<Option<i64>, sqlx::Error> {
        sqlx::query_scalar(sql::POSITION_OF).bind(event.0).fetch_optional(&self.readers).await
    }

    /// For each of these times, how far halving has come.
    pub(crate) async fn halved(&self, times_ms: &[i64]) -> Result<Vec<Between>, sqlx::Error> {
        let times: Vec<String> = times_ms.iter().map(ToString::to_string).collect();
        let query = sqlx::query_as(sql::HALVED).bind(format!("[{}]", times.join(",")));
        let rows: Vec<(i64, i64)> = query.fetch_all(&self.readers).await?;
        rows.into_iter().map(|(before, behind)| Between::of(before, behind)).collect()
    }

    pub(crate) async fn holders(&self, scope: Scope) -> Result<Vec<Holder>, sqlx::Error> {
        let query = sqlx::query_scalar(sql::HOLDERS).bind(scope.to_string());
        let texts: Vec<String> = query.fetch_all(&self.readers).await?;
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
        let positions: Vec<i64> = query.fetch_all(&self.readers).await?;
        positions.into_iter().map(unsigned).collect()
    }

    pub(crate) async fn attachment(&self, sha256: &str) -> Result<Option<Vec<u8>>, sqlx::Error> {
        sqlx::query_scalar(sql::ATTACHMENT).bind(sha256).fetch_optional(&self.readers).await
    }

    pub(crate) async fn save_chunk(&self, chunk: &Chunk<'_>) -> Result<(), sqlx::Error> {
        let query = sqlx::query(sql::SAVE_CHUNK).bind(chunk.id).bind(chunk.chunk).bind(&chunk.meta.name);
        let query = query.bind(i64::from(chunk.meta.revision)).bind(signed(chunk.meta.position));
        let query = query.bind(chunk.meta.chain.as_slice()).bind(chunk.chunks).bind(chunk.bytes);
        let query = query.bind(signed(chunk.meta.generation));
        self.writer.execute(query).await.map(drop)
    }

    /// Removes every other snapshot of the same projection, revision and position.
    pub(crate) async fn supersede(&self, id: Uuid, meta: &SnapshotMeta) -> Result<(), sqlx::Error> {
        let statement = sqlx::query(sql::SUPERSEDE_SNAPSHOTS).bind(&meta.name).bind(i64::from(meta.revision));
        let statement = statement.bind(signed(meta.position)).bind(signed(meta.generation)).bind(id);
        self.writer.execute(statement).await.map(drop)
    }

    /// Whole snapshots, the newest first.
    pub(crate) async fn snapshots(&self, name: &str, revision: u32, limit: i64) -> Result<Vec<Listed>, sqlx::Error> {
        let query = sqlx::query(sql::WHOLE_SNAPSHOTS).bind(name).bind(i64::from(revision)).bind(limit);
        let rows = query.fetch_all(&self.readers).await?;
        let listed = |row: &SqliteRow| {
            let (id, position, chain) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            let (generation, saved_at, bytes) = (row.try_get(3)?, row.try_get(4)?, row.try_get(5)?);
            Ok(Listed { id, position, chain, generation, saved_at, bytes })
        };
        rows.iter().map(listed).collect()
    }

    pub(crate) async fn chunks(&self, id: Uuid) -> Result<Vec<Vec<u8>>, sqlx::Error> {
        sqlx::query_scalar(sql::CHUNKS).bind(id).fetch_all(&self.readers).await
    }

    /// The newest generation of a projection of which something was saved; 0 if nothing was.
    pub(crate) async fn newest_generation(&self, name: &str) -> Result<i64, sqlx::Error> {
        sqlx::query_scalar(sql::NEWEST_GENERATION).bind(name).fetch_one(&self.readers).await
    }

    pub(crate) async fn prune(&self, name: &str, newest: &Listed, keep: &[Uuid]) -> Result<(), sqlx::Error> {
        let keep = writer::list(keep.iter().map(|id| hex::encode(id.as_bytes())));
        let query = sqlx::query(sql::PRUNE_SNAPSHOTS).bind(name).bind(newest.generation).bind(newest.position);
        let query = query.bind(keep);
        self.writer.execute(query).await.map(drop)
    }

    /// Bytes of everything, and of the snapshots in it.
    pub(crate) async fn size(&self) -> Result<(i64, i64), sqlx::Error> {
        sqlx::query_as(sql::SIZE).fetch_one(&self.readers).await
    }

    /// Kind, id and length of the longest streams.
    pub(crate) async fn longest_streams(&self, limit: i64) -> Result<Vec<(String, String, i64)>, sqlx::Error> {
        sqlx::query_as(sql::LONGEST_STREAMS).bind(limit).fetch_all(&self.readers).await
    }

    pub(crate) async fn now_ms(&self) -> Result<i64, sqlx::Error> {
        sqlx::query_scalar(sql::NOW_MS).fetch_one(&self.readers).await
    }

    pub(crate) async fn forget_snapshots_of(&self, name: &str) -> Result<(), sqlx::Error> {
        self.writer.execute(sqlx::query(sql::FORGET_SNAPSHOTS_OF).bind(name)).await.map(drop)
    }

    pub(crate) async fn forget_snapshots_before(&self, position: Position) -> Result<(), sqlx::Error> {
        self.writer.forget_snapshots_before(position).await
    }

    /// Leaves no copy of what was removed; answers whether that was possible: nobody may read meanwhile.
    pub(crate) async fn wipe(&self) -> Result<bool, sqlx::Error> {
        Ok(self.writer.fetch_optional(sqlx::query(sql::CUT_WAL)).await? == Some(0))
    }

    pub(crate) async fn acquire_lease(
        &self,
        role: &str,
        holder: &str,
        ttl_ms: i64,
    ) -> Result<Option<i64>, sqlx::Error> {
        self.writer.fetch_optional(sqlx::query(sql::ACQUIRE_LEASE).bind(role).bind(holder).bind(ttl_ms)).await
    }

    pub(crate) async fn renew_lease(&self, lease: &Lease) -> Result<bool, sqlx::Error> {
        let query = sqlx::query(sql::RENEW_LEASE).bind(&lease.role).bind(&lease.holder).bind(signed(lease.fence));
        let rows = self.writer.execute(query.bind(Lease::ttl_ms(lease.ttl))).await?;
        Ok(rows == 1)
    }

    pub(crate) async fn release_lease(&self, lease: &Lease) -> Result<(), sqlx::Error> {
        let query = sqlx::query(sql::RELEASE_LEASE).bind(&lease.role).bind(&lease.holder).bind(signed(lease.fence));
        self.writer.execute(query).await.map(drop)
    }
}

fn ends(row: &SqliteRow) -> Result<Ends, sqlx::Error> {
    let last: Option<i64> = row.try_get(4)?;
    let last = last.map(|position| Ok::<_, sqlx::Error>((position, row.try_get(5)?, row.try_get(6)?))).transpose()?;
    Ends::of((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?), row.try_get(3)?, last)
}

fn event_row(row: &SqliteRow) -> Result<EventRow<'_>, sqlx::Error> {
    Ok(EventRow {
        position: unsigned(row.try_get(0)?)?,
        event_id: EventId(row.try_get(1)?),
        stream_type: row.try_get(2)?,
        stream_id: row.try_get(3)?,
        sequence: unsigned(row.try_get(4)?)?,
        event_type: row.try_get(5)?,
        event_version: row.try_get(6)?,
        payload: row.try_get(7)?,
        metadata: row.try_get(8)?,
        recorded_at: Timestamp(row.try_get(9)?),
        salt: row.try_get(10)?,
        leaf: hash(row.try_get(11)?)?,
        chain: hash(row.try_get(12)?)?,
    })
}

/// The path without links, so that two names of one file have one lock.
fn resolve(path: &Path) -> Result<PathBuf, OpenError> {
    let unresolved = |source| OpenError::File { path: path.to_owned(), source };
    if path.exists() {
        return path.canonicalize().map_err(unresolved);
    }
    let name = path.file_name().ok_or_else(|| unresolved(std::io::ErrorKind::InvalidFilename.into()))?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok(parent.canonicalize().map_err(unresolved)?.join(name))
}

/// Locks `<path>.lock`. The file stays when the log is closed: removing it would let two processes
/// hold locks on two files of one name.
fn lock(path: &Path) -> Result<File, OpenError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let lock_path = PathBuf::from(name);
    let failed = |source| OpenError::File { path: lock_path.clone(), source };
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&lock_path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse { path: path.to_owned() }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// How the connection writes that the appender uses.
fn writing(options: SqliteConnectOptions) -> SqliteConnectOptions {
    let options = options.pragma("cache_size", WRITER_CACHE).pragma("wal_autocheckpoint", CHECKPOINT_PAGES);
    // A statement that inserts several rows keeps what it changes, to take it back should one of them fail. In
    // memory, where the transaction itself is; in a file, as SQLite has it otherwise, it would be written twice.
    let options = options.pragma("temp_store", "MEMORY");
    // What is removed is overwritten: old snapshots hold what may be redacted later, and then nobody finds their pages
    // any more. Only snapshots free whole pages, a few times a day.
    options.pragma("secure_delete", "ON")
}

/// Takes the tables to the newest version, in one transaction.
async fn migrate(connection: &mut SqliteConnection) -> Result<(), OpenError> {
    let mut transaction = connection.begin_with(sql::BEGIN).await.map_err(opening)?;
    sqlx::query(sql::CREATE_SCHEMA_VERSION).execute(&mut *transaction).await.map_err(opening)?;
    let found: i64 = sqlx::query_scalar(sql::SCHEMA_VERSION).fetch_one(&mut *transaction).await.map_err(opening)?;
    for step in crate::migration::missing(migrations::SQLITE, found)? {
        take(&mut transaction, step).await.map_err(opening)?;
    }
    transaction.commit().await.map_err(opening)
}

async fn take(connection: &mut SqliteConnection, step: &Migration) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(step.sql).execute(&mut *connection).await?;
    sqlx::query(sql::RECORD_SCHEMA_VERSION).bind(step.version).bind(step.name).execute(connection).await?;
    Ok(())
}

fn opening(error: sqlx::Error) -> OpenError {
    Fault::of("opening the event log", error).into()
}

#[cfg(test)]
mod tests;
