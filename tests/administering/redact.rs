//! Something is taken out of the history for ever, and everybody can still prove that nothing else was (D15).

use std::fs::{self, File};
use std::process::{Command, Stdio};
use std::thread;

use knit_tests::http::Client;
use knit_tests::plans::PlanFile;
use knit_tests::postgres::TestDatabase;
use knit_tests::program;
use knit_tests::server::Setup;
use knit_tests::wait::wait_until;
use knit_tests::workshop::Workshop;
use serde_json::{Value, json};

use crate::importing::digests;
use crate::verifying::{NOT_WHOLE, by_the_script, exported, text};

/// What is to be forgotten; nothing else has these letters.
const SECRET: &str = "AliceSecretovna";
pub(crate) const TAG: &str = "owner:AliceSecretovna";
const REASON: &str = "a person asked for it";

/// Redacts it with `words`; answers what `knit` tells.
pub(crate) fn redact(shop: &Workshop, words: &[&str]) -> Value {
    let line = [&["admin", "redact", "--yes", "--reason", REASON], words].concat();
    shop.knit(&line).json()
}

#[track_caller]
fn refused(shop: &Workshop, code: i32, words: &[&str], why: &str) {
    let line = [&["admin", "redact", "--yes", "--reason", REASON], words].concat();
    let _ = shop.refused(code, &line).tells(why);
}

/// The position of the last event.
fn head(shop: &Workshop) -> u64 {
    shop.knit(&["admin", "log", "stats"]).json()["events"].as_u64().unwrap()
}

fn get(http: Client, target: &str) -> String {
    let answer = http.get(target);
    assert_eq!(answer.status, 200, "{target}: {}", answer.text());
    answer.text()
}

/// Nothing that can be asked says it, of now or of any time.
#[track_caller]
fn nobody_is_told(http: Client, data: &str, past: u64) {
    for target in [
        "/api/data".to_owned(),
        "/api/plans".to_owned(),
        format!("/api/data?as-of={past}"),
        format!("/api/plans?as-of={past}"),
        format!("/api/data/{data}/lineage"),
        format!("/api/data/{data}/lineage?as-of={past}"),
        "/api/events".to_owned(),
        "/api/events/export?format=jsonl".to_owned(),
        "/api/tags?prefix=owner".to_owned(),
    ] {
        let told = get(http, &target);
        assert!(!told.contains(SECRET), "{target}: {told}");
    }
    let found = get(http, &format!("/api/data?tag=owner%3A{SECRET}&as-of={past}"));
    assert_eq!(found.trim(), "[]");
}

/// A Data that carries it, a Plan that asks for it, and the Run of both.
pub(crate) fn with_a_secret(setup: Setup) -> (Workshop, String, String) {
    let shop = Workshop::with(setup);
    let plan = PlanFile::shell("cat /in/it > /out/it").input("/in", &[TAG]).output("/out", &["is:made"]);
    let plan = shop.apply(&plan);
    let data = shop.push(&[("it", "x")], &[TAG, "kind:corpus"]);
    wait_until("the Run to be done", || {
        let runs = shop.server.http().get(&format!("/api/runs?plan={plan}&status=done")).json();
        runs.as_array().is_some_and(|runs| runs.len() == 1)
    });
    let _ = shop.knit(&["admin", "snapshot"]);
    (shop, data, plan)
}

