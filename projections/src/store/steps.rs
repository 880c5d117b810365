//! Steps: what happened to each Run, when and at which position. A Run's status, the time of its
//! last change, its exit and its attempts are read off its steps, up to any position.

use knit_domain::event::Position;
use knit_domain::run::{Cause, Status};
use knit_domain::time::Timestamp;

use super::Limit;
use super::column::{Column, StepRow, TextRow};
use crate::blocks::{Blocks, Stretch};

/// Every step of every Run, in the order of the log.
#[derive(Debug, Clone, Default)]
pub(super) struct Steps {
    pub(super) steps: Column<StepRow, Step>,
    /// How ends were decided.
    pub(super) decisions: Beside<Decided>,
    /// Workers that were made.
    pub(super) workers: Beside<Spawned>,
    /// What was kept of logs when their Runs were retried.
    pub(super) log_tails: Beside<KeptLog>,
}

/// One step of a Run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    pub(super) position: Position,
    pub(super) recorded_at: Timestamp,
    /// The step of the same Run before this one.
    pub(super) previous: Option<StepRow>,
    pub(super) kind: StepKind,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StepKind {
    Projected,
    UploadStarted,
    ImportStarted,
    VolumesPrepared,
    WorkerRequested,
    WorkerSpawned,
    Started,
    SuccessDecided,
    FailureDecided,
    Succeeded,
    Failed,
    Retried,
    Invalidated,
    Erased,
}

/// How the end of an attempt was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Decided {
    /// Exit code; absent for uploads and imports that nobody stopped.
    pub(super) code: Option<u8>,
    /// Why, for people; empty where nothing was said.
    pub(super) reason: TextRow,
    pub(super) cause: Cause,
}

impl Decided {
    /// Code and message of the exit, if there was one.
    pub(super) fn exit(self) -> Option<(u8, TextRow)> {
        self.code.map(|code| (code, self.reason))
    }
}

/// A Worker, when it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Spawned {
    pub(super) uid: TextRow,
    pub(super) image_digest: Option<TextRow>,
    pub(super) notes: Box<[TextRow]>,
}

/// The kept end of an attempt's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct KeptLog {
    pub(super) sha256: TextRow,
    pub(super) bytes: u64,
    pub(super) total_bytes: u64,
}

/// Where a Run stands at some position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Standing {
    /// Without regard to the activity of its Plan.
    pub(super) status: Status,
    /// When that status was reached; repeating a status does not move it.
    pub(super) updated_at: Timestamp,
    /// The newest decision of the present attempt.
    pub(super) decided: Option<Decided>,
}

impl StepKind {
    pub(super) const ALL: [Self; 14] = [
        Self::Projected,
        Self::UploadStarted,
        Self::ImportStarted,
        Self::VolumesPrepared,
        Self::WorkerRequested,
        Self::WorkerSpawned,
        Self::Started,
        Self::SuccessDecided,
        Self::FailureDecided,
        Self::Succeeded,
        Self::Failed,
        Self::Retried,
        Self::Invalidated,
        Self::Erased,
    ];

    /// The status it leads to; `None` if it changes none or ends the Run's existence.
    pub(super) const fn status(self) -> Option<Status> {
        match self {
            Self::Projected | Self::Retried => Some(Status::Waiting),
            Self::VolumesPrepared => Some(Status::Ready),
            Self::WorkerRequested => Some(Status::Starting),
            Self::UploadStarted | Self::ImportStarted | Self::Started => Some(Status::Running),
            Self::SuccessDecided => Some(Status::Completing),
            Self::FailureDecided => Some(Status::Aborting),
            Self::Succeeded => Some(Status::Done),
            Self::Failed => Some(Status::Failed),
            Self::Invalidated => Some(Status::Invalidated),
            Self::WorkerSpawned | Self::Erased => None,
        }
    }

    /// Whether a decision is kept beside it.
    pub(super) const fn decides(self) -> bool {
        match self {
            Self::SuccessDecided | Self::FailureDecided => true,
            Self::Projected
            | Self::UploadStarted
            | Self::ImportStarted
            | Self::VolumesPrepared
            | Self::WorkerRequested
            | Self::WorkerSpawned
            | Self::Started
            | Self::Succeeded
            | Self::Failed
            | Self::Retried
            | Self::Invalidated
            | Self::Erased => false,
        }
    }

