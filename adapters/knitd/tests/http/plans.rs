//! Plans through the API (web-api 2.3, 4.4, 4.5).

use knit_domain::run::Status;
use serde_json::{Value, json};

use crate::client::ask;
use crate::kit::{World, spec};

/// Spoils a Plan.
type Change = fn(&mut Value);

const UNKNOWN: &str = "/api/plans/3b0f5a52-6c1e-4d0e-9a53-0d1f6f6b7c11";

#[tokio::test]
async fn a_plan_detail_has_the_shape_of_the_wire() {
    let world = World::new().await;
    let made = world
        .send(
            "POST",
            "/api/plans",
            &json!({
                "image": "registry.example.com:5000/nlp/train:v3",
                "args": ["--epochs", "10"],
                "inputs": [{"path": "/in/corpus/", "tags": ["type:corpus", "project: sentiment"]}],
                "outputs": [{"path": "/out/model", "tags": ["type:model", {"key": "project", "value": "sentiment"}]}],
                "log": {"tags": ["type:log"]},
                "on_node": {"prefer": ["vram=large"], "must": ["accelerator=gpu"]},
                "resources": {"memory": "4096Mi", "nvidia.com/gpu": 1},
                "annotations": ["owner = alice"],
                "active": null,
            }),
        )
        .await
        .expect(200)
        .json();
    let expected = json!({
        "planId": made["planId"],
        "image": "registry.example.com:5000/nlp/train:v3",
        "args": ["--epochs", "10"],
        "annotations": ["owner=alice"],
        "inputs": [{"path": "/in/corpus", "tags": ["project:sentiment", "type:corpus"], "upstreams": []}],
        "outputs": [{"path": "/out/model", "tags": ["project:sentiment", "type:model"], "downstreams": []}],
        "log": {"tags": ["type:log"], "downstreams": []},
        "active": true,
        "on_node": {"may": [], "prefer": ["vram=large"], "must": ["accelerator=gpu"]},
        "resources": {"cpu": "1", "memory": "4Gi", "nvidia.com/gpu": "1"},
    });
    assert_eq!(made, expected);
    let read = world.get(&format!("/api/plans/{}", made["planId"].as_str().unwrap())).await.expect(200).json();
    assert_eq!(read, expected);
}

#[tokio::test]
async fn plans_that_feed_each_other_name_each_other() {
    let world = World::new().await;
    let first = world.plan(&spec("type:corpus")).await;
    let second = world
        .plan(&json!({"image": "host", "inputs": [{"path": "/m", "tags": ["type:model"]}], "outputs": null}))
        .await;
    let first = world.get(&format!("/api/plans/{first}")).await.json();
    let fed = &first["outputs"][0]["downstreams"];
    let summary = json!({"planId": second, "image": "host:latest"});
    assert_eq!(fed, &json!([{"plan": summary, "mountpoint": {"path": "/m", "tags": ["type:model"]}}]));
    let second = world.get(&format!("/api/plans/{second}")).await.json();
    assert_eq!(second["inputs"][0]["upstreams"][0]["mountpoint"], json!({"path": "/out", "tags": ["type:model"]}));
    assert_eq!(second["outputs"], json!([]));
    assert_eq!((second.get("on_node"), second.get("log"), second.get("args")), (None, None, None));
}

#[tokio::test]
async fn a_graph_of_plans_is_asked_for_in_one_request() {
    let world = World::new().await;
    let first = world.plan(&spec("type:corpus")).await;
    let second = world
        .plan(&json!({"image": "host", "inputs": [{"path": "/m", "tags": ["type:model"]}], "outputs": null}))
        .await;
    let answer = world.get(&format!("/api/plans/{first}/graph?direction=down&depth=all")).await.expect(200);
    assert!(answer.header("x-knit-position").is_some());
    let graph = answer.json();
    assert_eq!(graph["edges"], json!([{"from": first, "output": "/out", "to": second, "input": "/m"}]));
    assert_eq!(graph["plans"][1]["inputs"], json!([{"path": "/m", "tags": ["type:model"]}]));
    assert_eq!((&graph["start"], &graph["cut"], graph.get("asOf")), (&json!(first), &json!([]), None));
    for (format, kind) in [
        ("dot", "text/vnd.graphviz; charset=utf-8"),
        ("mermaid", "text/vnd.mermaid; charset=utf-8"),
        ("svg", "image/svg+xml"),
    ] {
        let drawn = world.get(&format!("/api/plans/{first}/graph?format={format}")).await.expect(200);
        assert_eq!(drawn.header("content-type"), Some(kind));
    }
    for bad in ["direction=sideways", "depth=0", "format=prov", "as-of=yesterday"] {
        world.get(&format!("/api/plans/{first}/graph?{bad}")).await.expect(400);
    }
    world.get(&format!("{UNKNOWN}/graph")).await.expect(404);
}

