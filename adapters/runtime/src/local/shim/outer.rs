//! The shim: between the server, which may die, and init, which must not.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use knit_failpoint::failpoint;
use rustix::process::setsid;

use super::next_stage;
use super::report::{Report, ShimEnd};
use crate::local::cgroup::Groups;
use crate::local::process::ProcessId;
use crate::local::record::{End, Record, Spec};
use crate::local::sandbox;

/// How long the shim waits before it tries again to write the end on a disk that is full.
const END_RETRY: Duration = Duration::from_millis(500);

/// Runs the Worker `name` of the state directory that is the current directory. Standard input is the
/// locked lock; a line on standard output tells the server that the command was started.
pub(super) fn run(name: &str) -> io::Result<()> {
    // A signal to the server's terminal must not reach Workers. It fails only for a leader already.
    let _ = setsid();
    let record = Record::at(Path::new("workers").join(name));
    let spec = record.spec()?.ok_or_else(|| io::Error::other(format!("there is no Worker `{name}`")))?;
    failpoint("shim.begun");
    record.reserve_end()?;
    let this = ProcessId::of(i32::try_from(std::process::id()).map_err(io::Error::other)?)?;
    if !record.claim_start(this)? {
        return Ok(());
    }
    failpoint("shim.claimed");
    let end = supervise(name, &spec, &record).unwrap_or_else(|message| End::Stuck { message });
    while let Err(error) = record.write_end(&end) {
        if !record.dir().exists() {
            return Err(error);
        }
        std::thread::sleep(END_RETRY);
    }
    failpoint("shim.end-written");
    Ok(())
}

/// Runs init and waits for its end. The error is why the command never ran.
fn supervise(name: &str, spec: &Spec, record: &Record) -> Result<End, String> {
    for output in &spec.outputs {
        check_empty(&Path::new("open").join(&output.volume), &output.path)?;
    }
    let log = spec.log.as_ref().map(|volume| open_log(volume)).transpose()?;
    let groups = Groups::make(&spec.confinement, &spec.uid, spec.cpu_millis, spec.memory_bytes)
        .map_err(|e| format!("cannot make its control groups: {e}"))?;
    failpoint("shim.groups-made");
    let outcome = start_init(name, log, record, &groups)
        .and_then(|(init, reports)| wait_for_end(init, reports, record).map_err(|e| format!("cannot watch it: {e}")));
    failpoint("shim.init-ended");
    let out_of_memory = groups.memory_ran_out();
    groups.remove();
    outcome.map(|last| end_of(last, out_of_memory))?
}

/// What is left from somebody else must not be mixed with the output of this Worker.
fn check_empty(volume: &Path, path: &str) -> Result<(), String> {
    match fs::read_dir(volume).map(|mut entries| entries.next().is_none()) {
        Ok(true) => Ok(()),
        Ok(false) => Err(format!("the output `{path}` is not empty: something was written there before it started")),
        Err(error) => Err(format!("cannot look into the output `{path}`: {error}")),
    }
}

fn open_log(volume: &str) -> Result<File, String> {
    let volume = Path::new("open").join(volume);
    check_empty(&volume, "/log")?;
    let log = File::options().append(true).create_new(true).open(volume.join("log"));
    log.map_err(|e| format!("cannot make the log: {e}"))
}

/// Starts init and lets it go once it is bounded and written down.
fn start_init(name: &str, log: Option<File>, record: &Record, groups: &Groups) -> Result<(Child, ShimEnd), String> {
    sandbox::isolate().map_err(|e| e.to_string())?;
    let start = || -> io::Result<(Child, ShimEnd)> {
        let (mut reports, inits) = ShimEnd::pair()?;
        let init = next_stage("init", name)
            .stdin(OwnedFd::from(inits))
            .stdout(log.map_or_else(Stdio::null, Stdio::from))
            .spawn()?;
        let pid = i32::try_from(init.id()).map_err(io::Error::other)?;
        failpoint("shim.init-started");
        record.write_init(ProcessId::of(pid)?)?;
        failpoint("shim.init-written-down");
        groups.enter(pid)?;
        failpoint("shim.init-bounded");
        reports.let_go()?;
        failpoint("shim.init-let-go");
        Ok((init, reports))
    };
    start().map_err(|e| format!("cannot start its first process: {e}"))
}

/// Collects what init reports, until it is gone and with it everything it started. Returns the last report.
fn wait_for_end(mut init: Child, mut reports: ShimEnd, record: &Record) -> io::Result<Option<Report>> {
    let mut last = None;
    while let Some(report) = reports.next().unwrap_or(None) {
        if report == Report::Running {
            // Without the mark, on a full disk, it looks as if it were still being set up; that ends with it.
            let _ = record.mark_running();
            failpoint("shim.running");
            // The server may be gone.
            let _ = io::stdout().write_all(b"running\n").and_then(|()| io::stdout().flush());
        }
        last = Some(report);
    }
    init.wait()?;
    Ok(last)
}

fn end_of(last: Option<Report>, out_of_memory: bool) -> Result<End, String> {
    let failed = |code: u8, reason: String| Ok(End::Failed { code, message: format!("(container main) {reason}") });
    match last {
        Some(Report::Stuck(message)) => Err(message),
        Some(Report::NotStarted { code, message }) => failed(code, format!("StartError: {message}")),
        Some(Report::Ended { code: 0, log_error: Some(error), .. }) => {
            failed(1, format!("Error: it succeeded, but its log could not be written: {error}"))
        }
        Some(Report::Ended { code: 0, .. }) => Ok(End::Succeeded),
        Some(Report::Ended { code, over_memory, .. }) if over_memory || out_of_memory => {
            failed(code, "OOMKilled".into())
        }
        Some(Report::Ended { code, signal: None, .. }) => failed(code, "Error".into()),
        Some(Report::Ended { code, signal: Some(9), .. }) => failed(code, "Killed".into()),
        Some(Report::Ended { code, signal: Some(signal), .. }) => failed(code, format!("Killed by signal {signal}")),
        // Init itself was killed, and the kernel killed the rest.
        Some(Report::Running) | None if out_of_memory => failed(137, "OOMKilled".into()),
        Some(Report::Running) | None => failed(137, "Killed".into()),
    }
}
