//! The examples of the wire's description, there and back.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::*;

/// What is read and written again is the same JSON.
#[track_caller]
fn round_trip<T: Serialize + DeserializeOwned>(json: &Value) -> T {
    let value: T = decode(json.to_string().as_bytes()).unwrap();
    assert_eq!(serde_json::to_value(&value).unwrap(), *json);
    value
}

fn train_summary() -> Value {
    json!({
        "planId": "5f1a9d3c-7e24-4c86-a0b9-8d7e6f5a4b32",
        "image": "registry.example.com:5000/nlp/train:v3",
        "args": ["--epochs", "10"],
        "annotations": ["owner=alice"]
    })
}

#[test]
fn a_data_detail_keeps_its_shape() {
    let data: DataDetail = round_trip(&json!({
        "knitId": "3b0f5a52-6c1e-4d0e-9a53-0d1f6f6b7c11",
        "tags": [
            "knit#id:3b0f5a52-6c1e-4d0e-9a53-0d1f6f6b7c11",
            "knit#timestamp:2025-03-03T09:15:02.418+00:00",
            "project:sentiment",
            "type:corpus"
        ],
        "upstream": {
            "mountpoint": {"path": "/upload", "tags": []},
            "run": {
                "runId": "7a2d0c6e-1f6b-4b1c-8f6d-5f0c6a1f2e90",
                "status": "done",
                "updatedAt": "2025-03-03T09:15:02.418+00:00",
                "plan": {"planId": "0e9f7b64-91b5-4a43-9f0d-2a1c5b7d8e33", "name": "knit#uploaded"}
            }
        },
        "downstreams": [{
            "mountpoint": {"path": "/in/corpus", "tags": ["project:sentiment", "type:corpus"]},
            "run": {
                "runId": "c5d7f2b1-0a8e-4e3b-b7a4-6e9d1c2f3a45",
                "status": "failed",
                "updatedAt": "2025-03-03T10:02:47.05+00:00",
                "exit": {"code": 1, "message": "(container main) Error"},
                "plan": train_summary()
            }
        }],
        "nomination": [{"path": "/in/corpus", "tags": ["project:sentiment", "type:corpus"], "plan": train_summary()}]
    }));
    assert_eq!(data.tags[1].value, "2025-03-03T09:15:02.418+00:00");
    assert_eq!(data.downstreams[0].run.exit.as_ref().unwrap().code, 1);
}

#[test]
fn the_upstream_of_a_log_has_no_mountpoint() {
    let upstream: DataUpstream = round_trip(&json!({
        "log": {"tags": ["type:log"]},
        "run": {"runId": "r", "status": "running", "updatedAt": "2025-03-03T09:15:02+00:00", "plan": train_summary()}
    }));
    assert!(upstream.mountpoint.is_none());
}

#[test]
fn a_plan_detail_keeps_its_shape() {
    let plan: PlanDetail = round_trip(&json!({
        "planId": "5f1a9d3c-7e24-4c86-a0b9-8d7e6f5a4b32",
        "image": "registry.example.com:5000/nlp/train:v3",
        "args": ["--epochs", "10"],
        "annotations": ["owner=alice"],
        "inputs": [{"path": "/in/corpus", "tags": ["project:sentiment", "type:corpus"], "upstreams": []}],
        "outputs": [{
            "path": "/out/model",
            "tags": ["project:sentiment", "type:model"],
            "downstreams": [{
                "plan": {
                    "planId": "9b8c7d6e-5f40-4312-8a9b-0c1d2e3f4a5b",
                    "image": "registry.example.com:5000/nlp/eval:v1"
                },
                "mountpoint": {"path": "/in/model", "tags": ["type:model"]}
            }]
        }],
        "log": {"tags": ["type:log"], "downstreams": []},
        "active": true,
        "on_node": {"may": [], "prefer": ["vram=large"], "must": ["accelerator=gpu"]},
        "resources": {"cpu": "1", "memory": "4Gi", "nvidia.com/gpu": "1"}
    }));
    assert_eq!(serde_json::to_value(plan.summary()).unwrap(), train_summary());
}

