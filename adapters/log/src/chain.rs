//! The hash chain (D15): what makes a change of the past visible.
//!
//! `leaf = SHA-256(salt ‖ event id ‖ stream type ‖ stream id ‖ sequence ‖ event type ‖ event version ‖
//! payload ‖ metadata)`, every part preceded by its length in bytes (64 bits, big-endian), so that no
//! two lists of parts hash alike. The salt keeps the leaf of a redacted event from being guessed.
//! `chain(n) = SHA-256(chain(n-1) ‖ position ‖ recorded_at ‖ leaf)`, all of fixed width, numbers in
//! 64 bits big-endian, `recorded_at` in milliseconds; `chain(0)` is 32 zero bytes.

use knit_domain::event::{Position, Sequence};
use knit_domain::id::EventId;
use knit_domain::time::Timestamp;
use sha2::{Digest, Sha256};

/// A SHA-256.
pub type Hash = [u8; 32];
/// Random bytes stored with an event.
pub type Salt = [u8; 16];

/// The chain before the first event.
pub const GENESIS: Hash = [0; 32];

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
        let parts: [&[u8]; 9] = [
            self.salt,
            self.event_id.0.as_bytes(),
            self.stream_type.as_bytes(),
            self.stream_id.as_bytes(),
            &sequence,
            self.event_type.as_bytes(),
            self.event_version.as_bytes(),
            self.payload.as_bytes(),
            self.metadata.as_bytes(),
        ];
        let mut hasher = Sha256::new();
        for part in parts {
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
        hasher.finalize().into()
    }
}

/// The chain at `position`, from the chain at the position before.
#[must_use]
pub fn link(before: &Hash, position: Position, recorded_at: Timestamp, leaf: &Hash) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update(before);
    hasher.update(position.to_be_bytes());
    hasher.update(recorded_at.0.to_be_bytes());
    hasher.update(leaf);
    hasher.finalize().into()
}
