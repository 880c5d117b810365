//! Status changes and the end of Runs (domain.md 9.7, 9.8) and what is observed of Workers (9.12).

use knit_domain::decision::{Decision, Versioned};
use knit_domain::event::run::{Exit, FailureCause, RunEvent, SuccessCause};
use knit_domain::event::{Event, StreamId};
use knit_domain::id::{RunId, WorkerName};
use knit_domain::run::ending::{EXIT_MESSAGE_CHARS_MAX, Failure, Success};
use knit_domain::run::status::{Change, change};
use knit_domain::run::{self, Cause, Run, RunRefused, Status};

use crate::world::{No, World, spawned};

type Decide = fn(&World, &Versioned<Run>) -> Result<Decision, RunRefused>;

fn attempt(run: &Versioned<Run>) -> u32 {
    run.state.record.as_ref().map_or(1, |record| record.attempt)
}

fn plan(world: &World, run: &Versioned<Run>) -> Versioned<knit_domain::plan::Plan> {
    run.state.record.as_ref().map(|record| world.log.plan(record.plan)).unwrap_or_default()
}

/// Every decision that asks for one certain status, with that status.
const DECISIONS: [(Status, Decide); 7] = [
    (Status::Ready, |world, run| run::prepare_volumes(run, &plan(world, run), attempt(run))),
    (Status::Starting, |world, run| run::request_worker(run, &plan(world, run), attempt(run), [].into())),
    (Status::Running, |_, run| run::record_started(run, attempt(run))),
    (Status::Completing, |_, run| run::decide_success(run, attempt(run), Success::Worker)),
    (Status::Completing, |_, run| run::tear_off(run)),
    (Status::Aborting, |_, run| run::abort(run)),
    (Status::Aborting, |_, run| {
        run::decide_failure(run, attempt(run), &Failure::WorkerFailed(Exit { code: 1, message: String::new() }))
    }),
];

/// A world with a Run in the given status.
fn world_with(status: Status) -> (World, RunId) {
    let mut world = World::new();
    let plan = world.plan("type:a", "type:b");
    let data = world.upload(&["type:a"]);
    let run = world.run_of(plan, data);
    world.bring(run, status);
    (world, run)
}

#[test]
fn sts_01_every_decision_follows_the_table_from_every_status() {
    for from in Status::ALL {
        let (world, id) = world_with(from);
        for (to, decide) in DECISIONS {
            let decided = decide(&world, &world.log.run(id));
            // Decisions that do not concern the Plan's activity call a held Run waiting, as it is stored.
            let stored = if to == Status::Ready { from } else { world.record(id).status };
            match change(from, to) {
                Change::Already => assert_eq!(decided, Ok(Decision::nothing()), "{from} to {to}"),
                Change::Allowed => assert_eq!(decided.unwrap().events().count(), 1, "{from} to {to}"),
                Change::Denied => {
                    assert_eq!(decided, Err(RunRefused::InvalidStateChange { from: stored, to }), "{from} to {to}");
                }
            }
        }
    }
}

#[test]
fn sts_01_a_change_leads_to_the_status_asked_for() {
    for from in Status::ALL {
        for (to, decide) in DECISIONS {
            let (mut world, id) = world_with(from);
            let Ok(decision) = decide(&world, &world.log.run(id)) else { continue };
            world.commit(&decision).unwrap();
            assert_eq!(world.status(id), to, "from {from}");
        }
    }
}

#[test]
fn sts_04_fin_04_a_run_that_does_not_exist_is_missing() {
    let world = World::new();
    let nobody = Versioned::default();
    for (_, decide) in DECISIONS {
        assert_eq!(decide(&world, &nobody), Err(RunRefused::Missing));
    }
    assert_eq!(run::finish(&nobody, 1, None), Err(RunRefused::Missing));
    assert_eq!(run::record_spawn(&nobody, 1, spawned("uid")), Err(RunRefused::Missing));
}

#[test]
fn fin_01_a_completing_run_is_done_and_its_worker_is_off_the_record() {
    let (mut world, run) = world_with(Status::Completing);
    assert!(world.record(run).worker.is_some());
    world.on(run, |run| run::finish(run, 1, Some("abc".to_owned()))).unwrap();
    assert_eq!(world.status(run), Status::Done);
    assert_eq!(world.record(run).worker, None);
    let last = world.log.entries.last().unwrap().event.clone();
    assert_eq!(last, Event::Run(RunEvent::RunSucceeded { attempt: 1, log_sha256: Some("abc".to_owned()) }));
}