#[test]
fn a_built_in_plan_leaves_out_what_it_has_not() {
    round_trip::<PlanDetail>(&json!({
        "planId": "0e9f7b64-91b5-4a43-9f0d-2a1c5b7d8e33",
        "name": "knit#uploaded",
        "inputs": [],
        "outputs": [{"path": "/upload", "tags": [], "downstreams": []}],
        "active": true
    }));
}

#[test]
fn a_run_detail_keeps_its_shape() {
    let run: RunDetail = round_trip(&json!({
        "runId": "c5d7f2b1-0a8e-4e3b-b7a4-6e9d1c2f3a45",
        "status": "failed",
        "updatedAt": "2025-03-03T10:02:47.05+00:00",
        "exit": {"code": 1, "message": "(container main) Error"},
        "plan": train_summary(),
        "inputs": [{
            "path": "/in/corpus",
            "tags": ["project:sentiment", "type:corpus"],
            "knitId": "3b0f5a52-6c1e-4d0e-9a53-0d1f6f6b7c11"
        }],
        "outputs": [{
            "path": "/out/model",
            "tags": ["project:sentiment", "type:model"],
            "knitId": "d4c3b2a1-9f8e-4d7c-8b6a-5e4f3d2c1b0a"
        }],
        "log": {"tags": ["type:log"], "knitId": "e1f2a3b4-c5d6-4e7f-8091-a2b3c4d5e6f7"}
    }));
    assert_eq!(run.summary().exit, run.exit);
}

#[test]
fn a_run_without_log_says_null() {
    let run: RunDetail = round_trip(&json!({
        "runId": "r", "status": "invalidated", "updatedAt": "2025-03-03T10:02:47+00:00", "plan": train_summary(),
        "inputs": [], "outputs": [{"path": "/out", "tags": [], "knitId": ""}], "log": null
    }));
    assert_eq!(LineageRun::from(&run).outputs, []);
}

#[test]
fn a_plan_spec_takes_both_notations_of_tags_numbers_and_null() {
    let spec: PlanSpec = decode(
        br#"{
          "image": "registry.example.com:5000/nlp/train:v3",
          "args": ["--epochs", "10"],
          "inputs": [{"path": "/in/corpus", "tags": ["type:corpus", "project:sentiment"]}],
          "outputs": [{"path": "/out/model", "tags": ["type:model", {"key": "project", "value": "sentiment"}]}],
          "log": {"tags": ["type:log"]},
          "on_node": {"prefer": ["vram=large"], "must": ["accelerator=gpu"]},
          "resources": {"memory": "4096Mi", "nvidia.com/gpu": 1},
          "annotations": ["owner = alice"],
          "active": null,
          "colour": "unknown fields are ignored"
        } and so is what follows"#,
    )
    .unwrap();
    assert_eq!(spec.outputs[0].tags[1], Tag::new("project", "sentiment"));
    assert_eq!(spec.resources["memory"].to_string(), "4Gi");
    assert_eq!(spec.resources["nvidia.com/gpu"].to_string(), "1");
    assert_eq!(spec.annotations, [Pair::new("owner", "alice")]);
    assert_eq!(spec.on_node.unwrap().may, []);
    assert_eq!(spec.active, None);
}

