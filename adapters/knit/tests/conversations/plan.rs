//! `knit plan …`.

use serde_json::{Value, json};

use crate::kit::Place;
use crate::server::{Reply, Request, Server};

fn detail(active: bool) -> Value {
    json!({
        "planId": "p1", "image": "registry.example.com:5000/nlp/train:v3", "annotations": ["owner=alice"],
        "inputs": [{"path": "/in/corpus", "tags": ["type:corpus"], "upstreams": []}],
        "outputs": [{"path": "/out/model", "tags": ["type:model"], "downstreams": []}],
        "log": {"tags": ["type:log"], "downstreams": []},
        "active": active,
        "on_node": {"may": [], "prefer": [], "must": ["accelerator=gpu"]},
        "resources": {"cpu": "1", "memory": "1Gi"}
    })
}

const PLAN_FILE: &str = "\
image: registry.example.com:5000/nlp/train:v3
inputs:
  - path: /in/corpus
    tags: [\"type:corpus\", {key: project, value: sentiment}]
outputs:
  - {path: /out/model, tags: [\"type:model\"]}
log: {tags: []}
resources: {memory: 4096Mi}
version: 3
";

fn matches(inputs: &Value, held: &Value) -> impl Fn(&Request) -> Reply + Send + Sync + 'static {
    let matches = json!({"planId": "p1", "inputs": inputs, "pending": 0, "held": held, "removed": if held.is_null() { 0 } else { 2 }});
    move |request| match request.target.as_str() {
        "/api/plans/p1" => Reply::json(&detail(true)),
        _ => Reply::json(&matches),
    }
}

#[test]
fn a_plan_file_becomes_a_plan_and_keys_without_effect_are_warned_about() {
    let server = Server::start(|_| Reply::json(&detail(true)));
    let place = Place::with(&server);
    place.write("plan.yaml", PLAN_FILE);
    insta::assert_snapshot!(place.knit(&["plan", "apply", "plan.yaml"]));
    let request = &server.requests()[0];
    assert_eq!(request.line(), "POST /api/plans");
    assert_eq!(request.header("content-type"), "application/json");
    insta::assert_snapshot!("the_request_of_plan_apply", String::from_utf8_lossy(&request.body));
}

#[test]
fn a_plan_file_with_a_misspelt_key_is_not_registered() {
    let server = Server::start(|_| Reply::json(&detail(true)));
    let place = Place::with(&server);
    place
        .write("plan.yaml", PLAN_FILE.replace("log:", "logs:").replace("outputs:", "ouputs:").replace("tags:", "tag:"));
    insta::assert_snapshot!(place.knit(&["plan", "apply", "plan.yaml"]));
    assert_eq!(server.lines(), [""; 0]);
}

#[test]
fn limits_with_which_nothing_can_run_are_warned_about() {
    let server = Server::start(|_| Reply::json(&detail(true)));
    let place = Place::with(&server);
    place.write("plan.yaml", "image: ab\nresources: {memory: 200m, cpu: -1}\n");
    let told = place.knit(&["plan", "apply", "plan.yaml"]).succeeded().stderr;
    assert_eq!(
        told,
        "warning: plan.yaml: `cpu: -1` is negative: no Run can have that\n\
         warning: plan.yaml: `memory: 200m` is 1 byte, too little for any Run; a mebibyte is written `1Mi`\n"
    );
    let told = place.knit(&["plan", "resource", "--set", "memory=200m", "p1"]).succeeded().stderr;
    assert!(told.starts_with("warning: `memory: 200m` is 1 byte"), "{told}");
}

#[test]
fn a_plan_may_come_from_standard_input() {
    let server = Server::start(|_| Reply::json(&detail(true)));
    let answer = Place::with(&server).knit_with_input(&["plan", "apply", "-"], "{\"image\": \"ab\", \"inputs\": null}");
    assert_eq!(answer.succeeded().stderr, "");
    assert!(String::from_utf8_lossy(&server.requests()[0].body).contains("\"image\":\"ab\""));
}

#[test]
fn an_equivalent_plan_is_named() {
    let server = Server::start(|_| Reply::error(409, "there are equiverent plan").header("x-knit-see", "p0"));
    let place = Place::with(&server);
    place.write("plan.yaml", "image: ab\n");
    insta::assert_snapshot!(place.knit(&["plan", "apply", "plan.yaml"]));
}

#[test]
fn what_is_wrong_with_a_plan_is_said_as_the_server_says_it() {
    let server = Server::start(|_| {
        Reply::error(400, "bad request\nan input needs at least one tag\n caused by:input /in has no tags")
    });
    let place = Place::with(&server);
    place.write("plan.yaml", "image: ab\n");
    insta::assert_snapshot!(place.knit(&["plan", "apply", "plan.yaml"]));
}

#[test]
fn a_file_that_is_no_plan_is_refused_here() {
    let place = Place::new();
    place.write("unquoted.yaml", "image: ab\ninputs:\n  - path: /in\n    tags:\n      - type: corpus\n");
    place.write("twice.yaml", "image: ab\nimage: cd\n");
    place.write("quantity.yaml", "image: ab\nresources: {cpu: many}\n");
    place.write("tabs.yaml", "image: ab\ninputs:\n\t- path: /in\n");
    place.write("map.yaml", "image: ab\ninputs:\n  path: /in\n");
    place.write("list.yaml", "- image: ab\n");
    place.write("text.yaml", "image: ab\ninputs: [/in]\n");
    place.write("nodes.yaml", "image: ab\non_node: [a=b]\n");
    place.write("empty.yaml", "# to be written\n");
    let files = ["unquoted", "twice", "quantity", "tabs", "map", "list", "text", "nodes", "empty", "missing"];
    let mut text = String::new();
    for file in files.map(|name| format!("{name}.yaml")) {
        text += &format!("{}\n", place.knit(&["plan", "apply", &file]));
    }
    insta::assert_snapshot!(text);
}

#[test]
fn what_a_server_refuses_of_a_file_is_said_with_its_name_and_what_to_try() {
    let place = Place::new();
    place.write("my plan.yaml", "image: ab\n");
    let mut text = String::new();
    for (status, message) in [
        (400, "bad request\ninput `/in` has no tag"),
        (400, "bad request\n`days` should be a number from 1 to 3653"),
        (409, "plan spec conflics with others\nthe Plan would feed itself"),
    ] {
        let server = Server::start(move |request| match request.method.as_str() {
            "GET" => Reply::json(&json!([])),
            _ => Reply::error(status, message),
        });
        let url = server.url();
        text += &format!("{}\n", place.knit(&["--server", &url, "plan", "apply", "my plan.yaml"]));
    }
    text += &place.knit_with_input(&["plan", "apply", "-"], "# nothing\n").to_string();
    insta::assert_snapshot!(text);
}

#[test]
fn plans_are_found_by_activity_image_and_tags() {
    let server = Server::start(|_| Reply::json(&json!([])));
    let place = Place::with(&server);
    place.knit(&["plan", "find"]).succeeded();
    place
        .knit(&["plan", "find", "--active", "yes", "--image", "repo:5000/a/b", "-i", "a:b", "-i", "c:d", "-o", "e:f"])
        .succeeded();
    place.knit(&["plan", "find", "--active=false", "--image", "ubuntu:22.04", "--active", "no"]).succeeded();
    assert_eq!(
        server.lines(),
        [
            "GET /api/plans",
            "GET /api/plans?active=true&image=repo%3A5000%2Fa%2Fb%3A&in_tag=a%3Ab&in_tag=c%3Ad&out_tag=e%3Af",
            "GET /api/plans?active=false&image=ubuntu%3A22.04",
        ]
    );
}

#[test]
fn activity_is_changed_by_put_and_delete() {
    let server = Server::start(|request| Reply::json(&detail(request.method == "PUT")));
    let place = Place::with(&server);
    assert!(place.knit(&["plan", "active", "yes", "p1"]).succeeded().stdout.contains("\"active\": true"));
    assert!(place.knit(&["plan", "active", "no", "p1"]).succeeded().stdout.contains("\"active\": false"));
    assert_eq!(server.lines(), ["PUT /api/plans/p1/active", "DELETE /api/plans/p1/active"]);
}

#[test]
fn a_plan_that_matches_is_shown_without_notes() {
    let fed = json!([{"path": "/in/corpus", "tags": ["type:corpus"], "candidates": 3, "missing": []}]);
    let server = Server::start(matches(&fed, &Value::Null));
    let place = Place::with(&server);
    assert_eq!(place.knit(&["plan", "show", "p1"]).succeeded().stderr, "");
    assert_eq!(server.lines(), ["GET /api/plans/p1", "GET /api/plans/p1/matches"]);
}

#[test]
fn a_plan_that_cannot_match_says_so() {
    let inputs = json!([
        {"path": "/in/a", "tags": [], "candidates": 0, "missing": ["type:corpus", "lang:en"]},
        {"path": "/in/b", "tags": [], "candidates": 0, "nearest": "d7", "missing": ["lang:en"]},
        {"path": "/in/c", "tags": [], "candidates": 0, "missing": ["type:model"], "producible": true},
        {"path": "/in/d", "tags": [], "candidates": 0, "nearest": "d8", "missing": ["knit#id:x"]},
        {"path": "/in/e", "tags": [], "candidates": 1},
        {"path": "/in/f", "tags": [], "candidates": 0, "missing": ["knit#id:x", "lang:en"]},
        {"path": "/in/g", "tags": [], "candidates": 0, "missing": ["type:model"], "producible": true, "producers": [
            {"planId": "p2", "pending": 3, "failed": 0},
            {"planId": "p3", "pending": 0, "failed": 2, "removed": 1},
            {"planId": "p4", "pending": 0, "failed": 0}
        ]}
    ]);
    let server = Server::start(matches(&inputs, &json!("10000 Runs of it have not ended yet")));
    insta::assert_snapshot!(Place::with(&server).knit(&["plan", "show", "p1"]).stderr);
}

#[test]
fn a_tag_that_is_nearly_another_is_asked_about_and_no_data_is_to_be_given_it() {
    let inputs = json!([{
        "path": "/in", "tags": ["project:helo"], "candidates": 0, "nearest": "d7", "missing": ["project:helo"],
        "misspelt": [{"tag": "project:helo", "meant": "project:hello"}]
    }]);
    let server = Server::start(matches(&inputs, &Value::Null));
    let told = Place::with(&server).knit(&["plan", "show", "p1"]).succeeded().stderr;
    assert!(told.contains("note: there is `project:hello`: is `project:helo` misspelt?\n"), "{told}");
    assert!(told.contains("register a corrected one, and `knit plan active no p1`"), "{told}");
    assert!(!told.contains("knit data tag"), "{told}");
}

#[test]
fn what_a_user_wrote_is_quoted_where_it_is_to_be_pasted() {
    let wanted = ["n:'; echo PWNED; '"];
    let unfed =
        |nearest| json!([{"path": "/in", "tags": wanted, "candidates": 0, "nearest": nearest, "missing": wanted}]);
    let quoted = r"'n:'\''; echo PWNED; '\'''";
    for (nearest, hint) in [
        (Some("d7"), format!("`knit data tag --add {quoted} d7`")),
        (None, format!("`knit data push -t {quoted} SOURCE`")),
    ] {
        let server = Server::start(matches(&unfed(nearest), &Value::Null));
        let place = Place::with(&server);
        let shown = place.knit(&["plan", "show", "p1"]).succeeded().stderr;
        assert!(shown.contains(&hint), "{shown}");
        let why_not = place.knit(&["plan", "why-not", "-o", "text", "p1"]).succeeded().stdout;
        assert!(why_not.contains(&hint), "{why_not}");
    }
    let missing = Server::start(|_| Reply::error(404, "there is no attempt 3 of it"));
    let told = Place::with(&missing).knit(&["run", "show", "--attempt", "3", "$(echo PWNED)"]).stderr;
    assert!(!told.contains("show $(echo"), "{told}");
}

#[test]
fn a_data_is_to_be_tagged_only_where_that_would_be_of_use() {
    let input = |path: &str, lacks: &[&str], unusable: Option<&str>| {
        json!({
            "path": path, "tags": ["is:a"], "candidates": 1, "missing": [], "verdict": {
                "knitId": "d7", "fits": lacks.is_empty() && unusable.is_none(), "lacks": lacks, "unusable": unusable,
                "madeBy": "r1", "runs": [], "runsCount": 0
            }
        })
    };
    let why_not = |inputs: [Value; 2]| {
        let server = Server::start(matches(&json!(inputs), &Value::Null));
        Place::with(&server).knit(&["plan", "why-not", "--data", "d7", "-o", "text", "p1"]).succeeded().stdout
    };
    let fits_one = why_not([input("/a", &[], None), input("/b", &["is:b"], None)]);
    assert!(fits_one.contains("does not fit /b") && !fits_one.contains("knit data tag"), "{fits_one}");
    let fits_none = why_not([input("/a", &["is:a", "is:c"], None), input("/b", &["is:b"], None)]);
    assert_eq!(fits_none.matches("knit data tag").count(), 1, "{fits_none}");
    assert!(fits_none.contains("knit data tag --add 'is:b' d7"), "{fits_none}");
    let failed = why_not([input("/a", &["is:a"], Some("failed")), input("/b", &["is:b"], Some("failed"))]);
    assert_eq!((failed.matches("cannot be used").count(), failed.matches("knit data tag").count()), (1, 0), "{failed}");
}

#[test]
fn an_original_server_cannot_explain_and_that_is_no_error() {
    let server = Server::start(|request| match request.target.as_str() {
        "/api/plans/p1" => Reply::json(&detail(false)),
        _ => Reply::error(404, "Not Found"),
    });
    let shown = Place::with(&server).knit(&["plan", "show", "p1"]).succeeded();
    insta::assert_snapshot!(shown.stderr);
}

#[test]
fn resources_are_set_and_unset_in_one_request() {
    let plan = json!({"planId": "p1", "image": "ab:1", "inputs": [], "outputs": [], "active": true});
    let server = Server::start(move |_| Reply::json(&plan));
    let place = Place::with(&server);
    let change = ["plan", "resource", "--set", "cpu=500m", "-s", "memory=2Gi", "-s", "cpu=2", "-u", "gpu", "p1"];
    place.knit(&change).succeeded();
    assert_eq!(server.lines(), ["PUT /api/plans/p1/resources"]);
    let sent: serde_json::Value = serde_json::from_slice(&server.requests()[0].body).unwrap();
    assert_eq!(sent, json!({"set": {"cpu": "2", "memory": "2Gi"}, "unset": ["gpu"]}));
    let mut text = place.knit(&["plan", "resource", "p1"]).to_string();
    text += &place.knit(&["plan", "resource", "--set", "cpu", "p1"]).to_string();
    text += &place.knit(&["plan", "resource", "--set", "cpu=many", "p1"]).to_string();
    assert_eq!(server.lines().len(), 1);
    insta::assert_snapshot!(text);
}

#[test]
fn a_service_account_is_set_by_put_and_removed_by_delete() {
    let server = Server::start(|_| Reply::json(&detail(true)));
    let place = Place::with(&server);
    let told = place.knit(&["plan", "serviceaccount", "--set", "trainer", "p1"]).succeeded();
    assert!(told.stdout.contains("\"planId\": \"p1\"") && told.stderr.contains("is changed"), "{told}");
    place.knit(&["plan", "serviceaccount", "--unset", "p1"]).succeeded();
    assert_eq!(server.lines(), ["PUT /api/plans/p1/serviceaccount", "DELETE /api/plans/p1/serviceaccount"]);
    let sent: Value = serde_json::from_slice(&server.requests()[0].body).unwrap();
    assert_eq!(sent, json!({"service_account": "trainer"}));
    for wrong in [&["--set=", "p1"][..], &["p1"], &["--set", "x", "--unset", "p1"]] {
        let words = [&["plan", "serviceaccount"], wrong].concat();
        assert_eq!(place.knit(&words).code, 2, "{wrong:?}");
    }
    assert_eq!(server.lines().len(), 2);
}

#[test]
fn annotations_are_changed_in_one_request() {
    let server = Server::start(|_| Reply::json(&detail(true)));
    let place = Place::with(&server);
    let change = ["plan", "annotate", "--add", "owner = me", "--add", "note=a=b", "--remove", "owner=you"];
    let told = place.knit(&[&change[..], &["--remove-key", "draft", "p1"]].concat()).succeeded();
    assert!(told.stdout.contains("\"planId\": \"p1\"") && told.stderr.contains("are changed"), "{told}");
    assert_eq!(server.lines(), ["PUT /api/plans/p1/annotations"]);
    let sent: Value = serde_json::from_slice(&server.requests()[0].body).unwrap();
    let expected = json!({"add": ["owner=me", "note=a=b"], "remove": ["owner=you"], "remove_key": ["draft"]});
    assert_eq!(sent, expected);
    let told = place.knit(&["plan", "annotate", "--remove-key", "owner=you", "p1"]).succeeded();
    assert!(told.stderr.contains("`--remove 'owner=you'` removes that one"), "{told}");
    assert_eq!(place.knit(&["plan", "annotate", "--add", "owner", "p1"]).code, 1);
    assert_eq!(server.lines().len(), 2);
}

#[test]
fn a_plan_is_drafted_from_scratch_or_from_an_image_without_a_server() {
    let place = Place::new();
    let mut text = place.knit(&["plan", "template", "--scratch"]).to_string();
    place.write("knitenv", "tag: ['project:harbor']\nresource: {cpu: 500m}\n");
    let config = json!({"os": "linux", "architecture": "arm64", "rootfs": {},
                        "config": {"Entrypoint": ["python", "-m", "train"], "Cmd": ["/in/frames", "/out"]}});
    let manifest = json!([{"Config": "c.json", "RepoTags": ["trainer:1"], "Layers": []}]);
    let mut image = tar::Builder::new(Vec::new());
    for (name, content) in [("c.json", config.to_string()), ("manifest.json", manifest.to_string())] {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        image.append_data(&mut header, name, content.as_bytes()).unwrap();
    }
    place.write("image.tar", image.into_inner().unwrap());
    text += &place.knit(&["plan", "template", "--input", "image.tar"]).to_string();
    text += &place.knit(&["plan", "template", "--input", "image.tar", "other"]).to_string();
    text += &place.knit(&["plan", "template", "--input", "knitenv"]).to_string();
    text += &place.knit(&["plan", "template", "--scratch", "trainer:1"]).to_string();
    insta::assert_snapshot!(text);
}

#[test]
fn an_id_that_nothing_has_is_not_said_to_be_lacking_other_tags() {
    let server = Server::start(|request| match request.target.as_str() {
        "/api/plans/p1" => Reply::json(&detail(true)),
        "/api/plans/p1/matches" => Reply::json(&json!({"planId": "p1", "pending": 0, "held": null, "inputs": [{
            "path": "/in/1", "tags": ["project:x", "knit#id:d9"], "candidates": 0, "nearest": null,
            "missing": ["project:x", "knit#id:d9"], "producible": false
        }]})),
        other => panic!("nobody asks for {other}"),
    });
    let told = Place::with(&server).knit(&["plan", "show", "p1"]).succeeded().stderr;
    assert!(told.contains("there is no Data `d9`, and none gets that id later"), "{told}");
    assert!(!told.contains("project:x"), "{told}");
}

#[test]
fn a_plan_with_as_many_runs_as_it_may_have_does_not_say_that_all_is_done() {
    let fits = json!([{"path": "/in", "tags": ["type:corpus"], "candidates": 101, "missing": [], "producible": false}]);
    let server = Server::start(matches(&fits, &json!("10000 of its Runs have not ended")));
    let told = Place::with(&server).knit(&["plan", "why-not", "-o", "text", "p1"]).succeeded();
    assert!(told.stdout.contains("have to wait for theirs"), "{told}");
    assert!(told.stdout.contains("no further Runs are made: 10000 of its Runs have not ended"), "{told}");
    assert!(!told.stdout.contains("gets it now"), "{told}");
}

#[test]
fn a_plan_that_is_switched_off_is_told_which_of_its_many_runs_would_wait() {
    let data: Vec<Value> = (1..=6)
        .map(|number| json!({"knitId": format!("d{number}"), "tags": ["is:raw", format!("name:scan-{number}"), "knit#id:x"]}))
        .collect();
    let first: Vec<Value> = (1..=6).map(|number| json!([{"path": "/in", "knitId": format!("d{number}")}])).collect();
    let forecast = json!({
        "asOf": 40, "runs": 12_000, "atOnce": 10_000, "data": data, "first": first,
        "inputs": [{"path": "/in", "tags": ["is:raw"], "candidates": 12_000, "missing": []}],
        "past": {"before": 2, "exact": true, "days": [{"day": "2025-03-02", "runs": 0}, {"day": "2025-03-03", "runs": 1}]}
    });
    let server = Server::start(move |request| match request.target.as_str() {
        target if target.starts_with("/api/ids") => Reply::json(&json!([])),
        _ => Reply::json(&forecast),
    });
    let place = Place::with(&server);
    place.write("plan.yaml", "image: trainer:1\nactive: false\ninputs: [{path: /in, tags: ['is:raw']}]\n");
    let told = place.knit(&["plan", "apply", "--dry-run", "--days", "2", "-o", "text", "plan.yaml"]);
    insta::assert_snapshot!(told.succeeded());
}
