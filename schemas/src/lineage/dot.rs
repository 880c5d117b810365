//! Lineage as DOT, for Graphviz (knit-cli 2.8).

use std::fmt;
use std::io::{self, Write};
use std::iter;

use super::graph::{Data, Graph, Run};
use super::{Index, Zone};
use crate::instant::Instant;

pub(crate) const DATA_COLOUR: &str = "#1c9930";
const START_COLOUR: &str = "#d4ecc6";
const RUN_COLOUR: &str = "#FFA500";
pub(crate) const GOOD_COLOUR: &str = "#007700";

/// Writes the graph, with times as `zone` has them. Edges always follow the flow of data.
///
/// # Errors
/// What writing to `out` says.
pub fn draw(index: &Index<'_>, zone: Zone, out: &mut impl Write) -> io::Result<()> {
    parts(index, usize::MAX).try_for_each(|part| part.draw(index, zone, out))
}

/// A part of the file.
#[derive(Debug, Clone, Copy)]
pub enum Part<'a> {
    /// What stands before all nodes.
    Beginning,
    /// A node for each of these Data.
    Data(&'a [Data<'a>]),
    /// A node for each of these Runs.
    Runs(&'a [Run<'a>]),
    /// The nodes from which uploads and imports come.
    Roots,
    /// What these Runs took and made.
    Edges(&'a [Run<'a>]),
    /// An edge from each root to its Run.
    RootEdges,
    /// What stands behind all edges.
    End,
}

/// The parts of the file, in their order, each with `nodes` of its nodes at most. They know nothing of each other, so
/// that several may be drawn at once. Whoever has a graph only in pieces draws all pieces of a part before the next.
///
/// # Panics
/// When `nodes` is 0.
pub fn parts<'a>(index: &Index<'a>, nodes: usize) -> impl Iterator<Item = Part<'a>> + use<'a> {
    let Graph { data, runs, .. } = index.graph;
    iter::once(Part::Beginning)
        .chain(data.chunks(nodes).map(Part::Data))
        .chain(runs.chunks(nodes).map(Part::Runs))
        .chain([Part::Roots])
        .chain(runs.chunks(nodes).map(Part::Edges))
        .chain([Part::RootEdges, Part::End])
}

impl Part<'_> {
    /// Writes it, with times as `zone` has them.
    ///
    /// # Errors
    /// What writing to `out` says.
    pub fn draw(self, index: &Index<'_>, zone: Zone, out: &mut impl Write) -> io::Result<()> {
        match self {
            Self::Beginning => begin(out),
            Self::Data(data) => data_nodes(index, data, zone, out),
            Self::Runs(runs) => run_nodes(index, runs, zone, out),
            Self::Roots => (0..roots(index).count()).try_for_each(|n| root_node(n, out)),
            Self::Edges(runs) => edges(index, runs, out),
            Self::RootEdges => root_edges(index, 0, out),
            Self::End => end(out),
        }
    }
}

/// What stands before all nodes.
///
/// # Errors
/// What writing to `out` says.
pub fn begin(out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "digraph G {{\n\tnode [shape=record fontsize=10]\n\tedge [fontsize=10]")
}

/// A node for each of these Data of the graph.
///
/// # Errors
/// What writing to `out` says.
pub fn data_nodes(index: &Index<'_>, data: &[Data<'_>], zone: Zone, out: &mut impl Write) -> io::Result<()> {
    data.iter().try_for_each(|data| data_node(index, zone, data, out))
}

/// A node for each of these Runs of the graph.
///
/// # Errors
/// What writing to `out` says.
pub fn run_nodes(index: &Index<'_>, runs: &[Run<'_>], zone: Zone, out: &mut impl Write) -> io::Result<()> {
    runs.iter().try_for_each(|run| run_node(index, zone, run, out))
}

/// The node from which an upload or import comes; `n` is its number among these.
///
/// # Errors
/// What writing to `out` says.
pub fn root_node(n: usize, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "\t\"root#{n}\"[shape=Mdiamond];")
}

/// Runs without inputs: uploads and imports.
pub fn roots<'a>(index: &Index<'a>) -> impl Iterator<Item = &'a Run<'a>> {
    index.graph.runs.iter().filter(|run| run.inputs.is_empty())
}

