//! `knit data lineage`.

use std::io::{IsTerminal, Write};

use bytes::Bytes;
use chrono::Local;
use clap::{Args, ValueEnum};
use knit_schemas::instant::Instant;
use knit_schemas::lineage::graph::Graph;
use knit_schemas::lineage::{Index, dot};

use crate::client::{self, Client, Query};
use crate::error::{Ask, Error, Refusal, Subject};
use crate::ids::{self, Kind};
use crate::lineage::tree;
use crate::lineage::walk::{self, Extent};
use crate::output;
use crate::session::Session;

/// Show where a Data comes from and what was made from it
///
/// Without a direction, both are traced. One step of depth goes from a Data over a Run to the next
/// Data.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Trace towards origins
    #[arg(long, short)]
    upstream: bool,
    /// Trace towards consumers
    #[arg(long, short)]
    downstream: bool,
    /// How many steps to go in each direction; `all` for no limit
    #[arg(long, short, value_name = "NUMBER|all", value_parser = depth, default_value = "3")]
    numbers: Depth,
    /// How to draw the graph [default: tree on a terminal, otherwise dot]
    #[arg(long, short, value_enum, value_name = "FORMAT")]
    output: Option<Format>,
    /// Id of the Data
    #[arg(value_name = "KNIT_ID")]
    knit_id: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For Graphviz
    Dot,
    /// For people
    Tree,
    /// For programs
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Depth {
    Steps(u32),
    All,
}

fn depth(text: &str) -> Result<Depth, String> {
    match text {
        "all" => Ok(Depth::All),
        _ => text.parse().map(Depth::Steps).map_err(|_| "write a positive number or `all`".to_owned()),
    }
}

pub(crate) async fn run(arguments: Arguments, session: &Session) -> Result<(), Error> {
    let depth = match arguments.numbers {
        Depth::Steps(0) => return Err(Error::Usage("`--numbers 0` goes nowhere: at least 1".to_owned())),
        Depth::Steps(steps) => Some(steps),
        Depth::All => None,
    };
    let both = arguments.upstream == arguments.downstream;
    let extent = Extent { upstream: both || arguments.upstream, downstream: both || arguments.downstream, depth };
    let client = session.client()?;
    let knit_id = ids::whole(&client, Kind::Data, arguments.knit_id.clone()).await?;
    match ask_once(&client, &knit_id, extent).await? {
        Some((ask, answer)) => {
            let graph = client::understand(&ask, &answer)?;
            print(&graph, arguments.output, session)?;
            // The program ends now. Taking a graph of 10⁵ nodes apart would take as long as half of drawing it.
            std::mem::forget(graph);
            Ok(())
        }
        None => {
            let graph = walk::fetch(&client, &knit_id, extent).await?;
            print(&Graph::from(&graph), arguments.output, session)
        }
    }
}

/// The answer to one request for the whole graph; `None` from a server that does not know it.
async fn ask_once(client: &Client, knit_id: &str, extent: Extent) -> Result<Option<(Ask, Bytes)>, Error> {
    let direction = match (extent.upstream, extent.downstream) {
        (true, false) => "up",
        (false, true) => "down",
        _ => "both",
    };
    let depth = extent.depth.map_or_else(|| "all".to_owned(), |depth| depth.to_string());
    let query: Query = vec![("direction", direction.to_owned()), ("depth", depth)];
    let ask = Ask::question("trace", Subject::Data(knit_id.to_owned()));
    match client.get_bytes(&ask, &["data", knit_id, "lineage"], query).await {
        Ok(answer) => Ok(Some((ask, answer))),
        Err(Error::Refused(refusal)) if is_unknown_route(&refusal) => Ok(None),
        Err(error) => Err(error),
    }
}

/// So spelled, it is the route that is unknown; of a Data it would be `not found`.
fn is_unknown_route(refusal: &Refusal) -> bool {
    refusal.status == 405 || (refusal.status == 404 && refusal.reason == "Not Found")
}

fn print(graph: &Graph<'_>, format: Option<Format>, session: &Session) -> Result<(), Error> {
    let is_terminal = std::io::stdout().is_terminal();
    let format = format.unwrap_or(if is_terminal { Format::Tree } else { Format::Dot });
    let mut out = output::stdout();
    match format {
        Format::Json => output::json(graph)?,
        Format::Tree => {
            let style = tree::Style {
                is_coloured: is_terminal && !session.environment.no_color,
                width: output::terminal_width(),
            };
            tree::draw(&Index::new(graph), style, &mut out)?;
        }
        Format::Dot => {
            dot::draw(&Index::new(graph), local, &mut out)?;
            session.log.line(format_args!("traced {} Data and {} Runs", graph.data.len(), graph.runs.len()));
        }
    }
    Ok(out.flush()?)
}

/// The instant in this machine's time zone.
fn local(instant: &Instant) -> Instant {
    instant.as_date_time().with_timezone(&Local).fixed_offset().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_is_a_number_or_all() {
        assert_eq!(depth("all"), Ok(Depth::All));
        assert_eq!(depth("3"), Ok(Depth::Steps(3)));
        for bad in ["-1", "", "some", "4294967296"] {
            assert!(depth(bad).is_err(), "{bad}");
        }
    }
}
