//! Plans that break a rule, one table row for each way; none leaves anything behind.

use knit_tests::plans::PlanFile;
use knit_tests::workshop::Workshop;
use serde_json::{Value, json};

/// A Plan that breaks no rule.
fn good() -> PlanFile {
    PlanFile::shell("true").input("/in/1", &["a:b"]).output("/out/1", &["c:d"])
}

/// A good Plan with a field changed.
fn but(field: &str, value: Value) -> Value {
    good().with(field, value).json()
}

fn inputs(list: Value) -> Value {
    but("inputs", list)
}

fn outputs(list: Value) -> Value {
    but("outputs", list)
}

/// Sends each Plan, which must be refused with 400 and a message that names the text beside it.
#[track_caller]
fn all_refused(table: &[(Value, &str)]) {
    let shop = Workshop::open();
    let http = shop.server.http();
    let before = http.get("/api/plans");
    for (plan, named) in table {
        let answer = http.send_json("POST", "/api/plans", plan);
        assert_eq!(answer.status, 400, "{plan} is refused, but: {}", answer.text());
        let message = answer.message();
        assert!(message.starts_with("bad request\n"), "the reason is the original's: {message:?}");
        assert!(message.contains(named), "{named:?} is named in {message:?}, for {plan}");
    }
    let after = http.get("/api/plans");
    assert_eq!(after.json(), before.json(), "a refused Plan is not registered");
    assert_eq!(after.header("x-knit-position"), before.header("x-knit-position"), "nothing was recorded");
}

#[test]
fn pln_images_must_be_named() {
    all_refused(&[
        (but("image", json!("")), "image"),
        (but("image", json!(":v1")), "image"),
        (but("image", json!("x")), "x"),
        (but("image", json!("Upper/case:v1")), "Upper/case"),
        (but("image", json!("name@sha256:0123")), "@"),
        (but("image", json!("name:bad tag")), "bad tag"),
        (but("image", json!(5)), "invalid type"),
        (json!({"inputs": [{"path": "/in", "tags": ["a:b"]}]}), "image"),
    ]);
}

#[test]
fn pln_plans_must_have_inputs_with_tags() {
    all_refused(&[
        (inputs(json!([])), "input"),
        (inputs(json!(null)), "input"),
        (inputs(json!([{"path": "/in", "tags": []}])), "/in"),
        (inputs(json!([{"path": "/in", "tags": null}])), "/in"),
        (inputs(json!([{"path": "/in", "tags": ["no colon"]}])), "no colon"),
        (inputs(json!([{"path": "/in", "tags": [{"key": "a"}]}])), "value"),
    ]);
}

#[test]
fn pln_paths_must_be_absolute_and_clean() {
    for path in ["", "in", "/", "//", "/in//x", "/in/../x", "/in/./x", "/in/..", "/in//"] {
        all_refused(&[
            (inputs(json!([{"path": path, "tags": ["a:b"]}])), "path"),
            (outputs(json!([{"path": path, "tags": ["c:d"]}])), "path"),
        ]);
    }
}

#[test]
fn pln_mountpoints_must_not_overlap() {
    let both = |a: &str, b: &str| json!([{"path": a, "tags": ["a:b"]}, {"path": b, "tags": ["a:b"]}]);
    all_refused(&[
        (inputs(both("/in", "/in")), "/in"),
        (inputs(both("/in", "/in/deep")), "/in/deep"),
        (inputs(both("/in/deep", "/in/")), "/in/deep"),
        (outputs(both("/x", "/x/y")), "/x/y"),
        (outputs(json!([{"path": "/in/1/out", "tags": []}])), "/in/1/out"),
        (outputs(json!([{"path": "/in", "tags": []}])), "/in"),
    ]);
}

