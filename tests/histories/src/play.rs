//! Random commands: somebody wants something, or decides now and appends later, when it may be too late.
//! Numbers choose among what there is at that moment, so that a list of steps is a history for ever.

mod adjustment;

use knit_domain::agent;
use knit_domain::catalog::{RegisterPlan, register};
use knit_domain::data::{self, TagChange};
use knit_domain::decision::{Decision, Versioned};
use knit_domain::event::agent::AgentClosure;
use knit_domain::event::data::DataEvent;
use knit_domain::event::run::Exit;
use knit_domain::event::{Event, StreamId, StreamType};
use knit_domain::id::{AgentMode, AgentName, KnitId, PlanId, RunId};
use knit_domain::plan::{self, Builtin, PlanChange};
use knit_domain::reservation::Scope;
use knit_domain::run::ending::{Failure, Success, UploadOutcome};
use knit_domain::run::removal::KeptLog;
use knit_domain::run::{self, Run, RunKind, RunRecord, RunRefused, Status};
use knit_domain::tag::Tag;
use proptest::prelude::*;

pub use adjustment::Adjustment;
use adjustment::{FEW, adjustment};

use crate::world::{No, World, draft, spawned};

/// Something that somebody wants. Numbers choose among what there is, by remainder.
#[derive(Debug, Clone)]
pub enum Wish {
    /// An upload begins.
    Upload,
    /// An upload ends, well or not.
    Conclude(usize, bool),
    /// An import begins.
    Import,
    /// A Data gets a tag, or loses it.
    Tag(usize, usize, bool),
    /// A Data loses every tag of a key, and may get one back at once.
    Untag(usize, Option<usize>),
    /// A Plan with an input of the first tags, another of the second if there are any, and an output of the third.
    Register(Mask, Mask, Mask),
    /// A Plan is held, or goes on.
    SetActive(usize, bool),
    /// Something else of a Plan changes.
    Adjust(usize, Adjustment),
    /// A Plan is to run on two Data.
    Project(usize, usize, usize),
    /// A Run takes the next step on the way to `done`.
    Proceed(usize),
    /// Something goes wrong with a Run.
    Fail(usize),
    /// A Run is stopped.
    Abort(usize),
    /// A Run is stopped, and what it made is kept.
    TearOff(usize),
    /// A Run is run again. The end of its log is kept: the number says which of a few.
    Retry(usize, Option<u8>),
    /// A Run is deleted.
    Delete(usize),
    /// The log of a Run is forgotten.
    RedactLog(usize),
    /// A download begins.
    Read(usize),
    /// A transfer ends.
    Close(usize),
    /// A volume is destroyed.
    Reclaim(usize),
}

/// A choice among [`TAGS`]: a bit for each.
pub type Mask = u8;

/// A step: do it at once, decide now and append later, or append what was decided earlier.
#[derive(Debug, Clone)]
pub enum Step {
    /// At once.
    Now(Wish),
    /// Decided now, appended later if ever.
    Decide(Wish),
    /// Something that was decided earlier.
    Append(usize),
}

/// Any wish; what moves things on is more frequent than what ends them.
pub fn wish() -> impl Strategy<Value = Wish> {
    let which = || 0..1_000_usize;
    prop_oneof![
        3 => Just(Wish::Upload),
        3 => (which(), prop::bool::weighted(0.8)).prop_map(|(at, well)| Wish::Conclude(at, well)),
        1 => Just(Wish::Import),
        6 => (which(), which(), prop::bool::weighted(0.8)).prop_map(|(data, tag, add)| Wish::Tag(data, tag, add)),
        1 => (which(), prop::option::of(which())).prop_map(|(data, back)| Wish::Untag(data, back)),
        1 => (1..8_u8, 0..8_u8, 0..8_u8).prop_map(|(first, second, output)| Wish::Register(first, second, output)),
        1 => (which(), any::<bool>()).prop_map(|(plan, active)| Wish::SetActive(plan, active)),
        2 => (which(), adjustment()).prop_map(|(plan, adjustment)| Wish::Adjust(plan, adjustment)),
        9 => (which(), which(), which()).prop_map(|(plan, a, b)| Wish::Project(plan, a, b)),
        20 => which().prop_map(Wish::Proceed),
        2 => which().prop_map(Wish::Fail),
        1 => which().prop_map(Wish::Abort),
        1 => which().prop_map(Wish::TearOff),
        4 => (which(), prop::option::of(FEW)).prop_map(|(run, log)| Wish::Retry(run, log)),
        4 => which().prop_map(Wish::Delete),
        1 => which().prop_map(Wish::RedactLog),
        2 => which().prop_map(Wish::Read),
        3 => which().prop_map(Wish::Close),
        1 => which().prop_map(Wish::Reclaim),
    ]
}

