//! The real log beside its model.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use knit_domain::decision::{Condition, Decision};
use knit_domain::event::agent::AgentEvent;
use knit_domain::event::plan::PlanEvent;
use knit_domain::event::{Entity, Event, Metadata, Position, Recorded, StreamId, StreamType};
use knit_domain::id::{AgentMode, AgentName, KnitId};
use knit_domain::reservation::{Holder, Scope};
use knit_histories::invariants;
use knit_histories::memory_log::{self, Entry, MemoryLog};
use knit_histories::play::Play;
use knit_log::{AppendError, Appended, Conflict, Request, chain};
use proptest::prelude::*;

use super::followers::Followers;
use super::{PAGE, Place, Rehearsal, failed};

/// A request by somebody.
pub(super) fn request(decision: Decision) -> Request {
    Request::new(decision, Metadata { actor: "somebody".to_owned(), ..Metadata::default() })
}

impl<'a> Rehearsal<'a> {
    /// The real log gets what the model has from the beginning.
    pub(super) async fn begin(place: &'a Place) -> Result<Self, TestCaseError> {
        let play = Play::new();
        let begun = play.world.log.taken.clone();
        let mut rehearsal = Self {
            place,
            logs: place.open().await,
            play,
            decided: Vec::new(),
            recorded: Vec::new(),
            followers: Followers::default(),
        };
        rehearsal.play.world.log = MemoryLog::default();
        for decision in begun {
            // Servers that start at once all try to define what is built in (X15).
            let builtin = |event: &Event| matches!(event, Event::Plan(PlanEvent::BuiltinPlanDefined { .. }));
            let tries = if decision.events().any(builtin) { rehearsal.logs.len() } else { 1 };
            rehearsal.append((0..tries).map(|_| request(decision.clone())).collect()).await?;
        }
        Ok(rehearsal)
    }

    /// A second writer for a Data that has one.
    pub(super) fn trespass(&self, at: usize) -> Option<Request> {
        let model = &self.play.world.log;
        let written = |id: &KnitId| model.holders(Scope::DataUse(*id)).contains(&Holder::Writer);
        let written: Vec<KnitId> = self.data().into_iter().filter(written).collect();
        let knit_id = written[at.checked_rem(written.len())?];
        let (name, mode) = (AgentName::of(knit_id, AgentMode::Write, u32::MAX), AgentMode::Write);
        let stream = StreamId::agent(&name);
        let opened = AgentEvent::AgentOpened { name, knit_id, mode, server: "another".to_owned() };
        Some(request(Decision::write(stream, 0, [opened])))
    }

    /// Every Data that ever was.
    fn data(&self) -> BTreeSet<KnitId> {
        let entries = self.play.world.log.entries.iter().filter(|entry| entry.stream.kind == StreamType::Data);
        entries.map(|entry| entry.stream.id.parse().unwrap()).collect()
    }

    /// Appends by several at once. In the order of the positions the model must take all that the real log took,
    /// and what was refused must have been out of date before one of them or after all.
    pub(super) async fn append(&mut self, requests: Vec<Request>) -> Result<(), TestCaseError> {
        let asked = requests.iter().zip(self.logs.iter().cycle()).map(|(request, log)| log.append(request.clone()));
        let answers = join_all(asked).await;
        let mut taken: BTreeMap<Position, (Request, Vec<Appended>)> = BTreeMap::new();
        let mut refused = Vec::new();
        for (request, answer) in requests.into_iter().zip(answers) {
            match answer {
                Ok(appended) => {
                    let first = appended.positions[0];
                    taken.entry(first).or_insert_with(|| (request, Vec::new())).1.push(appended);
                }
                Err(AppendError::Conflict(conflicts)) => {
                    refused.push(Refused { request, conflicts, is_explained: false });
                }
                Err(other) => return Err(failed(other)),
            }
        }
        let before = self.length();
        for (request, answers) in taken.into_values() {
            refused.iter_mut().for_each(|refused| refused.compare(&self.play.world.log));
            self.take_over(request, answers)?;
        }
        refused.iter_mut().for_each(|refused| refused.compare(&self.play.world.log));
        let unexplained: Vec<&Refused> = refused.iter().filter(|refused| !refused.is_explained).collect();
        prop_assert!(unexplained.is_empty(), "refused without a reason: {:#?}", unexplained);
        self.compare_since(before).await
    }

