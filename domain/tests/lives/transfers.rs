//! Uploads, imports and Data Agents (domain.md 9.11).

use knit_domain::agent::{self, AgentRefused};
use knit_domain::data::{DataRefused, TagChange};
use knit_domain::decision::Versioned;
use knit_domain::event::agent::AgentClosure;
use knit_domain::event::run::{FailureCause, RunEvent};
use knit_domain::event::{Event, StreamId};
use knit_domain::id::{AgentMode, AgentName, KnitId};
use knit_domain::plan::Builtin;
use knit_domain::reservation::{Holder, Scope};
use knit_domain::run::creation::{IMPORT_ALLOWED_MS, TransferRefused};
use knit_domain::run::ending::{Failure, Success, UploadOutcome};
use knit_domain::run::{self, Cause, RunKind, RunRefused, Status};
use knit_domain::tag::{Tag, TagSet};

use crate::memory_log::Conflict;
use crate::world::{No, World};

#[test]
fn upl_02_without_its_built_in_plan_nothing_is_uploaded_or_imported() {
    let mut world = World::new();
    let (upload, unknown) = (world.new_upload(), Versioned::default());
    let refused = TransferRefused::NoBuiltinPlan { name: "knit#uploaded" };
    assert_eq!(run::start_upload(&unknown, &upload), Err(refused));
    let refused = TransferRefused::NoBuiltinPlan { name: "knit#imported" };
    assert_eq!(run::start_import(&unknown, upload.run_id, upload.knit_id), Err(refused));
    let plan = world.plan("type:a", "type:b");
    assert!(run::start_upload(&world.log.plan(plan), &upload).is_err());
}

#[test]
fn an_upload_is_running_from_birth_with_its_data_and_writer() {
    let mut world = World::new();
    let upload = world.start_upload().unwrap();
    let record = world.record(upload.run_id);
    assert_eq!((record.kind, record.status, record.plan), (RunKind::Upload, Status::Running, Builtin::Uploaded.id()));
    let data = world.log.data(upload.knit_id).state.record.unwrap();
    assert_eq!((data.path.as_str(), data.tags, data.run_id), ("/upload", TagSet::default(), upload.run_id));
    assert_eq!(world.log.holders(Scope::DataUse(upload.knit_id)), [Holder::Writer]);
}

fn broken_off() -> UploadOutcome {
    UploadOutcome::Failed { reason: "the connection broke off".to_owned() }
}

#[test]
fn upl_04_a_stored_upload_is_done_and_its_agent_closed_at_once() {
    let mut world = World::new();
    let upload = world.start_upload().unwrap();
    world.conclude(&upload, UploadOutcome::Stored).unwrap();
    assert_eq!(world.status(upload.run_id), Status::Done);
    assert_eq!(world.log.agent(&upload.agent).state.record.unwrap().closed, Some(AgentClosure::Finished));
    assert!(world.log.holders(Scope::DataUse(upload.knit_id)).is_empty());
}

#[test]
fn upl_05_upl_06_upl_08_a_broken_upload_is_failed_and_its_agent_closed() {
    let mut world = World::new();
    let upload = world.start_upload().unwrap();
    world.conclude(&upload, broken_off()).unwrap();
    let record = world.record(upload.run_id);
    assert_eq!((record.status, record.exit), (Status::Failed, None));
    assert_eq!(record.cause, Some(Cause::Failure(FailureCause::UploadFailed)));
    let stream = StreamId::run(upload.run_id);
    let decided = world.log.stream(&stream).find(|(_, event)| event.type_name() == "RunFailureDecided");
    let (attempt, cause, reason) = (1, FailureCause::UploadFailed, "the connection broke off".to_owned());
    let expected = Event::from(RunEvent::RunFailureDecided { attempt, code: None, reason, cause });
    assert_eq!(decided.map(|(_, event)| event), Some(&expected), "it has no exit code, but a reason");
    assert!(world.log.holders(Scope::DataUse(upload.knit_id)).is_empty());
}

#[test]
fn upl_09_an_upload_that_a_user_aborted_ends_failed_whatever_was_stored() {
    let mut world = World::new();
    let upload = world.start_upload().unwrap();
    world.on(upload.run_id, run::abort).unwrap();
    let refused = RunRefused::InvalidStateChange { from: Status::Aborting, to: Status::Completing };
    assert_eq!(world.conclude(&upload, UploadOutcome::Stored), Err(No::Run(refused)));
    world.conclude(&upload, broken_off()).unwrap();
    let record = world.record(upload.run_id);
    assert_eq!((record.status, record.cause), (Status::Failed, Some(Cause::Failure(FailureCause::User))));
}

