//! Runs through the API: reading, stopping, retrying, deleting, logs, attempts (web-api 2.4, 4.8).

use bytes::Bytes;
use knit_domain::id::RunId;
use knit_domain::run::Status;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::client::PATIENCE;
use crate::kit::{World, spec};

const UNKNOWN: &str = "/api/runs/3b0f5a52-6c1e-4d0e-9a53-0d1f6f6b7c11";

struct Fixture {
    world: World,
    data: String,
    plan: String,
    run: RunId,
    target: String,
}

/// One Data, one Plan that takes it, and the Run of both.
async fn one_run() -> Fixture {
    let world = World::new().await;
    let data = world.push(&["type:corpus"]).await;
    let plan = world.plan(&spec("type:corpus")).await;
    let run = world.run_of(&plan).await;
    Fixture { target: format!("/api/runs/{run}"), world, data, plan, run }
}

fn run_ids(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|run| run["runId"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_run_detail_has_the_shape_of_the_wire() {
    let Fixture { world, data, plan, run, target } = one_run().await;
    world.bring(run, Status::Failed).await;
    let detail = world.get(&target).await.expect(200).json();
    assert_eq!(
        detail,
        json!({
            "runId": run.to_string(),
            "status": "failed",
            "updatedAt": detail["updatedAt"],
            "exit": {"code": 3, "message": "(container main) Error"},
            "plan": {"planId": plan, "image": "host:latest", "args": ["true"]},
            "inputs": [{"path": "/in", "tags": ["type:corpus"], "knitId": data}],
            "outputs": [{"path": "/out", "tags": ["type:model"], "knitId": detail["outputs"][0]["knitId"]}],
            "log": {"tags": ["type:log"], "knitId": detail["log"]["knitId"]},
        })
    );
    assert!(detail["updatedAt"].as_str().unwrap().ends_with("+00:00"));
    let upload = world.get(&format!("/api/runs?knitIdOutput={data}")).await.expect(200).json();
    assert_eq!(upload[0]["log"], Value::Null, "`log` is null, not absent, when there is none");
    assert_eq!((upload[0].get("exit"), &upload[0]["inputs"]), (None, &json!([])));
}

#[tokio::test]
async fn a_retry_of_an_upload_in_use_sends_nobody_to_delete_what_uses_it() {
    let Fixture { world, data, .. } = one_run().await;
    let uploads = world.get(&format!("/api/runs?knitIdOutput={data}")).await.expect(200).json();
    let refused = world.call("PUT", &format!("/api/runs/{}/retry", run_ids(&uploads)[0])).await.expect(409).message();
    assert!(refused.starts_with("output of the run is in use\nroot Run cannot be retried\n"), "{refused}");
    assert!(!refused.contains("delete"), "{refused}");
}

#[tokio::test]
async fn a_run_that_has_not_started_is_not_torn_off_and_its_log_is_gone_when_it_is_removed() {
    let Fixture { world, target, .. } = one_run().await;
    let refused = world.call("PUT", &format!("{target}/tearoff")).await.expect(409).message();
    assert!(refused.contains("`knit run stop --fail` ends it"), "{refused}");
    world.call("DELETE", &target).await.expect(204);
    let gone = world.get(&format!("{target}/log")).await.expect(404).message();
    assert!(gone.contains("went when it was deleted"), "{gone}");
}

#[tokio::test]
async fn fnd_17_to_19_runs_are_found_by_every_dimension_in_order() {
    let Fixture { world, data, plan, run, .. } = one_run().await;
    world.bring(run, Status::Done).await;
    let run = run.to_string();
    let all = world.get("/api/runs/?since=0001-01-01T00%3A00%3A00Z").await.expect(200).json();
    assert_eq!(run_ids(&all)[1], run, "by their last change: the upload was over before");
    let unknown = "3b0f5a52-6c1e-4d0e-9a53-0d1f6f6b7c11";
    for (query, found) in [
        (format!("knitIdInput={unknown},{data}"), true),
        (format!("knitIdInput={data}&plan={plan}&status=done,failed"), true),
        (format!("knitIdInput={data}&plan={plan}&status=failed"), false),
        (format!("knitIdInput={data}&plan={unknown}"), false),
        (format!("plan={plan}&plan={unknown}"), true),
        (format!("plan={unknown}&plan={plan}"), false),
        ("plan=".to_owned(), false),
        (format!("plan={plan}&since=9999-01-01T00:00:00Z"), false),
    ] {
        let runs = world.get(&format!("/api/runs?{query}")).await.expect(200).json();
        assert_eq!(run_ids(&runs), if found { vec![run.as_str()] } else { vec![] }, "{query}");
    }
}

#[tokio::test]
async fn fnd_20_bad_queries_for_runs_are_refused() {
    let world = World::new().await;
    for query in ["status=invalidated", "status=", "status=done,,failed", "since=x", "duration=1h"] {
        let refused = world.get(&format!("/api/runs?{query}")).await.expect(400);
        assert!(refused.message().starts_with("bad request\n"), "{query}");
    }
}

#[tokio::test]
async fn an_aborted_run_says_by_whom_and_a_second_abort_changes_nothing() {
    let Fixture { world, run, target, .. } = one_run().await;
    world.bring(run, Status::Running).await;
    for _ in 0..2 {
        let aborting = world.call("PUT", &format!("{target}/abort")).await.expect(200).json();
        assert_eq!(aborting["status"], "aborting");
        assert_eq!(aborting["exit"], json!({"code": 253, "message": "aborted by user"}));
    }
    world.bring(run, Status::Failed).await;
    let refused = world.call("PUT", &format!("{target}/abort/")).await.expect(409);
    let told = "prohibited operation\nit has ended: nothing is left to stop\n caused by:";
    assert!(refused.message().starts_with(told), "{}", refused.message());
    world.call("PUT", &format!("{UNKNOWN}/abort")).await.expect(404);
}

#[tokio::test]
async fn a_torn_off_run_succeeds() {
    let Fixture { world, run, target, .. } = one_run().await;
    let refused = world.call("PUT", &format!("{target}/tearoff")).await.expect(409);
    assert!(refused.message().starts_with("prohibited operation\n"));
    world.bring(run, Status::Running).await;
    let completing = world.call("PUT", &format!("{target}/tearoff")).await.expect(200).json();
    assert_eq!(completing["status"], "completing");
    assert_eq!(completing["exit"], json!({"code": 0, "message": "stopped by user"}));
    world.call("PUT", &format!("{UNKNOWN}/tearoff")).await.expect(404);
}

#[tokio::test]
async fn rty_13_outcomes_of_retry_through_the_api() {
    let Fixture { world, data, run, target, .. } = one_run().await;
    world.bring(run, Status::Running).await;
    let live = world.call("PUT", &format!("{target}/retry")).await.expect(409);
    assert!(live.message().starts_with("the run may not be finished\n"), "{}", live.message());
    world.bring(run, Status::Failed).await;
    let before = world.get(&target).await.json();
    let retried = world.call("PUT", &format!("{target}/retry")).await.expect(200);
    assert_eq!((retried.body.as_slice(), retried.header("content-type")), (&b""[..], None));
    let after = world.get(&target).await.json();
    assert_eq!((&after["status"], after.get("exit")), (&json!("waiting"), None));
    assert_ne!(after["outputs"][0]["knitId"], before["outputs"][0]["knitId"]);
    world.call("PUT", &format!("{UNKNOWN}/retry")).await.expect(404);
    let root =
        world.get(&format!("/api/runs?knitIdOutput={data}")).await.json()[0]["runId"].as_str().unwrap().to_owned();
    let used = world.call("PUT", &format!("/api/runs/{root}/retry")).await.expect(409);
    assert!(used.message().starts_with("output of the run is in use\n"), "{}", used.message());
}

#[tokio::test]
async fn rty_07_an_upload_cannot_be_retried() {
    let world = World::new().await;
    world.push(&[]).await;
    let root = world.get("/api/runs").await.json()[0]["runId"].as_str().unwrap().to_owned();
    let refused = world.call("PUT", &format!("/api/runs/{root}/retry")).await.expect(409);
    assert!(
        refused.message().starts_with("prohibited operation\nroot Run cannot be retried\n"),
        "{}",
        refused.message()
    );
}

#[tokio::test]
async fn a_deleted_run_is_listed_as_invalidated_without_its_data() {
    let Fixture { world, data, run, target, .. } = one_run().await;
    world.bring(run, Status::Running).await;
    let live = world.call("DELETE", &target).await.expect(409);
    assert!(live.message().starts_with("output of the run is in use\n"), "{}", live.message());
    world.bring(run, Status::Done).await;
    let root =
        world.get(&format!("/api/runs?knitIdOutput={data}")).await.json()[0]["runId"].as_str().unwrap().to_owned();
    world.call("DELETE", &format!("/api/runs/{root}")).await.expect(409);

    let deleted = world.call("DELETE", &target).await.expect(204);
    assert_eq!(deleted.body, b"");
    let tombstone = world.get(&target).await.expect(200).json();
    assert_eq!(tombstone["status"], "invalidated");
    assert_eq!((&tombstone["outputs"][0]["knitId"], &tombstone["log"]["knitId"]), (&json!(""), &json!("")));
    assert_eq!(world.get("/api/data?tag=type:model").await.json(), json!([]));
    world.call("DELETE", &target).await.expect(404);
    world.call("PUT", &format!("{target}/retry")).await.expect(404);

    world.call("DELETE", &format!("/api/runs/{root}")).await.expect(204);
    assert_eq!(world.get("/api/runs").await.json(), json!([]));
    world.get(&target).await.expect(404);
}

#[tokio::test]
async fn lin_09_an_invalidated_run_is_no_downstream() {
    let Fixture { world, data, run, target, .. } = one_run().await;
    world.bring(run, Status::Failed).await;
    world.call("DELETE", &target).await.expect(204);
    let found = world.get(&format!("/api/data?tag=knit%23id%3A{data}")).await.json();
    assert_eq!(found[0]["downstreams"], json!([]));
}

#[tokio::test]
async fn log_01_there_is_no_log_of_unknown_deleted_or_silent_runs() {
    let Fixture { world, data, run, target, .. } = one_run().await;
    world.get(&format!("{UNKNOWN}/log")).await.expect(404);
    let root =
        world.get(&format!("/api/runs?knitIdOutput={data}")).await.json()[0]["runId"].as_str().unwrap().to_owned();
    assert!(world.get(&format!("/api/runs/{root}/log?follow")).await.expect(404).message().contains("no log"));
    world.bring(run, Status::Failed).await;
    world.call("DELETE", &target).await.expect(204);
    world.get(&format!("{target}/log")).await.expect(404);
}

#[tokio::test]
async fn a_run_that_has_not_started_has_no_log_yet() {
    let Fixture { world, run, target, .. } = one_run().await;
    for status in [Status::Waiting, Status::Ready] {
        world.bring(run, status).await;
        for query in ["", "?follow"] {
            let later = world.get(&format!("{target}/log{query}")).await.expect(503);
            assert!(later.message().starts_with("service unavailable temporaly\nplease retry later.\n"));
        }
    }
}

#[tokio::test]
async fn log_03_a_live_log_is_flushed_piece_by_piece_until_the_worker_ends() {
    let Fixture { world, run, target, .. } = one_run().await;
    world.bring(run, Status::Running).await;
    for query in ["follow", "follow=", "follow=false"] {
        let live = world.shelf.live_log();
        let mut socket = TcpStream::connect(world.server).await.unwrap();
        let request = format!("GET {target}/log?{query} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut seen = String::new();
        for line in ["first\n", "second\n"] {
            live.send(Ok(Bytes::from(line))).await.unwrap();
            let arrives = async {
                while !seen.contains(line) {
                    let mut piece = [0; 4096];
                    let read = socket.read(&mut piece).await.unwrap();
                    assert_ne!(read, 0, "the log goes on");
                    seen.push_str(std::str::from_utf8(&piece[..read]).unwrap());
                }
            };
            tokio::time::timeout(PATIENCE, arrives).await.expect("every line is sent before the next is there");
        }
        assert!(seen.contains("content-type: application/octet-stream"), "{seen}");
        drop(live);
        let mut rest = String::new();
        tokio::time::timeout(PATIENCE, socket.read_to_string(&mut rest)).await.unwrap().unwrap();
        assert!(rest.ends_with("0\r\n\r\n"), "the stream ends as the Worker does: {rest:?}");
    }
}

#[tokio::test]
async fn log_04_the_stored_log_is_read_when_the_run_is_over() {
    let Fixture { world, run, target, .. } = one_run().await;
    for status in [Status::Running, Status::Completing, Status::Done] {
        world.bring(run, status).await;
        let queries: &[&str] = if status == Status::Running { &[""] } else { &["", "?follow"] };
        for query in queries {
            let log = world.get(&format!("{target}/log{query}")).await.expect(200);
            assert_eq!(log.header("content-type"), Some("application/octet-stream"));
            assert_eq!(String::from_utf8(log.body).unwrap(), format!("/log of {run}"));
        }
    }
    // Nobody reads it any more when its reader has the end.
    world.call("DELETE", &target).await.expect(204);
}

#[tokio::test]
async fn a_run_that_was_aborted_before_it_started_has_an_empty_log() {
    let Fixture { world, run, target, .. } = one_run().await;
    world.call("PUT", &format!("{target}/abort")).await.expect(200);
    for volume in world.shelf.volumes() {
        knit_runtime::Runtime::destroy_volume(world.app.runtime().as_ref(), &volume).await.unwrap();
    }
    world.bring(run, Status::Failed).await;
    let log = world.get(&format!("{target}/log")).await.expect(200);
    assert_eq!(log.body, b"");
}

#[tokio::test]
async fn an_earlier_attempt_stays_readable() {
    let Fixture { world, run, target, .. } = one_run().await;
    world.bring(run, Status::Failed).await;
    world.call("PUT", &format!("{target}/retry")).await.expect(200);
    world.bring(run, Status::Done).await;
    let attempts = world.get(&format!("{target}/attempts")).await.expect(200).json();
    let words: Vec<(u64, &str, &str)> = (attempts.as_array().unwrap().iter())
        .map(|attempt| {
            (
                attempt["attempt"].as_u64().unwrap(),
                attempt["status"].as_str().unwrap(),
                attempt["cause"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(words, [(1, "failed", "worker-failed"), (2, "done", "worker-succeeded")]);
    assert_eq!(attempts[0]["exit"], json!({"code": 3, "message": "(container main) Error"}));
    let kept = world.get(&format!("{target}/attempts/1/log")).await.expect(200);
    assert_eq!(String::from_utf8(kept.body).unwrap(), format!("/log of {run}"));
    assert_eq!(kept.headers.iter().find(|(name, _)| name == "content-type").unwrap().1, "application/octet-stream");
    let present = world.get(&format!("{target}/attempts/2/log")).await.expect(200);
    assert_eq!(String::from_utf8(present.body).unwrap(), format!("/log of {run}"));
    for attempt in ["0", "3", "x"] {
        world.get(&format!("{target}/attempts/{attempt}/log")).await.expect(404);
    }
    world.get(&format!("{UNKNOWN}/attempts")).await.expect(404);
}
