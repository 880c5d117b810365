//! Lineage as a picture (SVG): Data and Runs in columns from left to right, as data flow.
//!
//! A Run is a box with a row for every mount, so that no two edges need a label in the same place. Where the boxes
//! are is worked out in [`layout`]; here they are painted.

mod layout;

use std::fmt;
use std::io::{self, Write};

use super::graph::{Data, Run, Tag};
use super::{Index, Zone};
use layout::{Layout, Node, Place};

/// Pixels of a line of text.
const LINE_PX: usize = 15;
/// Pixels of a box from left to right: a bold id of 36 characters fits.
const WIDTH_PX: usize = 330;
/// Pixels between the edge of a box and what is in it.
const INSET_PX: usize = 6;
/// Characters that fit into a box; longer texts are cut and are whole in what the pointer shows.
const CHARS_MAX: usize = 42;
/// Characters of a mount path that fit into half a box.
const PATH_CHARS_MAX: usize = 20;
/// Tags of a Data that are shown; more would hide the graph behind them.
const TAGS_MAX: usize = 6;

/// Writes the picture, with times as `zone` has them.
///
/// # Errors
/// What writing to `out` says.
pub fn draw(index: &Index<'_>, zone: Zone, out: &mut impl Write) -> io::Result<()> {
    let layout = Layout::of(index, |node| height_px(index, node));
    let (width, height) = layout.size_px();
    writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"sans-serif\" font-size=\"11\">\n{STYLE}"
    )?;
    for run in &index.graph.runs {
        edges(index, &layout, run, out)?;
    }
    for data in &index.graph.data {
        data_box(index, zone, data, layout.of_data(data), out)?;
    }
    for run in &index.graph.runs {
        run_box(index, zone, run, layout.of_run(run), out)?;
    }
    writeln!(out, "</svg>")
}

/// The colours of the drawing as DOT.
const STYLE: &str = "<style>.d{fill:#fff;stroke:#1c9930}.start{fill:#d4ecc6}.cut{stroke-dasharray:5 3}\
.r{fill:#fff;stroke:#ffa500}.e{fill:none;stroke:#888}.h{font-weight:bold}.s{fill:#666}.ok{fill:#070}.bad{fill:#c00}</style>
<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>";

fn height_px(index: &Index<'_>, node: Node<'_>) -> usize {
    let lines = match node {
        Node::Data(data) => data_lines(index, data, |made| *made).len(),
        Node::Run(run) => RUN_LINES + index.taken(run).len().max(index.made(run).len()),
    };
    lines * LINE_PX + INSET_PX
}

/// Lines of a Run above its mounts.
const RUN_LINES: usize = 3;

/// Middle of the `row`th line of a box.
fn row_px(place: Place, row: usize) -> usize {
    place.y_px + row * LINE_PX + LINE_PX / 2 + INSET_PX / 2
}

fn edges(index: &Index<'_>, layout: &Layout<'_>, run: &Run<'_>, out: &mut impl Write) -> io::Result<()> {
    let at = layout.of_run(run);
    for (row, (path, data)) in index.taken(run).into_iter().enumerate() {
        let from = layout.of_data(data);
        edge(out, path, (from.x_px + WIDTH_PX, row_px(from, 0)), (at.x_px, row_px(at, RUN_LINES + row)))?;
    }
    for (row, (path, data)) in index.made(run).into_iter().enumerate() {
        let to = layout.of_data(data);
        edge(out, path, (at.x_px + WIDTH_PX, row_px(at, RUN_LINES + row)), (to.x_px, row_px(to, 0)))?;
    }
    Ok(())
}

fn edge(out: &mut impl Write, path: &str, (x, y): (usize, usize), (to_x, to_y): (usize, usize)) -> io::Result<()> {
    let bend = usize::midpoint(x, to_x);
    let title = Xml(path);
    writeln!(
        out,
        "<path class=\"e\" d=\"M{x} {y}C{bend} {y} {bend} {to_y} {to_x} {to_y}\"><title>{title}</title></path>"
    )
}

