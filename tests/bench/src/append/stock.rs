//! The stock loop: cqrs-es as its documentation shows it.

use std::sync::Arc;
use std::time::Duration;

use cqrs_es::persist::{PersistedEventRepository, PersistedEventStore, SerializedEvent};
use cqrs_es::{AggregateError, CqrsFramework};
use knit_domain::data::Data;
use knit_domain::id::KnitId;
use postgres_es::{PostgresEventRepository, default_postgress_pool};
use sqlite_es::{SqliteEventRepository, default_sqlite_pool};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use uuid::Uuid;

use super::ours::{as_command, metadata, reserved, share};
use super::{COMMANDS_PER_STREAM, Round, race};

/// The table as postgres-es documents it.
pub(super) const TABLE: &str = "
CREATE TABLE events (
    aggregate_type text NOT NULL, aggregate_id text NOT NULL, sequence bigint NOT NULL CHECK (sequence >= 0),
    event_type text NOT NULL, event_version text NOT NULL, payload json NOT NULL, metadata json NOT NULL,
    PRIMARY KEY (aggregate_type, aggregate_id, sequence)
)";
/// Connections of the stock pools.
const CONNECTIONS: u32 = 10;
/// How long a stock connection waits for another to finish a write, as sqlx has it by default.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// A framework on some repository.
pub(super) struct Stock<R: PersistedEventRepository> {
    framework: Arc<CqrsFramework<Data, PersistedEventStore<R, Data>>>,
    /// Another handle, to make Data with.
    repository: R,
}

pub(super) async fn on_postgres(url: &str) -> Stock<PostgresEventRepository> {
    let pool = default_postgress_pool(url).await;
    Stock::new(PostgresEventRepository::new(pool.clone()), PostgresEventRepository::new(pool))
}

pub(super) async fn on_sqlite(path: &str) -> anyhow::Result<Stock<SqliteEventRepository>> {
    sqlite(default_sqlite_pool(&format!("sqlite://{path}")).await).await
}

/// The same with commits that wait for the disk.
pub(super) async fn on_sqlite_durable(path: &str) -> anyhow::Result<Stock<SqliteEventRepository>> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY_TIMEOUT);
    sqlite(SqlitePoolOptions::new().max_connections(CONNECTIONS).connect_with(options).await?).await
}

async fn sqlite(pool: SqlitePool) -> anyhow::Result<Stock<SqliteEventRepository>> {
    sqlx::raw_sql(&TABLE.replace("json", "text")).execute(&pool).await?;
    Ok(Stock::new(SqliteEventRepository::new(pool.clone()), SqliteEventRepository::new(pool)))
}

impl<R: PersistedEventRepository + Send + Sync + 'static> Stock<R> {
    fn new(framework: R, repository: R) -> Self {
        let store = PersistedEventStore::new_event_store(framework);
        Self { framework: Arc::new(CqrsFramework::new(store, Vec::new(), ())), repository }
    }

    pub(super) async fn round(&self, clients: usize, each: usize) -> anyhow::Result<Round> {
        let data = self.reserve(clients * each.div_ceil(COMMANDS_PER_STREAM)).await?;
        race(clients, each, |client| {
            let (framework, own) = (Arc::clone(&self.framework), share(&data, client, each));
            move |at| {
                let (framework, id) = (Arc::clone(&framework), own[at / COMMANDS_PER_STREAM].clone());
                async move {
                    loop {
                        match framework.execute_with_metadata(&id, as_command(at), (&metadata()).into()).await {
                            Ok(()) => return Ok(()),
                            // SQLite lets writers fail that came at the same time; they have to come again.
                            Err(AggregateError::DatabaseConnectionError(_) | AggregateError::UnexpectedError(_)) => {}
                            Err(error) => anyhow::bail!("the stock framework failed: {error}"),
                        }
                    }
                }
            }
        })
        .await
    }

    async fn reserve(&self, count: usize) -> anyhow::Result<Vec<String>> {
        let mut ids = Vec::with_capacity(count);
        for _ in 0..count {
            let id = KnitId(Uuid::new_v4());
            let (payload, metadata) = (serde_json::to_value(reserved(id))?, serde_json::to_value(metadata())?);
            let [kind, name, version] = ["data", "DataReserved", "1"].map(str::to_owned);
            let event = SerializedEvent::new(id.to_string(), 1, kind, name, version, payload, metadata);
            self.repository.persist::<Data>(&[event], None).await?;
            ids.push(id.to_string());
        }
        Ok(ids)
    }
}
