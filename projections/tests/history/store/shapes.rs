//! Details in the shapes of the wire.

use std::collections::BTreeSet;

use knit_domain::plan::{AnnotationChange, Builtin, PlanChange, ResourceChange};
use knit_projections::store::At;
use knit_schemas::api;
use serde_json::json;

use super::{KnitId, PlanId, RunId};
use crate::world::World;
use crate::world::acts::Sketch;

fn data(world: &World, id: KnitId) -> api::DataDetail {
    world.store().data(id, At::Now).expect("the Data exists")
}

fn run(world: &World, id: RunId) -> api::RunDetail {
    world.store().run(id, At::Now).expect("the Run exists")
}

fn plan(world: &World, id: PlanId) -> api::PlanDetail {
    world.store().plan(id, At::Now).expect("the Plan exists")
}

fn texts(tags: &[api::Tag]) -> Vec<String> {
    tags.iter().map(ToString::to_string).collect()
}

#[test]
fn an_uploaded_data_has_derived_tags_sorted_among_its_own() {
    let mut world = World::new();
    world.wait_until("2025-03-03T09:15:02.418Z");
    let id = world.upload(&["type:corpus", "a:1"]);
    let detail = serde_json::to_value(data(&world, id)).unwrap();
    let run = world.store().producer_of(id).unwrap();
    let updated_at = detail["upstream"]["run"]["updatedAt"].clone();
    assert_eq!(
        detail,
        json!({
            "knitId": id.to_string(),
            "tags": [
                "a:1",
                format!("knit#id:{id}"),
                format!("knit#timestamp:{}", updated_at.as_str().unwrap()),
                "type:corpus",
            ],
            "upstream": {
                "mountpoint": {"path": "/upload", "tags": []},
                "run": {
                    "runId": run.to_string(),
                    "status": "done",
                    "updatedAt": updated_at,
                    "plan": {"planId": Builtin::Uploaded.id().to_string(), "name": "knit#uploaded"},
                },
            },
            "downstreams": [],
            "nomination": [],
        })
    );
}

#[test]
fn unfinished_data_are_processing_and_failed_ones_have_a_time_as_well() {
    let mut world = World::new();
    let (run_id, id) = world.start_upload();
    let own = format!("knit#id:{id}");
    assert_eq!(texts(&data(&world, id).tags), [own.clone(), "knit#transient:processing".to_owned()]);
    world.fail(run_id);
    let tags = texts(&data(&world, id).tags);
    let updated_at = run(&world, run_id).updated_at;
    assert_eq!(tags, [own, format!("knit#timestamp:{updated_at}"), "knit#transient:failed".to_owned()]);
}

#[test]
fn q17_all_inputs_that_a_data_fits_are_nominated() {
    let mut world = World::new();
    let id = world.upload(&["a:1", "b:2"]);
    let (first, second) = (world.register("x", &[("/in/1", &["a:1"]), ("/in/2", &["b:2"])]), {
        let pin = format!("knit#id:{id}");
        world.register("y", &[("/in", &[&pin])])
    });
    world.register("z", &[("/in", &["a:1", "c:3"])]);
    let nominated: Vec<(String, String)> =
        data(&world, id).nomination.into_iter().map(|input| (input.plan.plan_id, input.path)).collect();
    let expected = [(first, "/in/1"), (first, "/in/2"), (second, "/in")];
    assert_eq!(nominated, expected.map(|(plan, path)| (plan.to_string(), path.to_owned())));
    world.tag(id, &[], &["a:1", "b:2"]);
    assert_eq!(data(&world, id).nomination.len(), 1);
}

#[test]
fn nom_10_only_data_of_done_runs_are_nominated() {
    let mut world = World::new();
    let (run_id, id) = world.start_upload();
    world.tag(id, &["a:1"], &[]);
    world.register("x", &[("/in", &["a:1"])]);
    assert_eq!(data(&world, id).nomination, []);
    world.fail(run_id);
    assert_eq!(data(&world, id).nomination, []);
}

#[test]
fn a_timestamp_pin_nominates_exactly_the_data_of_that_instant() {
    let mut world = World::new();
    let (other, id) = (world.upload(&[]), world.upload(&[]));
    let pin = format!("knit#timestamp:{}", world.done_at(id).unwrap());
    world.register("x", &[("/in", &[&pin])]);
    assert_eq!((data(&world, id).nomination.len(), data(&world, other).nomination.len()), (1, 0));
}

#[test]
fn a_log_is_known_as_a_log() {
    let mut world = World::new();
    let input = world.upload(&["a:1"]);
    let plan_id = world.register("x", &[("/in", &["a:1"])]);
    let run_id = world.run_on(plan_id, &[("/in", input)]);
    let log = world.output(run_id, "/log");
    let upstream = data(&world, log).upstream;
    assert_eq!(upstream.mountpoint, None);
    assert_eq!(texts(&upstream.log.unwrap().tags), ["type:log"]);
    assert_eq!(run(&world, run_id).log.unwrap().knit_id, log.to_string());
}

#[test]
fn a_run_without_log_says_null() {
    let mut world = World::new();
    let (run_id, _) = world.start_upload();
    let detail = serde_json::to_value(run(&world, run_id)).unwrap();
    assert_eq!(detail["log"], json!(null));
    assert_eq!(detail["inputs"], json!([]));
    assert!(detail.get("exit").is_none());
}

