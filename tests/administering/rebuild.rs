//! A projection is rebuilt beside the live one, verified, and switched to without anyone noticing (D8).

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use knit_tests::http::Client;
use knit_tests::plans::PlanFile;
use knit_tests::postgres::TestDatabase;
use knit_tests::server::Setup;
use knit_tests::wait::wait_until;
use knit_tests::workshop::Workshop;
use serde_json::{Value, json};

/// Changes of tags before a rebuild begins, so that it takes a moment.
const CHANGES: u64 = 300;

fn tag(http: Client, data: &str, tag: &str) {
    let answer = http.send_json("PUT", &format!("/api/data/{data}"), &json!({"add": [tag], "remove": []}));
    assert_eq!(answer.status, 200, "{}", answer.text());
}

fn tags(http: Client, data: &str) -> Vec<String> {
    let found = http.get(&format!("/api/data?tag=knit%23id%3A{data}")).json();
    let tags = found[0]["tags"].as_array().unwrap_or_else(|| panic!("the Data {data} is there: {found:#}"));
    tags.iter().filter_map(Value::as_str).filter(|tag| !tag.starts_with("knit#")).map(str::to_owned).collect()
}

fn states(shop: &Workshop) -> Value {
    shop.knit(&["admin", "projections", "--digest"]).json()
}

/// The outcome of each projection, by how it ended.
fn ends(told: &Value) -> Vec<(String, String)> {
    let outcomes = told.as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    outcomes.map(|outcome| (text(&outcome["projection"]), text(&outcome["end"]["step"]))).collect()
}

fn named(names: &[&str], end: &str) -> Vec<(String, String)> {
    names.iter().map(|name| ((*name).to_owned(), end.to_owned())).collect()
}

const ALL: [&str; 3] = ["store", "matcher", "worklists"];

