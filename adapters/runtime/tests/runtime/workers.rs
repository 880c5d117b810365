//! The life of a Worker.

use std::fs;

use knit_domain::event::run::Exit;
use knit_domain::id::VolumeRef;
use knit_runtime::Runtime;
use knit_runtime::local::{Capacity, Options};
use knit_runtime::port::{CreateError, WorkerState};

use super::kit::{Archive, House, Worker, is_over};

fn failed(code: u8, message: &str) -> WorkerState {
    WorkerState::Failed(Exit { code, message: message.into() })
}

fn is_pending(state: &WorkerState) -> bool {
    matches!(state, WorkerState::Pending { .. })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_makes_its_outputs_from_its_inputs() {
    let house = House::open().await;
    house.push("raw", Archive::default().file(b"sub/words", b"one\ntwo\n").end()).await.unwrap();
    let worker = Worker::shell("wc -l < /in/data/sub/words > /out/count; echo said; echo cried >&2")
        .input("/in/data", "raw")
        .output("/out", "made");
    assert_eq!(house.run(&worker).await, WorkerState::Succeeded);
    assert_eq!(house.log_of(&worker).await, "said\ncried\n");
    house.runtime.remove_worker(&worker.name()).await.unwrap();
    house.runtime.seal_volume(&VolumeRef("made".into())).await.unwrap();
    assert_eq!(fs::read_to_string(house.state().join("volumes/made/count")).unwrap(), "2\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_worker_is_told_by_its_code() {
    let house = House::open().await;
    for (script, state) in [
        ("exit 0", WorkerState::Succeeded),
        ("exit 3", failed(3, "(container main) Error")),
        ("exit 255", failed(255, "(container main) Error")),
        ("kill -9 $$", failed(137, "(container main) Killed")),
        ("kill -TERM $$", failed(143, "(container main) Killed by signal 15")),
        ("kill -SEGV $$", failed(139, "(container main) Killed by signal 11")),
    ] {
        assert_eq!(house.run(&Worker::shell(script)).await, state, "{script}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_cannot_be_started_is_told_in_the_log_too() {
    let house = House::open().await;
    for (program, code) in [("no-such-program", 127), ("/etc/passwd", 126), ("/etc", 126)] {
        let mut worker = Worker::shell("");
        worker.spec.order.entrypoint = vec![program.into()];
        let state = house.run(&worker).await;
        assert!(matches!(&state, WorkerState::Failed(exit) if exit.code == code), "{program}: {state:?}");
        assert!(house.log_of(&worker).await.contains(&format!("cannot run `{program}`")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_output_that_is_not_empty_keeps_the_worker_from_starting() {
    let house = House::open().await;
    house.prepare("made").await;
    fs::write(house.state().join("open/made/left-over"), "x").unwrap();
    let worker = Worker::shell("echo ran > /out/ran").output("/out", "made");
    let state = house.run(&worker).await;
    assert!(
        matches!(&state, WorkerState::Stuck(exit) if exit.code == 255 && exit.message.contains("`/out` is not empty")),
        "{state:?}"
    );
    assert!(!house.state().join("open/made/ran").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn wrk_02_a_worker_that_exists_is_created_again_and_another_of_its_name_is_not() {
    let house = House::open().await;
    let worker = Worker::shell("exec sleep 1000").output("/out", "made");
    house.create(&worker).await;
    let first = house.runtime.create_worker(&worker.spec).await.unwrap();
    let second = house.runtime.create_worker(&worker.spec).await.unwrap();
    assert_eq!(first, second);
    let mut other = worker.clone();
    other.spec.attempt = 2;
    let refused = house.runtime.create_worker(&other.spec).await;
    assert!(matches!(refused, Err(CreateError::Fault(_))), "{refused:?}");
    assert_eq!(house.runtime.list_workers().await.unwrap().len(), 1);
    house.runtime.remove_worker(&worker.name()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_without_its_volumes_is_not_created() {
    let house = House::open().await;
    let without_input = house.runtime.create_worker(&Worker::shell("").input("/in", "none").spec).await;
    assert!(
        matches!(&without_input, Err(CreateError::Impossible { reason }) if reason.contains("`/in`")),
        "{without_input:?}"
    );
    let without_log = house.runtime.create_worker(&Worker::shell("").spec).await;
    assert!(matches!(without_log, Err(CreateError::Fault(_))), "{without_log:?}");
    assert_eq!(house.runtime.list_workers().await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn removing_ends_everything_that_a_worker_started() {
    let house = House::open().await;
    let script = "trap '' TERM HUP INT; (trap '' TERM; while :; do date >> /out/beat; sleep 0.01; done) & \
                  setsid sh -c 'while :; do date >> /out/beat; sleep 0.01; done' & echo up; wait";
    let worker = Worker::shell(script).output("/out", "made");
    house.create(&worker).await;
    let mut log = house.runtime.follow_log(&worker.name(), worker.spec.log.as_ref().unwrap()).await.unwrap();
    futures::StreamExt::next(&mut log).await.unwrap().unwrap();
    house.runtime.remove_worker(&worker.name()).await.unwrap();
    let beat = || fs::metadata(house.state().join("open/made/beat")).map(|data| data.len()).unwrap_or_default();
    let before = beat();
    // Whatever still lived would write many times while these Workers run.
    for _other in 0..3 {
        house.run(&Worker::shell("sleep 0.05")).await;
    }
    assert_eq!(beat(), before);
    assert_eq!(house.runtime.observe_worker(&worker.name()).await.unwrap(), None);
    house.runtime.remove_worker(&worker.name()).await.unwrap();
    house.runtime.destroy_volume(&VolumeRef("made".into())).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_command_leaves_behind_ends_with_it() {
    let house = House::open().await;
    // The orphan holds the pipe of the log open; the end must not wait for it.
    let worker = Worker::shell("sleep 1000 & echo done; exit 4");
    assert_eq!(house.run(&worker).await, failed(4, "(container main) Error"));
    assert_eq!(house.log_of(&worker).await, "done\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_wait_for_room_in_the_order_they_came() {
    let one = Capacity { cpu_millis: 1_000, memory_bytes: 1 << 40 };
    let house = House::open_with(|options: &mut Options| options.capacity = Some(one)).await;
    let [first, second, third] = ["1", "2", "3"].map(|_| Worker::shell("exec sleep 1000").resource("cpu", "1"));
    for worker in [&first, &second, &third] {
        house.create(worker).await;
    }
    house.wait(&first.name(), |state| *state == WorkerState::Running).await;
    for waiting in [&second, &third] {
        assert!(is_pending(&house.wait(&waiting.name(), |_| true).await));
    }
    house.runtime.remove_worker(&second.name()).await.unwrap();
    house.runtime.remove_worker(&first.name()).await.unwrap();
    house.wait(&third.name(), |state| *state == WorkerState::Running).await;
    house.runtime.remove_worker(&third.name()).await.unwrap();
    let too_large = Worker::shell("").resource("cpu", "2");
    house.prepare(&too_large.spec.log.as_ref().unwrap().0).await;
    let refused = house.runtime.create_worker(&too_large.spec).await;
    assert!(matches!(&refused, Err(CreateError::Impossible { reason }) if reason.contains("1000m")), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_over_its_memory_is_ended() {
    for without_control_groups in [false, true] {
        let house = House::open_with(|options| options.without_control_groups = without_control_groups).await;
        // Doubles a string until somebody stops it.
        let greedy = "awk 'BEGIN { s = \"0123456789abcdef\"; while (1) s = s s }'; exit $?";
        let worker = Worker::shell(greedy).resource("memory", "64Mi");
        let state = house.run(&worker).await;
        assert!(
            matches!(&state, WorkerState::Failed(exit) if exit.code != 0 && exit.message == "(container main) OOMKilled"),
            "{state:?}, {}",
            house.log_of(&worker).await
        );
        assert_eq!(house.say("echo others live").await, "others live\n");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_modest_worker_stays_within_its_limits() {
    let house = House::open().await;
    let worker = Worker::shell("head -c 20000000 /dev/zero | tail -c 10000000 | wc -c")
        .resource("memory", "128Mi")
        .resource("cpu", "500m");
    assert_eq!(house.run(&worker).await, WorkerState::Succeeded);
    assert_eq!(house.log_of(&worker).await.trim(), "10000000");
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_are_announced_at_the_start_and_at_the_end() {
    let house = House::open().await;
    let mut changes = house.runtime.changes();
    let worker = Worker::shell("cat /in/go; true").input("/in", "go");
    house.push("go", Archive::default().file(b"go", b"").end()).await.unwrap();
    house.create(&worker).await;
    for _change in ["started", "ended"] {
        let changed = tokio::time::timeout(super::kit::PATIENCE, changes.recv()).await.unwrap().unwrap();
        assert_eq!(changed, worker.name());
    }
    assert!(is_over(&house.wait(&worker.name(), |_| true).await));
}
