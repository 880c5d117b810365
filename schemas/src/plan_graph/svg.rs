//! A graph of Plans as a picture (SVG): a box with a row for every input and output, in columns as data flow.

use std::collections::BTreeSet;
use std::io::{self, Write};

use super::PlanIndex;
use crate::api::{GraphPlan, PlanEdge};
use crate::lineage::LOG;
use crate::svg::layout::{self, Edge, Place};
use crate::svg::{self, EDGE_TEXT_PX, Xml};

/// Lines of a Plan above its mounts, beside its command.
const PLAN_LINES: usize = 3;

/// Writes the picture.
///
/// # Errors
/// What writing to `out` says.
pub fn draw(index: &PlanIndex<'_>, out: &mut impl Write) -> io::Result<()> {
    let plans = &index.graph.plans;
    let heights: Vec<usize> = plans.iter().map(|plan| svg::height_px(lines(index, plan))).collect();
    let edges: Vec<Edge> =
        index.edges().map(|(from, to, of)| edge(of, (from, &plans[from]), (to, &plans[to]))).collect();
    let start = plans.iter().position(|plan| plan.id() == index.graph.start);
    let picture = layout::picture(&edges, &heights, EDGE_TEXT_PX, start);
    svg::begin(out, picture.size_px)?;
    let mut texts = BTreeSet::new();
    for ((_, _, of), route) in index.edges().zip(&picture.routes) {
        let tags = index.asked(of).collect::<Vec<_>>().join(" ");
        svg::edge(out, &format!("{} to {}: {tags}", of.source(), of.input), route)?;
        // What leads to one input says the same.
        texts.insert((route.end(), tags));
    }
    for (end, tags) in texts {
        svg::edge_text(out, end, &tags)?;
    }
    for (plan, place) in plans.iter().zip(picture.places) {
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

fn edge(of: &PlanEdge, (from, source): (usize, &GraphPlan), (to, target): (usize, &GraphPlan)) -> Edge {
    let output = sources(source).position(|path| path == of.source()).unwrap_or_default();
    let input = target.inputs.iter().position(|input| input.path == of.input).unwrap_or_default();
    let (from_px, to_px) = (svg::middle_px(head_lines(source) + output), svg::middle_px(head_lines(target) + input));
    Edge { from, from_px, to, to_px }
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
    use crate::api::PlanGraph;
    use crate::plan_graph::example;
    use crate::svg::tests::{Numbers, no_text_overlaps_another};
    use serde_json::json;

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
        no_text_overlaps_another(&text);
    }

    /// Plans in layers, each with inputs that others feed; tags and paths are short and long, of narrow and wide characters.
    fn any_graph(numbers: &mut Numbers) -> PlanGraph {
        let words = [
            "raw",
            "a model with a long name",
            "日本語の長い名前のデータセット",
            "WWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWW",
            "x",
        ];
        let id = |number: usize| format!("{number:08}-1111-4111-8111-111111111111");
        let (mut plans, mut edges) = (Vec::new(), Vec::new());
        for number in 0..2 + numbers.below(25) {
            let mut inputs = Vec::new();
            for input in 0..1 + numbers.below(4) {
                let path = format!("/in/{}/{input}", words[numbers.below(5)]);
                inputs.push(json!({"path": path, "tags": [format!("type:{}", words[numbers.below(5)])]}));
                for _ in 0..numbers.below(3).min(number) {
                    let from = number - 1 - numbers.below(number.min(6));
                    edges.push(json!({"from": id(from), "output": "/out", "to": id(number), "input": path}));
                }
            }
            plans.push(json!({
                "planId": id(number), "image": format!("{}:v1", words[numbers.below(5)]), "active": true,
                "args": [words[numbers.below(5)], words[numbers.below(5)]],
                "inputs": inputs, "outputs": [{"path": "/out", "tags": ["type:any"]}], "log": {"tags": ["type:log"]},
            }));
        }
        serde_json::from_value(json!({"start": id(0), "plans": plans, "edges": edges, "cut": []})).unwrap()
    }

    #[test]
    fn no_text_of_a_picture_overlaps_another() {
        for seed in 0..100 {
            let graph = any_graph(&mut Numbers(seed));
            let mut text = Vec::new();
            draw(&PlanIndex::new(&graph), &mut text).unwrap();
            no_text_overlaps_another(std::str::from_utf8(&text).unwrap());
        }
    }
}
