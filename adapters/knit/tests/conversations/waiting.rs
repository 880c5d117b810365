//! What a person sees on a terminal while the server takes its time.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::TryRecvError;
use std::sync::{Mutex, mpsc};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::kit::Place;
use crate::server::{Reply, Server};

/// Longer than `knit` waits without a sign.
const LONG: Duration = Duration::from_millis(1_600);

/// How long is waited for a sign that does not come.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often is tried what only a machine that is quick enough can show.
const TRIES: usize = 5;

fn slow(answer: Value) -> Server {
    Server::start(move |_| {
        sleep(LONG);
        Reply::json(&answer)
    })
}

/// A server that does not answer before `sign` is seen of who asks with `words`; all that is seen.
fn seen_while_it_lasts(answer: Value, words: &[&str], sign: &str) -> String {
    let (unseen, sign_seen) = mpsc::channel::<()>();
    let sign_seen = Mutex::new(sign_seen);
    let server = Server::start(move |_| {
        let _ = sign_seen.lock().unwrap().recv_timeout(PATIENCE);
        Reply::json(&answer)
    });
    Place::with(&server).on_a_terminal_until(words, sign, unseen)
}

/// What is seen of who asks with `words`. A machine that stands still for a second shows a sign where none belongs, but
/// not again and again.
fn seen_of_what_is_quick(server: impl Fn() -> Server, words: &[&str]) -> String {
    let see = || Place::with(&server()).on_a_terminal(words);
    (1..TRIES).map(|_| see()).find(|seen| !seen.contains("waiting for")).unwrap_or_else(see)
}

#[test]
fn what_takes_longer_than_a_second_is_named_and_goes_away_again() {
    let seen = seen_while_it_lasts(json!([]), &["data", "find"], "waiting for the server to find Data");
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
        let sign = format!("waiting for the server {what}");
        let seen = seen_while_it_lasts(run.clone(), words, &sign);
        assert!(seen.contains(&sign), "{seen:?}");
    }
}

#[test]
fn nothing_is_shown_of_what_is_quick_to_the_quiet_or_to_programs() {
    let quick = || Server::start(|_| Reply::json(&json!([])));
    assert_eq!(seen_of_what_is_quick(quick, &["data", "find"]), "nothing found\r\n");
    let server = slow(json!([]));
    assert_eq!(Place::with(&server).on_a_terminal(&["data", "find", "--quiet"]), "");
    assert_eq!(Place::with(&server).knit(&["data", "find"]).succeeded().stderr, "");
}

#[test]
fn who_waits_for_a_run_is_told_for_which() {
    let (unseen, sign_seen) = mpsc::channel::<()>();
    let sign_seen = Mutex::new(sign_seen);
    let begun = Instant::now();
    // An original server: it tells no position, so it is looked at every two seconds.
    let server = Server::start(move |_| {
        let is_unseen = sign_seen.lock().unwrap().try_recv() == Err(TryRecvError::Empty);
        let status = if is_unseen && begun.elapsed() < PATIENCE { "running" } else { "done" };
        Reply::json(&json!({"runId": "r1", "status": status, "updatedAt": "2025-03-03T09:15:02.418+00:00",
            "plan": {"planId": "p1", "image": "a:1"}, "inputs": [], "outputs": [], "log": null}))
    });
    let sign = "waiting for Run `r1` to end";
    let seen = Place::with(&server).on_a_terminal_until(&["run", "wait", "r1"], sign, unseen);
    let (_, rest) = seen.split_once(sign).unwrap_or_else(|| panic!("{seen:?}"));
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
    let event = "id: 2\nevent: DataDiscarded\ndata: {\"position\":2,\"eventId\":\"e\"}\n\n";
    let server = || {
        let looks = AtomicUsize::new(0);
        Server::start(move |request| {
            if request.target.starts_with("/api/events") {
                return Reply::nothing(200).header("content-type", "text/event-stream").later(LONG, event);
            }
            if looks.fetch_add(1, Ordering::SeqCst) > 0 {
                return Reply::error(404, "not found");
            }
            let graph =
                json!({"start": "d1", "data": [{"knitId": "d1", "tags": []}], "runs": [], "plans": [], "cut": []});
            Reply::json(&graph).header("x-knit-position", "1")
        })
    };
    let seen = seen_of_what_is_quick(server, &["data", "lineage", "--follow", "d1"]);
    assert!(seen.contains("\u{1b}[2J") && seen.contains("not found"), "{seen:?}");
    assert!(!seen.contains("waiting for"), "{seen:?}");
}
