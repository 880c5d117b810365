//! `knit admin log …`.

use clap::{Args, Subcommand};
use knit_schemas::api::{DayOfEvents, LogStatistics, LongStream};

use super::bytes;
use crate::client::{Client, Query};
use crate::error::{Ask, Error, Subject};
use crate::session::block_on;
use crate::telling::{Telling, time};

/// Measure the event log
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Stats(Arguments),
}

/// Say how large the log is, how it has grown in the last days, and which streams are the longest
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    telling: Telling,
}

impl Command {
    pub(crate) fn words(&self) -> &'static str {
        match self {
            Self::Stats(_) => "admin log stats",
        }
    }

    pub(crate) fn run(self, client: &Client) -> Result<(), Error> {
        match self {
            Self::Stats(arguments) => block_on(stats(arguments, client)),
        }
    }
}

async fn stats(arguments: Arguments, client: &Client) -> Result<(), Error> {
    let ask = Ask::question("measure", Subject::Log);
    let told: LogStatistics = client.get(&ask, &["admin", "log"], Query::new()).await?;
    arguments.telling.tell(&told, lines)
}

fn lines(told: &LogStatistics) -> Vec<String> {
    let newest = told.newest.map(|newest| format!(", the last at {}", time(newest))).unwrap_or_default();
    let mut lines = vec![
        format!("log {}", told.log),
        format!("{}{newest}", events(told.events)),
        format!("chain {}", told.chain),
        format!("{} in the database, {} of it snapshots", bytes::told(told.bytes), bytes::told(told.snapshots_bytes)),
    ];
    if !told.days.is_empty() {
        lines.push("growth by day (UTC)".to_owned());
        lines.extend(told.days.iter().map(day));
    }
    if !told.longest_streams.is_empty() {
        lines.push("longest streams".to_owned());
        lines.extend(told.longest_streams.iter().map(stream));
    }
    lines
}

fn day(day: &DayOfEvents) -> String {
    let date = day.day.as_date_time().format("%Y-%m-%d");
    format!("  {date}  {}, about {}", events(day.events), bytes::told(day.bytes))
}

fn stream(stream: &LongStream) -> String {
    format!("  {}  {} {}", events(stream.events), stream.kind, stream.id)
}

fn events(count: u64) -> String {
    match count {
        1 => "1 event".to_owned(),
        count => format!("{count} events"),
    }
}
