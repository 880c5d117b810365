//! What is offered at the cursor, as shells ask for it.

use std::net::TcpListener;

use serde_json::json;

use crate::kit::{Conversation, Place};
use crate::server::{Nobody, Reply, Server};

const ONE: &str = "6cd03965-619d-4429-afcd-de2db9e7a326";
const OTHER: &str = "7cd04111-0000-4429-afcd-de2db9e7a326";
const RUN: &str = "8cd04111-0000-4429-afcd-de2db9e7a326";

/// How often Tab is pressed at most.
const TRIES: usize = 5;

/// A server that knows two Data, three keys and two values.
fn server() -> Server {
    Server::start(|request| {
        if request.target == format!("/api/runs/{RUN}") {
            return Reply::json(&json!({
                "runId": RUN, "status": "done", "updatedAt": "2025-03-03T10:15:30+00:00", "inputs": [], "outputs": [],
                "plan": {"planId": "p1", "image": "host:latest", "entrypoint": ["sh"]},
            }));
        }
        let (path, query) = request.target.split_once('?').unwrap_or_default();
        let prefix = query.split_once("prefix=").map(|(_, prefix)| prefix.split('&').next().unwrap_or(""));
        match (path, prefix.unwrap_or_default()) {
            ("/api/ids", "f8ed") => Reply::json(&json!(["f8ed3965-619d-4429-afcd-de2db9e7a326"])),
            ("/api/ids", _) if query.starts_with("of=run") => Reply::json(&json!([RUN])),
            ("/api/ids", _) if query.starts_with("of=data") => Reply::json(&json!([ONE, OTHER])),
            ("/api/tags", prefix) if prefix.starts_with("project%3A") => {
                Reply::json(&json!(["project:hello", "project:other one"]))
            }
            ("/api/tags", _) => Reply::json(&json!(["knit#id:", "project:", "type:"])),
            _ => Reply::json(&json!([])),
        }
    })
}

/// What fish is offered for `words`, of which the last one is being typed.
fn offered(place: &Place, words: &[&str]) -> Vec<String> {
    let told = asked(place, words);
    assert_eq!((told.code, told.stderr.as_str()), (0, ""), "{told}");
    told.stdout.lines().map(|line| line.split('\t').next().unwrap_or_default().to_owned()).collect()
}

fn asked(place: &Place, words: &[&str]) -> Conversation {
    asked_by("fish", place, &[&["--", "knit"], words].concat())
}

/// What `shell` is told. A server that does not answer within a second is not waited for: whoever is offered nothing
/// although there is one then presses Tab again.
fn asked_by(shell: &str, place: &Place, words: &[&str]) -> Conversation {
    let ask = || place.knit_in(words, &[("KNIT_COMPLETE", shell)]);
    let mut told = ask();
    for _ in 1..TRIES {
        if !place.has_server() || !told.stdout.is_empty() {
            break;
        }
        told = ask();
    }
    told
}

#[test]
fn commands_and_options_need_no_server() {
    let place = Place::new();
    assert_eq!(offered(&place, &["pl"]), ["plan"]);
    let verbs = offered(&place, &["run", ""]);
    assert!(verbs.contains(&"retry".to_owned()) && !verbs.iter().any(|verb| verb.starts_with('-')), "{verbs:?}");
    assert_eq!(offered(&place, &["run", "find", "--st"]), ["--status"]);
    assert_eq!(offered(&place, &["run", "find", "-s", "done,fa"]), ["done,failed"]);
    assert_eq!(offered(&place, &["data", "lineage", "-o", "o"]), ["openlineage"]);
    assert_eq!(offered(&place, &["data", "find", "--json", "tags,kn"]), ["tags,knitId"]);
    assert_eq!(offered(&place, &["completion", ""]), ["bash", "zsh", "fish", "powershell"]);
    assert!(asked(&place, &["ru"]).stdout.starts_with("run\tFind, show"), "with a word of explanation");
}

#[test]
fn ids_are_those_of_the_server_of_the_kind_that_is_wanted() {
    let server = server();
    let place = Place::with(&server);
    assert_eq!(offered(&place, &["data", "lineage", ""]), [ONE, OTHER]);
    assert_eq!(offered(&place, &["data", "path", ONE, "7c"]), [OTHER]);
    assert_eq!(offered(&place, &["plan", "why-not", "--data", "6"]), [ONE]);
    assert_eq!(offered(&place, &["events", "-e", "data:6c"]), [format!("data:{ONE}")]);
    assert_eq!(offered(&place, &["run", "rm", ""]), [RUN]);
    assert_eq!(
        offered(&place, &["data", "find", "-t", "knit#id:f8ed"]),
        ["knit#id:f8ed3965-619d-4429-afcd-de2db9e7a326"]
    );
    assert_eq!(server.lines()[0], "GET /api/ids?of=data&prefix=");
    assert!(server.lines().contains(&"GET /api/ids?of=run&prefix=".to_owned()));
}

