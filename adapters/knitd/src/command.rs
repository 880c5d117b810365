//! How a command travels: load, decide, append; somebody was faster: load and decide again.
//!
//! A refusal is an answer, not a failure. A conflict is only reported when it does not end within a
//! bounded number of tries. Everything else is the world's fault, and the caller may try again later.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use knit_domain::agent::AgentRefused;
use knit_domain::catalog::RegistrationRefused;
use knit_domain::data::DataRefused;
use knit_domain::decision::Decision;
use knit_domain::event::{Metadata, Position, Recorded};
use knit_domain::id::EventId;
use knit_domain::journal::SkipRefused;
use knit_domain::plan::PlanRefused;
use knit_domain::redaction::RedactionRefused;
use knit_domain::run::RunRefused;
use knit_domain::run::creation::{ProjectionRefused, TransferRefused};
use knit_domain::run::log_redaction::LogRedactionRefused;
use knit_log::{AppendError, Log, ReadError, Request};
use rand::Rng as _;

use crate::streams::Source;

/// Tries of one command before its conflict is reported, a few seconds after it began; a reactor that gives up
/// simply looks again.
const TRIES_MAX: u32 = 16;
/// Longest pause before the second try: long enough for a rival's append to be over. It doubles with each try, so
/// that as many rivals as there may be, on several servers, get out of each other's way.
const PAUSE_MS_MAX: u64 = 20;
/// Longest pause before a later try.
const LATER_PAUSE_MS_MAX: u64 = 320;

/// Who wants something, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// A user, or a reactor such as `reactor:finishing`.
    actor: String,
    reason: Reason,
}

/// What somebody acts upon.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Reason {
    /// A request from outside. All that it sets in motion shares this.
    Request { correlation: EventId },
    /// The rest of a request: it goes on where the events of its beginning are.
    RestOfRequest { correlation: EventId },
    /// Things are as the stream that is written to says; its last event made them so.
    State,
    /// One event, which need not be in a stream that is written to.
    Event { correlation: EventId, causation: EventId },
}

impl Cause {
    /// A request from outside, which begins a correlation of its own.
    #[must_use]
    pub fn request(actor: impl Into<String>) -> Self {
        Self::request_within(actor, EventId(uuid::Uuid::new_v4()))
    }

    /// A request from outside that belongs to something which has an id already.
    #[must_use]
    pub fn request_within(actor: impl Into<String>, correlation: EventId) -> Self {
        Self { actor: actor.into(), reason: Reason::Request { correlation } }
    }

    /// The doing of the reactor `name`, because of the state of what it changes.
    #[must_use]
    pub fn reactor(name: &str) -> Self {
        Self { actor: format!("reactor:{name}"), reason: Reason::State }
    }

    /// The same doing, because of `event`.
    #[must_use]
    pub fn because_of(self, event: &Recorded) -> Self {
        let reason = Reason::Event { correlation: event.belongs_to(), causation: event.event_id };
        Self { reason, ..self }
    }

    /// The same, where it goes on: what a request does later is a consequence of what it did first.
    #[must_use]
    pub fn going_on(&self) -> Self {
        match self.reason {
            Reason::Request { correlation } => {
                Self { actor: self.actor.clone(), reason: Reason::RestOfRequest { correlation } }
            }
            Reason::RestOfRequest { .. } | Reason::State | Reason::Event { .. } => self.clone(),
        }
    }

    /// What is recorded with the events of `decision`.
    async fn metadata(&self, log: &Log, decision: &Decision) -> Result<Metadata, ReadError> {
        let actor = self.actor.clone();
        let of = |correlation, causation| Metadata { actor: self.actor.clone(), correlation, causation };
        Ok(match self.reason {
            Reason::Request { correlation } => of(Some(correlation), None),
            Reason::RestOfRequest { correlation } => {
                let before = rests_on(log, decision).await?;
                of(Some(correlation), before.map(|event| event.event_id))
            }
            Reason::State => match rests_on(log, decision).await? {
                Some(event) => found_to_belong_to(Metadata::because_of(actor, &event)),
                None => of(None, None),
            },
            Reason::Event { correlation, causation } => found_to_belong_to(of(Some(correlation), Some(causation))),
        })
    }
}

