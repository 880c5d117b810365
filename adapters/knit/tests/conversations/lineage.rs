//! `knit data lineage` and `knit data path`.

use serde_json::{Value, json};

use crate::kit::Place;
use crate::server::{Reply, Server};

/// An upload made `raw`, `split` made `train` and `test` of it, and two Runs trained on `train`, one
/// of which failed; one Data lies beyond the depth.
fn graph() -> Value {
    let run = |id: &str, plan: &str, status: &str, inputs: &[(&str, &str)], outputs: &[(&str, &str)]| {
        let edges = |edges: &[(&str, &str)]| -> Value {
            edges.iter().map(|(path, id)| json!({"path": path, "knitId": id})).collect()
        };
        json!({"runId": id, "status": status, "updatedAt": "2025-03-03T10:02:47.05+00:00", "planId": plan,
               "inputs": edges(inputs), "outputs": edges(outputs)})
    };
    let mut failed = run("r-fail", "p-train", "failed", &[("/in \"quoted\"", "train")], &[("/out", "model-2")]);
    failed["exit"] = json!({"code": 2, "message": ""});
    failed["log"] = json!("log-2");
    json!({
        "start": "train",
        "data": [
            {"knitId": "train", "tags": ["knit#id:train", "knit#timestamp:2025-03-03T09:15:02.4+00:00", "a<b:\"c\"", "type:train"]},
            {"knitId": "raw", "tags": ["knit#id:raw"]},
            {"knitId": "test", "tags": ["type:test"]},
            {"knitId": "model", "tags": ["type:model"]},
            {"knitId": "model-2", "tags": ["knit#transient:failed"]},
            {"knitId": "log-2", "tags": []}
        ],
        "runs": [
            run("r-split", "p-split", "done", &[("/in", "raw")], &[("/out/train", "train"), ("/out/test", "test")]),
            run("r-upload", "p-upload", "done", &[], &[("/upload", "raw")]),
            run("r-train", "p-train", "running", &[("/in", "train"), ("/again", "train"), ("/far", "beyond")], &[("/out", "model")]),
            failed
        ],
        "plans": [
            {"planId": "p-split", "image": "split:v1"},
            {"planId": "p-upload", "name": "knit#uploaded"},
            {"planId": "p-train", "image": "train:v1"}
        ],
        "cut": ["model"]
    })
}

#[test]
fn one_request_is_drawn_as_dot_when_piped() {
    let server = Server::start(|_| Reply::json(&graph()));
    let place = Place::with(&server);
    let drawn = place.knit(&["data", "lineage", "train"]).succeeded();
    insta::assert_snapshot!(drawn);
    assert_eq!(server.lines(), ["GET /api/data/train/lineage?direction=both&depth=3"]);
}

#[test]
fn directions_and_depth_are_asked_for() {
    let server = Server::start(|_| Reply::json(&graph()));
    let place = Place::with(&server);
    for words in [&["-u"][..], &["-d", "-n", "all"], &["-u", "-d", "-n", "all", "-n", "2"], &["-u=false", "-d=false"]] {
        let mut all = vec!["data", "lineage"];
        all.extend(words);
        all.push("train");
        place.knit(&all).succeeded();
    }
    let asked = ["up&depth=3", "down&depth=all", "both&depth=2", "both&depth=3"];
    assert_eq!(server.lines(), asked.map(|asked| format!("GET /api/data/train/lineage?direction={asked}")));
}

#[test]
fn a_tree_is_for_people() {
    let server = Server::start(|_| Reply::json(&graph()));
    insta::assert_snapshot!(Place::with(&server).knit(&["data", "lineage", "-o", "tree", "train"]));
}

#[test]
fn what_a_filter_selects_is_in_the_tree_wherever_it_is() {
    let mut filtered = graph();
    filtered["data"] = json!([filtered["data"][0], {"knitId": "far", "tags": ["type:far"]}]);
    let server = Server::start(move |_| Reply::json(&filtered));
    let words = ["data", "lineage", "-n", "all", "-o", "tree", "-t", "type:far", "train"];
    let tree = Place::with(&server).knit(&words).succeeded().stdout;
    let end = "… beyond what is not shown\n\
               └─ Data far  type:far\n\
               … not drawn: 1 of 4 Runs (--unfold draws all)\n";
    assert!(tree.ends_with(end), "{tree}");
}

#[test]
fn json_is_the_graph_itself() {
    let server = Server::start(|_| Reply::json(&graph()));
    let printed = Place::with(&server).knit(&["data", "lineage", "-o", "json", "train"]).succeeded();
    assert_eq!(serde_json::from_str::<Value>(&printed.stdout).unwrap(), graph());
}

