//! Lineage: what was made from what, walked from one Data in either direction.
//!
//! The walk is the one of the original client (knit-cli 2.7). Going up from a Data, the Run that made
//! it is added with all its outputs and inputs, and the walk goes on from the inputs; going down, so
//! is every Run that uses it, and the walk goes on from the outputs. The siblings met on the way are
//! shown and not followed. One step of depth is one Run.

mod path;
mod show;

use std::fmt;
use std::marker::PhantomData;

use knit_domain::id::{KnitId, RunId};
use knit_schemas::api;
use uuid::Uuid;

use super::column::{DataRow, PlanRow, Row, RunRow};
use super::render::drawing::LineageDot;
use super::render::json::LineageJson;
use super::{At, Limit, Store};

pub use self::show::{Continuation, Show};

/// Where a walk begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// At a Data.
    Data(KnitId),
    /// At a Run: it is shown with all it takes and makes, and the walk goes up from the former and down from the
    /// latter.
    Run(RunId),
}

impl Start {
    fn id(self) -> Uuid {
        match self {
            Self::Data(id) => id.0,
            Self::Run(id) => id.0,
        }
    }
}

impl fmt::Display for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.id().fmt(f)
    }
}

impl From<KnitId> for Start {
    fn from(id: KnitId) -> Self {
        Self::Data(id)
    }
}

impl From<RunId> for Start {
    fn from(id: RunId) -> Self {
        Self::Run(id)
    }
}

/// Which way and how far to walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Walk {
    /// Towards the origins.
    pub upstream: bool,
    /// Towards the consumers. Neither direction means both.
    pub downstream: bool,
    /// Runs in a row in each direction; `None` for all there are.
    pub depth: Option<u32>,
}

/// The Data and Runs met, in the order of discovery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lineage {
    /// Where the walk began.
    pub start: KnitId,
    /// Every Data, the start first.
    pub data: Vec<KnitId>,
    /// Every Run.
    pub runs: Vec<RunId>,
    /// Data at which the depth ended the walk although there is more.
    pub cut: Vec<KnitId>,
}

impl Store {
    /// Walks from the Data `start`; `None` if it did not exist then.
    #[must_use]
    pub fn lineage(&self, start: KnitId, walk: &Walk, at: At) -> Option<Lineage> {
        let walked = self.walk(start, walk, at.limit())?;
        Some(Lineage {
            start,
            data: walked.data.iter().map(|row| self.data.id(*row)).collect(),
            runs: walked.runs.iter().map(|row| self.runs.id(*row)).collect(),
            cut: walked.cut.iter().map(|row| self.data.id(*row)).collect(),
        })
    }

    /// The same walk from a Data or a Run, as the wire shows it.
    #[must_use]
    pub fn lineage_graph(&self, start: impl Into<Start>, walk: &Walk, at: At) -> Option<api::LineageGraph> {
        self.shown_graph(start.into(), walk, &Show::default(), at)
    }

    /// What is to be shown of a walk; `None` if its start did not exist then.
    #[must_use]
    pub fn shown_graph(&self, start: Start, walk: &Walk, show: &Show, at: At) -> Option<api::LineageGraph> {
        Some(self.built(start, self.part(start, walk, show, at.limit())?, show, at))
    }

    fn built(&self, start: Start, Part { walked, plans, next }: Part, show: &Show, at: At) -> api::LineageGraph {
        let limit = at.limit();
        api::LineageGraph {
            start: start.to_string(),
            plans: plans.into_iter().map(|plan| self.plan_summary(plan, limit)).collect(),
            data: walked.data.iter().map(|row| self.lineage_data(*row, limit)).collect(),
            runs: walked.runs.iter().filter_map(|row| self.lineage_run(*row, limit)).collect(),
            cut: walked.cut.iter().map(|row| self.data.id(*row).to_string()).collect(),
            next: next.map(|next| self.token(next, at)),
            as_of: show.is_dated.then(|| at.position(self.position)),
        }
    }

    /// The same as [`Self::lineage_graph`], to be written as JSON piece by piece. Ask for a position, not for now:
    /// events may be applied between two pieces.
    #[must_use]
    pub fn lineage_json(&self, start: impl Into<Start>, walk: &Walk, at: At) -> Option<LineageJson> {
        self.shown_json(start.into(), walk, &Show::default(), at)
    }

