//! A full disk under the event log, for all that is kept in the database.

use std::fs;
use std::path::Path;

use knit_tests::archive::noise;
use knit_tests::http::Response;
use knit_tests::plans::PlanFile;
use knit_tests::server::Setup;
use knit_tests::wait::{wait_for, wait_until};
use knit_tests::workshop::Workshop;
use serde_json::{Value, json};

use super::{DISK_BYTES, RoomTaken, lists_all, plan, text};

/// Why something is refused.
const FULL: &str = "the disk of the event log is full";
/// Bytes of a note of a Plan, so that a snapshot is larger than what is left of a disk.
const NOTE_BYTES: usize = 200_000;
/// Room for some events, and for no snapshot.
const LITTLE_ROOM_BYTES: u64 = 96 << 10;
/// Whoever rebuilds waits until somebody takes a snapshot, which needs no room before it is written.
const HELD: &str = "rebuild.page-folded>snapshot.taken";

fn shop(setup: Setup) -> Workshop {
    let shop = Workshop::with(setup.with_the_log_on_a_disk_of(DISK_BYTES));
    let note = format!("note={}", hex::encode(noise(NOTE_BYTES)));
    let _ = shop.apply(&plan("noted").with("annotations", json!([note])));
    shop
}

/// Tags a Data until that is refused.
fn tagged_until_refused(shop: &Workshop, data: &str) -> Response {
    let mut n = 0;
    // What the log has taken from the disk before is still there to be written to.
    wait_for("a tag not to fit", || {
        n += 1;
        let change = json!({"add": [format!("n:{n}")]});
        let answer = shop.server.http().send_json("PUT", &format!("/api/data/{data}"), &change);
        (answer.status != 200).then_some(answer)
    })
}

/// The position of the last event that is shown.
fn head(shop: &Workshop) -> String {
    shop.server.http().get("/api/plans").header("x-knit-position").unwrap().to_owned()
}

#[test]
fn whatever_needs_the_log_is_refused_while_its_disk_is_full_and_done_when_there_is_room() {
    let mut shop = shop(Setup::new());
    let fails = PlanFile::shell("echo why; exit 3").input("/in", &["a:b"]).output("/out", &["is:made"]);
    let fails = shop.apply(&fails.log(&["is:log"]));
    let data = shop.push(&[("it", "x")], &["a:b", "secret:whisper"]);
    let run = shop.only_run_reaches(&fails, "failed")["runId"].as_str().unwrap().to_owned();
    let (other, source) = (shop.written(&plan("other")), shop.new_path("source"));
    let idle = shop.apply(&plan("idle"));
    fs::create_dir(&source).unwrap();

    let full = RoomTaken::on(&shop.server.disk_seen_by_it());
    let refused = tagged_until_refused(&shop, &data);
    assert!(refused.message().contains(FULL), "{}", refused.message());
    let before = head(&shop);
    let all: [&[&str]; 8] = [
        &["admin", "snapshot"],
        &["admin", "redact", "--yes", "--tag", "secret:whisper", "--reason", "asked for"],
        &["data", "tag", "--add", "late:1", &data],
        &["data", "push", text(&source)],
        &["data", "pull", "-x", &data, "pulled"],
        &["plan", "active", "no", &idle],
        &["plan", "apply", &other],
        &["run", "retry", &run],
    ];
    for words in all {
        let _ = shop.refused(1, words).tells(FULL).tells("free some space and try again");
    }
    let _ = shop.refused(1, &["admin", "doctor"]).prints("disk of the event log").prints("0 of 8 MiB are free");
    let kept = shop.run(&run);
    assert_eq!((&kept["status"], head(&shop)), (&json!("failed"), before), "nothing has changed: {kept:#}");
    drop(full);
    for words in all {
        let _ = shop.knit(words);
    }
    shop.reaches(&run, "failed");
    let _ = shop.knit(&["run", "show", "--log", "--attempt", "1", &run]).prints("why");
    starts_only_with_room(&mut shop, &fails);
}

/// A server does not begin what it could not write down.
fn starts_only_with_room(shop: &mut Workshop, plan: &str) {
    assert!(shop.server.stop().success(), "the log is whole");
    let full = RoomTaken::on(&shop.server.disk_seen_by_it());
    let said = shop.server.refuses();
    assert!(said.contains(&format!("{FULL} while opening the event log: free some space and try again")), "{said}");
    drop(full);
    shop.server.start();
    lists_all(shop, &[plan.to_owned()]);
    let _ = shop.knit(&["audit", "verify"]);
}

#[test]
fn a_first_start_on_a_full_disk_is_refused_and_leaves_nothing_in_the_way() {
    let mut server = Setup::new().with_the_log_on_a_disk_of(DISK_BYTES).placed();
    let full = RoomTaken::on(&server.disk_seen_by_it());
    let said = server.refuses();
    assert!(said.contains(FULL) && said.contains("free some space and try again"), "{said}");
    drop(full);
    server.start();
}