/// Any step.
pub fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => wish().prop_map(Step::Now),
        2 => wish().prop_map(Step::Decide),
        2 => (0..1_000_usize).prop_map(Step::Append),
    ]
}

/// One choice in so many is made without looking at what is apt, to try what must be refused.
const ANYTHING_EVERY: usize = 7;

/// Every tag that a Data may get in a history, beside that of logs.
pub const TAGS: [&str; 3] = ["type:a", "type:b", "type:c"];

type Decide<'a> = &'a dyn Fn(&Versioned<Run>) -> Result<Decision, RunRefused>;

/// A world with Plans that feed each other, one of which takes two inputs that the same Data may fill.
pub struct Play {
    /// The world so far.
    pub world: World,
    decided: Vec<Decision>,
}

impl Default for Play {
    fn default() -> Self {
        Self::new()
    }
}

impl Play {
    /// Two Data are there from the beginning, so that few steps go by until there is a Run.
    ///
    /// # Panics
    /// When something is against that.
    pub fn new() -> Self {
        let mut world = World::new();
        world.upload(&["type:a"]);
        world.upload(&["type:a", "type:b"]);
        let two = draft(&[("/a", &["type:a"]), ("/in", &["type:a"])], &[("/out", &["type:c"])]);
        world.plan("type:a", "type:b");
        world.plan("type:b", "type:c");
        world.register(two).unwrap();
        Self { world, decided: Vec::new() }
    }

    /// A Plan of a user.
    fn plan(&self, at: usize) -> PlanId {
        let catalog = self.world.log.catalog().state;
        let plans = catalog.admitted();
        plans[at % plans.len()].plan_id
    }

    fn ids<T: std::str::FromStr>(&self, kind: StreamType) -> Vec<T> {
        let mut ids: Vec<&str> = Vec::new();
        for StreamId { kind: of, id } in self.world.log.entries.iter().map(|entry| &entry.stream) {
            if *of == kind && !ids.contains(&id.as_str()) {
                ids.push(id);
            }
        }
        ids.into_iter().filter_map(|id| id.parse().ok()).collect()
    }

    /// A Run to which something can happen; now and then any Run at all.
    fn run(&self, at: usize, apt: fn(&RunRecord) -> bool) -> Option<RunId> {
        let mut runs: Vec<RunId> = self.ids(StreamType::Run);
        if !at.is_multiple_of(ANYTHING_EVERY) {
            runs.retain(|run| self.world.log.run(*run).state.record.as_ref().is_some_and(apt));
        }
        runs.get(at % runs.len().max(1)).copied()
    }

    /// A Data that is not discarded; now and then any Data at all.
    fn data(&self, at: usize) -> Option<KnitId> {
        let mut data: Vec<KnitId> = self.ids(StreamType::Data);
        if !at.is_multiple_of(ANYTHING_EVERY) {
            data.retain(|data| self.world.log.data(*data).state.living().is_ok());
        }
        data.get(at % data.len().max(1)).copied()
    }

    /// Lets a step happen, if nothing is against it.
    ///
    /// # Panics
    /// When a conflict leaves something behind, or a tombstone remains of what was discarded.
    pub fn take(&mut self, step: Step) {
        match step {
            Step::Now(wish) => {
                if let Some(Ok(decision)) = self.decide(&wish) {
                    let before = self.world.log.entries.len();
                    let appended = self.world.commit(&decision);
                    let unchanged = self.world.log.entries.len() == before;
                    assert!(appended.is_ok() || unchanged, "a conflict has left something behind");
                    self.no_tombstone_outlives_its_input(&decision);
                }
            }
            Step::Decide(wish) => {
                let decided = self.decide(&wish).and_then(Result::ok);
                self.decided.extend(decided);
            }
            Step::Append(at) if !self.decided.is_empty() => {
                let decision = self.decided.swap_remove(at % self.decided.len());
                // A conflict is as good an outcome as any, as long as the invariants hold.
                drop(self.world.commit(&decision));
            }
            Step::Append(_) => {}
        }
    }

