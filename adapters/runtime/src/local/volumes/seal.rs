//! Making a tree durable and read-only before it gets its final name.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;

use knit_failpoint::failpoint;
use rustix::fs::{AtFlags, FileType, Mode, OFlags};

use super::note::Noted;
use crate::archive::EntryName;
use crate::mode;
use crate::port::Fault;
use crate::tree::{At, DIRECTORY, Step, walk};

/// Up to here each file is synchronised alone, which waits only for its own data. Beyond, the whole file
/// system is synchronised in one call: thousands of single calls would each wait for the journal.
const SYNCED_ALONE_MAX: u64 = 32;

/// Makes everything below `root` read-only and durable, as a Worker left it. The root itself stays writable, so that
/// it can be moved. Nothing may be writing to it any more.
pub(super) fn seal(root: &OwnedFd, mut noted: Noted) -> Result<(), Fault> {
    make_durable(root, |at| {
        let bits = noted.bits_of(at)?;
        seal_file(at, bits)?;
        failpoint("seal.entry-sealed");
        Ok(())
    })?;
    noted.end()
}

/// The same for an upload: the unpacker sealed each file as it wrote it.
pub(super) fn seal_unpacked(root: &OwnedFd) -> Result<(), Fault> {
    make_durable(root, |_| Ok(()))
}

fn make_durable(root: &OwnedFd, mut seal_file: impl FnMut(&At<'_>) -> Result<(), Fault>) -> Result<(), Fault> {
    let mut things: u64 = 0;
    walk(reopen(root)?, |step| {
        things += 1;
        match step {
            Step::Directory(at) => make_listable(&at),
            Step::Leaf(at, FileType::RegularFile) => seal_file(&at),
            Step::Leaf(..) => Ok(()),
            Step::Left(at) => rustix::fs::chmodat(at.parent, at.name, mode::SEALED_DIRECTORY, AtFlags::empty())
                .map_err(|e| at.fault("make read-only", e)),
        }
    })?;
    if things <= SYNCED_ALONE_MAX { sync_each(root) } else { sync_all(root) }
}

/// A Worker may have locked itself out of its own directory.
pub(super) fn make_listable(at: &At<'_>) -> Result<(), Fault> {
    if Mode::from_raw_mode(at.stat()?.st_mode).contains(Mode::RWXU) {
        return Ok(());
    }
    rustix::fs::chmodat(at.parent, at.name, Mode::RWXU, AtFlags::empty()).map_err(|e| at.fault("open", e))
}

/// Seals a file that the Worker left with the write bits `left`.
fn seal_file(at: &At<'_>, left: Mode) -> Result<(), Fault> {
    let unsealable = |e: io::Error| Fault::new(format!("make `/{}` read-only", EntryName::of(at.path)), e);
    let now = Mode::from_raw_mode(at.stat()?.st_mode);
    // Noting its write bits needs one. No other bit may be lost, should nobody come to the end of this.
    rustix::fs::chmodat(at.parent, at.name, mode::writable(now), AtFlags::empty()).map_err(|e| unsealable(e.into()))?;
    let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = rustix::fs::openat(at.parent, at.name, flags, Mode::empty()).map_err(|e| at.fault("open", e))?;
    mode::seal_worker_file(&File::from(file), now, left).map_err(unsealable)
}

fn sync_each(root: &OwnedFd) -> Result<(), Fault> {
    walk(reopen(root)?, |step| match step {
        Step::Leaf(at, FileType::RegularFile) => sync(&at, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC),
        Step::Left(at) => sync(&at, DIRECTORY),
        Step::Leaf(..) | Step::Directory(_) => Ok(()),
    })?;
    rustix::fs::fsync(root).map_err(durable_fault)
}

fn sync(at: &At<'_>, flags: OFlags) -> Result<(), Fault> {
    let file = rustix::fs::openat(at.parent, at.name, flags, Mode::empty()).map_err(|e| at.fault("open", e))?;
    rustix::fs::fsync(&file).map_err(|e| at.fault("make durable", e))
}

fn sync_all(root: &OwnedFd) -> Result<(), Fault> {
    rustix::fs::syncfs(root).map_err(durable_fault)
}

fn durable_fault(error: rustix::io::Errno) -> Fault {
    Fault::new("make a volume durable", io::Error::from(error))
}

/// A walk consumes what it starts from.
pub(super) fn reopen(root: &OwnedFd) -> Result<OwnedFd, Fault> {
    rustix::fs::openat(root, c".", DIRECTORY, Mode::empty())
        .map_err(|e| Fault::new("open a volume", io::Error::from(e)))
}
