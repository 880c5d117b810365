//! Volumes as directories.
//!
//! A volume is born in `open/` and, sealed, moves to `volumes/` by one rename, so a reader finds it
//! whole or not at all. While it is being sealed a note of its write bits lies beside it (see [`note`]). An upload is unpacked in `incoming/` and moves from there in the same way.
//! What is destroyed moves to `incoming/` first, so that nobody reads half of it. `incoming/` holds
//! nothing that anybody remembers: it is emptied at every start.

mod note;
mod seal;

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use knit_domain::id::VolumeRef;
use knit_failpoint::failpoint;
use rustix::fs::{AtFlags, CWD, Mode, RenameFlags, fchmod, renameat_with, unlinkat};
use rustix::io::Errno;
use uuid::Uuid;

use super::name::file_name;
use crate::port::{Fault, Incoming, ReadError, ReceiveError, Received};
use crate::tree::{DIRECTORY, Step, walk};

use note::Note;

/// The three places of volumes.
pub(super) struct Volumes {
    sealed: PathBuf,
    open: PathBuf,
    incoming: PathBuf,
}

/// A volume, where it is now.
pub(super) struct Found {
    pub(super) path: PathBuf,
    pub(super) sealed: bool,
}

impl Volumes {
    /// Takes up the volumes under `state_dir`; what a crash left in `incoming/` is removed.
    pub(super) fn take_up(state_dir: &Path) -> Result<Self, Fault> {
        let place = |name: &str| state_dir.join(name);
        let this = Self { sealed: place("volumes"), open: place("open"), incoming: place("incoming") };
        for dir in [&this.sealed, &this.open, &this.incoming] {
            make_dir(dir)?;
        }
        let broken = |e| Fault::new(format!("empty `{}`", this.incoming.display()), e);
        for left_over in fs::read_dir(&this.incoming).map_err(broken)? {
            remove_tree(&left_over.map_err(broken)?.path())?;
        }
        Ok(this)
    }

    pub(super) fn find(&self, volume: &VolumeRef) -> Result<Option<Found>, Fault> {
        let name = file_name(&volume.0)?;
        // Sealing moves from the second place to the first, so the first is looked at again.
        let places = [(&self.sealed, true), (&self.open, false), (&self.sealed, true)];
        let found = places.into_iter().find(|(place, _)| is_dir(&place.join(name)));
        Ok(found.map(|(place, sealed)| Found { path: place.join(name), sealed }))
    }

    pub(super) fn prepare(&self, volume: &VolumeRef) -> Result<(), Fault> {
        if self.find(volume)?.is_some() {
            return Ok(());
        }
        // What was noted of another volume of that name is not true of this one.
        self.note(volume)?.remove()?;
        make_dir(&self.open.join(file_name(&volume.0)?))
    }

    fn note(&self, volume: &VolumeRef) -> Result<Note, Fault> {
        Ok(Note::of(file_name(&volume.0)?, &self.open, &self.incoming))
    }

    pub(super) fn seal(&self, volume: &VolumeRef) -> Result<(), ReadError> {
        let Some(found) = self.find(volume)? else { return Err(ReadError::Missing { volume: volume.clone() }) };
        let sealed_path = self.sealed.join(file_name(&volume.0)?);
        if !found.sealed {
            let root = open_to_move(&found.path)?;
            let noted = self.note(volume)?.take_or_make(&root)?;
            failpoint("seal.noted");
            seal::seal(&root, noted)?;
            failpoint("seal.durable");
            publish(&found.path, &sealed_path).map_err(|e| broken("seal", &found.path, e))?;
            failpoint("seal.renamed");
        }
        // Also after a crash between the rename and this.
        finish_publishing(&self.sealed, &sealed_path)?;
        failpoint("seal.published");
        Ok(self.note(volume)?.remove()?)
    }

