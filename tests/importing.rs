//! A history is carried to a server that has none: as a whole and unchanged, or not at all.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use knit_tests::http::Client;
use knit_tests::plans::PlanFile;
use knit_tests::postgres::TestDatabase;
use knit_tests::server::Setup;
use knit_tests::wait::wait_until;
use knit_tests::workshop::Workshop;
use serde_json::{Value, json};

use crate::verifying::{NOT_WHOLE, exported, in_python, text, with_a_history};

/// How `knit` ends where the state of things forbids it.
const CONFLICT: i32 = 5;

/// A server that takes an import.
pub(crate) fn looking(setup: Setup) -> Workshop {
    Workshop::with(setup.flag("--look-only"))
}

/// What every projection comes to, with its position.
pub(crate) fn digests(shop: &Workshop) -> Vec<(Value, Value, Value)> {
    let states = shop.knit(&["admin", "projections", "--digest"]).json();
    let states = states.as_array().unwrap().iter();
    states.map(|state| (state["name"].clone(), state["position"].clone(), state["digest"].clone())).collect()
}

fn imported(shop: &Workshop, file: &Path) -> Value {
    shop.knit(&["audit", "import", text(file)]).json()
}

#[track_caller]
fn is_empty(shop: &Workshop) {
    assert_eq!(shop.knit(&["audit", "verify"]).json()["position"], 0);
}

#[test]
fn a_history_is_carried_from_sqlite_to_postgresql_and_back() {
    let home = with_a_history(Setup::new());
    let files = ["jsonl", "proto"].map(|format| exported(&home, format));
    let database = TestDatabase::new();
    let middle = looking(Setup::new().database(database.url()));
    let told = imported(&middle, &files[0]);
    let verified = home.knit(&["audit", "verify"]).json();
    for field in ["events", "position", "chain", "redacted"] {
        assert_eq!(told[field], verified[field], "{field}: {told:#}");
    }
    assert_eq!(told["unfinishedRuns"], 0);
    let back = looking(Setup::new());
    imported(&back, &exported(&middle, "proto"));
    for shop in [&middle, &back] {
        for (file, format) in files.iter().zip(["jsonl", "proto"]) {
            assert_eq!(fs::read(exported(shop, format)).unwrap(), fs::read(file).unwrap(), "byte for byte, {format}");
        }
        assert_eq!(digests(shop), digests(&home));
        let ask = |shop: &Workshop| shop.server.http().get("/api/data").json();
        assert_eq!(ask(shop), ask(&home), "it answers what the other answers");
    }
}

#[test]
fn what_is_not_whole_is_refused_with_its_position_and_the_log_stays_empty() {
    let home = with_a_history(Setup::new());
    let (whole, proto) = (exported(&home, "jsonl"), exported(&home, "proto"));
    let database = TestDatabase::new();
    for shop in [looking(Setup::new()), looking(Setup::new().database(database.url()))] {
        let file = shop.new_path("bad");
        let refused = |bytes: &[u8], code: i32, tells: &str| {
            fs::write(&file, bytes).unwrap();
            let _ = shop.refused(code, &["audit", "import", text(&file)]).tells(tells);
            is_empty(&shop);
        };
        let (jsonl, proto) = (fs::read(&whole).unwrap(), fs::read(&proto).unwrap());
        refused(&jsonl[..jsonl.len() / 2], NOT_WHOLE, "it was cut off");
        refused(&proto[..proto.len() / 2], NOT_WHOLE, "position ");
        refused(&jsonl[..jsonl.len() - 10], NOT_WHOLE, "it was cut off");
        let mut flipped = proto.clone();
        flipped[proto.len() / 2] ^= 4;
        refused(&flipped, NOT_WHOLE, "position ");
        let lines = String::from_utf8(jsonl.clone()).unwrap();
        let changed = lines.replacen("anonymous", "somebody-", 1);
        refused(changed.as_bytes(), NOT_WHOLE, "they do not give the leaf");
        refused(b"hello\n", NOT_WHOLE, "position 0: ");
        let rest = home.server.http().get("/api/events/export?after=2").body;
        refused(&rest, 1, "begins behind position 2");
        refused(&rest, 1, "name what goes before as well");
        let _ = shop.refused(1, &["audit", "import", "/no/such/file"]).tells("cannot read `/no/such/file`");
        imported(&shop, &whole);
        let _ = shop.refused(CONFLICT, &["audit", "import", text(&whole)]).tells("the log is not empty");
        assert_eq!(digests(&shop), digests(&home));
    }
}

