//! Making the archive of a Data from files (web-api 2.2.1).
//!
//! Only files and symbolic links get entries, named by their path below the root; a directory's
//! entries come in byte order of their names, and a subdirectory's contents in its place.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use tar::{Builder, EntryType, Header};

use crate::output::{self, Progress};

/// Bytes read from a file at once, at most.
const READ_BYTES_MAX: usize = 256 * 1024;
/// Longest link target that fits a header; longer ones get an entry of their own before.
const LINK_BYTES_MAX: usize = 100;

/// What to do with symbolic links below the root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Contents {
    /// Keep them as links with their literal targets.
    AsTheyAre,
    /// Store what they point to.
    Dereferenced,
}

/// Writes the archive of `root` to `sink`, which is given back. A root that is a link to a directory
/// stands for the directory, and a root that is a file for a Data with that one file.
pub(crate) fn pack<W: Write>(root: &Path, contents: Contents, sink: W, progress: &Progress) -> io::Result<W> {
    let mut packer = Packer { builder: Builder::new(sink), contents, above: HashSet::new(), progress };
    let metadata = fs::metadata(root).map_err(naming(root))?;
    if metadata.is_dir() {
        packer.directory(root, Path::new(""), &metadata)?;
    } else {
        let name = root.file_name().map(PathBuf::from).unwrap_or_default();
        packer.entry(root, &name, &metadata)?;
    }
    packer.builder.into_inner()
}

/// Bytes of all files that [`pack`] would store; what cannot be read is left to it to complain about.
pub(crate) fn total_bytes(root: &Path, contents: Contents) -> u64 {
    let mut total = 0;
    let mut seen = HashSet::new();
    let mut pending = vec![root.to_owned()];
    while let Some(path) = pending.pop() {
        let follows = contents == Contents::Dereferenced || path == root;
        let metadata = if follows { fs::metadata(&path) } else { fs::symlink_metadata(&path) };
        match metadata {
            Ok(metadata) if metadata.is_file() => total += metadata.len(),
            Ok(metadata) if metadata.is_dir() && seen.insert(identity(&metadata)) => {
                let entries = path.read_dir().into_iter().flatten().flatten();
                pending.extend(entries.map(|entry| entry.path()));
            }
            _ => {}
        }
    }
    total
}

struct Packer<'a, W: Write> {
    builder: Builder<W>,
    contents: Contents,
    /// The directories that the walk is inside of, to notice links that lead back into one.
    above: HashSet<(u64, u64)>,
    progress: &'a Progress,
}

/// Which file it is, whatever its name.
fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

impl<W: Write> Packer<'_, W> {
    fn directory(&mut self, path: &Path, name: &Path, metadata: &Metadata) -> io::Result<()> {
        if !self.above.insert(identity(metadata)) {
            let message = format!("`{}` leads back into a directory above it", path.display());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        for child in sorted_names(path).map_err(naming(path))? {
            let (path, name) = (path.join(&child), name.join(&child));
            let follows = self.contents == Contents::Dereferenced;
            let metadata = if follows { fs::metadata(&path) } else { fs::symlink_metadata(&path) };
            let metadata = metadata.map_err(naming(&path))?;
            if metadata.is_dir() {
                self.directory(&path, &name, &metadata)?;
            } else {
                self.entry(&path, &name, &metadata)?;
            }
        }
        self.above.remove(&identity(metadata));
        Ok(())
    }

    fn entry(&mut self, path: &Path, name: &Path, metadata: &Metadata) -> io::Result<()> {
        let kind = metadata.file_type();
        if kind.is_symlink() {
            self.link(path, name, metadata).map_err(naming(path))
        } else if kind.is_file() {
            self.file(path, name, metadata).map_err(naming(path))
        } else {
            let what = if kind.is_fifo() {
                "a pipe"
            } else if kind.is_socket() {
                "a socket"
            } else {
                "a device"
            };
            output::say(format_args!("warning: `{}` is {what}, which Data cannot hold -- skipped", path.display()));
            Ok(())
        }
    }

    fn file(&mut self, path: &Path, name: &Path, metadata: &Metadata) -> io::Result<()> {
        let file = File::open(path)?;
        let mut header = header(metadata, EntryType::Regular);
        header.set_size(metadata.len());
        let exact = Exactly { file, remaining: metadata.len(), progress: self.progress };
        // The whole buffer is cleared before the first read: for a small file that would cost more than to read it.
        let buffer_bytes = usize::try_from(metadata.len()).unwrap_or(READ_BYTES_MAX).min(READ_BYTES_MAX);
        self.builder.append_data(&mut header, name, io::BufReader::with_capacity(buffer_bytes, exact))
    }

    fn link(&mut self, path: &Path, name: &Path, metadata: &Metadata) -> io::Result<()> {
        let target = fs::read_link(path)?;
        let target = target.as_os_str().as_bytes();
        let mut header = header(metadata, EntryType::Symlink);
        header.set_size(0);
        // The library would tidy the target up, but it is the user's to the letter.
        if target.len() <= LINK_BYTES_MAX {
            header.set_link_name_literal(target)?;
        } else {
            self.long_link_target(target)?;
        }
        self.builder.append_data(&mut header, name, io::empty())
    }

    /// The entry of GNU tar that gives the next entry its link target.
    fn long_link_target(&mut self, target: &[u8]) -> io::Result<()> {
        let mut header = Header::new_gnu();
        header.set_path("././@LongLink")?;
        header.set_entry_type(EntryType::GNULongLink);
        header.set_mode(0o644);
        header.set_size(target.len() as u64 + 1);
        header.set_cksum();
        self.builder.append(&header, target.chain(&b"\0"[..]))
    }
}

