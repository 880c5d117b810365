//! A look at one server from outside: its process, its database, its directory, and how fast it answers.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use knit_tests::archive::Archive;
use knit_tests::http::Client;
use knit_tests::processes;
use knit_tests::server::Server;
use serde_json::Value;
use tokio::runtime::Runtime;

use super::answers::Answers;
use super::asking::Asking;
use super::database::Database;
use super::figures::{Figure, Sample};
use crate::statistics;

/// Questions and pushes of one look, of whose times the median counts.
const PROBES: usize = 5;
/// Ticks of the processor's time in `/proc/<pid>/stat`, of a second; it has been so on Linux for ever.
const TICKS_PER_S: f64 = 100.0;
/// Statuses that a Run leaves by itself, or when its Plan is made active.
const ON_THE_WAY: [&str; 7] = ["deactivated", "waiting", "ready", "starting", "running", "completing", "aborting"];

/// Somebody who looks at a server again and again.
pub(super) struct Onlooker {
    asking: Asking,
    database: Database,
    /// When it looked last, and the processor's time of the server then, in seconds.
    before: Option<(Instant, f64)>,
}

impl Onlooker {
    pub(super) fn of(server: &Server, database: Database, answers: Arc<Answers>) -> Self {
        Self { asking: Asking::new(Client::new(server.address()), answers), database, before: None }
    }

    /// Everything there is to see now.
    pub(super) fn look(&mut self, server: &Server, tokio: &Runtime, minute: f64) -> anyhow::Result<Sample> {
        // What the probes do is over before anything is counted.
        let mut values = self.probe();
        values.extend(process(server.pid())?);
        values.insert(Figure::Processor, self.processor_percent(server.pid())?);
        values.extend(tokio.block_on(self.database.figures())?);
        values.extend(self.lists());
        values.extend(directory(server));
        let answers = &self.asking.answers;
        let counts = [
            (Figure::Answers, answers.well()),
            (Figure::Refusals, answers.refused()),
            (Figure::Faults, answers.faults()),
        ];
        values.extend(counts.map(|(figure, count)| (figure, count as f64)));
        Ok(Sample { minute, values })
    }

    fn probe(&self) -> BTreeMap<Figure, f64> {
        let (mut finds, mut pushes) = (Vec::new(), Vec::new());
        let archive = Archive::new().file("probe", b"probe").gzip();
        for _ in 0..PROBES {
            let begun = Instant::now();
            let _ = self.asking.get("/api/data?tag=kind:probe");
            finds.push(begun.elapsed().as_secs_f64());
            let begun = Instant::now();
            let pushed = self.asking.push(&archive, &["kind:probe"]);
            pushes.push(begun.elapsed().as_secs_f64());
            let _ = pushed.map(|data| self.asking.delete_tree(&data));
        }
        let median = |times| statistics::Sample::of(times).median();
        [(Figure::Find, median(finds)), (Figure::Push, median(pushes))].into()
    }

    /// Since the last look; of the first one nothing can be said, so it is 0.
    fn processor_percent(&mut self, pid: u32) -> anyhow::Result<f64> {
        let (now, used) = (Instant::now(), processor_seconds(pid)?);
        let before = self.before.replace((now, used));
        Ok(before.map_or(0.0, |(then, used_then)| 100.0 * (used - used_then) / now.duration_since(then).as_secs_f64()))
    }

    fn lists(&self) -> BTreeMap<Figure, f64> {
        let runs = self.asking.list("/api/runs");
        let with = |statuses: &[&str]| {
            let counted = runs.iter().filter(|run| run["status"].as_str().is_some_and(|it| statuses.contains(&it)));
            counted.count() as f64
        };
        [
            (Figure::DataListed, self.asking.list("/api/data").len() as f64),
            (Figure::RunsOnTheWay, with(&ON_THE_WAY)),
            (Figure::RunsDone, with(&["done"])),
            (Figure::RunsFailed, with(&["failed"])),
            (Figure::RunsDeleted, with(&["invalidated"])),
        ]
        .into()
    }
}

/// Whether a Run, as it is listed, has not come to its end.
pub(super) fn is_on_the_way(run: &Value) -> bool {
    run["status"].as_str().is_some_and(|status| ON_THE_WAY.contains(&status))
}

