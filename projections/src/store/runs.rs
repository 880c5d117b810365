//! Runs: their Plans, the Data in their inputs, and their steps.

use knit_domain::event::run::{Assignment, LogTail, OutputData, RunEvent};
use knit_domain::id::{KnitId, PlanId, RunId};
use knit_domain::run::{Cause, Status};
use knit_domain::time::Timestamp;

use super::column::{Column, DataRow, EdgeRow, PlanRow, Row, RunRow, StepRow};
use super::intern::Ids;
use super::steps::{Decided, KeptLog, Spawned, Standing, Step, StepKind, Steps};
use super::{Contradiction, Limit, Moment, Store};

/// Every Run there ever was.
#[derive(Debug, Clone, Default)]
pub(super) struct Runs {
    pub(super) ids: Ids<RunRow>,
    pub(super) records: Column<RunRow, RunRecord>,
    /// The Data in the inputs of all Runs, Run after Run.
    pub(super) edges: Column<EdgeRow, Edge>,
    pub(super) steps: Steps,
}

/// One Run.
#[derive(Debug, Clone, Copy)]
pub(super) struct RunRecord {
    pub(super) plan: PlanRow,
    /// Its last step.
    pub(super) newest: StepRow,
    /// The present attempt: 1, 2, ….
    pub(super) attempt: u32,
    /// How many edges there are up to the end of this Run's; they begin where those of the Run before end.
    pub(super) edges_end: u32,
    /// The last Data that was reserved for it.
    pub(super) newest_data: Option<DataRow>,
}

/// A Data in an input of a Run. It holds for as long as the Run exists.
#[derive(Debug, Clone, Copy)]
pub(super) struct Edge {
    pub(super) data: DataRow,
    pub(super) run: RunRow,
    /// Number of the input in the Run's Plan.
    pub(super) input: u32,
    /// The next use of the same Data.
    pub(super) next_use: Option<EdgeRow>,
}

impl Runs {
    /// The row of a Run that existed then; tombstones do.
    pub(super) fn row(&self, id: RunId, limit: Limit) -> Option<RunRow> {
        self.ids.row(id.0).filter(|row| self.status(*row, limit).is_some())
    }

    /// The id of a Run.
    pub(super) fn id(&self, row: RunRow) -> RunId {
        RunId(self.ids.id(row))
    }

    /// The status without regard to the Plan; `None` if the Run did not exist then.
    pub(super) fn status(&self, row: RunRow, limit: Limit) -> Option<Status> {
        self.steps.status(self.records[row].newest, limit)
    }

    /// Where a Run stood; `None` if it did not exist then.
    pub(super) fn standing(&self, row: RunRow, limit: Limit) -> Option<Standing> {
        self.steps.standing(self.records[row].newest, limit)
    }

    /// When the attempt that a Run was at then was seen to run.
    pub(super) fn started_at(&self, row: RunRow, limit: Limit) -> Option<Timestamp> {
        self.steps.started_at(self.records[row].newest, limit)
    }

    /// The inputs of a Run, in the order of the event that made it.
    pub(super) fn inputs(&self, row: RunRow) -> impl Iterator<Item = (EdgeRow, Edge)> {
        let begin = row.index().checked_sub(1).and_then(RunRow::at).map_or(0, |before| self.records[before].edges_end);
        let edges = (begin as usize..self.records[row].edges_end as usize).filter_map(EdgeRow::at);
        edges.map(|edge| (edge, self.edges[edge]))
    }

    /// Adds a step to a Run.
    fn step(&mut self, row: RunRow, kind: StepKind, moment: Moment) -> StepRow {
        let run = &mut self.records[row];
        let Moment { position, recorded_at } = moment;
        let step = self.steps.steps.push(Step { position, recorded_at, previous: Some(run.newest), kind });
        run.newest = step;
        step
    }

    /// The longest of the lists in here.
    pub(super) fn rows_used(&self) -> usize {
        self.ids.len().max(self.edges.len()).max(self.steps.rows_used())
    }

