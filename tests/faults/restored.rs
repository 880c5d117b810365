//! The database is restored to an older state under a running server, or swapped for another one. The server
//! notices, is not ready while it folds what is there, and never shows what is there no more (D6).

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use knit_tests::http::Client;
use knit_tests::plans::PlanFile;
use knit_tests::postgres::TestDatabase;
use knit_tests::processes;
use knit_tests::server::{Server, Setup};
use knit_tests::wait::wait_until;
use knit_tests::workshop::{Workshop, id_of};
use serde_json::json;

fn register(http: Client, name: &str) -> String {
    let plan = PlanFile::shell(&format!("echo {name}"))
        .input("/in", &["never:matched"])
        .with("annotations", json!([format!("n={name}")]));
    let answer = http.send_json("POST", "/api/plans", &plan.json());
    assert_eq!(answer.status, 200, "{}", answer.text());
    id_of(&answer.json(), "planId")
}

/// The names of all Plans in order; none when the server does not want to be asked now.
fn names(http: Client) -> Option<Vec<String>> {
    let answer = http.get("/api/plans");
    if answer.status == 503 {
        return None;
    }
    assert_eq!(answer.status, 200, "{}", answer.text());
    let plans = answer.json();
    let plans = plans.as_array().expect("finding answers a list").iter();
    let mut names: Vec<String> =
        plans.filter_map(|plan| Some(plan["annotations"][0].as_str()?.strip_prefix("n=")?.to_owned())).collect();
    names.sort();
    Some(names)
}

/// Puts `other` in the place of `database` under a server that is asked all the while. Until then it shows
/// `before`, from then on `after`, or says that it cannot answer now.
fn replaced_under(server: &Server, database: &TestDatabase, other: TestDatabase, before: &[&str], after: &[&str]) {
    let http = server.http();
    let replaced = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            wait_until("the server to show what is there now", || {
                let over = replaced.load(Ordering::SeqCst);
                let Some(shown) = names(http) else { return false };
                assert!(shown == after || (!over && shown == before), "{shown:?} is neither {before:?} nor {after:?}");
                over
            });
        });
        database.replace_by(other);
        replaced.store(true, Ordering::SeqCst);
    });
    wait_until("the server to be ready", || http.get("/readyz").status == 200);
    assert_eq!(names(http).as_deref(), Some(after.iter().map(ToString::to_string).collect::<Vec<_>>().as_slice()));
    let again = register(http, "zz");
    assert_eq!(http.get(&format!("/api/plans/{again}")).status, 200, "and goes on from there");
}

#[test]
fn d6_a_database_restored_to_an_older_state_is_folded_again() {
    let database = TestDatabase::new();
    let server = Setup::new().database(database.url()).start();
    register(server.http(), "kept");
    let backup = database.backup();
    for lost in ["lost-1", "lost-2"] {
        register(server.http(), lost);
    }
    replaced_under(&server, &database, backup, &["kept", "lost-1", "lost-2"], &["kept"]);
}

#[test]
fn d6_another_history_of_the_same_length_is_folded_again() {
    another_history(&["other"]);
}

#[test]
fn d6_another_history_that_is_longer_is_folded_again() {
    another_history(&["other-1", "other-2", "other-3"]);
}

fn another_history(others: &[&str]) {
    let database = TestDatabase::new();
    let server = Setup::new().database(database.url()).start();
    register(server.http(), "kept");
    let backup = database.backup();
    goes_on(&backup, others);
    register(server.http(), "lost");
    let after: Vec<&str> = ["kept"].into_iter().chain(others.iter().copied()).collect();
    replaced_under(&server, &database, backup, &["kept", "lost"], &after);
}

/// Lets another history follow in the copy. Any server can write one; only one can have the volumes.
fn goes_on(backup: &TestDatabase, others: &[&str]) {
    let beside = Setup::new().database(backup.url()).option("--role", "api").start();
    others.iter().for_each(|name| drop(register(beside.http(), name)));
}

#[test]
fn d6_the_worker_of_a_run_that_is_no_more_is_removed_and_what_is_due_again_is_done_again() {
    let database = TestDatabase::new();
    let shop = Workshop::with(Setup::new().database(database.url()));
    let kept = shop.push(&[("it", "x")], &["a:b"]);
    let backup = database.backup();
    let endless = shop.apply(&PlanFile::shell("while :; do sleep 0.05; done").input("/in", &["a:b"]));
    shop.only_run_reaches(&endless, "running");
    database.replace_by(backup);
    wait_until("the server to be ready without the Plan", || {
        shop.server.http().get("/readyz").status == 200
            && shop.server.http().get(&format!("/api/plans/{endless}")).status == 404
    });
    // Only the server itself still works on the state directory.
    wait_until("the Worker to be gone", || processes::all_of(shop.server.state_dir()).len() <= 1);
    let plan = shop.apply(&PlanFile::shell("true").input("/in", &["a:b"]));
    let run = shop.only_run_reaches(&plan, "done");
    assert_eq!(run["inputs"][0]["knitId"], json!(kept));
}

#[test]
fn d6_whoever_follows_is_told_that_the_log_is_another_one() {
    for others in [&["other-1"][..], &["other-1", "other-2", "other-3", "other-4"]] {
        let database = TestDatabase::new();
        let server = Setup::new().database(database.url()).start();
        register(server.http(), "kept");
        let backup = database.backup();
        goes_on(&backup, others);
        let follower = server.knit().start(["events", "--follow", "--type", "PlanRegistered"]);
        for lost in ["lost-1", "lost-2"] {
            register(server.http(), lost);
            follower.shows(&format!("[\"n\",\"{lost}\"]"));
        }
        database.replace_by(backup);
        let end = follower.finish().ended(1);
        assert!(!end.stdout.contains("other-"), "what another log says is not what happened next: {end}");
        let _ = end.tells("restored to an older state");
    }
}
