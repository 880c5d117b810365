//! The disk is full or failing, which only the database itself can pretend.

use std::path::Path;

use knit_domain::decision::Decision;
use knit_domain::event::journal::JournalEvent;
use knit_domain::event::{Metadata, StreamId, StreamType};

use super::*;
use crate::backend::Backend;
use crate::{AppendError, Appended, Database, Log, Options, Request};

async fn open(directory: &Path) -> Log {
    Log::open(&Database::Sqlite(directory.join("log.db")), Options::default()).await.unwrap()
}

/// From now on the file may have at most as many pages as `pages` says.
async fn limit(log: &Log, pages: &str) {
    let Backend::Sqlite(sqlite) = log.backend() else { panic!("the log is on SQLite") };
    let pragma = format!("PRAGMA max_page_count = {pages}");
    sqlite.writer.fetch_optional(sqlx::query(&pragma)).await.unwrap();
}

async fn append(log: &Log, version: u64) -> Result<Appended, AppendError> {
    let stream = StreamId { kind: StreamType::Journal, id: "a".to_owned() };
    let reason = "x".repeat(10_000);
    let remark = JournalEvent::EventSkipped { projection: "lineage".to_owned(), position: 1, reason };
    log.append(Request::new(Decision::write(stream, version, [remark]), Metadata::default())).await
}

#[tokio::test]
async fn a_full_disk_is_a_fault_that_says_so_and_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let log = open(directory.path()).await;
    append(&log, 0).await.unwrap();
    // Less than there is counts as what there is.
    limit(&log, "1").await;

    let mut acknowledged = 1;
    let error = loop {
        match append(&log, acknowledged).await {
            Ok(_) => acknowledged += 1,
            Err(error) => break error,
        }
        assert!(acknowledged < 10, "the limit holds");
    };

    assert!(matches!(error, AppendError::Fault(Fault::DiskFull { .. })), "{error:?}");
    assert!(error.to_string().contains("disk of the event log is full"), "{error}");
    assert_eq!(log.read(0, 100).await.unwrap().len() as u64, acknowledged);
    limit(&log, "1000000").await;
    append(&log, acknowledged).await.unwrap();
    log.close().await;
    assert_eq!(open(directory.path()).await.read(0, 100).await.unwrap().len() as u64, acknowledged + 1);
}

#[tokio::test]
async fn a_transaction_that_the_database_ended_by_itself_is_no_trouble_for_the_next() {
    let directory = tempfile::tempdir().unwrap();
    let log = open(directory.path()).await;
    let Backend::Sqlite(sqlite) = log.backend() else { panic!("the log is on SQLite") };
    let trap = "CREATE TEMP TRIGGER trap BEFORE INSERT ON events BEGIN SELECT RAISE(ROLLBACK, 'the disk fails'); END";
    sqlite.writer.execute(sqlx::query(trap)).await.unwrap();
    let error = append(&log, 0).await.unwrap_err();
    assert!(error.to_string().contains("appending events"), "{error}");
    append(&log, 0).await.unwrap();
    assert_eq!(log.read(0, 100).await.unwrap().len(), 1);
}
