//! `knit run retry`.

use clap::Args;
use reqwest::Method;

use crate::error::{Ask, Error, Subject};
use crate::ids::{self, Kind};
use crate::session::Session;

/// Run a finished Run again
///
/// The Data it made are discarded. Earlier attempts stay readable: `knit run show RUN_ID --attempt N`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Id of the Run
    #[arg(value_name = "RUN_ID")]
    run_id: String,
}

pub(crate) async fn run(arguments: Arguments, session: &Session) -> Result<(), Error> {
    let client = session.client()?;
    let run_id = ids::whole(&client, Kind::Run, arguments.run_id).await?;
    let ask = Ask::order("retry", Subject::Run(run_id.clone()));
    client.command(&ask, Method::PUT, &["runs", &run_id, "retry"]).await?;
    session.log.line(format_args!("Run `{run_id}` will run again"));
    Ok(())
}
