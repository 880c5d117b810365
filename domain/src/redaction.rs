//! Redaction: taking content out of the history, with proof (design D15).
//!
//! Something that an event says may have to be forgotten: a name in a Tag, a secret in an argument. Then every event
//! that says it is emptied in the log. Its place, its leaf and the chain stay, so that it can still be proved that
//! nothing else was changed; and for each of them an [`EventRedacted`] says so, by whom and why.
//!
//! An emptied event could not be folded: it may be the one that made a Run. So its [`EventRedacted`] keeps what remains
//! of it, the same event with another word in place of what is forgotten. It is the same word in all of them, and
//! no other redaction has it; so Tags still match where they matched, Plans are still equivalent or not, and whatever was
//! decided is still right. From then on readers take what remains for the event, as if it had never said anything
//! else. Its leaf was the hash of what was taken out, too, and proves nothing any more of what stays: who caused it, and in
//! which stream it is. So the [`EventRedacted`] has a hash of that, its envelope, taken while the leaf still proves it.
//! Nobody need undo anything: what was folded before is thrown away and folded again.
//!
//! The text of a Run's log is in no event. It is destroyed with its volume: see [`crate::data::redact_log`].
//!
//! [`EventRedacted`]: JournalEvent::EventRedacted

mod taking;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::decision::{Condition, Decision};
use crate::event::journal::{JournalEvent, Remains};
use crate::event::plan::PlanEvent;
use crate::event::run::RunEvent;
use crate::event::{Event, Position, Recorded, Sequence, StreamId};
use crate::journal::REASON_CHARS_MAX;
use crate::tag::Tag;

/// Most events that are redacted at once: what the log takes in one request.
pub const EVENTS_MAX: usize = 10_000;

/// What is to be forgotten.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Content {
    /// The value of this Tag, on Data and in Plans; its key stays.
    Tag(Tag),
    /// The value of this annotation of Plans; its key stays.
    Annotation {
        /// Before the equals sign.
        key: String,
        /// After it.
        value: String,
    },
    /// This word of the entry points and arguments of Plans, and of the Workers that were made from them.
    Argument(String),
}

/// A redaction that a rule forbids. Nothing changes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RedactionRefused {
    /// There is nothing to forget.
    #[error("nothing in the history says it")]
    Absent,
    /// System Tags are ids and times, on which the history hangs.
    #[error("`{key}` is a key of the system (`knit#…`): such tags cannot be redacted")]
    SystemTag {
        /// The key.
        key: String,
    },
    /// There is no such event.
    #[error("there is no event at {position}: the log does not go so far")]
    NoEvent {
        /// Which event.
        position: Position,
    },
    /// The event says nothing of what people have put into it.
    #[error("the event at {position} says nothing that could be redacted: no tag, no annotation, no argument")]
    SaysNothing {
        /// Which event.
        position: Position,
    },
    /// Which of several things is to be forgotten, a person has to say.
    #[error("the event at {position} says several things, of which one has to be named: {}", listed(says))]
    SaysSeveral {
        /// Which event.
        position: Position,
        /// What it says.
        says: BTreeSet<Content>,
    },
    /// All events that say it have to be redacted at once, or they would no longer fit together.
    #[error("{events} events say it, and at most {EVENTS_MAX} can be redacted at once")]
    TooMany {
        /// How many say it.
        events: usize,
    },
    /// Nobody could be told why.
    #[error("a redaction needs a reason: it is recorded, and says to whoever misses something why it is gone")]
    NoReason,
    /// A reason is no place for documents.
    #[error("a reason has at most {REASON_CHARS_MAX} letters, this one has {chars}")]
    LongReason {
        /// How many it has.
        chars: usize,
    },
    /// The reason stays for ever.
    #[error("the reason says what is to be forgotten, and reasons are kept: word it otherwise")]
    ReasonTells,
    /// Once its content is gone, nobody can prove any more what it was.
    #[error(
        "the event at {position} is not as it was recorded, and once it is emptied nobody could prove what it was: \
         run `knit audit verify`, and mend the log first"
    )]
    NotAsRecorded {
        /// Which event.
        position: Position,
    },
    /// Its next Workers would be started with another argument than was meant.
    #[error(
        "the Plan {plan} has that argument and is active: deactivate it first, so that no Worker starts without it"
    )]
    PlanIsActive {
        /// Id of the Plan.
        plan: String,
    },
    /// Its Worker would be started, or started again, with another argument than was meant.
    #[error("the Run {run} has a Worker with that argument, or is about to get one: stop it or wait for its end first")]
    RunIsUnderWay {
        /// Id of the Run.
        run: String,
    },
}

