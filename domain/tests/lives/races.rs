//! The invariants that span streams (domain.md 10.4): two decisions are taken on one state, the first
//! is appended, and the second must not break what the first has made true.

use knit_domain::agent;
use knit_domain::decision::{Condition, Decision};
use knit_domain::event::agent::AgentEvent;
use knit_domain::event::{Event, StreamId};
use knit_domain::id::{AgentMode, AgentName, KnitId, PlanId, RunId, WorkerName};
use knit_domain::reservation::{Holder, Scope};
use knit_domain::run::ending::{Failure, Success, UploadOutcome};
use knit_domain::run::{self, RunRefused, Status};

use crate::memory_log::Conflict;
use crate::world::{No, World, spawned};

struct Scene {
    world: World,
    /// A Plan that takes the output of `run`.
    next: PlanId,
    /// A `done` Run.
    run: RunId,
    /// Its output at `/out`.
    output: KnitId,
}

fn scene() -> Scene {
    let mut world = World::new();
    let (plan, next) = (world.plan("type:a", "type:b"), world.plan("type:b", "type:c"));
    let data = world.upload(&["type:a"]);
    let run = world.run_of(plan, data);
    world.bring(run, Status::Done);
    let output = world.output(run, "/out").knit_id;
    Scene { world, next, run, output }
}

/// Both decisions were taken on the present state: the first is appended, the second has lost.
fn loses(world: &mut World, first: &Decision, second: &Decision) -> Conflict {
    world.commit(first).unwrap();
    let before = world.log.entries.len();
    let Err(No::Conflict(conflict)) = world.commit(second) else { panic!("both were appended") };
    assert_eq!(world.log.entries.len(), before);
    conflict
}

#[test]
fn x5_a_projection_rests_on_the_tags_it_saw() {
    let Scene { mut world, next, output, .. } = scene();
    let projection = world.projection(next, &[("/in", output)]).unwrap();
    world.untag(output, "type:b");
    let moved = Condition::StreamAt { stream: StreamId::data(output), version: 1 };
    assert_eq!(world.commit(&projection), Err(No::Conflict(Conflict::Unmet(moved))));
}

#[test]
fn x6_x7_of_a_projection_and_the_removal_of_its_input_only_the_first_happens() {
    let removals: [fn(&mut World, RunId) -> Decision; 2] =
        [|world, run| world.retrial(run, None).unwrap(), |world, run| world.deletion(run).unwrap()];
    for removal in removals {
        let Scene { mut world, next, run, output } = scene();
        let projection = world.projection(next, &[("/in", output)]).unwrap();
        let removal = removal(&mut world, run);
        let mut other = World { log: world.log.clone(), ids: world.ids.clone() };

        let lost = loses(&mut world, &removal, &projection);
        let discarded = Condition::StreamAt { stream: StreamId::data(output), version: 1 };
        assert_eq!(lost, Conflict::Unmet(discarded));
        assert!(matches!(world.projection(next, &[("/in", output)]), Err(No::Projection(_))));

        let lost = loses(&mut other, &projection, &removal);
        assert_eq!(lost, Conflict::Unmet(Condition::ScopeEmpty { scope: Scope::DataUse(output) }));
        assert!(matches!(other.deletion(run), Err(No::Run(RunRefused::HasDownstreams { .. }))));
    }
}

#[test]
fn x7_of_a_download_and_the_removal_of_its_data_only_the_first_happens() {
    let Scene { mut world, run, output, .. } = scene();
    let name = AgentName::of(output, AgentMode::Read, 1);
    let download = agent::open_reader(&world.log.data(output), &name, "server").unwrap();
    let removal = world.deletion(run).unwrap();
    let mut other = World { log: world.log.clone(), ids: world.ids.clone() };
    assert!(matches!(loses(&mut world, &removal, &download), Conflict::Unmet(Condition::StreamAt { .. })));
    assert!(matches!(loses(&mut other, &download, &removal), Conflict::Unmet(Condition::ScopeEmpty { .. })));
    assert_eq!(other.delete(run), Err(No::Run(RunRefused::WorkerActive)));
}