    /// What is decided on the present state erases every tombstone of what it discards.
    fn no_tombstone_outlives_its_input(&self, decision: &Decision) {
        for write in &decision.writes {
            if matches!(write.events[..], [Event::Data(DataEvent::DataDiscarded { .. })]) {
                let scope = Scope::DataTombstones(write.stream.id.parse().unwrap());
                assert!(self.world.log.holders(scope).is_empty(), "{scope} is remembered");
            }
        }
    }

    /// What comes of a wish on the present state; none when there is nothing that could be wished for.
    ///
    /// # Panics
    /// When something is refused that is always allowed.
    pub fn decide(&mut self, wish: &Wish) -> Option<Result<Decision, No>> {
        Some(match *wish {
            Wish::Upload => {
                let upload = self.world.new_upload();
                Ok(run::start_upload(&self.world.log.plan(Builtin::Uploaded.id()), &upload).unwrap())
            }
            Wish::Import => {
                let (run, data) = (RunId(self.world.ids.uuid()), KnitId(self.world.ids.uuid()));
                Ok(run::start_import(&self.world.log.plan(Builtin::Imported.id()), run, data).unwrap())
            }
            Wish::Conclude(at, well) => {
                self.conclude(self.run(at, |run| run.kind == RunKind::Upload && !run.status.is_finished())?, well)
            }
            Wish::Tag(at, tag, add) => self.tag(self.data(at)?, TAGS[tag % TAGS.len()], add),
            Wish::Untag(at, back) => self.untag(self.data(at)?, back.map(|tag| TAGS[tag % TAGS.len()])),
            Wish::Register(first, second, output) => self.register(first, second, output),
            Wish::SetActive(at, active) => {
                let plan = self.plan(at);
                Ok(plan::change(plan, &self.world.log.plan(plan), PlanChange::SetActive(active)).unwrap())
            }
            Wish::Adjust(at, ref adjustment) => {
                let plan = self.plan(at);
                Ok(plan::change(plan, &self.world.log.plan(plan), adjustment.as_change()).unwrap())
            }
            Wish::Project(plan, a, b) => self.project(plan, self.data(a)?, self.data(b)?),
            Wish::Proceed(at) => {
                self.proceed(self.run(at, |run| run.kind != RunKind::Upload && !run.status.is_finished())?)
            }
            Wish::Fail(at) => self.fail(self.run(at, |run| !run.status.is_finished())?),
            Wish::Abort(at) => {
                Ok(run::abort(&self.world.log.run(self.run(at, |run| !run.status.is_finished())?)).ok()?)
            }
            Wish::TearOff(at) => {
                Ok(run::tear_off(&self.world.log.run(self.run(at, |run| run.kind == RunKind::Image)?)).ok()?)
            }
            Wish::Retry(at, log) => {
                let run = self.run(at, |run| run.kind == RunKind::Image && run.status.is_finished())?;
                self.world.retrial(run, log.map(kept))
            }
            Wish::Delete(at) => {
                self.world.deletion(self.run(at, |run| run.status.is_finished() || run.status == Status::Waiting)?)
            }
            Wish::RedactLog(at) => {
                let ended = |run: &RunRecord| run.kind == RunKind::Image && run.status.is_finished();
                self.world.log_redaction(self.run(at, ended)?)
            }
            Wish::Read(at) => self.read(self.data(at)?),
            Wish::Close(at) => self.close(at)?,
            Wish::Reclaim(at) => Ok(data::reclaim_volume(&self.world.log.data(self.data(at)?)).ok()?),
        })
    }

    fn conclude(&self, id: RunId, well: bool) -> Result<Decision, No> {
        let run = self.world.log.run(id);
        let output = run.state.record.as_ref().and_then(|record| record.outputs.first());
        let name = output.map(|output| AgentName::of(output.knit_id, AgentMode::Write, 0));
        let agent = name.map(|name| self.world.log.agent(&name)).unwrap_or_default();
        let failed = || UploadOutcome::Failed { reason: "the history wants it".to_owned() };
        let outcome = if well { UploadOutcome::Stored } else { failed() };
        Ok(run::conclude_upload(&run, &agent, outcome)?)
    }

    fn tag(&self, data: KnitId, text: &str, add: bool) -> Result<Decision, No> {
        let tags = [Tag::parse(text).unwrap()].into();
        let change = if add {
            TagChange { add: tags, ..TagChange::default() }
        } else {
            TagChange { remove: tags, ..TagChange::default() }
        };
        Ok(data::change_tags(&self.world.log.data(data), &change)?)
    }

