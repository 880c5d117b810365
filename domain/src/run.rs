//! Runs: one execution of a Plan on chosen Data, from its creation to its end and beyond.
//!
//! A Run is born when a combination of Data fits a Plan, or when somebody uploads or imports. It walks
//! through the statuses of [`status`]: its volumes are made, a Worker is requested, seen, and ends;
//! success or failure is *decided* once, the Worker is removed, and the Run is `done` or `failed`. It
//! can then be retried, which is a new *attempt* of the same Run with fresh outputs, or deleted, which
//! leaves a tombstone so that the same combination is never run again.
//!
//! This file holds what a Run remembers and how its events make it so. The decisions are in the
//! folder, by subject: [`creation`], [`progress`], [`ending`], [`removal`].

mod aggregate;
pub mod creation;
pub mod ending;
pub mod log_redaction;
pub mod progress;
pub mod removal;
pub mod status;

use serde::{Deserialize, Serialize};

pub use aggregate::RunCommand;
pub use creation::{project, start_import, start_upload};
pub use ending::{abort, conclude_upload, decide_failure, decide_success, finish, tear_off};
pub use progress::{prepare_volumes, record_spawn, record_started, request_worker};
pub use removal::{delete, is_living, retry};
pub use status::Status;

use crate::decision::{Decision, Versioned};
use crate::event::StreamId;
use crate::event::run::{Assignment, Exit, FailureCause, LogTail, OutputData, RunEvent, SuccessCause, WorkerOrder};
use crate::id::{KnitId, PlanId, RunId, WorkerName};
use status::{Change, change};

/// A Run as its stream tells it.
#[derive(Default, Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct Run {
    /// Absent before the Run is created, and again once it is erased: then only its stream remains.
    pub record: Option<RunRecord>,
}

/// What there is to know about a Run that exists, be it a tombstone.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct RunRecord {
    /// Its identity.
    pub id: RunId,
    /// Its Plan.
    pub plan: PlanId,
    /// What makes its outputs.
    pub kind: RunKind,
    /// Never `deactivated`, which depends on the Plan: see [`Status::under`].
    pub status: Status,
    /// 1, 2, …; observations of earlier attempts are refused.
    pub attempt: u32,
    /// One Data for every input, sorted by path; none for uploads and imports.
    pub inputs: Vec<Assignment>,
    /// One Data for every output and for the log, of the current attempt; none for a tombstone.
    pub outputs: Vec<OutputData>,
    /// Name reserved for the Worker of the current attempt.
    pub worker_name: Option<WorkerName>,
    /// The Worker that was requested and is not yet known to be removed.
    pub worker: Option<Worker>,
    /// How the current attempt ended, once that is decided.
    pub exit: Option<Exit>,
    /// What decided it.
    pub cause: Option<Cause>,
    /// The attempts before, oldest first.
    pub earlier: Vec<PastAttempt>,
}

/// What makes the outputs of a Run.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[serde(rename_all = "lowercase")]
pub enum RunKind {
    /// A Worker, from the image of its Plan.
    Image,
    /// An upload.
    Upload,
    /// An import.
    Import,
}

/// A Worker on record.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Worker {
    /// Its name.
    pub name: WorkerName,
    /// The runtime's identity of it; absent until it is known to exist.
    pub uid: Option<String>,
}

/// What decided the end of an attempt.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[serde(rename_all = "lowercase")]
pub enum Cause {
    /// It goes to `done`.
    Success(SuccessCause),
    /// It goes to `failed`.
    Failure(FailureCause),
}

/// An attempt that was retried.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct PastAttempt {
    /// Its number.
    pub attempt: u32,
    /// How it ended.
    pub exit: Option<Exit>,
    /// What decided it.
    pub cause: Option<Cause>,
    /// What is kept of its log.
    pub log_tail: Option<LogTail>,
}

