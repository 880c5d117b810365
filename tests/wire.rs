//! The wire is the original's: shapes, statuses, headers and trailers, byte for byte where clients look.

use knit_tests::archive::{Archive, checksum};
use knit_tests::http::Response;
use knit_tests::plans::PlanFile;
use knit_tests::workshop::{Workshop, id_of, output_of};
use serde_json::{Value, json};

/// Lower-case UUID of 36 characters.
#[track_caller]
fn assert_id(value: &Value) {
    let text = value.as_str().expect("an id is a text");
    let is_hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    let parts: Vec<usize> = text.split('-').map(str::len).collect();
    assert!(parts == [8, 4, 4, 4, 12] && text.chars().all(|c| c == '-' || is_hex(c)), "not an id: {text}");
}

/// RFC 3339 with a numeric offset and at most milliseconds, without zeros at their end.
#[track_caller]
fn assert_date(text: &str) {
    let (date, offset) = text.split_at(text.len() - "+00:00".len());
    assert!(offset.starts_with('+') && offset[3..].starts_with(':'), "a date has a numeric offset: {text}");
    let (seconds, fraction) = date.split_once('.').unwrap_or((date, "1"));
    assert!(seconds.len() == "2025-03-03T09:15:02".len() && seconds.as_bytes()[10] == b'T', "not a date: {text}");
    assert!((1..=3).contains(&fraction.len()) && !fraction.ends_with('0'), "milliseconds at most, no zeros: {text}");
}

/// A Data, the Plan it fits, and the Run that took it.
struct Made {
    shop: Workshop,
    data: String,
    plan: String,
    run: Value,
}

fn made() -> Made {
    let shop = Workshop::open();
    let plan = PlanFile::shell("echo ok > /out/model/m")
        .input("/in/corpus", &["type:corpus", "project:sentiment"])
        .output("/out/model", &["type:model", "project:sentiment"])
        .log(&["type:log"])
        .with("annotations", json!(["owner = alice", "b=2", "b=1"]))
        .with("resources", json!({"memory": "1024Mi", "cpu": 0.5}))
        .with("on_node", json!({"prefer": ["vram=large"]}));
    let plan = shop.apply(&plan);
    let data = shop.push(&[("it", "x")], &["type:corpus", "project:sentiment"]);
    let run = shop.only_run_reaches(&plan, "done");
    Made { shop, data, plan, run }
}

fn plan_summary(plan_id: &str) -> Value {
    json!({
        "planId": plan_id,
        "image": "host:latest",
        "entrypoint": ["sh", "-c"],
        "args": ["echo ok > /out/model/m"],
        "annotations": ["b=1", "b=2", "owner=alice"],
    })
}

#[test]
fn a_data_has_the_shape_of_the_wire() {
    let Made { shop, data, plan, run } = made();
    let found = shop.server.http().get(&format!("/api/data?tag=knit%23id%3A{data}"));
    assert_eq!((found.status, found.header("content-type")), (200, Some("application/json")));
    assert!(found.body.ends_with(b"]\n"), "JSON ends with one newline");
    let upstream = found.json()[0]["upstream"]["run"].clone();
    let timestamp = upstream["updatedAt"].as_str().expect("a date is a text").to_owned();
    [&upstream["runId"], &upstream["plan"]["planId"]].into_iter().for_each(assert_id);
    [&timestamp, run["updatedAt"].as_str().expect("a date is a text")].into_iter().for_each(assert_date);
    let mountpoint = json!({"path": "/in/corpus", "tags": ["project:sentiment", "type:corpus"]});
    let summary = json!({
        "runId": run["runId"], "status": "done", "updatedAt": run["updatedAt"],
        "exit": {"code": 0, "message": ""}, "plan": plan_summary(&plan),
    });
    let expected = json!([{
        "knitId": data,
        "tags": [format!("knit#id:{data}"), format!("knit#timestamp:{timestamp}"), "project:sentiment", "type:corpus"],
        "upstream": {
            "mountpoint": {"path": "/upload", "tags": []},
            "run": {
                "runId": upstream["runId"], "status": "done", "updatedAt": timestamp,
                "plan": {"planId": upstream["plan"]["planId"], "name": "knit#uploaded"},
            },
        },
        "downstreams": [{"mountpoint": mountpoint, "run": summary}],
        "nomination": [{"path": "/in/corpus", "tags": ["project:sentiment", "type:corpus"], "plan": plan_summary(&plan)}],
    }]);
    assert_eq!(found.json(), expected);
}

