//! A server ends, at any moment, and the next one takes over.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Command;

use knit_domain::id::WorkerName;
use knit_runtime::Runtime;
use knit_runtime::local::{Capacity, LocalRuntime, OpenError, Options};
use knit_runtime::port::WorkerState;

use super::kit::{Archive, House, Worker, copy_program, is_over, shim};

fn is_running(state: &WorkerState) -> bool {
    *state == WorkerState::Running
}

fn pid_in(house: &House, name: &WorkerName, file: &str) -> rustix::process::Pid {
    let text = fs::read_to_string(house.state().join("workers").join(&name.0).join(file)).unwrap();
    let process: serde_json::Value = serde_json::from_str(&text).unwrap();
    rustix::process::Pid::from_raw(i32::try_from(process["pid"].as_i64().unwrap()).unwrap()).unwrap()
}

/// A Worker that ends when a line arrives in a FIFO of its output.
fn waits_for_a_word(volume: &str) -> Worker {
    Worker::shell("mkfifo /out/word; read word < /out/word; echo heard $word; exit 7").output("/out", volume)
}

async fn say_the_word(house: &House, volume: &str) {
    let fifo = house.state().join("open").join(volume).join("word");
    tokio::task::spawn_blocking(move || {
        while !fifo.exists() {
            std::thread::yield_now();
        }
        fs::write(fifo, "go\n").unwrap();
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_outlives_its_server_and_its_end_is_heard_by_the_next() {
    let house = House::open().await;
    let worker = waits_for_a_word("made");
    house.create(&worker).await;
    house.wait(&worker.name(), is_running).await;
    let house = house.restart().await;
    assert!(is_running(&house.wait(&worker.name(), |_| true).await));
    say_the_word(&house, "made").await;
    let end = house.wait(&worker.name(), is_over).await;
    assert!(matches!(&end, WorkerState::Failed(exit) if exit.code == 7), "{end:?}");
    assert_eq!(house.log_of(&worker).await, "heard go\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_worker_without_a_server_is_not_lost() {
    let house = House::open().await;
    let worker = waits_for_a_word("made");
    house.create(&worker).await;
    house.wait(&worker.name(), is_running).await;
    let end_file = house.state().join("workers").join(&worker.name().0).join("end.json");
    say_the_word(&house, "made").await;
    tokio::task::spawn_blocking(move || {
        while !end_file.exists() {
            std::thread::yield_now();
        }
    })
    .await
    .unwrap();
    let house = house.restart().await;
    let end = house.wait(&worker.name(), |_| true).await;
    assert!(matches!(&end, WorkerState::Failed(exit) if exit.code == 7), "{end:?}");
    assert_eq!(house.runtime.list_workers().await.unwrap().len(), 1);
    house.runtime.remove_worker(&worker.name()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_that_wait_are_not_forgotten_and_keep_their_order() {
    let one = Capacity { cpu_millis: 1_000, memory_bytes: 1 << 40 };
    let house = House::open_with(|options| options.capacity = Some(one)).await;
    let first = waits_for_a_word("first").resource("cpu", "1");
    let second = waits_for_a_word("second").resource("cpu", "1");
    let third = Worker::shell("true").resource("cpu", "1");
    for worker in [&first, &second, &third] {
        house.create(worker).await;
    }
    house.wait(&first.name(), is_running).await;
    let house = house.restart().await;
    assert!(matches!(house.wait(&second.name(), |_| true).await, WorkerState::Pending { .. }));
    say_the_word(&house, "first").await;
    house.wait(&second.name(), is_running).await;
    assert!(matches!(house.wait(&third.name(), |_| true).await, WorkerState::Pending { .. }));
    say_the_word(&house, "second").await;
    assert_eq!(house.wait(&third.name(), is_over).await, WorkerState::Succeeded);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_whose_shim_was_killed_is_lost_and_so_is_all_it_started() {
    let house = House::open().await;
    let worker = Worker::shell("while :; do date >> /out/beat; sleep 0.01; done").output("/out", "made");
    house.create(&worker).await;
    house.wait(&worker.name(), is_running).await;
    rustix::process::kill_process(pid_in(&house, &worker.name(), "started"), rustix::process::Signal::KILL).unwrap();
    assert_eq!(house.wait(&worker.name(), is_over).await, WorkerState::Lost);
    house.runtime.remove_worker(&worker.name()).await.unwrap();
    assert_eq!(house.runtime.observe_worker(&worker.name()).await.unwrap(), None);
    house.runtime.destroy_volume(&worker.spec.outputs[0].volume).await.unwrap();
    house.run(&Worker::shell("sleep 0.1")).await;
    assert!(!house.state().join("open/made").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_whose_shim_died_between_two_servers_is_lost() {
    let house = House::open().await;
    let worker = Worker::shell("exec sleep 1000");
    house.create(&worker).await;
    house.wait(&worker.name(), is_running).await;
    let shim = pid_in(&house, &worker.name(), "started");
    rustix::process::kill_process(shim, rustix::process::Signal::KILL).unwrap();
    let house = house.restart().await;
    assert_eq!(house.wait(&worker.name(), is_over).await, WorkerState::Lost);
    house.runtime.remove_worker(&worker.name()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_whose_first_process_was_killed_is_told_as_killed() {
    let house = House::open().await;
    let worker = Worker::shell("exec sleep 1000");
    house.create(&worker).await;
    house.wait(&worker.name(), is_running).await;
    rustix::process::kill_process(pid_in(&house, &worker.name(), "init"), rustix::process::Signal::KILL).unwrap();
    let end = house.wait(&worker.name(), is_over).await;
    assert!(matches!(&end, WorkerState::Failed(exit) if exit.code == 137), "{end:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_of_another_boot_is_lost_and_never_started_again() {
    let house = House::open().await;
    let worker = Worker::shell("echo ran > /out/ran").output("/out", "made");
    house.create(&worker).await;
    house.wait(&worker.name(), is_over).await;
    // As after a power failure: the record is there, what was started is not known.
    let dir = house.state().join("workers").join(&worker.name().0);
    for file in ["end.json", "started"] {
        fs::remove_file(dir.join(file)).unwrap();
    }
    let spec = fs::read_to_string(dir.join("spec.json")).unwrap();
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    fs::write(dir.join("spec.json"), spec.replace(boot.trim(), "another")).unwrap();
    fs::remove_file(house.state().join("open/made/ran")).unwrap();
    let house = house.restart().await;
    assert_eq!(house.wait(&worker.name(), |_| true).await, WorkerState::Lost);
    assert!(!house.state().join("open/made/ran").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_not_readable_does_not_keep_the_server_from_starting() {
    let house = House::open().await;
    let dir = house.state().join("workers/worker-run-odd");
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("spec.json"), "").unwrap();
    let house = house.restart().await;
    assert_eq!(house.runtime.list_workers().await.unwrap(), []);
    assert!(!dir.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shim_that_cannot_begin_is_told() {
    let dir = super::kit::Scratch::new();
    let program = dir.path().join("shim");
    copy_program(&shim(), &program);
    let house = House::open_with(|options| options.shim.clone_from(&program)).await;
    for (script, said) in [(Some("#!/bin/sh\necho out of order >&2; exit 1"), "out of order"), (None, "cannot start")] {
        fs::remove_file(&program).unwrap();
        if let Some(script) = script {
            let written = dir.path().join("script");
            fs::write(&written, script).unwrap();
            copy_program(&written, &program);
        }
        let worker = Worker::shell("true");
        let state = house.run(&worker).await;
        assert!(matches!(&state, WorkerState::Stuck(exit) if exit.message.contains(said)), "{state:?}");
        house.runtime.remove_worker(&worker.name()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_server_on_one_directory_is_refused() {
    let house = House::open().await;
    house.push("data", Archive::default().file(b"a", b"1").end()).await.unwrap();
    let second = LocalRuntime::open(house.options.clone()).await.map(drop);
    assert!(matches!(second, Err(OpenError::InUse { .. })), "{second:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_state_directory_is_closed_to_others() {
    let house = House::open().await;
    assert_eq!(fs::metadata(house.state()).unwrap().mode() & 0o7777, 0o700);
    let shared = tempfile::tempdir().unwrap();
    fs::set_permissions(shared.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(shared.path().join("theirs"), "").unwrap();
    let refused = LocalRuntime::open(Options::new(shared.path())).await.map(drop);
    assert!(matches!(refused, Err(OpenError::OpenToOthers { .. })), "{refused:?}");
    assert_eq!(fs::metadata(shared.path()).unwrap().mode() & 0o7777, 0o755);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_directory_of_somebody_else_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let theirs = if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(dir.path(), Some(65_534), None).unwrap();
        dir.path().to_owned()
    } else {
        "/usr".into()
    };
    let refused = LocalRuntime::open(Options::new(theirs)).await.map(drop);
    assert!(matches!(refused, Err(OpenError::NotOurs { .. })), "{refused:?}");
}

/// User namespaces are switched off in a namespace of its own, where that concerns nobody else.
#[test]
fn a_machine_that_cannot_confine_workers_says_what_to_do() {
    if std::env::var_os("KNIT_TEST_NO_NAMESPACES").is_none() {
        let status = Command::new("unshare")
            .args(["--user", "--map-root-user", "sh", "-c"])
            .arg("echo 0 > /proc/sys/user/max_user_namespaces && exec \"$@\"")
            .arg("sh")
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "server_restarts::a_machine_that_cannot_confine_workers_says_what_to_do"])
            .env("KNIT_TEST_NO_NAMESPACES", "yes")
            .env("KNIT_TEST_SHIM", shim())
            .status()
            .unwrap();
        assert!(status.success());
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut options = Options::new(dir.path().join("state"));
    options.shim = shim();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let refused = runtime.block_on(LocalRuntime::open(options)).map(drop).unwrap_err();
    assert!(matches!(refused, OpenError::NoSandbox { .. }), "{refused:?}");
    assert!(refused.to_string().contains("sysctl user.max_user_namespaces="), "{refused}");
}
