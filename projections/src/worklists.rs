//! What is due for each reactor: Runs by where they stand, volumes to destroy, open Data Agents.
//!
//! The worklists fold the log into lists of things that somebody has to do something about. A reactor
//! reads its list, makes the world match, and records the outcome, which moves the thing to another
//! list or off them all. Each entry knows the position at which it came into its list, so a reactor
//! that remembers how far it has read sees only what is new.
//!
//! The worklists never say what the world looks like, only what the log says is still to be done.

use knit_domain::event::{Position, Recorded};
use knit_domain::id::{AgentMode, AgentName, KnitId, PlanId, RunId, VolumeRef, WorkerName};
use knit_domain::time::Timestamp;
use knit_schemas::proto::worklists::Record;

use crate::projection::{Projection, Unapplicable};
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
#[derive(Debug, Default)]
pub struct Worklists {
    position: Position,
}

impl Worklists {
    /// The Runs at `stage` that came there after position `after` (0 for all), the earliest first.
    ///
    /// Asking costs as much as there is to tell, however long the list is.
    pub fn runs(&self, _stage: Stage, _after: Position) -> impl Iterator<Item = RunWork> {
        std::iter::empty()
    }

    /// The Run, if it has not ended.
    #[must_use]
    pub fn run(&self, _run: RunId) -> Option<RunWork> {
        None
    }

    /// How many Runs are at `stage`.
    #[must_use]
    pub fn count(&self, _stage: Stage) -> usize {
        0
    }

    /// The volumes that became garbage after position `after` (0 for all), the earliest first.
    pub fn garbage(&self, _after: Position) -> impl Iterator<Item = Garbage> {
        std::iter::empty()
    }

    /// The Data Agents that were opened after position `after` (0 for all), the earliest first.
    pub fn agents(&self, _after: Position) -> impl Iterator<Item = OpenAgent> {
        std::iter::empty()
    }

    /// The volume of a living Data.
    #[must_use]
    pub fn volume(&self, data: KnitId) -> VolumeRef {
        VolumeRef::of(data)
    }
}

impl Projection for Worklists {
    const NAME: &'static str = "worklists";
    const REVISION: u32 = 1;
    type Record = Record;

    fn apply(&mut self, _event: &Recorded) -> Result<(), Unapplicable> {
        unimplemented!()
    }

    fn skip(&mut self, _position: Position) -> Result<(), Unapplicable> {
        unimplemented!()
    }

    fn position(&self) -> Position {
        self.position
    }

    fn records(&self, _put: &mut dyn FnMut(Record)) {
        unimplemented!()
    }

    fn from_records(
        _position: Position,
        _records: &mut dyn Iterator<Item = Result<Record, DamagedSnapshot>>,
    ) -> Result<Self, DamagedSnapshot> {
        unimplemented!()
    }
}
