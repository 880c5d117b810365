//! Lineage graphs as they are read and drawn.
//!
//! The answer of a server is read into a [`graph::Graph`], which borrows its texts, and every drawing is a pure
//! function from that to text. `knit` draws with them on the reader's machine, whatever the server is; `knitd`
//! draws with the same ones for whoever asks it for a picture. So a graph looks the same whichever way it came.

pub mod graph;

mod command;
pub mod dot;
pub mod mermaid;
pub mod openlineage;
pub mod prov;
pub mod ro_crate;
pub mod svg;

use std::collections::{HashMap, HashSet};
use std::io::{self, Write};

use crate::api::PlanSummary;
use crate::instant::Instant;
use graph::{Data, Edge, Graph, Run, Text};

/// The same instant in the time zone of whoever reads a drawing: only the edge knows which that is.
pub type Zone = fn(&Instant) -> Instant;

/// Where Knitfab is described; what other programs read names it as the author.
const HOME: &str = "https://github.com/knitfab/knitfab";

/// The ways in which a graph is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drawing {
    /// [`dot`].
    Dot,
    /// [`mermaid`].
    Mermaid,
    /// [`svg`].
    Svg,
    /// [`openlineage`].
    OpenLineage,
    /// [`prov`].
    Prov,
    /// [`ro_crate`].
    RoCrate,
}

impl Drawing {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Dot, Self::Mermaid, Self::Svg, Self::OpenLineage, Self::Prov, Self::RoCrate];

    /// How people and requests name it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dot => "dot",
            Self::Mermaid => "mermaid",
            Self::Svg => "svg",
            Self::OpenLineage => "openlineage",
            Self::Prov => "prov",
            Self::RoCrate => "ro-crate",
        }
    }

    /// The one of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|drawing| drawing.name() == name)
    }

    /// Content type of the file.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Dot => "text/vnd.graphviz; charset=utf-8",
            Self::Mermaid => "text/vnd.mermaid; charset=utf-8",
            Self::Svg => "image/svg+xml",
            Self::OpenLineage => "application/x-ndjson",
            Self::Prov => "application/provenance+json",
            Self::RoCrate => "application/ld+json",
        }
    }

    /// Writes the graph so, with times for people as `zone` has them.
    ///
    /// # Errors
    /// What writing to `out` says.
    pub fn draw(self, index: &Index<'_>, zone: Zone, out: &mut impl Write) -> io::Result<()> {
        match self {
            Self::Dot => dot::draw(index, zone, out),
            Self::Mermaid => mermaid::draw(index, out),
            Self::Svg => svg::draw(index, zone, out),
            Self::OpenLineage => openlineage::draw(index, out),
            Self::Prov => prov::draw(index, out),
            Self::RoCrate => ro_crate::draw(index, out),
        }
    }
}

/// A graph with its lookups. All orders are those of discovery.
#[derive(Debug)]
pub struct Index<'a> {
    /// What is looked up in.
    pub graph: &'a Graph<'a>,
    data: HashMap<&'a str, &'a Data<'a>>,
    plans: HashMap<&'a str, Described<'a>>,
    cut: HashSet<&'a str>,
}

/// A Plan, and what is said of it for each of its Runs.
#[derive(Debug)]
struct Described<'a> {
    plan: &'a PlanSummary,
    command_line: Option<String>,
}

impl<'a> From<&'a PlanSummary> for Described<'a> {
    fn from(plan: &'a PlanSummary) -> Self {
        Self { plan, command_line: plan.command_line() }
    }
}

impl<'a> Index<'a> {
    /// Reads over the graph once.
    #[must_use]
    pub fn new(graph: &'a Graph<'a>) -> Self {
        let data = graph.data.iter().map(|data| (data.knit_id.as_str(), data)).collect();
        let plans = graph.plans.iter().map(|plan| (plan.plan_id.as_str(), Described::from(plan))).collect();
        let cut = graph.cut.iter().map(Text::as_str).collect();
        Self { graph, data, plans, cut }
    }

    /// The Data of that id, if it is in the graph.
    #[must_use]
    pub fn data(&self, knit_id: &str) -> Option<&'a Data<'a>> {
        self.data.get(knit_id).copied()
    }

    /// The Plan that the Run carries out, if the answer describes it.
    #[must_use]
    pub fn plan(&self, run: &Run<'_>) -> Option<&'a PlanSummary> {
        self.plans.get(run.plan_id.as_str()).map(|described| described.plan)
    }

    /// Whether the walk ended at that Data although there is more.
    #[must_use]
    pub fn is_cut(&self, data: &Data<'_>) -> bool {
        self.cut.contains(data.knit_id.as_str())
    }

    /// The image of the Run's Plan, or the name of a built-in one.
    #[must_use]
    pub fn what_runs(&self, run: &Run<'_>) -> &'a str {
        let plan = self.plan(run);
        plan.and_then(|plan| plan.image.as_deref().or(plan.name.as_deref())).unwrap_or("(unknown Plan)")
    }

    /// The Plan's command in one short line, see [`PlanSummary::command_line`]; nothing where the image has its own.
    #[must_use]
    pub fn command_line(&self, run: &Run<'_>) -> Option<&str> {
        self.plans.get(run.plan_id.as_str())?.command_line.as_deref()
    }

    /// The words of the Plan's command; none where the image has its own.
    #[must_use]
    pub fn command(&self, run: &Run<'_>) -> Vec<&'a str> {
        let plan = self.plan(run);
        plan.into_iter().flat_map(|plan| plan.entrypoint.iter().chain(&plan.args)).map(String::as_str).collect()
    }

    /// Everything the Run made that is in the graph: (path, Data), the log last.
    #[must_use]
    pub fn made(&self, run: &'a Run<'a>) -> Vec<(&'a str, &'a Data<'a>)> {
        let log = run.log.as_ref().map(|knit_id| (LOG, knit_id.as_str()));
        self.known(run.outputs.iter().map(Edge::parts).chain(log))
    }

    /// Everything the Run took that is in the graph: (path, Data).
    #[must_use]
    pub fn taken(&self, run: &'a Run<'a>) -> Vec<(&'a str, &'a Data<'a>)> {
        self.known(run.inputs.iter().map(Edge::parts))
    }

    /// Data that no Run in the graph took or made.
    fn strangers(&self) -> impl Iterator<Item = &'a Data<'a>> {
        let runs = self.graph.runs.iter();
        let met = runs.flat_map(|run| self.taken(run).into_iter().chain(self.made(run)));
        let met: HashSet<&str> = met.map(|(_, data)| data.knit_id.as_str()).collect();
        self.graph.data.iter().filter(move |data| !met.contains(data.knit_id.as_str()))
    }

    fn known(&self, all: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<(&'a str, &'a Data<'a>)> {
        all.filter_map(|(path, knit_id)| Some((path, self.data(knit_id)?))).collect()
    }
}

/// How the log is written where outputs have their path.
pub const LOG: &str = "(log)";

#[cfg(test)]
mod example;
