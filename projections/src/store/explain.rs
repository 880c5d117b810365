//! Why a Run is there: what it needed, since when each of these was there, and what happened to it since.
//!
//! A combination is due while its Plan is registered, each of its Data is available, and each has what its input
//! asks for. Every one of these holds from some position on, without a break, until the Run was made. The last of
//! these positions is the event that set the Run off: one event earlier the Run was not due.

mod full;

use knit_domain::event::Position;
use knit_domain::event::run::{Assignment, Exit};
use knit_domain::id::{KnitId, PlanId, RunId};
use knit_domain::run::{Cause, Status};
use knit_domain::tag::{KEY_ID, KEY_TIMESTAMP, Tag};
use knit_domain::time::Timestamp;

use super::attempts::cause_word;
use super::column::{DataRow, PlanRow, RunRow, StepRow, TagRow};
use super::runs::Edge;
use super::steps::{Decided, Step, StepKind};
use super::{At, Limit, Store};
use crate::matcher::PENDING_RUNS_PER_PLAN_MAX;

/// Why a Run is there and what happened to it. Who did it and when, the log tells at the positions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunStory {
    /// The Run.
    pub run_id: RunId,
    /// Its Plan.
    pub plan_id: PlanId,
    /// Its status, as people see it.
    pub status: Status,
    /// What set it off; none only in a history in which it was not due when it was made.
    pub trigger: Option<RunTrigger>,
    /// Its inputs, sorted by path.
    pub inputs: Vec<InputStory>,
    /// What happened to it, oldest first.
    pub steps: Vec<StepStory>,
    /// What it waits for, unless it has ended.
    pub waits_for: Option<&'static str>,
    /// Why its newest attempt failed or fails.
    pub failure: Option<FailureStory>,
}

/// The event that set a Run off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunTrigger {
    /// What it was.
    pub kind: RunTriggerKind,
    /// Where it is in the log.
    pub position: Position,
    /// The Data it was about; none when it was the Plan.
    pub knit_id: Option<KnitId>,
    /// The inputs that were filled by it.
    pub paths: Vec<String>,
    /// What the Data got that the inputs ask for.
    pub tags: Vec<Tag>,
    /// Where all else that the Run needed was there.
    pub rest_since: Option<Position>,
}

/// What can set a Run off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunTriggerKind {
    /// Its Plan was registered.
    PlanRegistered,
    /// A Data became available.
    DataAvailable,
    /// A Data got tags.
    TagsChanged,
    /// It is an upload.
    Uploaded,
    /// It is an import.
    Imported,
}

/// An input, and since when its Data was what it asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputStory {
    /// Its path.
    pub path: String,
    /// Its Data.
    pub knit_id: KnitId,
    /// The Run that made the Data.
    pub made_by: RunId,
    /// Where that Run was done.
    pub available: Option<Position>,
    /// What the input asks for.
    pub tags: Vec<TagStory>,
}

/// A tag that an input asks for, on its Data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagStory {
    /// The tag; it may be a pin.
    pub tag: Tag,
    /// Where the Data got it; none where it had not when the Run was made.
    pub since: Option<Position>,
    /// Where the Data lost it after that; none while it has it.
    pub until: Option<Position>,
}

/// Something that happened to a Run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepStory {
    /// Of which attempt.
    pub attempt: u32,
    /// Where it is in the log.
    pub position: Position,
    /// When it was recorded.
    pub at: Timestamp,
    /// The status it led to, if to another.
    pub status: Option<Status>,
    /// What the time since the step before was spent on.
    pub waited_for: &'static str,
    /// Parts of that time in which the Plan was switched off, as the positions at which they began and ended.
    pub held: Vec<(Position, Position)>,
    /// Parts of that time in which the Plan had as many Runs that had not ended as it may have.
    pub full: Vec<(Position, Position)>,
}

/// Why an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailureStory {
    /// What decided it.
    pub cause: &'static str,
    /// How it ended.
    pub exit: Option<Exit>,
    /// Why, where nothing exited: an upload or import that failed.
    pub reason: Option<String>,
    /// Where it was decided.
    pub position: Position,
}

