//! The connections that read, and those statements that write beside the log.
//!
//! A pool of our own, because sqlx's asks every connection whether it lives whenever it is given back
//! (and, by default, whenever it is taken), which would double the round trips of a short read. Here
//! a connection that has failed in any way is dropped, and whoever reads tries again with another.

use sqlx::postgres::{PgArguments, PgConnectOptions, PgRow};
use sqlx::query::Query;
use sqlx::{Connection, PgConnection, Postgres};
use std::sync::{Mutex, PoisonError};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::connect;

/// A statement with its arguments.
pub(super) type Statement<'q> = Query<'q, Postgres, PgArguments>;

/// A bounded number of connections to one server.
#[derive(Debug)]
pub(super) struct Connections {
    options: PgConnectOptions,
    permits: Semaphore,
    idle: Mutex<Vec<PgConnection>>,
}

/// A connection that is in use. Dropped without being given back, it is closed: so are those whose
/// statement failed or whose user stopped waiting in the middle.
pub(super) struct Lent<'c> {
    pub(super) connection: PgConnection,
    home: &'c Connections,
    _permit: SemaphorePermit<'c>,
}

impl Connections {
    pub(super) fn new(options: PgConnectOptions, connections_max: u32) -> Self {
        let permits = Semaphore::new(usize::try_from(connections_max).unwrap_or(Semaphore::MAX_PERMITS));
        Self { options, permits, idle: Mutex::default() }
    }

    /// All rows of a statement.
    pub(super) async fn rows(&self, statement: Statement<'_>) -> Result<Vec<PgRow>, sqlx::Error> {
        let mut lent = self.lend().await?;
        let rows = statement.fetch_all(&mut lent.connection).await?;
        lent.give_back();
        Ok(rows)
    }

    /// How many rows a statement changed.
    pub(super) async fn execute(&self, statement: Statement<'_>) -> Result<u64, sqlx::Error> {
        let mut lent = self.lend().await?;
        let done = statement.execute(&mut lent.connection).await?;
        lent.give_back();
        Ok(done.rows_affected())
    }

    pub(super) async fn lend(&self) -> Result<Lent<'_>, sqlx::Error> {
        let permit = self.permits.acquire().await.map_err(|_| sqlx::Error::PoolClosed)?;
        let idle = self.idle().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => connect(&self.options).await?,
        };
        Ok(Lent { connection, home: self, _permit: permit })
    }

    /// A connection beside those that are lent, for long work.
    pub(super) async fn another(&self) -> Result<PgConnection, sqlx::Error> {
        connect(&self.options).await
    }

    pub(super) async fn close(&self) {
        self.permits.close();
        let idle = std::mem::take(&mut *self.idle());
        for connection in idle {
            // The server notices a closed socket as well; a failed goodbye loses nothing.
            connection.close().await.ok();
        }
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<PgConnection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lent<'_> {
    /// For the next one, unless all was closed meanwhile.
    pub(super) fn give_back(self) {
        if !self.home.permits.is_closed() {
            self.home.idle().push(self.connection);
        }
    }
}
