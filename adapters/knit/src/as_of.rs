//! `--as-of`: the time that a question is about.

use std::io::{self, IsTerminal as _};
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::{Local, SecondsFormat, TimeDelta};
use clap::Args;
use knit_schemas::duration::ago_ms;
use knit_schemas::instant::Instant;

use crate::client::{Client, Query};
use crate::error::{Ask, Subject};
use crate::output;
use crate::since;
use crate::telling;

/// Whether it is said already: a command asks several questions about one time.
static IS_SAID: AtomicBool = AtomicBool::new(false);

/// The time that a question is about; the present if nothing is said.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct AsOf {
    /// Answer as of then: a position of the log, a time such as 2025-03-03T10:15, or `2h ago` or `3d ago`
    #[arg(long = "as-of", value_name = "TIME", value_parser = parse)]
    as_of: Option<String>,
}

impl AsOf {
    /// Whether another time than the present is asked about.
    pub(crate) fn is_past(&self) -> bool {
        self.as_of.is_some()
    }

    /// What is added to a question.
    pub(crate) fn query(&self) -> Query {
        self.as_of.iter().map(|as_of| ("as-of", as_of.clone())).collect()
    }
}

impl AsOf {
    /// Tells people once of when an answer is that reflects `position`: what they read next looks like the present.
    pub(crate) async fn say(&self, client: &Client, position: Option<u64>) {
        let (Some(asked), Some(position)) = (&self.as_of, position) else { return };
        if !io::stdout().is_terminal() || IS_SAID.swap(true, Ordering::Relaxed) {
            return;
        }
        match moment(asked) {
            Some(moment) => output::say(format_args!("as of {}, position {position}", telling::time(moment))),
            None => {
                let recorded = recorded_at(client, position).await;
                let recorded = recorded.map(|at| format!(", recorded {}", telling::time(at))).unwrap_or_default();
                output::say(format_args!("as of position {position}{recorded}"));
            }
        }
    }
}

/// The moment that was written, if it was no position.
fn moment(asked: &str) -> Option<Instant> {
    let Some(ms) = ago_ms(asked) else { return Instant::parse(asked).ok() };
    Local::now().checked_sub_signed(TimeDelta::milliseconds(ms)).map(|then| then.fixed_offset().into())
}

/// When the event at `position` was recorded; before the first nothing was, and not every server can tell.
async fn recorded_at(client: &Client, position: u64) -> Option<Instant> {
    let ask = Ask::question("show", Subject::Event(position));
    let told = client.get::<serde_json::Value>(&ask, &["events", &position.to_string()], Query::new()).await;
    Instant::parse(told.ok()?["event"]["recordedAt"].as_str()?).ok()
}

/// As the wire has it: times without an offset are local ones, which the server does not know.
pub(crate) fn parse(text: &str) -> Result<String, String> {
    let text = text.trim();
    let is_position = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_position || ago_ms(text).is_some() {
        return Ok(text.to_owned());
    }
    let time = since::parse(text).map_err(|error| format!("{error}, or a position of the log"))?;
    Ok(time.to_rfc3339_opts(SecondsFormat::AutoSi, true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_a_time_or_so_long_ago() {
        for same in ["0", "1234", "2h ago", "3d ago", "1h30m ago", "2 h ago", "1w ago", "2025-03-03T10:15:30Z"] {
            assert_eq!(parse(same).as_deref(), Ok(same));
        }
        assert_eq!(parse("2025-03-03T10:15+09:00").as_deref(), Ok("2025-03-03T10:15:00+09:00"));
        assert!(parse("2025-03-03").unwrap().starts_with("2025-03-03T00:00:00"), "a local date is its midnight");
        for bad in ["", "yesterday", "2h", "-1", "-2h ago", "ago", "d ago"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
