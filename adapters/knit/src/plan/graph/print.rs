//! How a graph of Plans is printed.

use std::io::{self, IsTerminal, Write};

use clap::{Args, ValueEnum};
use knit_schemas::api::PlanGraph;
use knit_schemas::plan_graph::{PlanDrawing, PlanIndex};

use super::tree;
use crate::error::Error;
use crate::output;
use crate::session::Session;
use crate::tree::Style;

/// How to print.
#[derive(Debug, Args)]
pub(super) struct Printing {
    /// How to draw the graph [default: tree on a terminal, otherwise dot]
    #[arg(long, short, value_enum, value_name = "FORMAT")]
    output: Option<Format>,
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
    /// For Graphviz
    Dot,
    /// For Mermaid, in pages of a wiki
    Mermaid,
    /// A picture for browsers
    Svg,
}

impl Printing {
    /// Prints the graph.
    pub(super) fn print(&self, graph: &PlanGraph, session: &Session) -> Result<(), Error> {
        if self.format() == Format::Json {
            return Ok(output::json(graph)?);
        }
        let mut out = output::stdout();
        self.write(graph, session, &mut out)?;
        Ok(out.flush()?)
    }

    /// The graph as one of several answers: JSON is a line, and behind everything else is an empty one.
    pub(super) fn one_of_many(&self, graph: &PlanGraph, session: &Session) -> Result<Vec<u8>, Error> {
        let mut text = Vec::new();
        self.write(graph, session, &mut text)?;
        text.push(b'\n');
        Ok(text)
    }

    fn format(&self) -> Format {
        self.output.unwrap_or(if io::stdout().is_terminal() { Format::Tree } else { Format::Dot })
    }

    fn write(&self, graph: &PlanGraph, session: &Session, out: &mut impl Write) -> io::Result<()> {
        let drawing = match self.format() {
            Format::Json => return Ok(serde_json::to_writer(out, graph)?),
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
