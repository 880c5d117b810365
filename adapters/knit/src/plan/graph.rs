//! `knit plan graph`.

mod print;
mod tree;
mod walk;

use clap::Args;
use knit_schemas::api::PlanGraph;

use crate::as_of::AsOf;
use crate::client::{self, Client};
use crate::error::{Ask, Error, Subject};
use crate::follow::{self, Following};
use crate::ids::{self, Kind};
use crate::lineage::limit::NOT_ALL;
use crate::lineage::reach::{Extent, Reach};
use crate::output;
use crate::session::Session;
use print::Printing;

/// Show which Plans feed a Plan and which are fed by it
///
/// A Plan feeds another when one of its outputs, or its log, is given all the tags that an input of the other asks
/// for. Without a direction, both are traced. One step goes from a Plan to the next.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    as_of: AsOf,
    #[command(flatten)]
    following: Following,
    #[command(flatten)]
    printing: Printing,
    /// Id of the Plan
    #[arg(value_name = "PLAN_ID")]
    plan_id: String,
}

pub(crate) async fn run(arguments: Arguments, session: &Session) -> Result<(), Error> {
    let Arguments { reach, as_of, following, printing, plan_id } = arguments;
    following.check(&as_of)?;
    printing.check()?;
    let extent = reach.extent();
    let client = session.client()?;
    let id = ids::whole_as_of(&client, Kind::Plan, plan_id, &as_of).await?;
    if following.is_wanted() {
        let look = async || {
            let (mut graph, position) = fetch(&client, &id, extent, &as_of).await?;
            printing.limit.cut_plans(&mut graph);
            Ok((printing.one_of_many(&graph, session)?, position))
        };
        return follow::follow(&client, look).await;
    }
    let (mut graph, _) = fetch(&client, &id, extent, &as_of).await?;
    let is_cut = printing.limit.cut_plans(&mut graph);
    printing.print(&graph, session)?;
    if is_cut {
        output::say(NOT_ALL);
    }
    Ok(())
}

/// The graph by one request, and the position that it reflects; Plan by Plan from a server that does not know that.
async fn fetch(client: &Client, id: &str, extent: Extent, as_of: &AsOf) -> Result<(PlanGraph, Option<u64>), Error> {
    let ask = Ask::question("trace", Subject::Plan(id.to_owned()));
    match client.get_bytes_at_as_of(&ask, &["plans", id, "graph"], extent.query(), as_of).await {
        Ok((answer, position)) => Ok((client::understand(&ask, &answer)?, position)),
        Err(Error::Refused(refusal)) if refusal.is_unknown_route() && as_of.is_past() => Err(Error::NoPast),
        Err(Error::Refused(refusal)) if refusal.is_unknown_route() => {
            Ok((walk::fetch(client, id, extent).await?, None))
        }
        Err(error) => Err(error),
    }
}
