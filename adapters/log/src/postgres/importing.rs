//! Importing on PostgreSQL: rows go in by `COPY`, in one transaction that holds the head row.

use std::time::Duration;

use sqlx::postgres::PgRow;
use sqlx::{Connection, PgConnection, Row};

use super::{columns_of, copied, sql};
use crate::batch::{End, Place};
use crate::columns::{signed, unsigned};
use crate::import::{HEAD_WAIT, IMPORT_PAUSE_MAX, ImportPage, IndexRow, Rows};
use knit_domain::event::Position;
use knit_schemas::export::Event;

/// How long the server may take for one page, of which most take some hundredths of a second, or for the commit. One
/// that takes longer is treated as gone.
const PAGE_TIMEOUT: Duration = Duration::from_secs(60);
/// Bytes of an event beside its payload and metadata, roughly: hashes, ids, names and lengths.
const ROW_BYTES: usize = 320;
/// Bytes of a row of the index.
const INDEX_ROW_BYTES: usize = 48;
/// Rows of the index that are kept until they are written: those of some half a million events, in 40 MB of memory. The
/// more are written at once, in their order, the fewer pages of the index are touched: page by page it takes PostgreSQL
/// twice as long.
const INDEX_ROWS_MAX: usize = 1 << 20;

/// Rows of a page: of the events as `COPY` takes them.
#[derive(Debug)]
pub(crate) struct Copied {
    events: Vec<u8>,
    index: Vec<IndexRow>,
}

impl Copied {
    pub(crate) fn of(events: &[Event], index: Vec<IndexRow>) -> Self {
        let texts: usize = events.iter().map(|event| event.payload.len() + event.metadata.len()).sum();
        let mut all = copied::Rows::with_capacity(texts + events.len() * ROW_BYTES);
        events.iter().for_each(|event| all.event(event));
        Self { events: all.finish(), index }
    }
}

/// A connection within the transaction. Closed before the commit, it leaves nothing.
#[derive(Debug)]
pub(crate) struct Importing {
    connection: PgConnection,
    /// Rows of the index that are not written yet.
    index: Vec<IndexRow>,
}

impl Importing {
    /// Begins the transaction; answers the last position there is.
    pub(super) async fn begin(mut connection: PgConnection) -> Result<(Self, Position), sqlx::Error> {
        let (pause_ms, wait_ms) = (IMPORT_PAUSE_MAX.as_millis(), HEAD_WAIT.as_millis());
        for statement in sql::begin_import(pause_ms, wait_ms) {
            sqlx::query(&statement).execute(&mut connection).await?;
        }
        let row: PgRow = sqlx::query(sql::LOCK_EMPTY_HEAD).fetch_one(&mut connection).await?;
        let position = unsigned(row.try_get(0)?)?;
        Ok((Self { connection, index: Vec::new() }, position))
    }

    pub(crate) async fn write(&mut self, page: &ImportPage) -> Result<(), sqlx::Error> {
        within(PAGE_TIMEOUT, async {
            let Rows::Copied(rows) = &page.rows else {
                return Err(sqlx::Error::Configuration("a page that was made for another database".into()));
            };
            self.copy(sql::COPY_EVENTS, &rows.events).await?;
            self.index.extend_from_slice(&rows.index);
            if self.index.len() >= INDEX_ROWS_MAX {
                self.write_index().await?;
            }
            self.change(sql::RELEASE, &page.released).await?;
            self.change(sql::TAKE, &page.taken).await
        })
        .await
    }

    pub(crate) async fn move_head(&mut self, end: &End) -> Result<(), sqlx::Error> {
        within(PAGE_TIMEOUT, async {
            self.write_index().await?;
            let moved = sqlx::query(sql::MOVE_EMPTY_HEAD).bind(signed(end.position)).bind(end.chain.as_slice());
            moved.bind(end.recorded_at.0).execute(&mut self.connection).await.map(drop)
        })
        .await
    }

    async fn write_index(&mut self) -> Result<(), sqlx::Error> {
        let index = std::mem::take(&mut self.index);
        let copied = tokio::task::spawn_blocking(move || copied_index(index)).await;
        self.copy(sql::COPY_INDEX, &copied.map_err(|_| sqlx::Error::WorkerCrashed)?).await
    }

    pub(crate) async fn commit(mut self) -> Result<(), sqlx::Error> {
        within(PAGE_TIMEOUT, async { sqlx::query("COMMIT").execute(&mut self.connection).await.map(drop) }).await?;
        // The server notices a closed socket as well; a failed goodbye loses nothing.
        self.connection.close().await.ok();
        Ok(())
    }

    pub(crate) async fn cancel(mut self) {
        // Where it is not heard, the server takes everything back as soon as it notices that nobody is there.
        let back =
            within(PAGE_TIMEOUT, async { sqlx::query("ROLLBACK").execute(&mut self.connection).await.map(drop) });
        back.await.ok();
        self.connection.close().await.ok();
    }

    async fn copy(&mut self, statement: &str, rows: &[u8]) -> Result<(), sqlx::Error> {
        let mut copying = self.connection.copy_in_raw(statement).await?;
        copying.send(rows).await?;
        copying.finish().await.map(drop)
    }

    async fn change(&mut self, statement: &str, places: &[Place]) -> Result<(), sqlx::Error> {
        if places.is_empty() {
            return Ok(());
        }
        let (scopes, holders) = columns_of(places);
        sqlx::query(statement).bind(scopes).bind(holders).execute(&mut self.connection).await.map(drop)
    }
}

/// As `COPY` takes them, in the order of the index. Each page brings its own in order.
fn copied_index(mut index: Vec<IndexRow>) -> Vec<u8> {
    index.sort();
    let mut entries = copied::Rows::with_capacity(index.len() * INDEX_ROW_BYTES);
    index.iter().for_each(|entry| entries.entry(entry));
    entries.finish()
}

async fn within<T>(limit: Duration, work: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    tokio::time::timeout(limit, work).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
}
