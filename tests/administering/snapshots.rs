//! Snapshots are taken after some events or some time, few are kept, and what was wrong does not come back from one.

use knit_tests::postgres::TestDatabase;
use knit_tests::server::Setup;
use knit_tests::wait::wait_until;
use knit_tests::workshop::Workshop;
use serde_json::{Value, json};

use super::rebuild::fold_wrongly;

fn state(shop: &Workshop, name: &str) -> Value {
    let states = shop.knit(&["admin", "projections"]).json();
    let found = states.as_array().unwrap().iter().find(|state| state["name"] == name);
    found.unwrap_or_else(|| panic!("{name} is there: {states:#}")).clone()
}

#[test]
fn d6_a_snapshot_is_taken_after_some_time_if_anything_is_new() {
    let shop = Workshop::with(Setup::new().option("--snapshot-after", "1s"));
    shop.push(&[("it", "x")], &["a:b"]);
    wait_until("it to be saved", || {
        let state = state(&shop, "store");
        state["snapshot"] == state["position"]
    });
    let saved = state(&shop, "store");
    assert!(saved["snapshotBytes"].as_u64() > Some(0) && saved["snapshotSavedAt"].is_string(), "{saved:#}");
    let table = shop.knit(&["admin", "projections", "--output", "table"]).stdout;
    assert!(table.lines().next().is_some_and(|head| head.contains("SAVED")), "{table}");
}

/// Letters of the note of a Plan that do not compress to much less.
fn noise(chars: usize, seed: u64) -> String {
    let mut state: u64 = 88_172_645_463_325_252 + seed;
    let letter = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"[(state % 64) as usize])
    };
    (0..chars).map(letter).collect()
}

#[test]
fn d6_old_snapshots_are_removed_and_their_room_is_used_again() {
    let shop = Workshop::open();
    let data = shop.push(&[("it", "x")], &["a:b"]);
    for n in 0..4_u64 {
        let plan = knit_tests::plans::PlanFile::shell(&format!("echo {n}")).input("/in", &["never:there"]);
        let plan = plan.with("annotations", json!([format!("note={n}{}", noise(300_000, n))])).json();
        assert_eq!(shop.server.http().send_json("POST", "/api/plans", &plan).status, 200);
    }
    let mut sizes = Vec::new();
    for n in 0..16 {
        let _ = shop.knit(&["data", "tag", "--add", &format!("n:{n}"), &data]);
        let _ = shop.knit(&["admin", "snapshot"]);
        sizes.push(shop.knit(&["admin", "log", "stats"]).json()["bytes"].as_u64().unwrap());
    }
    let saved = state(&shop, "store");
    let bytes = saved["snapshotBytes"].as_u64().unwrap();
    assert!(saved["snapshotsKept"] == 2 && bytes > 500_000, "{saved:#}");
    // Two are kept, and a third is there while it is saved; what sixteen would take is more than five times as much.
    assert!(sizes[15] < sizes[0] + 4 * bytes, "{sizes:?}, while one snapshot has {bytes} bytes");
}

