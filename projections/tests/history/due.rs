//! Which Runs are due: the rows PRJ of domain.md.
//!
//! The rows speak of steps of a loop; each is tested by what comes of it.

use knit_domain::id::{KnitId, PlanId, RunId};
use knit_domain::run::Status;
use knit_projections::matcher::{Cursor, Matcher, PENDING_RUNS_PER_PLAN_MAX};
use knit_projections::projection::Projection;

use crate::world::World;
use crate::world::matching::{ALL, assignment};

#[test]
fn prj_02_13_a_pair_without_partner_makes_no_run_until_the_partner_comes() {
    let mut world = World::new();
    world.register("p", &[("/in/a", &["a:1"]), ("/in/b", &["b:1"])]);
    let a = world.upload(&["a:1"]);
    let mut cursor = Cursor::default();
    let first = world.fold::<Matcher>().due(&mut cursor, ALL);
    assert!(first.combinations.is_empty() && first.exhausted);
    let b = world.upload(&["b:1"]);
    let [combination] = &world.fold::<Matcher>().due(&mut cursor, ALL).combinations[..] else { panic!("one") };
    assert_eq!(combination.inputs, [assignment("/in/a", a), assignment("/in/b", b)]);
    assert_eq!(combination.trigger, assignment("/in/b", b));
}

#[test]
fn prj_03_one_data_for_each_of_two_inputs_makes_one_waiting_run_with_its_outputs() {
    let mut world = World::new();
    world.register("p", &[("/in/a", &["a:1"]), ("/in/b", &["b:1"])]);
    world.upload(&["a:1"]);
    world.upload(&["b:1"]);
    let runs = world.project_all();
    let [run] = runs[..] else { panic!("one Run, got {runs:?}") };
    let record = world.run(run);
    assert_eq!((world.status(run), record.inputs.len(), record.worker_name.is_some()), (Status::Waiting, 2, true));
    let made: Vec<(&str, String)> =
        record.outputs.iter().map(|output| (&*output.path, output.tags.as_slice()[0].to_string())).collect();
    assert_eq!(made, [("/out", "made-by:p".to_owned()), ("/log", "type:log".to_owned())]);
    assert!(record.outputs.iter().all(|output| output.volume_ref.0 == format!("data-knitid-{}", output.knit_id)));
    assert!(world.due().is_empty());
}

#[test]
fn prj_05_one_data_makes_a_run_of_each_plan_it_fits() {
    let mut world = World::new();
    let (p2, p3) = (world.register("p2", &[("/in", &["a:1"])]), world.register("p3", &[("/in", &["a:1"])]));
    world.upload(&["a:1"]);
    let plans: Vec<PlanId> = world.due().iter().map(|due| due.plan_id).collect();
    assert_eq!(plans, [p2, p3]);
}

#[test]
fn prj_06_18_every_combination_is_made_also_with_one_data_on_two_inputs() {
    let mut world = World::new();
    world.register("p", &[("/in/a", &["x:1"]), ("/in/b", &["x:1"]), ("/in/c", &["y:1"])]);
    let (d1, d2) = (world.upload(&["x:1"]), world.upload(&["x:1"]));
    let (d3, d4) = (world.upload(&["y:1"]), world.upload(&["y:1"]));
    let runs = world.project_all();
    let mut made: Vec<Vec<KnitId>> =
        runs.iter().map(|run| world.run(*run).inputs.iter().map(|input| input.knit_id).collect()).collect();
    made.sort();
    let mut expected = Vec::new();
    for c in [d3, d4] {
        for (a, b) in [(d1, d1), (d1, d2), (d2, d1), (d2, d2)] {
            expected.push(vec![a, b, c]);
        }
    }
    expected.sort();
    assert_eq!(made, expected);
}

