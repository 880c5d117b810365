//! Opening, migrating, and who may not.

use knit_log::{Database, Log, OpenError, Options, SnapshotMeta};

use crate::fixture::{Place, fill, journal, remarks, whole};
use crate::on_both_databases;

on_both_databases!(
    a_log_goes_on_where_it_was_closed,
    snapshots_of_before_generations_are_of_the_first,
    tables_of_a_newer_program_are_refused,
    a_log_is_told_from_every_other,
);

async fn a_log_goes_on_where_it_was_closed(place: Place) {
    let log = place.open().await;
    fill(&log, 3).await;
    let head = log.head().await.unwrap();
    log.close().await;

    let log = place.open().await;

    assert_eq!(log.position(), 3);
    assert_eq!(log.head().await.unwrap(), head);
    log.append(remarks(&journal("a"), 0, 1)).await.unwrap();
    assert_eq!(whole(&log).await.len(), 4);
}

async fn snapshots_of_before_generations_are_of_the_first(place: Place) {
    let log = place.open().await;
    let meta = SnapshotMeta { name: "store".to_owned(), revision: 1, position: 0, chain: [0; 32], generation: 0 };
    log.save_snapshot(&meta, &[vec![7]]).await.unwrap();
    log.close().await;
    // As the first program left them.
    for column in ["generation", "saved_at"] {
        place.tamper(&format!("ALTER TABLE log_snapshots DROP COLUMN {column}")).await;
    }
    place.tamper("DROP TABLE generations").await;
    place.tamper("DELETE FROM schema_version WHERE version > 1").await;

    let log = place.open().await;

    assert_eq!(log.newest_snapshot("store", 1).await.unwrap().unwrap().meta, meta);
    assert_eq!(log.kept_snapshots("store", 1, 9).await.unwrap()[0].saved_at, None);
}

async fn tables_of_a_newer_program_are_refused(place: Place) {
    place.open().await.close().await;
    place.tamper("INSERT INTO schema_version (version, name) VALUES (999, 'future')").await;
    let error = Log::open(&place.database(), Options::default()).await.unwrap_err();
    assert!(matches!(error, OpenError::NewerSchema { found: 999, known: 3 }), "{error}");
    assert!(error.to_string().contains("run the newer program"));
}

async fn a_log_is_told_from_every_other(place: Place) {
    let other = Place::sqlite().open().await.head().await.unwrap();
    let one = place.open().await.head().await.unwrap();
    assert_ne!(one.log, other.log);
    assert_eq!((one.position, one.chain), (other.position, other.chain));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn programs_that_start_at_once_on_an_empty_server_agree() {
    let place = Place::postgres();
    let starts = (0..6).map(|_| place.open());
    let logs = futures::future::join_all(starts).await;
    for (log, index) in logs.iter().zip(0..) {
        log.append(remarks(&journal("a"), index, 1)).await.unwrap();
    }
    assert_eq!(whole(&logs[0]).await.len(), logs.len());
}

#[tokio::test]
async fn a_second_program_on_one_sqlite_file_is_refused_and_told_what_to_do() {
    let place = Place::sqlite();
    let log = place.open().await;

    let error = Log::open(&place.database(), Options::default()).await.unwrap_err();

    assert!(matches!(error, OpenError::InUse { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("log.db is in use by another process: stop that knitd first"), "{text}");
    log.close().await;
    place.open().await;
}

#[tokio::test]
async fn another_name_of_the_same_sqlite_file_is_refused_too() {
    let place = Place::sqlite();
    let _log = place.open().await;
    let link = place.file().with_file_name("link.db");
    std::os::unix::fs::symlink(place.file(), &link).unwrap();
    let error = Log::open(&Database::Sqlite(link), Options::default()).await.unwrap_err();
    assert!(matches!(error, OpenError::InUse { .. }), "{error}");
}

#[tokio::test]
async fn a_place_that_does_not_exist_is_named() {
    let place = Place::sqlite();
    let nowhere = place.file().join("nowhere").join("log.db");
    let error = Log::open(&Database::Sqlite(nowhere), Options::default()).await.unwrap_err();
    assert!(matches!(error, OpenError::File { .. }), "{error}");
    assert!(error.to_string().contains("check that the directory exists"), "{error}");
}
