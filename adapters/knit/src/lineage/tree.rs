//! Lineage as a tree, for people.
//!
//! Two trees grow from the start: *made by* towards origins and *used by* towards consumers. A Run
//! that comes up again is not drawn twice; a Data where the depth ended the walk is marked. What is
//! wider than the terminal goes on below, inside its branch. Of many that hang in one place and are alike, the first
//! few are drawn and the rest is counted.

use std::collections::{HashMap, HashSet};
use std::io::{self, Write};

use knit_schemas::lineage::Index;
use knit_schemas::lineage::graph::{Data, Run, Tag};

/// Characters of a Run's command that are shown: enough to tell Runs of one image apart.
const COMMAND_CHARS_MAX: usize = 32;

/// How the tree is to look.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Style {
    /// Whether colours are wanted.
    pub(crate) is_coloured: bool,
    /// Columns to keep to; `None` for lines as long as they come.
    pub(crate) width: Option<usize>,
    /// Whether the rest of many that are alike is only counted.
    pub(crate) is_folded: bool,
}

/// Of so many that are alike each is drawn; of more, so many and the number of the rest.
const ALIKE_MAX: usize = 4;

/// Draws both trees.
pub(crate) fn draw(index: &Index<'_>, style: Style, out: &mut impl Write) -> io::Result<()> {
    let mut tree = Tree::new(index, style);
    let start = index.graph.start.as_str();
    let (words, branches) = if let Some(data) = index.data(start) {
        let beyond = |direction| tree.beyond_data(data, direction);
        (tree.data(data), [("made by", beyond(Direction::Up)), ("used by", beyond(Direction::Down))])
    } else if let Some(run) = index.graph.runs.iter().find(|run| run.run_id.as_str() == start) {
        let all =
            |points: Vec<_>| points.into_iter().map(|(path, data)| Branch { path, node: Node::Data(data) }).collect();
        tree.drawn.insert(start);
        (tree.run(run), [("made from", all(index.taken(run))), ("made", all(index.made(run)))])
    } else {
        return Ok(());
    };
    write!(out, "{}", folded("", "  ", &words, style.width))?;
    for ((title, branches), direction) in branches.into_iter().zip([Direction::Up, Direction::Down]) {
        if !branches.is_empty() {
            writeln!(out, "{title}")?;
            tree.grow(branches, direction, out)?;
        }
    }
    Ok(())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Up,
    Down,
}

/// A node below another, and the path by which it hangs there.
#[derive(Clone, Copy)]
struct Branch<'a> {
    path: &'a str,
    node: Node<'a>,
}

#[derive(Clone, Copy)]
enum Node<'a> {
    /// Reached from this Data.
    Run(&'a Run<'a>, &'a Data<'a>),
    Data(&'a Data<'a>),
    /// Shown beside the way, not followed.
    Sibling(&'a Data<'a>),
    /// So many more that are like the one before; if they are Runs, of this Plan.
    More(usize, Option<&'a str>),
}

/// What nodes in one place must have in common to be alike.
type Likeness<'a> = (&'static str, Option<(&'a str, &'a str)>);

struct Tree<'a> {
    index: &'a Index<'a>,
    paint: Paint,
    width: Option<usize>,
    is_folded: bool,
    producers: HashMap<&'a str, Branch<'a>>,
    consumers: HashMap<&'a str, Vec<Branch<'a>>>,
    drawn: HashSet<&'a str>,
}

impl<'a> Tree<'a> {
    fn new(index: &'a Index<'a>, Style { is_coloured, width, is_folded }: Style) -> Self {
        let mut producers = HashMap::new();
        let mut consumers: HashMap<&str, Vec<Branch<'_>>> = HashMap::new();
        for run in &index.graph.runs {
            for (path, data) in index.made(run) {
                producers.insert(data.knit_id.as_str(), Branch { path, node: Node::Run(run, data) });
            }
            for (path, data) in index.taken(run) {
                consumers.entry(data.knit_id.as_str()).or_default().push(Branch { path, node: Node::Run(run, data) });
            }
        }
        Self { index, paint: Paint { is_coloured }, width, is_folded, producers, consumers, drawn: HashSet::new() }
    }

