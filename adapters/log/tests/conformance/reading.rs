//! Reading in order, by stream and by entity, and seeing when the log was changed by hand (D2, D15).

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use knit_domain::event::{Entity, UndecodableEvent};
use knit_domain::id::AgentMode::Read;
use knit_domain::id::{EventId, KnitId};
use knit_domain::time::Timestamp;
use knit_log::{Options, ReadError, chain};
use uuid::Uuid;

use crate::fixture::{Place, agent, by, data, fill, journal, opened, reasons, remark, remarks, request, whole};
use crate::on_both_databases;

on_both_databases!(
    d2_pages_follow_each_other_without_gap_or_overlap,
    d2_what_is_of_another_type_is_passed_over_and_not_decoded,
    d2_what_is_before_a_missing_event_is_read_and_then_it_is_an_error,
    d2_missing_newest_events_are_an_error_and_not_the_end,
    d8_an_event_of_an_unknown_version_stops_the_reader_at_its_position,
    d15_what_was_changed_is_not_taken_for_what_a_newer_program_has_written,
    d14_the_stored_text_is_the_text_that_was_hashed,
    d15_a_changed_stamp_breaks_the_chain,
    d15_a_changed_payload_shows_in_its_leaf,
    d15_a_damaged_log_is_read_as_it_is_by_whoever_wants_to_see_the_damage,
    d15_the_chain_is_known_at_every_position,
    an_event_is_found_by_its_position_and_by_its_id,
    a_stream_is_loaded_with_everything_that_was_given,
    a_hole_in_a_stream_is_an_error,
    the_index_finds_every_event_about_an_entity,
    d7_a_time_has_the_last_position_that_was_recorded_by_then,
);

async fn d2_pages_follow_each_other_without_gap_or_overlap(place: Place) {
    let log = place.open().await;
    fill(&log, 7).await;
    let positions = async |after, limit| {
        let page = log.read(after, limit).await.unwrap();
        page.iter().map(|event| event.position).collect::<Vec<_>>()
    };
    assert_eq!(positions(0, 3).await, [1, 2, 3]);
    assert_eq!(positions(3, 3).await, [4, 5, 6]);
    assert_eq!(positions(6, 3).await, [7]);
    assert!(positions(7, 3).await.is_empty());
    assert!(positions(0, 0).await.is_empty());
}

async fn d2_what_is_of_another_type_is_passed_over_and_not_decoded(place: Place) {
    let log = place.open().await;
    fill(&log, 4).await;
    let all = whole(&log).await;
    let (own, other) = ([all[0].event.type_name().to_owned()], ["Other".to_owned()]);
    assert_eq!(log.read_of_types(0, 10, &own).await.unwrap(), all.into_iter().map(Some).collect::<Vec<_>>());
    place.tamper("UPDATE events SET event_version = '99' WHERE position = 3").await;
    assert_eq!(log.read_of_types(1, 10, &other).await.unwrap(), vec![None; 3]);
    place.tamper("DELETE FROM events WHERE position = 2").await;
    let error = log.read_of_types(1, 10, &other).await.unwrap_err();
    assert!(
        matches!(error, ReadError::Missing { position: 2 }),
        "what is passed over still continues the log: {error}"
    );
}

async fn d2_what_is_before_a_missing_event_is_read_and_then_it_is_an_error(place: Place) {
    let log = place.open().await;
    fill(&log, 5).await;
    place.tamper("DELETE FROM events WHERE position = 3").await;

    assert_eq!(log.read(0, 10).await.unwrap().len(), 2);
    let error = log.read(2, 10).await.unwrap_err();
    assert!(matches!(error, ReadError::Missing { position: 3 }), "{error}");
    let error = log.read(3, 10).await.unwrap_err();
    assert!(matches!(error, ReadError::Missing { position: 3 }), "{error}");
}

async fn d2_missing_newest_events_are_an_error_and_not_the_end(place: Place) {
    let log = place.open().await;
    fill(&log, 5).await;
    place.tamper("DELETE FROM events WHERE position > 3").await;

    assert_eq!(log.read(0, 10).await.unwrap().len(), 3);
    let error = log.read(3, 10).await.unwrap_err();
    assert!(matches!(error, ReadError::Missing { position: 4 }), "{error}");
}

async fn d8_an_event_of_an_unknown_version_stops_the_reader_at_its_position(place: Place) {
    let log = place.open().await;
    fill(&log, 3).await;
    place.let_the_last_be_of_a_newer_program(&log).await;

    assert_eq!(log.read(0, 10).await.unwrap().len(), 2);
    let error = log.read(2, 10).await.unwrap_err();
    let unknown = |source: &UndecodableEvent| matches!(source, UndecodableEvent::UnknownVersion { .. });
    assert!(matches!(&error, ReadError::Undecodable { position: 3, source } if unknown(source)), "{error}");
    // The text is still there for whoever does not need to understand it.
    assert_eq!(log.read_stored(0, 10).await.unwrap().len(), 3);
}

