//! A small world for tests: a log in memory, a source of ids, and the verbs of the domain. Each verb
//! loads what it needs, decides, and appends, as a server would.

use knit_domain::agent::{self, AgentRefused};
use knit_domain::catalog::{RegisterPlan, RegistrationRefused, register};
use knit_domain::data::{self, DataRefused, TagChange};
use knit_domain::decision::{Decision, Versioned};
use knit_domain::event::agent::AgentClosure;
use knit_domain::event::plan::{Image, LogPoint, Mountpoint};
use knit_domain::event::run::{Assignment, OutputData, RunEvent};
use knit_domain::event::{Event, StreamId};
use knit_domain::id::{AgentMode, AgentName, KnitId, PlanId, RunId};
use knit_domain::plan::{self, Builtin, PlanChange, PlanDraft, define_builtin};
use knit_domain::reservation::{Holder, Scope};
use knit_domain::run::creation::{CandidateInput, NewUpload, ProjectionRefused, TransferRefused};
use knit_domain::run::ending::{Success, UploadOutcome};
use knit_domain::run::progress::Spawned;
use knit_domain::run::removal::OutputUse;
use knit_domain::run::{self, Run, RunRecord, RunRefused, Status};
use knit_domain::tag::{Tag, TagSet};
use knit_domain::time::Timestamp;
use uuid::Uuid;

use crate::memory_log::{Conflict, MemoryLog};

/// Why nothing happened: a rule, or a lost race.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum No {
    Run(RunRefused),
    Data(DataRefused),
    Agent(AgentRefused),
    Projection(ProjectionRefused),
    Transfer(TransferRefused),
    Registration(RegistrationRefused),
    Conflict(Conflict),
}

macro_rules! no {
    ($($from:ty => $variant:ident),+ $(,)?) => {$(
        impl From<$from> for No {
            fn from(no: $from) -> Self {
                Self::$variant(no)
            }
        }
    )+};
}
no! {
    RunRefused => Run,
    DataRefused => Data,
    AgentRefused => Agent,
    ProjectionRefused => Projection,
    TransferRefused => Transfer,
    RegistrationRefused => Registration,
    Conflict => Conflict,
}

/// Draws ids one after the other, so that a failing history can be repeated.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ids(u32);

impl Ids {
    pub(crate) fn uuid(&mut self) -> Uuid {
        self.0 += 1;
        Uuid::from_u128(u128::from(self.0))
    }
}

pub(crate) struct World {
    pub(crate) log: MemoryLog,
    pub(crate) ids: Ids,
}

pub(crate) fn tags(texts: &[&str]) -> TagSet {
    texts.iter().map(|text| Tag::parse(text).unwrap()).collect()
}

pub(crate) fn at(path: &str, texts: &[&str]) -> Mountpoint {
    Mountpoint { path: path.to_owned(), tags: tags(texts) }
}

pub(crate) fn draft(inputs: &[(&str, &[&str])], outputs: &[(&str, &[&str])]) -> PlanDraft {
    let mountpoints = |all: &[(&str, &[&str])]| all.iter().map(|(path, tags)| at(path, tags)).collect();
    let image = Image { repository: "repo.invalid/image".to_owned(), tag: "v1".to_owned() };
    let log = Some(LogPoint { tags: tags(&["type:log"]) });
    PlanDraft { outputs: mountpoints(outputs), log, ..PlanDraft::new(image, mountpoints(inputs)) }
}

pub(crate) fn spawned(uid: &str) -> Spawned {
    Spawned { uid: uid.to_owned(), image_digest: None, notes: Vec::new() }
}

impl World {
    pub(crate) fn new() -> Self {
        let mut world = Self { log: MemoryLog::default(), ids: Ids::default() };
        for builtin in Builtin::ALL {
            let plan = world.log.plan(builtin.id());
            world.log.append(&define_builtin(builtin, &plan)).unwrap();
        }
        world
    }

    pub(crate) fn commit(&mut self, decision: &Decision) -> Result<(), No> {
        Ok(self.log.append(decision)?)
    }

    pub(crate) fn register(&mut self, draft: PlanDraft) -> Result<PlanId, No> {
        let plan_id = PlanId(self.ids.uuid());
        let decision = register(&self.log.catalog(), RegisterPlan { plan_id, draft })?;
        self.commit(&decision).map(|()| plan_id)
    }