#[test]
fn x7_a_run_that_starts_while_it_is_deleted_is_not_deleted() {
    let Scene { mut world, next, output, .. } = scene();
    let waiting = world.run_of(next, output);
    let deletion = world.deletion(waiting).unwrap();
    world.prepare(waiting).unwrap();
    assert_eq!(world.commit(&deletion), Err(No::Conflict(Conflict::Version(StreamId::run(waiting)))));
}

#[test]
fn x7_a_run_that_came_and_went_during_a_retry_is_not_left_behind() {
    let Scene { mut world, next, run, output } = scene();
    let retrial = world.retrial(run, None).unwrap();
    let tombstone = world.run_of(next, output);
    world.delete(tombstone).unwrap();
    let remembered = Condition::ScopeEmpty { scope: Scope::DataTombstones(output) };
    assert_eq!(world.commit(&retrial), Err(No::Conflict(Conflict::Unmet(remembered))));
    world.retry(run).unwrap();
    assert_eq!(world.log.run(tombstone).state.record, None);
}

#[test]
fn x8_agt_02_a_data_has_one_writer() {
    let mut world = World::new();
    let upload = world.start_upload().unwrap();
    let name = AgentName::of(upload.knit_id, AgentMode::Write, 1);
    let opened = AgentEvent::AgentOpened {
        name: name.clone(),
        knit_id: upload.knit_id,
        mode: AgentMode::Write,
        server: "another".to_owned(),
    };
    let taken = Conflict::Taken(Scope::DataUse(upload.knit_id), Holder::Writer);
    let second = Decision::write(StreamId::agent(&name), 0, [opened]);
    assert_eq!(world.commit(&second), Err(No::Conflict(taken)));
}

#[test]
fn x9_a_run_held_at_the_last_moment_does_not_start() {
    let Scene { mut world, next, output, .. } = scene();
    let run = world.run_of(next, output);
    let prepared = run::prepare_volumes(&world.log.run(run), &world.log.plan(next), 1).unwrap();
    world.set_active(next, false);
    let changed = Condition::StreamAt { stream: StreamId::plan(next), version: 1 };
    assert_eq!(world.commit(&prepared), Err(No::Conflict(Conflict::Unmet(changed))));
    assert_eq!(world.status(run), Status::Deactivated);
}

#[test]
fn x10_one_event_makes_a_run_done_and_its_outputs_usable() {
    let Scene { mut world, next, run, .. } = scene();
    world.retry(run).unwrap();
    world.bring(run, Status::Completing);
    let output = world.output(run, "/out").knit_id;
    assert!(world.project(next, &[("/in", output)]).is_err());
    let before = world.log.entries.len();
    world.on(run, |run| run::finish(run, 2, None)).unwrap();
    assert_eq!(world.log.entries.len(), before + 1);
    assert!(world.project(next, &[("/in", output)]).is_ok());
}

#[test]
fn x11_a_run_its_claims_and_its_outputs_appear_together() {
    let Scene { mut world, next, output, .. } = scene();
    let decision = world.projection(next, &[("/in", output)]).unwrap();
    let kinds: Vec<&str> = decision.events().map(Event::type_name).collect();
    assert_eq!(kinds, ["RunProjected", "DataReserved", "DataReserved"]);
    assert!(decision.writes.iter().all(|write| write.expected == 0));
    world.commit(&decision).unwrap();
    assert_eq!(world.log.holders(Scope::DataUse(output)).len(), 1);
}

#[test]
fn x12_an_id_of_a_data_is_never_used_again() {
    let Scene { mut world, run, output, .. } = scene();
    let state = world.log.run(run);
    let (plan, outputs) = (world.log.plan(world.record(run).plan), world.outputs_in_use(&state));
    world.delete(run).unwrap();
    let upload = knit_domain::run::creation::NewUpload { knit_id: output, ..world.new_upload() };
    let uploaded = world.log.plan(knit_domain::plan::Builtin::Uploaded.id());
    let reused = run::start_upload(&uploaded, &upload).unwrap();
    assert_eq!(world.commit(&reused), Err(No::Conflict(Conflict::Version(StreamId::data(output)))));

    let mut fresh = world.ids.clone();
    let retrial = run::retry(&state, &plan, &outputs, None, || KnitId(fresh.uuid())).unwrap();
    let reserved: Vec<_> = retrial.writes.iter().filter(|write| write.expected == 0).collect();
    assert!(reserved.iter().all(|write| world.log.version(&write.stream) == 0) && reserved.len() == 2);
}

