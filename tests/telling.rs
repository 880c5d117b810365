//! What a server tells while it runs: spans for whoever collects them, and one line for each failure.

use std::fs;

use knit_tests::collector::{Collector, Span};
use knit_tests::http::Client;
use knit_tests::plans::PlanFile;
use knit_tests::port::Port;
use knit_tests::server::Setup;
use knit_tests::wait::wait_for;
use knit_tests::workshop::Workshop;

/// A trace of a client, and the span within it that asks.
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const ASKING: &str = "00f067aa0ba902b7";

fn with_spans_to(url: &str) -> Workshop {
    Workshop::with(Setup::new().option("--otlp-endpoint", url))
}

fn has(span: &Span, attribute: &str, value: &str) -> bool {
    span.attributes.get(attribute).is_some_and(|given| given == value)
}

#[test]
fn spans_tell_what_was_done_and_go_on_with_the_trace_of_the_client() {
    let collector = Collector::listening();
    let mut shop = with_spans_to(&collector.url());
    let plan = shop.apply(&PlanFile::shell("true").input("/in", &["a:b"]).output("/out", &["c:d"]));
    let set_off = shop.apply(&PlanFile::shell("exit 0").input("/in", &["e:f"]));
    let data = shop.push(&[("it", "x")], &["a:b"]);
    shop.only_run_reaches(&plan, "done");
    let _ = shop.pull(&data);
    let traced = format!("00-{TRACE}-{ASKING}-01");
    let change = br#"{"add": ["e:f"]}"#;
    let headers = [("traceparent", traced.as_str()), ("Content-Type", "application/json")];
    let answer = Client::new(shop.server.address()).send("PUT", &format!("/api/data/{data}"), &headers, change);
    assert_eq!(answer.status, 200, "{}", answer.text());
    shop.only_run_reaches(&set_off, "done");
    // What is not sent yet is sent before it ends.
    assert!(shop.server.stop().success());

    let requests = collector.spans("request");
    let asked = requests.iter().find(|span| span.trace == TRACE).expect("the request belongs to the trace");
    assert_eq!(asked.parent, ASKING);
    assert!(has(asked, "http.route", "/api/data/{id}") && has(asked, "http.status", "200"), "{asked:?}");
    let correlation =
        format!("{}-{}-{}-{}-{}", &TRACE[..8], &TRACE[8..12], &TRACE[12..16], &TRACE[16..20], &TRACE[20..]);
    assert!(has(asked, "correlation", &correlation), "{asked:?}");
    // What reactors do about it is no part of the request, and is found by what both belong to.
    for reactor in ["projection", "initialize", "run-management", "finishing"] {
        let spans = collector.spans("react");
        let mut spans = spans.iter().filter(|span| has(span, "reactor", reactor));
        assert!(spans.any(|span| has(span, "correlation", &correlation)), "{reactor}: {:#?}", collector.spans("react"));
    }
    for (name, attribute, value) in [
        ("append", "events", "1"),
        ("fold", "events", "1"),
        ("react", "reactor", "run-management"),
        ("react", "reactor", "projection"),
        ("react", "reactor", "finishing"),
        ("transfer", "direction", "in"),
        ("transfer", "direction", "out"),
    ] {
        let spans = collector.spans(name);
        assert!(spans.iter().any(|span| has(span, attribute, value)), "{name} with {attribute} {value} in {spans:#?}");
    }
    let uploads: Vec<Span> =
        collector.spans("transfer").into_iter().filter(|span| has(span, "direction", "in")).collect();
    assert!(has(&uploads[0], "data.id", &data), "{uploads:?}");
    let within = requests.iter().find(|span| span.id == uploads[0].parent).expect("it is part of a request");
    assert!(has(within, "http.method", "POST"), "{within:?}");
}

#[test]
fn a_collector_that_is_away_is_no_trouble() {
    let nobody = Port::claim();
    let mut shop = with_spans_to(&format!("http://{}", nobody.address()));
    let data = shop.push(&[("it", "x")], &["a:b"]);
    assert!(shop.pull(&data).join("it").exists());
    wait_for("it to be told", || shop.server.log().contains("takes no spans, so they are dropped").then_some(()));
    assert!(shop.server.stop().success());
    let log = shop.server.log();
    assert_eq!(log.matches("takes no spans").count(), 1, "{log}");
    assert!(!log.contains(" opentelemetry"), "{log}");
}

#[test]
fn what_is_no_address_of_a_collector_is_refused_at_the_start() {
    let said = Setup::new().option("--otlp-endpoint", "no address").refused();
    assert!(said.contains("http://HOST:4318"), "{said}");
}

#[test]
fn a_failure_is_told_in_one_line_with_the_request_that_met_it() {
    let shop = Workshop::open();
    let data = shop.push(&[("it", "x")], &["a:b"]);
    // Behind the server's back, as a disk loses it.
    let volumes = fs::read_dir(shop.server.state_dir().join("volumes")).unwrap();
    let volume = volumes.flatten().map(|entry| entry.path()).find(|path| path.to_string_lossy().contains(&data));
    let volume = volume.expect("the Data has a volume");
    fs::rename(&volume, shop.server.desk().join("lost")).unwrap();
    let target = format!("/api/data/{data}");
    let answer = Client::new(shop.server.address()).send("GET", &target, &[("x-request-id", "nightly build")], b"");
    assert_eq!(answer.status, 500, "{}", answer.text());
    let told = wait_for("the failure to be told", || {
        let log = shop.server.log();
        let told: Vec<String> = log.lines().filter(|line| line.contains(" ERROR ")).map(str::to_owned).collect();
        (!told.is_empty()).then_some(told)
    });
    assert_eq!(told.len(), 1, "{told:#?}");
    for part in ["GET", &target, "correlation=", "it was removed behind the server"] {
        assert!(told[0].contains(part), "{part} in {}", told[0]);
    }
}
