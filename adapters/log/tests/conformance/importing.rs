//! A history from elsewhere becomes that of an empty log, as a whole or not at all.

use std::time::Duration;

use knit_domain::event::{Entity, Event, Recorded};
use knit_domain::id::AgentMode;
use knit_domain::reservation::Scope;
use knit_domain::time::Timestamp;
use knit_log::{ImportError, Log, Options, ReadError, chain};
use knit_schemas::export;
use tokio::time::timeout;
use uuid::Uuid;

use crate::fixture::{Place, SOON, agent, closed, data, fill, journal, opened, remarks, request, whole};
use crate::on_both_databases;

on_both_databases!(
    an_imported_history_is_the_one_that_was_exported,
    who_follows_hears_of_an_import_and_what_is_appended_goes_on_behind_it,
    a_log_that_is_not_empty_is_left_as_it_is,
    what_is_not_committed_has_never_been,
    nothing_is_seen_before_all_is_there,
    a_history_that_contradicts_itself_is_refused,
    a_history_with_a_hole_in_a_stream_is_refused,
    an_event_of_an_older_version_is_imported_as_it_is_stored,
    an_event_of_a_newer_program_is_refused_by_its_name,
);

/// Events of one page.
const PAGE: usize = 7;

async fn exported(log: &Log) -> Vec<export::Event> {
    log.read_unchecked(0, 10_000).await.unwrap().into_iter().map(export::Event::from).collect()
}

pub(crate) async fn import(log: &Log, events: &[export::Event]) -> Result<u64, ImportError> {
    import_together(log, events, usize::MAX).await
}

/// At most so many rows of what is kept beside the events are written at once.
async fn import_together(log: &Log, events: &[export::Event], rows: usize) -> Result<u64, ImportError> {
    let mut import = log.import().await?.together(rows);
    for page in events.chunks(PAGE) {
        let page = log.import_page(page.to_vec())?.expect("there are events");
        import.write(&page).await?;
    }
    import.commit().await
}

/// Events as an export has them, made by hand.
pub(crate) fn by_hand(parts: &[(&str, &str, &str, &str, &str)]) -> Vec<export::Event> {
    let (mut before, mut events) = (chain::GENESIS, Vec::new());
    for (position, (stream_type, stream_id, event_type, version, payload)) in (1..).zip(parts) {
        let earlier = parts[..events.len()].iter().filter(|other| (other.0, other.1) == (*stream_type, *stream_id));
        let mut event = export::Event {
            position,
            event_id: Uuid::from_u128(position.into()),
            stream_type: (*stream_type).to_owned(),
            stream_id: (*stream_id).to_owned(),
            sequence: earlier.count() as u64 + 1,
            event_type: (*event_type).to_owned(),
            event_version: (*version).to_owned(),
            payload: (*payload).to_owned(),
            metadata: r#"{"actor":"somebody"}"#.to_owned(),
            recorded_at_ms: 1_700_000_000_000,
            salt: vec![7; 16],
            leaf: chain::GENESIS,
            chain: chain::GENESIS,
        };
        event.leaf = event.leaf_of_content();
        event.chain = chain::link(&before, position, Timestamp(event.recorded_at_ms), &event.leaf);
        before = event.chain;
        events.push(event);
    }
    events
}

/// A log with remarks, and with a Data that is read by one and was read by another.
async fn with_a_history(log: &Log) -> Scope {
    fill(log, 20).await;
    let data = data();
    for is_over in [true, false] {
        let reader = agent(data, AgentMode::Read);
        log.append(request(opened(data, AgentMode::Read, &reader))).await.unwrap();
        if is_over {
            log.append(request(closed(data, AgentMode::Read, &reader))).await.unwrap();
        }
    }
    Scope::DataUse(data)
}

