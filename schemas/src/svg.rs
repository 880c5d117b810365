//! Pictures (SVG): boxes with lines of text in columns from left to right, and curves between them.
//!
//! Where the boxes are and how edges go between them is worked out in [`layout`]; here they are painted.

pub(crate) mod layout;
mod route;
mod text;

use std::io::{self, Write};

use layout::Place;
pub(crate) use route::Route;
pub(crate) use text::Xml;
use text::{FONT_PX, beginning, ending};

/// Pixels of a line of text.
const LINE_PX: usize = 15;
/// Pixels of a box from left to right: a bold id of 36 characters fits.
const WIDTH_PX: usize = 330;
/// Pixels between the edge of a box and what is in it.
const INSET_PX: usize = 6;
/// Pixels between two columns for what stands on an edge; what is longer is cut and is whole in what the pointer shows.
pub(crate) const EDGE_TEXT_PX: usize = 150;

/// The colours of the drawing as DOT.
const STYLE: &str = "<style>.d{fill:#fff;stroke:#1c9930}.r{fill:#fff;stroke:#ffa500}.p{fill:#fff;stroke:#daa520}\
.start{fill:#d4ecc6}.p.start{fill:#edd9b4}.cut{stroke-dasharray:5 3}.e{fill:none;stroke:#888}.h{font-weight:bold}\
.s{fill:#666}.t{fill:#666;stroke:#fff;stroke-width:3;paint-order:stroke}.ok{fill:#070}.bad{fill:#c00}</style>
<defs><marker id=\"arrow\" viewBox=\"0 0 8 6\" refX=\"8\" refY=\"3\" markerWidth=\"8\" markerHeight=\"6\" orient=\"auto\">\
<path d=\"M0 0L8 3L0 6z\" fill=\"#888\"/></marker></defs>
<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>";

/// Begins a picture of that size.
pub(crate) fn begin(out: &mut impl Write, (width, height): (usize, usize)) -> io::Result<()> {
    writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"sans-serif\" font-size=\"{FONT_PX}\">\n{STYLE}"
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
    let line = beginning(line, WIDTH_PX - 2 * INSET_PX, class == "h");
    label(out, at.x_px + INSET_PX, row_px(at, row), class, &line)
}

/// The mount paths of a box, from a row on: inputs at its left edge, outputs at its right.
pub(crate) fn ports<'a>(
    out: &mut impl Write,
    at: Place,
    first_row: usize,
    inputs: impl Iterator<Item = &'a str>,
    outputs: impl Iterator<Item = &'a str>,
) -> io::Result<()> {
    // An input may stand beside an output.
    let room_px = WIDTH_PX / 2 - 2 * INSET_PX;
    for (row, path) in inputs.enumerate() {
        label(out, at.x_px + INSET_PX, row_px(at, first_row + row), "s", &ending(path, room_px))?;
    }
    let right = at.x_px + WIDTH_PX - INSET_PX;
    for (row, path) in outputs.enumerate() {
        label(out, right, row_px(at, first_row + row), "s\" text-anchor=\"end", &ending(path, room_px))?;
    }
    Ok(())
}

/// Text at a point.
fn label(out: &mut impl Write, x: usize, middle: usize, class: &str, line: &str) -> io::Result<()> {
    // Four pixels below its middle is the base of a line of this size.
    write!(out, "<text class=\"{class}\" x=\"{x}\" y=\"{}\">{}</text>", middle + 4, Xml(line))
}

/// Middle of the `row`th line of a box, from the top of the picture.
fn row_px(place: Place, row: usize) -> usize {
    place.y_px + middle_px(row)
}

/// Middle of the `row`th line of a box, from its top.
pub(crate) fn middle_px(row: usize) -> usize {
    row * LINE_PX + LINE_PX / 2 + INSET_PX / 2
}

/// An arrow from the right edge of a box to the left edge of another; the pointer shows `title`.
pub(crate) fn edge(out: &mut impl Write, title: &str, route: &Route) -> io::Result<()> {
    let title = Xml(title);
    writeln!(out, "<path class=\"e\" marker-end=\"url(#arrow)\" d=\"{route}\"><title>{title}</title></path>")
}

/// What stands where an edge ends, above it: edges that pass do not hide it.
pub(crate) fn edge_text(out: &mut impl Write, (x, y): (usize, usize), line: &str) -> io::Result<()> {
    let line = beginning(line, EDGE_TEXT_PX - INSET_PX, false);
    label(out, x - INSET_PX, y - LINE_PX / 2, "t\" text-anchor=\"end", &line)?;
    writeln!(out)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Numbers that look like chance and are the same each time.
    pub(crate) struct Numbers(pub(crate) u64);

    impl Numbers {
        pub(crate) fn below(&mut self, end: usize) -> usize {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(self.0 >> 33).unwrap() % end
        }
    }

    /// Texts of a picture with the room they take: left, right, top and bottom.
    fn texts(picture: &str) -> Vec<(String, [usize; 4])> {
        let text = |part: &str| {
            let (attributes, rest) = part.split_once('>').unwrap();
            let attribute = |name: &str| {
                let (_, from) = attributes.split_once(&format!(" {name}=\"")).unwrap();
                from.split('"').next().unwrap().to_owned()
            };
            let line = rest.split("</text>").next().unwrap();
            let line = line.replace("&quot;", "\"").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
            let (x, base): (usize, usize) = (attribute("x").parse().unwrap(), attribute("y").parse().unwrap());
            let width = text::width_px(&line, attribute("class") == "h");
            let left = if attributes.contains("text-anchor=\"end\"") { x.checked_sub(width).unwrap() } else { x };
            (line, [left, left + width, base - FONT_PX + 2, base + 2])
        };
        picture.split("<text").skip(1).map(text).collect()
    }

    /// Fails if a text of the picture lies on another one, or outside.
    #[track_caller]
    pub(crate) fn no_text_overlaps_another(picture: &str) {
        let texts = texts(picture);
        let size: Vec<usize> = ["width", "height"]
            .map(|name| picture.split(&format!("{name}=\"")).nth(1).unwrap())
            .map(|rest| rest.split('"').next().unwrap().parse().unwrap())
            .to_vec();
        for (n, (line, [left, right, top, bottom])) in texts.iter().enumerate() {
            assert!(*right <= size[0] && *bottom <= size[1], "{line} is outside");
            for (other, [its_left, its_right, its_top, its_bottom]) in &texts[n + 1..] {
                let apart = right <= its_left || its_right <= left || bottom <= its_top || its_bottom <= top;
                assert!(apart, "{line} and {other} overlap");
            }
        }
    }

    #[test]
    fn an_edge_has_an_arrowhead_and_says_what_it_is() {
        let mut text = Vec::new();
        let mut route = Route::from((350, 30));
        route.curve((420, 60));
        edge(&mut text, "/in & /out", &route).unwrap();
        let text = String::from_utf8(text).unwrap();
        assert_eq!(
            text,
            "<path class=\"e\" marker-end=\"url(#arrow)\" d=\"M350 30C385 30 385 60 420 60\">\
             <title>/in &amp; /out</title></path>\n"
        );
    }

    #[test]
    #[should_panic(expected = "overlap")]
    fn texts_that_overlap_are_found() {
        no_text_overlaps_another(
            "<svg width=\"99\" height=\"99\"><text class=\"\" x=\"20\" y=\"20\">one</text><text class=\"s\" x=\"24\" y=\"25\">two</text>",
        );
    }
}