#[test]
fn fin_01_a_completing_import_is_done() {
    let mut world = World::new();
    let (run, _) = world.start_import().unwrap();
    world.on(run, |run| run::decide_success(run, 1, Success::Import)).unwrap();
    world.on(run, |run| run::finish(run, 1, None)).unwrap();
    assert_eq!(world.status(run), Status::Done);
}

#[test]
fn fin_02_an_aborting_run_is_failed_and_its_output_fills_no_input() {
    let (mut world, run) = world_with(Status::Aborting);
    world.on(run, |run| run::finish(run, 1, None)).unwrap();
    assert_eq!(world.status(run), Status::Failed);
    let next = world.plan("type:b", "type:c");
    let output = world.output(run, "/out").knit_id;
    assert!(world.project(next, &[("/in", output)]).is_err());

    let (import, _) = world.start_import().unwrap();
    world.on(import, |run| run::decide_failure(run, 1, &Failure::ImportOverdue)).unwrap();
    world.on(import, |run| run::finish(run, 1, None)).unwrap();
    assert_eq!(world.status(import), Status::Failed);
}

#[test]
fn fin_03_a_run_whose_end_is_not_decided_is_not_finished() {
    for from in Status::ALL.into_iter().filter(|from| !matches!(from, Status::Completing | Status::Aborting)) {
        let (mut world, run) = world_with(from);
        let before = world.log.entries.len();
        let refused = world.on(run, |run| run::finish(run, 1, None));
        assert!(matches!(refused, Err(No::Run(RunRefused::InvalidStateChange { .. }))), "{from}: {refused:?}");
        assert_eq!(world.log.entries.len(), before);
    }
}

#[test]
fn fin_05_fin_06_a_run_knows_whether_a_worker_has_to_be_removed() {
    let (world, requested) = world_with(Status::Completing);
    assert_eq!(world.record(requested).worker.unwrap().name, WorkerName::of(requested, 1));
    let (mut world, waiting) = world_with(Status::Waiting);
    world.on(waiting, run::abort).unwrap();
    assert_eq!(world.record(waiting).worker, None);
    world.on(waiting, |run| run::finish(run, 1, None)).unwrap();
    assert_eq!(world.status(waiting), Status::Failed);
}

#[test]
fn vol_01_the_volumes_of_outputs_and_log_are_prepared_and_none_of_inputs() {
    let (mut world, run) = world_with(Status::Waiting);
    world.prepare(run).unwrap();
    let Event::Run(RunEvent::RunVolumesPrepared { volumes, .. }) = &world.log.entries.last().unwrap().event else {
        panic!("volumes are prepared last");
    };
    let expected: Vec<_> = ["/out", "/log"].map(|path| world.output(run, path).volume_ref).into();
    assert_eq!(*volumes, expected);
}

#[test]
fn wrk_01_a_request_freezes_what_the_worker_is_made_from() {
    let (mut world, run) = world_with(Status::Ready);
    world.request(run).unwrap();
    let record = world.record(run);
    assert_eq!((record.status, record.exit), (Status::Starting, None));
    let Event::Run(RunEvent::WorkerRequested { worker, .. }) = &world.log.entries.last().unwrap().event else {
        panic!("the Worker is requested last");
    };
    let plan = world.log.plan(record.plan).state;
    assert_eq!(worker.name, WorkerName::of(run, 1));
    assert_eq!(worker.image, plan.definition().unwrap().image);
    assert_eq!(worker.resources, plan.resources);
    assert_eq!(worker.env, [("KEY".to_owned(), "value".to_owned())].into());
}

#[test]
fn wrk_04_a_worker_is_lost_only_after_it_was_known_to_exist() {
    let (mut world, run) = world_with(Status::Ready);
    world.request(run).unwrap();
    let lost = |run: &Versioned<Run>| run::decide_failure(run, 1, &Failure::WorkerLost);
    assert_eq!(world.on(run, lost), Err(No::Run(RunRefused::NotSpawned)));

    world.on(run, |run| run::record_spawn(run, 1, spawned("uid"))).unwrap();
    world.on(run, lost).unwrap();
    let exit = Exit { code: 254, message: "worker for the run is not found".to_owned() };
    let record = world.record(run);
    assert_eq!((record.status, record.exit), (Status::Aborting, Some(exit)));
    assert_eq!(record.cause, Some(Cause::Failure(FailureCause::WorkerLost)));
}

