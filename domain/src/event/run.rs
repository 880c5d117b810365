//! Events of a Run, and the values they carry.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::plan::{Image, OnNode};
use super::{Entity, stored_events};
use crate::id::{KnitId, PlanId, RunId, VolumeRef, WorkerName};
use crate::tag::TagSet;

/// What happens to a Run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum RunEvent {
    /// A new combination of Data fits a Plan: the Run, its outputs and its claims exist (attempt 1).
    RunProjected {
        /// The Run; a name-based UUID over its Plan and assignments, so it can exist only once (X3).
        run_id: RunId,
        /// Its Plan.
        plan_id: PlanId,
        /// One Data for every input, sorted by path.
        inputs: Vec<Assignment>,
        /// One Data for every output and for the log.
        outputs: Vec<OutputData>,
        /// Name reserved for the Worker of attempt 1.
        worker_name: WorkerName,
        /// The pair that completed the combination.
        trigger: Assignment,
    },
    /// Somebody uploads; the Run is `running` from birth.
    UploadStarted {
        /// The Run.
        run_id: RunId,
        /// The built-in Plan `knit#uploaded`.
        plan_id: PlanId,
        /// The Data to be.
        output: OutputData,
    },
    /// Somebody imports a volume; the Run is `running` from birth.
    ImportStarted {
        /// The Run.
        run_id: RunId,
        /// The built-in Plan `knit#imported`.
        plan_id: PlanId,
        /// The Data to be.
        output: OutputData,
        /// How long the importer may take, in milliseconds from the event's `recorded_at`.
        allowed_ms: u64,
    },
    /// Every volume of the outputs and the log exists: `ready`.
    RunVolumesPrepared {
        /// Which attempt.
        attempt: u32,
        /// The volumes made.
        volumes: Vec<VolumeRef>,
    },
    /// A Worker is wanted: `starting`. Recorded before the Worker is created.
    WorkerRequested {
        /// Which attempt.
        attempt: u32,
        /// Everything the Worker is made from.
        worker: WorkerOrder,
    },
    /// The Worker exists; from now on its absence means it was lost.
    WorkerSpawned {
        /// Which attempt.
        attempt: u32,
        /// Its name.
        worker_name: WorkerName,
        /// The runtime's own identity of it, which tells attempts apart.
        uid: String,
        /// What the image's tag meant at that moment.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        image_digest: Option<String>,
        /// What the runtime did differently from what was asked, such as an ignored preference.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        notes: Vec<String>,
    },
    /// The Worker was seen running: `running`.
    RunStarted {
        /// Which attempt.
        attempt: u32,
    },
    /// Success is decided, the Worker not yet removed: `completing`.
    RunSuccessDecided {
        /// Which attempt.
        attempt: u32,
        /// How it ended; absent for uploads and imports.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        exit: Option<Exit>,
        /// By what.
        cause: SuccessCause,
    },
    /// Failure is decided, the Worker not yet removed: `aborting`.
    RunFailureDecided {
        /// Which attempt.
        attempt: u32,
        /// Code of the exit; absent for uploads and imports that the system ended.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        code: Option<u8>,
        /// Why, for people, in at most 1,024 characters. Empty only where version 1 had no place for it.
        reason: String,
        /// By what.
        cause: FailureCause,
    },
    /// `done`: outputs carry this event's time and may fill inputs.
    RunSucceeded {
        /// Which attempt.
        attempt: u32,
        /// SHA-256 of the whole log's text, lower-case hex, if a log is kept.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        log_sha256: Option<String>,
    },
    /// `failed`: outputs carry this event's time and never fill inputs.
    RunFailed {
        /// Which attempt.
        attempt: u32,
        /// SHA-256 of the whole log's text, lower-case hex, if a log is kept.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        log_sha256: Option<String>,
    },
    /// A new attempt: `waiting` again, with fresh outputs.
    RunRetried {
        /// The new attempt: 2, 3, ….
        attempt: u32,
        /// Name reserved for its Worker.
        worker_name: WorkerName,
        /// Outputs of the attempt before, discarded in the same append.
        discarded: Vec<KnitId>,
        /// One fresh Data for every output and for the log.
        outputs: Vec<OutputData>,
        /// What is kept of the earlier attempt's log.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        log_tail: Option<LogTail>,
    },
    /// Deleted, but remembered so that the combination is not run again: `invalidated`.
    RunInvalidated {
        /// Its outputs, discarded in the same append.
        discarded: Vec<KnitId>,
        /// Its inputs, no longer claimed, each once.
        released: Vec<KnitId>,
    },
    /// Forgotten altogether; only the stream remains.
    RunErased {
        /// Why.
        cause: ErasureCause,
        /// Its outputs, discarded in the same append (root Runs only).
        discarded: Vec<KnitId>,
        /// Inputs that remembered it as a tombstone, each once.
        released: Vec<KnitId>,
    },
}

