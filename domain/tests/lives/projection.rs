//! Projection: how combinations of Data become Runs (domain.md 9.6).

use knit_domain::event::run::{Assignment, RunEvent};
use knit_domain::event::{Event, StreamId};
use knit_domain::id::{KnitId, RunId, VolumeRef, WorkerName};
use knit_domain::reservation::{Holder, Scope};
use knit_domain::run::creation::{CandidateInput, ProjectionRefused};
use knit_domain::run::{self, Status};

use crate::memory_log::Conflict;
use crate::world::{No, World, draft, tags};

fn two_inputs(world: &mut World) -> knit_domain::id::PlanId {
    world.register(draft(&[("/a", &["type:a"]), ("/b", &["type:b"])], &[("/out", &["type:c", "x:y"])])).unwrap()
}

fn is_known(refused: &Result<RunId, No>, run: RunId) {
    assert_eq!(*refused, Err(No::Conflict(Conflict::Version(StreamId::run(run)))));
}

#[test]
fn prj_02_a_combination_that_leaves_an_input_empty_makes_no_run() {
    let mut world = World::new();
    let plan = two_inputs(&mut world);
    let a = world.upload(&["type:a"]);
    let refused = No::Projection(ProjectionRefused::Incomplete { plan_id: plan });
    assert_eq!(world.project(plan, &[("/a", a)]), Err(refused.clone()));
    assert_eq!(world.project(plan, &[("/a", a), ("/elsewhere", a)]), Err(refused.clone()));
    assert_eq!(world.project(plan, &[("/a", a), ("/a", a)]), Err(refused));
}

#[test]
fn prj_03_a_full_combination_makes_one_waiting_run_with_its_outputs() {
    let mut world = World::new();
    let plan = two_inputs(&mut world);
    let (a, b) = (world.upload(&["type:a"]), world.upload(&["type:b"]));
    let run = world.project(plan, &[("/b", b), ("/a", a)]).unwrap();
    is_known(&world.project(plan, &[("/a", a), ("/b", b)]), run);

    let record = world.record(run);
    assert_eq!(world.status(run), Status::Waiting);
    assert_eq!(
        record.inputs.iter().map(|at| (at.path.as_str(), at.knit_id)).collect::<Vec<_>>(),
        [("/a", a), ("/b", b)]
    );
    assert_eq!(record.worker_name, Some(WorkerName::of(run, 1)));
    let made: Vec<_> = record.outputs.iter().map(|out| (out.path.as_str(), out.log, &out.tags)).collect();
    assert_eq!(made, [("/out", false, &tags(&["type:c", "x:y"])), ("/log", true, &tags(&["type:log"]))]);
    for output in &record.outputs {
        let data = world.log.data(output.knit_id).state.record.unwrap();
        assert_eq!((data.run_id, data.attempt, data.plan_id), (run, 1, plan));
        assert_eq!((&data.tags, &data.volume_ref), (&output.tags, &VolumeRef::of(output.knit_id)));
    }
}

#[test]
fn prj_04_a_run_of_an_inactive_plan_is_deactivated() {
    let mut world = World::new();
    let plan = world.plan("type:a", "type:b");
    world.set_active(plan, false);
    let data = world.upload(&["type:a"]);
    let run = world.run_of(plan, data);
    assert_eq!(world.status(run), Status::Deactivated);
    world.set_active(plan, true);
    assert_eq!(world.status(run), Status::Waiting);
}

#[test]
fn prj_05_one_data_makes_a_run_of_every_plan_it_fits() {
    let mut world = World::new();
    let (p2, p3) = (world.plan("type:a", "type:b"), world.plan("type:a", "type:c"));
    let data = world.upload(&["type:a"]);
    let runs = [world.run_of(p2, data), world.run_of(p3, data)];
    assert_eq!(runs.map(|run| world.record(run).plan), [p2, p3]);
}

#[test]
fn prj_06_one_data_may_fill_several_inputs_of_a_run() {
    let mut world = World::new();
    let inputs: [(&str, &[&str]); 3] = [("/a", &["type:a"]), ("/b", &["type:a"]), ("/c", &["type:c"])];
    let plan = world.register(draft(&inputs, &[])).unwrap();
    let (d1, d2) = (world.upload(&["type:a"]), world.upload(&["type:a"]));
    let (d3, d4) = (world.upload(&["type:c"]), world.upload(&["type:c"]));
    let mut runs = Vec::new();
    for a in [d1, d2] {
        for b in [d1, d2] {
            runs.extend([d3, d4].map(|c| world.project(plan, &[("/a", a), ("/b", b), ("/c", c)]).unwrap()));
        }
    }
    runs.sort();
    runs.dedup();
    assert_eq!(runs.len(), 8);
    // Each user of a Data holds one place, on however many inputs it uses it.
    assert_eq!(world.log.holders(Scope::DataUse(d1)).len(), 6);
}

#[test]
fn prj_07_a_known_combination_makes_no_second_run() {
    let mut world = World::new();
    let plan = world.plan("type:a", "type:b");
    let data = world.upload(&["type:a"]);
    let run = world.run_of(plan, data);
    world.bring(run, Status::Ready);
    is_known(&world.project(plan, &[("/in", data)]), run);
}

