//! `knit run …`.

use serde_json::{Value, json};

use crate::kit::Place;
use crate::server::{Reply, Server};

fn detail(status: &str, exit: Option<Value>) -> Value {
    let mut run = json!({
        "runId": "r1", "status": status, "updatedAt": "2025-03-03T10:02:47.05+00:00",
        "plan": {"planId": "p1", "image": "train:v3"},
        "inputs": [{"path": "/in/corpus", "tags": ["type:corpus"], "knitId": "d1"}],
        "outputs": [{"path": "/out/model", "tags": ["type:model"], "knitId": "d2"}],
        "log": {"tags": ["type:log"], "knitId": "d3"}
    });
    if let Some(exit) = exit {
        run["exit"] = exit;
    }
    run
}

#[test]
fn runs_are_found_by_alternatives_joined_with_commas() {
    let server = Server::start(|_| Reply::json(&json!([])));
    let place = Place::with(&server);
    place.knit(&["run", "find"]).succeeded();
    let all = [
        "run",
        "find",
        "-p",
        "a",
        "-p",
        "b",
        "-i",
        "c",
        "-o",
        "d",
        "-s",
        "done",
        "-s",
        "failed",
        "--since",
        "2025-03-03Z",
    ];
    place.knit(&all).succeeded();
    assert_eq!(
        server.lines(),
        [
            "GET /api/runs",
            "GET /api/runs?plan=a%2Cb&knitIdInput=c&knitIdOutput=d&status=done%2Cfailed&since=2025-03-03T00%3A00%3A00Z",
            "GET /api/ids?of=plan&prefix=a",
            "GET /api/ids?of=plan&prefix=b",
            "GET /api/ids?of=data&prefix=c",
            "GET /api/ids?of=data&prefix=d",
        ]
    );
}

#[test]
fn a_failed_upload_says_what_to_do() {
    let mut run = detail("failed", None);
    run["plan"] = json!({"planId": "p0", "name": "knit#uploaded"});
    let told = |explained: serde_json::Value| {
        let run = run.clone();
        let server = Server::start(move |request| {
            Reply::json(if request.target.ends_with("/explain") { &explained } else { &run })
        });
        Place::with(&server).knit(&["run", "show", "r1"]).stderr
    };
    let explained = json!({
        "runId": "r1", "status": "failed", "plan": {"planId": "p0", "name": "knit#uploaded"}, "asOf": 7,
        "inputs": [], "steps": [], "failure": {"cause": "upload-failed", "reason": "it is no gzip"}
    });
    assert_eq!(
        told(explained),
        "note: the upload failed, and nothing of it is kept: it is no gzip\nhint: push it again\n"
    );
    // As an older server answers, which recorded no reason.
    assert_eq!(
        told(json!({})),
        "note: the upload failed, and nothing of it is kept: it was refused or broke off\nhint: push it again\n"
    );
}

#[test]
fn a_removed_run_says_that_it_is_removed() {
    let server = Server::start(|_| Reply::json(&detail("invalidated", None)));
    let told = Place::with(&server).knit(&["run", "show", "r1"]).stderr;
    assert!(
        told.starts_with("note: the Run is removed, and so are the Data that it made; its Plan is not run"),
        "{told}"
    );
}

#[test]
fn a_run_that_does_not_start_says_what_it_waits_for() {
    let told = |status: &'static str| {
        let server = Server::start(move |_| Reply::json(&detail(status, None)));
        Place::with(&server).knit(&["run", "show", "r1"]).succeeded().stderr
    };
    assert_eq!(
        told("deactivated"),
        "note: the Run does not start, because its Plan is switched off\n\
         hint: `knit plan active yes p1` lets it start; `knit run stop --fail r1` ends it\n"
    );
    assert!(told("starting").contains("it may wait until there is room for it"));
    assert_eq!(told("waiting"), "");
}

