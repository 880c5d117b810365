//! The hash chain (D15): what makes a change of the past visible.
//!
//! How leaf and chain are computed is written in [`knit_schemas::chain`], because whoever verifies an export must
//! compute the same. Here it is said in the words of the domain.

use knit_domain::event::{Position, Sequence};
use knit_domain::id::EventId;
use knit_domain::time::Timestamp;

pub use knit_schemas::chain::{GENESIS, Hash};

/// Random bytes stored with an event.
pub type Salt = [u8; 16];

/// The parts of an event that its leaf covers, as they are stored.
#[derive(Debug, Clone, Copy)]
pub struct Leaf<'a> {
    /// Random bytes.
    pub salt: &'a [u8],
    /// Identity.
    pub event_id: EventId,
    /// Stored name of the kind of stream.
    pub stream_type: &'a str,
    /// Which stream.
    pub stream_id: &'a str,
    /// Place in the stream.
    pub sequence: Sequence,
    /// Stored name of the event.
    pub event_type: &'a str,
    /// Stored version of the event.
    pub event_version: &'a str,
    /// JSON text.
    pub payload: &'a str,
    /// JSON text.
    pub metadata: &'a str,
}

impl Leaf<'_> {
    /// The hash of all parts.
    #[must_use]
    pub fn hash(&self) -> Hash {
        let sequence = self.sequence.to_be_bytes();
        knit_schemas::chain::leaf([
            self.salt,
            self.event_id.0.as_bytes(),
            self.stream_type.as_bytes(),
            self.stream_id.as_bytes(),
            &sequence,
            self.event_type.as_bytes(),
            self.event_version.as_bytes(),
            self.payload.as_bytes(),
            self.metadata.as_bytes(),
        ])
    }

    /// The hash of the parts that stay when salt and payload are taken out.
    #[must_use]
    pub fn envelope(&self) -> Hash {
        let sequence = self.sequence.to_be_bytes();
        knit_schemas::chain::envelope([
            self.event_id.0.as_bytes(),
            self.stream_type.as_bytes(),
            self.stream_id.as_bytes(),
            &sequence,
            self.event_type.as_bytes(),
            self.event_version.as_bytes(),
            self.metadata.as_bytes(),
        ])
    }
}

/// The chain at `position`, from the chain at the position before.
#[must_use]
pub fn link(before: &Hash, position: Position, recorded_at: Timestamp, leaf: &Hash) -> Hash {
    knit_schemas::chain::link(before, position, recorded_at.0, leaf)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: Leaf<'_> = Leaf {
        salt: &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
        event_id: EventId(uuid::uuid!("3b0f5a52-6c1e-4d0e-9a53-0d1f6f6b7c11")),
        stream_type: "data",
        stream_id: "d-1",
        sequence: 3,
        event_type: "DataDiscarded",
        event_version: "1",
        payload: r#"{"x":1}"#,
        metadata: r#"{"actor":"a"}"#,
    };

    /// Computed by another program from the words at the head of `knit_schemas::chain`.
    #[test]
    fn d15_leaf_and_link_are_as_written() {
        let leaf = EXAMPLE.hash();
        assert_eq!(hex::encode(leaf), "8733343af1775866bdeca71e21e88c0cd801185bd7bd59e481a27b50b798dbde");
        let link = link(&GENESIS, 1, Timestamp(1_700_000_000_123), &leaf);
        assert_eq!(hex::encode(link), "77d505cc7fe2826002e85900c31694a63a0a6eb48d162cb1dfcda9888b93af9d");
        let envelope = hex::encode(EXAMPLE.envelope());
        assert_eq!(envelope, "9b42f755767365e6aa4924d4c093a6092d04c37314295730cd61593cc8d751ad");
    }

    #[test]
    fn d15_text_does_not_slip_from_one_part_into_the_next() {
        let shifted = Leaf { stream_type: "dat", stream_id: "ad-1", ..EXAMPLE };
        assert_ne!(shifted.hash(), EXAMPLE.hash());
    }
}
