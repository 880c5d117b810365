//! `-o`, `--json` and `--limit` of the verbs that change, wait or draw.

use serde_json::{Value, json};

use crate::data;
use crate::kit::{Conversation, Place};
use crate::server::{Reply, Server};

fn plan(id: &str) -> Value {
    json!({"planId": id, "image": "train:1", "active": true, "inputs": [{"path": "/in", "tags": ["a:b"]}],
           "outputs": [], "resources": {}})
}

fn run(id: &str, status: &str) -> Value {
    json!({"runId": id, "status": status, "updatedAt": "2025-03-03T09:15:02.418+00:00",
           "plan": {"planId": "p1", "image": "train:1"}, "inputs": [], "outputs": [], "log": null})
}

/// What answers to anything that is asked about one thing of its kind.
fn one_of_each() -> Server {
    Server::start(|request| match request.target.split('/').collect::<Vec<_>>()[..] {
        [_, _, "plans", id, ..] => Reply::json(&plan(id)),
        [_, _, "data", id, ..] => Reply::json(&data::detail(id, &["a:b"])),
        [_, _, "runs", id @ "r2", ..] => Reply::json(&run(id, "failed")),
        [_, _, "runs", id, ..] => Reply::json(&run(id, "done")),
        _ => Reply::error(404, "Not Found"),
    })
}

const CHANGES: [&[&str]; 4] = [
    &["plan", "active", "no", "p1"],
    &["plan", "resource", "--set", "cpu=2", "p1"],
    &["plan", "annotate", "--add", "a=b", "p1"],
    &["plan", "serviceaccount", "--unset", "p1"],
];

#[test]
fn a_changed_plan_is_printed_in_any_form_and_as_before_when_none_is_named() {
    let server = one_of_each();
    let place = Place::with(&server);
    for words in CHANGES {
        let printed = |more: &[&str]| place.knit(&[words, more].concat()).succeeded().stdout;
        let whole = printed(&[]);
        assert!(whole.starts_with("{\n    \"planId\": \"p1\",\n") && whole == printed(&["-o", "json"]), "{whole}");
        assert_eq!(printed(&["-o", "name"]), "p1\n");
        assert_eq!(printed(&["--json", "active,planId"]), "{\n    \"active\": true,\n    \"planId\": \"p1\"\n}\n");
        assert!(printed(&["-o", "yaml"]).starts_with("planId: p1\n"));
        assert!(printed(&["-o", "table"]).starts_with("Plan p1 is active\n"));
        assert!(place.on_a_terminal(words).contains("Plan p1 is active"), "{words:?}");
        let asked = server.lines().len();
        let unknown = place.knit(&[words, &["--json", "colour"]].concat());
        assert_eq!((unknown.code, server.lines().len()), (2, asked), "nothing is changed: {unknown}");
    }
}

#[test]
fn a_tagged_data_is_printed_only_in_a_form_that_is_named() {
    let server = one_of_each();
    let place = Place::with(&server);
    let tagged = |more: &[&str]| place.knit(&[&["data", "tag", "--add", "a:b", "d1"], more].concat()).succeeded();
    assert_eq!(tagged(&[]).stdout, "");
    let Conversation { stdout, stderr, .. } = tagged(&["-o", "name"]);
    assert_eq!((stdout.as_str(), stderr.lines().count()), ("d1\n", 1), "{stderr}");
    assert_eq!(tagged(&["--json", "tags"]).stdout, "{\n    \"tags\": [\n        \"a:b\"\n    ]\n}\n");
    assert!(tagged(&["-o", "text"]).stdout.starts_with("Data d1\n"));
    assert!(tagged(&["-o", "yaml"]).stdout.starts_with("knitId: d1\n"));
}

#[test]
fn runs_that_were_waited_for_are_printed_only_in_a_form_that_is_named() {
    let server = one_of_each();
    let place = Place::with(&server);
    let waited = |more: &[&str]| place.knit(&[&["run", "wait", "r1", "r2"], more].concat());
    let silent = waited(&[]);
    assert_eq!((silent.code, silent.stdout.as_str()), (6, ""));
    let named = waited(&["-o", "name"]);
    assert_eq!((named.code, named.stdout.as_str()), (6, "r1\nr2\n"), "{named}");
    assert_eq!(waited(&["-o", "name", "--limit", "1"]).stdout, "r1\n");
    let fields: Value = serde_json::from_str(&waited(&["--json", "runId,status"]).stdout).unwrap();
    assert_eq!(fields, json!([{"runId": "r1", "status": "done"}, {"runId": "r2", "status": "failed"}]));
    assert!(waited(&["-o", "table"]).stdout.starts_with("RUN"));
}

