//! The one place where refusals, conflicts and faults become responses.
//!
//! The wire knows a status and one string, built from a reason, an advice and a cause (web-api 1.4). The
//! reasons are the original's, odd spellings included: programs may look for them. The advice is ours,
//! says what to do next, and may change.

use ::http::header::ALLOW;
use ::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use knit_domain::agent::AgentRefused;
use knit_domain::catalog::RegistrationRefused;
use knit_domain::data::DataRefused;
use knit_domain::journal::SkipRefused;
use knit_domain::plan::PlanRefused;
use knit_domain::redaction::RedactionRefused;
use knit_domain::run::log_redaction::LogRedactionRefused;
use knit_domain::run::{RunRefused, Status};
use knit_runtime::port::{Fault, ReadError, ReceiveError};
use knit_schemas::api::{self, ErrorMessage};

use super::guard::Stranger;
use super::reply;
use crate::command::{CommandError, ErrorFamily, Refusal, UPON_DAMAGE, with_causes};

/// An answer that is not what was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    status: StatusCode,
    family: ErrorFamily,
    reason: String,
    advice: Option<String>,
    cause: Option<String>,
    see: Option<String>,
    allow: Option<&'static str>,
}

/// What the front door is told with an answer that is a problem: it counts it, and knows of which request it is.
#[derive(Debug, Clone)]
pub(super) struct Told {
    /// To which family of errors it belongs.
    pub(super) family: ErrorFamily,
    /// As the client is told, in one line.
    pub(super) message: String,
}

/// What was asked of a Run; the same refusal reads differently for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RunOperation {
    /// Stop it as failed.
    Abort,
    /// Stop it as succeeded.
    TearOff,
    /// Run it again.
    Retry,
    /// Delete it.
    Delete,
}

/// Advice about a retry of an upload or import; the original's.
const ROOT_CANNOT_BE_RETRIED: &str = "root Run cannot be retried";
/// Advice of every answer that only time can mend.
const RETRY_LATER: &str = "please retry later.";

impl Problem {
    fn new(status: StatusCode, reason: impl Into<String>) -> Self {
        let family = if status.is_server_error() { ErrorFamily::Fault } else { ErrorFamily::Refused };
        Self { status, family, reason: reason.into(), advice: None, cause: None, see: None, allow: None }
    }

    /// The same, with what to do about it.
    pub(super) fn advising(self, advice: impl Into<String>) -> Self {
        Self { advice: Some(advice.into()), ..self }
    }

    /// The same, with the text of what caused it.
    pub(super) fn because(self, cause: impl Into<String>) -> Self {
        Self { cause: Some(cause.into()), ..self }
    }

    /// Whether it says that something is not there.
    pub(super) fn is_absence(&self) -> bool {
        self.status == StatusCode::NOT_FOUND
    }

    /// The same status and reason, with the advice and the cause of `other` where that says what became of something.
    pub(super) fn explained_by(self, other: Self) -> Self {
        if !other.is_absence() || other.cause.is_none() {
            return self;
        }
        Self { advice: other.advice, cause: other.cause, ..self }
    }

    /// 400: the request cannot be understood or breaks a rule; `advice` says what to change.
    pub(super) fn bad_request(advice: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad request").advising(advice)
    }

    /// 400 with another reason, for a body that does not decode.
    pub(super) fn malformed(reason: &'static str, advice: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, reason).advising(advice)
    }

