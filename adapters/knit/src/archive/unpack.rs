//! Unpacking a Data without being led astray.
//!
//! Everything is first unpacked into a fresh directory beside the target, and moved into place only
//! when it is complete and its checksum is right. No entry can write outside: names with `..` or a
//! leading `/` are refused, and nothing is ever written through a link, neither one of the archive
//! nor one that lies in the target already.

use std::collections::HashSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::path::{Component, Path, PathBuf};

use flate2::read::MultiGzDecoder;
use tar::{Archive, Entry, EntryType};
use tempfile::TempDir;

use crate::error::without_temporary_name;

/// Bits of a file's mode that are kept: whoever pulls shall not get set-user-id programs.
const MODE_MASK: u32 = 0o777;

/// Why an archive cannot be unpacked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnpackError {
    /// The name leads out of the Data.
    #[error("the archive names `{name}`, which lies outside the Data")]
    Outside {
        /// The name.
        name: String,
    },
    /// A directory of the name is a link or a file.
    #[error("the archive writes to `{name}` through something that is not a directory")]
    ThroughLink {
        /// The name.
        name: String,
    },
    /// Neither file, link nor directory.
    #[error("`{name}` in the archive is neither a file, a link nor a directory")]
    Kind {
        /// The name.
        name: String,
    },
    /// Something in the target is in the way.
    #[error("`{}` is a directory there, but not in the Data", path.display())]
    InTheWay {
        /// Where.
        path: PathBuf,
    },
    /// Not an archive, or the disk failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A Data that is unpacked but not in its place yet; removed unless it gets there.
#[derive(Debug)]
pub(crate) struct Staged(TempDir);

/// Unpacks `archive` into a fresh directory in `destination`, which must exist.
pub(crate) fn unpack(archive: impl Read, destination: &Path) -> Result<Staged, UnpackError> {
    let staged = tempfile::Builder::new().prefix(".knit-pull-").tempdir_in(destination);
    let staged = staged.map_err(without_temporary_name)?;
    let mut directories = Directories { root: staged.path(), made: HashSet::new() };
    let mut archive = Archive::new(MultiGzDecoder::new(archive));
    for entry in archive.entries()? {
        place(entry?, &mut directories)?;
    }
    Ok(Staged(staged))
}

impl Staged {
    /// Moves everything to `target`. Files that lie there already and are not in the Data stay.
    pub(crate) fn move_to(self, target: &Path) -> Result<(), UnpackError> {
        DirBuilder::new().recursive(true).create(target)?;
        merge(self.0.path(), target)
    }
}

fn place(mut entry: Entry<'_, impl Read>, directories: &mut Directories<'_>) -> Result<(), UnpackError> {
    let name = entry.path()?.into_owned();
    let shown = || name.display().to_string();
    let relative = inside(&name).ok_or_else(|| UnpackError::Outside { name: shown() })?;
    let kind = entry.header().entry_type();
    if kind == EntryType::Directory {
        directories.make(&relative).map(drop)
    } else if kind == EntryType::Symlink {
        let target = entry.link_name()?.ok_or_else(|| UnpackError::Kind { name: shown() })?.into_owned();
        Ok(symlink(target, directories.free_place(&relative)?)?)
    } else if matches!(kind, EntryType::Regular | EntryType::Continuous) {
        let mode = entry.header().mode()? & MODE_MASK;
        let path = directories.free_place(&relative)?;
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
        io::copy(&mut entry, &mut file)?;
        Ok(())
    } else if kind == EntryType::XGlobalHeader {
        // Headers for the whole archive say nothing about any one file.
        Ok(())
    } else {
        Err(UnpackError::Kind { name: shown() })
    }
}

