//! A graph of Plans as a tree, for people: *fed by* towards sources, and *feeds* towards consumers.

use std::collections::HashMap;
use std::io::{self, Write};

use knit_schemas::api::{GraphPlan, PlanEdge, Tag};
use knit_schemas::plan_graph::PlanIndex;

use crate::listing;
use crate::tree::{Paint, Soil, Style, Trees, digits_of, folded, shortened};

/// Levels of one tree: a Plan takes two lines of an ordinary terminal, and both ends of a chain are to fit on it.
const LEVELS_MAX: usize = 4;

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
    let (drawn, all) = (trees.drawn().len(), index.graph.plans.len());
    if drawn == all {
        Ok(())
    } else {
        writeln!(out, "… not drawn: {} of {all} Plans (--unfold draws all)", all - drawn)
    }
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
    /// Of ids; of the Plan that was asked about, all.
    digits: usize,
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
        let digits = digits_of(index.graph.plans.iter().map(GraphPlan::id), style);
        Self { index, paint: Paint { is_coloured: style.is_coloured }, digits, sources, consumers }
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

    /// The words about a Plan at the end of an edge: also by which tags it hangs there.
    fn fed(&self, edge: &PlanEdge, plan: &GraphPlan) -> Vec<String> {
        let mut words = self.plan(plan);
        let inputs = self.index.plan(&edge.to).into_iter().flat_map(|plan| &plan.inputs);
        let tags = inputs.filter(|input| input.path == edge.input).map(|input| listing::tags(&input.tags));
        let tags = tags.filter(|tags| !tags.is_empty()).map(|tags| format!("by {}", self.paint.bold(&tags)));
        words.splice(1..1, tags);
        words
    }

    /// The words about a Plan; each stays on one line.
    fn plan(&self, plan: &GraphPlan) -> Vec<String> {
        let activity = plan.activity();
        let id = if plan.id() == self.index.graph.start { plan.id() } else { shortened(plan.id(), self.digits) };
        let mut words = vec![format!("{} {id}", self.paint.yellow("Plan"))];
        // Together, so that no line is only the command.
        let activity = if plan.active { self.paint.green(activity) } else { self.paint.faint(activity) };
        let command = plan.plan.command_line().map(|command| format!("  {}", self.paint.faint(&command)));
        words.push(format!("{activity}  {}{}", plan.what_runs(), command.unwrap_or_default()));
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

    fn levels_max(&self) -> usize {
        LEVELS_MAX
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
            Branch::Source(edge, plan) => (place(&edge.input, "←", edge.source()), self.fed(edge, plan)),
            Branch::Consumer(edge, plan) => (place(edge.source(), "→", &edge.input), self.fed(edge, plan)),
            Branch::Unfed(path, tags) => {
                let mut words: Vec<String> = tags.iter().map(ToString::to_string).collect();
                words.push(self.paint.faint("(no Plan makes it)"));
                (format!("{} ", self.paint.faint(path)), words)
            }
        }
    }

    fn words_again(&self, branch: Branch<'a>) -> (String, Vec<String>) {
        let (place, mut words) = self.words(branch);
        if let Branch::Source(edge, plan) | Branch::Consumer(edge, plan) = branch {
            let own = self.plan(plan);
            words = self.fed(edge, plan);
            // Whether it is active, and what it runs, stands where it is drawn whole.
            words.retain(|word| *word == own[0] || !own.contains(word));
        }
        (place, words)
    }

    fn on_the_way(&self, number: usize) -> Vec<String> {
        vec![format!("and {number} more Plans on the way")]
    }

    fn more(&self, number: usize, branch: Branch<'a>) -> Vec<String> {
        vec![match branch {
            Branch::Source(edge, _) => format!("and {number} more Plans that feed {}", edge.input),
            Branch::Consumer(edge, _) => format!("and {number} more Plans fed by {}", edge.source()),
            Branch::Unfed(..) => format!("and {number} more inputs that no Plan makes"),
        }]
    }
}

#[cfg(test)]
mod tests {
    use knit_schemas::api::PlanGraph;
    use serde_json::json;

    use super::*;

    /// A chain of so many Plans, with ids as long as ids are.
    fn chain(plans: usize) -> PlanGraph {
        let id = |n: usize| format!("{n:08}-1111-4111-8111-111111111111");
        let plan = |n: usize| {
            json!({"planId": id(n), "image": "host:latest", "entrypoint": ["sh", "-c"], "args": ["cp /in/it /out/it"],
                   "active": true, "inputs": [{"path": "/in", "tags": [format!("chain:{n}")]}],
                   "outputs": [{"path": "/out", "tags": [format!("chain:{}", n + 1)]}]})
        };
        let edge = |n: usize| json!({"from": id(n), "output": "/out", "to": id(n + 1), "input": "/in"});
        let (plans, edges): (Vec<_>, Vec<_>) = ((0..plans).map(plan).collect(), (0..plans - 1).map(edge).collect());
        serde_json::from_value(json!({"start": id(0), "plans": plans, "edges": edges, "cut": []})).unwrap()
    }

    fn drawn(graph: &PlanGraph, is_folded: bool) -> String {
        let mut text = Vec::new();
        let style = Style { is_coloured: false, width: Some(80), is_folded };
        draw(&PlanIndex::new(graph), style, &mut text).unwrap();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn what_a_plan_runs_that_is_drawn_elsewhere_is_not_said_again() {
        let mut graph = chain(4);
        let shortcut = serde_json::from_value(json!({"from": graph.plans[0].id(), "output": "/out",
            "to": graph.plans[2].id(), "input": "/in"}));
        graph.edges.push(shortcut.unwrap());
        let text = drawn(&graph, true);
        let again = text.lines().find(|line| line.ends_with("(see above)") || line.ends_with("(see below)"));
        assert!(again.is_some_and(|line| line.contains("by chain:2")), "{text}");
        assert_eq!(text.matches("sh -c").count(), 4, "{text}");
    }

    #[test]
    fn a_long_chain_of_plans_fits_on_a_screen() {
        let text = drawn(&chain(30), true);
        assert!(text.lines().count() <= 20, "{text}");
        assert!(text.ends_with("\n… not drawn: 23 of 30 Plans (--unfold draws all)\n"), "{text}");
        let commands: Vec<&str> = text.lines().filter(|line| line.contains("sh -c")).collect();
        assert_eq!(commands.len(), 7, "{text}");
        assert!(text.contains("… and 23 more Plans on the way\n") && text.contains("Plan 00000029"), "{text}");
        assert!(
            commands.iter().all(|line| line.contains("active  host:latest  sh -c")),
            "no line is only that: {text}"
        );
        assert!(!drawn(&chain(30), false).contains("not drawn"));
    }
}
