//! Redactions that are told ahead of a history.
//!
//! What remains of an emptied event is said behind it, so whoever folds a history as it comes has to know it before.
//! Told ahead are the very events that say it, as records of protobuf, one behind the other. Each proves by its leaf that
//! it was not changed; that it belongs to the history is seen when it comes again in its place.

use super::check::decoded;
use super::format::{Format, Malformed};
use super::record::{Event, Record};
use super::split::Batch;

/// Most bytes that are told ahead: what remains of some hundred thousand events. Whoever is told keeps them in memory.
pub const AHEAD_BYTES_MAX: usize = 64 << 20;
/// How they are told.
const FORMAT: Format = Format::Protobuf;

/// Adds the redactions of a batch to what is told `ahead`.
pub fn add_redactions(batch: &Batch, ahead: &mut Vec<u8>) {
    let is_redaction = |record: &Record| matches!(record, Record::Event(event) if event.is_redaction());
    let (records, _) = decoded(batch);
    records.iter().filter(|record| is_redaction(record)).for_each(|record| FORMAT.encode(record, ahead));
}

/// The redactions that are told ahead.
///
/// # Errors
/// When something else is told, or they were changed.
pub fn redactions_ahead(mut told: &[u8]) -> Result<Vec<Event>, Malformed> {
    let mut found = Vec::new();
    while !told.is_empty() {
        let end = FORMAT.first_record_bytes(told)?.ok_or_else(|| Malformed("the last record is cut off".to_owned()))?;
        match FORMAT.decode(&told[..end])? {
            Record::Event(event) if event.is_redaction() && event.leaf_of_content() == event.leaf => found.push(event),
            Record::Begin(_) | Record::Event(_) | Record::End(_) | Record::Unreadable(_) => {
                return Err(Malformed("a record tells no redaction, or not as it was recorded".to_owned()));
            }
        }
        told = &told[end..];
    }
    Ok(found)
}