fn directory(server: &Server) -> BTreeMap<Figure, f64> {
    let kept = server.keeps();
    let volumes = kept.iter().filter(|name| name.starts_with("volumes/") || name.starts_with("open/")).count();
    let folders = ["incoming", "open", "volumes", "workers"].map(|kind| bytes_below(&server.state_dir().join(kind)));
    let state: u64 = folders.iter().sum();
    [
        (Figure::State, state as f64),
        (Figure::Volumes, volumes as f64),
        (Figure::Kept, kept.len() as f64),
        (Figure::Processes, processes::all_of(server.state_dir()).len() as f64),
    ]
    .into()
}

/// Bytes of all files below a directory, as far as they can be read while others come and go.
fn bytes_below(directory: &Path) -> u64 {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let bytes = entries.map(|entry| match entry.metadata() {
        Ok(met) if met.is_dir() => bytes_below(&entry.path()),
        Ok(met) => met.len(),
        Err(_) => 0,
    });
    bytes.sum()
}

/// What the kernel says of a process.
fn process(pid: u32) -> anyhow::Result<BTreeMap<Figure, f64>> {
    let process = Path::new("/proc").join(pid.to_string());
    let mut figures = memory(&fs::read_to_string(process.join("status"))?);
    let links = fs::read_dir(process.join("fd"))?.flatten().filter_map(|entry| fs::read_link(entry.path()).ok());
    for kind in [Figure::Files, Figure::Sockets, Figure::OtherHandles] {
        figures.insert(kind, 0.0);
    }
    for link in links {
        *figures.entry(kind_of_handle(&link.to_string_lossy())).or_default() += 1.0;
    }
    Ok(figures)
}

fn memory(status: &str) -> BTreeMap<Figure, f64> {
    let named = [
        ("VmRSS:", Figure::Resident, 1_024.0),
        ("VmHWM:", Figure::ResidentPeak, 1_024.0),
        ("RssAnon:", Figure::Anonymous, 1_024.0),
        ("Threads:", Figure::Threads, 1.0),
    ];
    let value = |name: &str| -> Option<f64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse().ok()
    };
    named.into_iter().filter_map(|(name, figure, unit)| Some((figure, value(name)? * unit))).collect()
}

fn kind_of_handle(link: &str) -> Figure {
    match link {
        socket if socket.starts_with("socket:") => Figure::Sockets,
        file if file.starts_with('/') => Figure::Files,
        _ => Figure::OtherHandles,
    }
}

/// Time that a process has had of the processor, without that of its children.
fn processor_seconds(pid: u32) -> anyhow::Result<f64> {
    let stat = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat"))?;
    Ok(ticks(&stat) / TICKS_PER_S)
}

/// The program's own time and the kernel's for it: the twelfth and thirteenth field after the name, which may
/// contain anything.
fn ticks(stat: &str) -> f64 {
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields).split_whitespace();
    fields.skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_is_understood() {
        let memory = memory("Name:\tknitd\nVmHWM:\t   20 kB\nVmRSS:\t   10 kB\nRssAnon:\t    4 kB\nThreads:\t7\n");
        let wanted = [
            (Figure::Resident, 10_240.0),
            (Figure::ResidentPeak, 20_480.0),
            (Figure::Anonymous, 4_096.0),
            (Figure::Threads, 7.0),
        ];
        assert_eq!(memory, wanted.into());
        let stat = "17 (a ) name) S 1 2 3 4 5 6 7 8 9 10 120 30 99 99 20";
        assert!((ticks(stat) - 150.0).abs() < f64::EPSILON);
    }

    #[test]
    fn handles_are_told_apart() {
        let kinds = ["socket:[1]", "/var/x (deleted)", "anon_inode:[eventpoll]", "pipe:[2]"].map(kind_of_handle);
        assert_eq!(kinds, [Figure::Sockets, Figure::Files, Figure::OtherHandles, Figure::OtherHandles]);
    }

    #[test]
    fn a_process_that_lives_has_memory_and_handles() {
        let figures = process(std::process::id()).unwrap();
        assert!(figures[&Figure::Resident] > 0.0 && figures[&Figure::Threads] >= 1.0, "{figures:?}");
    }
}