    /// The same as [`Self::shown_graph`], to be written as [`Self::lineage_json`].
    #[must_use]
    pub fn shown_json(&self, start: Start, walk: &Walk, show: &Show, at: At) -> Option<LineageJson> {
        let limit = at.limit();
        let Part { walked, plans, next } = self.part(start, walk, show, limit)?;
        let next = next.map(|next| self.token(next, at));
        let as_of = show.is_dated.then(|| at.position(self.position));
        Some(LineageJson::new(start.id(), walked, plans, limit).ending(next, as_of))
    }

    /// The same as [`Self::shown_graph`], to be written as DOT piece by piece. Ask for a position, not for now.
    #[must_use]
    pub fn shown_dot(&self, start: Start, walk: &Walk, show: &Show, at: At) -> Option<LineageDot> {
        let limit = at.limit();
        let Part { walked, .. } = self.part(start, walk, show, limit)?;
        Some(LineageDot::new(start.id(), walked, self, limit))
    }

    /// The same as [`Self::shown_graph`] of no more than `nodes_max` Data and Runs.
    ///
    /// # Errors
    /// How many there are, if they are more.
    #[must_use]
    pub fn small_graph(
        &self,
        start: Start,
        walk: &Walk,
        show: &Show,
        at: At,
        nodes_max: usize,
    ) -> Option<Result<api::LineageGraph, usize>> {
        let limit = at.limit();
        let part = self.part(start, walk, show, limit)?;
        let nodes = part.walked.data.len() + part.walked.runs.len();
        Some(if nodes > nodes_max { Err(nodes) } else { Ok(self.built(start, part, show, at)) })
    }

    fn part(&self, start: Start, walk: &Walk, show: &Show, limit: Limit) -> Option<Part> {
        let walked = self.walk(start, walk, limit)?;
        let (walked, next) = self.shown(start, walked, show, limit);
        let mut seen: Seen<PlanRow> = Seen::with_room_for(self.plans.len());
        let plans = walked.runs.iter().map(|run| self.runs.records[*run].plan).filter(|plan| seen.insert(*plan));
        let plans = plans.collect();
        Some(Part { walked, plans, next })
    }

    fn token(&self, next: usize, at: At) -> String {
        Continuation { position: at.position(self.position), behind: next }.to_string()
    }

    fn walk(&self, start: impl Into<Start>, walk: &Walk, limit: Limit) -> Option<Walked> {
        let mut walker = Walker::new(self, limit);
        let (above, below) = match start.into() {
            Start::Data(id) => walker.start_at_data(self.data.row(id, limit, &self.runs.steps)?),
            Start::Run(id) => walker.start_at_run(self.runs.row(id, limit)?),
        };
        let both = walk.upstream == walk.downstream;
        let origins = if both || walk.upstream { walker.go(above, walk.depth, Walker::step_up) } else { Vec::new() };
        let consumers =
            if both || walk.downstream { walker.go(below, walk.depth, Walker::step_down) } else { Vec::new() };
        let cut = walker.cuts(&origins, &consumers);
        Some(Walked { data: walker.data, runs: walker.runs, cut })
    }
}

/// What is shown of a walk.
struct Part {
    walked: Walked,
    /// Those of the Runs, once each.
    plans: Vec<PlanRow>,
    /// Nodes that are behind, if there are more.
    next: Option<usize>,
}

/// Where a walk has been, in the order of discovery.
#[derive(Debug)]
pub(super) struct Walked {
    pub(super) data: Vec<DataRow>,
    pub(super) runs: Vec<RunRow>,
    /// Data at which the depth ended it although there is more.
    pub(super) cut: Vec<DataRow>,
}

/// A walk under way.
struct Walker<'store> {
    store: &'store Store,
    limit: Limit,
    seen_data: Seen<DataRow>,
    seen_runs: Seen<RunRow>,
    data: Vec<DataRow>,
    runs: Vec<RunRow>,
}

impl<'store> Walker<'store> {
    fn new(store: &'store Store, limit: Limit) -> Self {
        Self {
            store,
            limit,
            seen_data: Seen::with_room_for(store.data.ids.len()),
            seen_runs: Seen::with_room_for(store.runs.ids.len()),
            data: Vec::new(),
            runs: Vec::new(),
        }
    }

    /// Meets the Data; the walk goes on from it in both directions.
    fn start_at_data(&mut self, data: DataRow) -> (Vec<DataRow>, Vec<DataRow>) {
        self.meet_data(data);
        (vec![data], vec![data])
    }