    /// A Plan of one input `/in` that asks for `input`, one output `/out` that gets `output`, and a log.
    pub(crate) fn plan(&mut self, input: &str, output: &str) -> PlanId {
        self.register(draft(&[("/in", &[input])], &[("/out", &[output])])).unwrap()
    }

    pub(crate) fn set_active(&mut self, plan: PlanId, active: bool) {
        let decision = plan::change(plan, &self.log.plan(plan), PlanChange::SetActive(active)).unwrap();
        self.log.append(&decision).unwrap();
    }

    // Data and their agents.

    pub(crate) fn new_upload(&mut self) -> NewUpload {
        let knit_id = KnitId(self.ids.uuid());
        let agent = AgentName::of(knit_id, AgentMode::Write, 0);
        NewUpload { run_id: RunId(self.ids.uuid()), knit_id, agent, server: "server".to_owned() }
    }

    pub(crate) fn start_upload(&mut self) -> Result<NewUpload, No> {
        let upload = self.new_upload();
        let decision = run::start_upload(&self.log.plan(Builtin::Uploaded.id()), &upload)?;
        self.commit(&decision).map(|()| upload)
    }

    pub(crate) fn conclude(&mut self, upload: &NewUpload, outcome: UploadOutcome) -> Result<(), No> {
        let (run, agent) = (self.log.run(upload.run_id), self.log.agent(&upload.agent));
        let decision = run::conclude_upload(&run, &agent, outcome)?;
        self.commit(&decision)
    }

    /// A whole upload, tagged afterwards.
    pub(crate) fn upload(&mut self, texts: &[&str]) -> KnitId {
        let upload = self.start_upload().unwrap();
        self.conclude(&upload, UploadOutcome::Stored).unwrap();
        let add = texts.iter().map(|text| Tag::parse(text).unwrap()).collect();
        self.change_tags(upload.knit_id, &TagChange { add, ..TagChange::default() }).unwrap();
        upload.knit_id
    }

    pub(crate) fn start_import(&mut self) -> Result<(RunId, KnitId), No> {
        let (run, data) = (RunId(self.ids.uuid()), KnitId(self.ids.uuid()));
        let decision = run::start_import(&self.log.plan(Builtin::Imported.id()), run, data)?;
        self.commit(&decision).map(|()| (run, data))
    }

    pub(crate) fn change_tags(&mut self, data: KnitId, change: &TagChange) -> Result<(), No> {
        let decision = data::change_tags(&self.log.data(data), change)?;
        self.commit(&decision)
    }

    pub(crate) fn untag(&mut self, data: KnitId, text: &str) {
        let remove = [Tag::parse(text).unwrap()].into();
        self.change_tags(data, &TagChange { remove, ..TagChange::default() }).unwrap();
    }

    pub(crate) fn open_reader(&mut self, data: KnitId) -> Result<AgentName, No> {
        let name = AgentName::of(data, AgentMode::Read, self.ids.uuid().as_fields().3[7].into());
        let decision = agent::open_reader(&self.log.data(data), &name, "server")?;
        self.commit(&decision).map(|()| name)
    }

    pub(crate) fn close(&mut self, agent: &AgentName) -> Result<(), No> {
        let decision = agent::close(&self.log.agent(agent), AgentClosure::Finished)?;
        self.commit(&decision)
    }

    // Runs.

    /// When the attempt that made `data` succeeded: here, the position of that event.
    pub(crate) fn done_at(&self, data: &Versioned<data::Data>) -> Option<Timestamp> {
        let record = data.state.record.as_ref()?;
        let stream = StreamId::run(record.run_id);
        let mut events = self.log.stream(&stream);
        let success = events.find(|(_, event)| {
            matches!(event, Event::Run(RunEvent::RunSucceeded { attempt, .. }) if *attempt == record.attempt)
        });
        success.map(|(position, _)| Timestamp(i64::try_from(position).unwrap()))
    }

