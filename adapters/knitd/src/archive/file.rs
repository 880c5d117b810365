//! The file of a segment: writing it, and holding one that is there against the log.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::Context as _;
use flate2::Compression;
use flate2::write::GzEncoder;
use knit_failpoint::failpoint;
use knit_schemas::chain::Hash;
use knit_schemas::export::{
    BATCH_BYTES, Broken, Envelopes, Flaw, Part, Parts, Segment, Splitter, Verification, Verified, check, flaw_of_parts,
};
use tokio::sync::mpsc;

use super::redactions::Redactions;

/// Bytes that are read at once.
const PIECE_BYTES: usize = BATCH_BYTES / 4;

/// Why a segment that is there cannot stay as it is.
#[derive(Debug)]
pub(super) enum Unfit {
    /// It holds content that was redacted.
    Redacted,
    /// It is not what was written.
    Damaged(String),
    /// It is in order, and the log says something else.
    OtherLog,
}

/// Writes what comes, compressed, and makes it durable; answers the events that were emptied, each with the hash of its
/// envelope. What is not
/// in order is not archived.
pub(super) fn write(path: &Path, mut coming: mpsc::Receiver<Vec<u8>>) -> anyhow::Result<Envelopes> {
    let at = || format!("{}", path.display());
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path).with_context(at)?;
    let mut encoder = GzEncoder::new(BufWriter::new(file), Compression::default());
    let (mut splitter, mut verification) = (Splitter::default(), Verification::default());
    while let Some(bytes) = coming.blocking_recv() {
        encoder.write_all(&bytes).with_context(at)?;
        if let Some(batch) = splitter.push(&bytes) {
            verification.take(check(&batch, &BTreeSet::new())).context(NOT_WHOLE)?;
        }
    }
    verification.take(check(&splitter.finish(), &BTreeSet::new())).context(NOT_WHOLE)?;
    let (_, emptied) = verification.finish_part().context(NOT_WHOLE)?;
    let file =
        encoder.finish().with_context(at)?.into_inner().map_err(io::IntoInnerError::into_error).with_context(at)?;
    failpoint("archive.written");
    file.sync_all().with_context(at)?;
    Ok(emptied)
}

/// What is said of a log that is not in order.
const NOT_WHOLE: &str = "the log is not whole, and what is wrong is not archived";

/// Whether the file at `path` holds `segment` of the log whose chain at its end is `chain`, with those events emptied
/// that were redacted, as their redactions have left them, and no others.
pub(super) fn look_at(path: &Path, segment: Segment, chain: Hash, redactions: &Redactions) -> Result<(), Unfit> {
    let redacted = redactions.within(segment);
    let (verified, emptied) = match verified(path) {
        Ok(Ok(found)) => found,
        Ok(Err(flaw)) => return Err(Unfit::Damaged(flaw.to_string())),
        Err(error) => return Err(Unfit::Damaged(error.to_string())),
    };
    let holds = Segment { first: verified.after.saturating_add(1), last: verified.position };
    if holds != segment {
        return Err(Unfit::Damaged(format!("it holds positions {} to {}", holds.first, holds.last)));
    }
    if verified.chain != chain {
        return Err(Unfit::OtherLog);
    }
    if let Some((position, _)) = redactions.contradicted(&emptied) {
        return Err(Unfit::Damaged(format!("what is left of the redacted event at position {position} was changed")));
    }
    if let Some(position) = emptied.keys().find(|position| !redacted.contains(position)) {
        return Err(Unfit::Damaged(format!("the event at position {position} was emptied, and never redacted")));
    }
    if emptied.len() < redacted.len() { Err(Unfit::Redacted) } else { Ok(()) }
}

/// What the file proves, and which of its events are emptied.
fn verified(path: &Path) -> io::Result<Result<(Verified, Envelopes), Flaw>> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut parts = Parts::new([Part { name, input: File::open(path) }]);
    let (mut splitter, mut verification) = (Splitter::default(), Verification::default());
    let mut piece = vec![0; PIECE_BYTES];
    let broken = loop {
        match parts.read(&mut piece) {
            Ok(0) => break None,
            Ok(bytes) => {
                if let Some(batch) = splitter.push(&piece[..bytes])
                    && let Err(flaw) = verification.take(check(&batch, &BTreeSet::new()))
                {
                    return Ok(Err(flaw));
                }
            }
            Err(error) => match Broken::of(&error) {
                Some(broken) => break Some(broken.clone()),
                None => return Err(error),
            },
        }
    };
    let taken = verification.take(check(&splitter.finish(), &BTreeSet::new()));
    let found = taken.and_then(|()| verification.finish_part());
    Ok(match broken {
        Some(broken) => Err(flaw_of_parts(found.map(|(verified, _)| verified), &broken)),
        None => found,
    })
}
