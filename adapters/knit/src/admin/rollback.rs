//! `knit admin rollback`.

use clap::Args;

use super::steps::{self, Outcome};
use crate::client::Client;
use crate::error::Error;
use crate::telling::Telling;

/// Switch back to the projection that a rebuild has replaced and kept
///
/// It takes up what has happened since, and the one that is live now is kept in its place: a second rollback takes the
/// first one back.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    telling: Telling,
    /// Name of the projection
    #[arg(value_name = "PROJECTION")]
    projection: String,
}

pub(crate) async fn run(arguments: Arguments, client: &Client) -> Result<(), Error> {
    let target = (arguments.projection.as_str(), "rollback");
    let outcome = steps::follow(client, "roll back", target, &serde_json::json!({})).await?;
    arguments.telling.tell(&outcome, Outcome::lines)?;
    outcome.check()
}
