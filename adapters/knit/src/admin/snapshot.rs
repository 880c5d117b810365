//! `knit admin snapshot`.

use clap::Args;
use knit_schemas::api::SavedSnapshot;

use super::bytes;
use crate::client::Client;
use crate::error::{Ask, Error, Subject};
use crate::listing::{Column, Listed, Order, Shape};

/// Save the projections now, so that the next start has less to fold
///
/// A server saves them by itself after many events, and after some time if anything has happened. Two snapshots of each are kept, and older ones are removed.
#[derive(Debug, Args)]
#[command(mut_arg("output", |output| output.short('o')))]
pub(crate) struct Arguments {
    #[command(flatten)]
    shape: Shape,
}

impl Listed for SavedSnapshot {
    const FIELDS: &'static [&'static str] = &["name", "position", "bytes"];
    const MANY: &'static str = "snapshots";
    const IS_OLDEST_FIRST: bool = false;
    const COLUMNS: &'static [Column] = &[Column::words("PROJECTION"), Column::words("POSITION"), Column::words("SIZE")];

    fn id(&self) -> &str {
        &self.name
    }

    fn cells(&self) -> Vec<String> {
        vec![self.name.clone(), self.position.to_string(), bytes::told(self.bytes)]
    }
}

pub(crate) async fn run(arguments: Arguments, client: &Client) -> Result<(), Error> {
    arguments.shape.check::<SavedSnapshot>()?;
    let ask = Ask::order("save", Subject::Projections);
    let body = client.order_bytes(&ask, &["admin", "snapshots"]).await?;
    arguments.shape.print(&body, ask, Order::default(), |_: &SavedSnapshot| true)
}
