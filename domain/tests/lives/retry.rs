//! Retry (domain.md 9.9).

use knit_domain::decision::Versioned;
use knit_domain::event::run::{Exit, RunEvent};
use knit_domain::event::{Event, StreamId};
use knit_domain::id::{KnitId, RunId, WorkerName};
use knit_domain::reservation::{Holder, Scope};
use knit_domain::run::ending::UploadOutcome;
use knit_domain::run::removal::{KeptLog, LOG_TAIL_BYTES_MAX};
use knit_domain::run::{self, RunRefused, Status};

use crate::world::{No, World, tags};

/// A chain D → first → second, of which only `first` is made. Its output is tagged `type:b`.
struct Chain {
    world: World,
    data: KnitId,
    first: RunId,
}

impl Chain {
    fn with_first(status: Status) -> Self {
        let mut world = World::new();
        let plan = world.plan("type:a", "type:b");
        let data = world.upload(&["type:a"]);
        let first = world.run_of(plan, data);
        world.bring(first, status);
        Self { world, data, first }
    }

    fn add_second(&mut self, status: Status) -> RunId {
        let plan = self.world.plan("type:b", "type:c");
        let output = self.world.output(self.first, "/out").knit_id;
        let second = self.world.run_of(plan, output);
        self.world.bring(second, status);
        second
    }

    fn refuses(mut self, refused: RunRefused) {
        let before = self.world.log.clone();
        assert_eq!(self.world.retry(self.first), Err(No::Run(refused)));
        assert_eq!(self.world.log.entries, before.entries);
    }
}

#[test]
fn rty_01_rty_02_a_finished_run_waits_again_with_fresh_outputs() {
    for end in [Status::Done, Status::Failed] {
        let Chain { mut world, data, first } = Chain::with_first(end);
        let old = world.record(first);
        world.retry(first).unwrap();
        let new = world.record(first);
        assert_eq!((world.status(first), new.attempt, &new.exit, &new.cause), (Status::Waiting, 2, &None, &None));
        assert_eq!(new.worker_name, Some(WorkerName(format!("worker-run-{first}-2"))));
        assert_eq!((&new.inputs, world.log.holders(Scope::DataUse(data))), (&old.inputs, vec![Holder::Run(first)]));
        assert_eq!((new.earlier[0].attempt, &new.earlier[0].exit), (1, &old.exit));
        for (old, new) in old.outputs.iter().zip(&new.outputs) {
            assert_eq!((&old.path, old.log, &old.tags), (&new.path, new.log, &new.tags));
            assert!(world.log.data(old.knit_id).state.living().is_err());
            assert_eq!(world.log.data(new.knit_id).state.living().unwrap().attempt, 2);
        }
    }
}

#[test]
fn rty_01_edited_tags_of_the_old_outputs_are_lost() {
    let Chain { mut world, first, .. } = Chain::with_first(Status::Done);
    let old = world.output(first, "/out").knit_id;
    world.untag(old, "type:b");
    world.retry(first).unwrap();
    let new = world.output(first, "/out").knit_id;
    assert_eq!(world.log.data(new).state.living().unwrap().tags, tags(&["type:b"]));
}

#[test]
fn rty_03_a_tombstone_downstream_is_erased() {
    let mut chain = Chain::with_first(Status::Done);
    let second = chain.add_second(Status::Invalidated);
    let output = chain.world.output(chain.first, "/out").knit_id;
    chain.world.retry(chain.first).unwrap();
    assert_eq!(chain.world.status(chain.first), Status::Waiting);
    assert_eq!(chain.world.log.run(second).state.record, None);
    assert!(chain.world.log.holders(Scope::DataTombstones(output)).is_empty());
}

#[test]
fn rty_04_a_live_run_downstream_protects() {
    for status in [Status::Waiting, Status::Failed, Status::Done] {
        let mut chain = Chain::with_first(Status::Done);
        let second = chain.add_second(status);
        chain.refuses(RunRefused::HasDownstreams { runs: vec![second] });
    }
}

#[test]
fn rty_05_a_run_that_is_not_finished_and_has_no_worker_is_not_retried() {
    for from in [Status::Deactivated, Status::Waiting, Status::Ready, Status::Aborting] {
        let chain = Chain::with_first(from);
        chain.refuses(RunRefused::InvalidStateChange { from, to: Status::Waiting });
    }
    let mut torn_off = Chain::with_first(Status::Ready);
    torn_off.world.on(torn_off.first, run::tear_off).unwrap();
    torn_off.refuses(RunRefused::InvalidStateChange { from: Status::Completing, to: Status::Waiting });
    let mut adopted = Chain::with_first(Status::Ready);
    adopted.world.on(adopted.first, |run| run::record_started(run, 1)).unwrap();
    adopted.refuses(RunRefused::InvalidStateChange { from: Status::Running, to: Status::Waiting });
}

