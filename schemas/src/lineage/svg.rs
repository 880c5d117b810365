//! Lineage as a picture (SVG): Data and Runs in columns from left to right, as data flow.
//!
//! All boxes must be known before the first is placed, so the graph is needed whole; a server bounds it.
//!
//! A Run is a box with a row for every mount, so that no two edges need a label in the same place.

use std::collections::HashMap;
use std::io::{self, Write};

use super::graph::{Data, Run, Tag};
use super::{Index, Zone};
use crate::svg::layout::{self, Edge, Place};
use crate::svg::{self, Xml};

/// Tags of a Data that are shown; more would hide the graph behind them.
const TAGS_MAX: usize = 6;
/// Lines of a Run above its mounts, beside its command.
const RUN_LINES: usize = 3;

/// Writes the picture, with times as `zone` has them.
///
/// # Errors
/// What writing to `out` says.
pub fn draw(index: &Index<'_>, zone: Zone, out: &mut impl Write) -> io::Result<()> {
    let boxes = Boxes::of(index);
    let edges = boxes.edges(index);
    let lines: Vec<Edge> = edges.iter().map(|(edge, _)| *edge).collect();
    let start = boxes.numbers.get(index.graph.start.as_str()).copied();
    let picture = layout::picture(&lines, &boxes.heights, 0, start);
    svg::begin(out, picture.size_px)?;
    for ((_, path), route) in edges.iter().zip(&picture.routes) {
        svg::edge(out, path, route)?;
    }
    let (of_data, of_runs) = picture.places.split_at(index.graph.data.len());
    for (data, place) in index.graph.data.iter().zip(of_data) {
        data_box(index, zone, data, *place, out)?;
    }
    for (run, place) in index.graph.runs.iter().zip(of_runs) {
        run_box(index, zone, run, *place, out)?;
    }
    svg::end(out)
}

fn data_box(index: &Index<'_>, zone: Zone, data: &Data<'_>, at: Place, out: &mut impl Write) -> io::Result<()> {
    let start = if data.knit_id == index.graph.start { " start" } else { "" };
    let cut = if index.is_cut(data) { " cut" } else { "" };
    svg::frame(out, &format!("d{start}{cut}"), at)?;
    write!(out, "<title>Data {}", Xml(data.knit_id.as_str()))?;
    for (key, value) in data.tags.iter().map(Tag::parts) {
        write!(out, "\n{}:{}", Xml(key), Xml(value))?;
    }
    write!(out, "</title>")?;
    for (row, line) in data_lines(index, data, zone).iter().enumerate() {
        svg::text(out, at, row, if row == 0 { "h" } else { "" }, line)?;
    }
    writeln!(out, "</g>")
}

fn data_lines(index: &Index<'_>, data: &Data<'_>, zone: Zone) -> Vec<String> {
    let mut lines = vec![format!("Data {}", data.knit_id.as_str())];
    let made_at = data.made_at().and_then(|at| crate::instant::Instant::parse(at).ok());
    lines.extend(made_at.map(|at| format!("made {}", zone(&at))));
    lines.extend(data.transient().map(|why| format!("({why})")));
    let users: Vec<(&str, &str)> = data.tags.iter().filter(|tag| !tag.is_system()).map(Tag::parts).collect();
    lines.extend(users.iter().take(TAGS_MAX).map(|(key, value)| format!("{key}:{value}")));
    lines.extend(users.len().checked_sub(TAGS_MAX + 1).map(|more| format!("… and {} more tags", more + 1)));
    lines.extend(index.is_cut(data).then(|| "more beyond".to_owned()));
    lines
}

