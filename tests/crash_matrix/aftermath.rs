//! After a death and a restart: what a person finds who looks at everything.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use knit_tests::processes;
use knit_tests::wait::PATIENCE;
use knit_tests::workshop::id_of;
use serde_json::Value;

use super::cases::Case;
use super::stories::{conclude, look_once_more};
use super::tale::Tale;
use super::{left_overs, past};

/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(50);
/// The Plan of uploads, by its name on the wire.
const UPLOADED: &str = "knit#uploaded";

/// Waits until everything has come to rest as it must, then looks for what must never have happened; answers in
/// a few words what was found.
///
/// # Panics
/// When something does not hold; the message says what.
pub(super) fn look(case: &Case, tale: &mut Tale) -> String {
    conclude(case.story, tale);
    let begun = Instant::now();
    loop {
        let complaints = complaints(tale);
        if complaints.is_empty() {
            break;
        }
        assert!(begun.elapsed() < 2 * PATIENCE, "{} does not hold: {complaints:#?}", case.name());
        thread::sleep(PAUSE);
    }
    let seen = seen(tale);
    never_twice(tale);
    assert!(look_once_more(case.story, tale).is_ok(), "{}: the server dies no more", case.name());
    tale.server.stop();
    assert_eq!(processes::all_of(tale.server.state_dir()), [], "{}: no process is left", case.name());
    let events = past::check(&tale.log);
    let groups = left_overs::control_groups(tale, &events.worker_uids);
    assert!(groups.is_empty(), "{}: control groups of {groups:?} are left", case.name());
    let strangers = left_overs::in_state_directory(tale, false);
    assert!(strangers.is_empty(), "{}: {strangers:#?}", case.name());
    seen
}

/// Everything that is not yet, or not any more, as it must be.
fn complaints(tale: &Tale) -> Vec<String> {
    let mut all = Vec::new();
    let position = tale.server.http().get("/api/runs");
    let position = position.header("x-knit-position").and_then(|position| position.parse::<u64>().ok());
    if position.is_none_or(|position| position < tale.position) {
        all.push(format!("position {} was shown, and now it is {position:?}", tale.position));
    }
    let runs = tale.list("/api/runs");
    for run in &runs {
        all.extend(attempts_without_one_end(tale, run));
    }
    let (kept, owned) = (tale.server.keeps(), volumes_owned(tale));
    if kept != owned {
        all.push(format!("kept are {kept:#?}, and there should be {owned:#?}"));
    }
    all.extend(left_overs::in_state_directory(tale, true));
    all.extend(left_overs::in_volumes(tale));
    let living = processes::all_of(tale.server.state_dir()).len();
    if living != 1 {
        all.push(format!("{living} processes live, and there should be the server alone"));
    }
    if all.is_empty() {
        // Some facts read whole Data, so they are asked when all else is at rest.
        all = tale.broken_facts();
    }
    all
}

/// Every attempt of a Run has ended, and the Run as its last one.
fn attempts_without_one_end(tale: &Tale, run: &Value) -> Vec<String> {
    let id = id_of(run, "runId");
    let attempts = tale.list(&format!("/api/runs/{id}/attempts"));
    let ended = |attempt: &Value| {
        let status = attempt["status"].as_str().unwrap_or_default();
        matches!(status, "done" | "failed") && attempt["endedAt"].is_string() || status == "invalidated"
    };
    if !attempts.is_empty()
        && attempts.iter().all(ended)
        && attempts.last().map(|last| &last["status"]) == Some(&run["status"])
    {
        return Vec::new();
    }
    vec![format!("each attempt of the Run {id} has ended, and the Run as the last: {run:#} {attempts:#?}")]
}

/// The volume of every Data that is listed, except of uploads that came to nothing.
fn volumes_owned(tale: &Tale) -> Vec<String> {
    let data = tale.list("/api/data");
    let stored = data.iter().filter(|data| {
        let run = &data["upstream"]["run"];
        !(run["plan"]["name"] == UPLOADED && run["status"] == "failed")
    });
    let mut owned: Vec<String> = stored.map(|data| format!("volumes/data-knitid-{}", id_of(data, "knitId"))).collect();
    owned.sort();
    owned
}

/// No Worker came in twice, and each Run that says that its Worker succeeded had one.
fn never_twice(tale: &Tale) {
    let heard = tale.door.heard();
    let different: BTreeSet<&String> = heard.iter().collect();
    assert_eq!(different.len(), heard.len(), "a Worker was started twice: {heard:#?}");
    for run in tale.list("/api/runs?status=done") {
        let Some(output) = run["outputs"].as_array().and_then(|all| all.iter().find(|output| output["path"] == "/out"))
        else {
            continue;
        };
        let output = id_of(output, "knitId");
        assert!(heard.contains(&output), "the Run that made {output} is done, and no Worker came: {heard:#?}");
    }
}

fn seen(tale: &Tale) -> String {
    let runs = tale.list("/api/runs");
    let count = |status: &str| runs.iter().filter(|run| run["status"] == status).count();
    let counts = [("done", count("done")), ("failed", count("failed")), ("invalidated", count("invalidated"))];
    let counts = counts.iter().filter(|(_, count)| *count > 0).map(|(status, count)| format!("{count} {status}"));
    let mut words: Vec<String> = counts.collect();
    words.push(format!("{} Workers", tale.door.heard().len()));
    words.push(format!("{} volumes", tale.server.keeps().len()));
    words.join(", ")
}
