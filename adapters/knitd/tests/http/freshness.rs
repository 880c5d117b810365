//! Every answer says which position it reflects, and nobody waits for ever (design D13).

use crate::client::Answer;
use crate::kit::{World, spec};

fn position(answer: &Answer) -> u64 {
    answer.header("x-knit-position").expect("every answer has a position").parse().unwrap()
}

#[tokio::test]
async fn every_answer_says_which_position_it_reflects() {
    let world = World::new().await;
    let plan = world.send("POST", "/api/plans", &spec("type:corpus")).await.expect(200);
    let written = position(&plan);
    assert!(written > 0);
    for (target, status) in
        [("/api/data", 200), ("/api/plans", 200), ("/api/runs/x", 404), ("/api/data?since=x", 400), ("/nowhere", 404)]
    {
        let answer = world.get(target).await.expect(status);
        assert!(position(&answer) >= written, "{target}");
    }
    let refused = world.send("POST", "/api/plans", &spec("type:corpus")).await.expect(409);
    assert!(position(&refused) >= written);
}

#[tokio::test]
async fn a_command_is_answered_though_the_projections_do_not_move() {
    let world = World::new().await;
    let data = world.push(&[]).await;
    let before = position(&world.get("/api/data").await);
    world.stop_following();
    let target = format!("/api/data/{data}");
    let stale = world.send("PUT", &target, &serde_json::json!({"add": ["a:1"]})).await.expect(200);
    assert_eq!(position(&stale), before, "it does not claim to be fresher than it is");
    let head = world.app.log().head().await.unwrap();
    assert!(head.position > before, "though the change is recorded");
}