async fn d15_what_was_changed_is_not_taken_for_what_a_newer_program_has_written(place: Place) {
    let log = place.open().await;
    fill(&log, 4).await;
    for change in ["event_version = '9'", "event_type = 'EventSkippee'", "aggregate_type = 'plam'", "payload = '7'"] {
        place.tamper(&format!("UPDATE events SET {change} WHERE position = 3")).await;
        let error = log.read(2, 10).await.unwrap_err();
        assert!(matches!(error, ReadError::Changed { position: 3 }), "{change}: {error}");
        assert!(error.is_damage(), "{change}");
    }
}

async fn d14_the_stored_text_is_the_text_that_was_hashed(place: Place) {
    let log = place.open().await;
    let texts = ["plain", "\"quoted\\\"", "line\nbreak\u{0}\u{7f}", "日本語 🐕", "</script>", "1e400", ""];
    for (text, index) in texts.into_iter().zip(0..) {
        let decision = knit_domain::decision::Decision::write(journal("a"), index, [remark(text)]);
        log.append(knit_log::Request::new(decision, by("zoë \"\u{1}\""))).await.unwrap();
    }
    let stored = log.read_stored(0, 100).await.unwrap();
    assert!(stored.iter().all(|event| event.leaf == event.leaf_of_content()));
    assert_eq!(stored.len(), texts.len());
    assert_eq!(reasons(&whole(&log).await), texts);
}

async fn d15_a_changed_stamp_breaks_the_chain(place: Place) {
    let log = place.open().await;
    fill(&log, 3).await;
    place.tamper("UPDATE events SET recorded_at = recorded_at + 1 WHERE position = 2").await;
    let error = log.read(1, 10).await.unwrap_err();
    assert!(matches!(error, ReadError::BrokenChain { position: 2 }), "{error}");
}

async fn d15_a_changed_payload_shows_in_its_leaf(place: Place) {
    let log = place.open().await;
    fill(&log, 3).await;
    let forged = r#"{"EventSkipped":{"projection":"lineage","position":1,"reason":"forged"}}"#;
    place.tamper(&format!("UPDATE events SET payload = '{forged}' WHERE position = 2")).await;
    let honest: Vec<bool> =
        log.read_stored(0, 10).await.unwrap().iter().map(|event| event.leaf == event.leaf_of_content()).collect();
    assert_eq!(honest, [true, false, true]);
}

async fn d15_a_damaged_log_is_read_as_it_is_by_whoever_wants_to_see_the_damage(place: Place) {
    let log = place.open().await;
    fill(&log, 6).await;
    let untouched = log.read_stored(0, 10).await.unwrap();
    assert_eq!(log.read_unchecked(0, 10).await.unwrap(), untouched);
    assert_eq!(log.read_unchecked(2, 2).await.unwrap(), untouched[2..4]);
    assert!(log.read_unchecked(6, 10).await.unwrap().is_empty());

    place.tamper("UPDATE events SET recorded_at = 5 WHERE position = 2").await;
    place.tamper("UPDATE events SET event_version = '99' WHERE position = 3").await;
    place.tamper("DELETE FROM events WHERE position IN (4, 6)").await;
    let damaged = log.read_unchecked(0, 10).await.unwrap();
    let seen: Vec<_> = damaged.iter().map(|event| (event.position, event.event_version.as_str())).collect();
    assert_eq!(seen, [(1, "1"), (2, "1"), (3, "99"), (5, "1")]);
    assert_eq!(damaged[1].recorded_at, Timestamp(5));
}

async fn an_event_is_found_by_its_position_and_by_its_id(place: Place) {
    let log = place.open().await;
    fill(&log, 3).await;
    // Once from what the process remembers of its own appends, and once from the database.
    for forgets in [false, true] {
        for event in log.read(0, 10).await.unwrap() {
            if forgets {
                log.forget();
            }
            let found = [log.event_at(event.position).await.unwrap(), log.event_by_id(event.event_id).await.unwrap()];
            assert_eq!(found.map(|found| found.map(|found| (*found).clone())), [Some(event.clone()), Some(event)]);
        }
    }
    for position in [0, 4] {
        assert_eq!(log.event_at(position).await.unwrap(), None);
    }
    assert_eq!(log.event_by_id(EventId(Uuid::nil())).await.unwrap(), None);
}