#[test]
fn q18_a_deleted_run_is_shown_with_its_inputs_and_without_ids_of_outputs() {
    let mut world = World::new();
    let input = world.upload(&["a:1"]);
    let plan_id = world.register("x", &[("/in", &["a:1"])]);
    let run_id = world.run_on(plan_id, &[("/in", input)]);
    world.abort(run_id);
    world.finish(run_id);
    assert_eq!(run(&world, run_id).exit.map(|exit| exit.code), Some(253));
    world.delete(run_id);
    let detail = run(&world, run_id);
    assert_eq!((detail.status.as_str(), detail.exit), ("invalidated", None));
    assert_eq!(detail.inputs[0].knit_id, input.to_string());
    assert_eq!((detail.outputs[0].path.as_str(), detail.outputs[0].knit_id.as_str()), ("/out", ""));
    assert_eq!(detail.log.unwrap().knit_id, "");
}

#[test]
fn a_deleted_upload_is_gone_altogether() {
    let mut world = World::new();
    let id = world.upload(&[]);
    let run_id = world.store().producer_of(id).unwrap();
    let before = world.here();
    world.delete(run_id);
    let store = world.store();
    assert_eq!((store.run(run_id, At::Now), store.data(id, At::Now)), (None, None));
    assert!(store.run(run_id, before).is_some() && store.data(id, before).is_some());
}

#[test]
fn holding_and_releasing_do_not_move_the_last_change() {
    let mut world = World::new();
    let input = world.upload(&["a:1"]);
    let plan_id = world.register("x", &[("/in", &["a:1"])]);
    let run_id = world.run_on(plan_id, &[("/in", input)]);
    let waiting = run(&world, run_id);
    world.set_active(plan_id, false);
    let held = run(&world, run_id);
    assert_eq!((held.status.as_str(), held.updated_at), ("deactivated", waiting.updated_at));
    world.set_active(plan_id, true);
    assert_eq!(run(&world, run_id), waiting);
    world.steps(run_id, 2);
    let starting = run(&world, run_id);
    world.steps(run_id, 1);
    assert_eq!(run(&world, run_id), starting, "making the Worker changes nothing that is shown");
}

#[test]
fn plans_know_what_feeds_them_and_what_they_feed() {
    let mut world = World::new();
    let sketch = Sketch {
        image: "train",
        inputs: &[("/in", &["type:corpus"])],
        outputs: &[("/out", &["type:model", "project:a"])],
        log: Some(&["type:log"]),
    };
    let train = world.try_register(&sketch).unwrap();
    let eval = world.register("eval", &[("/in/model", &["type:model"]), ("/in/test", &["type:corpus"])]);
    let reader = Sketch { image: "read", inputs: &[("/in", &["type:log"])], outputs: &[], log: None };
    let read = world.try_register(&reader).unwrap();
    world.register("pinned", &[("/in", &["type:model", "knit#id:x"])]);
    let detail = plan(&world, train);
    let fed = |downstreams: &[api::PlanDownstream]| -> Vec<(String, String)> {
        downstreams.iter().map(|down| (down.plan.plan_id.clone(), down.mountpoint.path.clone())).collect()
    };
    assert_eq!(fed(&detail.outputs[0].downstreams), [(eval.to_string(), "/in/model".to_owned())]);
    let log = detail.log.unwrap();
    assert_eq!(fed(&log.downstreams), [(read.to_string(), "/in".to_owned())]);
    assert_eq!(detail.inputs[0].upstreams, []);
    let upstreams = plan(&world, eval).inputs[0].upstreams.clone();
    assert_eq!(upstreams.len(), 1);
    assert_eq!(upstreams[0].plan.plan_id, train.to_string());
    assert_eq!(upstreams[0].mountpoint.as_ref().unwrap().path, "/out");
    let of_log = plan(&world, read).inputs[0].upstreams.clone();
    assert_eq!(of_log.len(), 3, "the logs of three Plans");
    assert!(of_log.iter().all(|up| up.mountpoint.is_none() && up.log.is_some()));
}

#[test]
fn attributes_of_a_plan_change_and_keep_their_past() {
    let mut world = World::new();
    let id = world.register("x", &[("/in", &["a:1"])]);
    let registered = world.here();
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let add = BTreeSet::from([pair("owner", "bob"), pair("owner", "alice")]);
    world.change(id, PlanChange::Annotations(AnnotationChange { add, ..AnnotationChange::default() }));
    let set = [pair("cpu", "2"), pair("gpu", "1")].into();
    let unset = ["memory".to_owned()].into();
    world.change(id, PlanChange::Resources(ResourceChange { set, unset }));
    world.change(id, PlanChange::SetServiceAccount("trainer".to_owned()));
    world.set_active(id, false);
    let now = serde_json::to_value(plan(&world, id)).unwrap();
    assert_eq!(now["annotations"], json!(["owner=alice", "owner=bob"]));
    assert_eq!(now["resources"], json!({"cpu": "2", "gpu": "1"}));
    assert_eq!((&now["service_account"], &now["active"]), (&json!("trainer"), &json!(false)));
    let then = serde_json::to_value(world.store().plan(id, registered).unwrap()).unwrap();
    assert_eq!(then["resources"], json!({"cpu": "1", "memory": "1Gi"}));
    assert_eq!((then.get("annotations"), then.get("service_account")), (None, None));
    assert_eq!(then["active"], json!(true));
    assert!(then.get("on_node").is_none());
}

#[test]
fn a_built_in_plan_has_a_name_and_one_output() {
    let world = World::new();
    let detail = serde_json::to_value(plan(&world, Builtin::Imported.id())).unwrap();
    assert_eq!(
        detail,
        json!({
            "planId": Builtin::Imported.id().to_string(),
            "name": "knit#imported",
            "inputs": [],
            "outputs": [{"path": "/imported", "tags": [], "downstreams": []}],
            "active": true,
        })
    );
}
