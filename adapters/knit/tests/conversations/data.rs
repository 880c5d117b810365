//! `knit data find` and `knit data tag`.

use serde_json::json;

use crate::kit::Place;
use crate::server::{Reply, Server};

/// A Data as the wire has it.
pub(crate) fn detail(knit_id: &str, tags: &[&str]) -> serde_json::Value {
    json!({
        "knitId": knit_id,
        "tags": tags,
        "upstream": {
            "mountpoint": {"path": "/upload", "tags": []},
            "run": {
                "runId": "r-upload", "status": "done", "updatedAt": "2025-03-03T09:15:02.418+00:00",
                "plan": {"planId": "p-upload", "name": "knit#uploaded"}
            }
        },
        "downstreams": [],
        "nomination": [],
        "from": "a later version"
    })
}

#[test]
fn a_whole_tag_is_hardly_a_key() {
    let data = json!({
        "knitId": "d1", "tags": [], "downstreams": [], "nomination": [],
        "upstream": {"mountpoint": {"path": "/upload", "tags": []}, "run": {
            "runId": "r1", "status": "done", "updatedAt": "2025-03-03T10:02:47.05+00:00",
            "plan": {"planId": "p0", "name": "knit#uploaded"}
        }}
    });
    let server = Server::start(move |_| Reply::json(&data));
    let told = Place::with(&server).knit(&["data", "tag", "--remove-key", "kind:rate", "d1"]).succeeded().stderr;
    assert!(told.starts_with("warning: `kind:rate` looks like a whole Tag"), "{told}");
    assert!(told.contains("`--remove 'kind:rate'` removes that Tag"), "{told}");
}

#[test]
fn found_data_are_printed_as_an_array_of_known_fields() {
    let server = Server::start(|_| Reply::json(&json!([detail("d1", &["knit#id:d1", "say:\"hi\" <&>"])])));
    let find =
        ["data", "find", "-t", "type:a b", "--tag=knit#id:d1", "--since", "2025-03-03T10+09:00", "--duration", "90m"];
    insta::assert_snapshot!(Place::with(&server).knit(&find));
    let request =
        "GET /api/data?tag=type%3Aa+b&tag=knit%23id%3Ad1&since=2025-03-03T10%3A00%3A00%2B09%3A00&duration=1h30m0s";
    assert_eq!(server.lines()[0], request);
}

#[test]
fn nothing_found_is_an_empty_array() {
    let server = Server::start(|_| Reply::json(&json!([])));
    let found = Place::with(&server).knit(&["data", "find"]).succeeded();
    assert_eq!((found.stdout.as_str(), found.stderr.as_str()), ("[]\n", ""));
    assert_eq!(server.lines(), ["GET /api/data"]);
}

#[test]
fn transient_data_are_told_apart_here_and_not_by_the_server() {
    let server = Server::start(|_| {
        Reply::json(&json!([detail("usable", &["a:b"]), detail("coming", &["knit#transient:processing"])]))
    });
    let place = Place::with(&server);
    for (choice, expected) in
        [("both", [true, true]), ("yes", [false, true]), ("true", [false, true]), ("no", [true, false])]
    {
        let found = place.knit(&["data", "find", "--transient", choice]).succeeded();
        let shown = ["\"usable\"", "\"coming\""].map(|id| found.stdout.contains(id));
        assert_eq!(shown, expected, "{choice}");
    }
    assert!(server.lines().iter().all(|line| line == "GET /api/data"));
}

#[test]
fn a_tag_change_is_one_request_and_its_outcome_a_log_entry() {
    let server = Server::start(|_| Reply::json(&detail("d1", &["knit#id:d1", "type:corpus"])));
    let change = ["data", "tag", "--add", "type:corpus", "--remove", "a:b:c", "--remove-key", "draft", "d1"];
    insta::assert_snapshot!(Place::with(&server).knit(&change));
    let request = &server.requests()[0];
    assert_eq!(request.line(), "PUT /api/data/d1");
    assert_eq!(request.header("content-type"), "application/json");
    assert_eq!(
        serde_json::from_slice::<serde_json::Value>(&request.body).unwrap(),
        json!({
            "add": [{"key": "type", "value": "corpus"}],
            "remove": [{"key": "a", "value": "b:c"}],
            "remove_key": ["draft"]
        })
    );
}

#[test]
fn a_tag_change_is_one_line_on_a_terminal_however_much_the_data_is_used() {
    let server = Server::start(|_| Reply::json(&detail("d1", &["knit#id:d1", "type:corpus"])));
    let change = ["data", "tag", "--add", "type:corpus", "--remove-key", "draft", "d1"];
    let told = Place::with(&server).on_80_columns(&change);
    let end = " Data `d1`: added `type:corpus`, removed `draft:…`; its tags: `type:corpus`\n";
    assert!(told.starts_with("[knit data tag] ") && told.ends_with(end) && told.lines().count() == 1, "{told}");
}

#[test]
fn an_id_names_only_itself() {
    let server = Server::start(|_| Reply::error(404, "not found"));
    let answer = Place::with(&server).knit(&["data", "tag", "../runs/x?y#z"]);
    assert_eq!(answer.code, 4);
    assert_eq!(server.lines(), ["PUT /api/data/..%2Fruns%2Fx%3Fy%23z"]);
}

#[test]
fn a_data_with_many_uses_is_told_in_a_few_lines_to_people_and_whole_to_programs() {
    let mut data = detail("d1", &["is:hub", "knit#id:d1", "knit#timestamp:2025-03-03T09:15:02.418+00:00"]);
    let uses = (1..=250).map(|number| {
        json!({"mountpoint": {"path": "/in", "tags": []}, "run": {
            "runId": format!("r{number}"), "status": "done", "updatedAt": "2025-03-03T10:02:47.05+00:00",
            "plan": {"planId": "p1", "image": "trainer:1"}
        }})
    });
    data["downstreams"] = uses.collect();
    data["nomination"] = json!([{"path": "/in", "tags": [], "plan": {"planId": "p1", "image": "trainer:1"}}]);
    let server = Server::start(move |_| Reply::json(&data));
    let place = Place::with(&server);
    insta::assert_snapshot!(place.on_a_terminal(&["data", "show", "d1"]).replace('\r', ""));
    let piped = place.knit(&["data", "show", "d1"]).succeeded().stdout;
    assert!(piped.contains("\"r250\"") && place.knit(&["data", "show", "-o", "json", "d1"]).stdout == piped);
}
