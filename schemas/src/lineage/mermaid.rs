//! Lineage as a Mermaid flowchart, which wikis and code hosts draw inside a page.

use std::collections::HashMap;
use std::fmt;
use std::io::{self, Write};

use super::Index;
use super::graph::{Data, Run, Tag};

/// Edges above which Mermaid refuses to draw unless its `maxEdges` says otherwise; a chart cannot set that itself.
pub(crate) const EDGES_MAX: usize = 500;

/// Writes the graph. Edges follow the flow of data, as everywhere.
///
/// # Errors
/// What writing to `out` says.
pub fn draw(index: &Index<'_>, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "flowchart LR")?;
    let edges: usize = index.graph.runs.iter().map(|run| index.taken(run).len() + index.made(run).len()).sum();
    if edges > EDGES_MAX {
        writeln!(out, "    %% {edges} edges: Mermaid draws them only where its option maxEdges is at least that")?;
    }
    for (n, data) in index.graph.data.iter().enumerate() {
        writeln!(out, "    d{n}([\"{}\"]):::{}", DataLabel(index, data), data_class(index, data))?;
    }
    for (n, run) in index.graph.runs.iter().enumerate() {
        writeln!(out, "    r{n}[\"{}\"]:::{}", RunLabel(index, run), run_class(index, run))?;
    }
    write_edges(index, out)?;
    out.write_all(CLASSES.as_bytes())
}

/// The colours of the drawing as DOT.
const CLASSES: &str = "    classDef data fill:#ffffff,stroke:#1c9930,color:#000000
    classDef cut fill:#ffffff,stroke:#1c9930,color:#000000,stroke-dasharray:4 3
    classDef start fill:#d4ecc6,stroke:#1c9930,color:#000000,stroke-width:3px
    classDef run fill:#ffffff,stroke:#ffa500,color:#000000
    classDef failed fill:#ffffff,stroke:#cc0000,color:#000000
";

fn data_class(index: &Index<'_>, data: &Data<'_>) -> &'static str {
    match (data.knit_id == index.graph.start, index.is_cut(data)) {
        (true, _) => "start",
        (false, true) => "cut",
        (false, false) => "data",
    }
}

fn run_class(index: &Index<'_>, run: &Run<'_>) -> &'static str {
    match run.status.as_str() {
        _ if run.run_id == index.graph.start => "start",
        "failed" | "aborting" => "failed",
        _ => "run",
    }
}

fn write_edges(index: &Index<'_>, out: &mut impl Write) -> io::Result<()> {
    let numbers: HashMap<&str, usize> =
        index.graph.data.iter().enumerate().map(|(n, data)| (data.knit_id.as_str(), n)).collect();
    for (r, run) in index.graph.runs.iter().enumerate() {
        for (path, data) in index.taken(run) {
            writeln!(out, "    d{} -->|\"{}\"| r{r}", numbers[data.knit_id.as_str()], Escaped(path))?;
        }
        for (path, data) in index.made(run) {
            writeln!(out, "    r{r} -->|\"{}\"| d{}", Escaped(path), numbers[data.knit_id.as_str()])?;
        }
    }
    Ok(())
}

struct DataLabel<'a>(&'a Index<'a>, &'a Data<'a>);

impl fmt::Display for DataLabel<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(index, data) = self;
        write!(f, "Data {}", Escaped(data.knit_id.as_str()))?;
        for (key, value) in data.tags.iter().filter(|tag| !tag.is_system()).map(Tag::parts) {
            write!(f, "<br/>{}:{}", Escaped(key), Escaped(value))?;
        }
        if let Some(why) = data.transient() {
            write!(f, "<br/>({})", Escaped(why))?;
        }
        if index.is_cut(data) { f.write_str("<br/>more beyond") } else { Ok(()) }
    }
}

struct RunLabel<'a>(&'a Index<'a>, &'a Run<'a>);

impl fmt::Display for RunLabel<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(index, run) = self;
        let (id, status) = (Escaped(run.run_id.as_str()), Escaped(run.status.as_str()));
        write!(f, "Run {id}<br/>{status}<br/>{}", Escaped(index.what_runs(run)))?;
        index.command_line(run).map_or(Ok(()), |line| write!(f, "<br/>{}", Escaped(line)))
    }
}

/// Text between quotes. Mermaid has no backslash, but entities that begin with `#`.
pub(crate) struct Escaped<'a>(pub(crate) &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '#' | '"' | '<' | '>' | '&' | '`' | '\\' | '|' => write!(f, "#{};", u32::from(c))?,
                _ if c.is_control() => f.write_str(" ")?,
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
    fn a_graph_is_a_flowchart_whose_texts_cannot_break_it() {
        let graph = example::graph();
        let mut text = Vec::new();
        draw(&Index::new(&graph), &mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        assert!(text.starts_with("flowchart LR\n    d0([\"Data 11111111-1111-4111-8111-111111111111"), "{text}");
        assert!(text.contains("<br/>note:a #34;quote#34; #38; #60;b#62;"), "{text}");
        assert!(text.contains("more beyond\"]):::cut") || text.contains("more beyond\"]):::start"), "{text}");
        assert!(text.contains("d0 -->|\"/in/raw\"| r0\n"), "{text}");
        assert!(text.contains("r0 -->|\"(log)\"| d2\n"), "{text}");
        assert!(text.contains("<br/>done<br/>trainer:v1.0<br/>python train.py --rate=0.1\"]:::run\n"), "{text}");
        assert!(text.lines().skip(1).all(|line| line.starts_with("    ")), "{text}");
        assert!(!text.contains("%%"), "{text}");
    }
}
