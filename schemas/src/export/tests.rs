mod parts;

use std::collections::BTreeSet;

use super::*;
use crate::chain::{GENESIS, link};
use uuid::Uuid;

/// An event behind `log`, as the log would record it.
fn event(log: &[Event], payload: &str) -> Event {
    let position = log.len() as u64 + 1;
    let mut event = Event {
        position,
        event_id: Uuid::from_u128(u128::from(position)),
        stream_type: "data".to_owned(),
        stream_id: "d-1".to_owned(),
        sequence: position,
        event_type: "DataDiscarded".to_owned(),
        event_version: "1".to_owned(),
        payload: payload.to_owned(),
        metadata: r#"{"actor":"日本 \"x\""}"#.to_owned(),
        recorded_at_ms: 1_000 + i64::try_from(position).unwrap() * 10,
        salt: vec![7; 16],
        leaf: GENESIS,
        chain: GENESIS,
    };
    event.leaf = event.leaf_of_content();
    relinked(log, event)
}

/// The event, linked to the end of `log`.
fn relinked(log: &[Event], mut event: Event) -> Event {
    let before = log.last().map_or(GENESIS, |last| last.chain);
    event.chain = link(&before, event.position, event.recorded_at_ms, &event.leaf);
    event
}

fn log(length: usize) -> Vec<Event> {
    let mut log = Vec::new();
    for number in 0..length {
        log.push(event(&log, &format!(r#"{{"DataDiscarded":{{"n":{number}}}}}"#)));
    }
    log
}

fn records(log: &[Event]) -> Vec<Record> {
    let end = log
        .last()
        .map_or(End { position: 0, chain: GENESIS }, |last| End { position: last.position, chain: last.chain });
    let events = log.iter().cloned().map(Record::Event);
    std::iter::once(Record::Begin(Begin::of_the_log())).chain(events).chain([Record::End(end)]).collect()
}

fn written(format: Format, records: &[Record]) -> Vec<u8> {
    let mut bytes = Vec::new();
    records.iter().for_each(|record| format.encode(record, &mut bytes));
    bytes
}

fn verified(export: &[u8], piece_bytes: usize) -> Result<Verified, Flaw> {
    watched(export, piece_bytes, &BTreeSet::new())
}

fn watched(export: &[u8], piece_bytes: usize, positions: &BTreeSet<u64>) -> Result<Verified, Flaw> {
    let (mut splitter, mut verification) = (Splitter::default(), Verification::default());
    for piece in export.chunks(piece_bytes) {
        if let Some(batch) = splitter.push(piece) {
            verification.take(check(&batch, positions))?;
        }
    }
    verification.take(check(&splitter.finish(), positions))?;
    verification.finish()
}

/// What is wrong with the export of these events, which is the same in both formats.
fn flaw(records: &[Record]) -> (u64, Wrong) {
    let flaws = FORMATS.map(|format| verified(&written(format, records), 1 << 16).expect_err("something is wrong"));
    assert_eq!(flaws[0], flaws[1]);
    let [Flaw { position, wrong }, _] = flaws;
    (position, wrong)
}

const FORMATS: [Format; 2] = [Format::JsonLines, Format::Protobuf];

/// What somebody did to an event.
type Change = fn(&mut Event);

#[test]
fn an_untouched_history_is_whole_in_both_formats_however_it_comes() {
    for length in [0, 1, 2, 6_000] {
        let log = log(length);
        for format in FORMATS {
            let export = written(format, &records(&log));
            assert_eq!(length < 6_000, export.len() < BATCH_BYTES, "the longest has several batches");
            for piece_bytes in [97, 1 << 16, export.len()] {
                let verified = verified(&export, piece_bytes).unwrap();
                assert_eq!((verified.events, verified.position), (length as u64, length as u64));
                assert_eq!(verified.chain, log.last().map_or(GENESIS, |last| last.chain));
            }
        }
    }
}

#[test]
fn the_chain_at_watched_positions_is_told_wherever_batches_end() {
    let log = log(6_000);
    let positions = [0, 1, 2_999, 3_000, 6_000, 6_001].into();
    for format in FORMATS {
        let export = written(format, &records(&log));
        let chains = watched(&export, 1 << 16, &positions).unwrap().chains;
        assert_eq!(chains.keys().copied().collect::<Vec<_>>(), [0, 1, 2_999, 3_000, 6_000]);
        let at = |position: u64| log[usize::try_from(position).unwrap() - 1].chain;
        assert!(chains.iter().all(|(position, chain)| *position == 0 || *chain == at(*position)));
    }
    let mut rest = records(&log[..3]);
    rest.splice(..2, [Record::Begin(Begin::behind(1, log[0].chain))]);
    let verified = watched(&written(Format::Protobuf, &rest), 1 << 16, &positions).unwrap();
    assert_eq!(verified.chains, [(1, log[0].chain)].into(), "where it begins is watched as well");
}

#[test]
fn what_was_written_is_read_again() {
    for record in records(&log(2)).into_iter().chain([Record::Unreadable(Unreadable { position: 3, why: "x".into() })])
    {
        for format in FORMATS {
            assert_eq!(format.decode(&written(format, std::slice::from_ref(&record))).as_ref(), Ok(&record));
        }
    }
}

#[test]
fn one_flipped_byte_of_an_event_names_its_position() {
    let log = log(5);
    let flipped: [(&str, Change, Wrong); 6] = [
        ("payload", |event| event.payload = event.payload.replace('2', "3"), Wrong::Content),
        ("metadata", |event| event.metadata = event.metadata.replace("actor", "bctor"), Wrong::Content),
        ("salt", |event| event.salt[3] ^= 1, Wrong::Content),
        ("leaf", |event| event.leaf[0] ^= 1, Wrong::Leaf),
        ("chain", |event| event.chain[0] ^= 1, Wrong::Chain),
        ("recorded_at", |event| event.recorded_at_ms += 1, Wrong::Time),
    ];
    for (what, flip, wrong) in flipped {
        let mut log = log.clone();
        flip(&mut log[2]);
        assert_eq!(flaw(&records(&log)), (3, wrong), "{what}");
    }
    let mut forged = log.clone();
    forged[2].recorded_at_ms = 1_000;
    assert_eq!(flaw(&records(&forged)), (3, Wrong::TimeGoesBack { ms: 1_000, before_ms: 1_020 }));
    let mut last = log;
    last[4].recorded_at_ms += 1;
    assert_eq!(flaw(&records(&last)), (5, Wrong::Link));
}

#[test]
fn a_history_that_was_linked_again_may_not_go_back_in_time() {
    let mut log = log(2);
    let mut third = event(&log, "{}");
    third.recorded_at_ms = 5;
    log.push(relinked(&log, third));
    assert_eq!(flaw(&records(&log)), (3, Wrong::TimeGoesBack { ms: 5, before_ms: 1_020 }));
}

#[test]
fn what_is_missing_or_in_another_place_names_its_position() {
    let whole = log(5);
    let mut missing = records(&whole);
    missing.remove(3);
    assert_eq!(flaw(&missing), (3, Wrong::Missing { next: Some(4) }));
    let mut last = records(&whole);
    last.remove(5);
    assert_eq!(flaw(&last), (5, Wrong::Missing { next: None }));
    let mut lines = records(&whole);
    lines.swap(2, 3);
    assert_eq!(flaw(&lines), (2, Wrong::Swapped { with: 3 }));
    let mut twice = records(&whole);
    twice.insert(3, twice[2].clone());
    assert_eq!(flaw(&twice), (3, Wrong::OutOfOrder { found: 2 }));
    // Two rows of a table exchange their positions.
    let mut rows = whole;
    rows.swap(1, 3);
    (rows[1].position, rows[3].position) = (2, 4);
    assert_eq!(flaw(&records(&rows)), (2, Wrong::Swapped { with: 4 }));
}

#[test]
fn the_ends_of_an_export_hold_it_together() {
    let whole = records(&log(3));
    let with = |at: usize, record: Record| [&whole[..at], &[record], &whole[at + 1..]].concat();
    assert_eq!(flaw(&whole[1..]), (0, Wrong::NoBegin));
    assert_eq!(flaw(&[]), (0, Wrong::NoBegin));
    assert_eq!(flaw(&with(0, Record::Begin(Begin::behind(0, [1; 32])))), (0, Wrong::OtherBeginning));
    assert_eq!(flaw(&with(0, Record::Begin(Begin::behind(1, [1; 32])))), (2, Wrong::OutOfOrder { found: 1 }));
    assert_eq!(
        flaw(&with(0, Record::Begin(Begin::behind(u64::MAX, [1; 32])))),
        (u64::MAX, Wrong::OutOfOrder { found: 1 })
    );
    let newer = Begin { format: 2, ..Begin::of_the_log() };
    assert_eq!(flaw(&with(0, Record::Begin(newer))), (0, Wrong::OtherFormat { format: 2 }));
    assert_eq!(flaw(&whole[..4]), (4, Wrong::CutOff));
    assert_eq!(flaw(&with(4, Record::End(End { position: 3, chain: [1; 32] }))), (3, Wrong::OtherHead));
    assert_eq!(flaw(&with(4, Record::End(End { position: 2, chain: [1; 32] }))), (3, Wrong::BehindTheHead));
    let chain = log(3)[2].chain;
    assert_eq!(flaw(&with(4, Record::End(End { position: 2, chain }))), (3, Wrong::OtherHead));
    assert_eq!(flaw(&with(2, whole[0].clone())), (2, Wrong::SecondBeginning));
    assert_eq!(flaw(&[whole.as_slice(), &whole[1..2]].concat()), (4, Wrong::MoreBehindTheEnd));
    let unreadable = Unreadable { position: 2, why: "no text".to_owned() };
    let broken = [&whole[..2], &[Record::Unreadable(unreadable)]].concat();
    assert_eq!(flaw(&broken), (2, Wrong::Unreadable { why: "no text".to_owned() }));
}

#[test]
fn what_stands_behind_the_end_is_found_also_where_a_batch_ends_with_the_end() {
    let end = Record::End(End { position: 3, chain: [1; 32] });
    for format in FORMATS {
        let before = written(format, std::slice::from_ref(&end));
        let batch = |records: Vec<u8>, ending| {
            let batch = split::Batch { format, before: before.clone(), records, offset: 0, end: Some(ending) };
            check(&batch, &BTreeSet::new()).flaw
        };
        let more = Some(Flaw { position: 4, wrong: Wrong::MoreBehindTheEnd });
        assert_eq!(batch(Vec::new(), split::Ending::Clean), None);
        assert_eq!(batch(Vec::new(), split::Ending::Within), more);
        assert_eq!(batch(before.clone(), split::Ending::Clean), more);
    }
}

/// An event that admits the redaction of one of `log`, as the first version of it did.
fn admission(log: &[Event], position: u64, leaf: [u8; 32]) -> Event {
    let leaf = hex::encode(leaf);
    admission_of(log, &format!(r#"{{"EventRedacted":{{"position":{position},"leaf":"{leaf}","reason":"r"}}}}"#))
}

fn admission_of(log: &[Event], payload: &str) -> Event {
    let mut admission = event(log, payload);
    (admission.stream_type, admission.event_type) = ("journal".to_owned(), "EventRedacted".to_owned());
    admission.leaf = admission.leaf_of_content();
    relinked(log, admission)
}

#[test]
fn d15_a_redaction_is_valid_only_where_an_event_admits_it() {
    let whole = log(4);
    let emptied = |payload: &str, admission: Option<Event>| {
        let mut log = [whole.clone(), admission.into_iter().collect()].concat();
        (log[1].payload, log[1].salt) = (payload.to_owned(), Vec::new());
        records(&log)
    };
    for payload in ["", "{}"] {
        let admitted = emptied(payload, Some(admission(&whole, 2, whole[1].leaf)));
        for format in FORMATS {
            let verified = verified(&written(format, &admitted), 1 << 16).unwrap();
            assert_eq!((verified.events, verified.redacted, verified.without_envelope), (5, 1, 1));
        }
        assert_eq!(flaw(&emptied(payload, None)), (2, Wrong::NotAdmitted));
        assert_eq!(flaw(&emptied(payload, Some(admission(&whole, 2, [1; 32])))), (2, Wrong::NotAdmitted));
        assert_eq!(flaw(&emptied(payload, Some(admission(&whole, 3, whole[1].leaf)))), (2, Wrong::NotAdmitted));
    }
    let rewritten = emptied(r#"{"other":1}"#, Some(admission(&whole, 2, whole[1].leaf)));
    assert_eq!(flaw(&rewritten), (2, Wrong::Content), "what is redacted is empty, not another thing");
}

/// An event of which nothing but salt and payload was taken out, with its redaction behind it, at position 5.
fn redacted_with_envelope() -> Vec<Event> {
    let mut log = log(4);
    let (leaf, envelope) = (hex::encode(log[1].leaf), hex::encode(log[1].envelope()));
    let said = format!(r#"{{"position":2,"leaf":"{leaf}","envelope_sha256":"{envelope}","reason":"r"}}"#);
    log.push(admission_of(&log, &format!(r#"{{"EventRedacted":{said}}}"#)));
    log.push(event(&log, "{}"));
    (log[1].payload, log[1].salt) = (String::new(), Vec::new());
    log
}

#[test]
fn d15_what_stays_of_a_redacted_event_is_proved_by_its_redaction() {
    let whole = redacted_with_envelope();
    let found = verified(&written(Format::Protobuf, &records(&whole)), 1 << 16).unwrap();
    assert_eq!((found.redacted, found.without_envelope), (1, 0));
    let changes: [fn(&mut Event); 7] = [
        |event| event.metadata.push(' '),
        |event| event.event_id = Uuid::nil(),
        |event| event.stream_type = "plan".to_owned(),
        |event| event.stream_id = "d-2".to_owned(),
        |event| event.sequence += 75,
        |event| event.event_type = "DataReserved".to_owned(),
        |event| event.event_version = "2".to_owned(),
    ];
    for change in changes {
        let mut log = whole.clone();
        change(&mut log[1]);
        assert_eq!(flaw(&records(&log)), (2, Wrong::Envelope { redacted_at: 5 }));
        for format in FORMATS {
            assert!(verified(&written(format, &records(&log)), 1).is_err_and(|flaw| flaw.position == 2));
        }
        // It is the first that is wrong, though it is seen behind what is wrong later.
        log[5].metadata.push(' ');
        assert_eq!(flaw(&records(&log)), (2, Wrong::Envelope { redacted_at: 5 }));
        log[3].metadata.push(' ');
        assert_eq!(flaw(&records(&log)), (4, Wrong::Content), "the redaction was not reached");
    }
}

#[test]
fn d15_a_part_tells_the_envelopes_of_what_is_redacted_behind_it() {
    let log = redacted_with_envelope();
    let part = &log[..4];
    let mut verification = Verification::default();
    let mut splitter = Splitter::default();
    assert_eq!(splitter.push(&written(Format::Protobuf, &records(part))), None, "it is one batch");
    verification.take(check(&splitter.finish(), &BTreeSet::new())).unwrap();
    let (_, emptied) = verification.finish_part().unwrap();
    assert_eq!(emptied, [(2, hex::encode(log[1].envelope()))].into());
}

#[test]
fn d15_redactions_are_told_ahead_as_they_were_recorded_or_not_at_all() {
    let mut log = log(4);
    let emptied = log[1].leaf;
    for leaf in [emptied, GENESIS] {
        log.push(admission(&log, 2, leaf));
        log.push(event(&log, "{}"));
    }
    // One that was emptied itself says nothing any more.
    (log[6].payload, log[6].salt) = (String::new(), Vec::new());
    let mut told = Vec::new();
    for format in FORMATS {
        let mut splitter = Splitter::default();
        assert_eq!(splitter.push(&written(format, &records(&log))), None, "it is one batch");
        told = Vec::new();
        add_redactions(&splitter.finish(), &mut told);
        assert_eq!(redactions_ahead(&told).as_deref(), Ok(&log[4..5]));
    }
    for damaged in 0..told.len() {
        let mut changed = told.clone();
        changed[damaged] ^= 1;
        let taken = redactions_ahead(&changed).is_ok_and(|found| found[0].payload != log[4].payload);
        assert!(!taken, "byte {damaged}: what was not recorded is not believed");
        assert!(damaged == 0 || redactions_ahead(&told[..damaged]).is_err(), "cut at {damaged}");
    }
}

#[test]
fn every_cut_and_every_flipped_bit_of_an_export_is_found() {
    let log = log(3);
    for format in FORMATS {
        let export = written(format, &records(&log));
        // The position of which each byte tells; the begin and end records belong to those beside them.
        let mut of_byte = Vec::new();
        for (number, record) in records(&log).iter().enumerate() {
            of_byte.resize(of_byte.len() + written(format, std::slice::from_ref(record)).len(), number as u64);
        }
        for cut in 0..export.len() {
            let flaw = verified(&export[..cut], 1 << 16).expect_err("it is cut off");
            assert_eq!(flaw.position, of_byte[cut], "cut off at byte {cut}: {flaw}");
        }
        for bit in 0..export.len() * 8 {
            let mut flipped = export.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let flaw = verified(&flipped, 1 << 16).expect_err("a bit is flipped");
            let position = of_byte[bit / 8];
            assert!(flaw.position.abs_diff(position) <= 1, "bit {bit} of position {position}: {flaw}");
        }
    }
}
