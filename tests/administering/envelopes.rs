//! What stays of a redacted event is proved by its redaction (D15): whoever changes it, in the database, in an export or
//! in an archive, is found out, and the position is named.

use std::fs;
use std::path::PathBuf;

use knit_tests::postgres::TestDatabase;
use knit_tests::server::Setup;
use knit_tests::workshop::Workshop;
use serde_json::Value;

use super::redact::{TAG, redact, with_a_secret};
use crate::importing::looking;
use crate::verifying::{NOT_WHOLE, by_hand, exported, in_python, is_found_by_all, text};

/// Every part that stays, but for the id, and how it is changed in the database.
const CHANGES: [&str; 6] = [
    r#"metadata = '{"actor":"mallory"}'"#,
    "aggregate_type = 'plan'",
    "aggregate_id = '7a0f5a52-6c1e-4d0e-9a53-0d1f6f6b7c11'",
    "sequence = 77",
    "event_type = 'DataDiscarded'",
    "event_version = '9'",
];

/// A workshop with redacted events, and the position of the first.
fn with_a_redaction(setup: Setup) -> (Workshop, u64) {
    let (shop, ..) = with_a_secret(setup);
    let told = redact(&shop, &["--tag", TAG]);
    let position = told["events"][0]["position"].as_u64().unwrap();
    let shown = shop.knit(&["audit", "show", "--output", "text", &position.to_string()]).stdout;
    assert!(shown.contains("envelope is as it was then"), "{shown}");
    assert_eq!(shop.knit(&["audit", "verify"]).json()["withoutEnvelope"], 0);
    (shop, position)
}

fn changed(what: &str, position: u64) -> String {
    format!("UPDATE events SET {what} WHERE position = {position};")
}

/// Keeps the row, so that it can be brought back.
fn kept(position: u64) -> String {
    format!("CREATE TABLE kept AS SELECT * FROM events WHERE position = {position};")
}

fn brought_back(position: u64) -> String {
    format!("DELETE FROM events WHERE position = {position}; INSERT INTO events SELECT * FROM kept;")
}

#[test]
fn d15_what_is_changed_of_a_redacted_event_under_a_server_is_found_with_its_position() {
    let database = TestDatabase::new();
    let setup = Setup::new().database(database.url()).option("--archive-segment", "5");
    let (shop, position) = with_a_redaction(setup);
    let there = looking(Setup::new());
    let named = format!("position {position}: ");
    let _ = database.run(&kept(position));
    for change in CHANGES.into_iter().chain(["event_id = gen_random_uuid()"]) {
        let _ = database.run(&changed(change, position));
        let _ = shop.refused(NOT_WHOLE, &["audit", "verify"]).tells(&named).tells("of the redacted event");
        for format in ["jsonl", "proto"] {
            let file = exported(&shop, format);
            is_found_by_all(&shop, &file, position);
            let _ = there.refused(NOT_WHOLE, &["audit", "import", text(&file)]).tells(&named);
        }
        let archive = shop.new_path("archive");
        let _ = shop.refused(NOT_WHOLE, &["admin", "archive", "--to", text(&archive)]).tells(&named);
        let _ = database.run(&brought_back(position));
    }
    let _ = shop.knit(&["audit", "verify"]);
}

#[test]
fn d15_what_is_changed_of_a_redacted_event_in_a_file_is_found_by_the_next_server() {
    let (mut shop, position) = with_a_redaction(Setup::new());
    let state_dir = shop.server.state_dir().to_owned();
    let _ = shop.server.stop();
    by_hand(&state_dir, &kept(position));
    for change in CHANGES.into_iter().chain(["event_id = randomblob(16)"]) {
        by_hand(&state_dir, &changed(change, position));
        shop.server.start_listening();
        let _ = shop.refused(NOT_WHOLE, &["audit", "verify"]).tells(&format!("position {position}: "));
        let _ = shop.server.stop();
        by_hand(&state_dir, &brought_back(position));
    }
    shop.server.start();
    let _ = shop.knit(&["audit", "verify"]);
}

#[test]
fn d15_an_event_that_is_not_as_it_was_recorded_is_not_redacted() {
    let database = TestDatabase::new();
    let (shop, ..) = with_a_secret(Setup::new().database(database.url()));
    let line = ["admin", "redact", "--reason", "a person asked for it", "--tag", TAG];
    let found = shop.knit(&[&line[..], &["--dry-run"]].concat()).json();
    let position = found["events"][0]["position"].as_u64().unwrap();
    let _ = database.run(&changed(CHANGES[0], position));
    let rows = "SELECT count(*), sum(length(payload::text)) FROM events";
    let before = database.run(rows);
    let refused = shop.refused(5, &[&line[..], &["--yes"]].concat());
    let _ = refused.tells(&format!("event at {position} is not as it was recorded")).tells("knit audit verify");
    assert_eq!(database.run(rows), before, "nothing was redacted, and nothing recorded");
    let _ = shop.refused(NOT_WHOLE, &["audit", "verify"]).tells(&format!("position {position}: "));
}

/// An archive of one segment, which holds these lines of an export.
fn archived(shop: &Workshop, lines: &[String]) -> PathBuf {
    let (directory, plain) = (shop.new_path("archive"), shop.new_path("lines"));
    fs::create_dir(&directory).unwrap();
    fs::write(&plain, lines.join("\n") + "\n").unwrap();
    let segment = directory.join(format!("events-{:012}-{:012}.pb.gz", 1, lines.len() - 2));
    in_python(
        "import gzip, sys; gzip.open(sys.argv[2], 'wb').write(open(sys.argv[1], 'rb').read())",
        &[text(&plain), text(&segment)],
    );
    directory
}

#[test]
fn d15_what_is_changed_of_a_redacted_event_in_an_archive_or_an_export_is_found() {
    let (shop, position) = with_a_redaction(Setup::new());
    let export = fs::read_to_string(exported(&shop, "jsonl")).unwrap();
    let lines: Vec<String> = export.lines().map(str::to_owned).collect();
    let _ = shop.knit(&["audit", "verify", text(&archived(&shop, &lines))]);
    let there = looking(Setup::new());
    let changes: [(&str, Value); 7] = [
        ("metadata", r#"{"actor":"mallory"}"#.into()),
        ("eventId", "7a0f5a52-6c1e-4d0e-9a53-0d1f6f6b7c11".into()),
        ("streamType", "plan".into()),
        ("streamId", "7a0f5a52-6c1e-4d0e-9a53-0d1f6f6b7c11".into()),
        ("sequence", 77.into()),
        ("eventType", "DataDiscarded".into()),
        ("eventVersion", "9".into()),
    ];
    for (field, value) in changes {
        let mut lines = lines.clone();
        let line = &mut lines[usize::try_from(position).unwrap()];
        let mut record: Value = serde_json::from_str(line).unwrap();
        record["event"][field] = value;
        *line = record.to_string();
        let directory = archived(&shop, &lines);
        is_found_by_all(&shop, &directory, position);
        let refused = there.refused(NOT_WHOLE, &["audit", "import", text(&directory)]);
        let _ = refused.tells(&format!("position {position}: "));
    }
}