#[test]
fn upl_10_an_upload_with_a_writer_is_not_orphaned() {
    let mut world = World::new();
    let upload = world.start_upload().unwrap();
    let orphaned = world.on(upload.run_id, |run| run::decide_failure(run, 1, &Failure::UploadOrphaned));
    assert!(matches!(orphaned, Err(No::Conflict(Conflict::Unmet(_)))), "{orphaned:?}");
    assert_eq!(world.status(upload.run_id), Status::Running);
}

#[test]
fn upl_11_an_upload_without_a_writer_is_orphaned_even_if_it_is_read() {
    let mut world = World::new();
    let upload = world.start_upload().unwrap();
    let closing = agent::close(&world.log.agent(&upload.agent), AgentClosure::Housekeeping).unwrap();
    world.commit(&closing).unwrap();
    world.open_reader(upload.knit_id).unwrap();
    world.on(upload.run_id, |run| run::decide_failure(run, 1, &Failure::UploadOrphaned)).unwrap();
    assert_eq!(world.status(upload.run_id), Status::Aborting);
}

#[test]
fn tear_off_of_an_upload_or_import_in_progress_is_refused_and_abort_is_not() {
    let mut world = World::new();
    let upload = world.start_upload().unwrap().run_id;
    let (import, _) = world.start_import().unwrap();
    for run in [upload, import] {
        assert_eq!(world.on(run, run::tear_off), Err(No::Run(RunRefused::Unfinished)));
        assert_eq!(world.on(run, run::abort), Ok(()));
    }
}

#[test]
fn imp_03_the_end_of_an_import_completes_it_and_may_be_repeated() {
    let mut world = World::new();
    let (run, _) = world.start_import().unwrap();
    for _ in 0..2 {
        world.on(run, |run| run::decide_success(run, 1, Success::Import)).unwrap();
        assert_eq!(world.status(run), Status::Completing);
    }
    assert_eq!(IMPORT_ALLOWED_MS, 1_800_000);
}

#[test]
fn imp_04_the_end_of_an_import_that_is_over_is_refused() {
    let mut world = World::new();
    let (run, _) = world.start_import().unwrap();
    world.on(run, |run| run::decide_failure(run, 1, &Failure::ImportOverdue)).unwrap();
    let end = |world: &mut World| world.on(run, |run| run::decide_success(run, 1, Success::Import));
    assert!(matches!(end(&mut world), Err(No::Run(RunRefused::InvalidStateChange { .. }))));
    world.on(run, |run| run::finish(run, 1, None)).unwrap();
    assert!(matches!(end(&mut world), Err(No::Run(RunRefused::InvalidStateChange { .. }))));
    world.delete(run).unwrap();
    assert_eq!(end(&mut world), Err(No::Run(RunRefused::Missing)));
}

#[test]
fn agt_01_any_number_of_readers_may_be_open() {
    let mut world = World::new();
    let data = world.upload(&[]);
    let readers = [1, 2, 3].map(|_| world.open_reader(data).unwrap());
    assert_eq!(world.log.holders(Scope::DataUse(data)).len(), 3);
    for reader in &readers {
        world.close(reader).unwrap();
        world.close(reader).unwrap();
    }
    assert!(world.log.holders(Scope::DataUse(data)).is_empty());
}

#[test]
fn agt_02_readers_are_accepted_beside_a_writer() {
    let mut world = World::new();
    let upload = world.start_upload().unwrap();
    assert!(world.open_reader(upload.knit_id).is_ok());
}

#[test]
fn agt_03_an_agent_needs_a_data_that_is_not_discarded() {
    let mut world = World::new();
    let nobody = KnitId(world.ids.uuid());
    assert_eq!(world.open_reader(nobody), Err(No::Data(DataRefused::Missing)));
    let upload = world.start_upload().unwrap();
    world.conclude(&upload, broken_off()).unwrap();
    world.delete(upload.run_id).unwrap();
    assert_eq!(world.open_reader(upload.knit_id), Err(No::Data(DataRefused::Missing)));
    let unknown = AgentName::of(nobody, AgentMode::Read, 1);
    assert_eq!(world.close(&unknown), Err(No::Agent(AgentRefused::Missing)));
}

#[test]
fn tag_20_tags_change_while_the_run_is_running() {
    let mut world = World::new();
    let upload = world.start_upload().unwrap();
    let tag = Tag::new("type", "a");
    let add = [tag.clone()].into();
    world.change_tags(upload.knit_id, &TagChange { add, ..TagChange::default() }).unwrap();
    assert!(world.log.data(upload.knit_id).state.record.unwrap().tags.contains(&tag));
    assert_eq!(world.status(upload.run_id), Status::Running);
}
