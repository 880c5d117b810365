//! Lineage as a tree, for people.
//!
//! Two trees grow from the start: *made by* towards origins and *used by* towards consumers. A Data where the depth
//! ended the walk is marked. What a filter selects and no tree leads to, because what is between is not shown, is listed
//! below them, and what is not drawn is counted at the end.

mod hanging;

use std::collections::HashSet;
use std::io::{self, Write};

use knit_schemas::lineage::Index;
use knit_schemas::lineage::graph::Run;

use self::hanging::{Branch, Lineage, Node};
use super::words::Words;
use crate::listing::first_digits;
use crate::tree::{ALIKE_MAX, Soil, Style, Trees, folded};

/// Of the Data beside the way, so many are drawn: they only say that there is something beside it.
const SIBLINGS_MAX: usize = 1;
/// Of the Data that a Run takes or makes, so many are drawn: each has a path of its own there, so none is quite like
/// another.
const POINTS_MAX: usize = 8;
/// Of what a Run takes that is listed by itself, so many are named.
const TAKEN_MAX: usize = 2;
/// Of what is sought and is listed by itself, so many that are alike are drawn: they are what was asked for.
const LONE_MAX: usize = 8;

/// What somebody looks for by a filter. Where nothing is filtered, everything hangs on the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sought {
    pub(crate) data: bool,
    pub(crate) runs: bool,
}

/// Draws both trees, and what is sought besides.
pub(super) fn draw(index: &Index<'_>, sought: Sought, style: Style, out: &mut impl Write) -> io::Result<()> {
    let lineage = Lineage::new(index, Words::new(index, style));
    let Some((words, grown)) = lineage.around_start() else { return Ok(()) };
    let mut trees = Trees::new(&lineage, style);
    trees.place(index.graph.start.as_str());
    let reached = lineage.reached(grown.iter().flat_map(|(_, branches)| branches.clone()).collect());
    let lone = lineage.lone(&reached, if style.is_folded { sought } else { Sought { data: true, runs: true } });
    write!(out, "{}", folded("", "  ", &words, style.width))?;
    for (title, branches) in grown.into_iter().chain([("… beyond what is not shown", lone)]) {
        if !branches.is_empty() {
            writeln!(out, "{title}")?;
            trees.draw(branches, out)?;
        }
    }
    rest(index, trees.drawn(), out)
}

/// Says how much is not drawn. Unfolded, all is.
fn rest(index: &Index<'_>, drawn: &HashSet<&str>, out: &mut impl Write) -> io::Result<()> {
    let (runs, data) = (&index.graph.runs, &index.graph.data);
    let runs_left = runs.iter().filter(|run| !drawn.contains(run.run_id.as_str())).count();
    let data_left = data.iter().filter(|data| !drawn.contains(data.knit_id.as_str())).count();
    let left: Vec<String> = [(runs_left, runs.len(), "Runs"), (data_left, data.len(), "Data")]
        .into_iter()
        .filter(|(left, ..)| *left > 0)
        .map(|(left, all, name)| format!("{left} of {all} {name}"))
        .collect();
    if left.is_empty() { Ok(()) } else { writeln!(out, "… not drawn: {} (--unfold draws all)", left.join(", ")) }
}

