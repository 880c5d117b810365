//! Lineage as a tree, for people.
//!
//! Two trees grow from the start: *made by* towards origins and *used by* towards consumers. A Data where the depth
//! ended the walk is marked, and what the trees have no room for is counted below them.

use std::collections::HashMap;
use std::io::{self, Write};

use knit_schemas::lineage::Index;
use knit_schemas::lineage::graph::{Data, Run, Tag};

use crate::tree::{ALIKE_MAX, Paint, Soil, Style, Trees, folded};

/// Characters of a Run's command that are shown: enough to tell Runs of one image apart.
const COMMAND_CHARS_MAX: usize = 32;

/// Of the Data beside the way, so many are drawn: they only say that there is something beside it.
const SIBLINGS_MAX: usize = 1;

/// Draws both trees.
pub(super) fn draw(index: &Index<'_>, style: Style, out: &mut impl Write) -> io::Result<()> {
    let words = Words::new(index, style);
    let lineage = Lineage::new(index, words);
    let start = index.graph.start.as_str();
    let mut trees = Trees::new(&lineage, style);
    let (words, grown) = if let Some(data) = index.data(start) {
        let below = |direction| lineage.beyond_data(data, direction);
        (words.data(data), [("made by", below(Direction::Up)), ("used by", below(Direction::Down))])
    } else if let Some(run) = index.graph.runs.iter().find(|run| run.run_id.as_str() == start) {
        let all = |points: Vec<_>, direction| {
            points.into_iter().map(|(path, data)| Branch { path, node: Node::Data(data), direction }).collect()
        };
        trees.place(start);
        let (above, below) = (all(index.taken(run), Direction::Up), all(index.made(run), Direction::Down));
        (words.run(run), [("made from", above), ("made", below)])
    } else {
        return Ok(());
    };
    write!(out, "{}", folded("", "  ", &words, style.width))?;
    for (title, branches) in grown {
        if !branches.is_empty() {
            writeln!(out, "{title}")?;
            trees.draw(branches, out)?;
        }
    }
    if trees.is_cut() { rest(index, trees.drawn().len(), out) } else { Ok(()) }
}

/// Says how much the trees have no room for.
fn rest(index: &Index<'_>, drawn_runs: usize, out: &mut impl Write) -> io::Result<()> {
    let (runs, data) = (index.graph.runs.len(), index.graph.data.len());
    writeln!(out, "… {drawn_runs} of {runs} Runs are drawn, {data} Data are around them (--unfold draws all)")
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Up,
    Down,
}

/// A node below another, the path by which it hangs there, and which way to go on.
#[derive(Clone, Copy)]
struct Branch<'a> {
    path: &'a str,
    node: Node<'a>,
    direction: Direction,
}

#[derive(Clone, Copy)]
enum Node<'a> {
    /// Reached from this Data.
    Run(&'a Run<'a>, &'a Data<'a>),
    Data(&'a Data<'a>),
    /// Shown beside the way, not followed.
    Sibling(&'a Data<'a>),
}

/// What hangs where.
struct Lineage<'a> {
    index: &'a Index<'a>,
    words: Words<'a>,
    producers: HashMap<&'a str, Branch<'a>>,
    consumers: HashMap<&'a str, Vec<Branch<'a>>>,
}

impl<'a> Lineage<'a> {
    fn new(index: &'a Index<'a>, words: Words<'a>) -> Self {
        let mut producers = HashMap::new();
        let mut consumers: HashMap<&str, Vec<Branch<'_>>> = HashMap::new();
        for run in &index.graph.runs {
            for (path, data) in index.made(run) {
                let branch = Branch { path, node: Node::Run(run, data), direction: Direction::Up };
                producers.insert(data.knit_id.as_str(), branch);
            }
            for (path, data) in index.taken(run) {
                let branch = Branch { path, node: Node::Run(run, data), direction: Direction::Down };
                consumers.entry(data.knit_id.as_str()).or_default().push(branch);
            }
        }
        Self { index, words, producers, consumers }
    }

