//! Finding and tagging Data, and lineage (web-api 2.1, 2.2.5, 4.2).

use knit_domain::run::Status;
use serde_json::{Value, json};

use crate::client::ask;
use crate::kit::{World, spec};

fn ids(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|data| data["knitId"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_data_detail_has_the_shape_of_the_wire() {
    let world = World::new().await;
    let data = world.push(&["type:corpus", "project: sentiment"]).await;
    let plan = world.plan(&spec("type:corpus")).await;
    let run = world.run_of(&plan).await;
    world.bring(run, Status::Failed).await;

    let found = world.get(&format!("/api/data?tag=knit%23id%3A{data}")).await.expect(200).json();
    let upstream = &found[0]["upstream"]["run"];
    let consumer = &found[0]["downstreams"][0]["run"];
    let timestamp = found[0]["tags"][1].as_str().unwrap();
    let summary = json!({"planId": plan, "image": "host:latest", "args": ["true"]});
    assert_eq!(
        found,
        json!([{
            "knitId": data,
            "tags": [format!("knit#id:{data}"), timestamp, "project:sentiment", "type:corpus"],
            "upstream": {
                "mountpoint": {"path": "/upload", "tags": []},
                "run": {
                    "runId": upstream["runId"], "status": "done", "updatedAt": upstream["updatedAt"],
                    "plan": {"planId": upstream["plan"]["planId"], "name": "knit#uploaded"},
                },
            },
            "downstreams": [{
                "mountpoint": {"path": "/in", "tags": ["type:corpus"]},
                "run": {
                    "runId": run.to_string(), "status": "failed", "updatedAt": consumer["updatedAt"],
                    "exit": {"code": 3, "message": "(container main) Error"}, "plan": summary,
                },
            }],
            "nomination": [{"path": "/in", "tags": ["type:corpus"], "plan": summary}],
        }])
    );
    assert_eq!(timestamp, format!("knit#timestamp:{}", upstream["updatedAt"].as_str().unwrap()));
    assert!(timestamp.ends_with("+00:00"), "{timestamp}");
}

#[tokio::test]
async fn the_log_of_a_run_is_a_data_with_an_upstream_log() {
    let world = World::new().await;
    world.push(&["type:corpus"]).await;
    let run = world.run_of(&world.plan(&spec("type:corpus")).await).await;
    let log = world.get("/api/data?tag=type:log").await.expect(200).json();
    assert_eq!(log[0]["upstream"]["log"], json!({"tags": ["type:log"]}));
    assert_eq!(log[0]["upstream"].get("mountpoint"), None);
    assert_eq!(log[0]["upstream"]["run"]["runId"], run.to_string());
    assert_eq!((&log[0]["downstreams"], &log[0]["nomination"]), (&json!([]), &json!([])));
}

#[tokio::test]
async fn fnd_09_data_of_runs_that_have_not_ended_are_processing() {
    let world = World::new().await;
    world.push(&["type:corpus"]).await;
    let run = world.run_of(&world.plan(&spec("type:corpus")).await).await;
    let processing = "/api/data?tag=knit%23transient%3Aprocessing";
    let failed = "/api/data?tag=knit%23transient%3Afailed";
    for status in [Status::Waiting, Status::Ready, Status::Starting, Status::Running, Status::Aborting] {
        world.bring(run, status).await;
        assert_eq!(ids(&world.get(processing).await.json()).len(), 2, "{status}");
        assert_eq!(world.get(failed).await.json(), json!([]), "{status}");
    }
    world.bring(run, Status::Failed).await;
    assert_eq!(world.get(processing).await.json(), json!([]));
    assert_eq!(ids(&world.get(failed).await.json()).len(), 2);
}

#[tokio::test]
async fn fnd_12_contradicting_system_tags_find_nothing() {
    let world = World::new().await;
    let (a, b) = (world.push(&[]).await, world.push(&[]).await);
    for query in [
        format!("tag=knit%23id%3A{a}&tag=knit%23id%3A{b}"),
        "tag=knit%23timestamp%3A2024-01-01T00:00:00Z&tag=knit%23timestamp%3A2025-01-01T00:00:00Z".to_owned(),
        "tag=knit%23transient%3Aprocessing&tag=knit%23transient%3Afailed".to_owned(),
        "tag=knit%23other%3Ax".to_owned(),
    ] {
        let found = world.get(&format!("/api/data?{query}")).await.expect(200);
        assert_eq!(found.body, b"[]\n", "{query}");
    }
}

#[tokio::test]
async fn fnd_13_user_tags_must_all_be_there() {
    let world = World::new().await;
    let (both, _one) = (world.push(&["a:1", "b:2"]).await, world.push(&["a:1"]).await);
    let found = world.get("/api/data/?tag=a:1&tag=b:2&unknown=x").await.expect(200).json();
    assert_eq!(ids(&found), [both]);
    assert_eq!(world.get("/api/data?tag=a:1&tag=never:used").await.json(), json!([]));
}

#[tokio::test]
async fn fnd_14_a_copied_timestamp_selects_its_data() {
    let world = World::new().await;
    let data = world.push(&[]).await;
    let shown = world.get("/api/data").await.json();
    let timestamp = shown[0]["tags"][1].as_str().unwrap().strip_prefix("knit#timestamp:").unwrap();
    let coded = timestamp.replace('+', "%2B");
    for query in [
        format!("since={coded}"),
        format!("since={coded}&duration=1ms"),
        format!("since={coded}&duration="),
        format!("tag=knit%23timestamp%3A{coded}"),
        "since=0001-01-01T00%3A00%3A00Z".to_owned(),
    ] {
        assert_eq!(ids(&world.get(&format!("/api/data?{query}")).await.expect(200).json()), [data.as_str()], "{query}");
    }
    for query in [format!("since={coded}&duration=-1s"), "since=9999-01-01T00:00:00Z".to_owned()] {
        assert_eq!(world.get(&format!("/api/data?{query}")).await.expect(200).json(), json!([]), "{query}");
    }
}

#[tokio::test]
async fn fnd_16_data_without_a_timestamp_come_last() {
    let world = World::new().await;
    let (first, second) = (world.push(&["type:corpus"]).await, world.push(&[]).await);
    world.run_of(&world.plan(&spec("type:corpus")).await).await;
    let list = world.get("/api/data").await.json();
    let mut unfinished: Vec<&str> = ids(&list)[2..].to_vec();
    assert_eq!((&ids(&list)[..2], unfinished.len()), (&[first.as_str(), second.as_str()][..], 2));
    unfinished.sort_unstable();
    assert_eq!(ids(&list)[2..], unfinished);
}

#[tokio::test]
async fn bad_queries_for_data_are_refused() {
    let world = World::new().await;
    for query in ["tag=nocolon", "since=2024-01-01", "since=x", "since=2024-01-01T00:00:00Z&duration=1", "duration=1h"]
    {
        let refused = world.get(&format!("/api/data?{query}")).await.expect(400);
        assert!(refused.message().starts_with("bad request\n"), "{query}");
    }
    world.get("/api/data?tag=knit%23timestamp%3Aflying").await.expect(400);
}

async fn tags_after(world: &World, data: &str, change: &Value) -> Vec<String> {
    let detail = world.send("PUT", &format!("/api/data/{data}"), change).await.expect(200).json();
    let tags = detail["tags"].as_array().unwrap().iter().map(|tag| tag.as_str().unwrap().to_owned());
    tags.filter(|tag| !tag.starts_with("knit#")).collect()
}

#[tokio::test]
async fn tag_16_and_17_removal_comes_first_and_both_notations_are_read() {
    let world = World::new().await;
    let data = world.push(&["tag-a:value 1", "tag-a:value 2", "tag-b:value 1"]).await;
    let change = json!({
        "add": [{"key": "tag-c", "value": "value 1"}], "remove": ["tag-a:value 1"], "remove_key": ["tag-b"],
        "unknown": 1,
    });
    assert_eq!(tags_after(&world, &data, &change).await, ["tag-a:value 2", "tag-c:value 1"]);
    let both = json!({"add": ["tag-a:value 2"], "remove": ["tag-a:value 2"], "remove_key": null});
    assert_eq!(tags_after(&world, &data, &both).await, ["tag-a:value 2", "tag-c:value 1"]);
    let nothing = json!({"add": [], "remove": null, "remove_key": null});
    assert_eq!(tags_after(&world, &data, &nothing).await, ["tag-a:value 2", "tag-c:value 1"]);
}

#[tokio::test]
async fn tag_07_and_21_malformed_changes_are_refused_and_nothing_is_applied() {
    let world = World::new().await;
    let data = world.push(&["a:1"]).await;
    let target = format!("/api/data/{data}");
    for change in [
        json!({"add": ["b:2", "knit#x:y"]}),
        json!({"add": ["b:2"], "remove": [{"key": "knit#id", "value": "x"}]}),
        json!({"add": ["b:2"], "remove_key": ["knit#timestamp"]}),
        json!({"add": ["b:2", "nocolon"]}),
        json!({"add": ["b:2", {"key": "c"}]}),
        json!({"add": ["b:2", {"key": "c", "value": "quote \" in it"}]}),
        json!([]),
    ] {
        let refused = world.send("PUT", &target, &change).await.expect(400);
        assert!(refused.message().starts_with("format error\n"), "{change}: {}", refused.message());
    }
    for body in ["", "{", "tags"] {
        let refused = ask(world.server, "PUT", &target, &[], body.as_bytes()).await.expect(400);
        assert!(refused.message().starts_with("format error\n"), "{body}");
    }
    assert_eq!(tags_after(&world, &data, &json!({})).await, ["a:1"]);
}

#[tokio::test]
async fn tag_18_and_19_tags_of_an_unknown_data_are_not_found() {
    let world = World::new().await;
    for id in ["3b0f5a52-6c1e-4d0e-9a53-0d1f6f6b7c11", "nonsense"] {
        for change in [json!({"add": ["a:1"]}), json!({"remove": ["a:1"]})] {
            let missing = world.send("PUT", &format!("/api/data/{id}"), &change).await.expect(404);
            assert!(missing.message().starts_with("correspontind data is missing\n"), "{}", missing.message());
        }
    }
}

#[tokio::test]
async fn lineage_is_one_answer_with_both_sides() {
    let world = World::new().await;
    let data = world.push(&["type:corpus"]).await;
    let run = world.run_of(&world.plan(&spec("type:corpus")).await).await;
    let graph = world.get(&format!("/api/data/{data}/lineage")).await.expect(200).json();
    let runs: Vec<&str> = graph["runs"].as_array().unwrap().iter().map(|run| run["runId"].as_str().unwrap()).collect();
    assert_eq!((graph["start"].as_str(), runs.len()), (Some(data.as_str()), 2));
    assert!(runs.contains(&run.to_string().as_str()));
    assert_eq!(ids(&graph["data"]).len(), 3);
    let up = world.get(&format!("/api/data/{data}/lineage?direction=up&depth=all")).await.expect(200).json();
    assert_eq!((ids(&up["data"]), up["cut"].as_array().unwrap().len()), (vec![data.as_str()], 0));
    world.get(&format!("/api/data/{data}/lineage?depth=0")).await.expect(400);
}

#[tokio::test]
async fn lin_08_the_lineage_of_an_unknown_data_is_not_found() {
    let world = World::new().await;
    world.get("/api/data/3b0f5a52-6c1e-4d0e-9a53-0d1f6f6b7c11/lineage").await.expect(404);
}
