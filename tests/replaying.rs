//! A history is folded again, up to any place, and comes to what the server shows there.

use std::fs;
use std::process::Command;

use knit_tests::postgres::TestDatabase;
use knit_tests::server::Setup;
use knit_tests::workshop::Workshop;
use serde_json::Value;

use crate::importing::{digests, looking};
use crate::verifying::{NOT_WHOLE, exported, text, with_a_history};

/// Name, position and digest of each projection that was replayed.
pub(crate) fn replayed(told: &Value) -> Vec<(Value, Value, Value)> {
    let all = told["projections"].as_array().unwrap_or_else(|| panic!("projections: {told:#}")).iter();
    all.map(|one| (one["name"].clone(), one["position"].clone(), one["digest"].clone())).collect()
}

#[test]
fn a_replay_comes_to_what_the_live_projections_come_to() {
    let database = TestDatabase::new();
    for setup in [Setup::new(), Setup::new().database(database.url())] {
        let shop = with_a_history(setup);
        let told = shop.knit(&["audit", "replay"]).json();
        assert_eq!(replayed(&told), digests(&shop));
        let verified = shop.knit(&["audit", "verify"]).json();
        assert_eq!((&told["position"], &told["chain"]), (&verified["position"], &verified["chain"]));
        for format in ["jsonl", "proto"] {
            let of_file = shop.knit(&["audit", "replay", text(&exported(&shop, format))]).json();
            assert_eq!((replayed(&of_file), &of_file["chain"]), (digests(&shop), &told["chain"]), "{format}");
        }
        assert_eq!(replayed(&told), digests(&shop), "nothing was changed by it");
    }
}

#[test]
fn a_replay_up_to_a_position_comes_to_what_was_live_there() {
    let shop = with_a_history(Setup::new());
    let whole = exported(&shop, "jsonl");
    let head = shop.knit(&["audit", "verify"]).json()["position"].as_u64().unwrap();
    for position in [0, 1, head - 1, head] {
        let until = position.to_string();
        let part = shop.new_path("part");
        let _ = shop.knit(&["audit", "export", "--until", &until, "-o", text(&part)]);
        let there = looking(Setup::new());
        let _ = there.knit(&["audit", "import", text(&part)]);
        let live = digests(&there);
        for words in
            [&["audit", "replay", "--until", &until][..], &["audit", "replay", "--until", &until, text(&whole)]]
        {
            let told = shop.knit(words).json();
            assert_eq!(replayed(&told), live, "up to {position}");
            assert_eq!(told["position"], position);
        }
    }
    let beyond = (head + 1).to_string();
    let _ = shop.refused(1, &["audit", "replay", "--until", &beyond]).tells("the log ends at position");
    let _ = shop.refused(1, &["audit", "replay", "--until", &beyond, text(&whole)]).tells("ends at position");
}

#[test]
fn a_replay_up_to_a_time_ends_with_what_was_recorded_then() {
    let shop = with_a_history(Setup::new());
    let at = shop.knit(&["audit", "show", "3"]).json()["event"]["recordedAt"].as_str().unwrap().to_owned();
    let there = shop.knit(&["audit", "replay", "--until", &at]).json();
    let position = there["position"].as_u64().unwrap();
    assert!(position >= 3, "{there:#}");
    let of_file = shop.knit(&["audit", "replay", "--until", &at, text(&exported(&shop, "proto"))]).json();
    assert_eq!((replayed(&of_file), &of_file["position"]), (replayed(&there), &there["position"]));
    let before = shop.knit(&["audit", "replay", "--until", "1d ago"]).json();
    assert_eq!(before["position"], 0);
}

#[test]
fn what_is_not_whole_is_not_replayed() {
    let shop = with_a_history(Setup::new());
    let whole = fs::read(exported(&shop, "jsonl")).unwrap();
    let file = shop.new_path("bad");
    fs::write(&file, &whole[..whole.len() / 2]).unwrap();
    let _ = shop.refused(NOT_WHOLE, &["audit", "replay", text(&file)]).tells("it was cut off");
    fs::write(&file, String::from_utf8(whole).unwrap().replacen("anonymous", "somebody-", 1)).unwrap();
    // What is wrong behind the end of the replay is found as well.
    let _ = shop.refused(NOT_WHOLE, &["audit", "replay", "--until", "1", text(&file)]).tells("position ");
    assert_eq!(Workshop::open().knit(&["audit", "replay", "--until", "0"]).json()["position"], 0);
}

