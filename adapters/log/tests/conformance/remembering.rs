//! What a process takes for granted or remembers is checked before it counts, and given up when it was not so.

use std::sync::Arc;

use knit_domain::decision::{Condition, Decision};
use knit_domain::event::Recorded;
use knit_domain::id::AgentMode::Write;
use knit_domain::reservation::{Holder, Scope};
use knit_log::Conflict;

use crate::fixture::{Place, agent, closed, conflicts, data, journal, opened, remark, remarks, request, whole};
use crate::on_both_databases;

on_both_databases!(
    d3_a_stream_that_is_not_as_far_as_it_is_taken_to_be_is_a_conflict,
    d3_a_stream_that_is_further_than_it_is_taken_to_be_is_a_conflict,
    d5_places_that_are_not_as_they_are_taken_to_be_are_conflicts,
    d3_events_that_are_in_the_log_already_are_found_after_an_append_as_well,
    d3_what_holds_of_a_batch_is_appended_also_when_something_of_it_does_not,
    d3_rivals_find_the_end_again_after_each_other,
    a_stream_is_recalled_as_it_is_loaded,
    a_recalled_stream_that_another_process_moved_is_a_conflict_until_it_is_read,
    the_newest_events_are_those_that_are_read,
    the_newest_events_end_where_another_process_came_in_between,
    what_is_forgotten_is_read_again,
);

async fn d3_a_stream_that_is_not_as_far_as_it_is_taken_to_be_is_a_conflict(place: Place) {
    let log = place.open().await;
    log.append(remarks(&journal("a"), 0, 2)).await.unwrap();

    let outcome = log.append(remarks(&journal("a"), 3, 1)).await;

    assert_eq!(conflicts(outcome), [Conflict::Stream { stream: journal("a"), expected: 3, actual: 2 }]);
    let outcome = log.append(remarks(&journal("never"), 1, 1)).await;
    assert_eq!(conflicts(outcome), [Conflict::Stream { stream: journal("never"), expected: 1, actual: 0 }]);
    assert_eq!(whole(&log).await.len(), 2);
}

async fn d3_a_stream_that_is_further_than_it_is_taken_to_be_is_a_conflict(place: Place) {
    let log = place.open().await;
    log.append(remarks(&journal("a"), 0, 2)).await.unwrap();
    let given = Decision::write(journal("b"), 0, [remark("x")]);
    let given = given.given(Condition::StreamAt { stream: journal("a"), version: 1 });

    let outcome = log.append(request(given)).await;

    assert_eq!(conflicts(outcome), [Conflict::Stream { stream: journal("a"), expected: 1, actual: 2 }]);
    let outcome = log.append(remarks(&journal("a"), 0, 1)).await;
    assert_eq!(conflicts(outcome), [Conflict::Stream { stream: journal("a"), expected: 0, actual: 2 }]);
    log.append(remarks(&journal("a"), 2, 1)).await.unwrap();
    assert_eq!(whole(&log).await.len(), 3);
}

async fn d5_places_that_are_not_as_they_are_taken_to_be_are_conflicts(place: Place) {
    let log = place.open().await;
    let data = data();
    let (scope, holder, writer) = (Scope::DataUse(data), Holder::Writer, agent(data, Write));
    let given = |condition| request(Decision::write(journal("x"), 0, [remark("x")]).given(condition));
    let taken = || Condition::Taken { scope, holder: holder.clone() };
    log.append(remarks(&journal("first"), 0, 1)).await.unwrap();

    let free = Conflict::Free { scope, holder: holder.clone() };
    assert_eq!(conflicts(log.append(given(taken())).await), [free]);
    log.append(request(opened(data, Write, &writer))).await.unwrap();
    let outcome = log.append(given(Condition::Free { scope, holder: holder.clone() })).await;
    assert_eq!(conflicts(outcome), [Conflict::Taken { scope, holder: holder.clone() }]);
    let outcome = log.append(given(Condition::ScopeEmpty { scope })).await;
    assert_eq!(conflicts(outcome), [Conflict::ScopeNotEmpty { scope, holders: vec![holder.clone()] }]);

    log.append(request(closed(data, Write, &writer))).await.unwrap();
    log.append(given(Condition::ScopeEmpty { scope })).await.unwrap();
    assert_eq!(whole(&log).await.len(), 4);
}

async fn d3_events_that_are_in_the_log_already_are_found_after_an_append_as_well(place: Place) {
    let log = place.open().await;
    let again = remarks(&journal("a"), 0, 2);
    let first = log.append(again.clone()).await.unwrap();
    log.append(remarks(&journal("b"), 0, 1)).await.unwrap();

    let second = log.append(again).await.unwrap();

    assert_eq!((second.positions, second.repeated), (first.positions, true));
    log.append(remarks(&journal("a"), 2, 1)).await.unwrap();
    assert_eq!(whole(&log).await.len(), 4);
}

