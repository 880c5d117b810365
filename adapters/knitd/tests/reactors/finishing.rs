//! Runs whose end is decided are ended: Worker first, then volumes, then the record (domain.md 9.8).

use knit_domain::event::agent::AgentClosure;
use knit_domain::id::{RunId, WorkerName};
use knit_domain::run::Status;
use knit_runtime::port::WorkerState;
use sha2::{Digest as _, Sha256};

use crate::scripted::{Held, Op};
use crate::world::{Role, World, in_time, user};

/// One Run that a user has aborted while its Worker ran.
async fn aborting_run(world: &mut World) -> (RunId, WorkerName) {
    let (run, worker) = world.running_run().await;
    world.app.abort(&user(), run).await.unwrap();
    (run, worker)
}

#[tokio::test]
async fn fin_05_the_worker_is_removed_before_the_volumes_are_sealed() {
    let mut world = World::new().await;
    let (run, worker) = aborting_run(&mut world).await;
    // The scripted runtime refuses to seal what a Worker may write to.
    world.start(Role::Finishing);
    world.becomes(run, Status::Failed).await;
    assert!(!world.runtime.has_worker(&worker));
    assert_eq!(world.gate.ways_of(run).last(), Some(&Status::Failed));
    let volumes = world.volumes_of(run).await;
    assert!(volumes.iter().all(|volume| world.runtime.is_sealed(volume)));
}

#[tokio::test]
async fn fin_06_a_run_without_worker_ends_without_looking_for_one() {
    let mut world = World::new().await;
    let upload = world.begin_upload().await;
    world.app.close_agent(&user(), &upload.agent, AgentClosure::Finished).await.unwrap();
    world.start(Role::RunManagement);
    world.start(Role::Finishing);
    world.becomes(upload.run_id, Status::Failed).await;
    let looks = [Op::Observe, Op::Remove].map(|op| world.runtime.calls(op));
    assert_eq!(looks, [0, 0]);
}

#[tokio::test]
async fn fin_07_12_a_closed_gate_keeps_status_and_worker_and_what_did_not_change_is_not_recorded() {
    let mut world = World::new().await;
    let (run, worker) = aborting_run(&mut world).await;
    world.gate.close(Status::Failed);
    world.start(Role::Finishing);
    in_time("the gate is asked again", || world.gate.asked(Status::Failed) >= 3).await;
    assert_eq!(world.status(run), Some(Status::Aborting));
    assert!(world.runtime.has_worker(&worker) && world.runtime.calls(Op::Remove) == 0);
    assert_eq!(world.story(run).await.last(), Some(&"RunFailureDecided"));

    world.gate.open(Status::Failed);
    world.becomes(run, Status::Failed).await;
    let ends = world.story(run).await.into_iter().filter(|event| *event == "RunFailed");
    assert_eq!(ends.count(), 1, "whoever follows the log is told once");
}

#[tokio::test]
async fn fin_08_a_worker_that_is_missing_is_no_obstacle() {
    let mut world = World::new().await;
    let (run, worker) = aborting_run(&mut world).await;
    world.runtime.worker_vanishes(&worker);
    world.start(Role::Finishing);
    world.becomes(run, Status::Failed).await;
}

#[tokio::test]
async fn fin_09_lop_09_a_worker_that_cannot_be_removed_keeps_its_run_from_ending() {
    let mut world = World::new().await;
    let (run, worker) = aborting_run(&mut world).await;
    world.runtime.breaks(Op::Remove);
    world.start(Role::Finishing);
    in_time("it is tried again", || world.runtime.calls(Op::Remove) >= 3).await;
    assert_eq!(world.status(run), Some(Status::Aborting));
    assert_eq!(world.record(run).await.worker.map(|worker| worker.name), Some(worker));
    let volumes = world.volumes_of(run).await;
    assert!(volumes.iter().all(|volume| !world.runtime.is_sealed(volume)), "it may still be written to");
    let said = world.lines.with(&["finishing", &run.to_string(), "the test breaks it"]);
    assert_eq!(said.len(), 1, "{said:?}");
    world.runtime.mend(Op::Remove);
    world.becomes(run, Status::Failed).await;
}

#[tokio::test]
async fn fin_10_an_end_that_cannot_be_recorded_is_recorded_later_though_the_worker_is_gone() {
    let mut world = World::new().await;
    let (run, worker) = world.running_run().await;
    world.runtime.hold(Op::LogSha256, Held::After);
    world.start(Role::Finishing);
    world.runtime.worker_becomes(&worker, WorkerState::Succeeded);
    world.runtime.holds(Op::LogSha256, Held::After).await;
    assert!(!world.runtime.has_worker(&worker));
    world.app.log().close().await;
    world.runtime.let_go(Op::LogSha256);
    world.says(&["finishing", &run.to_string(), "to be tried again"]).await;
    world.crash().await;

    world.restart().await;
    assert_eq!(world.record(run).await.status, Status::Completing);
    world.start(Role::Finishing);
    world.becomes(run, Status::Done).await;
}

#[tokio::test]
async fn fin_11_runs_whose_end_is_not_decided_are_left_alone() {
    let mut world = World::new().await;
    let upload = world.begin_upload().await;
    let (run, worker) = world.running_run().await;
    let last = world.waiting_run("last").await;
    world.start(Role::Finishing);
    world.app.abort(&user(), last).await.unwrap();
    world.becomes(last, Status::Failed).await;
    let ends = [Status::Done, Status::Failed].map(|end| world.gate.asked(end));
    assert_eq!(ends, [0, 1], "only the end of the one that was aborted");
    assert!(world.runtime.has_worker(&worker));
    assert_eq!([run, upload.run_id].map(|run| world.status(run)), [Some(Status::Running); 2]);
}

#[tokio::test]
async fn a_run_is_not_done_without_what_it_made() {
    let mut world = World::new().await;
    let (run, worker) = world.running_run().await;
    let output = &world.volumes_of(run).await[0];
    world.runtime.lose(output);
    world.start(Role::Finishing);
    world.runtime.worker_becomes(&worker, WorkerState::Succeeded);
    world.says(&["finishing", &run.to_string(), "an output of the Run is lost", &output.to_string()]).await;
    assert_eq!(world.status(run), Some(Status::Completing));
}

#[tokio::test]
async fn a_run_that_was_aborted_before_it_had_volumes_ends_without() {
    let mut world = World::new().await;
    let run = world.waiting_run("corpus").await;
    world.app.abort(&user(), run).await.unwrap();
    world.start(Role::Finishing);
    world.becomes(run, Status::Failed).await;
    assert_eq!(world.runtime.volumes().len(), 1, "only the upload's");
}

#[tokio::test]
async fn the_hash_of_the_whole_log_is_recorded_with_the_end() {
    let mut world = World::new().await;
    let (run, worker) = world.running_run().await;
    let log = world.record(run).await.log().unwrap().volume_ref.clone();
    world.runtime.fill(&log, "all went well\n");
    world.start(Role::Finishing);
    world.runtime.worker_becomes(&worker, WorkerState::Succeeded);
    world.becomes(run, Status::Done).await;
    let events = world.app.log().load(&knit_domain::event::StreamId::run(run)).await.unwrap();
    let recorded = events.last().unwrap().event.encode();
    let expected = hex::encode(Sha256::digest("all went well\n"));
    assert!(recorded.contains(&expected), "{recorded}");
}