#[test]
fn a_log_is_a_data_of_its_run() {
    let Made { shop, run, .. } = made();
    let log = shop.data(&id_of(&run["log"], "knitId")).expect("a log is a Data");
    assert_eq!(log["upstream"]["log"], json!({"tags": ["type:log"]}));
    assert_eq!(log["upstream"].get("mountpoint"), None, "a log has no mountpoint");
    assert_eq!(log["upstream"]["run"]["runId"], run["runId"]);
}

#[test]
fn a_plan_has_the_shape_of_the_wire() {
    let Made { shop, plan, .. } = made();
    let judging =
        PlanFile::shell("true").input("/in/model", &["type:model"]).with("resources", json!({"x.io/y": "1500Mi"}));
    let judging = shop.apply(&judging);
    let mut expected = plan_summary(&plan);
    let more = json!({
        "inputs": [{"path": "/in/corpus", "tags": ["project:sentiment", "type:corpus"], "upstreams": []}],
        "outputs": [{
            "path": "/out/model", "tags": ["project:sentiment", "type:model"],
            "downstreams": [{
                "plan": {"planId": judging, "image": "host:latest", "entrypoint": ["sh", "-c"], "args": ["true"]},
                "mountpoint": {"path": "/in/model", "tags": ["type:model"]},
            }],
        }],
        "log": {"tags": ["type:log"], "downstreams": []},
        "active": true,
        "on_node": {"may": [], "prefer": ["vram=large"], "must": []},
        "resources": {"cpu": "500m", "memory": "1Gi"},
    });
    expected.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    assert_eq!(shop.server.http().get(&format!("/api/plans/{plan}")).json(), expected);

    let shown = shop.server.http().get(&format!("/api/plans/{judging}")).json();
    let upstream = json!({"plan": plan_summary(&plan), "mountpoint": {"path": "/out/model", "tags": ["project:sentiment", "type:model"]}});
    assert_eq!(shown["inputs"][0]["upstreams"], json!([upstream]));
    assert_eq!(
        shown["resources"],
        json!({"cpu": "1", "memory": "1Gi", "x.io/y": "1500Mi"}),
        "cpu and memory by default"
    );
    assert_eq!(shown.get("log"), None, "a Plan without a log has no such field");
}

#[test]
fn a_run_has_the_shape_of_the_wire() {
    let Made { shop, data, plan, run } = made();
    assert_id(&run["runId"]);
    let expected = json!({
        "runId": run["runId"], "status": "done", "updatedAt": run["updatedAt"],
        "exit": {"code": 0, "message": ""}, "plan": plan_summary(&plan),
        "inputs": [{"path": "/in/corpus", "tags": ["project:sentiment", "type:corpus"], "knitId": data}],
        "outputs": [{"path": "/out/model", "tags": ["project:sentiment", "type:model"], "knitId": output_of(&run, "/out/model")}],
        "log": {"tags": ["type:log"], "knitId": id_of(&run["log"], "knitId")},
    });
    assert_eq!(run, expected);
    let upload = shop.data(&data).unwrap()["upstream"]["run"]["runId"].clone();
    let upload = shop.run(upload.as_str().unwrap());
    assert_eq!(upload.get("exit"), None, "an upload has no exit");
    assert_eq!(upload["log"], Value::Null, "a Run without a log says null");
    assert_eq!(upload["outputs"], json!([{"path": "/upload", "tags": [], "knitId": data}]));
}

#[test]
fn the_built_in_plans_are_there_and_have_no_image() {
    let shop = Workshop::open();
    let plans = shop.server.http().get("/api/plans").json();
    let plans = plans.as_array().expect("finding answers a list");
    let mut named: Vec<(&str, &str)> = Vec::new();
    for plan in plans {
        let (name, path) = (plan["name"].as_str().unwrap(), plan["outputs"][0]["path"].as_str().unwrap());
        let outputs = json!([{"path": path, "tags": [], "downstreams": []}]);
        assert_eq!(
            *plan,
            json!({"planId": plan["planId"], "name": name, "inputs": [], "outputs": outputs, "active": true})
        );
        named.push((name, path));
    }
    named.sort_unstable();
    assert_eq!(named, [("knit#imported", "/imported"), ("knit#uploaded", "/upload")]);
}