async fn an_imported_history_is_the_one_that_was_exported(place: Place) {
    for (source, together) in [(Place::sqlite(), 1), (Place::postgres(), 9), (Place::sqlite(), usize::MAX)] {
        let (from, to) = (source.open().await, place.open().await);
        let scope = with_a_history(&from).await;
        let events = exported(&from).await;
        assert_eq!(import_together(&to, &events, together).await.unwrap(), events.len() as u64);
        assert_eq!(exported(&to).await, events);
        assert_eq!(whole(&to).await, whole(&from).await);
        let (head, of_source) = (to.head().await.unwrap(), from.head().await.unwrap());
        assert_eq!((head.position, head.chain), (of_source.position, of_source.chain));
        assert_eq!(head.recorded_at, of_source.recorded_at);
        assert_ne!(head.log, of_source.log, "what its database drew is no part of the history");
        let holders = to.holders(&scope).await.unwrap();
        assert_eq!((holders.len(), &holders), (1, &from.holders(&scope).await.unwrap()));
        let Scope::DataUse(id) = scope else { unreachable!("it was made so") };
        let said = to.positions_of(Entity::Data(id), 0, 100).await.unwrap();
        assert_eq!((said.len(), &said), (3, &from.positions_of(Entity::Data(id), 0, 100).await.unwrap()));
        to.close().await;
        clear(&place).await;
    }
}

async fn clear(place: &Place) {
    match place {
        Place::Postgres(database) => drop(database.run("DROP SCHEMA public CASCADE; CREATE SCHEMA public;")),
        Place::Sqlite(_) => std::fs::remove_file(place.file()).unwrap(),
    }
}

async fn who_follows_hears_of_an_import_and_what_is_appended_goes_on_behind_it(place: Place) {
    let future = Timestamp(4_000_000_000_000);
    let options = Options { clock: std::sync::Arc::new(move || future), ..Options::default() };
    let source = Place::sqlite();
    let from = source.open_with(options).await;
    fill(&from, 5).await;
    let to = place.open().await;
    let beside = place.open_beside(&to).await;
    let (mut here, mut there) = (to.subscribe(), beside.subscribe());
    import(&to, &exported(&from).await).await.unwrap();
    for newest in [&mut here, &mut there] {
        timeout(SOON, newest.wait_for(|position| *position == 5)).await.expect("a follower wakes").unwrap();
    }
    let appended = beside.append(remarks(&journal("fill-0"), 1, 1)).await.unwrap();
    assert_eq!((appended.position, appended.recorded_at), (6, future), "stamps do not go back");
    assert_eq!(whole(&to).await.len(), 6);
}

async fn a_log_that_is_not_empty_is_left_as_it_is(place: Place) {
    let log = place.open().await;
    fill(&log, 3).await;
    let before = exported(&log).await;
    let refused = import(&log, &before).await.unwrap_err();
    assert!(matches!(refused, ImportError::NotEmpty { position: 3 }), "{refused}");
    assert_eq!(exported(&log).await, before);
    log.append(remarks(&journal("a"), 0, 1)).await.unwrap();
}

async fn what_is_not_committed_has_never_been(place: Place) {
    let source = Place::sqlite();
    let from = source.open().await;
    let scope = with_a_history(&from).await;
    let events = exported(&from).await;
    let log = place.open().await;
    for is_dropped in [true, false] {
        let mut import = log.import().await.unwrap();
        for page in events.chunks(PAGE) {
            import.write(&log.import_page(page.to_vec()).unwrap().unwrap()).await.unwrap();
        }
        assert_eq!(import.reached().0, events.len() as u64);
        if is_dropped {
            drop(import);
        } else {
            import.cancel().await;
        }
        let head = timeout(SOON, log.head()).await.unwrap().unwrap();
        assert_eq!((head.position, head.chain), (0, chain::GENESIS));
        assert_eq!(exported(&log).await, []);
        assert_eq!(log.holders(&scope).await.unwrap(), []);
    }
    assert_eq!(import(&log, &events).await.unwrap(), events.len() as u64, "it can be imported after all");
}

async fn nothing_is_seen_before_all_is_there(place: Place) {
    let source = Place::sqlite();
    let from = source.open().await;
    fill(&from, 20).await;
    let events = exported(&from).await;
    let log = place.open().await;
    let mut import = log.import().await.unwrap();
    import.write(&log.import_page(events[..10].to_vec()).unwrap().unwrap()).await.unwrap();
    assert_eq!((log.head().await.unwrap().position, exported(&log).await), (0, vec![]));
    assert!(matches!(log.import().await.unwrap_err(), ImportError::Occupied), "one after the other");
    import.write(&log.import_page(events[10..].to_vec()).unwrap().unwrap()).await.unwrap();
    assert_eq!((log.position(), exported(&log).await), (0, vec![]));
    assert_eq!(import.commit().await.unwrap(), 20);
    assert_eq!(exported(&log).await, events);
}

