//! Delete and garbage (domain.md 9.10).

use knit_domain::data::{self, DataRefused, Standing};
use knit_domain::event::run::{ErasureCause, RunEvent};
use knit_domain::event::{Event, StreamId};
use knit_domain::id::{KnitId, PlanId, RunId};
use knit_domain::reservation::{Holder, Scope};
use knit_domain::run::ending::UploadOutcome;
use knit_domain::run::{self, RunRefused, Status};

use crate::memory_log::Conflict;
use crate::world::{No, World, draft};

fn with_run(status: Status) -> (World, KnitId, RunId) {
    let mut world = World::new();
    let plan = world.plan("type:a", "type:b");
    let data = world.upload(&["type:a"]);
    let run = world.run_of(plan, data);
    world.bring(run, status);
    (world, data, run)
}

/// A Run that uses the output of `upstream`.
fn add_downstream(world: &mut World, upstream: RunId, status: Status) -> RunId {
    let plan = world.plan("type:b", "type:c");
    let output = world.output(upstream, "/out").knit_id;
    let run = world.run_of(plan, output);
    world.bring(run, status);
    run
}

fn producer(world: &World, data: KnitId) -> RunId {
    world.log.data(data).state.record.unwrap().run_id
}

fn is_erased(world: &World, run: RunId) -> bool {
    let run = world.log.run(run);
    run.exists() && run.state.record.is_none()
}

fn refuses(world: &mut World, run: RunId, refused: RunRefused) {
    let before = world.log.entries.len();
    assert_eq!(world.delete(run), Err(No::Run(refused)));
    assert_eq!(world.log.entries.len(), before);
}

#[test]
fn del_01_a_finished_run_with_inputs_becomes_a_tombstone() {
    for end in [Status::Done, Status::Failed] {
        let (mut world, data, run) = with_run(end);
        let outputs = world.record(run).outputs;
        world.delete(run).unwrap();
        let tombstone = world.record(run);
        assert_eq!((tombstone.status, tombstone.exit, tombstone.outputs), (Status::Invalidated, None, Vec::new()));
        assert_eq!(tombstone.inputs[0].knit_id, data);
        assert!(outputs.iter().all(|output| world.log.data(output.knit_id).state.living().is_err()));
        assert!(world.log.holders(Scope::DataUse(data)).is_empty());
        assert_eq!(world.log.holders(Scope::DataTombstones(data)), [Holder::Run(run)]);
    }
}

#[test]
fn del_02_a_tombstone_downstream_is_erased() {
    let (mut world, _, run) = with_run(Status::Done);
    let downstream = add_downstream(&mut world, run, Status::Invalidated);
    world.delete(run).unwrap();
    assert_eq!(world.status(run), Status::Invalidated);
    assert!(is_erased(&world, downstream));
}

#[test]
fn del_03_a_finished_root_run_is_erased() {
    for outcome in [UploadOutcome::Stored, UploadOutcome::Failed { reason: "no gzip".to_owned() }] {
        let mut world = World::new();
        let upload = world.start_upload().unwrap();
        world.conclude(&upload, outcome).unwrap();
        world.delete(upload.run_id).unwrap();
        assert!(is_erased(&world, upload.run_id));
        assert!(world.log.data(upload.knit_id).state.living().is_err());
    }
}

#[test]
fn del_04_a_root_run_goes_with_its_tombstones() {
    let (mut world, data, run) = with_run(Status::Invalidated);
    let root = producer(&world, data);
    world.delete(root).unwrap();
    assert!(is_erased(&world, root) && is_erased(&world, run));
    assert!(world.log.holders(Scope::DataTombstones(data)).is_empty());
}

#[test]
fn del_05_del_06_a_run_that_waits_or_is_held_may_be_deleted() {
    for status in [Status::Waiting, Status::Deactivated] {
        let (mut world, _, run) = with_run(status);
        world.delete(run).unwrap();
        assert_eq!(world.status(run), Status::Invalidated);
    }
}

#[test]
fn del_07_a_run_under_way_is_protected() {
    for status in [Status::Ready, Status::Starting, Status::Running, Status::Aborting, Status::Completing] {
        let (mut world, _, run) = with_run(status);
        refuses(&mut world, run, RunRefused::WorkerActive);
    }
    let mut world = World::new();
    let (import, _) = world.start_import().unwrap();
    refuses(&mut world, import, RunRefused::WorkerActive);
}

#[test]
fn del_08_del_12_a_live_run_downstream_protects_and_failed_is_live() {
    for status in [Status::Done, Status::Failed, Status::Waiting] {
        let (mut world, _, run) = with_run(Status::Done);
        let downstream = add_downstream(&mut world, run, status);
        refuses(&mut world, run, RunRefused::HasDownstreams { runs: vec![downstream] });
    }
}

