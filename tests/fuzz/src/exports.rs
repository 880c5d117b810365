//! Exports of the log: whatever a file holds, verifying it ends, and with the same outcome however it is read.

use std::collections::BTreeSet;
use std::io::Read as _;

use knit_schemas::export::{
    Batch, Broken, Flaw, Format, Part, Parts, Splitter, Verification, Verified, add_redactions, check, redactions_ahead,
};

/// Bytes after which nobody reads on: a small file of gzip may hold gigabytes.
const TOLD_BYTES_MAX: usize = 4 << 20;

/// An export in either format.
pub(crate) fn exports(bytes: &[u8]) {
    let outcome = verified(bytes, bytes.len().max(1));
    assert_eq!(verified(bytes, 61), outcome, "it does not matter in which pieces an export comes");
    if !bytes.starts_with(&[0x1f]) {
        assert_eq!(in_parts(&[bytes], 61).as_deref(), Some(bytes), "what is not compressed is read as it is");
    }
    let (first, second) = bytes.split_at(bytes.len() / 2);
    for parts in [&[bytes][..], &[first, second], &[bytes, bytes]] {
        assert_eq!(in_parts(parts, 61), in_parts(parts, 1 << 16), "nor does it for parts");
    }
    if let Ok(told) = redactions_ahead(bytes) {
        assert_eq!(redactions_ahead(&redactions(bytes)).as_ref(), Ok(&told), "what is told ahead is found in it");
    }
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

fn redactions(bytes: &[u8]) -> Vec<u8> {
    let (mut splitter, mut found) = (Splitter::default(), Vec::new());
    splitter.push(bytes).iter().for_each(|batch| add_redactions(batch, &mut found));
    add_redactions(&splitter.finish(), &mut found);
    found
}

/// What the parts tell together; nothing if they do not go together.
fn in_parts(parts: &[&[u8]], piece_bytes: usize) -> Option<Vec<u8>> {
    let mut parts = Parts::new(parts.iter().map(|bytes| Part { name: "part".to_owned(), input: Ok(*bytes) }));
    let (mut told, mut piece) = (Vec::new(), vec![0; piece_bytes]);
    loop {
        match parts.read(&mut piece) {
            // What is compressed may be long.
            Ok(bytes) if bytes == 0 || told.len() > TOLD_BYTES_MAX => {
                told.truncate(TOLD_BYTES_MAX);
                return Some(told);
            }
            Ok(bytes) => told.extend_from_slice(&piece[..bytes]),
            Err(error) => {
                assert!(Broken::of(&error).is_some(), "only the parts can be wrong: {error}");
                return None;
            }
        }
    }
}