#[test]
fn d8_a_rebuild_under_live_load_switches_and_loses_nothing() {
    let shop = Workshop::open();
    let data = shop.push(&[("it", "x")], &["a:b"]);
    let http = shop.server.http();
    (0..CHANGES).for_each(|n| tag(http, &data, &format!("before:{n}")));
    let (over, written) = (AtomicBool::new(false), AtomicU64::new(0));
    let watcher = shop.user().start(["events", "--follow", "--type", "DataTagsChanged"]);
    let told = thread::scope(|scope| {
        for worker in 0..3_u64 {
            let (over, written, data) = (&over, &written, &data);
            scope.spawn(move || {
                for n in 0.. {
                    if over.load(Ordering::SeqCst) {
                        return;
                    }
                    let one = format!("during:{worker}-{n}");
                    tag(http, data, &one);
                    assert!(tags(http, data).contains(&one), "what was acknowledged is shown");
                    written.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        wait_until("others to be at work", || written.load(Ordering::SeqCst) > 10);
        let told = shop.user().run(["admin", "rebuild-projection", "all"]);
        over.store(true, Ordering::SeqCst);
        told.ok().json()
    });
    assert_eq!(ends(&told), named(&ALL, "switched"));
    for outcome in told.as_array().unwrap() {
        assert_eq!(outcome["compared"]["live"], outcome["compared"]["rebuilt"], "{outcome:#}");
    }
    let expected = 1 + usize::try_from(CHANGES + written.load(Ordering::SeqCst)).unwrap();
    assert_eq!(tags(http, &data).len(), expected);
    tag(http, &data, "after:it");
    watcher.shows("[\"after\",\"it\"]");
    // Folded from the log alone, it is the same.
    let told = shop.knit(&["admin", "rebuild-projection", "--verify-only", "all"]).json();
    assert_eq!(ends(&told), named(&ALL, "verified"));
}

#[test]
fn d8_verifying_changes_nothing_and_what_is_kept_can_be_switched_back_to() {
    let shop = Workshop::open();
    let data = shop.push(&[("it", "x")], &["a:b"]);
    let before = states(&shop);
    let _ = shop.knit(&["admin", "rebuild-projection", "--verify-only", "store"]);
    assert_eq!(states(&shop), before);

    let _ = shop.refused(5, &["admin", "rollback", "store"]).tells("--keep-old");
    let _ = shop.knit(&["admin", "rebuild-projection", "--keep-old", "store"]);
    let kept = states(&shop);
    assert_eq!((&kept[0]["previous"], &kept[1]["previous"]), (&before[0]["position"], &Value::Null));
    tag(shop.server.http(), &data, "after:it");
    let told = shop.knit(&["admin", "rollback", "store", "--output", "text"]).stdout;
    assert!(told.contains("store: switched at position") && told.contains("the one before is kept"), "{told}");
    assert!(tags(shop.server.http(), &data).contains(&"after:it".to_owned()), "it has taken up what happened since");
    assert_eq!(
        ends(&shop.knit(&["admin", "rebuild-projection", "--verify-only", "all"]).json()),
        named(&ALL, "verified")
    );
}

/// Plans that together are far more than the kernel keeps of an answer that nobody reads.
const LARGE_PLANS: usize = 60;
/// Letters in the note of each.
const NOTE_CHARS: usize = 300_000;

#[test]
fn d8_an_answer_that_is_on_its_way_is_whole_although_its_projection_is_replaced() {
    let shop = Workshop::open();
    for n in 0..LARGE_PLANS {
        let note = format!("note={n}{}", "x".repeat(NOTE_CHARS));
        let plan = PlanFile::shell(&format!("echo {n}")).input("/in", &["never:there"]);
        let answer =
            shop.server.http().send_json("POST", "/api/plans", &plan.with("annotations", json!([note])).json());
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    let mut reader = shop.server.http().connect();
    reader.head("GET", "/api/plans", &[]);
    assert_eq!(reader.response_head().status, 200);
    let _ = shop.knit(&["admin", "rebuild-projection", "store"]);
    let (mut bytes, mut end) = (0, String::new());
    // The last piece of such an answer is an empty one.
    while !end.ends_with("\r\n0\r\n\r\n") {
        let piece = reader.read_text().expect("the answer goes on to its end");
        bytes += piece.len();
        end = [end.as_str(), &piece].concat();
        end = end.split_off(end.len().saturating_sub(16));
    }
    assert!(bytes > LARGE_PLANS * NOTE_CHARS, "{bytes} bytes are less than there are");
}

/// Changes what the log says of the tag `is:…`, from one word to another; answers where.
pub(super) fn reword(database: &TestDatabase, from: &str, to: &str) -> u64 {
    let changed = database.run(&format!(
        "WITH changed AS (UPDATE events SET payload = replace(payload::text, '{from}', '{to}')::json
          WHERE payload::text LIKE '%\"{from}\"%' RETURNING position) SELECT min(position) FROM changed"
    ));
    changed.trim().parse().unwrap_or_else(|_| panic!("an event says {from}: {changed:?}"))
}

/// Lets all projections be folded from a log that says `wrong` where it had said `right`, and then has it say that
/// again. So the log is whole, and what these servers show is not what it says, as if the program had folded it wrongly.
pub(super) fn fold_wrongly(database: &TestDatabase, shops: &mut [&mut Workshop]) {
    shops.iter_mut().for_each(|shop| shop.server.kill());
    let _ = database.run("DELETE FROM log_snapshots");
    let _ = reword(database, "right", "wrong");
    shops.iter_mut().for_each(|shop| shop.server.start());
    let _ = reword(database, "wrong", "right");
}

/// A server whose store does not show what the log says.
fn wrong() -> (TestDatabase, Workshop, String) {
    let database = TestDatabase::new();
    let mut shop = Workshop::with(Setup::new().database(database.url()));
    let data = shop.push(&[("it", "x")], &["is:right"]);
    fold_wrongly(&database, &mut [&mut shop]);
    let _ = shop.knit(&["audit", "verify"]);
    (database, shop, data)
}

#[test]
fn d8_what_was_changed_in_the_log_is_not_folded_again_but_named() {
    let database = TestDatabase::new();
    let mut shop = Workshop::with(Setup::new().database(database.url()));
    let data = shop.push(&[("it", "x")], &["is:right"]);
    let position = reword(&database, "right", "wrong");
    let named = format!("event {position} is not what was appended");
    for restarted in [false, true] {
        for option in ["--verify-only", "--replace", "--keep-old"] {
            let told = shop.refused(8, &["admin", "rebuild-projection", option, "all"]);
            assert!(!told.stderr.contains("--replace"), "what was changed is to be installed by nobody: {told}");
            let _ = told.tells(&named).tells("knit audit verify");
        }
        let told = shop.refused(8, &["audit", "replay"]);
        assert!(!told.stdout.contains("digest"), "no digest of what was changed: {told}");
        let _ = told.tells(&named).tells("hint: `knit audit verify`");
        let shown = if restarted { "is:wrong" } else { "is:right" };
        assert_eq!(tags(shop.server.http(), &data), [shown], "a start folds what it finds");
        let _ = database.run("DELETE FROM log_snapshots");
        shop.server.kill();
        shop.server.start();
    }
    let before = (position - 1).to_string();
    assert_eq!(shop.knit(&["audit", "replay", "--until", &before]).json()["position"], position - 1);
    let _ = reword(&database, "wrong", "right");
    let _ = shop.knit(&["audit", "replay"]);
}

#[test]
fn d8_a_wrong_projection_is_caught_by_its_digest_and_the_first_difference_is_told() {
    let (_database, shop, data) = wrong();
    for verify_only in [true, false] {
        let words = ["admin", "rebuild-projection", "store", "--output", "text", "--verify-only"];
        let words = if verify_only { &words[..] } else { &words[..5] };
        let told = shop.refused(1, words);
        assert!(told.stdout.contains("store: they differ at position"), "{told}");
        let line = |beginning: &str| {
            let found = told.stdout.lines().find(|line| line.trim_start().starts_with(beginning));
            found.unwrap_or_else(|| panic!("a line about {beginning}: {told}")).to_owned()
        };
        assert!(line("in the live one").contains("wrong") && line("in the rebuilt one").contains("right"), "{told}");
        assert!(line("the first entry that differs is in record").ends_with(char::is_numeric), "{told}");
        assert!(told.stdout.lines().all(|line| line.chars().count() < 450), "{told}");
        let _ = told.tells("hint: `knit admin rebuild-projection --replace store`");
        assert_eq!(tags(shop.server.http(), &data), ["is:wrong"], "the live one stays where it is");
    }
    // What one of them shows wrongly, another may know nothing of.
    let told = shop.refused(1, &["admin", "rebuild-projection", "--verify-only", "all"]).json();
    assert_eq!(ends(&told), [named(&["store", "matcher"], "differs"), named(&["worklists"], "verified")].concat());
}

#[test]
fn d8_a_wrong_projection_is_replaced_where_that_is_asked_for_and_does_not_come_back() {
    let (_database, mut shop, data) = wrong();
    // Its snapshots are wrong as well.
    let _ = shop.knit(&["admin", "snapshot"]);
    let told = shop.knit(&["admin", "rebuild-projection", "--replace", "store"]).json();
    assert_eq!(ends(&told), named(&["store"], "switched"));
    assert_eq!((&told[0]["end"]["kept"], &told[0]["end"]["warning"]), (&json!(true), &Value::Null), "{told:#}");
    assert_eq!(tags(shop.server.http(), &data), ["is:right"]);
    shop.server.kill();
    shop.server.start();
    assert_eq!(tags(shop.server.http(), &data), ["is:right"], "it is not restored from an older snapshot");
}

#[test]
fn d8_a_rebuild_is_cancelled_by_whoever_has_begun_it_and_by_others() {
    let shop = Workshop::open();
    shop.push(&[("it", "x")], &["a:b"]);
    let _ = shop.refused(4, &["admin", "rebuild-projection", "--cancel", "store"]).tells("is not being rebuilt");
    let _ = shop.refused(4, &["admin", "rebuild-projection", "--cancel", "all"]).tells("none of them is being rebuilt");
    let _ = shop.refused(4, &["admin", "rebuild-projection", "lineage"]).tells("there is no projection `lineage`");
    let before = states(&shop);
    for _ in 0..5 {
        let rebuilding = shop.user().start(["admin", "rebuild-projection", "--verify-only", "store"]);
        drop(rebuilding);
    }
    wait_until("the next to be let in", || {
        shop.user().run(["admin", "rebuild-projection", "--verify-only", "store"]).code == 0
    });
    assert_eq!(states(&shop), before);
}