#[test]
fn del_09_a_reader_on_an_output_protects_and_one_on_an_input_does_not() {
    let (mut world, data, run) = with_run(Status::Done);
    world.open_reader(data).unwrap();
    let output = world.output(run, "/out").knit_id;
    let reader = world.open_reader(output).unwrap();
    refuses(&mut world, run, RunRefused::WorkerActive);
    world.close(&reader).unwrap();
    assert_eq!(world.delete(run), Ok(()));
}

#[test]
fn del_10_a_tombstone_is_missing() {
    let (mut world, _, run) = with_run(Status::Invalidated);
    refuses(&mut world, run, RunRefused::Missing);
    let nobody = RunId(world.ids.uuid());
    refuses(&mut world, nobody, RunRefused::Missing);
}

#[test]
fn del_13_a_chain_is_deleted_from_its_leaf() {
    let (mut world, data, b) = with_run(Status::Done);
    let a = producer(&world, data);
    let c = add_downstream(&mut world, b, Status::Done);
    world.delete(c).unwrap();
    assert_eq!(world.status(c), Status::Invalidated);
    world.delete(b).unwrap();
    assert!(is_erased(&world, c) && world.status(b) == Status::Invalidated);
    world.delete(a).unwrap();
    assert!(is_erased(&world, b) && is_erased(&world, a));
}

/// A Run with inputs from two uploads, deleted.
fn tombstone_of_two() -> (World, PlanId, [KnitId; 2], RunId) {
    let mut world = World::new();
    let plan = world.register(draft(&[("/a", &["type:a"]), ("/b", &["type:b"])], &[])).unwrap();
    let (a, b) = (world.upload(&["type:a"]), world.upload(&["type:b"]));
    let run = world.project(plan, &[("/a", a), ("/b", b)]).unwrap();
    world.delete(run).unwrap();
    (world, plan, [a, b], run)
}

#[test]
fn del_14_a_tombstone_goes_with_the_first_of_its_inputs() {
    let (mut world, _, [a, b], run) = tombstone_of_two();
    let upload_a = producer(&world, a);
    world.delete(upload_a).unwrap();
    assert!(is_erased(&world, run));
    assert!(world.log.data(b).state.living().is_ok());
    assert!(world.log.holders(Scope::DataTombstones(b)).is_empty());
    let upload_b = producer(&world, b);
    assert_eq!(world.delete(upload_b), Ok(()));
}

#[test]
fn del_14_a_tombstone_of_several_discarded_data_is_erased_once() {
    let mut world = World::new();
    let two = draft(&[("/in", &["type:x"])], &[("/a", &["type:a"]), ("/b", &["type:b"])]);
    let maker = world.register(two).unwrap();
    let plan = world.register(draft(&[("/a", &["type:a"]), ("/b", &["type:b"])], &[])).unwrap();
    let data = world.upload(&["type:x"]);
    let made = world.run_of(maker, data);
    world.bring(made, Status::Done);
    let (a, b) = (world.output(made, "/a").knit_id, world.output(made, "/b").knit_id);
    let tombstone = world.project(plan, &[("/a", a), ("/b", b)]).unwrap();
    world.delete(tombstone).unwrap();

    world.delete(made).unwrap();
    let stream = StreamId::run(tombstone);
    let last: Vec<_> = world.log.stream(&stream).skip(2).map(|(_, event)| event.clone()).collect();
    let mut released = vec![a, b];
    released.sort();
    let erased = RunEvent::RunErased { cause: ErasureCause::UpstreamDiscarded(a), discarded: vec![], released };
    assert_eq!(last, [Event::Run(erased)]);
}

#[test]
fn del_15_a_deleted_combination_is_never_made_again() {
    let (mut world, plan, [a, b], run) = tombstone_of_two();
    let known = No::Conflict(Conflict::Version(StreamId::run(run)));
    assert_eq!(world.project(plan, &[("/a", a), ("/b", b)]), Err(known));
}

#[test]
fn outputs_that_were_not_read_with_the_run_are_read_again() {
    let (world, _, id) = with_run(Status::Done);
    let (run, output) = (world.log.run(id), world.output(id, "/log").knit_id);
    let mut outputs = world.outputs_in_use(&run);
    outputs.retain(|read| read.data.state.record.as_ref().is_some_and(|data| !data.log));
    assert_eq!(run::delete(&run, &outputs), Err(RunRefused::OutputsOutdated { knit_id: output }));
}

#[test]
fn gbg_01_gbg_05_the_volume_of_a_discarded_data_is_reclaimed_once() {
    let (mut world, _, run) = with_run(Status::Done);
    let output = world.output(run, "/out").knit_id;
    let living = DataRefused::StillLiving { knit_id: output };
    assert_eq!(data::reclaim_volume(&world.log.data(output)), Err(living));
    world.delete(run).unwrap();
    let decision = data::reclaim_volume(&world.log.data(output)).unwrap();
    world.commit(&decision).unwrap();
    let reclaimed = world.log.data(output);
    assert_eq!(reclaimed.state.record.as_ref().unwrap().standing, Standing::Reclaimed);
    assert!(data::reclaim_volume(&reclaimed).unwrap().is_nothing());
}