#[test]
fn prj_08_a_known_combination_is_known_whichever_data_completes_it() {
    let mut world = World::new();
    let (plan, other) = (two_inputs(&mut world), world.plan("type:a", "type:z"));
    let (a, b) = (world.upload(&["type:a"]), world.upload(&["type:b"]));
    let run = world.project(plan, &[("/b", b), ("/a", a)]).unwrap();
    is_known(&world.project(plan, &[("/a", a), ("/b", b)]), run);
    assert!(world.project(other, &[("/in", a)]).is_ok());
}

#[test]
fn prj_09_nothing_new_comes_of_combinations_that_are_all_known() {
    let mut world = World::new();
    let plan = two_inputs(&mut world);
    let a = [world.upload(&["type:a"]), world.upload(&["type:a"])];
    let b = [world.upload(&["type:b"]), world.upload(&["type:b"])];
    let all: Vec<(KnitId, KnitId)> = a.into_iter().flat_map(|a| b.map(|b| (a, b))).collect();
    for (a, b) in &all {
        world.project(plan, &[("/a", *a), ("/b", *b)]).unwrap();
    }
    let before = world.log.entries.len();
    for (a, b) in all {
        assert!(world.project(plan, &[("/a", a), ("/b", b)]).is_err());
    }
    assert_eq!(world.log.entries.len(), before);
}

#[test]
fn prj_12_x3_a_combination_is_remembered_however_its_run_fared() {
    for fate in [Status::Failed, Status::Deactivated, Status::Invalidated, Status::Done] {
        let mut world = World::new();
        let plan = world.plan("type:a", "type:b");
        let data = world.upload(&["type:a"]);
        let run = world.run_of(plan, data);
        world.bring(run, fate);
        is_known(&world.project(plan, &[("/in", data)]), run);
    }
}

#[test]
fn prj_14_x5_a_data_that_lost_its_tag_makes_no_run() {
    let mut world = World::new();
    let plan = world.plan("type:a", "type:b");
    let data = world.upload(&["type:a"]);
    world.untag(data, "type:a");
    let no_match = ProjectionRefused::NoMatch { path: "/in".to_owned(), knit_id: data };
    assert_eq!(world.project(plan, &[("/in", data)]), Err(No::Projection(no_match)));
}

#[test]
fn prj_18_a_data_on_two_inputs_is_claimed_once() {
    let mut world = World::new();
    let plan = world.register(draft(&[("/a", &["type:a"]), ("/b", &["type:a"])], &[])).unwrap();
    let data = world.upload(&["type:a"]);
    let run = world.project(plan, &[("/a", data), ("/b", data)]).unwrap();
    assert_eq!(world.record(run).inputs.len(), 2);
    assert_eq!(world.log.holders(Scope::DataUse(data)), [Holder::Run(run)]);
}

#[test]
fn nom_10_only_data_of_a_done_run_fill_an_input() {
    let mut world = World::new();
    let (first, second) = (world.plan("type:a", "type:b"), world.plan("type:b", "type:c"));
    let data = world.upload(&["type:a"]);
    for status in [Status::Waiting, Status::Ready, Status::Running, Status::Completing] {
        let mut world = World { log: world.log.clone(), ids: world.ids.clone() };
        let run = world.run_of(first, data);
        world.bring(run, status);
        let output = world.output(run, "/out").knit_id;
        let no_match = ProjectionRefused::NoMatch { path: "/in".to_owned(), knit_id: output };
        assert_eq!(world.project(second, &[("/in", output)]), Err(No::Projection(no_match)), "{status}");
    }
    let run = world.run_of(first, data);
    world.bring(run, Status::Done);
    let output = world.output(run, "/out").knit_id;
    assert!(world.project(second, &[("/in", output)]).is_ok());
}

#[test]
fn the_trigger_is_recorded_and_must_be_in_the_combination() {
    let mut world = World::new();
    let plan = two_inputs(&mut world);
    let (a, b) = (world.upload(&["type:a"]), world.upload(&["type:b"]));
    let decision = world.projection(plan, &[("/b", b), ("/a", a)]).unwrap();
    let Some(Event::Run(RunEvent::RunProjected { trigger, .. })) = decision.events().next() else {
        panic!("a projection begins with its Run: {decision:?}");
    };
    assert_eq!((trigger.path.as_str(), trigger.knit_id), ("/b", b));

    let (plan_state, foreign) = (world.log.plan(plan), Assignment { path: "/a".to_owned(), knit_id: b });
    let data = [("/a", world.log.data(a)), ("/b", world.log.data(b))];
    let inputs = [0, 1].map(|n| {
        let (path, data) = (data[n].0, &data[n].1);
        CandidateInput { path, data, done_at: world.done_at(data) }
    });
    let refused = run::project(plan, &plan_state, &inputs, &foreign, || unreachable!("nothing is made"));
    assert_eq!(refused, Err(ProjectionRefused::ForeignTrigger { trigger: foreign }));
}

#[test]
fn a_built_in_or_unknown_plan_is_never_projected() {
    let mut world = World::new();
    let data = world.upload(&["type:a"]);
    let nobody = knit_domain::id::PlanId(world.ids.uuid());
    for plan_id in [nobody, knit_domain::plan::Builtin::Uploaded.id()] {
        let refused = ProjectionRefused::NoImagePlan { plan_id };
        assert_eq!(world.project(plan_id, &[("/in", data)]), Err(No::Projection(refused)));
    }
}