impl Store {
    /// Why a Run is there and what happened to it; `None` if it did not exist then.
    #[must_use]
    pub fn explain_run(&self, id: RunId, at: At) -> Option<RunStory> {
        let limit = at.limit();
        let row = self.runs.row(id, limit)?;
        let mut life: Vec<(StepRow, Step)> = self.runs.steps.back_from(self.runs.records[row].newest, limit).collect();
        life.reverse();
        let (_, birth) = *life.first()?;
        let inputs: Vec<InputStory> =
            self.runs.inputs(row).filter_map(|(_, edge)| self.input_story(edge, birth.position, limit)).collect();
        let status = self.seen_status(row, limit)?;
        let trigger = self.trigger(row, birth, &inputs);
        Some(RunStory {
            run_id: id,
            plan_id: self.plans.id(self.runs.records[row].plan),
            status,
            steps: self.step_stories(row, &life, trigger.as_ref().map(|trigger| trigger.position)),
            trigger,
            inputs,
            waits_for: life.last().and_then(|(_, step)| next_of(step.kind, has_worker(birth.kind))),
            failure: self.failure_story(status, &life),
        })
    }

    /// Where the last came to be of all that a Run needs which is not made yet; `None` while something is missing.
    #[must_use]
    pub fn set_off_at(&self, plan: PlanId, inputs: &[Assignment]) -> Option<Position> {
        let limit = At::Now.limit();
        let plan = self.plans.row(plan, limit)?;
        let story = |input: &Assignment| {
            let number = self.plans.record(plan).number_of_input(&input.path)?;
            let data = self.data.row(input.knit_id, limit, &self.runs.steps)?;
            self.story_of_input(plan, number, data, (limit, limit))
        };
        let inputs: Vec<InputStory> = inputs.iter().map(story).collect::<Option<_>>()?;
        self.needs(plan, &inputs)?.into_iter().max()
    }

    fn input_story(&self, edge: Edge, born: Position, seen: Limit) -> Option<InputStory> {
        // The event that made the Run changed none of its Data: what held before it, held when it was decided.
        self.story_of_input(self.runs.records[edge.run].plan, edge.input, edge.data, (Limit(born), seen))
    }

    /// What an input found as of `limit`, and what became of that as far as `seen`.
    fn story_of_input(
        &self,
        plan: PlanRow,
        input: u32,
        data: DataRow,
        (limit, seen): (Limit, Limit),
    ) -> Option<InputStory> {
        let input = self.plans.record(plan).definition()?.inputs.get(input as usize)?;
        let available = self.available_since(data, limit);
        let since = |tag: &Tag| match tag.key.as_str() {
            KEY_ID => Some(self.reserved_at(data)),
            KEY_TIMESTAMP => available,
            _ => self.tagged_since(data, self.tags.row(tag)?, limit),
        };
        let told = |tag: &Tag| {
            let until = self.tags.row(tag).and_then(|row| self.lost_at(data, row, limit, seen));
            TagStory { tag: tag.clone(), since: since(tag), until }
        };
        Some(InputStory {
            path: input.path.clone(),
            knit_id: self.data.id(data),
            made_by: self.runs.id(self.data.records[data].run),
            available,
            tags: input.tags.iter().map(told).collect(),
        })
    }

    fn reserved_at(&self, data: DataRow) -> Position {
        self.runs.steps.steps[self.data.records[data].born].position
    }

    /// Where the attempt that makes a Data succeeded.
    pub(super) fn available_since(&self, data: DataRow, limit: Limit) -> Option<Position> {
        let record = &self.data.records[data];
        let newest = self.runs.records[record.run].newest;
        let mut attempt = self.runs.steps.back_from(newest, limit).take_while(|(row, _)| *row != record.born);
        attempt.find(|(_, step)| step.kind == StepKind::Succeeded).map(|(_, step)| step.position)
    }

    /// Since where a Data has had a tag without a break; `None` if it had it not then.
    fn tagged_since(&self, data: DataRow, tag: TagRow, limit: Limit) -> Option<Position> {
        let has = |set| self.tags.has_all(set, &[tag]);
        if !has(self.data.tags(data, limit)) {
            return None;
        }
        let newest = self.data.records[data].retagged;
        let changes = std::iter::successors(newest, |row| self.data.retags[*row].previous);
        let mut changes = changes.map(|row| self.data.retags[row]).filter(|change| limit.covers(change.position));
        let got = changes.find(|change| !has(change.before)).map(|change| change.position);
        Some(got.unwrap_or_else(|| self.reserved_at(data)))
    }

