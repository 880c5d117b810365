//! Mounts, with what must be kept in mind about them in a user namespace.

use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rustix::fs::StatVfsMountFlags;
use rustix::mount::MountFlags;

use super::SetUpError;

/// Says what was tried when a step of the set-up fails.
pub(super) trait Step<T> {
    fn step(self, action: &str) -> Result<T, SetUpError>;
}

impl<T, E: Into<io::Error>> Step<T> for Result<T, E> {
    fn step(self, action: &str) -> Result<T, SetUpError> {
        self.map_err(|error| SetUpError::new(action, error))
    }
}

/// No mount of a Worker has devices or changes who runs a program.
const ALWAYS: MountFlags = MountFlags::NOSUID.union(MountFlags::NODEV);

/// Mounts an empty tmpfs.
pub(super) fn tmpfs(target: &Path, options: &str) -> Result<(), SetUpError> {
    let options = std::ffi::CString::new(options).expect("options are ours");
    rustix::mount::mount("tmpfs", target, "tmpfs", ALWAYS, options.as_c_str())
        .step(&format!("mount a tmpfs at `{}`", target.display()))
}

/// Binds one directory, without what is mounted below it.
pub(super) fn bind(source: &Path, target: &Path, flags: MountFlags) -> Result<(), SetUpError> {
    let action = || format!("bind `{}` to `{}`", source.display(), target.display());
    rustix::mount::mount_bind(source, target).step(&action())?;
    remount(target, flags).step(&action())
}

/// Binds a directory or file with all that is mounted below it, flags as they are.
pub(super) fn bind_tree(source: &Path, target: &Path) -> Result<(), SetUpError> {
    rustix::mount::mount_bind_recursive(source, target).step(&format!(
        "bind `{}` to `{}`",
        source.display(),
        target.display()
    ))
}

/// Makes one mount read-only.
pub(super) fn make_read_only(target: &Path) -> Result<(), SetUpError> {
    remount(target, MountFlags::RDONLY).step(&format!("make `{}` read-only", target.display()))
}

/// Makes every mount below `root`, but not `root` itself, read-only.
pub(super) fn make_tree_read_only(root: &Path) -> Result<(), SetUpError> {
    let mounts = fs::read("/proc/self/mountinfo").step("list the mounts")?;
    for mount in mounts.split(|byte| *byte == b'\n').filter_map(mount_point) {
        if mount == root || !mount.starts_with(root) {
            continue;
        }
        match remount(&mount, MountFlags::RDONLY) {
            // What we cannot reach, the Worker cannot reach either; what is covered by another mount is not there.
            Ok(()) | Err(rustix::io::Errno::ACCESS | rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => {}
            Err(error) => return Err(SetUpError::new(format!("make `{}` read-only", mount.display()), error)),
        }
    }
    Ok(())
}

/// Flags that the mount had in the namespace above are locked: they must be repeated.
fn remount(target: &Path, flags: MountFlags) -> rustix::io::Result<()> {
    let had = rustix::fs::statvfs(target)?.f_flag;
    let locked = if had.contains(StatVfsMountFlags::NOEXEC) { MountFlags::NOEXEC } else { MountFlags::empty() };
    rustix::mount::mount_remount(target, MountFlags::BIND | ALWAYS | locked | flags, "")
}

/// The fifth field of a line, in which the kernel writes blanks and the like as octal escapes.
fn mount_point(line: &[u8]) -> Option<PathBuf> {
    let field = line.split(|byte| *byte == b' ').nth(4)?;
    let mut path = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, after)) = rest.split_first() {
        let escaped = (*first == b'\\').then(|| after.get(..3)).flatten();
        let byte = escaped.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        path.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &after[3..] } else { after };
    }
    Some(PathBuf::from(std::ffi::OsString::from_vec(path)))
}

/// The path inside the new root.
pub(super) fn within(root: &Path, absolute: &Path) -> PathBuf {
    let relative = absolute.as_os_str().as_bytes();
    let relative = relative.strip_prefix(b"/").unwrap_or(relative);
    root.join(std::ffi::OsStr::from_bytes(relative))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_mount_points_are_read() {
        let line = br"36 35 98:0 / /mnt/a\040b\134c rw,noatime - ext3 /dev/root rw";
        assert_eq!(mount_point(line), Some(PathBuf::from(r"/mnt/a b\c")));
        assert_eq!(mount_point(b"36 35"), None);
    }

    #[test]
    fn a_path_is_put_below_the_root() {
        assert_eq!(within(Path::new("/r"), Path::new("/a/b")), PathBuf::from("/r/a/b"));
    }
}
