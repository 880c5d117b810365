//! What holds for every route: slashes, methods, strangers, health (web-api 1.1, design D16).

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::client::{ask, exchange};
use crate::kit::World;

/// Every path of the API with the methods it has.
const ROUTES: [(&str, &str); 35] = [
    ("/api/data", "OPTIONS, GET, POST"),
    ("/api/data/x", "OPTIONS, GET, PUT"),
    ("/api/data/x/detail", "OPTIONS, GET"),
    ("/api/data/x/lineage", "OPTIONS, GET"),
    ("/api/data/x/path", "OPTIONS, GET"),
    ("/api/data/x/diff", "OPTIONS, GET"),
    ("/api/ids", "OPTIONS, GET"),
    ("/api/tags", "OPTIONS, GET"),
    ("/api/events", "OPTIONS, GET"),
    ("/api/events/export", "OPTIONS, GET"),
    ("/api/events/1", "OPTIONS, GET"),
    ("/api/events/1/why", "OPTIONS, GET"),
    ("/api/plans", "OPTIONS, GET, POST"),
    ("/api/plans/x", "OPTIONS, GET"),
    ("/api/plans/x/graph", "OPTIONS, GET"),
    ("/api/plans/x/matches", "OPTIONS, GET"),
    ("/api/plans/x/active", "OPTIONS, PUT, DELETE"),
    ("/api/plans/x/resources", "OPTIONS, PUT"),
    ("/api/plans/x/annotations", "OPTIONS, PUT"),
    ("/api/plans/x/serviceaccount", "OPTIONS, PUT, DELETE"),
    ("/api/runs", "OPTIONS, GET"),
    ("/api/runs/x", "OPTIONS, GET, DELETE"),
    ("/api/runs/x/abort", "OPTIONS, PUT"),
    ("/api/runs/x/tearoff", "OPTIONS, PUT"),
    ("/api/runs/x/retry", "OPTIONS, PUT"),
    ("/api/runs/x/log", "OPTIONS, GET"),
    ("/api/runs/x/lineage", "OPTIONS, GET"),
    ("/api/runs/x/explain", "OPTIONS, GET"),
    ("/api/runs/x/diff", "OPTIONS, GET"),
    ("/api/runs/x/attempts", "OPTIONS, GET"),
    ("/api/runs/x/attempts/1/log", "OPTIONS, GET"),
    ("/openapi.json", "OPTIONS, GET"),
    ("/healthz", "OPTIONS, GET"),
    ("/readyz", "OPTIONS, GET"),
    ("/metrics", "OPTIONS, GET"),
];

#[tokio::test]
async fn every_path_tells_its_methods_with_and_without_a_last_slash() {
    let world = World::new().await;
    for (path, allow) in ROUTES {
        for target in [path.to_owned(), format!("{path}/"), format!("{path}/?")] {
            let options = world.call("OPTIONS", &target).await.expect(204);
            assert_eq!((options.header("allow"), options.body.len()), (Some(allow), 0), "{target}");
            let refused = world.call("PATCH", &target).await.expect(405);
            assert_eq!(refused.header("allow"), Some(allow), "{target}");
            assert_eq!(refused.message(), "Method Not Allowed");
            world.call("HEAD", &target).await.expect(405);
        }
    }
}

#[tokio::test]
async fn an_unknown_path_is_not_found_in_json() {
    let world = World::new().await;
    for path in ["/", "/api", "/api/datum", "/api/data/x/y", "/api/data//", "/index.html"] {
        let answer = world.get(path).await.expect(404);
        assert_eq!(answer.json(), json!({"message": "Not Found"}), "{path}");
    }
}

#[tokio::test]
async fn an_unknown_or_malformed_id_is_not_found() {
    let world = World::new().await;
    for id in ["x", "00000000-0000-0000-0000-000000000000", "3B0F5A52-6C1E-4D0E-9A53-0D1F6F6B7C11", "%00", "a%2Fb"] {
        for path in ["/api/plans/{}", "/api/runs/{}", "/api/data/{}", "/api/data/{}/lineage", "/api/runs/{}/log"] {
            let answer = world.get(&path.replace("{}", id)).await.expect(404);
            assert!(answer.message().starts_with("not found\n"), "{path} {id}: {}", answer.message());
        }
    }
}

#[tokio::test]
async fn the_description_names_exactly_the_routes_there_are() {
    let world = World::new().await;
    let document = world.get("/openapi.json").await.expect(200).json();
    let described: Vec<(String, String)> = (document["paths"].as_object().unwrap().iter())
        .map(|(path, operations)| {
            let methods = ["get", "post", "put", "delete"].iter().filter(|method| operations.get(**method).is_some());
            let allow: Vec<String> = methods.map(|method| method.to_uppercase()).collect();
            let path = path.replace("{id}", "x").replace("{attempt}", "1").replace("{position}", "1");
            (path, format!("OPTIONS, {}", allow.join(", ")))
        })
        .collect();
    let mut routes = ROUTES.map(|(path, allow)| (path.to_owned(), allow.to_owned())).to_vec();
    routes.sort();
    let mut sorted = described.clone();
    sorted.sort();
    assert_eq!(sorted, routes);
    assert!(document["components"]["schemas"]["RunDetail"].is_object());
}

