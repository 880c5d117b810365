//! Observing a server: its figures, and the dashboard and the alerts that are made from them.

use std::collections::BTreeSet;
use std::fs;

use knit_tests::http::{Client, Response};
use knit_tests::openmetrics::Exposition;
use knit_tests::plans::PlanFile;
use knit_tests::server::{Server, Setup};
use knit_tests::wait::wait_until;
use knit_tests::workshop::Workshop;
use serde_json::Value;

use crate::architecture::root;

/// What Prometheus itself says of whatever it reads.
const OF_PROMETHEUS: [&str; 1] = ["up"];
/// How strongly an alert calls.
const SEVERITIES: [&str; 2] = ["critical", "warning"];
/// The chapter of the guide for administrators that says what to do about each alert.
const CHAPTER: &str = "docs/admin-guide.md#alerts";

fn figures(server: &Server) -> Exposition {
    let answer: Response = server.http().get("/metrics");
    assert_eq!(answer.status, 200, "{}", answer.text());
    Exposition::parse(&answer.text())
}

/// A workshop in which a Run has set off another, something was refused, and a third Run goes on for long.
fn after_some_work() -> Workshop {
    let shop = Workshop::open();
    let second = shop.apply(&PlanFile::shell("true").input("/in", &["is:made"]));
    let first = PlanFile::shell("echo made > /out/it").input("/in", &["a:b"]).output("/out", &["is:made"]);
    let _ = shop.apply(&first);
    let long = shop.apply(&PlanFile::shell("sleep 1000").input("/in", &["c:d"]));
    let data = shop.push(&[("it", "x")], &["a:b"]);
    shop.only_run_reaches(&second, "done");
    let _ = shop.push(&[("it", "y")], &["c:d"]);
    shop.only_run_reaches(&long, "running");
    let _ = shop.pull(&data);
    let _ = shop.refused(4, &["run", "show", "3b0f5a52-6c1e-4d0e-9a53-0d1f6f6b7c11"]);
    shop
}

#[test]
fn the_figures_tell_what_a_server_has_done_and_what_is_so() {
    let shop = after_some_work();
    let seen = figures(&shop.server);
    let figure = |name: &str, labels: &[(&str, &str)]| {
        seen.sum(name, labels).unwrap_or_else(|| panic!("there is a figure {name} {labels:?}"))
    };
    let events = figure("knitd_log_position", &[]);
    assert!(events > 20.0);
    // Nobody else has appended to this log.
    assert_eq!(figure("knitd_append_batch_events_sum", &[]), events);
    assert!(figure("knitd_append_seconds_count", &[]) >= figure("knitd_append_batch_seconds_count", &[]));
    for projection in ["store", "matcher", "worklists"] {
        assert_eq!(figure("knitd_projection_position", &[("projection", projection)]), events);
        assert_eq!(figure("knitd_projection_lag_events", &[("projection", projection)]), 0.0);
        assert_eq!(figure("knitd_projection_lag_seconds", &[("projection", projection)]), 0.0);
    }
    assert_eq!(figure("knitd_hop_seconds_count", &[]), 1.0, "one Run was set off by another");
    assert_eq!(figure("knitd_workers", &[("state", "running")]), 1.0);
    assert_eq!(figure("knitd_runs", &[("state", "running")]), 1.0);
    assert_eq!(figure("knitd_transfers_open", &[]), 0.0);
    assert!(figure("knitd_transfer_bytes_total", &[("direction", "in")]) > 100.0);
    assert!(figure("knitd_transfer_bytes_total", &[("direction", "out")]) > 50.0);
    let uploads = [("method", "POST"), ("route", "/api/data"), ("status", "200")];
    assert_eq!(figure("knitd_http_requests_total", &uploads), 2.0);
    assert_eq!(figure("knitd_http_request_seconds_count", &uploads[..2]), 2.0);
    assert!(figure("knitd_errors_total", &[("place", "api"), ("family", "refused")]) >= 1.0);
    assert_eq!(figure("knitd_errors_total", &[("place", "follower")]), 0.0, "{}", shop.server.log());
    assert_eq!(figure("knitd_role_active", &[]), 6.0, "one server has every role");
    assert!(figure("process_resident_memory_bytes", &[]) > 1e6 && figure("process_open_fds", &[]) > 3.0);
}