#[tokio::test]
async fn fnd_01_and_02_built_in_plans_are_listed_and_active() {
    let world = World::new().await;
    let plan = world.plan(&spec("type:corpus")).await;
    world.call("DELETE", &format!("/api/plans/{plan}/active")).await.expect(200);
    let all = world.get("/api/plans/?").await.expect(200).json();
    let ids: Vec<&str> = all.as_array().unwrap().iter().map(|plan| plan["planId"].as_str().unwrap()).collect();
    assert!(ids.is_sorted() && ids.len() == 3, "{ids:?}");
    let active = world.get("/api/plans?active=true").await.json();
    let builtin = active.as_array().unwrap().iter().find(|plan| plan["name"] == "knit#uploaded").unwrap();
    assert_eq!(
        builtin,
        &json!({
            "planId": builtin["planId"], "name": "knit#uploaded", "inputs": [],
            "outputs": [{"path": "/upload", "tags": [], "downstreams": []}], "active": true,
        })
    );
    let inactive = world.get("/api/plans?active=false").await.json();
    assert_eq!(inactive.as_array().unwrap().len(), 1);
    assert_eq!(world.get("/api/plans?image=host%3A").await.json().as_array().unwrap().len(), 1);
    assert_eq!(world.get("/api/plans?image=host%3Av2").await.json(), json!([]));
}

#[tokio::test]
async fn fnd_04_06_and_08_tags_must_be_together_and_unknown_ones_find_nothing() {
    let world = World::new().await;
    let apart = json!({"image": "host", "inputs": [
        {"path": "/a", "tags": ["key1:val2"]}, {"path": "/b", "tags": ["key2:val1"]},
    ], "outputs": [{"path": "/o", "tags": ["x:1", "y:2"]}]});
    let together = json!({"image": "host", "inputs": [{"path": "/a", "tags": ["key1:val2", "key2:val1"]}],
        "log": {"tags": ["x:1", "y:3"]}});
    let (apart, together) = (world.plan(&apart).await, world.plan(&together).await);
    for (query, found) in [
        ("in_tag=key1:val2&in_tag=key2:val1", vec![&together]),
        ("out_tag=x:1&out_tag=y:2", vec![&apart]),
        ("out_tag=x:1&out_tag=y:3", vec![&together]),
        ("in_tag=nosuch:tag", vec![]),
        ("out_tag=knit%23id:x", vec![]),
    ] {
        let plans = world.get(&format!("/api/plans?{query}")).await.expect(200).json();
        let ids: Vec<&str> = plans.as_array().unwrap().iter().map(|plan| plan["planId"].as_str().unwrap()).collect();
        assert_eq!(ids, found, "{query}");
    }
}

#[tokio::test]
async fn fnd_07_bad_queries_for_plans_are_refused() {
    let world = World::new().await;
    for query in ["active=maybe", "in_tag=x", "out_tag=x", "image=:v1.0"] {
        let refused = world.get(&format!("/api/plans?{query}")).await.expect(400);
        assert!(refused.message().starts_with("bad request\n"), "{query}");
    }
}

