//! The graph that the drawings are tried on: a cut source, an inactive Plan that reads a log, and texts that break
//! careless files.

use crate::api::PlanGraph;

const ANSWER: &str = r#"{
    "start": "22222222-2222-4222-8222-222222222222",
    "plans": [
        {"planId": "22222222-2222-4222-8222-222222222222", "image": "trainer:v1.0", "args": ["--rate=0.1"],
         "annotations": ["owner=a & <b>"], "active": true,
         "inputs": [{"path": "/in/raw", "tags": ["type:raw"]}],
         "outputs": [{"path": "/out/\"model\"", "tags": ["type:model"]}], "log": {"tags": ["type:log"]}},
        {"planId": "11111111-1111-4111-8111-111111111111", "image": "split:v1", "active": true,
         "inputs": [{"path": "/in", "tags": ["type:all"]}], "outputs": [{"path": "/out", "tags": ["type:raw"]}]},
        {"planId": "33333333-3333-4333-8333-333333333333", "image": "reader:v2", "active": false,
         "inputs": [{"path": "/in/log", "tags": ["type:log"]}], "outputs": []}
    ],
    "edges": [
        {"from": "11111111-1111-4111-8111-111111111111", "output": "/out",
         "to": "22222222-2222-4222-8222-222222222222", "input": "/in/raw"},
        {"from": "22222222-2222-4222-8222-222222222222",
         "to": "33333333-3333-4333-8333-333333333333", "input": "/in/log"}
    ],
    "cut": ["11111111-1111-4111-8111-111111111111"]
}"#;

pub(super) fn graph() -> PlanGraph {
    serde_json::from_str(ANSWER).unwrap()
}