    /// The model appends what the real log has appended, for the same places.
    fn take_over(&mut self, request: Request, mut answers: Vec<Appended>) -> Result<(), TestCaseError> {
        let next = self.length() + 1;
        self.play.world.log.append(&request.decision).map_err(|conflict| {
            TestCaseError::fail(format!("the model says {conflict:?}, and this was appended: {request:#?}"))
        })?;
        invariants::check(&self.play.world.log);
        let positions: Vec<Position> = (next..=self.length()).collect();
        let once = answers.iter().position(|answer| !answer.repeated);
        let first = answers.swap_remove(once.ok_or_else(|| TestCaseError::fail("all say that another was first"))?);
        prop_assert_eq!((&first.positions, first.position), (&positions, self.length()));
        for again in answers {
            prop_assert_eq!(again, Appended { repeated: true, ..first.clone() });
        }
        self.recorded.push((request, first));
        Ok(())
    }

    /// What the real log has behind a position, and of the streams that grew, is what the model has.
    async fn compare_since(&self, position: Position) -> Result<(), TestCaseError> {
        let events = self.logs[1].read(position, PAGE).await.map_err(failed)?;
        let entries = &self.play.world.log.entries[usize::try_from(position).unwrap()..];
        prop_assert_eq!(as_entries(&events), entries.iter().take(PAGE).cloned().collect::<Vec<_>>());
        let streams: BTreeSet<&StreamId> = entries.iter().map(|entry| &entry.stream).collect();
        for stream in streams {
            // Before anybody loads it, which would refresh what is remembered.
            let recalled = join_all(self.logs.iter().map(|log| log.recall(stream))).await;
            let events = self.compare_stream(stream).await?;
            for recalled in recalled {
                let recalled = recalled.map_err(failed)?;
                // Only what other processes have appended since may be missing.
                prop_assert!(recalled.len() == events.len() || matches!(self.place, Place::Postgresql(_)));
                prop_assert!(
                    recalled.len() <= events.len() && recalled.iter().map(AsRef::as_ref).eq(&events[..recalled.len()])
                );
            }
        }
        Ok(())
    }

    async fn compare_stream(&self, stream: &StreamId) -> Result<Vec<Recorded>, TestCaseError> {
        let events = self.logs[0].load(stream).await.map_err(failed)?;
        let places: Vec<(usize, u64, &Event)> = (1..)
            .zip(&events)
            .map(|(sequence, event)| {
                assert_eq!(event.sequence, sequence, "{stream}");
                (usize::try_from(event.position).unwrap(), sequence, &event.event)
            })
            .collect();
        let model = self.play.world.log.stream(stream);
        let expected: Vec<_> =
            (1..).zip(model).map(|(sequence, (position, event))| (position, sequence, event)).collect();
        prop_assert_eq!(places, expected, "{}", stream);
        prop_assert_eq!(self.play.world.log.version(stream), events.len() as u64);
        Ok(events)
    }

    /// The whole real log is the model, and is whole. Answers its events.
    pub(super) async fn compare_everything(&self) -> Result<Vec<Recorded>, TestCaseError> {
        let mut events: Vec<Recorded> = Vec::new();
        loop {
            let page = self.logs[0].read(events.len() as Position, PAGE).await.map_err(failed)?;
            if page.is_empty() {
                break;
            }
            events.extend(page);
        }
        prop_assert_eq!(&as_entries(&events), &self.play.world.log.entries);
        self.chain_is_whole(&events).await?;
        let entries = &self.play.world.log.entries;
        for stream in entries.iter().map(|entry| &entry.stream).collect::<BTreeSet<_>>() {
            self.compare_stream(stream).await?;
        }
        self.reservations_are_the_same().await?;
        self.entities_are_found().await?;
        Ok(events)
    }

