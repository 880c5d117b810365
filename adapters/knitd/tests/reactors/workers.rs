//! Workers are started once, observed, and their ends are recorded (domain.md 9.12).

use knit_domain::id::WorkerName;
use knit_domain::run::Status;
use knit_runtime::port::WorkerState;

use crate::browser::Browser;
use crate::scripted::{Held, Op, exit, stray};
use crate::world::{Role, World, in_time, user};

/// One Run that is `ready`; nobody manages it yet.
async fn ready_run(world: &mut World) -> (knit_domain::id::RunId, WorkerName) {
    let run = world.waiting_run("corpus").await;
    world.start(Role::Initialize);
    world.becomes(run, Status::Ready).await;
    (run, WorkerName::of(run, 1))
}

#[tokio::test]
async fn wrk_01_a_ready_run_is_asked_for_at_the_gate_and_its_worker_is_given_what_hooks_give() {
    let mut world = World::new().await;
    let (run, worker) = ready_run(&mut world).await;
    world.gate.gives("LICENCE", "42");
    world.start(Role::RunManagement);
    world.spawned(run).await;
    assert_eq!(world.status(run), Some(Status::Starting));
    assert_eq!(world.runtime.spec_of(&worker).order.env["LICENCE"], "42");
    assert_eq!(world.gate.ways_of(run), [Status::Ready, Status::Starting]);
    assert_eq!(world.record(run).await.exit, None);
    let told = ["RunProjected", "RunVolumesPrepared", "WorkerRequested", "WorkerSpawned"];
    assert_eq!(world.story(run).await, told);
}

#[tokio::test]
async fn wrk_01_a_closed_gate_keeps_the_run_ready_and_nothing_is_asked_for() {
    let mut world = World::new().await;
    let (run, _) = ready_run(&mut world).await;
    world.gate.close(Status::Starting);
    world.start(Role::RunManagement);
    in_time("the gate is asked again", || world.gate.asked(Status::Starting) >= 2).await;
    assert_eq!((world.status(run), world.runtime.calls(Op::Create)), (Some(Status::Ready), 0));
    world.gate.open(Status::Starting);
    world.spawned(run).await;
}

#[tokio::test]
async fn wrk_02_a_worker_that_exists_already_is_taken_over_without_asking_again() {
    let mut world = World::new().await;
    let (run, worker) = ready_run(&mut world).await;
    world.runtime.hold(Op::Create, Held::After);
    world.start(Role::RunManagement);
    world.runtime.holds(Op::Create, Held::After).await;
    world.crash().await;
    world.runtime.let_go(Op::Create);

    world.restart().await;
    world.start(Role::RunManagement);
    world.spawned(run).await;
    assert_eq!(world.runtime.workers(), [worker]);
    assert_eq!((world.runtime.workers_made(), world.gate.asked(Status::Starting)), (1, 1));
}

#[tokio::test]
async fn wrk_04_a_worker_that_is_gone_without_a_trace_fails_its_run() {
    let mut world = World::new().await;
    let (run, worker) = ready_run(&mut world).await;
    world.start(Role::RunManagement);
    world.spawned(run).await;
    world.runtime.worker_vanishes(&worker);
    world.becomes(run, Status::Aborting).await;
    assert_eq!(world.record(run).await.exit, Some(exit(254, "worker for the run is not found")));
    assert_eq!(world.gate.ways_of(run).last(), Some(&Status::Aborting));
    assert_eq!(world.runtime.calls(Op::Create), 1, "it is not made anew");
}

#[tokio::test]
async fn wrk_04_a_lost_worker_is_as_good_as_gone() {
    let mut world = World::new().await;
    let (run, worker) = world.running_run().await;
    world.runtime.worker_becomes(&worker, WorkerState::Lost);
    world.becomes(run, Status::Aborting).await;
    assert_eq!(world.record(run).await.exit.map(|exit| exit.code), Some(254));
}

/// What a Worker can come to, what its Run then becomes, and with which exit code.
fn ends() -> [(WorkerState, Status, u8); 3] {
    [
        (WorkerState::Succeeded, Status::Completing, 0),
        (WorkerState::Failed(exit(3, "(container main) Error")), Status::Aborting, 3),
        (WorkerState::Stuck(exit(255, "no such image")), Status::Aborting, 255),
    ]
}