    /// 400: what arrived is not what the sender computed the checksum of.
    pub(super) fn wrong_checksum(received: &str, announced: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "hash is not match.")
            .advising("the archive was damaged on its way; send it again")
            .because(format!("received bytes have MD5 {received}, the trailer says {announced}"))
    }

    /// 404: nothing has this id. `what` names the kind of thing.
    pub(super) fn not_found(what: &str, id: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not found").advising(format!("there is no {what} `{id}`"))
    }

    /// 404: tags of what cannot be a Data.
    pub(super) fn untaggable() -> Self {
        Self::new(StatusCode::NOT_FOUND, "correspontind data is missing").advising(DataRefused::Missing.to_string())
    }

    /// 404 whose advice is not about an id.
    pub(super) fn absent(advice: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not found").advising(advice)
    }

    /// 404: no such route.
    pub(super) fn no_route() -> Self {
        Self::new(StatusCode::NOT_FOUND, "Not Found")
    }

    /// 405: the route is there, the method is not.
    pub(super) fn no_method(allow: &'static str) -> Self {
        Self { allow: Some(allow), ..Self::new(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed") }
    }

    /// 409: it may be done only when things are otherwise.
    pub(super) fn conflict(reason: &'static str) -> Self {
        Self::new(StatusCode::CONFLICT, reason)
    }

    /// 409: there is something already where the upload should go.
    pub(super) fn exists_already() -> Self {
        Self::new(StatusCode::CONFLICT, "data exists already").advising("nothing was overwritten; upload again")
    }

    /// 413: a JSON body over the limit.
    pub(super) fn too_large(bytes_max: usize) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "bad request")
            .advising(format!("the body is limited to {bytes_max} bytes of JSON"))
    }

    /// 403: the request comes from where none is answered.
    pub(super) fn forbidden(stranger: &Stranger) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden").advising(stranger.to_string())
    }

    /// 500: the world broke.
    pub(super) fn unexpected(cause: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "unexpected error").because(cause)
    }

    /// 500: a handler panicked.
    pub(super) fn bug() -> Self {
        Self::unexpected("the server made a mistake; its log says where")
    }

    /// 503: a command succeeded, but its outcome cannot be shown before the projections have caught up.
    pub(super) fn not_shown_yet() -> Self {
        Self::unavailable(
            "it is done, but this server has not caught up with the log: ask for it again, do not repeat it",
        )
    }

    /// 503: it will work later; `cause` says what it waits for.
    pub(super) fn unavailable(cause: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "service unavailable temporaly").advising(RETRY_LATER).because(cause)
    }

    /// 503: the log is not as it was written, and no waiting mends that; `why` says where.
    pub(super) fn damaged(why: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "the event log is damaged").advising(UPON_DAMAGE).because(why)
    }

    /// What the log did not answer.
    pub(super) fn of_log(error: impl Into<CommandError>) -> Self {
        match error.into() {
            CommandError::Damaged(why) => Self::damaged(why),
            passing @ (CommandError::Refused(_) | CommandError::Conflict { .. } | CommandError::Fault(_)) => {
                Self::unavailable(passing.to_string())
            }
        }
    }

    /// What became of a command upon a Run.
    pub(super) fn of_run(operation: RunOperation, error: CommandError) -> Self {
        if let CommandError::Refused(Refusal::Run(refused)) = &error {
            return run_refused(operation, refused);
        }
        error.into()
    }

    /// The same of a Run that nothing can make ready for a retry, an upload or import: what stands in the way
    /// at present is not worth clearing away.
    pub(super) fn of_a_root(self) -> Self {
        if self.status != StatusCode::CONFLICT {
            return self;
        }
        self.advising(ROOT_CANNOT_BE_RETRIED).because(RunRefused::Protected.to_string())
    }

    /// What became of a change of tags.
    pub(super) fn of_tagging(error: CommandError) -> Self {
        if let CommandError::Refused(Refusal::Data(DataRefused::Missing)) = &error {
            return Self::untaggable();
        }
        error.into()
    }

    /// The status.
    #[cfg(test)]
    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    /// Whether the log of this server tells of it: who it is answered to cannot mend it.
    pub(super) fn is_told(&self) -> bool {
        self.status == StatusCode::INTERNAL_SERVER_ERROR
    }

    /// What happened, in one line and without the reason that many problems share.
    pub(super) fn why(&self) -> String {
        let told: Vec<&str> = [&self.advice, &self.cause].into_iter().flatten().map(String::as_str).collect();
        let told = if told.is_empty() { self.reason.clone() } else { told.join(": ") };
        told.replace('\n', " ")
    }

    /// The one string of the wire.
    pub(super) fn message(&self) -> String {
        ErrorMessage::new(&self.reason, self.advice.as_deref(), self.cause.as_deref()).message
    }
}

