//! Reading a long log ahead of whoever asks: the same events as page by page, whatever happens on the way
//! (D2, D15).

use knit_domain::event::{Position, Recorded};
use knit_log::{Log, ReadAhead, ReadError};

use crate::fixture::{Place, assert_contiguous, fill, journal, remark, remarks, request, whole};
use crate::on_both_databases;

on_both_databases!(
    d2_every_event_is_handed_out_once_and_in_order,
    d2_reading_goes_on_wherever_it_is_asked_to,
    d2_events_that_come_while_reading_are_read,
    d2_a_page_of_many_events_is_whole,
    d2_a_page_of_large_events_ends_early_and_the_next_goes_on,
    d2_a_missing_event_ends_the_reading_before_it,
    d15_a_broken_link_is_seen_wherever_in_a_page_it_is,
    d15_a_last_event_that_was_exchanged_does_not_continue_the_chain,
);

/// Events of a page; small, so that a few events are many pages.
const LIMIT: usize = 3;

/// Everything behind `after` until nothing comes any more, or until what is wrong.
async fn read_on(pages: &mut ReadAhead, after: Position) -> (Vec<Recorded>, Option<ReadError>) {
    let mut all: Vec<Recorded> = Vec::new();
    loop {
        let last = all.last().map_or(after, |event| event.position);
        match pages.read(last).await {
            Ok(page) if page.is_empty() => return (all, None),
            Ok(page) => all.extend(page),
            Err(error) => return (all, Some(error)),
        }
    }
}

async fn read_whole(log: &Log) -> (Vec<Recorded>, Option<ReadError>) {
    read_on(&mut log.read_ahead(LIMIT), 0).await
}

fn positions(events: &[Recorded]) -> Vec<Position> {
    events.iter().map(|event| event.position).collect()
}

async fn d2_every_event_is_handed_out_once_and_in_order(place: Place) {
    let log = place.open().await;
    for count in [1, 1, 1, 4, 3, 10] {
        fill_more(&log, count).await;
        let (events, error) = read_whole(&log).await;
        assert!(error.is_none(), "{error:?}");
        assert_contiguous(&events);
        assert_eq!(events, whole(&log).await);
    }
}

async fn d2_reading_goes_on_wherever_it_is_asked_to(place: Place) {
    let log = place.open().await;
    fill(&log, 20).await;
    let mut pages = log.read_ahead(LIMIT);
    for after in [0, 3, 6, 6, 1, 12, 19, 20, 0] {
        let page = pages.read(after).await.unwrap();
        assert_eq!(positions(&page), (after + 1..=20).take(LIMIT).collect::<Vec<_>>(), "after {after}");
    }
}

async fn d2_events_that_come_while_reading_are_read(place: Place) {
    let log = place.open().await;
    let mut pages = log.read_ahead(LIMIT);
    assert!(pages.read(0).await.unwrap().is_empty());
    let mut seen = 0;
    for count in [1, 5, 2, 9] {
        fill_more(&log, count).await;
        let (events, error) = read_on(&mut pages, seen).await;
        assert!(error.is_none(), "{error:?}");
        assert_eq!(positions(&events), (seen + 1..=seen + count as u64).collect::<Vec<_>>());
        seen += count as u64;
    }
}

/// More than a database hands out at once.
async fn d2_a_page_of_many_events_is_whole(place: Place) {
    let log = place.open().await;
    log.append(remarks(&journal("a"), 0, 1_300)).await.unwrap();
    let page = log.read(0, 1_200).await.unwrap();
    assert_eq!(page.len(), 1_200);
    assert_contiguous(&page);
    assert_eq!(positions(&log.read(1_200, 1_200).await.unwrap()), (1_201..=1_300).collect::<Vec<_>>());
}

async fn d2_a_page_of_large_events_ends_early_and_the_next_goes_on(place: Place) {
    let log = place.open().await;
    let large = "x".repeat(knit_log::EVENT_BYTES_MAX / 2);
    for version in (0..40).step_by(10) {
        let events = (0..10).map(|_| remark(&large));
        let decision = knit_domain::decision::Decision::write(journal("large"), version, events);
        log.append(request(decision)).await.unwrap();
    }
    let mut pages = log.read_ahead(35);
    let first = pages.read(0).await.unwrap();
    assert!((1..35).contains(&first.len()), "a page of {} large events", first.len());
    let (rest, error) = read_on(&mut pages, first.len() as u64).await;
    assert!(error.is_none(), "{error:?}");
    let all: Vec<Recorded> = first.into_iter().chain(rest).collect();
    assert_contiguous(&all);
    assert_eq!(all.len(), 40);
}

async fn d2_a_missing_event_ends_the_reading_before_it(place: Place) {
    let log = place.open().await;
    fill(&log, 20).await;
    place.tamper("DELETE FROM events WHERE position = 14").await;
    let (events, error) = read_whole(&log).await;
    assert_eq!(positions(&events), (1..=13).collect::<Vec<_>>());
    assert!(matches!(error, Some(ReadError::Missing { position: 14 })), "{error:?}");
}

async fn d15_a_broken_link_is_seen_wherever_in_a_page_it_is(place: Place) {
    let log = place.open().await;
    fill(&log, 20).await;
    // The first of a page, one within, the last; the first and the last of all.
    for broken in [10, 11, 12, 1, 20] {
        place.tamper(&format!("UPDATE events SET recorded_at = recorded_at + 1 WHERE position = {broken}")).await;
        let mut pages = log.read_ahead(LIMIT);
        for again in 0..2 {
            let (events, error) = read_on(&mut pages, 0).await;
            assert_eq!(positions(&events), (1..broken).collect::<Vec<_>>(), "time {again}");
            let is_seen = matches!(error, Some(ReadError::BrokenChain { position }) if position == broken);
            assert!(is_seen, "link {broken}: {error:?}");
        }
        place.tamper(&format!("UPDATE events SET recorded_at = recorded_at - 1 WHERE position = {broken}")).await;
    }
    assert!(read_whole(&log).await.1.is_none());
}

/// Event and link changed so that they fit each other: the event behind them tells, though it begins a page.
async fn d15_a_last_event_that_was_exchanged_does_not_continue_the_chain(place: Place) {
    let log = place.open().await;
    fill(&log, 20).await;
    let ninth = log.read(8, 1).await.unwrap().remove(0);
    let before = log.chain_at(8).await.unwrap().unwrap();
    let forged = knit_log::chain::link(&before, 9, ninth.recorded_at, &[7; 32]);
    let (leaf, chain) = (hex::encode([7; 32]), hex::encode(forged));
    let bytes = |hex: &str| match &place {
        Place::Postgres(_) => format!("'\\x{hex}'"),
        Place::Sqlite(_) => format!("x'{hex}'"),
    };
    let forge = format!("UPDATE events SET leaf = {}, chain = {} WHERE position = 9", bytes(&leaf), bytes(&chain));
    place.tamper(&forge).await;
    let (events, error) = read_whole(&log).await;
    assert_eq!(positions(&events), (1..=9).collect::<Vec<_>>());
    assert!(matches!(error, Some(ReadError::BrokenChain { position: 10 })), "{error:?}");
}

/// Appends `count` remarks to a fresh stream.
async fn fill_more(log: &Log, count: usize) {
    let stream = journal(&format!("more-{}", log.position()));
    log.append(remarks(&stream, 0, count)).await.unwrap();
}