/// The same story as an original server tells it, piece by piece.
fn piece_by_piece(target: &str) -> Reply {
    type Edges = &'static [(&'static str, &'static str)];
    let run = |id: &str| {
        let (inputs, outputs): (Edges, Edges) = match id {
            "r-upload" => (&[], &[("/upload", "raw")]),
            "r-split" => (&[("/in", "raw")], &[("/out/train", "train"), ("/out/test", "test")]),
            "r-train" => (&[("/in", "train")], &[("/out", "model")]),
            "r-eval" => (&[("/in", "model")], &[("/out", "")]),
            _ => return None,
        };
        let points = |points: &[(&str, &str)]| -> Value {
            points.iter().map(|(path, id)| json!({"path": path, "tags": [], "knitId": id})).collect()
        };
        Some(json!({"runId": id, "status": "done", "updatedAt": "2025-03-03T10:02:47+00:00",
                    "plan": {"planId": format!("plan of {id}"), "image": "image:v1"},
                    "inputs": points(inputs), "outputs": points(outputs), "log": null}))
    };
    let data = |id: &str| {
        let (producer, consumers): (&str, &[&str]) = match id {
            "raw" => ("r-upload", &["r-split"]),
            "train" => ("r-split", &["r-train"]),
            "test" => ("r-split", &[]),
            "model" => ("r-train", &["r-eval"]),
            _ => return json!([]),
        };
        let point = json!({"path": "/x", "tags": []});
        let uses = consumers.iter().map(|id| json!({"mountpoint": point, "run": run(id)}));
        json!([{"knitId": id, "tags": [format!("knit#id:{id}")], "nomination": [],
                "upstream": {"mountpoint": point, "run": run(producer)}, "downstreams": uses.collect::<Value>()}])
    };
    if let Some(id) = target.strip_prefix("/api/data?tag=knit%23id%3A") {
        Reply::json(&data(id))
    } else if let Some(run) = target.strip_prefix("/api/runs/").and_then(run) {
        Reply::json(&run)
    } else {
        Reply::error(404, "Not Found")
    }
}

#[test]
fn an_original_server_is_walked_node_by_node() {
    let server = Server::start(|request| piece_by_piece(&request.target));
    let place = Place::with(&server);
    insta::assert_snapshot!(place.knit(&["data", "lineage", "-n", "1", "-o", "tree", "train"]));
    insta::assert_snapshot!(server.lines().join("\n"));
    let all = place.knit(&["data", "lineage", "-n", "all", "-o", "json", "train"]).succeeded();
    let graph: Value = serde_json::from_str(&all.stdout).unwrap();
    assert_eq!((graph["data"].as_array().unwrap().len(), graph["runs"].as_array().unwrap().len()), (4, 4));
    assert_eq!(graph["cut"], json!([]));
}

#[test]
fn a_path_is_looked_for_node_by_node_on_an_original_server() {
    let server = Server::start(|request| piece_by_piece(&request.target));
    let place = Place::with(&server);
    insta::assert_snapshot!(place.knit(&["data", "path", "-o", "tree", "model", "raw"]));
    let back = place.knit(&["data", "path", "-o", "json", "raw", "model"]).succeeded();
    let graph: Value = serde_json::from_str(&back.stdout).unwrap();
    let ids =
        |list: &str, id: &str| graph[list].as_array().unwrap().iter().map(|one| one[id].clone()).collect::<Value>();
    assert_eq!(
        (ids("data", "knitId"), ids("runs", "runId")),
        (json!(["raw", "train", "model"]), json!(["r-split", "r-train"]))
    );
    let none = place.knit(&["data", "path", "test", "model"]);
    assert!(none.code == 4 && none.stderr.contains("was made of the other"), "{none}");
    let past = place.knit(&["data", "path", "--as-of", "7", "raw", "model"]);
    assert!(past.code == 1 && past.stderr.contains("cannot answer about another time"), "{past}");
}

#[test]
fn the_past_is_not_followed() {
    let server = Server::start(|request| piece_by_piece(&request.target));
    let place = Place::with(&server);
    for words in [["data", "lineage", "raw"], ["run", "lineage", "r-split"], ["plan", "graph", "p"]] {
        let refused = place.knit(&[&words[..], &["--follow", "--as-of", "7"]].concat());
        assert!(refused.code == 2 && refused.stderr.contains("never changes"), "{refused}");
    }
    assert!(server.lines().is_empty(), "nothing is asked");
}

#[test]
fn an_unknown_data_is_not_found_whichever_way_it_is_asked_for() {
    let ours = Server::start(|_| Reply::error(404, "not found"));
    let answer = Place::with(&ours).knit(&["data", "lineage", "nobody"]);
    insta::assert_snapshot!(answer);
    assert_eq!(ours.lines().len(), 1);
    let original = Server::start(|request| piece_by_piece(&request.target));
    let again = Place::with(&original).knit(&["data", "lineage", "nobody"]);
    assert_eq!((again.code, again.stdout, again.stderr), (answer.code, answer.stdout, answer.stderr));
}