#[test]
fn ids_have_a_word_beside_them_and_names_of_events_need_no_server() {
    let server = server();
    let place = Place::with(&server);
    let run = format!("{RUN}\tdone host:latest sh\n");
    assert_eq!(asked(&place, &["run", "explain", ""]).stdout, run);
    let zsh = asked_by("zsh", &place, &["--", "knit", "run", "explain", ""]).succeeded().stdout;
    assert!(zsh.ends_with(":done host\\:latest sh\n") || zsh.ends_with(":done host:latest sh\n"), "{zsh}");
    assert_eq!(
        offered(&Place::new(), &["events", "--type", "RunS"]),
        ["RunStarted", "RunSucceeded", "RunSuccessDecided"]
    );
    assert_eq!(offered(&Place::new(), &["events", "--type", "RunFailed,RunEr"]), ["RunFailed,RunErased"]);
}

#[test]
fn tags_are_those_of_the_server_and_those_of_the_system_only_where_they_are_asked_for() {
    let server = server();
    let place = Place::with(&server);
    assert_eq!(offered(&place, &["data", "find", "-t", ""]), ["knit#id:", "project:", "type:"]);
    assert_eq!(offered(&place, &["data", "find", "-t", "project:"]), ["project:hello", "project:other one"]);
    assert_eq!(offered(&place, &["data", "find", "-t", "'project:other o"]), ["project:other one"]);
    assert_eq!(offered(&place, &["data", "push", "--tag=ty"]), ["--tag=type:"]);
    assert_eq!(offered(&place, &["data", "tag", "--add", ""]), ["project:", "type:"]);
    assert_eq!(offered(&place, &["data", "tag", "--remove-key", ""]), ["project", "type"]);
}

#[test]
fn the_server_is_the_one_that_the_line_names_and_profiles_are_those_of_the_store() {
    let server = server();
    let place = Place::new();
    assert_eq!(offered(&place, &["--server", &server.url(), "data", "show", "6"]), [ONE]);
    place.write("store", format!("work: {{apiRoot: {}/api}}\nplay: {{apiRoot: http://127.0.0.1:1}}\n", server.url()));
    assert_eq!(offered(&place, &["--profile-store", "store", "--profile", "w"]), ["work"]);
    assert_eq!(offered(&place, &["--profile-store=store", "--profile=work", "data", "show", "7"]), [OTHER]);
}

#[test]
fn files_are_offered_where_a_file_is_wanted() {
    let place = Place::new();
    place.write("plans/count.yaml", "");
    assert_eq!(offered(&place, &["plan", "apply", "pl"]), ["plans/"]);
    assert_eq!(offered(&place, &["plan", "apply", "plans/"]), ["plans/count.yaml"]);
}

#[test]
fn of_a_server_that_is_away_silent_or_an_original_one_nothing_is_offered_and_nothing_said() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = Nobody::new();
    let original = Server::start(|_| Reply::error(404, "Not Found"));
    let page = Server::start(|_| Reply::bytes("<html>"));
    for url in [
        format!("http://{}", silent.local_addr().unwrap()),
        nobody.url(),
        original.url(),
        page.url(),
        "no address".to_owned(),
    ] {
        let place = Place::new();
        for words in [&["data", "show", ""][..], &["data", "find", "-t", "a"]] {
            let line = [&["--server", url.as_str()], words].concat();
            assert_eq!(offered(&place, &line), Vec::<String>::new(), "{line:?}");
        }
    }
}

#[test]
fn every_shell_has_a_script_that_asks_this_program() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish", "powershell"] {
        let script = place.knit(&["completion", shell]).succeeded().stdout;
        assert!(script.contains("KNIT_COMPLETE") && script.contains("knit"), "{script}");
        assert!(!script.contains("PROGRAM"), "{script}");
    }
    // There is no PowerShell to try it in; `make validate` holds it against a grammar.
    insta::assert_snapshot!(
        place.knit(&["completion", "powershell"]).stdout.replace(env!("CARGO_BIN_EXE_knit"), "[KNIT]")
    );
}

#[test]
fn bash_and_zsh_are_told_what_they_insert() {
    let server = server();
    let place = Place::with(&server);
    let ask = |shell: &str, words: &[&str]| asked_by(shell, &place, words).succeeded().stdout;
    assert_eq!(ask("bash", &["--", "knit data find -t project:", ""]), "hello\nother\\ one\n");
    assert_eq!(ask("bash", &["--", "knit data find -t 'project:", "project:"]), "project:hello\nproject:other one\n");
    assert_eq!(ask("zsh", &["--", "knit", "data", "find", "-t", "p"]), "+project\\:\n");
    assert_eq!(ask("zsh", &["--", "knit", "data", "find", "-t", "project:h"]), ".project\\:hello\n");
    for (shell, words) in [("bash", &["--"][..]), ("bash", &[]), ("tcsh", &["--", "knit"]), ("fish", &["--"])] {
        let told = place.knit_in(words, &[("KNIT_COMPLETE", shell)]);
        assert_eq!((told.code, told.stdout.as_str(), told.stderr.as_str()), (1, "", ""), "{shell}");
    }
}

