//! Answers that are told in sentences to people and as JSON to programs.

use std::io::{IsTerminal, Write};

use chrono::Local;
use clap::{Args, ValueEnum};
use knit_schemas::api::Moment;
use knit_schemas::instant::Instant;
use serde::Serialize;

use crate::error::Error;
use crate::output;

/// How an answer is printed.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct Telling {
    /// How to print the answer [default: text on a terminal, otherwise json]
    #[arg(long, short, value_enum, value_name = "FORMAT")]
    output: Option<Format>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people, one line for each fact
    Text,
    /// For programs
    Json,
}

impl Telling {
    /// Whether the answer is told in sentences.
    pub(crate) fn is_text(self) -> bool {
        match self.output {
            Some(format) => format == Format::Text,
            None => std::io::stdout().is_terminal(),
        }
    }

    /// Prints `value`, as the lines it is in words or as JSON.
    pub(crate) fn tell<T: Serialize>(self, value: &T, lines: impl FnOnce(&T) -> Vec<String>) -> Result<(), Error> {
        if !self.is_text() {
            return Ok(output::json(value)?);
        }
        let mut out = output::stdout();
        for line in lines(value) {
            writeln!(out, "{line}")?;
        }
        Ok(out.flush()?)
    }
}

/// So many of something, of which one has another name than several.
pub(crate) fn counted(count: u64, one: &str, several: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { several })
}

/// How many Data fit an input.
pub(crate) fn fitting(count: u64) -> String {
    counted(count, "Data fits", "Data fit")
}

/// A moment in words: local time, who, and where in the log.
pub(crate) fn moment(moment: &Moment) -> String {
    format!("{} by {} (position {})", time(moment.at), moment.actor, moment.position)
}

/// A time as the clock on the wall has it.
pub(crate) fn time(at: Instant) -> String {
    at.as_date_time().with_timezone(&Local).format("%Y-%m-%d %H:%M:%S").to_string()
}

const SECOND_MS: u64 = 1_000;
const MINUTE_MS: u64 = 60 * SECOND_MS;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;

/// A span of time, as exactly as people say it.
pub(crate) fn span(ms: u64) -> String {
    match ms {
        DAY_MS.. => format!("{}d {}h", ms / DAY_MS, ms % DAY_MS / HOUR_MS),
        HOUR_MS.. => format!("{}h {}m", ms / HOUR_MS, ms % HOUR_MS / MINUTE_MS),
        MINUTE_MS.. => format!("{}m {}s", ms / MINUTE_MS, ms % MINUTE_MS / SECOND_MS),
        SECOND_MS.. => format!("{}.{} s", ms / SECOND_MS, ms % SECOND_MS / 100),
        _ => format!("{ms} ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_not_told_as_several() {
        let told = |count| (counted(count, "Run", "Runs"), fitting(count));
        assert_eq!(told(1), ("1 Run".to_owned(), "1 Data fits".to_owned()));
        assert_eq!(told(0), ("0 Runs".to_owned(), "0 Data fit".to_owned()));
    }

    #[test]
    fn a_span_has_at_most_two_units() {
        for (ms, words) in [(0, "0 ms"), (999, "999 ms"), (1_250, "1.2 s"), (61_000, "1m 1s"), (90 * 60_000, "1h 30m")]
        {
            assert_eq!(span(ms), words);
        }
        assert_eq!(span(DAY_MS + HOUR_MS), "1d 1h");
    }
}
