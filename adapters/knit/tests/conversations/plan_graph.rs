//! `knit plan graph`.

use serde_json::{Value, json};

use crate::kit::Place;
use crate::server::{Reply, Server};

/// Plans by id: `split` feeds `train`, whose output feeds `eval` and whose log feeds `read`; `train` asks besides for
/// what is pushed.
fn graph() -> Value {
    let point = |path: &str, tag: &str| json!({"path": path, "tags": [tag]});
    json!({
        "start": "train",
        "plans": [
            {"planId": "train", "image": "train:v1", "args": ["--rate=0.1"], "annotations": ["owner=me"], "active": true,
             "inputs": [point("/in/data", "type:train"), point("/in/seed", "type:seed")],
             "outputs": [point("/out", "type:model")], "log": {"tags": ["type:log"]}},
            {"planId": "split", "image": "split:v1", "active": true,
             "inputs": [point("/in", "type:raw")], "outputs": [point("/out", "type:train")]},
            {"planId": "eval", "image": "eval:v1", "active": true, "inputs": [point("/in", "type:model")], "outputs": []},
            {"planId": "read", "image": "read:v1", "active": false, "inputs": [point("/in", "type:log")], "outputs": []}
        ],
        "edges": [
            {"from": "split", "output": "/out", "to": "train", "input": "/in/data"},
            {"from": "train", "output": "/out", "to": "eval", "input": "/in"},
            {"from": "train", "to": "read", "input": "/in"}
        ],
        "cut": ["split"]
    })
}

#[test]
fn one_request_is_drawn_as_dot_when_piped() {
    let server = Server::start(|_| Reply::json(&graph()));
    let place = Place::with(&server);
    insta::assert_snapshot!(place.knit(&["plan", "graph", "-n", "1", "train"]).succeeded());
    assert_eq!(server.lines(), ["GET /api/plans/train/graph?direction=both&depth=1"]);
}

#[test]
fn a_tree_is_for_people() {
    let server = Server::start(|_| Reply::json(&graph()));
    insta::assert_snapshot!(Place::with(&server).knit(&["plan", "graph", "-o", "tree", "train"]));
}

/// The same Plans as an original server tells them.
fn plan_by_plan(target: &str) -> Reply {
    let graph = graph();
    let id = target.strip_prefix("/api/plans/").unwrap_or_default();
    let plans = graph["plans"].as_array().unwrap();
    let plan = |id: &Value| plans.iter().find(|plan| plan["planId"] == *id).unwrap();
    let Some(mut detail) = plans.iter().find(|plan| plan["planId"] == id).cloned() else {
        return Reply::error(404, "Not Found");
    };
    let edges = graph["edges"].as_array().unwrap();
    for input in detail["inputs"].as_array_mut().unwrap() {
        let fed = edges.iter().filter(|edge| edge["to"] == id && edge["input"] == input["path"]);
        let source = |edge: &Value| match edge.get("output") {
            Some(path) => json!({"plan": plan(&edge["from"]), "mountpoint": {"path": path, "tags": []}}),
            None => json!({"plan": plan(&edge["from"]), "log": {"tags": []}}),
        };
        input["upstreams"] = fed.map(source).collect();
    }
    let fed_by = |output: Option<&Value>| -> Value {
        let fed = edges.iter().filter(|edge| edge["from"] == id && edge.get("output") == output);
        fed.map(|edge| json!({"plan": plan(&edge["to"]), "mountpoint": {"path": edge["input"], "tags": []}})).collect()
    };
    for output in detail["outputs"].as_array_mut().unwrap() {
        output["downstreams"] = fed_by(output.get("path"));
    }
    if detail.get("log").is_some() {
        detail["log"]["downstreams"] = fed_by(None);
    }
    Reply::json(&detail)
}

#[test]
fn an_original_server_is_walked_plan_by_plan() {
    let server = Server::start(|request| plan_by_plan(&request.target));
    let place = Place::with(&server);
    let whole = place.knit(&["plan", "graph", "-o", "json", "-n", "all", "train"]).succeeded();
    let expected = Value::Object(
        graph()
            .as_object()
            .unwrap()
            .clone()
            .into_iter()
            .map(|(name, value)| {
                let is_cut = name == "cut";
                (name, if is_cut { json!([]) } else { value })
            })
            .collect(),
    );
    assert_eq!(serde_json::from_str::<Value>(&whole.stdout).unwrap(), expected);
    let asked = ["train/graph?direction=both&depth=all", "train", "split", "eval", "read"];
    assert_eq!(server.lines(), asked.map(|asked| format!("GET /api/plans/{asked}")));
    let part = place.knit(&["plan", "graph", "-o", "json", "-u", "-n", "1", "eval"]).succeeded();
    assert_eq!(serde_json::from_str::<Value>(&part.stdout).unwrap()["cut"], json!(["train"]));
    let past = place.knit(&["plan", "graph", "--as-of", "7", "train"]);
    assert!(past.code == 1 && past.stderr.contains("cannot answer about another time"), "{past}");
}
