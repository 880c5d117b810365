//! What a person sees on a terminal while the server takes its time.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};

use crate::kit::Place;
use crate::server::{Reply, Server};

/// Longer than `knit` waits without a sign.
const LONG: Duration = Duration::from_millis(1_600);

fn slow(answer: Value) -> Server {
    Server::start(move |_| {
        sleep(LONG);
        Reply::json(&answer)
    })
}

#[test]
fn what_takes_longer_than_a_second_is_named_and_goes_away_again() {
    let server = slow(json!([]));
    let seen = Place::with(&server).on_a_terminal(&["data", "find"]);
    let (sign, rest) = seen.split_once("waiting for the server to find Data").unwrap_or_else(|| panic!("{seen:?}"));
    assert!(!sign.contains("nothing found") && rest.contains("nothing found"), "{seen:?}");
    // The line of the sign is cleared before anything else is said.
    assert!(rest.split_once("nothing found").unwrap().0.ends_with("\u{1b}[2K"), "{seen:?}");
}

#[test]
fn every_question_says_what_it_is() {
    let run = json!({"runId": "r1", "status": "running", "updatedAt": "2025-03-03T09:15:02.418+00:00",
        "plan": {"planId": "p1", "image": "a:1"}, "inputs": [], "outputs": [], "log": null});
    for (words, what) in [
        (&["run", "show", "r1"][..], "to show Run `r1`"),
        (&["data", "lineage", "d1"], "to trace Data `d1`"),
        (&["run", "explain", "r1"], "to explain Run `r1`"),
        (&["data", "diff", "d1", "d2"], "to compare Data `d1`"),
        (&["run", "stop", "r1"], "to stop Run `r1`"),
    ] {
        let server = slow(run.clone());
        let seen = Place::with(&server).on_a_terminal(words);
        assert!(seen.contains(&format!("waiting for the server {what}")), "{seen:?}");
    }
}

#[test]
fn nothing_is_shown_of_what_is_quick_to_the_quiet_or_to_programs() {
    let quick = Server::start(|_| Reply::json(&json!([])));
    assert_eq!(Place::with(&quick).on_a_terminal(&["data", "find"]), "nothing found\r\n");
    let server = slow(json!([]));
    assert_eq!(Place::with(&server).on_a_terminal(&["data", "find", "--quiet"]), "");
    assert_eq!(Place::with(&server).knit(&["data", "find"]).succeeded().stderr, "");
}

#[test]
fn who_waits_for_a_run_is_told_for_which() {
    let looks = AtomicUsize::new(0);
    // An original server: it tells no position, so it is looked at every two seconds.
    let server = Server::start(move |_| {
        let status = if looks.fetch_add(1, Ordering::SeqCst) == 0 { "running" } else { "done" };
        Reply::json(&json!({"runId": "r1", "status": status, "updatedAt": "2025-03-03T09:15:02.418+00:00",
            "plan": {"planId": "p1", "image": "a:1"}, "inputs": [], "outputs": [], "log": null}))
    });
    let seen = Place::with(&server).on_a_terminal(&["run", "wait", "r1"]);
    let (_, rest) = seen.split_once("waiting for Run `r1` to end").unwrap_or_else(|| panic!("{seen:?}"));
    assert!(rest.ends_with("Run `r1` is done\r\n"), "{seen:?}");
}

#[test]
fn who_follows_a_server_that_goes_away_sees_that_it_cannot_be_reached_until_it_is_back() {
    let looks = AtomicUsize::new(0);
    let event = "id: 2\nevent: DataDiscarded\ndata: {\"position\":2,\"eventId\":\"e\"}\n\n";
    let server = Server::start(move |request| {
        if request.target.starts_with("/api/events") {
            return match looks.fetch_add(1, Ordering::SeqCst) {
                // It breaks off, and for more than a second there is nobody.
                0 => Reply::nothing(200).header("content-type", "text/event-stream"),
                1..=4 => Reply::error(503, "starting"),
                _ => Reply::bytes(event).header("content-type", "text/event-stream"),
            };
        }
        if looks.load(Ordering::SeqCst) > 4 {
            return Reply::error(404, "not found");
        }
        let graph = json!({"start": "d1", "data": [{"knitId": "d1", "tags": []}], "runs": [], "plans": [], "cut": []});
        Reply::json(&graph).header("x-knit-position", "1")
    });
    let seen = Place::with(&server).on_a_terminal(&["data", "lineage", "--follow", "d1"]);
    assert!(seen.contains("waiting for the server, which is not ready (503)"), "{seen:?}");
    assert!(!seen.contains("broke off; going on"), "{seen:?}");
    // The last sign is wiped away before anything else is said.
    let (_, rest) = seen.rsplit_once("which is not ready").unwrap_or_default();
    assert!(rest.contains("\u{1b}[2K") && rest.contains("not found"), "{seen:?}");
}

#[test]
fn who_follows_is_not_told_to_wait_while_nothing_happens() {
    let looks = AtomicUsize::new(0);
    let event = "id: 2\nevent: DataDiscarded\ndata: {\"position\":2,\"eventId\":\"e\"}\n\n";
    let server = Server::start(move |request| {
        if request.target.starts_with("/api/events") {
            return Reply::nothing(200).header("content-type", "text/event-stream").later(LONG, event);
        }
        if looks.fetch_add(1, Ordering::SeqCst) > 0 {
            return Reply::error(404, "not found");
        }
        let graph = json!({"start": "d1", "data": [{"knitId": "d1", "tags": []}], "runs": [], "plans": [], "cut": []});
        Reply::json(&graph).header("x-knit-position", "1")
    });
    let seen = Place::with(&server).on_a_terminal(&["data", "lineage", "--follow", "d1"]);
    assert!(seen.contains("\u{1b}[2J") && seen.contains("not found"), "{seen:?}");
    assert!(!seen.contains("waiting for"), "{seen:?}");
}
