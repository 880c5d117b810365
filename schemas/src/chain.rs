//! The hash chain: what makes a change of the past visible.
//!
//! `leaf = SHA-256(salt ‖ event id ‖ stream type ‖ stream id ‖ sequence ‖ event type ‖ event version ‖
//! payload ‖ metadata)`, every part preceded by its length in bytes (64 bits, big-endian), so that no
//! two lists of parts hash alike. The salt keeps the leaf of a redacted event from being guessed.
//! `chain(n) = SHA-256(chain(n-1) ‖ position ‖ recorded_at ‖ leaf)`, all of fixed width, numbers in
//! 64 bits big-endian, `recorded_at` in milliseconds; `chain(0)` is 32 zero bytes.
//!
//! `envelope = SHA-256(event id ‖ stream type ‖ stream id ‖ sequence ‖ event type ‖ event version ‖ metadata)`, with
//! lengths as in the leaf. These are the parts of the leaf that stay when an event is redacted: its leaf proves nothing
//! any more, so whoever redacts it writes down this hash of what stays.
//!
//! The log computes it here when it records, and whoever verifies an export computes it here again.

use sha2::{Digest, Sha256};

/// A SHA-256.
pub type Hash = [u8; 32];

/// The chain before the first event.
pub const GENESIS: Hash = [0; 32];

/// The leaf of these parts, which stand in the order of the head of this module.
#[must_use]
pub fn leaf(parts: [&[u8]; 9]) -> Hash {
    hash(&parts)
}

/// The hash of the envelope that these parts are, which stand in the order of the head of this module.
#[must_use]
pub fn envelope(parts: [&[u8]; 7]) -> Hash {
    hash(&parts)
}

fn hash(parts: &[&[u8]]) -> Hash {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// The chain at `position`, from the chain at the position before; `recorded_at_ms` is since 1970.
#[must_use]
pub fn link(before: &Hash, position: u64, recorded_at_ms: i64, leaf: &Hash) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update(before);
    hasher.update(position.to_be_bytes());
    hasher.update(recorded_at_ms.to_be_bytes());
    hasher.update(leaf);
    hasher.finalize().into()
}
