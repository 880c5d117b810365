//! How a Run ends: success or failure is decided once, then the Worker is removed, then it is over.
//!
//! All decisions go to the Run's own stream with the version they were taken on, so of a user's abort
//! and a Worker's end at the same moment exactly one stands (X14).

use super::{Run, RunKind, RunRecord, RunRefused, Status, happens, must_change};
use crate::agent::{self, Agent};
use crate::decision::{Condition, Decision, Versioned};
use crate::event::agent::AgentClosure;
use crate::event::run::{Exit, FailureCause, RunEvent, SuccessCause};
use crate::event::{Event, StreamId};
use crate::reservation::{Holder, Scope};

/// Longest message of an exit or reason of a failure, in characters (domain.md 2.6); a longer one is cut, because a Run
/// whose end cannot be recorded would never end (Q13).
pub const EXIT_MESSAGE_CHARS_MAX: usize = 1_024;
/// Exit code of a Run that a user aborted.
pub const EXIT_CODE_ABORTED: u8 = 253;
/// Exit code of a Run whose Worker is gone without a trace.
pub const EXIT_CODE_LOST: u8 = 254;
/// Exit code of a Run whose Worker could never run.
pub const EXIT_CODE_STUCK: u8 = 255;
/// Exit code of a failure of which only 0 or nothing is known (an eviction, say): a failure must not
/// look like a success (Q14).
pub const EXIT_CODE_UNKNOWN_FAILURE: u8 = 1;

/// A success that the system observes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Success {
    /// The Worker ended with 0.
    Worker,
    /// Every byte of the upload is stored.
    Upload,
    /// The importer says that the volume is there.
    Import,
}

/// A failure that the system observes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The Worker ended with another code than 0, or by a signal.
    WorkerFailed(Exit),
    /// The Worker could never run.
    WorkerStuck {
        /// Why, for people.
        message: String,
    },
    /// The Worker was known to exist and is gone without a trace.
    WorkerLost,
    /// The upload was refused or broke off.
    UploadFailed {
        /// Why, for people.
        reason: String,
    },
    /// The upload's server died: no writing Data Agent is left.
    UploadOrphaned,
    /// The importer took too long.
    ImportOverdue,
}

impl Success {
    const fn kind(self) -> RunKind {
        match self {
            Self::Worker => RunKind::Image,
            Self::Upload => RunKind::Upload,
            Self::Import => RunKind::Import,
        }
    }

    const fn cause(self) -> SuccessCause {
        match self {
            Self::Worker => SuccessCause::WorkerSucceeded,
            Self::Upload => SuccessCause::UploadStored,
            Self::Import => SuccessCause::ImportEnded,
        }
    }

    fn exit(self) -> Option<Exit> {
        match self {
            Self::Worker => Some(exit(0, "")),
            Self::Upload | Self::Import => None,
        }
    }
}

impl Failure {
    const fn kind(&self) -> RunKind {
        match self {
            Self::WorkerFailed(_) | Self::WorkerStuck { .. } | Self::WorkerLost => RunKind::Image,
            Self::UploadFailed { .. } | Self::UploadOrphaned => RunKind::Upload,
            Self::ImportOverdue => RunKind::Import,
        }
    }

    const fn cause(&self) -> FailureCause {
        match self {
            Self::WorkerFailed(_) => FailureCause::WorkerFailed,
            Self::WorkerStuck { .. } => FailureCause::WorkerStuck,
            Self::WorkerLost => FailureCause::WorkerLost,
            Self::UploadFailed { .. } => FailureCause::UploadFailed,
            Self::UploadOrphaned => FailureCause::UploadOrphaned,
            Self::ImportOverdue => FailureCause::ImportOverdue,
        }
    }

    const fn code(&self) -> Option<u8> {
        match self {
            Self::WorkerFailed(end) if end.code == 0 => Some(EXIT_CODE_UNKNOWN_FAILURE),
            Self::WorkerFailed(end) => Some(end.code),
            Self::WorkerStuck { .. } => Some(EXIT_CODE_STUCK),
            Self::WorkerLost => Some(EXIT_CODE_LOST),
            Self::UploadFailed { .. } | Self::UploadOrphaned | Self::ImportOverdue => None,
        }
    }

    fn reason(&self) -> &str {
        match self {
            Self::WorkerFailed(end) => &end.message,
            Self::WorkerStuck { message } => message,
            Self::WorkerLost => "worker for the run is not found",
            Self::UploadFailed { reason } => reason,
            Self::UploadOrphaned => "the server that took it in is gone",
            Self::ImportOverdue => "the importer took longer than it may",
        }
    }
}

fn exit(code: u8, message: &str) -> Exit {
    Exit { code, message: cut(message) }
}

fn cut(message: &str) -> String {
    message.chars().take(EXIT_MESSAGE_CHARS_MAX).collect()
}

/// The system observed a success: the Run becomes `completing`.
///
/// # Errors
/// [`RunRefused`].
pub fn decide_success(run: &Versioned<Run>, attempt: u32, success: Success) -> Result<Decision, RunRefused> {
    let record = run.state.at_attempt(attempt)?;
    check_kind(record, success.kind())?;
    succeed(run, record, success.exit(), success.cause())
}

/// The system observed a failure: the Run becomes `aborting`.
///
/// # Errors
/// [`RunRefused`]; a Worker can be lost only after it was known to exist.
pub fn decide_failure(run: &Versioned<Run>, attempt: u32, failure: &Failure) -> Result<Decision, RunRefused> {
    let record = run.state.at_attempt(attempt)?;
    check_kind(record, failure.kind())?;
    let decision = fail(run, record, failure.code(), failure.reason(), failure.cause())?;
    if decision.is_nothing() {
        return Ok(decision);
    }
    match failure {
        Failure::WorkerLost if !record.is_spawned() => Err(RunRefused::NotSpawned),
        Failure::UploadOrphaned => Ok(without_writer(decision, record)),
        Failure::WorkerFailed(_)
        | Failure::WorkerStuck { .. }
        | Failure::WorkerLost
        | Failure::UploadFailed { .. }
        | Failure::ImportOverdue => Ok(decision),
    }
}

