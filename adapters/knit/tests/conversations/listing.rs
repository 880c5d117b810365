//! How what was found is printed.

use serde_json::{Value, json};

use crate::data;
use crate::kit::Place;
use crate::server::{Reply, Server};

/// A server that finds two of everything.
fn two_of_each() -> Server {
    let run = |id: &str, status: &str, exit: Value| {
        json!({"runId": id, "status": status, "updatedAt": "2025-03-03T09:15:02.418+00:00", "exit": exit,
               "plan": {"planId": "0123456789", "image": "trainer:1", "args": ["train.py"]},
               "inputs": [], "outputs": [], "log": null})
    };
    let plan = |id: &str, active: bool| {
        json!({"planId": id, "image": "trainer:1", "args": ["train.py"], "active": active,
               "inputs": [{"path": "/in/a", "tags": ["knit#id:d1", "a:b"]}, {"path": "/in/b", "tags": ["c:d e"]}],
               "outputs": [{"path": "/out", "tags": ["type:model"]}]})
    };
    Server::start(move |request| {
        Reply::json(&match request.target.as_str() {
            "/api/data" => json!([
                data::detail("d1", &["knit#id:d1", "knit#timestamp:2025-03-03T09:15:02.418+00:00", "a:b", "c:d e"]),
                data::detail("d2-longer", &["knit#id:d2-longer", "knit#transient:failed"]),
            ]),
            "/api/plans" => json!([plan("p1", true), plan("p2", false)]),
            "/api/runs" => json!([
                run("r1", "failed", json!({"code": 3, "message": "no such file"})),
                run("r2", "waiting", Value::Null)
            ]),
            other => panic!("nobody asks for {other}"),
        })
    })
}

#[test]
fn each_kind_of_thing_is_printed_as_is_wanted() {
    let server = two_of_each();
    let place = Place::with(&server);
    let mut text = String::new();
    // One of the fields is not in every element.
    for (kind, fields) in [("data", "tags,knitId"), ("plan", "planId,name"), ("run", "exit,status")] {
        for how in [&["--output", "table"][..], &["--output", "name", "--limit", "1"], &["--json", fields]] {
            text += &place.knit(&[&[kind, "find"], how].concat()).to_string();
        }
    }
    text += &place.knit(&["run", "find", "--output", "yaml", "--limit", "1"]).to_string();
    insta::assert_snapshot!(text);
}

/// A server that finds two of everything, with ids as long as ids are and more to tell than 80 columns have.
fn two_of_each_at_length() -> Server {
    let id = |n: usize| format!("{n:08x}-619d-4429-afcd-de2db9e7a326");
    let run = move |n: usize| {
        json!({"runId": id(n), "status": "failed", "updatedAt": "2025-03-03T09:15:02.418+00:00",
               "exit": {"code": 3, "message": "(container main) Error"},
               "plan": {"planId": id(7), "image": "registry.example.com/trainer:1", "args": ["sh", "-c", "python train.py --epochs 30"]},
               "inputs": [], "outputs": [], "log": null})
    };
    let plan = move |n: usize| {
        json!({"planId": id(n), "image": "registry.example.com/trainer:1", "args": ["python", "train.py"], "active": true,
               "inputs": [{"path": "/in/a", "tags": ["project:harbor", "type:corpus", "lang:en"]}],
               "outputs": [{"path": "/out", "tags": ["project:harbor", "type:model"]}]})
    };
    let data = move |n: usize, state: &str| {
        let mut data = data::detail(
            &id(n),
            &["project:harbor", "type:corpus", "lang:en", state, "knit#timestamp:2025-03-03T09:15:02.418+00:00"],
        );
        data["upstream"]["run"]["plan"] = json!({"planId": id(7), "image": "registry.example.com/trainer:1"});
        data
    };
    Server::start(move |request| {
        Reply::json(&match request.target.as_str() {
            "/api/data" => json!([data(1, "a:b"), data(2, "knit#transient:failed")]),
            "/api/plans" => json!([plan(1), plan(2)]),
            "/api/runs" => json!([run(1), run(2)]),
            other => panic!("nobody asks for {other}"),
        })
    })
}

#[test]
fn on_a_narrow_terminal_ids_are_shortened_before_anything_is_cut_and_elsewhere_they_are_whole() {
    let server = two_of_each_at_length();
    let place = Place::with(&server);
    let kinds = ["data", "plan", "run"];
    let seen = kinds.map(|kind| place.on_80_columns(&[kind, "find"]));
    assert!(seen.iter().flat_map(|text| text.lines()).all(|line| line.chars().count() <= 80), "{}", seen.join("\n"));
    insta::assert_snapshot!(seen.join("\n"));
    for kind in kinds {
        let piped = place.knit(&[kind, "find", "--output", "table"]).succeeded().stdout;
        assert!(piped.contains("\n00000001-619d-4429-afcd-de2db9e7a326  "), "{piped}");
    }
}

