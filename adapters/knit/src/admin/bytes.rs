//! Numbers of bytes as people read them.

use indicatif::BinaryBytes;

/// With the unit that leaves few digits.
pub(super) fn told(bytes: u64) -> String {
    BinaryBytes(bytes).to_string()
}
