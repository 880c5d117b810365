//! The rows of a log, ready in memory, and put into an empty one by the shortest way.

use std::time::Instant;

use futures::TryStreamExt as _;
use sqlx::postgres::PgPoolCopyExt as _;
use sqlx::sqlite::SqliteRow;
use sqlx::{Connection as _, PgConnection, PgPool, Row as _, SqliteConnection};

use crate::bench::{Filled, Kind, Place};

const COLUMNS: &str = "position, event_id, aggregate_type, aggregate_id, sequence, event_type, event_version, payload, \
                       metadata, recorded_at, salt, leaf, chain";

/// What PostgreSQL's log keeps beside the events, each table in its own order.
const BESIDE: [(&str, &str); 2] = [("entity_events", "kind, id, position"), ("reservations", "scope, holder")];

/// Rows of the table of events.
pub(super) enum Rows {
    /// As PostgreSQL copies them.
    Copied(Vec<Vec<u8>>),
    /// As SQLite hands them out.
    Read(Vec<SqliteRow>),
}

/// The first `count` events of the long log.
pub(super) async fn rows(filled: &Filled, count: usize) -> anyhow::Result<Rows> {
    let select = format!("SELECT {COLUMNS} FROM events WHERE position <= {count} ORDER BY position");
    Ok(match filled.place.kind {
        Kind::Postgres => {
            let pool = PgPool::connect(&filled.place.url()).await?;
            Rows::Copied(copied_out(&pool, &select).await?)
        }
        Kind::Sqlite => {
            let mut connection = SqliteConnection::connect(&filled.place.url()).await?;
            Rows::Read(sqlx::query(&select).fetch_all(&mut connection).await?)
        }
    })
}

async fn copied_out(pool: &PgPool, select: &str) -> anyhow::Result<Vec<Vec<u8>>> {
    let copied = pool.copy_out_raw(&format!("COPY ({select}) TO STDOUT (FORMAT binary)")).await?;
    Ok(copied.map_ok(|piece| piece.to_vec()).try_collect().await?)
}

async fn copied_in(connection: &mut PgConnection, table: &str, columns: &str, rows: &[Vec<u8>]) -> anyhow::Result<()> {
    let statement = format!("COPY {table} ({columns}) FROM STDIN (FORMAT binary)");
    let mut copying = connection.copy_in_raw(&statement).await?;
    for piece in rows {
        copying.send(piece.as_slice()).await?;
    }
    copying.finish().await?;
    Ok(())
}

/// Seconds that PostgreSQL takes for everything that an import has written to `from`, copied into the empty log `to` in
/// one transaction.
pub(super) async fn whole(from: &Place, to: &Place) -> anyhow::Result<f64> {
    to.open().await?.close().await;
    let pool = PgPool::connect(&from.url()).await?;
    let events = copied_out(&pool, &format!("SELECT {COLUMNS} FROM events ORDER BY position")).await?;
    let mut tables = vec![("events", COLUMNS, events)];
    for (table, columns) in BESIDE {
        let rows = copied_out(&pool, &format!("SELECT {columns} FROM {table} ORDER BY {columns}")).await?;
        tables.push((table, columns, rows));
    }
    pool.close().await;
    let mut connection = PgConnection::connect(&to.url()).await?;
    let begun = Instant::now();
    let mut transaction = connection.begin().await?;
    for (table, columns, rows) in &tables {
        copied_in(&mut transaction, table, columns, rows).await?;
    }
    transaction.commit().await?;
    Ok(begun.elapsed().as_secs_f64())
}

impl Rows {
    /// Fills the events of an empty log; answers how many seconds it took.
    pub(super) async fn copy_into(&self, place: &Place) -> anyhow::Result<f64> {
        place.open().await?.close().await;
        match self {
            Self::Copied(pieces) => {
                let mut connection = PgConnection::connect(&place.url()).await?;
                let begun = Instant::now();
                copied_in(&mut connection, "events", COLUMNS, pieces).await?;
                Ok(begun.elapsed().as_secs_f64())
            }
            Self::Read(rows) => {
                let mut connection = SqliteConnection::connect(&place.url()).await?;
                let begun = Instant::now();
                let mut transaction = connection.begin().await?;
                let marks = vec!["?"; COLUMNS.split(',').count()].join(", ");
                let statement = format!("INSERT INTO events ({COLUMNS}) VALUES ({marks})");
                for row in rows {
                    let insert = sqlx::query(&statement);
                    let insert = insert.bind(row.get::<i64, _>(0)).bind(row.get::<&[u8], _>(1));
                    let insert = insert.bind(row.get::<&str, _>(2)).bind(row.get::<&str, _>(3));
                    let insert = insert.bind(row.get::<i64, _>(4)).bind(row.get::<&str, _>(5));
                    let insert = insert.bind(row.get::<&str, _>(6)).bind(row.get::<&str, _>(7));
                    let insert = insert.bind(row.get::<&str, _>(8)).bind(row.get::<i64, _>(9));
                    let insert = insert.bind(row.get::<&[u8], _>(10)).bind(row.get::<&[u8], _>(11));
                    insert.bind(row.get::<&[u8], _>(12)).execute(&mut *transaction).await?;
                }
                transaction.commit().await?;
                Ok(begun.elapsed().as_secs_f64())
            }
        }
    }
}