async fn d15_the_chain_is_known_at_every_position(place: Place) {
    let log = place.open().await;
    assert_eq!(log.chain_at(0).await.unwrap(), Some(chain::GENESIS));
    fill(&log, 3).await;
    for event in whole(&log).await {
        assert_eq!(log.chain_at(event.position).await.unwrap(), Some(event.chain));
    }
    assert_eq!(log.chain_at(4).await.unwrap(), None);
    assert_eq!(Some(log.head().await.unwrap().chain), log.chain_at(3).await.unwrap());
}

async fn a_stream_is_loaded_with_everything_that_was_given(place: Place) {
    let log = place.open().await;
    fill(&log, 2).await;
    let mut wanted = remarks(&journal("a"), 0, 2);
    wanted.metadata = by("reactor:finishing");
    wanted.metadata.correlation = Some(wanted.event_ids[0]);
    wanted.metadata.causation = Some(wanted.event_ids[1]);
    let appended = log.append(wanted.clone()).await.unwrap();
    log.append(remarks(&journal("a"), 2, 1)).await.unwrap();

    let loaded = log.load(&journal("a")).await.unwrap();

    assert_eq!(loaded.iter().map(|event| event.sequence).collect::<Vec<_>>(), [1, 2, 3]);
    for (event, given) in loaded.iter().zip(wanted.decision.events()) {
        let index = usize::try_from(event.sequence).unwrap() - 1;
        assert_eq!((&event.event, &event.metadata), (given, &wanted.metadata));
        assert_eq!((event.event_id, event.position), (wanted.event_ids[index], appended.positions[index]));
        assert_eq!((&event.stream, event.recorded_at), (&journal("a"), appended.recorded_at));
    }
    assert!(log.load(&journal("nobody")).await.unwrap().is_empty());
}

async fn a_hole_in_a_stream_is_an_error(place: Place) {
    let log = place.open().await;
    log.append(remarks(&journal("a"), 0, 3)).await.unwrap();
    place.tamper("DELETE FROM events WHERE sequence = 2").await;
    let error = log.load(&journal("a")).await.unwrap_err();
    assert!(matches!(error, ReadError::MissingInStream { sequence: 2, .. }), "{error}");
}

async fn the_index_finds_every_event_about_an_entity(place: Place) {
    let log = place.open().await;
    let (one, other) = (data(), data());
    for data in [one, other, one, one] {
        log.append(request(opened(data, Read, &agent(data, Read)))).await.unwrap();
    }
    assert_eq!(log.positions_of(Entity::Data(one), 0, 10).await.unwrap(), [1, 3, 4]);
    assert_eq!(log.positions_of(Entity::Data(one), 1, 1).await.unwrap(), [3]);
    assert_eq!(log.positions_of(Entity::Data(other), 0, 10).await.unwrap(), [2]);
    assert!(log.positions_of(Entity::Data(KnitId(Uuid::nil())), 0, 10).await.unwrap().is_empty());
}

async fn d7_a_time_has_the_last_position_that_was_recorded_by_then(place: Place) {
    // The clock stands, leaps, and jumps back, which the stamps do not.
    let clock: VecDeque<i64> = [100, 100, 200, 50, 50, 900].into();
    let clock = Mutex::new(clock);
    let next = move || Timestamp(clock.lock().unwrap().pop_front().unwrap_or(1_000));
    let log = place.open_with(Options { clock: Arc::new(next), ..Options::default() }).await;
    let empty = log.position_at(Timestamp(500)).await.unwrap();
    fill(&log, 7).await;

    let stamps: Vec<i64> = whole(&log).await.iter().map(|event| event.recorded_at.0).collect();
    for time in [i64::MIN, 0, 99, 100, 101, 199, 200, 201, 899, 900, 901, 999, 1_000, 1_001, i64::MAX] {
        let expected = stamps.iter().filter(|stamp| **stamp <= time).count() as u64;
        assert_eq!(log.position_at(Timestamp(time)).await.unwrap(), expected, "{time}");
    }
    assert_eq!(empty, 0);
    let (times, expected) = ([900, 99, 100, 900].map(Timestamp), [6, 0, 2, 6]);
    assert_eq!(
        log.positions_at(&times).await.unwrap(),
        expected,
        "several at once, in the order in which they are asked"
    );
    assert!(log.positions_at(&[]).await.unwrap().is_empty());

    place.tamper("DELETE FROM events WHERE position = 4").await;
    let error = log.position_at(Timestamp(100)).await.unwrap_err();
    assert!(matches!(error, ReadError::Missing { position: 4, .. }), "{error}");
}
