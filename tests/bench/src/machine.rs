//! On what the figures were measured: a figure without its machine means nothing.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use serde::{Deserialize, Serialize};

/// The machine, the programs, and how quiet it was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) memory_bytes: u64,
    pub(crate) kernel: String,
    /// File system under the scratch directory.
    pub(crate) disk: String,
    /// Median time of a write of 4 KiB with `fdatasync`, in milliseconds: the floor of every commit.
    pub(crate) sync_ms: f64,
    pub(crate) postgres: String,
    pub(crate) rust: String,
    pub(crate) commit: String,
    /// Processes that wanted to run in the minute before.
    pub(crate) load_before: f64,
}

/// Writes measured for [`Machine::sync_ms`].
const SYNCS: usize = 51;

impl Machine {
    /// `postgres` is what the server of the kit says of itself.
    pub(crate) fn here(scratch: &Path, postgres: String) -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let field = |text: &str, name: &str| {
            let value = text.lines().find(|line| line.starts_with(name)).and_then(|line| line.split(':').nth(1));
            value.unwrap_or_default().trim().to_owned()
        };
        let kib = field(&read("/proc/meminfo"), "MemTotal");
        let kib: u64 = kib.split(' ').next().and_then(|kib| kib.parse().ok()).unwrap_or_default();
        Self {
            processor: field(&read("/proc/cpuinfo"), "model name"),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_bytes: kib * 1_024,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            disk: said_by("findmnt", &["-n", "-o", "FSTYPE,SOURCE", "-T", &scratch.to_string_lossy()]),
            sync_ms: sync_ms(scratch),
            postgres,
            rust: said_by("rustc", &["--version"]),
            commit: commit(),
            load_before: load(),
        }
    }
}

/// Processes that wanted to run in the last minute.
pub(crate) fn load() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|load| load.parse().ok()).unwrap_or_default()
}

fn commit() -> String {
    let commit = said_by("git", &["rev-parse", "--short=12", "HEAD"]);
    let changed = !said_by("git", &["status", "--porcelain", "--untracked-files=no"]).is_empty();
    if changed { format!("{commit} with changes") } else { commit }
}

fn said_by(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}

fn sync_ms(scratch: &Path) -> f64 {
    use std::io::Write as _;
    let measured = || -> std::io::Result<Vec<f64>> {
        let mut file = tempfile::tempfile_in(scratch)?;
        let mut times = Vec::with_capacity(SYNCS);
        for _ in 0..SYNCS {
            let begun = Instant::now();
            file.write_all(&[0; 4_096])?;
            file.sync_data()?;
            times.push(begun.elapsed().as_secs_f64() * 1e3);
        }
        Ok(times)
    };
    measured().map(|times| crate::statistics::Sample::of(times).median()).unwrap_or_default()
}
