//! What each event does to the worklists. Everything that can be wrong with an event is found before
//! anything is changed.

use knit_domain::event::agent::AgentEvent;
use knit_domain::event::data::DataEvent;
use knit_domain::event::plan::PlanEvent;
use knit_domain::event::run::{Assignment, OutputData, RunEvent};
use knit_domain::event::{Event, Recorded};
use knit_domain::id::{AgentName, KnitId, PlanId, RunId, WorkerName};

use super::state::{Kind, Output, PlanNo, Progress, Run};
use super::{Garbage, OpenAgent, Stage, Worklists};
use crate::projection::{Unapplicable, id_of_stream};

/// An attempt that begins.
struct Beginning<'a> {
    attempt: u32,
    kind: Kind,
    stage: Stage,
    worker_name: Option<&'a WorkerName>,
    outputs: &'a [OutputData],
}

impl Worklists {
    pub(super) fn fold(&mut self, recorded: &Recorded) -> Result<(), Unapplicable> {
        match &recorded.event {
            Event::Plan(event) => self.fold_plan(recorded, event),
            Event::Run(event) => self.fold_run(recorded, id_of_stream(recorded)?, event),
            Event::Data(event) => self.fold_data(recorded, event),
            Event::Agent(event) => self.fold_agent(recorded, event),
            Event::Catalog(_) | Event::Journal(_) => Ok(()),
        }
    }

    fn fold_plan(&mut self, recorded: &Recorded, event: &PlanEvent) -> Result<(), Unapplicable> {
        let plan_id = id_of_stream(recorded)?;
        match event {
            PlanEvent::PlanRegistered { definition, active, .. } => {
                let inputs = definition.inputs.iter().map(|input| input.path.as_str());
                self.add_plan(recorded, plan_id, *active, inputs)
            }
            PlanEvent::BuiltinPlanDefined { .. } => self.add_plan(recorded, plan_id, true, []),
            PlanEvent::PlanActivated {} => self.set_active(recorded, plan_id, true),
            PlanEvent::PlanDeactivated {} => self.set_active(recorded, plan_id, false),
            PlanEvent::PlanResourcesChanged { .. }
            | PlanEvent::PlanAnnotationsChanged { .. }
            | PlanEvent::PlanServiceAccountSet { .. }
            | PlanEvent::PlanServiceAccountCleared {} => Ok(()),
        }
    }

    fn fold_run(&mut self, recorded: &Recorded, run: RunId, event: &RunEvent) -> Result<(), Unapplicable> {
        match event {
            RunEvent::RunProjected { plan_id, inputs, outputs, worker_name, .. } => {
                let plan = self.known_plan(recorded, *plan_id)?;
                let inputs = self.in_order_of_plan(recorded, plan, inputs)?;
                let stage = self.waiting_stage(plan);
                let worker_name = Some(worker_name);
                let beginning = Beginning { attempt: 1, kind: Kind::Image, stage, worker_name, outputs };
                self.begin(recorded, run, plan, inputs, &beginning)
            }
            RunEvent::UploadStarted { plan_id, output, .. } => {
                self.transfer(recorded, run, *plan_id, output, (Kind::Upload, Stage::Uploading))
            }
            RunEvent::ImportStarted { plan_id, output, allowed_ms, .. } => {
                let allowed_ms = i64::try_from(*allowed_ms).unwrap_or(i64::MAX);
                let kind = Kind::Import { deadline: recorded.recorded_at.plus_ms(allowed_ms) };
                self.transfer(recorded, run, *plan_id, output, (kind, Stage::Importing))
            }
            RunEvent::RunRetried { attempt, worker_name, outputs, .. } => {
                self.retry(recorded, run, *attempt, worker_name, outputs)
            }
            RunEvent::RunVolumesPrepared { attempt, .. } => self.come_to(recorded, run, *attempt, Stage::Ready),
            RunEvent::WorkerRequested { attempt, worker } => {
                self.come_to(recorded, run, *attempt, Stage::Requested)?;
                self.runs.change(run, |progress| progress.worker_name = unconventional(&worker.name, run, *attempt));
                Ok(())
            }
            RunEvent::WorkerSpawned { attempt, uid, .. } => self.spawn(recorded, run, *attempt, uid),
            RunEvent::RunStarted { attempt } => self.come_to(recorded, run, *attempt, Stage::Running),
            RunEvent::RunSuccessDecided { attempt, .. } => self.come_to(recorded, run, *attempt, Stage::Completing),
            RunEvent::RunFailureDecided { attempt, .. } => self.come_to(recorded, run, *attempt, Stage::Aborting),
            RunEvent::RunSucceeded { attempt, .. } | RunEvent::RunFailed { attempt, .. } => {
                self.check_attempt(recorded, run, *attempt)?;
                self.runs.end(run);
                Ok(())
            }
            // A tombstone, or a root Run that has ended, is in no list; then there is nothing to forget.
            RunEvent::RunInvalidated { .. } | RunEvent::RunErased { .. } => {
                self.runs.forget(run);
                Ok(())
            }
        }
    }

