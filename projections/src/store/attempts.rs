//! Attempts of a Run: earlier ones stay readable after a retry, although their Data are gone.

use knit_domain::event::run::{Exit, FailureCause, LogTail, SuccessCause};
use knit_domain::id::RunId;
use knit_domain::run::{Cause, Status};
use knit_domain::time::Timestamp;
use knit_schemas::api;

use super::column::{StepRow, TextRow};
use super::render::instant;
use super::steps::{Decided, KeptLog, Spawned, Step, StepKind};
use super::{At, Store};

/// One attempt of a Run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptView {
    /// 1, 2, ….
    pub attempt: u32,
    /// The status at the time that is asked about; of an earlier attempt, the one it ended with.
    pub status: Status,
    /// When it began to wait.
    pub created_at: Timestamp,
    /// When its Worker was seen running, or its transfer began.
    pub started_at: Option<Timestamp>,
    /// When it was `done` or `failed`.
    pub ended_at: Option<Timestamp>,
    /// How it ended; uploads and imports end without.
    pub exit: Option<Exit>,
    /// Why it ended so, where nothing exited: an upload or import that failed.
    pub reason: Option<String>,
    /// What decided its end.
    pub cause: Option<Cause>,
    /// The last Worker made for it.
    pub worker: Option<WorkerView>,
    /// What was kept of its log when the next attempt began.
    pub log_tail: Option<LogTail>,
}

/// A Worker as it was when it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerView {
    /// The runtime's identity of it.
    pub uid: String,
    /// What the image's tag meant at that moment.
    pub image_digest: Option<String>,
    /// What the runtime did differently from what was asked.
    pub notes: Vec<String>,
}

impl AttemptView {
    /// The attempt as the wire shows it.
    #[must_use]
    pub fn render(&self) -> api::Attempt {
        api::Attempt {
            attempt: self.attempt,
            status: self.status.to_string(),
            created_at: instant(self.created_at),
            started_at: self.started_at.map(instant),
            ended_at: self.ended_at.map(instant),
            exit: self.exit.clone().map(|exit| api::Exit { code: exit.code, message: exit.message }),
            reason: self.reason.clone(),
            cause: self.cause.map(|cause| cause_word(cause).to_owned()),
            notes: self.worker.as_ref().map(|worker| worker.notes.clone()).unwrap_or_default(),
            log: self.log_tail.clone().map(|tail| api::AttemptLog {
                sha256: tail.sha256,
                bytes: tail.bytes,
                total_bytes: tail.total_bytes,
            }),
        }
    }
}

/// The stored word of a cause, which is also the shown one.
pub(super) const fn cause_word(cause: Cause) -> &'static str {
    match cause {
        Cause::Success(SuccessCause::WorkerSucceeded) => "worker-succeeded",
        Cause::Success(SuccessCause::TornOff) => "torn-off",
        Cause::Success(SuccessCause::UploadStored) => "upload-stored",
        Cause::Success(SuccessCause::ImportEnded) => "import-ended",
        Cause::Failure(FailureCause::WorkerFailed) => "worker-failed",
        Cause::Failure(FailureCause::WorkerStuck) => "worker-stuck",
        Cause::Failure(FailureCause::WorkerLost) => "worker-lost",
        Cause::Failure(FailureCause::User) => "user",
        Cause::Failure(FailureCause::UploadFailed) => "upload-failed",
        Cause::Failure(FailureCause::UploadOrphaned) => "upload-orphaned",
        Cause::Failure(FailureCause::ImportOverdue) => "import-overdue",
    }
}

impl Store {
    /// The attempts of a Run, oldest first; `None` if there was no such Run then.
    #[must_use]
    pub fn attempts(&self, id: RunId, at: At) -> Option<Vec<AttemptView>> {
        let limit = at.limit();
        let row = self.runs.row(id, limit)?;
        let record = &self.runs.records[row];
        let mut life: Vec<(StepRow, Step)> = self.runs.steps.back_from(record.newest, limit).collect();
        life.reverse();
        let active = self.plans.record(record.plan).at(limit).active;
        let mut attempts: Vec<AttemptView> = Vec::new();
        for (at, step) in life {
            if step.kind.begins_attempt() {
                if let Some(before) = attempts.last_mut() {
                    before.log_tail = self.runs.steps.log_tails.get(at).map(|kept| self.log_tail(*kept));
                }
                let number = attempts.last().map_or(1, |before| before.attempt.saturating_add(1));
                attempts.push(AttemptView::begun(number, step));
            } else if let Some(attempt) = attempts.last_mut() {
                self.take_step(attempt, at, step);
            }
        }
        if let Some(last) = attempts.last_mut() {
            last.status = last.status.under(active);
        }
        Some(attempts)
    }

    fn take_step(&self, attempt: &mut AttemptView, at: StepRow, step: Step) {
        attempt.status = step.kind.status().unwrap_or(attempt.status);
        if step.kind == StepKind::Started {
            attempt.started_at.get_or_insert(step.recorded_at);
        }
        if step.kind.ends_attempt() {
            attempt.ended_at = Some(step.recorded_at);
        }
        if let Some(decided) = self.runs.steps.decisions.get(at) {
            attempt.exit = decided.exit().map(|exit| self.exit(exit));
            attempt.reason = self.reason(*decided);
            attempt.cause = Some(decided.cause);
        }
        if let Some(worker) = self.runs.steps.workers.get(at) {
            attempt.worker = Some(self.worker(worker));
        }
    }

    fn log_tail(&self, kept: KeptLog) -> LogTail {
        let KeptLog { sha256, bytes, total_bytes } = kept;
        LogTail { sha256: self.text(sha256), bytes, total_bytes }
    }

    fn worker(&self, worker: &Spawned) -> WorkerView {
        WorkerView {
            uid: self.text(worker.uid),
            image_digest: worker.image_digest.map(|digest| self.text(digest)),
            notes: worker.notes.iter().map(|note| self.text(*note)).collect(),
        }
    }

    /// How an attempt ended.
    pub(super) fn exit(&self, (code, message): (u8, TextRow)) -> Exit {
        Exit { code, message: self.text(message) }
    }

    /// Why an attempt failed at which nothing exited, if that was recorded.
    pub(super) fn reason(&self, decided: Decided) -> Option<String> {
        let reason = self.texts.get(decided.reason);
        (decided.code.is_none() && !reason.is_empty()).then(|| reason.to_owned())
    }

    fn text(&self, row: TextRow) -> String {
        self.texts.get(row).to_owned()
    }
}

impl AttemptView {
    fn begun(attempt: u32, step: Step) -> Self {
        let status = step.kind.status().unwrap_or(Status::Waiting);
        Self {
            attempt,
            status,
            created_at: step.recorded_at,
            started_at: (status == Status::Running).then_some(step.recorded_at),
            ended_at: None,
            exit: None,
            reason: None,
            cause: None,
            worker: None,
            log_tail: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::snapshot::CAUSES;
    use super::*;

    #[test]
    fn causes_are_shown_in_the_words_they_are_stored_in() {
        for cause in CAUSES {
            let stored = match cause {
                Cause::Success(cause) => serde_json::to_value(cause),
                Cause::Failure(cause) => serde_json::to_value(cause),
            };
            assert_eq!(stored.unwrap(), cause_word(cause));
        }
    }
}
