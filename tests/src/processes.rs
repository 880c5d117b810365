//! Processes that belong to a state directory: Workers outlive their server on purpose, but not the test.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::wait::wait_until;

/// Ends every process that was started for `state_dir`, and waits until all are gone.
///
/// # Panics
/// When one cannot be ended.
pub fn end_all_of(state_dir: &Path) {
    wait_until("the Workers left behind to be gone", || {
        let left = all_of(state_dir);
        for pid in &left {
            let _ = kill(*pid, Signal::SIGKILL);
        }
        left.is_empty()
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
    let process = Path::new("/proc").join(pid.to_string());
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
