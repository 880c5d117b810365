//! Watching: the log as it is written, and waiting for Runs and Data, across a restart of the server.

use knit_tests::http::Client;
use knit_tests::plans::PlanFile;
use knit_tests::server::Setup;
use knit_tests::wait::wait_for;
use knit_tests::workshop::{Workshop, id_of};
use serde_json::Value;

/// A Plan whose Runs end when they are stopped.
fn long_plan(shop: &Workshop) -> String {
    shop.apply(&PlanFile::shell("sleep 1000").input("/in", &["a:b"]).output("/out", &["is:made"]))
}

/// The lines of `knit events` with these words.
fn events(shop: &Workshop, words: &[&str]) -> Vec<Value> {
    let told = shop.knit(&[&["events"], words].concat()).stdout;
    told.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn names(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().unwrap()).collect()
}

fn positions(events: &[Value]) -> Vec<u64> {
    events.iter().map(|event| event["position"].as_u64().unwrap()).collect()
}

#[test]
fn what_has_happened_is_told_in_order_and_from_any_position_on() {
    let shop = Workshop::open();
    let data = shop.push(&[("it", "x")], &["a:b"]);
    let all = events(&shop, &[]);
    let expected: Vec<u64> = (1..=all.len() as u64).collect();
    assert_eq!(positions(&all), expected, "every event, in the one order");
    let rest = events(&shop, &["--after", "2"]);
    assert_eq!(rest, all[2..]);

    assert_eq!(events(&shop, &["--last", "2"]), all[all.len() - 2..]);
    let reserved = events(&shop, &["--last", "1", "--type", "DataReserved"]);
    assert_eq!(names(&reserved), ["DataReserved"]);
    assert_eq!(events(&shop, &["--last", "999"]), all, "no more than there are");
    let _ = shop.refused(2, &["events", "--last", "2", "--after", "1"]).tells("cannot be used with");
    let beyond = shop.refused(1, &["events", "--after", "999999"]).tells("the log ends at");
    assert!(!beyond.stderr.contains("Last-Event-ID"), "{}", beyond.stderr);

    let of_runs = events(&shop, &["--entity", "run"]);
    assert_eq!(events(&shop, &["--last", "2", "--entity", "run"]), of_runs[of_runs.len() - 2..]);
    for unknown in ["data:9999", "run:9999", "plan:00000000-0000-0000-0000-000000000000", "data:nothing"] {
        let kind = unknown.split(':').next().expect("a kind stands before the colon");
        let refused = shop.refused(4, &["events", "-e", unknown]).tells("it is not there, and never was");
        let _ = refused.tells(&format!("hint: `knit {kind} find` lists all"));
    }

    let about = events(&shop, &["--entity", &format!("data:{}", &data[..8])]);
    assert!(about.len() < all.len() && names(&about).contains(&"DataTagsChanged"), "{about:#?}");
    let tagged = events(&shop, &["--entity", "data,run", "--type", "DataTagsChanged"]);
    assert_eq!(names(&tagged), ["DataTagsChanged"]);
    let tagged = &tagged[0];
    assert_eq!((&tagged["stream"]["type"], &tagged["stream"]["id"]), (&"data".into(), &data.clone().into()));
    assert_eq!(
        (&tagged["actor"], &tagged["payload"]["added"]),
        (&"anonymous".into(), &serde_json::json!([["a", "b"]]))
    );
    assert!(tagged["recordedAt"].is_string() && tagged["eventId"].is_string());
}

#[test]
fn a_follower_misses_nothing_when_the_server_is_started_again() {
    // Where it will be again: whoever follows comes back to the same address.
    let mut shop = Workshop::with(Setup::new().at_a_lasting_address());
    let follower = shop.user().start(["events", "--follow", "--type", "DataTagsChanged"]);
    let first = shop.push(&[("it", "x")], &["a:b"]);
    follower.shows(&first);
    // Who begins with the last ones goes on behind them.
    let other = shop.user().start(["events", "--follow", "--last", "1", "--type", "DataTagsChanged"]);
    other.shows(&first);
    shop.server.stop();
    shop.server.start();
    let second = shop.push(&[("it", "y")], &["a:b"]);
    follower.shows(&second);
    other.shows(&second);
    follower.says("the stream of events broke off");
}

