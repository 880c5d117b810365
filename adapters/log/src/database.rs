//! Which database, and how it is used.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use knit_domain::time::Timestamp;
use sqlx::postgres::PgConnectOptions;

use crate::error::OpenError;
use crate::observer::{Observer, Unobserved};

/// Connections that read at once. Reads are short and come from memory; a few keep two cores busy.
const READERS_DEFAULT: u32 = 8;
/// A restart of a database server fits in; a user who waits for a reply still does.
const APPEND_PATIENCE_DEFAULT: Duration = Duration::from_secs(15);

/// Where the log is kept.
#[derive(Debug, Clone)]
pub enum Database {
    /// A PostgreSQL server.
    Postgres(Box<PgConnectOptions>),
    /// An SQLite file of this process.
    Sqlite(PathBuf),
}

impl Database {
    /// Reads `postgres://user@host/name`, `sqlite:///path/to/file`, or a path.
    ///
    /// # Errors
    /// [`OpenError::UnknownDatabase`] for any other scheme and for a malformed address.
    pub fn parse(text: &str) -> Result<Self, OpenError> {
        let unknown = || OpenError::UnknownDatabase { text: text.to_owned() };
        match text.split_once("://") {
            Some(("postgres" | "postgresql", _)) => {
                PgConnectOptions::from_str(text).map(|options| Self::Postgres(Box::new(options))).map_err(|_| unknown())
            }
            Some(("sqlite", path)) if !path.is_empty() => Ok(Self::Sqlite(PathBuf::from(path))),
            None if !text.is_empty() => Ok(Self::Sqlite(PathBuf::from(text))),
            Some(_) | None => Err(unknown()),
        }
    }
}

/// How the log is used; the default suits a server.
#[derive(Clone)]
pub struct Options {
    /// Stamps events. Tests make it jump; the log's order of stamps holds whatever it says.
    pub clock: Clock,
    /// Connections that read at once.
    pub readers: u32,
    /// How long an append keeps trying while the database is away.
    pub append_patience: Duration,
    /// Is told of every append.
    pub observer: Arc<dyn Observer>,
}

/// A clock that can be replaced.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

impl Default for Options {
    fn default() -> Self {
        Self {
            clock: Arc::new(system_time),
            readers: READERS_DEFAULT,
            append_patience: APPEND_PATIENCE_DEFAULT,
            observer: Arc::new(Unobserved),
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("readers", &self.readers).finish_non_exhaustive()
    }
}

/// The machine's time, truncated to milliseconds; 1970 if the machine believes to be before that.
fn system_time() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_is_named_by_address_or_path() {
        assert!(matches!(Database::parse("postgres://knit@db/knit"), Ok(Database::Postgres(_))));
        for text in ["sqlite:///var/lib/knit/log.db", "/var/lib/knit/log.db"] {
            assert!(matches!(Database::parse(text), Ok(Database::Sqlite(path)) if path.ends_with("knit/log.db")));
        }
        for text in ["", "mysql://db/knit", "sqlite://", "postgres://db:notaport/x"] {
            assert!(matches!(Database::parse(text), Err(OpenError::UnknownDatabase { .. })), "{text}");
        }
    }
}
