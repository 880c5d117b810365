//! Volumes of discarded Data are destroyed, then recorded as gone; nothing else is ever destroyed.

use knit_domain::data::Standing;
use knit_domain::id::{RunId, VolumeRef};
use knit_domain::run::Status;
use knit_runtime::port::WorkerState;
use knitd::streams;

use crate::scripted::{Held, Op};
use crate::world::{Role, World, in_time, user};

/// One Run that is done, and the volumes it made.
async fn done_run(world: &mut World) -> (RunId, Vec<VolumeRef>) {
    let (run, worker) = world.running_run().await;
    world.start(Role::Finishing);
    world.runtime.worker_becomes(&worker, WorkerState::Succeeded);
    world.becomes(run, Status::Done).await;
    let volumes = world.volumes_of(run).await;
    (run, volumes)
}

fn waste(world: &World) -> usize {
    world.app.views().worklists.read().garbage(0).count()
}

#[tokio::test]
async fn gbg_03_a_volume_that_cannot_be_destroyed_stays_on_the_list_and_holds_up_no_other() {
    let mut world = World::new().await;
    let (run, volumes) = done_run(&mut world).await;
    world.runtime.breaks_for(Op::Destroy, &volumes[0]);
    world.app.delete(&user(), run).await.unwrap();
    world.start(Role::GarbageCollection);
    in_time("it is tried again", || world.runtime.calls_upon(Op::Destroy, &volumes[0]) >= 3).await;
    in_time("the other is gone", || waste(&world) == 1).await;
    assert!(world.runtime.volumes().contains(&volumes[0]));
    let said = world.lines.with(&["garbage-collection", &volumes[0].to_string(), "the test breaks it"]);
    assert_eq!(said.len(), 1, "{said:?}");
    world.runtime.mend(Op::Destroy);
    in_time("all is gone", || waste(&world) == 0).await;
    assert!(volumes.iter().all(|volume| !world.runtime.volumes().contains(volume)));
}

#[tokio::test]
async fn gbg_05_a_volume_that_is_missing_is_gone() {
    let mut world = World::new().await;
    let (run, volumes) = done_run(&mut world).await;
    world.app.delete(&user(), run).await.unwrap();
    volumes.iter().for_each(|volume| world.runtime.lose(volume));
    world.start(Role::GarbageCollection);
    in_time("all is gone", || waste(&world) == 0).await;
}

#[tokio::test]
async fn gbg_06_a_volume_is_said_to_be_gone_only_when_it_is() {
    let mut world = World::new().await;
    let (run, volumes) = done_run(&mut world).await;
    let data = world.record(run).await.outputs[0].knit_id;
    world.runtime.hold(Op::Destroy, Held::Before);
    world.app.delete(&user(), run).await.unwrap();
    world.start(Role::GarbageCollection);
    world.runtime.holds(Op::Destroy, Held::Before).await;
    assert_eq!(standing(&world, data).await, Standing::Discarded);
    world.runtime.let_go(Op::Destroy);
    in_time("all is gone", || waste(&world) == 0).await;
    assert_eq!(standing(&world, data).await, Standing::Reclaimed);
    assert!(!world.runtime.volumes().contains(&volumes[0]));
}

async fn standing(world: &World, data: knit_domain::id::KnitId) -> Standing {
    streams::data(world.app.log(), data).await.unwrap().state.record.unwrap().standing
}

#[tokio::test]
async fn del_11_a_delete_that_cannot_be_recorded_changes_nothing() {
    let mut world = World::new().await;
    let (run, volumes) = done_run(&mut world).await;
    world.start(Role::GarbageCollection);
    let before = world.story(run).await;
    world.app.log().close().await;
    world.app.delete(&user(), run).await.unwrap_err();
    assert_eq!(world.runtime.calls(Op::Destroy), 0);
    world.crash().await;

    world.restart().await;
    world.start(Role::GarbageCollection);
    assert_eq!((world.story(run).await, world.status(run)), (before, Some(Status::Done)));
    world.app.delete(&user(), run).await.unwrap();
    in_time("all is gone", || waste(&world) == 0).await;
    assert!(volumes.iter().all(|volume| !world.runtime.volumes().contains(volume)));
}
