//! A full disk at each place that the server or a Worker writes to. (Uploads and outputs: see `full_disk`.)
//! What does not fit is refused with a reason, nothing acknowledged is lost, and all goes on when there is room.

mod log;
mod places;
mod users;

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use knit_tests::http::Response;
use knit_tests::plans::PlanFile;
use knit_tests::postgres::DatabaseServer;
use knit_tests::server::Setup;
use knit_tests::wait::{wait_for, wait_until};
use knit_tests::workshop::{Workshop, id_of};
use nix::sys::statvfs::statvfs;
use serde_json::json;

/// The size of a disk.
const DISK_BYTES: u64 = 8 << 20;
/// The size of PostgreSQL's disk: a new cluster, and a little more.
const CLUSTER_DISK_BYTES: u64 = 96 << 20;

/// The room of a disk, taken by somebody else until this is dropped.
struct RoomTaken(PathBuf);

impl RoomTaken {
    /// Takes all of it.
    fn on(disk: &Path) -> Self {
        let ballast = disk.join("ballast");
        let mut file = File::create(&ballast).unwrap();
        // Whoever else writes there may give something back meanwhile.
        wait_until("the disk to be full", || {
            // It ends with the error that this is about.
            let _ = std::io::copy(&mut std::io::repeat(0), &mut file);
            statvfs(disk).unwrap().blocks_available() == 0
        });
        Self(ballast)
    }

    /// Takes all of it but so many bytes.
    fn but(left_bytes: u64, disk: &Path) -> Self {
        let taken = Self::on(disk);
        let file = File::options().write(true).open(&taken.0).unwrap();
        file.set_len(file.metadata().unwrap().len() - left_bytes).unwrap();
        taken
    }
}

