//! Makes the volumes of waiting Runs: the Run becomes `ready` once each of its outputs has a place.

use std::sync::Arc;

use knit_domain::id::RunId;
use knit_domain::run::{Status, prepare_volumes};
use knit_failpoint::failpoint;
use knit_projections::worklists::{RunWork, Stage};

use super::{Due, NotDone, Reactor};
use crate::app::App;
use crate::command::{Cause, CommandError};
use crate::streams;

/// See the head of the module.
pub struct Initialize {
    app: App,
}

impl Initialize {
    /// The name of the role and of whoever acts in it.
    pub(crate) const NAME: &'static str = "initialize";

    /// The reactor of the role `initialize`.
    #[must_use]
    pub fn new(app: App) -> Arc<Self> {
        Arc::new(Self { app })
    }

    /// Makes the volumes and records it.
    async fn prepare(&self, work: &RunWork) -> Result<(), CommandError> {
        failpoint("initialize.begun");
        for output in work.outputs.iter().chain(&work.log) {
            self.app.runtime().prepare_volume(&output.volume_ref, output.knit_id).await?;
            failpoint("initialize.volume-made");
        }
        let decide = |source| async move {
            let run = streams::run(source, work.run_id).await?;
            let plan = streams::plan(source, work.plan_id).await?;
            Ok(prepare_volumes(&run, &plan, work.attempt)?)
        };
        self.app.execute(&Cause::reactor(self.name()), decide).await.map(|_| ())
    }

    /// Whether this attempt still waits. The stream is asked: of a Run that was deleted meanwhile, the
    /// garbage collector may have passed already, and nobody would ever remove what is made now.
    async fn is_waiting(&self, work: &RunWork) -> Result<bool, CommandError> {
        let run = streams::run(self.app.log(), work.run_id).await?;
        Ok(run.state.record.is_some_and(|run| run.status == Status::Waiting && run.attempt == work.attempt))
    }

    /// The same again after a failure: another process may have deleted the Run and destroyed its volumes
    /// while they were being made here.
    async fn destroy_orphans(&self, work: &RunWork) -> Result<(), CommandError> {
        for output in work.outputs.iter().chain(&work.log) {
            if streams::data(self.app.log(), output.knit_id).await?.state.living().is_err() {
                self.app.runtime().destroy_volume(&output.volume_ref).await?;
            }
        }
        Ok(())
    }
}

impl Reactor for Initialize {
    type Item = RunId;

    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn due(&self, after: u64) -> Due<RunId> {
        super::runs_due(&self.app, &[Stage::Waiting], after)
    }

    async fn act(&self, id: RunId) -> Result<(), NotDone> {
        if !super::is_at(&self.app, id, &[Stage::Waiting]) {
            return Ok(());
        }
        let _turn = self.app.turn(id).await;
        let work = self.app.views().worklists.read().run(id);
        let Some(work) = work.filter(|work| work.stage == Stage::Waiting) else { return Ok(()) };
        self.app.gate().before(id, Status::Ready).await?;
        if !self.is_waiting(&work).await? {
            return Ok(());
        }
        let prepared = self.prepare(&work).await;
        if prepared.is_err() {
            failpoint("initialize.refused");
            self.destroy_orphans(&work).await?;
        }
        Ok(prepared?)
    }
}
