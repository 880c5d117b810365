//! What is due for each reactor: Runs by where they stand, volumes to destroy, open Data Agents.
//!
//! The worklists fold the log into lists of things that somebody has to do something about. A reactor
//! reads its list, makes the world match, and records the outcome, which moves the thing to another
//! list or off them all. Each entry knows the position at which it came into its list, so a reactor
//! that remembers how far it has read sees only what is new.
//!
//! The worklists never say what the world looks like, only what the log says is still to be done.

mod fold;
mod list;
mod records;
mod state;

use knit_domain::event::{Position, Recorded};
use knit_domain::id::{AgentMode, AgentName, KnitId, PlanId, RunId, VolumeRef, WorkerName};
use knit_domain::time::Timestamp;
use knit_schemas::proto::worklists::Record;

use self::state::{Agents, Output, Plans, Run, Runs, Volumes};
use crate::projection::{Projection, Unapplicable, check_follows};
use crate::snapshot::DamagedSnapshot;

/// Where a Run that has not ended stands, and so which list it is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// `waiting`: its volumes are to be made.
    Waiting,
    /// `deactivated`: waiting, but its Plan is inactive.
    Held,
    /// `ready`: its Worker is to be requested.
    Ready,
    /// `starting`: its Worker was requested and is to be created.
    Requested,
    /// `starting`: its Worker was created and was not seen running yet.
    Spawned,
    /// `running`: its Worker is to be watched.
    Running,
    /// `running`: an upload.
    Uploading,
    /// `running`: an import.
    Importing,
    /// `completing`: its Worker is to be removed, then it is done.
    Completing,
    /// `aborting`: its Worker is to be removed, then it is failed.
    Aborting,
}

impl Stage {
    /// Every stage, in the order of a Run's life.
    pub const ALL: [Self; 10] = [
        Self::Waiting,
        Self::Held,
        Self::Ready,
        Self::Requested,
        Self::Spawned,
        Self::Running,
        Self::Uploading,
        Self::Importing,
        Self::Completing,
        Self::Aborting,
    ];

    /// Whether the activity of the Plan decides between this stage and another.
    fn waits(self) -> bool {
        matches!(self, Self::Waiting | Self::Held)
    }
}

/// What a Run is, besides its stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A Worker runs an image.
    Image,
    /// Somebody uploads.
    Upload {
        /// Whether the Data Agent that writes is open; an upload without one is an orphan.
        writer_open: bool,
    },
    /// Somebody imports a volume.
    Import {
        /// When the importer has taken too long.
        deadline: Timestamp,
    },
}

/// A Run that has not ended, with all a reactor needs to act on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunWork {
    /// The Run.
    pub run_id: RunId,
    /// Its Plan.
    pub plan_id: PlanId,
    /// Which attempt: 1, 2, ….
    pub attempt: u32,
    /// What it is.
    pub kind: Kind,
    /// Where it stands.
    pub stage: Stage,
    /// Position of the event that brought it into this list, or changed its kind within it.
    pub entered: Position,
    /// When its status last changed (being held and released are no changes of status).
    pub since: Timestamp,
    /// Name of its Worker; none for uploads and imports.
    pub worker_name: Option<WorkerName>,
    /// The runtime's identity of its Worker, once that was created.
    pub worker_uid: Option<String>,
    /// What it uses, sorted by path.
    pub inputs: Vec<Mount>,
    /// What it makes, without the log.
    pub outputs: Vec<Mount>,
    /// Its log, if one is kept.
    pub log: Option<Mount>,
}

/// A Data in its place in a Worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Where it is mounted.
    pub path: String,
    /// The Data.
    pub knit_id: KnitId,
    /// Its volume.
    pub volume_ref: VolumeRef,
}

/// A volume to destroy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Garbage {
    /// The Data it held.
    pub knit_id: KnitId,
    /// The volume.
    pub volume_ref: VolumeRef,
    /// Position of the event that made it garbage.
    pub entered: Position,
    /// When that was.
    pub since: Timestamp,
}

/// A Data Agent that was not closed yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenAgent {
    /// Its name.
    pub name: AgentName,
    /// Its Data.
    pub knit_id: KnitId,
    /// Direction.
    pub mode: AgentMode,
    /// Which server process serves it.
    pub server: String,
    /// Position of the event that opened it.
    pub entered: Position,
    /// When that was.
    pub since: Timestamp,
}

/// The fold; see the head of the module.
#[derive(Debug, Clone, Default)]
pub struct Worklists {
    position: Position,
    plans: Plans,
    runs: Runs,
    volumes: Volumes,
    agents: Agents,
}