    /// Meets a Run with its Data; the walk goes on from what it takes and from what it makes.
    fn start_at_run(&mut self, run: RunRow) -> (Vec<DataRow>, Vec<DataRow>) {
        let (mut above, mut below) = (Vec::new(), Vec::new());
        self.seen_runs.insert(run);
        self.runs.push(run);
        self.meet_outputs(run, Some(&mut below));
        self.meet_inputs(run, Some(&mut above));
        (above, below)
    }

    /// Steps on from all of `start` until the depth is used up or nothing is left; answers where it stopped.
    fn go(
        &mut self,
        start: Vec<DataRow>,
        depth: Option<u32>,
        step: fn(&mut Self, DataRow, &mut Vec<DataRow>),
    ) -> Vec<DataRow> {
        let mut frontier = start;
        let mut left = depth;
        while !frontier.is_empty() && left != Some(0) {
            let mut next = Vec::new();
            for data in frontier {
                step(self, data, &mut next);
            }
            frontier = next;
            left = left.map(|left| left - 1);
        }
        frontier
    }

    fn step_up(&mut self, data: DataRow, next: &mut Vec<DataRow>) {
        let run = self.store.data.records[data].run;
        if self.store.is_live(run, self.limit) && self.seen_runs.insert(run) {
            self.runs.push(run);
            self.meet_outputs(run, None);
            self.meet_inputs(run, Some(next));
        }
    }

    fn step_down(&mut self, data: DataRow, next: &mut Vec<DataRow>) {
        for edge in self.store.live_uses(data, self.limit) {
            if self.seen_runs.insert(edge.run) {
                self.runs.push(edge.run);
                self.meet_inputs(edge.run, None);
                self.meet_outputs(edge.run, Some(next));
            }
        }
    }

    fn meet_inputs(&mut self, run: RunRow, next: Option<&mut Vec<DataRow>>) {
        let store = self.store;
        self.meet_all(store.runs.inputs(run).map(|(_, edge)| edge.data), next);
    }

    /// Outputs first, then the log: so the event that reserved them has them.
    fn meet_outputs(&mut self, run: RunRow, next: Option<&mut Vec<DataRow>>) {
        self.meet_all(self.store.outputs(run, self.limit), next);
    }

    /// Meets every Data that exists; where the walk goes on from them, they are `next`.
    fn meet_all(&mut self, all: impl IntoIterator<Item = DataRow>, mut next: Option<&mut Vec<DataRow>>) {
        for data in all {
            if self.store.data.exists(data, self.limit, &self.store.runs.steps) {
                self.meet_data(data);
                next.as_mut().into_iter().for_each(|next| next.push(data));
            }
        }
    }

    fn meet_data(&mut self, data: DataRow) {
        if self.seen_data.insert(data) {
            self.data.push(data);
        }
    }

    fn cuts(&self, origins: &[DataRow], consumers: &[DataRow]) -> Vec<DataRow> {
        let mut marked = Seen::with_room_for(self.store.data.ids.len());
        let unseen = |run: RunRow| self.store.is_live(run, self.limit) && !self.seen_runs.contains(run);
        let more_above = |data: &DataRow| unseen(self.store.data.records[*data].run);
        let more_below = |data: &DataRow| self.store.live_uses(*data, self.limit).any(|edge| unseen(edge.run));
        let above = origins.iter().filter(|data| more_above(data));
        let below = consumers.iter().filter(|data| more_below(data));
        above.chain(below).copied().filter(|data| marked.insert(*data)).collect()
    }
}

/// A set of rows, a bit for each there could be.
pub(super) struct Seen<R> {
    bits: Vec<u64>,
    rows: PhantomData<R>,
}

impl<R: Row> Seen<R> {
    pub(super) fn with_room_for(rows: usize) -> Self {
        Self { bits: vec![0; rows.div_ceil(64)], rows: PhantomData }
    }

    /// Whether the row is new.
    pub(super) fn insert(&mut self, row: R) -> bool {
        let (word, bit) = (row.index() / 64, 1 << (row.index() % 64));
        let new = self.bits[word] & bit == 0;
        self.bits[word] |= bit;
        new
    }

    pub(super) fn contains(&self, row: R) -> bool {
        self.bits[row.index() / 64] & (1 << (row.index() % 64)) != 0
    }
}
