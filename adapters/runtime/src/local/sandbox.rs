//! The file system and the identity of a Worker.
//!
//! The Worker's root is a fresh tmpfs. The machine's top directories are bound into it read-only, the
//! ones that hold people's files, devices and sockets are replaced by empty ones, and the volumes are
//! bound at the Plan's paths, wherever those are. Everything happens in a mount namespace that belongs
//! to one user namespace, and the command then runs in another one below it: whatever rights it wins
//! there, it cannot change these mounts back.
//!
//! The current directory is the state directory throughout, and volumes are named relative to it: so it
//! works also where the directories above are closed to the user that we are in the namespace.

mod image;
mod mount_point;
mod mounts;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use nix::sched::{CloneFlags, unshare};
use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags};
use rustix::process::{getegid, geteuid};

use super::record::Place;
use mounts::Step;

pub(super) use image::{HOME, PATH_VARIABLE};

/// What a Worker sees.
pub(super) struct View<'a> {
    /// An empty directory to mount on, relative to the state directory.
    pub(super) root: &'a Path,
    /// Volumes bound read-only.
    pub(super) inputs: &'a [Place],
    /// Volumes bound writable.
    pub(super) outputs: &'a [Place],
    /// What must not be seen, wherever it lies.
    pub(super) covered: &'a [PathBuf],
    /// The bound of temporary files, which are memory.
    pub(super) scratch_bytes: Option<u64>,
}

/// A Worker could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action}: {source}")]
pub(super) struct SetUpError {
    action: String,
    source: io::Error,
}

impl SetUpError {
    pub(super) fn new(action: impl Into<String>, source: impl Into<io::Error>) -> Self {
        Self { action: action.into(), source: source.into() }
    }
}

/// The overflow id: what the kernel shows for everybody who is not in a user namespace.
const NOBODY: u32 = 65_534;

/// Enters a user namespace in which we are root, so that we may mount, and prepares a PID namespace for
/// the next child. The process must have one thread.
pub(super) fn isolate() -> Result<(), SetUpError> {
    let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
    let namespaces = CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWIPC;
    unshare(namespaces).map_err(|e| SetUpError::new("enter a user namespace", e))?;
    map_ids((0, uid), (0, gid))
}

/// Becomes the user that the command runs as, who has no rights over the mounts made before. Outside it is
/// the server's user. Inside it has the same number, except that root is `nobody`: programs that think
/// they are root try to change owners, which this namespace has none of.
pub(super) fn give_up_rights() -> Result<(), SetUpError> {
    let inside = |outside: u32| if outside == 0 { NOBODY } else { outside };
    let (uid, gid) = outside_ids()?;
    unshare(CloneFlags::CLONE_NEWUSER).map_err(|e| SetUpError::new("give up the right to mount", e))?;
    map_ids((inside(uid), 0), (inside(gid), 0))?;
    rustix::thread::set_no_new_privs(true).map_err(|e| SetUpError::new("forbid new privileges", e))
}

/// The ids outside of the first user namespace, read from its map.
fn outside_ids() -> Result<(u32, u32), SetUpError> {
    let read = |path: &str| -> io::Result<u32> {
        let map = fs::read_to_string(path)?;
        let outside = map.split_ascii_whitespace().nth(1).and_then(|id| id.parse().ok());
        outside.ok_or_else(|| io::Error::other("the map is empty"))
    };
    let broken = |e| SetUpError::new("read the user namespace's map", e);
    Ok((read("/proc/self/uid_map").map_err(broken)?, read("/proc/self/gid_map").map_err(broken)?))
}

/// Maps one user and one group, (inside, outside) each: all that an ordinary user may map.
fn map_ids(uid: (u32, u32), gid: (u32, u32)) -> Result<(), SetUpError> {
    let broken = |e| SetUpError::new("map the user into the namespace", e);
    fs::write("/proc/self/setgroups", "deny").map_err(broken)?;
    fs::write("/proc/self/uid_map", format!("{} {} 1", uid.0, uid.1)).map_err(broken)?;
    fs::write("/proc/self/gid_map", format!("{} {} 1", gid.0, gid.1)).map_err(broken)
}

/// Makes the Worker's file system and moves into it. Must run as the first process of its PID namespace.
pub(super) fn enter(view: &View<'_>) -> Result<(), SetUpError> {
    unshare(CloneFlags::CLONE_NEWNS).map_err(|e| SetUpError::new("enter a mount namespace", e))?;
    rustix::mount::mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .step("keep mounts from the rest of the machine")?;
    let root = std::env::current_dir().step("find the state directory")?.join(view.root);
    mounts::tmpfs(&root, "mode=0755")?;
    image::bind_machine(&root)?;
    let mut read_only_at_last = vec![root.clone()];
    image::make_scratch(&root, view.scratch_bytes, &mut read_only_at_last)?;
    image::keep_name_servers(&root)?;
    image::make_devices(&root)?;
    image::mount_proc(&root)?;
    for covered in view.covered {
        read_only_at_last.extend(image::cover(&root, covered)?);
    }
    let inputs = make_mount_points(&root, view.inputs, &mut read_only_at_last)?;
    let outputs = make_mount_points(&root, view.outputs, &mut read_only_at_last)?;
    // Before the volumes are bound: one of them may hide what is made read-only here.
    for tmpfs in read_only_at_last.iter().rev() {
        mounts::make_read_only(tmpfs)?;
    }
    for (volume, target) in inputs {
        mounts::bind(&Path::new("volumes").join(volume), &target, MountFlags::RDONLY)?;
    }
    for (volume, target) in outputs {
        mounts::bind(&Path::new("open").join(volume), &target, MountFlags::empty())?;
    }
    change_root(&root)
}

/// Each volume with its mount point.
fn make_mount_points<'a>(
    root: &Path,
    places: &'a [Place],
    skeletons: &mut Vec<PathBuf>,
) -> Result<Vec<(&'a str, PathBuf)>, SetUpError> {
    places.iter().map(|place| Ok((&*place.volume, mount_point::make(root, &place.path, skeletons)?))).collect()
}

fn change_root(root: &Path) -> Result<(), SetUpError> {
    rustix::process::chdir(root).step("enter the Worker's root")?;
    // The old root ends up on top of the new one, and is taken off from there.
    rustix::process::pivot_root(".", ".").step("change the root")?;
    rustix::mount::unmount(".", UnmountFlags::DETACH).step("leave the machine's root")?;
    rustix::process::chdir("/").step("enter the root")
}