/// A server that finds so many of everything, and tells when Plans were registered: the last by its id first.
fn many_of_each(number: usize) -> Server {
    let event = move |n: usize| {
        let id = format!("p{:03}", number - n);
        let event = json!({"position": n + 1, "eventId": format!("e{n}"), "recordedAt": "2025-03-03T09:15:02+00:00",
            "stream": {"type": "plan", "id": id}, "sequence": 1, "type": "PlanRegistered", "version": 1,
            "actor": "anonymous", "payload": {}});
        format!("id: {}\nevent: PlanRegistered\ndata: {event}\n\n", n + 1)
    };
    Server::start(move |request| {
        let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
        let last = query.split('&').find_map(|part| part.strip_prefix("last=")).and_then(|last| last.parse().ok());
        let all = |make: &dyn Fn(usize) -> Value| Value::from((0..number).map(make).collect::<Vec<_>>());
        let run = |n: usize| {
            json!({"runId": format!("r{n:03}"), "status": "done", "updatedAt": "2025-03-03T09:15:02.418+00:00",
                   "plan": {"planId": "p"}, "inputs": [], "outputs": [], "log": null})
        };
        let plan = |n: usize| json!({"planId": format!("p{:03}", n + 1), "inputs": [], "outputs": [], "active": true});
        match path {
            "/api/data" => Reply::json(&all(&|n| data::detail(&format!("d{n:03}"), &[]))),
            "/api/plans" => Reply::json(&all(&plan)),
            "/api/runs" => Reply::json(&all(&run)),
            // The one with the greatest id was registered first.
            "/api/ids" => Reply::json(&all(&|n| Value::from(format!("p{:03}", n + 1)))),
            "/api/events" => {
                let events: String = (number - last.unwrap_or(number).min(number)..number).map(event).collect();
                Reply::bytes(events).header("content-type", "text/event-stream")
            }
            other => panic!("nobody asks for {other}"),
        }
    })
}

#[test]
fn a_terminal_gets_a_screen_of_the_newest_and_is_told_how_many_there_are() {
    let server = many_of_each(1166);
    let place = Place::with(&server);
    for (kind, note, first, last) in [
        ("data", "1,166 Data in all; here are the newest 20: `--limit N`, `--limit 0` for all", "d1146 ", "d1165 "),
        ("run", "1,166 Runs in all; here are the newest 20: `--limit N`, `--limit 0` for all", "r1146 ", "r1165 "),
        ("plan", "1,166 Plans in all; here are the newest 20: `--limit N`, `--limit 0` for all", "p020 ", "p001 "),
    ] {
        let seen = place.on_80_columns(&[kind, "find"]);
        let lines: Vec<&str> = seen.lines().collect();
        assert_eq!((lines.len(), lines[0]), (22, note), "{seen}");
        assert!(lines[2].starts_with(first) && lines[21].starts_with(last), "{seen}");
        assert_eq!(place.on_80_columns(&[kind, "find", "--limit", "0"]).lines().count(), 1167);
        assert_eq!(place.on_80_columns(&[kind, "find", "--limit", "30"]).lines().count(), 31);
        let piped = |words: &[&str]| place.knit(&[&[kind, "find", "--output", "name"], words].concat()).succeeded();
        assert_eq!(piped(&[]).stdout.lines().count(), 1166);
        assert_eq!((piped(&["--limit", "0"]).stdout.lines().count(), piped(&[]).stderr.as_str()), (1166, ""));
    }
    assert_eq!(Place::with(&many_of_each(20)).on_80_columns(&["run", "find"]).lines().count(), 21, "no note");
}

#[test]
fn the_newest_plans_are_those_that_were_registered_last() {
    let server = many_of_each(30);
    let place = Place::with(&server);
    let found = place.knit(&["plan", "find", "--newest", "--limit", "2", "--output", "name"]).succeeded();
    assert_eq!(found.stdout, "p001\np002\n");
    assert_eq!(server.lines(), ["GET /api/plans", "GET /api/ids?of=plan&limit=100000"]);
    assert!(place.on_80_columns(&["plan", "find", "--newest"]).starts_with("30 Plans in all; here are the newest 20"));
}

#[test]
fn a_terminal_gets_a_screen_of_the_newest_events() {
    let server = many_of_each(300);
    let place = Place::with(&server);
    let seen = place.on_80_columns(&["events"]);
    assert_eq!(seen.lines().count(), 21, "{seen}");
    assert!(seen.starts_with("here are the newest 20 events: `--last N` for more, `--limit 0` for all\n"), "{seen}");
    assert!(seen.lines().nth(1).is_some_and(|line| line.trim_start().starts_with("281  ")), "{seen}");
    assert_eq!(place.on_80_columns(&["events", "--limit", "0"]).lines().count(), 300);
    assert_eq!(place.knit(&["events"]).succeeded().stdout.lines().count(), 300);
    assert_eq!(place.knit(&["events", "--limit", "7", "-o", "name"]).succeeded().stdout, "1\n2\n3\n4\n5\n6\n7\n");
    assert_eq!(
        place.knit(&["events", "--limit", "1", "--json", "type"]).succeeded().stdout,
        "{\"type\":\"PlanRegistered\"}\n"
    );
}

