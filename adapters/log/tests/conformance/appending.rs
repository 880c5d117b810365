//! One total order, whole requests, and asking twice (D2, D3, D5, D15).

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use futures::future::join_all;
use knit_domain::decision::{Attachment, Decision};
use knit_domain::event::Position;
use knit_domain::id::EventId;
use knit_domain::time::Timestamp;
use knit_log::{AppendError, Conflict, EVENT_BYTES_MAX, EVENTS_PER_REQUEST_MAX, Fault, Log, Options, Refusal};
use sha2::{Digest, Sha256};
use tokio::time::timeout;

use crate::fixture::{Place, SOON, assert_contiguous, conflicts, fill, journal, remark, remarks, request, whole};
use crate::on_both_databases;

on_both_databases!(
    d2_concurrent_appenders_leave_no_gap_and_a_tailing_reader_sees_every_event_once,
    d3_of_many_who_write_one_version_of_a_stream_exactly_one_wins,
    d3_a_conflict_says_which_stream_moved_and_how_far,
    d3_appending_the_same_event_ids_again_answers_the_old_positions,
    d3_the_same_request_sent_twice_at_once_is_appended_once,
    d3_event_ids_that_exist_in_part_are_a_fault,
    d5_a_request_over_several_streams_is_appended_whole_or_not_at_all,
    d5_attachments_are_stored_with_their_events_or_not_at_all,
    d15_the_stamp_never_goes_back_when_the_clock_does,
    a_decision_without_events_appends_nothing,
    requests_that_can_never_be_appended_are_refused,
    every_append_that_was_let_in_is_done_before_the_log_closes,
);

const APPENDERS: usize = 64;
const APPENDS_EACH: usize = 10;
const HANDLES: usize = 3;

async fn d2_concurrent_appenders_leave_no_gap_and_a_tailing_reader_sees_every_event_once(place: Place) {
    let first = place.open().await;
    let mut logs = vec![first.clone()];
    while logs.len() < HANDLES {
        logs.push(place.open_beside(&first).await);
    }
    // Half of the requests have two events, so that a batch could be torn.
    let expected = APPENDERS * APPENDS_EACH * 3 / 2;
    let reader = tokio::spawn(follow(place.open_beside(&first).await, expected));
    let appenders = (0..APPENDERS).map(|index| tokio::spawn(keep_appending(logs[index % HANDLES].clone(), index)));
    let acknowledged: Vec<Position> = join_all(appenders).await.into_iter().flat_map(Result::unwrap).collect();

    timeout(SOON, reader).await.expect("the reader sees every event").unwrap();
    let distinct: HashSet<Position> = acknowledged.iter().copied().collect();
    assert_eq!(distinct, (1..=expected as Position).collect());
    assert_eq!(acknowledged.len(), expected);
}

/// Appends one event, then two, then one …, to a stream of its own.
async fn keep_appending(log: Log, index: usize) -> Vec<Position> {
    let stream = journal(&format!("appender-{index}"));
    let mut positions = Vec::new();
    for round in 0..APPENDS_EACH {
        let wanted = remarks(&stream, positions.len() as u64, 1 + round % 2);
        positions.extend(log.append(wanted).await.unwrap().positions);
    }
    positions
}

/// Follows the log from its beginning until it has `expected` events, as a projection does.
async fn follow(log: Log, expected: usize) {
    let mut newest = log.subscribe();
    let mut seen = Vec::new();
    while seen.len() < expected {
        let page = log.read(seen.len() as Position, 50).await.unwrap();
        if page.is_empty() {
            newest.wait_for(|position| *position > seen.len() as Position).await.unwrap();
        }
        seen.extend(page);
    }
    assert_contiguous(&seen);
}

