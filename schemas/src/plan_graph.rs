//! Graphs of Plans as they are drawn: which Plan feeds which.
//!
//! Both programs draw with the same functions, as they do lineage ([`crate::lineage`]); Plans are few, so a graph of
//! them is drawn as a whole.

pub mod dot;
pub mod mermaid;
pub mod svg;

use std::collections::{HashMap, HashSet};
use std::io::{self, Write};

use crate::api::{GraphPlan, PlanEdge, PlanGraph, Tag};
use crate::lineage::{Drawing, LOG};

/// Tags that an edge shows; more would hide the graph behind them.
const TAGS_MAX: usize = 6;

/// The ways in which a graph of Plans is drawn. They are ways of lineage too; those that speak of what ran are not
/// among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlanDrawing {
    /// [`dot`].
    Dot,
    /// [`mermaid`].
    Mermaid,
    /// [`svg`].
    Svg,
}

impl PlanDrawing {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Dot, Self::Mermaid, Self::Svg];

    /// How people and requests name it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.notation().name()
    }

    /// The one of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|drawing| drawing.name() == name)
    }

    /// Content type of the file.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        self.notation().content_type()
    }

    const fn notation(self) -> Drawing {
        match self {
            Self::Dot => Drawing::Dot,
            Self::Mermaid => Drawing::Mermaid,
            Self::Svg => Drawing::Svg,
        }
    }

    /// Writes the graph so.
    ///
    /// # Errors
    /// What writing to `out` says.
    pub fn draw(self, index: &PlanIndex<'_>, out: &mut impl Write) -> io::Result<()> {
        match self {
            Self::Dot => dot::draw(index, out),
            Self::Mermaid => mermaid::draw(index, out),
            Self::Svg => svg::draw(index, out),
        }
    }
}

/// A graph of Plans with its lookups.
#[derive(Debug)]
pub struct PlanIndex<'a> {
    /// What is looked up in.
    pub graph: &'a PlanGraph,
    places: HashMap<&'a str, usize>,
    cut: HashSet<&'a str>,
}

impl<'a> PlanIndex<'a> {
    /// Reads over the graph once.
    #[must_use]
    pub fn new(graph: &'a PlanGraph) -> Self {
        let places = graph.plans.iter().enumerate().map(|(n, plan)| (plan.id(), n)).collect();
        Self { graph, places, cut: graph.cut.iter().map(String::as_str).collect() }
    }

    /// The number of the Plan of that id among those of the graph, if it is one of them.
    #[must_use]
    pub fn number(&self, plan_id: &str) -> Option<usize> {
        self.places.get(plan_id).copied()
    }

    /// The Plan of that id, if it is in the graph.
    #[must_use]
    pub fn plan(&self, plan_id: &str) -> Option<&'a GraphPlan> {
        self.graph.plans.get(self.number(plan_id)?)
    }

    /// Whether the walk ended at that Plan although there is more.
    #[must_use]
    pub fn is_cut(&self, plan: &GraphPlan) -> bool {
        self.cut.contains(plan.id())
    }

    /// The tags that the input at the end of an edge asks for, those of users first; of many, some and how many more.
    fn asked(&self, edge: &PlanEdge) -> impl Iterator<Item = String> {
        let mut inputs = self.plan(&edge.to).into_iter().flat_map(|plan| &plan.inputs);
        let input = inputs.find(|input| input.path == edge.input);
        let tags = input.map(|input| input.tags.as_slice()).unwrap_or_default();
        let (system, users): (Vec<&Tag>, Vec<&Tag>) = tags.iter().partition(|tag| tag.is_system());
        let left = tags.len().saturating_sub(TAGS_MAX);
        let shown = users.into_iter().chain(system).take(TAGS_MAX).map(Tag::to_string);
        shown.chain((left > 0).then(|| format!("… and {left} more tags")))
    }

    /// The edges both of whose ends are in the graph, with the numbers of these.
    fn edges(&self) -> impl Iterator<Item = (usize, usize, &'a PlanEdge)> {
        self.graph.edges.iter().filter_map(|edge| Some((self.number(&edge.from)?, self.number(&edge.to)?, edge)))
    }
}

impl GraphPlan {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.plan.plan_id
    }

    /// Its image, or the name of a built-in one.
    #[must_use]
    pub fn what_runs(&self) -> &str {
        self.plan.image.as_deref().or(self.plan.name.as_deref()).unwrap_or("(unknown image)")
    }

    /// Whether its Runs may start, in a word.
    #[must_use]
    pub const fn activity(&self) -> &'static str {
        if self.active { "active" } else { "inactive" }
    }
}

impl PlanEdge {
    /// Where it comes from, as people read it.
    #[must_use]
    pub fn source(&self) -> &str {
        self.output.as_deref().unwrap_or(LOG)
    }
}

#[cfg(test)]
mod example;
