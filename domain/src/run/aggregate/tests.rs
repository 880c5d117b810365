use cqrs_es::test::{AggregateTestExecutor, TestFramework};
use uuid::Uuid;

use super::*;
use crate::event::run::{Assignment, Exit, FailureCause, OutputData, SuccessCause, WorkerOrder};
use crate::id::{KnitId, PlanId, RunId, VolumeRef, WorkerName};
use crate::plan::Builtin;
use crate::run::Status;
use crate::tag::TagSet;

fn run_id() -> RunId {
    RunId(Uuid::from_u128(1))
}

fn output() -> OutputData {
    let knit_id = KnitId(Uuid::from_u128(2));
    let volume_ref = VolumeRef::of(knit_id);
    OutputData { path: "/out".to_owned(), log: false, knit_id, volume_ref, tags: TagSet::default() }
}

fn projected() -> RunEvent {
    let input = Assignment { path: "/in".to_owned(), knit_id: KnitId(Uuid::from_u128(3)) };
    RunEvent::RunProjected {
        run_id: run_id(),
        plan_id: PlanId(Uuid::from_u128(4)),
        inputs: vec![input.clone()],
        outputs: vec![output()],
        worker_name: WorkerName::of(run_id(), 1),
        trigger: input,
    }
}

fn given(events: Vec<RunEvent>) -> AggregateTestExecutor<Run> {
    TestFramework::<Run>::with(()).given(events)
}

fn failed(cause: FailureCause, code: u8, message: &str) -> RunEvent {
    RunEvent::RunFailureDecided { attempt: 1, code: Some(code), reason: message.to_owned(), cause }
}

#[test]
fn a_waiting_run_is_aborted() {
    let aborted = failed(FailureCause::User, 253, "aborted by user");
    given(vec![projected()]).when(RunCommand::Abort).then_expect_events(vec![aborted.clone()]);
    given(vec![projected(), aborted]).when(RunCommand::Abort).then_expect_events(vec![]);
}

#[test]
fn a_waiting_run_is_not_torn_off() {
    let refused = RunRefused::InvalidStateChange { from: Status::Waiting, to: Status::Completing };
    given(vec![projected()]).when(RunCommand::TearOff).then_expect_error(refused);
}

#[test]
fn an_unknown_or_erased_run_is_missing() {
    given(vec![]).when(RunCommand::Abort).then_expect_error(RunRefused::Missing);
    let upload = RunEvent::UploadStarted { run_id: run_id(), plan_id: Builtin::Uploaded.id(), output: output() };
    let erased = RunEvent::RunErased {
        cause: crate::event::run::ErasureCause::RootDeleted,
        discarded: vec![output().knit_id],
        released: vec![],
    };
    given(vec![upload, erased]).when(RunCommand::Abort).then_expect_error(RunRefused::Missing);
}

/// A Run goes the whole way from `ready`; each command is given the events of those before.
#[test]
fn a_run_goes_from_ready_to_done_step_by_step() {
    let order = WorkerOrder {
        name: WorkerName::of(run_id(), 1),
        image: crate::event::plan::Image { repository: "image".to_owned(), tag: "v1".to_owned() },
        entrypoint: vec![],
        args: vec![],
        env: [].into(),
        resources: [].into(),
        on_node: vec![],
        service_account: None,
    };
    let spawned = Spawned { uid: "uid".to_owned(), image_digest: None, notes: vec!["as asked".to_owned()] };
    let mut past = vec![
        projected(),
        RunEvent::RunVolumesPrepared { attempt: 1, volumes: vec![output().volume_ref] },
        RunEvent::WorkerRequested { attempt: 1, worker: order },
    ];
    let steps = [
        (
            RunCommand::RecordSpawn { attempt: 1, spawned },
            RunEvent::WorkerSpawned {
                attempt: 1,
                worker_name: WorkerName::of(run_id(), 1),
                uid: "uid".to_owned(),
                image_digest: None,
                notes: vec!["as asked".to_owned()],
            },
        ),
        (RunCommand::RecordStarted { attempt: 1 }, RunEvent::RunStarted { attempt: 1 }),
        (
            RunCommand::DecideSuccess { attempt: 1, success: Success::Worker },
            RunEvent::RunSuccessDecided {
                attempt: 1,
                exit: Some(Exit { code: 0, message: String::new() }),
                cause: SuccessCause::WorkerSucceeded,
            },
        ),
        (RunCommand::Finish { attempt: 1, log_sha256: None }, RunEvent::RunSucceeded { attempt: 1, log_sha256: None }),
    ];
    for (command, event) in steps {
        given(past.clone()).when(command).then_expect_events(vec![event.clone()]);
        past.push(event);
    }
}

#[test]
fn refusals_say_what_and_what_to_do() {
    let runs: Vec<RunId> = (1..=7).map(|id| RunId(Uuid::from_u128(id))).collect();
    let text = RunRefused::HasDownstreams { runs }.to_string();
    assert!(text.starts_with("7 Runs use its outputs: delete them first (00000000-"), "{text}");
    assert!(text.ends_with("000000000005, …)"), "{text}");
    let text = RunRefused::HasDownstreams { runs: vec![RunId(Uuid::nil())] }.to_string();
    assert!(text.starts_with("1 Run uses its outputs: delete it first (00000000-"), "{text}");
    let text = RunRefused::InvalidStateChange { from: Status::Done, to: Status::Aborting }.to_string();
    assert!(text.contains("is done, and from there it cannot become aborting"), "{text}");
}
