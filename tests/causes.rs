//! Auditing: who did what, because of what, and what it led to; seen from outside.

use knit_tests::plans::PlanFile;
use knit_tests::workshop::{Workshop, id_of};
use serde_json::Value;

/// A Plan whose Runs make something of what is tagged so.
fn plan(shop: &Workshop, takes: &str, makes: &str) -> String {
    shop.apply(&PlanFile::shell("cp /in/it /out/").input("/in", &[takes]).output("/out", &[makes]))
}

/// Two Plans, of which one takes what the other makes, and a Data that sets them off; answers the Data and both Runs.
fn two_runs(shop: &Workshop) -> (String, String, String) {
    let (first, second) = (plan(shop, "a:b", "is:made"), plan(shop, "is:made", "is:made-again"));
    let data = shop.push(&[("it", "x")], &["a:b"]);
    let run_of = |plan| id_of(&shop.only_run_reaches(plan, "done"), "runId");
    (data, run_of(&first), run_of(&second))
}

/// The lines of `knit audit log` with these words.
fn log(shop: &Workshop, words: &[&str]) -> Vec<Value> {
    let told = shop.knit(&[&["audit", "log"], words].concat()).stdout;
    told.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn texts<'v>(events: &'v [Value], field: &str) -> Vec<&'v str> {
    events.iter().map(|event| event[field].as_str().unwrap()).collect()
}

fn why(shop: &Workshop, what: &str) -> Value {
    shop.knit(&["audit", "why", what]).json()
}

#[test]
fn a_run_of_a_run_leads_back_to_the_tags_that_somebody_put_on_a_data() {
    let shop = Workshop::open();
    let (data, first, second) = two_runs(&shop);
    let told = why(&shop, &second);
    let causes = told["causes"].as_array().unwrap();
    let names = texts(causes, "type");
    assert_eq!((causes[0]["stream"]["id"].as_str(), names[0]), (Some(data.as_str()), "DataTagsChanged"));
    assert_eq!(texts(&causes[1..2], "type"), ["RunProjected"]);
    assert_eq!(causes[1]["stream"]["id"].as_str(), Some(first.as_str()));
    assert_eq!(names.last(), Some(&"RunSucceeded"), "{names:?}");
    assert_eq!(told["event"]["type"], "RunProjected");

    // Downwards from the tags, both Runs come up, each to its end; and nothing else.
    let tagged = why(&shop, &causes[0]["position"].to_string());
    let led_to = tagged["consequences"].as_array().unwrap();
    for run in [&first, &second] {
        let of_run: Vec<&str> =
            led_to.iter().filter(|event| event["stream"]["id"] == **run).map(|e| e["type"].as_str().unwrap()).collect();
        assert_eq!((of_run.first(), of_run.last()), (Some(&"RunProjected"), Some(&"RunSucceeded")), "{of_run:?}");
    }
    assert!(texts(led_to, "actor").iter().all(|actor| actor.starts_with("reactor:")));
    assert_eq!(tagged["causes"], Value::Array(Vec::new()));

    let yaml = shop.knit(&["audit", "why", "-o", "yaml", &second]).stdout;
    assert!(yaml.starts_with("event:\n  position: "), "{yaml}");

    let drawn = shop.knit(&["audit", "why", "-o", "text", &format!("run:{}", &second[..8])]).stdout;
    let arrow = drawn.lines().position(|line| line.starts_with("=> ")).expect("the event itself");
    assert_eq!(arrow, causes.len(), "{drawn}");
    assert!(drawn.lines().last().is_some_and(|line| line.contains("RunSucceeded")), "{drawn}");
}

#[test]
fn one_request_is_found_by_its_correlation_and_all_that_it_set_in_motion() {
    let shop = Workshop::open();
    let _ = two_runs(&shop);
    let tagged = log(&shop, &["--type", "DataTagsChanged"]).remove(0);
    let correlation = tagged["correlation"].as_str().unwrap();
    let all = log(&shop, &["--correlation", correlation]);
    assert_eq!(all[0]["type"], "DataTagsChanged");
    assert_eq!(texts(&all, "type").iter().filter(|name| **name == "RunSucceeded").count(), 2);
    assert!(all[1..].iter().all(|event| event["causation"].is_string()), "{all:#?}");
    let reactors = log(&shop, &["--correlation", correlation, "--actor", "reactor"]);
    assert_eq!(reactors, all[1..]);
    let finishing = log(&shop, &["--actor", "reactor:finishing"]);
    assert!(!finishing.is_empty() && texts(&finishing, "actor").iter().all(|actor| *actor == "reactor:finishing"));
}