#[test]
fn a_browser_goes_on_behind_the_event_it_saw_last() {
    let shop = Workshop::open();
    let _ = shop.push(&[("it", "x")], &["a:b"]);
    let ask =
        |headers: &[(&str, &str)], target: &str| Client::new(shop.server.address()).send("GET", target, headers, b"");
    let whole = ask(&[], "/api/events");
    assert_eq!((whole.status, whole.header("content-type")), (200, Some("text/event-stream")));
    let head: u64 = whole.header("x-knit-position").unwrap().parse().unwrap();
    let text = whole.text();
    assert!(text.starts_with("id: 1\nevent: ") && text.ends_with("\n\n"), "{text}");
    assert!(text.contains(&format!("id: {head}\n")));
    // A browser sends what it saw last beside the address it was given first.
    let rest = ask(&[("Last-Event-ID", "3")], "/api/events?after=1").text();
    assert!(rest.starts_with("id: 4\n"), "{rest}");
    for bad in ["after=x", "after=1000000", "entity=run:1", "entity=everything", "type=RunEnded"] {
        assert_eq!(ask(&[], &format!("/api/events?{bad}")).status, 400, "{bad}");
    }
}

#[test]
fn waiting_for_runs_ends_with_how_they_ended() {
    let shop = Workshop::open();
    let plan = long_plan(&shop);
    let _ = shop.push(&[("it", "x")], &["a:b"]);
    let _ = shop.push(&[("it", "y")], &["a:b"]);
    let runs = wait_for("both Runs", || Some(shop.runs_of(&plan)).filter(|runs| runs.len() == 2));
    let (one, other) = (id_of(&runs[0], "runId"), id_of(&runs[1], "runId"));
    let _ = shop
        .refused(7, &["run", "wait", "--timeout", "1s", &one])
        .tells("have not ended within 1s")
        .tells("such as `--timeout 1m0s`");
    for id in [&one, &other] {
        let _ = shop.reaches(id, "running");
    }

    let waiting = shop.user().start(["run", "wait", &one, &other]);
    let _ = shop.knit(&["run", "stop", &one]);
    waiting.says(&format!("Run `{one}` is done"));
    let _ = shop.knit(&["run", "stop", "--fail", &other]);
    let _ = waiting.finish().ended(6).tells(&format!("Run `{other}` has failed"));
    let _ = shop.knit(&["run", "wait", &one[..8]]).tells("is done");
    let _ = shop.refused(6, &["run", "wait", &other]);

    let removed = shop.user().start(["run", "wait", "--timeout", "1m", &other]);
    let _ = removed.finish().ended(6);
    let _ = shop.refused(4, &["run", "wait", "3b0f5a52-6c1e-4d0e-9a53-0d1f6f6b7c11"]);
}

#[test]
fn waiting_for_data_ends_when_there_are_enough() {
    let shop = Workshop::with(Setup::new());
    let _ = shop.refused(7, &["data", "wait", "-t", "is:made", "--timeout", "1s"]).tells("within 1s");
    let waiting = shop.user().start(["data", "wait", "-t", "is:made", "--count", "2", "--output", "name"]);
    let plan = PlanFile::shell("cp /in/it /out/").input("/in", &["a:b"]).output("/out", &["is:made"]);
    let plan = shop.apply(&plan);
    let _ = shop.push(&[("it", "x")], &["a:b"]);
    let _ = shop.only_run_reaches(&plan, "done");
    // The second becomes one by its tag alone.
    let second = shop.push(&[("it", "y")], &["is:pushed"]);
    let _ = shop.knit(&["data", "tag", "--add", "is:made", &second]);
    let found = waiting.finish().ok();
    assert_eq!(found.stdout.lines().count(), 2, "{found}");
    assert!(found.stdout.contains(&second));
}

#[test]
fn a_run_that_is_removed_while_it_is_waited_for_is_said_to_be_removed() {
    let shop = Workshop::with(Setup::new().logging("info,knitd=debug"));
    let plan = PlanFile::shell("true").input("/in", &["a:b"]).with("active", false.into());
    let plan = shop.apply(&plan);
    let _ = shop.push(&[("it", "x")], &["a:b"]);
    let run = id_of(&shop.only_run_reaches(&plan, "deactivated"), "runId");
    let waiting = shop.user().start(["run", "wait", &run]);
    // Only who has looked already is told by the stream.
    let log = || shop.server.log();
    knit_tests::wait::wait_until("it to wait for news", || log().matches("/api/events").count() > 0);
    let _ = shop.knit(&["run", "rm", &run]);
    let _ = waiting.finish().ended(6).tells(&format!("Run `{run}` was removed"));
}

#[test]
fn an_idle_stream_says_that_it_lives_and_how_far_it_has_looked() {
    let shop = Workshop::open();
    let _ = shop.push(&[("it", "x")], &["a:b"]);
    let mut connection = shop.server.http().connect();
    connection.head("GET", "/api/events?follow&type=RunFailed", &[]);
    assert_eq!(connection.response_head().status, 200);
    let mut heard = String::new();
    while !heard.contains("\n\n") {
        heard.push_str(&connection.read_text().expect("the stream stays open"));
    }
    let head = shop.server.http().get("/api/data").header("x-knit-position").expect("a position").to_owned();
    assert!(heard.contains(&format!(": nothing else\nid: {head}\n\n")), "{heard}");
}
