//! A small world for tests: a log in memory, a source of ids, and the verbs of the domain. Each verb
//! loads what it needs, decides, and appends, as a server would.

mod runs;

use knit_domain::agent::{self, AgentRefused};
use knit_domain::catalog::{RegisterPlan, RegistrationRefused, register};
use knit_domain::data::{self, DataRefused, TagChange};
use knit_domain::decision::Decision;
use knit_domain::event::agent::AgentClosure;
use knit_domain::event::plan::{Image, LogPoint, Mountpoint};
use knit_domain::id::{AgentMode, AgentName, KnitId, PlanId, RunId};
use knit_domain::plan::{self, Builtin, PlanChange, PlanDraft, define_builtin};
use knit_domain::run::creation::{NewUpload, ProjectionRefused, TransferRefused};
use knit_domain::run::ending::UploadOutcome;
use knit_domain::run::log_redaction::LogRedactionRefused;
use knit_domain::run::progress::Spawned;
use knit_domain::run::{self, RunRefused};
use knit_domain::tag::{Tag, TagSet};
use uuid::Uuid;

use crate::memory_log::{Conflict, MemoryLog};

/// Why nothing happened: a rule, or a lost race.
#[derive(Debug, Clone, PartialEq)]
pub enum No {
    /// A Run may not be changed so.
    Run(RunRefused),
    /// A Data may not be changed so.
    Data(DataRefused),
    /// A Data Agent may not be opened or closed.
    Agent(AgentRefused),
    /// A combination makes no Run.
    Projection(ProjectionRefused),
    /// An upload or import may not begin.
    Transfer(TransferRefused),
    /// A Plan may not be registered.
    Registration(RegistrationRefused),
    /// A log may not be forgotten.
    LogRedaction(LogRedactionRefused),
    /// Something has moved since the decision.
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
    LogRedactionRefused => LogRedaction,
    Conflict => Conflict,
}

/// Draws ids one after the other, so that a failing history can be repeated.
#[derive(Debug, Clone, Default)]
pub struct Ids(u32);

impl Ids {
    /// The next one.
    pub fn uuid(&mut self) -> Uuid {
        self.0 += 1;
        Uuid::from_u128(u128::from(self.0))
    }
}

/// Where everything happens.
pub struct World {
    /// What has happened.
    pub log: MemoryLog,
    /// Where the ids of new things come from.
    pub ids: Ids,
}

/// Tags from their texts.
///
/// # Panics
/// When one is no tag.
pub fn tags(texts: &[&str]) -> TagSet {
    texts.iter().map(|text| Tag::parse(text).unwrap()).collect()
}

/// A mountpoint with these tags.
///
/// # Panics
/// When one is no tag.
pub fn at(path: &str, texts: &[&str]) -> Mountpoint {
    Mountpoint { path: path.to_owned(), tags: tags(texts) }
}

/// A Plan with these mountpoints, and a log tagged `type:log`.
///
/// # Panics
/// When something is no tag.
pub fn draft(inputs: &[(&str, &[&str])], outputs: &[(&str, &[&str])]) -> PlanDraft {
    let mountpoints = |all: &[(&str, &[&str])]| all.iter().map(|(path, tags)| at(path, tags)).collect();
    let image = Image { repository: "repo.invalid/image".to_owned(), tag: "v1".to_owned() };
    let log = Some(LogPoint { tags: tags(&["type:log"]) });
    PlanDraft { outputs: mountpoints(outputs), log, ..PlanDraft::new(image, mountpoints(inputs)) }
}

