//! How a graph of Plans is printed.

use std::io::{self, IsTerminal, Write};

use clap::{Args, ValueEnum};
use knit_schemas::api::PlanGraph;
use knit_schemas::plan_graph::{PlanDrawing, PlanIndex};

use super::tree;
use crate::error::Error;
use crate::form::{Fields, Told};
use crate::lineage::limit::Limit;
use crate::output;
use crate::session::Session;
use crate::tree::Style;

/// How to print.
#[derive(Debug, Args)]
pub(super) struct Printing {
    /// How to draw the graph [default: tree on a terminal, otherwise dot]
    #[arg(long, short, value_enum, value_name = "FORMAT")]
    output: Option<Format>,
    #[command(flatten)]
    fields: Fields,
    /// Print only the ids of the Plans, one a line
    #[arg(long, conflicts_with_all = ["output", "json", "count"])]
    ids_only: bool,
    /// Print only how much there is
    #[arg(long, conflicts_with_all = ["output", "json"])]
    count: bool,
    #[command(flatten)]
    pub(super) limit: Limit,
    /// In a tree, draw each of many that are alike, and what is far away
    #[arg(long)]
    unfold: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Tree,
    /// For programs
    Json,
    /// The same, as YAML
    Yaml,
    /// The ids of the Plans, one a line
    Name,
    /// For Graphviz
    Dot,
    /// For Mermaid, in pages of a wiki
    Mermaid,
    /// A picture for browsers
    Svg,
}

impl Told for PlanGraph {
    const FIELDS: &'static [&'static str] = &["start", "plans", "edges", "cut", "asOf"];

    fn ids(&self) -> Vec<String> {
        self.plans.iter().map(|plan| plan.id().to_owned()).collect()
    }
}

impl Printing {
    /// Refuses fields that a graph of Plans does not have, before anything is asked of the server.
    pub(super) fn check(&self) -> Result<(), Error> {
        self.fields.check(PlanGraph::FIELDS)
    }

    /// Prints the graph.
    pub(super) fn print(&self, graph: &PlanGraph, session: &Session) -> Result<(), Error> {
        if self.format() == Format::Json && !self.count {
            return Ok(output::json(&self.fields.of(graph).map_err(io::Error::from)?)?);
        }
        let mut out = output::stdout();
        self.write(graph, session, &mut out)?;
        Ok(out.flush()?)
    }

    /// The graph as one of several answers: JSON is a line, YAML begins with a mark, and behind everything else is an
    /// empty line.
    pub(super) fn one_of_many(&self, graph: &PlanGraph, session: &Session) -> Result<Vec<u8>, Error> {
        if self.format() == Format::Yaml && !self.count {
            return Ok(output::yaml_document(graph)?);
        }
        let mut text = Vec::new();
        self.write(graph, session, &mut text)?;
        text.push(b'\n');
        Ok(text)
    }

    fn format(&self) -> Format {
        if self.fields.are_wanted() {
            return Format::Json;
        }
        if self.ids_only {
            return Format::Name;
        }
        self.output.unwrap_or(if io::stdout().is_terminal() { Format::Tree } else { Format::Dot })
    }

    fn write(&self, graph: &PlanGraph, session: &Session, out: &mut impl Write) -> io::Result<()> {
        if self.count {
            return count(graph, out);
        }
        let drawing = match self.format() {
            Format::Json => return Ok(serde_json::to_writer(out, &self.fields.of(graph)?)?),
            Format::Yaml => return serde_yaml_ng::to_writer(out, graph).map_err(io::Error::other),
            Format::Name => return graph.ids().iter().try_for_each(|id| writeln!(out, "{id}")),
            Format::Tree => {
                let style = Style::of_stdout(session, !self.unfold);
                return tree::draw(&PlanIndex::new(graph), style, out);
            }
            Format::Dot => PlanDrawing::Dot,
            Format::Mermaid => PlanDrawing::Mermaid,
            Format::Svg => PlanDrawing::Svg,
        };
        drawing.draw(&PlanIndex::new(graph), out)
    }
}

fn count(graph: &PlanGraph, out: &mut impl Write) -> io::Result<()> {
    let name = |number: usize, one, several| if number == 1 { one } else { several };
    let (plans, edges) = (graph.plans.len(), graph.edges.len());
    writeln!(out, "{plans:>8} {}", name(plans, "Plan", "Plans"))?;
    writeln!(out, "{edges:>8} {}", name(edges, "connection between them", "connections between them"))?;
    match graph.cut.len() {
        0 => Ok(()),
        cut => writeln!(out, "{cut:>8} {} beyond which there is more (-n all)", name(cut, "Plan", "Plans")),
    }
}