#[tokio::test]
async fn an_equivalent_plan_is_refused_and_the_existing_one_named() {
    let world = World::new().await;
    let existing = world.plan(&spec("type:corpus")).await;
    let mut twin = spec("type:corpus");
    twin["resources"] = json!({"cpu": 2});
    twin["annotations"] = json!(["a=b"]);
    let refused = world.send("POST", "/api/plans", &twin).await.expect(409);
    assert_eq!(refused.header("x-knit-see"), Some(existing.as_str()));
    let message = refused.message();
    assert!(message.starts_with("there are equiverent plan\n") && message.contains(&existing), "{message}");
}

#[tokio::test]
async fn a_plan_that_would_feed_itself_is_refused() {
    let world = World::new().await;
    world.plan(&spec("type:corpus")).await;
    let back = json!({"image": "host", "inputs": [{"path": "/in", "tags": ["type:model"]}],
        "outputs": [{"path": "/out", "tags": ["type:corpus"]}]});
    let refused = world.send("POST", "/api/plans", &back).await.expect(409);
    assert!(refused.message().starts_with("plan spec conflics with others\n"));
    assert_eq!(refused.header("x-knit-see"), None);
}

#[tokio::test]
async fn malformed_plans_are_refused_with_the_offending_part() {
    let world = World::new().await;
    let with = |change: Change| {
        let mut plan = spec("type:corpus");
        change(&mut plan);
        plan
    };
    let bad: [(Change, &str); 12] = [
        (|plan| plan["image"] = json!(""), "image"),
        (|plan| plan["image"] = json!("x@sha256:0"), "x@sha256:0"),
        (|plan| plan["inputs"] = json!([]), "input"),
        (|plan| plan["inputs"][0]["path"] = json!("relative"), "relative"),
        (|plan| plan["inputs"][0]["path"] = json!("/a/../b"), "/a/../b"),
        (|plan| plan["inputs"][0]["tags"] = json!([]), "/in"),
        (|plan| plan["inputs"][0]["tags"] = json!(["nocolon"]), "nocolon"),
        (|plan| plan["inputs"][0]["tags"] = json!(["knit#transient:failed"]), "knit#transient"),
        (|plan| plan["outputs"][0]["tags"] = json!(["knit#id:x"]), "knit#id"),
        (|plan| plan["outputs"][0]["path"] = json!("/in/below"), "/in/below"),
        (|plan| plan["resources"] = json!({"cpu": "much"}), "much"),
        (|plan| plan["on_node"] = json!({"must": ["a.b=c"]}), "a.b"),
    ];
    for (change, part) in bad {
        let plan = with(change);
        let refused = world.send("POST", "/api/plans", &plan).await.expect(400);
        let message = refused.message();
        assert!(message.starts_with("bad request\n") && message.contains(part), "{plan}: {message}");
    }
    let all = world.get("/api/plans").await.json();
    assert_eq!(all.as_array().unwrap().len(), 2, "only the built-in Plans are there");
}

#[tokio::test]
async fn pln_24_a_plan_must_be_json_and_say_so() {
    let world = World::new().await;
    let plan = spec("type:corpus").to_string();
    let send = async |content_type: &str, body: &str| {
        ask(world.server, "POST", "/api/plans", &[("Content-Type", content_type)], body.as_bytes()).await
    };
    ask(world.server, "POST", "/api/plans", &[], plan.as_bytes()).await.expect(400);
    for (content_type, body) in
        [("text/plain", &*plan), ("text/yaml", &plan), ("application/json", ""), ("application/json", "{")]
    {
        send(content_type, body).await.expect(400);
    }
    let all = world.get("/api/plans").await.json();
    assert_eq!(all.as_array().unwrap().len(), 2, "only the built-in Plans are there");
    send("application/json; charset=utf-8", &plan).await.expect(200);
}

#[tokio::test]
async fn activity_is_changed_and_unknown_or_built_in_plans_are_not_found() {
    let world = World::new().await;
    let plan = format!("/api/plans/{}/active", world.plan(&spec("type:corpus")).await);
    for (method, active) in [("DELETE", false), ("DELETE", false), ("PUT", true), ("PUT", true)] {
        assert_eq!(world.call(method, &plan).await.expect(200).json()["active"], active);
    }
    let builtin = world.get("/api/plans").await.json()[0]["planId"].as_str().unwrap().to_owned();
    for target in
        [format!("{UNKNOWN}/active"), "/api/plans/x/active".to_owned(), format!("/api/plans/{builtin}/active")]
    {
        if target != plan {
            world.call("PUT", &target).await.expect(404);
        }
    }
}

