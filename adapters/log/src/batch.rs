//! The judgement of a batch: which requests hold, in order, each alone, and what is to be written.
//!
//! Pure. The database answers a few questions about streams, reservations and event ids in one look, or
//! checks the answers that the batch takes for granted as it writes; the whole batch is judged here on
//! these answers, each request on top of those before it that held. So two requests of one batch that
//! exclude each other come out exactly as if they had come in two transactions, and a request that fails
//! leaves no trace.

use std::collections::{BTreeSet, HashMap, HashSet};

use knit_domain::decision::{Attachment, Condition};
use knit_domain::event::{Metadata, Position, Recorded, Sequence, StreamId};
use knit_domain::id::EventId;
use knit_domain::reservation::{Change, Holder, Scope};
use knit_domain::time::Timestamp;

use crate::chain::{self, Hash};
use crate::error::{AppendError, Conflict, Fault};
use crate::redacted::Emptying;
use crate::request::{Appended, Prepared, PreparedEvent};

/// A place in a scope, by holder.
pub(crate) type Place = (Scope, Holder);

/// The end of the log, as its head row says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) position: Position,
    pub(crate) chain: Hash,
    pub(crate) recorded_at: Timestamp,
}

/// What must be known of the database to judge a batch, and what the batch takes for granted; nothing is
/// asked twice.
#[derive(Debug, Default)]
pub(crate) struct Questions {
    /// At which version is each?
    pub(crate) streams: Vec<StreamId>,
    /// The version at which the batch first expects each stream.
    pub(crate) expected: Vec<Sequence>,
    /// Is each taken?
    pub(crate) places: Vec<Place>,
    /// Whether the batch first expects each place to be taken.
    pub(crate) held: Vec<bool>,
    /// Who is in each?
    pub(crate) scopes: Vec<Scope>,
    /// Which are in the log already, and where?
    pub(crate) event_ids: Vec<EventId>,
    /// Whether events are to be emptied, or attachments removed.
    pub(crate) empties: bool,
}

/// What the database answered, all at one instant.
#[derive(Debug)]
pub(crate) struct Answers {
    pub(crate) end: End,
    /// Version of each stream asked for, in the same order; 0 when it does not exist.
    pub(crate) versions: Vec<Sequence>,
    /// Whether each place asked for is taken, in the same order.
    pub(crate) taken: Vec<bool>,
    /// Every place in the scopes asked for.
    pub(crate) members: Vec<Place>,
    /// The events asked for that exist.
    pub(crate) known: Vec<(EventId, Known)>,
}

/// Where an event is recorded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known {
    pub(crate) position: Position,
    pub(crate) recorded_at: Timestamp,
}

/// What is to be written, all of it or nothing.
#[derive(Debug)]
pub(crate) struct Changes<'a> {
    /// The end on which this was judged; if the log has another end by now, judge again.
    pub(crate) before: End,
    pub(crate) after: End,
    /// Events in the order of their positions, the first at `before.position + 1`.
    pub(crate) events: Vec<Placed<'a>>,
    pub(crate) taken: Vec<Place>,
    pub(crate) released: Vec<Place>,
    pub(crate) attachments: Vec<&'a Attachment>,
    /// Events that are emptied.
    pub(crate) emptied: Vec<Emptying>,
    /// Hashes of attachments that are removed.
    pub(crate) detached: Vec<&'a str>,
}

impl Changes<'_> {
    /// The stored names of the events, in their order.
    pub(crate) fn event_types(&self) -> impl Iterator<Item = &'static str> {
        self.events.iter().map(|placed| placed.event.event_type)
    }
}

/// An event in its place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Placed<'a> {
    pub(crate) event: &'a PreparedEvent,
    pub(crate) metadata: &'a Metadata,
    pub(crate) position: Position,
    pub(crate) recorded_at: Timestamp,
    pub(crate) chain: Hash,
}

impl Placed<'_> {
    /// The event as a reader gets it.
    pub(crate) fn recorded(&self) -> Recorded {
        let prepared = self.event;
        Recorded {
            position: self.position,
            event_id: prepared.id,
            stream: prepared.stream.clone(),
            sequence: prepared.sequence,
            recorded_at: self.recorded_at,
            event: prepared.event.clone(),
            metadata: self.metadata.clone(),
            leaf: prepared.leaf,
            chain: self.chain,
        }
    }
}

/// What became of one request.
pub(crate) type Verdict = Result<Appended, AppendError>;

