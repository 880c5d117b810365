//! The text of a Run's log is forgotten (design D15).
//!
//! The text is in no event but in a volume, which is destroyed. So the Data that keeps it goes, for ever and as if it
//! were discarded: nobody finds or reads it any more, no Run starts with it, and whatever is kept of the logs of earlier
//! attempts goes with it. The Run stays, and so does the hash of the text, which its end has recorded.

use super::removal::{OutputUse, check_unused, is_living, nobody_uses};
use super::{Run, RunRefused, Status};
use crate::decision::{Condition, Decision, Versioned};
use crate::event::StreamId;
use crate::event::data::DataEvent;
use crate::redaction::{RedactionRefused, check_reason};

/// A redaction of a log that a rule forbids. Nothing changes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogRedactionRefused {
    /// There is no such Run, or somebody uses its log.
    #[error(transparent)]
    Run(#[from] RunRefused),
    /// What is to be said about it will not do.
    #[error(transparent)]
    Reason(#[from] RedactionRefused),
    /// It may still write.
    #[error("the Run has not ended and may still write to its log: stop it, or wait for its end")]
    NotEnded,
    /// There is nothing to forget.
    #[error("the Plan of the Run keeps no log")]
    NoLog,
    /// It was forgotten already.
    #[error("the log of the Run is gone already")]
    Gone,
}

/// Forgets the text of the log of a Run that has ended, with what is kept of its earlier attempts. `log` is how the Data
/// is used that keeps it.
///
/// # Errors
/// [`LogRedactionRefused`]: the Run goes on, keeps no log, or somebody uses it.
pub fn redact_log(
    run: &Versioned<Run>,
    log: Option<&OutputUse>,
    reason: &str,
) -> Result<Decision, LogRedactionRefused> {
    check_reason(reason)?;
    let record = run.state.existing()?;
    if record.status == Status::Invalidated {
        return Err(LogRedactionRefused::Gone);
    }
    if !record.status.is_finished() {
        return Err(LogRedactionRefused::NotEnded);
    }
    let (Some(output), Some(log)) = (record.log(), log) else { return Err(LogRedactionRefused::NoLog) };
    if !is_living(&log.data, output) {
        return Err(LogRedactionRefused::Gone);
    }
    check_unused(record, std::slice::from_ref(log))?;
    let tails = record.earlier.iter().filter_map(|past| past.log_tail.as_ref()).map(|tail| tail.sha256.clone());
    let event = DataEvent::LogRedacted {
        volume_ref: output.volume_ref.clone(),
        tails: tails.collect(),
        reason: reason.to_owned(),
    };
    let decision = Decision::write(StreamId::data(output.knit_id), log.data.version, [event]);
    let decision = decision.given(Condition::StreamAt { stream: StreamId::run(record.id), version: run.version });
    Ok(nobody_uses(decision, output, log))
}
