//! How a lineage graph is printed.

use std::io::{self, IsTerminal, Write};

use chrono::Local;
use clap::{Args, ValueEnum};
use knit_schemas::instant::Instant;
use knit_schemas::lineage::graph::Graph;
use knit_schemas::lineage::{Drawing, Index};

use super::tree;
use crate::error::Error;
use crate::output;
use crate::session::Session;
use crate::telling::counted;

/// How to print.
#[derive(Debug, Args)]
pub(crate) struct Printing {
    /// How to draw the graph [default: tree on a terminal, otherwise dot]
    #[arg(long, short, value_enum, value_name = "FORMAT")]
    output: Option<Format>,
    /// Print only the ids of Data, or of Runs, one a line
    #[arg(long, value_enum, value_name = "KIND", num_args = 0..=1, require_equals = true, default_missing_value = "data", conflicts_with_all = ["output", "count"])]
    ids_only: Option<Ids>,
    /// Print only how much there is
    #[arg(long, conflicts_with = "output")]
    count: bool,
    /// In a tree, draw each of many that are alike
    #[arg(long)]
    unfold: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Tree,
    /// For programs
    Json,
    /// For Graphviz
    Dot,
    /// For Mermaid, in pages of a wiki
    Mermaid,
    /// A picture for browsers
    Svg,
    /// Events of OpenLineage 2-0-2, one a line
    #[value(name = "openlineage")]
    OpenLineage,
    /// W3C PROV as PROV-JSON
    Prov,
    /// The metadata of an RO-Crate 1.1
    RoCrate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Ids {
    Data,
    Runs,
}

impl Printing {
    /// Prints the graph.
    pub(crate) fn print(&self, graph: &Graph<'_>, session: &Session) -> Result<(), Error> {
        let mut out = output::Stream::begin();
        let printed = if self.count {
            count(graph, &mut out).map_err(Error::from)
        } else if let Some(ids) = self.ids_only {
            list(graph, ids, &mut out).map_err(Error::from)
        } else {
            self.draw(graph, session, &mut out)
        };
        // Where writing failed, this tells why.
        out.finish()?;
        printed?;
        if graph.next.is_some() {
            output::say("note: this is not all of it");
        }
        Ok(())
    }

    fn draw(&self, graph: &Graph<'_>, session: &Session, out: &mut impl Write) -> Result<(), Error> {
        let is_terminal = io::stdout().is_terminal();
        let format = self.output.unwrap_or(if is_terminal { Format::Tree } else { Format::Dot });
        let drawing = match format {
            Format::Json => return Ok(out.write_all(output::pretty(graph)?.as_bytes())?),
            Format::Tree => {
                let is_coloured = is_terminal && !session.environment.no_color;
                let style = tree::Style { is_coloured, width: output::terminal_width(), is_folded: !self.unfold };
                return Ok(tree::draw(&Index::new(graph), style, out)?);
            }
            Format::Dot => Drawing::Dot,
            Format::Mermaid => Drawing::Mermaid,
            Format::Svg => Drawing::Svg,
            Format::OpenLineage => Drawing::OpenLineage,
            Format::Prov => Drawing::Prov,
            Format::RoCrate => Drawing::RoCrate,
        };
        drawing.draw(&Index::new(graph), local, out)?;
        let runs = counted(graph.runs.len() as u64, "Run", "Runs");
        session.log.line(format_args!("traced {} Data and {runs}", graph.data.len()));
        Ok(())
    }
}

/// The instant in this machine's time zone.
fn local(instant: &Instant) -> Instant {
    instant.as_date_time().with_timezone(&Local).fixed_offset().into()
}

fn count(graph: &Graph<'_>, out: &mut impl Write) -> io::Result<()> {
    let name = |number: usize, one, several| if number == 1 { one } else { several };
    let numbers =
        [("Data", "Data", graph.data.len()), ("Run", "Runs", graph.runs.len()), ("Plan", "Plans", graph.plans.len())];
    for (one, several, number) in numbers {
        writeln!(out, "{number:>8} {}", name(number, one, several))?;
    }
    match graph.cut.len() {
        0 => Ok(()),
        cut => writeln!(out, "{cut:>8} Data beyond which there is more (-n all)"),
    }
}

fn list(graph: &Graph<'_>, ids: Ids, out: &mut impl Write) -> io::Result<()> {
    match ids {
        Ids::Data => graph.data.iter().try_for_each(|data| writeln!(out, "{}", data.knit_id.as_str())),
        Ids::Runs => graph.runs.iter().try_for_each(|run| writeln!(out, "{}", run.run_id.as_str())),
    }
}