#[test]
fn a_run_that_used_too_much_memory_says_how_to_give_it_more() {
    let exit = json!({"code": 137, "message": "(container main) OOMKilled"});
    let server = Server::start(move |request| match request.target.as_str() {
        "/api/runs/r1" => Reply::json(&detail("failed", Some(exit.clone()))),
        "/api/plans/p1" => Reply::json(&json!({
            "planId": "p1", "image": "train:v3", "inputs": [], "outputs": [], "active": true,
            "resources": {"cpu": "1", "memory": "1536Mi"}
        })),
        _ => Reply::error(404, "not found"),
    });
    let told = Place::with(&server).knit(&["run", "show", "r1"]).succeeded().stderr;
    assert_eq!(
        told,
        "note: the Run failed: it used more memory than its Plan allows (OOMKilled, exit code 137)\n\
         hint: the Plan allows 1536Mi at present; for twice that: `knit plan resource --set memory=3072Mi p1`, \
         then `knit run retry r1`\n\
         hint: `knit run show --log r1` prints its log\n"
    );
}

/// What `run show` says beside the record of a Run that failed with `exit`.
fn told_of_a_failure(exit: &Value) -> String {
    let run = detail("failed", Some(exit.clone()));
    let server = Server::start(move |_| Reply::json(&run));
    Place::with(&server).knit(&["run", "show", "r1"]).succeeded().stderr
}

#[test]
fn a_run_whose_worker_never_ran_has_no_log_to_look_into() {
    let told = told_of_a_failure(
        &json!({"code": 255, "message": "there is no `gpu`: `knit plan resource --unset gpu PLAN_ID`"}),
    );
    assert!(told.contains("hint: when that is mended, `knit run retry r1` runs it again\n"), "{told}");
    assert!(told.contains("there is no `gpu`: `knit plan resource --unset gpu p1`"), "{told}");
    assert!(!told.contains("--log"), "{told}");
}

#[test]
fn where_only_another_plan_helps_a_retry_is_not_advised() {
    let told =
        told_of_a_failure(&json!({"code": 255, "message": "it has no command: register a Plan with an `entrypoint`"}));
    assert!(told.ends_with("hint: `knit plan active no p1` keeps the Plan that cannot run from trying\n"), "{told}");
    assert!(!told.contains("retry"), "{told}");
}

#[test]
fn a_program_that_is_not_there_is_told() {
    let told = told_of_a_failure(&json!({"code": 127, "message": "(container main) Error"}));
    assert!(told.contains("mostly means that a program of the command is not in the image"), "{told}");
}

#[test]
fn a_failed_run_says_why() {
    let exit = json!({"code": 1, "message": "(container main) Error"});
    let server = Server::start(move |_| Reply::json(&detail("failed", Some(exit.clone()))));
    insta::assert_snapshot!(Place::with(&server).knit(&["run", "show", "r1"]));
}

#[test]
fn a_run_that_did_not_fail_needs_no_words() {
    let server = Server::start(|_| Reply::json(&detail("running", None)));
    assert_eq!(Place::with(&server).knit(&["run", "show", "r1"]).succeeded().stderr, "");
}

#[test]
fn a_log_is_printed_to_the_byte() {
    let server = Server::start(|_| Reply::bytes(b"epoch 1\nepoch 2 \xff".to_vec()));
    let place = Place::with(&server);
    let output = place.command(&["run", "show", "--log", "r1"]).output().unwrap();
    assert_eq!(output.stdout, b"epoch 1\nepoch 2 \xff");
    place.knit(&["run", "show", "--log", "-f", "r1"]).succeeded();
    place.knit(&["run", "show", "--log", "--attempt", "2", "r1"]).succeeded();
    assert_eq!(
        server.lines(),
        ["GET /api/runs/r1/log", "GET /api/runs/r1/log?follow", "GET /api/runs/r1/attempts/2/log"]
    );
}

#[test]
fn a_log_that_breaks_off_is_a_failure() {
    let server = Server::start(|_| Reply::bytes("epoch 1\n").broken());
    let answer = Place::with(&server).knit(&["run", "show", "--log", "r1"]);
    assert_eq!((answer.code, answer.stdout.as_str()), (3, "epoch 1\n"));
}