fn a_tag_is_taken_out(setup: Setup, mut is_gone_from_the_database: impl FnMut(&Workshop)) {
    let (mut shop, data, plan) = with_a_secret(setup);
    let before = head(&shop);
    let found = shop.knit(&["admin", "redact", "--tag", TAG, "--reason", REASON, "--dry-run"]).json();
    let positions: Vec<u64> =
        found["events"].as_array().unwrap().iter().map(|event| event["position"].as_u64().unwrap()).collect();
    assert!(positions.len() >= 3 && found["what"] == format!("the tag {TAG}"), "{found:#}");
    assert_eq!(head(&shop), before, "nothing was done");

    let told = redact(&shop, &["--tag", TAG]);
    assert_eq!((&told["events"], &told["forgotten"]), (&found["events"], &json!(true)), "{told:#}");
    assert_eq!(told["recordedAt"], before + positions.len() as u64);
    let word = told["word"].as_str().unwrap();
    is_gone_from_the_database(&shop);
    nobody_is_told(shop.server.http(), &data, before);

    // What it led to is still led to by it, under another word, and nothing else has become due.
    let tags = shop.data(&data).unwrap()["tags"].clone();
    assert!(tags.as_array().unwrap().contains(&json!(format!("owner:{word}"))), "{tags}");
    let runs = shop.server.http().get(&format!("/api/runs?plan={plan}")).json();
    assert_eq!(runs.as_array().unwrap().len(), 1, "{runs:#}");
    let verified = shop.knit(&["audit", "verify"]).json();
    assert_eq!(verified["redacted"], positions.len(), "{verified:#}");
    for format in ["jsonl", "proto"] {
        let file = exported(&shop, format);
        let _ = shop.knit(&["audit", "verify", text(&file)]);
        let script = by_the_script(&[&file]);
        assert!(script.status.success(), "{script:?}");
    }
    let shown = shop.knit(&["audit", "show", &positions[0].to_string(), "--output", "text"]).stdout;
    assert!(shown.contains("redacted it") && shown.contains(word), "{shown}");
    refused(&shop, 4, &["--tag", TAG], "nothing in the history says it");

    // Live is what is folded again, also by whoever starts anew, from the log alone and from a new snapshot.
    let live = digests(&shop);
    let _ = shop.knit(&["admin", "rebuild-projection", "--verify-only", "all"]);
    shop.server.kill();
    shop.server.start();
    assert_eq!(digests(&shop), live);
    let _ = shop.knit(&["admin", "snapshot"]);
    shop.server.kill();
    shop.server.start();
    assert_eq!(digests(&shop), live);
    assert!(shop.server.log().contains("restored from a snapshot"));
    nobody_is_told(shop.server.http(), &data, before);
    is_gone_from_the_database(&shop);
}

#[test]
fn d15_a_tag_is_taken_out_and_no_byte_of_it_is_left_in_the_file() {
    a_tag_is_taken_out(Setup::new(), |shop| {
        let files = fs::read_dir(shop.server.state_dir()).unwrap().flatten();
        for file in files.filter(|file| file.file_name().to_string_lossy().starts_with("knitfab.db")) {
            let bytes = fs::read(file.path()).unwrap();
            let is_there = bytes.windows(SECRET.len()).any(|bytes| bytes == SECRET.as_bytes());
            assert!(!is_there, "{} still has it", file.path().display());
        }
    });
}

#[test]
fn d15_a_tag_is_taken_out_of_postgresql() {
    let database = TestDatabase::new();
    a_tag_is_taken_out(Setup::new().database(database.url()), |_| {
        let saying = format!("SELECT count(*) FROM events WHERE payload::text || metadata::text LIKE '%{SECRET}%'");
        assert_eq!(database.run(&saying), "0");
    });
    let another = TestDatabase::new();
    let (shop, ..) = with_a_secret(Setup::new().database(another.url()));
    assert_eq!(redact(&shop, &["--tag", TAG])["overwritten"], false, "that is the administrator's");
}

#[test]
fn d15_no_snapshot_of_before_is_left() {
    let database = TestDatabase::new();
    let (shop, ..) = with_a_secret(Setup::new().database(database.url()));
    let before = head(&shop);
    assert_ne!(database.run("SELECT count(*) FROM log_snapshots"), "0");
    redact(&shop, &["--tag", TAG]);
    assert_eq!(database.run(&format!("SELECT count(*) FROM log_snapshots WHERE position <= {before}")), "0");
}

#[test]
fn d15_another_server_forgets_as_well() {
    let database = TestDatabase::new();
    let (shop, data, _) = with_a_secret(Setup::new().database(database.url()));
    let other = Setup::new().database(database.url()).option("--role", "api").start();
    assert!(get(other.http(), "/api/data").contains(SECRET));
    let before = head(&shop);
    redact(&shop, &["--tag", TAG]);
    wait_until("the other server to forget it", || !get(other.http(), "/api/data").contains(SECRET));
    nobody_is_told(other.http(), &data, before);
    let told = other.knit().run(["admin", "projections", "--digest"]).ok().json();
    assert_eq!(told[0]["digest"], digests(&shop)[0].2);
}