    pub(super) fn destroy(&self, volume: &VolumeRef) -> Result<(), Fault> {
        // More than once only if it was sealed between the look and the rename.
        while let Some(found) = self.find(volume)? {
            let gone = self.incoming.join(format!(".gone-{}", Uuid::new_v4()));
            let moved = open_to_move(&found.path)
                .and_then(|_| fs::rename(&found.path, &gone).map_err(|e| Fault::new("remove a volume", e)));
            match moved {
                Ok(()) => {
                    failpoint("destroy.moved-aside");
                    remove_tree(&gone)?;
                }
                Err(_) if !is_dir(&found.path) => {}
                Err(fault) => return Err(fault),
            }
        }
        self.note(volume)?.remove()
    }

    /// Whether the volume is still what it was when `root` was opened, wherever it is now.
    pub(super) fn still_holds(&self, volume: &VolumeRef, root: &OwnedFd) -> Result<(), Fault> {
        let was = rustix::fs::fstat(root).map_err(|e| Fault::new("look at a volume", io::Error::from(e)))?;
        let now = self.find(volume)?.and_then(|found| rustix::fs::stat(&found.path).ok());
        if now.is_some_and(|now| (now.st_dev, now.st_ino) == (was.st_dev, was.st_ino)) {
            return Ok(());
        }
        Err(Fault::new(format!("read the volume `{volume}`"), "it was removed while it was read"))
    }

    /// Makes the place where an upload is unpacked.
    pub(super) fn begin_incoming(self: &Arc<Self>, volume: &VolumeRef) -> Result<(Unpacking, OwnedFd), ReceiveError> {
        let exists = || ReceiveError::Exists { volume: volume.clone() };
        if self.find(volume)?.is_some() {
            return Err(exists());
        }
        let path = self.incoming.join(file_name(&volume.0)?);
        match fs::create_dir(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(exists()),
            Err(error) => return Err(Fault::new("make a place for the upload", error).into()),
        }
        failpoint("upload.place-made");
        let unpacking = Unpacking { path: Some(path.clone()), volume: volume.clone(), volumes: Arc::clone(self) };
        let root = open_dir(&path)?;
        Ok((unpacking, root))
    }
}

/// The place of an upload; removed when this is dropped, unless it was published.
pub(super) struct Unpacking {
    path: Option<PathBuf>,
    volume: VolumeRef,
    volumes: Arc<Volumes>,
}

impl Unpacking {
    /// Makes it durable and visible.
    fn publish(mut self) -> Result<(), ReceiveError> {
        let path = self.path.clone().expect("it is taken only here and in discard");
        let target = self.volumes.sealed.join(file_name(&self.volume.0)?);
        let root = open_dir(&path)?;
        seal::seal_unpacked(&root)?;
        failpoint("upload.durable");
        if self.volumes.find(&self.volume)?.is_some() {
            return Err(ReceiveError::Exists { volume: self.volume.clone() });
        }
        match publish(&path, &target) {
            Ok(()) => {
                failpoint("upload.renamed");
                self.path = None;
            }
            Err(Errno::EXIST | Errno::NOTEMPTY) => return Err(ReceiveError::Exists { volume: self.volume.clone() }),
            Err(error) => return Err(broken("publish", &path, error).into()),
        }
        Ok(finish_publishing(&self.volumes.sealed, &target)?)
    }

    fn discard(mut self) -> Result<(), Fault> {
        self.path.take().map_or(Ok(()), |path| remove_tree(&path))
    }
}

impl Drop for Unpacking {
    fn drop(&mut self) {
        if let Some(path) = self.path.take()
            && let Err(fault) = remove_tree(&path)
        {
            tracing::warn!(%fault, "an upload that failed could not be removed; the next start does it");
        }
    }
}

/// An upload that waits for its caller's word.
pub(super) struct LocalIncoming {
    /// Absent only once it was moved to the thread that commits, discards or drops it.
    unpacking: Option<Unpacking>,
    received: Received,
}

