//! Histories of servers that cannot tell them, or not to the end.

use crate::kit::Place;
use crate::server::{Reply, Server};

const BEGIN: &str = concat!(
    r#"{"begin":{"format":1,"after":0,"chain":""#,
    "0000000000000000000000000000000000000000000000000000000000000000",
    "\"}}\n"
);

#[test]
fn an_original_server_cannot_tell_its_history() {
    let server = Server::start(|_| Reply::error(404, "Not Found"));
    for words in [["audit", "export"], ["audit", "verify"]] {
        let answer = Place::with(&server).knit(&words);
        assert_eq!((answer.code, answer.stdout.as_str()), (1, ""));
        assert!(answer.stderr.contains("this server cannot export the history"), "{answer}");
    }
}

#[test]
fn an_export_without_its_end_is_not_kept() {
    let server = Server::start(|_| Reply::bytes(BEGIN));
    let place = Place::with(&server);
    let answer = place.knit(&["audit", "export", "-o", "history"]);
    assert_eq!(answer.code, 8, "{answer}");
    assert!(answer.stderr.contains("before its end record"), "{answer}");
    assert!(!place.at("history").exists(), "{answer}");
}

#[test]
fn an_empty_history_is_whole() {
    let end = BEGIN.replace(r#"begin":{"format":1,"after""#, r#"end":{"position""#);
    let server = Server::start(move |_| Reply::bytes(format!("{BEGIN}{end}")));
    let place = Place::with(&server);
    let chain = "0".repeat(64);
    let answer = place.knit(&["audit", "export", "-o", "history"]).succeeded();
    assert_eq!((answer.stdout.as_str(), answer.stderr.as_str()), ("", ""));
    for words in [&["audit", "verify", "-o", "text"][..], &["audit", "verify", "-o", "text", "history"]] {
        let told = place.knit(words).succeeded().stdout;
        assert!(
            told.starts_with(&format!("whole: 0 events\nhead: position 0, chain {chain}\nrate: 0 events")),
            "{told}"
        );
    }
}

#[test]
fn protobuf_is_not_written_to_a_terminal() {
    let place = Place::new();
    let seen = place.on_a_terminal(&["audit", "export", "--format", "proto"]);
    assert!(seen.contains("protobuf is not for a terminal: name a file, `-o FILE`"), "{seen}");
}
