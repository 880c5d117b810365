//! What remains of emptied events, which every reader takes for them (D15).
//!
//! The journal says it, often far behind the events themselves. So it is read when the first emptied event is met, and
//! again when one is met that it did not know. Until this process forgets it, what was read last is taken: whoever
//! follows the log meets every redaction, and forgets then ([`crate::Log::forget`]). What was read before that, and
//! comes later, is not remembered: it may say what was redacted meanwhile.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use knit_domain::event::data::DataEvent;
use knit_domain::event::journal::JournalEvent;
use knit_domain::event::{Event, Position, Recorded, StreamId};

use crate::backend::Backend;
use crate::chain::Hash;
use crate::error::ReadError;
use crate::reader::{EventRow, StoredEvent, patiently};

/// What an emptied event has as its payload. `json` of PostgreSQL cannot hold an empty text.
pub(crate) const EMPTIED: &str = "{}";

/// An event whose content is taken out, as its redaction names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Emptying {
    pub(crate) position: Position,
    pub(crate) leaf: Hash,
    /// The hash of what stays; none if it was emptied already when no such hash was taken.
    pub(crate) envelope: Option<Hash>,
}

impl Emptying {
    /// Whether `row` is that event, and as it was recorded. Its leaf proves that as long as it has its content, and what
    /// stays must be taken down then; afterwards nothing but that hash proves it.
    pub(crate) fn is_of(&self, row: &EventRow<'_>) -> bool {
        let is_as_recorded = if row.is_emptied() {
            self.envelope.is_none_or(|envelope| envelope == row.envelope())
        } else {
            row.leaf_of_content() == row.leaf && self.envelope == Some(row.envelope())
        };
        row.leaf == self.leaf && is_as_recorded
    }
}

/// The event that `event` empties; none if it empties none, or what it names are no hashes.
pub(crate) fn emptied_by(event: &Event) -> Option<Emptying> {
    let Event::Journal(JournalEvent::EventRedacted { position, leaf, envelope_sha256, .. }) = event else {
        return None;
    };
    let hash = |text: &String| hex::decode(text).ok().and_then(|bytes| bytes.try_into().ok());
    let envelope = match envelope_sha256 {
        Some(text) => Some(hash(text)?),
        None => None,
    };
    Some(Emptying { position: *position, leaf: hash(leaf)?, envelope })
}

/// The attachments that `event` takes out of the log, by their hashes.
pub(crate) fn detached_by(event: &Event) -> &[String] {
    if let Event::Data(DataEvent::LogRedacted { tails, .. }) = event { tails } else { &[] }
}

/// What this process knows of it.
#[derive(Debug, Default)]
pub(crate) struct Redacted {
    known: RwLock<Known>,
}

/// What was read last.
#[derive(Debug, Default)]
struct Known {
    remaining: Arc<Remaining>,
    /// Counts how often it was forgotten.
    forgotten: u64,
}

/// What remains of emptied events.
#[derive(Debug, Default)]
pub struct Remaining {
    by_position: HashMap<Position, Remains>,
    /// The position of the newest redaction.
    up_to: Position,
}

/// The redaction of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Redaction {
    /// Where the `EventRedacted` stands.
    pub position: Position,
    /// Whether what stays of the event is as it was then; none where an older program redacted it, which took no hash of
    /// that.
    pub envelope_holds: Option<bool>,
}

#[derive(Debug)]
struct Remains {
    leaf: Hash,
    /// The hash of its envelope, if that is known.
    envelope: Option<Hash>,
    /// The position of the redaction.
    redacted_at: Position,
    event_version: String,
    payload: String,
}

impl Redacted {
    pub(crate) fn known(&self) -> Arc<Remaining> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).remaining.clone()
    }

    pub(crate) fn forget(&self) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        *known = Known { remaining: Arc::default(), forgotten: known.forgotten + 1 };
    }

    /// Reads the journal.
    pub(crate) async fn look(&self, backend: &Backend) -> Result<Arc<Remaining>, ReadError> {
        let stream = StreamId::journal();
        let forgotten = self.known.read().unwrap_or_else(PoisonError::into_inner).forgotten;
        let journal = patiently("reading the journal", || backend.stream(&stream)).await?;
        let mut remaining = Remaining::default();
        for stored in journal {
            // One that was emptied itself says nothing; another one behind it does.
            // What was changed behind the log must not say what others were.
            if !stored.is_emptied() {
                if stored.leaf_of_content() != stored.leaf {
                    return Err(ReadError::Changed { position: stored.position });
                }
                remaining.take(stored.decode()?);
            }
        }
        let remaining = Arc::new(remaining);
        self.know(remaining.clone(), forgotten);
        Ok(remaining)
    }

    /// Remembers what was read when it had been forgotten so often; of several that read, who read the most is right.
    fn know(&self, remaining: Arc<Remaining>, forgotten: u64) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.forgotten == forgotten && known.remaining.up_to <= remaining.up_to {
            known.remaining = remaining;
        }
    }
}

