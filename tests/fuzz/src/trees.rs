//! A place to unpack into, and everything around it that must not change.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Component, Path, PathBuf};

use tempfile::TempDir;

/// What lies beside the place.
const WITNESS: &str = "witness";
/// What it says.
const TESTIMONY: &str = "nobody was here";

/// A directory, and a witness beside it.
pub(crate) struct Place {
    house: TempDir,
    /// Where to unpack.
    pub(crate) inside: PathBuf,
}

/// Something in the place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Thing {
    pub(crate) path: PathBuf,
    pub(crate) kind: Kind,
    /// Permission bits; zero but for files.
    pub(crate) mode: u32,
    /// Seconds and nanoseconds of the last modification; zero for directories.
    mtime: (i64, i64),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    File(Vec<u8>),
    Directory,
    Link(PathBuf),
    Other,
}

impl Place {
    pub(crate) fn new() -> Self {
        let house = tempfile::tempdir().unwrap();
        let inside = house.path().join("inside");
        fs::create_dir(&inside).unwrap();
        fs::write(house.path().join(WITNESS), TESTIMONY).unwrap();
        Self { house, inside }
    }

    /// Things that an archive might be led astray by: a link that leaves, a file, a directory.
    pub(crate) fn put_in_the_way(&self, name: &str) {
        let target = self.inside.join(name);
        fs::create_dir_all(target.join("directory")).unwrap();
        fs::write(target.join("file"), "old").unwrap();
        symlink("../..", target.join("link")).unwrap();
        symlink(format!("../../{WITNESS}"), target.join("witness")).unwrap();
    }

    /// What is beside the place is what was there before.
    pub(crate) fn nothing_outside(&self) {
        let mut names: Vec<OsString> =
            fs::read_dir(self.house.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["inside", WITNESS], "something appeared outside");
        let witness = self.house.path().join(WITNESS);
        let meta = fs::symlink_metadata(&witness).unwrap();
        assert!(meta.is_file() && meta.nlink() == 1, "the witness was replaced or linked");
        assert_eq!(fs::read_to_string(&witness).unwrap(), TESTIMONY, "the witness was written over");
    }

    pub(crate) fn names_at_the_top(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.inside).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// Everything inside, by path.
    pub(crate) fn things(&self) -> Vec<Thing> {
        let mut things = Vec::new();
        let mut open = vec![PathBuf::new()];
        while let Some(folder) = open.pop() {
            for entry in fs::read_dir(self.inside.join(&folder)).unwrap() {
                let thing = Thing::of(&self.inside, folder.join(entry.unwrap().file_name()));
                if thing.kind == Kind::Directory {
                    open.push(thing.path.clone());
                }
                things.push(thing);
            }
        }
        things.sort_by(|a, b| a.path.cmp(&b.path));
        things
    }

    /// Whether following the link, on this machine or mounted anywhere else, stays inside.
    pub(crate) fn assert_stays_inside(&self, link: &Path, target: &Path) {
        assert!(target.is_relative(), "{} -> {} is absolute", link.display(), target.display());
        let mut depth = link.components().count().saturating_sub(1);
        for component in target.components() {
            match component {
                Component::ParentDir => {
                    depth = depth.checked_sub(1).unwrap_or_else(|| panic!("{} leaves", link.display()));
                }
                Component::Normal(_) => depth += 1,
                Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
            }
        }
        if let Ok(real) = self.inside.join(link).canonicalize() {
            let root = self.inside.canonicalize().unwrap();
            assert!(real.starts_with(&root), "{} leads to {}", link.display(), real.display());
        }
    }
}

impl Thing {
    fn of(root: &Path, path: PathBuf) -> Self {
        let full = root.join(&path);
        let meta = fs::symlink_metadata(&full).unwrap();
        let kind = if meta.is_dir() {
            Kind::Directory
        } else if meta.is_symlink() {
            Kind::Link(fs::read_link(&full).unwrap())
        } else if meta.is_file() {
            Kind::File(fs::read(&full).unwrap_or_default())
        } else {
            Kind::Other
        };
        let is_file = matches!(kind, Kind::File(_));
        let mode = if is_file { meta.mode() & 0o7777 } else { 0 };
        let mtime = if kind == Kind::Directory { (0, 0) } else { (meta.mtime(), meta.mtime_nsec()) };
        Self { path, kind, mode, mtime }
    }

    pub(crate) fn content_bytes(&self) -> usize {
        match &self.kind {
            Kind::File(content) => content.len(),
            Kind::Directory | Kind::Link(_) | Kind::Other => 0,
        }
    }
}