#[test]
fn what_is_redacted_where_there_is_no_room_to_overwrite_it_is_overwritten_by_the_next_start() {
    let mut shop = shop(Setup::new());
    let data = shop.push(&[("it", "x")], &["secret:AliceSecretovna"]);
    let full = RoomTaken::but(LITTLE_ROOM_BYTES, &shop.server.disk_seen_by_it());
    // It takes the room, in which smaller things are written afterwards.
    let _ = shop.refused(1, &["admin", "snapshot"]).tells(FULL);
    let words = ["admin", "redact", "--yes", "--tag", "secret:AliceSecretovna", "--reason", "asked for"];
    let told = shop.knit(&words).json();
    assert_eq!((&told["forgotten"], &told["overwritten"]), (&json!(true), &json!(false)), "{told:#}");
    assert!(says(&shop, "AliceSecretovna"), "there was no room to overwrite it, or this proves nothing");
    drop(full);
    assert!(shop.server.stop().success());
    shop.server.start();
    assert!(!says(&shop, "AliceSecretovna"), "nothing of it is left in the files");
    assert!(shop.data(&data).is_some());
    let _ = shop.knit(&["audit", "verify"]);
}

/// Whether a file of the database holds a word.
fn says(shop: &Workshop, word: &str) -> bool {
    let files = fs::read_dir(shop.server.disk_seen_by_it()).unwrap().map(|entry| entry.unwrap().path());
    let mut databases = files.filter(|path| text(path).contains("knitfab.db"));
    databases.any(|path| fs::read(path).unwrap().windows(word.len()).any(|found| found == word.as_bytes()))
}

#[test]
fn what_a_rebuild_has_folded_is_not_kept_on_a_full_disk_and_that_is_told() {
    let shop = shop(Setup::new().holding(HELD));
    let full = RoomTaken::on(&shop.server.disk_seen_by_it());
    let rebuilding = shop.user().start(["admin", "rebuild-projection", "store"]);
    wait_until("the rebuild to be under way", || shop.server.was_held());
    rebuilding.interrupt();
    wait_until("the server to be told", || shop.server.log().contains("told to end a rebuild"));
    let _ = shop.refused(1, &["admin", "snapshot"]).tells(FULL);
    let told = rebuilding.finish().ended(130).tells("begin again: `knit admin rebuild-projection store`");
    assert_eq!(told.json()[0]["end"]["kept"], json!(false), "{told}");
    let log = shop.server.log();
    assert!(log.contains("what a rebuild has folded is not kept") && log.contains(FULL), "{log}");
    drop(full);
    let again = shop.knit(&["admin", "rebuild-projection", "store"]).json();
    assert_eq!((&again[0]["resumed"], &again[0]["end"]["step"]), (&Value::Null, &json!("switched")), "{again:#}");
}

#[test]
fn a_projection_that_replaces_a_wrong_one_is_saved_as_that_once_there_is_room() {
    let mut shop = shop(Setup::new());
    let data = shop.push(&[("it", "x")], &["is:right"]);
    folds_wrongly(&mut shop);
    let _ = shop.knit(&["admin", "snapshot"]);
    assert_eq!(shop.data(&data).unwrap()["tags"][0], "is:wrong");
    let full = RoomTaken::on(&shop.server.disk_seen_by_it());
    let told = shop.knit(&["admin", "rebuild-projection", "--replace", "store"]);
    let warning = told.json()[0]["end"]["warning"].as_str().unwrap_or_default().to_owned();
    assert!(warning.contains("no snapshot was saved") && warning.contains(FULL), "{told}");
    assert_eq!(shop.data(&data).unwrap()["tags"][0], "is:right");
    drop(full);
    let _ = shop.knit(&["admin", "snapshot"]);
    let states = shop.knit(&["admin", "projections"]).json();
    assert_eq!(states[0]["snapshotsKept"], json!(1), "what was wrong is not kept: {states:#}");
    shop.server.kill();
    shop.server.start();
    assert_eq!(shop.data(&data).unwrap()["tags"][0], "is:right");
}

/// Lets the projections be folded from a log that says `wrong` where it had said `right`, and then has it say that again.
fn folds_wrongly(shop: &mut Workshop) {
    shop.server.kill();
    change(shop, "DELETE FROM log_snapshots");
    change(shop, "UPDATE events SET payload = replace(payload, 'right', 'wrong')");
    shop.server.start();
    change(shop, "UPDATE events SET payload = replace(payload, 'wrong', 'right')");
}

/// Changes the database as whoever has its file can.
fn change(shop: &Workshop, statement: &str) {
    const SCRIPT: &str = "import sqlite3, sys
database = sqlite3.connect('knitfab.db')
with database: database.execute(sys.argv[1])
database.close()";
    let mut python = shop.server.command_on_its_disk(Path::new("python3"));
    let changed = python.args(["-c", SCRIPT, statement]).output().unwrap();
    assert!(changed.status.success(), "{}", String::from_utf8_lossy(&changed.stderr));
}