    fn beyond_data(&self, data: &Data<'_>, direction: Direction) -> Vec<Branch<'a>> {
        let id = data.knit_id.as_str();
        match direction {
            Direction::Up => self.producers.get(id).copied().into_iter().collect(),
            Direction::Down => self.consumers.get(id).cloned().unwrap_or_default(),
        }
    }

    /// What the walk goes on to, and then what else belongs to the Run.
    fn beyond_run(&self, run: &'a Run<'a>, from: &Data<'_>, direction: Direction) -> Vec<Branch<'a>> {
        let (taken, made) = (self.index.taken(run), self.index.made(run));
        let (followed, beside) = match direction {
            Direction::Up => (taken, made),
            Direction::Down => (made, taken),
        };
        let followed = followed.into_iter().map(|(path, data)| Branch { path, node: Node::Data(data), direction });
        let others = beside.into_iter().filter(|(_, data)| data.knit_id != from.knit_id);
        followed.chain(others.map(|(path, data)| Branch { path, node: Node::Sibling(data), direction })).collect()
    }
}

impl<'a> Soil<'a> for Lineage<'a> {
    type Node = Branch<'a>;
    /// Runs of one Plan that ended alike, and Data that hang here in one way.
    type Likeness = (&'static str, Option<(&'a str, &'a str)>);

    fn beyond(&self, Branch { node, direction, .. }: Branch<'a>) -> Vec<Branch<'a>> {
        match node {
            Node::Run(run, from) => self.beyond_run(run, from, direction),
            Node::Data(data) => self.beyond_data(data, direction),
            Node::Sibling(_) => Vec::new(),
        }
    }

    fn identity(&self, branch: Branch<'a>) -> Option<&'a str> {
        match branch.node {
            Node::Run(run, _) => Some(run.run_id.as_str()),
            Node::Data(_) | Node::Sibling(_) => None,
        }
    }

    fn likeness(&self, branch: Branch<'a>) -> Self::Likeness {
        match branch.node {
            Node::Run(run, _) => ("run", Some((run.plan_id.as_str(), run.status.as_str()))),
            Node::Data(_) => ("data", None),
            Node::Sibling(_) => ("sibling", None),
        }
    }

    fn alike_max(&self, branch: Branch<'a>) -> usize {
        match branch.node {
            Node::Run(..) | Node::Data(_) => ALIKE_MAX,
            Node::Sibling(_) => SIBLINGS_MAX,
        }
    }

    fn words(&self, Branch { path, node, .. }: Branch<'a>) -> (String, Vec<String>) {
        let path = self.words.paint.faint(path);
        match node {
            Node::Run(run, _) => (format!("{path} "), self.words.run(run)),
            Node::Data(data) => (format!("{path} "), self.words.data(data)),
            Node::Sibling(data) => (format!("{} {path} ", self.words.paint.faint("beside")), self.words.data(data)),
        }
    }

    fn more(&self, number: usize, branch: Branch<'a>) -> String {
        match branch.node {
            Node::Run(run, _) => {
                let plan = self.index.what_runs(run);
                format!("and {number} more Runs like this of {plan} (--unfold draws them)")
            }
            Node::Data(_) => format!("and {number} more Data (--unfold draws them)"),
            Node::Sibling(_) => format!("and {number} more Data beside it (--unfold draws them)"),
        }
    }
}

/// What is said of Data and Runs in a line.
#[derive(Clone, Copy)]
pub(super) struct Words<'a> {
    index: &'a Index<'a>,
    pub(super) paint: Paint,
}

impl<'a> Words<'a> {
    pub(super) fn new(index: &'a Index<'a>, style: Style) -> Self {
        Self { index, paint: Paint { is_coloured: style.is_coloured } }
    }

    /// The words about a Data; each stays on one line.
    pub(super) fn data(&self, data: &Data<'_>) -> Vec<String> {
        let mut words = vec![format!("{} {}", self.paint.green("Data"), data.knit_id.as_str())];
        let users = data.tags.iter().filter(|tag| !tag.is_system()).map(Tag::parts);
        words.extend(users.map(|(key, value)| format!("{}:{value}", self.paint.bold(key))));
        let transient = data.tags.iter().map(Tag::parts).find(|(key, _)| *key == "knit#transient");
        words.extend(transient.map(|(_, value)| format!("({})", self.paint.status(value))));
        words.extend(self.index.is_cut(data).then(|| "(more: -n all)".to_owned()));
        words
    }

    /// The words about a Run; each stays on one line.
    pub(super) fn run(&self, run: &Run<'_>) -> Vec<String> {
        let status = self.paint.status(run.status.as_str());
        let exit = run.exit.as_ref().filter(|exit| exit.code != 0).map(|exit| format!(" (exit code {})", exit.code));
        let mut words = vec![format!("{} {}", self.paint.yellow("Run"), run.run_id.as_str())];
        words.push(format!("{status}{}", exit.unwrap_or_default()));
        words.push(self.index.what_runs(run).to_owned());
        words.extend(shortened(&self.index.command(run)).map(|command| self.paint.faint(&command)));
        words
    }
}

/// A command in one short line.
pub(crate) fn shortened(command: &[&str]) -> Option<String> {
    let line = command.iter().flat_map(|word| word.split_whitespace()).collect::<Vec<_>>().join(" ");
    let cut = line.char_indices().nth(COMMAND_CHARS_MAX).map(|(at, _)| format!("{}…", &line[..at]));
    (!line.is_empty()).then(|| cut.unwrap_or(line))
}

#[cfg(test)]
mod tests {
    use knit_schemas::api::{LineageData, LineageEdge, LineageGraph, LineageRun, Tag};
    use knit_schemas::instant::Instant;
    use knit_schemas::lineage::graph::Graph;

    use super::*;

    fn graph() -> LineageGraph {
        let data = |id: &str| LineageData { knit_id: id.to_owned(), tags: Vec::new() };
        let edge = |id: &str| LineageEdge { path: "/p".to_owned(), knit_id: id.to_owned() };
        let run = |id: &str, from: &str, to: &str| LineageRun {
            run_id: id.to_owned(),
            status: "done".to_owned(),
            updated_at: Instant::from_unix_ms(0).unwrap(),
            exit: None,
            plan_id: String::new(),
            inputs: vec![edge(from)],
            outputs: vec![edge(to)],
            log: None,
        };
        LineageGraph {
            start: "a".to_owned(),
            data: vec![data("a"), data("b"), data("c"), data("d")],
            runs: vec![run("ab", "a", "b"), run("ac", "a", "c"), run("bd", "b", "d")],
            ..LineageGraph::default()
        }
    }

    fn drawn(graph: &LineageGraph, width: Option<usize>) -> String {
        let mut text = Vec::new();
        draw(&Index::new(&Graph::from(graph)), Style { is_coloured: false, width, is_folded: true }, &mut text)
            .unwrap();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn branches_hang_where_they_grow() {
        let expected = "\
Data a
used by
├─ /p Run ab  done  (unknown Plan)
│  └─ /p Data b
│     └─ /p Run bd  done  (unknown Plan)
│        └─ /p Data d
└─ /p Run ac  done  (unknown Plan)
   └─ /p Data c
";
        assert_eq!(drawn(&graph(), None), expected);
    }

    #[test]
    fn what_is_wider_than_the_terminal_goes_on_inside_its_branch() {
        let mut graph = graph();
        graph.data[1].tags = vec![Tag::new("colour", "green"), Tag::new("size", "small")];
        let plain = "\
Data a
used by
├─ /p Run ab  done
│  │  (unknown Plan)
│  └─ /p Data b
│     │  colour:green
│     │  size:small
│     └─ /p Run bd  done
│        │  (unknown Plan)
│        └─ /p Data d
└─ /p Run ac  done
   │  (unknown Plan)
   └─ /p Data c
";
        assert_eq!(drawn(&graph, Some(24)), plain);
    }

    #[test]
    fn many_that_are_alike_are_counted() {
        let mut graph = graph();
        let another = graph.runs[1].clone();
        graph.runs.extend((0..7).map(|n| LineageRun {
            run_id: format!("more-{n}"),
            outputs: Vec::new(),
            ..another.clone()
        }));
        let text = drawn(&graph, None);
        assert!(text.ends_with("└─ … and 5 more Runs like this of (unknown Plan) (--unfold draws them)\n"), "{text}");
        assert_eq!(text.matches("more-").count(), 2, "four in all: {text}");
        graph.runs.truncate(graph.runs.len() - 4);
        assert!(!drawn(&graph, None).contains('…'), "a line for one would say less than the one");
    }

    /// A chain of `runs` Runs, each of a Plan of its own, behind the Data `0`.
    fn chain(runs: usize) -> LineageGraph {
        let like = &graph().runs[0];
        let edge = |n: usize| vec![LineageEdge { path: "/p".to_owned(), knit_id: n.to_string() }];
        let run = |n: usize| LineageRun {
            run_id: format!("r{n}"),
            plan_id: format!("p{n}"),
            inputs: edge(n),
            outputs: edge(n + 1),
            ..like.clone()
        };
        LineageGraph {
            start: "0".to_owned(),
            data: (0..=runs).map(|n| LineageData { knit_id: n.to_string(), tags: Vec::new() }).collect(),
            runs: (0..runs).map(run).collect(),
            ..LineageGraph::default()
        }
    }

    #[test]
    fn what_is_far_away_is_counted() {
        let text = drawn(&chain(1000), None);
        assert!(text.lines().count() < 20, "{text}");
        assert!(text.lines().all(|line| line.chars().count() < 80), "{text}");
        let end = "/p Data 6 …\n… 6 of 1000 Runs are drawn, 1001 Data are around them (--unfold draws all)\n";
        assert!(text.ends_with(end), "{text}");
        assert!(!drawn(&chain(5), None).contains('…'));
    }

    #[test]
    fn a_run_is_between_what_it_took_and_what_it_made() {
        let expected = "\
Run ab  done  (unknown Plan)
made from
└─ /p Data a
made
└─ /p Data b
   └─ /p Run bd  done  (unknown Plan)
      └─ /p Data d
";
        assert_eq!(drawn(&LineageGraph { start: "ab".to_owned(), ..graph() }, None), expected);
    }

    #[test]
    fn a_command_is_one_short_line() {
        assert_eq!(shortened(&[]), None);
        assert_eq!(shortened(&["sh", "/code/train.sh"]).unwrap(), "sh /code/train.sh");
        let script = "for i in 1 2 3; do\n    echo $i\ndone";
        assert_eq!(shortened(&["sh", "-c", script]).unwrap(), "sh -c for i in 1 2 3; do echo $i…");
    }
}