async fn d3_of_many_who_write_one_version_of_a_stream_exactly_one_wins(place: Place) {
    let log = place.open().await;
    let rivals = (0..20).map(|_| log.append(remarks(&journal("contested"), 0, 1)));
    let others = (0..20).map(|index| log.append(remarks(&journal(&format!("quiet-{index}")), 0, 1)));
    let (rivals, others) = futures::join!(join_all(rivals), join_all(others));

    let (won, lost): (Vec<_>, Vec<_>) = rivals.into_iter().partition(Result::is_ok);
    assert_eq!(won.len(), 1);
    let moved = Conflict::Stream { stream: journal("contested"), expected: 0, actual: 1 };
    for outcome in lost {
        assert_eq!(conflicts(outcome), std::slice::from_ref(&moved));
    }
    assert!(others.iter().all(Result::is_ok));
    assert_eq!(whole(&log).await.len(), 21);
}

async fn d3_a_conflict_says_which_stream_moved_and_how_far(place: Place) {
    let log = place.open().await;
    log.append(remarks(&journal("a"), 0, 3)).await.unwrap();
    let late = Decision::write(journal("a"), 2, [remark("late")]).and_write(journal("b"), 1, [remark("early")]);

    let conflicts = conflicts(log.append(request(late)).await);

    let a = Conflict::Stream { stream: journal("a"), expected: 2, actual: 3 };
    let b = Conflict::Stream { stream: journal("b"), expected: 1, actual: 0 };
    assert_eq!(conflicts, [a, b]);
}

async fn d3_appending_the_same_event_ids_again_answers_the_old_positions(place: Place) {
    let log = place.open().await;
    let wanted = remarks(&journal("a"), 0, 2);
    let first = log.append(wanted.clone()).await.unwrap();
    log.append(remarks(&journal("a"), 2, 1)).await.unwrap();

    let again = place.open_beside(&log).await.append(wanted).await.unwrap();

    assert!(!first.repeated && again.repeated);
    assert_eq!((again.position, &again.positions, again.recorded_at), (2, &first.positions, first.recorded_at));
    assert_eq!(whole(&log).await.len(), 3);
}

async fn d3_the_same_request_sent_twice_at_once_is_appended_once(place: Place) {
    let log = place.open().await;
    let beside = place.open_beside(&log).await;
    for round in 0..10 {
        let wanted = remarks(&journal(&format!("round-{round}")), 0, 1);
        let (one, two) = futures::join!(log.append(wanted.clone()), beside.append(wanted));
        let (one, two) = (one.unwrap(), two.unwrap());
        assert_eq!(one.positions, two.positions);
        assert!(one.repeated != two.repeated);
    }
    assert_eq!(whole(&log).await.len(), 10);
}

async fn d3_event_ids_that_exist_in_part_are_a_fault(place: Place) {
    let log = place.open().await;
    let first = remarks(&journal("a"), 0, 1);
    log.append(first.clone()).await.unwrap();
    let mut mixed = remarks(&journal("b"), 0, 2);
    mixed.event_ids[0] = first.event_ids[0];

    let outcome = log.append(mixed).await;

    let fault = matches!(outcome, Err(AppendError::Fault(Fault::PartlyRecorded { recorded: 1, events: 2 })));
    assert!(fault, "{outcome:?}");
    assert_eq!(whole(&log).await.len(), 1);
}

async fn d5_a_request_over_several_streams_is_appended_whole_or_not_at_all(place: Place) {
    let log = place.open().await;
    let both = |a: u64, b: u64| {
        let events = [remark("1"), remark("2")];
        request(Decision::write(journal("a"), a, events.clone()).and_write(journal("b"), b, events))
    };
    assert_eq!(log.append(both(0, 0)).await.unwrap().positions, [1, 2, 3, 4]);

    let outcome = log.append(both(2, 1)).await;

    assert_eq!(conflicts(outcome), [Conflict::Stream { stream: journal("b"), expected: 1, actual: 2 }]);
    assert_eq!(log.load(&journal("a")).await.unwrap().len(), 2);
    assert_eq!(log.append(both(2, 2)).await.unwrap().positions, [5, 6, 7, 8]);
}

async fn d5_attachments_are_stored_with_their_events_or_not_at_all(place: Place) {
    let log = place.open().await;
    let bytes = b"the end of a log\0".to_vec();
    let sha256 = hex::encode(Sha256::digest(&bytes));
    let attachment = Attachment { sha256: sha256.clone(), bytes: bytes.clone() };
    let with = |expected| {
        let decision = Decision::write(journal("a"), expected, [remark("x")]);
        request(decision.with_attachment(attachment.clone()))
    };

    conflicts(log.append(with(7)).await);
    assert_eq!(log.attachment(&sha256).await.unwrap(), None);
    log.append(with(0)).await.unwrap();
    assert_eq!(log.attachment(&sha256).await.unwrap(), Some(bytes));
    // The same bytes may come again with other events.
    log.append(with(1)).await.unwrap();
}