impl Remaining {
    /// The position of the newest redaction; 0 if there is none.
    pub(crate) fn up_to(&self) -> Position {
        self.up_to
    }

    /// The redaction that emptied an event.
    pub(crate) fn redaction_of(&self, row: &EventRow<'_>) -> Option<Redaction> {
        let remains = self.of(row)?;
        let envelope_holds = remains.envelope.map(|envelope| envelope == row.envelope());
        Some(Redaction { position: remains.redacted_at, envelope_holds })
    }

    /// The hash of the envelope of an event, which its leaf proves, or the redaction that emptied it; none if that one
    /// knows of none.
    ///
    /// # Errors
    /// [`ReadError::Changed`], [`ReadError::Emptied`].
    pub(crate) fn envelope_of(&self, row: EventRow<'_>) -> Result<Option<Hash>, ReadError> {
        let row = row.as_appended()?;
        if row.is_emptied() { Ok(self.proved(&row)?.envelope) } else { Ok(Some(row.envelope())) }
    }

    fn of(&self, row: &EventRow<'_>) -> Option<&Remains> {
        self.by_position.get(&row.position).filter(|remains| remains.leaf == row.leaf)
    }

    /// What remains of an emptied event, of which nothing was changed that stays.
    fn proved(&self, row: &EventRow<'_>) -> Result<&Remains, ReadError> {
        let remains = self.of(row).ok_or(ReadError::Emptied { position: row.position })?;
        match remains.envelope {
            Some(envelope) if envelope != row.envelope() => Err(ReadError::Changed { position: row.position }),
            Some(_) | None => Ok(remains),
        }
    }

    /// Takes note of an event of the journal; of several that say what remains of one event, the last one is right.
    pub fn take(&mut self, recorded: Recorded) {
        let Some(Emptying { position, leaf, envelope }) = emptied_by(&recorded.event) else { return };
        let redacted_at = recorded.position;
        self.up_to = redacted_at;
        if let Event::Journal(JournalEvent::EventRedacted { remains: Some(remains), .. }) = recorded.event {
            let (event_version, payload) = (remains.version.to_string(), remains.payload.to_string());
            let remains = Remains { leaf, envelope, redacted_at, event_version, payload };
            self.by_position.insert(position, remains);
        }
    }

    /// What an event says, or what remains of it.
    ///
    /// # Errors
    /// [`ReadError::Emptied`] where that is not known, [`ReadError::Changed`] where something else was changed of it than
    /// was taken out, otherwise as [`StoredEvent::decode`].
    pub fn decode(&self, event: &StoredEvent) -> Result<Recorded, ReadError> {
        self.seen(event.row())?.decode()
    }

    /// The row as readers see it: an emptied one says what remains of it.
    ///
    /// # Errors
    /// [`ReadError::Emptied`] where that is not known, [`ReadError::Changed`] where something else was changed of it.
    pub(crate) fn seen<'r>(&'r self, row: EventRow<'r>) -> Result<EventRow<'r>, ReadError> {
        if !row.is_emptied() {
            return Ok(row);
        }
        let remains = self.proved(&row)?;
        Ok(EventRow { event_version: &remains.event_version, payload: &remains.payload, ..row })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn up_to(position: Position) -> Arc<Remaining> {
        Arc::new(Remaining { up_to: position, ..Remaining::default() })
    }

    #[test]
    fn what_was_read_earlier_and_comes_later_is_not_remembered() {
        let redacted = Redacted::default();
        redacted.know(up_to(7), 0);
        redacted.know(up_to(5), 0);
        assert_eq!(redacted.known().up_to(), 7, "somebody has read more");
        redacted.forget();
        redacted.know(up_to(7), 0);
        assert_eq!(redacted.known().up_to(), 0, "it may say what was redacted meanwhile");
        redacted.know(up_to(9), 1);
        assert_eq!(redacted.known().up_to(), 9);
    }
}
