//! A graph of Plans as DOT, for Graphviz (knit-cli 2.8).

use std::io::{self, Write};

use super::PlanIndex;
use crate::api::GraphPlan;
use crate::lineage::LOG;
use crate::lineage::dot::{DATA_COLOUR, GOOD_COLOUR, Html, Quoted, command_row, header};

const PLAN_COLOUR: &str = "#DAA520";
const START_COLOUR: &str = "#EDD9B4";
/// What the original calls the point of a log behind the id of its Plan; paths begin with a slash.
const LOG_POINT: &str = "log";
/// Keeps a Plan and its points together.
const INNER_EDGE: &str = "weight=10, penwidth=0.3";

/// Writes the graph: every Plan with a point for every input and output, and edges between these, labelled with what
/// is asked for.
///
/// # Errors
/// What writing to `out` says.
pub fn draw(index: &PlanIndex<'_>, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "digraph G {{\n\tnode [shape=record fontsize=10]\n\tedge [fontsize=10]")?;
    for plan in &index.graph.plans {
        cluster(index, plan, out)?;
    }
    for (_, _, edge) in index.edges() {
        let (from, output) = (Quoted(&edge.from), Quoted(edge.output.as_deref().unwrap_or(LOG_POINT)));
        write!(out, "\t\"p{from}@{output}\" -> \"p{}@{}\"[label=\"", Quoted(&edge.to), Quoted(&edge.input))?;
        for (n, tag) in index.asked(edge).enumerate() {
            write!(out, "{}{}", if n == 0 { "" } else { "\\n" }, Quoted(&tag))?;
        }
        writeln!(out, "\"];")?;
    }
    writeln!(out, "}}")
}

/// A Plan with its points. Only a Graphviz that knows the attribute `cluster` draws a frame around them.
fn cluster(index: &PlanIndex<'_>, plan: &GraphPlan, out: &mut impl Write) -> io::Result<()> {
    let id = Quoted(plan.id());
    writeln!(
        out,
        "\tsubgraph {{\n\t\tcluster=true; style=solid; penwidth=0.3; color=\"{PLAN_COLOUR}\"; margin=\"0,0\""
    )?;
    node(index, plan, out)?;
    for input in &plan.inputs {
        let path = Quoted(&input.path);
        writeln!(out, "\t\t\"p{id}@{path}\"[shape=point color=\"{DATA_COLOUR}\"];")?;
        writeln!(out, "\t\t\"p{id}@{path}\" -> \"p{id}\"[label=\"{path}\" {INNER_EDGE}];")?;
    }
    let outputs = plan.outputs.iter().map(|output| (output.path.as_str(), output.path.as_str()));
    for (point, label) in outputs.chain(plan.log.iter().map(|_| (LOG_POINT, LOG))) {
        let (point, label) = (Quoted(point), Quoted(label));
        writeln!(out, "\t\t\"p{id}@{point}\"[shape=point color=\"{DATA_COLOUR}\" margin=\"0,0\"];")?;
        writeln!(out, "\t\t\"p{id}\" -> \"p{id}@{point}\"[label=\"{label}\" {INNER_EDGE}];")?;
    }
    writeln!(out, "\t}}")
}

fn node(index: &PlanIndex<'_>, plan: &GraphPlan, out: &mut impl Write) -> io::Result<()> {
    let background = if plan.id() == index.graph.start { START_COLOUR } else { "#FFFFFF" };
    write!(out, "\t\t\"p{}\"[shape=none color=\"{PLAN_COLOUR}\" label=<", Quoted(plan.id()))?;
    header(out, "Plan", PLAN_COLOUR)?;
    let colour = if plan.active { GOOD_COLOUR } else { "gray" };
    write!(out, "<TD><FONT COLOR=\"{colour}\"><B>{}</B></FONT></TD>", plan.activity())?;
    write!(out, "<TD BGCOLOR=\"{background}\">id: {}</TD></TR>", Html(plan.id()))?;
    let label = if plan.plan.image.is_some() { "image = " } else { "" };
    write!(out, "<TR><TD COLSPAN=\"3\">{label}{}</TD></TR>", Html(plan.what_runs()))?;
    command_row(plan.plan.command_line().as_deref(), out)?;
    if !plan.plan.annotations.is_empty() {
        write!(out, "<TR><TD COLSPAN=\"3\">")?;
        for (i, pair) in plan.plan.annotations.iter().enumerate() {
            let separator = if i == 0 { "" } else { "<BR/>" };
            write!(out, "{separator}<B>{}</B>={}", Html(&pair.key), Html(&pair.value))?;
        }
        write!(out, "</TD></TR>")?;
    }
    let more = if index.is_cut(plan) { "<TR><TD COLSPAN=\"3\"><I>more beyond</I></TD></TR>" } else { "" };
    writeln!(out, "{more}</TABLE>>];")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan_graph::example;

    #[test]
    fn plans_hang_together_by_their_points() {
        let graph = example::graph();
        let mut text = Vec::new();
        draw(&PlanIndex::new(&graph), &mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        let (split, train) = ("p11111111-1111-4111-8111-111111111111", "p22222222-2222-4222-8222-222222222222");
        assert!(text.contains(&format!("\t\"{split}@/out\" -> \"{train}@/in/raw\"[label=\"type:raw\"];\n")), "{text}");
        assert!(text.contains("image = trainer:v1.0</TD></TR><TR><TD COLSPAN=\"3\">--rate=0.1</TD></TR>"), "{text}");
        assert!(
            text.contains(&format!(
                "\t\"{train}@log\" -> \"p33333333-3333-4333-8333-333333333333@/in/log\"[label=\"type:log\"];\n"
            )),
            "{text}"
        );
        assert!(text.contains(r#"@/out/\"model\""[shape=point"#), "{text}");
        assert!(text.contains("<B>owner</B>=a &amp; &lt;b&gt;"), "{text}");
        assert_eq!(text.matches("more beyond").count(), 1, "{text}");
        assert_eq!(text.matches("subgraph {").count(), 3, "{text}");
    }
}