    /// Where a Data first lost a tag that it had at `born`, as far as `seen`.
    fn lost_at(&self, data: DataRow, tag: TagRow, born: Limit, seen: Limit) -> Option<Position> {
        let has = |set| self.tags.has_all(set, &[tag]);
        let newest = self.data.records[data].retagged;
        let changes = std::iter::successors(newest, |row| self.data.retags[*row].previous);
        let changes = changes.map(|row| self.data.retags[row]).take_while(|change| !born.covers(change.position));
        // Newest first, so what each change left is what the one after it found.
        let mut after = self.data.tags(data, Limit::NOW);
        let mut lost = None;
        for change in changes {
            if seen.covers(change.position) && has(change.before) && !has(after) {
                lost = Some(change.position);
            }
            after = change.before;
        }
        lost
    }

    /// The last of all that a Run needed.
    fn trigger(&self, run: RunRow, birth: Step, inputs: &[InputStory]) -> Option<RunTrigger> {
        let root = |kind| {
            let (knit_id, paths, tags, rest_since) = (None, Vec::new(), Vec::new(), None);
            Some(RunTrigger { kind, position: birth.position, knit_id, paths, tags, rest_since })
        };
        match birth.kind {
            StepKind::UploadStarted => return root(RunTriggerKind::Uploaded),
            StepKind::ImportStarted => return root(RunTriggerKind::Imported),
            StepKind::Projected
            | StepKind::VolumesPrepared
            | StepKind::WorkerRequested
            | StepKind::WorkerSpawned
            | StepKind::Started
            | StepKind::SuccessDecided
            | StepKind::FailureDecided
            | StepKind::Succeeded
            | StepKind::Failed
            | StepKind::Retried
            | StepKind::Invalidated
            | StepKind::Erased => {}
        }
        let needs = self.needs(self.runs.records[run].plan, inputs)?;
        let (registered, position) = (*needs.first()?, needs.iter().copied().max()?);
        let rest_since = needs.into_iter().filter(|need| *need < position).max();
        Some(RunTrigger { rest_since, ..told(position, registered, inputs) })
    }

    /// Since where each thing is there that a Run needs, the Plan first; `None` where one is missing.
    fn needs(&self, plan: PlanRow, inputs: &[InputStory]) -> Option<Vec<Position>> {
        let (registered, _) = self.plans.record(plan).attributes.first()?;
        let mut needs = vec![*registered];
        for input in inputs {
            needs.push(input.available?);
            for tag in &input.tags {
                needs.push(tag.since?);
            }
        }
        Some(needs)
    }

    fn step_stories(&self, run: RunRow, life: &[(StepRow, Step)], set_off: Option<Position>) -> Vec<StepStory> {
        let plan = self.runs.records[run].plan;
        let (mut attempt, mut before) = (0, None::<Step>);
        let has_worker = life.first().is_some_and(|(_, birth)| has_worker(birth.kind));
        let mut stories = Vec::with_capacity(life.len());
        for (_, step) in life {
            attempt += u32::from(step.kind.begins_attempt());
            let due = set_off.filter(|_| step.kind == StepKind::Projected);
            let full = due.map(|due| self.full_between(plan, PENDING_RUNS_PER_PLAN_MAX, (due, step.position)));
            let held = before.filter(|_| step.kind == StepKind::VolumesPrepared || is_removal(step.kind));
            stories.push(StepStory {
                attempt,
                position: step.position,
                at: step.recorded_at,
                status: step.kind.status(),
                waited_for: spent_on(step.kind, has_worker),
                held: held.map(|before| self.held_between(run, before.position, step.position)).unwrap_or_default(),
                full: full.unwrap_or_default(),
            });
            before = Some(*step);
        }
        stories
    }

    /// When the Plan of a Run was switched off between two positions.
    fn held_between(&self, run: RunRow, from: Position, to: Position) -> Vec<(Position, Position)> {
        let history = &self.plans.record(self.runs.records[run].plan).attributes;
        let ends = history.iter().skip(1).map(|(since, _)| *since).chain([Position::MAX]);
        let spans = history.iter().zip(ends).filter(|((_, attributes), _)| !attributes.active);
        let within = spans.map(|((since, _), until)| ((*since).max(from), until.min(to)));
        within.filter(|(since, until)| since < until).collect()
    }

