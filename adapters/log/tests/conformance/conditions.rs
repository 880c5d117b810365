//! Conditions that are only checked, and reservations, which follow from events (D5).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures::future::join_all;
use knit_domain::decision::{Condition, Decision};
use knit_domain::id::AgentMode::{Read, Write};
use knit_domain::reservation::{Holder, Scope};
use knit_log::{Conflict, Log};

use crate::fixture::{Place, SOON, agent, closed, conflicts, data, journal, opened, remark, remarks, request};
use crate::on_both_databases;

/// How long a turn lasts at most.
const TURN_MAX: Duration = Duration::from_secs(1);

on_both_databases!(
    d5_a_stream_that_moved_fails_a_condition_on_its_version,
    d5_a_place_is_taken_by_one_and_free_again_when_given_back,
    d5_of_many_who_take_one_place_at_once_exactly_one_gets_it,
    d5_a_scope_that_must_be_empty_names_who_is_in_it,
    d5_a_place_that_must_be_free_or_taken_is_checked,
    d5_a_request_that_fails_takes_no_place,
    d5_what_rests_on_the_whole_log_loses_to_every_append_of_anybody,
    d5_whoever_has_the_turn_decides_on_an_end_that_nobody_moves,
    d5_a_turn_that_is_given_up_or_takes_too_long_holds_up_nobody,
    every_condition_that_fails_is_named,
);

async fn d5_a_stream_that_moved_fails_a_condition_on_its_version(place: Place) {
    let log = place.open().await;
    log.append(remarks(&journal("plan"), 0, 1)).await.unwrap();
    let given = |version| {
        let condition = Condition::StreamAt { stream: journal("plan"), version };
        request(Decision::write(journal("run"), 0, [remark("x")]).given(condition))
    };

    let outcome = log.append(given(2)).await;

    assert_eq!(conflicts(outcome), [Conflict::Stream { stream: journal("plan"), expected: 2, actual: 1 }]);
    log.append(given(1)).await.unwrap();
}

async fn d5_a_place_is_taken_by_one_and_free_again_when_given_back(place: Place) {
    let log = place.open().await;
    let data = data();
    let (first, second) = (agent(data, Write), agent(data, Write));
    log.append(request(opened(data, Write, &first))).await.unwrap();

    let outcome = log.append(request(opened(data, Write, &second))).await;

    let taken = Conflict::Taken { scope: Scope::DataUse(data), holder: Holder::Writer };
    assert_eq!(conflicts(outcome), [taken]);
    log.append(request(closed(data, Write, &first))).await.unwrap();
    assert_eq!(log.holders(&Scope::DataUse(data)).await.unwrap(), []);
    log.append(request(opened(data, Write, &second))).await.unwrap();
    assert_eq!(log.holders(&Scope::DataUse(data)).await.unwrap(), [Holder::Writer]);
}

async fn d5_of_many_who_take_one_place_at_once_exactly_one_gets_it(place: Place) {
    let log = place.open().await;
    let beside = place.open_beside(&log).await;
    let data = data();
    let takers = (0..16).map(|index| {
        let log = if index % 2 == 0 { &log } else { &beside };
        log.append(request(opened(data, Write, &agent(data, Write))))
    });
    let outcomes = join_all(takers).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    assert_eq!(log.holders(&Scope::DataUse(data)).await.unwrap(), [Holder::Writer]);
}

async fn d5_a_scope_that_must_be_empty_names_who_is_in_it(place: Place) {
    let log = place.open().await;
    let data = data();
    let scope = Scope::DataUse(data);
    let discarding = || request(Decision::write(journal("x"), 0, [remark("x")]).given(Condition::ScopeEmpty { scope }));
    let mut readers = [agent(data, Read), agent(data, Read)];
    readers.sort();
    for reader in &readers {
        log.append(request(opened(data, Read, reader))).await.unwrap();
    }

    let outcome = log.append(discarding()).await;

    let holders = readers.iter().map(|reader| Holder::Reader(reader.0.clone())).collect();
    assert_eq!(conflicts(outcome), [Conflict::ScopeNotEmpty { scope, holders }]);
    for reader in &readers {
        log.append(request(closed(data, Read, reader))).await.unwrap();
    }
    log.append(discarding()).await.unwrap();
}

async fn d5_a_place_that_must_be_free_or_taken_is_checked(place: Place) {
    let log = place.open().await;
    let data = data();
    let (scope, holder) = (Scope::DataUse(data), Holder::Writer);
    let free = Condition::Free { scope, holder: holder.clone() };
    let taken = Condition::Taken { scope, holder: holder.clone() };
    let given = |name: &str, condition: &Condition| {
        request(Decision::write(journal(name), 0, [remark("x")]).given(condition.clone()))
    };

    let outcome = log.append(given("a", &taken)).await;
    assert_eq!(conflicts(outcome), [Conflict::Free { scope, holder: holder.clone() }]);
    log.append(given("a", &free)).await.unwrap();

    log.append(request(opened(data, Write, &agent(data, Write)))).await.unwrap();

    let outcome = log.append(given("b", &free)).await;
    assert_eq!(conflicts(outcome), [Conflict::Taken { scope, holder }]);
    log.append(given("b", &taken)).await.unwrap();
}

