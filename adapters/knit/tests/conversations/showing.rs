//! How one thing is shown: sentences on a terminal, and the words of `--output` everywhere.

use serde_json::{Value, json};

use crate::data;
use crate::kit::Place;
use crate::server::{Reply, Server};

const RUN: &str = "1b1b1b1b-0000-4000-8000-000000000001";
const PLAN: &str = "2c2c2c2c-0000-4000-8000-000000000002";

fn run() -> Value {
    json!({"runId": RUN, "status": "done", "updatedAt": "2025-03-03T10:02:47.05+00:00",
           "plan": {"planId": PLAN, "image": "trainer:1", "args": ["train.py"]},
           "inputs": [{"path": "/in", "tags": ["type:corpus"], "knitId": "d1"}],
           "outputs": [{"path": "/out", "tags": ["type:model"], "knitId": "d2"}],
           "log": {"tags": ["type:log"], "knitId": "d3"}})
}

fn attempts() -> Value {
    json!([
        {"attempt": 1, "status": "failed", "createdAt": "2025-03-03T09:00:00+00:00",
         "endedAt": "2025-03-03T09:00:05+00:00", "exit": {"code": 3, "message": "(container main) Error"}},
        {"attempt": 2, "status": "done", "createdAt": "2025-03-03T10:00:00+00:00",
         "startedAt": "2025-03-03T10:00:01+00:00", "endedAt": "2025-03-03T10:02:47+00:00"},
    ])
}

fn plan() -> Value {
    json!({"planId": PLAN, "image": "trainer:1", "args": ["train.py"], "active": true, "annotations": ["by=somebody"],
           "inputs": [{"path": "/in", "tags": ["type:corpus"], "upstreams": [
               {"plan": {"planId": "p0", "image": "cleaner:1"}, "mountpoint": {"path": "/out", "tags": []}}]}],
           "outputs": [{"path": "/out", "tags": ["type:model"], "downstreams": []}],
           "log": {"tags": ["type:log"], "downstreams": []},
           "resources": {"cpu": "1", "memory": "1Gi"}})
}

/// A server that knows one of everything.
fn one_of_each() -> Server {
    let matches = json!({"planId": PLAN, "inputs": [], "runs": 1, "pending": 0});
    let difference = json!({"left": "d1", "right": "d2", "asOf": 7, "differing": [], "cut": false});
    let explained = json!({"runId": RUN, "status": "done", "plan": {"planId": PLAN}, "asOf": 7, "inputs": [],
                           "steps": []});
    Server::start(move |request| {
        let path = request.target.split('?').next().unwrap_or_default().to_owned();
        Reply::json(match path.trim_start_matches("/api/") {
            "data/d1/detail" => return Reply::json(&data::detail("d1", &["a:b"])),
            "data/d1/diff" => &difference,
            path if path == format!("runs/{RUN}") => return Reply::json(&run()),
            path if path == format!("runs/{RUN}/attempts") => return Reply::json(&attempts()),
            path if path == format!("runs/{RUN}/explain") => &explained,
            path if path == format!("plans/{PLAN}") => return Reply::json(&plan()),
            path if path == format!("plans/{PLAN}/matches") => &matches,
            _ => return Reply::error(404, "not found"),
        })
    })
}

#[test]
fn one_thing_is_told_in_sentences_on_a_terminal() {
    let server = one_of_each();
    let place = Place::with(&server);
    let told = [["run", "show", RUN], ["plan", "show", PLAN]].map(|words| place.on_80_columns(&words));
    insta::assert_snapshot!(told.join("\n"));
    let one_attempt = place.on_80_columns(&["run", "show", "--attempt", "2", RUN]);
    assert!(one_attempt.contains("attempt 2 of Run"), "{one_attempt}");
    assert!(one_attempt.contains("ran: 2025-03-03 10:00:01 to 10:02:47, 2m 46s"), "{one_attempt}");
}

#[test]
fn what_a_removed_run_made_is_there_no_more() {
    let mut removed = run();
    removed["status"] = json!("invalidated");
    removed["outputs"][0]["knitId"] = json!("");
    removed["log"]["knitId"] = json!("");
    let server = Server::start(move |request| {
        if request.target.ends_with(RUN) { Reply::json(&removed) } else { Reply::error(404, "not found") }
    });
    let told = Place::with(&server).on_80_columns(&["run", "show", RUN]);
    assert!(told.contains("\n  /out  nothing any more  `type:model`\n") && !told.contains("\nlog: "), "{told}");
}

#[test]
fn every_verb_that_tells_of_one_thing_takes_the_words_of_those_that_list() {
    let server = one_of_each();
    let place = Place::with(&server);
    for (words, field, id) in [
        (&["data", "show", "d1"][..], "knitId", "d1"),
        (&["data", "diff", "d1", "d2"], "left", "d1"),
        (&["run", "show", RUN], "runId", RUN),
        (&["run", "explain", RUN], "runId", RUN),
        (&["plan", "show", PLAN], "planId", PLAN),
        (&["plan", "why-not", PLAN], "planId", PLAN),
    ] {
        let told = |more: &[&str]| place.knit(&[words, more].concat()).succeeded().stdout;
        assert_eq!(told(&[]), told(&["-o", "json"]), "{words:?}");
        assert_eq!(told(&["-o", "table"]), told(&["--output", "text"]), "{words:?}");
        assert!(told(&["-o", "yaml"]).lines().any(|line| line == format!("{field}: {id}")), "{words:?}");
        assert!(told(&["-o", "name"]).starts_with(&format!("{id}\n")), "{words:?}");
        assert_eq!(told(&["--json", field]), format!("{{\n    \"{field}\": \"{id}\"\n}}\n"), "{words:?}");
        let refused = place.knit(&[words, &["--json", "nonsense"]].concat());
        assert!(refused.code == 2 && refused.stderr.contains("there is no such field, but"), "{refused}");
    }
}

#[test]
fn a_log_is_printed_as_it_is_and_in_no_other_form() {
    let server = one_of_each();
    let refused = Place::with(&server).knit(&["run", "show", "--log", "-o", "yaml", RUN]);
    assert_eq!((refused.code, refused.stdout.as_str()), (2, ""), "{refused}");
    assert_eq!(server.lines(), Vec::<String>::new());
}

#[test]
fn what_is_of_another_time_says_on_a_terminal_of_when() {
    let recorded = json!({"event": {"position": 7, "recordedAt": "2025-03-03T09:15:02.418+00:00"}});
    let server = Server::start(move |request| match request.target.as_str() {
        "/api/events/7" => Reply::json(&recorded),
        _ => Reply::json(&json!([])).header("x-knit-position", "7"),
    });
    let place = Place::with(&server);
    for kind in ["data", "plan", "run"] {
        let seen = place.on_a_terminal(&[kind, "find", "--as-of", "7"]);
        assert!(seen.starts_with("as of position 7, recorded 2025-03-03 09:15:02\r\n"), "{seen:?}");
        let seen = place.on_a_terminal(&[kind, "find", "--as-of", "2025-03-03T10:15Z"]);
        assert!(seen.starts_with("as of 2025-03-03 10:15:00, position 7\r\n"), "{seen:?}");
        assert_eq!(place.knit(&[kind, "find", "--as-of", "7"]).succeeded().stderr, "", "programs know what they asked");
    }
}
