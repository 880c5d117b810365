//! The history is exported and verified, as an auditor does it: from a running server, from a file, and with a script
//! of one's own. Whoever changes it, by hand in the database or in the file, is found out, and the position is named.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use knit_tests::postgres::TestDatabase;
use knit_tests::server::Setup;
use knit_tests::workshop::Workshop;
use serde_json::Value;

use crate::architecture::root;

/// How `knit audit verify` ends where the history is not whole.
pub(crate) const NOT_WHOLE: i32 = 8;

/// A workshop in which something has happened.
pub(crate) fn with_a_history(setup: Setup) -> Workshop {
    let shop = Workshop::with(setup);
    let data = shop.push(&[("it", "x")], &["a:b"]);
    let _ = shop.knit(&["data", "tag", "--add", "c:d 'e' \u{65e5}", &data]);
    let _ = shop.knit(&["data", "tag", "--remove", "a:b", &data]);
    shop
}

pub(crate) fn exported(shop: &Workshop, format: &str) -> PathBuf {
    let file = shop.new_path("export");
    let _ = shop.knit(&["audit", "export", "--format", format, "-o", text(&file)]);
    assert_eq!(fs::metadata(&file).unwrap().mode() & 0o077, 0, "it holds what the log holds");
    file
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("paths of tests are text")
}

/// The script that a person could have written.
pub(crate) fn by_the_script(words: &[&Path]) -> Output {
    let mut command = Command::new("python3");
    command.arg(root().join("schemas/verify_export.py")).args(words).output().expect("python3 can be started")
}

#[track_caller]
pub(crate) fn is_found_by_all(shop: &Workshop, file: &Path, position: u64) {
    let _ = shop.refused(NOT_WHOLE, &["audit", "verify", text(file)]).tells(&format!("position {position}: "));
    let script = by_the_script(&[file]);
    let told = String::from_utf8_lossy(&script.stderr).into_owned();
    assert!(!script.status.success() && told.starts_with(&format!("position {position}: ")), "{told}");
}

fn an_untouched_history_is_whole(setup: Setup) {
    let shop = with_a_history(setup);
    let of_server = shop.knit(&["audit", "verify"]).json();
    let events = of_server["events"].as_u64().unwrap();
    assert!(events > 3 && of_server["position"] == events && of_server["after"] == 0, "{of_server}");
    for format in ["jsonl", "proto"] {
        let file = exported(&shop, format);
        let of_file = shop.knit(&["audit", "verify", text(&file)]).json();
        for field in ["events", "position", "chain", "redacted"] {
            assert_eq!(of_file[field], of_server[field], "{format}: {field}");
        }
        let script = by_the_script(&[&file]);
        let chain = of_server["chain"].as_str().unwrap();
        let told = String::from_utf8_lossy(&script.stdout).into_owned();
        assert_eq!(told, format!("{events} events, head {events}, chain {chain}\n"), "{script:?}");
    }
    let ask = |query: &str| shop.server.http().get(&format!("/api/events/export?{query}")).status;
    assert_eq!([ask("format=xml"), ask("after=x"), ask("after=3&until=2"), ask("as-of=1h")], [400; 4]);
    let behind = shop.server.http().get("/api/events/export?after=2&until=3&format=jsonl");
    assert_eq!((behind.header("x-knit-position"), behind.text().lines().count()), (Some("3"), 3));
    let rest = shop.new_path("rest");
    fs::write(&rest, &behind.body).unwrap();
    let verified = shop.knit(&["audit", "verify", text(&rest)]).json();
    assert_eq!((&verified["events"], &verified["after"], &verified["position"]), (&1.into(), &2.into(), &3.into()));
    let part = shop.new_path("part");
    let _ = shop.knit(&["audit", "export", "--until", "2", "-o", text(&part)]);
    assert_eq!(shop.knit(&["audit", "verify", text(&part)]).json()["position"], 2);
}

#[test]
fn an_untouched_history_is_whole_on_sqlite() {
    an_untouched_history_is_whole(Setup::new());
}

#[test]
fn an_untouched_history_is_whole_on_postgresql() {
    let database = TestDatabase::new();
    an_untouched_history_is_whole(Setup::new().database(database.url()));
}