#[test]
fn wrk_08_wrk_09_seeing_what_is_known_changes_nothing() {
    let (world, run) = world_with(Status::Starting);
    assert_eq!(run::record_spawn(&world.log.run(run), 1, spawned("uid")), Ok(Decision::nothing()));
    let (world, run) = world_with(Status::Running);
    assert_eq!(run::record_started(&world.log.run(run), 1), Ok(Decision::nothing()));
    assert_eq!(run::record_spawn(&world.log.run(run), 1, spawned("uid")), Ok(Decision::nothing()));
}

#[test]
fn wrk_10_wrk_11_a_worker_runs_and_succeeds() {
    let (mut world, run) = world_with(Status::Starting);
    world.on(run, |run| run::record_started(run, 1)).unwrap();
    assert_eq!(world.status(run), Status::Running);
    world.on(run, |run| run::decide_success(run, 1, Success::Worker)).unwrap();
    let record = world.record(run);
    assert_eq!((record.status, record.exit), (Status::Completing, Some(Exit { code: 0, message: String::new() })));
    assert_eq!(record.cause, Some(Cause::Success(SuccessCause::WorkerSucceeded)));
}

#[test]
fn wrk_12_a_failed_worker_gives_its_exit() {
    let (mut world, run) = world_with(Status::Running);
    let exit = Exit { code: 3, message: "(container main) Error".to_owned() };
    world.on(run, |run| run::decide_failure(run, 1, &Failure::WorkerFailed(exit.clone()))).unwrap();
    assert_eq!((world.status(run), world.record(run).exit), (Status::Aborting, Some(exit)));
}

#[test]
fn wrk_12_a_failure_never_has_code_0_and_never_a_long_message() {
    let (mut world, run) = world_with(Status::Running);
    let end = Exit { code: 0, message: "é".repeat(EXIT_MESSAGE_CHARS_MAX + 1) };
    world.on(run, |run| run::decide_failure(run, 1, &Failure::WorkerFailed(end))).unwrap();
    let exit = world.record(run).exit.unwrap();
    assert_eq!((exit.code, exit.message), (1, "é".repeat(EXIT_MESSAGE_CHARS_MAX)));
}

#[test]
fn wrk_13_a_stuck_worker_gives_255() {
    let (mut world, run) = world_with(Status::Starting);
    let message = "(pod p) [BackOff] no such image".to_owned();
    world.on(run, |run| run::decide_failure(run, 1, &Failure::WorkerStuck { message: message.clone() })).unwrap();
    assert_eq!((world.status(run), world.record(run).exit), (Status::Aborting, Some(Exit { code: 255, message })));
}

#[test]
fn wrk_25_uploads_and_imports_do_not_end_as_workers_do() {
    let mut world = World::new();
    let upload = world.start_upload().unwrap().run_id;
    let (import, _) = world.start_import().unwrap();
    let (_, image) = world_with(Status::Running);
    for run in [upload, import] {
        let wrong = Err(No::Run(RunRefused::WrongKind { kind: world.record(run).kind }));
        assert_eq!(world.on(run, |run| run::decide_success(run, 1, Success::Worker)), wrong);
        assert_eq!(world.on(run, |run| run::decide_failure(run, 1, &Failure::WorkerLost)), wrong);
    }
    let wrong = world.on(upload, |run| run::decide_failure(run, 1, &Failure::ImportOverdue));
    assert!(matches!(wrong, Err(No::Run(RunRefused::WrongKind { .. }))));
    let (mut world, running) = world_with(Status::Running);
    assert_eq!(image, running);
    let wrong = world.on(running, |run| run::decide_failure(run, 1, &Failure::UploadFailed { reason: String::new() }));
    assert!(matches!(wrong, Err(No::Run(RunRefused::WrongKind { .. }))));
}

#[test]
fn users_end_a_run_with_exits_of_their_own() {
    let (mut world, run) = world_with(Status::Running);
    world.on(run, run::tear_off).unwrap();
    assert_eq!(world.record(run).exit, Some(Exit { code: 0, message: "stopped by user".to_owned() }));
    assert_eq!(world.record(run).cause, Some(Cause::Success(SuccessCause::TornOff)));
    let (mut world, run) = world_with(Status::Running);
    world.on(run, run::abort).unwrap();
    assert_eq!(world.record(run).exit, Some(Exit { code: 253, message: "aborted by user".to_owned() }));
    assert_eq!(world.record(run).cause, Some(Cause::Failure(FailureCause::User)));
}

#[test]
fn a_decision_is_taken_on_the_version_that_was_read() {
    let (world, id) = world_with(Status::Running);
    let run = world.log.run(id);
    let decision = run::abort(&run).unwrap();
    assert_eq!((&decision.writes[0].stream, decision.writes[0].expected), (&StreamId::run(id), run.version));
}