impl Questions {
    /// What must be known to judge `batch`.
    pub(crate) fn of(batch: &[&Prepared]) -> Self {
        let mut streams: HashMap<&StreamId, Sequence> = HashMap::new();
        let mut places: HashMap<(Scope, &Holder), bool> = HashMap::new();
        let mut scopes = HashSet::new();
        let mut event_ids = HashSet::new();
        for request in batch {
            for condition in &request.conditions {
                match condition {
                    Condition::StreamAt { stream, version } => _ = streams.entry(stream).or_insert(*version),
                    Condition::Free { scope, holder } => _ = places.entry((*scope, holder)).or_insert(false),
                    Condition::Taken { scope, holder } => _ = places.entry((*scope, holder)).or_insert(true),
                    Condition::ScopeEmpty { scope } => _ = scopes.insert(*scope),
                    // The end is always asked for, and checked as the batch is written.
                    Condition::LogAt { .. } => {}
                }
            }
            for (stream, expected) in &request.writes {
                streams.entry(stream).or_insert(*expected);
            }
            for change in &request.changes {
                match change {
                    Change::Take(scope, holder) => places.entry((*scope, holder)).or_insert(false),
                    Change::Release(scope, holder) => places.entry((*scope, holder)).or_insert(true),
                };
            }
            event_ids.extend(request.events.iter().map(|event| event.id));
        }
        let (streams, expected) = streams.into_iter().map(|(stream, version)| (stream.clone(), version)).unzip();
        let places = places.into_iter().map(|((scope, holder), held)| ((scope, holder.clone()), held));
        let (places, held) = places.unzip();
        let (scopes, event_ids) = (scopes.into_iter().collect(), event_ids.into_iter().collect());
        let empties = |request: &&Prepared| request.emptied().next().is_some() || request.detached().next().is_some();
        let empties = batch.iter().any(empties);
        Self { streams, expected, places, held, scopes, event_ids, empties }
    }

    /// The answers that the batch takes for granted at `end`: everything is as whoever mentions it first expects,
    /// and nothing of it is in the log yet. Whoever judges by them must let the database check them as it writes.
    pub(crate) fn presumed(&self, end: End) -> Answers {
        let (versions, taken) = (self.expected.clone(), self.held.clone());
        Answers { end, versions, taken, members: Vec::new(), known: Vec::new() }
    }
}

/// Judges every request of `batch` in order; `now` is the clock's time, which may have jumped back.
pub(crate) fn judge<'a>(
    batch: &[&'a Prepared],
    questions: &Questions,
    answers: Answers,
    now: Timestamp,
) -> (Vec<Verdict>, Changes<'a>) {
    let before = answers.end;
    // The stamps never go back along positions, whatever the clock of this machine does.
    let recorded_at = now.max(before.recorded_at);
    let taken_before = questions.places.iter().cloned().zip(answers.taken.iter().copied()).collect();
    let mut state = State::new(questions, answers);
    let mut changes = Changes {
        before,
        after: before,
        events: vec![],
        taken: vec![],
        released: vec![],
        attachments: vec![],
        emptied: vec![],
        detached: vec![],
    };
    let verdicts = batch.iter().map(|request| state.admit(request, recorded_at, &mut changes)).collect();
    state.net_changes(&taken_before, &mut changes);
    (verdicts, changes)
}

/// The database as the requests judged so far leave it.
struct State {
    position: Position,
    versions: HashMap<StreamId, Sequence>,
    taken: HashMap<Place, bool>,
    members: HashMap<Scope, BTreeSet<Holder>>,
    known: HashMap<EventId, Known>,
}

impl State {
    fn new(questions: &Questions, answers: Answers) -> Self {
        let mut members: HashMap<Scope, BTreeSet<Holder>> = HashMap::new();
        members.extend(questions.scopes.iter().map(|scope| (*scope, BTreeSet::new())));
        for (scope, holder) in answers.members {
            members.entry(scope).or_default().insert(holder);
        }
        Self {
            position: answers.end.position,
            versions: questions.streams.iter().cloned().zip(answers.versions).collect(),
            taken: questions.places.iter().cloned().zip(answers.taken).collect(),
            members,
            known: answers.known.into_iter().collect(),
        }
    }

