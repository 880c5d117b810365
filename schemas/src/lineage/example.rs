//! The graph that the drawings are tried on: a cut origin, a failed Run, a log, and texts that break careless files.

use super::graph::Graph;

const ANSWER: &str = r#"{
    "start": "22222222-2222-4222-8222-222222222222",
    "data": [
        {"knitId": "11111111-1111-4111-8111-111111111111",
         "tags": ["knit#id:11111111-1111-4111-8111-111111111111", "knit#timestamp:2025-03-03T09:15:02.418+00:00",
                  "note:a \"quote\" & <b>"]},
        {"knitId": "22222222-2222-4222-8222-222222222222",
         "tags": ["knit#id:22222222-2222-4222-8222-222222222222", "type:model"]},
        {"knitId": "33333333-3333-4333-8333-333333333333",
         "tags": ["knit#id:33333333-3333-4333-8333-333333333333", "knit#transient:failed", "type:log"]}
    ],
    "runs": [
        {"runId": "44444444-4444-4444-8444-444444444444", "status": "done", "updatedAt": "2025-03-03T10:02:47+00:00",
         "startedAt": "2025-03-03T09:58:11.5+00:00", "exit": {"code": 0, "message": ""}, "planId": "66666666-6666-4666-8666-666666666666",
         "inputs": [{"path": "/in/raw", "knitId": "11111111-1111-4111-8111-111111111111"}],
         "outputs": [{"path": "/out/\"model\"", "knitId": "22222222-2222-4222-8222-222222222222"}],
         "log": "33333333-3333-4333-8333-333333333333"},
        {"runId": "55555555-5555-4555-8555-555555555555", "status": "failed", "updatedAt": "2025-03-03T11:00:00+00:00",
         "exit": {"code": 3, "message": "out of <memory>"}, "planId": "66666666-6666-4666-8666-666666666666",
         "inputs": [{"path": "/in/model", "knitId": "22222222-2222-4222-8222-222222222222"}], "outputs": []}
    ],
    "plans": [{"planId": "66666666-6666-4666-8666-666666666666", "image": "trainer:v1.0",
               "entrypoint": ["python"], "args": ["train.py", "--rate=0.1"], "annotations": ["owner=me"]}],
    "cut": ["11111111-1111-4111-8111-111111111111"], "asOf": 42
}"#;

pub(super) fn graph() -> Graph<'static> {
    serde_json::from_str(ANSWER).unwrap()
}
