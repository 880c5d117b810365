//! Watching servers that cannot tell what happens, and saying less.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use crate::kit::Place;
use crate::server::{Reply, Server};

/// What an original server says of a path it does not know.
fn unknown() -> Reply {
    Reply::error(404, "Not Found")
}

#[test]
fn a_run_of_an_original_server_is_looked_at_until_it_has_ended() {
    let looks = AtomicUsize::new(0);
    let server = Server::start(move |request| match request.target.as_str() {
        "/api/runs/r1" => {
            let status = if looks.fetch_add(1, Ordering::Relaxed) == 0 { "running" } else { "done" };
            Reply::json(&json!({
                "runId": "r1", "status": status, "updatedAt": "2025-03-03T09:15:02+00:00",
                "plan": {"planId": "p1", "image": "i:1"}, "inputs": [], "outputs": [], "log": null,
            }))
        }
        _ => unknown(),
    });
    let answer = Place::with(&server).knit(&["run", "wait", "r1"]).succeeded();
    assert_eq!(answer.stderr, "[knit run wait] [TIME] Run `r1` is done\n");
    assert_eq!(server.lines(), ["GET /api/runs/r1", "GET /api/runs/r1"]);
}

#[test]
fn an_original_server_cannot_tell_what_happens() {
    let server = Server::start(|_| unknown());
    let answer = Place::with(&server).knit(&["events", "--follow"]);
    assert_eq!((answer.code, answer.stdout.as_str()), (1, ""));
    assert!(answer.stderr.contains("this server cannot read the events"), "{answer}");
}

#[test]
fn an_original_server_has_no_log_to_look_into() {
    let server = Server::start(|_| unknown());
    for (words, what) in [
        (&["audit", "show", "7"][..], "this server cannot show the event at position 7"),
        (&["audit", "why", "7"], "this server cannot explain the event at position 7"),
        (&["audit", "why", "run:3b0f5a52-6c1e-4d0e-9a53-0d1f6f6b7c11"], "this server cannot explain Run"),
        (&["audit", "log"], "this server cannot read the events"),
    ] {
        let answer = Place::with(&server).knit(words);
        assert_eq!((answer.code, answer.stdout.as_str()), (1, ""));
        assert!(answer.stderr.contains(what), "{answer}");
    }
}

#[test]
fn quiet_leaves_only_errors() {
    let server = Server::start(|request| match request.method.as_str() {
        "PUT" => Reply::nothing(200),
        _ => unknown(),
    });
    let place = Place::with(&server);
    for words in [&["run", "retry", "r1", "--quiet"][..], &["-q", "run", "stop", "r1"]] {
        assert_eq!(place.knit(words).succeeded().stderr, "");
    }
    let refused = place.knit(&["--quiet", "run", "show", "r1"]);
    assert!(refused.code == 4 && refused.stderr.starts_with("error: "), "{refused}");
}

/// Streams of which each breaks off behind its events, given as position and id.
fn streams(streams: &'static [&'static [(u64, &'static str)]]) -> Server {
    let opened = AtomicUsize::new(0);
    Server::start(move |_| {
        let events = streams[opened.fetch_add(1, Ordering::Relaxed)];
        let text = |(position, id): &(u64, &str)| {
            format!("id: {position}\nevent: PlanActivated\ndata: {{\"position\":{position},\"eventId\":\"{id}\"}}\n\n")
        };
        Reply::bytes(events.iter().map(text).collect::<String>()).header("content-type", "text/event-stream")
    })
}

#[test]
fn d6_a_log_that_is_another_one_when_the_stream_is_opened_again_is_not_gone_on_with() {
    let server = streams(&[&[(4, "a"), (5, "b")], &[(5, "b"), (6, "c")], &[(6, "other"), (7, "d")]]);
    let said = Place::with(&server).knit(&["events", "--follow"]);
    let told: Vec<&str> = said.stdout.lines().collect();
    assert_eq!(told.len(), 3, "each is printed once: {said}");
    assert!(told[2].contains("\"c\""), "{said}");
    assert_eq!(said.code, 1, "{said}");
    assert!(said.stderr.contains("error: the log is another one than before, up to position 6"), "{said}");
    let asked: Vec<String> =
        server.requests().iter().map(|request| request.header("last-event-id").to_owned()).collect();
    assert_eq!(asked, ["0", "4", "5"]);
}

#[test]
fn whoever_waits_looks_again_where_the_stream_is_of_another_log_or_there_is_no_place_for_one_more() {
    for refusal in [503, 400] {
        let looks = AtomicUsize::new(0);
        let server = Server::start(move |request| {
            if request.target.starts_with("/api/events") {
                return Reply::error(refusal, "128 streams of events are open already");
            }
            let status = if looks.fetch_add(1, Ordering::Relaxed) == 0 { "running" } else { "done" };
            Reply::json(&json!({
                "runId": "r1", "status": status, "updatedAt": "2025-03-03T09:15:02+00:00",
                "plan": {"planId": "p1", "image": "i:1"}, "inputs": [], "outputs": [], "log": null,
            }))
            .header("x-knit-position", "9")
        });
        let answer = Place::with(&server).knit(&["run", "wait", "r1"]).succeeded();
        assert!(answer.stderr.contains("Run `r1` is done"), "{answer}");
    }
}