/// A command to a Run that a rule forbids. Nothing changes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RunRefused {
    /// There is no such Run, or it was deleted.
    #[error("there is no such Run: it never was, or it has been deleted")]
    Missing,
    /// The table of status changes forbids it.
    #[error("the Run is {from}, and from there it cannot become {to}")]
    InvalidStateChange {
        /// The present status.
        from: Status,
        /// The wanted one.
        to: Status,
    },
    /// Its Worker, or a transfer of one of its outputs, is not over.
    #[error("a Worker of the Run, or a transfer of its outputs, is still active: stop it, or wait until it ends")]
    WorkerActive,
    /// Other Runs use its outputs.
    #[error("{} ({})", in_the_way(runs.len()), listed(runs))]
    HasDownstreams {
        /// All of them, sorted.
        runs: Vec<RunId>,
    },
    /// An upload or import has nothing that could be run again.
    #[error("the Run is an upload or import, which cannot be retried: upload or import again")]
    Protected,
    /// What an upload or import has stored so far is no whole Data.
    #[error("the Run is an upload or import, whose unfinished Data cannot be kept: abort it instead")]
    Unfinished,
    /// It was seen on an earlier attempt, which says nothing about the present one (X13).
    #[error("this was seen of attempt {observed}, but the Run is at attempt {current}")]
    StaleAttempt {
        /// The attempt that was observed.
        observed: u32,
        /// The present one.
        current: u32,
    },
    /// A Worker, upload or import was reported of a Run that has none.
    #[error("the Run is of another kind ({kind:?}): it cannot end this way")]
    WrongKind {
        /// What the Run is.
        kind: RunKind,
    },
    /// A Worker that is not known to exist cannot be lost: it may be on its way.
    #[error("the Worker was requested but is not known to exist yet: create it, or find it, first")]
    NotSpawned,
    /// Another Worker than the one on record was reported.
    #[error("the Worker on record is `{recorded}`, not `{observed}`")]
    OtherWorker {
        /// Identity on record.
        recorded: String,
        /// Identity reported.
        observed: String,
    },
    /// The Plan that was given is not the image Plan of this Run.
    #[error("the Plan of the Run is not known")]
    UnknownPlan,
    /// The outputs that were given are not those of the present attempt: read all of them again.
    #[error("the Data {knit_id} of the Run was not read together with it: load again and decide again")]
    OutputsOutdated {
        /// The output that is missing.
        knit_id: KnitId,
    },
}

/// At most this many ids are named in a message; a popular Data has thousands of users.
const RUNS_NAMED_MAX: usize = 5;

fn in_the_way(count: usize) -> String {
    match count {
        1 => "1 Run uses its outputs: delete it first".to_owned(),
        count => format!("{count} Runs use its outputs: delete them first"),
    }
}

fn listed(runs: &[RunId]) -> String {
    let mut named: Vec<String> = runs.iter().take(RUNS_NAMED_MAX).map(ToString::to_string).collect();
    if runs.len() > RUNS_NAMED_MAX {
        named.push("…".to_owned());
    }
    named.join(", ")
}

impl Run {
    /// Takes one more event of the stream into account.
    ///
    /// It never fails: events that make no sense for the state (they cannot be in a log that was
    /// written through these decisions) leave it as it is.
    pub fn apply(&mut self, event: &RunEvent) {
        match event {
            RunEvent::RunProjected { run_id, plan_id, inputs, outputs, worker_name, trigger: _ } => {
                self.record = Some(RunRecord {
                    inputs: inputs.clone(),
                    outputs: outputs.clone(),
                    worker_name: Some(worker_name.clone()),
                    ..RunRecord::new(*run_id, *plan_id, RunKind::Image, Status::Waiting)
                });
            }
            RunEvent::UploadStarted { run_id, plan_id, output } => {
                self.record = Some(RunRecord::transfer(*run_id, *plan_id, RunKind::Upload, output));
            }
            RunEvent::ImportStarted { run_id, plan_id, output, allowed_ms: _ } => {
                self.record = Some(RunRecord::transfer(*run_id, *plan_id, RunKind::Import, output));
            }
            RunEvent::RunErased { .. } => self.record = None,
            RunEvent::RunVolumesPrepared { .. }
            | RunEvent::WorkerRequested { .. }
            | RunEvent::WorkerSpawned { .. }
            | RunEvent::RunStarted { .. }
            | RunEvent::RunSuccessDecided { .. }
            | RunEvent::RunFailureDecided { .. }
            | RunEvent::RunSucceeded { .. }
            | RunEvent::RunFailed { .. }
            | RunEvent::RunRetried { .. }
            | RunEvent::RunInvalidated { .. } => {
                if let Some(record) = &mut self.record {
                    record.advance(event);
                }
            }
        }
    }

    /// The Run, if it exists (tombstones do).
    ///
    /// # Errors
    /// [`RunRefused::Missing`].
    pub fn existing(&self) -> Result<&RunRecord, RunRefused> {
        self.record.as_ref().ok_or(RunRefused::Missing)
    }

    /// The Run, if it exists and is at this attempt.
    ///
    /// # Errors
    /// [`RunRefused::Missing`], [`RunRefused::StaleAttempt`].
    fn at_attempt(&self, observed: u32) -> Result<&RunRecord, RunRefused> {
        let record = self.existing()?;
        if record.attempt == observed {
            Ok(record)
        } else {
            Err(RunRefused::StaleAttempt { observed, current: record.attempt })
        }
    }
}

