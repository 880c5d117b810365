//! What happens to Runs: they are projected, go on, end, are retried and deleted.

use knit_domain::data;
use knit_domain::decision::{Decision, Versioned};
use knit_domain::event::run::{Assignment, OutputData, RunEvent};
use knit_domain::event::{Event, StreamId};
use knit_domain::id::{KnitId, PlanId, RunId};
use knit_domain::reservation::{Holder, Scope};
use knit_domain::run::creation::CandidateInput;
use knit_domain::run::ending::Success;
use knit_domain::run::log_redaction::redact_log;
use knit_domain::run::removal::{KeptLog, OutputUse};
use knit_domain::run::{self, Run, RunRecord, RunRefused, Status};
use knit_domain::time::Timestamp;

use super::{No, World, spawned};

impl World {
    /// When the attempt that made `data` succeeded: here, the position of that event.
    ///
    /// # Panics
    /// When the log is longer than time.
    pub fn done_at(&self, data: &Versioned<data::Data>) -> Option<Timestamp> {
        let record = data.state.record.as_ref()?;
        let stream = StreamId::run(record.run_id);
        let mut events = self.log.stream(&stream);
        let success = events.find(|(_, event)| {
            matches!(event, Event::Run(RunEvent::RunSucceeded { attempt, .. }) if *attempt == record.attempt)
        });
        success.map(|(position, _)| Timestamp(i64::try_from(position).unwrap()))
    }

    /// The decision to project `plan` on these inputs, the first of which completes the combination.
    ///
    /// # Errors
    /// A rule.
    pub fn projection(&mut self, plan: PlanId, inputs: &[(&str, KnitId)]) -> Result<Decision, No> {
        let loaded: Vec<_> = inputs.iter().map(|(path, id)| (*path, self.log.data(*id))).collect();
        let candidate = |(path, data)| CandidateInput { path, data, done_at: self.done_at(data) };
        let candidates: Vec<_> = loaded.iter().map(|(path, data)| candidate((path, data))).collect();
        let trigger = Assignment { path: inputs[0].0.to_owned(), knit_id: inputs[0].1 };
        let (plan_state, ids) = (self.log.plan(plan), &mut self.ids);
        Ok(run::project(plan, &plan_state, &candidates, &trigger, || KnitId(ids.uuid()))?)
    }

    /// A combination becomes a Run.
    ///
    /// # Errors
    /// A rule, or a lost race.
    ///
    /// # Panics
    /// When the Run has no name.
    pub fn project(&mut self, plan: PlanId, inputs: &[(&str, KnitId)]) -> Result<RunId, No> {
        let decision = self.projection(plan, inputs)?;
        self.commit(&decision)?;
        Ok(decision.writes[0].stream.id.parse().unwrap())
    }

    /// A Run of a Plan with the one input `/in`.
    ///
    /// # Panics
    /// When something is against it.
    pub fn run_of(&mut self, plan: PlanId, data: KnitId) -> RunId {
        self.project(plan, &[("/in", data)]).unwrap()
    }

    /// What there is to know about a Run.
    ///
    /// # Panics
    /// When there is no such Run.
    pub fn record(&self, run: RunId) -> RunRecord {
        self.log.run(run).state.record.unwrap_or_else(|| panic!("{run} does not exist"))
    }

    /// The status that people see.
    ///
    /// # Panics
    /// When there is no such Run.
    pub fn status(&self, run: RunId) -> Status {
        let record = self.record(run);
        record.status.under(self.log.plan(record.plan).state.active)
    }

    /// What a Run makes at a path.
    ///
    /// # Panics
    /// When it makes nothing there.
    pub fn output(&self, run: RunId, path: &str) -> OutputData {
        self.record(run).outputs.into_iter().find(|output| output.path == path).unwrap()
    }

    /// Decides on the present state of a Run and appends.
    ///
    /// # Errors
    /// A rule, or a lost race.
    pub fn on(
        &mut self,
        run: RunId,
        decide: impl FnOnce(&Versioned<Run>) -> Result<Decision, RunRefused>,
    ) -> Result<(), No> {
        let decision = decide(&self.log.run(run))?;
        self.commit(&decision)
    }

    /// The volumes of a Run are there.
    ///
    /// # Errors
    /// A rule, or a lost race.
    pub fn prepare(&mut self, run: RunId) -> Result<(), No> {
        let plan = self.log.plan(self.record(run).plan);
        self.on(run, |run| run::prepare_volumes(run, &plan, run.state.existing()?.attempt))
    }

    /// A Worker is asked for.
    ///
    /// # Errors
    /// A rule, or a lost race.
    pub fn request(&mut self, run: RunId) -> Result<(), No> {
        let plan = self.log.plan(self.record(run).plan);
        let env = [("KEY".to_owned(), "value".to_owned())].into();
        self.on(run, |run| run::request_worker(run, &plan, run.state.existing()?.attempt, env))
    }

