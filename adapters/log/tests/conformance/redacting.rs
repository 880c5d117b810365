//! Redactions (D15): content is taken out of events in one transaction with the events that say so. What remains is
//! read in its place, and whoever verifies finds everything in order.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use knit_domain::decision::Decision;
use knit_domain::event::data::DataEvent;
use knit_domain::event::journal::JournalEvent;
use knit_domain::event::{Event, Position, StreamId};
use knit_domain::redaction::{Content, Search};
use knit_domain::tag::Tag;
use knit_log::{AppendError, Appended, Fault, ImportError, Log, ReadError, Redaction, Refusal, SnapshotMeta};
use knit_schemas::export::{self, Begin, End, Flaw, Format, Record, Splitter, Verification, Verified, Wrong, check};

use crate::fixture::{Place, data, fill, journal, remarks, request, whole};
use crate::importing::{by_hand, import};
use crate::on_both_databases;

on_both_databases!(
    d15_what_is_redacted_is_nowhere_in_the_log_and_what_remains_is_read_in_its_place,
    d15_a_redacted_history_is_whole_for_whoever_verifies_it,
    d15_what_remains_can_be_redacted_again,
    d15_what_stays_of_a_redacted_event_is_proved_by_its_redaction,
    d15_what_an_older_program_has_redacted_is_not_proved_and_stays_so,
    d15_what_is_not_as_it_was_recorded_is_not_redacted,
    d15_snapshots_that_may_hold_it_go_with_it,
    d15_generations_outlast_the_snapshots_that_go_with_it,
    d15_an_event_with_another_leaf_is_not_emptied_and_nothing_is_appended,
    an_event_that_was_emptied_by_hand_is_not_read,
);

const REASON: &str = "a person asked for it";

fn tag(value: &str) -> Tag {
    Tag::new("owner", value)
}

fn tagged(added: &[&str], removed: &[&str]) -> DataEvent {
    let tags = |values: &[&str]| values.iter().map(|value| tag(value)).collect::<BTreeSet<Tag>>();
    DataEvent::DataTagsChanged { added: tags(added), removed: tags(removed) }
}

/// A Data gets and loses owners, among other things that happen.
async fn with_owners(log: &Log) -> StreamId {
    let stream = StreamId::data(data());
    fill(log, 1).await;
    for (version, event) in (0..).zip([tagged(&["alice", "bob"], &[]), tagged(&[], &["alice"])]) {
        log.append(request(Decision::write(stream.clone(), version, [event]))).await.unwrap();
        fill_behind(log, version).await;
    }
    stream
}

async fn fill_behind(log: &Log, number: u64) {
    log.append(remarks(&journal(&format!("behind-{number}")), 0, 1)).await.unwrap();
}

async fn search(log: &Log, value: &str) -> Search {
    let mut search = Search::new(Content::Tag(tag(value)), REASON).unwrap();
    whole(log).await.iter().for_each(|recorded| search.take(recorded));
    search
}

async fn forget(log: &Log, value: &str) -> Appended {
    let mut search = search(log, value).await;
    log.note_envelopes(&mut search).await.unwrap();
    log.append(request(search.decide().unwrap())).await.unwrap()
}

async fn d15_what_is_redacted_is_nowhere_in_the_log_and_what_remains_is_read_in_its_place(place: Place) {
    let log = place.open().await;
    let stream = with_owners(&log).await;
    let before = whole(&log).await;
    let appended = forget(&log, "alice").await;
    let word = format!("redacted-{}", before.len());
    let expected = [tagged(&["bob", &word], &[]), tagged(&[], &[&word])].map(Event::Data);
    // By the process that redacted, and by one that comes later.
    for log in [&log, &place.open_beside(&log).await] {
        let events: Vec<Event> = log.load(&stream).await.unwrap().into_iter().map(|event| event.event).collect();
        assert_eq!(events, expected);
        let after = whole(log).await;
        assert_eq!(after.len(), before.len() + 2);
        for (old, new) in before.iter().zip(&after) {
            let same =
                (old.event_id, old.sequence, old.leaf, old.chain) == (new.event_id, new.sequence, new.leaf, new.chain);
            assert!(same, "{old:?} {new:?}");
        }
        assert_eq!(log.redacted_up_to().await.unwrap(), appended.position);
        let stored = log.read_unchecked(1, 1).await.unwrap().remove(0);
        let expected = Redaction { position: appended.positions[0], envelope_holds: Some(true) };
        assert_eq!(log.redaction_of(&stored).await.unwrap(), Some(expected));
    }
    let stored = log.read_unchecked(0, 100).await.unwrap();
    assert!(stored.iter().all(|event| !event.payload.contains("alice")), "{stored:#?}");
    let emptied: Vec<_> = stored.iter().filter(|event| event.is_emptied()).map(|event| event.position).collect();
    assert_eq!(emptied, [2, 4]);
}