/// The last event is one that only a newer program has: its version is another, and its hashes are computed anew.
const OF_A_NEWER_PROGRAM: &str = r#"
import json, sys
from verify_export import json_records, leaf_of, link
records = list(json_records(open(sys.argv[1], "rb").read()))
*_, before, (_, last), (_, end) = records
last["eventVersion"] = b"99"
last["leaf"] = leaf_of(last)
last["chain"] = end["chain"] = link(before[1]["chain"], last)
binary = ("salt", "leaf", "chain")
def told(name, value):
    if name == "eventId":
        import uuid
        return str(uuid.UUID(bytes=value))
    if isinstance(value, bytes):
        return value.hex() if name in binary else value.decode()
    return value
with open(sys.argv[2], "w") as out:
    for kind, fields in records:
        out.write(json.dumps({kind: {name: told(name, value) for name, value in fields.items()}}) + "\n")
"#;

#[test]
fn an_event_of_a_newer_program_is_refused_by_its_name_before_anything_is_there() {
    let home = with_a_history(Setup::new());
    let shop = looking(Setup::new());
    let newer = shop.new_path("newer");
    in_python(OF_A_NEWER_PROGRAM, &[text(&exported(&home, "jsonl")), text(&newer)]);
    let whole = home.knit(&["audit", "verify", text(&newer)]).json();
    let refused = shop.refused(1, &["audit", "import", text(&newer)]);
    let _ = refused.tells("`DataTagsChanged` of version `99`").tells(&format!("event {}", whole["position"]));
    is_empty(&shop);
}

#[test]
fn one_who_goes_away_in_the_midst_leaves_the_log_empty() {
    let home = with_a_history(Setup::new());
    let whole = exported(&home, "jsonl");
    let bytes = fs::read(&whole).unwrap();
    let database = TestDatabase::new();
    for shop in [looking(Setup::new()), looking(Setup::new().database(database.url()))] {
        let mut stream = UnixStream::connect(shop.server.state_dir().join("admin.sock")).unwrap();
        let half = &bytes[..bytes.len() / 2];
        let head = "POST /admin/import HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
        write!(stream, "{head}{:x}\r\n", half.len()).unwrap();
        stream.write_all(half).unwrap();
        stream.flush().unwrap();
        drop(stream);
        is_empty(&shop);
        wait_until("the log to be let go of", || shop.user().run(["audit", "import", text(&whole)]).code == 0);
        assert_eq!(digests(&shop), digests(&home));
    }
}

#[test]
fn a_history_comes_through_a_pipe() {
    let home = with_a_history(Setup::new());
    let shop = looking(Setup::new());
    let knit = knit_tests::program::path("knit");
    let line = format!("{0} audit import - < {1}", knit.display(), exported(&home, "proto").display());
    let mut command = Command::new("sh");
    command.args(["-c", &line]).env("KNITD_STATE_DIR", shop.server.state_dir());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(digests(&shop), digests(&home));
}

#[test]
fn the_kept_ends_of_logs_stay_where_they_are_and_that_is_said() {
    let home = Workshop::open();
    let plan = PlanFile::shell("echo said; exit 3").input("/in", &["a:b"]).output("/out", &["is:out"]);
    let plan = home.apply(&plan.log(&["is:log"]));
    home.push(&[("it", "x")], &["a:b"]);
    let run = home.the_run_of(&plan);
    let _ = home.reaches(&run, "failed");
    let _ = home.knit(&["run", "retry", &run]);
    wait_until("it to fail again", || {
        let attempts = home.server.http().get(&format!("/api/runs/{run}/attempts")).json();
        attempts.as_array().map(Vec::len) == Some(2) && attempts[1]["status"] == "failed"
    });
    // That their volumes are gone is a part of the history, and comes when it comes.
    wait_until("what the first attempt had made to be destroyed", || {
        home.knit(&["events", "--type", "VolumeReclaimed"]).stdout.lines().count() == 2
    });
    let words = ["run", "show", "--log", "--attempt", "1", &run];
    let _ = home.knit(&words).prints("said");
    let database = TestDatabase::new();
    let there = looking(Setup::new().database(database.url()));
    imported(&there, &exported(&home, "proto"));
    assert_eq!(digests(&there), digests(&home), "they are no part of the history");
    let goes_on = Workshop::with(Setup::new().database(database.url()));
    let _ = goes_on.refused(4, &words).tells("has stayed where the history was imported from");
}

fn is_refused(http: Client, method: &str, target: &str, body: Option<&Value>) {
    let answer = http.try_json(method, target, body).unwrap();
    assert!(answer.status >= 400, "{method} {target}: {} {}", answer.status, answer.text());
}

