//! Starts Workers and observes them; ends uploads whose server died and imports that take too long.
//!
//! A start is intent first: `WorkerRequested` with everything the Worker is made from, then the Worker,
//! then `WorkerSpawned`. Whoever comes after a crash finds the intent and asks for the same Worker by the
//! same name, which exists already or not; so a Worker is started once per attempt.

use std::future::Future;
use std::sync::Arc;

use knit_domain::decision::{Decision, Versioned};
use knit_domain::event::run::{RunEvent, WorkerOrder};
use knit_domain::event::{Event, Recorded, StreamId};
use knit_domain::id::{RunId, WorkerName};
use knit_domain::run::ending::{Failure, Success};
use knit_domain::run::progress::Spawned;
use knit_domain::run::{
    Run, RunRecord, Status, decide_failure, decide_success, record_spawn, record_started, request_worker,
};
use knit_failpoint::failpoint;
use knit_projections::worklists::{Kind, Mount, RunWork, Stage};
use knit_runtime::port::{CreateError, Created, Observation, PLAN_PLACEHOLDER, WorkerSpec, WorkerState};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::{Due, NotDone, Reactor, Wake};
use crate::app::App;
use crate::clock::now;
use crate::command::{Cause, CommandError};
use crate::streams::{self, Folded as _};

/// Stages of one Run passed in one look: from `ready` to seen running there are three, and a Worker that
/// ended at once makes a fourth. What remains is looked at again.
const STEPS_MAX: u32 = 6;

/// Runs that want a Worker or have one, uploads, and imports.
const STAGES: [Stage; 6] =
    [Stage::Ready, Stage::Requested, Stage::Spawned, Stage::Running, Stage::Uploading, Stage::Importing];

/// See the head of the module.
pub struct RunManagement {
    app: App,
}

/// What came of one step.
enum Step {
    /// The Run may have come to another stage: look on.
    Moved,
    /// Nothing to do until something changes.
    Settled,
}

impl RunManagement {
    /// The name of the role and of whoever acts in it.
    pub(crate) const NAME: &'static str = "run-management";

    /// The reactor of the role `run-management`.
    #[must_use]
    pub fn new(app: App) -> Arc<Self> {
        Arc::new(Self { app })
    }

    async fn step(&self, work: &RunWork) -> Result<Step, NotDone> {
        match work.stage {
            Stage::Ready => self.request(work).await,
            Stage::Requested => self.create(work).await,
            Stage::Spawned | Stage::Running => self.observe(work).await,
            Stage::Uploading => self.police_upload(work).await,
            Stage::Importing => self.police_import(work).await,
            Stage::Waiting | Stage::Held | Stage::Completing | Stage::Aborting => Ok(Step::Settled),
        }
    }

    async fn request(&self, work: &RunWork) -> Result<Step, NotDone> {
        let passed = self.app.gate().before(work.run_id, Status::Starting).await?;
        let env = &passed.env;
        let decide = |source| async move {
            let run = streams::run(source, work.run_id).await?;
            let plan = streams::plan(source, work.plan_id).await?;
            Ok(request_worker(&run, &plan, work.attempt, env.clone())?)
        };
        self.app.execute(&self.cause(), decide).await?;
        self.app.metrics().worker_requested(work.run_id, now());
        Ok(Step::Moved)
    }

    async fn create(&self, work: &RunWork) -> Result<Step, NotDone> {
        let Some(order) = self.order(work).await? else { return Ok(Step::Settled) };
        let name = order.name.clone();
        failpoint("worker.create-begun");
        match self.app.runtime().create_worker(&spec(work, order)).await {
            Ok(created) => Ok(self.record_spawn(work, &name, created).await?),
            Err(CreateError::Impossible { reason }) => {
                failpoint("worker.impossible");
                self.fail(work, &stuck(work, &reason)).await
            }
            Err(CreateError::Fault(fault)) => Err(CommandError::from(fault).into()),
        }
    }