impl Lineage<'_> {
    /// The words about a Run to which nothing leads: also what it takes, by which it is known from others of its Plan.
    fn lone_run(&self, run: &Run<'_>) -> Vec<String> {
        let mut words = self.words.run(run);
        let taken = self.index.taken(run);
        for (path, data) in taken.iter().take(TAKEN_MAX) {
            words.push(format!("takes {path} {}", self.words.data(data).join(" ")));
        }
        words.extend((taken.len() > TAKEN_MAX).then(|| format!("and {} more", taken.len() - TAKEN_MAX)));
        words
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
            Node::Sibling(_) | Node::LoneRun(_) | Node::LoneData(_) => Vec::new(),
        }
    }

    fn identity(&self, branch: Branch<'a>) -> Option<&'a str> {
        match branch.node {
            Node::Run(run, _) => Some(run.run_id.as_str()),
            Node::Data(_) | Node::Sibling(_) | Node::LoneRun(_) | Node::LoneData(_) => None,
        }
    }

    fn id(&self, branch: Branch<'a>) -> Option<&'a str> {
        Some(branch.node.id())
    }

    fn likeness(&self, branch: Branch<'a>) -> Self::Likeness {
        match branch.node {
            Node::Run(run, _) | Node::LoneRun(run) => ("run", Some((run.plan_id.as_str(), run.status.as_str()))),
            Node::Data(_) | Node::LoneData(_) => ("data", None),
            Node::Sibling(_) => ("sibling", None),
        }
    }

    fn alike_max(&self, branch: Branch<'a>) -> usize {
        match branch.node {
            // What was made of alike Runs is mostly alike too.
            Node::Run(..) if !self.beyond(branch).is_empty() => 1,
            Node::Run(..) => ALIKE_MAX,
            Node::Data(_) => POINTS_MAX,
            Node::Sibling(_) => SIBLINGS_MAX,
            Node::LoneRun(_) | Node::LoneData(_) => LONE_MAX,
        }
    }

    fn words(&self, Branch { path, node, .. }: Branch<'a>) -> (String, Vec<String>) {
        let path = self.words.paint.faint(path);
        match node {
            Node::Run(run, _) => (format!("{path} "), self.words.run(run)),
            Node::Data(data) => (format!("{path} "), self.words.data(data)),
            Node::Sibling(data) => (format!("{} {path} ", self.words.paint.faint("beside")), self.words.data(data)),
            Node::LoneRun(run) => (String::new(), self.lone_run(run)),
            Node::LoneData(data) => (String::new(), self.words.data(data)),
        }
    }

    fn words_again(&self, branch: Branch<'a>) -> (String, Vec<String>) {
        let (place, mut words) = self.words(branch);
        if let Node::Run(..) = branch.node {
            // What it ran stands where it is drawn whole.
            words.truncate(2);
        }
        (place, words)
    }

    fn on_the_way(&self, number: usize) -> Vec<String> {
        // Runs and Data take turns.
        vec![format!("and {number} more Runs and Data on the way")]
    }

    fn more(&self, number: usize, branch: Branch<'a>) -> Vec<String> {
        match branch.node {
            Node::Run(run, _) | Node::LoneRun(run) => {
                let (status, plan) = (run.status.as_str(), first_digits(run.plan_id.as_str()));
                let what = self.index.command_line(run).unwrap_or_else(|| self.index.what_runs(run));
                vec![format!("and {number} more {status} Runs of Plan {plan}"), what.to_owned()]
            }
            Node::Data(_) | Node::LoneData(_) => vec![format!("and {number} more Data")],
            Node::Sibling(_) => vec![format!("and {number} more Data beside it")],
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
            started_at: None,
            exit: None,
            plan_id: "0123456789".to_owned(),
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
        drawn_of(graph, NOTHING, Style { is_coloured: false, width, is_folded: true })
    }

    fn drawn_of(graph: &LineageGraph, sought: Sought, style: Style) -> String {
        let mut text = Vec::new();
        draw(&Index::new(&Graph::from(graph)), sought, style, &mut text).unwrap();
        String::from_utf8(text).unwrap()
    }

    const NOTHING: Sought = Sought { data: false, runs: false };
    const FOLDED: Style = Style { is_coloured: false, width: None, is_folded: true };

    #[test]
    fn branches_hang_where_they_grow() {
        let expected = "\
Data a
used by
├─ /p Run ab  done  (unknown Plan)
│  ↳ /p Data b
│  ↳ /p Run bd  done  (unknown Plan)
│  ↳ /p Data d
└─ /p Run ac  done  (unknown Plan)
   ↳ /p Data c
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
│  ↳ /p Data b
│  │  colour:green
│  │  size:small
│  ↳ /p Run bd  done
│  │  (unknown Plan)
│  ↳ /p Data d
└─ /p Run ac  done
   │  (unknown Plan)
   ↳ /p Data c
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
        let end = "└─ … and 8 more done Runs of Plan 01234567  (unknown Plan)\n\
                   … not drawn: 8 of 10 Runs, 1 of 4 Data (--unfold draws all)\n";
        assert!(text.ends_with(end), "{text}");
        assert!(!text.contains("more-"), "one with what it led to: {text}");
        graph.runs.last_mut().unwrap().status = "failed".to_owned();
        let text = drawn(&graph, None);
        assert!(text.contains("more-6  failed") && text.contains("… and 7 more done Runs"), "{text}");
        graph.runs.truncate(3);
        assert!(!drawn(&graph, None).contains('…'), "a line for one would say less than the one");
    }

    #[test]
    fn many_of_many_kinds_are_counted_too() {
        let mut graph = graph();
        let another = graph.runs[1].clone();
        graph.runs.extend((0..100).map(|n| LineageRun {
            run_id: format!("more-{n}"),
            plan_id: format!("plan-{n}"),
            outputs: Vec::new(),
            ..another.clone()
        }));
        let text = drawn(&graph, None);
        assert!(text.lines().count() < 40, "{text}");
        assert!(text.contains("└─ … and 82 more\n… not drawn: ") && text.contains("of 103 Runs"), "{text}");
    }

    #[test]
    fn of_many_of_several_kinds_one_of_each_is_drawn() {
        let mut graph = graph();
        let another = graph.runs[1].clone();
        graph.runs = (0..8 * 25)
            .map(|n| LineageRun {
                run_id: format!("run-{n}"),
                plan_id: format!("plan-{}", n / 25),
                outputs: Vec::new(),
                ..another.clone()
            })
            .collect();
        let text = drawn(&graph, None);
        assert_eq!(text.matches("Run run-").count(), 8, "{text}");
        assert_eq!(text.matches("and 24 more done Runs of Plan plan-").count(), 8, "{text}");
        assert!(text.lines().count() <= 20, "{text}");
    }

    #[test]
    fn what_a_run_takes_at_paths_of_their_own_is_not_alike_unless_it_is_much() {
        let taking = |inputs: usize| {
            let mut graph = graph();
            let edge = |n| LineageEdge { path: format!("/in{n}"), knit_id: format!("in{n}") };
            graph.runs[2].inputs = (0..inputs).map(edge).collect();
            graph.data.extend((0..inputs).map(|n| LineageData { knit_id: format!("in{n}"), tags: Vec::new() }));
            graph.start = "bd".to_owned();
            drawn(&graph, None)
        };
        assert_eq!(taking(5).matches(" Data in").count(), 5, "{}", taking(5));
        assert!(taking(40).contains("… and 32 more Data\n"), "{}", taking(40));
    }

    #[test]
    fn a_run_that_is_sought_is_told_with_what_it_takes() {
        let mut graph = graph();
        graph.runs.retain(|run| run.run_id == "bd");
        let text = drawn_of(&graph, Sought { data: false, runs: true }, FOLDED);
        assert!(text.contains("└─ Run bd  done  (unknown Plan)  takes /p Data b\n"), "{text}");
    }

    /// What a filter left of a chain: its Runs, and of its Data only the first and the last.
    fn ends_of_a_chain() -> LineageGraph {
        let mut graph = chain(30);
        graph.data.retain(|data| ["0", "30"].contains(&data.knit_id.as_str()));
        graph
    }

    #[test]
    fn data_that_are_sought_are_listed_where_nothing_shown_leads_to_them() {
        let text = drawn_of(&ends_of_a_chain(), Sought { data: true, runs: false }, FOLDED);
        let expected = "\
Data 0
used by
└─ /p Run r0  done  (unknown Plan)
… beyond what is not shown
└─ Data 30
… not drawn: 29 of 30 Runs (--unfold draws all)
";
        assert_eq!(text, expected);
    }

    #[test]
    fn runs_that_are_sought_are_listed_where_nothing_shown_leads_to_them() {
        let mut graph = chain(30);
        graph.runs.retain(|run| run.run_id != "r0");
        graph.runs.iter_mut().for_each(|run| run.plan_id = "0123456789".to_owned());
        let text = drawn_of(&graph, Sought { data: false, runs: true }, FOLDED);
        assert!(
            text.starts_with("Data 0\n… beyond what is not shown\n├─ Run r1  done  (unknown Plan)  takes /p Data 1\n"),
            "{text}"
        );
        let end = "├─ Run r8  done  (unknown Plan)  takes /p Data 8\n\
                   └─ … and 21 more done Runs of Plan 01234567  (unknown Plan)\n\
                   … not drawn: 21 of 29 Runs, 30 of 31 Data (--unfold draws all)\n";
        assert!(text.ends_with(end), "{text}");
    }

    #[test]
    fn unfolded_everything_is_drawn_also_what_is_not_sought() {
        let unfolded = Style { is_folded: false, ..FOLDED };
        let text = drawn_of(&ends_of_a_chain(), NOTHING, unfolded);
        assert_eq!(text.matches("Run r").count(), 30, "{text}");
        assert!(text.contains("Data 30\n") && !text.contains("not drawn"), "{text}");
    }

    #[test]
    fn a_chain_is_as_narrow_at_its_end_as_at_its_beginning_and_keeps_to_the_terminal() {
        let mut graph = chain(60);
        let id = |id: &str| format!("{id:0>8}-619d-4429-afcd-de2db9e7a326");
        graph.start = id(&graph.start);
        graph.data.iter_mut().for_each(|data| data.knit_id = id(&data.knit_id));
        for run in &mut graph.runs {
            run.run_id = id(&run.run_id);
            run.inputs.iter_mut().chain(&mut run.outputs).for_each(|edge| edge.knit_id = id(&edge.knit_id));
        }
        let text = drawn_of(&graph, NOTHING, Style { is_coloured: false, width: Some(80), is_folded: false });
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        assert!(text.ends_with("   ↳ /p Run 00000r59  done  (unknown Plan)\n   ↳ /p Data 00000060\n"), "{text}");
        assert!(text.starts_with(&format!("Data {}\n", graph.start)), "what was asked about is told whole: {text}");
    }

    #[test]
    fn a_chain_of_runs_that_keep_logs_stays_as_narrow() {
        let mut graph = chain(60);
        for (n, run) in graph.runs.iter_mut().enumerate() {
            run.log = Some(format!("log{n}"));
            graph.data.push(LineageData { knit_id: format!("log{n}"), tags: Vec::new() });
        }
        let text = drawn_of(&graph, NOTHING, Style { is_coloured: false, width: Some(80), is_folded: false });
        assert!(text.lines().all(|line| line.chars().count() <= 60), "{text}");
        let lines =
            ["↳ /p Run r30  done  (unknown Plan)", "│  └─ (log) Data log30", "↳ /p Data 31", "↳ /p Run r31  done"];
        assert!(text.contains(&lines.join("\n   │    │  ")), "{text}");
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
        let end = "\
   ↳ /p Data 6
   ↳ … and 1986 more Runs and Data on the way
   ↳ /p Run r999  done  (unknown Plan)
   ↳ /p Data 1000
… not drawn: 993 of 1000 Runs, 993 of 1001 Data (--unfold draws all)
";
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
   ↳ /p Run bd  done  (unknown Plan)
   ↳ /p Data d
";
        let mut graph = LineageGraph { start: "ab".to_owned(), ..graph() };
        graph.runs.retain(|run| run.run_id != "ac");
        graph.data.retain(|data| data.knit_id != "c");
        assert_eq!(drawn(&graph, None), expected);
    }
}