stored_events!(RunEvent {
    RunProjected = 1,
    UploadStarted = 1,
    ImportStarted = 1,
    RunVolumesPrepared = 1,
    WorkerRequested = 1,
    WorkerSpawned = 1,
    RunStarted = 1,
    RunSuccessDecided = 1,
    RunFailureDecided = 2,
    RunSucceeded = 1,
    RunFailed = 1,
    RunRetried = 1,
    RunInvalidated = 1,
    RunErased = 1,
});

/// A Data in an input of a Run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Assignment {
    /// Path of the Plan's input.
    pub path: String,
    /// What is mounted there.
    pub knit_id: KnitId,
}

/// A Data that a Run makes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputData {
    /// Path of the Plan's output; `/log` for the log.
    pub path: String,
    /// Whether it is the log.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub log: bool,
    /// Its identity, fresh for every attempt.
    pub knit_id: KnitId,
    /// Its volume.
    pub volume_ref: VolumeRef,
    /// Tags it is born with.
    pub tags: TagSet,
}

/// Everything a Worker is made from, as it was when the Worker was requested.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerOrder {
    /// Its name.
    pub name: WorkerName,
    /// The image.
    pub image: Image,
    /// Replaces the image's entry point unless empty.
    pub entrypoint: Vec<String>,
    /// Replaces the image's command unless empty.
    pub args: Vec<String>,
    /// Variables that before-hooks answered.
    pub env: BTreeMap<String, String>,
    /// Limits: resource name to quantity.
    pub resources: BTreeMap<String, String>,
    /// Placement.
    pub on_node: Vec<OnNode>,
    /// Account to run under.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account: Option<String>,
}

/// How a Run ended. Message at most 1,024 characters (longer ones are truncated, Q13).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// 0 is success; 253 aborted by user, 254 Worker lost, 255 Worker never ran.
    pub code: u8,
    /// Why, for people.
    pub message: String,
}

/// What decided a success.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SuccessCause {
    /// The Worker ended with 0.
    WorkerSucceeded,
    /// A user stopped it and keeps what is there.
    TornOff,
    /// Every byte of an upload is stored.
    UploadStored,
    /// The importer says the volume is there.
    ImportEnded,
}

/// What decided a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureCause {
    /// The Worker ended with another code than 0, or by a signal.
    WorkerFailed,
    /// The Worker could never run.
    WorkerStuck,
    /// The Worker is gone without a trace.
    WorkerLost,
    /// A user aborted it.
    User,
    /// The upload was refused or broke off.
    UploadFailed,
    /// The upload's server died.
    UploadOrphaned,
    /// The importer took too long.
    ImportOverdue,
}

/// Why a Run is forgotten.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErasureCause {
    /// It had no inputs and was deleted.
    RootDeleted,
    /// It was a tombstone and this input of it was discarded.
    UpstreamDiscarded(KnitId),
}

/// The kept end of an earlier attempt's log; the text is an attachment of the log, not in the event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogTail {
    /// SHA-256 of the kept bytes, lower-case hex.
    pub sha256: String,
    /// How many bytes are kept.
    pub bytes: u64,
    /// How many bytes the log had.
    pub total_bytes: u64,
}

impl RunEvent {
    pub(super) fn entities(&self, all: &mut Vec<Entity>) {
        let outputs = |outputs: &[OutputData], all: &mut Vec<Entity>| {
            all.extend(outputs.iter().map(|output| Entity::Data(output.knit_id)));
        };
        let data = |ids: &[KnitId], all: &mut Vec<Entity>| all.extend(ids.iter().copied().map(Entity::Data));
        match self {
            Self::RunProjected { plan_id, inputs, outputs: made, .. } => {
                all.push(Entity::Plan(*plan_id));
                all.extend(inputs.iter().map(|input| Entity::Data(input.knit_id)));
                outputs(made, all);
            }
            Self::UploadStarted { plan_id, output, .. } | Self::ImportStarted { plan_id, output, .. } => {
                all.push(Entity::Plan(*plan_id));
                all.push(Entity::Data(output.knit_id));
            }
            Self::RunRetried { discarded, outputs: made, .. } => {
                data(discarded, all);
                outputs(made, all);
            }
            Self::RunInvalidated { discarded, released } | Self::RunErased { discarded, released, .. } => {
                data(discarded, all);
                data(released, all);
            }
            Self::RunVolumesPrepared { .. }
            | Self::WorkerRequested { .. }
            | Self::WorkerSpawned { .. }
            | Self::RunStarted { .. }
            | Self::RunSuccessDecided { .. }
            | Self::RunFailureDecided { .. }
            | Self::RunSucceeded { .. }
            | Self::RunFailed { .. } => {}
        }
    }
}