#[test]
fn x13_what_was_seen_of_an_earlier_attempt_says_nothing_about_the_present_one() {
    let Scene { mut world, run, .. } = scene();
    world.retry(run).unwrap();
    world.bring(run, Status::Starting);
    let stale = RunRefused::StaleAttempt { observed: 1, current: 2 };
    let (state, plan) = (world.log.run(run), world.log.plan(world.record(run).plan));
    let failed = Failure::WorkerLost;
    for seen in [
        run::prepare_volumes(&state, &plan, 1),
        run::request_worker(&state, &plan, 1, [].into()),
        run::record_spawn(&state, 1, spawned("uid")),
        run::record_started(&state, 1),
        run::decide_success(&state, 1, Success::Worker),
        run::decide_failure(&state, 1, &failed),
        run::finish(&state, 1, None),
    ] {
        assert_eq!(seen, Err(stale.clone()));
    }
    assert_eq!(world.record(run).worker.unwrap().name, WorkerName::of(run, 2));
}

#[test]
fn x13_an_attempt_has_one_worker() {
    let Scene { mut world, run, .. } = scene();
    world.retry(run).unwrap();
    world.bring(run, Status::Starting);
    let other = RunRefused::OtherWorker { recorded: "uid".to_owned(), observed: "another".to_owned() };
    assert_eq!(world.on(run, |run| run::record_spawn(run, 2, spawned("another"))), Err(No::Run(other)));
    world.on(run, run::abort).unwrap();
    let unwanted = RunRefused::InvalidStateChange { from: Status::Aborting, to: Status::Starting };
    assert_eq!(world.on(run, |run| run::record_spawn(run, 2, spawned("uid"))), Err(No::Run(unwanted)));
}

#[test]
fn x14_of_an_abort_and_a_success_at_the_same_moment_exactly_one_stands() {
    let Scene { mut world, run, .. } = scene();
    world.retry(run).unwrap();
    world.bring(run, Status::Running);
    let abort = run::abort(&world.log.run(run)).unwrap();
    let success = run::decide_success(&world.log.run(run), 2, Success::Worker).unwrap();
    let mut other = World { log: world.log.clone(), ids: world.ids.clone() };

    assert_eq!(loses(&mut world, &abort, &success), Conflict::Version(StreamId::run(run)));
    let late = RunRefused::InvalidStateChange { from: Status::Aborting, to: Status::Completing };
    assert_eq!(world.on(run, |run| run::decide_success(run, 2, Success::Worker)), Err(No::Run(late)));

    assert_eq!(loses(&mut other, &success, &abort), Conflict::Version(StreamId::run(run)));
    let late = RunRefused::InvalidStateChange { from: Status::Completing, to: Status::Aborting };
    assert_eq!(other.on(run, run::abort), Err(No::Run(late)));
}

#[test]
fn x14_an_upload_is_stored_or_orphaned_and_never_both() {
    let mut world = World::new();
    let upload = world.start_upload().unwrap();
    let (run, writer) = (world.log.run(upload.run_id), world.log.agent(&upload.agent));
    let stored = run::conclude_upload(&run, &writer, UploadOutcome::Stored).unwrap();
    let orphaned = run::decide_failure(&run, 1, &Failure::UploadOrphaned).unwrap();
    let closing = agent::close(&writer, knit_domain::event::agent::AgentClosure::Housekeeping).unwrap();
    let mut other = World { log: world.log.clone(), ids: world.ids.clone() };

    loses(&mut world, &stored, &orphaned);
    other.commit(&closing).unwrap();
    assert_eq!(loses(&mut other, &orphaned, &stored), Conflict::Version(StreamId::run(upload.run_id)));
}
