//! What hangs where in a lineage: below each Data and Run what a walk in one direction comes to next.

use std::collections::{HashMap, HashSet};

use knit_schemas::lineage::Index;
use knit_schemas::lineage::graph::{Data, Run};

use super::Sought;
use crate::lineage::words::Words;
use crate::tree::Soil as _;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Direction {
    Up,
    Down,
}

/// A node below another, the path by which it hangs there, and which way to go on.
#[derive(Clone, Copy)]
pub(super) struct Branch<'a> {
    pub(super) path: &'a str,
    pub(super) node: Node<'a>,
    pub(super) direction: Direction,
}

#[derive(Clone, Copy)]
pub(super) enum Node<'a> {
    /// Reached from this Data.
    Run(&'a Run<'a>, &'a Data<'a>),
    Data(&'a Data<'a>),
    /// Shown beside the way, not followed.
    Sibling(&'a Data<'a>),
    /// Shown without a way, not followed.
    LoneRun(&'a Run<'a>),
    LoneData(&'a Data<'a>),
}

impl<'a> Node<'a> {
    pub(super) fn id(self) -> &'a str {
        match self {
            Node::Run(run, _) | Node::LoneRun(run) => run.run_id.as_str(),
            Node::Data(data) | Node::Sibling(data) | Node::LoneData(data) => data.knit_id.as_str(),
        }
    }
}

/// The titles of trees, and what hangs below them.
pub(super) type Grown<'a> = [(&'static str, Vec<Branch<'a>>); 2];

/// What hangs where.
pub(super) struct Lineage<'a> {
    pub(super) index: &'a Index<'a>,
    pub(super) words: Words<'a>,
    producers: HashMap<&'a str, Branch<'a>>,
    consumers: HashMap<&'a str, Vec<Branch<'a>>>,
}

impl<'a> Lineage<'a> {
    pub(super) fn new(index: &'a Index<'a>, words: Words<'a>) -> Self {
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

    /// The words about the start, and what hangs on it.
    pub(super) fn around_start(&self) -> Option<(Vec<String>, Grown<'a>)> {
        let (index, start) = (self.index, self.index.graph.start.as_str());
        if let Some(data) = index.data(start) {
            let below = |direction| self.beyond_data(data, direction);
            let grown = [("made by", below(Direction::Up)), ("used by", below(Direction::Down))];
            return Some((self.words.data(data), grown));
        }
        let run = index.graph.runs.iter().find(|run| run.run_id.as_str() == start)?;
        let all = |points: Vec<_>, direction| {
            points.into_iter().map(|(path, data)| Branch { path, node: Node::Data(data), direction }).collect()
        };
        let (above, below) = (all(index.taken(run), Direction::Up), all(index.made(run), Direction::Down));
        Some((self.words.run(run), [("made from", above), ("made", below)]))
    }

    /// Ids of all that trees from `pending` would show, were nothing folded.
    pub(super) fn reached(&self, mut pending: Vec<Branch<'a>>) -> HashSet<&'a str> {
        let mut reached = HashSet::from([self.index.graph.start.as_str()]);
        let mut followed = HashSet::new();
        while let Some(branch) = pending.pop() {
            let id = branch.node.id();
            reached.insert(id);
            if !matches!(branch.node, Node::Sibling(_)) && followed.insert((id, branch.direction)) {
                pending.extend(self.beyond(branch));
            }
        }
        reached
    }

    /// What is sought and no way leads to, because what is between is not shown.
    pub(super) fn lone(&self, reached: &HashSet<&str>, sought: Sought) -> Vec<Branch<'a>> {
        let graph = self.index.graph;
        let data = graph.data.iter().filter(|_| sought.data).map(Node::LoneData);
        let runs = graph.runs.iter().filter(|_| sought.runs).map(Node::LoneRun);
        let lone = data.chain(runs).filter(|node| !reached.contains(node.id()));
        lone.map(|node| Branch { path: "", node, direction: Direction::Down }).collect()
    }

    pub(super) fn beyond_data(&self, data: &Data<'_>, direction: Direction) -> Vec<Branch<'a>> {
        let id = data.knit_id.as_str();
        match direction {
            Direction::Up => self.producers.get(id).copied().into_iter().collect(),
            Direction::Down => self.consumers.get(id).cloned().unwrap_or_default(),
        }
    }

    /// What the walk goes on to, and then what else belongs to the Run.
    pub(super) fn beyond_run(&self, run: &'a Run<'a>, from: &Data<'_>, direction: Direction) -> Vec<Branch<'a>> {
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