/// `name` without `.` parts; `None` if it leads outside.
fn inside(name: &Path) -> Option<PathBuf> {
    let mut relative = PathBuf::new();
    for component in name.components() {
        match component {
            Component::Normal(part) => relative.push(part),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(relative)
}

/// The directories below `root`. All of them were made here, so none is a link.
struct Directories<'a> {
    root: &'a Path,
    made: HashSet<PathBuf>,
}

impl Directories<'_> {
    fn make(&mut self, relative: &Path) -> Result<PathBuf, UnpackError> {
        let mut path = self.root.to_owned();
        let mut below = PathBuf::new();
        for part in relative.components() {
            path.push(part);
            below.push(part);
            if !self.made.contains(&below) {
                // Creating fails on anything that is there, and what is there is not a directory.
                fs::create_dir(&path).map_err(|error| {
                    let is_there = error.kind() == io::ErrorKind::AlreadyExists;
                    let name = || relative.display().to_string();
                    if is_there { UnpackError::ThroughLink { name: name() } } else { error.into() }
                })?;
                self.made.insert(below.clone());
            }
        }
        Ok(path)
    }

    /// Where an entry goes. An earlier entry of the same name gives way, as in every tar.
    fn free_place(&mut self, relative: &Path) -> Result<PathBuf, UnpackError> {
        let outside = || UnpackError::Outside { name: relative.display().to_string() };
        let (parent, name) = (relative.parent().ok_or_else(outside)?, relative.file_name().ok_or_else(outside)?);
        let path = self.make(parent)?.join(name);
        if self.made.contains(relative) {
            return Err(UnpackError::InTheWay { path });
        }
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(path),
        }
    }
}

/// Moves the contents of `from` into the directory `to`, one rename each.
fn merge(from: &Path, to: &Path) -> Result<(), UnpackError> {
    let mut pending = vec![(from.to_owned(), to.to_owned())];
    while let Some((from, to)) = pending.pop() {
        for entry in from.read_dir()? {
            let entry = entry?;
            let (source, target) = (entry.path(), to.join(entry.file_name()));
            let there = fs::symlink_metadata(&target).ok();
            if !entry.file_type()?.is_dir() {
                if there.is_some_and(|there| there.is_dir()) {
                    return Err(UnpackError::InTheWay { path: target });
                }
                fs::rename(source, target)?;
            } else if there.as_ref().is_some_and(fs::Metadata::is_dir) {
                pending.push((source, target));
            } else {
                if there.is_some() {
                    fs::remove_file(&target)?;
                }
                fs::rename(source, target)?;
            }
        }
    }
    Ok(())
}

/// Writes the archive as it is into `destination`, to be put in its place later.
pub(crate) fn save(mut archive: impl Read, destination: &Path) -> io::Result<SavedArchive> {
    // As any file that the user makes: readable as the umask allows.
    let permissions = <fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o666);
    let mut builder = tempfile::Builder::new();
    let mut file = builder.prefix(".knit-pull-").permissions(permissions).tempfile_in(destination)?;
    io::copy(&mut archive, &mut file)?;
    Ok(SavedArchive(file))
}

/// An archive that is complete but not in its place yet; removed unless it gets there.
#[derive(Debug)]
pub(crate) struct SavedArchive(tempfile::NamedTempFile<File>);

impl SavedArchive {
    /// Puts it at `target`, replacing what is there.
    pub(crate) fn move_to(self, target: &Path) -> io::Result<()> {
        self.0.persist(target)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;

    use flate2::write::GzEncoder;
    use tar::{Builder, Header};

    use super::*;

    /// An archive of (name, kind, content or target); names are taken to the letter.
    fn archive(entries: &[(&str, EntryType, &str)]) -> Vec<u8> {
        let mut builder = Builder::new(GzEncoder::new(Vec::new(), flate2::Compression::fast()));
        for (name, kind, text) in entries {
            let mut header = Header::new_gnu();
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_entry_type(*kind);
            header.set_mode(0o4755);
            let content = if kind.is_file() { *text } else { "" };
            header.set_size(content.len() as u64);
            if !kind.is_file() {
                header.set_link_name_literal(text).unwrap();
            }
            header.set_cksum();
            builder.append(&header, content.as_bytes()).unwrap();
        }
        builder.into_inner().unwrap().finish().unwrap()
    }

    const FILE: EntryType = EntryType::Regular;
    const LINK: EntryType = EntryType::Symlink;
    const DIRECTORY: EntryType = EntryType::Directory;

    fn pull(entries: &[(&str, EntryType, &str)], place: &Path) -> Result<(), UnpackError> {
        unpack(&archive(entries)[..], place)?.move_to(&place.join("id"))
    }

    #[track_caller]
    fn refused(entries: &[(&str, EntryType, &str)]) -> UnpackError {
        let place = tempfile::tempdir().unwrap();
        let error = pull(entries, place.path()).unwrap_err();
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0, "something stays behind");
        error
    }

