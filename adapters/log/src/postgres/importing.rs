//! Importing on PostgreSQL: rows go in by `COPY`, in one transaction that holds the head row.

use std::time::Duration;

use sqlx::postgres::PgRow;
use sqlx::{Connection, PgConnection, Row};

use super::{columns_of, copied, sql};
use crate::batch::{End, Place};
use crate::columns::{signed, unsigned};
use crate::import::{BesideRows, FIRST_HOLE, HAS_HOLES, HEAD_WAIT, IMPORT_PAUSE_MAX, Rows};
use knit_domain::event::Position;
use knit_schemas::export::Event;

/// How long the server may take for one page, of which most take some hundredths of a second, or for the commit. One
/// that takes longer is treated as gone.
const PAGE_TIMEOUT: Duration = Duration::from_secs(60);
/// How long it may take for what is written beside many pages: seconds mostly. Less than the session may stand still.
const BESIDE_TIMEOUT: Duration = Duration::from_secs(100);
/// Bytes of an event beside its payload and metadata, roughly: hashes, ids, names and lengths.
const ROW_BYTES: usize = 320;
/// Bytes of a row of the index, and of a place.
const INDEX_ROW_BYTES: usize = 48;
const PLACE_BYTES: usize = 100;

/// Events as `COPY` takes them.
pub(crate) fn copied_events(events: &[Event]) -> Vec<u8> {
    let texts: usize = events.iter().map(|event| event.payload.len() + event.metadata.len()).sum();
    let mut rows = copied::Rows::with_capacity(texts + events.len() * ROW_BYTES);
    events.iter().for_each(|event| rows.event(event));
    rows.finish()
}

/// What is written beside the events, as `COPY` takes it.
struct CopiedBeside {
    index: Vec<u8>,
    released: Vec<Place>,
    taken: Vec<u8>,
}

impl CopiedBeside {
    fn of(rows: BesideRows) -> Self {
        let BesideRows { index, released, taken } = rows;
        let mut entries = copied::Rows::with_capacity(index.len() * INDEX_ROW_BYTES);
        index.iter().for_each(|entry| entries.entry(entry));
        let mut places = copied::Rows::with_capacity(taken.len() * PLACE_BYTES);
        taken.iter().for_each(|place| places.place(place));
        Self { index: entries.finish(), released, taken: places.finish() }
    }
}

/// A connection within the transaction. Closed before the commit, it leaves nothing.
#[derive(Debug)]
pub(crate) struct Importing(PgConnection);

impl Importing {
    /// Begins the transaction; answers the last position there is.
    pub(super) async fn begin(mut connection: PgConnection) -> Result<(Self, Position), sqlx::Error> {
        let (pause_ms, wait_ms) = (IMPORT_PAUSE_MAX.as_millis(), HEAD_WAIT.as_millis());
        for statement in sql::begin_import(pause_ms, wait_ms) {
            sqlx::query(&statement).execute(&mut connection).await?;
        }
        let row: PgRow = sqlx::query(sql::LOCK_EMPTY_HEAD).fetch_one(&mut connection).await?;
        let position = unsigned(row.try_get(0)?)?;
        Ok((Self(connection), position))
    }

    pub(crate) async fn write(&mut self, events: &Rows) -> Result<(), sqlx::Error> {
        let Rows::Copied(events) = events else {
            return Err(sqlx::Error::Configuration("a page that was made for another database".into()));
        };
        within(PAGE_TIMEOUT, self.copy(sql::COPY_EVENTS, events)).await
    }

    pub(crate) async fn write_beside(&mut self, rows: BesideRows) -> Result<(), sqlx::Error> {
        let rows = tokio::task::spawn_blocking(move || CopiedBeside::of(rows)).await;
        let rows = rows.map_err(|_| sqlx::Error::WorkerCrashed)?;
        within(BESIDE_TIMEOUT, async {
            self.copy(sql::COPY_INDEX, &rows.index).await?;
            if !rows.released.is_empty() {
                let (scopes, holders) = columns_of(&rows.released);
                sqlx::query(sql::RELEASE).bind(scopes).bind(holders).execute(&mut self.0).await?;
            }
            self.copy(sql::COPY_PLACES, &rows.taken).await
        })
        .await
    }

    /// The first event before which its stream has a hole.
    pub(crate) async fn hole(&mut self) -> Result<Option<Position>, sqlx::Error> {
        within(BESIDE_TIMEOUT, async {
            if !sqlx::query_scalar::<_, bool>(HAS_HOLES).fetch_one(&mut self.0).await? {
                return Ok(None);
            }
            let found: Option<i64> = sqlx::query_scalar(FIRST_HOLE).fetch_one(&mut self.0).await?;
            found.map(unsigned).transpose()
        })
        .await
    }

    pub(crate) async fn move_head(&mut self, end: &End) -> Result<(), sqlx::Error> {
        let moved = sqlx::query(sql::MOVE_EMPTY_HEAD).bind(signed(end.position)).bind(end.chain.as_slice());
        within(PAGE_TIMEOUT, async { moved.bind(end.recorded_at.0).execute(&mut self.0).await.map(drop) }).await
    }

    pub(crate) async fn commit(mut self) -> Result<(), sqlx::Error> {
        within(PAGE_TIMEOUT, async { sqlx::query("COMMIT").execute(&mut self.0).await.map(drop) }).await?;
        // The server notices a closed socket as well; a failed goodbye loses nothing.
        self.0.close().await.ok();
        Ok(())
    }

    pub(crate) async fn cancel(mut self) {
        // Where it is not heard, the server takes everything back as soon as it notices that nobody is there.
        let back = within(PAGE_TIMEOUT, async { sqlx::query("ROLLBACK").execute(&mut self.0).await.map(drop) });
        back.await.ok();
        self.0.close().await.ok();
    }

    async fn copy(&mut self, statement: &str, rows: &[u8]) -> Result<(), sqlx::Error> {
        let mut copying = self.0.copy_in_raw(statement).await?;
        copying.send(rows).await?;
        copying.finish().await.map(drop)
    }
}

async fn within<T>(limit: Duration, work: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    tokio::time::timeout(limit, work).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
}
