//! Hearing that the log moved (D3, D13).

use futures::future::join_all;
use knit_domain::event::Position;
use knit_log::Log;
use sqlx::postgres::PgListener;
use tokio::time::timeout;

use crate::fixture::{Place, SOON, fill, journal, remarks};
use crate::on_both_databases;

on_both_databases!(
    d13_the_head_shows_whatever_was_appended_before_asking,
    d3_a_follower_wakes_when_anybody_appends,
    d3_an_appended_event_is_known_at_once_where_it_was_appended,
);

async fn d13_the_head_shows_whatever_was_appended_before_asking(place: Place) {
    let log = place.open().await;
    let beside = place.open_beside(&log).await;
    for version in 0..50 {
        let appended = log.append(remarks(&journal("a"), version, 1)).await.unwrap();
        let heads = join_all((0..8).map(|_| beside.head())).await;
        assert!(heads.into_iter().all(|head| head.unwrap().position >= appended.position));
    }
}

async fn d3_a_follower_wakes_when_anybody_appends(place: Place) {
    let log = place.open().await;
    let beside = place.open_beside(&log).await;
    let mut newest = beside.subscribe();
    for version in 0..5 {
        let appended = log.append(remarks(&journal("a"), version, 1)).await.unwrap();
        let woken = newest.wait_for(|position| *position >= appended.position);
        timeout(SOON, woken).await.expect("a follower wakes").unwrap();
    }
}

async fn d3_an_appended_event_is_known_at_once_where_it_was_appended(place: Place) {
    let log = place.open().await;
    for appended in fill(&log, 5).await {
        assert!(log.position() >= appended.position);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d6_a_restored_database_is_noticed() {
    let place = Place::postgres();
    let log = place.open().await;
    fill(&log, 5).await;
    place
        .tamper(
            "UPDATE head SET position = 3, chain = (SELECT chain FROM events WHERE position = 3); \
             DELETE FROM events WHERE position > 3",
        )
        .await;

    assert_eq!(log.head().await.unwrap().position, 3);
    assert_eq!(log.position(), 3);
    assert_eq!(log.chain_at(5).await.unwrap(), None);
    log.append(remarks(&journal("after"), 0, 1)).await.unwrap();
    assert_eq!(crate::fixture::whole(&log).await.len(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d3_whoever_is_alone_does_not_notify_and_whoever_comes_is_notified() {
    let place = Place::postgres();
    let mut channel = PgListener::connect(&place.address()).await.unwrap();
    channel.listen("knit_log").await.unwrap();
    let log = place.open().await;
    let alone = fill(&log, 5).await.last().unwrap().position;
    let _beside = place.open_beside(&log).await;

    // The other is present some time after it was opened.
    let heard = append_until_heard(&log, &mut channel).await;

    assert!(heard > alone, "nobody was there to hear of {heard}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d3_a_process_that_lost_its_connections_is_notified_again() {
    let place = Place::postgres();
    let (log, beside) = (place.open().await, place.open().await);
    place
        .tamper(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE application_name = 'knit-log' AND datname = current_database()",
        )
        .await;
    let mut channel = PgListener::connect(&place.address()).await.unwrap();
    channel.listen("knit_log").await.unwrap();

    append_until_heard(&log, &mut channel).await;
    drop(beside);
}

/// Appends one event after another until one is announced; answers which.
async fn append_until_heard(log: &Log, channel: &mut PgListener) -> Position {
    let appending = async {
        for version in 0.. {
            log.append(remarks(&journal("later"), version, 1)).await.unwrap();
        }
    };
    let heard = tokio::select! {
        () = appending => unreachable!("it goes on until something is heard"),
        heard = timeout(SOON, channel.recv()) => heard.expect("whoever is present is notified").unwrap(),
    };
    heard.payload().parse().unwrap()
}