/// An edge for everything that one of these Runs took or made and that is in the graph.
///
/// # Errors
/// What writing to `out` says.
pub fn edges(index: &Index<'_>, runs: &[Run<'_>], out: &mut impl Write) -> io::Result<()> {
    for run in runs {
        let run_id = Quoted(run.run_id.as_str());
        for (path, data) in index.taken(run) {
            writeln!(out, "\t\"d{}\" -> \"r{run_id}\"[label=\"{}\"];", Quoted(data.knit_id.as_str()), Quoted(path))?;
        }
        for (path, data) in index.made(run) {
            writeln!(out, "\t\"r{run_id}\" -> \"d{}\"[label=\"{}\"];", Quoted(data.knit_id.as_str()), Quoted(path))?;
        }
    }
    Ok(())
}

/// An edge from its own node to every root, of which `first` are in graphs before this one.
///
/// # Errors
/// What writing to `out` says.
pub fn root_edges(index: &Index<'_>, first: usize, out: &mut impl Write) -> io::Result<()> {
    for (n, run) in roots(index).enumerate() {
        writeln!(out, "\t\"root#{}\" -> \"r{}\";", first + n, Quoted(run.run_id.as_str()))?;
    }
    Ok(())
}

/// What stands behind all edges.
///
/// # Errors
/// What writing to `out` says.
pub fn end(out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "}}")
}

fn data_node(index: &Index<'_>, zone: Zone, data: &Data<'_>, out: &mut impl Write) -> io::Result<()> {
    let background = if data.knit_id == index.graph.start { START_COLOUR } else { "#FFFFFF" };
    let id = Html(data.knit_id.as_str());
    write!(out, "\t\"d{}\"[shape=none color=\"{DATA_COLOUR}\" label=<", Quoted(data.knit_id.as_str()))?;
    header(out, "Data", DATA_COLOUR)?;
    write!(out, "<TD BGCOLOR=\"{background}\">knit#id: {id}</TD></TR>")?;
    let state: Vec<String> = data.tags.iter().filter_map(|tag| state(tag.parts(), zone)).collect();
    if !state.is_empty() {
        write!(out, "<TR><TD COLSPAN=\"2\"><FONT POINT-SIZE=\"8\">{}</FONT></TD></TR>", Html(&state.join(" | ")))?;
    }
    write!(out, "<TR><TD COLSPAN=\"2\">")?;
    for (i, tag) in data.tags.iter().filter(|tag| !tag.is_system()).enumerate() {
        let separator = if i == 0 { "" } else { "<BR/>" };
        let (key, value) = tag.parts();
        write!(out, "{separator}<B>{}</B>:{}", Html(key), Html(value))?;
    }
    let more = if index.is_cut(data) { "<TR><TD COLSPAN=\"2\"><I>more beyond</I></TD></TR>" } else { "" };
    writeln!(out, "</TD></TR>{more}</TABLE>>];")
}

/// What the system says of a Data: when it was made, or that it is not usable.
fn state((key, value): (&str, &str), zone: Zone) -> Option<String> {
    match key {
        "knit#timestamp" => {
            Some(Instant::parse(value).map_or_else(|_| value.to_owned(), |made| zone(&made).to_string()))
        }
        "knit#transient" => Some(format!("knit#transient:{value}")),
        _ => None,
    }
}

fn run_node(index: &Index<'_>, zone: Zone, run: &Run<'_>, out: &mut impl Write) -> io::Result<()> {
    let what = index.what_runs(run);
    let id = Html(run.run_id.as_str());
    write!(out, "\t\"r{}\"[shape=none color=\"{RUN_COLOUR}\" label=<", Quoted(run.run_id.as_str()))?;
    header(out, "Run", RUN_COLOUR)?;
    write!(out, "<TD>{}</TD><TD>id: {id}</TD></TR>", Status(run.status.as_str()))?;
    let updated = zone(&run.updated_at);
    write!(out, "<TR><TD COLSPAN=\"3\"><FONT POINT-SIZE=\"8\">last updated: {updated}</FONT></TD></TR>")?;
    // Built-in Plans have a name, whose mark no image can hold, instead of an image.
    let label = if what.contains('#') { "" } else { "image = " };
    write!(out, "<TR><TD COLSPAN=\"3\">{label}{}</TD></TR>", Html(what))?;
    command_row(index.command_line(run), out)?;
    writeln!(out, "</TABLE>>];")
}

/// A row that the original does not have: of many Runs or Plans of one image it tells which is which.
pub(crate) fn command_row(command_line: Option<&str>, out: &mut impl Write) -> io::Result<()> {
    command_line.map_or(Ok(()), |line| write!(out, "<TR><TD COLSPAN=\"3\">{}</TD></TR>", Html(line)))
}

