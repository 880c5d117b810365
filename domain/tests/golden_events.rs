//! The golden files: how every event is stored, kept for ever in `schemas/events`.
//!
//! A log outlives every program that reads it. If one of these tests fails, the stored form of an
//! event has changed and old logs can no longer be read as they were written: give the event a new
//! version with an upcaster and a new file, and leave the old file as it is.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use knit_domain::event::agent::{AgentClosure, AgentEvent};
use knit_domain::event::catalog::CatalogEvent;
use knit_domain::event::data::{DataEvent, DiscardReason};
use knit_domain::event::journal::JournalEvent;
use knit_domain::event::plan::{NodeMode, PlanEvent};
use knit_domain::event::run::{ErasureCause, FailureCause, RunEvent, SuccessCause};
use knit_domain::event::{Event, StreamType};
use knit_domain::id::{AgentMode, KnitId};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../schemas/events")
}

fn stored(kind: StreamType) -> &'static [(&'static str, u32)] {
    match kind {
        StreamType::Catalog => CatalogEvent::STORED,
        StreamType::Plan => PlanEvent::STORED,
        StreamType::Run => RunEvent::STORED,
        StreamType::Data => DataEvent::STORED,
        StreamType::Agent => AgentEvent::STORED,
        StreamType::Journal => JournalEvent::STORED,
    }
}

/// The stored text in the golden file of an event; the file ends in one newline that is not stored.
fn golden(name: &str, version: u32) -> String {
    let path = folder().join(format!("{name}.v{version}.json"));
    let text = fs::read_to_string(&path).unwrap_or_else(|error| {
        panic!("{name} of version {version} needs a golden file, write {}: {error}", path.display())
    });
    text.strip_suffix('\n').expect("a golden file ends in a newline").to_owned()
}

#[test]
fn every_event_has_a_golden_file_and_is_still_stored_as_it_says() {
    for kind in StreamType::ALL {
        for (name, version) in stored(kind) {
            let text = golden(name, *version);
            let event = Event::decode(kind, name, &version.to_string(), &text)
                .unwrap_or_else(|error| panic!("{name} of version {version}: {error}"));
            assert_eq!(event.encode(), text, "{name} of version {version} is stored differently now");
            assert_eq!((event.type_name(), event.version(), event.stream_type()), (*name, *version, kind));
        }
    }
}

#[test]
fn every_golden_file_still_reads() {
    for entry in fs::read_dir(folder()).unwrap() {
        let file = entry.unwrap().file_name().into_string().unwrap();
        let (name, version) = file.strip_suffix(".json").and_then(|stem| stem.rsplit_once(".v")).expect(&file);
        let kind = StreamType::ALL.into_iter().find(|kind| stored(*kind).iter().any(|(known, _)| *known == name));
        let kind = kind.unwrap_or_else(|| panic!("{file} is of no event"));
        let text = golden(name, version.parse().unwrap());
        assert!(Event::decode(kind, name, version, &text).is_ok(), "{file} does not read any more");
    }
}

/// What an older program stored is the same fact as what today's would store.
#[test]
fn an_old_version_reads_as_the_present_one() {
    let read = |version: u32| {
        let text = golden("RunFailureDecided", version);
        Event::decode(StreamType::Run, "RunFailureDecided", &version.to_string(), &text).unwrap()
    };
    assert_eq!(read(1), read(2));
}

/// What an older program did not take down is not made up.
#[test]
fn a_redaction_of_the_first_version_knows_nothing_of_the_envelope() {
    let read = |version: u32| {
        let text = golden("EventRedacted", version);
        Event::decode(StreamType::Journal, "EventRedacted", &version.to_string(), &text).unwrap()
    };
    let envelope = |event| {
        let Event::Journal(JournalEvent::EventRedacted { position: 42, envelope_sha256, .. }) = event else {
            panic!("{event:?} is no redaction of event 42")
        };
        envelope_sha256
    };
    assert_eq!(envelope(read(1)), None);
    assert_eq!(envelope(read(2)).map(|hash| hash.len()), Some(64));
}

/// Every version that ever was stays in the folder, whatever is stored today.
#[test]
fn no_version_is_without_a_golden_file() {
    for (name, current) in StreamType::ALL.into_iter().flat_map(stored) {
        (1..=*current).for_each(|version| drop(golden(name, version)));
    }
}

#[test]
fn names_are_unique_over_all_kinds() {
    let all: Vec<&str> = StreamType::ALL.into_iter().flat_map(stored).map(|(name, _)| *name).collect();
    let distinct: BTreeSet<&str> = all.iter().copied().collect();
    assert_eq!(all.len(), distinct.len());
}

/// A golden file shows one cause only; the other words are stored as well and must stay.
#[test]
fn the_stored_words_never_change() {
    fn word<T: serde::Serialize>(value: T) -> String {
        serde_json::to_string(&value).unwrap().trim_matches('"').to_owned()
    }
    use {AgentClosure as A, FailureCause as F, SuccessCause as S};
    assert_eq!(
        [S::WorkerSucceeded, S::TornOff, S::UploadStored, S::ImportEnded].map(word),
        ["worker-succeeded", "torn-off", "upload-stored", "import-ended"]
    );
    assert_eq!(
        [F::WorkerFailed, F::WorkerStuck, F::WorkerLost, F::User, F::UploadFailed, F::UploadOrphaned, F::ImportOverdue]
            .map(word),
        ["worker-failed", "worker-stuck", "worker-lost", "user", "upload-failed", "upload-orphaned", "import-overdue"]
    );
    assert_eq!([A::Finished, A::StartFailed, A::Housekeeping].map(word), ["finished", "start-failed", "housekeeping"]);
    assert_eq!([DiscardReason::Retry, DiscardReason::Delete].map(word), ["retry", "delete"]);
    assert_eq!([AgentMode::Read, AgentMode::Write].map(word), ["read", "write"]);
    assert_eq!([NodeMode::May, NodeMode::Must, NodeMode::Prefer].map(word), ["may", "must", "prefer"]);
    assert_eq!(word(ErasureCause::RootDeleted), "root-deleted");
    let upstream: KnitId = "1f0c7b52-3f5e-4c8a-9d27-0a4b5c6d7e81".parse().unwrap();
    assert_eq!(word(ErasureCause::UpstreamDiscarded(upstream)), format!(r#"{{"upstream-discarded":"{upstream}"}}"#));
}

/// Facts that may be absent are left out, not stored as null: a log must not grow by what is not.
#[test]
fn absent_facts_are_not_stored() {
    for text in [
        r#"{"RunSucceeded":{"attempt":1}}"#,
        r#"{"RunFailureDecided":{"attempt":2,"reason":"","cause":"upload-orphaned"}}"#,
        r#"{"WorkerSpawned":{"attempt":1,"worker_name":"w","uid":"u"}}"#,
    ] {
        let name = text.split('"').nth(1).unwrap();
        let version = Event::current_version(StreamType::Run, name).unwrap();
        let event = Event::decode(StreamType::Run, name, &version.to_string(), text).unwrap();
        assert_eq!(event.encode(), text);
    }
}
