//! What must hold after every step of every history (domain.md 7 and 10.4), read off the log alone.
//!
//! Two of X1 to X15 are about those who read the log, so they are looked at wherever somebody has read it: X4 and X10 in
//! [`crate::reckoning`].

mod attempts;
mod claims;

use std::collections::{BTreeMap, BTreeSet};

use knit_domain::catalog::Admitted;
use knit_domain::data::{DataRecord, Standing};
use knit_domain::event::agent::AgentEvent;
use knit_domain::event::data::DataEvent;
use knit_domain::event::plan::PlanEvent;
use knit_domain::event::run::RunEvent;
use knit_domain::event::{Event, StreamId, StreamType};
use knit_domain::id::{AgentMode, KnitId, PlanId, RunId, WorkerName};
use knit_domain::plan::Builtin;
use knit_domain::reservation::{Holder, Scope};
use knit_domain::run::status::{Change, change};
use knit_domain::run::{Run, RunKind, RunRecord, Status};

use crate::memory_log::{Entry, MemoryLog};

/// Everything there is, folded once.
struct Picture<'log> {
    log: &'log MemoryLog,
    runs: BTreeMap<RunId, Option<RunRecord>>,
    data: BTreeMap<KnitId, DataRecord>,
    writers: BTreeSet<KnitId>,
    readers: BTreeSet<(KnitId, String)>,
}

/// Looks at everything that must hold.
///
/// # Panics
/// When something does not; the message names the rule.
pub fn check(log: &MemoryLog) {
    // First, since what was claimed wrongly breaks other rules besides.
    claims::inputs_fitted_when_claimed(log);
    let picture = Picture::of(log);
    for (id, run) in &picture.runs {
        picture.statuses_follow_the_table(*id);
        if let Some(run) = run {
            picture.run_is_made_as_its_plan_says(run);
            picture.worker_and_exit_fit_the_status(run);
            picture.inputs_are_there(run);
        }
    }
    picture.builtin_plans_are_defined_once();
    picture.plans_differ_and_none_feeds_itself();
    picture.every_data_has_its_maker();
    picture.combinations_are_unique();
    picture.held_runs_do_not_start();
    picture.reservations_follow_from_the_states();
    attempts::each_has_one_worker(log);
    attempts::each_ends_as_was_decided(log);
}

impl<'log> Picture<'log> {
    fn of(log: &'log MemoryLog) -> Self {
        let mut picture = Self {
            log,
            runs: BTreeMap::new(),
            data: BTreeMap::new(),
            writers: BTreeSet::new(),
            readers: BTreeSet::new(),
        };
        let streams: BTreeSet<&StreamId> = log.entries.iter().map(|entry| &entry.stream).collect();
        for stream in streams {
            match stream.kind {
                StreamType::Run => {
                    let id = stream.id.parse().unwrap();
                    picture.runs.insert(id, log.run(id).state.record);
                }
                StreamType::Data => {
                    let id = stream.id.parse().unwrap();
                    picture.data.insert(id, log.data(id).state.record.unwrap());
                }
                StreamType::Catalog | StreamType::Plan | StreamType::Agent | StreamType::Journal => {}
            }
        }
        log.entries.iter().for_each(|entry| picture.note_agent(&entry.event));
        picture
    }

    fn note_agent(&mut self, event: &Event) {
        let Event::Agent(event) = event else { return };
        match event {
            AgentEvent::AgentOpened { knit_id, mode: AgentMode::Write, .. } => {
                assert!(self.writers.insert(*knit_id), "I16, X8: two writers of {knit_id}");
            }
            AgentEvent::AgentOpened { knit_id, name, .. } => drop(self.readers.insert((*knit_id, name.0.clone()))),
            AgentEvent::AgentClosed { knit_id, mode: AgentMode::Write, .. } => drop(self.writers.remove(knit_id)),
            AgentEvent::AgentClosed { knit_id, name, .. } => drop(self.readers.remove(&(*knit_id, name.0.clone()))),
        }
    }

    fn existing(&self) -> impl Iterator<Item = &RunRecord> {
        self.runs.values().flatten()
    }

    /// I2, X15.
    fn builtin_plans_are_defined_once(&self) {
        for builtin in Builtin::ALL {
            let stream = StreamId::plan(builtin.id());
            let definitions = self
                .log
                .stream(&stream)
                .filter(|(_, event)| matches!(event, Event::Plan(PlanEvent::BuiltinPlanDefined { .. })));
            assert!(definitions.count() <= 1, "X15: {} is defined twice", builtin.name());
        }
    }

