//! The sizes of a database, asked for as another program would that shares it.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::str::FromStr as _;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection as _, PgConnection, SqliteConnection};

use super::figures::Figure;

/// Questions that both databases answer.
const BOTH: [(Figure, &str); 5] = [
    (Figure::Position, "SELECT CAST(position AS bigint) FROM head"),
    (Figure::Snapshots, "SELECT CAST(count(DISTINCT id) AS bigint) FROM log_snapshots"),
    (Figure::SnapshotBytes, "SELECT CAST(coalesce(sum(length(bytes)), 0) AS bigint) FROM log_snapshots"),
    (Figure::Attachments, "SELECT CAST(coalesce(sum(length(bytes)), 0) AS bigint) FROM attachments"),
    (Figure::Reservations, "SELECT CAST(count(*) AS bigint) FROM reservations"),
];
const POSTGRES: [(Figure, &str); 2] = [
    (Figure::Database, "SELECT pg_database_size(current_database())"),
    (
        Figure::Connections,
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()",
    ),
];
const SQLITE: [(Figure, &str); 1] =
    [(Figure::DatabaseFree, "SELECT f.freelist_count * p.page_size FROM pragma_freelist_count f, pragma_page_size p")];
/// How much of the database each table takes, with its indexes.
const TABLES_OF_POSTGRES: &str = "SELECT relname::text, pg_total_relation_size(oid) FROM pg_class \
     WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY 2 DESC";

/// Where a log is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Database {
    Sqlite(PathBuf),
    Postgres(String),
}

impl Database {
    /// As `knit-log` takes it.
    pub(super) fn url(&self) -> String {
        match self {
            Self::Sqlite(path) => path.to_string_lossy().into_owned(),
            Self::Postgres(url) => url.clone(),
        }
    }

    /// Everything that can be said of its size now.
    pub(super) async fn figures(&self) -> anyhow::Result<BTreeMap<Figure, f64>> {
        let mut figures = BTreeMap::new();
        match self {
            Self::Sqlite(path) => {
                let mut connection = sqlite(path).await?;
                for (figure, question) in BOTH.into_iter().chain(SQLITE) {
                    let value: i64 = sqlx::query_scalar(question).fetch_one(&mut connection).await?;
                    figures.insert(figure, value as f64);
                }
                connection.close().await?;
                let bytes = |path: &str| fs::metadata(path).map_or(0, |file| file.len()) as f64;
                figures.insert(Figure::Database, bytes(&self.url()));
                figures.insert(Figure::WriteAhead, bytes(&format!("{}-wal", self.url())));
            }
            Self::Postgres(url) => {
                let mut connection = PgConnection::connect(url).await?;
                for (figure, question) in BOTH.into_iter().chain(POSTGRES) {
                    let value: i64 = sqlx::query_scalar(question).fetch_one(&mut connection).await?;
                    figures.insert(figure, value as f64);
                }
                connection.close().await?;
            }
        }
        Ok(figures)
    }

    /// The bytes of its tables with their indexes, the largest first; of SQLite they cannot be asked for.
    pub(super) async fn tables(&self) -> anyhow::Result<Vec<(String, i64)>> {
        let Self::Postgres(url) = self else { return Ok(Vec::new()) };
        let mut connection = PgConnection::connect(url).await?;
        let tables = sqlx::query_as(TABLES_OF_POSTGRES).fetch_all(&mut connection).await?;
        connection.close().await?;
        Ok(tables)
    }

    /// What the database server says of itself.
    pub(super) async fn version(&self) -> anyhow::Result<String> {
        match self {
            Self::Sqlite(_) => Ok("SQLite".to_owned()),
            Self::Postgres(url) => {
                let mut connection = PgConnection::connect(url).await?;
                let version: String = sqlx::query_scalar("SHOW server_version").fetch_one(&mut connection).await?;
                connection.close().await?;
                Ok(format!("PostgreSQL {version} as it is installed, fsync on"))
            }
        }
    }
}

/// Only reads, and goes when it has: while it stays, the server's write-ahead log may not be folded back.
async fn sqlite(path: &std::path::Path) -> anyhow::Result<SqliteConnection> {
    let options = SqliteConnectOptions::from_str(&path.to_string_lossy())?.read_only(true);
    Ok(SqliteConnection::connect_with(&options).await?)
}
