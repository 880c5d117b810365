//! The states of all streams, folded from a log one event after the other.

use std::collections::BTreeMap;

use knit_domain::agent::Agent;
use knit_domain::catalog::Catalog;
use knit_domain::data::Data;
use knit_domain::decision::Versioned;
use knit_domain::event::run::RunEvent;
use knit_domain::event::{Event, Recorded, StreamId};
use knit_domain::id::{AgentName, KnitId, PlanId, RunId};
use knit_domain::matching::{Candidate, Requirement};
use knit_domain::plan::Plan;
use knit_domain::run::Run;
use knit_domain::time::Timestamp;

/// Everything there is, as the domain sees it.
#[derive(Debug, Default)]
pub struct States {
    /// Every Plan that was registered or is built in.
    pub plans: BTreeMap<PlanId, Versioned<Plan>>,
    /// Every Run that ever was; one that was erased has no record.
    pub runs: BTreeMap<RunId, Versioned<Run>>,
    /// Every Data that ever was.
    pub data: BTreeMap<KnitId, Versioned<Data>>,
    /// Every Data Agent that ever was.
    pub agents: BTreeMap<AgentName, Versioned<Agent>>,
    /// The one catalog of Plans.
    pub catalog: Versioned<Catalog>,
    /// When the Run that made each Data was done.
    done_at: BTreeMap<KnitId, Timestamp>,
}

impl States {
    /// The states after these events, which are a log from its beginning.
    pub fn of<'e>(events: impl IntoIterator<Item = &'e Recorded>) -> Self {
        let mut states = Self::default();
        events.into_iter().for_each(|event| states.apply(&event.stream, &event.event, event.recorded_at));
        states
    }

    /// What has become of the states after one event more.
    ///
    /// # Panics
    /// When the stream has not such a name as its kind has.
    pub fn apply(&mut self, stream: &StreamId, event: &Event, at: Timestamp) {
        let id = &stream.id;
        match event {
            Event::Catalog(event) => fold(&mut self.catalog, event, Catalog::apply),
            Event::Plan(event) => fold(self.plans.entry(id.parse().unwrap()).or_default(), event, Plan::apply),
            Event::Run(event) => {
                let run = self.runs.entry(id.parse().unwrap()).or_default();
                fold(run, event, Run::apply);
                if let (RunEvent::RunSucceeded { .. }, Some(record)) = (event, &run.state.record) {
                    self.done_at.extend(record.outputs.iter().map(|output| (output.knit_id, at)));
                }
            }
            Event::Data(event) => fold(self.data.entry(id.parse().unwrap()).or_default(), event, Data::apply),
            Event::Agent(event) => fold(self.agents.entry(AgentName(id.clone())).or_default(), event, Agent::apply),
            Event::Journal(_) => {}
        }
    }

    /// When the Run that made a Data was done, if it was.
    #[must_use]
    pub fn done_at(&self, data: KnitId) -> Option<Timestamp> {
        self.done_at.get(&data).copied()
    }

    /// The Data that fit the tags of an input, by the domain's own rule.
    ///
    /// # Panics
    /// When there is no such Plan, or it has no such input.
    #[must_use]
    pub fn fitting(&self, plan: PlanId, path: &str) -> Vec<KnitId> {
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
}

fn fold<T, E>(stream: &mut Versioned<T>, event: &E, apply: impl Fn(&mut T, &E)) {
    apply(&mut stream.state, event);
    stream.version += 1;
}