fn run_refused(operation: RunOperation, refused: &RunRefused) -> Problem {
    let conflict = |reason: &str| Problem::new(StatusCode::CONFLICT, reason).because(refused.to_string());
    match (refused, operation) {
        (RunRefused::Missing, _) => Problem::absent(refused.to_string()),
        (RunRefused::HasDownstreams { .. }, _) => {
            conflict("output of the run is in use").advising("delete all downstreams first")
        }
        (RunRefused::WorkerActive, RunOperation::Retry) => {
            conflict("the run may not be finished").advising("wait until it has ended and nobody reads its outputs")
        }
        (RunRefused::InvalidStateChange { from, .. }, RunOperation::Retry) => {
            conflict("the run have not finished yet").advising(before_a_retry(*from))
        }
        (RunRefused::InvalidStateChange { from, .. }, RunOperation::Abort | RunOperation::TearOff) => {
            conflict("prohibited operation").advising(instead_of_stopping(*from))
        }
        (RunRefused::Protected, RunOperation::Retry) => {
            conflict("prohibited operation").advising(ROOT_CANNOT_BE_RETRIED)
        }
        // The original gives this one reason to every Run that may not be deleted.
        (
            RunRefused::WorkerActive | RunRefused::InvalidStateChange { .. } | RunRefused::Protected,
            RunOperation::Delete,
        ) => conflict("output of the run is in use")
            .advising("stop the Run, and wait for its end and for the end of transfers of its outputs"),
        (RunRefused::WorkerActive | RunRefused::Protected, RunOperation::Abort | RunOperation::TearOff)
        | (RunRefused::Unfinished, _) => conflict("prohibited operation"),
        (
            RunRefused::StaleAttempt { .. }
            | RunRefused::WrongKind { .. }
            | RunRefused::NotSpawned
            | RunRefused::OtherWorker { .. }
            | RunRefused::UnknownPlan
            | RunRefused::OutputsOutdated { .. },
            _,
        ) => Problem::unexpected(refused.to_string()),
    }
}

/// What to do about a Run that cannot be stopped as it was asked, because it is `from`.
fn instead_of_stopping(from: Status) -> &'static str {
    match from {
        Status::Deactivated | Status::Waiting => {
            "it has not started, so there is nothing to keep: `knit run stop --fail` ends it as failed"
        }
        Status::Completing => "it is ending already, as done: nothing is left to stop",
        Status::Aborting => "it is ending already, as failed: nothing is left to stop",
        Status::Done | Status::Failed | Status::Invalidated => "it has ended: nothing is left to stop",
        Status::Ready | Status::Starting | Status::Running => "it has changed meanwhile: look at it again",
    }
}

/// What has to happen to a Run that is `from`, before it can be retried.
fn before_a_retry(from: Status) -> &'static str {
    match from {
        Status::Deactivated => {
            "it has not started, because its Plan is switched off: `knit plan active yes` lets it start, \
             `knit run stop --fail` ends it"
        }
        Status::Waiting | Status::Ready => {
            "it has not started yet, and will by itself; `knit run stop --fail` ends it before that"
        }
        Status::Starting | Status::Running => "wait for its end, or stop it first",
        Status::Completing | Status::Aborting => "it is ending: wait for that",
        Status::Done | Status::Failed | Status::Invalidated => "it has changed meanwhile: look at it again",
    }
}

impl From<DataRefused> for Problem {
    fn from(refused: DataRefused) -> Self {
        match &refused {
            DataRefused::Missing => Self::absent(refused.to_string()),
            DataRefused::SystemKey { .. } | DataRefused::Unwritable(_) => {
                Self::malformed("format error", refused.to_string())
            }
            DataRefused::StillLiving { .. } => Self::unexpected(refused.to_string()),
        }
    }
}

impl From<RegistrationRefused> for Problem {
    fn from(refused: RegistrationRefused) -> Self {
        match &refused {
            RegistrationRefused::Invalid(invalid) => Self::bad_request(invalid.to_string()),
            RegistrationRefused::Equivalent { existing } => {
                let problem =
                    Self::new(StatusCode::CONFLICT, "there are equiverent plan").advising(refused.to_string());
                Self { see: Some(existing.to_string()), ..problem }
            }
            RegistrationRefused::Cyclic { .. } => {
                Self::new(StatusCode::CONFLICT, "plan spec conflics with others").advising(refused.to_string())
            }
            RegistrationRefused::TooManyRuns { candidates, .. } => {
                let product: Vec<String> =
                    candidates.iter().map(|(path, count)| format!("{count} for {path}")).collect();
                Self::new(StatusCode::CONFLICT, "too many Runs")
                    .advising(refused.to_string())
                    .because(format!("Data that fit: {}; every combination of them makes a Run", product.join(", ")))
            }
        }
    }
}

impl From<PlanRefused> for Problem {
    fn from(refused: PlanRefused) -> Self {
        match &refused {
            PlanRefused::Missing { .. } | PlanRefused::AlwaysActive { .. } => Self::absent(refused.to_string()),
            PlanRefused::TooLong(_) => Self::bad_request(refused.to_string()),
        }
    }
}

impl From<AgentRefused> for Problem {
    fn from(refused: AgentRefused) -> Self {
        match refused {
            AgentRefused::Missing => Self::absent(refused.to_string()),
            AgentRefused::Data(refused) => refused.into(),
        }
    }
}