#[test]
fn d15_a_forged_redaction_is_caught_with_its_position() {
    for (change, position) in [
        // Nobody says so.
        ("UPDATE events SET payload = '{}', salt = '' WHERE position = 1", Some(1)),
        // What remains of an event is another thing than was recorded.
        (
            "UPDATE events SET payload = replace(payload::text, 'kind', 'mind')::json \
             WHERE position = (SELECT min(position) FROM events WHERE event_type = 'EventRedacted' \
             AND payload::text LIKE '%kind%')",
            None,
        ),
    ] {
        let database = TestDatabase::new();
        let (shop, ..) = with_a_secret(Setup::new().database(database.url()));
        redact(&shop, &["--tag", TAG]);
        let tampered =
            "SELECT min(position) FROM events WHERE event_type = 'EventRedacted' AND payload::text LIKE '%kind%'";
        let position = position.unwrap_or_else(|| database.run(tampered).parse().unwrap());
        let _ = database.run(change);
        let _ = shop.refused(NOT_WHOLE, &["audit", "verify"]).tells(&format!("position {position}: "));
        let script = by_the_script(&[&exported(&shop, "jsonl")]);
        let told = String::from_utf8_lossy(&script.stderr).into_owned();
        assert!(!script.status.success() && told.starts_with(&format!("position {position}: ")), "{told}");
    }
}

#[test]
fn d15_an_annotation_and_an_argument_are_taken_out() {
    let shop = Workshop::open();
    let note = format!("contact={SECRET}");
    let plan = PlanFile::shell("true").with("args", json!(["true", SECRET])).input("/in", &["a:b"]);
    let plan = plan.output("/out", &["is:made"]).with("annotations", json!([note]));
    let plan = shop.apply(&plan);
    let shown = || get(shop.server.http(), &format!("/api/plans/{plan}"));
    let told = redact(&shop, &["--annotation", &note]);
    assert!(shown().contains(&format!("contact={}", told["word"].as_str().unwrap())), "{}", shown());
    refused(&shop, 5, &["--argument", SECRET], "deactivate it first");
    let _ = shop.knit(&["plan", "active", "no", &plan]);
    let told = redact(&shop, &["--argument", SECRET]);
    assert!(!shown().contains(SECRET) && shown().contains(told["word"].as_str().unwrap()), "{}", shown());
    let _ = shop.knit(&["audit", "verify"]);
}

#[test]
fn d15_what_an_event_says_is_taken_out_by_its_position() {
    let shop = Workshop::open();
    let data = shop.push(&[("it", "x")], &["kind:corpus", "a:b"]);
    let _ = shop.knit(&["data", "tag", "--add", TAG, &data]);
    let tagged = head(&shop);
    refused(&shop, 5, &["1"], "says nothing that could be redacted");
    let found = shop.knit(&["admin", "redact", "--reason", REASON, "--dry-run", &tagged.to_string()]).json();
    assert_eq!((&found["what"], &found["events"][0]["position"]), (&json!(format!("the tag {TAG}")), &json!(tagged)));
    redact(&shop, &[&tagged.to_string()]);
    nobody_is_told(shop.server.http(), &data, tagged);
    let _ = shop.knit(&["data", "tag", "--add", "x:y", "--add", "z:w", &data]);
    refused(&shop, 5, &[&head(&shop).to_string()], "the tag x:y, the tag z:w");
}

#[test]
fn d15_what_may_not_be_redacted_is_refused_by_the_rule() {
    let shop = Workshop::open();
    let data = shop.push(&[("it", "x")], &[TAG]);
    let before = head(&shop);
    refused(&shop, 1, &["--tag", &format!("knit#id:{data}")], "key of the system");
    refused(&shop, 4, &["--tag", "owner:nobody"], "nothing in the history says it");
    refused(&shop, 4, &["1000000"], "there is no event at 1000000");
    let line = ["admin", "redact", "--yes", "--tag", TAG, "--reason"];
    let _ = shop.refused(1, &[&line[..], &[" "]].concat()).tells("a redaction needs a reason");
    let _ = shop.refused(1, &[&line[..], &[&format!("{SECRET} asked")]].concat()).tells("word it otherwise");
    let _ = shop.refused(2, &["admin", "redact", "--tag", TAG, "--reason", REASON]).tells("--yes");
    let _ = shop.refused(2, &["admin", "redact", "--reason", REASON]);
    assert_eq!(head(&shop), before, "nothing has changed");
}

