//! The processes between the server and a Worker's command; see [`dispatch`].

use std::process::ExitCode;

/// Must be the first call of `main`, before any thread exists: if this process was started as a stage
/// of a Worker, it does that stage's work and returns its exit code; otherwise it returns `None`.
#[must_use]
pub fn dispatch() -> Option<ExitCode> {
    None
}
