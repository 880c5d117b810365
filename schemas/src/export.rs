//! The log as it is carried elsewhere: one record behind another, as JSON Lines or protobuf (`schemas/export.md`).
//!
//! Reading, in this order: [`Splitter`] cuts what comes in, however it comes in, into [`Batch`]es of whole records;
//! [`check`] verifies a batch by itself, so that all processors can work on different ones; [`Verification`] puts
//! together what they found, in order. What lies in files is read through [`Parts`] before that: one export, or several
//! that go on from one to the next, compressed or not.

mod ahead;
mod check;
mod compression;
mod format;
mod parts;
mod record;
mod segment;
mod split;
mod verification;

pub use ahead::{AHEAD_BYTES_MAX, add_redactions, redactions_ahead};
pub use check::{Checked, check, check_and_keep};
pub use compression::{Uncompressed, uncompressed};
pub use format::{Format, Malformed, RECORD_BYTES_MAX};
pub use parts::{Broken, Part, Parts, UnreadablePart, beginning};
pub use record::{Begin, End, Event, Record, Unreadable, VERSION};
pub use segment::{SEGMENT_EVENTS, Segment};
pub use split::{BATCH_BYTES, Batch, Splitter};
pub use verification::{Envelopes, Flaw, Verification, Verified, Wrong, flaw_of_parts};

/// Content type of an export as JSON Lines.
pub const JSON_LINES_TYPE: &str = "application/x-ndjson";
/// Content type of an export as protobuf.
pub const PROTOBUF_TYPE: &str = "application/x-protobuf";

#[cfg(test)]
mod tests;
