//! Exports of the log: whatever a file holds, verifying it ends, and with the same outcome however it is read.

use std::collections::BTreeSet;

use knit_schemas::export::{Batch, Flaw, Format, Splitter, Verification, Verified, check};

/// An export in either format.
pub(crate) fn exports(bytes: &[u8]) {
    let outcome = verified(bytes, bytes.len().max(1));
    assert_eq!(verified(bytes, 61), outcome, "it does not matter in which pieces an export comes");
    for format in [Format::JsonLines, Format::Protobuf] {
        let mut rest = bytes;
        while let Ok(Some(length)) = format.first_record_bytes(rest) {
            let (first, others) = rest.split_at(length);
            if let Ok(record) = format.decode(first) {
                let mut written = Vec::new();
                format.encode(&record, &mut written);
                assert_eq!(format.decode(&written).as_ref(), Ok(&record), "what is written is read again");
            }
            rest = others;
        }
    }
}

fn verified(bytes: &[u8], piece_bytes: usize) -> Result<Verified, Flaw> {
    let (mut splitter, mut verification) = (Splitter::default(), Verification::default());
    let mut take = |batch: Batch| verification.take(check(&batch, &BTreeSet::new()));
    for piece in bytes.chunks(piece_bytes) {
        splitter.push(piece).map_or(Ok(()), &mut take)?;
    }
    take(splitter.finish())?;
    verification.finish()
}