/// Tells the span of a reactor to what it belongs: the spans of the request that began it say the same.
fn found_to_belong_to(metadata: Metadata) -> Metadata {
    tracing::Span::current().record("correlation", metadata.correlation.map(tracing::field::display));
    metadata
}

/// The event that `decision` goes on from: the last one, before it, of the first stream that it continues. A decision
/// writes first to what it is about. None where everything that is written to is new.
async fn rests_on(log: &Log, decision: &Decision) -> Result<Option<Arc<Recorded>>, ReadError> {
    let Some(write) = decision.writes.iter().find(|write| write.expected > 0) else { return Ok(None) };
    log.recall_event(&write.stream, write.expected).await
}

/// What came of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Done {
    /// Position of its last event; 0 when there was nothing to do.
    pub position: Position,
}

/// Why a command came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// A rule says no; nothing has changed.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Others were faster, again and again; nothing has changed.
    #[error("others changed the same things {tries} times in a row; try again")]
    Conflict {
        /// How often it was tried.
        tries: u32,
    },
    /// The world broke; the cause says whether anything may have changed.
    #[error("{0}")]
    Fault(String),
    /// The log is not as it was written. Nothing has changed, and no waiting mends that.
    #[error("{0}")]
    Damaged(String),
}

/// What to do where the log is not as it was written.
pub(crate) const UPON_DAMAGE: &str =
    "run `knit audit verify`, keep the database as it is, and compare it with a backup or an export";

/// The three families of errors, which are never mixed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ErrorFamily {
    /// A rule said no; nothing has changed.
    Refused,
    /// Others were faster; nothing has changed.
    Conflict,
    /// The world broke.
    Fault,
}

impl ErrorFamily {
    /// Every family.
    pub(crate) const ALL: [Self; 3] = [Self::Refused, Self::Conflict, Self::Fault];

    /// Its name in figures.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Conflict => "conflict",
            Self::Fault => "fault",
        }
    }
}

impl CommandError {
    /// To which family it belongs.
    pub(crate) fn family(&self) -> ErrorFamily {
        match self {
            Self::Refused(_) => ErrorFamily::Refused,
            Self::Conflict { .. } => ErrorFamily::Conflict,
            Self::Fault(_) | Self::Damaged(_) => ErrorFamily::Fault,
        }
    }
}