fn listed(says: &BTreeSet<Content>) -> String {
    let all: Vec<String> = says.iter().map(ToString::to_string).collect();
    all.join(", ")
}

impl Content {
    /// The text that is forgotten.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Tag(Tag { value, .. }) | Self::Annotation { value, .. } | Self::Argument(value) => value,
        }
    }
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(Tag { key, value }) => write!(f, "the tag {key}:{value}"),
            Self::Annotation { key, value } => write!(f, "the annotation {key}={value}"),
            Self::Argument(word) => write!(f, "the argument {word}"),
        }
    }
}

/// What the event at `position` says, if it says one thing only that can be forgotten.
///
/// # Errors
/// [`RedactionRefused::SaysNothing`], [`RedactionRefused::SaysSeveral`].
pub fn said_by(position: Position, event: &Event) -> Result<Content, RedactionRefused> {
    let mut says = Content::all_in(event);
    match says.pop_first() {
        None => Err(RedactionRefused::SaysNothing { position }),
        Some(content) if says.is_empty() => Ok(content),
        Some(content) => {
            says.insert(content);
            Err(RedactionRefused::SaysSeveral { position, says })
        }
    }
}

/// The word that stands for what was forgotten, when the log ended at `position`: no earlier redaction had it.
#[must_use]
pub fn word_at(position: Position) -> String {
    format!("redacted-{position}")
}

/// Forgets `content`, for `reason`, in all of `history`: every event of the log, in order. If anything else is appended
/// meanwhile it may say it too, so then this must be decided again. `envelope_of` answers the hash of the envelope of the
/// event at a position, as [`Search::note_envelope`] takes it.
///
/// # Errors
/// [`RedactionRefused`]: nothing says it, it is a system Tag, the reason will not do, a Plan is still active.
pub fn redact<'e>(
    content: &Content,
    reason: &str,
    history: impl IntoIterator<Item = &'e Recorded>,
    envelope_of: impl Fn(Position) -> Option<[u8; 32]>,
) -> Result<Decision, RedactionRefused> {
    let mut search = Search::new(content.clone(), reason)?;
    history.into_iter().for_each(|recorded| search.take(recorded));
    search.without_envelope().into_iter().for_each(|position| search.note_envelope(position, envelope_of(position)));
    search.decide()
}

fn check(content: &Content, reason: &str) -> Result<(), RedactionRefused> {
    if let Content::Tag(tag) = content
        && tag.is_system()
    {
        return Err(RedactionRefused::SystemTag { key: tag.key.clone() });
    }
    check_reason(reason)?;
    if !content.text().is_empty() && reason.contains(content.text()) {
        return Err(RedactionRefused::ReasonTells);
    }
    Ok(())
}

/// Whether a reason will do, whatever is redacted for it.
///
/// # Errors
/// [`RedactionRefused::NoReason`], [`RedactionRefused::LongReason`].
pub fn check_reason(reason: &str) -> Result<(), RedactionRefused> {
    let chars = reason.chars().count();
    if reason.trim().is_empty() {
        return Err(RedactionRefused::NoReason);
    }
    if chars > REASON_CHARS_MAX {
        return Err(RedactionRefused::LongReason { chars });
    }
    Ok(())
}