#[tokio::test]
async fn the_description_gives_every_operation_a_name_of_its_own_and_every_refusal_a_status() {
    let world = World::new().await;
    let document = world.get("/openapi.json").await.expect(200).json();
    let operations =
        document["paths"].as_object().unwrap().values().flat_map(|path| path.as_object().unwrap().values());
    let operations: Vec<&Value> = operations.collect();
    let names: BTreeSet<&str> = operations.iter().map(|one| one["operationId"].as_str().unwrap()).collect();
    assert_eq!(names.len(), operations.len());
    // "default" would make it true of any answer that it is described.
    assert!(operations.iter().all(|one| one["responses"].get("default").is_none()));
    assert!(document["paths"]["/api/data/{id}"]["get"]["responses"]["404"].is_object());
}

#[tokio::test]
async fn every_reference_of_the_description_leads_to_a_schema() {
    let world = World::new().await;
    let document = world.get("/openapi.json").await.expect(200).json();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let text = document.to_string();
    let named = text.split(r##""#/components/schemas/"##).skip(1).map(|rest| rest.split('"').next().unwrap());
    let dangling: BTreeSet<&str> = named.filter(|name| !schemas.contains_key(*name)).collect();
    assert!(dangling.is_empty(), "{dangling:?} of {:?}", schemas.keys());
    assert!(schemas.keys().all(|name| !name.contains(['_', '<'])), "{:?}", schemas.keys());
}

#[tokio::test]
async fn the_description_knows_every_form_in_which_a_graph_is_answered() {
    let world = World::new().await;
    let data = world.push(&["type:corpus"]).await;
    let document = world.get("/openapi.json").await.expect(200).json();
    let described = &document["paths"]["/api/data/{id}/lineage"]["get"]["responses"]["200"]["content"];
    for format in ["json", "dot", "mermaid", "svg", "openlineage", "prov", "ro-crate"] {
        let answer = world.get(&format!("/api/data/{data}/lineage?format={format}")).await.expect(200);
        let content_type = answer.header("content-type").unwrap();
        assert!(described[content_type].is_object(), "{format} is {content_type}");
    }
    assert_eq!(described["application/json"]["schema"]["$ref"], "#/components/schemas/LineageGraph");
    assert!(document["components"]["schemas"]["LineageGraph"].is_object());
}

#[tokio::test]
async fn strangers_are_refused() {
    let world = World::new().await;
    for (host, origin) in
        [("evil.example", None), ("localhost", Some("http://evil.example")), ("localhost", Some("null"))]
    {
        let origin = origin.map(|origin| format!("Origin: {origin}\r\n")).unwrap_or_default();
        let request = format!("GET /api/data HTTP/1.1\r\nHost: {host}\r\n{origin}Connection: close\r\n\r\n");
        let refused = exchange(world.server, request.as_bytes()).await.expect(403);
        assert!(refused.message().starts_with("forbidden\n"), "{host}");
    }
    let own = format!("http://{}", world.server);
    ask(world.server, "GET", "/api/data", &[("Origin", &own)], b"").await.expect(200);
}

#[tokio::test]
async fn health_is_alive_and_ready() {
    let world = World::new().await;
    world.get("/api/data").await.expect(200);
    let alive = world.get("/healthz").await.expect(200).json();
    assert_eq!(alive["status"], "ok");
    let ready = world.get("/readyz").await.expect(200).json();
    assert!(ready["position"].as_u64().unwrap() > 0);
    world.stop_following();
    world.app.views().doubt();
    for (method, target) in [("GET", "/readyz"), ("GET", "/api/data"), ("POST", "/api/plans")] {
        let folding = world.call(method, target).await.expect(503);
        assert!(folding.message().contains("folded"), "{target}: {}", folding.message());
    }
}

#[tokio::test]
async fn a_client_that_still_sends_reads_why_it_is_refused() {
    let world = World::new().await;
    // Larger than all buffers on the way.
    let huge = vec![b' '; 32 << 20];
    for (method, target, status) in
        [("POST", "/nowhere", 404), ("PATCH", "/api/data", 405), ("PUT", "/api/runs/x/abort", 404)]
    {
        ask(world.server, method, target, &[], &huge).await.expect(status);
    }
    ask(world.server, "POST", "/api/data", &[("Origin", "http://evil.example")], &huge).await.expect(403);
}

#[tokio::test]
async fn a_body_over_its_limit_is_refused() {
    let world = World::new().await;
    let huge = vec![b' '; 32 << 20];
    let refused =
        ask(world.server, "POST", "/api/plans", &[("Content-Type", "application/json")], &huge).await.expect(413);
    assert!(refused.message().contains("limited to 16777216 bytes"));
}

#[tokio::test]
async fn a_stopped_server_has_answered_what_it_was_asked() {
    let mut world = World::new().await;
    let idle = tokio::net::TcpStream::connect(world.server).await.unwrap();
    world.get("/api/data").await.expect(200);
    world.stop().await;
    assert!(tokio::net::TcpStream::connect(world.server).await.is_err(), "nobody listens any more");
    drop(idle);
}