    fn fold_data(&mut self, recorded: &Recorded, event: &DataEvent) -> Result<(), Unapplicable> {
        let knit_id = id_of_stream(recorded)?;
        match event {
            DataEvent::DataReserved { volume_ref, .. } => self.volumes.reserve(knit_id, volume_ref),
            DataEvent::DataTagsChanged { .. } => {}
            DataEvent::DataDiscarded { volume_ref, .. } | DataEvent::LogRedacted { volume_ref, .. } => {
                self.volumes.throw_away(Garbage {
                    knit_id,
                    volume_ref: volume_ref.clone(),
                    entered: recorded.position,
                    since: recorded.recorded_at,
                });
            }
            DataEvent::VolumeReclaimed { .. } => self.volumes.reclaim(knit_id),
        }
        Ok(())
    }

    fn fold_agent(&mut self, recorded: &Recorded, event: &AgentEvent) -> Result<(), Unapplicable> {
        match event {
            AgentEvent::AgentOpened { name, knit_id, mode, server } => {
                if self.agents.by_name.contains_key(name) {
                    return Err(Unapplicable::contradiction(recorded, "the Data Agent is open already"));
                }
                self.agents.open(OpenAgent {
                    name: name.clone(),
                    knit_id: *knit_id,
                    mode: *mode,
                    server: server.clone(),
                    entered: recorded.position,
                    since: recorded.recorded_at,
                });
                self.touch_upload(recorded, *knit_id);
            }
            AgentEvent::AgentClosed { name, knit_id, .. } => {
                self.check_open(recorded, name)?;
                self.agents.close(name);
                self.touch_upload(recorded, *knit_id);
            }
        }
        Ok(())
    }