async fn a_history_with_a_hole_in_a_stream_is_refused(place: Place) {
    let source = Place::sqlite();
    let from = source.open().await;
    fill(&from, 10).await;
    from.append(remarks(&journal("long"), 0, 3)).await.unwrap();
    let events = exported(&from).await;
    let log = place.open().await;
    // A stream that begins at 7, and one that goes on behind a hole.
    for (position, sequence) in [(5, 7), (13, 4)] {
        let mut holed = events.clone();
        holed[position - 1].sequence = sequence;
        let refused = import(&log, &holed).await.unwrap_err();
        let is_named = matches!(refused, ImportError::MissingInStream { position: at } if at == position as u64);
        assert!(is_named, "{refused}");
        assert_eq!(exported(&log).await, []);
    }
    assert_eq!(import(&log, &events).await.unwrap(), 13);
}

async fn a_history_that_contradicts_itself_is_refused(place: Place) {
    let source = Place::sqlite();
    let from = source.open().await;
    fill(&from, 20).await;
    let mut events = exported(&from).await;
    let log = place.open().await;
    events[15].event_id = events[2].event_id;
    let refused = import(&log, &events).await.unwrap_err();
    assert!(matches!(refused, ImportError::Contradiction { first: 15, last: 20, .. }), "{refused}");
    let refused = import(&log, &events[1..]).await.unwrap_err();
    assert!(matches!(refused, ImportError::OutOfOrder { expected: 1, found: 2 }), "{refused}");
    let (data, reader) = (data(), agent(data(), AgentMode::Read));
    let opened =
        format!(r#"{{"AgentOpened":{{"name":"{}","knit_id":"{data}","mode":"read","server":"s"}}}}"#, reader.0);
    let twice = by_hand(&[("agent", "a", "AgentOpened", "1", &opened), ("agent", "b", "AgentOpened", "1", &opened)]);
    let refused = import(&log, &twice).await.unwrap_err();
    assert!(matches!(refused, ImportError::TakenTwice { position: 2, .. }), "{refused}");
    for together in [1, usize::MAX] {
        let mut import = log.import().await.unwrap().together(together);
        import.write(&log.import_page(twice[..1].to_vec()).unwrap().unwrap()).await.unwrap();
        let refused = import.write(&log.import_page(twice[1..].to_vec()).unwrap().unwrap()).await.unwrap_err();
        import.cancel().await;
        let is_by_hand = matches!(refused, ImportError::TakenTwice { position: 2, .. });
        let is_by_database = matches!(refused, ImportError::Contradiction { first: 2, last: 2, .. });
        assert_eq!((is_by_database, is_by_hand), (together == 1, together > 1), "{refused}");
    }
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(exported(&log).await, []);
}

const RUN: &str = "7a0f5a52-6c1e-4d0e-9a53-0d1f6f6b7c11";
const OLD_FAILURE: &str = include_str!("../../../../schemas/events/RunFailureDecided.v1.json");

async fn an_event_of_an_older_version_is_imported_as_it_is_stored(place: Place) {
    let log = place.open().await;
    let payload = OLD_FAILURE.trim_end();
    let events = by_hand(&[("run", RUN, "RunFailureDecided", "1", payload)]);
    import(&log, &events).await.unwrap();
    assert_eq!(exported(&log).await, events, "text for text");
    let read: Vec<Recorded> = whole(&log).await;
    assert!(matches!(&read[0].event, Event::Run(event) if event.version() == 2), "{read:?}");
    let run = Entity::Run(RUN.parse().unwrap());
    assert_eq!(log.positions_of(run, 0, 10).await.unwrap(), [1]);
}

async fn an_event_of_a_newer_program_is_refused_by_its_name(place: Place) {
    let log = place.open().await;
    let events = by_hand(&[
        ("run", RUN, "RunFailureDecided", "1", OLD_FAILURE.trim_end()),
        ("run", RUN, "RunFailureDecided", "9", r#"{"RunFailureDecided":{"new":true}}"#),
    ]);
    let refused = import(&log, &events).await.unwrap_err();
    let ImportError::Unreadable(ReadError::Undecodable { position: 2, source }) = &refused else {
        panic!("another refusal: {refused}");
    };
    assert!(source.to_string().contains("`RunFailureDecided` of version `9`"), "{source}");
    assert_eq!(exported(&log).await, []);
}
