//! The results of a soak: a page for people, the samples for programs, a plot for each thing that might grow.

use std::fmt::Write as _;
use std::path::Path;
use std::{fs, io};

use super::ending::Ending;
use super::figures::{Course, Figure, count, csv_head};
use super::user::ROUND;
use super::verdict::{Judged, Trend, WINDOW_MINUTES, trend, windows};
use crate::machine::{Machine, load};
use crate::plot::{Plot, Series};
use crate::row::{bytes, number, time};

/// The columns of the table by time.
const BY_TIME: [Figure; 14] = [
    Figure::Position,
    Figure::Resident,
    Figure::Files,
    Figure::Sockets,
    Figure::OtherHandles,
    Figure::Threads,
    Figure::Database,
    Figure::WriteAhead,
    Figure::SnapshotBytes,
    Figure::Volumes,
    Figure::Processor,
    Figure::Find,
    Figure::Push,
    Figure::Faults,
];
/// What a Run, a user or a server does, by the events that say so.
const TOLD_EVENTS: [&str; 12] = [
    "UploadStarted",
    "RunProjected",
    "WorkerRequested",
    "RunSucceeded",
    "RunFailed",
    "RunRetried",
    "RunInvalidated",
    "RunErased",
    "DataTagsChanged",
    "PlanRegistered",
    "PlanDeactivated",
    "VolumeReclaimed",
];

/// What there is to say of one server.
pub(super) struct Soaked {
    pub(super) name: &'static str,
    pub(super) course: Course,
    pub(super) rounds: u64,
    pub(super) late: u64,
    pub(super) ending: Ending,
}

/// Everything of one soak.
pub(super) struct Page {
    pub(super) machine: Machine,
    pub(super) minutes: f64,
    pub(super) servers: Vec<Soaked>,
}

const HEAD: &str = "# Soak

