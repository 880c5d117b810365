//! Which Plans feed which, walked from one Plan in either direction (knit-cli 2.17).
//!
//! A Plan feeds another when one of its outputs, or its log, is given all the tags that an input of the other asks
//! for. One step of depth is one Plan. All edges between the Plans that were met are shown.

use knit_domain::id::PlanId;
use knit_domain::plan::OutputPoint;
use knit_schemas::api;

use super::column::PlanRow;
use super::lineage::{Seen, Walk};
use super::plans::Point;
use super::render::tags_of;
use super::{At, Limit, Store};

/// Which way to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Towards {
    Sources,
    Consumers,
}

impl Store {
    /// The Plans around `start`, and what feeds what; `None` if it was not registered then.
    #[must_use]
    pub fn plan_graph(&self, start: PlanId, walk: &Walk, at: At) -> Option<api::PlanGraph> {
        let limit = at.limit();
        let row = self.plans.row(start, limit)?;
        let (plans, cut) = self.plans_around(row, walk, limit);
        Some(api::PlanGraph {
            start: start.to_string(),
            edges: self.edges_among(&plans, limit),
            plans: plans.iter().map(|row| self.graph_plan(*row, limit)).collect(),
            cut: cut.into_iter().map(|row| self.plans.id(row).to_string()).collect(),
            as_of: None,
        })
    }

    /// The Plans of a walk in the order of discovery, and those of them at which the depth ended it.
    fn plans_around(&self, start: PlanRow, walk: &Walk, limit: Limit) -> (Vec<PlanRow>, Vec<PlanRow>) {
        let mut seen: Seen<PlanRow> = Seen::with_room_for(self.plans.len());
        seen.insert(start);
        let (mut plans, mut ends) = (vec![start], Vec::new());
        let both = walk.upstream == walk.downstream;
        for (towards, is_wanted) in [(Towards::Sources, walk.upstream), (Towards::Consumers, walk.downstream)] {
            let (mut frontier, mut left) = (vec![start], walk.depth);
            while (both || is_wanted) && !frontier.is_empty() && left != Some(0) {
                let beyond = frontier.iter().flat_map(|row| self.plans_beyond(*row, towards, limit));
                frontier = beyond.filter(|row| seen.insert(*row)).collect();
                plans.extend(&frontier);
                left = left.map(|left| left - 1);
            }
            ends.extend(frontier.into_iter().filter(|_| both || is_wanted).map(|row| (row, towards)));
        }
        let is_cut = |(row, towards): &(PlanRow, Towards)| {
            self.plans_beyond(*row, *towards, limit).into_iter().any(|beyond| !seen.contains(beyond))
        };
        let cut = ends.into_iter().filter(is_cut).map(|(row, _)| row).collect();
        (plans, cut)
    }

    fn plans_beyond(&self, row: PlanRow, towards: Towards, limit: Limit) -> Vec<PlanRow> {
        let record = self.plans.record(row);
        let points: Vec<Point> = match towards {
            Towards::Sources => {
                record.inputs.iter().flat_map(|input| self.plans.outputs_feeding(input, &self.tags, limit)).collect()
            }
            Towards::Consumers => {
                record.outputs.iter().flat_map(|set| self.plans.inputs_fed_by(*set, &self.tags, limit)).collect()
            }
        };
        points.into_iter().map(|point| point.plan).collect()
    }

    fn edges_among(&self, plans: &[PlanRow], limit: Limit) -> Vec<api::PlanEdge> {
        let mut shown: Seen<PlanRow> = Seen::with_room_for(self.plans.len());
        for row in plans {
            shown.insert(*row);
        }
        let mut edges = Vec::new();
        for &row in plans {
            for (number, input) in (0..).zip(&self.plans.record(row).inputs) {
                let sources = self.plans.outputs_feeding(input, &self.tags, limit).into_iter();
                let known = sources.filter(|source| shown.contains(source.plan));
                edges.extend(known.filter_map(|source| self.plan_edge(source, Point { plan: row, number })));
            }
        }
        edges
    }

    fn plan_edge(&self, source: Point, input: Point) -> Option<api::PlanEdge> {
        let output = self.plans.record(source.plan).point(source.number)?;
        Some(api::PlanEdge {
            from: self.plans.id(source.plan).to_string(),
            output: (!output.log).then(|| output.path.to_owned()),
            to: self.plans.id(input.plan).to_string(),
            input: self.plan_input(input)?.path,
        })
    }

    fn graph_plan(&self, row: PlanRow, limit: Limit) -> api::GraphPlan {
        let record = self.plans.record(row);
        let points = (0..).map_while(|number| record.point(number));
        let (logs, outputs): (Vec<_>, Vec<_>) = points.partition(|point| point.log);
        let tags = |point: &OutputPoint<'_>| point.tags.map(tags_of).unwrap_or_default();
        api::GraphPlan {
            plan: self.plan_summary(row, limit),
            active: record.at(limit).active,
            inputs: (0..).map_while(|number| self.plan_input(Point { plan: row, number })).collect(),
            outputs: outputs
                .iter()
                .map(|point| api::Mountpoint { path: point.path.to_owned(), tags: tags(point) })
                .collect(),
            log: logs.first().map(|point| api::LogPoint { tags: tags(point) }),
        }
    }
}
