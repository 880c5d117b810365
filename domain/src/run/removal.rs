//! Retry and delete: the two ways in which the outputs of a Run go.
//!
//! Both act on one Run only and never while its Worker, a transfer of its outputs or a Run downstream
//! would be harmed (X7). Tombstones downstream do not count: they are forgotten in the same append,
//! since the Data they remember is gone and their combination cannot come back.

use super::creation::{fresh_outputs, reserving};
use super::{Run, RunKind, RunRecord, RunRefused, Status};
use crate::data::{Data, Standing};
use crate::decision::{Attachment, Condition, Decision, Versioned};
use crate::event::StreamId;
use crate::event::data::{DataEvent, DiscardReason};
use crate::event::run::{ErasureCause, LogTail, OutputData, RunEvent};
use crate::id::{KnitId, RunId, WorkerName};
use crate::plan::Plan;
use crate::reservation::{Holder, Scope};
use sha2::{Digest, Sha256};

/// How much of the log of an attempt is kept when it is retried: enough to see why it ended, little
/// enough to be kept in the log for ever.
pub const LOG_TAIL_BYTES_MAX: usize = 64 * 1_024;

/// One output of a Run and everything that stands in the way of discarding it.
///
/// Read `users` before `tombstones`: a Run that is deleted in between is then seen in one of them.
#[derive(Debug, Clone, PartialEq)]
pub struct OutputUse {
    /// The Data.
    pub data: Versioned<Data>,
    /// Who holds a place in [`Scope::DataUse`].
    pub users: Vec<Holder>,
    /// The Runs that hold a place in [`Scope::DataTombstones`].
    pub tombstones: Vec<Versioned<Run>>,
}

/// The end of the log of an attempt, to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptLog {
    tail: LogTail,
    bytes: Vec<u8>,
}

impl KeptLog {
    /// Keeps the last [`LOG_TAIL_BYTES_MAX`] of `bytes`, which are the end of a log of `total_bytes`.
    #[must_use]
    pub fn new(mut bytes: Vec<u8>, total_bytes: u64) -> Self {
        let surplus = bytes.len().saturating_sub(LOG_TAIL_BYTES_MAX);
        bytes.drain(..surplus);
        let tail = LogTail { sha256: hex::encode(Sha256::digest(&bytes)), bytes: bytes.len() as u64, total_bytes };
        Self { tail, bytes }
    }
}

/// A finished Run runs again: the next attempt, on the same inputs, with fresh outputs.
///
/// `outputs` are all outputs of the Run, `log` is what is to be kept of the attempt's log. The Run
/// waits afterwards; if its Plan is inactive it is held (Q6).
///
/// # Errors
/// [`RunRefused`]. Activity is looked at before downstreams, downstreams before the Run itself.
pub fn retry(
    run: &Versioned<Run>,
    plan: &Versioned<Plan>,
    outputs: &[OutputUse],
    log: Option<KeptLog>,
    fresh: impl FnMut() -> KnitId,
) -> Result<Decision, RunRefused> {
    let record = run.state.existing()?;
    check_unused(record, outputs)?;
    check_retryable(record, &plan.state)?;
    let attempt = record.attempt + 1;
    let made = fresh_outputs(&plan.state, fresh);
    let retried = RunEvent::RunRetried {
        attempt,
        worker_name: WorkerName::of(record.id, attempt),
        discarded: output_ids(record),
        outputs: made.clone(),
        log_tail: log.as_ref().map(|log| log.tail.clone()),
    };
    let decision = Decision::write(StreamId::run(record.id), run.version, [retried]);
    let decision = reserving(decision, record.id, record.plan, attempt, &made);
    let decision = match log {
        Some(KeptLog { tail, bytes }) => decision.with_attachment(Attachment { sha256: tail.sha256, bytes }),
        None => decision,
    };
    discarding(decision, record, outputs, DiscardReason::Retry)
}

fn check_retryable(record: &RunRecord, plan: &Plan) -> Result<(), RunRefused> {
    match record.kind {
        RunKind::Upload | RunKind::Import => return Err(RunRefused::Protected),
        RunKind::Image => {}
    }
    if record.status == Status::Invalidated {
        return Err(RunRefused::Missing);
    }
    if !record.status.is_finished() {
        let from = record.status.under(plan.active);
        return Err(RunRefused::InvalidStateChange { from, to: Status::Waiting });
    }
    if plan.definition().is_none() {
        return Err(RunRefused::UnknownPlan);
    }
    Ok(())
}

/// A user deletes a Run that does not run: its outputs are discarded. A Run with inputs leaves a
/// tombstone, so that its combination is not run again; a root Run is forgotten.
///
/// Waiting Runs may be deleted as well, as long as no Worker was requested (Q5).
///
/// # Errors
/// [`RunRefused`]. Activity is looked at before downstreams, downstreams before the Run itself.
pub fn delete(run: &Versioned<Run>, outputs: &[OutputUse]) -> Result<Decision, RunRefused> {
    let record = run.state.existing()?;
    check_unused(record, outputs)?;
    check_deletable(record.status)?;
    let (discarded, released) = (output_ids(record), record.input_data());
    let deleted = if record.is_root() {
        RunEvent::RunErased { cause: ErasureCause::RootDeleted, discarded, released }
    } else {
        RunEvent::RunInvalidated { discarded, released }
    };
    let decision = Decision::write(StreamId::run(record.id), run.version, [deleted]);
    discarding(decision, record, outputs, DiscardReason::Delete)
}