    /// Whether an attempt begins with it.
    pub(super) const fn begins_attempt(self) -> bool {
        match self {
            Self::Projected | Self::UploadStarted | Self::ImportStarted | Self::Retried => true,
            Self::VolumesPrepared
            | Self::WorkerRequested
            | Self::WorkerSpawned
            | Self::Started
            | Self::SuccessDecided
            | Self::FailureDecided
            | Self::Succeeded
            | Self::Failed
            | Self::Invalidated
            | Self::Erased => false,
        }
    }

    /// Whether an attempt ends with it, so that its Data get their timestamp.
    pub(super) const fn ends_attempt(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed)
    }
}

impl Steps {
    /// `newest` and the steps of the same Run before it, as far as they had happened by then.
    pub(super) fn back_from(&self, newest: StepRow, limit: Limit) -> impl Iterator<Item = (StepRow, Step)> {
        let mut next = Some(newest);
        let all = std::iter::from_fn(move || {
            let row = next?;
            let step = self.steps[row];
            next = step.previous;
            Some((row, step))
        });
        all.skip_while(move |(_, step)| !limit.covers(step.position))
    }

    /// The status, without regard to the Plan; `None` if the Run did not exist then.
    pub(super) fn status(&self, newest: StepRow, limit: Limit) -> Option<Status> {
        let mut past = self.back_from(newest, limit).take_while(|(_, step)| step.kind != StepKind::Erased);
        past.find_map(|(_, step)| step.kind.status())
    }

    /// Where the Run stood; `None` if it did not exist then.
    pub(super) fn standing(&self, newest: StepRow, limit: Limit) -> Option<Standing> {
        let mut standing: Option<Standing> = None;
        let mut settled = false;
        for (row, step) in self.back_from(newest, limit) {
            if step.kind == StepKind::Erased {
                return None;
            }
            let Some(status) = step.kind.status() else { continue };
            let now = standing.get_or_insert(Standing { status, updated_at: step.recorded_at, decided: None });
            settled |= now.status != status;
            if !settled {
                now.updated_at = step.recorded_at;
            }
            // Decisions are searched for; other steps have none to be found.
            if now.decided.is_none() && step.kind.decides() {
                now.decided = self.decisions.get(row).copied();
            }
            // Steps of one Run lie far apart in memory: none is looked at that cannot say anything any more.
            if step.kind.begins_attempt() || (settled && now.decided.is_some()) {
                break;
            }
        }
        standing.map(|standing| match standing.status {
            Status::Invalidated => Standing { decided: None, ..standing },
            Status::Deactivated
            | Status::Waiting
            | Status::Ready
            | Status::Starting
            | Status::Running
            | Status::Completing
            | Status::Aborting
            | Status::Done
            | Status::Failed => standing,
        })
    }

    /// When the newest attempt was first seen to run, or its transfer began; none before that, and none where the
    /// Worker had ended before it was seen.
    pub(super) fn started_at(&self, newest: StepRow, limit: Limit) -> Option<Timestamp> {
        let mut first = None;
        for (_, step) in self.back_from(newest, limit) {
            if step.kind.status() == Some(Status::Running) {
                first = Some(step.recorded_at);
            }
            if step.kind.begins_attempt() {
                break;
            }
        }
        first
    }

    /// When the attempt that began with `born` had ended by then; an attempt ends once.
    pub(super) fn ended_at(&self, newest: StepRow, born: StepRow, limit: Limit) -> Option<Timestamp> {
        let mut attempt = self.back_from(newest, limit).take_while(|(row, _)| *row != born);
        attempt.find(|(_, step)| step.kind.ends_attempt()).map(|(_, step)| step.recorded_at)
    }

    /// The longest of the lists in here.
    pub(super) fn rows_used(&self) -> usize {
        self.steps.len()
    }

    /// Bytes of heap held.
    pub(super) fn heap_bytes(&self) -> usize {
        let beside = self.decisions.heap_bytes() + self.workers.heap_bytes() + self.log_tails.heap_bytes();
        let notes: usize = self.workers.0.iter().map(|(_, worker)| size_of_val(&*worker.notes)).sum();
        self.steps.heap_bytes() + beside + notes
    }
}

