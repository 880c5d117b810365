//! A directory to mount on, at any path that a Plan names.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::mount::UnmountFlags;

use super::SetUpError;
use super::mounts::{self, Step};

/// Makes the directory `path` of the new root and returns it as seen from here. Where the machine's own
/// read-only directory is in the way, that one is replaced by a skeleton: a tmpfs in which all that it
/// holds is bound again, and in which there is room for more. Skeletons are added to the list, to be made
/// read-only at last.
pub(super) fn make(root: &Path, path: &str, skeletons: &mut Vec<PathBuf>) -> Result<PathBuf, SetUpError> {
    let action = || format!("make the directory `{path}`");
    let root_dir = rustix::fs::open(root, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).step(&action())?;
    let mut missing: Vec<OsString> = Vec::new();
    let mut existing = Path::new(path);
    let base = loop {
        match resolve(&root_dir, existing) {
            Ok(base) => break base,
            Err(rustix::io::Errno::NOENT) => {
                missing.extend(existing.file_name().map(OsString::from));
                existing = existing.parent().unwrap_or(Path::new("/"));
            }
            Err(error) => return Err(SetUpError::new(action(), error)),
        }
    };
    let Some(first) = missing.last() else { return Ok(base) };
    match fs::create_dir(base.join(first)) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => {
            make_skeleton(root, &base)?;
            skeletons.push(base.clone());
            fs::create_dir(base.join(first)).step(&action())?;
        }
        Err(error) => return Err(SetUpError::new(action(), error)),
    }
    let target = missing.iter().rev().fold(base, |dir, name| dir.join(name));
    fs::create_dir_all(&target).step(&action())?;
    Ok(target)
}

/// The real place of a directory of the new root, links followed as the Worker would follow them.
fn resolve(root: &OwnedFd, path: &Path) -> rustix::io::Result<PathBuf> {
    let flags = OFlags::PATH | OFlags::CLOEXEC | OFlags::DIRECTORY;
    let found = rustix::fs::openat2(root, path, flags, Mode::empty(), ResolveFlags::IN_ROOT)?;
    fs::read_link(format!("/proc/self/fd/{}", found.as_raw_fd()))
        .map_err(|e| rustix::io::Errno::from_io_error(&e).unwrap_or(rustix::io::Errno::IO))
}

fn make_skeleton(root: &Path, dir: &Path) -> Result<(), SetUpError> {
    let action = format!("make room in `{}`", dir.display());
    let original = root.join(".original");
    fs::create_dir(&original).step(&action)?;
    mounts::bind_tree(dir, &original)?;
    mounts::tmpfs(dir, "mode=0755")?;
    for entry in fs::read_dir(&original).step(&action)? {
        let entry = entry.step(&action)?;
        let target = dir.join(entry.file_name());
        let kind = entry.file_type().step(&action)?;
        if kind.is_symlink() {
            symlink(fs::read_link(entry.path()).step(&action)?, &target).step(&action)?;
            continue;
        }
        if kind.is_dir() {
            fs::create_dir(&target).step(&action)?;
        } else {
            File::create(&target).step(&action)?;
        }
        mounts::bind_tree(&entry.path(), &target)?;
    }
    rustix::mount::unmount(&original, UnmountFlags::DETACH).step(&action)?;
    fs::remove_dir(&original).step(&action)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_followed_as_if_the_root_were_the_machines() {
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().canonicalize().unwrap();
        fs::create_dir_all(real.join("usr/lib")).unwrap();
        symlink("/usr/lib", real.join("lib")).unwrap();
        let root = rustix::fs::open(&real, OFlags::PATH, Mode::empty()).unwrap();
        assert_eq!(resolve(&root, Path::new("/lib")).unwrap(), real.join("usr/lib"));
        assert!(resolve(&root, Path::new("/none")).is_err());
    }
}
