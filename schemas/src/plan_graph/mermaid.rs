//! A graph of Plans as a Mermaid flowchart.

use std::fmt;
use std::io::{self, Write};

use super::PlanIndex;
use crate::api::GraphPlan;
use crate::lineage::mermaid::{EDGES_MAX, Escaped};

/// Writes the graph. An edge is labelled with the output it comes from, the input it leads to, and what that asks for.
///
/// # Errors
/// What writing to `out` says.
pub fn draw(index: &PlanIndex<'_>, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "flowchart LR")?;
    let edges = index.graph.edges.len();
    if edges > EDGES_MAX {
        writeln!(out, "    %% {edges} edges: Mermaid draws them only where its option maxEdges is at least that")?;
    }
    for (n, plan) in index.graph.plans.iter().enumerate() {
        writeln!(out, "    p{n}[\"{}\"]:::{}", Label(index, plan), class(index, plan))?;
    }
    for (from, to, edge) in index.edges() {
        write!(out, "    p{from} -->|\"{} to {}", Escaped(edge.source()), Escaped(&edge.input))?;
        index.asked(edge).try_for_each(|tag| write!(out, "<br/>{}", Escaped(&tag)))?;
        writeln!(out, "\"| p{to}")?;
    }
    out.write_all(CLASSES.as_bytes())
}

/// The colours of the drawing as DOT.
const CLASSES: &str = "    classDef plan fill:#ffffff,stroke:#daa520,color:#000000
    classDef cut fill:#ffffff,stroke:#daa520,color:#000000,stroke-dasharray:4 3
    classDef inactive fill:#ffffff,stroke:#aaaaaa,color:#666666
    classDef start fill:#edd9b4,stroke:#daa520,color:#000000,stroke-width:3px
";

fn class(index: &PlanIndex<'_>, plan: &GraphPlan) -> &'static str {
    if plan.id() == index.graph.start {
        "start"
    } else if index.is_cut(plan) {
        "cut"
    } else if plan.active {
        "plan"
    } else {
        "inactive"
    }
}

struct Label<'a>(&'a PlanIndex<'a>, &'a GraphPlan);

impl fmt::Display for Label<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(index, plan) = self;
        write!(f, "Plan {}<br/>{}<br/>{}", Escaped(plan.id()), plan.activity(), Escaped(plan.what_runs()))?;
        if let Some(line) = plan.plan.command_line() {
            write!(f, "<br/>{}", Escaped(&line))?;
        }
        for pair in &plan.plan.annotations {
            write!(f, "<br/>{}={}", Escaped(&pair.key), Escaped(&pair.value))?;
        }
        if index.is_cut(plan) { f.write_str("<br/>more beyond") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan_graph::example;

    #[test]
    fn an_edge_says_from_which_output_to_which_input_it_leads() {
        let graph = example::graph();
        let mut text = Vec::new();
        draw(&PlanIndex::new(&graph), &mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        assert!(text.contains("    p1 -->|\"/out to /in/raw<br/>type:raw\"| p0\n"), "{text}");
        assert!(text.contains("    p0 -->|\"(log) to /in/log<br/>type:log\"| p2\n"), "{text}");
        assert!(text.contains("<br/>--rate=0.1<br/>owner=a #38; #60;b#62;\"]:::start\n"), "{text}");
        assert!(text.lines().skip(1).all(|line| line.starts_with("    ")), "{text}");
        assert!(text.contains("more beyond\"]:::cut\n") && text.contains("reader:v2\"]:::inactive\n"), "{text}");
    }
}
