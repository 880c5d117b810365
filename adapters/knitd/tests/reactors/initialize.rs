//! Waiting Runs get their volumes: each has its turn, failures hold up nobody, nothing is left over.

use knit_domain::id::RunId;
use knit_domain::plan::PlanChange;
use knit_domain::run::Status;

use crate::scripted::{Held, Op};
use crate::world::{Role, World, in_time, plan, user};

#[tokio::test]
async fn lop_10_a_closed_gate_keeps_the_run_waiting_and_no_volume_is_made() {
    let mut world = World::new().await;
    let run = world.waiting_run("corpus").await;
    let volumes = world.volumes_of(run).await;
    world.gate.close(Status::Ready);
    world.start(Role::Initialize);
    in_time("the gate is asked again", || world.gate.asked(Status::Ready) >= 3).await;
    assert_eq!(world.status(run), Some(Status::Waiting));
    assert!(volumes.iter().all(|volume| world.runtime.called_upon(volume).is_empty()));
    let said = world.lines.with(&[&run.to_string(), "the hook of this test says no"]);
    assert_eq!(said.len(), 1, "{said:?}");

    world.gate.open(Status::Ready);
    world.becomes(run, Status::Ready).await;
    assert!(volumes.iter().all(|volume| world.runtime.volumes().contains(volume)));
}

#[tokio::test]
async fn lop_10_11_sts_08_a_volume_that_cannot_be_made_is_tried_again_and_reported_once() {
    let mut world = World::new().await;
    let run = world.waiting_run("corpus").await;
    world.runtime.breaks(Op::Prepare);
    let before = world.runtime.calls(Op::Prepare);
    world.start(Role::Initialize);
    in_time("it is tried again", || world.runtime.calls(Op::Prepare) >= before + 3).await;
    assert_eq!(world.status(run), Some(Status::Waiting));

    world.runtime.mend(Op::Prepare);
    world.becomes(run, Status::Ready).await;
    world.says(&["initialize", &run.to_string(), "done at last"]).await;
    let said = world.lines.with(&["initialize", &run.to_string(), "to be tried again", "the test breaks it"]);
    assert_eq!(said.len(), 1, "one line for one cause: {said:?}");
}

#[tokio::test]
async fn sts_07_11_every_run_has_its_turn_though_one_always_fails() {
    let mut world = World::new().await;
    let failing = world.waiting_run("a").await;
    let others = [world.waiting_run("b").await, world.waiting_run("c").await];
    let volume = &world.volumes_of(failing).await[0];
    world.runtime.breaks_for(Op::Prepare, volume);
    world.start(Role::Initialize);
    for run in others {
        world.becomes(run, Status::Ready).await;
    }
    in_time("the other is tried again", || world.runtime.calls_upon(Op::Prepare, volume) >= 2).await;
    assert_eq!(world.status(failing), Some(Status::Waiting));
    assert_eq!(world.story(failing).await, ["RunProjected"], "nothing is recorded of a failure");
}

#[tokio::test]
async fn lop_07_a_step_that_was_cut_off_is_taken_again_without_a_word() {
    let mut world = World::new().await;
    let run = world.waiting_run("corpus").await;
    world.runtime.hold(Op::Prepare, Held::After);
    world.start(Role::Initialize);
    world.runtime.holds(Op::Prepare, Held::After).await;
    world.crash().await;
    world.runtime.let_go(Op::Prepare);

    world.restart().await;
    world.start(Role::Initialize);
    world.becomes(run, Status::Ready).await;
    assert_eq!(world.lines.with(&["to be tried again"]), Vec::<String>::new());
    assert_eq!(world.story(run).await, ["RunProjected", "RunVolumesPrepared"]);
}

#[tokio::test]
async fn x9_a_run_whose_plan_is_deactivated_meanwhile_is_held_and_keeps_its_volumes() {
    let mut world = World::new().await;
    let run = world.waiting_run("corpus").await;
    let plan_id = world.record(run).await.plan;
    world.runtime.hold(Op::Prepare, Held::Before);
    world.start(Role::Initialize);
    world.runtime.holds(Op::Prepare, Held::Before).await;
    world.app.change_plan(&user(), plan_id, &PlanChange::SetActive(false)).await.unwrap();
    world.runtime.let_go(Op::Prepare);
    in_time("the gate was passed", || world.gate.asked(Status::Ready) == 1).await;
    let other = world.waiting_run("another").await;
    world.becomes(other, Status::Ready).await;
    assert_eq!(world.status(run), Some(Status::Deactivated));

    world.app.change_plan(&user(), plan_id, &PlanChange::SetActive(true)).await.unwrap();
    world.becomes(run, Status::Ready).await;
    assert_eq!(world.runtime.calls(Op::Destroy), 0);
}

/// Brings the server to where it is making the first volume of a waiting Run, which is then deleted.
async fn deleted_while_volumes_are_made(world: &mut World) -> RunId {
    let run = world.waiting_run("corpus").await;
    world.runtime.hold(Op::Prepare, Held::After);
    world.start(Role::Initialize);
    world.start(Role::GarbageCollection);
    world.runtime.holds(Op::Prepare, Held::After).await;
    world.app.delete(&user(), run).await.unwrap();
    run
}

async fn only_the_upload_is_left(world: &World) {
    let garbage = || world.app.views().worklists.read().garbage(0).count();
    in_time("all garbage is collected", || garbage() == 0).await;
    assert_eq!(world.runtime.volumes().len(), 1, "{:?}", world.runtime.volumes());
}

#[tokio::test]
async fn a_run_that_is_deleted_while_its_volumes_are_made_leaves_none() {
    let mut world = World::new().await;
    let run = deleted_while_volumes_are_made(&mut world).await;
    world.runtime.let_go(Op::Prepare);
    only_the_upload_is_left(&world).await;
    assert_eq!(world.status(run), Some(Status::Invalidated));
    assert_eq!(world.runtime.at_once_max(), 1, "making and destroying take turns");
}

#[tokio::test]
async fn it_leaves_none_when_the_server_dies_there_either() {
    let mut world = World::new().await;
    deleted_while_volumes_are_made(&mut world).await;
    world.crash().await;
    world.runtime.let_go(Op::Prepare);
    world.restart().await;
    world.start(Role::Initialize);
    world.start(Role::GarbageCollection);
    only_the_upload_is_left(&world).await;
}

#[tokio::test]
async fn vol_01_volumes_are_made_for_outputs_and_log_and_for_no_input() {
    let mut world = World::new().await;
    let run = world.waiting_run("corpus").await;
    world.start(Role::Initialize);
    world.becomes(run, Status::Ready).await;
    let mut made = world.volumes_of(run).await;
    let input = world.record(run).await.inputs[0].knit_id;
    made.push(knit_domain::id::VolumeRef::of(input));
    made.sort();
    assert_eq!(world.runtime.volumes(), made);
    let draft = plan("type:corpus");
    assert_eq!(made.len(), draft.outputs.len() + 2, "one for each output, one for the log, one was uploaded");
}
