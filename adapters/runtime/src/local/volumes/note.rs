//! The note of the write bits of a Worker's files, made before sealing takes the first of them.
//!
//! Sealing may be broken off at any step, by a crash or a broken disk, and begins again from the start. A file that
//! nobody may write is then either one that the Worker left so, or one whose bits were taken already, and nothing of
//! the file tells which: its own note (see [`mode`](crate::mode)) cannot be written while it is read-only, may be a
//! copy that the Worker brought along from an input (`cp -a`), and most files have none. So the bits are noted for
//! the volume as a whole, beside it in `open/`, where no Worker comes. What holds at each step:
//!
//! - *No note*: no write bit was taken yet, so what the files say is true. Only directories may have been opened to
//!   be listed; their modes are not remembered. A note that was begun lies in `incoming/`, which the next start
//!   empties, and is written over by the next try.
//! - *The note appears*, whole and by one rename; if it says anything it was made durable first. Nobody writes to the
//!   volume any more, so it stays true.
//! - *With a note, the note is right*, whatever the files say: a file that it does not name was left with the owner's
//!   write bit and no other. The bits of a file are only set from it, never read, so that half-sealed files, borrowed
//!   write bits, files with several names, met once for each, and notes that the Worker copied make no difference.
//!   The other bits of a file are never changed but in one direction, which may be repeated: set-user-id and the like
//!   are dropped, and the owner may read. Links, and what is neither file nor directory, are left alone.
//! - *The volume has its final name*: it is sealed, and the note goes. Should it stay, the volume being sealed again
//!   or destroyed takes it away, and a new volume of that name begins without.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, BufWriter};
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use rustix::fs::{FileType, Mode, RawMode};

use super::seal::{make_listable, reopen};
use crate::archive::EntryName;
use crate::mode::{WRITE_BITS, usual};
use crate::port::Fault;
use crate::tree::{At, Step, walk};

/// Where the note of one volume is.
pub(super) struct Note {
    /// Its place once it is whole.
    place: PathBuf,
    /// Where it is written.
    begun: PathBuf,
}

impl Note {
    /// The note of the volume `name`, which is being written to in `open`; it is there or not.
    pub(super) fn of(name: &str, open: &std::path::Path, incoming: &std::path::Path) -> Self {
        // No volume has a name with a dot at its beginning.
        let file = format!(".write-bits-{name}");
        Self { place: open.join(&file), begun: incoming.join(&file) }
    }

    /// Reads the note; makes it first of the files below `root`, if there is none.
    pub(super) fn take_or_make(&self, root: &OwnedFd) -> Result<Noted, Fault> {
        if let Some(noted) = self.take()? {
            return Ok(noted);
        }
        let made = self.write(root);
        if made.is_err() {
            // A full disk is tried again and again, and needs the room.
            let _ = fs::remove_file(&self.begun);
        }
        made?;
        self.take()?.ok_or_else(|| self.fault("read", "it was removed meanwhile"))
    }

    fn take(&self) -> Result<Option<Noted>, Fault> {
        match File::open(&self.place) {
            Ok(file) => Noted::read(file).map(Some).map_err(|e| self.fault("read", e)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.fault("read", error)),
        }
    }

    fn write(&self, root: &OwnedFd) -> Result<(), Fault> {
        let broken = |e: io::Error| self.fault("write", e);
        let mut note = BufWriter::new(File::create(&self.begun).map_err(broken)?);
        let mut is_empty = true;
        walk(reopen(root)?, |step| match step {
            Step::Directory(at) => make_listable(&at),
            Step::Leaf(at, FileType::RegularFile) => {
                let bits = Mode::from_raw_mode(at.stat()?.st_mode) & WRITE_BITS;
                if usual(bits) {
                    return Ok(());
                }
                is_empty = false;
                write_entry(&mut note, bits, &at).map_err(broken)
            }
            Step::Leaf(..) | Step::Left(_) => Ok(()),
        })?;
        let file = note.into_inner().map_err(|e| broken(e.into_error()))?;
        if !is_empty {
            file.sync_all().map_err(broken)?;
        }
        fs::rename(&self.begun, &self.place).map_err(broken)
    }

    /// Removes the note, if there is one.
    pub(super) fn remove(&self) -> Result<(), Fault> {
        match fs::remove_file(&self.place) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(self.fault("remove", error)),
            _ => Ok(()),
        }
    }

    fn fault(&self, action: &str, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Fault {
        Fault::new(format!("{action} the note `{}`", self.place.display()), source)
    }
}

/// An entry: the bits in octal, a blank, the path, and NUL, which no path has.
fn write_entry(note: &mut impl io::Write, bits: Mode, at: &At<'_>) -> io::Result<()> {
    write!(note, "{:o} ", bits.bits())?;
    note.write_all(at.path)?;
    note.write_all(&[0])
}

/// What a note says, read beside a walk through the same files, which comes by them in the same order: so it takes
/// no memory, however many read-only files a Worker has made.
#[derive(Debug)]
pub(super) struct Noted {
    rest: BufReader<File>,
    next: Option<(Mode, Vec<u8>)>,
}

impl Noted {
    fn read(file: File) -> io::Result<Self> {
        let mut rest = BufReader::new(file);
        Ok(Self { next: entry(&mut rest)?, rest })
    }

    /// The write bits that the file at `at`, the next of the walk, was left with.
    pub(super) fn bits_of(&mut self, at: &At<'_>) -> Result<Mode, Fault> {
        let broken = |e| Fault::new(format!("read the write bits of `/{}`", EntryName::of(at.path)), e);
        match &self.next {
            Some((bits, path)) if path == at.path => {
                let bits = *bits;
                self.next = entry(&mut self.rest).map_err(broken)?;
                Ok(bits)
            }
            _ => Ok(Mode::WUSR),
        }
    }

    /// Whether every entry found its file.
    pub(super) fn end(self) -> Result<(), Fault> {
        match self.next {
            None => Ok(()),
            Some((_, path)) => Err(Fault::new(
                format!("seal `/{}` of a volume", EntryName::of(&path)),
                "it was a file when the volume began to be sealed, and is not there now",
            )),
        }
    }
}

fn entry(note: &mut BufReader<File>) -> io::Result<Option<(Mode, Vec<u8>)>> {
    let mut text = Vec::new();
    if note.read_until(0, &mut text)? == 0 {
        return Ok(None);
    }
    let parsed = || {
        let (bits, path) = text.strip_suffix(&[0])?.split_at_checked(text.iter().position(|byte| *byte == b' ')?)?;
        let bits = RawMode::from_str_radix(std::str::from_utf8(bits).ok()?, 8).ok()?;
        Some((Mode::from_bits_retain(bits) & WRITE_BITS, path.get(1..)?.to_vec()))
    };
    parsed().map(Some).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "it is damaged"))
}
