//! Lineage as a picture (SVG): Data and Runs in columns from left to right, as data flow.
//!
//! All boxes must be known before the first is placed, so the graph is needed whole; a server bounds it.
//!
//! A Run is a box with a row for every mount, so that no two edges need a label in the same place.

use std::collections::HashMap;
use std::io::{self, Write};

use super::graph::{Data, Run, Tag};
use super::{Index, Zone};
use crate::svg::layout::{self, Flow, Place};
use crate::svg::{self, WIDTH_PX, Xml, edge, row_px};

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
    svg::begin(out, layout::size_px(&boxes.places))?;
    for run in &index.graph.runs {
        edges(index, &boxes, run, out)?;
    }
    for data in &index.graph.data {
        data_box(index, zone, data, boxes.of_data(data), out)?;
    }
    for run in &index.graph.runs {
        run_box(index, zone, run, boxes.of_run(run), out)?;
    }
    svg::end(out)
}

fn edges(index: &Index<'_>, boxes: &Boxes<'_>, run: &Run<'_>, out: &mut impl Write) -> io::Result<()> {
    let (at, head) = (boxes.of_run(run), head_lines(index, run));
    for (row, (path, data)) in index.taken(run).into_iter().enumerate() {
        let from = boxes.of_data(data);
        edge(out, path, (from.x_px + WIDTH_PX, row_px(from, 0)), (at.x_px, row_px(at, head + row)))?;
    }
    for (row, (path, data)) in index.made(run).into_iter().enumerate() {
        let to = boxes.of_data(data);
        edge(out, path, (at.x_px + WIDTH_PX, row_px(at, head + row)), (to.x_px, row_px(to, 0)))?;
    }
    Ok(())
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

/// Every box in its place.
struct Boxes<'a> {
    places: Vec<Place>,
    data: HashMap<&'a str, usize>,
    runs: HashMap<&'a str, usize>,
}

impl<'a> Boxes<'a> {
    fn of(index: &Index<'a>) -> Self {
        let graph = index.graph;
        let data = graph.data.iter().enumerate().map(|(n, data)| (data.knit_id.as_str(), n)).collect();
        let first_run = graph.data.len();
        let runs = graph.runs.iter().enumerate().map(|(n, run)| (run.run_id.as_str(), first_run + n)).collect();
        let of_data = graph.data.iter().map(|data| data_lines(index, data, |made| *made).len());
        let of_runs =
            graph.runs.iter().map(|run| head_lines(index, run) + index.taken(run).len().max(index.made(run).len()));
        let heights: Vec<usize> = of_data.chain(of_runs).map(svg::height_px).collect();
        let mut boxes = Self { places: Vec::new(), data, runs };
        boxes.places = layout::placed(&boxes.flow(index, heights.len()), &heights, 0);
        boxes
    }

    fn of_data(&self, data: &Data<'_>) -> Place {
        self.places[self.data[data.knit_id.as_str()]]
    }

    fn of_run(&self, run: &Run<'_>) -> Place {
        self.places[self.runs[run.run_id.as_str()]]
    }

    fn flow(&self, index: &Index<'a>, nodes: usize) -> Flow {
        let mut flow = Flow::among(nodes);
        for run in &index.graph.runs {
            let at = self.runs[run.run_id.as_str()];
            for (_, data) in index.taken(run) {
                flow.join(self.data[data.knit_id.as_str()], at);
            }
            for (_, data) in index.made(run) {
                flow.join(at, self.data[data.knit_id.as_str()]);
            }
        }
        flow
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
    }
}
