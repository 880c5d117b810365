//! The log itself, while no server has it. The wire does not show every event, and this is the one place at which the
//! tests look behind it: through the log's own reader, which checks each link of the chain. And no server writes what
//! contradicts itself, so that is written here.

use std::collections::BTreeMap;

use knit_domain::decision::Decision;
use knit_domain::event::data::DataEvent;
use knit_domain::event::{Metadata, StreamId};
use knit_domain::tag::Tag;
use knit_log::{Database, Log, Options, Request};
use serde_json::Value;
use tokio::runtime::Runtime;

/// Events read at once.
const PAGE: usize = 1_000;

/// What the log holds that is looked for elsewhere.
#[derive(Debug, Default)]
pub(super) struct Past {
    /// The runtime's own names of all Workers that were seen.
    pub(super) worker_uids: Vec<String>,
}

/// Appends an event that contradicts what the log at `address` has said before: tags of a Data that was never there.
/// No program of today writes such an event, and one with a mistake might. Answers its position.
///
/// # Panics
/// When it cannot be appended.
pub(super) fn contradict(address: &str) -> u64 {
    let stream = StreamId::data("00000000-0000-4000-8000-000000000001".parse().expect("it is an id"));
    let event = DataEvent::DataTagsChanged { added: [Tag::new("a", "b")].into(), removed: [].into() };
    let metadata = Metadata { actor: "a mistake".to_owned(), ..Metadata::default() };
    let request = Request::new(Decision::write(stream, 0, [event]), metadata);
    runtime().block_on(async {
        let log = open(address).await;
        let appended = log.append(request).await.expect("nobody else writes to the log");
        log.close().await;
        appended.position
    })
}

/// Reads the whole log at `address`.
///
/// # Panics
/// When the chain is broken, an event is not what was hashed, or something happened twice that happens once.
pub(super) fn check(address: &str) -> Past {
    runtime().block_on(read(address))
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be made")
}

async fn open(address: &str) -> Log {
    let database = Database::parse(address).expect("the address was good enough for the server");
    Log::open(&database, Options::default()).await.expect("the log can be opened")
}

async fn read(address: &str) -> Past {
    let log = open(address).await;
    let mut past = Past::default();
    let mut once: BTreeMap<(String, String, u64), u32> = BTreeMap::new();
    let mut after = 0;
    loop {
        let page = log.read_stored(after, PAGE).await.expect("no event is missing, and the chain is whole");
        let Some(last) = page.last() else { break };
        after = last.position;
        for event in &page {
            let is_whole = event.is_emptied() || event.leaf_of_content() == event.leaf;
            assert!(is_whole, "event {} is what was hashed", event.position);
            let payload: Value = serde_json::from_str(&event.payload).expect("an event is JSON");
            if event.event_type == "WorkerSpawned" {
                let uid = find(&payload, "uid").and_then(Value::as_str).expect("a Worker has a uid");
                past.worker_uids.push(uid.to_owned());
            }
            if let Some(kind) = happens_once(&event.event_type) {
                let attempt = find(&payload, "attempt").and_then(Value::as_u64).unwrap_or_default();
                *once.entry((event.stream_id.clone(), kind.to_owned(), attempt)).or_default() += 1;
            }
        }
    }
    log.close().await;
    let twice: Vec<_> = once.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "happened more than once to one attempt or stream: {twice:#?}");
    let closed = |stream: &String| once.contains_key(&(stream.clone(), "AgentClosed".to_owned(), 0));
    let open = once.keys().filter(|(stream, kind, _)| kind == "AgentOpened" && !closed(stream));
    let open: Vec<_> = open.map(|(stream, ..)| stream).collect();
    assert!(open.is_empty(), "Data Agents were opened and never closed: {open:#?}");
    past
}

/// What happens at most once to an attempt of a Run, a Data or a Data Agent; success and failure are both its end.
fn happens_once(event: &str) -> Option<&str> {
    match event {
        "RunSucceeded" | "RunFailed" => Some("end"),
        "RunSuccessDecided" | "RunFailureDecided" => Some("decision"),
        "RunVolumesPrepared" | "WorkerRequested" | "WorkerSpawned" | "RunStarted" | "RunRetried" | "RunProjected"
        | "DataDiscarded" | "LogRedacted" | "VolumeReclaimed" | "AgentOpened" | "AgentClosed" | "UploadStarted" => {
            Some(event)
        }
        _ => None,
    }
}

/// A field, wherever in the payload it lies.
fn find<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    match value {
        Value::Object(fields) => fields.get(name).or_else(|| fields.values().find_map(|field| find(field, name))),
        Value::Array(items) => items.iter().find_map(|item| find(item, name)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}
