//! Ends Runs whose end is decided: the Worker is removed, the outputs are sealed, then the Run is `done`
//! or `failed`.

use std::sync::Arc;

use knit_domain::decision::Versioned;
use knit_domain::id::{RunId, VolumeRef};
use knit_domain::run::{Run, RunRecord, Status, finish};
use knit_failpoint::failpoint;
use knit_projections::worklists::{Kind, RunWork, Stage};
use knit_runtime::port::ReadError;

use super::{Due, NotDone, Reactor};
use crate::app::App;
use crate::command::{Cause, CommandError};
use crate::streams;

/// Runs whose end is decided.
const STAGES: [Stage; 2] = [Stage::Completing, Stage::Aborting];

/// See the head of the module.
pub struct Finishing {
    app: App,
}

impl Finishing {
    /// The name of the role and of whoever acts in it.
    pub(crate) const NAME: &'static str = "finishing";

    /// The reactor of the role `finishing`.
    #[must_use]
    pub fn new(app: App) -> Arc<Self> {
        Arc::new(Self { app })
    }

    /// Whether the end of this attempt is decided. The stream is asked before a Worker is killed: the worklist
    /// of a log that was restored to an older state may not know yet that the Run goes on.
    async fn is_ending(&self, work: &RunWork) -> Result<bool, CommandError> {
        let run = streams::run(self.app.log(), work.run_id).await?;
        let is_ending = |run: &RunRecord| matches!(run.status, Status::Completing | Status::Aborting);
        Ok(run.state.record.is_some_and(|run| is_ending(&run) && run.attempt == work.attempt))
    }

    /// Nothing may write any more when a volume is sealed, so the Worker goes first. Of an upload that failed
    /// nothing is kept; its server may have died between storing it and saying so.
    async fn clear_away(&self, work: &RunWork) -> Result<Option<String>, CommandError> {
        if let (Kind::Upload { .. }, Stage::Aborting) = (work.kind, work.stage) {
            for output in &work.outputs {
                self.app.runtime().destroy_volume(&output.volume_ref).await?;
            }
            return Ok(None);
        }
        if let Some(worker) = &work.worker_name {
            self.app.runtime().remove_worker(worker).await?;
            failpoint("finishing.worker-removed");
        }
        for output in work.outputs.iter().chain(&work.log) {
            self.seal(work.stage, &output.volume_ref).await?;
            failpoint("finishing.volume-sealed");
        }
        match &work.log {
            Some(log) => self.log_sha256(&log.volume_ref).await,
            None => Ok(None),
        }
    }

    /// A Run that was aborted early never had volumes; there is nothing to seal then. One that succeeded
    /// had them, and is not said to be `done` without what it made.
    async fn seal(&self, stage: Stage, volume: &VolumeRef) -> Result<(), CommandError> {
        match self.app.runtime().seal_volume(volume).await {
            Ok(()) => Ok(()),
            Err(ReadError::Missing { .. }) if stage == Stage::Aborting => Ok(()),
            Err(missing @ ReadError::Missing { .. }) => {
                Err(CommandError::Fault(format!("an output of the Run is lost: {missing}")))
            }
            Err(ReadError::Fault(fault)) => Err(fault.into()),
        }
    }

    async fn log_sha256(&self, volume: &VolumeRef) -> Result<Option<String>, CommandError> {
        match self.app.runtime().log_sha256(volume).await {
            Ok(sha256) => Ok(Some(sha256)),
            Err(ReadError::Missing { .. }) => Ok(None),
            Err(ReadError::Fault(fault)) => Err(fault.into()),
        }
    }
}

impl Reactor for Finishing {
    type Item = RunId;

    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn due(&self, after: u64) -> Due<RunId> {
        super::runs_due(&self.app, &STAGES, after)
    }

    async fn act(&self, id: RunId) -> Result<(), NotDone> {
        if !super::is_at(&self.app, id, &STAGES) {
            return Ok(());
        }
        let _turn = self.app.turn(id).await;
        let Some(work) = self.app.views().worklists.read().run(id) else { return Ok(()) };
        let end = match work.stage {
            Stage::Completing => Status::Done,
            Stage::Aborting => Status::Failed,
            Stage::Waiting
            | Stage::Held
            | Stage::Ready
            | Stage::Requested
            | Stage::Spawned
            | Stage::Running
            | Stage::Uploading
            | Stage::Importing => return Ok(()),
        };
        self.app.gate().before(id, end).await?;
        if !self.is_ending(&work).await? {
            return Ok(());
        }
        failpoint("finishing.begun");
        let log_sha256 = self.clear_away(&work).await?;
        failpoint("finishing.cleared-away");
        let cause = Cause::reactor(self.name());
        let decide = |run: &Versioned<Run>| Ok(finish(run, work.attempt, log_sha256.clone())?);
        self.app.decide_on_run(&cause, id, decide).await?;
        Ok(())
    }
}