async fn d5_a_request_that_fails_takes_no_place(place: Place) {
    let log = place.open().await;
    let data = data();
    let late = opened(data, Write, &agent(data, Write)).and_write(journal("a"), 9, [remark("late")]);

    conflicts(log.append(request(late)).await);

    assert_eq!(log.holders(&Scope::DataUse(data)).await.unwrap(), []);
}

async fn every_condition_that_fails_is_named(place: Place) {
    let log = place.open().await;
    let data = data();
    let (scope, holder) = (Scope::DataUse(data), Holder::Writer);
    log.append(request(opened(data, Write, &agent(data, Write)))).await.unwrap();
    let decision = Decision::write(journal("a"), 1, [remark("x")])
        .given(Condition::Free { scope, holder: holder.clone() })
        .given(Condition::ScopeEmpty { scope })
        .given(Condition::StreamAt { stream: journal("b"), version: 4 });

    let conflicts = conflicts(log.append(request(decision)).await);

    let expected = [
        Conflict::Taken { scope, holder: holder.clone() },
        Conflict::ScopeNotEmpty { scope, holders: vec![holder] },
        Conflict::Stream { stream: journal("b"), expected: 4, actual: 0 },
        Conflict::Stream { stream: journal("a"), expected: 1, actual: 0 },
    ];
    assert_eq!(conflicts, expected);
}

async fn d5_what_rests_on_the_whole_log_loses_to_every_append_of_anybody(place: Place) {
    let log = place.open().await;
    let beside = place.open_beside(&log).await;
    let at = |stream: &str, position| {
        request(Decision::write(journal(stream), 0, [remark("x")]).given(Condition::LogAt { position }))
    };
    log.append(at("first", 0)).await.unwrap();
    beside.append(remarks(&journal("other"), 0, 2)).await.unwrap();

    let outcome = log.append(at("second", 1)).await;

    assert_eq!(conflicts(outcome), [Conflict::Log { expected: 1, actual: 3 }]);
    log.append(at("second", 3)).await.unwrap();
    let racers = (0..8).map(|index| {
        let log = if index % 2 == 0 { &log } else { &beside };
        log.append(at(&format!("racer-{index}"), 4))
    });
    let won = join_all(racers).await.into_iter().filter(Result::is_ok).count();
    assert_eq!(won, 1, "the first of them is what the others did not know");
}

/// Appends one remark after another to a stream of its own until it is told to stop, and counts them.
async fn chatter(log: Log, name: &'static str, said: Arc<AtomicU64>, stop: Arc<AtomicBool>) {
    while !stop.load(Ordering::Relaxed) {
        log.append(remarks(&journal(name), said.load(Ordering::Relaxed), 1)).await.unwrap();
        said.fetch_add(1, Ordering::Relaxed);
    }
}

async fn d5_whoever_has_the_turn_decides_on_an_end_that_nobody_moves(place: Place) {
    let log = place.open().await;
    let stop = Arc::new(AtomicBool::new(false));
    let all = ["a", "b", "c", "d", "e", "f", "g", "h"].map(|name| (name, Arc::new(AtomicU64::new(0))));
    let chatters =
        all.each_ref().map(|(name, said)| tokio::spawn(chatter(log.clone(), name, said.clone(), stop.clone())));
    let least = || all.iter().map(|(_, said)| said.load(Ordering::Relaxed)).min().unwrap();
    let (begun, mut turns) = (Instant::now(), 0);
    while turns < 20 || (least() < 10 && begun.elapsed() < SOON) {
        let asked = Instant::now();
        let alone = log.alone().await.unwrap();
        let position = log.head().await.unwrap().position;
        tokio::time::sleep(Duration::from_millis(5)).await;
        let decision = Decision::write(journal("turns"), turns, [remark("x")]).given(Condition::LogAt { position });
        match alone.append(request(decision)).await {
            Ok(appended) => {
                assert_eq!(appended.position, position + 1);
                turns += 1;
            }
            Err(error) => assert!(asked.elapsed() >= TURN_MAX, "after {:?}: {error}", asked.elapsed()),
        }
    }
    stop.store(true, Ordering::Relaxed);
    join_all(chatters).await.into_iter().for_each(Result::unwrap);
    assert!(least() >= 10, "the others go on between two turns: {all:?}");
}

async fn d5_a_turn_that_is_given_up_or_takes_too_long_holds_up_nobody(place: Place) {
    let log = place.open().await;
    drop(log.alone().await.unwrap());
    log.append(remarks(&journal("a"), 0, 1)).await.unwrap();
    let alone = log.alone().await.unwrap();
    log.append(remarks(&journal("a"), 1, 1)).await.unwrap();
    let late = Decision::write(journal("b"), 0, [remark("x")]).given(Condition::LogAt { position: 1 });
    assert_eq!(conflicts(alone.append(request(late)).await), [Conflict::Log { expected: 1, actual: 2 }]);
}