#[test]
fn rty_05_a_worker_on_record_is_named_first() {
    for status in [Status::Starting, Status::Running, Status::Completing] {
        Chain::with_first(status).refuses(RunRefused::WorkerActive);
    }
}

#[test]
fn rty_07_uploads_and_imports_are_protected() {
    let mut world = World::new();
    let (running, _) = world.start_import().unwrap();
    let done = world.start_upload().unwrap();
    world.conclude(&done, UploadOutcome::Stored).unwrap();
    let failed = world.start_upload().unwrap();
    world.conclude(&failed, UploadOutcome::Failed { reason: "no gzip".to_owned() }).unwrap();
    for run in [running, done.run_id, failed.run_id] {
        assert_eq!(world.retry(run), Err(No::Run(RunRefused::Protected)));
    }
    let in_progress = world.start_upload().unwrap();
    assert_eq!(world.retry(in_progress.run_id), Err(No::Run(RunRefused::WorkerActive)));
}

#[test]
fn rty_08_a_tombstone_and_an_unknown_run_are_missing() {
    Chain::with_first(Status::Invalidated).refuses(RunRefused::Missing);
    let mut world = World::new();
    let nobody = RunId(world.ids.uuid());
    assert_eq!(world.retry(nobody), Err(No::Run(RunRefused::Missing)));
}

#[test]
fn rty_10_an_agent_on_an_output_protects_until_it_is_closed() {
    let mut chain = Chain::with_first(Status::Done);
    let log = chain.world.output(chain.first, "/log").knit_id;
    let agent = chain.world.open_reader(log).unwrap();
    assert_eq!(chain.world.retry(chain.first), Err(No::Run(RunRefused::WorkerActive)));
    chain.world.close(&agent).unwrap();
    assert_eq!(chain.world.retry(chain.first), Ok(()));
}

#[test]
fn rty_12_a_retried_run_of_an_inactive_plan_is_held() {
    let Chain { mut world, first, .. } = Chain::with_first(Status::Done);
    let plan = world.record(first).plan;
    world.set_active(plan, false);
    world.retry(first).unwrap();
    assert_eq!(world.status(first), Status::Deactivated);
    let held = RunRefused::InvalidStateChange { from: Status::Deactivated, to: Status::Ready };
    assert_eq!(world.prepare(first), Err(No::Run(held)));
}

#[test]
fn a_retried_run_is_projected_downstream_anew() {
    let mut chain = Chain::with_first(Status::Done);
    let second = chain.add_second(Status::Invalidated);
    chain.world.retry(chain.first).unwrap();
    chain.world.bring(chain.first, Status::Done);
    let plan = chain.world.log.stream(&StreamId::run(second)).find_map(|(_, event)| {
        if let Event::Run(RunEvent::RunProjected { plan_id, .. }) = event { Some(*plan_id) } else { None }
    });
    let output = chain.world.output(chain.first, "/out").knit_id;
    assert_ne!(chain.world.run_of(plan.unwrap(), output), second);
}

#[test]
fn every_attempt_before_is_remembered_with_its_exit() {
    let Chain { mut world, first, .. } = Chain::with_first(Status::Failed);
    world.retry(first).unwrap();
    world.bring(first, Status::Done);
    world.retry(first).unwrap();
    let earlier: Vec<_> = world.record(first).earlier.into_iter().map(|past| (past.attempt, past.exit)).collect();
    let exit = |code, message: &str| Some(Exit { code, message: message.to_owned() });
    assert_eq!(earlier, [(1, exit(253, "aborted by user")), (2, exit(0, ""))]);
    assert_eq!(world.record(first).attempt, 3);
}

#[test]
fn the_end_of_the_log_is_kept_with_the_attempt() {
    let Chain { world, first, .. } = Chain::with_first(Status::Failed);
    let run = world.log.run(first);
    let (plan, outputs) = (world.log.plan(world.record(first).plan), world.outputs_in_use(&run));
    let mut text = vec![b'.'; LOG_TAIL_BYTES_MAX];
    text.extend(b"the end");
    let mut ids = world.ids.clone();
    let log = KeptLog::new(text.clone(), 1_000_000);
    let decision = run::retry(&run, &plan, &outputs, Some(log), || KnitId(ids.uuid())).unwrap();

    let kept = &decision.attachments[0];
    assert_eq!((kept.bytes.len(), &kept.bytes[..]), (LOG_TAIL_BYTES_MAX, &text[7..]));
    let retried = Versioned::fold(decision.events().take(1), |run: &mut run::Run, event| {
        *run = world.log.run(first).state;
        if let Event::Run(event) = event {
            run.apply(event);
        }
    });
    let tail = retried.state.record.unwrap().earlier[0].log_tail.clone().unwrap();
    assert_eq!((&tail.sha256, tail.bytes, tail.total_bytes), (&kept.sha256, 65_536, 1_000_000));
}