/// The log as an export, verified, also by the script that anybody could have written, which names the same position.
async fn verified(log: &Log) -> Result<Verified, Flaw> {
    let (mut bytes, head) = (Vec::new(), log.head().await.unwrap());
    let mut write = |record| Format::JsonLines.encode(&record, &mut bytes);
    write(Record::Begin(Begin::of_the_log()));
    for event in log.read_unchecked(0, 100).await.unwrap() {
        write(Record::Event(event.into()));
    }
    write(Record::End(End { position: head.position, chain: head.chain }));
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &bytes).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas/verify_export.py");
    let told = Command::new("python3").arg(script).arg(file.path()).output().unwrap();
    let verdict = verdict(&bytes);
    let expected = verdict.as_ref().map_or_else(|flaw| format!("position {}: ", flaw.position), |_| String::new());
    assert_eq!(told.status.success(), verdict.is_ok(), "{told:?}");
    assert!(String::from_utf8_lossy(&told.stderr).starts_with(&expected), "{told:?}: {expected}");
    verdict
}

fn verdict(bytes: &[u8]) -> Result<Verified, Flaw> {
    let (mut splitter, mut verification, nothing) = (Splitter::default(), Verification::default(), BTreeSet::new());
    splitter.push(bytes).map_or(Ok(()), |batch| verification.take(check(&batch, &nothing)))?;
    verification.take(check(&splitter.finish(), &nothing))?;
    verification.finish()
}

async fn d15_a_redacted_history_is_whole_for_whoever_verifies_it(place: Place) {
    let log = place.open().await;
    let _ = with_owners(&log).await;
    assert_eq!(verified(&log).await.unwrap().redacted, 0);
    forget(&log, "alice").await;
    assert_eq!(verified(&log).await.unwrap().redacted, 2);
}

async fn d15_what_remains_can_be_redacted_again(place: Place) {
    let log = place.open().await;
    let stream = with_owners(&log).await;
    forget(&log, "alice").await;
    let between = whole(&log).await.len();
    let appended = forget(&log, "bob").await;
    assert_eq!(appended.positions.len(), 2, "the event, and the redaction that says what remained of it");
    let first = &log.load(&stream).await.unwrap()[0];
    let words = [format!("redacted-{}", between - 2), format!("redacted-{between}")];
    assert_eq!(first.event, tagged(&words.each_ref().map(String::as_str), &[]).into());
    let stored = log.read_unchecked(0, 100).await.unwrap();
    assert!(stored.iter().all(|event| !event.payload.contains("bob")), "{stored:#?}");
    assert_eq!(whole(&place.open_beside(&log).await).await, whole(&log).await);
    assert_eq!(verified(&log).await.unwrap().redacted, 3);
}

/// Every part that stays of a redacted event, changed.
fn parts_that_stay(place: &Place) -> [&'static str; 7] {
    let other_id = match place {
        Place::Postgres(_) => "event_id = gen_random_uuid()",
        Place::Sqlite(_) => "event_id = randomblob(16)",
    };
    [
        r#"metadata = '{"actor":"mallory"}'"#,
        other_id,
        "aggregate_type = 'plan'",
        "aggregate_id = '7a0f5a52-6c1e-4d0e-9a53-0d1f6f6b7c11'",
        "sequence = 77",
        "event_type = 'DataDiscarded'",
        "event_version = '9'",
    ]
}

