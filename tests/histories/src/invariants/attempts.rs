//! What happens to an attempt of a Run: one Worker at most, and one end.

use std::collections::{BTreeMap, BTreeSet};

use knit_domain::event::Event;
use knit_domain::event::run::RunEvent;

use crate::memory_log::MemoryLog;

/// A stream and the number of an attempt.
type Attempt<'log> = (&'log str, u32);

/// X13: for no attempt was a Worker asked for twice, none was seen made twice, and no two attempts ever named a Worker
/// alike, so that whatever is seen of one belongs to one attempt.
pub(super) fn each_has_one_worker(log: &MemoryLog) {
    let (mut asked, mut made, mut names) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for (id, event) in events(log) {
        match event {
            RunEvent::WorkerRequested { attempt, worker } => {
                assert!(asked.insert((id, *attempt)), "X13: two Workers were asked for by attempt {attempt} of {id}");
                assert!(names.insert(&worker.name), "X13: two Workers are called {:?}", worker.name);
            }
            RunEvent::WorkerSpawned { attempt, .. } => {
                assert!(made.insert((id, *attempt)), "X13: two Workers were made for attempt {attempt} of {id}");
            }
            RunEvent::RunProjected { .. }
            | RunEvent::UploadStarted { .. }
            | RunEvent::ImportStarted { .. }
            | RunEvent::RunVolumesPrepared { .. }
            | RunEvent::RunStarted { .. }
            | RunEvent::RunSuccessDecided { .. }
            | RunEvent::RunFailureDecided { .. }
            | RunEvent::RunSucceeded { .. }
            | RunEvent::RunFailed { .. }
            | RunEvent::RunRetried { .. }
            | RunEvent::RunInvalidated { .. }
            | RunEvent::RunErased { .. } => {}
        }
    }
}

/// X14: the end of an attempt was decided once, and what was decided came about, once.
pub(super) fn each_ends_as_was_decided(log: &MemoryLog) {
    let (mut decided, mut ended) = (BTreeMap::<Attempt<'_>, bool>::new(), BTreeSet::<Attempt<'_>>::new());
    let mut end = |decided: &BTreeMap<Attempt<'_>, bool>, attempt, well| {
        assert_eq!(decided.get(&attempt), Some(&well), "X14: {attempt:?} ended otherwise than was decided");
        assert!(ended.insert(attempt), "X14: {attempt:?} ended twice");
    };
    for (id, event) in events(log) {
        match event {
            RunEvent::RunSuccessDecided { attempt, .. } => decide(&mut decided, (id, *attempt), true),
            RunEvent::RunFailureDecided { attempt, .. } => decide(&mut decided, (id, *attempt), false),
            RunEvent::RunSucceeded { attempt, .. } => end(&decided, (id, *attempt), true),
            RunEvent::RunFailed { attempt, .. } => end(&decided, (id, *attempt), false),
            RunEvent::RunProjected { .. }
            | RunEvent::UploadStarted { .. }
            | RunEvent::ImportStarted { .. }
            | RunEvent::RunVolumesPrepared { .. }
            | RunEvent::WorkerRequested { .. }
            | RunEvent::WorkerSpawned { .. }
            | RunEvent::RunStarted { .. }
            | RunEvent::RunRetried { .. }
            | RunEvent::RunInvalidated { .. }
            | RunEvent::RunErased { .. } => {}
        }
    }
}

fn decide<'log>(decided: &mut BTreeMap<Attempt<'log>, bool>, attempt: Attempt<'log>, well: bool) {
    let before = decided.insert(attempt, well);
    assert_eq!(before, None, "X14: the end of {attempt:?} was decided twice");
}

/// What happened to Runs, each with its id.
fn events(log: &MemoryLog) -> impl Iterator<Item = (&str, &RunEvent)> {
    log.entries.iter().filter_map(|entry| {
        if let Event::Run(event) = &entry.event { Some((entry.stream.id.as_str(), event)) } else { None }
    })
}