impl RunRecord {
    fn new(id: RunId, plan: PlanId, kind: RunKind, status: Status) -> Self {
        Self {
            id,
            plan,
            kind,
            status,
            attempt: 1,
            inputs: Vec::new(),
            outputs: Vec::new(),
            worker_name: None,
            worker: None,
            exit: None,
            cause: None,
            earlier: Vec::new(),
        }
    }

    fn transfer(id: RunId, plan: PlanId, kind: RunKind, output: &OutputData) -> Self {
        Self { outputs: vec![output.clone()], ..Self::new(id, plan, kind, Status::Running) }
    }

    fn advance(&mut self, event: &RunEvent) {
        match event {
            RunEvent::RunVolumesPrepared { .. } => self.status = Status::Ready,
            RunEvent::WorkerRequested { worker, .. } => self.request(worker),
            RunEvent::WorkerSpawned { worker_name, uid, .. } => {
                self.worker = Some(Worker { name: worker_name.clone(), uid: Some(uid.clone()) });
            }
            RunEvent::RunStarted { .. } => self.status = Status::Running,
            RunEvent::RunSuccessDecided { exit, cause, .. } => {
                self.decide(Status::Completing, exit.clone(), Cause::Success(*cause));
            }
            RunEvent::RunFailureDecided { code, reason, cause, .. } => {
                let exit = code.map(|code| Exit { code, message: reason.clone() });
                self.decide(Status::Aborting, exit, Cause::Failure(*cause));
            }
            RunEvent::RunSucceeded { .. } => self.end(Status::Done),
            RunEvent::RunFailed { .. } => self.end(Status::Failed),
            RunEvent::RunRetried { attempt, worker_name, outputs, log_tail, .. } => {
                self.restart(*attempt, worker_name, outputs, log_tail.as_ref());
            }
            RunEvent::RunInvalidated { .. } => {
                self.status = Status::Invalidated;
                self.outputs.clear();
                (self.exit, self.cause) = (None, None);
            }
            // These begin or end a Run, so `Run::apply` takes them.
            RunEvent::RunProjected { .. }
            | RunEvent::UploadStarted { .. }
            | RunEvent::ImportStarted { .. }
            | RunEvent::RunErased { .. } => {}
        }
    }

    fn request(&mut self, order: &WorkerOrder) {
        self.status = Status::Starting;
        self.worker = Some(Worker { name: order.name.clone(), uid: None });
    }

    fn decide(&mut self, status: Status, exit: Option<Exit>, cause: Cause) {
        self.status = status;
        self.exit = exit;
        self.cause = Some(cause);
    }

    fn end(&mut self, status: Status) {
        self.status = status;
        self.worker = None;
    }

    fn restart(&mut self, attempt: u32, name: &WorkerName, outputs: &[OutputData], log_tail: Option<&LogTail>) {
        self.earlier.push(PastAttempt {
            attempt: self.attempt,
            exit: self.exit.take(),
            cause: self.cause.take(),
            log_tail: log_tail.cloned(),
        });
        self.status = Status::Waiting;
        self.attempt = attempt;
        self.outputs = outputs.to_vec();
        self.worker_name = Some(name.clone());
        self.worker = None;
    }

    /// The Data that keeps the log of the current attempt, if the Plan keeps one.
    #[must_use]
    pub fn log(&self) -> Option<&OutputData> {
        self.outputs.iter().find(|output| output.log)
    }

    /// Whether its Worker is known to exist, so that its absence means something.
    fn is_spawned(&self) -> bool {
        self.worker.as_ref().is_some_and(|worker| worker.uid.is_some())
    }

    /// Whether it has no inputs. Uploads and imports are root Runs; there are no others.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.inputs.is_empty()
    }

    /// The Data it takes in, each once, sorted.
    #[must_use]
    pub fn input_data(&self) -> Vec<KnitId> {
        let mut ids: Vec<KnitId> = self.inputs.iter().map(|input| input.knit_id).collect();
        ids.sort();
        ids.dedup();
        ids
    }
}

/// Whether a change of status has to be recorded; it has not if the Run is there already.
fn must_change(from: Status, to: Status) -> Result<bool, RunRefused> {
    match change(from, to) {
        Change::Already => Ok(false),
        Change::Allowed => Ok(true),
        Change::Denied => Err(RunRefused::InvalidStateChange { from, to }),
    }
}

/// The decision that `event` happens to `run`, whose record is `record`.
fn happens(run: &Versioned<Run>, record: &RunRecord, event: RunEvent) -> Decision {
    Decision::write(StreamId::run(record.id), run.version, [event])
}
