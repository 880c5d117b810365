//! The directory of an archive.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use knit_domain::event::Position;
use knit_failpoint::failpoint;
use knit_schemas::export::Segment;

/// Whoever archives holds a lock on this file, so that two servers do not write one segment at once.
const LOCK_FILE: &str = ".lock";
/// What the name of a file ends with that has yet to become a segment; and what it begins with, before that of the
/// segment.
const PART: (&str, &str) = (".", ".part");

/// The last position of the segments in a directory; 0 if there is none, also if there is no such directory yet.
pub(crate) fn reaches(path: &Path) -> io::Result<Position> {
    match found_in(path) {
        Ok(found) => Ok(found.last().map_or(0, |segment| segment.last)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(0),
        Err(error) => Err(error),
    }
}

/// Whether this server can archive into a directory, in which it has begun to: it makes the directory and the lock in
/// it before anything else.
///
/// # Errors
/// Why it cannot.
pub(crate) fn is_entered(path: &Path) -> io::Result<()> {
    fs::metadata(path.join(LOCK_FILE))?;
    Ok(rustix::fs::access(path, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK)?)
}

/// The segments that are there, in order.
fn found_in(path: &Path) -> io::Result<Vec<Segment>> {
    let mut found: Vec<Segment> = Vec::new();
    for entry in fs::read_dir(path)? {
        found.extend(entry?.file_name().to_str().and_then(|name| name.parse::<Segment>().ok()));
    }
    found.sort();
    Ok(found)
}

/// A directory in which nobody else is archiving.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    /// Let go with it.
    _lock: File,
}

impl Directory {
    /// Makes the directory if it is not there, and takes the turn in it; nothing if somebody else has it. What a server
    /// has left that died over a segment is removed.
    pub(super) fn enter(path: &Path) -> anyhow::Result<Option<Self>> {
        let at = path.display();
        let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
        made.with_context(|| format!("cannot make the directory {at} for the archive"))?;
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path.join(LOCK_FILE));
        let lock = file.with_context(|| format!("cannot write into the directory {at} of the archive"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("cannot take the turn in the directory {at}"));
            }
        }
        let directory = Self { path: path.to_owned(), _lock: lock };
        directory.remove_parts().with_context(|| format!("cannot look into the directory {at} of the archive"))?;
        Ok(Some(directory))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The segments that are there, in order, if none tells what another one tells and the log has them all.
    pub(super) fn segments(&self, head: Position) -> anyhow::Result<Vec<Segment>> {
        let at = self.path.display();
        let found = found_in(&self.path).with_context(|| format!("cannot look into the directory {at}"))?;
        if let Some(last) = found.last().filter(|last| last.last > head) {
            bail!(
                "{last} in {at} is of another log, or this one was restored to an older state: it ends at \
                 position {head}; archive into another directory, and keep this one"
            );
        }
        for (before, next) in found.iter().zip(found.iter().skip(1)) {
            ensure!(
                before.last < next.first,
                "{before} and {next} in {at} tell the same events: move away the one that does not belong there, or \
                 archive into another directory"
            );
        }
        Ok(found)
    }

    /// Where the file of a segment is.
    pub(super) fn of(&self, segment: Segment) -> PathBuf {
        self.path.join(segment.to_string())
    }

    /// Where it is while it is written.
    pub(super) fn part_of(&self, segment: Segment) -> PathBuf {
        self.path.join(format!("{}{segment}{}", PART.0, PART.1))
    }

    /// Bytes of a segment that is there.
    pub(super) fn bytes_of(&self, segment: Segment) -> u64 {
        fs::metadata(self.of(segment)).map_or(0, |found| found.len())
    }

    /// Gives a file that is durable its name, and makes that durable.
    pub(super) fn place(&self, part: &Path, segment: Segment) -> anyhow::Result<()> {
        failpoint("archive.durable");
        fs::rename(part, self.of(segment)).with_context(|| format!("cannot name {segment}"))?;
        failpoint("archive.named");
        let synced = File::open(&self.path).and_then(|directory| directory.sync_all());
        synced.with_context(|| format!("cannot make the name of {segment} durable"))?;
        failpoint("archive.placed");
        Ok(())
    }

    fn remove_parts(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.path)? {
            let name = entry?.file_name();
            let is_part = |name: &str| {
                let segment = name.strip_prefix(PART.0).and_then(|name| name.strip_suffix(PART.1));
                segment.is_some_and(|segment| segment.parse::<Segment>().is_ok())
            };
            if name.to_str().is_some_and(is_part) {
                fs::remove_file(self.path.join(name))?;
            }
        }
        Ok(())
    }
}

/// Removes what is left of a file that did not become a segment: a full disk needs the room.
pub(super) struct Cleaner(pub(super) PathBuf);

impl Drop for Cleaner {
    fn drop(&mut self) {
        match fs::remove_file(&self.0) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                tracing::warn!("{} was not removed: {error}", self.0.display());
            }
            Ok(()) | Err(_) => {}
        }
    }
}