    fn admit<'a>(&mut self, request: &'a Prepared, recorded_at: Timestamp, changes: &mut Changes<'a>) -> Verdict {
        if let Some(repeated) = self.repetition(request)? {
            return Ok(repeated);
        }
        let conflicts = self.conflicts(request);
        if !conflicts.is_empty() {
            return Err(AppendError::Conflict(conflicts));
        }
        self.apply(request);
        Ok(self.place(request, recorded_at, changes))
    }

    /// What was answered when the same events were appended before, if they were.
    fn repetition(&self, request: &Prepared) -> Result<Option<Appended>, Fault> {
        let known: Vec<Known> = request.events.iter().filter_map(|event| self.known.get(&event.id)).copied().collect();
        let Some(last) = known.last() else { return Ok(None) };
        if known.len() != request.events.len() {
            return Err(Fault::PartlyRecorded { recorded: known.len(), events: request.events.len() });
        }
        let positions = known.iter().map(|known| known.position).collect();
        Ok(Some(Appended { position: last.position, positions, recorded_at: last.recorded_at, repeated: true }))
    }

    /// Everything in `request` that does not hold.
    fn conflicts(&self, request: &Prepared) -> Vec<Conflict> {
        let conditions = request.conditions.iter().filter_map(|condition| self.unmet(condition));
        let writes = request.writes.iter().filter_map(|(stream, expected)| self.moved(stream, *expected));
        conditions.chain(writes).chain(self.collisions(&request.changes)).collect()
    }

    fn unmet(&self, condition: &Condition) -> Option<Conflict> {
        match condition {
            Condition::StreamAt { stream, version } => self.moved(stream, *version),
            Condition::Free { scope, holder } => {
                self.is_taken(*scope, holder).then(|| Conflict::Taken { scope: *scope, holder: holder.clone() })
            }
            Condition::Taken { scope, holder } => {
                (!self.is_taken(*scope, holder)).then(|| Conflict::Free { scope: *scope, holder: holder.clone() })
            }
            Condition::ScopeEmpty { scope } => {
                let holders: Vec<Holder> = self.members.get(scope).into_iter().flatten().cloned().collect();
                (!holders.is_empty()).then_some(Conflict::ScopeNotEmpty { scope: *scope, holders })
            }
            Condition::LogAt { position } => {
                (self.position != *position).then_some(Conflict::Log { expected: *position, actual: self.position })
            }
        }
    }

    fn moved(&self, stream: &StreamId, expected: Sequence) -> Option<Conflict> {
        let actual = self.versions.get(stream).copied().unwrap_or(0);
        (actual != expected).then(|| Conflict::Stream { stream: stream.clone(), expected, actual })
    }

    /// Places that the request takes although they are taken, by others or by itself.
    fn collisions(&self, changes: &[Change]) -> Vec<Conflict> {
        let mut own: HashMap<(Scope, &Holder), bool> = HashMap::new();
        let mut conflicts = Vec::new();
        for change in changes {
            match change {
                Change::Take(scope, holder) => {
                    let taken = own.insert((*scope, holder), true);
                    if taken.unwrap_or_else(|| self.is_taken(*scope, holder)) {
                        conflicts.push(Conflict::Taken { scope: *scope, holder: holder.clone() });
                    }
                }
                Change::Release(scope, holder) => drop(own.insert((*scope, holder), false)),
            }
        }
        conflicts
    }

    fn is_taken(&self, scope: Scope, holder: &Holder) -> bool {
        self.taken.get(&(scope, holder.clone())).copied().unwrap_or(false)
    }

    fn apply(&mut self, request: &Prepared) {
        for event in &request.events {
            self.versions.insert(event.stream.clone(), event.sequence);
        }
        for change in &request.changes {
            let (Change::Take(scope, holder) | Change::Release(scope, holder)) = change;
            let take = matches!(change, Change::Take(..));
            self.taken.insert((*scope, holder.clone()), take);
            if let Some(members) = self.members.get_mut(scope) {
                if take {
                    members.insert(holder.clone())
                } else {
                    members.remove(holder)
                };
            }
        }
    }

    /// Gives every event of an admitted request its position and its link of the chain.
    fn place<'a>(&mut self, request: &'a Prepared, recorded_at: Timestamp, changes: &mut Changes<'a>) -> Appended {
        let mut positions = Vec::with_capacity(request.events.len());
        for event in &request.events {
            let position = changes.after.position + 1;
            let chain = chain::link(&changes.after.chain, position, recorded_at, &event.leaf);
            changes.after = End { position, chain, recorded_at };
            self.position = position;
            changes.events.push(Placed { event, metadata: &request.metadata, position, recorded_at, chain });
            self.known.insert(event.id, Known { position, recorded_at });
            positions.push(position);
        }
        changes.attachments.extend(&request.attachments);
        changes.emptied.extend(request.emptied());
        changes.detached.extend(request.detached());
        let end = changes.after;
        Appended { position: end.position, positions, recorded_at: end.recorded_at, repeated: false }
    }

    /// The difference between the places before and after the batch.
    fn net_changes(self, before: &HashMap<Place, bool>, changes: &mut Changes<'_>) {
        for (place, taken) in self.taken {
            match (before.get(&place).copied().unwrap_or(false), taken) {
                (false, true) => changes.taken.push(place),
                (true, false) => changes.released.push(place),
                (true, true) | (false, false) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests;
