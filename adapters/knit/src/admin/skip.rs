//! `knit admin skip`.

use clap::Args;
use knit_schemas::api::{SkipOrder, Skipped};
use reqwest::Method;

use crate::client::Client;
use crate::error::{Ask, Error, Subject};
use crate::number;
use crate::telling::Telling;

/// Let a projection pass over the event at which it has stopped
///
/// Only that event can be passed over. The log keeps who decided so and why, and whoever folds it again, this server
/// or another, passes over the same event.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Name of the projection
    #[arg(long, value_name = "PROJECTION")]
    projection: String,
    /// Why, for whoever reads the log later
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    telling: Telling,
    /// Position of the event, as `knit admin projections` tells it
    #[arg(value_name = "POSITION", value_parser = number::parse::<u64>)]
    position: u64,
}

pub(crate) async fn run(arguments: Arguments, client: &Client) -> Result<(), Error> {
    let Arguments { projection, reason, telling, position } = arguments;
    let ask = Ask::order("let an event be passed over by", Subject::Projection(projection.clone()));
    let order = SkipOrder { position, reason };
    let segments = ["admin", "projections", &projection, "skips"];
    let skipped: Skipped = client.change(&ask, Method::POST, &segments, Some(&order)).await?;
    telling.tell(&skipped, lines)
}

fn lines(skipped: &Skipped) -> Vec<String> {
    let Skipped { projection, position, recorded_at, reached, why } = skipped;
    let recorded = match recorded_at {
        0 => "as was decided before".to_owned(),
        at => format!("which event {at} records"),
    };
    let mut lines = vec![
        format!("`{projection}` passes over event {position}, {recorded}"),
        format!("it has come to position {reached}"),
    ];
    lines.extend(why.iter().map(|why| format!("it has stopped again: {why}")));
    lines
}