#[test]
fn a_log_that_is_not_there_yet_tells_where_to_look() {
    let server = Server::start(|_| Reply::error(503, "service unavailable temporaly\nplease retry later."));
    insta::assert_snapshot!(Place::with(&server).knit(&["run", "show", "--log", "r1"]));
}

#[test]
fn a_followed_log_is_waited_for_until_the_run_starts() {
    let asked = std::sync::atomic::AtomicUsize::new(0);
    let statuses = ["deactivated", "waiting", "ready", "starting", "running"];
    let server = Server::start(move |request| {
        // The Run goes on with each look at it; its log is there when it runs.
        let at = asked.load(std::sync::atomic::Ordering::SeqCst);
        if request.target == "/api/runs/r1" {
            asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            Reply::json(&detail(statuses[at], None))
        } else if at < 4 {
            Reply::error(503, "service unavailable temporaly\nplease retry later.")
        } else {
            Reply::bytes("epoch 1\n")
        }
    });
    let answer = Place::with(&server).knit(&["run", "show", "--log", "--follow", "r1"]).succeeded();
    assert_eq!(answer.stdout, "epoch 1\n");
    assert_eq!(
        answer.stderr,
        "note: waiting for the Run to start; its Plan is switched off: `knit plan active yes p1` lets it\n\
         note: waiting for the Run to start\n"
    );
    assert_eq!(server.lines()[..2], ["GET /api/runs/r1/log?follow", "GET /api/runs/r1"]);
}

#[test]
fn a_log_that_never_comes_is_not_waited_for_without_end() {
    let server = Server::start(|request| match request.target.as_str() {
        "/api/runs/r1" => Reply::json(&detail("done", None)),
        _ => Reply::error(503, "service unavailable temporaly\nthe log is with another server"),
    });
    let answer = Place::with(&server).knit(&["run", "show", "--log", "-f", "r1"]);
    assert_eq!(answer.code, 1);
    assert!(answer.stderr.contains("the log is with another server"), "{answer}");
}

#[test]
fn the_log_of_no_run_is_told_from_one_that_is_not_kept() {
    let told = |advice: &'static str| {
        let server = Server::start(move |_| Reply::error(404, &format!("not found\n{advice}")));
        Place::with(&server).knit(&["run", "show", "--log", "r1"]).stderr
    };
    assert!(told("there is no Run `r1`").contains("hint: `knit run find` lists all Runs"));
    assert!(!told("the Run `r1` was removed, and its log with it").contains("hint"));
    assert!(told("the Plan of this Run keeps no log").contains("with `log:` in its file, a Plan keeps logs"));
}

#[test]
fn earlier_attempts_stay_readable() {
    let server = Server::start(|_| {
        Reply::json(&json!([
            {"attempt": 1, "status": "failed", "createdAt": "2025-03-03T09:00:00+00:00",
             "startedAt": "2025-03-03T09:00:01+00:00", "endedAt": "2025-03-03T09:00:09.5+00:00",
             "exit": {"code": 137, "message": ""}, "cause": "worker-failed",
             "notes": ["`on_node: prefer: disk=ssd` was ignored: there is only this machine"],
             "log": {"sha256": "ab", "bytes": 65536, "totalBytes": 100000}},
            {"attempt": 2, "status": "running", "createdAt": "2025-03-03T10:00:00+00:00"}
        ]))
    });
    let place = Place::with(&server);
    insta::assert_snapshot!(place.knit(&["run", "show", "r1", "--attempt", "1"]));
    insta::assert_snapshot!(place.knit(&["run", "show", "r1", "--attempt", "3"]));
    assert_eq!(server.lines(), ["GET /api/runs/r1/attempts"; 2]);
}

