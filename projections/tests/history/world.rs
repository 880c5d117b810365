//! A world in which things happen: the domain decides, and a log in memory remembers.
//!
//! The log keeps the promises of the real one: positions without gaps, time that never goes back,
//! expected versions, conditions and reservations. A decision that does not hold is a mistake of the
//! test or of the domain, and panics.

pub(crate) mod acts;
pub(crate) mod matching;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;

use knit_domain::decision::{Condition, Decision, Versioned, Write};
use knit_domain::event::{Event, Metadata, Recorded, Sequence, StreamId};
use knit_domain::id::EventId;
use knit_domain::plan::{Builtin, define_builtin};
use knit_domain::reservation::{self, Change, Holder, Scope};
use knit_domain::tag::Tag;
use knit_domain::time::Timestamp;
use knit_histories::states::States;
use knit_projections::projection::Projection;
use uuid::Uuid;

/// The states of all streams, and the log they follow from.
#[derive(Debug, Default)]
pub(crate) struct World {
    pub(crate) log: Vec<Recorded>,
    states: States,
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
        self.states.apply(&stream, &event, self.now);
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

    fn holds(&self, condition: &Condition) -> bool {
        match condition {
            Condition::StreamAt { stream, version } => self.version(stream) == *version,
            Condition::Free { scope, holder } => !self.holders(*scope).contains(holder),
            Condition::Taken { scope, holder } => self.holders(*scope).contains(holder),
            Condition::ScopeEmpty { scope } => self.holders(*scope).is_empty(),
            Condition::LogAt { position } => self.log.len() as u64 == *position,
        }
    }

    fn version(&self, stream: &StreamId) -> Sequence {
        self.versions.get(stream).copied().unwrap_or_default()
    }
}

impl Deref for World {
    type Target = States;

    fn deref(&self) -> &States {
        &self.states
    }
}

/// Tags from their text forms.
pub(crate) fn tags<'a, T: FromIterator<Tag>>(texts: impl IntoIterator<Item = &'a str>) -> T {
    texts.into_iter().map(|text| Tag::parse(text).unwrap()).collect()
}