fn header(metadata: &Metadata, kind: EntryType) -> Header {
    let mut header = Header::new_gnu();
    header.set_metadata(metadata);
    header.set_entry_type(kind);
    header
}

fn sorted_names(directory: &Path) -> io::Result<Vec<OsString>> {
    let mut names = directory.read_dir()?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
}

/// For [`Result::map_err`]: an error of the file system that says of which file.
fn naming(path: &Path) -> impl FnOnce(io::Error) -> io::Error {
    let path = path.display().to_string();
    // When the reader of the archive went away, no file is to blame.
    move |error| {
        if error.kind() == io::ErrorKind::BrokenPipe {
            error
        } else {
            io::Error::new(error.kind(), format!("`{path}`: {error}"))
        }
    }
}

/// A file of exactly the length that its header announces: one that shrinks meanwhile is an error,
/// and what is appended meanwhile is left out. Anything else would shift all entries behind it.
struct Exactly<'a> {
    file: File,
    remaining: u64,
    progress: &'a Progress,
}

impl Read for Exactly<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = (&mut self.file).take(self.remaining).read(buffer)?;
        if read == 0 && self.remaining > 0 && !buffer.is_empty() {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file became shorter while it was read"));
        }
        self.remaining -= read as u64;
        self.progress.advance(read as u64);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::output::Progress;

    fn entries(root: &Path, contents: Contents) -> io::Result<Vec<String>> {
        let bytes = pack(root, contents, Vec::new(), &Progress::to_a_total(String::new()))?;
        let mut archive = tar::Archive::new(&bytes[..]);
        archive
            .entries()?
            .map(|entry| {
                let mut entry = entry?;
                let name = entry.path()?.display().to_string();
                let link = entry.link_name_bytes().map(|target| String::from_utf8_lossy(&target).into_owned());
                let mut text = String::new();
                entry.read_to_string(&mut text)?;
                Ok(link.map_or(format!("{name}={text}"), |target| format!("{name}->{target}")))
            })
            .collect()
    }

    fn tree() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in [("b", "2"), ("a/z", "1"), (".hidden", "0"), ("a.txt", "3")] {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        fs::create_dir(root.path().join("empty")).unwrap();
        symlink("../b/./c", root.path().join("a/link")).unwrap();
        root
    }

    #[test]
    fn files_and_links_are_stored_in_byte_order_and_directories_are_not() {
        let expected = [".hidden=0", "a/link->../b/./c", "a/z=1", "a.txt=3", "b=2"];
        assert_eq!(entries(tree().path(), Contents::AsTheyAre).unwrap(), expected);
    }

    #[test]
    fn a_link_to_a_directory_and_a_file_may_be_pushed_too() {
        let (tree, place) = (tree(), tempfile::tempdir().unwrap());
        let link = place.path().join("link");
        symlink(tree.path(), &link).unwrap();
        assert_eq!(entries(&link, Contents::AsTheyAre).unwrap().len(), 5);
        assert_eq!(entries(&tree.path().join("b"), Contents::AsTheyAre).unwrap(), ["b=2"]);
    }

    #[test]
    fn links_may_be_replaced_by_what_they_point_to() {
        let root = tempfile::tempdir().unwrap();
        let elsewhere = tree();
        symlink(elsewhere.path().join("b"), root.path().join("file")).unwrap();
        fs::remove_file(elsewhere.path().join("a/link")).unwrap();
        symlink(elsewhere.path().join("a"), root.path().join("directory")).unwrap();
        assert_eq!(entries(root.path(), Contents::Dereferenced).unwrap(), ["directory/z=1", "file=2"]);
        assert_eq!(total_bytes(root.path(), Contents::Dereferenced), 2);
        assert_eq!(total_bytes(root.path(), Contents::AsTheyAre), 0);
    }

    #[test]
    fn dangling_links_and_circles_cannot_be_dereferenced() {
        let root = tempfile::tempdir().unwrap();
        symlink("nowhere", root.path().join("dangling")).unwrap();
        assert!(entries(root.path(), Contents::Dereferenced).unwrap_err().to_string().contains("dangling"));
        fs::remove_file(root.path().join("dangling")).unwrap();
        symlink(".", root.path().join("circle")).unwrap();
        assert!(entries(root.path(), Contents::Dereferenced).unwrap_err().to_string().contains("circle"));
        assert_eq!(entries(root.path(), Contents::AsTheyAre).unwrap(), ["circle->."]);
    }

    #[test]
    fn long_names_and_long_targets_survive() {
        let root = tempfile::tempdir().unwrap();
        let (deep, target) = ("d".repeat(90) + "/" + &"f".repeat(90), "t/".repeat(150));
        fs::create_dir(root.path().join("d".repeat(90))).unwrap();
        fs::write(root.path().join(&deep), "x").unwrap();
        symlink(&target, root.path().join("z")).unwrap();
        let expected = [format!("{deep}=x"), format!("z->{target}")];
        assert_eq!(entries(root.path(), Contents::AsTheyAre).unwrap(), expected);
    }

    #[test]
    fn a_file_that_became_shorter_is_an_error() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("f");
        fs::write(&path, "12").unwrap();
        let progress = Progress::to_a_total(String::new());
        let mut exactly = Exactly { file: File::open(&path).unwrap(), remaining: 3, progress: &progress };
        assert_eq!(exactly.read_to_end(&mut Vec::new()).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
