//! Makes the volumes of waiting Runs: the Run becomes `ready` once each of its outputs has a place.

use std::sync::Arc;

use knit_domain::id::RunId;
use knit_domain::run::{Status, prepare_volumes};
use knit_failpoint::failpoint;
use knit_projections::worklists::{RunWork, Stage};

use super::{Due, Reactor, gate};
use crate::app::App;
use crate::command::{Cause, CommandError};
use crate::streams;

/// See the head of the module.
pub struct Initialize {
    app: App,
}

impl Initialize {
    /// The reactor of the role `initialize`.
    #[must_use]
    pub fn new(app: App) -> Arc<Self> {
        Arc::new(Self { app })
    }

    /// A waiting Run may be deleted while its volumes are being made, and the garbage collector may have
    /// passed before they were there: nobody else would ever remove them.
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
        "initialize"
    }

    fn due(&self, after: u64) -> Due<RunId> {
        super::runs_due(&self.app, &[Stage::Waiting], after)
    }

    async fn act(&self, id: RunId) -> Result<(), CommandError> {
        let work = self.app.views().worklists.read().run(id);
        let Some(work) = work.filter(|work| work.stage == Stage::Waiting) else { return Ok(()) };
        gate::pass(id, Status::Ready).await?;
        failpoint("initialize.begun");
        for output in work.outputs.iter().chain(&work.log) {
            self.app.runtime().prepare_volume(&output.volume_ref, output.knit_id).await?;
            failpoint("initialize.volume-made");
        }
        let cause = Cause::reactor(self.name());
        let decide = || async {
            let run = streams::run(self.app.log(), id).await?;
            let plan = streams::plan(self.app.log(), work.plan_id).await?;
            Ok(prepare_volumes(&run, &plan, work.attempt)?)
        };
        let prepared = self.app.execute(&cause, decide).await;
        if prepared.is_err() {
            failpoint("initialize.refused");
            self.destroy_orphans(&work).await?;
        }
        prepared.map(|_| ())
    }
}