impl From<SkipRefused> for Problem {
    fn from(refused: SkipRefused) -> Self {
        match refused {
            SkipRefused::NoReason | SkipRefused::LongReason { .. } => Self::bad_request(refused.to_string()),
            SkipRefused::NotStopped { .. } | SkipRefused::StoppedElsewhere { .. } => {
                Self::conflict("nothing is skipped").advising(refused.to_string())
            }
        }
    }
}

impl From<RedactionRefused> for Problem {
    fn from(refused: RedactionRefused) -> Self {
        match refused {
            RedactionRefused::Absent | RedactionRefused::NoEvent { .. } => Self::absent(refused.to_string()),
            RedactionRefused::NoReason
            | RedactionRefused::LongReason { .. }
            | RedactionRefused::ReasonTells
            | RedactionRefused::SystemTag { .. } => Self::bad_request(refused.to_string()),
            RedactionRefused::SaysNothing { .. }
            | RedactionRefused::SaysSeveral { .. }
            | RedactionRefused::TooMany { .. }
            | RedactionRefused::NotAsRecorded { .. }
            | RedactionRefused::PlanIsActive { .. }
            | RedactionRefused::RunIsUnderWay { .. } => {
                Self::conflict("nothing is redacted").advising(refused.to_string())
            }
        }
    }
}

impl From<LogRedactionRefused> for Problem {
    fn from(refused: LogRedactionRefused) -> Self {
        match refused {
            LogRedactionRefused::Reason(refused) => refused.into(),
            LogRedactionRefused::Run(RunRefused::Missing) | LogRedactionRefused::NoLog | LogRedactionRefused::Gone => {
                Self::absent(refused.to_string())
            }
            LogRedactionRefused::Run(_) | LogRedactionRefused::NotEnded => {
                Self::conflict("nothing is redacted").advising(refused.to_string())
            }
        }
    }
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        let problem = Self::unexpected(with_causes(&fault));
        if fault.is_disk_full() {
            return problem.advising("the disk of the server is full: delete Runs that are not needed, then try again");
        }
        problem
    }
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Missing { .. } => Self::unexpected(error.to_string())
                .advising("the Data has no content, although its Run has made it: it was removed behind the server"),
            ReadError::Fault(fault) => fault.into(),
        }
    }
}

impl From<ReceiveError> for Problem {
    fn from(error: ReceiveError) -> Self {
        match error {
            ReceiveError::Refused(bad) => Self::bad_request(bad.to_string()),
            ReceiveError::BrokenOff(_) => {
                Self::bad_request("the upload broke off; send it again").because(with_causes(&error))
            }
            ReceiveError::Exists { .. } => Self::exists_already().because(error.to_string()),
            ReceiveError::Fault(fault) => fault.into(),
        }
    }
}

impl From<CommandError> for Problem {
    fn from(error: CommandError) -> Self {
        match error {
            CommandError::Refused(Refusal::Registration(refused)) => refused.into(),
            CommandError::Refused(Refusal::Plan(refused)) => refused.into(),
            CommandError::Refused(Refusal::Agent(refused)) => refused.into(),
            CommandError::Refused(Refusal::Run(refused)) => run_refused(RunOperation::Abort, &refused),
            CommandError::Refused(Refusal::Data(refused)) => refused.into(),
            CommandError::Refused(Refusal::Skip(refused)) => refused.into(),
            CommandError::Refused(Refusal::Redaction(refused)) => refused.into(),
            CommandError::Refused(Refusal::LogRedaction(refused)) => refused.into(),
            CommandError::Refused(refused @ Refusal::LooksOnly) => {
                Self::conflict("nothing is changed here").advising(refused.to_string())
            }
            CommandError::Refused(refused @ (Refusal::Projection(_) | Refusal::Transfer(_))) => {
                Self::unexpected(refused.to_string())
            }
            CommandError::Conflict { .. } => {
                Self { family: ErrorFamily::Conflict, ..Self::unavailable(error.to_string()) }
            }
            CommandError::Fault(cause) => Self::unexpected(cause),
            CommandError::Damaged(why) => Self::damaged(why),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (message, family) = (self.message(), self.family);
        let mut response = reply::json_with(self.status, &ErrorMessage { message: message.clone() });
        response.extensions_mut().insert(Told { family, message: message.replace('\n', ": ") });
        let headers = response.headers_mut();
        if let Some(see) = self.see.and_then(|id| HeaderValue::from_str(&id).ok()) {
            headers.insert(HeaderName::from_static(api::SEE_HEADER), see);
        }
        if let Some(allow) = self.allow {
            headers.insert(ALLOW, HeaderValue::from_static(allow));
        }
        response
    }
}

#[cfg(test)]
mod tests;
