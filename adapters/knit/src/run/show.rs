//! `knit run show`.

use clap::Args;
use knit_schemas::api::{Attempt, RunDetail};

use super::{log, notes};
use crate::as_of::AsOf;
use crate::client::{self, Client, Query};
use crate::error::{Ask, Error, Refusal, Subject};
use crate::ids::{self, Kind};
use crate::output;
use crate::session::Session;
use crate::telling::counted;

/// Print a Run, one of its attempts, or its log
///
/// When the Run failed, or waits for something, standard error says why.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Print the log instead of the record
    #[arg(long)]
    log: bool,
    /// With `--log`: wait until the Run starts, and go on printing while it runs
    #[arg(long, short)]
    follow: bool,
    /// Speak of this attempt of the Run, counted from 1; earlier ones keep only the end of their log
    #[arg(long, value_name = "N", value_parser = attempt_number)]
    attempt: Option<u32>,
    #[command(flatten)]
    as_of: AsOf,
    /// Id of the Run
    #[arg(value_name = "RUN_ID")]
    run_id: String,
}

fn attempt_number(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(number @ 1..) => Ok(number),
        _ => Err("attempts are numbered 1, 2, and so on".to_owned()),
    }
}

pub(crate) async fn run(arguments: Arguments, session: &Session) -> Result<(), Error> {
    let as_of = &arguments.as_of;
    if as_of.is_past() && arguments.log {
        return Err(Error::Usage(
            "`--as-of` is for the record of a Run: when each line of a log came is not kept".to_owned(),
        ));
    }
    let client = session.client()?;
    let run_id = &ids::whole_as_of(&client, Kind::Run, arguments.run_id, as_of).await?;
    if arguments.follow && !arguments.log {
        output::say("warning: `--follow` has no effect without `--log`");
    }
    match (arguments.attempt, arguments.log) {
        (None, false) => show(&client, run_id, as_of).await,
        (Some(attempt), false) => show_attempt(&client, run_id, attempt, as_of).await,
        (attempt, true) => log::print(&client, run_id, attempt, arguments.follow).await,
    }
}

async fn show(client: &Client, run_id: &str, as_of: &AsOf) -> Result<(), Error> {
    let ask = Ask::question("show", Subject::Run(run_id.to_owned()));
    let body = client.get_bytes_as_of(&ask, &["runs", run_id], Query::new(), as_of).await?;
    let run: RunDetail = client::understand(&ask, &body)?;
    output::json(&run)?;
    if as_of.is_past() {
        // What is said beside it is about now.
        return Ok(());
    }
    notes::about(client, &run).await.iter().for_each(output::say);
    Ok(())
}

async fn show_attempt(client: &Client, run_id: &str, number: u32, as_of: &AsOf) -> Result<(), Error> {
    let ask = Ask::question("show", Subject::AttemptsOf(run_id.to_owned()));
    let body = client.get_bytes_as_of(&ask, &["runs", run_id, "attempts"], Query::new(), as_of).await;
    let body = body.map_err(Error::if_unable)?;
    let attempts: Vec<Attempt> = client::understand(&ask, &body)?;
    let Some(attempt) = attempts.iter().find(|attempt| attempt.attempt == number) else {
        let reason =
            format!("it has {}, but not number {number}", counted(attempts.len() as u64, "attempt", "attempts"));
        return Err(Refusal::missing(ask, reason));
    };
    output::json(attempt)?;
    for note in &attempt.notes {
        output::say(format_args!("note: {note}"));
    }
    if let ("failed" | "aborting", Some(exit)) = (attempt.status.as_str(), &attempt.exit) {
        output::say(format_args!("note: the attempt {}: {}", notes::verb(&attempt.status), notes::reason(exit)));
    }
    Ok(())
}
