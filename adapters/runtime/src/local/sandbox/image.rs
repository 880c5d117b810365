//! The image `host:latest`: this machine's own system, without anybody's files.

use std::fs::{self, File};
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};

use rustix::mount::{MountFlags, UnmountFlags};

use super::mounts::{self, Step, within};
use super::{SetUpError, mount_point};

/// The empty home directory of every Worker.
pub(in crate::local) const HOME: &str = "/home/worker";

/// Where commands are looked for.
pub(in crate::local) const PATH_VARIABLE: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Top directories that are not the machine's system: people's homes, and what the kernel or the running
/// services put there. `/run` would show their sockets, behind which are rights that a Worker must not have.
const NOT_BOUND: [&str; 6] = ["home", "root", "proc", "dev", "tmp", "run"];

/// Devices that every program may expect, and none through which a machine is reached.
const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];

/// Links that every program may expect in `/dev`.
const DEVICE_LINKS: [(&str, &str); 4] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
];

/// Parts of `/proc` through which the user root of the machine changes the machine.
const PROC_READ_ONLY: [&str; 5] = ["sys", "sysrq-trigger", "irq", "bus", "fs"];

/// Writable, temporary directories: name in the scratch, path in the Worker, mode.
const SCRATCH: [(&str, &str, u32); 5] = [
    ("tmp", "/tmp", 0o1777),
    ("var-tmp", "/var/tmp", 0o1777),
    ("home", HOME, 0o700),
    ("run", "/run", 0o755),
    ("shm", "/dev/shm", 0o1777),
];

/// Binds the machine's top directories, read-only with all that is mounted below them.
pub(super) fn bind_machine(root: &Path) -> Result<(), SetUpError> {
    for entry in fs::read_dir("/").step("list the machine's root")? {
        let entry = entry.step("list the machine's root")?;
        let (name, target) = (entry.file_name(), root.join(entry.file_name()));
        if NOT_BOUND.iter().any(|not_bound| name == *not_bound) {
            continue;
        }
        let kind = entry.file_type().step("look at the machine's root")?;
        if kind.is_symlink() {
            let points_to = fs::read_link(entry.path()).step("read a link of the machine's root")?;
            symlink(points_to, &target).step("copy a link of the machine's root")?;
        } else if kind.is_dir() {
            fs::create_dir(&target).step("make a directory for the Worker")?;
            mounts::bind_tree(&entry.path(), &target)?;
        }
    }
    mounts::make_tree_read_only(root)
}

/// Mounts one bounded tmpfs and binds its parts to where programs write temporary files.
pub(super) fn make_scratch(root: &Path, bytes: Option<u64>, skeletons: &mut Vec<PathBuf>) -> Result<(), SetUpError> {
    let scratch = root.join(".scratch");
    fs::create_dir(&scratch).step("make a directory for temporary files")?;
    let size = bytes.map(|bytes| format!(",size={bytes}")).unwrap_or_default();
    mounts::tmpfs(&scratch, &format!("mode=0755{size}"))?;
    for (name, path, mode) in SCRATCH {
        let part = scratch.join(name);
        make_dir(&part, mode)?;
        let target = mount_point::make(root, path, skeletons)?;
        mounts::bind(&part, &target, MountFlags::empty())?;
    }
    rustix::mount::unmount(&scratch, UnmountFlags::DETACH).step("hide the temporary files' own mount")?;
    fs::remove_dir(&scratch).step("hide the temporary files' own mount")
}

/// The umask must not take bits away.
fn make_dir(path: &Path, mode: u32) -> Result<(), SetUpError> {
    fs::DirBuilder::new().mode(mode).create(path).step("make a directory for temporary files")?;
    rustix::fs::chmod(path, rustix::fs::Mode::from_raw_mode(mode)).step("make a directory for temporary files")
}

/// Where the machine's list of name servers is kept in `/run`, only that file is shown there: without it a
/// Worker could reach no host by its name.
pub(super) fn keep_name_servers(root: &Path) -> Result<(), SetUpError> {
    let Ok(list) = Path::new("/etc/resolv.conf").canonicalize() else { return Ok(()) };
    if !list.starts_with("/run") {
        return Ok(());
    }
    let target = within(root, &list);
    let action = "show the list of name servers";
    fs::create_dir_all(target.parent().unwrap_or(root)).step(action)?;
    File::create(&target).step(action)?;
    mounts::bind(&list, &target, MountFlags::RDONLY)
}

pub(super) fn make_devices(root: &Path) -> Result<(), SetUpError> {
    let dev = root.join("dev");
    for device in DEVICES {
        let (source, target) = (Path::new("/dev").join(device), dev.join(device));
        if source.exists() {
            File::create(&target).step("make a place for a device")?;
            rustix::mount::mount_bind(&source, &target).step(&format!("bind `{}`", source.display()))?;
        }
    }
    for (name, target) in DEVICE_LINKS {
        symlink(target, dev.join(name)).step("make a link in `/dev`")?;
    }
    Ok(())
}

pub(super) fn mount_proc(root: &Path) -> Result<(), SetUpError> {
    let proc = root.join("proc");
    fs::create_dir(&proc).step("make `/proc`")?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    rustix::mount::mount("proc", &proc, "proc", flags, None).step("mount `/proc`")?;
    for part in PROC_READ_ONLY.map(|part| proc.join(part)) {
        if part.exists() {
            mounts::bind(&part, &part, MountFlags::RDONLY)?;
        }
    }
    Ok(())
}

/// Covers a directory with an empty one, or a file with nothing, if the Worker would see it. The tmpfs
/// that covers a directory is returned, to be made read-only once mount points were made in it.
pub(super) fn cover(root: &Path, path: &Path) -> Result<Option<PathBuf>, SetUpError> {
    let target = within(root, path);
    // What we cannot look at, the Worker cannot look at either: it is the same user.
    let Ok(found) = target.symlink_metadata() else { return Ok(None) };
    if found.is_dir() {
        mounts::tmpfs(&target, "mode=0755")?;
        return Ok(Some(target));
    }
    let nothing = root.join("dev/null");
    rustix::mount::mount_bind(&nothing, &target).step(&format!("cover `{}`", path.display()))?;
    Ok(None)
}