/// Starts `knit` on a terminal, types `keys` and answers all that is then to be seen.
fn typed(shop: &Workshop, line: &str, keys: &str) -> String {
    let (file, line) = (shop.new_path("keys"), format!("{} {line}", program::path("knit").display()));
    fs::write(&file, keys).unwrap();
    let mut command = Command::new("script");
    command.args(["-qec", &line, "/dev/null"]).stdin(File::open(&file).unwrap()).stderr(Stdio::inherit());
    command.env("KNITD_STATE_DIR", shop.server.state_dir());
    String::from_utf8_lossy(&command.output().unwrap().stdout).into_owned()
}

#[test]
fn d15_on_a_terminal_it_is_asked_whether_that_is_meant() {
    let shop = Workshop::open();
    shop.push(&[("it", "x")], &[TAG]);
    let before = head(&shop);
    let line = format!("admin redact --tag {TAG} --reason '{REASON}'");
    let seen = typed(&shop, &line, "n\n");
    assert!(seen.contains("This cannot be undone") && seen.contains("nothing is redacted"), "{seen}");
    assert!(!seen.contains("--help"), "it was no slip: {seen}");
    assert_eq!(head(&shop), before);
    let seen = typed(&shop, &line, "y\n");
    assert!(seen.contains("DataTagsChanged") && seen.contains("redacted, up to event"), "{seen}");
    assert!(head(&shop) > before);
}

#[test]
fn d15_the_text_of_a_log_is_destroyed_and_its_hash_stays() {
    let shop = Workshop::open();
    let plan = PlanFile::shell(&format!("echo {}; exit 3", SECRET.to_lowercase())).output("/out", &["is:made"]);
    let plan = shop.apply(&plan.input("/in", &["a:b"]).log(&["is:log"]));
    shop.push(&[("it", "x")], &["a:b"]);
    let failed = |attempts: usize| {
        let runs = shop.server.http().get(&format!("/api/runs?plan={plan}&status=failed")).json();
        let run = runs[0]["runId"].as_str().map(str::to_owned)?;
        let told = shop.server.http().get(&format!("/api/runs/{run}/attempts")).json();
        (told.as_array().map(Vec::len) == Some(attempts)).then_some(run)
    };
    let run = knit_tests::wait::wait_for("the Run to fail", || failed(1));
    let _ = shop.knit(&["run", "retry", &run]);
    let run = knit_tests::wait::wait_for("it to fail again", || failed(2));
    let log = shop.run(&run)["log"]["knitId"].as_str().unwrap().to_owned();
    let _ = shop.knit(&["run", "show", "--log", &run]).prints(&SECRET.to_lowercase());
    let told = redact(&shop, &["--run", &run, "--log"]);
    assert_eq!((&told["forgotten"], &told["overwritten"]), (&json!(true), &json!(true)), "{told:#}");
    let refused = shop.refused(4, &["run", "show", "--log", &run]).tells("was redacted by").tells(REASON);
    assert!(!refused.stderr.contains(&SECRET.to_lowercase()), "{}", refused.stderr);
    let _ = shop.refused(4, &["run", "show", "--log", "--attempt", "1", &run]).tells("was removed");
    let kept = shop.server.keeps();
    assert!(!kept.iter().any(|path| path.contains(&log)), "{kept:#?}");
    let _ = shop.refused(4, &["data", "show", &log]).tells("when it was redacted");
    let ends = shop.knit(&["events", "--type", "RunFailed", "--output", "json"]).stdout;
    assert_eq!(ends.lines().filter(|line| line.contains("log_sha256")).count(), 2, "{ends}");
    let _ = shop.knit(&["audit", "verify"]);
    let _ = shop.knit(&["admin", "rebuild-projection", "--verify-only", "all"]);
    // The Run is as it was, and can be run again and removed.
    let _ = shop.knit(&["run", "retry", &run]);
    let run = knit_tests::wait::wait_for("it to fail once more", || failed(3));
    let _ = shop.knit(&["run", "show", "--log", &run]).prints(&SECRET.to_lowercase());
    redact(&shop, &["--run", &run, "--log"]);
    let _ = shop.knit(&["run", "rm", &run]);
    let _ = shop.knit(&["admin", "rebuild-projection", "--verify-only", "all"]);
}

