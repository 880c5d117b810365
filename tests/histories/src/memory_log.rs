//! A log in memory that keeps the promises on which decisions rest (design D2 and D5): one order,
//! versions, conditions, and reservations that follow from the events; all of a decision or nothing.

use std::collections::{BTreeMap, BTreeSet};

use knit_domain::agent::Agent;
use knit_domain::catalog::Catalog;
use knit_domain::data::Data;
use knit_domain::decision::{Condition, Decision, Versioned};
use knit_domain::event::data::DataEvent;
use knit_domain::event::{Event, Position, Sequence, StreamId};
use knit_domain::id::{AgentName, KnitId, PlanId, RunId};
use knit_domain::plan::Plan;
use knit_domain::reservation::{Change, Holder, Scope, changes};
use knit_domain::run::Run;

/// Why a decision was not appended: something has moved since it was taken.
#[derive(Debug, Clone, PartialEq)]
pub enum Conflict {
    /// A stream that is written is not at the expected version.
    Version(StreamId),
    /// A condition does not hold.
    Unmet(Condition),
    /// A place that an event takes is taken.
    Taken(Scope, Holder),
}

/// An appended event; its position is its index plus one.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Where it went.
    pub stream: StreamId,
    /// What happened.
    pub event: Event,
}

#[derive(Debug, Clone, Default)]
/// The log, and what follows from it.
pub struct MemoryLog {
    /// Every event, in the order of the positions.
    pub entries: Vec<Entry>,
    /// Every decision that was appended, in order.
    pub taken: Vec<Decision>,
    /// What belongs to events and is not in them, by its hash; it goes when the log that it is of is forgotten.
    pub attachments: BTreeMap<String, Vec<u8>>,
    versions: BTreeMap<StreamId, Sequence>,
    reservations: BTreeMap<Scope, BTreeSet<Holder>>,
}

impl MemoryLog {
    /// Appends all of a decision, or nothing.
    ///
    /// # Errors
    /// [`Conflict`] when something has moved since it was taken.
    ///
    /// # Panics
    /// When no log could take it: a stream is written twice, or without events.
    pub fn append(&mut self, decision: &Decision) -> Result<(), Conflict> {
        self.reservations = self.judge(decision)?;
        self.taken.push(decision.clone());
        let attached = decision.attachments.iter().map(|it| (it.sha256.clone(), it.bytes.clone()));
        self.attachments.extend(attached);
        for event in decision.events() {
            if let Event::Data(DataEvent::LogRedacted { tails, .. }) = event {
                self.attachments.retain(|sha256, _| !tails.contains(sha256));
            }
        }
        for write in &decision.writes {
            *self.versions.entry(write.stream.clone()).or_default() += write.events.len() as Sequence;
            let entry = |event: &Event| Entry { stream: write.stream.clone(), event: event.clone() };
            self.entries.extend(write.events.iter().map(entry));
        }
        Ok(())
    }

    /// The reservations as they would be with all of a decision.
    ///
    /// # Errors
    /// [`Conflict`] when it would not be appended.
    ///
    /// # Panics
    /// As [`Self::append`].
    pub fn judge(&self, decision: &Decision) -> Result<BTreeMap<Scope, BTreeSet<Holder>>, Conflict> {
        self.check_versions(decision)?;
        if let Some(unmet) = decision.conditions.iter().find(|condition| !self.holds(condition)) {
            return Err(Conflict::Unmet(unmet.clone()));
        }
        let mut reservations = self.reservations.clone();
        for write in &decision.writes {
            let mut changes = write.events.iter().flat_map(|event| changes(&write.stream, event));
            changes.try_for_each(|change| reserve(&mut reservations, change))?;
        }
        Ok(reservations)
    }

    fn check_versions(&self, decision: &Decision) -> Result<(), Conflict> {
        let mut written = BTreeSet::new();
        for write in &decision.writes {
            assert!(written.insert(&write.stream), "{} is written twice in one decision", write.stream);
            assert!(!write.events.is_empty(), "a write without events to {}", write.stream);
            if self.version(&write.stream) != write.expected {
                return Err(Conflict::Version(write.stream.clone()));
            }
        }
        Ok(())
    }