#[test]
fn a_client_may_say_to_what_its_request_belongs() {
    let shop = Workshop::open();
    let data = shop.push(&[("it", "x")], &[]);
    let body = br#"{"add": [{"key": "a", "value": "b"}]}"#;
    let path = format!("/api/data/{data}");
    let headers = [("x-request-id", "nightly build"), ("content-type", "application/json")];
    assert_eq!(shop.server.http().send("PUT", &path, &headers, body).status, 200);
    let found = log(&shop, &["--correlation", "nightly build"]);
    assert_eq!(texts(&found, "type"), ["DataTagsChanged"]);
}

#[test]
fn the_log_is_asked_from_when_to_when() {
    let shop = Workshop::open();
    let _ = shop.push(&[("it", "x")], &["a:b"]);
    let all = log(&shop, &[]);
    assert_eq!(log(&shop, &["--since", "3", "--until", "5"]), all[2..5]);
    let at = all[4]["recordedAt"].as_str().unwrap();
    let since = log(&shop, &["--since", at]);
    assert!(texts(&since, "recordedAt").iter().all(|time| *time >= at) && since.contains(&all[4]), "{since:#?}");
    let before = all.iter().filter(|event| event["recordedAt"].as_str().unwrap() < at).count();
    assert_eq!(since, all[before..]);
    let _ = shop.refused(1, &["audit", "log", "--since", "1000000"]).tells("the log ends at position");
    let _ = shop.refused(1, &["audit", "log", "--until", "1000000"]).tells("the log ends at position");
}

#[test]
fn every_event_is_shown_with_a_seal_that_continues_the_one_before() {
    let shop = Workshop::open();
    let _ = shop.push(&[("it", "x")], &["a:b"]);
    let mut before = "0".repeat(64);
    for event in log(&shop, &[]) {
        let position = event["position"].to_string();
        let shown = shop.knit(&["audit", "show", &position]).json();
        assert_eq!(shown["event"], event);
        let seal = &shown["seal"];
        assert_eq!((&seal["leafHolds"], &seal["chainHolds"]), (&Value::Bool(true), &Value::Bool(true)), "{shown:#}");
        assert_eq!(seal["chainBefore"].as_str(), Some(before.as_str()));
        before = seal["chain"].as_str().unwrap().to_owned();
    }
    let _ = shop.refused(4, &["audit", "show", "1000000"]).tells("there is no event `1000000`");
    let _ = shop.refused(4, &["audit", "why", "0"]).tells("there is no event `0`");
    for nobodys in ["run:0fffffff", "0fffffff", "00000000", "run:12880076"] {
        let _ = shop.refused(4, &["audit", "why", nobodys]).tells("`knit run find` lists all Runs");
    }
    let _ = shop.refused(4, &["audit", "why", "12880076"]).tells("a Run whose id begins so is `run:12880076`");
    let yaml = shop.knit(&["audit", "why", "-o", "yaml", "1"]).stdout;
    assert!(!yaml.starts_with('{') && yaml.contains("event:\n  "), "{yaml}");
    for filter in ["--actor", "--entity", "--type", "--correlation"] {
        let _ = shop.refused(1, &["audit", "log", filter, ""]).tells("it is empty, and no event would fit");
    }
    let _ = shop.refused(4, &["audit", "why", "3b0f5a52-6c1e-4d0e-9a53-0d1f6f6b7c11"]).tells("there is no Run");
}

#[test]
fn a_run_that_was_removed_is_explained_and_who_removed_it_follows_from_nothing() {
    let shop = Workshop::open();
    let (_, _, second) = two_runs(&shop);
    let _ = shop.knit(&["run", "rm", &second]);
    let told = why(&shop, &second);
    assert_eq!(told["event"]["type"], "RunProjected");
    let deleted = log(&shop, &["--entity", &format!("run:{second}"), "--actor", "anonymous"]);
    let last = why(&shop, &deleted.last().expect("somebody removed it")["position"].to_string());
    assert_eq!(last["causes"], Value::Array(Vec::new()));
    assert_ne!(last["correlation"], told["correlation"]);
}
