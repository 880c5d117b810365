//! What people and the system do in a world, in their words.

use knit_domain::agent;
use knit_domain::catalog::{RegisterPlan, register};
use knit_domain::data::{TagChange, change_tags, reclaim_volume};
use knit_domain::event::agent::AgentClosure;
use knit_domain::event::plan::{Image, LogPoint, Mountpoint};
use knit_domain::event::run::{Assignment, Exit};
use knit_domain::id::{AgentMode, AgentName, KnitId, PlanId, RunId};
use knit_domain::plan::{Builtin, PlanChange, PlanDraft, change};
use knit_domain::reservation::{Holder, Scope};
use knit_domain::run::creation::{CandidateInput, NewUpload};
use knit_domain::run::ending::{Failure, Success, UploadOutcome};
use knit_domain::run::log_redaction::redact_log;
use knit_domain::run::progress::Spawned;
use knit_domain::run::removal::{KeptLog, OutputUse};
use knit_domain::run::{self, RunKind, RunRecord, Status};

use super::{World, tags};

/// A Plan to register: only what matters to a test.
pub(crate) struct Sketch<'a> {
    /// Tells it apart from others that are otherwise equal.
    pub(crate) image: &'a str,
    /// Path and tags.
    pub(crate) inputs: &'a [(&'a str, &'a [&'a str])],
    /// Path and tags.
    pub(crate) outputs: &'a [(&'a str, &'a [&'a str])],
    pub(crate) log: Option<&'a [&'a str]>,
}

impl Sketch<'_> {
    fn draft(&self) -> PlanDraft {
        let mountpoint = |(path, texts): &(&str, &[&str])| Mountpoint {
            path: (*path).to_owned(),
            tags: tags(texts.iter().copied()),
        };
        let image = Image { repository: self.image.to_owned(), tag: "1".to_owned() };
        PlanDraft {
            outputs: self.outputs.iter().map(mountpoint).collect(),
            log: self.log.map(|texts| LogPoint { tags: tags(texts.iter().copied()) }),
            ..PlanDraft::new(image, self.inputs.iter().map(mountpoint).collect())
        }
    }
}

impl World {
    /// Registers a Plan, unless the domain refuses it.
    pub(crate) fn try_register(&mut self, sketch: &Sketch<'_>) -> Option<PlanId> {
        let plan_id = PlanId(self.fresh_id());
        let decision = register(&self.catalog, RegisterPlan { plan_id, draft: sketch.draft() }).ok()?;
        self.append(decision);
        Some(plan_id)
    }

    /// Registers a Plan with these inputs, one output `/out` tagged `made-by:<image>`, and a log.
    pub(crate) fn register(&mut self, image: &str, inputs: &[(&str, &[&str])]) -> PlanId {
        let made_by = format!("made-by:{image}");
        let sketch = Sketch { image, inputs, outputs: &[("/out", &[&made_by])], log: Some(&["type:log"]) };
        self.try_register(&sketch).expect("the Plan is fine")
    }

    pub(crate) fn set_active(&mut self, plan: PlanId, active: bool) {
        let decision = change(plan, &self.plans[&plan], PlanChange::SetActive(active)).unwrap();
        self.append(decision);
    }

    /// Somebody begins to upload.
    pub(crate) fn start_upload(&mut self) -> (RunId, KnitId) {
        let (run_id, knit_id) = (RunId(self.fresh_id()), KnitId(self.fresh_id()));
        let agent = AgentName::of(knit_id, AgentMode::Write, 0);
        let upload = NewUpload { run_id, knit_id, agent, server: "server-1".to_owned() };
        let decision = run::start_upload(&self.plans[&Builtin::Uploaded.id()], &upload).unwrap();
        self.append(decision);
        (run_id, knit_id)
    }

    /// The upload is over, unless its end was decided otherwise.
    pub(crate) fn conclude_upload(&mut self, run: RunId, outcome: UploadOutcome) {
        let knit_id = self.run(run).outputs[0].knit_id;
        let agent = &self.agents[&AgentName::of(knit_id, AgentMode::Write, 0)];
        if let Ok(decision) = run::conclude_upload(&self.runs[&run], agent, outcome) {
            self.append(decision);
        }
    }