#[tokio::test]
async fn pid_17_18_19_and_22_what_may_change_of_a_plan() {
    let world = World::new().await;
    let plan = format!("/api/plans/{}", world.plan(&spec("type:corpus")).await);
    let change =
        async |what: &str, body: &Value| world.send("PUT", &format!("{plan}/{what}"), body).await.expect(200).json();

    let changed = change("resources", &json!({"set": {"cpu": "2000m", "gpu": 1}, "unset": ["memory", "gpu"]})).await;
    assert_eq!(changed["resources"], json!({"cpu": "2"}));
    let changed = change("annotations", &json!({"add": ["owner=alice", "owner = bob"]})).await;
    assert_eq!(changed["annotations"], json!(["owner=alice", "owner=bob"]));
    let changed =
        change("annotations", &json!({"add": ["owner=bob"], "remove": ["owner=alice", "x=y"], "remove_key": null}))
            .await;
    assert_eq!(changed["annotations"], json!(["owner=bob"]));
    let changed = change("serviceaccount", &json!({"service_account": "trainer"})).await;
    assert_eq!(changed["service_account"], "trainer");
    for _ in 0..2 {
        let cleared = world.call("DELETE", &format!("{plan}/serviceaccount")).await.expect(200).json();
        assert_eq!(cleared.get("service_account"), None);
    }
    for what in ["resources", "annotations", "serviceaccount"] {
        world.send("PUT", &format!("{UNKNOWN}/{what}"), &json!({})).await.expect(404);
        world.call("PUT", &format!("{plan}/{what}")).await.expect(200);
        let foreign = [("Content-Type", "text/plain")];
        ask(world.server, "PUT", &format!("{plan}/{what}"), &foreign, b"x").await.expect(400);
        ask(world.server, "PUT", &format!("{plan}/{what}"), &[("Content-Type", "application/json")], b"{")
            .await
            .expect(400);
    }
}

#[tokio::test]
async fn a_plan_tells_why_it_makes_no_runs() {
    let world = World::new().await;
    let near = world.push(&["type:corpus"]).await;
    let mut wanted = spec("type:corpus");
    wanted["inputs"][0]["tags"] = json!(["type:corpus", "lang:sv"]);
    let plan = world.plan(&wanted).await;
    let matches = world.get(&format!("/api/plans/{plan}/matches")).await.expect(200).json();
    let input = json!({"path": "/in", "tags": ["lang:sv", "type:corpus"], "candidates": 0, "nearest": near,
        "missing": ["lang:sv"], "producible": false});
    assert_eq!(matches, json!({"planId": plan, "inputs": [input], "runs": 0, "failed": 0, "pending": 0, "removed": 0}));
    world.get(&format!("{UNKNOWN}/matches")).await.expect(404);
}

#[tokio::test]
async fn an_input_that_another_plan_will_feed_names_it_and_how_its_runs_do() {
    let world = World::new().await;
    world.push(&["type:corpus"]).await;
    let producer = world.plan(&spec("type:corpus")).await;
    let mut wanted = spec("type:model");
    wanted["outputs"] = json!([]);
    let plan = world.plan(&wanted).await;
    let producers = async || {
        let matches = world.get(&format!("/api/plans/{plan}/matches")).await.expect(200).json();
        assert_eq!(matches["inputs"][0]["producible"], true);
        matches["inputs"][0]["producers"].clone()
    };
    assert_eq!(producers().await, json!([{"planId": producer, "pending": 0, "failed": 0, "removed": 0}]));
    let run = world.run_of(&producer).await;
    assert_eq!(producers().await, json!([{"planId": producer, "pending": 1, "failed": 0, "removed": 0}]));
    world.bring(run, Status::Failed).await;
    assert_eq!(producers().await, json!([{"planId": producer, "pending": 0, "failed": 1, "removed": 0}]));
    world.call("DELETE", &format!("/api/runs/{run}")).await.expect(204);
    assert_eq!(producers().await, json!([{"planId": producer, "pending": 0, "failed": 0, "removed": 1}]));
    let matches = world.get(&format!("/api/plans/{producer}/matches")).await.expect(200).json();
    assert_eq!(matches["removed"], 1, "it says why it makes no Run");
}

