//! Pictures (SVG): boxes with lines of text in columns from left to right, and curves between them.
//!
//! Where the boxes are is worked out in [`layout`]; here they are painted.

pub(crate) mod layout;

use std::fmt;
use std::io::{self, Write};

use layout::Place;

/// Pixels of a line of text.
pub(crate) const LINE_PX: usize = 15;
/// Pixels of a box from left to right: a bold id of 36 characters fits.
pub(crate) const WIDTH_PX: usize = 330;
/// Pixels between the edge of a box and what is in it.
pub(crate) const INSET_PX: usize = 6;
/// Pixels for a curve to turn.
const TURN_PX: usize = 60;
/// Characters that fit into a box; longer texts are cut and are whole in what the pointer shows.
const CHARS_MAX: usize = 42;
/// Characters of a mount path that fit into half a box.
const PATH_CHARS_MAX: usize = 20;

/// Pixels between two columns for what stands on an edge; what is longer is cut and is whole in what the pointer shows.
pub(crate) const EDGE_TEXT_PX: usize = 130;
/// Characters that fit there.
const EDGE_CHARS_MAX: usize = 24;

/// The colours of the drawing as DOT.
const STYLE: &str = "<style>.d{fill:#fff;stroke:#1c9930}.r{fill:#fff;stroke:#ffa500}.p{fill:#fff;stroke:#daa520}\
.start{fill:#d4ecc6}.p.start{fill:#edd9b4}.cut{stroke-dasharray:5 3}.e{fill:none;stroke:#888}.b{stroke-dasharray:2 4}.h{font-weight:bold}\
.s{fill:#666}.ok{fill:#070}.bad{fill:#c00}</style>
<defs><marker id=\"arrow\" viewBox=\"0 0 8 6\" refX=\"8\" refY=\"3\" markerWidth=\"8\" markerHeight=\"6\" orient=\"auto\">\
<path d=\"M0 0L8 3L0 6z\" fill=\"#888\"/></marker></defs>
<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>";

/// Begins a picture of that size.
pub(crate) fn begin(out: &mut impl Write, (width, height): (usize, usize)) -> io::Result<()> {
    writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"sans-serif\" font-size=\"11\">\n{STYLE}"
    )
}

/// Ends a picture.
pub(crate) fn end(out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "</svg>")
}

/// Pixels from the top to the bottom of a box with so many lines.
pub(crate) fn height_px(lines: usize) -> usize {
    lines * LINE_PX + INSET_PX
}

/// The box itself, in a group that whoever paints into it closes.
pub(crate) fn frame(out: &mut impl Write, class: &str, at: Place) -> io::Result<()> {
    let (Place { x_px, y_px, height_px }, width) = (at, WIDTH_PX);
    write!(
        out,
        "<g><rect class=\"{class}\" x=\"{x_px}\" y=\"{y_px}\" width=\"{width}\" height=\"{height_px}\" rx=\"4\"/>"
    )
}

/// A line of a box, cut to what has room.
pub(crate) fn text(out: &mut impl Write, at: Place, row: usize, class: &str, line: &str) -> io::Result<()> {
    label(out, at.x_px + INSET_PX, row_px(at, row), class, &beginning(line))
}

/// The mount paths of a box, from a row on: inputs at its left edge, outputs at its right.
pub(crate) fn ports<'a>(
    out: &mut impl Write,
    at: Place,
    first_row: usize,
    inputs: impl Iterator<Item = &'a str>,
    outputs: impl Iterator<Item = &'a str>,
) -> io::Result<()> {
    for (row, path) in inputs.enumerate() {
        label(out, at.x_px + INSET_PX, row_px(at, first_row + row), "s", &ending(path))?;
    }
    let right = at.x_px + WIDTH_PX - INSET_PX;
    for (row, path) in outputs.enumerate() {
        label(out, right, row_px(at, first_row + row), "s\" text-anchor=\"end", &ending(path))?;
    }
    Ok(())
}

/// Text at a point.
pub(crate) fn label(out: &mut impl Write, x: usize, middle: usize, class: &str, line: &str) -> io::Result<()> {
    // Four pixels below its middle is the base of a line of this size.
    write!(out, "<text class=\"{class}\" x=\"{x}\" y=\"{}\">{}</text>", middle + 4, Xml(line))
}

/// Middle of the `row`th line of a box.
pub(crate) fn row_px(place: Place, row: usize) -> usize {
    place.y_px + row * LINE_PX + LINE_PX / 2 + INSET_PX / 2
}

/// An arrow from the right edge of a box to the left edge of another; the pointer shows `title`. Where the picture goes on
/// in another row, it is dotted, and both ends say so: it passes behind boxes with which it has nothing to do.
pub(crate) fn edge(
    out: &mut impl Write,
    title: &str,
    (x, y): (usize, usize),
    (to_x, to_y): (usize, usize),
) -> io::Result<()> {
    let middle = usize::midpoint(x, to_x);
    // What goes on below leads back to the left, and leaves and enters boxes where others do.
    let (bend, to_bend) = if x < to_x { (middle, middle) } else { (x + TURN_PX, to_x.saturating_sub(TURN_PX)) };
    let class = if x < to_x { "e" } else { "e b" };
    let title = Xml(title);
    writeln!(
        out,
        "<path class=\"{class}\" marker-end=\"url(#arrow)\" \
         d=\"M{x} {y}C{bend} {y} {to_bend} {to_y} {to_x} {to_y}\"><title>{title}</title></path>"
    )?;
    if x < to_x {
        return Ok(());
    }
    let (there, here) = if y < to_y { ("↓ below", "↑ above") } else { ("↑ above", "↓ below") };
    label(out, x + INSET_PX, y.saturating_sub(LINE_PX / 2), "s", there)?;
    label(out, to_x.saturating_sub(2 * INSET_PX), to_y.saturating_sub(LINE_PX / 2), "s\" text-anchor=\"end", here)?;
    writeln!(out)
}

/// What fits on an edge.
pub(crate) fn on_edge(line: &str) -> String {
    cut(line, EDGE_CHARS_MAX)
}

/// What fits into a box.
fn beginning(line: &str) -> String {
    cut(line, CHARS_MAX)
}

fn cut(line: &str, chars_max: usize) -> String {
    match line.char_indices().nth(chars_max) {
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
pub(crate) struct Xml<'a>(pub(crate) &'a str);

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

    #[test]
    fn an_edge_has_an_arrowhead_and_where_a_row_goes_on_both_of_its_ends_say_so() {
        let drawn = |from, to| {
            let mut text = Vec::new();
            edge(&mut text, "/in", from, to).unwrap();
            String::from_utf8(text).unwrap()
        };
        let (beside, back) = (drawn((350, 30), (420, 60)), drawn((3_000, 30), (20, 200)));
        assert!(
            beside.contains("<path class=\"e\" marker-end=\"url(#arrow)\"") && !beside.contains("text"),
            "{beside}"
        );
        assert!(back.contains("<path class=\"e b\" marker-end"), "{back}");
        assert!(back.contains(">↓ below</text>") && back.contains(">↑ above</text>"), "{back}");
        assert!(drawn((3_000, 200), (20, 30)).contains(">↑ above</text>"));
    }

    #[test]
    fn what_is_too_long_for_a_box_is_cut_at_characters() {
        assert_eq!(beginning(&"é".repeat(50)).chars().count(), CHARS_MAX + 1);
        assert_eq!(ending("/out/a/very/long/path/to/the/model"), "…ng/path/to/the/model");
        assert_eq!(ending("/out/model"), "/out/model");
    }
}
