//! What is looked at every minute.

use std::collections::BTreeMap;

/// One figure of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Figure {
    Position,
    Resident,
    ResidentPeak,
    Anonymous,
    Threads,
    Files,
    Sockets,
    OtherHandles,
    Processor,
    Database,
    DatabaseFree,
    WriteAhead,
    Connections,
    Snapshots,
    SnapshotBytes,
    Attachments,
    Reservations,
    State,
    Volumes,
    DataListed,
    Kept,
    Processes,
    Find,
    Push,
    Answers,
    Refusals,
    Faults,
    RunsOnTheWay,
    RunsDone,
    RunsFailed,
    RunsDeleted,
}

/// How a figure ought to behave while the work goes on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Expected {
    /// Always nothing.
    Nothing,
    /// Once warm, no more than this much above where it was.
    Flat { slack: f64 },
    /// Grows with the history, which is kept by design, by no more than this for each event.
    Grows { per_event_max: f64 },
    /// It only tells what was done.
    Tells,
}

const MB: f64 = 1e6;

impl Figure {
    /// In the order of the columns.
    pub(super) const ALL: [Self; 31] = [
        Self::Position,
        Self::Resident,
        Self::ResidentPeak,
        Self::Anonymous,
        Self::Threads,
        Self::Files,
        Self::Sockets,
        Self::OtherHandles,
        Self::Processor,
        Self::Database,
        Self::DatabaseFree,
        Self::WriteAhead,
        Self::Connections,
        Self::Snapshots,
        Self::SnapshotBytes,
        Self::Attachments,
        Self::Reservations,
        Self::State,
        Self::Volumes,
        Self::DataListed,
        Self::Kept,
        Self::Processes,
        Self::Find,
        Self::Push,
        Self::Answers,
        Self::Refusals,
        Self::Faults,
        Self::RunsOnTheWay,
        Self::RunsDone,
        Self::RunsFailed,
        Self::RunsDeleted,
    ];

