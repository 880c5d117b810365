//! What must not be there any more once all is at rest: strangers in the state directory and in volumes, and control
//! groups.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::tale::Tale;

/// What belongs into a state directory, the embedded database included. The socket goes with the server.
const KEPT: [&str; 10] = [
    "incoming",
    "knitfab.db",
    "knitfab.db-shm",
    "knitfab.db-wal",
    "knitfab.db.lock",
    "open",
    "place",
    "runtime.lock",
    "volumes",
    "workers",
];
/// The administration socket, while the server runs.
const SOCKET: &str = "admin.sock";
/// Every file and directory that a story puts into a Data.
const CONTENT: [&str; 7] = ["first", "it", "kept", "log", "sub", "sub/second", "tool"];
/// Nobody may change what is sealed.
const WRITE_BITS: u32 = 0o222;
/// What the server says when it begins to create a Worker, and what the Worker's uid follows.
const WORKER_CREATED: (&str, &str) = ("a Worker is created", "uid=\"");

/// What lies in the state directory of a server, which runs or has stopped, and does not belong there.
pub(super) fn in_state_directory(tale: &Tale, runs: bool) -> Vec<String> {
    let names = fs::read_dir(tale.server.state_dir()).expect("the state directory is there").flatten();
    let names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let belongs = |name: &str| KEPT.contains(&name) || (runs && name == SOCKET);
    let strangers = names.filter(|name| !belongs(name));
    strangers.map(|name| format!("`{name}` does not belong into the state directory")).collect()
}

/// What lies in a sealed volume and was never put there, or is not read-only.
pub(super) fn in_volumes(tale: &Tale) -> Vec<String> {
    let mut found = Vec::new();
    for volume in fs::read_dir(tale.server.state_dir().join("volumes")).into_iter().flatten().flatten() {
        look_into(&volume.path(), &volume.path(), &mut found);
    }
    found
}

fn look_into(volume: &Path, directory: &Path, found: &mut Vec<String>) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    let entries: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    for path in entries.iter().map(AsRef::as_ref).chain([directory]) {
        let Ok(is) = fs::symlink_metadata(path) else { return };
        if is.mode() & WRITE_BITS != 0 {
            found.push(format!("{} is not read-only: {:o}", path.display(), is.mode()));
        }
        let name = path.strip_prefix(volume).expect("it lies in the volume");
        if path != volume && !CONTENT.iter().any(|known| name == Path::new(known)) {
            found.push(format!("{} was never put there", path.display()));
        }
    }
    entries.iter().filter(|path| path.is_dir()).for_each(|path| look_into(volume, path, found));
}

/// The control groups of Workers that the server began to create, also of such as came to nothing.
///
/// # Panics
/// When the server has not told of one of `spawned`, the Workers that are in the log: then what it says has changed.
pub(super) fn control_groups(tale: &Tale, spawned: &[String]) -> Vec<String> {
    let (created, before_uid) = WORKER_CREATED;
    let log = tale.server.log();
    let lines = log.lines().filter(|line| line.contains(created));
    let uids: BTreeSet<&str> = lines.filter_map(|line| line.split_once(before_uid)?.1.split('"').next()).collect();
    let untold: Vec<&String> = spawned.iter().filter(|uid| !uids.contains(uid.as_str())).collect();
    assert!(untold.is_empty(), "the server tells of each Worker that it creates, but not of {untold:?}");
    let left = uids.into_iter().filter(|uid| has_group(Path::new("/sys/fs/cgroup"), uid));
    left.map(str::to_owned).collect()
}

fn has_group(directory: &Path, uid: &str) -> bool {
    let folders = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut folders = folders.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    folders.any(|entry| entry.file_name().to_str() == Some(uid) || has_group(&entry.path(), uid))
}
