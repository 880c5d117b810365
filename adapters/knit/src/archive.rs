//! Data in transfer: a gzip-compressed tar whose MD5 travels behind it (web-api 2.2).
//!
//! Packing and unpacking compute and wait for disks, so they run on a thread of their own; a bounded
//! channel of small pieces joins them to the connection, so memory does not grow with the Data.

pub(crate) mod incoming;
pub(crate) mod outgoing;
pub(crate) mod pack;
pub(crate) mod unpack;

/// Pieces between the thread and the connection. Enough to keep both busy, a few megabytes in all.
const CHANNEL_PIECES: usize = 32;
/// Bytes of a piece: large enough that handing it over costs nothing beside compressing it.
const PIECE_BYTES: usize = 64 * 1024;