#[tokio::test]
async fn wrk_11_12_13_an_end_is_recorded_with_its_exit_once_the_gate_is_open() {
    for (end, status, code) in ends() {
        let mut world = World::new().await;
        let (run, worker) = world.running_run().await;
        world.gate.close(status);
        world.runtime.worker_becomes(&worker, end);
        in_time("the gate is asked again", || world.gate.asked(status) >= 2).await;
        let record = world.record(run).await;
        assert_eq!((record.status, record.exit), (Status::Running, None), "nothing is done before");
        world.gate.open(status);
        world.becomes(run, status).await;
        assert_eq!(world.record(run).await.exit.map(|exit| exit.code), Some(code));
    }
}

/// The log is away when a Worker comes to `end`; another server takes it up.
async fn recorded_later((end, status, code): (WorkerState, Status, u8)) {
    let mut world = World::new().await;
    let (run, worker) = world.running_run().await;
    world.app.log().close().await;
    world.runtime.worker_becomes(&worker, end);
    world.says(&["run-management", &run.to_string(), "to be tried again"]).await;
    world.crash().await;

    world.restart().await;
    assert_eq!(world.record(run).await.status, Status::Running);
    world.start(Role::RunManagement);
    world.becomes(run, status).await;
    assert_eq!(world.record(run).await.exit.map(|exit| exit.code), Some(code));
}

#[tokio::test]
async fn wrk_06_11_lop_09_a_success_that_cannot_be_recorded_is_recorded_later() {
    let [success, _, _] = ends();
    recorded_later(success).await;
}

#[tokio::test]
async fn wrk_06_12_lop_09_a_failure_that_cannot_be_recorded_is_recorded_later() {
    let [_, failure, _] = ends();
    recorded_later(failure).await;
}

#[tokio::test]
async fn wrk_06_13_lop_09_that_a_worker_is_stuck_is_recorded_later_when_it_cannot_be_at_once() {
    let [_, _, stuck] = ends();
    recorded_later(stuck).await;
}

#[tokio::test]
async fn wrk_07_lop_09_a_worker_that_cannot_be_looked_at_stays_what_it_was() {
    let mut world = World::new().await;
    let (run, worker) = world.running_run().await;
    world.runtime.breaks(Op::Observe);
    let before = world.runtime.calls(Op::Observe);
    world.runtime.worker_becomes(&worker, WorkerState::Succeeded);
    in_time("it is looked at again", || world.runtime.calls(Op::Observe) >= before + 3).await;
    assert_eq!(world.status(run), Some(Status::Running));
    assert_eq!(world.gate.asked(Status::Completing), 0, "nobody is asked before anything is known");
    let said = world.lines.with(&["run-management", &run.to_string(), "the test breaks it"]);
    assert_eq!(said.len(), 1, "{said:?}");
    world.runtime.mend(Op::Observe);
    world.becomes(run, Status::Completing).await;
}

#[tokio::test]
async fn wrk_08_09_a_worker_that_has_not_changed_changes_nothing() {
    let mut world = World::new().await;
    let (run, worker) = ready_run(&mut world).await;
    world.start(Role::RunManagement);
    world.spawned(run).await;
    look_again(&world, &worker, WorkerState::Pending { reason: None }).await;
    look_again(&world, &worker, WorkerState::Running).await;
    world.becomes(run, Status::Running).await;
    look_again(&world, &worker, WorkerState::Running).await;
    world.runtime.worker_becomes(&worker, WorkerState::Succeeded);
    world.becomes(run, Status::Completing).await;
    assert_eq!(world.gate.ways_of(run), [Status::Ready, Status::Starting, Status::Running, Status::Completing]);
    assert_eq!(world.story(run).await[3..], ["WorkerSpawned", "RunStarted", "RunSuccessDecided"]);
}

async fn look_again(world: &World, worker: &WorkerName, state: WorkerState) {
    let looks = world.runtime.calls(Op::Observe);
    world.runtime.worker_becomes(worker, state);
    in_time("it is looked at", || world.runtime.calls(Op::Observe) > looks).await;
}