    /// Draws `branches` and all that grows from them. A stack instead of recursion: lineage may be
    /// deeper than a thread's.
    fn grow(&mut self, branches: Vec<Branch<'a>>, direction: Direction, out: &mut impl Write) -> io::Result<()> {
        let mut pending = Vec::new();
        push_all(&mut pending, self.fold(branches), "");
        while let Some((branch, indent, is_last)) = pending.pop() {
            let (fork, below) = if is_last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
            let (mut words, is_new) = match branch.node {
                Node::Run(run, _) => (self.run(run), self.drawn.insert(run.run_id.as_str())),
                Node::Data(data) | Node::Sibling(data) => (self.data(data), true),
                Node::More(number, plan) => (vec![self.paint.faint(&more(number, plan))], true),
            };
            let beyond = self.beyond(branch.node, direction);
            // Where nothing hangs below, there is nothing to see above either.
            let again = if is_new || beyond.is_empty() { "" } else { " (see above)" };
            let beyond = if is_new { beyond } else { Vec::new() };
            words.last_mut().expect("a node is at least its id").push_str(again);
            let bar = if beyond.is_empty() { "   " } else { "│  " };
            let first = format!("{indent}{fork}{}", self.place(&branch));
            write!(out, "{}", folded(&first, &format!("{indent}{below}{bar}"), &words, self.width))?;
            push_all(&mut pending, self.fold(beyond), &format!("{indent}{below}"));
        }
        Ok(())
    }

    /// Counts instead of drawing where too many are alike.
    fn fold(&self, branches: Vec<Branch<'a>>) -> Vec<Branch<'a>> {
        let mut alike: HashMap<Likeness<'a>, usize> = HashMap::new();
        branches.iter().for_each(|branch| *alike.entry(likeness(branch)).or_default() += 1);
        // One more line for the number would be no shorter than the one that it stands for.
        if !self.is_folded || alike.values().all(|number| *number <= ALIKE_MAX + 1) {
            return branches;
        }
        let mut kept = Vec::new();
        let mut met: HashMap<Likeness<'a>, usize> = HashMap::new();
        for branch in branches {
            let (like, nth) = (likeness(&branch), met.entry(likeness(&branch)).or_default());
            *nth += 1;
            let all = alike[&like];
            if *nth <= ALIKE_MAX || all <= ALIKE_MAX + 1 {
                kept.push(branch);
            } else if *nth == all {
                let plan = match branch.node {
                    Node::Run(run, _) => Some(self.index.what_runs(run)),
                    Node::Data(_) | Node::Sibling(_) | Node::More(..) => None,
                };
                kept.push(Branch { path: "…", node: Node::More(all - ALIKE_MAX, plan) });
            }
        }
        kept
    }

    fn beyond(&self, node: Node<'a>, direction: Direction) -> Vec<Branch<'a>> {
        match node {
            Node::Run(run, from) => self.beyond_run(run, from, direction),
            Node::Data(data) => self.beyond_data(data, direction),
            Node::Sibling(_) | Node::More(..) => Vec::new(),
        }
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
        let followed = followed.into_iter().map(|(path, data)| Branch { path, node: Node::Data(data) });
        let others = beside.into_iter().filter(|(_, data)| data.knit_id != from.knit_id);
        followed.chain(others.map(|(path, data)| Branch { path, node: Node::Sibling(data) })).collect()
    }

    fn place(&self, branch: &Branch<'_>) -> String {
        let path = self.paint.faint(branch.path);
        match branch.node {
            Node::Sibling(_) => format!("{} {path} ", self.paint.faint("beside")),
            Node::Run(..) | Node::Data(_) | Node::More(..) => format!("{path} "),
        }
    }

    /// The words about a Data; each stays on one line.
    fn data(&self, data: &Data<'_>) -> Vec<String> {
        let mut words = vec![format!("{} {}", self.paint.green("Data"), data.knit_id.as_str())];
        let users = data.tags.iter().filter(|tag| !tag.is_system()).map(Tag::parts);
        words.extend(users.map(|(key, value)| format!("{}:{value}", self.paint.bold(key))));
        let transient = data.tags.iter().map(Tag::parts).find(|(key, _)| *key == "knit#transient");
        words.extend(transient.map(|(_, value)| format!("({})", self.paint.status(value))));
        words.extend(self.index.is_cut(data).then(|| "(more: -n all)".to_owned()));
        words
    }

    /// The words about a Run; each stays on one line.
    fn run(&self, run: &Run<'_>) -> Vec<String> {
        let status = self.paint.status(run.status.as_str());
        let exit = run.exit.as_ref().filter(|exit| exit.code != 0).map(|exit| format!(" (exit code {})", exit.code));
        let mut words = vec![format!("{} {}", self.paint.yellow("Run"), run.run_id.as_str())];
        words.push(format!("{status}{}", exit.unwrap_or_default()));
        words.push(self.index.what_runs(run).to_owned());
        words.extend(shortened(&self.index.command(run)).map(|command| self.paint.faint(&command)));
        words
    }
}

/// Runs of one Plan that ended alike, and Data that hang here in one way.
fn likeness<'a>(branch: &Branch<'a>) -> Likeness<'a> {
    match branch.node {
        Node::Run(run, _) => ("run", Some((run.plan_id.as_str(), run.status.as_str()))),
        Node::Data(_) => ("data", None),
        Node::Sibling(_) => ("sibling", None),
        Node::More(..) => ("more", None),
    }
}