/// What only some steps have, beside them and sorted by step. Each Run has something, so that copies share it.
#[derive(Debug, Clone)]
pub(super) struct Beside<T>(Blocks<(StepRow, T)>);

impl<T> Default for Beside<T> {
    fn default() -> Self {
        Self(Blocks::default())
    }
}

impl<T> Beside<T> {
    /// Adds what belongs to a step later than all that have something.
    pub(super) fn add(&mut self, step: StepRow, value: T) {
        debug_assert!(self.last().is_none_or(|last| last < step), "kept sorted: steps only ever grow");
        self.0.push((step, value));
    }

    /// What a step has.
    pub(super) fn get(&self, step: StepRow) -> Option<&T> {
        let (found, value) = self.0.get(self.0.partition_point(|(other, _)| *other < step))?;
        (*found == step).then_some(value)
    }

    /// The last step that has something.
    pub(super) fn last(&self) -> Option<StepRow> {
        self.0.len().checked_sub(1).map(|last| self.0[last].0)
    }

    /// All of it, sorted by step, as many at a time as snapshots have in a record.
    pub(super) fn stretches(&self) -> impl Iterator<Item = Stretch<'_, (StepRow, T)>> {
        self.0.stretches()
    }

    fn heap_bytes(&self) -> usize {
        self.0.heap_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn life(kinds: &[StepKind]) -> (Steps, StepRow) {
        let mut steps = Steps::default();
        let mut newest = None;
        for (position, kind) in (1..).zip(kinds) {
            let recorded_at = Timestamp(i64::try_from(position).unwrap() * 1_000);
            newest = Some(steps.steps.push(Step { position, recorded_at, previous: newest, kind: *kind }));
        }
        (steps, newest.unwrap())
    }

    #[test]
    fn a_step_costs_twenty_four_bytes() {
        assert_eq!(size_of::<Step>(), 24);
    }

    #[test]
    fn a_worker_that_was_made_does_not_change_status_or_time() {
        use StepKind::{Projected, VolumesPrepared, WorkerRequested, WorkerSpawned};
        let (steps, newest) = life(&[Projected, VolumesPrepared, WorkerRequested, WorkerSpawned]);
        let standing = steps.standing(newest, Limit::NOW).unwrap();
        assert_eq!((standing.status, standing.updated_at), (Status::Starting, Timestamp(3_000)));
    }

    #[test]
    fn deciding_the_same_again_does_not_move_the_time() {
        use StepKind::{FailureDecided, Projected};
        let (steps, newest) = life(&[Projected, FailureDecided, FailureDecided]);
        assert_eq!(steps.standing(newest, Limit::NOW).unwrap().updated_at, Timestamp(2_000));
    }

    #[test]
    fn an_attempt_has_started_when_it_was_first_seen_to_run() {
        use StepKind::{Projected, Retried, Started, Succeeded, SuccessDecided, UploadStarted, VolumesPrepared};
        let (steps, newest) = life(&[Projected, Started, Started, SuccessDecided, Retried, VolumesPrepared]);
        assert_eq!(steps.started_at(newest, Limit::NOW), None, "the present attempt has not");
        assert_eq!(steps.started_at(newest, Limit(4)), Some(Timestamp(2_000)));
        assert_eq!(steps.started_at(newest, Limit(1)), None);
        let (steps, newest) = life(&[UploadStarted, SuccessDecided, Succeeded]);
        assert_eq!(steps.started_at(newest, Limit::NOW), Some(Timestamp(1_000)));
        let (steps, newest) = life(&[Projected, SuccessDecided, Succeeded]);
        assert_eq!(steps.started_at(newest, Limit::NOW), None, "it had ended before it was seen");
    }

    #[test]
    fn an_erased_run_existed_before_it_was_erased() {
        use StepKind::{Erased, Succeeded, SuccessDecided, UploadStarted};
        let (steps, newest) = life(&[UploadStarted, SuccessDecided, Succeeded, Erased]);
        assert_eq!(steps.standing(newest, Limit::NOW), None);
        assert_eq!(steps.status(newest, Limit::NOW), None);
        assert_eq!(steps.status(newest, Limit(3)), Some(Status::Done));
        assert_eq!(steps.status(newest, Limit(1)), Some(Status::Running));
        assert_eq!(steps.status(newest, Limit(0)), None);
    }
}
