//! Snapshots of the store: its columns in blocks of rows, without what can be derived.
//!
//! Reading back checks every number before it is used as a row, and derives the rest again, so a
//! snapshot that was tampered with is refused, and never a reason to panic.

mod read;
mod write;

use knit_domain::event::run::{FailureCause, SuccessCause};
use knit_domain::run::Cause;

pub(super) use read::read;
pub(super) use write::write;

/// Rows in a record, as the columns give them: some hundred kilobytes before compression, a fraction of a chunk.
const BLOCK_ROWS: usize = crate::blocks::STRETCH_ROWS;
/// A block of texts is closed when it holds this much: a chunk's worth.
const BLOCK_TEXT_BYTES: usize = crate::snapshot::CHUNK_BYTES;

/// Every cause, numbered by its place here, counted from 1. Only ever append.
pub(super) const CAUSES: [Cause; 11] = [
    Cause::Success(SuccessCause::WorkerSucceeded),
    Cause::Success(SuccessCause::TornOff),
    Cause::Success(SuccessCause::UploadStored),
    Cause::Success(SuccessCause::ImportEnded),
    Cause::Failure(FailureCause::WorkerFailed),
    Cause::Failure(FailureCause::WorkerStuck),
    Cause::Failure(FailureCause::WorkerLost),
    Cause::Failure(FailureCause::User),
    Cause::Failure(FailureCause::UploadFailed),
    Cause::Failure(FailureCause::UploadOrphaned),
    Cause::Failure(FailureCause::ImportOverdue),
];

/// The number of `wanted` in a list, counted from 1; 0 if it is not there.
fn number_in<T: PartialEq>(all: &[T], wanted: &T) -> u32 {
    let place = all.iter().position(|each| each == wanted);
    place.and_then(|place| u32::try_from(place + 1).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_has_a_number_of_its_own() {
        for (at, cause) in CAUSES.iter().enumerate() {
            assert_eq!(number_in(&CAUSES, cause) as usize, at + 1);
        }
    }
}
