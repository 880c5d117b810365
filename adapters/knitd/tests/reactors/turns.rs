//! Several reactors care for one Run, and none is in another's way.

use std::time::UNIX_EPOCH;

use knit_domain::id::WorkerName;
use knit_domain::run::Status;
use knit_projections::store::At;
use knit_runtime::port::WorkerState;

use crate::scripted::{Held, Op};
use crate::world::{Role, World, in_time, plan, user};

/// More than so many Runs are not looked at at once by one reactor.
const PLACES_OF_A_REACTOR: usize = 32;

#[tokio::test]
async fn sts_14_a_run_is_looked_at_by_one_reactor_at_a_time() {
    let mut world = World::new().await;
    let (run, worker) = world.running_run().await;
    let other = world.waiting_run("another").await;
    world.spawned(other).await;
    world.runtime.hold(Op::Observe, Held::Before);
    world.runtime.worker_becomes(&worker, WorkerState::Succeeded);
    world.runtime.holds(Op::Observe, Held::Before).await;

    world.app.abort(&user(), run).await.unwrap();
    world.app.abort(&user(), other).await.unwrap();
    world.start(Role::Finishing);
    world.becomes(other, Status::Failed).await;
    assert_eq!(world.runtime.calls_upon(Op::Remove, &worker), 0, "the other reactor is still looking at it");

    world.runtime.let_go(Op::Observe);
    world.becomes(run, Status::Failed).await;
    assert_eq!(world.runtime.at_once_max(), 1);
}

#[tokio::test]
async fn sts_12_lop_08_a_change_that_is_no_longer_allowed_is_dropped_without_a_word() {
    let mut world = World::new().await;
    let (run, worker) = world.running_run().await;
    world.runtime.hold(Op::Observe, Held::After);
    world.runtime.worker_becomes(&worker, WorkerState::Succeeded);
    world.runtime.holds(Op::Observe, Held::After).await;
    world.app.abort(&user(), run).await.unwrap();
    world.runtime.let_go(Op::Observe);
    in_time("the gate was passed", || world.gate.asked(Status::Completing) == 1).await;
    world.start(Role::Finishing);
    world.becomes(run, Status::Failed).await;
    let record = world.record(run).await;
    assert_eq!(record.exit.map(|exit| exit.code), Some(253), "of abort and success exactly one stands");
    assert_eq!(world.lines.with(&["to be tried again"]), Vec::<String>::new());
}

#[tokio::test]
async fn sts_03_a_real_change_moves_the_instant_of_the_run_and_a_repeated_one_does_not() {
    let mut world = World::new().await;
    let (run, _) = world.running_run().await;
    let updated_at = || world.app.views().store.read().run(run, At::Now).unwrap().updated_at;
    let running = updated_at();
    // What happens within one millisecond has one stamp.
    in_time("the clock goes on", || clock_ms() > running.unix_ms()).await;
    world.app.abort(&user(), run).await.unwrap();
    let aborting = updated_at();
    let events = world.app.log().load(&knit_domain::event::StreamId::run(run)).await.unwrap();
    assert!(aborting > running);
    assert_eq!(aborting.to_string(), knit_time(events.last().unwrap()));
    world.app.abort(&user(), run).await.unwrap();
    assert_eq!(updated_at(), aborting);
}

fn clock_ms() -> i64 {
    i64::try_from(UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap()
}

/// When an event was recorded, as the wire writes it.
fn knit_time(recorded: &knit_domain::event::Recorded) -> String {
    recorded.recorded_at.to_string()
}

#[tokio::test]
async fn sts_09_10_each_kind_of_run_is_cared_for_in_its_own_way() {
    let mut world = World::new().await;
    let upload = world.begin_upload().await;
    let image = world.waiting_run("corpus").await;
    world.start_all();
    world.spawned(image).await;
    assert_eq!(world.runtime.workers(), [WorkerName::of(image, 1)], "an upload has no Worker");
    assert_eq!(world.runtime.called_upon(&upload.volume), [], "its volume is made by whoever uploads");
    assert_eq!(world.status(upload.run_id), Some(Status::Running), "and it is left alone while somebody does");
    assert_eq!(world.gate.ways_of(upload.run_id), []);
}

#[tokio::test]
async fn runs_that_take_long_to_end_do_not_keep_others_from_starting() {
    let mut world = World::new().await;
    let first = world.apply(&plan("type:corpus")).await;
    for _ in 0..PLACES_OF_A_REACTOR + 1 {
        world.push(&["type:corpus"]).await;
    }
    world.push(&["type:another"]).await;
    world.runtime.workers_succeed();
    world.runtime.hold(Op::Seal, Held::Before);
    world.start_all();
    world.runtime.holds_many(Op::Seal, Held::Before, PLACES_OF_A_REACTOR).await;
    for run in world.runs_of(first) {
        world.runtime.announce(&WorkerName::of(run, 1));
    }
    let second = world.apply(&plan("type:another")).await;
    in_time("another Run is made", || world.runs_of(second).len() == 1).await;
    world.becomes(world.runs_of(second)[0], Status::Completing).await;
}

#[tokio::test]
async fn a_worker_that_was_being_made_when_its_run_was_torn_off_writes_to_nothing_that_is_sealed() {
    let mut world = World::new().await;
    let run = world.waiting_run("corpus").await;
    world.runtime.hold(Op::Create, Held::Before);
    world.start_all();
    world.runtime.holds(Op::Create, Held::Before).await;
    world.app.tear_off(&user(), run).await.unwrap();
    world.runtime.let_go(Op::Create);
    // The scripted runtime refuses to seal what a Worker may write to.
    world.becomes(run, Status::Done).await;
    assert_eq!(world.runtime.workers(), []);
    let volumes = world.volumes_of(run).await;
    assert!(volumes.iter().all(|volume| world.runtime.is_sealed(volume)));
}