    /// The decision to project `plan` on these inputs, the first of which completes the combination.
    pub(crate) fn projection(&mut self, plan: PlanId, inputs: &[(&str, KnitId)]) -> Result<Decision, No> {
        let loaded: Vec<_> = inputs.iter().map(|(path, id)| (*path, self.log.data(*id))).collect();
        let candidate = |(path, data)| CandidateInput { path, data, done_at: self.done_at(data) };
        let candidates: Vec<_> = loaded.iter().map(|(path, data)| candidate((path, data))).collect();
        let trigger = Assignment { path: inputs[0].0.to_owned(), knit_id: inputs[0].1 };
        let (plan_state, ids) = (self.log.plan(plan), &mut self.ids);
        Ok(run::project(plan, &plan_state, &candidates, &trigger, || KnitId(ids.uuid()))?)
    }

    pub(crate) fn project(&mut self, plan: PlanId, inputs: &[(&str, KnitId)]) -> Result<RunId, No> {
        let decision = self.projection(plan, inputs)?;
        self.commit(&decision)?;
        Ok(decision.writes[0].stream.id.parse().unwrap())
    }

    /// A Run of a Plan with the one input `/in`.
    pub(crate) fn run_of(&mut self, plan: PlanId, data: KnitId) -> RunId {
        self.project(plan, &[("/in", data)]).unwrap()
    }

    pub(crate) fn record(&self, run: RunId) -> RunRecord {
        self.log.run(run).state.record.unwrap_or_else(|| panic!("{run} does not exist"))
    }

    pub(crate) fn status(&self, run: RunId) -> Status {
        let record = self.record(run);
        record.status.under(self.log.plan(record.plan).state.active)
    }

    pub(crate) fn output(&self, run: RunId, path: &str) -> OutputData {
        self.record(run).outputs.into_iter().find(|output| output.path == path).unwrap()
    }

    /// Decides on the present state of a Run and appends.
    pub(crate) fn on(
        &mut self,
        run: RunId,
        decide: impl FnOnce(&Versioned<Run>) -> Result<Decision, RunRefused>,
    ) -> Result<(), No> {
        let decision = decide(&self.log.run(run))?;
        self.commit(&decision)
    }

    pub(crate) fn prepare(&mut self, run: RunId) -> Result<(), No> {
        let plan = self.log.plan(self.record(run).plan);
        self.on(run, |run| run::prepare_volumes(run, &plan, run.state.existing()?.attempt))
    }

    pub(crate) fn request(&mut self, run: RunId) -> Result<(), No> {
        let plan = self.log.plan(self.record(run).plan);
        let env = [("KEY".to_owned(), "value".to_owned())].into();
        self.on(run, |run| run::request_worker(run, &plan, run.state.existing()?.attempt, env))
    }

    /// Takes a fresh Run forward to `wanted`, along the shortest way.
    pub(crate) fn bring(&mut self, run: RunId, wanted: Status) {
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

    pub(crate) fn output_use(&self, data: KnitId) -> OutputUse {
        let users = self.log.holders(Scope::DataUse(data));
        let tombstones = self.log.holders(Scope::DataTombstones(data)).into_iter().map(|holder| match holder {
            Holder::Run(run) => self.log.run(run),
            Holder::Writer | Holder::Reader(_) => panic!("an agent among tombstones"),
        });
        OutputUse { data: self.log.data(data), users, tombstones: tombstones.collect() }
    }

    pub(crate) fn outputs_in_use(&self, run: &Versioned<Run>) -> Vec<OutputUse> {
        let outputs = run.state.record.iter().flat_map(|record| &record.outputs);
        outputs.map(|output| self.output_use(output.knit_id)).collect()
    }

    pub(crate) fn deletion(&self, run: RunId) -> Result<Decision, No> {
        let run = self.log.run(run);
        Ok(run::delete(&run, &self.outputs_in_use(&run))?)
    }

    pub(crate) fn delete(&mut self, run: RunId) -> Result<(), No> {
        let decision = self.deletion(run)?;
        self.commit(&decision)
    }

    pub(crate) fn retrial(&mut self, run: RunId) -> Result<Decision, No> {
        let run = self.log.run(run);
        let plan = run.state.record.as_ref().map(|record| self.log.plan(record.plan)).unwrap_or_default();
        let (outputs, ids) = (self.outputs_in_use(&run), &mut self.ids);
        Ok(run::retry(&run, &plan, &outputs, None, || KnitId(ids.uuid()))?)
    }

    pub(crate) fn retry(&mut self, run: RunId) -> Result<(), No> {
        let decision = self.retrial(run)?;
        self.commit(&decision)
    }
}
