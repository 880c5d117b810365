//! What is remembered is what was appended, or it is not remembered.

use knit_domain::event::journal::JournalEvent;
use knit_domain::event::{Metadata, StreamType};
use knit_domain::id::EventId;
use knit_domain::time::Timestamp;
use uuid::Uuid;

use super::*;

fn stream(name: &str) -> StreamId {
    StreamId { kind: StreamType::Journal, id: name.to_owned() }
}

fn event(position: Position, name: &str, sequence: u64) -> Recorded {
    let event =
        JournalEvent::EventSkipped { projection: "lineage".to_owned(), position: 1, reason: "a test".to_owned() };
    Recorded {
        position,
        event_id: EventId(Uuid::from_u128(position.into())),
        stream: stream(name),
        sequence,
        recorded_at: Timestamp(1_000),
        event: event.into(),
        metadata: Metadata::default(),
        leaf: [0; 32],
        chain: [0; 32],
    }
}

impl Recent {
    fn took(&self, events: impl IntoIterator<Item = Recorded>) {
        self.appended(events.into_iter().map(|event| (event, 100)));
    }
}

fn sequences(recent: &Recent, name: &str) -> Option<Vec<u64>> {
    recent.stream(&stream(name)).map(|events| events.iter().map(|event| event.sequence).collect())
}

fn positions(recent: &Recent, after: Position) -> Option<Vec<Position>> {
    recent.after(after, 100).map(|events| events.iter().map(|event| event.position).collect())
}

#[test]
fn a_stream_is_remembered_from_its_first_event() {
    let recent = Recent::default();
    recent.took([event(1, "a", 1), event(2, "b", 1), event(3, "a", 2)]);
    assert_eq!(sequences(&recent, "a"), Some(vec![1, 2]));
    assert_eq!(sequences(&recent, "c"), None);
}

#[test]
fn a_stream_of_which_the_beginning_is_unknown_is_not_remembered() {
    let recent = Recent::default();
    recent.took([event(7, "a", 3)]);
    assert_eq!(sequences(&recent, "a"), None);
    recent.loaded(0, &stream("a"), &[event(5, "a", 1), event(6, "a", 2), event(7, "a", 3)], 100);
    recent.took([event(8, "a", 4)]);
    assert_eq!(sequences(&recent, "a"), Some(vec![1, 2, 3, 4]));
}

#[test]
fn what_another_process_appended_makes_a_stream_forgotten() {
    let recent = Recent::default();
    recent.took([event(1, "a", 1)]);
    recent.heed(&[event(1, "a", 1)]);
    assert_eq!(sequences(&recent, "a"), Some(vec![1]), "it is known already");
    recent.heed(&[event(2, "a", 2)]);
    assert_eq!(sequences(&recent, "a"), None);
}

#[test]
fn what_was_read_before_an_append_does_not_replace_what_came_after() {
    let recent = Recent::default();
    recent.took([event(1, "a", 1), event(2, "a", 2)]);
    recent.loaded(0, &stream("a"), &[event(1, "a", 1)], 100);
    assert_eq!(sequences(&recent, "a"), Some(vec![1, 2]));
}

#[test]
fn long_streams_and_streams_of_long_ago_are_forgotten() {
    let recent = Recent::default();
    recent.took((1..=65).map(|number| event(number, "long", number)));
    assert_eq!(sequences(&recent, "long"), None);
    recent.took((0..3 * STREAM_EVENTS_MAX as u64).map(|number| event(100 + number, &number.to_string(), 1)));
    assert_eq!(sequences(&recent, "0"), None);
    assert_eq!(sequences(&recent, &(3 * STREAM_EVENTS_MAX - 1).to_string()), Some(vec![1]));
    let inner = recent.lock();
    assert!(inner.young.events + inner.old.events <= 2 * STREAM_EVENTS_MAX);
    assert!(inner.newest.len() <= NEWEST_EVENTS_MAX);
}

#[test]
fn what_is_asked_for_again_and_again_stays() {
    let recent = Recent::default();
    recent.took([event(1, "often", 1)]);
    for number in 0..3 * STREAM_EVENTS_MAX as u64 {
        recent.took([event(2 + number, &number.to_string(), 1)]);
        assert_eq!(sequences(&recent, "often"), Some(vec![1]));
    }
}

#[test]
fn the_newest_events_have_no_gap() {
    let recent = Recent::default();
    assert_eq!(positions(&recent, 0), None);
    recent.took([event(4, "a", 1), event(5, "a", 2)]);
    assert_eq!(positions(&recent, 2), None, "the next one is not kept");
    assert_eq!(positions(&recent, 3), Some(vec![4, 5]));
    assert_eq!(positions(&recent, 4), Some(vec![5]));
    assert_eq!(positions(&recent, 5), None);
    assert_eq!(positions(&recent, 9), None);
    recent.took([event(8, "b", 1)]);
    assert_eq!(positions(&recent, 3), None, "another process came in between");
    assert_eq!(positions(&recent, 7), Some(vec![8]));
}