    /// Bytes of heap held.
    pub(super) fn heap_bytes(&self) -> usize {
        self.ids.heap_bytes() + self.records.heap_bytes() + self.edges.heap_bytes() + self.steps.heap_bytes()
    }
}

impl Store {
    /// Folds an event of the Run `id`.
    pub(super) fn apply_run(&mut self, id: RunId, event: &RunEvent, moment: Moment) -> Result<(), Contradiction> {
        match event {
            RunEvent::RunProjected { run_id, plan_id, inputs, outputs, .. } => {
                self.begin_run(id, *run_id, *plan_id, inputs, outputs, StepKind::Projected, moment)
            }
            RunEvent::UploadStarted { run_id, plan_id, output } => {
                let outputs = std::slice::from_ref(output);
                self.begin_run(id, *run_id, *plan_id, &[], outputs, StepKind::UploadStarted, moment)
            }
            RunEvent::ImportStarted { run_id, plan_id, output, .. } => {
                let outputs = std::slice::from_ref(output);
                self.begin_run(id, *run_id, *plan_id, &[], outputs, StepKind::ImportStarted, moment)
            }
            RunEvent::RunVolumesPrepared { attempt, .. } => {
                self.advance(id, *attempt, StepKind::VolumesPrepared, moment).map(drop)
            }
            RunEvent::WorkerRequested { attempt, .. } => {
                self.advance(id, *attempt, StepKind::WorkerRequested, moment).map(drop)
            }
            RunEvent::WorkerSpawned { attempt, uid, image_digest, notes, .. } => {
                let step = self.advance(id, *attempt, StepKind::WorkerSpawned, moment)?;
                let worker = self.spawned(uid, image_digest.as_deref(), notes);
                self.runs.steps.workers.add(step, worker);
                Ok(())
            }
            RunEvent::RunStarted { attempt } => self.advance(id, *attempt, StepKind::Started, moment).map(drop),
            RunEvent::RunSuccessDecided { attempt, exit, cause } => {
                let step = self.advance(id, *attempt, StepKind::SuccessDecided, moment)?;
                let message = exit.as_ref().map_or("", |exit| &exit.message);
                self.decide(step, exit.as_ref().map(|exit| exit.code), message, Cause::Success(*cause));
                Ok(())
            }
            RunEvent::RunFailureDecided { attempt, code, reason, cause } => {
                let step = self.advance(id, *attempt, StepKind::FailureDecided, moment)?;
                self.decide(step, *code, reason, Cause::Failure(*cause));
                Ok(())
            }
            RunEvent::RunSucceeded { attempt, .. } => self.advance(id, *attempt, StepKind::Succeeded, moment).map(drop),
            RunEvent::RunFailed { attempt, .. } => self.advance(id, *attempt, StepKind::Failed, moment).map(drop),
            RunEvent::RunRetried { attempt, discarded, outputs, log_tail, .. } => {
                let row = self.retry(id, *attempt, outputs, log_tail.as_ref(), moment)?;
                self.let_go(row, discarded, moment.position);
                Ok(())
            }
            RunEvent::RunInvalidated { discarded, .. } => self.end(id, StepKind::Invalidated, discarded, moment),
            RunEvent::RunErased { discarded, .. } => self.end(id, StepKind::Erased, discarded, moment),
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of three events that begin a Run, taken apart")]
    fn begin_run(
        &mut self,
        stream: RunId,
        id: RunId,
        plan_id: PlanId,
        inputs: &[Assignment],
        outputs: &[OutputData],
        kind: StepKind,
        moment: Moment,
    ) -> Result<(), Contradiction> {
        if stream != id {
            return Err(Contradiction::OtherStream { stream: stream.0, id: id.0 });
        }
        if self.runs.ids.row(id.0).is_some() {
            return Err(Contradiction::RunExists { id });
        }
        let plan = self.plans.row(plan_id, Limit::NOW).ok_or(Contradiction::UnknownPlan { id: plan_id })?;
        let uses = self.check_inputs(plan, inputs)?;
        let points = self.check_outputs(plan, outputs)?;
        let Moment { position, recorded_at } = moment;
        let newest = self.runs.steps.steps.push(Step { position, recorded_at, previous: None, kind });
        let run = self.runs.ids.add(id.0);
        let edges_end = u32::try_from(self.runs.edges.len() + uses.len()).expect("rows are counted in u32");
        self.runs.records.push(RunRecord { plan, newest, attempt: 1, edges_end, newest_data: None });
        for (data, input) in uses {
            let edge = self.runs.edges.push(Edge { data, run, input, next_use: None });
            self.link_use(data, edge);
        }
        self.make_data(run, newest, outputs, &points);
        Ok(())
    }

    fn check_inputs(&self, plan: PlanRow, inputs: &[Assignment]) -> Result<Vec<(DataRow, u32)>, Contradiction> {
        let record = self.plans.record(plan);
        let check = |input: &Assignment| {
            let data = self.data.row(input.knit_id, Limit::NOW, &self.runs.steps);
            let number = record.number_of_input(&input.path);
            Ok((
                data.ok_or(Contradiction::UnknownData { id: input.knit_id })?,
                number.ok_or_else(|| Contradiction::NoSuchInput { path: input.path.clone() })?,
            ))
        };
        inputs.iter().map(check).collect()
    }

    /// Takes a step that does not begin an attempt.
    fn advance(&mut self, id: RunId, attempt: u32, kind: StepKind, moment: Moment) -> Result<StepRow, Contradiction> {
        let row = self.existing_run(id)?;
        check_attempt(attempt, self.runs.records[row].attempt)?;
        Ok(self.runs.step(row, kind, moment))
    }

    fn retry(
        &mut self,
        id: RunId,
        attempt: u32,
        outputs: &[OutputData],
        log_tail: Option<&LogTail>,
        moment: Moment,
    ) -> Result<RunRow, Contradiction> {
        let row = self.existing_run(id)?;
        let RunRecord { plan, attempt: present, .. } = self.runs.records[row];
        check_attempt(attempt, present.saturating_add(1))?;
        let points = self.check_outputs(plan, outputs)?;
        let step = self.runs.step(row, StepKind::Retried, moment);
        self.runs.records[row].attempt = attempt;
        if let Some(LogTail { sha256, bytes, total_bytes }) = log_tail {
            let sha256 = self.texts.intern(sha256);
            self.runs.steps.log_tails.add(step, KeptLog { sha256, bytes: *bytes, total_bytes: *total_bytes });
        }
        self.make_data(row, step, outputs, &points);
        Ok(row)
    }

    fn end(&mut self, id: RunId, kind: StepKind, discarded: &[KnitId], moment: Moment) -> Result<(), Contradiction> {
        let row = self.existing_run(id)?;
        self.runs.step(row, kind, moment);
        self.let_go(row, discarded, moment.position);
        Ok(())
    }

    fn existing_run(&self, id: RunId) -> Result<RunRow, Contradiction> {
        self.runs.row(id, Limit::NOW).ok_or(Contradiction::UnknownRun { id })
    }

    fn decide(&mut self, step: StepRow, code: Option<u8>, reason: &str, cause: Cause) {
        let reason = self.texts.intern(reason);
        self.runs.steps.decisions.add(step, Decided { code, reason, cause });
    }

    fn spawned(&mut self, uid: &str, image_digest: Option<&str>, notes: &[String]) -> Spawned {
        let uid = self.texts.intern(uid);
        let image_digest = image_digest.map(|digest| self.texts.intern(digest));
        Spawned { uid, image_digest, notes: notes.iter().map(|note| self.texts.intern(note)).collect() }
    }
}

fn check_attempt(given: u32, expected: u32) -> Result<(), Contradiction> {
    if given == expected { Ok(()) } else { Err(Contradiction::OtherAttempt { given, expected }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_costs_twenty_bytes_and_an_edge_sixteen() {
        assert_eq!((size_of::<RunRecord>(), size_of::<Edge>()), (20, 16));
    }
}
