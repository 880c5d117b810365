//! The journal: what administrators do to the log itself (D8, D15).
//!
//! A projection that cannot apply an event stops there. That it passes over the event is a decision of somebody,
//! with a reason, and is recorded: whoever folds the log again passes over the same event.

use std::collections::{BTreeMap, BTreeSet};

use crate::decision::{Decision, Versioned};
use crate::event::journal::JournalEvent;
use crate::event::{Position, StreamId};

/// Letters of a reason: a page of text, and far less than an event may hold.
pub const REASON_CHARS_MAX: usize = 4_000;

/// The journal as its stream tells it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Journal {
    /// Which events each projection passes over.
    skipped: BTreeMap<String, BTreeSet<Position>>,
}

/// A command to pass over an event that a rule forbids. Nothing changes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SkipRefused {
    /// Whoever looks at the log later must learn why.
    #[error(
        "a reason is needed: it is recorded, and says to whoever folds the log again why this event is passed over"
    )]
    NoReason,
    /// A reason is no place for documents.
    #[error("a reason has at most {REASON_CHARS_MAX} letters, this one has {chars}")]
    LongReason {
        /// How many it has.
        chars: usize,
    },
    /// What a projection can apply is not passed over: it would from then on show something else than the log says.
    #[error("the projection `{projection}` has not stopped at all: it can apply every event")]
    NotStopped {
        /// Its name.
        projection: String,
    },
    /// The same, for a projection that has stopped elsewhere.
    #[error("the projection `{projection}` has stopped at position {stopped_at}, not at {position}")]
    StoppedElsewhere {
        /// Its name.
        projection: String,
        /// Which event it cannot apply.
        stopped_at: Position,
        /// Which event was named.
        position: Position,
    },
}

impl Journal {
    /// Takes one more event of the stream into account.
    pub fn apply(&mut self, event: &JournalEvent) {
        match event {
            JournalEvent::EventSkipped { projection, position, .. } => {
                self.skipped.entry(projection.clone()).or_default().insert(*position);
            }
            JournalEvent::EventRedacted { .. } => {}
        }
    }

    /// The positions of the events that a projection passes over.
    #[must_use]
    pub fn skipped_by(&self, projection: &str) -> BTreeSet<Position> {
        self.skipped.get(projection).cloned().unwrap_or_default()
    }
}

/// Lets a projection pass over the event at `position`. `stopped_at` is the event that it cannot apply, if there is
/// one; nothing is done if it passes over that event already.
///
/// # Errors
/// [`SkipRefused`] without a reason, and for any event but the one at which the projection has stopped.
pub fn skip(
    journal: &Versioned<Journal>,
    projection: &str,
    stopped_at: Option<Position>,
    position: Position,
    reason: &str,
) -> Result<Decision, SkipRefused> {
    let (reason, chars) = (reason.trim(), reason.chars().count());
    if reason.is_empty() {
        return Err(SkipRefused::NoReason);
    }
    if chars > REASON_CHARS_MAX {
        return Err(SkipRefused::LongReason { chars });
    }
    if journal.state.skipped_by(projection).contains(&position) {
        return Ok(Decision::nothing());
    }
    match stopped_at {
        Some(stopped_at) if stopped_at == position => {
            let (projection, reason) = (projection.to_owned(), reason.to_owned());
            let skipped = JournalEvent::EventSkipped { projection, position, reason };
            Ok(Decision::write(StreamId::journal(), journal.version, [skipped]))
        }
        Some(stopped_at) => {
            Err(SkipRefused::StoppedElsewhere { projection: projection.to_owned(), stopped_at, position })
        }
        None => Err(SkipRefused::NotStopped { projection: projection.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Event;

    fn skipped(position: Position) -> JournalEvent {
        JournalEvent::EventSkipped { projection: "store".to_owned(), position, reason: "it is wrong".to_owned() }
    }

    fn journal(events: &[JournalEvent]) -> Versioned<Journal> {
        Versioned::fold(events, Journal::apply)
    }

    #[test]
    fn the_event_at_which_a_projection_has_stopped_is_passed_over_for_a_reason() {
        let decision = skip(&journal(&[]), "store", Some(7), 7, " it is wrong ").unwrap();
        assert_eq!(decision.events().collect::<Vec<_>>(), [&Event::Journal(skipped(7))]);
        assert_eq!(skip(&journal(&[]), "store", Some(7), 7, " \n"), Err(SkipRefused::NoReason));
        let long = "x".repeat(REASON_CHARS_MAX + 1);
        assert_eq!(skip(&journal(&[]), "store", Some(7), 7, &long), Err(SkipRefused::LongReason { chars: 4_001 }));
    }

    #[test]
    fn what_can_be_applied_is_not_passed_over() {
        let refused = |stopped_at| skip(&journal(&[]), "store", stopped_at, 7, "why").unwrap_err().to_string();
        assert_eq!(refused(Some(9)), "the projection `store` has stopped at position 9, not at 7");
        assert!(refused(None).contains("has not stopped"));
    }

    #[test]
    fn an_event_is_passed_over_once_and_by_one_projection() {
        let before = journal(&[skipped(7)]);
        assert!(skip(&before, "store", None, 7, "again").unwrap().is_nothing());
        assert!(!skip(&before, "matcher", Some(7), 7, "it as well").unwrap().is_nothing());
        assert_eq!(before.state.skipped_by("store"), BTreeSet::from([7]));
        assert_eq!(before.state.skipped_by("matcher"), BTreeSet::new());
    }
}
