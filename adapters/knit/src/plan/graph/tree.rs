//! A graph of Plans as a tree, for people: *fed by* towards sources, and *feeds* towards consumers.

use std::collections::HashMap;
use std::io::{self, Write};

use knit_schemas::api::{GraphPlan, PlanEdge, Tag};
use knit_schemas::plan_graph::PlanIndex;

use crate::lineage::tree::shortened;
use crate::tree::{Paint, Soil, Style, Trees, folded};

/// Draws both trees.
pub(super) fn draw(index: &PlanIndex<'_>, style: Style, out: &mut impl Write) -> io::Result<()> {
    let plans = Plans::new(index, style);
    let Some(start) = index.plan(&index.graph.start) else { return Ok(()) };
    let mut trees = Trees::new(&plans, style);
    trees.place(start.id());
    write!(out, "{}", folded("", "  ", &plans.plan(start), style.width))?;
    for (title, branches) in [("fed by", plans.above(start)), ("feeds", plans.below(start))] {
        if !branches.is_empty() {
            writeln!(out, "{title}")?;
            trees.draw(branches, out)?;
        }
    }
    if trees.is_cut() {
        let (drawn, all) = (trees.drawn().len(), index.graph.plans.len());
        writeln!(out, "… {drawn} of {all} Plans are drawn (--unfold draws all)")?;
    }
    Ok(())
}

/// What hangs below a Plan: by which of its points, and what.
#[derive(Clone, Copy)]
enum Branch<'a> {
    /// A Plan that feeds an input.
    Source(&'a PlanEdge, &'a GraphPlan),
    /// A Plan that an output or the log feeds.
    Consumer(&'a PlanEdge, &'a GraphPlan),
    /// An input that no Plan feeds.
    Unfed(&'a str, &'a [Tag]),
}

struct Plans<'a> {
    index: &'a PlanIndex<'a>,
    paint: Paint,
    sources: HashMap<&'a str, Vec<Branch<'a>>>,
    consumers: HashMap<&'a str, Vec<Branch<'a>>>,
}

impl<'a> Plans<'a> {
    fn new(index: &'a PlanIndex<'a>, style: Style) -> Self {
        let (mut sources, mut consumers) = (HashMap::new(), HashMap::new());
        for edge in &index.graph.edges {
            if let (Some(from), Some(to)) = (index.plan(&edge.from), index.plan(&edge.to)) {
                sources.entry(to.id()).or_insert_with(Vec::new).push(Branch::Source(edge, from));
                consumers.entry(from.id()).or_insert_with(Vec::new).push(Branch::Consumer(edge, to));
            }
        }
        Self { index, paint: Paint { is_coloured: style.is_coloured }, sources, consumers }
    }

    /// What feeds the Plan, and its inputs that nothing feeds; of a Plan where the walk ended that is not known.
    fn above(&self, plan: &'a GraphPlan) -> Vec<Branch<'a>> {
        let mut branches = self.sources.get(plan.id()).cloned().unwrap_or_default();
        let is_fed =
            |path: &str| branches.iter().any(|branch| matches!(branch, Branch::Source(edge, _) if edge.input == path));
        let unfed: Vec<_> = plan.inputs.iter().filter(|input| !is_fed(&input.path)).collect();
        if !self.index.is_cut(plan) {
            branches.extend(unfed.into_iter().map(|input| Branch::Unfed(&input.path, &input.tags)));
        }
        branches
    }

    fn below(&self, plan: &GraphPlan) -> Vec<Branch<'a>> {
        self.consumers.get(plan.id()).cloned().unwrap_or_default()
    }

    /// The words about a Plan; each stays on one line.
    fn plan(&self, plan: &GraphPlan) -> Vec<String> {
        let activity = plan.activity();
        let mut words = vec![format!("{} {}", self.paint.yellow("Plan"), plan.id())];
        words.push(if plan.active { self.paint.green(activity) } else { self.paint.faint(activity) });
        words.push(plan.what_runs().to_owned());
        let command: Vec<&str> = plan.plan.entrypoint.iter().chain(&plan.plan.args).map(String::as_str).collect();
        words.extend(shortened(&command).map(|command| self.paint.faint(&command)));
        words.extend(self.index.is_cut(plan).then(|| "(more: -n all)".to_owned()));
        words
    }
}

impl<'a> Soil<'a> for Plans<'a> {
    type Node = Branch<'a>;
    /// Plans that hang at one point of a Plan.
    type Likeness = (&'static str, &'a str);

    fn beyond(&self, branch: Branch<'a>) -> Vec<Branch<'a>> {
        match branch {
            Branch::Source(_, plan) => self.above(plan),
            Branch::Consumer(_, plan) => self.below(plan),
            Branch::Unfed(..) => Vec::new(),
        }
    }

    fn identity(&self, branch: Branch<'a>) -> Option<&'a str> {
        match branch {
            Branch::Source(_, plan) | Branch::Consumer(_, plan) => Some(plan.id()),
            Branch::Unfed(..) => None,
        }
    }

    fn likeness(&self, branch: Branch<'a>) -> Self::Likeness {
        match branch {
            Branch::Source(edge, _) => ("source", &edge.input),
            Branch::Consumer(edge, _) => ("consumer", edge.source()),
            Branch::Unfed(..) => ("unfed", ""),
        }
    }

    fn words(&self, branch: Branch<'a>) -> (String, Vec<String>) {
        let place = |own: &str, arrow: &str, other: &str| {
            format!("{} {arrow} {} ", self.paint.faint(own), self.paint.faint(other))
        };
        match branch {
            Branch::Source(edge, plan) => (place(&edge.input, "←", edge.source()), self.plan(plan)),
            Branch::Consumer(edge, plan) => (place(edge.source(), "→", &edge.input), self.plan(plan)),
            Branch::Unfed(path, tags) => {
                let mut words: Vec<String> = tags.iter().map(ToString::to_string).collect();
                words.push(self.paint.faint("(no Plan makes it)"));
                (format!("{} ", self.paint.faint(path)), words)
            }
        }
    }

    fn more(&self, number: usize, branch: Branch<'a>) -> String {
        match branch {
            Branch::Source(edge, _) => {
                format!("and {number} more Plans that feed {} (--unfold draws them)", edge.input)
            }
            Branch::Consumer(edge, _) => {
                format!("and {number} more Plans fed by {} (--unfold draws them)", edge.source())
            }
            Branch::Unfed(..) => format!("and {number} more inputs that no Plan makes (--unfold draws them)"),
        }
    }
}