    /// Takes a fresh Run forward to `wanted`, along the shortest way.
    ///
    /// # Panics
    /// When the way is barred.
    pub fn bring(&mut self, run: RunId, wanted: Status) {
        let steps: &[Status] = match wanted {
            Status::Waiting => &[],
            Status::Ready => &[Status::Ready],
            Status::Starting => &[Status::Ready, Status::Starting],
            Status::Running => &[Status::Ready, Status::Starting, Status::Running],
            Status::Completing => &[Status::Ready, Status::Starting, Status::Running, Status::Completing],
            Status::Aborting => &[Status::Aborting],
            Status::Failed => &[Status::Aborting, Status::Failed],
            Status::Done => &[Status::Ready, Status::Starting, Status::Running, Status::Completing, Status::Done],
            Status::Invalidated => &[Status::Invalidated],
            Status::Deactivated => &[Status::Deactivated],
        };
        steps.iter().for_each(|step| self.step(run, *step));
        assert_eq!(self.status(run), wanted);
    }

    fn step(&mut self, run: RunId, next: Status) {
        let attempt = self.record(run).attempt;
        let stepped = match next {
            Status::Ready => self.prepare(run),
            Status::Starting => {
                self.request(run).and_then(|()| self.on(run, |run| run::record_spawn(run, attempt, spawned("uid"))))
            }
            Status::Running => self.on(run, |run| run::record_started(run, attempt)),
            Status::Completing => self.on(run, |run| run::decide_success(run, attempt, Success::Worker)),
            Status::Aborting => self.on(run, run::abort),
            Status::Done | Status::Failed => self.on(run, |run| run::finish(run, attempt, None)),
            Status::Invalidated => self.delete(run),
            Status::Deactivated => {
                let plan = self.record(run).plan;
                self.set_active(plan, false);
                Ok(())
            }
            Status::Waiting => Ok(()),
        };
        stepped.unwrap();
    }

    // Removal.

    /// Who uses a Data, or remembers it.
    ///
    /// # Panics
    /// When a Data Agent is among those who remember it.
    pub fn output_use(&self, data: KnitId) -> OutputUse {
        let users = self.log.holders(Scope::DataUse(data));
        let tombstones = self.log.holders(Scope::DataTombstones(data)).into_iter().map(|holder| match holder {
            Holder::Run(run) => self.log.run(run),
            Holder::Writer | Holder::Reader(_) => panic!("an agent among tombstones"),
        });
        OutputUse { data: self.log.data(data), users, tombstones: tombstones.collect() }
    }

    /// The same of everything that a Run has made.
    pub fn outputs_in_use(&self, run: &Versioned<Run>) -> Vec<OutputUse> {
        let outputs = run.state.record.iter().flat_map(|record| &record.outputs);
        outputs.map(|output| self.output_use(output.knit_id)).collect()
    }

    /// The decision to delete a Run.
    ///
    /// # Errors
    /// A rule.
    pub fn deletion(&self, run: RunId) -> Result<Decision, No> {
        let run = self.log.run(run);
        Ok(run::delete(&run, &self.outputs_in_use(&run))?)
    }

    /// Deletes a Run.
    ///
    /// # Errors
    /// A rule, or a lost race.
    pub fn delete(&mut self, run: RunId) -> Result<(), No> {
        let decision = self.deletion(run)?;
        self.commit(&decision)
    }

    /// The decision to forget the log of a Run.
    ///
    /// # Errors
    /// A rule.
    pub fn log_redaction(&self, run: RunId) -> Result<Decision, No> {
        let run = self.log.run(run);
        let log = run.state.record.as_ref().and_then(RunRecord::log).map(|log| self.output_use(log.knit_id));
        Ok(redact_log(&run, log.as_ref(), "the history wants it")?)
    }

    /// The decision to run a Run again, and what is to be kept of its log.
    ///
    /// # Errors
    /// A rule.
    pub fn retrial(&mut self, run: RunId, log: Option<KeptLog>) -> Result<Decision, No> {
        let run = self.log.run(run);
        let plan = run.state.record.as_ref().map(|record| self.log.plan(record.plan)).unwrap_or_default();
        let (outputs, ids) = (self.outputs_in_use(&run), &mut self.ids);
        Ok(run::retry(&run, &plan, &outputs, log, || KnitId(ids.uuid()))?)
    }

    /// Runs a Run again.
    ///
    /// # Errors
    /// A rule, or a lost race.
    pub fn retry(&mut self, run: RunId) -> Result<(), No> {
        let decision = self.retrial(run, None)?;
        self.commit(&decision)
    }
}
