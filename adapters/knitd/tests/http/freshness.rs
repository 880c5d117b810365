//! Every answer says which position it reflects, and nobody waits for ever (design D13).

use knitd::servers::Duties;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::client::{Answer, PATIENCE};
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

/// As where the database goes away right after the commit.
#[tokio::test]
async fn a_plan_that_is_registered_and_not_shown_yet_is_not_said_not_to_exist() {
    let world = World::new().await;
    let before = position(&world.get("/api/plans").await.expect(200));
    world.stop_following();
    let answer = world.send("POST", "/api/plans", &spec("type:corpus")).await.expect(503);
    assert!(answer.message().contains("it is done"), "{}", answer.message());
    assert!(world.app.log().head().await.unwrap().position > before, "it is recorded");
}

#[tokio::test]
async fn a_command_without_a_log_is_answered_as_a_question_is() {
    let world = World::new().await;
    let data = world.push(&[]).await;
    world.stop_following();
    world.app.log().close().await;
    let question = world.get("/api/data").await.expect(503).message();
    let command = world.send("PUT", &format!("/api/data/{data}"), &serde_json::json!({"add": ["a:1"]})).await;
    assert_eq!(command.expect(503).message(), question);
    world.send("POST", "/api/plans", &spec("type:corpus")).await.expect(503);
}

/// What the projections show while they are folded is long past; whoever acts waits for the end of it.
#[tokio::test]
async fn d6_nobody_acts_while_it_is_doubted_that_the_log_is_the_one_that_was_folded() {
    let world = World::new().await;
    let duties = Duties::of(world.app.clone());
    let (began, mut beginnings) = mpsc::unbounded_channel();
    duties.take_on_when_caught_up("a-duty-of-this-test", move || {
        began.send(()).unwrap();
        std::future::pending()
    });
    timeout(PATIENCE, beginnings.recv()).await.expect("it begins once all is folded").unwrap();
    world.app.views().doubt();
    // The follower looks, finds the same log, and the duty is taken up anew.
    timeout(PATIENCE, beginnings.recv()).await.expect("it was laid down and begins again").unwrap();
    timeout(PATIENCE, duties.lay_down()).await.expect("it ends with the others");
    assert!(beginnings.recv().await.is_none());
}