    /// What the Worker of this attempt is made from, as it was recorded; none if it is not wanted any more.
    /// The stream is asked: the worklist may not know yet that the Run has moved on.
    async fn order(&self, work: &RunWork) -> Result<Option<WorkerOrder>, CommandError> {
        let events = self.app.log().load(&StreamId::run(work.run_id)).await?;
        let run = Versioned::fold(&events, |run: &mut Run, recorded| run.fold(&recorded.event));
        let is_starting = |run: &RunRecord| run.status == Status::Starting && run.attempt == work.attempt;
        if !run.state.record.as_ref().is_some_and(is_starting) {
            return Ok(None);
        }
        Ok(events.into_iter().rev().find_map(requested))
    }

    async fn record_spawn(&self, work: &RunWork, name: &WorkerName, created: Created) -> Result<Step, CommandError> {
        failpoint("worker.created");
        let spawned = Spawned { uid: created.uid, image_digest: created.image_digest, notes: created.notes };
        let decide = |run: &Versioned<Run>| Ok(record_spawn(run, work.attempt, spawned.clone())?);
        match self.app.decide_on_run(&self.cause(), work.run_id, decide).await {
            Ok(_) => Ok(Step::Moved),
            // The Run moved on while the Worker was made, so nobody else will ever remove it.
            Err(CommandError::Refused(_)) => {
                failpoint("worker.unwanted");
                self.app.runtime().remove_worker(name).await?;
                failpoint("worker.unwanted-removed");
                Ok(Step::Settled)
            }
            Err(other) => Err(other),
        }
    }

    async fn observe(&self, work: &RunWork) -> Result<Step, NotDone> {
        let Some(name) = &work.worker_name else { return Ok(Step::Settled) };
        let observation = self.app.runtime().observe_worker(name).await.map_err(CommandError::from)?;
        failpoint("worker.observed");
        let ours = observation.filter(|seen| work.worker_uid.as_ref() == Some(&seen.uid));
        let attempt = work.attempt;
        match ours.map(|seen| seen.state) {
            Some(WorkerState::Pending { .. }) => Ok(Step::Settled),
            Some(WorkerState::Running) if work.stage == Stage::Running => Ok(Step::Settled),
            Some(WorkerState::Running) => {
                self.decide(work, Status::Running, |run| Ok(record_started(run, attempt)?)).await
            }
            Some(WorkerState::Succeeded) => {
                self.decide(work, Status::Completing, |run| Ok(decide_success(run, attempt, Success::Worker)?)).await
            }
            Some(WorkerState::Failed(exit)) => self.fail(work, &Failure::WorkerFailed(exit)).await,
            Some(WorkerState::Stuck(exit)) => self.fail(work, &stuck(work, &exit.message)).await,
            Some(WorkerState::Lost) | None => self.fail(work, &Failure::WorkerLost).await,
        }
    }

    async fn fail(&self, work: &RunWork, failure: &Failure) -> Result<Step, NotDone> {
        self.decide(work, Status::Aborting, |run| Ok(decide_failure(run, work.attempt, failure)?)).await
    }

    /// An upload whose Data Agent is closed, or was closed by housekeeping, will never end by itself.
    async fn police_upload(&self, work: &RunWork) -> Result<Step, NotDone> {
        match work.kind {
            Kind::Upload { writer_open: false } => self.fail(work, &Failure::UploadOrphaned).await,
            Kind::Upload { writer_open: true } | Kind::Image | Kind::Import { .. } => Ok(Step::Settled),
        }
    }

    async fn police_import(&self, work: &RunWork) -> Result<Step, NotDone> {
        match work.kind {
            Kind::Import { deadline } if now() >= deadline => self.fail(work, &Failure::ImportOverdue).await,
            Kind::Import { .. } | Kind::Upload { .. } | Kind::Image => Ok(Step::Settled),
        }
    }

    async fn decide(
        &self,
        work: &RunWork,
        to: Status,
        decide: impl Fn(&Versioned<Run>) -> Result<Decision, CommandError> + Send + Sync,
    ) -> Result<Step, NotDone> {
        self.app.gate().before(work.run_id, to).await?;
        self.app.decide_on_run(&self.cause(), work.run_id, decide).await?;
        Ok(Step::Moved)
    }

