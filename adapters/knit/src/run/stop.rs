//! `knit run stop`.

use clap::Args;
use reqwest::Method;

use crate::error::{Ask, Error, Subject};
use crate::ids::{self, Kind};
use crate::session::Session;

/// Stop a Run
///
/// The Run ends as done and its outputs become usable, or with `--fail` as failed. It takes a moment
/// to end after this command did.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// End the Run as failed
    #[arg(long, short = 'x')]
    fail: bool,
    /// Id of the Run
    #[arg(value_name = "RUN_ID")]
    run_id: String,
}

pub(crate) async fn run(arguments: Arguments, session: &Session) -> Result<(), Error> {
    let Arguments { fail, run_id } = arguments;
    let client = session.client()?;
    let run_id = ids::whole(&client, Kind::Run, run_id).await?;
    let operation = if fail { "abort" } else { "tearoff" };
    let ask = Ask::order("stop", Subject::Run(run_id.clone()));
    client.command(&ask, Method::PUT, &["runs", &run_id, operation]).await?;
    let end = if fail { "failed" } else { "done" };
    session.log.line(format_args!("Run `{run_id}` is stopping and will be {end}"));
    Ok(())
}