    /// Somebody uploads a Data and tags it, as the command line does.
    pub(crate) fn upload(&mut self, texts: &[&str]) -> KnitId {
        let (run, knit_id) = self.start_upload();
        self.conclude_upload(run, UploadOutcome::Stored);
        self.tag(knit_id, texts, &[]);
        knit_id
    }

    pub(crate) fn start_import(&mut self) -> RunId {
        let (run_id, knit_id) = (RunId(self.fresh_id()), KnitId(self.fresh_id()));
        let decision = run::start_import(&self.plans[&Builtin::Imported.id()], run_id, knit_id).unwrap();
        self.append(decision);
        run_id
    }

    /// Changes the tags of a Data, if it exists.
    pub(crate) fn tag(&mut self, data: KnitId, add: &[&str], remove: &[&str]) {
        let (add, remove) = (tags(add.iter().copied()), tags(remove.iter().copied()));
        let change = TagChange { add, remove, ..TagChange::default() };
        if let Ok(decision) = change_tags(&self.data[&data], &change) {
            self.append(decision);
        }
    }

    /// A combination becomes a Run, unless it did so already or the domain refuses it.
    pub(crate) fn project(&mut self, plan: PlanId, assignments: &[Assignment], trigger: &Assignment) -> Option<RunId> {
        let run_id = RunId::of_combination(plan, assignments);
        if self.runs.contains_key(&run_id) {
            return None;
        }
        let fresh: Vec<KnitId> = (0..8).map(|_| KnitId(self.fresh_id())).collect();
        let inputs = assignments.iter().map(|Assignment { path, knit_id }| CandidateInput {
            path,
            data: &self.data[knit_id],
            done_at: self.done_at(*knit_id),
        });
        let inputs: Vec<CandidateInput<'_>> = inputs.collect();
        let mut fresh = fresh.into_iter();
        let decision = run::project(plan, &self.plans[&plan], &inputs, trigger, || fresh.next().unwrap());
        self.append(decision.ok()?);
        Some(run_id)
    }

    /// The next thing happens to a Run on its way to success; nothing if it has ended or is held.
    pub(crate) fn step(&mut self, run: RunId) {
        let state = &self.runs[&run];
        let Some(record) = &state.state.record else { return };
        let (attempt, plan) = (record.attempt, &self.plans[&record.plan]);
        let decision = match (record.status, record.kind) {
            (Status::Waiting, _) => run::prepare_volumes(state, plan, attempt),
            (Status::Ready, _) => run::request_worker(state, plan, attempt, [].into()),
            (Status::Starting, _) if record.worker.as_ref().is_some_and(|worker| worker.uid.is_none()) => {
                let spawned = Spawned { uid: format!("{run}/{attempt}"), ..Spawned::default() };
                run::record_spawn(state, attempt, spawned)
            }
            (Status::Starting, _) => run::record_started(state, attempt),
            (Status::Running, RunKind::Image) => run::decide_success(state, attempt, Success::Worker),
            (Status::Running, RunKind::Import) => run::decide_success(state, attempt, Success::Import),
            (Status::Running, RunKind::Upload) => return self.conclude_upload(run, UploadOutcome::Stored),
            (Status::Completing | Status::Aborting, _) => run::finish(state, attempt, None),
            (Status::Deactivated | Status::Done | Status::Failed | Status::Invalidated, _) => return,
        };
        if let Ok(decision) = decision {
            self.append(decision);
        }
    }

    /// A Run goes on until it has ended, and is done if nothing went wrong before.
    pub(crate) fn finish(&mut self, run: RunId) {
        while !self.status(run).is_finished() {
            let before = self.log.len();
            self.step(run);
            assert!(self.log.len() > before, "the Run {run} is stuck at {}", self.status(run));
        }
    }

    /// The Worker, or the upload or import, of a Run that runs fails.
    pub(crate) fn fail(&mut self, run: RunId) {
        let Some(record) = &self.runs[&run].state.record else { return };
        let failure = match record.kind {
            RunKind::Image => Failure::WorkerFailed(Exit { code: 1, message: "(container main) Error".to_owned() }),
            RunKind::Upload => {
                return self.conclude_upload(run, UploadOutcome::Failed { reason: "the test wants it".to_owned() });
            }
            RunKind::Import => Failure::ImportOverdue,
        };
        if let Ok(decision) = run::decide_failure(&self.runs[&run], record.attempt, &failure) {
            self.append(decision);
        }
    }

