//! Trees, for people: how they are grown from what hangs where, and how they are put on a terminal.
//!
//! What is near the root is drawn and what is far is counted: branches grow breadth first, until so many are there
//! that more would only scroll by. Of what goes on as a chain, the end is drawn too. Of many that hang in one place and are alike, the first few are drawn and the rest
//! is counted. A thing that comes up again is not drawn twice. What hangs alone below something stands under it
//! without being indented, so that a chain is as narrow at its end as at its beginning. What is wider than the terminal
//! goes on below, inside its branch.

mod paint;

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::Hash;
use std::io::{self, IsTerminal, Write};

pub(crate) use paint::{Paint, folded};

use crate::listing::distinct_digits;
use crate::output;
use crate::session::Session;

/// Of so many that are alike each is drawn; of more, so many and the number of the rest.
pub(crate) const ALIKE_MAX: usize = 2;
/// Kinds of what hangs in one place: of more, one of each is drawn, or what is left of them would not be seen.
const KINDS_MAX: usize = 4;
/// Branches of one tree: two trees are a screen or two. As many hang in one place.
const BRANCHES_MAX: usize = 20;
/// Levels of one tree: with more, half of an ordinary terminal would be indentation.
const LEVELS_MAX: usize = 12;
/// Levels on which every fork is indented: so many steps of a lineage fit beside each other on any terminal.
const LEVELS_OF_FORKS: usize = 4;
/// What stands behind a branch beyond which there is more that is not drawn.
const MORE_BEYOND: &str = "(more: --unfold)";
/// Nodes at the end of a long chain that are drawn also where its middle is not: where something comes from in the end is
/// what people look for.
const NODES_OF_END: usize = 2;

/// How a tree is to look.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Style {
    /// Whether colours are wanted.
    pub(crate) is_coloured: bool,
    /// Columns to keep to; `None` for lines as long as they come.
    pub(crate) width: Option<usize>,
    /// Whether what is too much is only counted.
    pub(crate) is_folded: bool,
}

impl Style {
    /// As whatever standard output is wants it: only a terminal has colours, if nobody minds, and a width.
    pub(crate) fn of_stdout(session: &Session, is_folded: bool) -> Self {
        let is_coloured = io::stdout().is_terminal() && !session.environment.no_color;
        Self { is_coloured, width: output::terminal_width(), is_folded }
    }
}

/// What a tree grows from.
pub(crate) trait Soil<'a> {
    /// Something that hangs in the tree, in its place.
    type Node: Copy;
    /// What nodes in one place must have in common to be alike.
    type Likeness: Eq + Hash;

    /// What hangs below a node.
    fn beyond(&self, node: Self::Node) -> Vec<Self::Node>;
    /// The id of a thing that is drawn with what is below it only once.
    fn identity(&self, node: Self::Node) -> Option<&'a str>;
    /// What the node must have in common with others to be alike.
    fn likeness(&self, node: Self::Node) -> Self::Likeness;
    /// The id of what the node shows, if it has one: by it is known what was drawn.
    fn id(&self, node: Self::Node) -> Option<&'a str> {
        self.identity(node)
    }
    /// How many are drawn of those that are like the node.
    fn alike_max(&self, _node: Self::Node) -> usize {
        ALIKE_MAX
    }
    /// How many levels a tree has.
    fn levels_max(&self) -> usize {
        LEVELS_MAX
    }
    /// Where it hangs, and then the words about it; each stays on one line.
    fn words(&self, node: Self::Node) -> (String, Vec<String>);
    /// The same of what is drawn whole elsewhere: by what it is found there.
    fn words_again(&self, node: Self::Node) -> (String, Vec<String>) {
        self.words(node)
    }
    /// What is said of so many nodes of a chain that are not drawn; each stays on one line.
    fn on_the_way(&self, number: usize) -> Vec<String> {
        vec![format!("and {number} more on the way")]
    }
    /// What is said of so many more that are like this; each stays on one line.
    fn more(&self, number: usize, node: Self::Node) -> Vec<String>;
}

/// Trees that grow from one soil one after the other: what is in one is not drawn again in the next.
pub(crate) struct Trees<'a, S> {
    soil: &'a S,
    style: Style,
    /// Things that have their place in a tree.
    placed: HashSet<&'a str>,
    /// Those of them that are above what is being written.
    written: HashSet<&'a str>,
    /// Ids of all that were drawn.
    drawn: HashSet<&'a str>,
}

/// A branch of a tree.
struct Branch<N> {
    what: What<N>,
    below: Vec<usize>,
    level: usize,
    end: End,
}

enum What<N> {
    Node(N),
    /// Stands for some that are alike.
    Rest(Vec<String>),
}

/// Why nothing hangs below a branch, if nothing does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Open,
    /// It is drawn elsewhere.
    Again,
    /// There would be too much.
    TooMuch,
}