    async fn chain_is_whole(&self, events: &[Recorded]) -> Result<(), TestCaseError> {
        let (mut before, mut stamp) = (chain::GENESIS, knit_domain::time::Timestamp(i64::MIN));
        for (position, event) in (1..).zip(events) {
            prop_assert_eq!(event.position, position);
            prop_assert!(event.recorded_at >= stamp, "the stamp of {} goes back", position);
            prop_assert_eq!(event.chain, chain::link(&before, position, event.recorded_at, &event.leaf));
            (before, stamp) = (event.chain, event.recorded_at);
        }
        let stored = self.logs[0].read_stored(0, events.len() + 1).await.map_err(failed)?;
        prop_assert_eq!(stored.len(), events.len());
        prop_assert!(stored.iter().all(|event| event.leaf_of_content() == event.leaf));
        for log in &self.logs {
            let head = log.head().await.map_err(failed)?;
            prop_assert_eq!((head.position, head.chain, head.recorded_at), (events.len() as Position, before, stamp));
        }
        Ok(())
    }

    /// What was kept of logs and not forgotten, and nothing that was forgotten. An export does not carry it.
    pub(super) async fn attachments_are_the_same(&self) -> Result<(), TestCaseError> {
        let model = &self.play.world.log;
        let ever = model.taken.iter().flat_map(|decision| &decision.attachments);
        for sha256 in ever.map(|attachment| &attachment.sha256).collect::<BTreeSet<_>>() {
            let kept = self.logs[0].attachment(sha256).await.map_err(failed)?;
            prop_assert_eq!(kept.as_ref(), model.attachments.get(sha256), "{}", sha256);
        }
        Ok(())
    }

    async fn reservations_are_the_same(&self) -> Result<(), TestCaseError> {
        let model = &self.play.world.log;
        for scope in self.data().into_iter().flat_map(|id| [Scope::DataUse(id), Scope::DataTombstones(id)]) {
            let mut holders = self.logs[0].holders(&scope).await.map_err(failed)?;
            holders.sort();
            prop_assert_eq!(holders, model.holders(scope), "{}", scope);
        }
        Ok(())
    }

    /// Whatever is said of an entity is found by it.
    async fn entities_are_found(&self) -> Result<(), TestCaseError> {
        let mut said: BTreeMap<Entity, Vec<Position>> = BTreeMap::new();
        for (position, Entry { stream, event }) in (1..).zip(&self.play.world.log.entries) {
            event.entities(stream).into_iter().for_each(|entity| said.entry(entity).or_default().push(position));
        }
        for (entity, positions) in said {
            prop_assert_eq!(self.logs[0].positions_of(entity, 0, usize::MAX).await.map_err(failed)?, positions);
        }
        Ok(())
    }
}

/// A request that was out of date, and what the real log said of it.
#[derive(Debug)]
struct Refused {
    request: Request,
    conflicts: Vec<Conflict>,
    is_explained: bool,
}

impl Refused {
    /// Explained if the model, as it is now, refuses it for one of the reasons that were given.
    fn compare(&mut self, model: &MemoryLog) {
        if let Err(conflict) = model.judge(&self.request.decision) {
            self.is_explained |= self.conflicts.contains(&as_told(model, &self.request.decision, conflict));
        }
    }
}

/// A conflict of the model in the words of the real log.
fn as_told(model: &MemoryLog, decision: &Decision, conflict: memory_log::Conflict) -> Conflict {
    let moved = |stream: StreamId, expected| Conflict::Stream { actual: model.version(&stream), stream, expected };
    match conflict {
        memory_log::Conflict::Version(stream) => {
            let write = decision.writes.iter().find(|write| write.stream == stream);
            moved(stream, write.expect("it is written").expected)
        }
        memory_log::Conflict::Unmet(Condition::StreamAt { stream, version }) => moved(stream, version),
        memory_log::Conflict::Unmet(Condition::Free { scope, holder }) | memory_log::Conflict::Taken(scope, holder) => {
            Conflict::Taken { scope, holder }
        }
        memory_log::Conflict::Unmet(Condition::Taken { scope, holder }) => Conflict::Free { scope, holder },
        memory_log::Conflict::Unmet(Condition::ScopeEmpty { scope }) => {
            Conflict::ScopeNotEmpty { scope, holders: model.holders(scope) }
        }
        memory_log::Conflict::Unmet(Condition::LogAt { position }) => {
            Conflict::Log { expected: position, actual: model.position() }
        }
    }
}

fn as_entries(events: &[Recorded]) -> Vec<Entry> {
    events.iter().map(|event| Entry { stream: event.stream.clone(), event: event.event.clone() }).collect()
}