    /// All tags of a history have one key.
    fn untag(&self, data: KnitId, back: Option<&str>) -> Result<Decision, No> {
        let key = Tag::parse(TAGS[0]).unwrap().key;
        let add = back.into_iter().map(|text| Tag::parse(text).unwrap()).collect();
        let change = TagChange { add, remove_key: [key].into(), ..TagChange::default() };
        Ok(data::change_tags(&self.world.log.data(data), &change)?)
    }

    fn register(&mut self, first: Mask, second: Mask, output: Mask) -> Result<Decision, No> {
        let chosen = |mask: Mask| -> Vec<&str> {
            TAGS.iter().enumerate().filter(|(bit, _)| mask & (1 << bit) != 0).map(|(_, tag)| *tag).collect()
        };
        let (first, second, output) = (chosen(first), chosen(second), chosen(output));
        let inputs: &[(&str, &[&str])] = &[("/in", &first), ("/a", &second)];
        let inputs = if second.is_empty() { &inputs[..1] } else { inputs };
        let plan_id = PlanId(self.world.ids.uuid());
        let draft = draft(inputs, &[("/out", &output)]);
        Ok(register(&self.world.log.catalog(), RegisterPlan { plan_id, draft })?)
    }

    fn project(&mut self, plan: usize, a: KnitId, b: KnitId) -> Result<Decision, No> {
        let plan = self.plan(plan);
        let wanted = self.world.log.plan(plan).state.definition().map_or(0, |definition| definition.inputs.len());
        let inputs = [("/a", a), ("/in", b)];
        let inputs = if wanted == inputs.len() { &inputs[..] } else { &inputs[1..] };
        self.world.projection(plan, inputs)
    }

    fn proceed(&self, id: RunId) -> Result<Decision, No> {
        let run = self.world.log.run(id);
        let record = run.state.existing()?;
        let (plan, attempt) = (self.world.log.plan(record.plan), record.attempt);
        let steps: [Decide<'_>; 7] = [
            &|run| run::prepare_volumes(run, &plan, attempt),
            &|run| run::request_worker(run, &plan, attempt, [].into()),
            &|run| run::record_spawn(run, attempt, spawned("uid")),
            &|run| run::record_started(run, attempt),
            &|run| run::decide_success(run, attempt, Success::Worker),
            &|run| run::decide_success(run, attempt, Success::Import),
            &|run| run::finish(run, attempt, None),
        ];
        let useful = |decided: &Result<Decision, _>| decided.as_ref().is_ok_and(|decision| !decision.is_nothing());
        let next = steps.iter().map(|step| step(&run)).find(useful);
        Ok(next.unwrap_or_else(|| Ok(Decision::nothing()))?)
    }

    fn fail(&self, id: RunId) -> Result<Decision, No> {
        let run = self.world.log.run(id);
        let attempt = run.state.existing()?.attempt;
        let failures = [
            Failure::WorkerLost,
            Failure::WorkerFailed(Exit { code: 0, message: String::new() }),
            Failure::UploadOrphaned,
            Failure::ImportOverdue,
        ];
        let decided = failures.map(|failure| run::decide_failure(&run, attempt, &failure));
        Ok(decided.into_iter().find(Result::is_ok).unwrap_or_else(|| Ok(Decision::nothing()))?)
    }

    fn read(&mut self, data: KnitId) -> Result<Decision, No> {
        let name = AgentName::of(data, AgentMode::Read, self.world.ids.uuid().as_fields().3[7].into());
        Ok(agent::open_reader(&self.world.log.data(data), &name, "server")?)
    }

    fn close(&self, at: usize) -> Option<Result<Decision, No>> {
        let agents: Vec<&StreamId> = self
            .world
            .log
            .entries
            .iter()
            .map(|entry| &entry.stream)
            .filter(|id| id.kind == StreamType::Agent)
            .collect();
        let name = AgentName(agents.get(at % agents.len().max(1))?.id.clone());
        Some(agent::close(&self.world.log.agent(&name), AgentClosure::Finished).map_err(No::Agent))
    }
}

/// One of a few logs, so that attempts often say the same.
fn kept(number: u8) -> KeptLog {
    let bytes = format!("line {number}\n").into_bytes();
    let total_bytes = bytes.len() as u64;
    KeptLog::new(bytes, total_bytes + u64::from(number))
}