impl Drop for RoomTaken {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// A path, as it is typed.
fn text(path: &Path) -> &str {
    path.to_str().expect("paths of tests are text")
}

fn plan(name: &str) -> PlanFile {
    PlanFile::shell(&format!("echo {name}")).input("/in", &["never:matched"])
}

#[test]
fn the_disk_of_the_event_log_is_full() {
    let mut shop = Workshop::with(Setup::new().with_the_log_on_a_disk_of(DISK_BYTES));
    let data = shop.push(&[("it", "x")], &["a:b"]);
    let full = RoomTaken::on(&shop.server.disk_seen_by_it());
    let mut acknowledged = Vec::new();
    let refused = registered_until_refused(&shop, &mut acknowledged);
    assert_eq!(refused.status, 500, "{}", refused.text());
    assert!(refused.message().contains("the disk of the event log is full"), "{}", refused.message());
    let _ = shop.refused(1, &["plan", "apply", &shop.written(&plan("more"))]).tells("disk of the event log is full");
    assert!(shop.data(&data).is_some(), "questions are answered all the same");
    assert_eq!(shop.server.http().get("/readyz").status, 200);
    drop(full);
    acknowledged.push(shop.apply(&plan("more")));
    assert_eq!(fs::read_to_string(shop.pull(&data).join("it")).unwrap(), "x", "a download is recorded again");
    lists_all(&shop, &acknowledged);
    assert!(shop.server.stop().success(), "the log is whole");
}

#[test]
fn the_disk_of_postgresql_is_full() {
    let mut database = DatabaseServer::start_on_a_disk_of(CLUSTER_DISK_BYTES);
    let mut shop = Workshop::with(Setup::new().database(database.url()));
    let data = shop.push(&[("it", "x")], &["a:b"]);
    let full = RoomTaken::on(&database.disk_seen_by_it());
    let mut acknowledged = Vec::new();
    let refused = registered_until_refused(&shop, &mut acknowledged);
    assert_eq!(refused.status, 500, "{}", refused.text());
    assert!(refused.message().contains("the disk of the event log is full"), "{}", refused.message());
    assert!(shop.data(&data).is_some(), "questions are answered all the same");
    drop(full);
    acknowledged.push(shop.apply(&plan("between")));

    // Where not even its own journal can grow, PostgreSQL ends, and is started again when there is room.
    let full = RoomTaken::on(&database.disk_seen_by_it());
    database.ends_its_journal_file();
    let refused = registered_until_refused(&shop, &mut acknowledged);
    assert!(matches!(refused.status, 500 | 503), "{}", refused.text());
    wait_until("the server to have lost its database", || shop.server.http().get("/readyz").status == 503);
    database.kill();
    drop(full);
    database.start_again();
    wait_until("the server to be ready again", || shop.server.http().get("/readyz").status == 200);
    acknowledged.push(shop.apply(&plan("afterwards")));
    lists_all(&shop, &acknowledged);
    assert!(shop.server.stop().success(), "the log is whole");
}

/// Registers Plans until one is refused; answers that, and notes the ids of the others.
fn registered_until_refused(shop: &Workshop, acknowledged: &mut Vec<String>) -> Response {
    // What the log has taken from the disk before is still there to be written to.
    wait_for("a command not to fit", || {
        let plan = plan(&format!("{}", acknowledged.len()));
        let answer = shop.server.http().send_json("POST", "/api/plans", &plan.json());
        if answer.status != 200 {
            return Some(answer);
        }
        acknowledged.push(id_of(&answer.json(), "planId"));
        None
    })
}

fn lists_all(shop: &Workshop, acknowledged: &[String]) {
    let found = shop.server.http().get("/api/plans").json();
    for id in acknowledged {
        let listed = found.as_array().unwrap().iter().any(|plan| plan["planId"] == **id);
        assert!(listed, "{id} was acknowledged: {found:#}");
    }
}

#[test]
fn a_run_waits_for_a_disk_that_is_full_and_goes_on_when_there_is_room() {
    // The log lies beside that disk: only what the runtime writes meets its end.
    let shop = Workshop::with(Setup::new().on_a_disk_of(2 * DISK_BYTES).option("--database", "beside.db"));
    let disk = shop.server.state_seen_by_it();
    shop.push(&[("it", "x")], &["a:b"]);
    let full = RoomTaken::on(&disk);
    let make = PlanFile::shell("cp /in/it /out/it; echo done").input("/in", &["a:b"]).output("/out", &["is:made"]);
    let plan = shop.apply(&make.log(&["is:log"]));
    let run = shop.the_run_of(&plan);
    wait_until("the server to have met the full disk", || shop.server.log().contains("No space left on device"));
    drop(full);
    shop.reaches(&run, "done");
    assert_eq!(shop.log_of(&run), "done\n");
    let left = shop.server.keeps().into_iter().filter(|name| !name.starts_with("volumes/")).collect::<Vec<_>>();
    assert_eq!(left, Vec::<String>::new(), "nothing is left of what did not fit");
}

#[test]
fn a_log_that_does_not_fit_fails_the_run_and_does_not_hang_its_worker() {
    let shop = Workshop::with(Setup::new().on_a_disk_of(2 * DISK_BYTES));
    let ballast = shop.server.state_seen_by_it().join("ballast");
    // Kept back, so that the server itself has room when the log has none.
    fs::write(&ballast, vec![0; 2 << 20]).unwrap();
    let talk = format!("head -c {} /dev/zero; sleep 0.1; exit 0", 4 * DISK_BYTES);
    let plan = shop.apply(&PlanFile::shell(&talk).input("/in", &["a:b"]).log(&["is:log"]));
    shop.push(&[("it", "x")], &["a:b"]);
    let run = shop.the_run_of(&plan);
    wait_until("the log to have filled the disk", || {
        let full = statvfs(&shop.server.state_seen_by_it()).unwrap().blocks_available() == 0;
        full || shop.run(&run)["status"] == "failed"
    });
    fs::remove_file(&ballast).unwrap();
    let failed = shop.reaches(&run, "failed");
    let message = failed["exit"]["message"].as_str().unwrap();
    assert!(message.contains("log could not be written"), "{message}");
    assert_ne!(failed["exit"]["code"], json!(0));
    let _ = shop.knit(&["run", "rm", &run]);
    wait_until("its volumes to be gone", || shop.server.keeps().len() == 1);
}