#[test]
fn a_server_that_only_looks_changes_nothing() {
    let home = with_a_history(Setup::new());
    let data = home.knit(&["data", "find"]).json()[0]["knitId"].as_str().unwrap().to_owned();
    let shop = looking(Setup::new());
    is_empty(&shop);
    let plan = PlanFile::shell("true").input("/in", &["a:b"]).output("/out", &["is:out"]).json();
    is_refused(shop.server.http(), "POST", "/api/plans", Some(&plan));
    imported(&shop, &exported(&home, "proto"));
    let before = digests(&shop);
    let tags = json!({"add": ["x:y"], "remove": []});
    let refused = shop.refused(CONFLICT, &["data", "tag", "--add", "x:y", &data]);
    let _ = refused.tells("--look-only");
    let words = ["admin", "redact", "--yes", "--tag", "c:d 'e' \u{65e5}", "--reason", "asked for"];
    let _ = shop.refused(CONFLICT, &words).tells("--look-only");
    is_refused(shop.server.http(), "PUT", &format!("/api/data/{data}"), Some(&tags));
    is_refused(shop.server.http(), "GET", &format!("/api/data/{data}"), None);
    is_refused(shop.server.http(), "POST", "/api/plans", Some(&plan));
    assert_eq!(digests(&shop), before);
    assert_eq!(shop.server.http().get("/readyz").status, 200);
}

/// Copies what an export does not carry.
fn carry_volumes(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").arg(from.join("volumes")).arg(to).status().unwrap();
    assert!(copied.success());
}

#[test]
fn an_imported_history_goes_on_where_its_volumes_are_once_a_server_is_told_to() {
    let home = Workshop::open();
    let data = home.push(&[("it", "x")], &["a:b"]);
    let plan = home.apply(&PlanFile::shell("cat /in/it > /out/it").input("/in", &["a:b"]).output("/out", &["is:out"]));
    let run = home.the_run_of(&plan);
    let _ = home.reaches(&run, "done");
    // One that is due and waits: its Plan is switched off.
    let held = PlanFile::shell("cat /in/it > /out/held").input("/in", &["a:b"]).output("/out", &["is:held"]);
    let held = home.apply(&held.with("active", json!(false)));
    let waiting = home.the_run_of(&held);
    let file = exported(&home, "proto");

    let mut shop = looking(Setup::new());
    let told = imported(&shop, &file);
    assert_eq!(told["unfinishedRuns"], 1, "{told:#}");
    assert_eq!(shop.run(&run)["status"], "done");
    let position = digests(&shop);
    let state_dir: PathBuf = shop.server.state_dir().to_owned();
    let _ = shop.server.stop();
    let _ = fs::remove_dir_all(state_dir.join("volumes"));
    carry_volumes(home.server.state_dir(), &state_dir);

    let going_on = Workshop::with(Setup::new().on(&state_dir));
    assert_eq!(digests(&going_on), position, "nothing has happened by itself: all that was due is held");
    assert_eq!(fs::read_to_string(going_on.pull(&data).join("it")).unwrap(), "x");
    let _ = going_on.knit(&["plan", "active", "yes", &held]);
    let _ = going_on.reaches(&waiting, "done");
    let fresh = going_on.push(&[("it", "y")], &["a:b"]);
    wait_until("a new Data to set off Runs as ever", || going_on.runs_of(&plan).len() == 2);
    assert_ne!(fresh, data);
}

#[test]
fn nothing_is_imported_by_a_server_that_has_a_log_of_its_own() {
    let home = with_a_history(Setup::new());
    let shop = Workshop::open();
    let before = digests(&shop);
    let refused = shop.refused(CONFLICT, &["audit", "import", text(&exported(&home, "jsonl"))]);
    let _ = refused.tells("the log is not empty").tells("--look-only");
    assert_eq!(digests(&shop), before);
    // Whoever sends more than anybody reads is told all the same.
    let mut stream = UnixStream::connect(shop.server.state_dir().join("admin.sock")).unwrap();
    write!(stream, "POST /admin/import HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000000\r\n\r\n").unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 409");
}

#[test]
fn what_is_imported_is_folded_once_though_something_in_it_was_redacted() {
    let home = with_a_history(Setup::new());
    let data = home.knit(&["data", "find"]).json()[0]["knitId"].as_str().unwrap().to_owned();
    let _ = home.knit(&["data", "tag", "--add", "owner:alice", &data]);
    let _ = home.knit(&["admin", "redact", "--yes", "--tag", "owner:alice", "--reason", "asked for"]);
    let again = "what was redacted is out of the projections";
    wait_until("whoever had folded it to have folded all again", || home.server.log().contains(again));
    let file = exported(&home, "proto");
    let database = TestDatabase::new();
    for shop in [looking(Setup::new()), looking(Setup::new().database(database.url()))] {
        imported(&shop, &file);
        assert_eq!(digests(&shop), digests(&home));
        assert!(!shop.server.log().contains(again), "{}", shop.server.log());
    }
}
