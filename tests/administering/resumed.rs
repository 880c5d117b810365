//! A rebuild that was broken off is gone on with, by the program that has begun it, and by no other (D8).

use std::thread;
use std::time::Duration;

use knit_tests::archive::Archive;
use knit_tests::cli::{Conversation, Outcome};
use knit_tests::plans::PlanFile;
use knit_tests::postgres::TestDatabase;
use knit_tests::server::{Server, Setup};
use knit_tests::wait::wait_until;
use knit_tests::workshop::{Workshop, id_of};
use serde_json::{Value, json};

/// Whoever rebuilds waits until a Plan is registered.
const HELD: &str = "rebuild.page-folded>committed.PlanRegistered";
/// What is folded is kept after five seconds: a little more.
const UNTIL_IT_IS_KEPT: Duration = Duration::from_secs(6);
/// More events than those that are folded last, of which nothing is kept.
const CHANGES: usize = 250;

/// One Plan is registered once, so each time another one is.
fn let_go(server: &Server, name: &str) {
    let plan = PlanFile::shell(&format!("echo {name}")).input("/in", &["never:there"]);
    let _ = server.http().send_json("POST", "/api/plans", &plan.json());
}

fn begun(server: &Server) -> Conversation {
    let rebuilding = server.knit().start(["admin", "rebuild-projection", "store"]);
    wait_until("the rebuild to be under way", || server.was_held());
    rebuilding
}

/// Begins a rebuild and ends it; answers how it ended.
fn broken_off(server: &Server) -> Outcome {
    let rebuilding = begun(server);
    rebuilding.interrupt();
    wait_until("the server to be told", || server.log().contains("told to end a rebuild"));
    let_go(server, "first");
    rebuilding.finish().ended(130)
}

/// Rebuilds; answers up to where it was folded already.
#[track_caller]
fn resumed(server: &Server, words: &[&str]) -> Option<u64> {
    let rebuild = ["admin", "rebuild-projection"].iter().chain(words).chain(&["store"]);
    let told = server.knit().run(rebuild).ok().json();
    assert_eq!(told[0]["compared"]["live"], told[0]["compared"]["rebuilt"], "{told:#}");
    told[0]["resumed"].as_u64()
}

fn cancelled_at(told: &Outcome) -> u64 {
    let end: &Value = &told.json()[0]["end"];
    assert_eq!((&end["step"], &end["kept"]), (&"cancelled".into(), &true.into()), "{told}");
    end["position"].as_u64().expect("a position")
}

fn kept_somewhere(database: &TestDatabase) -> bool {
    database.run("SELECT count(*) FROM log_snapshots WHERE name = 'store.rebuild'").trim() != "0"
}

#[test]
fn d8_what_was_cancelled_is_gone_on_with_also_by_the_next_server_of_the_same_program() {
    let mut shop = Workshop::with(Setup::new().holding(HELD));
    shop.push(&[("it", "x")], &["a:b"]);
    let told = broken_off(&shop.server).tells("go on from there: `knit admin rebuild-projection store`");
    let position = cancelled_at(&told);
    shop.server.stop();
    shop.server.start();
    let again = begun(&shop.server);
    let_go(&shop.server, "again");
    let told = again.finish().ok().json();
    assert_eq!((&told[0]["resumed"], &told[0]["end"]["step"]), (&position.into(), &"switched".into()), "{told:#}");
    assert_eq!(resumed(&shop.server, &["--verify-only"]), None, "nothing is left of one that has come to its end");
}

#[test]
fn d8_what_was_folded_for_a_while_is_gone_on_with_after_a_kill() {
    let mut server = Setup::new().placed();
    assert!(server.start_doomed(&format!("{HELD},rebuild.kept")));
    let stored = server.http().upload(&Archive::new().file("it", b"x").gzip(), &[]).json();
    let data = id_of(&stored, "knitId");
    for n in 0..CHANGES {
        let change = json!({"add": [format!("n:{n}")]});
        assert_eq!(server.http().send_json("PUT", &format!("/api/data/{data}"), &change).status, 200);
    }
    let rebuilding = begun(&server);
    thread::sleep(UNTIL_IT_IS_KEPT);
    let_go(&server, "late");
    server.wait_for_death();
    let _ = rebuilding.finish().ended(3).tells("a rebuild that is broken off has changed nothing");
    server.start();
    let text = ["admin", "rebuild-projection", "--verify-only", "--output", "text", "store"];
    let _ = server.knit().run(text).ok().prints("store: folded on from position ").prints("store: verified up to");
}

#[test]
fn d8_every_event_is_folded_again_where_that_is_asked_for() {
    let shop = Workshop::with(Setup::new().holding(HELD));
    shop.push(&[("it", "x")], &["a:b"]);
    let _ = cancelled_at(&broken_off(&shop.server));
    assert_eq!(resumed(&shop.server, &["--from-start"]), None);
}

#[test]
fn d8_what_another_program_has_folded_or_is_damaged_is_not_gone_on_with() {
    for damage in [
        "UPDATE log_snapshots SET bytes = sha256('another program') WHERE name = 'store.rebuild' AND chunk = 0",
        "UPDATE log_snapshots SET bytes = 'no snapshot' WHERE name = 'store.rebuild' AND chunk = 1",
        "UPDATE log_snapshots SET chain = sha256('another log') WHERE name = 'store.rebuild'",
    ] {
        let database = TestDatabase::new();
        let shop = Workshop::with(Setup::new().database(database.url()).holding(HELD));
        shop.push(&[("it", "x")], &["a:b"]);
        let _ = cancelled_at(&broken_off(&shop.server));
        assert!(kept_somewhere(&database));
        let _ = database.run(damage);
        assert_eq!(resumed(&shop.server, &[]), None, "{damage}");
        assert!(!kept_somewhere(&database), "{damage}");
    }
}

#[test]
fn d15_what_a_rebuild_has_folded_goes_when_something_is_redacted() {
    let database = TestDatabase::new();
    let shop = Workshop::with(Setup::new().database(database.url()).holding(HELD));
    shop.push(&[("it", "x")], &["owner:alice"]);
    let _ = cancelled_at(&broken_off(&shop.server));
    let _ = shop.knit(&["admin", "redact", "--yes", "--tag", "owner:alice", "--reason", "asked for"]);
    assert!(!kept_somewhere(&database));
    assert_eq!(resumed(&shop.server, &[]), None);
}