/// Whoever verifies, reads or imports names the redacted event of which something was changed.
async fn is_found(log: &Log, position: Position, redacted_at: Position) {
    let stored: Vec<_> = log.read_unchecked(0, 100).await.unwrap();
    let changed = stored.iter().find(|stored| stored.position == position).unwrap();
    let flaw = verified(log).await.unwrap_err();
    assert_eq!(flaw, Flaw { position, wrong: Wrong::Envelope { redacted_at } }, "{changed:?}");
    let error = log.read(position - 1, 10).await.unwrap_err();
    assert!(matches!(error, ReadError::Changed { position: at } if at == position), "{changed:?}: {error}");
    let holds = log.redaction_of(changed).await.unwrap().unwrap().envelope_holds;
    assert_eq!(holds, Some(false), "{changed:?}");
    let elsewhere = Place::sqlite();
    let events: Vec<export::Event> = stored.iter().cloned().map(export::Event::from).collect();
    let refused = import(&elsewhere.open().await, &events).await.unwrap_err();
    let is_named = matches!(refused, ImportError::Unreadable(ReadError::Changed { position: at }) if at == position);
    assert!(is_named, "{changed:?}: {refused}");
}

async fn d15_what_stays_of_a_redacted_event_is_proved_by_its_redaction(place: Place) {
    let log = place.open().await;
    let _ = with_owners(&log).await;
    forget(&log, "alice").await;
    // The first redaction is redacted itself, and another one says what it has said of the envelope.
    let first = log.head().await.unwrap().position - 1;
    let redactions = forget(&log, "bob").await.positions;
    for (position, redacted_at) in [2, first].into_iter().zip(redactions) {
        place.tamper(&format!("CREATE TABLE kept AS SELECT * FROM events WHERE position = {position}")).await;
        for change in parts_that_stay(&place) {
            place.tamper(&format!("UPDATE events SET {change} WHERE position = {position}")).await;
            log.forget();
            is_found(&log, position, redacted_at).await;
            let back = format!("DELETE FROM events WHERE position = {position}; INSERT INTO events SELECT * FROM kept");
            place.tamper(&back).await;
        }
        place.tamper("DROP TABLE kept").await;
    }
    log.forget();
    assert_eq!(verified(&log).await.unwrap().without_envelope, 0);
    assert_eq!(whole(&log).await.len() as Position, log.head().await.unwrap().position);
}