fn data_box(index: &Index<'_>, zone: Zone, data: &Data<'_>, at: Place, out: &mut impl Write) -> io::Result<()> {
    let start = if data.knit_id == index.graph.start { " start" } else { "" };
    let cut = if index.is_cut(data) { " cut" } else { "" };
    frame(out, &format!("d{start}{cut}"), at)?;
    write!(out, "<title>Data {}", Xml(data.knit_id.as_str()))?;
    for (key, value) in data.tags.iter().map(Tag::parts) {
        write!(out, "\n{}:{}", Xml(key), Xml(value))?;
    }
    write!(out, "</title>")?;
    for (row, line) in data_lines(index, data, zone).iter().enumerate() {
        text(out, at, row, if row == 0 { "h" } else { "" }, line)?;
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
    frame(out, if run.run_id == index.graph.start { "r start" } else { "r" }, at)?;
    let what = index.what_runs(run);
    let command = index.command(run).join(" ");
    write!(out, "<title>Run {}\n{}\n{}</title>", Xml(run.run_id.as_str()), Xml(what), Xml(&command))?;
    text(out, at, 0, "h", &format!("Run {}", run.run_id.as_str()))?;
    let class = match run.status.as_str() {
        "done" | "completing" => "ok",
        "failed" | "aborting" => "bad",
        _ => "s",
    };
    text(out, at, 1, class, &format!("{} {}", run.status.as_str(), zone(&run.updated_at)))?;
    text(out, at, 2, "", what)?;
    let left = at.x_px + INSET_PX;
    for (row, (path, _)) in index.taken(run).into_iter().enumerate() {
        label(out, left, row_px(at, RUN_LINES + row), "s", &ending(path))?;
    }
    let right = at.x_px + WIDTH_PX - INSET_PX;
    for (row, (path, _)) in index.made(run).into_iter().enumerate() {
        label(out, right, row_px(at, RUN_LINES + row), "s\" text-anchor=\"end", &ending(path))?;
    }
    writeln!(out, "</g>")
}

fn frame(out: &mut impl Write, class: &str, at: Place) -> io::Result<()> {
    let (Place { x_px, y_px, height_px }, width) = (at, WIDTH_PX);
    write!(
        out,
        "<g><rect class=\"{class}\" x=\"{x_px}\" y=\"{y_px}\" width=\"{width}\" height=\"{height_px}\" rx=\"4\"/>"
    )
}

fn text(out: &mut impl Write, at: Place, row: usize, class: &str, line: &str) -> io::Result<()> {
    label(out, at.x_px + INSET_PX, row_px(at, row), class, &beginning(line))
}

fn label(out: &mut impl Write, x: usize, middle: usize, class: &str, line: &str) -> io::Result<()> {
    // Four pixels below its middle is the base of a line of this size.
    write!(out, "<text class=\"{class}\" x=\"{x}\" y=\"{}\">{}</text>", middle + 4, Xml(line))
}

/// What fits into a box.
fn beginning(line: &str) -> String {
    match line.char_indices().nth(CHARS_MAX) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line.to_owned(),
    }
}

/// The end of a path, which tells more than its beginning.
fn ending(path: &str) -> String {
    let chars = path.chars().count();
    if chars <= PATH_CHARS_MAX {
        return path.to_owned();
    }
    format!("…{}", path.chars().skip(chars - PATH_CHARS_MAX).collect::<String>())
}

/// Text of the document. Control characters have no place in XML.
struct Xml<'a>(&'a str);

impl fmt::Display for Xml<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                _ if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => f.write_str(" ")?,
                _ => write!(f, "{c}")?,
            }
        }
        Ok(())
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
        assert_eq!(text.matches("<g>").count(), text.matches("</g>").count());
    }

    #[test]
    fn what_is_too_long_for_a_box_is_cut_at_characters() {
        assert_eq!(beginning(&"é".repeat(50)).chars().count(), CHARS_MAX + 1);
        assert_eq!(ending("/out/a/very/long/path/to/the/model"), "…ng/path/to/the/model");
        assert_eq!(ending("/out/model"), "/out/model");
    }
}