fn more(number: usize, plan: Option<&str>) -> String {
    match plan {
        Some(plan) => format!("and {number} more Runs like this of {plan} (--unfold draws them)"),
        None => format!("and {number} more Data (--unfold draws them)"),
    }
}

/// A command in one short line.
fn shortened(command: &[&str]) -> Option<String> {
    let line = command.iter().flat_map(|word| word.split_whitespace()).collect::<Vec<_>>().join(" ");
    let cut = line.char_indices().nth(COMMAND_CHARS_MAX).map(|(at, _)| format!("{}…", &line[..at]));
    (!line.is_empty()).then(|| cut.unwrap_or(line))
}

/// `words` behind `first`, on as many lines as it takes to keep to `width`; all but the first line
/// begin with `next`.
fn folded(first: &str, next: &str, words: &[String], width: Option<usize>) -> String {
    let mut text = first.to_owned();
    let mut columns = visible_chars(first);
    for (i, word) in words.iter().enumerate() {
        let word_columns = visible_chars(word);
        let fits = width.is_none_or(|width| columns + 2 + word_columns <= width);
        if i > 0 && fits {
            text.push_str("  ");
            columns += 2;
        } else if i > 0 {
            text.push('\n');
            text.push_str(next);
            columns = visible_chars(next);
        }
        text.push_str(word);
        columns += word_columns;
    }
    text + "\n"
}

/// Characters that take a column: those between an escape and its `m` only change colours.
fn visible_chars(text: &str) -> usize {
    let mut is_escape = false;
    let visible = text.chars().filter(|&c| {
        let was_escape = is_escape;
        is_escape = if is_escape { c != 'm' } else { c == '\u{1b}' };
        !is_escape && !was_escape
    });
    visible.count()
}

/// The last one is drawn last, so it goes on the stack first.
fn push_all<'a>(pending: &mut Vec<(Branch<'a>, String, bool)>, branches: Vec<Branch<'a>>, indent: &str) {
    let last = branches.len().saturating_sub(1);
    for (i, branch) in branches.into_iter().enumerate().rev() {
        pending.push((branch, indent.to_owned(), i == last));
    }
}

/// Colours, where they are wanted.
#[derive(Debug, Clone, Copy)]
struct Paint {
    is_coloured: bool,
}

impl Paint {
    fn with(self, code: &str, text: &str) -> String {
        if self.is_coloured { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    fn bold(self, text: &str) -> String {
        self.with("1", text)
    }

    fn faint(self, text: &str) -> String {
        self.with("2", text)
    }

    fn green(self, text: &str) -> String {
        self.with("32", text)
    }

    fn yellow(self, text: &str) -> String {
        self.with("33", text)
    }

    fn status(self, status: &str) -> String {
        match status {
            "done" | "completing" => self.green(status),
            "failed" | "aborting" | "invalidated" => self.with("31", status),
            "running" | "starting" | "processing" => self.with("36", status),
            _ => self.faint(status),
        }
    }
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

    fn drawn(graph: &LineageGraph, is_coloured: bool, width: Option<usize>) -> String {
        let mut text = Vec::new();
        draw(&Index::new(&Graph::from(graph)), Style { is_coloured, width, is_folded: true }, &mut text).unwrap();
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
        assert_eq!(drawn(&graph(), false, None), expected);
    }

    #[test]
    fn colours_are_there_only_where_they_are_wanted() {
        assert!(drawn(&graph(), true, None).contains("\u{1b}[32mdone\u{1b}[0m"));
        assert!(!drawn(&graph(), false, None).contains('\u{1b}'));
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
        assert_eq!(drawn(&graph, false, Some(24)), plain);
        let coloured = drawn(&graph, true, Some(24));
        assert_eq!(coloured.lines().count(), plain.lines().count(), "colours take no columns: {coloured}");
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
        let text = drawn(&graph, false, None);
        assert!(text.ends_with("└─ … and 5 more Runs like this of (unknown Plan) (--unfold draws them)\n"), "{text}");
        assert_eq!(text.matches("more-").count(), 2, "four in all: {text}");
        graph.runs.truncate(graph.runs.len() - 4);
        assert!(!drawn(&graph, false, None).contains('…'), "a line for one would say less than the one");
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
        assert_eq!(drawn(&LineageGraph { start: "ab".to_owned(), ..graph() }, false, None), expected);
    }

    #[test]
    fn a_command_is_one_short_line() {
        assert_eq!(shortened(&[]), None);
        assert_eq!(shortened(&["sh", "/code/train.sh"]).unwrap(), "sh /code/train.sh");
        let script = "for i in 1 2 3; do\n    echo $i\ndone";
        assert_eq!(shortened(&["sh", "-c", script]).unwrap(), "sh -c for i in 1 2 3; do echo $i…");
    }
}
