//! Ids that are typed in part.

use serde_json::json;

use crate::data::detail;
use crate::kit::Place;
use crate::server::{Reply, Server};

const ONE: &str = "6cd03965-619d-4429-afcd-de2db9e7a326";
const OTHER: &str = "6cd04111-0000-4429-afcd-de2db9e7a326";

/// A server that knows two Data and nothing else.
fn with_two() -> Server {
    Server::start(|request| match request.target.split_once("prefix=") {
        Some((_, prefix)) => {
            Reply::json(&[ONE, OTHER].into_iter().filter(|id| id.starts_with(prefix)).collect::<Vec<_>>().into())
        }
        None if request.target.ends_with(ONE) => Reply::json(&detail(ONE, &["a:b"])),
        None => Reply::error(404, "not found"),
    })
}

#[test]
fn the_beginning_of_an_id_does_where_it_fits_only_one() {
    let server = with_two();
    Place::with(&server).knit(&["data", "tag", "--add", "a:b", "6cd039"]).succeeded();
    assert_eq!(server.lines(), ["GET /api/ids?of=data&ever=&prefix=6cd039".to_owned(), format!("PUT /api/data/{ONE}")]);
}

#[test]
fn of_several_ids_that_begin_so_none_is_guessed() {
    let server = with_two();
    let told = Place::with(&server).knit(&["data", "tag", "--add", "a:b", "6cd0"]);
    assert_eq!((told.code, told.stdout.as_str()), (1, ""));
    assert!(told.stderr.contains("`6cd0` is the beginning of several ids of Data\n"), "{told}");
    assert!(told.stderr.contains(ONE) && told.stderr.contains(OTHER), "{told}");
    assert_eq!(server.lines().len(), 1, "nothing is changed");
}

#[test]
fn what_fits_nothing_or_cannot_be_completed_is_asked_for_as_it_is() {
    let server = with_two();
    let place = Place::with(&server);
    assert_eq!(place.knit(&["data", "tag", "--add", "a:b", "beef"]).code, 4);
    let original = Server::start(|request| match request.target.as_str() {
        "/api/runs/beef" => {
            Reply::json(&json!({"runId": "beef", "status": "done", "updatedAt": "2025-03-03T09:15:02.418+00:00",
            "plan": {"planId": "p1", "image": "a:1"}, "inputs": [], "outputs": [], "log": null}))
        }
        _ => Reply::error(404, "Not Found"),
    });
    Place::with(&original).knit(&["run", "show", "beef"]).succeeded();
}

#[test]
fn a_whole_id_is_not_asked_for_twice() {
    let server = with_two();
    Place::with(&server).knit(&["data", "tag", "--add", "a:b", ONE]).succeeded();
    assert_eq!(server.lines(), [format!("PUT /api/data/{ONE}")]);
}

/// A server that knows one Data and one Plan, and no Runs.
fn with_one_of_each() -> Server {
    Server::start(|request| match request.target.split_once("prefix=") {
        Some((_, prefix)) if prefix.starts_with(|c: char| !c.is_ascii_hexdigit()) => Reply::error(400, "bad request"),
        Some((_, prefix)) => {
            let found: Vec<&str> = [ONE].into_iter().filter(|id| id.starts_with(prefix)).collect();
            Reply::json(&found.into())
        }
        None => Reply::json(&json!([])).header("x-knit-position", "9"),
    })
}

#[test]
fn an_id_in_a_filter_that_the_server_does_not_know_is_told_and_the_answer_stays() {
    let server = with_one_of_each();
    let place = Place::with(&server);
    let mut text = String::new();
    for words in [
        &["run", "find", "-p", ONE, "-i", OTHER][..],
        &["run", "find", "-o", "run-1"],
        &["run", "find", "-p", "beef", "--as-of", "7"],
        &["data", "find", "-t", "knit#id:6cd0"],
        &["plan", "find", "-i", &format!("knit#id:{OTHER}")],
        &["data", "find", "-t", &format!("knit#id:{ONE}"), "-t", "a:b"],
    ] {
        text += &format!("{}\n", place.knit(words).succeeded());
    }
    insta::assert_snapshot!(text);
    assert_eq!(place.knit(&["run", "find", "-p", OTHER, "--quiet"]).succeeded().stderr, "");
}

#[test]
fn where_the_server_cannot_tell_which_ids_there_are_nothing_is_said() {
    let original = Server::start(|request| match request.target.split_once('?') {
        Some(("/api/ids", _)) => Reply::error(404, "Not Found"),
        _ => Reply::json(&json!([])),
    });
    let told = Place::with(&original).knit(&["run", "find", "-p", OTHER]).succeeded();
    assert_eq!((told.stdout.as_str(), told.stderr.as_str()), ("[]\n", ""));
}

#[test]
fn an_id_of_another_kind_is_told() {
    let server = Server::start(|request| match request.target.split_once('?') {
        Some(("/api/ids", "of=run&prefix=6cd03965-619d-4429-afcd-de2db9e7a326")) => Reply::json(&json!([ONE])),
        Some(("/api/ids", _)) => Reply::json(&json!([])),
        _ => Reply::error(404, "not found\nthere is no such thing"),
    });
    let place = Place::with(&server);
    let told = place.knit(&["data", "show", ONE]);
    assert_eq!(told.code, 4);
    let hint = format!("hint: `{ONE}` is the id of a Run: `knit run show {ONE}`\n");
    assert!(told.stderr.ends_with(&hint), "{told}");
    assert!(!place.knit(&["data", "show", OTHER]).stderr.contains("is the id of"));
}
