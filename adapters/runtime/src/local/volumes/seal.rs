//! Making a tree durable and read-only before it gets its final name.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, FileType, Mode, OFlags};

use crate::mode;
use crate::port::Fault;
use crate::tree::{At, DIRECTORY, Step, walk};

/// Up to here each file is synchronised alone, which waits only for its own data. Beyond, the whole file
/// system is synchronised in one call: thousands of single calls would each wait for the journal.
const SYNCED_ALONE_MAX: u64 = 32;

/// What is known of the files of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::local) enum Files {
    /// The unpacker sealed each as it wrote it.
    SealedAlready,
    /// As a Worker left them.
    ToSeal,
}

/// Makes everything below `root` read-only and then durable. The root itself stays writable, so that it
/// can be moved. Nothing may be writing to it any more.
pub(in crate::local) fn make_durable(root: &OwnedFd, files: Files) -> Result<(), Fault> {
    let mut things: u64 = 0;
    walk(reopen(root)?, |step| {
        things += 1;
        match step {
            Step::Directory(at) => make_listable(&at),
            Step::Leaf(at, FileType::RegularFile) if files == Files::ToSeal => seal(&at),
            Step::Leaf(..) => Ok(()),
            Step::Left(at) => rustix::fs::chmodat(at.parent, at.name, mode::SEALED_DIRECTORY, AtFlags::empty())
                .map_err(|e| at.fault("make read-only", e)),
        }
    })?;
    if things <= SYNCED_ALONE_MAX { sync_each(root) } else { sync_all(root) }
}

/// A Worker may have locked itself out of its own directory.
fn make_listable(at: &At<'_>) -> Result<(), Fault> {
    if Mode::from_raw_mode(at.stat()?.st_mode).contains(Mode::RWXU) {
        return Ok(());
    }
    rustix::fs::chmodat(at.parent, at.name, Mode::RWXU, AtFlags::empty()).map_err(|e| at.fault("open", e))
}

fn seal(at: &At<'_>) -> Result<(), Fault> {
    let stat = at.stat()?;
    // Noting the write bits needs one.
    rustix::fs::chmodat(at.parent, at.name, Mode::RUSR | Mode::WUSR, AtFlags::empty())
        .map_err(|e| at.fault("make read-only", e))?;
    let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = rustix::fs::openat(at.parent, at.name, flags, Mode::empty()).map_err(|e| at.fault("open", e))?;
    mode::seal_worker_file(&File::from(file), &stat)
        .map_err(|e| Fault::new(format!("make `/{}` read-only", crate::archive::EntryName::of(at.path)), e))
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
fn reopen(root: &OwnedFd) -> Result<OwnedFd, Fault> {
    rustix::fs::openat(root, c".", DIRECTORY, Mode::empty())
        .map_err(|e| Fault::new("open a volume", io::Error::from(e)))
}