/// Two Data, with the Run between them.
fn lineage() -> Value {
    json!({"start": "d1", "data": [{"knitId": "d1", "tags": []}, {"knitId": "d2", "tags": []}],
           "runs": [{"runId": "r1", "status": "done", "updatedAt": "2025-03-03T09:15:02.418+00:00", "planId": "p1",
                     "inputs": [{"path": "/in", "knitId": "d1"}], "outputs": [{"path": "/out", "knitId": "d2"}]}],
           "plans": [], "cut": []})
}

#[test]
fn a_lineage_is_printed_in_any_form() {
    let server = Server::start(|_| Reply::json(&lineage()));
    let place = Place::with(&server);
    for words in [&["data", "lineage", "d1"][..], &["run", "lineage", "r1"], &["data", "path", "d1", "d2"]] {
        let printed = |more: &[&str]| place.knit(&[words, more].concat()).succeeded().stdout;
        assert_eq!(printed(&["-o", "name"]), "d1\nd2\n");
        assert!(printed(&["-o", "yaml"]).starts_with("start: d1\ndata:\n- knitId: d1\n"));
        assert_eq!(printed(&["--json", "start,cut"]), "{\n    \"start\": \"d1\",\n    \"cut\": []\n}\n");
        let unknown = place.knit(&[words, &["--json", "colour"]].concat());
        assert!(unknown.code == 2 && unknown.stderr.contains("there is no such field, but start, data"), "{unknown}");
    }
}

#[test]
fn a_limit_of_a_lineage_is_asked_for_and_what_is_left_out_is_told() {
    let server = Server::start(|request| {
        let mut graph = lineage();
        if request.target.ends_with("limit=2") {
            graph["data"].as_array_mut().unwrap().truncate(1);
            graph["next"] = json!("12-2");
        }
        Reply::json(&graph)
    });
    let place = Place::with(&server);
    let some = place.knit(&["data", "lineage", "--limit", "2", "-o", "name", "d1"]).succeeded();
    assert_eq!(
        (some.stdout.as_str(), some.stderr.as_str()),
        ("d1\n", "note: this is not all of it; `--limit 0` prints all\n")
    );
    let all = place.knit(&["data", "lineage", "--limit", "0", "-o", "name", "d1"]).succeeded();
    assert_eq!((all.stdout.as_str(), all.stderr.as_str()), ("d1\nd2\n", ""));
    let query = "GET /api/data/d1/lineage?direction=both&depth=3";
    assert_eq!(server.lines(), [format!("{query}&limit=2"), query.to_owned()]);
    let way = place.knit(&["data", "path", "--limit", "2", "--json", "data,runs", "d1", "d2"]).succeeded();
    let kept: Value = serde_json::from_str(&way.stdout).unwrap();
    assert_eq!((&kept["data"], &kept["runs"]), (&json!([lineage()["data"][0]]), &lineage()["runs"]), "{way}");
    assert!(way.stderr.contains("not all of it"), "{way}");
}

#[test]
fn a_graph_of_plans_is_printed_in_any_form_counted_and_limited() {
    let graph = json!({"start": "p1", "plans": [plan("p1"), plan("p2"), plan("p3")], "cut": ["p3"],
                       "edges": [{"from": "p1", "to": "p2", "input": "/in"}, {"from": "p2", "to": "p3", "input": "/in"}]});
    let server = Server::start(move |_| Reply::json(&graph));
    let place = Place::with(&server);
    let drawn = |more: &[&str]| place.knit(&[&["plan", "graph", "p1"], more].concat()).succeeded();
    let printed = |more: &[&str]| drawn(more).stdout;
    assert_eq!(printed(&["-o", "name"]), "p1\np2\np3\n");
    assert_eq!(printed(&["--ids-only"]), "p1\np2\np3\n");
    assert!(printed(&["-o", "yaml"]).starts_with("start: p1\nplans:\n- planId: p1\n"));
    assert_eq!(printed(&["--json", "cut"]), "{\n    \"cut\": [\n        \"p3\"\n    ]\n}\n");
    assert_eq!(
        printed(&["--count"]),
        "       3 Plans\n       2 connections between them\n       1 Plan beyond which there is more (-n all)\n"
    );
    let some = drawn(&["--limit", "2", "--json", "plans,edges,cut"]);
    let kept: Value = serde_json::from_str(&some.stdout).unwrap();
    let lengths = ["plans", "edges", "cut"].map(|field| kept[field].as_array().unwrap().len());
    assert_eq!((lengths, some.stderr.contains("not all of it")), ([2, 1, 0], true), "{some}");
}
