//! `knit data path`.

use clap::Args;
use knit_schemas::lineage::graph::Graph;

use crate::as_of::AsOf;
use crate::client;
use crate::error::{Ask, Error, Subject};
use crate::ids::{self, Kind};
use crate::lineage::limit::NOT_ALL;
use crate::lineage::print::{Printing, Shape};
use crate::lineage::walk;
use crate::output;
use crate::session::Session;

/// Show a shortest way from a Data to one that it was made of, or that was made of it
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    printing: Printing,
    #[command(flatten)]
    as_of: AsOf,
    /// Id of the Data to begin at
    #[arg(value_name = "KNIT_ID")]
    from: String,
    /// Id of the Data to come to
    #[arg(value_name = "KNIT_ID")]
    to: String,
}

pub(crate) async fn run(arguments: Arguments, session: &Session) -> Result<(), Error> {
    let Arguments { printing, as_of, from, to } = arguments;
    printing.check()?;
    let client = session.client()?;
    let from = ids::whole_as_of(&client, Kind::Data, from, &as_of).await?;
    let to = ids::whole_as_of(&client, Kind::Data, to, &as_of).await?;
    let ask = Ask::question("connect", Subject::Pair(Kind::Data, from.clone(), to.clone()));
    let query = vec![("to", to.clone())];
    let print = |mut way: Graph<'_>| {
        let is_cut = printing.limit.cut_way(&mut way);
        printing.print(&way, Shape::Way, session)?;
        if is_cut {
            output::say(NOT_ALL);
        }
        Ok(())
    };
    match client.get_bytes_as_of(&ask, &["data", &from, "path"], query, &as_of).await {
        Ok(answer) => print(client::understand(&ask, &answer)?),
        Err(Error::Refused(refusal)) if refusal.is_unknown_route() && as_of.is_past() => Err(Error::NoPast),
        Err(Error::Refused(refusal)) if refusal.is_unknown_route() => {
            print(Graph::from(&walk::fetch_path(&client, &from, &to).await?))
        }
        Err(error) => Err(error),
    }
}
