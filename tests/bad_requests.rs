//! Requests that are malformed, foreign, too large or too slow: each gets its answer, and the server goes on.

use knit_tests::archive::{Archive, noise};
use knit_tests::workshop::{Workshop, id_of};
use serde_json::json;

/// An id that nothing has.
const NOBODY: &str = "3b0f5a52-6c1e-4d0e-9a53-0d1f6f6b7c11";
/// Bytes of JSON that are too many; the server takes 16 MiB.
const TOO_MANY_BYTES: usize = (16 << 20) + 1;
/// Transfers that the server has under way at once.
const TRANSFERS_MAX: usize = 64;
/// Larger than whatever the kernel keeps for a connection, also in gzip: what fits there has been sent whole, and nobody
/// reads it any more.
const UNREAD_BYTES: usize = 48 << 20;

#[test]
fn unknown_ids_are_not_found() {
    let shop = Workshop::open();
    let http = shop.server.http();
    for id in [NOBODY, "not-an-id", "%00", "..%2F..%2Fetc", &"x".repeat(3000)] {
        for (method, path) in [
            ("GET", format!("/api/data/{id}")),
            ("GET", format!("/api/data/{id}/lineage")),
            ("GET", format!("/api/plans/{id}")),
            ("GET", format!("/api/plans/{id}/matches")),
            ("PUT", format!("/api/plans/{id}/active")),
            ("DELETE", format!("/api/plans/{id}/active")),
            ("DELETE", format!("/api/plans/{id}/serviceaccount")),
            ("GET", format!("/api/runs/{id}")),
            ("GET", format!("/api/runs/{id}/log")),
            ("GET", format!("/api/runs/{id}/log?follow")),
            ("GET", format!("/api/runs/{id}/attempts")),
            ("GET", format!("/api/runs/{id}/attempts/1/log")),
            ("PUT", format!("/api/runs/{id}/abort")),
            ("PUT", format!("/api/runs/{id}/tearoff")),
            ("PUT", format!("/api/runs/{id}/retry")),
            ("DELETE", format!("/api/runs/{id}")),
        ] {
            let answer = http.ask(method, &path);
            assert_eq!(answer.status, 404, "{method} {path}: {}", answer.text());
            assert!(answer.message().starts_with("not found"), "{method} {path}: {}", answer.message());
        }
    }
}

#[test]
fn tagging_what_is_not_there_is_not_found() {
    let shop = Workshop::open();
    for change in [json!({"add": ["a:b"]}), json!({})] {
        let answer = shop.server.http().send_json("PUT", &format!("/api/data/{NOBODY}"), &change);
        assert_eq!(answer.status, 404, "{}", answer.text());
        assert!(answer.message().starts_with("correspontind data is missing"), "{}", answer.message());
    }
}

#[test]
fn malformed_changes_are_refused_and_change_nothing() {
    let shop = Workshop::open();
    let http = shop.server.http();
    let uploaded = http.upload(&Archive::new().file("it", b"x").gzip(), &[]).json();
    let path = format!("/api/data/{}", id_of(&uploaded, "knitId"));
    for body in [
        r#""#,
        r#"{"add": "#,
        r#"{"add": ["no colon"]}"#,
        r#"{"add": [{"key": "k"}]}"#,
        r#"{"add": "a:b"}"#,
        r#"{"add": ["a:b", "knit#id:x"]}"#,
        r#"{"add": [{"key": "knit#timestamp", "value": "x"}]}"#,
        r#"{"remove": ["knit#transient:failed"]}"#,
        r#"{"remove_key": ["knit#id"]}"#,
        r#"{"add": ["quote\":x"]}"#,
        r#"{"add": ["a:back\\slash"]}"#,
        r#"{"add": ["a:line\nbreak"]}"#,
    ] {
        let answer = http.send("PUT", &path, &[], body.as_bytes());
        assert_eq!(answer.status, 400, "{body}: {}", answer.text());
        assert!(answer.message().starts_with("format error"), "{body}: {}", answer.message());
    }
    assert_eq!(http.get("/api/data").json()[0]["tags"], uploaded["tags"], "no refusal changed a tag");
}

#[test]
fn malformed_queries_are_refused_and_say_what_to_write() {
    let shop = Workshop::open();
    for (query, named) in [
        ("data?tag=nocolon", "KEY:VALUE"),
        ("data?since=yesterday", "since"),
        ("data?since=2025-03-03", "since"),
        ("data?since=2025-03-03T09:15:02", "since"),
        ("data?since=2025-03-03T09:15:02%2B0900", "since"),
        ("data?since=2025-13-03T09:15:02Z", "since"),
        ("data?since=2025-03-03T09:15:02Z&duration=1d", "duration"),
        ("data?since=2025-03-03T09:15:02Z&duration=soon", "duration"),
        ("data?since=2025-03-03T09:15:02Z&duration=99999999999999999999h", "duration"),
        ("data?duration=1h", "since"),
        ("data?tag=knit%23timestamp%3Ayesterday", "yesterday"),
        ("runs?duration=1h", "since"),
        ("runs?status=finished", "finished"),
        ("runs?status=invalidated", "invalidated"),
        ("runs?status=", "status"),
        ("runs?status=done,", "status"),
        ("plans?active=maybe", "active"),
        ("plans?image=%3Av1", "image"),
        ("plans?in_tag=nocolon", "KEY:VALUE"),
        ("plans?out_tag=nocolon", "KEY:VALUE"),
    ] {
        let answer = shop.server.http().get(&format!("/api/{query}"));
        let message = answer.message();
        assert_eq!(answer.status, 400, "{query}: {message}");
        assert!(message.starts_with("bad request\n") && message.contains(named), "{query}: {message}");
    }
}