    #[test]
    fn files_links_and_directories_arrive_and_may_be_pulled_again() {
        let place = tempfile::tempdir().unwrap();
        let entries = [("./a/f", FILE, "1"), ("a/l", LINK, "../nowhere"), ("e/", DIRECTORY, ""), ("a/f", FILE, "2")];
        for _ in 0..2 {
            pull(&entries, place.path()).unwrap();
            let id = place.path().join("id");
            assert_eq!(fs::read_to_string(id.join("a/f")).unwrap(), "2");
            assert_eq!(fs::read_link(id.join("a/l")).unwrap(), Path::new("../nowhere"));
            assert!(id.join("e").is_dir());
            fs::write(id.join("mine"), "stays").unwrap();
            assert_eq!(id.join("a/f").metadata().unwrap().permissions().mode() & 0o7000, 0);
        }
        assert!(place.path().join("id/mine").exists());
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
    }

    #[test]
    fn names_that_lead_outside_are_refused() {
        for name in ["../x", "a/../../x", "/x"] {
            assert!(matches!(refused(&[(name, FILE, "")]), UnpackError::Outside { .. }), "{name}");
        }
        assert!(matches!(refused(&[(".", FILE, "")]), UnpackError::Outside { .. }));
    }

    #[test]
    fn nothing_is_written_through_a_link_of_the_archive() {
        let elsewhere = tempfile::tempdir().unwrap();
        let target = elsewhere.path().to_str().unwrap();
        let error = refused(&[("l", LINK, target), ("l/x", FILE, "")]);
        assert!(matches!(error, UnpackError::ThroughLink { .. }));
        assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);
    }

    #[test]
    fn nothing_is_written_through_a_link_in_the_target() {
        let (place, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::create_dir(place.path().join("id")).unwrap();
        symlink(elsewhere.path(), place.path().join("id/a")).unwrap();
        fs::write(elsewhere.path().join("kept"), "").unwrap();
        symlink(elsewhere.path().join("kept"), place.path().join("id/f")).unwrap();
        pull(&[("a/x", FILE, "1"), ("f", FILE, "2")], place.path()).unwrap();
        assert_eq!(fs::read_to_string(place.path().join("id/a/x")).unwrap(), "1");
        assert_eq!(fs::read_to_string(place.path().join("id/f")).unwrap(), "2");
        assert_eq!(fs::read_to_string(elsewhere.path().join("kept")).unwrap(), "");
        assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_directory_in_the_way_of_a_file_is_not_removed() {
        let place = tempfile::tempdir().unwrap();
        fs::create_dir_all(place.path().join("id/f/precious")).unwrap();
        assert!(matches!(pull(&[("f", FILE, "")], place.path()), Err(UnpackError::InTheWay { .. })));
        assert!(matches!(refused(&[("d/x", FILE, ""), ("d", FILE, "")]), UnpackError::InTheWay { .. }));
    }

    #[test]
    fn devices_and_hard_links_are_refused() {
        for kind in [EntryType::Link, EntryType::Fifo, EntryType::Char, EntryType::Block] {
            assert!(matches!(refused(&[("x", kind, "y")]), UnpackError::Kind { .. }));
        }
    }

    #[test]
    fn truncated_archives_leave_nothing_behind() {
        let place = tempfile::tempdir().unwrap();
        let whole = archive(&[("a", FILE, "text"), ("b", FILE, "more")]);
        assert!(unpack(&whole[..whole.len() / 2], place.path()).is_err());
        assert!(unpack(&b"this is not gzip"[..], place.path()).is_err());
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
    }

    #[test]
    fn an_archive_is_saved_in_one_step() {
        let place = tempfile::tempdir().unwrap();
        let target = place.path().join("id.tar.gz");
        File::create(&target).unwrap().write_all(b"old").unwrap();
        let saved = save(&b"new"[..], place.path()).unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"old");
        saved.move_to(&target).unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"new");
        drop(save(&b"unwanted"[..], place.path()).unwrap());
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
    }
}
