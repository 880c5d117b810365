//! What the server has to be told ahead of a history that it folds as it comes: it is looked for in the files first.

use std::io::{self, Read};

use bytes::Bytes;
use knit_schemas::api::SkipAhead;
use knit_schemas::export::{AHEAD_BYTES_MAX, BATCH_BYTES, Broken, Splitter, add_redactions};

use super::history::History;
use crate::error::Error;
use crate::session::on_thread;

/// Bytes that are read at once.
const PIECE_BYTES: usize = BATCH_BYTES / 4;

/// What is told ahead.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    /// The events that projections pass over.
    pub(super) skips: Vec<SkipAhead>,
    /// The redactions, as they are told; none as long as nobody has asked for them.
    pub(super) redactions: Option<Bytes>,
}

/// The redactions of a history as they are told ahead; none if they are too many for that.
pub(super) async fn redactions(history: &History) -> Result<Option<Bytes>, Error> {
    let progress = history.progress("Looking through");
    let reader = history.read(progress.clone());
    let found = on_thread(move || collect(reader)).await?;
    progress.finish();
    Ok(found.map_err(|error| history.unreadable(error))?.map(Bytes::from))
}

fn collect(mut input: impl Read) -> io::Result<Option<Vec<u8>>> {
    let (mut splitter, mut piece, mut found) = (Splitter::default(), vec![0; PIECE_BYTES], Vec::new());
    while found.len() <= AHEAD_BYTES_MAX {
        match input.read(&mut piece) {
            Ok(0) => break,
            Ok(bytes) => splitter.push(&piece[..bytes]).iter().for_each(|batch| add_redactions(batch, &mut found)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // What is wrong is said by whoever folds it, who verifies it first.
            Err(error) if Broken::of(&error).is_some() => break,
            Err(error) => return Err(error),
        }
    }
    add_redactions(&splitter.finish(), &mut found);
    Ok((found.len() <= AHEAD_BYTES_MAX).then_some(found))
}
