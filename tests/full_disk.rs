//! A full disk: what does not fit is refused with a reason, nothing of it stays, and the rest goes on.

use std::fs;

use knit_tests::archive::{Archive, noise};
use knit_tests::plans::PlanFile;
use knit_tests::server::Setup;
use knit_tests::wait::wait_until;
use knit_tests::workshop::Workshop;
use nix::sys::statvfs::statvfs;
use serde_json::json;

/// The size of the disk.
const DISK_BYTES: u64 = 24 << 20;
/// Plans that together are more than is left of it for a history, and letters in the note of each.
const LARGE_PLANS: usize = 10;
const NOTE_CHARS: usize = 300_000;
/// What is left of it.
const LEFT_BYTES: u64 = 1 << 20;

#[test]
fn an_upload_that_does_not_fit_is_refused_and_what_fits_goes_on() {
    let shop = Workshop::with(Setup::new().on_a_disk_of(DISK_BYTES));
    let first = shop.push(&[("it", "x")], &["a:b"]);
    let too_large = Archive::new().file("noise", &noise(2 * usize::try_from(DISK_BYTES).unwrap())).gzip();
    let refused = shop.server.http().upload(&too_large, &[]);
    assert_eq!(refused.status, 500, "{}", refused.text());
    assert!(refused.message().contains("disk of the server is full"), "{}", refused.message());
    wait_until("the upload to be failed", || {
        let runs = shop.server.http().get("/api/runs").json();
        runs.as_array().is_some_and(|runs| runs.len() == 2 && runs[1]["status"] == "failed")
    });
    wait_until("its files to be gone", || shop.server.keeps() == [format!("volumes/data-knitid-{first}")]);
    let second = shop.push(&[("it", "y")], &["a:b"]);
    for (data, content) in [(first, "x"), (second, "y")] {
        assert_eq!(fs::read_to_string(shop.pull(&data).join("it")).unwrap(), content);
    }
}

#[test]
fn a_history_that_does_not_fit_is_told_so_and_fits_once_there_is_room() {
    let home = Workshop::open();
    for n in 0..LARGE_PLANS {
        let note = format!("note={n}{}", "x".repeat(NOTE_CHARS));
        let plan = PlanFile::shell(&format!("echo {n}")).input("/in", &["never:there"]);
        let plan = plan.with("annotations", json!([note])).json();
        assert_eq!(home.server.http().send_json("POST", "/api/plans", &plan).status, 200);
    }
    let file = home.new_path("export");
    let _ = home.knit(&["audit", "export", "-o", file.to_str().unwrap()]);
    let shop = Workshop::with(Setup::new().flag("--look-only").on_a_disk_of(DISK_BYTES));
    let state = shop.server.state_seen_by_it();
    let disk = statvfs(&state).expect("a disk says how full it is");
    let free = disk.blocks_available() * disk.fragment_size();
    let ballast = state.join("ballast");
    fs::write(&ballast, vec![0; usize::try_from(free - LEFT_BYTES).unwrap()]).unwrap();
    // The disk is not mounted where the user is.
    let socket = state.join("admin.sock");
    let import = ["audit", "import", "--socket", socket.to_str().unwrap(), file.to_str().unwrap()];
    let refused = shop.refused(1, &import);
    let _ = refused.tells("make room").tells("the disk of the event log is full");
    let log = shop.server.log();
    let reasons = log.lines().filter(|line| line.contains("ERROR") && line.contains("nothing was imported"));
    assert_eq!(reasons.count(), 1, "{log}");
    fs::remove_file(&ballast).unwrap();
    let _ = shop.knit(&import);
}

#[test]
fn a_worker_that_fills_the_disk_fails_its_run_and_the_server_recovers_when_there_is_room() {
    let shop = Workshop::with(Setup::new().on_a_disk_of(DISK_BYTES));
    let ballast = shop.server.state_seen_by_it().join("ballast");
    fs::write(&ballast, noise(4 << 20)).unwrap();
    let plan =
        PlanFile::shell("exec dd if=/dev/zero of=/out/all bs=64k").input("/in", &["a:b"]).output("/out", &["is:made"]);
    let plan = shop.apply(&plan.log(&["is:log"]));
    shop.push(&[("it", "x")], &["a:b"]);
    let id = shop.the_run_of(&plan);
    wait_until("the Worker to have filled the disk", || {
        let disk = statvfs(&shop.server.state_seen_by_it()).expect("a disk says how full it is");
        disk.blocks_available() == 0 || shop.run(&id)["status"] == "failed"
    });
    fs::remove_file(&ballast).unwrap();
    let run = shop.reaches(&id, "failed");
    assert_ne!(run["exit"]["code"], json!(0), "{run:#}");
    let _ = shop.knit(&["run", "rm", &id]);
    let fits = Archive::new().file("noise", &noise(12 << 20)).gzip();
    wait_until("the room to be free again", || shop.server.http().upload(&fits, &[]).status == 200);
}
