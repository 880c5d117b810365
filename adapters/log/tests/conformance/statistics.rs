//! What an administrator is told of the log.

use std::time::{SystemTime, UNIX_EPOCH};

use knit_log::{SnapshotMeta, StreamLength};
use uuid::Uuid;

use crate::fixture::{Place, fill, journal, remarks};
use crate::on_both_databases;

on_both_databases!(
    the_longest_streams_come_first,
    the_size_grows_with_what_is_written,
    the_newest_snapshot_is_known_without_reading_it,
    the_database_has_a_clock,
);

async fn the_longest_streams_come_first(place: Place) {
    let log = place.open().await;
    assert_eq!(log.longest_streams(5).await.unwrap(), []);
    fill(&log, 2).await;
    log.append(remarks(&journal("long"), 0, 3)).await.unwrap();
    let stream =
        |id: &str, events| StreamLength { stream_type: "journal".to_owned(), stream_id: id.to_owned(), events };
    assert_eq!(log.longest_streams(2).await.unwrap(), [stream("long", 3), stream("fill-0", 1)]);
}

async fn the_size_grows_with_what_is_written(place: Place) {
    let log = place.open().await;
    let before = log.size().await.unwrap();
    let meta = SnapshotMeta { name: "store".to_owned(), revision: 1, position: 0, chain: [0; 32], generation: 0 };
    // What does not compress: PostgreSQL would keep less than it was given.
    let bytes: Vec<u8> = (0..65_536).flat_map(|_| Uuid::new_v4().into_bytes()).collect();
    log.save_snapshot(&meta, &[bytes]).await.unwrap();
    let after = log.size().await.unwrap();
    assert!(after.snapshots_bytes >= before.snapshots_bytes + 900_000, "{before:?}, {after:?}");
    assert!(after.total_bytes >= before.total_bytes + 900_000, "{before:?}, {after:?}");
}

async fn the_newest_snapshot_is_known_without_reading_it(place: Place) {
    let log = place.open().await;
    assert_eq!(log.newest_snapshot_position("store", 1).await.unwrap(), None);
    for position in [3, 7] {
        let meta = SnapshotMeta { name: "store".to_owned(), revision: 1, position, chain: [0; 32], generation: 0 };
        log.save_snapshot(&meta, &[vec![1]]).await.unwrap();
    }
    assert_eq!(log.newest_snapshot_position("store", 1).await.unwrap(), Some(7));
    assert_eq!(log.newest_snapshot_position("store", 2).await.unwrap(), None);
}

async fn the_database_has_a_clock(place: Place) {
    let log = place.open().await;
    let here = || i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap();
    let before = here();
    let told = log.database_time().await.unwrap().0;
    // The database is on this machine, and has its clock; it may count otherwise below a millisecond.
    assert!((before - 5..=here() + 5).contains(&told), "{told} is not now");
}