/// A search through the history for something to be forgotten. It takes every event from the first on, and can take
/// those that come later when it has been decided in vain.
#[derive(Debug, Clone)]
pub struct Search {
    content: Content,
    reason: String,
    /// Of the last event.
    position: Position,
    /// The version of the journal.
    journal: Sequence,
    /// The events that say it, by their position.
    saying: BTreeMap<Position, Saying>,
    /// Plans that have it as an argument, and whether each is active.
    plans: BTreeMap<String, bool>,
    /// Runs of those Plans, and whether each has a Worker or will have one soon.
    runs: BTreeMap<String, bool>,
}

/// An event that says what is to be forgotten.
#[derive(Debug, Clone)]
struct Saying {
    stream: StreamId,
    leaf: [u8; 32],
    /// The hash of its envelope, once that is known.
    envelope: Option<[u8; 32]>,
    event: Event,
}

impl Search {
    /// A search for `content`, which is to be forgotten for `reason`.
    ///
    /// # Errors
    /// [`RedactionRefused`]: it is a system Tag, or the reason will not do.
    pub fn new(content: Content, reason: &str) -> Result<Self, RedactionRefused> {
        check(&content, reason)?;
        let (position, journal, reason) = (0, 0, reason.to_owned());
        let (saying, plans, runs) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Ok(Self { content, reason, position, journal, saying, plans, runs })
    }

    /// The position of the last event that was taken.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }

    /// Takes the next event.
    pub fn take(&mut self, recorded: &Recorded) {
        let Recorded { position, stream, event, leaf, .. } = recorded;
        self.position = *position;
        if *stream == StreamId::journal() {
            self.journal = recorded.sequence;
        }
        let says_it = self.content.taken_from(event, "").is_some();
        match event {
            Event::Plan(event) if matches!(self.content, Content::Argument(_)) => {
                self.take_plan(&stream.id, event, says_it);
            }
            Event::Run(event) => self.take_run(&stream.id, event),
            Event::Journal(JournalEvent::EventRedacted { position, remains, .. }) => {
                self.replace(*position, remains.as_ref());
            }
            Event::Plan(_) | Event::Catalog(_) | Event::Data(_) | Event::Agent(_) | Event::Journal(_) => {}
        }
        if says_it {
            let saying = Saying { stream: stream.clone(), leaf: *leaf, envelope: None, event: event.clone() };
            self.saying.insert(*position, saying);
        }
    }

    /// An event that was taken already may have been redacted meanwhile, for something else that it said.
    fn replace(&mut self, position: Position, remains: Option<&Remains>) {
        let remains = remains.and_then(|of| Event::decode_payload(of.version, &of.payload).ok());
        let (Some(saying), Some(event)) = (self.saying.get_mut(&position), remains) else { return };
        if self.content.taken_from(&event, "").is_some() {
            saying.event = event;
        } else {
            self.saying.remove(&position);
        }
    }

    /// The events that say it, as far as they were taken: where, in which stream, and what.
    pub fn found(&self) -> impl Iterator<Item = (Position, &StreamId, &Event)> {
        self.saying.iter().map(|(position, Saying { stream, event, .. })| (*position, stream, event))
    }

    /// The events that say it and have no hash of their envelope yet.
    #[must_use]
    pub fn without_envelope(&self) -> Vec<Position> {
        let without = self.saying.iter().filter(|(_, saying)| saying.envelope.is_none());
        without.map(|(position, _)| *position).collect()
    }

    /// Takes note of the hash of the envelope of an event that says it, which must have been proved by its leaf, or by the
    /// redaction that emptied it. None where it was emptied when no such hash was taken: then it is not known for ever.
    pub fn note_envelope(&mut self, position: Position, envelope: Option<[u8; 32]>) {
        if let Some(saying) = self.saying.get_mut(&position) {
            saying.envelope = envelope;
        }
    }

