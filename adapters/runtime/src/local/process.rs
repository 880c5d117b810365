//! Processes of the machine, told apart from later ones with the same number.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

use super::readable;

/// A process as it is written down: its number alone may belong to another process later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ProcessId {
    pub(super) pid: i32,
    /// When it started, in the kernel's ticks since boot.
    pub(super) started_ticks: u64,
}

impl ProcessId {
    /// The identity of a process that lives now.
    pub(super) fn of(pid: i32) -> io::Result<Self> {
        Ok(Self { pid, started_ticks: started_ticks(pid)? })
    }

    /// A handle of the process, or `None` if it is gone.
    pub(super) fn open(self) -> io::Result<Option<OwnedFd>> {
        let Some(pid) = Pid::from_raw(self.pid) else { return Ok(None) };
        let handle = match pidfd_open(pid, PidfdFlags::NONBLOCK) {
            Ok(handle) => handle,
            Err(rustix::io::Errno::SRCH) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        // The handle stays with the process it was opened for, so looking afterwards is not too late.
        let same = started_ticks(self.pid).is_ok_and(|ticks| ticks == self.started_ticks);
        Ok(same.then_some(handle))
    }
}

/// Field 22 of `stat`; the name in field 2 may contain anything, but ends with the last parenthesis.
fn started_ticks(pid: i32) -> io::Result<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let field = stat.rsplit(')').next().and_then(|rest| rest.split_ascii_whitespace().nth(19));
    field.and_then(|ticks| ticks.parse().ok()).ok_or_else(|| io::Error::other("the kernel's process table is odd"))
}

/// Kills the process; one that is gone is as good.
pub(super) fn kill(handle: &OwnedFd) -> io::Result<()> {
    match pidfd_send_signal(handle, Signal::KILL) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Waits until the process has ended, whosever child it is.
pub(super) async fn ended(handle: OwnedFd) -> io::Result<()> {
    let handle = readable::register(handle)?;
    handle.readable().await.map(drop)
}

/// What this boot of the machine is called: process numbers and locks mean nothing in another one.
pub(super) fn boot_id() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_again_and_another_is_not() {
        let this = ProcessId::of(i32::try_from(std::process::id()).unwrap()).unwrap();
        assert!(this.open().unwrap().is_some());
        let earlier = ProcessId { started_ticks: this.started_ticks + 1, ..this };
        assert!(earlier.open().unwrap().is_none());
    }
}