    /// Whether the log says that this Worker may exist. The stream is asked, not the worklist, which may
    /// be behind: a Worker that was just requested must not be removed.
    async fn is_wanted(&self, seen: &Observation) -> Result<bool, CommandError> {
        let run = streams::run(self.app.log(), seen.run).await?;
        let Some(record) = &run.state.record else { return Ok(false) };
        let alive = match record.status {
            // The finishing reactor removes the Workers of Runs whose end is decided.
            Status::Starting | Status::Running | Status::Completing | Status::Aborting => true,
            Status::Deactivated
            | Status::Waiting
            | Status::Ready
            | Status::Done
            | Status::Failed
            | Status::Invalidated => false,
        };
        Ok(alive && record.attempt == seen.attempt)
    }

    async fn remove_unless_wanted(&self, seen: &Observation) -> Result<(), CommandError> {
        if !self.is_wanted(seen).await? {
            tracing::warn!(worker = %seen.name, "removing a Worker that no Run asks for");
            failpoint("relist.unwanted");
            self.app.runtime().remove_worker(&seen.name).await?;
            failpoint("relist.removed");
        }
        Ok(())
    }

    fn cause(&self) -> Cause {
        Cause::reactor(self.name())
    }
}

impl Reactor for RunManagement {
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
        for _ in 0..STEPS_MAX {
            let work = self.app.views().worklists.read().run(id);
            let Some(work) = work else { return Ok(()) };
            match self.step(&work).await? {
                Step::Moved => {}
                Step::Settled => return Ok(()),
            }
        }
        Ok(())
    }

    /// One that cannot be removed holds up none of the others.
    async fn relist(&self) -> Result<(), NotDone> {
        let mut outcome = Ok(());
        for seen in self.app.runtime().list_workers().await.map_err(CommandError::from)? {
            outcome = outcome.and(self.remove_unless_wanted(&seen).await);
        }
        Ok(outcome?)
    }

    fn watch(&self, wake: &Wake<RunId>) -> impl Future<Output = ()> + Send {
        watch_workers(&self.app, self.app.runtime().changes(), wake)
    }
}

/// Wakes the reactor whenever a Worker starts, ends or is lost.
async fn watch_workers(app: &App, mut changes: Receiver<WorkerName>, wake: &Wake<RunId>) {
    loop {
        match changes.recv().await {
            Ok(name) => match name.run() {
                Some(run) => wake.item(run),
                None => tracing::warn!(worker = %name, "a Worker that is not named for a Run"),
            },
            Err(RecvError::Lagged(_)) => match app.runtime().list_workers().await {
                Ok(all) => all.into_iter().for_each(|seen| wake.item(seen.run)),
                Err(fault) => tracing::warn!("cannot list Workers; the next relist will: {fault}"),
            },
            Err(RecvError::Closed) => return std::future::pending().await,
        }
    }
}

/// The order in an event that is a request for a Worker.
fn requested(recorded: Recorded) -> Option<WorkerOrder> {
    match recorded.event {
        Event::Run(RunEvent::WorkerRequested { worker, .. }) => Some(worker),
        Event::Run(_) | Event::Catalog(_) | Event::Plan(_) | Event::Data(_) | Event::Agent(_) | Event::Journal(_) => {
            None
        }
    }
}

/// Why the Worker cannot run. Where a runtime says what to do with the Plan, the id stands for the word that it knows.
fn stuck(work: &RunWork, message: &str) -> Failure {
    Failure::WorkerStuck { message: message.replace(PLAN_PLACEHOLDER, &work.plan_id.to_string()) }
}

fn spec(work: &RunWork, order: WorkerOrder) -> WorkerSpec {
    let mounts = |mounts: &[Mount]| {
        let mount =
            |mount: &Mount| knit_runtime::port::Mount { path: mount.path.clone(), volume: mount.volume_ref.clone() };
        mounts.iter().map(mount).collect()
    };
    WorkerSpec {
        order,
        run: work.run_id,
        attempt: work.attempt,
        inputs: mounts(&work.inputs),
        outputs: mounts(&work.outputs),
        log: work.log.as_ref().map(|log| log.volume_ref.clone()),
    }
}
