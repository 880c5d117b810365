//! The processes between the server and a Worker's command.
//!
//! ```text
//! server ── shim ── init ── command ── …
//!           |       |
//!           |       first process of the Worker's PID namespace: makes the file system, starts the command,
//!           |       copies its output to the log, collects orphans; when it ends, the kernel ends all others
//!           in a session of its own, outlives the server: enters the user namespace, starts init, writes
//!           down how it ended
//! ```
//!
//! All are the same program. The shim holds a lock from before it exists (the server hands it over), and
//! claims the start in a file that is made only once: a server that was killed at any instruction finds
//! out later what happened, and no Worker is started twice. If the shim is killed, the kernel kills init.

mod init;
mod outer;
mod report;
mod resident;

use std::io;
use std::process::{Command, ExitCode, Output};

use super::sandbox;

/// The first argument of a process that is a stage.
const STAGE: &str = "__knitfab-worker-stage";

/// This very program, also if its file was replaced meanwhile.
const THIS_PROGRAM: &str = "/proc/self/exe";

/// Must be the first call of `main`, before any thread exists: if this process was started as a stage
/// of a Worker, it does that stage's work and returns its exit code; otherwise it returns `None`.
#[must_use]
pub fn dispatch() -> Option<ExitCode> {
    let mut args = std::env::args().skip(1);
    if args.next()? != STAGE {
        return None;
    }
    let (stage, name) = (args.next().unwrap_or_default(), args.next().unwrap_or_default());
    let outcome = match stage.as_str() {
        "shim" => outer::run(&name),
        "init" => init::run(&name),
        "probe" => probe(&name),
        "probe-init" => probe_init(&name),
        _ => Err(io::Error::other(format!("there is no stage `{stage}`"))),
    };
    Some(match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Standard error of a shim is the server's, of a probe it is what the server reads.
            let _ = io::Write::write_all(&mut io::stderr(), format!("{error}\n").as_bytes());
            ExitCode::FAILURE
        }
    })
}

/// The arguments that make a program which calls [`dispatch`] a stage.
pub(super) fn stage_args(stage: &str, name: &str) -> [String; 3] {
    [STAGE.to_owned(), stage.to_owned(), name.to_owned()]
}

fn next_stage(stage: &str, name: &str) -> Command {
    let mut command = Command::new(THIS_PROGRAM);
    command.args(stage_args(stage, name));
    command
}

/// Confines a process that does nothing, to learn whether it can be done. `root` is an empty directory.
fn probe(root: &str) -> io::Result<()> {
    sandbox::isolate().map_err(io::Error::other)?;
    let Output { status, stderr, .. } = next_stage("probe-init", root).output()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(String::from_utf8_lossy(&stderr).trim().to_owned())) }
}

fn probe_init(root: &str) -> io::Result<()> {
    let view =
        sandbox::View { root: root.as_ref(), inputs: &[], outputs: &[], covered: &[], scratch_bytes: Some(1 << 20) };
    sandbox::enter(&view).and_then(|()| sandbox::give_up_rights()).map_err(io::Error::other)
}