    /// The column of the CSV; the unit comes last.
    pub(super) fn column(self) -> &'static str {
        self.told().0
    }

    /// What it is, for people.
    pub(super) fn words(self) -> &'static str {
        self.told().1
    }

    fn told(self) -> (&'static str, &'static str) {
        match self {
            Self::Position => ("position", "events in the log"),
            Self::Resident => ("resident_bytes", "memory in RAM"),
            Self::ResidentPeak => ("resident_peak_bytes", "memory in RAM, the most so far"),
            Self::Anonymous => ("anonymous_bytes", "memory in RAM without mapped files"),
            Self::Threads => ("threads", "threads"),
            Self::Files => ("files_open", "open files"),
            Self::Sockets => ("sockets_open", "open sockets"),
            Self::OtherHandles => ("other_handles_open", "other handles (events, timers, processes, pipes)"),
            Self::Processor => ("processor_percent", "processor of the server, percent of one"),
            Self::Database => ("database_bytes", "database"),
            Self::DatabaseFree => ("database_free_bytes", "of it free to be used again (SQLite)"),
            Self::WriteAhead => ("write_ahead_bytes", "write-ahead log (SQLite)"),
            Self::Connections => ("database_connections", "connections to the database (PostgreSQL)"),
            Self::Snapshots => ("snapshots", "snapshots of projections"),
            Self::SnapshotBytes => ("snapshot_bytes", "their bytes"),
            Self::Attachments => ("attachment_bytes", "kept ends of logs"),
            Self::Reservations => ("reservations", "reservations"),
            Self::State => ("state_bytes", "state directory without the database"),
            Self::Volumes => ("volumes", "volumes, sealed or open"),
            Self::DataListed => ("data_listed", "Data listed"),
            Self::Kept => ("kept_entries", "volumes, uploads and Workers' directories"),
            Self::Processes => ("processes", "processes of the server, Workers included"),
            Self::Find => ("find_seconds", "finding Data by a tag"),
            Self::Push => ("push_seconds", "pushing a small Data"),
            Self::Answers => ("answers", "answers below 400"),
            Self::Refusals => ("refusals", "answers of 4xx"),
            Self::Faults => ("faults", "answers of 5xx, or none"),
            Self::RunsOnTheWay => ("runs_on_the_way", "Runs on their way"),
            Self::RunsDone => ("runs_done", "Runs done and kept, uploads included"),
            Self::RunsFailed => ("runs_failed", "Runs failed and kept"),
            Self::RunsDeleted => ("runs_deleted", "Runs deleted but listed, since a retry or an upload names them"),
        }
    }

    pub(super) fn expected(self) -> Expected {
        match self {
            Self::Faults => Expected::Nothing,
            // The catalog keeps what was at every position, and worklists remember ended Runs; an allocator and
            // columns that double may need as much again.
            Self::Resident | Self::ResidentPeak | Self::Anonymous => Expected::Grows { per_event_max: 400.0 },
            // An event with its two indexes, salt and hashes.
            Self::Database => Expected::Grows { per_event_max: 1_500.0 },
            // Two of each projection are kept, or three while one is being replaced, compressed.
            Self::SnapshotBytes => Expected::Grows { per_event_max: 200.0 },
            // A line of log for each retry.
            Self::Attachments => Expected::Grows { per_event_max: 10.0 },
            Self::Threads => Expected::Flat { slack: 4.0 },
            Self::Files | Self::Sockets | Self::OtherHandles | Self::Connections => Expected::Flat { slack: 6.0 },
            Self::Processor => Expected::Flat { slack: 2.0 },
            Self::WriteAhead => Expected::Flat { slack: MB },
            Self::DatabaseFree | Self::State => Expected::Flat { slack: 20.0 * MB },
            Self::Snapshots => Expected::Flat { slack: 3.0 },
            Self::Reservations | Self::Volumes | Self::DataListed | Self::Kept => Expected::Flat { slack: 30.0 },
            Self::Processes | Self::RunsOnTheWay => Expected::Flat { slack: 10.0 },
            Self::Find | Self::Push => Expected::Flat { slack: 0.01 },
            Self::RunsDone | Self::RunsFailed => Expected::Flat { slack: 40.0 },
            Self::Position | Self::Answers | Self::Refusals | Self::RunsDeleted => Expected::Tells,
        }
    }

    /// Whether its values are bytes, or seconds, or just a number.
    pub(super) fn text(self, value: f64) -> String {
        match self.column().rsplit('_').next() {
            Some("bytes") => crate::row::bytes(value),
            Some("seconds") => crate::row::time(value),
            _ if value.fract() == 0.0 => count(value),
            _ => crate::row::number(value),
        }
    }
}

/// A whole number, thousands apart.
pub(super) fn count(value: f64) -> String {
    // Three digits are shown of any figure; a count below a hundred needs none behind the point.
    if value.abs() < 100.0 { format!("{value:.0}") } else { crate::row::number(value) }
}

/// All figures of one moment, as far as they exist for the server.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sample {
    /// Minutes since the work began.
    pub(super) minute: f64,
    pub(super) values: BTreeMap<Figure, f64>,
}

/// All samples of one server, in order.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Course(pub(super) Vec<Sample>);

impl Course {
    /// The points of one figure: minute and value.
    pub(super) fn of(&self, figure: Figure) -> Vec<(f64, f64)> {
        self.0.iter().filter_map(|sample| Some((sample.minute, *sample.values.get(&figure)?))).collect()
    }

    /// One line for each sample; what does not exist for the server stays empty.
    pub(super) fn csv(&self, server: &str) -> String {
        let line = |sample: &Sample| {
            let cells = Figure::ALL.iter().map(|figure| sample.values.get(figure).map_or_else(String::new, cell));
            let cells: Vec<String> =
                [server.to_owned(), format!("{:.2}", sample.minute)].into_iter().chain(cells).collect();
            cells.join(",") + "\n"
        };
        self.0.iter().map(line).collect()
    }
}

/// The first line of the CSV.
pub(super) fn csv_head() -> String {
    let columns: Vec<&str> = ["server", "minute"].into_iter().chain(Figure::ALL.map(Figure::column)).collect();
    columns.join(",") + "\n"
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "it is called on what a map lends")]
fn cell(value: &f64) -> String {
    if value.fract() == 0.0 { format!("{value:.0}") } else { format!("{value:.6}") }
}