    fn holds(&self, condition: &Condition) -> bool {
        match condition {
            Condition::StreamAt { stream, version } => self.version(stream) == *version,
            Condition::Free { scope, holder } => !self.holders(*scope).contains(holder),
            Condition::Taken { scope, holder } => self.holders(*scope).contains(holder),
            Condition::ScopeEmpty { scope } => self.holders(*scope).is_empty(),
            Condition::LogAt { position } => self.position() == *position,
        }
    }

    /// The position of the last event; 0 when there is none.
    pub fn position(&self) -> Position {
        self.entries.len() as Position
    }

    /// How many events a stream has.
    pub fn version(&self, stream: &StreamId) -> Sequence {
        self.versions.get(stream).copied().unwrap_or(0)
    }

    /// Who holds a place in a scope, sorted.
    pub fn holders(&self, scope: Scope) -> Vec<Holder> {
        self.reservations.get(&scope).into_iter().flatten().cloned().collect()
    }

    /// The events of one stream, oldest first, each with its position.
    pub fn stream<'a>(&'a self, stream: &'a StreamId) -> impl Iterator<Item = (usize, &'a Event)> {
        let entries = self.entries.iter().enumerate();
        entries.filter(move |(_, entry)| entry.stream == *stream).map(|(index, entry)| (index + 1, &entry.event))
    }

    fn load<T: Default>(&self, stream: &StreamId, apply: impl Fn(&mut T, &Event)) -> Versioned<T> {
        Versioned::fold(self.stream(stream).map(|(_, event)| event), apply)
    }

    /// A Run, folded.
    ///
    /// # Panics
    /// When its stream has an event of something else.
    pub fn run(&self, id: RunId) -> Versioned<Run> {
        self.load(&StreamId::run(id), |run: &mut Run, event| {
            let Event::Run(event) = event else { panic!("{event:?} in the stream of a Run") };
            run.apply(event);
        })
    }

    /// A Data, folded.
    ///
    /// # Panics
    /// When its stream has an event of something else.
    pub fn data(&self, id: KnitId) -> Versioned<Data> {
        self.load(&StreamId::data(id), |data: &mut Data, event| {
            let Event::Data(event) = event else { panic!("{event:?} in the stream of a Data") };
            data.apply(event);
        })
    }

    /// A Data Agent, folded.
    ///
    /// # Panics
    /// When its stream has an event of something else.
    pub fn agent(&self, name: &AgentName) -> Versioned<Agent> {
        self.load(&StreamId::agent(name), |agent: &mut Agent, event| {
            let Event::Agent(event) = event else { panic!("{event:?} in the stream of an agent") };
            agent.apply(event);
        })
    }

    /// A Plan, folded.
    ///
    /// # Panics
    /// When its stream has an event of something else.
    pub fn plan(&self, id: PlanId) -> Versioned<Plan> {
        self.load(&StreamId::plan(id), |plan: &mut Plan, event| {
            let Event::Plan(event) = event else { panic!("{event:?} in the stream of a Plan") };
            plan.apply(event);
        })
    }

    /// The catalog of Plans, folded.
    ///
    /// # Panics
    /// When its stream has an event of something else.
    pub fn catalog(&self) -> Versioned<Catalog> {
        self.load(&StreamId::catalog(), |catalog: &mut Catalog, event| {
            let Event::Catalog(event) = event else { panic!("{event:?} in the stream of the catalog") };
            catalog.apply(event);
        })
    }
}

fn reserve(reservations: &mut BTreeMap<Scope, BTreeSet<Holder>>, change: Change) -> Result<(), Conflict> {
    match change {
        Change::Take(scope, holder) => {
            if reservations.entry(scope).or_default().insert(holder.clone()) {
                Ok(())
            } else {
                Err(Conflict::Taken(scope, holder))
            }
        }
        Change::Release(scope, holder) => {
            reservations.entry(scope).or_default().remove(&holder);
            Ok(())
        }
    }
}