    /// I3, X1: no two Plans are equal. I4, X2: none feeds itself, not by way of others either: if every Plan that
    /// is fed by none that is left is taken away, again and again, none is left in the end.
    fn plans_differ_and_none_feeds_itself(&self) {
        let catalog = self.log.catalog().state;
        let mut left: Vec<&Admitted> = catalog.admitted().iter().collect();
        for (index, plan) in left.iter().enumerate() {
            let twin = left[index + 1..].iter().find(|other| other.definition == plan.definition);
            assert!(twin.is_none(), "X1: {} is equal to {twin:?}", plan.plan_id);
        }
        while !left.is_empty() {
            let is_fed = |plan: &&&Admitted| left.iter().any(|other| feeds(other, plan));
            let fed: Vec<&Admitted> = left.iter().filter(is_fed).copied().collect();
            assert!(fed.len() < left.len(), "X2: these Plans feed each other: {fed:#?}");
            left = fed;
        }
    }

    /// I20, X14, and I18: an attempt ends once. Retry and delete are the only ways out of an end.
    fn statuses_follow_the_table(&self, id: RunId) {
        let stream = StreamId::run(id);
        let mut run = Run::default();
        for (_, event) in self.log.stream(&stream) {
            let Event::Run(event) = event else { panic!("{event:?} in {stream}") };
            let before = run.record.as_ref().map(|record| record.status);
            run.apply(event);
            let after = run.record.as_ref().map(|record| record.status);
            let allowed = match (before, after) {
                (None, Some(born)) => matches!(born, Status::Waiting | Status::Running),
                (Some(from), None) => matches!(from, Status::Done | Status::Failed | Status::Invalidated),
                (Some(from), Some(Status::Waiting)) => from.is_finished(),
                (Some(from), Some(Status::Invalidated)) => from.is_finished() || from == Status::Waiting,
                (Some(from), Some(to)) => from == to || change(from, to) == Change::Allowed,
                (None, None) => false,
            };
            assert!(allowed, "I20: {id} went from {before:?} to {after:?} by {event:?}");
        }
    }

    /// I9, I10, I24, X11: one Data for every input, and one for every output and the log unless deleted; and the name of
    /// its Worker, if it has one. This is looked at after every append, so all of it came in the append of its Run.
    fn run_is_made_as_its_plan_says(&self, run: &RunRecord) {
        let plan = self.log.plan(run.plan).state;
        let wanted: Vec<&str> = plan.definition().iter().flat_map(|it| &it.inputs).map(|at| at.path.as_str()).collect();
        let given: Vec<&str> = run.inputs.iter().map(|at| at.path.as_str()).collect();
        assert_eq!(wanted, given, "I10: inputs of {}", run.id);
        let points: Vec<(&str, bool)> = plan.output_points().iter().map(|at| (at.path, at.log)).collect();
        let made: Vec<(&str, bool)> = run.outputs.iter().map(|out| (out.path.as_str(), out.log)).collect();
        let worker = (run.kind == RunKind::Image).then(|| WorkerName::of(run.id, run.attempt));
        if run.status == Status::Invalidated {
            assert!(made.is_empty(), "outputs of the tombstone {}", run.id);
        } else {
            assert_eq!(points, made, "I9: outputs of {}", run.id);
            assert_eq!(run.worker_name, worker, "X11: the Worker of {}", run.id);
        }
    }

    /// I14 and I15: a Worker is on record only of an image Run under way, an exit only of a decided one.
    fn worker_and_exit_fit_the_status(&self, run: &RunRecord) {
        let under_way =
            matches!(run.status, Status::Starting | Status::Running | Status::Completing | Status::Aborting);
        assert!(run.worker.is_none() || (under_way && run.kind == RunKind::Image), "I14: {run:?}");
        let decided = matches!(run.status, Status::Completing | Status::Aborting | Status::Done | Status::Failed);
        assert_eq!(run.cause.is_some(), decided, "I15: {run:?}");
        let exit = run.exit.as_ref().map(|exit| exit.code);
        match run.status {
            Status::Done => assert!(exit.is_none_or(|code| code == 0), "Q14: {run:?}"),
            Status::Failed => assert!(exit.is_none_or(|code| code != 0), "Q14: {run:?}"),
            Status::Deactivated
            | Status::Waiting
            | Status::Ready
            | Status::Starting
            | Status::Running
            | Status::Completing
            | Status::Aborting
            | Status::Invalidated => {}
        }
    }

    /// I13, I22: what a Run uses is not discarded. (Tombstones only remember.)
    fn inputs_are_there(&self, run: &RunRecord) {
        if run.status == Status::Invalidated {
            return;
        }
        for input in &run.inputs {
            let standing = self.data[&input.knit_id].standing;
            assert_eq!(standing, Standing::Living, "I13: input {} of {}", input.knit_id, run.id);
        }
    }

