//! Walks over a directory tree that somebody else made.
//!
//! A Worker or an upload may leave anything behind: chains of links, thousands of nested directories,
//! directories that their owner cannot read. A walk never follows a link, never leaves the root it was
//! given, and needs one open directory however deep the tree is. Its memory grows with the names of
//! the directories on the current path, and with nothing else.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat, fstat, openat, statat};

use crate::archive::EntryName;
use crate::port::Fault;

/// A name in a directory that is open.
#[derive(Clone, Copy)]
pub(crate) struct At<'a> {
    /// The directory.
    pub(crate) parent: BorrowedFd<'a>,
    /// The name in it.
    pub(crate) name: &'a CStr,
    /// The path from the root of the walk.
    pub(crate) path: &'a [u8],
}

impl At<'_> {
    /// A fault about this place.
    pub(crate) fn fault(&self, action: &str, source: rustix::io::Errno) -> Fault {
        fault(action, self.path, source.into())
    }

    /// What it is; a link is a link.
    pub(crate) fn stat(&self) -> Result<Stat, Fault> {
        statat(self.parent, self.name, AtFlags::SYMLINK_NOFOLLOW).map_err(|e| self.fault("look at", e))
    }
}

/// What a walk comes upon, each directory's names in byte order.
pub(crate) enum Step<'a> {
    /// A directory, about to be entered.
    Directory(At<'a>),
    /// Anything else.
    Leaf(At<'a>, FileType),
    /// A directory whose content was visited, seen from its parent.
    Left(At<'a>),
}

/// Shows `visit` everything below `root`, but not the root itself.
pub(crate) fn walk(root: OwnedFd, mut visit: impl FnMut(Step<'_>) -> Result<(), Fault>) -> Result<(), Fault> {
    let mut path = Vec::new();
    let mut here = root;
    let mut levels = vec![Level::read(&here, &path)?];
    while let Some(level) = levels.last_mut() {
        if let Some((name, kind)) = level.names.next() {
            path.truncate(level.path_bytes);
            push(&mut path, &name);
            let at = At { parent: here.as_fd(), name: &name, path: &path };
            if kind == FileType::Directory {
                visit(Step::Directory(at))?;
                let child = open_child(&at)?;
                levels.push(Level::read(&child, &path)?);
                here = child;
            } else {
                visit(Step::Leaf(at, kind))?;
            }
            continue;
        }
        path.truncate(level.path_bytes);
        levels.pop();
        if let Some(parent) = levels.last() {
            here = parent.reopen_from(&here, &path)?;
            let name = CString::new(last_part(&path)).expect("it came from a directory");
            visit(Step::Left(At { parent: here.as_fd(), name: &name, path: &path }))?;
            path.truncate(parent.path_bytes);
        }
    }
    Ok(())
}

/// A directory on the current path.
struct Level {
    names: std::vec::IntoIter<(CString, FileType)>,
    device: u64,
    inode: u64,
    path_bytes: usize,
}

impl Level {
    fn read(dir: &OwnedFd, path: &[u8]) -> Result<Self, Fault> {
        let broken = |e: rustix::io::Errno| fault("list", path, e.into());
        let identity = fstat(dir).map_err(broken)?;
        let mut names = Vec::new();
        for entry in Dir::read_from(dir).map_err(broken)? {
            let entry = entry.map_err(broken)?;
            let name = entry.file_name();
            if name != c"." && name != c".." {
                let kind = kind_of(dir.as_fd(), name, entry.file_type()).map_err(broken)?;
                names.extend(kind.map(|kind| (name.to_owned(), kind)));
            }
        }
        names.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        Ok(Self { names: names.into_iter(), device: identity.st_dev, inode: identity.st_ino, path_bytes: path.len() })
    }

    /// Opens this directory again from its child. In a tree that changes, the child may have been moved
    /// elsewhere meanwhile; following it would leave the root.
    fn reopen_from(&self, child: &OwnedFd, path: &[u8]) -> Result<OwnedFd, Fault> {
        let broken = |e: io::Error| fault("return from", path, e);
        let parent = openat(child, c"..", DIRECTORY, Mode::empty()).map_err(|e| broken(e.into()))?;
        let identity = fstat(&parent).map_err(|e| broken(e.into()))?;
        if (identity.st_dev, identity.st_ino) == (self.device, self.inode) {
            Ok(parent)
        } else {
            Err(broken(io::Error::other("it was moved while it was read")))
        }
    }
}

/// Some file systems do not tell the kind in the listing. `None` = vanished meanwhile.
fn kind_of(dir: BorrowedFd<'_>, name: &CStr, listed: FileType) -> rustix::io::Result<Option<FileType>> {
    if listed != FileType::Unknown {
        return Ok(Some(listed));
    }
    match statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(FileType::from_raw_mode(stat.st_mode))),
        Err(rustix::io::Errno::NOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

/// How every directory of a tree is opened.
pub(crate) const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

fn open_child(at: &At<'_>) -> Result<OwnedFd, Fault> {
    openat(at.parent, at.name, DIRECTORY, Mode::empty()).map_err(|e| at.fault("enter", e))
}

fn push(path: &mut Vec<u8>, name: &CStr) {
    if !path.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(name.to_bytes());
}

fn last_part(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or(path)
}

fn fault(action: &str, path: &[u8], source: io::Error) -> Fault {
    Fault::new(format!("{action} `/{}` of a volume", EntryName::of(path)), source)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn open(path: &std::path::Path) -> OwnedFd {
        rustix::fs::open(path, DIRECTORY, Mode::empty()).unwrap()
    }

    #[test]
    fn names_come_in_byte_order_and_links_are_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("b/inner")).unwrap();
        for file in ["b.txt", "a", "b/inner/x", "B"] {
            fs::write(dir.path().join(file), "").unwrap();
        }
        symlink("/", dir.path().join("c")).unwrap();
        let mut seen = Vec::new();
        walk(open(dir.path()), |step| {
            seen.push(match step {
                Step::Directory(at) => format!("{}/", String::from_utf8_lossy(at.path)),
                Step::Leaf(at, _) => String::from_utf8_lossy(at.path).into_owned(),
                Step::Left(at) => format!("^{}", String::from_utf8_lossy(at.path)),
            });
            Ok(())
        })
        .unwrap();
        assert_eq!(seen, ["B", "a", "b/", "b/inner/", "b/inner/x", "^b/inner", "^b", "b.txt", "c"]);
    }

    #[test]
    fn a_tree_deeper_than_any_path_or_descriptor_table_is_walked() {
        const LEVELS: usize = 1_500;
        let dir = tempfile::tempdir().unwrap();
        let mut here = open(dir.path());
        for _ in 0..LEVELS {
            rustix::fs::mkdirat(&here, c"dd", Mode::RWXU).unwrap();
            here = openat(&here, c"dd", DIRECTORY, Mode::empty()).unwrap();
        }
        let mut left = 0;
        walk(open(dir.path()), |step| {
            if let Step::Left(at) = step {
                left += 1;
                rustix::fs::unlinkat(at.parent, at.name, AtFlags::REMOVEDIR).unwrap();
            }
            Ok(())
        })
        .unwrap();
        assert_eq!(left, LEVELS);
    }

    #[test]
    fn a_directory_moved_away_during_the_walk_is_not_followed_out() {
        let dir = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("a/b")).unwrap();
        fs::write(dir.path().join("a/b/x"), "").unwrap();
        let outcome = walk(open(dir.path()), |step| {
            if let Step::Leaf(..) = step {
                fs::rename(dir.path().join("a/b"), outside.path().join("b")).unwrap();
            }
            Ok(())
        });
        assert!(outcome.is_err());
    }
}