#[test]
fn stopping_removing_and_retrying_say_one_line_and_need_no_body() {
    let server = Server::start(|request| match request.method.as_str() {
        "DELETE" => Reply::nothing(204),
        _ => Reply::nothing(200),
    });
    let place = Place::with(&server);
    let mut text = String::new();
    for words in [
        &["run", "stop", "r1"][..],
        &["run", "stop", "--fail", "r1"],
        &["run", "stop", "-x=false", "r1"],
        &["run", "rm", "r1"],
        &["run", "retry", "r1"],
    ] {
        text += &format!("{}\n", place.knit(words));
    }
    insta::assert_snapshot!(text);
    assert_eq!(
        server.lines(),
        [
            "PUT /api/runs/r1/tearoff",
            "PUT /api/runs/r1/abort",
            "PUT /api/runs/r1/tearoff",
            "DELETE /api/runs/r1",
            "GET /api/runs/r1",
            "PUT /api/runs/r1/retry",
        ]
    );
    assert_eq!(server.requests()[0].header("content-length"), "0");
}

#[test]
fn a_retry_names_what_it_has_discarded() {
    let retried = |status: &'static str| {
        let server = Server::start(move |request| match request.method.as_str() {
            "GET" => Reply::json(&detail(status, None)),
            _ => Reply::nothing(200),
        });
        let told = Place::with(&server).knit(&["run", "retry", "r1"]).succeeded();
        assert_eq!(server.lines(), ["GET /api/runs/r1", "PUT /api/runs/r1/retry"]);
        told.stderr
    };
    let said = "[knit run retry] [TIME] Run `r1` will run again\n";
    let note = "note: discarded what the Run had made: Data `d2` (/out/model), `d3` (log)\n";
    assert_eq!(retried("done"), format!("{note}{said}"));
    assert_eq!(retried("failed"), said, "what a failed Run left is no result");
}

#[test]
fn why_a_run_is_there_is_told_with_days_attempts_and_persons_where_they_change() {
    let moment = |position: u64, day: u32, clock: &str, actor: &str, event: &str| {
        let at = format!("2025-03-0{day}T{clock}.000+00:00");
        json!({"position": position, "at": at, "actor": actor, "event": event})
    };
    let ours = "reactor:projection";
    let step = |attempt: u32, moment: Value, status: &str, waited_ms: u64, waited_for: &str| json!({"attempt": attempt, "moment": moment, "status": status, "waitedMs": waited_ms, "waitedFor": waited_for});
    let told = json!({
        "runId": "r1", "status": "failed", "plan": {"planId": "p1", "image": "trainer:1"}, "asOf": 40,
        "trigger": {"what": "data-available", "knitId": "d1", "paths": ["/in"],
            "moment": moment(11, 3, "09:15:02", "anonymous", "RunSucceeded")},
        "inputs": [{"path": "/in", "knitId": "d1", "madeBy": "r0",
            "available": moment(11, 3, "09:15:02", "anonymous", "RunSucceeded"),
            "tags": [
                {"tag": "is:raw", "since": moment(9, 3, "09:15:01", "anonymous", "DataReserved")},
                {"tag": "is:checked", "since": moment(10, 3, "09:15:01", "anonymous", "DataTagsChanged"),
                    "until": moment(39, 4, "12:00:00", "eve", "DataTagsChanged")}
            ]}],
        "steps": [
            step(1, moment(12, 3, "09:15:02", ours, "RunProjected"), "waiting", 20, "the Run to be made"),
            step(1, moment(20, 3, "09:15:09", ours, "RunFailed"), "failed", 7_000, "its Worker to be removed"),
            step(2, moment(21, 4, "08:00:00", "eve", "RunRetried"), "waiting", 81_891_000, "somebody to retry it"),
            step(2, moment(30, 4, "08:00:03", ours, "RunFailed"), "failed", 3_000, "its Worker to be removed")
        ],
        "failure": {"cause": "worker-failed", "exit": {"code": 3, "message": "(container main) Error"},
            "decided": moment(29, 4, "08:00:02", "reactor:run-management", "RunFailureDecided")}
    });
    let run = detail("done", None);
    let server =
        Server::start(move |request| Reply::json(if request.target.ends_with("/explain") { &told } else { &run }));
    insta::assert_snapshot!(Place::with(&server).knit(&["run", "explain", "-o", "text", "r1"]).succeeded().stdout);
}