#[test]
fn null_stands_for_every_list_of_a_request() {
    let spec: PlanSpec = decode(br#"{"image":"ab","inputs":null,"outputs":null,"log":null,"args":null,"active":null,"resources":null,"annotations":null,"on_node":null}"#).unwrap();
    assert_eq!(spec, PlanSpec { image: "ab".to_owned(), ..PlanSpec::default() });
    let change: TagChange = decode(br#"{"add":[],"remove":null,"remove_key":null}"#).unwrap();
    assert_eq!(change, TagChange::default());
    assert_eq!(decode::<AnnotationChange>(b"{}").unwrap(), AnnotationChange::default());
    let resources: ResourceChange =
        decode(br#"{"set": {"cpu": "2", "nvidia.com/gpu": "1"}, "unset": ["memory"]}"#).unwrap();
    assert_eq!(resources.unset, ["memory"]);
}

#[test]
fn a_tag_change_is_sent_in_objects_so_that_any_key_survives() {
    let change =
        TagChange { add: vec![Tag::new("a:b", " c ")], remove: Vec::new(), remove_key: vec!["draft".to_owned()] };
    let json = json!({"add": [{"key": "a:b", "value": " c "}], "remove": [], "remove_key": ["draft"]});
    assert_eq!(serde_json::to_value(&change).unwrap(), json);
    assert_eq!(decode::<TagChange>(json.to_string().as_bytes()).unwrap(), change);
}

#[test]
fn tag_06_what_is_no_tag_is_refused() {
    for bad in [
        r#""""#,
        r#""foo""#,
        r#"{"value":"v"}"#,
        r#"{"key":null,"value":"v"}"#,
        r#"{"key":1,"value":"v"}"#,
        r#"{"key":"k"}"#,
        r#"{"key":"k","value":null}"#,
        r#"{"key":"k","value":2}"#,
        "7",
        "null",
    ] {
        assert!(decode::<Tag>(bad.as_bytes()).is_err(), "{bad}");
    }
}

#[test]
fn tags_are_trimmed_as_text_but_not_as_objects_and_escaped_when_written() {
    assert_eq!(decode::<Tag>(br#"" a : b:c ""#).unwrap(), Tag::new("a", "b:c"));
    assert_eq!(decode::<Tag>(br#"{"key":" a ","value":" b ","more":[1]}"#).unwrap(), Tag::new(" a ", " b "));
    assert_eq!(serde_json::to_string(&Tag::new("say", "\"hi\"\\\n")).unwrap(), r#""say:\"hi\"\\\n""#);
}

#[test]
fn an_error_is_one_string_of_up_to_three_parts() {
    let error = ErrorMessage::new("prohibited operation", None, Some("cannot change run state: done -> aborting"));
    assert_eq!(
        serde_json::to_value(error).unwrap(),
        json!({"message": "prohibited operation\n caused by:cannot change run state: done -> aborting"})
    );
    assert_eq!(ErrorMessage::new("not found", Some("look it up"), None).message, "not found\nlook it up");
}

#[test]
fn a_lineage_graph_names_every_plan_once() {
    let run: RunDetail = decode(
        json!({"runId": "r", "status": "done", "updatedAt": "2025-03-03T10:02:47+00:00", "plan": train_summary(),
               "inputs": [{"path": "/in", "tags": [], "knitId": "d"}], "log": {"tags": [], "knitId": "l"}})
        .to_string()
        .as_bytes(),
    )
    .unwrap();
    let graph = LineageGraph::from_details("d".to_owned(), &[], &[run.clone(), run], vec!["d".to_owned()]);
    assert_eq!(graph.plans.len(), 1);
    assert_eq!(graph.runs[0].inputs, [LineageEdge { path: "/in".to_owned(), knit_id: "d".to_owned() }]);
    assert_eq!(graph.runs[0].log.as_deref(), Some("l"));
    round_trip::<LineageGraph>(&serde_json::to_value(&graph).unwrap());
}

#[test]
fn a_date_that_is_not_strict_spoils_the_answer() {
    let run = |date: &str| json!({"runId": "r", "status": "done", "updatedAt": date, "plan": {"planId": "p"}});
    assert!(decode::<RunSummary>(run("2025-03-03").to_string().as_bytes()).is_err());
    let tokyo = "2025-03-03T10:02:47.1+09:00";
    assert_eq!(decode::<RunSummary>(run(tokyo).to_string().as_bytes()).unwrap().updated_at.to_string(), tokyo);
}