    /// I11, I12, I19, X11: a living Data is an output of the present attempt of its Run, and of nothing else. Only the
    /// log of a Run may be gone before its Run, if it was redacted.
    fn every_data_has_its_maker(&self) {
        let (mut volumes, redacted) = (BTreeSet::new(), self.redacted_logs());
        for (id, data) in &self.data {
            assert!(volumes.insert(&data.volume_ref), "I12: {} is used twice", data.volume_ref);
            let maker = self.runs[&data.run_id].as_ref();
            let outputs = maker.map(|run| (run.attempt, run.outputs.as_slice()));
            let made = outputs.filter(|(attempt, _)| *attempt == data.attempt);
            let is_output = made.is_some_and(|(_, outputs)| outputs.iter().any(|output| output.knit_id == *id));
            let is_living = data.standing == Standing::Living;
            assert_eq!(is_output && !redacted.contains(id), is_living, "I11: {data:?} of {maker:?}");
        }
        let outputs = self.existing().flat_map(|run| &run.outputs);
        let outputs = outputs.filter(|output| !redacted.contains(&output.knit_id)).count();
        let living = self.data.values().filter(|data| data.standing == Standing::Living).count();
        assert_eq!(outputs, living, "I11");
        let reserved = |entry: &&Entry| matches!(entry.event, Event::Data(DataEvent::DataReserved { .. }));
        assert_eq!(self.log.entries.iter().filter(reserved).count(), self.data.len(), "X12: an id was used again");
    }

    fn redacted_logs(&self) -> BTreeSet<KnitId> {
        let redacted = |entry: &&Entry| matches!(entry.event, Event::Data(DataEvent::LogRedacted { .. }));
        self.log.entries.iter().filter(redacted).map(|entry| entry.stream.id.parse().unwrap()).collect()
    }

    /// I21, X3, over all Runs that ever were.
    fn combinations_are_unique(&self) {
        let mut seen = BTreeSet::new();
        for entry in &self.log.entries {
            if let Event::Run(RunEvent::RunProjected { plan_id, inputs, .. }) = &entry.event {
                assert!(seen.insert((*plan_id, inputs.clone())), "I21: {inputs:?} was projected twice");
            }
        }
    }

    /// X9: volumes were prepared only while the Plan was active.
    fn held_runs_do_not_start(&self) {
        let mut inactive = BTreeSet::new();
        for Entry { stream, event } in &self.log.entries {
            match event {
                Event::Plan(PlanEvent::PlanActivated {}) => drop(inactive.remove(&stream.id)),
                Event::Plan(PlanEvent::PlanDeactivated {}) => drop(inactive.insert(&stream.id)),
                Event::Run(RunEvent::RunVolumesPrepared { .. }) => {
                    let plan = self.plan_of(stream).to_string();
                    assert!(!inactive.contains(&plan), "X9: {stream} started under the inactive Plan {plan}");
                }
                Event::Run(_)
                | Event::Data(_)
                | Event::Catalog(_)
                | Event::Plan(_)
                | Event::Agent(_)
                | Event::Journal(_) => {}
            }
        }
    }

    fn plan_of(&self, run: &StreamId) -> PlanId {
        let born = self.log.stream(run).find_map(|(_, event)| {
            if let Event::Run(RunEvent::RunProjected { plan_id, .. }) = event { Some(*plan_id) } else { None }
        });
        born.unwrap()
    }

    /// The places that are taken are exactly those of live Runs, tombstones and open agents; and whoever
    /// uses a Data keeps it from being discarded (I22, X7).
    fn reservations_follow_from_the_states(&self) {
        for (id, data) in &self.data {
            let users = |tombstones: bool| {
                let runs = self.existing().filter(move |run| (run.status == Status::Invalidated) == tombstones);
                runs.filter(|run| run.input_data().contains(id)).map(|run| Holder::Run(run.id))
            };
            let writer = self.writers.contains(id).then_some(Holder::Writer);
            let readers =
                self.readers.iter().filter(|(data, _)| data == id).map(|(_, name)| Holder::Reader(name.clone()));
            let using: BTreeSet<Holder> = users(false).chain(writer).chain(readers).collect();
            assert_eq!(
                self.log.holders(Scope::DataUse(*id)),
                using.iter().cloned().collect::<Vec<_>>(),
                "users of {id}"
            );
            assert!(using.is_empty() || data.standing == Standing::Living, "I22, X7: {id} is used by {using:?}");
            let remembering: Vec<Holder> = users(true).collect();
            assert_eq!(self.log.holders(Scope::DataTombstones(*id)), remembering, "tombstones of {id}");
        }
    }
}

/// Whether an output or the log of one Plan carries all tags of an input of the other; inputs are not pinned here.
fn feeds(upstream: &Admitted, downstream: &Admitted) -> bool {
    let outputs = upstream.definition.outputs.iter().map(|output| &output.tags);
    let mut outputs = outputs.chain(upstream.definition.log.iter().map(|log| &log.tags));
    let inputs = &downstream.definition.inputs;
    outputs.any(|output| inputs.iter().any(|input| input.tags.iter().all(|tag| output.contains(tag))))
}
