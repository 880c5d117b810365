//! Files of checkpoints.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

use knit_schemas::checkpoint::{self, FIRST, Signed};

use super::{PublicKey, SigningError, signature, text_of};
use crate::error::Error;

/// The checkpoints of a file, each signed with one of `keys`; there is at least one.
pub(in crate::audit) fn checkpoints_signed_by(keys: &[PublicKey], path: &Path) -> Result<Vec<Signed>, Error> {
    let all = read(path)?;
    if all.is_empty() {
        return Err(SigningError::NoCheckpoint { path: path.to_owned() }.into());
    }
    signature::are_signed_by(keys, &all, path)?;
    Ok(all)
}

/// The checkpoints of a file, whoever signed them.
pub(in crate::audit) fn checkpoints_of_anybody(path: &Path) -> Result<Vec<Signed>, Error> {
    let all = read(path)?;
    signature::are_whole(&all, path)?;
    Ok(all)
}

fn read(path: &Path) -> Result<Vec<Signed>, Error> {
    let text = text_of(path).map_err(Error::file("read", path))?;
    Ok(checkpoint::read(&text).map_err(|why| SigningError::NoCheckpoints { path: path.to_owned(), why })?)
}

/// Writes a checkpoint behind those of a file, which may be one that can only grow.
///
/// # Errors
/// When there is no room for all of it, for example; then the file is as it was, unless it can only grow.
pub(in crate::audit) fn append(path: &Path, signed: &Signed) -> io::Result<()> {
    let before = fs::metadata(path).map(|found| found.len());
    let mut file = OpenOptions::new().append(true).create(true).open(path)?;
    file.write_all(signed.to_string().as_bytes()).and_then(|()| file.sync_all()).inspect_err(|_| {
        // A part of a checkpoint would be in the way of the next; why it is not written is said.
        let _ = match before {
            Ok(bytes) => file.set_len(bytes),
            Err(_) => fs::remove_file(path),
        };
    })
}

/// The positions of which the chain must be known to hold a history against `checkpoints`.
pub(in crate::audit) fn watched(checkpoints: &[Signed]) -> BTreeSet<u64> {
    checkpoints.iter().map(|signed| signed.checkpoint.position).chain([FIRST]).collect()
}