impl<'a, S: Soil<'a>> Trees<'a, S> {
    pub(crate) fn new(soil: &'a S, style: Style) -> Self {
        Self { soil, style, placed: HashSet::new(), written: HashSet::new(), drawn: HashSet::new() }
    }

    /// A thing that stands above the trees.
    pub(crate) fn place(&mut self, id: &'a str) {
        self.placed.insert(id);
        self.written.insert(id);
        self.drawn.insert(id);
    }

    /// Ids of all that were drawn.
    pub(crate) fn drawn(&self) -> &HashSet<&'a str> {
        &self.drawn
    }

    /// Draws `first` and all that grows from them.
    pub(crate) fn draw(&mut self, first: Vec<S::Node>, out: &mut impl Write) -> io::Result<()> {
        let (branches, first) = self.grow(first);
        self.write(&branches, &first, out)
    }

    /// Breadth first, so that a thing stands as near to the root as it can, and what is left out is far.
    fn grow(&mut self, first: Vec<S::Node>) -> (Vec<Branch<S::Node>>, Vec<usize>) {
        let mut branches = Vec::new();
        let first = self.hang(first, 0, &mut branches);
        let mut growing: VecDeque<usize> = first.iter().copied().collect();
        while let Some(at) = growing.pop_front() {
            let Branch { what: What::Node(node), level, end, .. } = &branches[at] else { continue };
            let (beyond, level, is_again) = (self.soil.beyond(*node), level + 1, *end == End::Again);
            let is_full = branches.len() >= BRANCHES_MAX || level >= self.soil.levels_max();
            let is_too_much = self.style.is_folded && is_full;
            if beyond.is_empty() {
                // Where nothing hangs below, there is nothing to see elsewhere either.
                branches[at].end = End::Open;
            } else if is_again {
                // What hangs below hangs there.
            } else if is_too_much {
                branches[at].below = self.hang_end(*node, level, &mut branches);
                branches[at].end = if branches[at].below.is_empty() { End::TooMuch } else { End::Open };
            } else {
                let below = self.hang(beyond, level, &mut branches);
                growing.extend(&below);
                branches[at].below = below;
            }
        }
        (branches, first)
    }

    /// Makes branches of `nodes`, or counts where too many are alike.
    fn hang(&mut self, nodes: Vec<S::Node>, level: usize, branches: &mut Vec<Branch<S::Node>>) -> Vec<usize> {
        let from = branches.len();
        for what in self.fold(nodes) {
            let identity = if let What::Node(node) = &what { self.soil.identity(*node) } else { None };
            self.drawn.extend(if let What::Node(node) = &what { self.soil.id(*node) } else { None });
            let is_new = identity.is_none_or(|id| self.placed.insert(id));
            let end = if is_new { End::Open } else { End::Again };
            branches.push(Branch { what, below: Vec::new(), level, end });
        }
        (from..branches.len()).collect()
    }

    /// Makes branches of the end of a chain that begins at `node`, and of the number of those between, one below the
    /// other; of nothing, if that is no chain or leads to what is drawn elsewhere.
    fn hang_end(&mut self, node: S::Node, level: usize, branches: &mut Vec<Branch<S::Node>>) -> Vec<usize> {
        let Some(chain) = self.chain(node) else { return Vec::new() };
        let skipped = chain.len().saturating_sub(NODES_OF_END);
        // One more line for the number would be no shorter than the one that it stands for.
        let skipped = if skipped > 1 { skipped } else { 0 };
        let rest = (skipped > 0).then(|| What::Rest(self.soil.on_the_way(skipped)));
        let first = branches.len();
        for what in rest.into_iter().chain(chain[skipped..].iter().copied().map(What::Node)) {
            if let What::Node(node) = &what {
                self.placed.extend(self.soil.identity(*node));
                self.drawn.extend(self.soil.id(*node));
            }
            let next = branches.len() + 1;
            branches.push(Branch { what, below: vec![next], level, end: End::Open });
        }
        branches.last_mut().expect("a chain has nodes, and they were just pushed").below.clear();
        vec![first]
    }

    /// What follows on `node`, one on the other, to where nothing does: of all that hangs below each, only one has
    /// anything below it.
    fn chain(&self, node: S::Node) -> Option<Vec<S::Node>> {
        let (mut chain, mut at) = (Vec::new(), node);
        let mut met = HashSet::new();
        loop {
            let mut beyond = self.soil.beyond(at);
            if beyond.len() > 1 {
                beyond.retain(|node| !self.soil.beyond(*node).is_empty());
            }
            let [next] = beyond[..] else { return (beyond.is_empty() && !chain.is_empty()).then_some(chain) };
            let is_new = self.soil.identity(next).is_none_or(|id| !self.placed.contains(id) && met.insert(id));
            if !is_new {
                return None;
            }
            chain.push(next);
            at = next;
        }
    }

    fn fold(&self, nodes: Vec<S::Node>) -> Vec<What<S::Node>> {
        let mut alike: HashMap<S::Likeness, usize> = HashMap::new();
        nodes.iter().for_each(|node| *alike.entry(self.soil.likeness(*node)).or_default() += 1);
        let mut met: HashMap<S::Likeness, usize> = HashMap::new();
        let mut drawn_of: HashMap<S::Likeness, usize> = HashMap::new();
        let mut kept = Vec::new();
        for node in nodes {
            let drawn = *drawn_of.entry(self.soil.likeness(node)).or_insert_with(|| match self.soil.alike_max(node) {
                ALIKE_MAX if alike.len() > KINDS_MAX => 1,
                drawn => drawn,
            });
            let all = alike[&self.soil.likeness(node)];
            let nth = met.entry(self.soil.likeness(node)).or_default();
            *nth += 1;
            // One more line for the number would be no shorter than the one that it stands for.
            if !self.style.is_folded || all <= drawn + 1 || *nth <= drawn {
                kept.push(What::Node(node));
            } else if *nth == all {
                kept.push(What::Rest(self.soil.more(all - drawn, node)));
            }
        }
        if self.style.is_folded && kept.len() > BRANCHES_MAX {
            let more = kept.len() - BRANCHES_MAX;
            kept.truncate(BRANCHES_MAX);
            kept.push(What::Rest(vec![format!("and {more} more")]));
        }
        kept
    }

    /// A stack instead of recursion: what is drawn whole may be deeper than a thread's.
    fn write(&mut self, branches: &[Branch<S::Node>], first: &[usize], out: &mut impl Write) -> io::Result<()> {
        let paint = Paint { is_coloured: self.style.is_coloured };
        let mut pending = Vec::new();
        push_all(&mut pending, first, "");
        while let Some((at, indent, place_in_row)) = pending.pop() {
            let branch = &branches[at];
            let (place, mut words) = match &branch.what {
                What::Node(node) if branch.end == End::Again => self.soil.words_again(*node),
                What::Node(node) => self.soil.words(*node),
                What::Rest(words) => {
                    (format!("{} ", paint.faint("…")), words.iter().map(|word| paint.faint(word)).collect())
                }
            };
            // A word of its own, lest it is cut with another.
            words.extend(self.remark(branch).map(str::to_owned));
            let (mark, inner) = match place_in_row {
                PlaceInRow::Alone => ("↳ ", format!("{indent}  ")),
                PlaceInRow::Last => ("└─ ", format!("{indent}   ")),
                PlaceInRow::Before => ("├─ ", format!("{indent}│  ")),
            };
            let goes_on = goes_on(branches, branch);
            let below = if goes_on.is_some() && place_in_row == PlaceInRow::Alone { indent.clone() } else { inner };
            let bar = if branch.below.is_empty() { "   " } else { "│  " };
            let lines = folded(&format!("{indent}{mark}{place}"), &format!("{below}{bar}"), &words, self.style.width);
            write!(out, "{lines}")?;
            if let Some(next) = goes_on {
                pending.push((next, below.clone(), PlaceInRow::Alone));
                let beside: Vec<usize> = branch.below.iter().copied().filter(|at| *at != next).collect();
                push_all(&mut pending, &beside, &format!("{below}│  "));
            } else {
                push_all(&mut pending, &branch.below, &below);
            }
        }
        Ok(())
    }

    /// What is said of a branch whose below is not here; and it is written now.
    fn remark(&mut self, branch: &Branch<S::Node>) -> Option<&'static str> {
        let identity = if let What::Node(node) = &branch.what { self.soil.identity(*node) } else { None };
        match (branch.end, identity) {
            (End::Again, Some(id)) if self.written.contains(id) => return Some("(see above)"),
            (End::Again, _) => return Some("(see below)"),
            (End::Open | End::TooMuch, _) => self.written.extend(identity),
        }
        (branch.end == End::TooMuch).then_some(MORE_BEYOND)
    }
}

