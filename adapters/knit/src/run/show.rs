//! `knit run show`.

use std::io::Write;

use clap::Args;
use knit_schemas::api::{Attempt, Exit, RunDetail};
use reqwest::{Response, Url};

use crate::client::{Client, Query, connection_lost};
use crate::error::{Ask, Error, Refusal, Subject};
use crate::output;
use crate::session::Session;

/// Print a Run, one of its attempts, or its log
///
/// When the Run failed, standard error says why.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Print the log instead of the record
    #[arg(long)]
    log: bool,
    /// With `--log`: go on printing while the Run runs
    #[arg(long, short)]
    follow: bool,
    /// Speak of this attempt of the Run, counted from 1; earlier ones keep only the end of their log
    #[arg(long, value_name = "N", value_parser = attempt_number)]
    attempt: Option<u32>,
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
    let client = session.client()?;
    let run_id = arguments.run_id.as_str();
    if arguments.follow && !arguments.log {
        output::say("warning: `--follow` has no effect without `--log`");
    }
    match (arguments.attempt, arguments.log) {
        (None, false) => show(&client, run_id).await,
        (Some(attempt), false) => show_attempt(&client, run_id, attempt).await,
        (attempt, true) => show_log(&client, run_id, attempt, arguments.follow).await,
    }
}

async fn show(client: &Client, run_id: &str) -> Result<(), Error> {
    let ask = Ask::question("show", Subject::Run(run_id.to_owned()));
    let run: RunDetail = client.get(&ask, &["runs", run_id], Query::new()).await?;
    output::json(&run)?;
    match (run.status.as_str(), &run.exit, run.plan.name.as_deref()) {
        ("failed" | "aborting", Some(exit), _) => {
            output::say(format_args!("note: the Run {}: {}", verb(&run.status), reason(exit)));
            if run.log.is_some() {
                output::say(format_args!("hint: `knit run show --log {run_id}` prints its log"));
            }
        }
        // The record does not keep why; whoever uploaded was told.
        ("failed", None, Some("knit#uploaded")) => {
            output::say("note: the upload was refused or broke off, and nothing of it is kept");
            output::say("hint: push it again");
        }
        ("invalidated", ..) => output::say("note: the Run is removed, and so are the Data that it made"),
        _ => {}
    }
    Ok(())
}

fn verb(status: &str) -> &'static str {
    if status == "failed" { "failed" } else { "is failing" }
}

fn reason(exit: &Exit) -> String {
    match exit.message.as_str() {
        "" => format!("exit code {}", exit.code),
        // What clusters say of a command that ended with a code other than 0.
        "(container main) Error" => format!("its command ended with exit code {}", exit.code),
        message => format!("{message} (exit code {})", exit.code),
    }
}

async fn show_attempt(client: &Client, run_id: &str, number: u32) -> Result<(), Error> {
    let ask = Ask::question("show", Subject::AttemptsOf(run_id.to_owned()));
    let attempts: Vec<Attempt> = client.get(&ask, &["runs", run_id, "attempts"], Query::new()).await?;
    let Some(attempt) = attempts.iter().find(|attempt| attempt.attempt == number) else {
        let reason = format!("it has {} attempts, but not number {number}", attempts.len());
        return Err(Refusal::missing(ask, reason));
    };
    output::json(attempt)?;
    for note in &attempt.notes {
        output::say(format_args!("note: {note}"));
    }
    if let ("failed" | "aborting", Some(exit)) = (attempt.status.as_str(), &attempt.exit) {
        output::say(format_args!("note: the attempt {}: {}", verb(&attempt.status), reason(exit)));
    }
    Ok(())
}

async fn show_log(client: &Client, run_id: &str, attempt: Option<u32>, follow: bool) -> Result<(), Error> {
    let ask = Ask::question("show", Subject::LogOf(run_id.to_owned()));
    let response = client.stream(&ask, log_url(client, run_id, attempt, follow)?).await?;
    copy(&ask, response).await
}

fn log_url(client: &Client, run_id: &str, attempt: Option<u32>, follow: bool) -> Result<Url, Error> {
    let mut url = match attempt {
        Some(attempt) => client.url(&["runs", run_id, "attempts", &attempt.to_string(), "log"])?,
        None => client.url(&["runs", run_id, "log"])?,
    };
    if follow {
        // Presence alone counts on the wire.
        url.set_query(Some("follow"));
    }
    Ok(url)
}

/// Passes the bytes on as they come; a line that has arrived is seen.
async fn copy(ask: &Ask, mut response: Response) -> Result<(), Error> {
    let mut out = std::io::stdout();
    while let Some(bytes) = response.chunk().await.map_err(connection_lost(ask))? {
        out.write_all(&bytes)?;
        out.flush()?;
    }
    Ok(())
}