async fn d3_what_holds_of_a_batch_is_appended_also_when_something_of_it_does_not(place: Place) {
    let log = place.open().await;
    log.append(remarks(&journal("first"), 0, 1)).await.unwrap();
    let all = (0..40_u64).map(|number| log.append(remarks(&journal(&format!("s{number}")), number % 2, 1)));

    let outcomes = futures::future::join_all(all).await;

    for (outcome, number) in outcomes.into_iter().zip(0_u64..) {
        if number % 2 == 0 {
            outcome.unwrap();
        } else {
            let stream = journal(&format!("s{number}"));
            assert_eq!(conflicts(outcome), [Conflict::Stream { stream, expected: 1, actual: 0 }]);
        }
    }
    assert_eq!(whole(&log).await.len(), 21);
}

async fn d3_rivals_find_the_end_again_after_each_other(place: Place) {
    let log = place.open().await;
    let beside = place.open_beside(&log).await;
    for round in 0..5 {
        for (rival, name) in [(&log, "a"), (&log, "b"), (&beside, "c"), (&beside, "d")] {
            rival.append(remarks(&journal(name), round, 1)).await.unwrap();
        }
    }
    assert_eq!(whole(&log).await.len(), 20);
}

async fn a_stream_is_recalled_as_it_is_loaded(place: Place) {
    let log = place.open().await;
    log.append(remarks(&journal("a"), 0, 2)).await.unwrap();
    log.append(remarks(&journal("b"), 0, 1)).await.unwrap();
    log.append(remarks(&journal("a"), 2, 3)).await.unwrap();

    assert_eq!(owned(log.recall(&journal("a")).await.unwrap()), log.load(&journal("a")).await.unwrap());

    assert!(log.recall(&journal("never")).await.unwrap().is_empty());
    log.close().await;
    let log = place.open().await;
    for _ in 0..2 {
        let recalled = log.recall(&journal("a")).await.unwrap();
        assert_eq!(owned(recalled), log.load(&journal("a")).await.unwrap(), "read, then remembered");
    }
    log.append(remarks(&journal("a"), 5, 1)).await.unwrap();
    assert_eq!(log.recall(&journal("a")).await.unwrap().len(), 6);
}

async fn a_recalled_stream_that_another_process_moved_is_a_conflict_until_it_is_read(place: Place) {
    let log = place.open().await;
    let beside = place.open_beside(&log).await;
    log.append(remarks(&journal("a"), 0, 1)).await.unwrap();
    beside.append(remarks(&journal("a"), 1, 1)).await.unwrap();

    let expected = log.recall(&journal("a")).await.unwrap().len() as u64;
    let outcome = log.append(remarks(&journal("a"), expected, 1)).await;

    match place {
        Place::Postgres(_) => assert_eq!(
            conflicts(outcome),
            [Conflict::Stream { stream: journal("a"), expected: 1, actual: 2 }],
            "it was remembered, and checked"
        ),
        Place::Sqlite(_) => drop(outcome.unwrap()),
    }
    let read = whole(&log).await;
    assert_eq!(owned(log.recall(&journal("a")).await.unwrap()), read, "whoever follows, heeds");
}

async fn the_newest_events_are_those_that_are_read(place: Place) {
    let log = place.open().await;
    for number in 0..30 {
        log.append(remarks(&journal(&format!("s{number}")), 0, 2)).await.unwrap();
    }
    let read = whole(&log).await;

    assert_eq!(owned(log.recent(0, 100).unwrap()), read);

    assert_eq!(owned(log.recent(17, 5).unwrap()), read[17..22]);
    assert_eq!(log.recent(60, 5), None);
}

async fn the_newest_events_end_where_another_process_came_in_between(place: Place) {
    let log = place.open().await;
    let beside = place.open_beside(&log).await;
    log.append(remarks(&journal("a"), 0, 1)).await.unwrap();
    beside.append(remarks(&journal("b"), 0, 1)).await.unwrap();
    log.append(remarks(&journal("c"), 0, 1)).await.unwrap();
    let read = whole(&log).await;

    for after in 0..3 {
        if let Some(recent) = log.recent(after, 10) {
            let after = usize::try_from(after).unwrap();
            assert_eq!(owned(recent), read[after..], "without a gap");
        }
    }
    assert_eq!(log.recent(2, 10).map(owned), Some(read[2..].to_vec()));
}

async fn what_is_forgotten_is_read_again(place: Place) {
    let log = place.open().await;
    log.append(remarks(&journal("a"), 0, 1)).await.unwrap();

    log.forget();

    assert_eq!(log.recent(0, 10), None);
    assert_eq!(owned(log.recall(&journal("a")).await.unwrap()), whole(&log).await);
}

fn owned(events: Vec<Arc<Recorded>>) -> Vec<Recorded> {
    events.into_iter().map(Arc::unwrap_or_clone).collect()
}
