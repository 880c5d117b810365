//! To what a request belongs, and how it is found again.

use serde_json::{Value, json};

use crate::client::ask;
use crate::kit::World;

const TRACE: &str = "4bf92f35-77b3-4da6-a3ce-929d0e0e4736";

/// Adds a tag, with one header more than a client usually sends.
async fn tag_within(world: &World, data: &str, header: (&str, &str)) {
    let body = json!({"add": [{"key": "type", "value": "corpus"}]}).to_string();
    ask(world.server, "PUT", &format!("/api/data/{data}"), &[header], body.as_bytes()).await.expect(200);
}

/// The events behind `after`.
async fn events(world: &World, after: u64) -> Vec<Value> {
    let told = world.get(&format!("/api/events?after={after}")).await.expect(200);
    let text = String::from_utf8(told.body).unwrap();
    text.lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|json| serde_json::from_str(json).unwrap())
        .collect()
}

#[tokio::test]
async fn a_request_belongs_to_what_its_client_says_or_to_nothing_else() {
    let world = World::new().await;
    let (data, other) = (world.push(&[]).await, world.push(&[]).await);
    let before = events(&world, 0).await.len() as u64;
    let trace = format!("00-{}-00f067aa0ba902b7-01", TRACE.replace('-', ""));
    tag_within(&world, &data, ("traceparent", &trace)).await;
    tag_within(&world, &other, ("X-Request-Id", "nightly")).await;
    let correlations: Vec<Value> =
        events(&world, before).await.into_iter().map(|event| event["correlation"].clone()).collect();
    assert_eq!(correlations.first(), Some(&json!(TRACE)));
    assert!(correlations[1].is_string() && correlations[0] != correlations[1], "{correlations:?}");
}