#[test]
fn what_an_event_says_has_a_line_of_its_own_on_a_narrow_terminal() {
    let told = |position: u64| {
        let event = json!({"position": position, "eventId": "e", "recordedAt": "2025-03-03T09:15:02.418+00:00",
            "stream": {"type": "data", "id": "6cd03965-619d-4429-afcd-de2db9e7a326"}, "sequence": 1,
            "type": "DataTagsChanged", "version": 1, "actor": "anonymous",
            "payload": {"added": [["project", "hello"]], "removed": []}});
        format!("id: {position}\nevent: DataTagsChanged\ndata: {event}\n\n")
    };
    let all: String = (1..=21).map(told).collect();
    let server = Server::start(move |_| Reply::bytes(all.clone()).header("content-type", "text/event-stream"));
    let seen = Place::with(&server).on_80_columns(&["events"]);
    assert!(seen.starts_with("here are the newest 10 events"), "{seen}");
    let end = "      21  2025-03-03 09:15:02  DataTagsChanged       data 6cd03965  by anonymous\n          \
               {\"added\":[[\"project\",\"hello\"]],\"removed\":[]}\n";
    assert!(seen.ends_with(end), "{seen}");
}

#[test]
fn built_in_plans_whose_ids_begin_alike_are_told_by_ids_that_can_be_typed() {
    let alike = ["6b6e6974-0000-8000-8000-000000000001", "6b6e6974-0000-8000-8000-000000000002"];
    let plan = |id: &str| json!({"planId": id, "name": "knit#uploaded", "active": true, "inputs": [], "outputs": []});
    let mut plans: Vec<Value> = alike.map(plan).into();
    plans.extend((0..25).map(|n| plan(&format!("{n:08}-0000-4000-8000-000000000000"))));
    let server = Server::start(move |request| match request.target.as_str() {
        "/api/plans" => Reply::json(&json!(plans)),
        _ => Reply::error(503, "128 streams of events are open already"),
    });
    let seen = Place::with(&server).on_80_columns(&["plan", "find", "--limit", "3"]);
    assert!(
        alike.iter().all(|id| seen.contains(id)) && seen.lines().any(|line| line.starts_with("00000000  ")),
        "{seen}"
    );
    // One of them is left out, and is there all the same.
    let seen = Place::with(&server).on_80_columns(&["plan", "find", "--limit", "1"]);
    assert!(seen.contains(alike[0]) && !seen.contains(alike[1]), "{seen}");
    let seen = Place::with(&server).on_80_columns(&["plan", "find"]);
    assert!(seen.starts_with("27 Plans in all; here are the first 20"), "their order is not known: {seen}");
}

#[test]
fn a_field_that_nothing_has_is_told_before_anything_is_asked() {
    let server = two_of_each();
    let told = Place::with(&server).knit(&["run", "find", "--json", "runId,state"]);
    assert_eq!((told.code, told.stdout.as_str()), (2, ""));
    assert!(told.stderr.contains("there is no such field, but runId, status, updatedAt"), "{told}");
    assert_eq!(server.lines(), Vec::<String>::new());
}

#[test]
fn a_limit_counts_what_is_printed() {
    let server = two_of_each();
    let found = Place::with(&server).knit(&["data", "find", "--transient", "yes", "--limit", "1"]).succeeded();
    assert!(found.stdout.contains("d2-longer") && !found.stdout.contains("\"d1\""), "{found}");
}

#[test]
fn what_is_newest_comes_first_where_that_is_wanted() {
    let server = two_of_each();
    let place = Place::with(&server);
    let found = |words: &[&str]| place.knit(words).succeeded().stdout;
    assert_eq!(found(&["data", "find", "-o", "name"]), "d1\nd2-longer\n");
    assert_eq!(found(&["data", "find", "-o", "name", "--newest"]), "d2-longer\nd1\n");
    assert_eq!(found(&["run", "find", "--newest", "--limit", "1", "--output", "name"]), "r2\n");
    assert!(found(&["run", "find", "--newest", "--json", "runId", "--limit", "1"]).contains("r2"));
}

#[test]
fn a_table_of_nothing_says_so() {
    let server = Server::start(|_| Reply::json(&json!([])));
    let place = Place::with(&server);
    let found = place.knit(&["run", "find", "--output", "table"]).succeeded();
    assert_eq!((found.stdout.as_str(), found.stderr.as_str()), ("", "nothing found\n"));
    assert_eq!(place.knit(&["run", "find", "--output", "name"]).succeeded().stderr, "");
}
