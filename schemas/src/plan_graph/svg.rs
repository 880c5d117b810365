//! A graph of Plans as a picture (SVG): a box with a row for every input and output, in columns as data flow.

use std::io::{self, Write};

use super::PlanIndex;
use crate::api::{GraphPlan, PlanEdge};
use crate::lineage::LOG;
use crate::svg::layout::{self, Flow, Place};
use crate::svg::{self, EDGE_TEXT_PX, INSET_PX, LINE_PX, WIDTH_PX, Xml, edge, row_px};

/// Lines of a Plan above its mounts, beside its command.
const PLAN_LINES: usize = 3;

/// Writes the picture.
///
/// # Errors
/// What writing to `out` says.
pub fn draw(index: &PlanIndex<'_>, out: &mut impl Write) -> io::Result<()> {
    let plans = &index.graph.plans;
    let heights: Vec<usize> = plans.iter().map(|plan| svg::height_px(lines(index, plan))).collect();
    let mut flow = Flow::among(plans.len());
    index.edges().for_each(|(from, to, _)| flow.join(from, to));
    let places = layout::placed(&flow, &heights, EDGE_TEXT_PX);
    svg::begin(out, layout::size_px(&places))?;
    for (from, to, edge) in index.edges() {
        curve(index, edge, (&plans[from], places[from]), (&plans[to], places[to]), out)?;
    }
    for (plan, place) in plans.iter().zip(places) {
        plan_box(index, plan, place, out)?;
    }
    svg::end(out)
}

fn lines(index: &PlanIndex<'_>, plan: &GraphPlan) -> usize {
    let rows = plan.inputs.len().max(sources(plan).count());
    head_lines(plan) + rows + usize::from(index.is_cut(plan))
}

/// Lines of a Plan above its mounts.
fn head_lines(plan: &GraphPlan) -> usize {
    PLAN_LINES + usize::from(plan.plan.command_line().is_some())
}

/// The outputs in their order, the log last.
fn sources(plan: &GraphPlan) -> impl Iterator<Item = &str> {
    plan.outputs.iter().map(|output| output.path.as_str()).chain(plan.log.iter().map(|_| LOG))
}

fn curve(
    index: &PlanIndex<'_>,
    of: &PlanEdge,
    (from, from_at): (&GraphPlan, Place),
    (to, to_at): (&GraphPlan, Place),
    out: &mut impl Write,
) -> io::Result<()> {
    let source = sources(from).position(|path| path == of.source()).unwrap_or_default();
    let input = to.inputs.iter().position(|input| input.path == of.input).unwrap_or_default();
    let begin = (from_at.x_px + WIDTH_PX, row_px(from_at, head_lines(from) + source));
    let end = (to_at.x_px, row_px(to_at, head_lines(to) + input));
    let tags: Vec<String> = index.asked(of).collect();
    edge(out, &format!("{} to {}: {}", of.source(), of.input, tags.join(" ")), begin, end)?;
    // Beside where it ends, so that edges to one input say the same in one place, and those to others below it.
    svg::label(out, end.0 - INSET_PX, end.1 - LINE_PX / 2, "s\" text-anchor=\"end", &svg::on_edge(&tags.join(" ")))?;
    writeln!(out)
}

fn plan_box(index: &PlanIndex<'_>, plan: &GraphPlan, at: Place, out: &mut impl Write) -> io::Result<()> {
    let start = if plan.id() == index.graph.start { " start" } else { "" };
    let cut = if index.is_cut(plan) { " cut" } else { "" };
    svg::frame(out, &format!("p{start}{cut}"), at)?;
    write!(out, "<title>Plan {}\n{}", Xml(plan.id()), Xml(plan.what_runs()))?;
    for pair in &plan.plan.annotations {
        write!(out, "\n{}={}", Xml(&pair.key), Xml(&pair.value))?;
    }
    write!(out, "</title>")?;
    svg::text(out, at, 0, "h", &format!("Plan {}", plan.id()))?;
    svg::text(out, at, 1, if plan.active { "ok" } else { "s" }, plan.activity())?;
    svg::text(out, at, 2, "", plan.what_runs())?;
    if let Some(line) = plan.plan.command_line() {
        svg::text(out, at, PLAN_LINES, "s", &line)?;
    }
    svg::ports(out, at, head_lines(plan), plan.inputs.iter().map(|input| input.path.as_str()), sources(plan))?;
    if index.is_cut(plan) {
        svg::text(out, at, lines(index, plan) - 1, "s", "more beyond")?;
    }
    writeln!(out, "</g>")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan_graph::example;

    #[test]
    fn a_picture_has_a_box_for_every_plan_and_a_curve_for_every_edge() {
        let graph = example::graph();
        let mut text = Vec::new();
        draw(&PlanIndex::new(&graph), &mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        assert_eq!(text.matches("<rect class=\"p").count(), 3);
        assert_eq!(text.matches("<path class=\"e\"").count(), 2);
        assert!(text.contains("class=\"p cut\"") && text.contains("class=\"p start\""), "{text}");
        assert!(text.contains("owner=a &amp; &lt;b&gt;") && text.contains("(log) to /in/log"), "{text}");
        assert!(text.contains(">--rate=0.1</text>") && text.contains(">type:raw</text>"), "{text}");
        assert_eq!(text.matches("<g>").count(), text.matches("</g>").count());
    }
}