    pub(crate) fn abort(&mut self, run: RunId) {
        if let Ok(decision) = run::abort(&self.runs[&run]) {
            self.append(decision);
        }
    }

    pub(crate) fn tear_off(&mut self, run: RunId) {
        if let Ok(decision) = run::tear_off(&self.runs[&run]) {
            self.append(decision);
        }
    }

    pub(crate) fn retry(&mut self, run: RunId) {
        self.retry_keeping(run, None);
    }

    /// A Run runs again, and the end of its log is kept.
    pub(crate) fn retry_keeping(&mut self, run: RunId, log: Option<KeptLog>) {
        let Some(record) = &self.runs[&run].state.record else { return };
        let (plan, outputs) = (&self.plans[&record.plan].clone(), self.outputs_of(record));
        let fresh: Vec<KnitId> = (0..8).map(|_| KnitId(self.fresh_id())).collect();
        let mut fresh = fresh.into_iter();
        if let Ok(decision) = run::retry(&self.runs[&run], plan, &outputs, log, || fresh.next().unwrap()) {
            self.append(decision);
        }
    }

    /// The log of a Run is forgotten, if that is allowed.
    pub(crate) fn redact_log(&mut self, run: RunId) {
        let Some(record) = &self.runs[&run].state.record else { return };
        let log = record.outputs.iter().position(|output| output.log).map(|at| self.outputs_of(record).swap_remove(at));
        if let Ok(decision) = redact_log(&self.runs[&run], log.as_ref(), "the test wants it") {
            self.append(decision);
        }
    }

    pub(crate) fn delete(&mut self, run: RunId) {
        let Some(record) = &self.runs[&run].state.record else { return };
        if let Ok(decision) = run::delete(&self.runs[&run], &self.outputs_of(record)) {
            self.append(decision);
        }
    }

    fn outputs_of(&self, record: &RunRecord) -> Vec<OutputUse> {
        let uses = record.outputs.iter().map(|output| {
            let remembering = self.holders(Scope::DataTombstones(output.knit_id)).into_iter();
            let tombstones = remembering.filter_map(|holder| match holder {
                Holder::Run(run) => Some(self.runs[&run].clone()),
                Holder::Writer | Holder::Reader(_) => None,
            });
            OutputUse {
                data: self.data[&output.knit_id].clone(),
                users: self.holders(Scope::DataUse(output.knit_id)),
                tombstones: tombstones.collect(),
            }
        });
        uses.collect()
    }

    /// Somebody begins to download a Data, if it exists.
    pub(crate) fn open_reader(&mut self, data: KnitId) {
        let chance = u32::try_from(self.agents.len()).unwrap();
        let name = AgentName::of(data, AgentMode::Read, chance);
        if let Ok(decision) = agent::open_reader(&self.data[&data], &name, "server-1") {
            self.append(decision);
        }
    }

    /// A transfer ends, or its server died and housekeeping says so.
    pub(crate) fn close_agent(&mut self, name: &AgentName) {
        let decision = agent::close(&self.agents[name], AgentClosure::Housekeeping).unwrap();
        self.append(decision);
    }

    /// The volume of a Data is destroyed, if it is garbage.
    pub(crate) fn reclaim(&mut self, data: KnitId) {
        if let Ok(decision) = reclaim_volume(&self.data[&data]) {
            self.append(decision);
        }
    }

    /// The Run that made a Data.
    pub(crate) fn run_that_made(&self, data: KnitId) -> RunId {
        self.data[&data].state.record.as_ref().expect("the Data exists").run_id
    }

    /// What there is to know about a Run.
    pub(crate) fn run(&self, run: RunId) -> &RunRecord {
        self.runs[&run].state.record.as_ref().expect("the Run exists")
    }

    /// The status that people see.
    pub(crate) fn status(&self, run: RunId) -> Status {
        let record = self.run(run);
        record.status.under(self.plans[&record.plan].state.active)
    }
}