fn check_deletable(status: Status) -> Result<(), RunRefused> {
    match status {
        Status::Deactivated | Status::Waiting | Status::Done | Status::Failed => Ok(()),
        Status::Invalidated => Err(RunRefused::Missing),
        Status::Ready | Status::Starting | Status::Running | Status::Completing | Status::Aborting => {
            Err(RunRefused::WorkerActive)
        }
    }
}

/// Nobody must be harmed: no Worker, no transfer, no live Run downstream.
pub(super) fn check_unused(record: &RunRecord, outputs: &[OutputUse]) -> Result<(), RunRefused> {
    let users = || outputs.iter().flat_map(|output| &output.users);
    let transferred = users().any(|user| matches!(user, Holder::Writer | Holder::Reader(_)));
    if record.worker.is_some() || transferred {
        return Err(RunRefused::WorkerActive);
    }
    let mut runs: Vec<RunId> = users().filter_map(downstream).collect();
    runs.sort();
    runs.dedup();
    if runs.is_empty() { Ok(()) } else { Err(RunRefused::HasDownstreams { runs }) }
}

fn downstream(user: &Holder) -> Option<RunId> {
    match user {
        Holder::Run(id) => Some(*id),
        Holder::Writer | Holder::Reader(_) => None,
    }
}

fn output_ids(record: &RunRecord) -> Vec<KnitId> {
    record.outputs.iter().map(|output| output.knit_id).collect()
}

/// `decision`, and in the same append every output of `record` is discarded, provided that nobody uses
/// it, and the tombstones downstream are erased.
fn discarding(
    decision: Decision,
    record: &RunRecord,
    outputs: &[OutputUse],
    reason: DiscardReason,
) -> Result<Decision, RunRefused> {
    let gone = |output: &&OutputData| outputs.iter().any(|read| is_redacted(&read.data, output));
    let decision = record.outputs.iter().filter(|output| !gone(output)).try_fold(decision, |decision, output| {
        let read = outputs.iter().find(|read| is_living(&read.data, output));
        let read = read.ok_or(RunRefused::OutputsOutdated { knit_id: output.knit_id })?;
        Ok(discard(decision, output, read, reason))
    })?;
    Ok(erase_tombstones(decision, outputs))
}

/// Whether `data` is this output and still there: the log of a Run goes before the Run where its text was redacted.
#[must_use]
pub fn is_living(data: &Versioned<Data>, output: &OutputData) -> bool {
    data.state.living().is_ok_and(|data| data.knit_id == output.knit_id)
}

/// Of the outputs that a Run has, only a log can be gone: it was redacted.
fn is_redacted(data: &Versioned<Data>, output: &OutputData) -> bool {
    let gone = data.state.record.as_ref().filter(|data| data.standing != Standing::Living);
    output.log && gone.is_some_and(|data| data.knit_id == output.knit_id)
}

fn discard(decision: Decision, output: &OutputData, read: &OutputUse, reason: DiscardReason) -> Decision {
    let discarded = DataEvent::DataDiscarded { reason, volume_ref: output.volume_ref.clone() };
    let decision = decision.and_write(StreamId::data(output.knit_id), read.data.version, [discarded]);
    unused(decision, output, read)
}

/// `decision`, provided that nobody uses the output.
fn unused(decision: Decision, output: &OutputData, read: &OutputUse) -> Decision {
    let decision = decision.given(Condition::ScopeEmpty { scope: Scope::DataUse(output.knit_id) });
    if read.tombstones.is_empty() {
        // A Run that came and went since it was read would otherwise be remembered for ever.
        return decision.given(Condition::ScopeEmpty { scope: Scope::DataTombstones(output.knit_id) });
    }
    decision
}

/// `decision`, by which the output goes, provided that nobody uses it; and the tombstones downstream are erased.
pub(super) fn nobody_uses(decision: Decision, output: &OutputData, read: &OutputUse) -> Decision {
    erase_tombstones(unused(decision, output, read), std::slice::from_ref(read))
}

/// Erases every tombstone once, though it may have had several of the discarded Data as inputs.
fn erase_tombstones(mut decision: Decision, outputs: &[OutputUse]) -> Decision {
    for output in outputs {
        let Ok(upstream) = output.data.state.living() else { continue };
        for tombstone in &output.tombstones {
            let Some(record) = &tombstone.state.record else { continue };
            let stream = StreamId::run(record.id);
            if decision.writes.iter().any(|write| write.stream == stream) {
                continue;
            }
            let erased = RunEvent::RunErased {
                cause: ErasureCause::UpstreamDiscarded(upstream.knit_id),
                discarded: Vec::new(),
                released: record.input_data(),
            };
            decision = decision.and_write(stream, tombstone.version, [erased]);
        }
    }
    decision
}