    /// Goes on behind what was decided: what was found is redacted, and what comes later is looked for anew.
    pub fn go_on(&mut self) {
        self.saying.clear();
    }

    /// The decision to forget what was found. The envelopes must have been noted: no event is emptied without.
    ///
    /// # Errors
    /// [`RedactionRefused`]: nothing says it, too many do, or a Plan or Run still needs it.
    pub fn decide(&self) -> Result<Decision, RedactionRefused> {
        let events = self.saying.len();
        if events == 0 {
            return Err(RedactionRefused::Absent);
        }
        if events > EVENTS_MAX {
            return Err(RedactionRefused::TooMany { events });
        }
        self.check_unneeded()?;
        let word = word_at(self.position);
        let events = self.saying.iter().filter_map(|(position, Saying { leaf, envelope, event, .. })| {
            let remains = self.content.taken_from(event, &word)?;
            let payload = serde_json::from_str(&remains.encode()).expect("an event is stored as JSON");
            let (leaf, envelope_sha256) = (hex::encode(leaf), envelope.map(hex::encode));
            let (reason, remains) = (self.reason.clone(), Some(Remains { version: remains.version(), payload }));
            Some(JournalEvent::EventRedacted { position: *position, leaf, envelope_sha256, reason, remains })
        });
        let decision = Decision::write(StreamId::journal(), self.journal, events);
        Ok(decision.given(Condition::LogAt { position: self.position }))
    }

    fn check_unneeded(&self) -> Result<(), RedactionRefused> {
        if let Some((plan, _)) = self.plans.iter().find(|(_, is_active)| **is_active) {
            return Err(RedactionRefused::PlanIsActive { plan: plan.clone() });
        }
        match self.runs.iter().find(|(_, is_under_way)| **is_under_way) {
            Some((run, _)) => Err(RedactionRefused::RunIsUnderWay { run: run.clone() }),
            None => Ok(()),
        }
    }

    fn take_plan(&mut self, id: &str, event: &PlanEvent, says_it: bool) {
        let is_active = match event {
            PlanEvent::PlanRegistered { active, .. } if says_it => {
                self.plans.insert(id.to_owned(), *active);
                return;
            }
            PlanEvent::PlanActivated {} => true,
            PlanEvent::PlanDeactivated {} => false,
            PlanEvent::PlanRegistered { .. }
            | PlanEvent::BuiltinPlanDefined { .. }
            | PlanEvent::PlanResourcesChanged { .. }
            | PlanEvent::PlanAnnotationsChanged { .. }
            | PlanEvent::PlanServiceAccountSet { .. }
            | PlanEvent::PlanServiceAccountCleared {} => return,
        };
        if let Some(active) = self.plans.get_mut(id) {
            *active = is_active;
        }
    }

    /// A Run that is held while its Plan is inactive needs no argument; one whose volumes are there gets its Worker.
    fn take_run(&mut self, id: &str, event: &RunEvent) {
        let is_under_way = match event {
            RunEvent::RunProjected { plan_id, .. } => {
                if self.plans.contains_key(&StreamId::plan(*plan_id).id) {
                    self.runs.insert(id.to_owned(), false);
                }
                return;
            }
            RunEvent::RunVolumesPrepared { .. }
            | RunEvent::WorkerRequested { .. }
            | RunEvent::WorkerSpawned { .. }
            | RunEvent::RunStarted { .. }
            | RunEvent::RunSuccessDecided { .. }
            | RunEvent::RunFailureDecided { .. } => true,
            RunEvent::RunSucceeded { .. }
            | RunEvent::RunFailed { .. }
            | RunEvent::RunRetried { .. }
            | RunEvent::RunInvalidated { .. }
            | RunEvent::RunErased { .. } => false,
            RunEvent::UploadStarted { .. } | RunEvent::ImportStarted { .. } => return,
        };
        if let Some(under_way) = self.runs.get_mut(id) {
            *under_way = is_under_way;
        }
    }
}

#[cfg(test)]
mod tests;
