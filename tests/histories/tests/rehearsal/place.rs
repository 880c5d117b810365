//! Where logs are.

use std::path::PathBuf;

use knit_log::{Database, Log, Options};
use knit_tests::postgres::TestDatabase;

/// A place for one log after the other.
pub(crate) enum Place {
    Sqlite(tempfile::TempDir),
    Postgresql(TestDatabase),
}

impl Place {
    pub(crate) fn sqlite() -> Self {
        Self::Sqlite(tempfile::tempdir().unwrap())
    }

    pub(crate) fn postgresql() -> Self {
        Self::Postgresql(TestDatabase::new())
    }

    /// Removes the log that is there; nobody may have it open.
    pub(crate) fn clear(&self) {
        match self {
            Self::Sqlite(directory) => {
                let files = directory.path().read_dir().unwrap().map(|entry| entry.unwrap().path());
                files.collect::<Vec<PathBuf>>().iter().for_each(|file| std::fs::remove_file(file).unwrap());
            }
            Self::Postgresql(database) => {
                database.run("DROP SCHEMA public CASCADE; CREATE SCHEMA public;");
            }
        }
    }

    /// Handles as several processes have them. SQLite serves one process; there they are clones.
    pub(crate) async fn open(&self) -> Vec<Log> {
        let database = match self {
            Self::Sqlite(directory) => format!("sqlite://{}", directory.path().join("log.db").display()),
            Self::Postgresql(database) => database.url().to_owned(),
        };
        let database = Database::parse(&database).unwrap();
        let first = Log::open(&database, Options::default()).await.unwrap();
        let second = match self {
            Self::Sqlite(_) => first.clone(),
            Self::Postgresql(_) => Log::open(&database, Options::default()).await.unwrap(),
        };
        vec![first, second]
    }
}