/// A history in which something is said before and behind what is redacted, and its Data.
fn with_a_redaction(setup: Setup) -> Workshop {
    let shop = with_a_history(setup);
    let data = shop.knit(&["data", "find", "--output", "json"]).json()[0]["knitId"].as_str().unwrap().to_owned();
    let _ = shop.knit(&["data", "tag", "--add", "owner:alice", "--add", "place:home", &data]);
    for tag in ["owner:alice", "place:home"] {
        let _ = shop.knit(&["admin", "redact", "--yes", "--tag", tag, "--reason", "asked for"]);
    }
    let _ = shop.knit(&["data", "tag", "--add", "behind:it", &data]);
    shop
}

#[test]
fn d15_a_redacted_history_is_replayed_by_a_server_and_from_a_file() {
    let database = TestDatabase::new();
    let another = TestDatabase::new();
    let middle = Setup::new().database(another.url());
    for (home, elsewhere) in [(Setup::new(), Setup::new().database(database.url())), (middle, Setup::new())] {
        let (shop, there) = (with_a_redaction(home), looking(elsewhere));
        for format in ["proto", "jsonl"] {
            let file = exported(&shop, format);
            assert_eq!(replayed(&shop.knit(&["audit", "replay", text(&file)]).json()), digests(&shop), "{format}");
        }
        let file = exported(&shop, "proto");
        let _ = there.knit(&["audit", "import", text(&file)]);
        assert_eq!(digests(&there), digests(&shop));
        assert_eq!(replayed(&there.knit(&["audit", "replay"]).json()), digests(&shop));
        assert_eq!(there.knit(&["data", "find", "-t", "owner:alice"]).json(), serde_json::json!([]));
    }
}

#[test]
fn d15_a_part_of_a_redacted_history_is_replayed_from_a_file_as_from_the_log() {
    let shop = with_a_redaction(Setup::new());
    let file = exported(&shop, "jsonl");
    let head = shop.knit(&["audit", "verify"]).json()["position"].as_u64().unwrap();
    for position in [1, head - 8, head - 4, head - 1] {
        let until = position.to_string();
        let of_file = shop.knit(&["audit", "replay", "--until", &until, text(&file)]).json();
        let of_log = shop.knit(&["audit", "replay", "--until", &until]).json();
        assert_eq!(replayed(&of_file), replayed(&of_log), "up to {position}");
    }
}

#[test]
fn d15_what_cannot_be_read_twice_or_does_not_say_what_remains_is_not_replayed() {
    let shop = with_a_redaction(Setup::new());
    let file = exported(&shop, "proto");
    let knit = knit_tests::program::path("knit");
    let line = format!("{0} audit replay - < {1}", knit.display(), file.display());
    let through_a_pipe =
        Command::new("sh").args(["-c", &line]).env("KNITD_STATE_DIR", shop.server.state_dir()).output();
    let refused = through_a_pipe.unwrap();
    let told = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(
        (refused.status.code(), told.contains("is said only behind it: replay it from a file")),
        (Some(1), true),
        "{told}"
    );
    let head = shop.knit(&["audit", "verify"]).json()["position"].as_u64().unwrap();
    let part = shop.new_path("part");
    let until = (head - 2).to_string();
    let _ = shop.knit(&["audit", "export", "--until", &until, "-o", text(&part)]);
    let _ = shop.refused(NOT_WHOLE, &["audit", "replay", text(&part)]).tells("no later EventRedacted names");
    let whole = fs::read(&file).unwrap();
    fs::write(&part, &whole[..whole.len() - 30]).unwrap();
    let _ = shop.refused(NOT_WHOLE, &["audit", "replay", text(&part)]).tells("position ");
}