    fn failure_story(&self, status: Status, life: &[(StepRow, Step)]) -> Option<FailureStory> {
        // One that was removed has failed before, or not: that is how it ended.
        if !matches!(status, Status::Failed | Status::Aborting | Status::Invalidated) {
            return None;
        }
        let attempt = life.iter().rev().take_while(|(_, step)| !step.kind.begins_attempt());
        // What was decided first is what brought it to its end; the same may be decided again, with an exit.
        let decided = attempt.filter(|(_, step)| step.kind == StepKind::FailureDecided);
        let decided: Vec<(Step, Decided)> =
            decided.filter_map(|(row, step)| Some((*step, *self.runs.steps.decisions.get(*row)?))).collect();
        let (first, how @ Decided { cause, .. }) = *decided.last()?;
        let exit = decided.iter().find_map(|(_, decided)| decided.exit()).map(|exit| self.exit(exit));
        let (reason, position) = (self.reason(how), first.position);
        match cause {
            Cause::Failure(_) => Some(FailureStory { cause: cause_word(cause), exit, reason, position }),
            Cause::Success(_) => None,
        }
    }
}

/// The event at `position`, which is the registration of the Plan or something that gave `inputs` what they ask for.
fn told(position: Position, registered: Position, inputs: &[InputStory]) -> RunTrigger {
    let none = |kind| RunTrigger { kind, position, knit_id: None, paths: vec![], tags: vec![], rest_since: None };
    if position == registered {
        return none(RunTriggerKind::PlanRegistered);
    }
    let got = |tag: &&TagStory| tag.since == Some(position);
    let filled = |input: &&InputStory| input.available == Some(position) || input.tags.iter().any(|tag| got(&tag));
    let filled: Vec<&InputStory> = inputs.iter().filter(filled).collect();
    let made = filled.iter().any(|input| input.available == Some(position));
    let (kind, mut tags) = if made {
        (RunTriggerKind::DataAvailable, Vec::new())
    } else {
        let tags = filled.iter().flat_map(|input| input.tags.iter().filter(got));
        (RunTriggerKind::TagsChanged, tags.map(|got| got.tag.clone()).collect())
    };
    tags.sort();
    tags.dedup();
    let knit_id = filled.first().map(|input| input.knit_id);
    let paths = filled.iter().filter(|input| Some(input.knit_id) == knit_id).map(|input| input.path.clone()).collect();
    RunTrigger { knit_id, paths, tags, ..none(kind) }
}

fn is_removal(kind: StepKind) -> bool {
    matches!(kind, StepKind::Invalidated | StepKind::Erased)
}

/// Whether a Run that began so has a Worker: what is uploaded or imported comes from outside.
const fn has_worker(birth: StepKind) -> bool {
    !matches!(birth, StepKind::UploadStarted | StepKind::ImportStarted)
}

/// What the time before a step is spent on.
const fn spent_on(kind: StepKind, has_worker: bool) -> &'static str {
    match kind {
        StepKind::Projected => "the Run to be made",
        StepKind::UploadStarted | StepKind::ImportStarted => "nothing",
        StepKind::VolumesPrepared => "volumes for its outputs",
        StepKind::WorkerRequested => "its turn to get a Worker",
        StepKind::WorkerSpawned => "its Worker to be made",
        StepKind::Started => "its Worker to run: its image, and room for it",
        StepKind::SuccessDecided | StepKind::FailureDecided if has_worker => "the end of the work",
        StepKind::SuccessDecided | StepKind::FailureDecided => "the content to arrive",
        StepKind::Succeeded if has_worker => "its Worker to be removed and its outputs to be sealed",
        StepKind::Succeeded => "the Data to be sealed",
        StepKind::Failed if has_worker => "its Worker to be removed",
        StepKind::Failed => "what had arrived to be cleared away",
        StepKind::Retried => "somebody to retry it",
        StepKind::Invalidated | StepKind::Erased => "somebody to remove it",
    }
}

/// What a Run waits for after a step; `None` when it has ended.
const fn next_of(kind: StepKind, has_worker: bool) -> Option<&'static str> {
    let next = match kind {
        StepKind::Projected | StepKind::Retried => StepKind::VolumesPrepared,
        StepKind::VolumesPrepared => StepKind::WorkerRequested,
        StepKind::WorkerRequested => StepKind::WorkerSpawned,
        StepKind::WorkerSpawned => StepKind::Started,
        StepKind::UploadStarted | StepKind::ImportStarted | StepKind::Started => StepKind::SuccessDecided,
        StepKind::SuccessDecided => StepKind::Succeeded,
        StepKind::FailureDecided => StepKind::Failed,
        StepKind::Succeeded | StepKind::Failed | StepKind::Invalidated | StepKind::Erased => return None,
    };
    Some(spent_on(next, has_worker))
}