async fn d15_the_stamp_never_goes_back_when_the_clock_does(place: Place) {
    let now = Arc::new(AtomicI64::new(5_000));
    let clock = now.clone();
    let clock = Arc::new(move || Timestamp(clock.load(Ordering::SeqCst)));
    let log = place.open_with(Options { clock, ..Options::default() }).await;

    let mut stamps = Vec::new();
    for (index, time) in [5_000, 7_000, 3_000, -1, 7_001].into_iter().enumerate() {
        now.store(time, Ordering::SeqCst);
        stamps.push(log.append(remarks(&journal("a"), index as u64, 1)).await.unwrap().recorded_at.0);
    }

    assert_eq!(stamps, [5_000, 7_000, 7_000, 7_000, 7_001]);
    assert_eq!(whole(&log).await.iter().map(|event| event.recorded_at.0).collect::<Vec<_>>(), stamps);
}

async fn a_decision_without_events_appends_nothing(place: Place) {
    let log = place.open().await;
    fill(&log, 2).await;
    let appended = log.append(request(Decision::nothing())).await.unwrap();
    assert_eq!((appended.position, appended.positions.len()), (2, 0));
    assert_eq!(log.head().await.unwrap().position, 2);
}

async fn requests_that_can_never_be_appended_are_refused(place: Place) {
    let log = place.open().await;
    let refusal = async |request| match log.append(request).await {
        Err(AppendError::Refused(refusal)) => refusal,
        other => panic!("expected a refusal, got {other:?}"),
    };
    let a = journal("a");

    let long = "x".repeat(EVENT_BYTES_MAX);
    let too_large = refusal(request(Decision::write(a.clone(), 0, [remark(&long)]))).await;
    assert!(matches!(too_large, Refusal::EventTooLarge { event_type: "EventSkipped", .. }), "{too_large}");

    let too_many = refusal(remarks(&a, 0, EVENTS_PER_REQUEST_MAX + 1)).await;
    assert!(matches!(too_many, Refusal::TooManyEvents { .. }), "{too_many}");

    let mut same_id = remarks(&a, 0, 2);
    same_id.event_ids = vec![EventId(uuid::Uuid::nil()); 2];
    assert_eq!(refusal(same_id).await, Refusal::EventIdsMismatch { events: 2, ids: 1 });

    let unstorable = refusal(remarks(&journal("nul\0"), 0, 1)).await;
    assert!(matches!(unstorable, Refusal::UnstorableName { .. }), "{unstorable}");

    let twice = Decision::write(a.clone(), 0, [remark("1")]).and_write(a.clone(), 1, [remark("2")]);
    assert_eq!(refusal(request(twice)).await, Refusal::StreamTwice { stream: a.clone() });

    let forged = Attachment { sha256: "00".repeat(32), bytes: vec![1] };
    let forged = refusal(request(Decision::write(a, 0, [remark("1")]).with_attachment(forged))).await;
    assert!(matches!(forged, Refusal::AttachmentHash { .. }), "{forged}");
    assert_eq!(whole(&log).await.len(), 0);
}

async fn every_append_that_was_let_in_is_done_before_the_log_closes(place: Place) {
    let log = place.open().await;
    let appends: Vec<_> = (0..20)
        .map(|index| {
            let log = log.clone();
            tokio::spawn(async move { log.append(remarks(&journal(&format!("last-{index}")), 0, 1)).await })
        })
        .collect();
    log.close().await;

    let mut done = 0;
    for append in appends {
        match append.await.unwrap() {
            Ok(_) => done += 1,
            Err(error) => assert!(matches!(error, AppendError::Fault(Fault::Closed)), "{error}"),
        }
    }
    let reopened = place.open().await;
    assert_eq!(whole(&reopened).await.len(), done);
}