fn run_box(index: &Index<'_>, zone: Zone, run: &Run<'_>, at: Place, out: &mut impl Write) -> io::Result<()> {
    svg::frame(out, if run.run_id == index.graph.start { "r start" } else { "r" }, at)?;
    let what = index.what_runs(run);
    let command = index.command(run).join(" ");
    write!(out, "<title>Run {}\n{}\n{}</title>", Xml(run.run_id.as_str()), Xml(what), Xml(&command))?;
    svg::text(out, at, 0, "h", &format!("Run {}", run.run_id.as_str()))?;
    let class = match run.status.as_str() {
        "done" | "completing" => "ok",
        "failed" | "aborting" => "bad",
        _ => "s",
    };
    svg::text(out, at, 1, class, &format!("{} {}", run.status.as_str(), zone(&run.updated_at)))?;
    svg::text(out, at, 2, "", what)?;
    if let Some(line) = index.command_line(run) {
        svg::text(out, at, RUN_LINES, "s", line)?;
    }
    let taken = index.taken(run).into_iter().map(|(path, _)| path);
    svg::ports(out, at, head_lines(index, run), taken, index.made(run).into_iter().map(|(path, _)| path))?;
    writeln!(out, "</g>")
}

/// Lines of a Run above its mounts.
fn head_lines(index: &Index<'_>, run: &Run<'_>) -> usize {
    RUN_LINES + usize::from(index.command_line(run).is_some())
}

/// The boxes before they are placed: first the Data, then the Runs.
struct Boxes<'a> {
    heights: Vec<usize>,
    numbers: HashMap<&'a str, usize>,
}

impl<'a> Boxes<'a> {
    fn of(index: &Index<'a>) -> Self {
        let graph = index.graph;
        let of_data = graph.data.iter().map(|data| data.knit_id.as_str());
        let ids = of_data.chain(graph.runs.iter().map(|run| run.run_id.as_str()));
        let of_data = graph.data.iter().map(|data| data_lines(index, data, |made| *made).len());
        let of_runs =
            graph.runs.iter().map(|run| head_lines(index, run) + index.taken(run).len().max(index.made(run).len()));
        let heights = of_data.chain(of_runs).map(svg::height_px).collect();
        Self { heights, numbers: ids.enumerate().map(|(number, id)| (id, number)).collect() }
    }

    /// What flows, each with the path of its mount: Data from and to the row of their id, Runs from and to those of their
    /// mounts.
    fn edges(&self, index: &Index<'a>) -> Vec<(Edge, &'a str)> {
        let mut edges = Vec::new();
        for run in &index.graph.runs {
            let (number, head) = (self.numbers[run.run_id.as_str()], head_lines(index, run));
            let of_data = |data: &Data<'_>| self.numbers[data.knit_id.as_str()];
            let first_px = svg::middle_px(0);
            for (row, (path, data)) in index.taken(run).into_iter().enumerate() {
                let (from, to_px) = (of_data(data), svg::middle_px(head + row));
                edges.push((Edge { from, from_px: first_px, to: number, to_px }, path));
            }
            for (row, (path, data)) in index.made(run).into_iter().enumerate() {
                let (to, from_px) = (of_data(data), svg::middle_px(head + row));
                edges.push((Edge { from: number, from_px, to, to_px: first_px }, path));
            }
        }
        edges
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lineage::example;

    #[test]
    fn a_picture_has_a_box_for_every_node_and_a_line_for_every_edge() {
        let graph = example::graph();
        let mut text = Vec::new();
        draw(&Index::new(&graph), |instant| *instant, &mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        assert_eq!(text.matches("<rect class=\"d").count(), 3);
        assert_eq!(text.matches("<rect class=\"r\"").count(), 2);
        assert_eq!(text.matches("<path class=\"e\"").count(), 4);
        assert!(text.contains("note:a &quot;quote&quot; &amp; &lt;b&gt;"), "{text}");
        assert!(text.contains("class=\"d cut\""), "{text}");
        assert_eq!(text.matches(">python train.py --rate=0.1</text>").count(), 2, "{text}");
        assert_eq!(text.matches("<g>").count(), text.matches("</g>").count());
        crate::svg::tests::no_text_overlaps_another(&text);
    }
}
