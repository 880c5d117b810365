//! The complete help is a snapshot: whoever changes a word of it sees where it is read.

use crate::kit::Place;

#[test]
fn the_complete_help() {
    let place = Place::new();
    let mut text = String::new();
    for words in [
        "",
        "init",
        "data",
        "data find",
        "data pull",
        "data push",
        "data tag",
        "data lineage",
        "data wait",
        "plan",
        "plan show",
        "plan find",
        "plan apply",
        "plan template",
        "plan active",
        "plan resource",
        "plan annotate",
        "plan serviceaccount",
        "run",
        "run show",
        "run find",
        "run stop",
        "run rm",
        "run retry",
        "run wait",
        "events",
        "audit",
        "audit log",
        "audit show",
        "audit why",
        "audit verify",
        "audit export",
        "audit checkpoint",
        "audit keygen",
        "admin",
        "admin projections",
        "admin rebuild-projection",
        "admin rollback",
        "admin skip",
        "admin redact",
        "admin snapshot",
        "admin doctor",
        "admin log",
        "admin log stats",
        "admin archive",
        "completion",
        "version",
    ] {
        let mut words: Vec<&str> = words.split_whitespace().collect();
        words.push("--help");
        let help = place.knit(&words).succeeded();
        assert_eq!(help.stderr, "");
        text += &format!("$ knit {}\n{}\n", words.join(" "), help.stdout);
    }
    insta::assert_snapshot!(text);
}

#[test]
fn without_a_command_help_is_wrong_usage() {
    let answer = Place::new().knit(&[]);
    assert_eq!((answer.code, answer.stdout.as_str()), (2, ""));
    assert!(answer.stderr.contains("Usage: knit"));
}

#[test]
fn the_version_needs_neither_server_nor_profile() {
    let place = Place::new();
    std::fs::create_dir(place.at(".knitprofile")).unwrap();
    let told = place.knit(&["version"]);
    for option in ["--version", "-V"] {
        assert_eq!(place.knit(&[option]).succeeded().stdout, format!("knit {}", told.stdout));
    }
    insta::assert_snapshot!(told);
}

#[test]
fn wrong_words_are_told_apart_by_their_exit_status() {
    let place = Place::new();
    let mut text = String::new();
    for words in [
        &["data", "find", "--no-such-option"][..],
        &["data", "pull"],
        &["data", "pull", "a", "b", "c"],
        &["plan", "active", "true", "id"],
        &["data", "find", "--transient", "maybe"],
        &["data", "find", "--tag"],
        &["no-such-command"],
        &["data", "find", "--tag", "no-colon"],
        &["data", "find", "--since", "yesterday"],
        &["run", "find", "--since", "2025-03-03", "--duration", "1 day"],
        &["run", "find", "--duration", "1h"],
        &["data", "lineage", "-n", "-1", "id"],
        &["data", "lineage", "-n", "0", "id"],
        &["data", "tag", "--add", "knit#id:x", "id"],
        &["data", "push", "-t", "knit#timestamp:x", "."],
        &["data", "pull", "-x", "id", "-"],
        &["run", "show", "--attempt", "0", "id"],
        &["run", "find", "-s", "don"],
        &["run", "find", "-o", "json"],
        &["data", "wait", "-t", "a:b", "--count", "0"],
        &["data", "tag", "--remove-key", "knit#timestamp", "id"],
        &["plan", "find", "--image", ""],
        &["plan", "resource", "--set", "memory=-1", "id"],
        &["data", "find", "--server", "127.0.0.1:30899"],
        &["run", "rm", ""],
        &["run", "show", ".."],
        &["data", "find", "--limit", "-1"],
        &["events", "--after", "x"],
        &["audit", "show", "x"],
        &["audit", "log", "--since", "soon"],
        &["audit", "verify", "--checkpoint", "signed"],
        &["audit", "verify", "--key", "auditor.pub"],
        &["audit", "log", "--follow", "--until", "3"],
        &["audit", "log", "--since", "10", "--until", "5"],
        &["data", "lineage", "-s", "finished", "id"],
    ] {
        text += &format!("{}\n", place.knit(words));
    }
    insta::assert_snapshot!(text);
}