/// The rules that refuse commands.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// A Plan may not be registered.
    #[error(transparent)]
    Registration(#[from] RegistrationRefused),
    /// A Plan may not be changed so.
    #[error(transparent)]
    Plan(#[from] PlanRefused),
    /// A Run may not be changed so.
    #[error(transparent)]
    Run(#[from] RunRefused),
    /// A Data may not be changed so.
    #[error(transparent)]
    Data(#[from] DataRefused),
    /// A combination of Data makes no Run.
    #[error(transparent)]
    Projection(#[from] ProjectionRefused),
    /// An upload or import may not begin.
    #[error(transparent)]
    Transfer(#[from] TransferRefused),
    /// A Data Agent may not be opened or closed.
    #[error(transparent)]
    Agent(#[from] AgentRefused),
    /// A projection may not pass over an event.
    #[error(transparent)]
    Skip(#[from] SkipRefused),
    /// Something may not be forgotten.
    #[error(transparent)]
    Redaction(#[from] RedactionRefused),
    /// The text of a log may not be forgotten.
    #[error(transparent)]
    LogRedaction(#[from] LogRedactionRefused),
    /// Nothing may be changed through this server.
    #[error("this server was started with --look-only: it answers questions, and changes nothing")]
    LooksOnly,
}

macro_rules! refusals {
    ($($refusal:ident),*) => {$(
        impl From<$refusal> for CommandError {
            fn from(refusal: $refusal) -> Self {
                Self::Refused(refusal.into())
            }
        }
    )*};
}
refusals!(
    RegistrationRefused,
    PlanRefused,
    RunRefused,
    DataRefused,
    ProjectionRefused,
    TransferRefused,
    AgentRefused,
    SkipRefused,
    RedactionRefused,
    LogRedactionRefused
);

macro_rules! faults_of_the_log {
    ($($fault:ty),*) => {$(
        impl From<$fault> for CommandError {
            fn from(fault: $fault) -> Self {
                let why = with_causes(&fault);
                if fault.is_damage() { Self::Damaged(why) } else { Self::Fault(why) }
            }
        }
    )*};
}
faults_of_the_log!(knit_log::Fault, knit_log::ReadError);

impl From<knit_runtime::port::Fault> for CommandError {
    fn from(fault: knit_runtime::port::Fault) -> Self {
        Self::Fault(with_causes(&fault))
    }
}

/// The whole chain in one line: what failed, and every reason below it. Some libraries repeat their
/// source in their own text; it is told once.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let reason = error.to_string();
        if !text.ends_with(&reason) {
            text = format!("{text}: {reason}");
        }
        cause = error.source();
    }
    text
}

/// Decides and appends until it succeeds, is refused, or has been tried often enough.
///
/// `decide` takes its streams from the source it is given: at the first try what this process remembers, which
/// the log checks as it appends, and then the log itself.
///
/// # Errors
/// The refusal of `decide`, a conflict that does not end, or a fault.
pub async fn execute<'l, F: Future<Output = Result<Decision, CommandError>> + Send>(
    log: &'l Log,
    cause: &Cause,
    decide: impl Fn(Source<'l>) -> F + Send + Sync,
) -> Result<Done, CommandError> {
    let mut needs_turn = false;
    for tries in 1..=TRIES_MAX {
        // Kept while it is decided: nothing else is appended here meanwhile.
        let turn = if needs_turn { Some(log.alone().await?) } else { None };
        let decision = match tries {
            1 => decide_twice(log, &decide).await?,
            _ => decide(Source::certain(log)).await?,
        };
        if decision.is_nothing() {
            return Ok(Done { position: 0 });
        }
        needs_turn = decision.rests_on_whole_log();
        let metadata = cause.metadata(log, &decision).await?;
        let request = Request::new(decision, metadata);
        let appended = match turn {
            Some(turn) => turn.append(request).await,
            None => log.append(request).await,
        };
        match appended {
            Ok(appended) => return Ok(Done { position: appended.position }),
            Err(AppendError::Conflict(conflicts)) => {
                tracing::debug!(tries, ?conflicts, "somebody was faster");
                pause(tries).await;
            }
            Err(AppendError::Fault(fault)) => return Err(fault.into()),
            Err(refused @ AppendError::Refused(_)) => return Err(CommandError::Fault(with_causes(&refused))),
        }
    }
    Err(CommandError::Conflict { tries: TRIES_MAX })
}

/// Decides on what is remembered. Where nothing would be appended, and so nothing checked, it is decided again
/// on the log itself: another process may have changed what the decision rests on.
async fn decide_twice<'l, F: Future<Output = Result<Decision, CommandError>> + Send>(
    log: &'l Log,
    decide: impl Fn(Source<'l>) -> F + Send + Sync,
) -> Result<Decision, CommandError> {
    match decide(Source::remembered(log)).await {
        Ok(decision) if !decision.is_nothing() => Ok(decision),
        Ok(_) | Err(CommandError::Refused(_)) => decide(Source::certain(log)).await,
        Err(other) => Err(other),
    }
}

async fn pause(tries: u32) {
    let longest = PAUSE_MS_MAX.saturating_mul(2_u64.saturating_pow(tries - 1)).min(LATER_PAUSE_MS_MAX);
    let ms = rand::rng().random_range(0..=longest);
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{told}")]
    struct Told {
        told: &'static str,
        source: Option<Box<Told>>,
    }

    #[test]
    fn a_cause_that_its_consequence_repeats_is_told_once() {
        let told = |told, source: Option<Told>| Told { told, source: source.map(Box::new) };
        let refused = told("connection refused", None);
        let library = told("no database: connection refused", Some(refused));
        let error = told("cannot read", Some(library));
        assert_eq!(with_causes(&error), "cannot read: no database: connection refused");
    }
}
