//! People do something about Runs: retry, delete, abort, and tell the server to stop while they run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use knit_tests::workshop::id_of;
use serde_json::json;

use super::runs::{remember_its_end, remember_status, worker};
use super::tale::{Died, Tale, Told};

pub(super) fn retry(tale: &mut Tale) -> Told<()> {
    let plan = worker(tale, "echo x > /out/it; echo said; exit 3").input("/in", &["a:b"]).output("/out", &["is:made"]);
    let plan = tale.register(&plan)?;
    tale.push("x", "a:b")?;
    remember_its_end(tale, &plan, 3, None);
    let run = id_of(&tale.ended_run_of(&plan)?, "runId");
    tale.well("PUT", &format!("/api/runs/{run}/retry"), None)?;
    let id = run.clone();
    tale.remember(move |tale| {
        let attempts = tale.list(&format!("/api/runs/{id}/attempts"));
        let log = tale.server.http().get(&format!("/api/runs/{id}/attempts/1/log"));
        if attempts.len() == 2 && log.status == 200 && log.text() == "said\n" {
            return Ok(());
        }
        Err(format!("a retried Run has two attempts, and the log of the first: {attempts:#?}, {}", log.text()))
    });
    tale.until("the second attempt to end", |tale| {
        let attempts = tale.well("GET", &format!("/api/runs/{run}/attempts"), None)?.json();
        Ok((attempts[1]["status"] == "failed").then_some(()))
    })
}

pub(super) fn delete(tale: &mut Tale) -> Told<()> {
    let plan = worker(tale, "echo x > /out/it").input("/in", &["a:b"]).output("/out", &["is:made"]);
    let plan = tale.register(&plan)?;
    let data = tale.upload("x")?;
    let _ = tale.well("PUT", &format!("/api/data/{data}"), Some(&json!({"add": ["a:b"]})))?;
    let run = id_of(&tale.ended_run_of(&plan)?, "runId");
    let upload = tale.well("GET", &format!("/api/data?tag=knit%23id%3A{data}"), None)?.json();
    let upload = id_of(&upload[0]["upstream"]["run"], "runId");
    tale.well("DELETE", &format!("/api/runs/{run}"), None)?;
    let deleted = run.clone();
    tale.remember(move |tale| match tale.look(&format!("/api/runs/{deleted}")) {
        // With the Data it remembers, the tombstone goes as well.
        None => Ok(()),
        Some(now) if now["status"] == "invalidated" => Ok(()),
        Some(now) => Err(format!("the deleted Run is back: {now:#}")),
    });
    tale.well("DELETE", &format!("/api/runs/{upload}"), None)?;
    tale.remember(move |tale| match tale.list("/api/runs").len() {
        0 => Ok(()),
        left => Err(format!("{left} Runs are left where all were deleted")),
    });
    tale.until("the volumes to be destroyed", |tale| Ok(tale.settled_with_nothing()?.then_some(())))
}

pub(super) fn early_delete(tale: &mut Tale) -> Told<()> {
    let run = held(tale, "true", "waiting")?;
    tale.well("DELETE", &format!("/api/runs/{run}"), None)?;
    remember_status(tale, &run, "invalidated");
    Ok(())
}

pub(super) fn stopped(tale: &mut Tale, how: &str, code: i64) -> Told<()> {
    let run = endless(tale)?;
    tale.well("PUT", &format!("/api/runs/{run}/{how}"), None)?;
    let id = run.clone();
    tale.remember(move |tale| match tale.look(&format!("/api/runs/{id}")) {
        Some(now) if now["exit"]["code"] == json!(code) => Ok(()),
        other => Err(format!("a stopped Run ends with {code}: {other:#?}")),
    });
    tale.until("the stopped Run to end", |tale| {
        let now = tale.well("GET", &format!("/api/runs/{run}"), None)?.json();
        Ok(matches!(now["status"].as_str(), Some("done" | "failed")).then_some(()))
    })
}

pub(super) fn early_abort(tale: &mut Tale) -> Told<()> {
    let run = held(tale, "while :; do sleep 0.05; done", "starting")?;
    tale.well("PUT", &format!("/api/runs/{run}/abort"), None)?;
    remember_status(tale, &run, "failed");
    Ok(())
}

/// A Run of `script` that has this status and goes no further, because the server is held.
fn held(tale: &mut Tale, script: &str, status: &str) -> Told<String> {
    let plan = worker(tale, script).input("/in", &["a:b"]).output("/out", &["is:made"]);
    let plan = tale.register(&plan)?;
    tale.push("x", "a:b")?;
    let run = id_of(&tale.only_run_of(&plan, |run| run["status"] == status)?, "runId");
    tale.until_held()?;
    Ok(run)
}

pub(super) fn stop(tale: &mut Tale) -> Told<()> {
    endless(tale)?;
    tale.server.tell_to_stop();
    Ok(())
}

/// The directory of a living Worker is copied, and the Run ends.
pub(super) fn restored(tale: &mut Tale) -> Told<()> {
    let run = endless(tale)?;
    let copies = copies(tale);
    fs::create_dir_all(&copies).expect("a directory can be made");
    copy(&tale.server.state_dir().join("workers"), &copies);
    tale.well("PUT", &format!("/api/runs/{run}/abort"), None)?;
    remember_status(tale, &run, "failed");
    Ok(())
}

fn endless(tale: &mut Tale) -> Told<String> {
    let plan = worker(tale, "echo began > /out/it; while :; do sleep 0.05; done");
    let plan = tale.register(&plan.input("/in", &["a:b"]).output("/out", &["is:made"]))?;
    tale.push("x", "a:b")?;
    let run = id_of(&tale.only_run_of(&plan, |run| run["status"] == "running")?, "runId");
    // A Run is running from when its Worker is spawned. One that is torn off before its Worker has said a word is
    // done, and would look as if no Worker had ever come.
    tale.until("the Worker to arrive", |tale| {
        if tale.server.has_died() { Err(Died) } else { Ok((!tale.door.heard().is_empty()).then_some(())) }
    })?;
    Ok(run)
}

pub(super) fn copies(tale: &Tale) -> PathBuf {
    tale.server.desk().join("copies")
}

pub(super) fn copy(from: &Path, into: &Path) {
    let copied = Command::new("cp").arg("-r").arg(from).arg(into).status().expect("`cp` runs");
    assert!(copied.success(), "{} is copied", from.display());
}
