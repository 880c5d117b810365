//! What every projection is: a fold of the log that can be saved, brought back and compared.

use std::str::FromStr;

use knit_domain::event::{Position, Recorded};
use sha2::{Digest as _, Sha256};

use crate::snapshot::{self, DamagedSnapshot};

/// A fold of the log.
///
/// Two folds of the same events are equal, whether they were applied one by one, after a restore, or
/// in a rebuild; [`Projection::digest`] tells it without comparing them.
///
/// A copy is made while nothing is folded, so it must take no longer than a request may be held up: what is long is
/// shared by the copies until one of them changes it.
pub trait Projection: Sized + Clone + Default {
    /// Its name in snapshots, in skips ([`JournalEvent::EventSkipped`]) and on dashboards.
    ///
    /// [`JournalEvent::EventSkipped`]: knit_domain::event::journal::JournalEvent::EventSkipped
    const NAME: &'static str;

    /// Raised whenever the same events fold to something else, or the records change their meaning.
    /// Snapshots of other revisions are not used.
    const REVISION: u32;

    /// One message of its snapshot. A record should stay far below [`snapshot::CHUNK_BYTES_MAX`].
    type Record: prost::Message + Default + std::fmt::Debug;

    /// Folds the next event.
    ///
    /// # Errors
    /// [`Unapplicable`]. The projection is then as it was before, and stays at its position until
    /// the event is skipped or the program is mended.
    fn apply(&mut self, event: &Recorded) -> Result<(), Unapplicable>;

    /// Passes over the event at `position`, as an administrator has decided (D8).
    ///
    /// # Errors
    /// [`Unapplicable::Gap`] if that is not the next position.
    fn skip(&mut self, position: Position) -> Result<(), Unapplicable>;

    /// Position of the last event that was folded or skipped; 0 before the first.
    fn position(&self) -> Position;

    /// Bytes of heap held, roughly. It may walk through everything, so a copy is asked.
    fn heap_bytes(&self) -> usize;

    /// Gives every record of the content, in an order that follows from the content alone: equal
    /// folds give equal records.
    fn records(&self, put: &mut dyn FnMut(Self::Record));

    /// Builds the projection at `position` from its records.
    ///
    /// # Errors
    /// [`DamagedSnapshot`] if the records contradict each other; never panics, whatever they hold.
    fn from_records(
        position: Position,
        records: &mut dyn Iterator<Item = Result<Self::Record, DamagedSnapshot>>,
    ) -> Result<Self, DamagedSnapshot>;

    /// The projection as compressed chunks.
    fn snapshot(&self) -> Vec<Vec<u8>> {
        let mut writer = snapshot::Writer::new(&header_of(self));
        self.records(&mut |record| writer.put(&record));
        writer.finish()
    }

    /// The projection that [`Projection::snapshot`] saved.
    ///
    /// # Errors
    /// [`DamagedSnapshot`]: throw the snapshot away and fold the log instead.
    fn restore(chunks: &[Vec<u8>]) -> Result<Self, DamagedSnapshot> {
        let mut reader = snapshot::Reader::open(chunks, Self::NAME, Self::REVISION)?;
        let projection = Self::from_records(reader.position(), &mut reader.records())?;
        reader.check_read_to_the_end()?;
        Ok(projection)
    }

    /// SHA-256 over the position and everything a snapshot would hold.
    fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(prost::Message::encode_length_delimited_to_vec(&header_of(self)));
        self.records(&mut |record| hash.update(prost::Message::encode_length_delimited_to_vec(&record)));
        hash.finalize().into()
    }
}

fn header_of<P: Projection>(projection: &P) -> snapshot::Header {
    snapshot::Header { name: P::NAME.to_owned(), revision: P::REVISION, position: projection.position() }
}

/// An event that a projection cannot fold; it stops there, visibly, and the others go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unapplicable {
    /// Events come one by one, in order.
    #[error("expected the event at position {expected}, got the one at position {given}")]
    Gap {
        /// The next position.
        expected: Position,
        /// Position of the event given.
        given: Position,
    },
    /// The event does not fit what the log has said before.
    #[error("`{event_type}` at position {position} cannot be applied: {reason}")]
    Contradiction {
        /// Where the event is.
        position: Position,
        /// Its stored name.
        event_type: &'static str,
        /// What does not fit.
        reason: String,
    },
}

impl Unapplicable {
    /// `event` does not fit what the log has said before.
    #[must_use]
    pub fn contradiction(event: &Recorded, reason: impl Into<String>) -> Self {
        Self::Contradiction { position: event.position, event_type: event.event.type_name(), reason: reason.into() }
    }
}

/// Checks that an event at `given` follows directly on `current`.
///
/// # Errors
/// [`Unapplicable::Gap`] if it does not: folding on would be silently wrong.
pub fn check_follows(current: Position, given: Position) -> Result<(), Unapplicable> {
    let expected = current + 1;
    if given == expected { Ok(()) } else { Err(Unapplicable::Gap { expected, given }) }
}

/// The id that names the stream of `event`.
///
/// # Errors
/// [`Unapplicable::Contradiction`] if the stream is not named by such an id.
pub fn id_of_stream<I: FromStr>(event: &Recorded) -> Result<I, Unapplicable> {
    let id = event.stream.id.parse();
    id.map_err(|_| Unapplicable::contradiction(event, format!("the stream `{}` is not named by an id", event.stream)))
}
