//! What the original cannot: every verb of ours, spoken to an original server. It does with what that server has, or
//! says that this server cannot and what to do, and changes nothing.

use serde_json::{Value, json};

use crate::kit::{Conversation, Place};
use crate::server::{Reply, Request, Server};

const RAW: &str = "11111111-0000-4000-8000-000000000001";
const MODEL: &str = "11111111-0000-4000-8000-000000000002";
const PLAN: &str = "22222222-0000-4000-8000-000000000001";
const RUN: &str = "33333333-0000-4000-8000-000000000002";
const UPLOAD: &str = "33333333-0000-4000-8000-000000000001";

/// A Plan trained a model on an upload, and that is all there is. It has the routes of the original and no others, and
/// does not look at parameters that it does not know.
fn original() -> Server {
    Server::start(|request| {
        let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
        let segments: Vec<&str> = path.trim_start_matches("/api/").split('/').collect();
        match (request.method.as_str(), &segments[..]) {
            ("GET", ["data"]) => Reply::json(&found(query)),
            ("GET", ["plans"]) => Reply::json(&json!([plan()])),
            ("GET", ["plans", PLAN]) | ("POST", ["plans"]) => Reply::json(&plan()),
            ("GET", ["runs"]) => Reply::json(&json!([run(RUN)])),
            ("GET", ["runs", id @ (RUN | UPLOAD)]) => Reply::json(&run(id)),
            ("GET", ["data" | "plans" | "runs", _]) => Reply::error(404, "not found"),
            ("GET", _) => Reply::error(404, "Not Found"),
            _ => Reply::error(405, "Method Not Allowed"),
        }
    })
}

fn summary() -> Value {
    json!({"planId": PLAN, "image": "train:v1"})
}

fn plan() -> Value {
    json!({
        "planId": PLAN, "image": "train:v1", "active": true, "on_node": null, "resources": {},
        "inputs": [{"path": "/in", "tags": ["is:raw"], "upstreams": []}],
        "outputs": [{"path": "/out", "tags": ["is:model"], "downstreams": []}],
    })
}

fn run(id: &str) -> Value {
    let of = if id == RUN { summary() } else { json!({"planId": "p-upload", "name": "knit#uploaded"}) };
    let inputs = if id == RUN { json!([{"path": "/in", "tags": ["is:raw"], "knitId": RAW}]) } else { json!([]) };
    let output = if id == RUN { ("/out", MODEL) } else { ("/upload", RAW) };
    json!({
        "runId": id, "status": "done", "updatedAt": "2025-03-03T10:02:47+00:00", "plan": of, "inputs": inputs,
        "outputs": [{"path": output.0, "tags": [], "knitId": output.1}], "log": null,
    })
}

fn data(id: &str) -> Value {
    let uses =
        if id == RAW { json!([{"mountpoint": {"path": "/in", "tags": []}, "run": run(RUN)}]) } else { json!([]) };
    let (producer, tag) = if id == RAW { (UPLOAD, "is:raw") } else { (RUN, "is:model") };
    json!({
        "knitId": id, "tags": [format!("knit#id:{id}"), tag], "nomination": [], "downstreams": uses,
        "upstream": {"mountpoint": {"path": "/out", "tags": []}, "run": run(producer)},
    })
}

/// The Data that have all the tags in the query.
fn found(query: &str) -> Value {
    let wanted = query.split('&').filter_map(|pair| pair.strip_prefix("tag="));
    let wanted: Vec<String> = wanted.map(|tag| tag.replace("%23", "#").replace("%3A", ":")).collect();
    let all = [RAW, MODEL].map(data).into_iter();
    let has = |data: &Value, tag: &String| data["tags"].as_array().unwrap().iter().any(|had| had == tag);
    all.filter(|data| wanted.iter().all(|tag| has(data, tag))).collect()
}

fn speak(words: &[&str]) -> (Conversation, Vec<Request>) {
    let server = original();
    let place = Place::with(&server);
    place.write(
        "plan.yaml",
        "image: train:v1\ninputs: [{path: /in, tags: [\"is:raw\"]}]\noutputs: [{path: /out, tags: [\"is:model\"]}]\n",
    );
    (place.knit(words), server.requests())
}

