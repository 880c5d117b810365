//! Importing on SQLite: many rows with each statement, in one transaction that no other writer comes beside.

use knit_domain::event::Position;
use knit_schemas::export::Event;
use sqlx::{Connection, SqliteConnection};

use super::sql;
use super::writer::{Statement, bind_entity, json_of, list};
use crate::batch::End;
use crate::columns::{signed, unsigned};
use crate::import::{BesideRows, FIRST_HOLE, HAS_HOLES, Rows};

/// Memory for pages of the file: -KiB, as SQLite takes it. Ids are random, so that each page of events touches leaves
/// all over the indexes; what has no room is written to the write-ahead log, and read from there again.
pub(super) const CACHE: &str = "-131072";

/// Places in one statement: a text of about a megabyte.
const PLACES_MAX: usize = 1 << 13;

/// A connection within the transaction. Closed before the commit, it leaves nothing.
#[derive(Debug)]
pub(crate) struct Importing(SqliteConnection);

impl Importing {
    /// Begins the transaction; answers the last position there is.
    pub(super) async fn begin(mut connection: SqliteConnection) -> Result<(Self, Position), sqlx::Error> {
        sqlx::query(sql::BEGIN).execute(&mut connection).await?;
        let position: i64 = sqlx::query_scalar(sql::LENGTH).fetch_one(&mut connection).await?;
        Ok((Self(connection), unsigned(position)?))
    }

    pub(crate) async fn write(&mut self, events: &Rows) -> Result<(), sqlx::Error> {
        let Rows::Bound(events) = events else {
            return Err(sqlx::Error::Configuration("a page that was made for another database".into()));
        };
        for (statement, events) in sql::WRITE_EVENTS.pieces(events) {
            events.iter().fold(sqlx::query(statement), bind_event).execute(&mut self.0).await?;
        }
        Ok(())
    }

    pub(crate) async fn write_beside(&mut self, rows: BesideRows) -> Result<(), sqlx::Error> {
        for (statement, rows) in sql::WRITE_INDEX.pieces(&rows.index) {
            rows.iter().fold(sqlx::query(statement), bind_entity).execute(&mut self.0).await?;
        }
        for (statement, places) in [(sql::RELEASE, &rows.released), (sql::TAKE, &rows.taken)] {
            for places in places.chunks(PLACES_MAX) {
                let places = list(places.iter().map(json_of));
                sqlx::query(statement).bind(places).execute(&mut self.0).await?;
            }
        }
        Ok(())
    }

    /// The first event before which its stream has a hole.
    pub(crate) async fn hole(&mut self) -> Result<Option<Position>, sqlx::Error> {
        if !sqlx::query_scalar::<_, bool>(HAS_HOLES).fetch_one(&mut self.0).await? {
            return Ok(None);
        }
        let found: Option<i64> = sqlx::query_scalar(FIRST_HOLE).fetch_one(&mut self.0).await?;
        found.map(unsigned).transpose()
    }

    pub(crate) async fn move_head(&mut self, end: &End) -> Result<(), sqlx::Error> {
        let head = sqlx::query(sql::MOVE_HEAD).bind(signed(end.position)).bind(end.chain.as_slice());
        head.bind(end.recorded_at.0).execute(&mut self.0).await.map(drop)
    }

    pub(crate) async fn commit(mut self) -> Result<(), sqlx::Error> {
        sqlx::query("COMMIT").execute(&mut self.0).await?;
        // All of it lies in the write-ahead log, which would stay as long as it has become.
        if let Err(error) = sqlx::query(sql::CUT_WAL).execute(&mut self.0).await {
            tracing::warn!(error = %error, "the write-ahead log keeps its size until the event log is closed");
        }
        self.0.close().await.ok();
        Ok(())
    }

    pub(crate) async fn cancel(self) {
        // It takes back what was not committed; where that fails, the next that opens the file does.
        self.0.close().await.ok();
    }
}

fn bind_event<'q>(query: Statement<'q>, event: &'q Event) -> Statement<'q> {
    let query = query.bind(&event.stream_type).bind(&event.stream_id).bind(signed(event.sequence));
    let query = query.bind(&event.event_type).bind(&event.event_version).bind(&event.payload).bind(&event.metadata);
    let query = query.bind(signed(event.position)).bind(event.event_id).bind(event.recorded_at_ms);
    query.bind(&event.salt).bind(event.leaf.as_slice()).bind(event.chain.as_slice())
}