#[test]
fn d15_a_log_that_may_still_grow_is_not_redacted() {
    let shop = Workshop::open();
    let data = shop.push(&[("it", "x")], &["a:b"]);
    let upload = shop.data(&data).unwrap()["upstream"]["run"]["runId"].as_str().unwrap().to_owned();
    refused(&shop, 4, &["--run", &upload, "--log"], "keeps no log");
    refused(&shop, 4, &["--run", "3b2e9d74-5b70-4eac-9f49-2c6d7e8f90a3", "--log"], "");
    let plan = PlanFile::shell("sleep 600").input("/in", &["a:b"]).output("/out", &["is:made"]).log(&["is:log"]);
    let plan = shop.apply(&plan);
    let run = knit_tests::wait::wait_for("the Run to run", || {
        let runs = shop.server.http().get(&format!("/api/runs?plan={plan}&status=running")).json();
        runs[0]["runId"].as_str().map(str::to_owned)
    });
    refused(&shop, 5, &["--run", &run, "--log"], "has not ended");
    let _ = shop.knit(&["run", "stop", "--fail", &run]);
}

#[test]
fn d15_a_rebuild_that_began_before_does_not_bring_it_back() {
    let mut server = Setup::new().placed();
    // Whoever rebuilds waits until what was redacted is out of the projections.
    assert!(server.start_doomed("rebuild.folded>forgetting.switched,stop.log-closed"));
    let http = server.http();
    let plan = PlanFile::shell("true").input("/in", &[TAG]).output("/out", &["is:made"]).with("active", json!(false));
    assert_eq!(http.send_json("POST", "/api/plans", &plan.json()).status, 200);
    let knit = server.knit();
    thread::scope(|scope| {
        let rebuild = scope.spawn(|| knit.run(["admin", "rebuild-projection", "--replace", "--keep-old", "store"]));
        wait_until("the rebuild to be held", || server.was_held());
        let _ = knit.run(["admin", "redact", "--yes", "--tag", TAG, "--reason", REASON]).ok();
        let _ = rebuild.join().unwrap().ended(1).tells("something was redacted meanwhile");
    });
    assert!(!get(http, "/api/plans").contains(SECRET));
    let _ = knit.run(["admin", "rebuild-projection", "--verify-only", "all"]).ok();
}

#[test]
fn d15_what_a_rebuild_has_kept_goes_as_well() {
    let shop = Workshop::open();
    let data = shop.push(&[("it", "x")], &[TAG]);
    let _ = shop.knit(&["admin", "rebuild-projection", "--keep-old", "store"]);
    redact(&shop, &["--tag", TAG]);
    let _ = shop.refused(5, &["admin", "rollback", "store"]).tells("nothing is kept");
    nobody_is_told(shop.server.http(), &data, head(&shop) - 1);
}

#[test]
fn d15_others_are_served_meanwhile() {
    let shop = Workshop::open();
    let data = shop.push(&[("it", "x")], &[TAG]);
    let http = shop.server.http();
    for n in 0..50 {
        let answer = http.send_json("PUT", &format!("/api/data/{data}"), &json!({"add": [format!("n:{n}")]}));
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    let watcher = shop.user().start(["events", "--follow", "--type", "DataTagsChanged", "--type", "EventRedacted"]);
    watcher.shows(SECRET);
    let (redacting, user) = (std::sync::atomic::AtomicBool::new(true), shop.user());
    thread::scope(|scope| {
        let asking = scope.spawn(|| {
            while redacting.load(std::sync::atomic::Ordering::Relaxed) {
                assert_eq!((http.get("/readyz").status, http.get("/api/data").status), (200, 200));
                let answer = http.send_json("PUT", &format!("/api/data/{data}"), &json!({"add": ["m:n"]}));
                assert_eq!(answer.status, 200, "{}", answer.text());
            }
        });
        let told = user.run(["admin", "redact", "--yes", "--tag", TAG, "--reason", REASON]);
        redacting.store(false, std::sync::atomic::Ordering::Relaxed);
        asking.join().unwrap();
        assert_eq!(told.ok().json()["forgotten"], true);
    });
    // Whoever watches has been told before, and is told of the redaction; whoever begins now is told what remains.
    watcher.shows("EventRedacted");
    let late = shop.knit(&["events", "--output", "json"]).stdout;
    assert!(late.contains("EventRedacted") && !late.contains(SECRET), "{late}");
    nobody_is_told(http, &data, 5);
}