#[test]
fn what_nobody_does_is_told_to_be_due_and_since_when() {
    let roles = Setup::new().option("--role", "api,backend,projection");
    let shop = Workshop::with(roles);
    let plan = shop.apply(&PlanFile::shell("true").input("/in", &["a:b"]).output("/out", &["c:d"]));
    let _ = shop.push(&[("it", "x")], &["a:b"]);
    let _ = shop.the_run_of(&plan);
    let of = |name: &str, role: &str| figures(&shop.server).sum(name, &[("role", role)]);
    // That the Run is there is known a moment before what is to be done about it.
    wait_until("the Run to be due", || of("knitd_reactor_backlog", "initialize") == Some(1.0));
    assert_eq!(of("knitd_role_active", "initialize"), Some(0.0));
    assert_eq!(of("knitd_role_active", "projection"), Some(1.0));
    assert_eq!(of("knitd_reactor_backlog", "finishing"), Some(0.0));
    wait_until("the Run to be due for a while", || {
        of("knitd_reactor_oldest_due_seconds", "initialize").is_some_and(|seconds| seconds > 0.5)
    });
    wait_until("nothing to be at hand", || of("knitd_reactor_backlog", "projection") == Some(0.0));
}

#[test]
fn a_server_that_serves_nobody_tells_of_itself_where_it_is_asked_to() {
    let observed = || Setup::new().option("--metrics-listen", "127.0.0.1:0");
    let server = observed().option("--role", "housekeeping").start();
    assert!(figures(&server).sum("knitd_log_position", &[]).is_some_and(|position| position > 0.0));
    assert_eq!(server.http().get("/healthz").status, 200);
    for (method, target) in [("GET", "/api/data"), ("POST", "/api/plans"), ("GET", "/admin/projections")] {
        assert_eq!(server.http().ask(method, target).status, 404, "{method} {target}");
    }
    let stranger = server.http().send("GET", "/metrics", &[("Host", "example.org")], b"");
    assert_eq!(stranger.status, 403, "{}", stranger.text());

    // Beside the API it is another address, which knows nothing of the API.
    let server = observed().start();
    let log = server.log();
    let (_, beside) = log.split_once("figures on http://").expect("it says where");
    let beside = Client::new(beside.split('/').next().expect("an address").parse().expect("an address"));
    assert_eq!([beside.get("/readyz").status, beside.get("/metrics").status], [200, 200]);
    assert_eq!([beside.get("/api/data").status, server.http().get("/api/data").status], [404, 200]);
}

#[test]
fn what_clients_write_makes_no_new_figures_and_no_id_is_in_one() {
    let shop = after_some_work();
    let strange = |round: usize| {
        for number in 0..20 {
            let id = format!("{round:08x}-0000-4000-8000-{number:012x}");
            for path in [format!("/api/runs/{id}"), format!("/{id}"), format!("/api/data/{id}/lineage?depth={number}")]
            {
                let _ = shop.server.http().ask("GET", &path);
                let _ = shop.server.http().ask(&format!("M{round}X{number}"), &path);
            }
        }
    };
    strange(1);
    let before = figures(&shop.server);
    strange(2);
    let after = figures(&shop.server);
    let series = |seen: &Exposition| -> BTreeSet<String> {
        seen.samples().map(|sample| format!("{} {:?}", sample.name, sample.labels)).collect()
    };
    // Asking for the figures is counted as well, and the first answer does not know of itself.
    let new: Vec<String> = series(&after).difference(&series(&before)).cloned().collect();
    assert!(new.iter().all(|series| series.contains("\"/metrics\"")), "{new:#?}");
    let is_id = |value: &str| value.len() >= 32 && value.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
    for sample in after.samples() {
        assert!(!sample.labels.values().any(|value| is_id(value)), "{sample:?}");
    }
}

