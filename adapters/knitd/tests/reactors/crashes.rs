//! The server dies between any two steps of a Run's life, and another one takes it up.

use knit_domain::run::Status;

use crate::scripted::{Held, Op};
use crate::world::{Role, World, in_time, user};

/// Every call that the life of a Run consists of, cut off before and after its effect.
const STEPS: [(Op, Held); 11] = [
    (Op::Prepare, Held::Before),
    (Op::Prepare, Held::After),
    (Op::Create, Held::Before),
    (Op::Create, Held::After),
    (Op::Observe, Held::Before),
    (Op::Observe, Held::After),
    (Op::Remove, Held::Before),
    (Op::Remove, Held::After),
    (Op::Seal, Held::Before),
    (Op::Seal, Held::After),
    (Op::LogSha256, Held::After),
];

#[tokio::test]
async fn a_run_comes_to_its_one_end_wherever_the_server_dies() {
    for step in STEPS {
        let mut world = World::new().await;
        let run = world.waiting_run("corpus").await;
        world.runtime.workers_succeed();
        die_at(&mut world, step).await;
        world.restart().await;
        world.start_all();
        world.becomes(run, Status::Done).await;
        let told = [
            "RunProjected",
            "RunVolumesPrepared",
            "WorkerRequested",
            "WorkerSpawned",
            "RunSuccessDecided",
            "RunSucceeded",
        ];
        assert_eq!(world.story(run).await, told, "{step:?}");
        assert_eq!((world.runtime.workers_made(), world.runtime.workers()), (1, vec![]), "{step:?}");
    }
}

#[tokio::test]
async fn an_aborted_run_leaves_no_worker_wherever_the_server_dies() {
    for step in [(Op::Create, Held::Before), (Op::Create, Held::After)] {
        let mut world = World::new().await;
        let run = world.waiting_run("corpus").await;
        world.runtime.hold(step.0, step.1);
        world.start_all();
        world.runtime.holds(step.0, step.1).await;
        world.app.abort(&user(), run).await.unwrap();
        world.crash().await;
        world.runtime.let_go(step.0);
        world.restart().await;
        world.start_all();
        world.becomes(run, Status::Failed).await;
        in_time("no Worker is left", || world.runtime.workers().is_empty()).await;
    }
}

#[tokio::test]
async fn a_discarded_volume_is_destroyed_and_recorded_wherever_the_server_dies() {
    for held in [Held::Before, Held::After] {
        let mut world = World::new().await;
        let run = world.waiting_run("corpus").await;
        world.runtime.workers_succeed();
        world.start_all();
        world.becomes(run, Status::Done).await;
        world.runtime.hold(Op::Destroy, held);
        world.app.delete(&user(), run).await.unwrap();
        world.runtime.holds(Op::Destroy, held).await;
        world.crash().await;
        world.runtime.let_go(Op::Destroy);
        world.restart().await;
        world.start(Role::GarbageCollection);
        in_time("all is gone", || world.app.views().worklists.read().garbage(0).count() == 0).await;
        assert_eq!(world.runtime.volumes().len(), 1, "only the upload's: {held:?}");
    }
}

/// Everything runs until a call of this kind is held; there the server dies.
async fn die_at(world: &mut World, (op, held): (Op, Held)) {
    world.runtime.hold(op, held);
    world.start_all();
    world.runtime.holds(op, held).await;
    world.crash().await;
    world.runtime.let_go(op);
}