#[test]
fn what_an_original_server_has_is_put_together_from_it() {
    for (words, told) in [
        (&["data", "lineage", "-o", "json", RAW][..], MODEL),
        (&["data", "lineage", MODEL], "digraph"),
        (&["run", "lineage", "-o", "json", RUN], RAW),
        (&["data", "show", RAW], "is:raw"),
        (&["data", "wait", "-t", "is:model"], MODEL),
        (&["plan", "show", PLAN], "train:v1"),
        (&["data", "find", "-t", "is:raw", "--limit", "1", "--output", "name"], RAW),
        (&["plan", "apply", "--max-runs", "1", "plan.yaml"], PLAN),
    ] {
        let (said, _) = speak(words);
        let said = said.succeeded();
        assert!(said.stdout.contains(told), "{said}");
    }
    let (waited, _) = speak(&["run", "wait", RUN]);
    assert!(waited.succeeded().stderr.contains("is done"));
}

#[test]
fn what_an_original_server_cannot_is_said_with_what_to_do() {
    for words in [
        &["run", "explain", RUN][..],
        &["plan", "why-not", PLAN],
        &["plan", "why-not", "--data", RAW, PLAN],
        &["plan", "apply", "--dry-run", "plan.yaml"],
        &["plan", "apply", "--dry-run", "--days", "3", "plan.yaml"],
        &["plan", "apply", "--dry-run", "--max-runs", "3", "plan.yaml"],
        &["data", "diff", RAW, MODEL],
        &["run", "diff", RUN, UPLOAD],
        &["run", "show", "--attempt", "1", RUN],
        &["events"],
        &["events", "--follow", "--entity", "run:3333"],
    ] {
        let (said, requests) = speak(words);
        assert!(said.code == 1 && said.stdout.is_empty(), "{said}");
        assert!(said.stderr.starts_with("error: this server cannot "), "{said}");
        assert!(said.stderr.contains("\nhint: "), "{said}");
        assert!(requests.iter().all(|request| request.method == "GET"), "{said}");
    }
}

#[test]
fn the_past_is_not_made_up_from_what_an_original_server_says_of_now() {
    for words in [
        &["data", "find"][..],
        &["plan", "find"],
        &["run", "find", "-p", PLAN],
        &["data", "show", RAW],
        &["plan", "show", PLAN],
        &["run", "show", RUN],
        &["run", "show", "--attempt", "1", RUN],
        &["data", "lineage", RAW],
        &["run", "lineage", RUN],
        &["run", "explain", RUN],
        &["data", "diff", RAW, MODEL],
        &["run", "diff", RUN, UPLOAD],
    ] {
        let words: Vec<&str> = words.iter().copied().chain(["--as-of", "2h ago"]).collect();
        let (said, _) = speak(&words);
        assert!(said.code == 1 && said.stdout.is_empty(), "{said}");
        assert!(said.stderr.starts_with("error: this server cannot "), "{said}");
        assert!(said.stderr.contains("\nhint: "), "{said}");
    }
}

#[test]
fn the_beginning_of_an_id_is_no_id_where_nobody_can_complete_it() {
    for words in [&["data", "show", "1111"][..], &["run", "show", "3333"], &["plan", "show", "2222"]] {
        let (said, _) = speak(words);
        assert_eq!((said.code, said.stdout.as_str()), (4, ""), "{said}");
        assert!(said.stderr.contains("lists all"), "{said}");
    }
}

#[test]
fn runs_are_counted_before_a_plan_is_registered_where_the_server_cannot_limit_them() {
    let (said, requests) = speak(&["plan", "apply", "--max-runs", "0", "plan.yaml"]);
    insta::assert_snapshot!(said);
    assert!(requests.iter().all(|request| request.method == "GET"), "nothing is registered");
    let (said, requests) = speak(&["plan", "apply", "--max-runs", "1", "plan.yaml"]);
    assert!(said.stderr.contains("they were counted before it was registered"), "{said}");
    assert_eq!(requests.last().unwrap().line(), "POST /api/plans", "without what it does not know");
}
