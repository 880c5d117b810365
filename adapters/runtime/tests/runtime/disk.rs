//! A disk that is full.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use knit_runtime::port::{ReceiveError, WorkerState};

use super::kit::{Archive, House, Worker, shim};

/// Runs the named test of this program again where `KNIT_TEST_SMALL_DISK` is a disk of 8 MiB: a tmpfs in a mount
/// namespace of its own, so that it needs no root and leaves no mount behind.
fn again_on_a_small_disk(test: &str) {
    let dir = tempfile::tempdir().unwrap();
    let mut command = Command::new("unshare");
    if !rustix::process::geteuid().is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    let status = command
        .args(["--mount", "sh", "-c"])
        .arg("mount -t tmpfs -o size=8m,mode=700 small \"$KNIT_TEST_SMALL_DISK\" && exec \"$@\"")
        .arg("sh")
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--test-threads", "1"])
        .env("KNIT_TEST_SMALL_DISK", dir.path())
        .env("KNIT_TEST_SHIM", shim())
        .process_group(0)
        .status()
        .unwrap();
    assert!(status.success(), "{test} on a small disk");
}

/// The body of a test on a small disk.
fn on_a_small_disk(test: &str, body: impl AsyncFnOnce(House, &Path)) {
    let Some(disk) = std::env::var_os("KNIT_TEST_SMALL_DISK") else { return again_on_a_small_disk(test) };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let house = House::open_at(&Path::new(&disk).join("state")).await;
        body(house, Path::new(&disk)).await;
    });
}

#[test]
fn an_upload_that_fills_the_disk_fails_and_gives_the_room_back() {
    on_a_small_disk("disk::an_upload_that_fills_the_disk_fails_and_gives_the_room_back", async |house, _| {
        let too_large = Archive::default().file(b"small", b"x").file(b"large", &vec![1; 20 << 20]).end();
        let outcome = house.push("data", too_large).await;
        assert!(matches!(&outcome, Err(ReceiveError::Fault(fault)) if fault.is_disk_full()), "{outcome:?}");
        assert!(house.nothing_incoming());
        house.push("data", Archive::default().file(b"fits", &vec![1; 4 << 20]).end()).await.unwrap();
    });
}

#[test]
fn a_worker_that_fills_the_disk_still_ends() {
    on_a_small_disk("disk::a_worker_that_fills_the_disk_still_ends", async |house, _| {
        let worker = Worker::shell("cat /dev/zero > /out/zeros; echo full >&2; exit 5").output("/out", "made");
        let state = house.run(&worker).await;
        assert!(matches!(&state, WorkerState::Failed(exit) if exit.code == 5), "{state:?}");
    });
}

#[test]
fn a_success_whose_log_could_not_be_written_is_a_failure() {
    on_a_small_disk("disk::a_success_whose_log_could_not_be_written_is_a_failure", async |house, _| {
        let state = house.run(&Worker::shell("head -c 20000000 /dev/zero; exit 0")).await;
        assert!(matches!(&state, WorkerState::Failed(exit) if exit.message.contains("log")), "{state:?}");
    });
}
