//! A world in which things happen: the domain decides, and a log in memory remembers.
//!
//! The log keeps the promises of the real one: positions without gaps, time that never goes back,
//! expected versions, conditions and reservations. A decision that does not hold is a mistake of the
//! test or of the domain, and panics.

pub(crate) mod acts;
pub(crate) mod matching;

use std::collections::{BTreeMap, BTreeSet};

use knit_domain::agent::Agent;
use knit_domain::catalog::Catalog;
use knit_domain::data::Data;
use knit_domain::decision::{Condition, Decision, Versioned, Write};
use knit_domain::event::run::RunEvent;
use knit_domain::event::{Event, Metadata, Recorded, Sequence, StreamId};
use knit_domain::id::{AgentName, EventId, KnitId, PlanId, RunId};
use knit_domain::matching::{Candidate, Requirement};
use knit_domain::plan::{Builtin, Plan, define_builtin};
use knit_domain::reservation::{self, Change, Holder, Scope};
use knit_domain::run::Run;
use knit_domain::tag::Tag;
use knit_domain::time::Timestamp;
use knit_projections::projection::Projection;
use uuid::Uuid;

/// The states of all streams, and the log they follow from.
#[derive(Debug, Default)]
pub(crate) struct World {
    pub(crate) log: Vec<Recorded>,
    pub(crate) plans: BTreeMap<PlanId, Versioned<Plan>>,
    pub(crate) runs: BTreeMap<RunId, Versioned<Run>>,
    pub(crate) data: BTreeMap<KnitId, Versioned<Data>>,
    pub(crate) agents: BTreeMap<AgentName, Versioned<Agent>>,
    catalog: Versioned<Catalog>,
    /// When the Run that made each Data was done.
    done_at: BTreeMap<KnitId, Timestamp>,
    versions: BTreeMap<StreamId, Sequence>,
    reserved: BTreeMap<Scope, BTreeSet<Holder>>,
    now: Timestamp,
    ids_given: u64,
}

impl World {
    /// A fresh installation.
    pub(crate) fn new() -> Self {
        let mut world = Self { now: Timestamp(1_700_000_000_000), ..Self::default() };
        for builtin in Builtin::ALL {
            let decision = define_builtin(builtin, &Versioned::default());
            world.append(decision);
        }
        world
    }

    /// Lets time pass until `instant`, which must be to come.
    pub(crate) fn wait_until(&mut self, instant: &str) {
        let instant = Timestamp::parse(instant).unwrap();
        assert!(instant >= self.now, "time never goes back");
        self.now = instant;
    }

    /// Folds the whole log.
    pub(crate) fn fold<P: Projection>(&self) -> P {
        let mut projection = P::default();
        self.catch_up(&mut projection);
        projection
    }

    /// Folds what `projection` has not seen yet.
    pub(crate) fn catch_up<P: Projection>(&self, projection: &mut P) {
        let seen = usize::try_from(projection.position()).unwrap();
        for event in &self.log[seen..] {
            projection.apply(event).unwrap();
        }
    }

    /// An id that was never given before; the same in every run of the test.
    pub(crate) fn fresh_id(&mut self) -> Uuid {
        self.ids_given += 1;
        Uuid::new_v5(&Uuid::nil(), &self.ids_given.to_le_bytes())
    }

    pub(crate) fn done_at(&self, data: KnitId) -> Option<Timestamp> {
        self.done_at.get(&data).copied()
    }

    /// The Data that fit the tags of an input, by the domain's own rule.
    pub(crate) fn fitting(&self, plan: PlanId, path: &str) -> Vec<KnitId> {
        let definition = self.plans[&plan].state.definition().unwrap();
        let input = definition.inputs.iter().find(|input| input.path == path).unwrap();
        let requirement = Requirement::of(&input.tags);
        let living = self.data.values().filter_map(|data| data.state.living().ok());
        let fitting = living.filter(|data| {
            let (knit_id, tags, timestamp) = (data.knit_id, &data.tags, self.done_at(data.knit_id));
            requirement.admits(&Candidate { knit_id, tags, timestamp, done: timestamp.is_some() })
        });
        fitting.map(|data| data.knit_id).collect()
    }