impl LocalIncoming {
    pub(super) fn new(unpacking: Unpacking, received: Received) -> Self {
        Self { unpacking: Some(unpacking), received }
    }

    fn take(&mut self) -> Unpacking {
        self.unpacking.take().expect("commit and discard consume the value")
    }
}

#[async_trait]
impl Incoming for LocalIncoming {
    fn received(&self) -> &Received {
        &self.received
    }

    async fn commit(mut self: Box<Self>) -> Result<(), ReceiveError> {
        let unpacking = self.take();
        super::blocking("store the upload", move || unpacking.publish()).await
    }

    async fn discard(mut self: Box<Self>) -> Result<(), Fault> {
        let unpacking = self.take();
        super::blocking("discard the upload", move || unpacking.discard()).await
    }
}

impl Drop for LocalIncoming {
    /// Removing a large tree must not hold up an asynchronous thread.
    fn drop(&mut self) {
        if let (Some(unpacking), Ok(runtime)) = (self.unpacking.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn_blocking(move || drop(unpacking));
        }
    }
}

/// Moves a durable tree to its final name, which nobody has.
fn publish(from: &Path, to: &Path) -> rustix::io::Result<()> {
    renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE)
}

/// Makes the new name durable and the root read-only. Only an owner may move a directory to another
/// parent while it is read-only, so the root loses its write bit after the rename.
fn finish_publishing(place: &Path, path: &Path) -> Result<(), Fault> {
    let root = open_dir(path)?;
    fchmod(&root, crate::mode::SEALED_DIRECTORY).map_err(|e| broken("make read-only", path, e))?;
    let place = open_dir(place)?;
    rustix::fs::fsync(&place).map_err(|e| broken("make durable", path, e))
}

/// Removes a directory and all it holds, read-only parts too, without following a link.
pub(super) fn remove_tree(path: &Path) -> Result<(), Fault> {
    if !path.symlink_metadata().is_ok_and(|data| data.is_dir()) {
        return match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Fault::new("remove a left-over file", error)),
            _ => Ok(()),
        };
    }
    let root = open_dir(path)?;
    fchmod(&root, Mode::RWXU).map_err(|e| broken("open for removal", path, e))?;
    walk(root, |step| match step {
        // Without these bits the owner could neither list it nor remove anything from it.
        Step::Directory(at) => rustix::fs::chmodat(at.parent, at.name, Mode::RWXU, AtFlags::empty())
            .map_err(|e| at.fault("open for removal", e)),
        Step::Leaf(at, _) => unlinkat(at.parent, at.name, AtFlags::empty()).map_err(|e| at.fault("remove", e)),
        Step::Left(at) => unlinkat(at.parent, at.name, AtFlags::REMOVEDIR).map_err(|e| at.fault("remove", e)),
    })?;
    fs::remove_dir(path).map_err(|e| Fault::new(format!("remove `{}`", path.display()), e))
}

pub(super) fn open_dir(path: &Path) -> Result<OwnedFd, Fault> {
    rustix::fs::open(path, DIRECTORY, Mode::empty()).map_err(|e| broken("open", path, e))
}

/// Opens the root of a volume, and opens it for moving: a Worker may have locked itself out, and a directory that its
/// owner may not write is not moved to another parent.
fn open_to_move(path: &Path) -> Result<OwnedFd, Fault> {
    rustix::fs::chmod(path, Mode::RWXU).map_err(|e| broken("open", path, e))?;
    open_dir(path)
}

pub(super) fn make_dir(path: &Path) -> Result<(), Fault> {
    match fs::create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(Fault::new(format!("make `{}`", path.display()), error))
        }
        _ => Ok(()),
    }
}

fn is_dir(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|data| data.is_dir())
}

fn broken(action: &str, path: &Path, error: Errno) -> Fault {
    Fault::new(format!("{action} `{}`", path.display()), io::Error::from(error))
}
