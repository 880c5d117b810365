//! Init: the first process of a Worker's PID namespace.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::JoinHandle;

use knit_failpoint::failpoint;
use nix::sys::signal::{Signal as NixSignal, kill};
use rustix::process::{DumpableBehavior, Pid, Signal, WaitOptions, WaitStatus, set_parent_process_death_signal};

use super::report::{InitEnd, Report};
use super::resident::Sampler;
use crate::local::record::{Record, Spec};
use crate::local::sandbox::{self, View};

/// Output copied to the log at once; a pipe holds 64 KiB.
const COPY_BYTES: usize = 64 * 1024;

/// Sets the Worker up, runs its command to its end, and reports.
pub(super) fn run(name: &str) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let mut shim = InitEnd::from_stdin()?;
    // If the shim died before the line above it has said nothing, and will not.
    shim.wait()?;
    failpoint("init.let-go");
    let record = Record::at(Path::new("workers").join(name));
    let spec = record.spec()?.ok_or_else(|| io::Error::other(format!("there is no Worker `{name}`")))?;
    if let Err(error) = set_up(&spec, &record.root()) {
        return shim.send(&Report::Stuck(error.to_string()));
    }
    failpoint("init.set-up");
    let last = match start(&spec) {
        Ok((command, log)) => {
            failpoint("init.command-started");
            shim.send(&Report::Running)?;
            let end = wait_for_end(&spec, command, log)?;
            failpoint("init.command-ended");
            end
        }
        Err(error) => not_started(&spec, &error),
    };
    shim.send(&last)
}

fn set_up(spec: &Spec, root: &Path) -> Result<(), sandbox::SetUpError> {
    sandbox::enter(&View {
        root,
        inputs: &spec.inputs,
        outputs: &spec.outputs,
        covered: &spec.covered,
        scratch_bytes: spec.memory_bytes,
    })?;
    sandbox::give_up_rights()?;
    let step = |e| sandbox::SetUpError::new("detach from the server's session", e);
    // It leads no group yet: it was just started by the shim.
    rustix::process::setsid().map(drop).map_err(step)?;
    // Entering a user namespace may have reset it.
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(step)?;
    // The command runs as the same user; it must not change its own init.
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(step)?;
    rustix::process::umask(rustix::fs::Mode::from_bits_retain(0o022));
    Ok(())
}

/// Starts the command with a clean environment; its output goes through a pipe, since a program that opens
/// `/dev/stdout` anew would cut off a file.
fn start(spec: &Spec) -> io::Result<(Pid, Option<JoinHandle<io::Result<()>>>)> {
    let (program, args) = spec.command.split_first().ok_or_else(|| io::Error::other("there is no command"))?;
    let mut command = Command::new(program);
    command.args(args).env_clear().current_dir("/").stdin(Stdio::null());
    command.env("PATH", sandbox::PATH_VARIABLE).env("HOME", sandbox::HOME).envs(&spec.env);
    let output = if spec.log.is_some() {
        let (output, into) = io::pipe()?;
        command.stdout(into.try_clone()?).stderr(into);
        Some(output)
    } else {
        command.stdout(Stdio::null()).stderr(Stdio::null());
        None
    };
    let child = command.spawn()?;
    let log = output.map(|output| std::thread::spawn(move || copy_log(output)));
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    Ok((pid.ok_or_else(|| io::Error::other("the kernel gave no process number"))?, log))
}

/// Copies to standard output, which is the log. A log that cannot be written is read on, so that the command
/// does not hang.
fn copy_log(mut output: io::PipeReader) -> io::Result<()> {
    let mut log = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    let mut buffer = vec![0; COPY_BYTES];
    let mut outcome = Ok(());
    loop {
        match output.read(&mut buffer)? {
            0 => return outcome,
            count if outcome.is_ok() => outcome = log.write_all(&buffer[..count]),
            _ => {}
        }
    }
}

/// Waits for the command, collecting orphans; then ends everything it left behind.
fn wait_for_end(spec: &Spec, command: Pid, log: Option<JoinHandle<io::Result<()>>>) -> io::Result<Report> {
    // Where a control group bounds memory, the kernel does it better.
    let sampler = spec.memory_bytes.filter(|_| spec.confinement.memory.is_none()).map(Sampler::start);
    let status = loop {
        match rustix::process::wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if pid == command => break status,
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    };
    end_everything();
    let log_error = log.and_then(|copying| match copying.join() {
        Ok(outcome) => outcome.err().map(|error| error.to_string()),
        Err(_) => Some("the copying broke off".to_owned()),
    });
    let over_memory = sampler.is_some_and(|sampler| sampler.was_exceeded());
    let (code, signal) = code_of(status);
    Ok(Report::Ended { code, signal, over_memory, log_error })
}

/// Kills every process of the namespace but this, and collects them, so that the pipe of the log ends.
fn end_everything() {
    let everybody = nix::unistd::Pid::from_raw(-1);
    // The only error is that there is nobody.
    let _ = kill(everybody, NixSignal::SIGKILL);
    while !matches!(rustix::process::wait(WaitOptions::empty()), Err(rustix::io::Errno::CHILD)) {}
}

fn code_of(status: WaitStatus) -> (u8, Option<i32>) {
    let low_byte = |number: i32| u8::try_from(number & 0xff).unwrap_or(u8::MAX);
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => (low_byte(code), None),
        (None, Some(signal)) => (low_byte(128 + signal), Some(signal)),
        (None, None) => (u8::MAX, None),
    }
}

/// Told in the log as well: that is where people look.
fn not_started(spec: &Spec, error: &io::Error) -> Report {
    let program = spec.command.first().map(String::as_str).unwrap_or_default();
    let (code, why) = if error.kind() == io::ErrorKind::NotFound {
        (127, "not found in this image".to_owned())
    } else {
        (126, error.to_string())
    };
    let message = format!("cannot run `{program}`: {why}");
    if spec.log.is_some() {
        let _ = writeln!(io::stdout(), "{message}");
    }
    Report::NotStarted { code, message }
}
