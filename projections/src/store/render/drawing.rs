//! A lineage drawn as DOT, node by node.
//!
//! A few nodes at a time are rendered as a graph of their own, which [`dot`] draws. So nothing of the answer is kept
//! but the rows that were walked, however long it is.

use std::ops::Range;

use knit_domain::id::KnitId;
use knit_schemas::api;
use knit_schemas::instant::Instant;
use knit_schemas::lineage::graph::Graph;
use knit_schemas::lineage::{Index, dot};
use uuid::Uuid;

use super::super::column::{DataRow, PlanRow};
use super::super::lineage::{Seen, Walked};
use super::super::{Limit, Store};

/// Nodes that are rendered at once: enough that a graph's own cost is nothing beside theirs, and few beside a piece.
const NODES_AT_ONCE: usize = 32;

/// A lineage that was walked, of which the drawing is being written.
pub struct LineageDot {
    start: Uuid,
    walked: Walked,
    shown: Seen<DataRow>,
    cut: Seen<DataRow>,
    part: Part,
    /// Nodes of the part that are behind.
    behind: usize,
    /// Runs without inputs that were met in the part.
    roots: usize,
    limit: Limit,
}

/// The parts of the file, in the order in which they are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Beginning,
    Data,
    Runs,
    Roots(usize),
    Edges,
    RootEdges,
    End,
    Done,
}

/// Why drawing into memory cannot fail.
const MEMORY: &str = "memory takes whatever is written";

impl LineageDot {
    pub(in crate::store) fn new(start: Uuid, walked: Walked, store: &Store, limit: Limit) -> Self {
        let mark = |rows: &[DataRow]| {
            let mut marked = Seen::with_room_for(store.data.ids.len());
            for row in rows {
                marked.insert(*row);
            }
            marked
        };
        let (shown, cut) = (mark(&walked.data), mark(&walked.cut));
        Self { start, walked, shown, cut, part: Part::Beginning, behind: 0, roots: 0, limit }
    }

    /// Writes on until `out` has `room_bytes`, or a few nodes more, or all is written; answers whether there is more.
    ///
    /// `store` is the one that was walked, perhaps with more events by now.
    ///
    /// # Panics
    /// Never: memory takes whatever is written.
    pub fn write(&mut self, store: &Store, out: &mut Vec<u8>, room_bytes: usize) -> bool {
        while out.len() < room_bytes && self.part != Part::Done {
            match self.part {
                Part::Beginning => {
                    dot::begin(out).expect(MEMORY);
                    self.enter(Part::Data);
                }
                Part::Data | Part::Runs | Part::Roots(_) | Part::Edges | Part::RootEdges => self.write_some(store, out),
                Part::End => {
                    dot::end(out).expect(MEMORY);
                    self.enter(Part::Done);
                }
                Part::Done => {}
            }
        }
        self.part != Part::Done
    }

    fn enter(&mut self, part: Part) {
        (self.part, self.behind, self.roots) = (part, 0, 0);
    }

    /// Writes the next nodes of the part, or goes on to the next part.
    fn write_some(&mut self, store: &Store, out: &mut Vec<u8>) {
        let (all, next) = match self.part {
            Part::Data => (self.walked.data.len(), Part::Runs),
            Part::Runs => (self.walked.runs.len(), Part::Roots(self.roots)),
            Part::Roots(roots) => (roots, Part::Edges),
            Part::Edges => (self.walked.runs.len(), Part::RootEdges),
            Part::RootEdges => (self.walked.runs.len(), Part::End),
            Part::Beginning | Part::End | Part::Done => return,
        };
        let nodes = self.behind..all.min(self.behind + NODES_AT_ONCE);
        if nodes.is_empty() {
            self.enter(next);
            return;
        }
        self.behind = nodes.end;
        let utc = |instant: &Instant| *instant;
        match self.part {
            Part::Data => {
                indexed(&self.data(store, nodes), |index| dot::data_nodes(index, &index.graph.data, utc, out))
            }
            Part::Runs => indexed(&self.runs(store, nodes), |index| {
                self.roots += dot::roots(index).count();
                dot::run_nodes(index, &index.graph.runs, utc, out)
            }),
            Part::Roots(_) => nodes.into_iter().try_for_each(|n| dot::root_node(n, out)),
            Part::Edges => indexed(&self.edges(store, nodes), |index| dot::edges(index, &index.graph.runs, out)),
            Part::RootEdges => indexed(&self.runs(store, nodes), |index| {
                let first = self.roots;
                self.roots += dot::roots(index).count();
                dot::root_edges(index, first, out)
            }),
            Part::Beginning | Part::End | Part::Done => Ok(()),
        }
        .expect(MEMORY);
    }

    /// A graph of some of the Data.
    fn data(&self, store: &Store, nodes: Range<usize>) -> api::LineageGraph {
        let rows = &self.walked.data[nodes];
        let cut = rows.iter().filter(|row| self.cut.contains(**row));
        api::LineageGraph {
            start: self.start.to_string(),
            data: rows.iter().map(|row| store.lineage_data(*row, self.limit)).collect(),
            cut: cut.map(|row| store.data.id(*row).to_string()).collect(),
            ..api::LineageGraph::default()
        }
    }

    /// A graph of some of the Runs and their Plans.
    fn runs(&self, store: &Store, nodes: Range<usize>) -> api::LineageGraph {
        let rows = &self.walked.runs[nodes];
        let mut seen: Seen<PlanRow> = Seen::with_room_for(store.plans.len());
        let plans = rows.iter().map(|row| store.runs.records[*row].plan).filter(|plan| seen.insert(*plan));
        api::LineageGraph {
            start: self.start.to_string(),
            plans: plans.map(|plan| store.plan_summary(plan, self.limit)).collect(),
            runs: rows.iter().filter_map(|row| store.lineage_run(*row, self.limit)).collect(),
            ..api::LineageGraph::default()
        }
    }

    /// A graph of some of the Runs, and of the Data at the ends of their edges, of which only the ids matter there.
    fn edges(&self, store: &Store, nodes: Range<usize>) -> api::LineageGraph {
        let graph = self.runs(store, nodes);
        api::LineageGraph { data: self.ends(store, &graph.runs), ..graph }
    }

    fn ends(&self, store: &Store, runs: &[api::LineageRun]) -> Vec<api::LineageData> {
        let edges = runs.iter().flat_map(|run| run.inputs.iter().chain(&run.outputs).map(|edge| &edge.knit_id));
        let ids = edges.chain(runs.iter().filter_map(|run| run.log.as_ref()));
        let is_shown = |id: &&String| {
            let row = id.parse().ok().and_then(|id: KnitId| store.data.row(id, self.limit, &store.runs.steps));
            row.is_some_and(|row| self.shown.contains(row))
        };
        ids.filter(is_shown).map(|id| api::LineageData { knit_id: id.clone(), tags: Vec::new() }).collect()
    }
}

fn indexed<T>(graph: &api::LineageGraph, draw: impl FnOnce(&Index<'_>) -> T) -> T {
    let graph = Graph::from(graph);
    draw(&Index::new(&graph))
}