#[test]
fn large_events_are_not_kept_nor_anything_that_would_have_a_gap_without_them() {
    let recent = Recent::default();
    recent.took([event(1, "a", 1), event(2, "b", 1)]);
    recent.appended([(event(3, "a", 2), EVENT_BYTES_MAX + 1)]);
    assert_eq!(sequences(&recent, "a"), None);
    assert_eq!(sequences(&recent, "b"), Some(vec![1]));
    assert_eq!(positions(&recent, 0), None);
    recent.loaded(0, &stream("a"), &[event(1, "a", 1), event(3, "a", 2)], EVENT_BYTES_MAX + 1);
    assert_eq!(sequences(&recent, "a"), None);
}

fn made(recent: &Recent, name: &str, version: u64) {
    let made = Made { version, of: Arc::new(format!("up to {version}")) };
    recent.made(recent.forgotten(), &stream(name), made, Arc::new(event(version, name, version)));
}

/// What was made of a stream, and the events behind that.
fn since(recent: &Recent, name: &str) -> Option<(String, Vec<u64>)> {
    let known = recent.remembered(&stream(name))?;
    let of = known.made.as_ref()?.of.downcast_ref::<String>()?.clone();
    Some((of, known.rest().map(|event| event.sequence).collect()))
}

#[test]
fn of_a_long_stream_is_remembered_what_was_made_of_it_and_what_came_after() {
    let recent = Recent::default();
    recent.took((1..=60).map(|number| event(number, "long", number)));
    made(&recent, "long", 60);
    recent.took((61..=100).map(|number| event(number, "long", number)));
    assert_eq!(since(&recent, "long"), Some(("up to 60".to_owned(), (61..=100).collect())));
    made(&recent, "long", 100);
    assert_eq!(since(&recent, "long"), Some(("up to 100".to_owned(), vec![])));
    assert_eq!(sequences(&recent, "long"), None, "its events are not kept");
    let newest = recent.remembered(&stream("long")).unwrap();
    assert_eq!(newest.event(100).map(|event| event.sequence), Some(100), "what comes next follows from the last one");
    recent.took([event(101, "long", 101)]);
    assert_eq!(since(&recent, "long"), Some(("up to 100".to_owned(), vec![101])));
}

#[test]
fn what_was_made_of_a_stream_earlier_or_is_behind_another_process_is_not_trusted() {
    let recent = Recent::default();
    made(&recent, "read", 70);
    assert_eq!(since(&recent, "read"), Some(("up to 70".to_owned(), vec![])));
    made(&recent, "read", 65);
    assert_eq!(since(&recent, "read"), Some(("up to 70".to_owned(), vec![])), "somebody was slower");
    recent.heed(&[event(70, "read", 70)]);
    assert!(since(&recent, "read").is_some(), "it is known already");
    recent.heed(&[event(71, "read", 71)]);
    assert_eq!(since(&recent, "read"), None, "another process has appended");
    made(&recent, "read", 70);
    recent.took([event(73, "read", 72)]);
    assert_eq!(since(&recent, "read"), None, "the one in between is not known");
}

#[test]
fn what_was_made_of_long_streams_is_bounded_like_events() {
    let recent = Recent::default();
    for number in 0..100 {
        made(&recent, &number.to_string(), 1_000_000);
        let inner = recent.lock();
        assert!(inner.young.events + inner.old.events <= 2 * STREAM_EVENTS_MAX);
        assert!(inner.young.streams.len() + inner.old.streams.len() <= 2 * STREAM_EVENTS_MAX / MADE_COUNTS_MAX);
    }
    assert!(since(&recent, "99").is_some() && since(&recent, "0").is_none());
}

#[test]
fn what_was_read_before_all_was_forgotten_is_not_remembered() {
    let recent = Recent::default();
    let before = recent.forgotten();
    recent.forget();
    recent.loaded(before, &stream("a"), &[event(1, "a", 1)], 100);
    assert_eq!(sequences(&recent, "a"), None);
    let of_before = Made { version: 1, of: Arc::new("what was redacted".to_owned()) };
    recent.made(before, &stream("a"), of_before, Arc::new(event(1, "a", 1)));
    assert_eq!(since(&recent, "a"), None);
    recent.loaded(recent.forgotten(), &stream("a"), &[event(1, "a", 1)], 100);
    assert_eq!(sequences(&recent, "a"), Some(vec![1]));
}