#[test]
fn d6_a_damaged_snapshot_is_passed_over_for_the_one_before() {
    let database = TestDatabase::new();
    let mut shop = Workshop::with(Setup::new().database(database.url()));
    let data = shop.push(&[("it", "x")], &["a:b"]);
    let _ = shop.knit(&["admin", "snapshot"]);
    let first = state(&shop, "store")["snapshot"].as_u64().unwrap();
    let _ = shop.knit(&["data", "tag", "--add", "c:d", &data]);
    let _ = shop.knit(&["admin", "snapshot"]);
    let damage = format!("UPDATE log_snapshots SET bytes = 'no snapshot' WHERE name = 'store' AND position > {first}");
    let _ = database.run(&damage);
    shop.server.kill();
    shop.server.start();
    let log = shop.server.log();
    let restored = |line: &&str| line.contains(r#"restored from a snapshot projection="store""#);
    let line = log.lines().rfind(restored).unwrap_or_else(|| panic!("the store is restored:\n{log}"));
    assert!(line.ends_with(&format!("log.position={first}")), "{line}");
    assert_eq!(
        shop.knit(&["admin", "rebuild-projection", "--verify-only", "store"]).json()[0]["end"]["step"],
        "verified"
    );
}

/// Whether a server shows of a Data what the log says.
fn is_right(shop: &Workshop, data: &str) -> bool {
    let tags = shop.data(data).unwrap()["tags"].clone();
    tags.as_array().unwrap().iter().any(|tag| tag == "is:right")
}

#[test]
fn d8_a_replica_that_is_wrong_still_does_not_bring_back_what_was_replaced() {
    let database = TestDatabase::new();
    let mut shop = Workshop::with(Setup::new().database(database.url()));
    let role = "api,projection,housekeeping";
    let mut replica = Workshop::with(Setup::new().database(database.url()).option("--role", role));
    let data = shop.push(&[("it", "x")], &["is:right"]);
    fold_wrongly(&database, &mut [&mut shop, &mut replica]);
    assert!(
        !is_right(&shop, &data) && !is_right(&replica, &data),
        "both have folded what the log does not say any more"
    );
    for shop in [&shop, &replica] {
        let _ = shop.knit(&["admin", "snapshot"]);
    }
    let _ = shop.knit(&["admin", "rebuild-projection", "--replace", "store"]);
    assert!(is_right(&shop, &data) && !is_right(&replica, &data));

    // It is not let save what it has, now or later.
    let _ = shop.knit(&["data", "tag", "--add", "n:1", &data]);
    let refused = replica.refused(1, &["admin", "snapshot"]);
    let _ = refused.tells("the projection `store` was replaced on another server since");
    let doctor = replica.user().run(["admin", "doctor", "--output", "text"]);
    let _ = doctor.prints("`store` was replaced on another server");
    for shop in [&mut shop, &mut replica] {
        shop.server.kill();
        shop.server.start();
    }
    assert!(is_right(&shop, &data) && is_right(&replica, &data), "neither is restored from what was wrong");
    let _ = replica.knit(&["data", "tag", "--add", "n:2", &data]);
    let _ = replica.knit(&["admin", "snapshot"]);
    let _ = shop.knit(&["data", "tag", "--add", "n:3", &data]);
    let _ = shop.knit(&["admin", "snapshot"]);
}

#[test]
fn d15_a_redaction_does_not_let_a_replica_save_what_was_replaced() {
    let database = TestDatabase::new();
    let mut shop = Workshop::with(Setup::new().database(database.url()));
    let role = "api,projection,housekeeping";
    let mut replica = Workshop::with(Setup::new().database(database.url()).option("--role", role));
    let data = shop.push(&[("it", "x")], &["is:right", "owner:alice"]);
    fold_wrongly(&database, &mut [&mut shop, &mut replica]);
    let _ = shop.knit(&["admin", "rebuild-projection", "--replace", "store"]);
    let _ = shop.knit(&["data", "tag", "--add", "n:1", &data]);
    let _ = replica.refused(1, &["admin", "snapshot"]).tells("was replaced on another server since");

    let _ = shop.knit(&["admin", "redact", "--yes", "--tag", "owner:alice", "--reason", "asked for"]);
    // All snapshots went. What it has is folded again before it may save anything, so that it is right by then.
    wait_until("the replica to be let save", || {
        let saved = replica.user().run(["admin", "snapshot"]);
        assert!(saved.code != 0 || is_right(&replica, &data), "it saves what was replaced");
        saved.code == 0
    });
    for shop in [&mut shop, &mut replica] {
        shop.server.kill();
        shop.server.start();
        assert!(is_right(shop, &data), "it is restored from what was wrong");
        let _ = shop.knit(&["admin", "snapshot"]);
    }
    let generations = database.run("SELECT DISTINCT generation FROM log_snapshots WHERE name = 'store'");
    assert_eq!(generations.trim(), "1", "what was replaced before the redaction stays replaced");
}

#[test]
fn d8_a_replica_that_is_right_saves_again_once_that_was_compared() {
    let database = TestDatabase::new();
    let mut shop = Workshop::with(Setup::new().database(database.url()));
    let data = shop.push(&[("it", "x")], &["is:right"]);
    fold_wrongly(&database, &mut [&mut shop]);
    let role = "api,projection,housekeeping";
    let replica = Workshop::with(Setup::new().database(database.url()).option("--role", role));
    let _ = shop.knit(&["admin", "rebuild-projection", "--replace", "store"]);
    let _ = shop.knit(&["data", "tag", "--add", "n:1", &data]);
    let _ = replica.refused(1, &["admin", "snapshot"]);
    let _ = replica.knit(&["admin", "rebuild-projection", "--verify-only", "store"]);
    let _ = replica.knit(&["admin", "snapshot"]);
}