impl Worklists {
    /// The Runs at `stage` that came there after position `after` (0 for all), the earliest first.
    ///
    /// Asking costs as much as there is to tell, however long the list is.
    pub fn runs(&self, stage: Stage, after: Position) -> impl Iterator<Item = RunWork> {
        self.run_ids(stage, after).filter_map(|run| self.run(run))
    }

    /// As [`Worklists::runs`], only the ids.
    pub fn run_ids(&self, stage: Stage, after: Position) -> impl Iterator<Item = RunId> {
        self.runs.list(stage).after(after).copied()
    }

    /// How many Runs are at `stage`.
    #[must_use]
    pub fn count(&self, stage: Stage) -> usize {
        self.runs.list(stage).len()
    }

    /// The Run, if it has not ended.
    #[must_use]
    pub fn run(&self, run_id: RunId) -> Option<RunWork> {
        let run = self.runs.by_id.get(&run_id)?;
        let progress = run.progress.as_deref()?;
        let mounts = |log: bool| {
            let outputs = progress.outputs.iter().filter(move |output| output.log == log);
            outputs.map(|Output { path, knit_id, .. }| self.mount(path, *knit_id))
        };
        let conventional = || (progress.kind == state::Kind::Image).then(|| WorkerName::of(run_id, progress.attempt));
        Some(RunWork {
            run_id,
            plan_id: self.plans.of(run.plan).plan_id,
            attempt: progress.attempt,
            kind: self.kind(progress),
            stage: progress.stage,
            entered: progress.entered,
            since: progress.since,
            worker_name: progress.worker_name.clone().or_else(conventional),
            worker_uid: progress.worker_uid.clone(),
            inputs: self.inputs(run),
            outputs: mounts(false).collect(),
            log: mounts(true).next(),
        })
    }

    /// The volumes that became garbage after position `after` (0 for all), the earliest first.
    pub fn garbage(&self, after: Position) -> impl Iterator<Item = Garbage> {
        self.volumes.garbage_list.after(after).filter_map(|data| self.volumes.garbage.get(data).cloned())
    }

    /// How many volumes are garbage.
    #[must_use]
    pub fn garbage_count(&self) -> usize {
        self.volumes.garbage_list.len()
    }

    /// The Data Agents that were opened after position `after` (0 for all), the earliest first.
    pub fn agents(&self, after: Position) -> impl Iterator<Item = OpenAgent> {
        self.agents.list.after(after).filter_map(|name| self.agents.by_name.get(name).cloned())
    }

    /// The volume of a living Data.
    #[must_use]
    pub fn volume(&self, data: KnitId) -> VolumeRef {
        self.volumes.of(data)
    }

    fn kind(&self, progress: &state::Progress) -> Kind {
        match progress.kind {
            state::Kind::Image => Kind::Image,
            state::Kind::Upload => {
                let is_written = |output: &Output| self.agents.written.contains(&output.knit_id);
                Kind::Upload { writer_open: progress.outputs.iter().any(is_written) }
            }
            state::Kind::Import { deadline } => Kind::Import { deadline },
        }
    }

    fn inputs(&self, run: &Run) -> Vec<Mount> {
        let paths = self.plans.of(run.plan).inputs.iter();
        paths.zip(&run.inputs).map(|(path, data)| self.mount(path, *data)).collect()
    }

    fn mount(&self, path: &str, knit_id: KnitId) -> Mount {
        Mount { path: path.to_owned(), knit_id, volume_ref: self.volumes.of(knit_id) }
    }
}

impl Projection for Worklists {
    const NAME: &'static str = "worklists";
    const REVISION: u32 = 2;
    type Record = Record;

    fn apply(&mut self, event: &Recorded) -> Result<(), Unapplicable> {
        check_follows(self.position, event.position)?;
        self.fold(event)?;
        self.position = event.position;
        Ok(())
    }

    fn skip(&mut self, position: Position) -> Result<(), Unapplicable> {
        check_follows(self.position, position)?;
        self.position = position;
        Ok(())
    }

    fn position(&self) -> Position {
        self.position
    }

    fn heap_bytes(&self) -> usize {
        self.plans.heap_bytes() + self.runs.heap_bytes() + self.volumes.heap_bytes() + self.agents.heap_bytes()
    }

    fn records(&self, put: &mut dyn FnMut(Record)) {
        self.put_records(put);
    }

    fn from_records(
        position: Position,
        records: &mut dyn Iterator<Item = Result<Record, DamagedSnapshot>>,
    ) -> Result<Self, DamagedSnapshot> {
        Self::rebuild(position, records)
    }
}