/// An upload is orphaned only while nobody writes to it.
fn without_writer(decision: Decision, record: &RunRecord) -> Decision {
    record.outputs.iter().fold(decision, |decision, output| {
        decision.given(Condition::Free { scope: Scope::DataUse(output.knit_id), holder: Holder::Writer })
    })
}

/// A user stops the Run and does not want its outputs: it becomes `aborting`.
///
/// # Errors
/// [`RunRefused::Missing`], [`RunRefused::InvalidStateChange`].
pub fn abort(run: &Versioned<Run>) -> Result<Decision, RunRefused> {
    fail(run, run.state.existing()?, Some(EXIT_CODE_ABORTED), "aborted by user", FailureCause::User)
}

/// A user stops the Run and keeps what it has made: it becomes `completing`.
///
/// # Errors
/// [`RunRefused::Missing`], [`RunRefused::InvalidStateChange`]; [`RunRefused::Unfinished`] for an upload
/// or import in progress, of which nothing whole could be kept (Q28).
pub fn tear_off(run: &Versioned<Run>) -> Result<Decision, RunRefused> {
    let record = run.state.existing()?;
    if record.status == Status::Running && record.kind != RunKind::Image {
        return Err(RunRefused::Unfinished);
    }
    succeed(run, record, Some(exit(0, "stopped by user")), SuccessCause::TornOff)
}

/// The Worker is removed, or there was none: the Run becomes `done` or `failed`, as was decided.
///
/// `log_sha256` is the hash of the whole log's text, lower-case hex, if a log is kept.
///
/// # Errors
/// [`RunRefused`]; a Run whose end is not decided cannot be finished.
pub fn finish(run: &Versioned<Run>, attempt: u32, log_sha256: Option<String>) -> Result<Decision, RunRefused> {
    let record = run.state.at_attempt(attempt)?;
    Ok(happens(run, record, end_of(record.status, attempt, log_sha256)?))
}

fn end_of(status: Status, attempt: u32, log_sha256: Option<String>) -> Result<RunEvent, RunRefused> {
    match status {
        Status::Completing => Ok(RunEvent::RunSucceeded { attempt, log_sha256 }),
        Status::Aborting => Ok(RunEvent::RunFailed { attempt, log_sha256 }),
        Status::Failed => Err(RunRefused::InvalidStateChange { from: status, to: Status::Failed }),
        Status::Deactivated
        | Status::Waiting
        | Status::Ready
        | Status::Starting
        | Status::Running
        | Status::Done
        | Status::Invalidated => Err(RunRefused::InvalidStateChange { from: status, to: Status::Done }),
    }
}

/// An upload is over, well or badly: decided, finished and its Data Agent closed, all in one append.
///
/// An upload has no Worker that would have to be removed between the decision and the end. Taking
/// both at once leaves no moment at which another could finish it first (Q21) or a crash could leave
/// it half-way. If the end was decided already (a user aborted), that decision stands.
///
/// # Errors
/// [`RunRefused`]; storing an upload that was aborted meanwhile is refused, ending it as failed is not.
pub fn conclude_upload(
    run: &Versioned<Run>,
    agent: &Versioned<Agent>,
    outcome: UploadOutcome,
) -> Result<Decision, RunRefused> {
    let record = run.state.existing()?;
    let (decided, status) = match outcome {
        UploadOutcome::Stored => (decide_success(run, record.attempt, Success::Upload)?, Status::Completing),
        UploadOutcome::Failed { reason } => {
            (decide_failure(run, record.attempt, &Failure::UploadFailed { reason })?, Status::Aborting)
        }
    };
    let end: Event = end_of(status, record.attempt, None)?.into();
    let events = decided.events().cloned().chain([end]);
    let decision = Decision::write(StreamId::run(record.id), run.version, events);
    Ok(agent::closes(decision, agent, AgentClosure::Finished))
}

/// How an upload went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UploadOutcome {
    /// Every byte is stored and the volume is sealed.
    Stored,
    /// It was refused or broke off; nothing of it is kept.
    Failed {
        /// Why, for people; cut to [`EXIT_MESSAGE_CHARS_MAX`].
        reason: String,
    },
}

fn succeed(
    run: &Versioned<Run>,
    record: &RunRecord,
    exit: Option<Exit>,
    cause: SuccessCause,
) -> Result<Decision, RunRefused> {
    if !must_change(record.status, Status::Completing)? {
        return Ok(Decision::nothing());
    }
    Ok(happens(run, record, RunEvent::RunSuccessDecided { attempt: record.attempt, exit, cause }))
}

fn fail(
    run: &Versioned<Run>,
    record: &RunRecord,
    code: Option<u8>,
    reason: &str,
    cause: FailureCause,
) -> Result<Decision, RunRefused> {
    if !must_change(record.status, Status::Aborting)? {
        return Ok(Decision::nothing());
    }
    let (attempt, reason) = (record.attempt, cut(reason));
    Ok(happens(run, record, RunEvent::RunFailureDecided { attempt, code, reason, cause }))
}

fn check_kind(record: &RunRecord, wanted: RunKind) -> Result<(), RunRefused> {
    if record.kind == wanted { Ok(()) } else { Err(RunRefused::WrongKind { kind: record.kind }) }
}