/// What the script for PowerShell prints line by line, for a line up to the cursor and the word that is replaced there.
fn powershell(place: &Place, line: &str, word: &str) -> String {
    let handed_over = [("KNIT_COMPLETE", "powershell"), ("KNIT_COMPLETE_LINE", line), ("KNIT_COMPLETE_WORD", word)];
    let told = place.knit_in(&[], &handed_over);
    assert_eq!((told.code, told.stderr.as_str()), (0, ""), "{told}");
    told.stdout
}

#[test]
fn powershell_is_told_what_it_inserts_what_it_shows_and_the_help_beside_it() {
    let server = Server::start(|request| match request.target.split_once("prefix=") {
        Some((_, typed)) if typed.starts_with("note%3A") => {
            Reply::json(&json!(["note:it's", "note:; $x, @you & {me}", "note:größe"]))
        }
        Some((_, typed)) if typed.starts_with("project%3A") => {
            Reply::json(&json!(["project:hello", "project:other one"]))
        }
        _ if request.target.starts_with("/api/ids") => Reply::json(&json!([ONE])),
        _ => Reply::json(&json!(["note:", "project:"])),
    });
    let place = Place::with(&server);
    let one = |text: &str, shown: &str| format!("{text}\t{shown}\t{shown}\n");
    // An empty word is one of its own.
    assert_eq!(powershell(&place, "knit data show ", ""), one(ONE, ONE));
    assert_eq!(powershell(&place, "knit data find -t ", ""), one("note:", "note:") + &one("project:", "project:"));
    assert!(powershell(&place, "knit ", "").contains("\ndata\tdata\tPush, "), "with a word of help");
    let (hello, other) = (one("project:hello", "project:hello"), one("'project:other one'", "project:other one"));
    for (line, word) in [("project:", "project:"), ("'project:", "'project:'"), ("\"project:", "project:")] {
        assert_eq!(powershell(&place, &format!("knit data find -t {line}"), word), format!("{hello}{other}"));
    }
    let note = powershell(&place, "knit data find -t note:", "note:");
    assert_eq!(
        note,
        one("'note:it''s'", "note:it's")
            + &one("'note:; $x, @you & {me}'", "note:; $x, @you & {me}")
            + &one("note:größe", "note:größe")
    );
    // Behind the colon of a short option only what follows is replaced; a long one is one word.
    let short = powershell(&place, "knit data find -tproject:h", "h");
    assert_eq!(short.lines().next(), Some("hello\t-tproject:hello\t-tproject:hello"));
    let long = powershell(&place, "knit data find --tag=project:h", "--tag=project:h");
    assert_eq!(long, one("--tag=project:hello", "--tag=project:hello"));
    // The cursor is in the midst of a word, and behind an assignment, which the script leaves out.
    assert!(powershell(&place, "knit data sh", "shfoo").starts_with("show\tshow\tPrint a Data"));
    // Nothing of a line that is typed is run or replaced.
    assert_eq!(powershell(&place, "knit data find -t $(touch x) `", ""), "");
    assert!(!place.at("x").exists());
}

#[test]
fn without_a_line_powershell_is_told_nothing() {
    let told = Place::new().knit_in(&["data", "find"], &[("KNIT_COMPLETE", "powershell")]);
    assert_eq!((told.code, told.stdout.as_str(), told.stderr.as_str()), (1, "", ""));
}

#[test]
fn keys_are_offered_where_keys_are_wanted_and_actors_and_annotations_where_those_are() {
    let server = Server::start(|request| match request.target.split('?').next() {
        Some("/api/plans") => Reply::json(&json!([{
            "planId": "p1", "image": "host:latest", "inputs": [], "outputs": [], "active": true,
            "annotations": ["owner=harbor", "team=vision"],
        }])),
        _ => Reply::json(&json!(["knit#id:", "project:"])),
    });
    let place = Place::with(&server);
    for name in ["auditor", "auditor.pub", "notes", "theirs.pub"] {
        place.write(name, "");
    }
    assert_eq!(offered(&place, &["audit", "verify", "--key", ""]), ["auditor.pub", "theirs.pub"]);
    assert_eq!(offered(&place, &["audit", "checkpoint", "--key", ""]), ["auditor"]);
    assert!(offered(&place, &["audit", "log", "--actor", "reactor:"]).contains(&"reactor:installation".to_owned()));
    assert_eq!(offered(&place, &["admin", "redact", "--annotation", "ow"]), ["owner=harbor"]);
    assert_eq!(offered(&place, &["admin", "redact", "--tag", ""]), ["project:"]);
}