#[test]
fn every_path_is_served_with_and_without_a_last_slash() {
    let Made { shop, data, plan, run } = made();
    let run = id_of(&run, "runId");
    let http = shop.server.http();
    let mut paths = vec!["/api/data".to_owned(), "/api/plans".to_owned(), "/api/runs".to_owned()];
    paths.extend([format!("/api/plans/{plan}"), format!("/api/plans/{plan}/matches"), format!("/api/runs/{run}")]);
    paths.extend([
        format!("/api/runs/{run}/log"),
        format!("/api/runs/{run}/attempts"),
        format!("/api/data/{data}/lineage"),
    ]);
    for path in paths {
        let (without, with) = (http.get(&path), http.get(&format!("{path}/?")));
        assert_eq!((without.status, with.status), (200, 200), "{path}");
        assert_eq!(without.body, with.body, "{path}");
        assert!(with.header("location").is_none(), "no redirect: {path}");
    }
    let activated = http.ask("PUT", &format!("/api/plans/{plan}/active/"));
    assert_eq!(activated.status, 200, "a PUT is served with a slash too");
    assert_eq!(http.get(&format!("/api/data/{data}/")).status, 200, "a download is served with a slash too");
}

#[test]
fn unknown_paths_and_methods_are_refused_in_the_words_of_the_wire() {
    let shop = Workshop::open();
    let http = shop.server.http();
    for path in ["/api/nothing", "/api", "/api/data/x/y/z", "/favicon.ico"] {
        let missing = http.get(path);
        assert_eq!((missing.status, missing.message().as_str()), (404, "Not Found"), "{path}");
        assert_eq!(missing.header("content-type"), Some("application/json"));
    }
    for (method, path) in
        [("DELETE", "/api/data"), ("HEAD", "/api/data"), ("POST", "/api/runs"), ("PATCH", "/api/plans/x")]
    {
        let mut connection = http.connect();
        connection.head(method, path, &[]);
        let refused = connection.response_head();
        assert_eq!(refused.status, 405, "{method} {path}");
        assert!(
            refused.header("allow").is_some_and(|allow| allow.contains("GET")),
            "{method} {path} says what is allowed"
        );
    }
    assert_eq!(http.ask("POST", "/api/runs").message(), "Method Not Allowed");
    let options = http.ask("OPTIONS", "/api/plans");
    assert_eq!((options.status, options.header("allow")), (204, Some("OPTIONS, GET, POST")));
}

#[test]
fn a_download_is_chunked_with_its_checksum_behind_it_and_holds_no_directories() {
    let shop = Workshop::open();
    let archive = Archive::new().file("sub/deep/file", b"x").file("top", b"y").symlink("link", "top").gzip();
    let data = id_of(&shop.server.http().upload(&archive, &[]).json(), "knitId");
    let sent = shop.server.http().get(&format!("/api/data/{data}"));
    assert_eq!((sent.status, sent.complete), (200, true));
    assert_eq!(sent.header("content-type"), Some("application/tar+gzip"));
    assert_eq!(sent.header("transfer-encoding"), Some("chunked"));
    assert_eq!(sent.header("trailer").map(str::to_ascii_lowercase).as_deref(), Some("x-checksum-md5"));
    assert_eq!(sent.trailer("x-checksum-md5"), Some(checksum(&sent.body).as_str()));
    let mut unpacked = tar::Archive::new(flate2::read::GzDecoder::new(&sent.body[..]));
    let entries = unpacked.entries().unwrap().map(|entry| {
        let entry = entry.unwrap();
        (entry.path().unwrap().to_str().unwrap().to_owned(), entry.header().entry_type().is_dir())
    });
    let entries: Vec<(String, bool)> = entries.collect();
    let expected =
        [("link", false), ("sub/deep/file", false), ("top", false)].map(|(name, dir)| (name.to_owned(), dir));
    assert_eq!(entries, expected, "files and links, in byte order, and no directories");
}

#[test]
fn an_upload_answers_with_its_data_whether_or_not_a_checksum_follows() {
    let shop = Workshop::open();
    let archive = Archive::new().file("it", b"x").gzip();
    let md5 = checksum(&archive);
    for trailers in [&[][..], &[("x-checksum-md5", md5.as_str())], &[("X-Checksum-Md5", md5.as_str())]] {
        let uploaded = shop.server.http().upload(&archive, trailers);
        assert_eq!(uploaded.status, 200, "{}", uploaded.text());
        let data = uploaded.json();
        let tags = data["tags"].as_array().expect("tags are a list");
        assert_eq!(tags.len(), 2, "an upload has its system tags only: {tags:?}");
        assert_eq!((&data["upstream"]["run"]["status"], &data["downstreams"]), (&json!("done"), &json!([])));
    }
    let whole = shop.server.http().send("POST", "/api/data/", &[("Content-Type", "application/tar+gzip")], &archive);
    assert_eq!(whole.status, 200, "a body of known length is taken too: {}", whole.text());
}