#[test]
fn prj_07_08_09_x3_a_combination_that_had_a_run_gets_no_other_and_holds_up_nobody() {
    let mut world = World::new();
    let p = world.register("p", &[("/in/a", &["a:1"]), ("/in/b", &["b:1"])]);
    let d1 = world.upload(&["a:1"]);
    world.upload(&["b:1"]);
    let [run] = world.project_all()[..] else { panic!("one Run") };
    world.step(run);
    assert_eq!(world.status(run), Status::Ready);
    world.tag(d1, &[], &["a:1"]);
    world.tag(d1, &["a:1"], &[]);
    assert!(world.due().is_empty());
    let other = world.register("other", &[("/in", &["a:1"])]);
    assert_eq!(world.due().iter().map(|due| due.plan_id).collect::<Vec<_>>(), [other]);
    assert_eq!(world.fold::<Matcher>().explain(p).unwrap().runs, 1);
}

#[test]
fn prj_12_x3_failed_held_deleted_and_erased_runs_are_a_lasting_veto() {
    let mut world = World::new();
    let source = world.upload(&["a:1"]);
    let plan = world.register("p", &[("/in", &["a:1"])]);
    let [run] = world.project_all()[..] else { panic!("one Run") };
    let again = |world: &mut World| {
        world.tag(source, &[], &["a:1"]);
        world.tag(source, &["a:1"], &[]);
        world.due().len()
    };
    world.set_active(plan, false);
    assert_eq!((world.status(run), again(&mut world)), (Status::Deactivated, 0));
    world.abort(run);
    world.finish(run);
    assert_eq!((world.status(run), again(&mut world)), (Status::Failed, 0));
    world.delete(run);
    assert_eq!((world.status(run), again(&mut world)), (Status::Invalidated, 0));
    let upload = world.run_that_made(source);
    world.delete(upload);
    assert!(world.runs[&run].state.record.is_none(), "the tombstone is erased with its upstream");
    assert!(world.due().is_empty());
}

#[test]
fn prj_14_a_tag_removed_in_time_makes_no_run() {
    let mut world = World::new();
    world.register("p", &[("/in", &["a:1"])]);
    let data = world.upload(&["a:1"]);
    world.tag(data, &[], &["a:1"]);
    assert!(world.due().is_empty());
}

#[test]
fn prj_17_activating_a_plan_makes_nothing_due() {
    let mut world = World::new();
    let plan = world.register("p", &[("/in", &["a:1"])]);
    world.upload(&["a:1"]);
    let mut cursor = Cursor::default();
    assert_eq!(world.fold::<Matcher>().due(&mut cursor, ALL).combinations.len(), 1);
    world.set_active(plan, false);
    world.set_active(plan, true);
    assert!(world.fold::<Matcher>().due(&mut cursor, ALL).combinations.is_empty());
}

#[test]
fn a_retried_run_whose_outputs_were_used_makes_new_combinations_with_its_new_outputs() {
    let mut world = World::new();
    world.upload(&["a:1"]);
    world.register("first", &[("/in", &["a:1"])]);
    let [run] = world.project_all()[..] else { panic!("one Run") };
    world.register("second", &[("/in", &["made-by:first"])]);
    world.finish(run);
    let [second] = world.project_all()[..] else { panic!("one Run") };
    world.abort(second);
    world.finish(second);
    world.delete(second);
    world.retry(run);
    assert_eq!((world.status(run), world.due().len()), (Status::Waiting, 0));
    world.finish(run);
    assert_eq!(world.project_all().len(), 1);
}

#[test]
fn a_data_that_could_not_be_used_in_time_is_offered_again_on_request() {
    let mut world = World::new();
    world.register("p", &[("/in/a", &["a:1"]), ("/in/b", &["b:1"])]);
    world.upload(&["a:1"]);
    world.upload(&["b:1"]);
    world.upload(&["b:1"]);
    let (matcher, mut cursor) = (world.fold::<Matcher>(), Cursor::default());
    let handed_out = matcher.due(&mut cursor, ALL).combinations;
    assert_eq!(handed_out.len(), 2);
    assert!(matcher.due(&mut cursor, ALL).combinations.is_empty());
    cursor.revisit(&handed_out[0]);
    assert_eq!(matcher.due(&mut cursor, ALL).combinations, handed_out);
    cursor.revisit(&handed_out[1]);
    assert_eq!(matcher.due(&mut cursor, ALL).combinations, handed_out[1..]);
}