#[test]
fn what_is_changed_in_an_export_is_found_with_its_position() {
    let shop = with_a_history(Setup::new());
    let whole = fs::read_to_string(exported(&shop, "jsonl")).unwrap();
    let lines: Vec<&str> = whole.lines().collect();
    let last = lines.len() as u64 - 2;
    let changed = |position: u64, change: &dyn Fn(Vec<String>) -> Vec<String>| {
        let file = shop.new_path("changed");
        let lines = change(lines.iter().map(ToString::to_string).collect());
        fs::write(&file, lines.join("\n") + "\n").unwrap();
        is_found_by_all(&shop, &file, position);
    };
    let in_event = |at: usize, field: &'static str, value: &dyn Fn(&Value) -> Value| {
        changed(at as u64, &|mut lines| {
            let mut line: Value = serde_json::from_str(&lines[at]).unwrap();
            let now = value(&line["event"][field]);
            line["event"][field] = now;
            lines[at] = line.to_string();
            lines
        });
    };
    let flipped = |text: &Value| Value::from(text.as_str().unwrap().replacen('a', "b", 1));
    in_event(2, "payload", &flipped);
    in_event(2, "metadata", &flipped);
    in_event(3, "salt", &|_| "00".repeat(16).into());
    in_event(3, "recordedAtMs", &|ms| (ms.as_i64().unwrap() + 1).into());
    in_event(3, "recordedAtMs", &|_| 5.into());
    changed(2, &|mut lines| {
        lines.remove(2);
        lines
    });
    changed(2, &|mut lines| {
        lines.swap(2, 3);
        lines
    });
    changed(last + 1, &|mut lines| {
        lines.pop();
        lines
    });
}

#[test]
fn a_cut_and_a_flipped_bit_are_found_in_both_formats() {
    let shop = with_a_history(Setup::new());
    for format in ["jsonl", "proto"] {
        let whole = fs::read(exported(&shop, format)).unwrap();
        for part in 1..8 {
            let at = whole.len() * part / 8;
            let (cut, flipped) = (shop.new_path("cut"), shop.new_path("flipped"));
            fs::write(&cut, &whole[..at]).unwrap();
            let mut bytes = whole.clone();
            bytes[at] ^= 4;
            fs::write(&flipped, bytes).unwrap();
            for file in [cut, flipped] {
                let refused = shop.refused(NOT_WHOLE, &["audit", "verify", text(&file)]);
                let position = refused.stderr.split("position ").nth(1).unwrap().split(':').next().unwrap().to_owned();
                is_found_by_all(&shop, &file, position.parse().unwrap());
            }
        }
    }
}

#[test]
fn an_export_goes_through_what_it_is_told_to_and_replaces_files_only() {
    let shop = with_a_history(Setup::new());
    let (pipe, link, file) = (shop.new_path("pipe"), shop.new_path("link"), shop.new_path("file"));
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    std::os::unix::fs::symlink(&file, &link).unwrap();
    fs::write(&file, "older").unwrap();
    let _ = shop.knit(&["audit", "export", "-o", text(&link)]);
    let exported = fs::read(&file).expect("a link stays, and what it names is written");
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink() && exported.starts_with(b"{"));
    let reader = std::thread::spawn({
        let pipe = pipe.clone();
        move || fs::read(pipe).unwrap()
    });
    let _ = shop.knit(&["audit", "export", "-o", text(&pipe)]);
    assert_eq!(reader.join().unwrap(), exported);
    let _ = shop.refused(1, &["audit", "export", "-o", text(file.parent().unwrap())]);
}

#[test]
fn what_is_no_export_is_refused() {
    let shop = Workshop::open();
    let file = shop.new_path("no-export");
    for bytes in [&b""[..], b"{}\n", b"hello\n", b"\0\0\0"] {
        fs::write(&file, bytes).unwrap();
        let _ = shop.refused(NOT_WHOLE, &["audit", "verify", text(&file)]).tells("position 0: ");
        assert!(!by_the_script(&[&file]).status.success());
    }
    let _ = shop.refused(1, &["audit", "verify", "/no/such/file"]).tells("cannot read `/no/such/file`");
    // Of several files the one is named that cannot be read. One of them is no file, so that none is opened beforehand.
    let part = shop.new_path("part");
    let _ = shop.knit(&["audit", "export", "--until", "2", "-o", text(&part)]);
    let told = shop.refused(1, &["audit", "verify", text(&part), "/proc/self/mem", "/dev/null"]);
    let told = told.tells("cannot read `/proc/self/mem`");
    assert!(!told.stderr.contains(text(&part)), "{}", told.stderr);
    let nowhere = shop.refused(1, &["audit", "export", "-o", "/no/such/directory/file"]);
    assert!(!nowhere.stderr.contains("knit-export"), "{nowhere}");
    let _ = nowhere.tells("there is no directory `/no/such/directory`: `mkdir -p /no/such/directory` makes it");
    let directory = shop.server.desk();
    for unable in [&[][..], &[Path::new("/no/such/file")], &[directory], &[&file, Path::new("--key"), &file]] {
        let script = by_the_script(unable);
        let told = String::from_utf8_lossy(&script.stderr).into_owned();
        assert_eq!((script.status.code(), told.lines().count()), (Some(2), 1), "{told}");
    }
    let _ = shop.refused(1, &["audit", "export", "--until", "1000000"]).tells("the log, which ends at");
}

