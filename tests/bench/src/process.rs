//! What processes cost: the memory of running ones, the time and memory of short ones.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use nix::sys::resource::{UsageWho, getrusage};

use crate::statistics::Sample;

/// Pause between two looks at the memory of a process.
const LOOK: Duration = Duration::from_millis(10);
/// Ticks in `/proc/stat`: what Linux tells programs, whatever its own clock does.
const TICKS_PER_SECOND: f64 = 100.0;

/// Memory that the process `pid` has in RAM now, in bytes.
pub(crate) fn resident_bytes(pid: u32) -> anyhow::Result<f64> {
    let status = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("status"))?;
    let line =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("a process that lives has memory")?;
    let kib: f64 = line.trim().trim_end_matches(" kB").trim().parse()?;
    Ok(kib * 1_024.0)
}

/// Memory that this process has in RAM now, in bytes.
pub(crate) fn own_resident_bytes() -> anyhow::Result<f64> {
    resident_bytes(std::process::id())
}

/// Seconds that the processors of this machine have spent on anything since it was started, all together.
pub(crate) fn processor_seconds() -> anyhow::Result<f64> {
    let all = fs::read_to_string("/proc/stat")?;
    let line = all.lines().find_map(|line| line.strip_prefix("cpu ")).context("a machine has processors")?;
    let ticks: Vec<f64> = line.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
    let &[user, nice, system, _idle, _waiting, interrupts, soft_interrupts, ..] = &*ticks else {
        anyhow::bail!("`cpu` of /proc/stat has too few columns");
    };
    Ok((user + nice + system + interrupts + soft_interrupts) / TICKS_PER_SECOND)
}

/// Watches the memory of a process while something happens.
pub(crate) struct Watch {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<f64>,
    before: f64,
}

impl Watch {
    pub(crate) fn of(pid: u32) -> anyhow::Result<Self> {
        let before = resident_bytes(pid)?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut most = before;
            while !stopped.load(Ordering::Relaxed) {
                most = most.max(resident_bytes(pid).unwrap_or_default());
                std::thread::sleep(LOOK);
            }
            most
        });
        Ok(Self { stop, thread, before })
    }

    /// By how many bytes it grew at most.
    pub(crate) fn growth(self) -> f64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap_or_default() - self.before
    }
}

/// Seconds from asking for each of `count` processes until it has ended well. Its output goes where `command`
/// says.
pub(crate) fn wall(count: usize, command: impl Fn() -> anyhow::Result<Command>) -> anyhow::Result<Sample> {
    let times: anyhow::Result<Vec<f64>> = (0..count).map(|_| seconds_of(&mut command()?)).collect();
    Ok(Sample::of(times?))
}

/// Seconds until one process has ended well.
pub(crate) fn seconds_of(command: &mut Command) -> anyhow::Result<f64> {
    command.stdin(Stdio::null()).stderr(Stdio::null());
    let begun = Instant::now();
    let status = command.status().with_context(|| format!("{command:?} cannot be started"))?;
    let seconds = begun.elapsed().as_secs_f64();
    anyhow::ensure!(status.success(), "{command:?} failed");
    Ok(seconds)
}

/// A command whose output nobody reads.
pub(crate) fn silent(program: impl AsRef<OsStr>, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).stdout(Stdio::null());
    command
}

/// The most memory that a command had in RAM, in bytes. It is the child of a child of this process, which
/// is as small as a program can be: what a process had before it became another counts as its own.
pub(crate) fn peak_bytes(command: &[&str]) -> anyhow::Result<f64> {
    let this = std::env::current_exe()?;
    let output = Command::new(this).arg("--peak-of").args(command).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse().with_context(|| format!("no number of bytes: {text:?}"))
}

/// The other half of [`peak_bytes`].
pub(crate) fn measure_peak(words: &[String]) -> anyhow::Result<i64> {
    let (program, arguments) = words.split_first().context("a command has a program")?;
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let status = command.status()?;
    anyhow::ensure!(status.success(), "{command:?} failed");
    let kib = getrusage(UsageWho::RUSAGE_CHILDREN)?.max_rss();
    Ok(kib * 1_024)
}