Two servers, one on the embedded default (SQLite) and one on a PostgreSQL of its own, work for hours side by side \
under the same steady load, and are looked at from outside every minute. `make soak` does it again \
(`SOAK_ARGS=\"--minutes 10\"` is a look); what comes of it is this page, which it writes, with the \
[samples](soak/samples.csv). What the figures mean is said in [reliability.md](reliability.md#soak).
";

impl Page {
    pub(super) fn markdown(&self) -> String {
        let mut page = HEAD.to_owned();
        page.push_str(&self.circumstances());
        for server in &self.servers {
            page.push_str(&server.markdown());
        }
        page.push_str("\n## Plots\n");
        for (name, plot) in self.plots() {
            writeln!(page, "\n![{}](soak/{name}.svg)", plot.title).expect("a text grows");
        }
        page
    }

    fn circumstances(&self) -> String {
        let Machine { processor, cores, memory_bytes, kernel, disk, sync_ms, postgres, rust, commit, load_before } =
            &self.machine;
        format!(
            "\n| Circumstance | |\n|---|---|\n\
             | work | {} minutes, a round every {} s for each server |\n| commit | {commit} |\n\
             | machine | {cores} × {processor}, {} of memory, Linux {kernel}; shared with others meanwhile |\n\
             | disk | {disk}; a write of 4 KiB with fdatasync takes {} ms |\n| beside it | {postgres}; {rust} |\n\
             | load of the machine before and after | {load_before}; {} |\n",
            count(self.minutes),
            ROUND.as_secs(),
            bytes(*memory_bytes as f64),
            number(*sync_ms),
            load()
        )
    }

    fn plots(&self) -> Vec<(&'static str, Plot)> {
        let of = |title: &str, unit, figures: &[(Figure, &str)], scale: f64| {
            let lines = self.servers.iter().flat_map(|server| {
                figures.iter().map(move |(figure, words)| {
                    let points = server.course.of(*figure).into_iter().map(|(at, value)| (at, value / scale));
                    Series { name: format!("{}{words}", server.name), points: points.collect() }
                })
            });
            Plot::lines(title, "minutes", unit, lines.filter(|line: &Series| !line.points.is_empty()).collect())
        };
        let memory = [(Figure::Resident, ""), (Figure::Anonymous, ", without mapped files")];
        let handles = [(Figure::Files, ", files"), (Figure::Sockets, ", sockets"), (Figure::OtherHandles, ", others")];
        let database = [(Figure::Database, ""), (Figure::SnapshotBytes, ", snapshots"), (Figure::WriteAhead, ", WAL")];
        let kept = [(Figure::Volumes, ", volumes"), (Figure::DataListed, ", Data listed")];
        let times = [(Figure::Find, ", find"), (Figure::Push, ", push")];
        vec![
            ("memory", of("Memory in RAM", "MB", &memory, 1e6)),
            ("handles", of("Open handles", "handles", &handles, 1.0)),
            ("database", of("Database", "MB", &database, 1e6)),
            ("volumes", of("What is kept", "volumes, Data", &kept, 1.0)),
            ("times", of("Times of answers", "ms", &times, 1e-3)),
        ]
    }

    /// Writes the page, and beside it a folder with the rest.
    ///
    /// # Errors
    /// When something cannot be written.
    pub(super) fn write(&self, out: &Path) -> io::Result<()> {
        let folder = out.join("soak");
        fs::create_dir_all(&folder)?;
        fs::write(out.join("soak.md"), self.markdown())?;
        let samples = self.servers.iter().map(|server| server.course.csv(server.name));
        fs::write(folder.join("samples.csv"), csv_head() + &samples.collect::<String>())?;
        self.plots().into_iter().try_for_each(|(name, plot)| fs::write(folder.join(format!("{name}.svg")), plot.svg()))
    }

    /// Whether something is not as it must be.
    pub(super) fn has_defects(&self) -> bool {
        self.servers.iter().any(|server| {
            let defect = |figure: &Figure| trend(&server.course, *figure).is_some_and(|it| it.judged == Judged::Defect);
            !server.ending.complaints.is_empty() || Figure::ALL.iter().any(defect)
        })
    }
}

impl Soaked {
    fn markdown(&self) -> String {
        let mut text = format!("\n## {}\n\n", self.name);
        text.push_str(&self.work());
        text.push_str(
            "\n| What | first minutes | when warm | at the end | for each event since | |\n|---|---|---|---|---|---|\n",
        );
        for figure in Figure::ALL {
            if let Some(trend) = trend(&self.course, figure) {
                text.push_str(&row(figure, &trend));
            }
        }
        text.push_str(&self.by_time());
        text.push_str(&self.end());
        text
    }

    fn work(&self) -> String {
        let told = |name| Some(format!("{name} {}", count(*self.ending.events.get(name)? as f64)));
        let told: Vec<String> = TOLD_EVENTS.into_iter().filter_map(told).collect();
        format!(
            "{} rounds, {} of them begun late. The log has {} events, among them: {}.\n",
            count(self.rounds as f64),
            self.late,
            count(self.ending.events.values().sum::<u64>() as f64),
            told.join(", ")
        )
    }

    fn by_time(&self) -> String {
        let mut text = format!("\nMedians of each {} minutes:\n\n| until minute |", count(WINDOW_MINUTES));
        let there: Vec<Figure> = BY_TIME.into_iter().filter(|figure| !self.course.of(*figure).is_empty()).collect();
        there.iter().for_each(|figure| write!(text, " {} |", figure.words()).expect("a text grows"));
        text.push_str(&format!("\n|---|{}\n", "---|".repeat(there.len())));
        for (end, values) in windows(&self.course, &there) {
            write!(text, "| {} |", count(end)).expect("a text grows");
            for (figure, value) in there.iter().zip(values) {
                let cell = value.map_or_else(|| "–".to_owned(), |value| figure.text(value));
                write!(text, " {cell} |").expect("a text grows");
            }
            text.push('\n');
        }
        text
    }

    fn end(&self) -> String {
        let Ending {
            complaints, store_bytes, snapshots_compared, restart_seconds, restart_bytes, logged, tables, ..
        } = &self.ending;
        let holds = if complaints.is_empty() {
            "every Run came to its end, one sealed volume for each Data and nothing else is kept, no process is left, \
             the chain of the log is whole, and after a restart Data, Runs and Plans are listed as before"
                .to_owned()
        } else {
            format!("**{}**", complaints.join("; "))
        };
        let mut text = format!(
            "\nAt the end: {holds}. Folded anew, the log gives what the server had folded ({snapshots_compared} \
             snapshots compared). The catalog with its history takes {} by its own count; a server started on this \
             state was ready after {} and had {} in RAM. It logged {} lines of INFO, {} of WARN, {} of ERROR.\n",
            bytes(*store_bytes as f64),
            time(*restart_seconds),
            bytes(*restart_bytes),
            count(logged[0] as f64),
            logged[1],
            logged[2]
        );
        if !tables.is_empty() {
            let tables: Vec<String> =
                tables.iter().map(|(name, size)| format!("`{name}` {}", bytes(*size as f64))).collect();
            writeln!(text, "\nTables with their indexes: {}.", tables.join(", ")).expect("a text grows");
        }
        text
    }
}

fn row(figure: Figure, trend: &Trend) -> String {
    let text = |value| figure.text(value);
    let per_event = match trend.judged {
        Judged::Explained => text(trend.per_event),
        Judged::Flat | Judged::Defect | Judged::Tells => String::new(),
    };
    format!(
        "| {} | {} | {} | {} | {per_event} | {} |\n",
        figure.words(),
        text(trend.first),
        text(trend.warm),
        text(trend.last),
        trend.judged.word()
    )
}

#[cfg(test)]
mod tests {
    use super::super::figures::Sample;
    use super::*;

    fn page(complaints: Vec<String>) -> Page {
        let machine = Machine {
            processor: "abacus".to_owned(),
            cores: 2,
            memory_bytes: 1 << 34,
            kernel: "6".to_owned(),
            disk: "ext4".to_owned(),
            sync_ms: 1.0,
            postgres: "psql 17".to_owned(),
            rust: "rustc 1".to_owned(),
            commit: "0123".to_owned(),
            load_before: 0.1,
        };
        let sample = |minute: i32| {
            let minute = f64::from(minute);
            let values = [
                (Figure::Position, minute * 100.0),
                (Figure::Resident, 3e6 + minute * 2e4),
                (Figure::Files, 12.0),
                (Figure::Faults, 0.0),
            ];
            Sample { minute, values: values.into() }
        };
        let course = Course((1..=20).map(sample).collect());
        let events = [("RunProjected".to_owned(), 1_234)].into();
        let ending = Ending { complaints, events, ..Ending::default() };
        Page { machine, minutes: 20.0, servers: vec![Soaked { name: "SQLite", course, rounds: 600, late: 1, ending }] }
    }

    #[test]
    fn a_page_says_what_is_flat_and_what_grows_by_how_much() {
        let page = page(Vec::new());
        let text = page.markdown();
        assert!(text.contains("| open files | 12 | 12 | 12 |  | flat |"), "{text}");
        assert!(text.contains("| 200 B | grows with the history |"), "{text}");
        assert!(text.contains("RunProjected 1,234") && text.contains("600 rounds, 1 of them"), "{text}");
        assert!(text.contains("| 20 | 1,550 |"), "{text}");
        assert!(!page.has_defects());
    }

    #[test]
    fn what_does_not_hold_at_the_end_is_a_defect() {
        let page = page(vec!["a process is left".to_owned()]);
        assert!(page.has_defects() && page.markdown().contains("**a process is left**"));
    }

    #[test]
    fn everything_that_a_page_refers_to_is_written() {
        let out = tempfile::tempdir().unwrap();
        let page = page(Vec::new());
        page.write(out.path()).unwrap();
        let text = page.markdown();
        let named = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for file in named.filter(|name| name.starts_with("soak/")) {
            assert!(out.path().join(file).is_file(), "{file}");
        }
    }
}
