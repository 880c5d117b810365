//! How `knit` ends, for scripts.

use std::process::ExitCode;

/// The exit status of `knit`. The first three are the original's; the finer ones lie above them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExitStatus {
    /// It is done.
    Success,
    /// It failed while it ran.
    Failure,
    /// The command line is wrong; nothing was attempted.
    Usage,
    /// The server cannot be reached, or the connection broke.
    Unreachable,
    /// What was named does not exist.
    NotFound,
    /// The server refuses because of the state things are in.
    Conflict,
    /// A Run that was waited for has failed or was removed.
    RunFailed,
    /// What was waited for did not come in time.
    NotInTime,
    /// The history that was verified is not whole, or not the one that was signed.
    NotWhole,
    /// Ctrl-C.
    Interrupted,
    /// Whoever read the output went away; nothing is said about it.
    BrokenPipe,
    /// What the extension command ended with.
    Extension(u8),
}

/// The end of `knit --help`.
pub(crate) const EXIT_CODES: &str = "\
Exit status:
  0  done
  1  failed, or a value cannot be read (a tag, a time, a number, an address)
  2  wrong usage
  3  server unreachable
  4  no such Data, Plan or Run
  5  refused because of the state things are in
  6  a Run that was waited for has failed or was removed
  7  what was waited for did not come in time
  8  the history is not whole, or was changed
  130  interrupted by Ctrl-C
  Extension commands end with their own.";

impl ExitStatus {
    /// The number that the shell sees.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Failure => 1,
            Self::Usage => 2,
            Self::Unreachable => 3,
            Self::NotFound => 4,
            Self::Conflict => 5,
            Self::RunFailed => 6,
            Self::NotInTime => 7,
            Self::NotWhole => 8,
            // 128 and the number of the signal, as shells report it.
            Self::Interrupted => 130,
            Self::BrokenPipe => 141,
            Self::Extension(code) => code,
        }
    }
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        Self::from(status.code())
    }
}