#[tokio::test]
async fn wrk_10_a_worker_that_runs_makes_its_run_run_once_the_gate_is_open() {
    let mut world = World::new().await;
    let (run, worker) = ready_run(&mut world).await;
    world.start(Role::RunManagement);
    world.spawned(run).await;
    world.gate.close(Status::Running);
    world.runtime.worker_becomes(&worker, WorkerState::Running);
    in_time("the gate is asked again", || world.gate.asked(Status::Running) >= 2).await;
    assert_eq!(world.status(run), Some(Status::Starting));
    world.gate.open(Status::Running);
    world.becomes(run, Status::Running).await;
}

#[tokio::test]
async fn a_worker_that_can_never_run_here_fails_its_run_with_the_reason() {
    let mut world = World::new().await;
    let run = world.waiting_run("corpus").await;
    world.runtime.is_impossible("this machine has no gpu: ask for less");
    world.start_all();
    world.becomes(run, Status::Failed).await;
    assert_eq!(world.record(run).await.exit, Some(exit(255, "this machine has no gpu: ask for less")));
}

#[tokio::test]
async fn a_worker_that_cannot_be_made_is_made_later_and_only_once() {
    let mut world = World::new().await;
    let (run, _) = ready_run(&mut world).await;
    world.runtime.breaks(Op::Create);
    world.start(Role::RunManagement);
    in_time("it is tried again", || world.runtime.calls(Op::Create) >= 3).await;
    assert_eq!(world.status(run), Some(Status::Starting), "it is wanted");
    world.runtime.mend(Op::Create);
    world.spawned(run).await;
    assert_eq!((world.runtime.workers_made(), world.gate.asked(Status::Starting)), (1, 1));
}

#[tokio::test]
async fn a_worker_whose_run_was_aborted_while_it_was_made_is_removed() {
    let mut world = World::new().await;
    let (run, worker) = ready_run(&mut world).await;
    world.runtime.hold(Op::Create, Held::After);
    world.start(Role::RunManagement);
    world.runtime.holds(Op::Create, Held::After).await;
    world.app.abort(&user(), run).await.unwrap();
    world.runtime.let_go(Op::Create);
    in_time("it is removed", || !world.runtime.has_worker(&worker)).await;
    assert_eq!(world.status(run), Some(Status::Aborting));
}

#[tokio::test]
async fn what_a_worker_was_made_without_is_noted_in_its_attempt() {
    let mut world = World::new().await;
    let (run, _) = ready_run(&mut world).await;
    world.runtime.notes("`prefer disk=ssd` is ignored: there is one node");
    world.start(Role::RunManagement);
    world.spawned(run).await;
    let browser = Browser::of(&world).await;
    let (_, answer) = browser.get(&format!("/api/runs/{run}/attempts")).await.unwrap();
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.contains(r#""notes":["`prefer disk=ssd` is ignored: there is one node"]"#), "{answer}");
}

#[tokio::test]
async fn a_retried_run_gets_another_worker_and_the_earlier_one_is_not_confused_with_it() {
    let mut world = World::new().await;
    let (run, worker) = world.running_run().await;
    world.start(Role::Finishing);
    world.runtime.worker_becomes(&worker, WorkerState::Failed(exit(1, "")));
    world.becomes(run, Status::Failed).await;
    world.app.retry(&user(), run).await.unwrap();
    world.spawned(run).await;
    assert_eq!(world.runtime.workers(), [WorkerName::of(run, 2)]);
    assert_eq!(world.record(run).await.attempt, 2);
}

#[tokio::test]
async fn workers_that_no_run_asks_for_are_removed_and_one_that_stays_holds_up_no_other() {
    let mut world = World::new().await;
    let (run, worker) = world.running_run().await;
    world.crash().await;
    let unknown = stray(knit_domain::id::RunId(uuid::Uuid::from_u128(1)), 1);
    let earlier = stray(run, 7);
    let stuck = stray(knit_domain::id::RunId(uuid::Uuid::from_u128(0)), 1);
    for spec in [&unknown, &earlier, &stuck] {
        world.runtime.add_worker(spec.clone());
    }
    world.runtime.breaks_for(Op::Remove, &stuck.order.name);
    world.restart().await;
    world.start(Role::RunManagement);
    in_time("the others are removed", || world.runtime.workers().len() == 2).await;
    assert_eq!(world.runtime.workers(), [stuck.order.name.clone(), worker]);
    world.says(&["cannot compare with the world", &stuck.order.name.to_string()]).await;
}