/// How many Data with `tag` there were right before the Plan was registered.
async fn candidates_before(world: &World, plan: &str, tag: &str) -> usize {
    let events = world.get(&format!("/api/events?entity=plan:{plan}&type=PlanRegistered")).await.expect(200);
    let events = String::from_utf8(events.body).unwrap();
    let position: u64 = events.lines().find_map(|line| line.strip_prefix("id: ")).unwrap().parse().unwrap();
    let found = world.get(&format!("/api/data?tag={tag}&as-of={}", position - 1)).await.expect(200).json();
    found.as_array().unwrap().len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_plan_gets_no_more_runs_than_are_wanted_whoever_is_faster() {
    const WANTED: usize = 4;
    let world = World::new().await;
    let mut data = Vec::new();
    for _ in 0..2 * WANTED {
        data.push(world.push(&[]).await);
    }
    for round in 0..10 {
        let tag = format!("round:{round}");
        let (target, spec) = (format!("/api/plans?max-runs={WANTED}"), spec(&tag));
        let tagging = data.iter().map(|id| {
            let (target, change) = (format!("/api/data/{id}"), json!({"add": [tag.clone()]}));
            let world = &world;
            async move { world.send("PUT", &target, &change).await.expect(200) }
        });
        let (_, answer) = tokio::join!(futures::future::join_all(tagging), world.send("POST", &target, &spec));
        match answer.status {
            200 => {
                let before = candidates_before(&world, answer.json()["planId"].as_str().unwrap(), &tag).await;
                assert!(before <= WANTED, "{before} Data fitted when it was registered");
            }
            409 => assert!(answer.message().starts_with("too many Runs\n"), "{}", answer.message()),
            other => panic!("{other}: {}", answer.message()),
        }
        let plans = world.get(&format!("/api/plans?in_tag={tag}")).await.expect(200).json();
        assert_eq!(plans.as_array().unwrap().len(), usize::from(answer.status == 200), "refused is not registered");
    }
    // What is there is counted, and said.
    let refused = world.send("POST", "/api/plans?max-runs=7", &spec("round:0")).await;
    assert_eq!(refused.status, 409);
    let mut other = spec("round:1");
    other["args"] = json!(["false"]);
    let refused = world.send("POST", "/api/plans?max-runs=7", &other).await.expect(409).message();
    assert!(refused.contains("would get 8 Runs and at most 7 are wanted"), "{refused}");
    assert!(refused.contains("8 for /in"), "{refused}");
    world.send("POST", "/api/plans?max-runs=8", &other).await.expect(200);
    world.send("POST", "/api/plans?max-runs=many", &other).await.expect(400);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_plan_with_few_runs_is_registered_though_something_happens_all_the_time() {
    let world = World::new().await;
    let mut data = Vec::new();
    for _ in 0..8 {
        data.push(world.push(&[]).await);
    }
    let over = std::sync::atomic::AtomicBool::new(false);
    let busy = data.iter().map(|id| {
        let (world, over, target) = (&world, &over, format!("/api/data/{id}"));
        async move {
            for number in 0_u64.. {
                if over.load(std::sync::atomic::Ordering::Relaxed) {
                    break;
                }
                let change = json!({"remove_key": ["at"], "add": [format!("at:{number}")]});
                world.send("PUT", &target, &change).await.expect(200);
            }
        }
    });
    let registering = async {
        for number in 0..5 {
            let mut spec = spec("nothing:has-it");
            spec["args"] = json!([number.to_string()]);
            world.send("POST", "/api/plans?max-runs=3", &spec).await.expect(200);
        }
        over.store(true, std::sync::atomic::Ordering::Relaxed);
    };
    tokio::join!(futures::future::join_all(busy), registering);
}