#[test]
fn what_is_changed_in_the_database_under_a_server_is_found_with_its_position() {
    for (change, position) in [
        ("UPDATE events SET payload = (payload::text || ' ')::json WHERE position = 2", 2),
        ("UPDATE events SET metadata = (metadata::text || ' ')::json WHERE position = 3", 3),
        ("UPDATE events SET salt = set_byte(salt, 3, get_byte(salt, 3) # 1) WHERE position = 2", 2),
        ("UPDATE events SET recorded_at = recorded_at + 1 WHERE position = 2", 2),
        ("UPDATE events SET recorded_at = 5 WHERE position = 3", 3),
        ("DELETE FROM events WHERE position = 3", 3),
        ("DELETE FROM events WHERE position = (SELECT position FROM head)", u64::MAX),
        (
            "UPDATE events SET position = 1000000 WHERE position = 2; UPDATE events SET position = 2 WHERE position = 3; \
             UPDATE events SET position = 3 WHERE position = 1000000",
            2,
        ),
    ] {
        let database = TestDatabase::new();
        let shop = with_a_history(Setup::new().database(database.url()));
        let head = shop.knit(&["audit", "verify"]).json()["position"].as_u64().unwrap();
        let _ = database.run(change);
        let position = if position == u64::MAX { head } else { position };
        let refused = shop.refused(NOT_WHOLE, &["audit", "verify"]);
        let _ = refused.tells(&format!("position {position}: "));
        is_found_by_all(&shop, &exported(&shop, "jsonl"), position);
    }
}

/// Changes a stopped server's SQLite file by hand.
pub(crate) fn by_hand(state_dir: &Path, sql: &str) {
    in_python(
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.executescript(sys.argv[2]); c.commit()",
        &[text(&state_dir.join("knitfab.db")), sql],
    );
}

/// Runs a few lines of Python, which know the functions of the script.
pub(crate) fn in_python(code: &str, words: &[&str]) {
    let mut command = Command::new("python3");
    // Nothing is written into the tree.
    command.arg("-B").arg("-c").arg(code).args(words).env("PYTHONPATH", root().join("schemas"));
    let done = command.output().expect("python3 can be started");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

#[test]
fn what_is_changed_in_the_file_of_a_stopped_server_is_found_with_its_position() {
    for (change, position) in [
        ("UPDATE events SET payload = payload || ' ' WHERE position = 2", 2),
        ("UPDATE events SET metadata = metadata || ' ' WHERE position = 3", 3),
        ("UPDATE events SET payload = CAST(x'7bff7d' AS TEXT) WHERE position = 3", 3),
        ("UPDATE events SET salt = randomblob(16) WHERE position = 2", 2),
        ("UPDATE events SET recorded_at = recorded_at + 1 WHERE position = 2", 2),
        ("DELETE FROM events WHERE position = 3", 3),
        (
            "UPDATE events SET position = 1000000 WHERE position = 2; UPDATE events SET position = 2 WHERE position = 3; \
             UPDATE events SET position = 3 WHERE position = 1000000",
            2,
        ),
    ] {
        let mut shop = with_a_history(Setup::new());
        let _ = shop.server.stop();
        by_hand(shop.server.state_dir(), change);
        // It may not be able to follow such a log, but tells it.
        shop.server.start_listening();
        let refused = shop.refused(NOT_WHOLE, &["audit", "verify"]);
        let _ = refused.tells(&format!("position {position}: "));
    }
}