#[test]
fn a_plan_with_many_combinations_does_not_keep_another_waiting() {
    let mut world = World::new();
    let big = world.register("big", &[("/in/a", &["x:1"]), ("/in/b", &["x:1"])]);
    for _ in 0..20 {
        world.upload(&["x:1", "y:1"]);
    }
    let small = world.register("small", &[("/in", &["y:1"])]);
    let first = world.fold::<Matcher>().due(&mut Cursor::default(), 100);
    let of = |plan: PlanId| first.combinations.iter().filter(|due| due.plan_id == plan).count();
    assert_eq!((of(big), of(small), first.exhausted), (80, 20, false));
}

#[test]
fn a_plan_with_too_many_pending_runs_is_held_and_says_so_until_some_end() {
    let mut world = World::new();
    let plan = world.register("big", &[("/in/a", &["x:1"]), ("/in/b", &["x:1"])]);
    let other = world.register("other", &[("/in", &["y:1"])]);
    let side = 101;
    let data: Vec<KnitId> = (0..side).map(|_| world.upload(&["x:1"])).collect();
    let mut matcher: Matcher = world.fold();
    let mut cursor = Cursor::default();
    let mut first = Vec::new();
    while first.len() < PENDING_RUNS_PER_PLAN_MAX as usize {
        let limit = PENDING_RUNS_PER_PLAN_MAX as usize - first.len();
        first.extend(matcher.due(&mut cursor, limit).combinations);
    }
    let runs: Vec<RunId> =
        first.iter().map(|due| world.project(due.plan_id, &due.inputs, &due.trigger).unwrap()).collect();
    world.catch_up(&mut matcher);
    let held = matcher.due(&mut cursor, ALL);
    assert_eq!((held.combinations.len(), &held.held[..], held.exhausted), (0, &[plan][..], true));
    let told = matcher.explain(plan).unwrap();
    assert_eq!((told.pending, told.runs), (PENDING_RUNS_PER_PLAN_MAX, PENDING_RUNS_PER_PLAN_MAX));
    assert!(told.held.unwrap().to_string().starts_with("10000 of its Runs have not ended"));
    assert!(matcher.explain(other).unwrap().held.is_none());

    world.upload(&["y:1"]);
    for run in &runs[..2] {
        world.abort(*run);
        world.finish(*run);
    }
    world.catch_up(&mut matcher);
    let plans: Vec<PlanId> = matcher.due(&mut cursor, ALL).combinations.iter().map(|due| due.plan_id).collect();
    assert_eq!(plans.len(), 3);
    assert_eq!(plans.iter().filter(|of| **of == plan).count(), 2);
    assert!(data.len() * data.len() > runs.len() + 2, "more would be due");
}

#[test]
fn an_event_out_of_order_or_against_the_history_is_refused_and_changes_nothing() {
    let mut world = World::new();
    world.upload(&["a:1"]);
    world.register("p", &[("/in", &["a:1"])]);
    let [run] = world.project_all()[..] else { panic!("one Run") };
    world.finish(run);
    let mut matcher: Matcher = world.fold();
    let before = matcher.digest();
    assert!(matcher.apply(&world.log[0]).is_err(), "an old position");
    for event in &world.log {
        let mut again = event.clone();
        again.position = matcher.position() + 1;
        if matcher.apply(&again).is_err() {
            assert_eq!(matcher.digest(), before, "{}", again.event.type_name());
        } else {
            matcher = world.fold();
        }
    }
    matcher.skip(matcher.position() + 1).unwrap();
    assert_eq!(matcher.position(), world.log.len() as u64 + 1);
}