async fn d15_what_an_older_program_has_redacted_is_not_proved_and_stays_so(place: Place) {
    let log = place.open().await;
    let (stream, journal) = (StreamId::data(data()), StreamId::journal());
    let said = tagged(&["alice", "bob"], &[]);
    let said = ("data", stream.id.as_str(), "DataTagsChanged", "1", &*Event::from(said).encode());
    let leaf = hex::encode(by_hand(&[said])[0].leaf);
    let remains = Event::from(tagged(&["bob", "redacted-1"], &[])).encode();
    let remains = format!(r#"{{"version":1,"payload":{remains}}}"#);
    let redacted = format!(r#"{{"EventRedacted":{{"position":1,"leaf":"{leaf}","reason":"r","remains":{remains}}}}}"#);
    let mut events = by_hand(&[said, ("journal", &journal.id, "EventRedacted", "1", &redacted)]);
    (events[0].payload, events[0].salt) = ("{}".to_owned(), Vec::new());
    import(&log, &events).await.unwrap();
    let proved = async || {
        let verified = verified(&log).await.unwrap();
        let stored = log.read_unchecked(0, 1).await.unwrap().remove(0);
        let holds = log.redaction_of(&stored).await.unwrap().unwrap().envelope_holds;
        (verified.redacted, verified.without_envelope, holds)
    };
    assert_eq!(proved().await, (1, 1, None));
    assert_eq!(forget(&log, "bob").await.positions.len(), 2);
    // Of the event it is still not known, and of its redaction, which had its content until now, it is.
    assert_eq!(proved().await, (2, 1, None));
}

async fn d15_what_is_not_as_it_was_recorded_is_not_redacted(place: Place) {
    let log = place.open().await;
    let _ = with_owners(&log).await;
    let mut search = search(&log, "alice").await;
    let unnoted = log.append(request(search.decide().unwrap())).await.unwrap_err();
    assert!(matches!(unnoted, AppendError::Fault(Fault::Damaged { .. })), "none is emptied without: {unnoted}");
    place.tamper(r#"UPDATE events SET metadata = '{"actor":"mallory"}' WHERE position = 2"#).await;
    let before = log.read_unchecked(0, 100).await.unwrap();
    let error = log.note_envelopes(&mut search).await.unwrap_err();
    assert!(matches!(error, ReadError::Changed { position: 2 }), "{error}");
    // It may be changed behind that look; then the appender sees it.
    for stored in before.iter().cloned().map(export::Event::from) {
        search.note_envelope(stored.position, Some(stored.envelope()));
    }
    let error = log.append(request(search.decide().unwrap())).await.unwrap_err();
    assert!(matches!(error, AppendError::Fault(Fault::Damaged { .. })), "{error}");
    assert_eq!(log.read_unchecked(0, 100).await.unwrap(), before);
}

async fn d15_snapshots_that_may_hold_it_go_with_it(place: Place) {
    let log = place.open().await;
    let _ = with_owners(&log).await;
    let save = async |position: Position| {
        let chain = log.chain_at(position).await.unwrap().unwrap();
        let meta = SnapshotMeta { name: "p".to_owned(), revision: 1, position, chain, generation: 0 };
        log.save_snapshot(&meta, &[b"alice".to_vec()]).await.unwrap();
    };
    let newest = async || log.newest_snapshot("p", 1).await.unwrap().map(|snapshot| snapshot.meta.position);
    save(3).await;
    let redacted = forget(&log, "alice").await.position;
    assert_eq!(newest().await, None);
    // Somebody was just saving one.
    save(3).await;
    save(redacted).await;
    log.forget_snapshots_before(redacted).await.unwrap();
    assert_eq!(newest().await, Some(redacted));
    log.prune_snapshots("p", 1, 0).await.unwrap();
}

async fn d15_generations_outlast_the_snapshots_that_go_with_it(place: Place) {
    let log = place.open().await;
    let _ = with_owners(&log).await;
    let save = async |name: &str, generation, position: Position| {
        let chain = log.chain_at(position).await.unwrap().unwrap();
        let meta = SnapshotMeta { name: name.to_owned(), revision: 1, position, chain, generation };
        log.save_snapshot(&meta, &[b"alice".to_vec(), b"bob".to_vec()]).await.unwrap();
    };
    let newest = async |name| log.newest_generation(name).await.unwrap();
    save("replaced", 2, 3).await;
    save("as it was", 0, 3).await;
    // Whoever began it died over it.
    save("unfinished", 1, 3).await;
    place.tamper("DELETE FROM log_snapshots WHERE name = 'unfinished' AND chunk = 1").await;
    let redacted = forget(&log, "alice").await.position;
    assert_eq!(log.newest_snapshot("replaced", 1).await.unwrap(), None);
    assert_eq!([newest("replaced").await, newest("as it was").await, newest("unfinished").await], [2, 0, 0]);
    // Another server, which has what was replaced, and one that has replaced it again.
    save("replaced", 0, redacted).await;
    assert_eq!(newest("replaced").await, 2);
    save("replaced", 3, 3).await;
    log.forget_snapshots_before(redacted).await.unwrap();
    assert_eq!(newest("replaced").await, 3);
    save("replaced", 1, 3).await;
    log.forget_snapshots_before(redacted).await.unwrap();
    assert_eq!(newest("replaced").await, 3);
}

async fn d15_an_event_with_another_leaf_is_not_emptied_and_nothing_is_appended(place: Place) {
    let log = place.open().await;
    fill(&log, 3).await;
    let before = log.read_unchecked(0, 100).await.unwrap();
    let redaction = |leaf: String| {
        let event = JournalEvent::EventRedacted {
            position: 2,
            leaf,
            envelope_sha256: None,
            reason: REASON.to_owned(),
            remains: None,
        };
        request(Decision::write(StreamId::journal(), 0, [event]))
    };
    let error = log.append(redaction("00".repeat(32))).await.unwrap_err();
    assert!(matches!(error, AppendError::Fault(Fault::Damaged { .. })), "{error}");
    let error = log.append(redaction("x".to_owned())).await.unwrap_err();
    assert!(matches!(error, AppendError::Refused(Refusal::MalformedHash { position: 2 })), "{error}");
    assert_eq!(log.read_unchecked(0, 100).await.unwrap(), before);
    fill_behind(&log, 9).await;
    assert_eq!(whole(&log).await.len(), 4, "the next one is appended as ever");
}

async fn an_event_that_was_emptied_by_hand_is_not_read(place: Place) {
    let log = place.open().await;
    fill(&log, 3).await;
    place.tamper("UPDATE events SET payload = '{}', salt = substr(salt, 1, 0) WHERE position = 2").await;
    log.forget();
    assert_eq!(log.read(0, 10).await.unwrap().len(), 1);
    let error = log.read(1, 10).await.unwrap_err();
    assert!(matches!(error, ReadError::Emptied { position: 2 }), "{error}");
}
