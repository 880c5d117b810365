//! Writing an archive's entries into a directory, and nowhere else.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufRead, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;

use knit_failpoint::failpoint;
use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags, Timespec, Timestamps};
use rustix::io::Errno;

use super::header::{Entry, Kind};
use super::name::{check_target, clean, split};
use super::tar_reader::{TarReader, refuse};
use super::{BadArchive, EntryName, Limits};
use crate::mode;

/// Unpacks every entry of `source` into the empty directory `root`. Files come out read-only already,
/// with the modification times of the archive. Returns the entries and the bytes of content.
pub(super) fn unpack(source: impl BufRead, root: OwnedFd, limits: &Limits) -> io::Result<(u64, u64)> {
    let mut unpacker = Unpacker::new(root, limits);
    let mut tar = TarReader::new(source, *limits);
    let (mut entries, mut content_bytes) = (0, 0);
    while let Some(entry) = tar.next()? {
        entries += 1;
        content_bytes += unpacker.write(&entry, &mut tar)?;
        failpoint("upload.entry-unpacked");
    }
    Ok((entries, content_bytes))
}

struct Unpacker<'a> {
    root: OwnedFd,
    limits: &'a Limits,
    /// The directory of the entry before: entries of one directory usually follow each other.
    last_parent: Option<(Vec<u8>, OwnedFd)>,
    /// Sizes of files that have been named as a hard link's target, so that each is asked once.
    linked_sizes: HashMap<Vec<u8>, u64>,
}

impl<'a> Unpacker<'a> {
    fn new(root: OwnedFd, limits: &'a Limits) -> Self {
        Self { root, limits, last_parent: None, linked_sizes: HashMap::new() }
    }

    /// Writes one entry; returns the bytes of its content.
    fn write<R: BufRead>(&mut self, entry: &Entry, tar: &mut TarReader<R>) -> io::Result<u64> {
        let name = clean(&entry.name, self.limits).map_err(refuse)?;
        if name.is_empty() {
            return self.write_root(entry);
        }
        let (parent, last) = split(&name);
        let last = OsStr::from_bytes(last);
        self.enter(parent, tar).map_err(|e| explain(e, &entry.name, self.limits))?;
        let (_, parent) = self.last_parent.as_ref().expect("just entered");
        match &entry.kind {
            Kind::File => write_file(parent, last, entry, tar, self.limits),
            Kind::Directory => write_directory(parent, last, entry, self.limits),
            Kind::Symlink(target) => {
                check_target(&name, target, self.limits).map_err(refuse)?;
                write_symlink(parent, last, target, entry).map_err(|e| explain(e.into(), &entry.name, self.limits))
            }
            Kind::HardLink(target) => self.write_hard_link(&name, target, entry, tar),
        }
    }

    /// The root exists; an archive may name it, but only as what it is.
    fn write_root(&self, entry: &Entry) -> io::Result<u64> {
        if entry.kind == Kind::Directory {
            return Ok(0);
        }
        Err(refuse(BadArchive::ImpossibleName { name: EntryName::of(&entry.name) }))
    }

    /// Makes the directory and those above it, and keeps it open.
    fn enter<R: BufRead>(&mut self, path: &[u8], tar: &mut TarReader<R>) -> io::Result<()> {
        if self.last_parent.as_ref().is_none_or(|(last, _)| last != path) {
            let dir = self.open_or_make(path, tar)?;
            self.last_parent = Some((path.to_vec(), dir));
        }
        Ok(())
    }

    fn open_or_make<R: BufRead>(&self, path: &[u8], tar: &mut TarReader<R>) -> io::Result<OwnedFd> {
        let mut missing = 0;
        let parts: Vec<&[u8]> = path.split(|byte| *byte == b'/').filter(|part| !part.is_empty()).collect();
        let mut dir = loop {
            match self.open(&parts[..parts.len() - missing].join(&b'/')) {
                Err(Errno::NOENT) if missing < parts.len() => missing += 1,
                opened => break opened?,
            }
        };
        for part in &parts[parts.len() - missing..] {
            tar.count_entry()?;
            let part = OsStr::from_bytes(part);
            rustix::fs::mkdirat(&dir, part, Mode::RWXU)?;
            dir = rustix::fs::openat(&dir, part, crate::tree::DIRECTORY, Mode::empty())?;
        }
        Ok(dir)
    }

