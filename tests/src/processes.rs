//! Processes that belong to a state directory: Workers outlive their server on purpose, but not the test.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::wait::wait_until;

/// The control group that the local runtime makes those of its Workers in.
const GROUPS_OF_WORKERS: &str = "knitfab";

/// Ends every process that was started for `state_dir`, and waits until all are gone, with the control groups
/// they were in: whoever would have removed those has just been killed.
///
/// # Panics
/// When one cannot be ended.
pub fn end_all_of(state_dir: &Path) {
    let mut groups = BTreeSet::new();
    wait_until("the Workers left behind to be gone", || {
        let left = all_of(state_dir);
        groups.extend(left.iter().flat_map(|pid| family_of(*pid)).flat_map(groups_of));
        for pid in &left {
            let _ = kill(*pid, Signal::SIGKILL);
        }
        left.is_empty()
    });
    wait_until("their control groups to be gone", || {
        groups.iter().for_each(|group| drop(fs::remove_dir(group)));
        !groups.iter().any(|group| group.exists())
    });
}

/// Every living process that has `state_dir` on its command line, or a file of it open.
#[must_use]
pub fn all_of(state_dir: &Path) -> Vec<Pid> {
    let numbers = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = numbers.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).map(Pid::from_raw);
    pids.filter(|pid| *pid != Pid::this() && belongs(*pid, state_dir)).collect()
}

fn belongs(pid: Pid, state_dir: &Path) -> bool {
    let process = of(pid);
    let wanted = state_dir.as_os_str().as_bytes();
    let named = |bytes: &[u8]| bytes.windows(wanted.len()).any(|part| part == wanted);
    if fs::read(process.join("cmdline")).is_ok_and(|line| named(&line)) {
        return true;
    }
    // A process that has ended but was not waited for has no files any more, so it does not count as living.
    let open = fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
    let open = open.map(|entry| entry.path()).chain([process.join("cwd")]);
    open.filter_map(|link| fs::read_link(link).ok()).any(|target| target.starts_with(state_dir))
}

/// A process and its children; those of a Worker's shim are in the Worker's control groups, the shim is not.
fn family_of(pid: Pid) -> Vec<Pid> {
    let children = fs::read_to_string(of(pid).join(format!("task/{pid}/children"))).unwrap_or_default();
    let children = children.split_whitespace().filter_map(|child| child.parse().ok()).map(Pid::from_raw);
    children.chain([pid]).collect()
}

/// The control groups of Workers that a process is in.
fn groups_of(pid: Pid) -> Vec<PathBuf> {
    let lines = fs::read_to_string(of(pid).join("cgroup")).unwrap_or_default();
    let group = |line: &str| {
        let mut fields = line.splitn(3, ':').skip(1);
        // The newer kind has no controllers in its name.
        let hierarchy = Path::new("/sys/fs/cgroup").join(fields.next()?);
        let group = hierarchy.join(fields.next()?.trim_start_matches('/'));
        let of_a_worker = group.parent()?.file_name()? == GROUPS_OF_WORKERS;
        (of_a_worker && group.exists()).then_some(group)
    };
    lines.lines().filter_map(group).collect()
}

fn of(pid: Pid) -> PathBuf {
    Path::new("/proc").join(pid.to_string())
}
