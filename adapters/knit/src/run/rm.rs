//! `knit run rm`.

use clap::Args;
use reqwest::Method;

use crate::error::{Ask, Error, Subject};
use crate::ids::{self, Kind};
use crate::session::Session;

/// Remove a Run and the Data it made
///
/// Refused while it runs, and while one of these Data is used. The same Plan is not run on the same Data
/// again, even if the Run had not started yet; to run it again, retry it instead.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Id of the Run
    #[arg(value_name = "RUN_ID")]
    run_id: String,
}

pub(crate) async fn run(arguments: Arguments, session: &Session) -> Result<(), Error> {
    let client = session.client()?;
    let run_id = ids::whole(&client, Kind::Run, arguments.run_id).await?;
    let ask = Ask::order("remove", Subject::Run(run_id.clone()));
    client.command(&ask, Method::DELETE, &["runs", &run_id]).await?;
    session.log.line(format_args!(
        "Run `{run_id}` and the Data it made are removed; its Plan is not run on the same Data again"
    ));
    Ok(())
}