/// How a branch is joined to what it hangs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PlaceInRow {
    /// Nothing else hangs there, so it stands right below.
    Alone,
    Last,
    Before,
}

/// The branch with which a chain goes on: it stands right below, without an indentation of its own. Near the root that is
/// what hangs alone; far from it, what alone has more below it, and the others come before it.
fn goes_on<N>(branches: &[Branch<N>], branch: &Branch<N>) -> Option<usize> {
    if let [only] = branch.below[..] {
        return Some(only);
    }
    let mut with_more = branch.below.iter().filter(|at| !branches[**at].below.is_empty());
    let next = with_more.next().filter(|_| branch.level >= LEVELS_OF_FORKS)?;
    if with_more.next().is_none() { Some(*next) } else { None }
}

/// The last one is drawn last, so it goes on the stack first.
fn push_all(pending: &mut Vec<(usize, String, PlaceInRow)>, branches: &[usize], indent: &str) {
    for (i, branch) in branches.iter().enumerate().rev() {
        let place_in_row = if i + 1 == branches.len() { PlaceInRow::Last } else { PlaceInRow::Before };
        pending.push((*branch, indent.to_owned(), place_in_row));
    }
}

/// How many digits of ids are drawn: on a terminal as many as tell `ids` apart, elsewhere all.
pub(crate) fn digits_of<'a>(ids: impl Iterator<Item = &'a str>, style: Style) -> usize {
    style.width.map_or(usize::MAX, |_| distinct_digits(&ids.collect()))
}

/// So many first digits of an id.
pub(crate) fn shortened(id: &str, digits: usize) -> &str {
    id.get(..digits).unwrap_or(id)
}
