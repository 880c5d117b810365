//! Snapshots of projections: whole or not there (D6).

use knit_log::{KeptSnapshot, Log, SnapshotMeta};

use crate::fixture::Place;
use crate::on_both_databases;

on_both_databases!(
    d6_a_snapshot_comes_back_as_it_was_saved,
    d6_the_newest_whole_snapshot_of_the_revision_is_the_one,
    d8_what_is_saved_later_at_a_position_takes_the_place_of_what_was,
    d8_what_a_later_generation_has_saved_is_newer_wherever_it_was_saved,
    what_is_kept_is_told_without_reading_it,
    those_of_one_name_are_removed_when_they_are_done_with,
    d6_pruning_keeps_the_newest_and_leaves_other_names_alone,
);

fn meta(name: &str, revision: u32, position: u64) -> SnapshotMeta {
    let chain = [u8::try_from(position).unwrap(); 32];
    SnapshotMeta { name: name.to_owned(), revision, position, chain, generation: 0 }
}

async fn save(log: &Log, meta: &SnapshotMeta) {
    log.save_snapshot(meta, &[vec![1, 2], vec![], vec![3]]).await.unwrap();
}

async fn newest(log: &Log, name: &str, revision: u32) -> Option<u64> {
    log.newest_snapshot(name, revision).await.unwrap().map(|snapshot| snapshot.meta.position)
}

async fn d6_a_snapshot_comes_back_as_it_was_saved(place: Place) {
    let log = place.open().await;
    assert_eq!(log.newest_snapshot("store", 1).await.unwrap(), None);
    let large: Vec<Vec<u8>> = (0..12).map(|chunk| vec![chunk; 100_000]).collect();
    log.save_snapshot(&meta("store", 1, 7), &large).await.unwrap();

    let snapshot = place.open_beside(&log).await.newest_snapshot("store", 1).await.unwrap().unwrap();

    assert_eq!(snapshot.meta, meta("store", 1, 7));
    assert_eq!(snapshot.chunks, large);
}

async fn d6_the_newest_whole_snapshot_of_the_revision_is_the_one(place: Place) {
    let log = place.open().await;
    for meta in [meta("store", 1, 7), meta("store", 1, 9), meta("store", 2, 8), meta("matcher", 1, 11)] {
        save(&log, &meta).await;
    }
    // A save that was broken off after its second chunk.
    save(&log, &meta("store", 1, 10)).await;
    place.tamper("DELETE FROM log_snapshots WHERE position = 10 AND chunk = 2").await;

    assert_eq!(newest(&log, "store", 1).await, Some(9));
    assert_eq!(newest(&log, "store", 2).await, Some(8));
    assert_eq!(newest(&log, "store", 3).await, None);
}

async fn d8_what_is_saved_later_at_a_position_takes_the_place_of_what_was(place: Place) {
    let log = place.open().await;
    log.save_snapshot(&meta("store", 2, 7), &[vec![0]]).await.unwrap();
    // Which of two came back would be a matter of chance.
    for content in 1..10 {
        log.save_snapshot(&meta("store", 1, 7), &[vec![content]]).await.unwrap();
        assert_eq!(log.newest_snapshot("store", 1).await.unwrap().unwrap().chunks, [vec![content]]);
    }
    assert_eq!(log.newest_snapshot("store", 2).await.unwrap().unwrap().chunks, [vec![0]]);
}

async fn d8_what_a_later_generation_has_saved_is_newer_wherever_it_was_saved(place: Place) {
    let log = place.open().await;
    let of = |generation, position| SnapshotMeta { generation, ..meta("store", 1, position) };
    assert_eq!(log.newest_generation("store").await.unwrap(), 0);
    for (generation, position) in [(0, 3), (1, 5), (0, 9)] {
        save(&log, &of(generation, position)).await;
    }
    assert_eq!(log.newest_generation("store").await.unwrap(), 1);
    assert_eq!(log.newest_snapshot("store", 1).await.unwrap().unwrap().meta, of(1, 5));
    // A server that has the earlier one saves it again, at the same position and later, and removes older ones.
    save(&log, &of(0, 5)).await;
    log.prune_snapshots("store", 1, 1).await.unwrap();
    assert_eq!(log.newest_snapshot("store", 1).await.unwrap().unwrap().meta, of(1, 5));
    let kept = log.kept_snapshots("store", 1, 9).await.unwrap();
    assert_eq!(kept.iter().map(|kept| (kept.generation, kept.position)).collect::<Vec<_>>(), [(1, 5)]);
    assert_eq!(log.newest_generation("matcher").await.unwrap(), 0);
}

async fn what_is_kept_is_told_without_reading_it(place: Place) {
    let log = place.open().await;
    for position in [3, 7] {
        save(&log, &meta("store", 1, position)).await;
    }
    let kept = log.kept_snapshots("store", 1, 9).await.unwrap();
    let now = log.database_time().await.unwrap();
    assert_eq!(kept.iter().map(|kept| (kept.position, kept.bytes)).collect::<Vec<_>>(), [(7, 3), (3, 3)]);
    let is_now = |kept: &KeptSnapshot| kept.saved_at.is_some_and(|at| (now.0 - 60_000..=now.0).contains(&at.0));
    assert!(kept.iter().all(is_now), "{kept:?}");
    assert_eq!(log.kept_snapshots("store", 1, 1).await.unwrap().len(), 1);
}

async fn those_of_one_name_are_removed_when_they_are_done_with(place: Place) {
    let log = place.open().await;
    for (name, revision, position) in [("store", 1, 3), ("store", 2, 9), ("store.rebuild", 1, 5)] {
        save(&log, &meta(name, revision, position)).await;
    }
    log.forget_snapshots_of("store").await.unwrap();
    assert_eq!((newest(&log, "store", 1).await, newest(&log, "store", 2).await), (None, None));
    assert_eq!(newest(&log, "store.rebuild", 1).await, Some(5));
}

async fn d6_pruning_keeps_the_newest_and_leaves_other_names_alone(place: Place) {
    let log = place.open().await;
    for position in [3, 5, 9, 4] {
        save(&log, &meta("store", 1, position)).await;
    }
    save(&log, &meta("store", 2, 2)).await;
    save(&log, &meta("matcher", 1, 1)).await;

    log.prune_snapshots("store", 1, 2).await.unwrap();

    assert_eq!(newest(&log, "matcher", 1).await, Some(1));
    assert_eq!(newest(&log, "store", 2).await, None);
    assert_eq!(newest(&log, "store", 1).await, Some(9));
    let earlier = log.earlier_snapshot("store", 1, 1).await.unwrap();
    assert_eq!(earlier.map(|snapshot| snapshot.meta.position), Some(5));
    assert_eq!(log.earlier_snapshot("store", 1, 2).await.unwrap(), None);
    place.tamper("DELETE FROM log_snapshots WHERE position = 9").await;
    assert_eq!(newest(&log, "store", 1).await, Some(5));
    place.tamper("DELETE FROM log_snapshots WHERE position = 5").await;
    assert_eq!(newest(&log, "store", 1).await, None);
}