#[test]
fn the_dashboard_and_the_alerts_are_made_from_figures_that_there_are() {
    let seen = figures(&after_some_work().server);
    let known: BTreeSet<&str> = seen.samples().map(|sample| sample.name.as_str()).chain(OF_PROMETHEUS).collect();
    let told: Vec<(String, String)> = alerts()
        .iter()
        .map(|rule| (text(rule, "alert"), text(rule, "expr")))
        .chain(panels().into_iter().flat_map(|panel| {
            let queries = panel["targets"].as_array().expect("a panel asks something").clone();
            queries.into_iter().map(move |query| (text(&panel, "title"), text(&query, "expr")))
        }))
        .collect();
    for (name, expression) in &told {
        let named: Vec<&str> = names_in(expression);
        assert!(!named.is_empty(), "{name} asks for no figure: {expression}");
        let unknown: Vec<&&str> = named.iter().filter(|name| !known.contains(**name)).collect();
        assert!(unknown.is_empty(), "{name} asks for {unknown:?}, which no server tells");
        let pairs = |open, close| expression.matches(open).count() == expression.matches(close).count();
        assert!(pairs('(', ')') && pairs('{', '}') && pairs('[', ']'), "{name}: {expression}");
    }
    let shown: BTreeSet<&str> = told.iter().flat_map(|(_, expression)| names_in(expression)).collect();
    let untold = |family: &knit_tests::openmetrics::Family| !shown.iter().any(|name| name.starts_with(&family.name));
    let unused: Vec<&str> =
        seen.families().iter().filter(|family| untold(family)).map(|family| family.name.as_str()).collect();
    assert!(unused.is_empty(), "neither a panel nor an alert asks for {unused:?}");
}

#[test]
fn every_alert_says_how_bad_it_is_and_what_to_do() {
    let guide = fs::read_to_string(root().join("docs/admin-guide.md")).unwrap();
    for rule in alerts() {
        let name = text(&rule, "alert");
        assert!(SEVERITIES.contains(&text(&rule["labels"], "severity").as_str()), "{name}");
        for part in ["summary", "description", "action"] {
            assert!(text(&rule["annotations"], part).len() > 10, "{name} has a {part}");
        }
        assert_eq!(text(&rule["annotations"], "runbook"), CHAPTER, "{name}");
        assert!(guide.contains(&format!("| `{name}` |")), "{name} is in no row of the guide");
        assert!(!text(&rule, "for").is_empty(), "{name} waits before it calls");
    }
}

/// The alert rules.
fn alerts() -> Vec<Value> {
    let file = fs::read_to_string(root().join("docs/observe/alerts.yaml")).unwrap();
    let rules: Value = serde_yaml_ng::from_str(&file).expect("the rules are YAML");
    let groups = rules["groups"].as_array().expect("rules are in groups");
    groups.iter().flat_map(|group| group["rules"].as_array().expect("a group has rules").clone()).collect()
}

/// The panels of the dashboard that show something; a row only has a title.
fn panels() -> Vec<Value> {
    let file = fs::read_to_string(root().join("docs/observe/dashboard.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&file).expect("the dashboard is JSON");
    let panels = dashboard["panels"].as_array().expect("it has panels");
    panels.iter().filter(|panel| panel["type"] != "row").cloned().collect()
}

fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_else(|| panic!("{field} is a text in {value:#}")).to_owned()
}

/// The names of figures in a question to Prometheus.
fn names_in(expression: &str) -> Vec<&str> {
    let words = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words
        .filter(|word| word.starts_with("knitd_") || word.starts_with("process_") || OF_PROMETHEUS.contains(word))
        .collect()
}