/// Begins the table of a node with what it is.
pub(crate) fn header(out: &mut impl Write, kind: &str, colour: &str) -> io::Result<()> {
    write!(
        out,
        "<TABLE CELLSPACING=\"0\"><TR><TD BGCOLOR=\"{colour}\"><FONT COLOR=\"#FFFFFF\"><B>{kind}</B></FONT></TD>"
    )
}

/// A Run's status in the colours people know.
struct Status<'a>(&'a str);

impl fmt::Display for Status<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = Html(self.0);
        match self.0 {
            "deactivated" => write!(f, "<FONT COLOR=\"gray\"><B>{text}</B></FONT>"),
            "completing" | "done" => write!(f, "<FONT COLOR=\"{GOOD_COLOUR}\"><B>{text}</B></FONT>"),
            "aborting" | "failed" => write!(f, "<FONT COLOR=\"red\"><B>{text}</B></FONT>"),
            _ => text.fmt(f),
        }
    }
}

/// Text inside a quoted id or label. The original forgot this, and a quote in a path broke its files.
pub(crate) struct Quoted<'a>(pub(crate) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        escape(f, self.0, |byte| match byte {
            b'"' => Some("\\\""),
            b'\\' => Some("\\\\"),
            b'\n' => Some("\\n"),
            byte => unholdable(byte),
        })
    }
}

/// Text inside an HTML-like label.
pub(crate) struct Html<'a>(pub(crate) &'a str);

impl fmt::Display for Html<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        escape(f, self.0, |byte| match byte {
            b'&' => Some("&amp;"),
            b'<' => Some("&lt;"),
            b'>' => Some("&gt;"),
            b'"' => Some("&quot;"),
            byte => unholdable(byte),
        })
    }
}

/// What stands for a character that neither XML nor the pictures that Graphviz makes can hold.
fn unholdable(byte: u8) -> Option<&'static str> {
    // Tabs, line feeds and carriage returns are the only control characters that XML knows.
    (byte < b' ' && !matches!(byte, b'\t' | b'\n' | b'\r')).then_some(REPLACEMENT)
}

/// What readers know as the sign of a character that is not to be had.
const REPLACEMENT: &str = "\u{fffd}";
/// The first byte of the two characters beyond ASCII that XML cannot hold either.
const NO_CHARACTER_LEAD: u8 = 0xef;

/// Writes harmless stretches at once, and looks at bytes, since whatever needs an escape is ASCII. Nearly all of
/// the hundred thousand labels of a graph are harmless as a whole, which is seen without stopping at any byte.
fn escape(f: &mut fmt::Formatter<'_>, text: &str, instead: impl Fn(u8) -> Option<&'static str>) -> fmt::Result {
    let replaced = text
        .bytes()
        .fold(false, |found, byte| found | (byte == NO_CHARACTER_LEAD))
        .then(|| text.replace(['\u{fffe}', '\u{ffff}'], REPLACEMENT));
    let text = replaced.as_deref().unwrap_or(text);
    let mut left = text;
    if text.bytes().fold(false, |found, byte| found | instead(byte).is_some()) {
        while let Some((at, escaped)) = left.bytes().enumerate().find_map(|(at, byte)| Some((at, instead(byte)?))) {
            f.write_str(&left[..at])?;
            f.write_str(escaped)?;
            left = &left[at + 1..];
        }
    }
    f.write_str(left)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_a_user_writes_can_break_the_file() {
        assert_eq!(Quoted("a\"b\\c\nd").to_string(), r#"a\"b\\c\nd"#);
        assert_eq!(Html("<b> & \"c\"").to_string(), "&lt;b&gt; &amp; &quot;c&quot;");
        let hostile = "\0\u{1b}[31m\u{7}é\u{ffff}\t";
        assert_eq!(Quoted(hostile).to_string(), "\u{fffd}\u{fffd}[31m\u{fffd}é\u{fffd}\t");
        assert_eq!(Html(hostile).to_string(), Quoted(hostile).to_string());
    }

    #[test]
    fn a_status_has_its_colour() {
        assert_eq!(Status("running").to_string(), "running");
        assert!(Status("done").to_string().contains(GOOD_COLOUR));
        assert!(Status("failed").to_string().contains("red"));
        assert!(Status("deactivated").to_string().contains("gray"));
    }
}
