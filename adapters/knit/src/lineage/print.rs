//! How a lineage graph is printed.

use std::io::{self, IsTerminal, Write};

use chrono::Local;
use clap::{Args, ValueEnum};
use knit_schemas::instant::Instant;
use knit_schemas::lineage::graph::Graph;
use knit_schemas::lineage::{Drawing, Index};

use super::limit::{Limit, NOT_ALL};
use super::tree::Sought;
use super::{beside, tree, way};
use crate::error::Error;
use crate::form::{Fields, Told};
use crate::output;
use crate::session::Session;
use crate::telling::counted;
use crate::tree::Style;

/// How to print.
#[derive(Debug, Args)]
pub(crate) struct Printing {
    /// How to draw the graph [default: tree on a terminal, otherwise dot]
    #[arg(long, short, value_enum, value_name = "FORMAT")]
    output: Option<Format>,
    #[command(flatten)]
    fields: Fields,
    /// Print only the ids of Data, or of Runs, one a line
    #[arg(long, value_enum, value_name = "KIND", num_args = 0..=1, require_equals = true, default_missing_value = "data", conflicts_with_all = ["output", "json", "count"])]
    ids_only: Option<Ids>,
    /// Print only how much there is
    #[arg(long, conflicts_with_all = ["output", "json"])]
    count: bool,
    #[command(flatten)]
    pub(crate) limit: Limit,
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
    /// The ids of the Data, one a line
    Name,
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

/// What a graph is to people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Everything around its start; what is sought is listed also where nothing that is shown leads to it.
    Around(Sought),
    /// A way from its start to its end.
    Way,
}

impl Told for Graph<'_> {
    const FIELDS: &'static [&'static str] = &["start", "data", "runs", "plans", "cut", "next", "asOf"];

    fn ids(&self) -> Vec<String> {
        self.data.iter().map(|data| data.knit_id.as_str().to_owned()).collect()
    }
}

impl Printing {
    /// Prints the graph.
    pub(crate) fn print(&self, graph: &Graph<'_>, shape: Shape, session: &Session) -> Result<(), Error> {
        let mut out = output::Stream::begin();
        let format = self.format();
        let printed = match format {
            Some(Format::Json) => self.pretty(graph).and_then(|text| Ok(out.write_all(text.as_bytes())?)),
            format => self.write(format, graph, shape, session, &mut out),
        };
        // Where writing failed, this tells why.
        out.finish()?;
        printed?;
        if graph.next.is_some() {
            output::say(NOT_ALL);
        }
        if !matches!(format, None | Some(Format::Json | Format::Yaml | Format::Name | Format::Tree)) {
            let runs = counted(graph.runs.len() as u64, "Run", "Runs");
            session.log.line(format_args!("traced {} Data and {runs}", graph.data.len()));
        }
        Ok(())
    }

    /// The graph as one of several answers: JSON is a line, and behind everything else is an empty one.
    pub(crate) fn one_of_many(&self, graph: &Graph<'_>, shape: Shape, session: &Session) -> Result<Vec<u8>, Error> {
        let mut text = Vec::new();
        match self.format() {
            Some(Format::Json) => {
                serde_json::to_writer(&mut text, &self.fields.of(graph).map_err(io::Error::from)?)
                    .map_err(io::Error::from)?;
            }
            // It may have empty lines inside, so there is a mark before each instead.
            Some(Format::Yaml) => return Ok(output::yaml_document(graph)?),
            format => self.write(format, graph, shape, session, &mut text)?,
        }
        text.push(b'\n');
        Ok(text)
    }

    /// Refuses fields that a lineage does not have, before anything is asked of the server.
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.fields.check(Graph::FIELDS)
    }

    fn pretty(&self, graph: &Graph<'_>) -> Result<String, Error> {
        Ok(output::pretty(&self.fields.of(graph).map_err(io::Error::from)?)?)
    }

    /// How to draw; `None` where nothing is drawn.
    fn format(&self) -> Option<Format> {
        let by_default = if self.fields.are_wanted() {
            Format::Json
        } else if io::stdout().is_terminal() {
            Format::Tree
        } else {
            Format::Dot
        };
        (!self.count && self.ids_only.is_none()).then(|| self.output.unwrap_or(by_default))
    }

    fn write(
        &self,
        format: Option<Format>,
        graph: &Graph<'_>,
        shape: Shape,
        session: &Session,
        out: &mut impl Write,
    ) -> Result<(), Error> {
        let drawing = match (format, self.ids_only) {
            (None, None) => return Ok(count(graph, out)?),
            (None, Some(ids)) => return Ok(list(graph, ids, out)?),
            (Some(Format::Tree), _) => {
                let (index, style) = (Index::new(graph), Style::of_stdout(session, !self.unfold));
                let drawn = match shape {
                    Shape::Around(sought) => tree::draw(&index, sought, style, out),
                    Shape::Way => way::draw(&index, style, out),
                };
                return Ok(drawn?);
            }
            (Some(Format::Json), _) => return Ok(serde_json::to_writer(out, graph).map_err(io::Error::from)?),
            (Some(Format::Yaml), _) => return Ok(serde_yaml_ng::to_writer(out, graph).map_err(io::Error::other)?),
            (Some(Format::Name), _) => return Ok(list(graph, Ids::Data, out)?),
            (Some(Format::Dot), _) => return Ok(beside::draw(&Index::new(graph), local, out)?),
            (Some(Format::Mermaid), _) => Drawing::Mermaid,
            (Some(Format::Svg), _) => Drawing::Svg,
            (Some(Format::OpenLineage), _) => Drawing::OpenLineage,
            (Some(Format::Prov), _) => Drawing::Prov,
            (Some(Format::RoCrate), _) => Drawing::RoCrate,
        };
        Ok(drawing.draw(&Index::new(graph), local, out)?)
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