    /// Opens a directory below the root by a path on which no part is a link: the kernel sees to it.
    fn open(&self, path: &[u8]) -> rustix::io::Result<OwnedFd> {
        let path = if path.is_empty() { OsStr::new(".") } else { OsStr::from_bytes(path) };
        // Without NOFOLLOW, which would report a link at the end as something else than a link.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        rustix::fs::openat2(&self.root, path, flags, Mode::empty(), resolve)
    }

    /// Makes a second name of a file. Its content counts again: a download will contain it again.
    fn write_hard_link<R: BufRead>(
        &mut self,
        name: &[u8],
        target: &[u8],
        entry: &Entry,
        tar: &mut TarReader<R>,
    ) -> io::Result<u64> {
        let to_nothing = || {
            refuse(BadArchive::HardLinkToNothing { name: EntryName::of(&entry.name), target: EntryName::of(target) })
        };
        let target_clean = clean(target, self.limits).map_err(|_| to_nothing())?;
        let (target_parent, target_last) = split(&target_clean);
        let from = self.open(target_parent).map_err(|_| to_nothing())?;
        let target_last = OsStr::from_bytes(target_last);
        let size = match self.linked_sizes.get(&target_clean) {
            Some(size) => *size,
            None => regular_size(&from, target_last).ok_or_else(to_nothing)?,
        };
        self.linked_sizes.insert(target_clean.clone(), size);
        tar.count_bytes(size)?;
        let (_, parent) = self.last_parent.as_ref().expect("the caller entered it");
        let last = OsStr::from_bytes(split(name).1);
        rustix::fs::linkat(&from, target_last, parent, last, AtFlags::empty())
            .map_err(|e| explain(e.into(), &entry.name, self.limits))?;
        Ok(size)
    }
}

fn regular_size(parent: &OwnedFd, name: &OsStr) -> Option<u64> {
    let stat = rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
    let regular = rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::RegularFile;
    regular.then(|| u64::try_from(stat.st_size).ok()).flatten()
}

fn write_file<R: BufRead>(
    parent: &OwnedFd,
    name: &OsStr,
    entry: &Entry,
    tar: &mut TarReader<R>,
    limits: &Limits,
) -> io::Result<u64> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(parent, name, flags, Mode::RUSR | Mode::WUSR)
        .map_err(|e| explain(e.into(), &entry.name, limits))?;
    let mut file = File::from(file);
    loop {
        let content = tar.content()?;
        let count = content.len();
        if count == 0 {
            break;
        }
        file.write_all(content)?;
        tar.consume(count);
    }
    rustix::fs::futimens(&file, &times(entry))?;
    mode::seal_file(&file, Mode::from_raw_mode(entry.mode))?;
    Ok(entry.size)
}

/// A directory may be named more than once, and after its content.
fn write_directory(parent: &OwnedFd, name: &OsStr, entry: &Entry, limits: &Limits) -> io::Result<u64> {
    let explained = |e: Errno| explain(e.into(), &entry.name, limits);
    match rustix::fs::mkdirat(parent, name, Mode::RWXU) {
        Ok(()) => Ok(0),
        Err(Errno::EXIST) => {
            let is_directory = rustix::fs::openat(parent, name, crate::tree::DIRECTORY, Mode::empty());
            is_directory.map(|_| 0).map_err(explained)
        }
        Err(error) => Err(explained(error)),
    }
}

fn write_symlink(parent: &OwnedFd, name: &OsStr, target: &[u8], entry: &Entry) -> rustix::io::Result<u64> {
    rustix::fs::symlinkat(OsStr::from_bytes(target), parent, name)?;
    rustix::fs::utimensat(parent, name, &times(entry), AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(0)
}

fn times(entry: &Entry) -> Timestamps {
    let (seconds, nanoseconds) = entry.mtime;
    let time = Timespec { tv_sec: seconds, tv_nsec: nanoseconds.into() };
    Timestamps { last_access: time, last_modification: time }
}

/// What the kernel says about a name means something in the language of archives.
fn explain(error: io::Error, name: &[u8], limits: &Limits) -> io::Error {
    let name = EntryName::of(name);
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::LOOP) => refuse(BadArchive::BeneathLink { name }),
        Some(Errno::EXIST | Errno::NOTDIR | Errno::ISDIR) => refuse(BadArchive::Duplicate { name }),
        Some(Errno::NAMETOOLONG) => refuse(BadArchive::NameTooLong { name, bytes_max: limits.name_bytes_max }),
        _ => error,
    }
}