    /// Who uses a Data, or remembers it.
    fn holders(&self, scope: Scope) -> Vec<Holder> {
        self.reserved.get(&scope).into_iter().flatten().cloned().collect()
    }

    /// Appends everything that was decided.
    pub(crate) fn append(&mut self, decision: Decision) {
        decision.conditions.iter().for_each(|condition| assert!(self.holds(condition), "{condition:?}"));
        for Write { stream, expected, events } in decision.writes {
            assert_eq!(self.version(&stream), expected, "{stream}");
            for (sequence, event) in (expected + 1..).zip(events) {
                self.record(stream.clone(), sequence, event);
            }
        }
        self.now = self.now.plus_ms(1);
    }

    fn record(&mut self, stream: StreamId, sequence: Sequence, event: Event) {
        for change in reservation::changes(&stream, &event) {
            match change {
                Change::Take(scope, holder) => {
                    let taken = self.reserved.entry(scope).or_default().insert(holder.clone());
                    assert!(taken, "{holder} holds a place in {scope} already");
                }
                Change::Release(scope, holder) => {
                    self.reserved.entry(scope).or_default().remove(&holder);
                }
            }
        }
        self.apply(&stream, &event);
        self.versions.insert(stream.clone(), sequence);
        let event_id = EventId(self.fresh_id());
        self.log.push(Recorded {
            position: self.log.len() as u64 + 1,
            event_id,
            stream,
            sequence,
            recorded_at: self.now,
            event,
            metadata: Metadata { actor: "test".to_owned(), ..Metadata::default() },
            leaf: [0; 32],
            chain: [0; 32],
        });
    }

    fn apply(&mut self, stream: &StreamId, event: &Event) {
        let id = &stream.id;
        match event {
            Event::Catalog(event) => fold(&mut self.catalog, event, Catalog::apply),
            Event::Plan(event) => fold(self.plans.entry(id.parse().unwrap()).or_default(), event, Plan::apply),
            Event::Run(event) => {
                let run = self.runs.entry(id.parse().unwrap()).or_default();
                fold(run, event, Run::apply);
                if let (RunEvent::RunSucceeded { .. }, Some(record)) = (event, &run.state.record) {
                    self.done_at.extend(record.outputs.iter().map(|output| (output.knit_id, self.now)));
                }
            }
            Event::Data(event) => fold(self.data.entry(id.parse().unwrap()).or_default(), event, Data::apply),
            Event::Agent(event) => fold(self.agents.entry(AgentName(id.clone())).or_default(), event, Agent::apply),
            Event::Journal(_) => {}
        }
    }

    fn holds(&self, condition: &Condition) -> bool {
        match condition {
            Condition::StreamAt { stream, version } => self.version(stream) == *version,
            Condition::Free { scope, holder } => !self.holders(*scope).contains(holder),
            Condition::Taken { scope, holder } => self.holders(*scope).contains(holder),
            Condition::ScopeEmpty { scope } => self.holders(*scope).is_empty(),
        }
    }

    fn version(&self, stream: &StreamId) -> Sequence {
        self.versions.get(stream).copied().unwrap_or_default()
    }
}

fn fold<T, E>(stream: &mut Versioned<T>, event: &E, apply: impl Fn(&mut T, &E)) {
    apply(&mut stream.state, event);
    stream.version += 1;
}

/// Tags from their text forms.
pub(crate) fn tags<'a, T: FromIterator<Tag>>(texts: impl IntoIterator<Item = &'a str>) -> T {
    texts.into_iter().map(|text| Tag::parse(text).unwrap()).collect()
}
