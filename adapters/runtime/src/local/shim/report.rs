//! What init tells the shim, a line of JSON each, and the one word it waits for.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use serde::{Deserialize, Serialize};

/// Sent to init once it is written down and in its control groups: from now on it may do something.
const GO: u8 = b'g';

/// From init to the shim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Report {
    /// The command was started.
    Running,
    /// The Worker could not be set up.
    Stuck(String),
    /// The command could not be started: the code that a shell would give, and why.
    NotStarted {
        /// 127 = not found, 126 = not executable.
        code: u8,
        message: String,
    },
    /// The command ended, and everything it started.
    Ended {
        /// Its exit code, or 128 + the signal that ended it.
        code: u8,
        /// The signal that ended it.
        signal: Option<i32>,
        /// It was ended because more memory was resident than it may have.
        over_memory: bool,
        /// The log could not be written to its end.
        log_error: Option<String>,
    },
}

/// The shim's end.
pub(super) struct ShimEnd(BufReader<UnixStream>);

impl ShimEnd {
    /// Both ends; the second becomes init's standard input.
    pub(super) fn pair() -> io::Result<(Self, UnixStream)> {
        let (ours, theirs) = UnixStream::pair()?;
        Ok((Self(BufReader::new(ours)), theirs))
    }

    pub(super) fn let_go(&mut self) -> io::Result<()> {
        self.0.get_mut().write_all(&[GO])
    }

    /// The next report; `None` when init is gone.
    pub(super) fn next(&mut self) -> io::Result<Option<Report>> {
        let mut line = String::new();
        if self.0.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        Ok(Some(serde_json::from_str(&line)?))
    }
}

/// Init's end.
pub(super) struct InitEnd(UnixStream);

impl InitEnd {
    /// Takes it from standard input.
    pub(super) fn from_stdin() -> io::Result<Self> {
        Ok(Self(UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?)))
    }

    /// Waits for the shim's word. An error means that the shim is gone, and init must do nothing.
    pub(super) fn wait(&mut self) -> io::Result<()> {
        self.0.read_exact(&mut [0])
    }

    pub(super) fn send(&mut self, report: &Report) -> io::Result<()> {
        let mut line = serde_json::to_vec(report)?;
        line.push(b'\n');
        self.0.write_all(&line)
    }
}