#[test]
fn pln_system_tags_have_their_places() {
    let input = |tags: Value| inputs(json!([{"path": "/in", "tags": tags}]));
    let id = "3b0f5a52-6c1e-4d0e-9a53-0d1f6f6b7c11";
    all_refused(&[
        (input(json!([format!("knit#id:{id}"), "knit#id:other"])), "knit#id"),
        (
            input(json!(["knit#timestamp:2025-03-03T09:15:02Z", "knit#timestamp:2025-03-03T09:15:03Z"])),
            "knit#timestamp",
        ),
        (input(json!(["knit#timestamp:yesterday"])), "yesterday"),
        (input(json!([{"key": "knit#timestamp", "value": "yesterday"}])), "yesterday"),
        (input(json!(["knit#transient:processing"])), "knit#transient"),
        (input(json!(["knit#other:x"])), "knit#other"),
        (outputs(json!([{"path": "/out", "tags": [format!("knit#id:{id}")]}])), "knit#id"),
        (outputs(json!([{"path": "/out", "tags": ["knit#other:x"]}])), "knit#other"),
        (but("log", json!({"tags": ["knit#timestamp:2025-03-03T09:15:02Z"]})), "knit#timestamp"),
    ]);
}

#[test]
fn pln_node_labels_must_be_well_formed() {
    let long = "x".repeat(64);
    let label = |text: &str| but("on_node", json!({"must": [text]}));
    all_refused(&[
        (label("no-equals-sign"), "no-equals-sign"),
        (label("=value"), "key"),
        (label("key="), "key"),
        (label("nvidia.com/gpu.product=x"), "gpu.product"),
        (label("under_score=x"), "under_score"),
        (label("-key=x"), "-key"),
        (label("bad..prefix/key=x"), "bad..prefix"),
        (label(&format!("{}/key=x", ["x".repeat(63).as_str(); 4].join("."))), "PREFIX"),
        (label(&format!("{long}=x")), &long),
        (label(&format!("key={long}")), &long),
        (label("key=-x"), "-x"),
        (label("key=sp ace"), "sp ace"),
    ]);
}

#[test]
fn pln_quantities_annotations_and_sizes_must_be_sound() {
    let huge = "x".repeat(1025);
    all_refused(&[
        (but("resources", json!({"cpu": "many"})), "many"),
        (but("resources", json!({"memory": "1K"})), "1K"),
        (but("resources", json!({"memory": ""})), "quantity"),
        (but("annotations", json!(["no equals sign"])), "no equals sign"),
        (but("annotations", json!([format!("{}=x", "k".repeat(254))])), "253"),
        (but("service_account", json!("s".repeat(64))), "63"),
        (outputs(json!([{"path": "/out", "tags": [format!("{huge}:x")]}])), "1024"),
        (outputs(json!([{"path": format!("/{}", "p".repeat(4096)), "tags": []}])), "4096"),
        (but("image", json!(format!("host:{}", "t".repeat(129)))), "128"),
        (outputs(json!([{"path": "/out", "tags": ["quote\":x"]}])), "quote"),
    ]);
}

#[test]
fn pln_bodies_must_be_json_objects() {
    let shop = Workshop::open();
    let http = shop.server.http();
    let json_type = [("Content-Type", "application/json")];
    for (headers, body) in [
        (&json_type[..], &b""[..]),
        (&json_type, b"{"),
        (&json_type, b"[]"),
        (&json_type, b"\"plan\""),
        (&json_type, b"\xff\xfe"),
        (&[("Content-Type", "application/yaml")], b"image: host"),
        (&[], b"{}"),
    ] {
        let answer = http.send("POST", "/api/plans", headers, body);
        assert_eq!(answer.status, 400, "{}: {}", String::from_utf8_lossy(body), answer.text());
        assert!(answer.message().starts_with("bad request\n"), "{:?}", answer.message());
    }
}

#[test]
fn what_is_merely_untidy_is_tidied() {
    let shop = Workshop::open();
    let untidy = json!({
        "image": "docker.io/ubuntu", "entrypoint": null, "args": null, "active": null, "log": null, "unknown": {"field": 1},
        "inputs": [{"path": "/in/", "tags": [" b : 2 ", "a:1", "a:1"]}], "outputs": null,
        "annotations": [" owner = alice "],
    });
    let registered = shop.server.http().send_json("POST", "/api/plans", &untidy);
    assert_eq!(registered.status, 200, "{}", registered.text());
    let expected = json!({
        "planId": registered.json()["planId"], "image": "index.docker.io/library/ubuntu:latest", "annotations": ["owner=alice"],
        "inputs": [{"path": "/in", "tags": ["a:1", "b:2"], "upstreams": []}], "outputs": [],
        "active": true, "resources": {"cpu": "1", "memory": "1Gi"},
    });
    assert_eq!(registered.json(), expected);
}