/// A Worker as the runtime calls it.
pub fn spawned(uid: &str) -> Spawned {
    Spawned { uid: uid.to_owned(), image_digest: None, notes: Vec::new() }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl World {
    /// A fresh installation.
    ///
    /// # Panics
    /// When the built-in Plans cannot be defined.
    pub fn new() -> Self {
        let mut world = Self { log: MemoryLog::default(), ids: Ids::default() };
        for builtin in Builtin::ALL {
            let plan = world.log.plan(builtin.id());
            world.log.append(&define_builtin(builtin, &plan)).unwrap();
        }
        world
    }

    /// Appends what was decided.
    ///
    /// # Errors
    /// A lost race.
    pub fn commit(&mut self, decision: &Decision) -> Result<(), No> {
        Ok(self.log.append(decision)?)
    }

    /// Registers a Plan.
    ///
    /// # Errors
    /// A rule, or a lost race.
    pub fn register(&mut self, draft: PlanDraft) -> Result<PlanId, No> {
        let plan_id = PlanId(self.ids.uuid());
        let decision = register(&self.log.catalog(), RegisterPlan { plan_id, draft })?;
        self.commit(&decision).map(|()| plan_id)
    }

    /// A Plan of one input `/in` that asks for `input`, one output `/out` that gets `output`, and a log.
    ///
    /// # Panics
    /// When such a Plan may not be registered.
    pub fn plan(&mut self, input: &str, output: &str) -> PlanId {
        self.register(draft(&[("/in", &[input])], &[("/out", &[output])])).unwrap()
    }

    /// Holds a Plan, or lets it go on.
    ///
    /// # Panics
    /// When that is not allowed.
    pub fn set_active(&mut self, plan: PlanId, active: bool) {
        let decision = plan::change(plan, &self.log.plan(plan), PlanChange::SetActive(active)).unwrap();
        self.log.append(&decision).unwrap();
    }

    // Data and their agents.

    /// The ids of an upload that has not begun.
    pub fn new_upload(&mut self) -> NewUpload {
        let knit_id = KnitId(self.ids.uuid());
        let agent = AgentName::of(knit_id, AgentMode::Write, 0);
        NewUpload { run_id: RunId(self.ids.uuid()), knit_id, agent, server: "server".to_owned() }
    }

    /// An upload begins.
    ///
    /// # Errors
    /// A rule, or a lost race.
    pub fn start_upload(&mut self) -> Result<NewUpload, No> {
        let upload = self.new_upload();
        let decision = run::start_upload(&self.log.plan(Builtin::Uploaded.id()), &upload)?;
        self.commit(&decision).map(|()| upload)
    }

    /// An upload ends.
    ///
    /// # Errors
    /// A rule, or a lost race.
    pub fn conclude(&mut self, upload: &NewUpload, outcome: UploadOutcome) -> Result<(), No> {
        let (run, agent) = (self.log.run(upload.run_id), self.log.agent(&upload.agent));
        let decision = run::conclude_upload(&run, &agent, outcome)?;
        self.commit(&decision)
    }

    /// A whole upload, tagged afterwards.
    ///
    /// # Panics
    /// When something is against it.
    pub fn upload(&mut self, texts: &[&str]) -> KnitId {
        let upload = self.start_upload().unwrap();
        self.conclude(&upload, UploadOutcome::Stored).unwrap();
        let add = texts.iter().map(|text| Tag::parse(text).unwrap()).collect();
        self.change_tags(upload.knit_id, &TagChange { add, ..TagChange::default() }).unwrap();
        upload.knit_id
    }

    /// An import begins.
    ///
    /// # Errors
    /// A rule, or a lost race.
    pub fn start_import(&mut self) -> Result<(RunId, KnitId), No> {
        let (run, data) = (RunId(self.ids.uuid()), KnitId(self.ids.uuid()));
        let decision = run::start_import(&self.log.plan(Builtin::Imported.id()), run, data)?;
        self.commit(&decision).map(|()| (run, data))
    }

    /// Changes the tags of a Data.
    ///
    /// # Errors
    /// A rule, or a lost race.
    pub fn change_tags(&mut self, data: KnitId, change: &TagChange) -> Result<(), No> {
        let decision = data::change_tags(&self.log.data(data), change)?;
        self.commit(&decision)
    }

    /// Takes a tag from a Data.
    ///
    /// # Panics
    /// When something is against it.
    pub fn untag(&mut self, data: KnitId, text: &str) {
        let remove = [Tag::parse(text).unwrap()].into();
        self.change_tags(data, &TagChange { remove, ..TagChange::default() }).unwrap();
    }

    /// A download begins.
    ///
    /// # Errors
    /// A rule, or a lost race.
    pub fn open_reader(&mut self, data: KnitId) -> Result<AgentName, No> {
        let name = AgentName::of(data, AgentMode::Read, self.ids.uuid().as_fields().3[7].into());
        let decision = agent::open_reader(&self.log.data(data), &name, "server")?;
        self.commit(&decision).map(|()| name)
    }

    /// A transfer ends.
    ///
    /// # Errors
    /// A rule, or a lost race.
    pub fn close(&mut self, agent: &AgentName) -> Result<(), No> {
        let decision = agent::close(&self.log.agent(agent), AgentClosure::Finished)?;
        self.commit(&decision)
    }
}
