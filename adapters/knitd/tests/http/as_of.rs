//! `as-of` on every route that reads: answered as it was then, or refused, but never left unheeded.

use knit_domain::run::Status;
use serde_json::Value;

use crate::kit::{World, spec};

/// Routes that answer only as it is now, and refuse to be asked about then.
const ONLY_NOW: [&str; 8] = [
    "/api/data/{id}",
    "/api/events",
    "/api/events/export",
    "/api/events/{position}",
    "/api/events/{position}/why",
    "/api/runs/{id}/attempts/{attempt}/log",
    "/api/runs/{id}/log",
    "/api/tags",
];

/// A route that reads, and how to ask it about something that is there.
struct Route {
    path: String,
    target: String,
}

impl Route {
    fn with(&self, parameter: &str) -> String {
        let and = if self.target.contains('?') { '&' } else { '?' };
        format!("{}{and}{parameter}", self.target)
    }
}

/// A Data, a Plan and a Run that has ended, and every route of the API that reads, asked about them.
async fn world_and_routes() -> (World, Vec<Route>) {
    let world = World::new().await;
    let data = world.push(&["type:corpus"]).await;
    let plan = world.plan(&spec("type:corpus")).await;
    let run = world.run_of(&plan).await;
    world.bring(run, Status::Done).await;
    let document = world.get("/openapi.json").await.expect(200).json();
    let paths = document["paths"].as_object().unwrap();
    let reading = paths.iter().filter(|(path, route)| path.starts_with("/api/") && route.get("get").is_some());
    let routes = reading.map(|(path, route)| {
        let id = match path.split('/').nth(2).unwrap() {
            "data" => data.clone(),
            "plans" => plan.clone(),
            _ => run.to_string(),
        };
        let needed = route["get"]["parameters"].as_array().into_iter().flatten();
        let needed = needed.filter(|one| one["in"] == "query" && one["required"] == Value::Bool(true));
        let query: Vec<String> = needed
            .map(|one| match one["name"].as_str().unwrap() {
                "of" => "of=data".to_owned(),
                name => format!("{name}={id}"),
            })
            .collect();
        let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
        let target = path.replace("{id}", &id).replace("{attempt}", "1").replace("{position}", "1") + &query;
        Route { path: path.clone(), target }
    });
    let routes = routes.collect();
    (world, routes)
}

#[tokio::test]
async fn d7_no_route_that_reads_leaves_as_of_unheeded() {
    let (world, routes) = world_and_routes().await;
    let mut only_now = Vec::new();
    for route in &routes {
        let no_time = world.get(&route.with("as-of=soon")).await.expect(400).message();
        assert!(no_time.contains("`as-of`"), "{}: {no_time}", route.path);
        let then = world.get(&route.with("as-of=1")).await;
        match then.status {
            200 => assert_eq!(then.header("x-knit-position"), Some("1"), "{}", route.path),
            404 => assert!(then.message().contains("was made only at"), "{}: {}", route.path, then.message()),
            _ => {
                let refused = then.expect(400).message();
                assert!(refused.contains("ask without `as-of`"), "{}: {refused}", route.path);
                only_now.push(route.path.as_str());
            }
        }
    }
    only_now.sort_unstable();
    assert_eq!(only_now, ONLY_NOW);
}

/// Routes of the original, which ignores what it does not know.
const ORIGINAL: [&str; 7] = [
    "/api/data",
    "/api/data/{id}",
    "/api/plans",
    "/api/plans/{id}",
    "/api/runs",
    "/api/runs/{id}",
    "/api/runs/{id}/log",
];

#[tokio::test]
async fn what_a_route_does_not_know_is_refused_where_the_route_is_ours() {
    let (world, routes) = world_and_routes().await;
    for route in routes {
        let strange = world.get(&route.with("colour=blue&_=17&from=")).await;
        if ORIGINAL.contains(&route.path.as_str()) {
            assert_eq!(strange.status, 200, "{}", route.path);
            assert_eq!(strange.body, world.get(&route.target).await.expect(200).body, "{}", route.path);
        } else {
            let refused = strange.expect(400).message();
            assert!(refused.contains("there is no `colour` here"), "{}: {refused}", route.path);
        }
    }
}

#[tokio::test]
async fn what_is_nearly_a_parameter_is_refused_everywhere() {
    let (world, routes) = world_and_routes().await;
    for route in &routes {
        for slip in ["as_of", "asof", "as-fo", "As-Of"] {
            let refused = world.get(&route.with(&format!("{slip}=1"))).await.expect(400).message();
            let wanted = format!("there is no `{slip}`; did you mean `as-of`?");
            assert!(refused.contains(&wanted), "{}: {refused}", route.path);
        }
    }
    for (target, meant) in [
        ("/api/runs?state=x&statsu=done", "status"),
        ("/api/data?tags=a:1", "tag"),
        ("/api/plans?in-tag=a:1", "in_tag"),
        ("/api/runs?plans=x", "plan"),
    ] {
        let refused = world.get(target).await.expect(400).message();
        assert!(refused.contains(&format!("did you mean `{meant}`?")), "{target}: {refused}");
    }
}

#[tokio::test]
async fn d7_attempts_are_told_as_they_were() {
    let world = World::new().await;
    world.push(&["type:corpus"]).await;
    let plan = world.plan(&spec("type:corpus")).await;
    let run = world.run_of(&plan).await;
    let target = format!("/api/runs/{run}/attempts");
    world.bring(run, Status::Running).await;
    let running = world.get(&target).await.expect(200);
    world.bring(run, Status::Failed).await;
    let position = running.header("x-knit-position").unwrap();
    let then = world.get(&format!("{target}?as-of={position}")).await.expect(200);
    assert_eq!((then.json(), then.header("x-knit-position")), (running.json(), Some(position)));
    let now = world.get(&target).await.expect(200).json();
    assert_eq!((&then.json()[0]["status"], &now[0]["status"]), (&"running".into(), &"failed".into()));
}
