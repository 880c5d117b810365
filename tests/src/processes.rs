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

/// Every living process that has `state_dir` on its command line, or, if this program has not started it, a file of
/// it open.
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
    // What another test is starting at this moment is still a copy of this program, with every file that any of its
    // threads has open. To end that, as if it were a Worker, would end the program of a test that did nothing wrong.
    if parent_of(pid) == Some(Pid::this()) {
        return false;
    }
    // A process that has ended but was not waited for has no files any more, so it does not count as living.
    let open = fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
    let open = open.map(|entry| entry.path()).chain([process.join("cwd")]);
    open.filter_map(|link| fs::read_link(link).ok()).any(|target| target.starts_with(state_dir))
}

fn parent_of(pid: Pid) -> Option<Pid> {
    let status = fs::read_to_string(of(pid).join("status")).ok()?;
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"))?;
    parent.trim().parse().ok().map(Pid::from_raw)
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    use crate::wait::wait_for;

    fn pid_of(child: &std::process::Child) -> Pid {
        Pid::from_raw(i32::try_from(child.id()).unwrap())
    }

    #[test]
    fn what_this_program_starts_belongs_to_a_directory_by_its_command_line_and_not_by_a_file_it_was_given() {
        let ours = tempfile::tempdir().unwrap();
        let file = fs::File::create(ours.path().join("file")).unwrap();
        let mut given = Command::new("sleep").arg("60").stdout(file).spawn().unwrap();
        let script = ["-c", "read wait", "sh"];
        let mut named = Command::new("sh").args(script).arg(ours.path()).stdin(Stdio::piped()).spawn().unwrap();
        // For a moment after it has become another program, a process has no command line yet.
        let found = wait_for("the one that names it", || Some(all_of(ours.path())).filter(|found| !found.is_empty()));
        for child in [&mut given, &mut named] {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        assert_eq!(found, [pid_of(&named)]);
    }

    #[test]
    fn what_another_has_started_belongs_to_a_directory_by_a_file_that_it_has_open() {
        let ours = tempfile::tempdir().unwrap();
        let script = ["-c", "sleep 60 > \"$FILE\" & read wait"];
        let mut parent = Command::new("sh");
        let parent = parent.args(script).env("FILE", ours.path().join("file")).stdin(Stdio::piped());
        let mut parent = parent.spawn().unwrap();
        let found = wait_for("the child of a child", || all_of(ours.path()).first().copied());
        assert_ne!(found, pid_of(&parent));
        end_all_of(ours.path());
        assert_eq!(all_of(ours.path()), []);
        drop(parent.stdin.take());
        parent.wait().unwrap();
    }
}
