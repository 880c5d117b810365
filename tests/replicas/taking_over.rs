//! A server is killed, and another takes over what it did: at most 15 seconds after the lease was renewed last, and
//! at the next question of those that stand by, which is asked every 2 seconds.

use std::fs;
use std::time::{Duration, Instant};

use knit_tests::gate::Gate;
use knit_tests::plans::PlanFile;
use knit_tests::server::Server;
use knit_tests::wait::{wait_for, wait_until};
use knit_tests::workshop::{id_of, output_of};

use super::{Replicas, elsewhere, register};

/// A Plan whose Worker says when it begins, and behind the gate that it ends.
fn life(gate: &Gate) -> PlanFile {
    let way = gate.approach() + "echo began >> /out/life; " + Gate::WAIT;
    PlanFile::bash(&(way + "echo ended >> /out/life")).input("/in", &["a:b"]).output("/out", &["is:life"])
}

/// What the design allows between the last renewal of a killed server's lease and another server at work in its role:
/// the lease, and a question of one that stands by.
const TAKEN_OVER_MAX: Duration = Duration::from_secs(15 + 2);
/// What the rest may take on a machine that is busy: the question itself, and the Run. Small enough that a lease of
/// twice the length would be seen, which has 25 s left at least after it was renewed.
const SLACK: Duration = Duration::from_secs(8);

/// Waits until the server has made the only Run of the Plan, in time after another was killed.
#[track_caller]
fn taken_over(by: &Server, plan: &str, killed: Instant) {
    wait_until("another server to make the Run", || {
        let runs = by.http().get(&format!("/api/runs?plan={plan}")).json();
        runs.as_array().map(Vec::len) == Some(1)
    });
    let took = killed.elapsed();
    assert!(took <= TAKEN_OVER_MAX + SLACK, "it took {took:?} to take over, which is more than {TAKEN_OVER_MAX:?}");
}

#[test]
fn d9_the_one_that_makes_runs_is_killed_twice_and_another_makes_them_in_time() {
    let mut replicas = Replicas::start(1);
    let mut first = elsewhere(&replicas.database).start();
    replicas.shop.push(&[("it", "x")], &["a:b"]);
    let plan = |line: &str| PlanFile::shell(line).input("/in", &["a:b"]);
    // Of those that may, the keeper of the volumes came first; it comes back without that role.
    let killed = Instant::now();
    replicas.shop.server.kill();
    let one = register(first.http(), &plan("true"));
    taken_over(&first, &one, killed);
    let second = elsewhere(&replicas.database).start();
    let killed = Instant::now();
    first.kill();
    let other = register(second.http(), &plan("exit 0"));
    taken_over(&second, &other, killed);
    replicas.shop.server.start();
    for plan in [one, other] {
        replicas.shop.only_run_reaches(&plan, "done");
    }
}

/// No Worker twice: the keeper is killed and comes back while others go on, and the Worker knows of nothing.
#[test]
fn d9_the_keeper_is_killed_and_comes_back_and_no_worker_runs_twice() {
    let mut replicas = Replicas::start(3);
    let gate = Gate::closed();
    let plan = register(replicas.others[0].http(), &life(&gate));
    replicas.shop.push(&[("it", "x")], &["a:b"]);
    let run = id_of(&replicas.shop.only_run_reaches(&plan, "running"), "runId");
    replicas.shop.server.kill();
    let seen = replicas.others[1].http().get(&format!("/api/runs/{run}")).json();
    assert_eq!(seen["status"], "running", "the others answer meanwhile");
    replicas.shop.server.start();
    gate.open();
    let done = replicas.shop.reaches(&run, "done");
    let made = replicas.shop.pull(&output_of(&done, "/out"));
    assert_eq!(fs::read_to_string(made.join("life")).unwrap(), "began\nended\n", "the Worker ran exactly once");
    let attempts = replicas.others[0].http().get(&format!("/api/runs/{run}/attempts")).json();
    assert_eq!(attempts.as_array().map(Vec::len), Some(1), "it took one attempt: {attempts:#}");
}

/// What a dead server had open is closed by one that lives.
#[test]
fn an_upload_to_a_keeper_that_was_killed_ends_as_failed() {
    let mut replicas = Replicas::start(2);
    let mut upload = replicas.shop.server.http().begin_upload();
    upload.chunk(&knit_tests::archive::Archive::new().file("it", &[b'x'; 100_000]).gzip()[..100]).unwrap();
    let other = replicas.others[0].http();
    let run = wait_for("the upload to be seen through the other server", || {
        let runs = other.get("/api/runs").json();
        runs.as_array().and_then(|runs| runs.first()).map(|run| id_of(run, "runId"))
    });
    replicas.shop.server.kill();
    replicas.shop.server.start();
    replicas.shop.reaches(&run, "failed");
}
