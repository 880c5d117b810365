//! `knit run retry`.

use clap::Args;
use knit_schemas::api::RunDetail;
use reqwest::Method;

use crate::client::{Client, Query};
use crate::error::{Ask, Error, Subject};
use crate::ids::{self, Kind};
use crate::output;
use crate::session::Session;

/// Run a finished Run again
///
/// The Data it made are discarded, and named. Earlier attempts stay readable: `knit run show RUN_ID --attempt N`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Id of the Run
    #[arg(value_name = "RUN_ID")]
    run_id: String,
}

pub(crate) async fn run(arguments: Arguments, session: &Session) -> Result<(), Error> {
    let client = session.client()?;
    let run_id = ids::whole(&client, Kind::Run, arguments.run_id).await?;
    let discarded = discarded(&client, &run_id).await;
    let ask = Ask::order("retry", Subject::Run(run_id.clone()));
    client.command(&ask, Method::PUT, &["runs", &run_id, "retry"]).await?;
    if let Some(note) = discarded {
        output::say(note);
    }
    session.log.line(format_args!("Run `{run_id}` will run again"));
    Ok(())
}

/// Which Data a retry of a Run that is done discards.
async fn discarded(client: &Client, run_id: &str) -> Option<String> {
    let ask = Ask::question("show", Subject::Run(run_id.to_owned()));
    let run: RunDetail = client.get(&ask, &["runs", run_id], Query::new()).await.ok()?;
    let outputs = run.outputs.iter().map(|output| format!("`{}` ({})", output.knit_id, output.path));
    let log = run.log.iter().map(|log| format!("`{}` (log)", log.knit_id));
    let made: Vec<String> = outputs.chain(log).collect();
    let is_done = run.status == "done" && !made.is_empty();
    is_done.then(|| format!("note: discarded what the Run had made: Data {}", made.join(", ")))
}
