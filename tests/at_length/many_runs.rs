//! Ten thousand Runs wait, because a Plan's inputs fit a hundred Data each. The cap holds the Plan and says so, others
//! go on, questions stay quick, and what waits runs or is deleted.

use std::fs;
use std::thread;
use std::time::Duration;

use knit_tests::archive::Archive;
use knit_tests::plans::PlanFile;
use knit_tests::server::{Server, Setup};
use knit_tests::wait::wait_until;
use knit_tests::workshop::{Workshop, id_of};
use serde_json::{Value, json};

use super::wait_at_length;

/// Data for each of two inputs: their product is above the cap.
const DATA_PER_INPUT: usize = 101;
/// Runs of one Plan that may wait.
const CAP: u64 = 10_000;
/// Runs that are let run before their Plan is held again. Few, because those that wait for room on the machine are being
/// started already, and cannot be deleted until they have ended.
const RUNS_TO_END: usize = 20;
/// Runs that are left to be deleted, at least.
const RUNS_TO_DELETE_MIN: usize = 1_000;
/// Clients that delete at once.
const DELETERS: usize = 8;
/// What ten thousand Runs may cost the server, all of their history and a debug build included.
const MEMORY_BYTES_MAX: u64 = 256 << 20;
/// An unoptimised build on a machine with other things to do.
const LIMIT: Duration = Duration::from_secs(1_200);

fn memory_bytes(server: &Server) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", server.pid())).expect("the server lives");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("the kernel tells");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1_024
}

fn matches(shop: &Workshop, plan: &str) -> Value {
    shop.server.http().get(&format!("/api/plans/{plan}/matches")).json()
}

fn with_status(shop: &Workshop, plan: &str, status: &str) -> Vec<String> {
    let found = shop.server.http().get(&format!("/api/runs?plan={plan}&status={status}")).json();
    found.as_array().expect("finding answers a list").iter().map(|run| id_of(run, "runId")).collect()
}

/// Another Plan's Run is made, runs and ends while the others wait.
fn another_goes_on(shop: &Workshop, name: &str) {
    let tag = format!("other:{name}");
    let plan = shop.apply(&PlanFile::shell(&format!("echo {name}")).input("/in", &[&tag]));
    shop.push(&[("it", name)], &[&tag]);
    shop.only_run_reaches(&plan, "done");
}

#[test]
fn ten_thousand_runs_wait_and_run_or_are_deleted() {
    let shop = Workshop::with(Setup::new().logging("info"));
    let http = shop.server.http();
    let plan = PlanFile::shell("true").input("/a", &["side:a"]).input("/b", &["side:b"]).with("active", json!(false));
    let plan = shop.apply(&plan);
    let before = memory_bytes(&shop.server);
    for number in 0..DATA_PER_INPUT {
        for side in ["side:a", "side:b"] {
            let stored = http.upload(&Archive::new().file("it", number.to_string().as_bytes()).gzip(), &[]);
            let data = id_of(&stored.json(), "knitId");
            assert_eq!(http.send_json("PUT", &format!("/api/data/{data}"), &json!({"add": [side]})).status, 200);
        }
    }
    wait_at_length("the cap to hold the Plan", LIMIT, || matches(&shop, &plan)["pending"] == CAP);
    let held = matches(&shop, &plan)["held"].as_str().expect("a reason for people").to_owned();
    assert!(held.contains("10000") && held.contains("further Runs are made as these end"), "{held}");
    let _ = shop.knit(&["plan", "show", &plan]).tells("no further Runs are made").tells(&held);
    let _ = shop.knit(&["plan", "why-not", "-o", "text", &plan]).prints("have to wait for theirs").prints(&held);
    another_goes_on(&shop, "while-they-are-held");
    let grown = memory_bytes(&shop.server).saturating_sub(before);
    assert!(grown < MEMORY_BYTES_MAX, "ten thousand Runs cost {grown} bytes");

    let _ = shop.knit(&["plan", "active", "yes", &plan]);
    wait_at_length("some to end", LIMIT, || with_status(&shop, &plan, "done").len() >= RUNS_TO_END);
    assert_eq!(with_status(&shop, &plan, "failed"), Vec::<String>::new());
    wait_at_length("further Runs to be made as these end", LIMIT, || shop.runs_of(&plan).len() as u64 > CAP);
    let _ = shop.knit(&["plan", "active", "no", &plan]);
    // The first that is made so may be at work already when it is looked at.
    wait_at_length("the newest to say that they had to wait", LIMIT, || waited_for_its_turn(&shop, &plan));
    let left = with_status(&shop, &plan, "deactivated,waiting");
    assert!(left.len() >= RUNS_TO_DELETE_MIN, "only {} Runs are left to be deleted", left.len());
    delete_all(&shop, &left);
    wait_at_length("those under way to end", LIMIT, || {
        with_status(&shop, &plan, "ready,starting,running,completing,aborting").is_empty()
    });
    another_goes_on(&shop, "when-they-are-gone");
    // What still fits is made again, for no Run is made twice: only combinations that had none are left.
    wait_until("nothing to wait", || matches(&shop, &plan)["held"].is_null());
}

/// Whether one of the Runs that were made last says that its Plan was full.
fn waited_for_its_turn(shop: &Workshop, plan: &str) -> bool {
    let runs = shop.runs_of(plan);
    let explained = |run: &Value| shop.knit(&["run", "explain", &id_of(run, "runId")]).json();
    // Those that wait for room on the machine are being started.
    let waits =
        |run: &&Value| ["waiting", "deactivated", "ready", "starting"].iter().any(|status| run["status"] == *status);
    let waiting = runs.iter().rev().filter(waits);
    waiting.take(3).any(|run| explained(run)["steps"][0]["fullMs"].as_u64().is_some_and(|ms| ms > 0))
}

/// Deletes Runs as fast as some clients can.
fn delete_all(shop: &Workshop, runs: &[String]) {
    let http = shop.server.http();
    thread::scope(|scope| {
        for part in runs.chunks(runs.len().div_ceil(DELETERS).max(1)) {
            scope.spawn(move || {
                for run in part {
                    let answer = http.ask("DELETE", &format!("/api/runs/{run}"));
                    assert_eq!(answer.status, 204, "{run}: {}", answer.text());
                }
            });
        }
    });
}