#[test]
fn extreme_but_well_formed_times_are_answered() {
    let shop = Workshop::open();
    for query in [
        "since=0001-01-01T00:00:00Z",
        "since=9999-12-31T23:59:59.999999999Z&duration=1h",
        "since=0001-01-01T00:00:00Z&duration=-2562047h47m16.854775807s",
        "since=9999-12-31T23:59:59Z&duration=2562047h47m16.854775807s",
        "since=2025-03-03T09:15:02%2B23:59&duration=0",
    ] {
        for what in ["data", "runs"] {
            let answer = shop.server.http().get(&format!("/api/{what}?{query}"));
            assert_eq!((answer.status, answer.json()), (200, json!([])), "{what}?{query}");
        }
    }
}

#[test]
fn bodies_over_their_limit_are_refused() {
    let shop = Workshop::open();
    let body = vec![b' '; TOO_MANY_BYTES];
    for (method, path) in [("POST", "/api/plans".to_owned()), ("PUT", format!("/api/data/{NOBODY}"))] {
        let answer = shop.server.http().send(method, &path, &[("Content-Type", "application/json")], &body);
        assert_eq!(answer.status, 413, "{method} {path}");
        assert!(answer.message().contains(&(16 << 20).to_string()), "the limit is named: {}", answer.message());
    }
}

#[test]
fn clients_that_dawdle_keep_nobody_else_waiting() {
    let shop = Workshop::open();
    let http = shop.server.http();
    let dawdlers: Vec<_> = (0..40)
        .map(|number| {
            let mut connection = if number % 2 == 0 { http.connect() } else { http.begin_upload() };
            connection.write(b"GET /api/da").unwrap();
            connection
        })
        .collect();
    assert_eq!(http.get("/api/plans").status, 200);
    let uploaded = http.upload(&Archive::new().file("it", b"x").gzip(), &[]);
    assert_eq!(uploaded.status, 200, "{}", uploaded.text());
    drop(dawdlers);
}

#[test]
fn a_client_that_stops_reading_holds_nothing_but_its_connection() {
    let shop = Workshop::open();
    let http = shop.server.http();
    let content = noise(UNREAD_BYTES);
    let data = id_of(&http.upload(&Archive::new().file("large", &content).gzip(), &[]).json(), "knitId");
    let mut unread = http.connect();
    unread.head("GET", &format!("/api/data/{data}"), &[]);
    assert_eq!(unread.response_head().status, 200);
    let run = id_of(&shop.data(&data).unwrap()["upstream"]["run"], "runId");
    let refused = http.ask("DELETE", &format!("/api/runs/{run}"));
    assert_eq!(refused.status, 409, "what is being read is not removed: {}", refused.text());
    assert!(http.get(&format!("/api/data/{data}")).complete, "others read it meanwhile");
    drop(unread);
    let deleted = || http.ask("DELETE", &format!("/api/runs/{run}")).status == 204;
    knit_tests::wait::wait_until("the Data to be removable once its reader has gone", deleted);
}

#[test]
fn transfers_beyond_the_limit_are_asked_to_come_again() {
    let shop = Workshop::open();
    let http = shop.server.http();
    let archive = Archive::new().file("it", b"x").gzip();
    let mut begun: Vec<_> = (0..TRANSFERS_MAX)
        .map(|_| {
            let mut upload = http.begin_upload();
            upload.chunk(&archive).unwrap();
            upload
        })
        .collect();
    let running = || http.get("/api/runs?status=running").json().as_array().map_or(0, Vec::len);
    knit_tests::wait::wait_until("all uploads to have begun", || running() == TRANSFERS_MAX);
    let refused = http.upload(&archive, &[]);
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert!(refused.message().contains("please retry later"), "{}", refused.message());
    assert_eq!(http.get("/api/data").status, 200, "what is no transfer goes on");
    begun.iter_mut().for_each(|upload| upload.last_chunk(&[]).unwrap());
    assert!(begun.iter_mut().all(|upload| upload.response().status == 200), "the others end well");
    assert_eq!(http.upload(&archive, &[]).status, 200, "there is room again");
}

#[test]
fn what_is_no_http_is_refused_and_the_server_goes_on() {
    let shop = Workshop::open();
    let endless = format!("GET /{} HTTP/1.1\r\n", "x".repeat(1 << 20));
    for nonsense in ["\u{16}\u{3}\u{1}", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "\r\n\r\n\r\n", endless.as_str()] {
        let mut connection = shop.server.http().connect();
        let _ = connection.write(nonsense.as_bytes());
        drop(connection);
        assert_eq!(shop.server.http().get("/healthz").status, 200);
    }
}
