//! Workers as the port sees them.

use knit_domain::event::run::{Exit, WorkerOrder};
use knit_domain::id::{RunId, VolumeRef, WorkerName};

/// What a Worker is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerSpec {
    /// What was recorded when it was requested.
    pub order: WorkerOrder,
    /// Its Run; a label of the Worker.
    pub run: RunId,
    /// The attempt of the Run; a label of the Worker.
    pub attempt: u32,
    /// Sealed volumes, read-only at their paths.
    pub inputs: Vec<Mount>,
    /// Prepared volumes, writable at their paths; empty when the Worker starts.
    pub outputs: Vec<Mount>,
    /// The prepared volume whose file `log` receives standard output and error; discarded if absent.
    pub log: Option<VolumeRef>,
}

/// A volume at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Absolute and clean.
    pub path: String,
    /// What is there.
    pub volume: VolumeRef,
}

/// A Worker exists now, or existed already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    /// The runtime's own identity of it, which tells attempts apart.
    pub uid: String,
    /// What the image's tag meant at that moment, if images have digests here.
    pub image_digest: Option<String>,
    /// What was done differently from what was asked, such as an ignored preference.
    pub notes: Vec<String>,
}

/// What was seen of a Worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// Its name.
    pub name: WorkerName,
    /// The runtime's own identity of it.
    pub uid: String,
    /// Label: its Run.
    pub run: RunId,
    /// Label: the attempt of the Run.
    pub attempt: u32,
    /// How it is.
    pub state: WorkerState,
}

/// How a Worker is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorkerState {
    /// It waits for room, or is being set up.
    Pending {
        /// Why it waits, for people, if known.
        reason: Option<String>,
    },
    /// Its command runs.
    Running,
    /// Its command ended with 0.
    Succeeded,
    /// Its command ended otherwise, or by a signal (128 + its number).
    Failed(Exit),
    /// It could not be set up, so its command never ran.
    Stuck(Exit),
    /// It ended, and how it ended will never be known. Treat it as absent after having been spawned:
    /// it is listed only so that it can be removed.
    Lost,
}

/// What a Worker waits for that has no room yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    /// What it asks for.
    pub asked: Share,
    /// What nobody holds.
    pub free: Share,
    /// What all Workers may have together.
    pub whole: Share,
    /// Workers that came before it and wait as well; nobody overtakes.
    pub ahead: usize,
    /// Who holds how much, those that hold most processors first.
    pub holders: Vec<(WorkerName, Share)>,
}

/// A part of what Workers may have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Share {
    /// Thousandths of a processor.
    pub cpu_millis: u64,
    /// Bytes of memory.
    pub memory_bytes: u64,
}