#[test]
fn commands_without_an_answer_have_the_statuses_of_the_wire() {
    let Made { shop, run, .. } = made();
    let run = id_of(&run, "runId");
    let http = shop.server.http();
    let retried = http.ask("PUT", &format!("/api/runs/{run}/retry"));
    assert_eq!((retried.status, retried.body.len(), retried.header("content-type")), (200, 0, None));
    shop.reaches(&run, "done");
    let deleted = http.ask("DELETE", &format!("/api/runs/{run}"));
    assert_eq!((deleted.status, deleted.body.len()), (204, 0));
}

#[test]
fn tags_are_read_in_both_notations_and_written_in_one() {
    let shop = Workshop::open();
    let data = shop.push(&[("it", "x")], &["old:1", "old:2"]);
    let change = json!({"add": ["a : b:c", {"key": " k ", "value": "v"}], "remove": null, "remove_key": ["old"]});
    let changed = shop.server.http().send_json("PUT", &format!("/api/data/{data}"), &change);
    let tags = changed.json()["tags"].clone();
    let tags: Vec<&str> = tags.as_array().expect("tags are a list").iter().filter_map(Value::as_str).collect();
    assert_eq!(tags.iter().filter(|tag| !tag.starts_with("knit#")).collect::<Vec<_>>(), [&" k :v", &"a:b:c"]);
}

#[test]
fn every_answer_says_how_fresh_it_is_and_what_was_written_is_read() {
    let shop = Workshop::open();
    let position = |response: &Response| response.header("x-knit-position").and_then(|at| at.parse::<u64>().ok());
    let http = shop.server.http();
    let before = position(&http.get("/api/data")).expect("a list says its position");
    let uploaded = http.upload(&Archive::new().file("it", b"x").gzip(), &[]);
    let written = position(&uploaded).expect("a command says its position");
    assert!(written > before, "an upload moves the log on");
    let found = http.get("/api/data");
    assert!(position(&found).expect("a list says its position") >= written);
    assert_eq!(found.json().as_array().map(Vec::len), Some(1));
}

#[test]
fn lists_are_ordered_and_filtered_as_the_wire_says() {
    let Made { shop, data, plan, run } = made();
    let http = shop.server.http();
    let ids = |path: &str, name: &str| -> Vec<String> {
        let found = http.get(path);
        assert_eq!(found.status, 200, "{path}: {}", found.text());
        found.json().as_array().expect("finding answers a list").iter().map(|it| id_of(it, name)).collect()
    };
    let (run_id, log) = (id_of(&run, "runId"), id_of(&run["log"], "knitId"));
    let upload = id_of(&shop.data(&data).unwrap()["upstream"]["run"], "runId");
    let found = |path: &str| ids(path, "runId");
    assert_eq!(found("/api/runs"), [upload.as_str(), &run_id], "what changed longest ago comes first");
    assert_eq!(
        found(&format!("/api/runs?plan=x,{plan}&status=done,failed&since=0001-01-01T00%3A00%3A00Z&duration=")),
        [run_id.as_str()]
    );
    assert_eq!(
        found(&format!("/api/runs?knitIdInput={data}&unknown=x&since=")),
        [run_id.as_str()],
        "unknown and empty parameters"
    );
    assert_eq!(found(&format!("/api/runs?knitIdOutput={log}")), [run_id.as_str()], "a log is an output");
    assert_eq!(found("/api/runs?knitIdOutput="), [""; 0], "an empty element matches nothing");

    assert_eq!(ids("/api/data", "knitId")[0], data, "the oldest timestamp comes first");
    assert_eq!(ids("/api/data?tag=type%3Acorpus&since=2999-01-01T00%3A00%3A00Z", "knitId"), [""; 0]);
    assert_eq!(ids("/api/data?tag=knit%23transient%3Aprocessing", "knitId"), [""; 0]);

    assert!(ids("/api/plans", "planId").is_sorted(), "Plans are ordered by their ids");
    assert_eq!(ids("/api/plans?image=host%3A&in_tag=type%3Acorpus&out_tag=type%3Alog", "planId"), [plan]);
    assert_eq!(ids("/api/plans?in_tag=no%3Asuch", "planId"), [""; 0], "an unknown tag matches nothing");
}

#[test]
fn the_interface_describes_itself() {
    let shop = Workshop::open();
    let document = shop.server.http().get("/openapi.json").json();
    assert!(document["openapi"].as_str().is_some_and(|version| version.starts_with('3')), "an OpenAPI document");
    for path in ["/api/data", "/api/data/{id}", "/api/plans", "/api/plans/{id}/active", "/api/runs/{id}/attempts"] {
        assert!(document["paths"].get(path).is_some(), "{path} is described");
    }
    assert_eq!(shop.server.http().get("/healthz").status, 200);
    assert_eq!(shop.server.http().get("/readyz").status, 200);
}
