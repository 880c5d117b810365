//! Logs that cannot be had: what the API says.

use knit_domain::run::Status;
use knit_runtime::port::WorkerState;

use crate::browser::Browser;
use crate::scripted::Op;
use crate::world::{Role, World, in_time};

#[tokio::test]
async fn log_05_a_log_that_cannot_be_read_is_an_internal_error_and_leaves_no_agent() {
    let mut world = World::new().await;
    let browser = Browser::of(&world).await;
    let (run, worker) = world.running_run().await;
    world.start(Role::Finishing);
    world.runtime.worker_becomes(&worker, WorkerState::Succeeded);
    world.becomes(run, Status::Done).await;
    world.runtime.breaks(Op::ReadLog);
    let (status, answer) = browser.get(&format!("/api/runs/{run}/log")).await.unwrap();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert_eq!(status, 500, "{answer}");
    assert!(answer.contains("the test breaks it"), "it says why: {answer}");
    in_time("no agent stays open", || world.app.views().worklists.read().agents(0).count() == 0).await;

    world.runtime.mend(Op::ReadLog);
    let (status, _) = browser.get(&format!("/api/runs/{run}/log")).await.unwrap();
    assert_eq!(status, 200);
}

#[tokio::test]
async fn log_05_while_the_event_log_is_away_a_log_is_to_be_asked_for_later() {
    let mut world = World::new().await;
    let browser = Browser::of(&world).await;
    let (run, _) = world.running_run().await;
    world.app.log().close().await;
    let (status, answer) = browser.get(&format!("/api/runs/{run}/log")).await.unwrap();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert!(status == 503 && answer.contains("please retry later"), "{answer}");
}