    fn add_plan<'a>(
        &mut self,
        recorded: &Recorded,
        plan_id: PlanId,
        active: bool,
        inputs: impl IntoIterator<Item = &'a str>,
    ) -> Result<(), Unapplicable> {
        if self.plans.find(plan_id).is_some() {
            return Err(Unapplicable::contradiction(recorded, "the Plan exists already"));
        }
        self.plans.add(plan_id, active, inputs);
        Ok(())
    }

    /// Holding and releasing move Runs between two lists, and leave their instants alone (domain.md 2.4).
    fn set_active(&mut self, recorded: &Recorded, plan_id: PlanId, active: bool) -> Result<(), Unapplicable> {
        let plan = self.known_plan(recorded, plan_id)?;
        self.plans.of_mut(plan).active = active;
        let stage = self.waiting_stage(plan);
        let waiting: Vec<RunId> = self.runs.waiting(plan).collect();
        for run in waiting {
            if self.runs.progress(run).is_some_and(|progress| progress.stage != stage) {
                self.runs.change(run, |progress| {
                    progress.stage = stage;
                    progress.entered = recorded.position;
                });
            }
        }
        Ok(())
    }

    fn waiting_stage(&self, plan: PlanNo) -> Stage {
        if self.plans.of(plan).active { Stage::Waiting } else { Stage::Held }
    }

    fn transfer(
        &mut self,
        recorded: &Recorded,
        run: RunId,
        plan_id: PlanId,
        output: &OutputData,
        (kind, stage): (Kind, Stage),
    ) -> Result<(), Unapplicable> {
        let plan = self.known_plan(recorded, plan_id)?;
        let outputs = std::slice::from_ref(output);
        let beginning = Beginning { attempt: 1, kind, stage, worker_name: None, outputs };
        self.begin(recorded, run, plan, Box::default(), &beginning)
    }

    fn begin(
        &mut self,
        recorded: &Recorded,
        run: RunId,
        plan: PlanNo,
        inputs: Box<[KnitId]>,
        beginning: &Beginning<'_>,
    ) -> Result<(), Unapplicable> {
        if self.runs.by_id.contains_key(&run) {
            return Err(Unapplicable::contradiction(recorded, "the Run exists already"));
        }
        let progress = self.progress(recorded, run, beginning);
        self.runs.begin(run, Run { plan, inputs, progress: None }, progress);
        Ok(())
    }

    fn retry(
        &mut self,
        recorded: &Recorded,
        run: RunId,
        attempt: u32,
        worker_name: &WorkerName,
        outputs: &[OutputData],
    ) -> Result<(), Unapplicable> {
        let ended = self.runs.by_id.get(&run).filter(|run| run.progress.is_none());
        let Some(plan) = ended.map(|run| run.plan) else {
            return Err(Unapplicable::contradiction(recorded, "the Run has not ended or cannot be retried"));
        };
        let stage = self.waiting_stage(plan);
        let worker_name = Some(worker_name);
        let beginning = Beginning { attempt, kind: Kind::Image, stage, worker_name, outputs };
        let progress = self.progress(recorded, run, &beginning);
        if let Some(ended) = self.runs.by_id.remove(&run) {
            self.runs.begin(run, ended, progress);
        }
        Ok(())
    }

    fn progress(&mut self, recorded: &Recorded, run: RunId, beginning: &Beginning<'_>) -> Progress {
        let outputs = beginning.outputs.iter().map(|output| Output {
            path: self.plans.path(&output.path),
            log: output.log,
            knit_id: output.knit_id,
        });
        Progress {
            attempt: beginning.attempt,
            kind: beginning.kind,
            stage: beginning.stage,
            entered: recorded.position,
            since: recorded.recorded_at,
            worker_name: beginning.worker_name.and_then(|name| unconventional(name, run, beginning.attempt)),
            worker_uid: None,
            outputs: outputs.collect(),
        }
    }

    fn come_to(&mut self, recorded: &Recorded, run: RunId, attempt: u32, stage: Stage) -> Result<(), Unapplicable> {
        self.check_attempt(recorded, run, attempt)?;
        self.runs.change(run, |progress| {
            progress.stage = stage;
            progress.entered = recorded.position;
            progress.since = recorded.recorded_at;
        });
        Ok(())
    }

    /// The Worker exists. That is no change of status, and may be recorded after the Run moved on.
    fn spawn(&mut self, recorded: &Recorded, run: RunId, attempt: u32, uid: &str) -> Result<(), Unapplicable> {
        self.check_attempt(recorded, run, attempt)?;
        self.runs.change(run, |progress| {
            progress.worker_uid = Some(uid.to_owned());
            if progress.stage == Stage::Requested {
                progress.stage = Stage::Spawned;
            }
            progress.entered = recorded.position;
        });
        Ok(())
    }

    /// An upload is looked at again when a Data Agent of its Data opens or closes.
    fn touch_upload(&mut self, recorded: &Recorded, knit_id: KnitId) {
        if let Some(run) = self.runs.uploading(knit_id) {
            self.runs.change(run, |progress| progress.entered = recorded.position);
        }
    }

    fn known_plan(&self, recorded: &Recorded, plan_id: PlanId) -> Result<PlanNo, Unapplicable> {
        let unknown = || Unapplicable::contradiction(recorded, format!("the Plan {plan_id} does not exist"));
        self.plans.find(plan_id).ok_or_else(unknown)
    }

    fn in_order_of_plan(
        &self,
        recorded: &Recorded,
        plan: PlanNo,
        inputs: &[Assignment],
    ) -> Result<Box<[KnitId]>, Unapplicable> {
        let paths = &self.plans.of(plan).inputs;
        let same = paths.iter().map(|path| &**path).eq(inputs.iter().map(|input| input.path.as_str()));
        if !same {
            return Err(Unapplicable::contradiction(recorded, "the inputs are not those of the Plan"));
        }
        Ok(inputs.iter().map(|input| input.knit_id).collect())
    }

    fn check_attempt(&self, recorded: &Recorded, run: RunId, attempt: u32) -> Result<(), Unapplicable> {
        match self.runs.progress(run) {
            Some(progress) if progress.attempt == attempt => Ok(()),
            Some(progress) => {
                let reason = format!("it is of attempt {attempt}, and the Run is at attempt {}", progress.attempt);
                Err(Unapplicable::contradiction(recorded, reason))
            }
            None => Err(Unapplicable::contradiction(recorded, "the Run has ended already or never began")),
        }
    }

    fn check_open(&self, recorded: &Recorded, name: &AgentName) -> Result<(), Unapplicable> {
        let closed = || Unapplicable::contradiction(recorded, "the Data Agent is not open");
        self.agents.by_name.contains_key(name).then_some(()).ok_or_else(closed)
    }
}

/// The name, unless it is the one that follows from Run and attempt.
fn unconventional(name: &WorkerName, run: RunId, attempt: u32) -> Option<WorkerName> {
    (*name != WorkerName::of(run, attempt)).then(|| name.clone())
}
