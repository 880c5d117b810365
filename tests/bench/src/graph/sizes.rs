//! Graphs of the sizes that the design names, and small ones for a quick look.

use super::shapes::Pipeline;
use super::wfformat::Workflow;
use super::{Graph, PlanShape};

/// Events of one Run with its two outputs: projected and two reserved, then six until it is done.
const EVENTS_PER_RUN: usize = 9;
/// Data that every Run of a pipeline takes beside its sample.
const REFERENCES: u32 = 3;
/// The widest Run, and the samples of a large pipeline.
const FAN_IN: u32 = 1_000;
/// Runs that take the hub.
const CONSUMERS: u32 = 1_000;
/// Stages of a large pipeline: with as many samples and three nodes for each step, 10⁵ nodes.
const STAGES: u32 = 33;
/// Data that carry one certain tag.
pub(crate) const MARKED: usize = 889;
/// The tag they carry.
pub(crate) const MARK: &str = "project:atlas";
/// The tag of a thousand Data.
pub(crate) const THOUSAND: &str = "batch:thousand";
/// The tags of two sides of a product, each of which a hundred Data carry.
pub(crate) const SIDES: [&str; 2] = ["side:left", "side:right"];
/// Data on each side.
pub(crate) const HUNDRED: usize = 100;
/// Plans of a catalog, the two built-in ones not counted.
pub(crate) const PLANS: usize = 239;
/// Further pipelines of a catalog, which give it its many Plans.
const SMALL_PIPELINES: u32 = 5;

impl Graph {
    /// The catalog on which the original was measured, if `tenths` is 10: 10⁵ Data, about 5·10⁴ Runs
    /// and 2·10⁵ assignments, 239 Plans. One tenth has the same Plans, hub and shapes.
    pub(crate) fn catalog(tenths: u32) -> Self {
        let mut graph = Self::default();
        graph.pipeline(Pipeline { samples: FAN_IN / 10 * tenths, stages: STAGES, references: REFERENCES });
        graph.hub(CONSUMERS);
        graph.chain(100 * tenths);
        for _ in 0..SMALL_PIPELINES {
            graph.pipeline(Pipeline { samples: 9 * tenths - 7, stages: STAGES, references: REFERENCES });
        }
        graph.fill_plans(PLANS);
        graph.mark(MARK, MARKED);
        graph.mark(THOUSAND, 1_000);
        SIDES.into_iter().for_each(|side| graph.mark(side, HUNDRED));
        graph
    }

    /// About `nodes` Data and Runs with twice as many edges: a hub, a chain 10⁴ deep, large pipelines,
    /// and `workflows`, if there are any, instead of all pipelines but the first.
    pub(crate) fn large(nodes: usize, workflows: &[Workflow]) -> Self {
        let mut graph = Self::default();
        // Enough stages for a closure of a tenth of the nodes, but never more than of 10⁵.
        let stages = u32::try_from(nodes / 30_000).unwrap_or(STAGES).clamp(3, STAGES);
        graph.hub(CONSUMERS);
        graph.chain(u32::try_from(nodes / 10).unwrap_or(u32::MAX).min(10_000));
        let large = Pipeline { samples: FAN_IN, stages, references: REFERENCES };
        graph.pipeline(large);
        let large = Pipeline { stages: STAGES, ..large };
        let step = Pipeline { samples: FAN_IN / 10, ..large };
        while graph.nodes() < nodes {
            if !workflows.is_empty() {
                workflows.iter().for_each(|workflow| graph.workflow(workflow));
            } else if nodes - graph.nodes() > 3 * (FAN_IN * STAGES) as usize {
                graph.pipeline(large);
            } else {
                graph.pipeline(step);
            }
        }
        graph
    }

    /// A graph whose history has about `events` events.
    pub(crate) fn of_events(events: usize) -> Self {
        let runs = events / EVENTS_PER_RUN;
        let mut graph = Self::default();
        graph.hub(u32::try_from(runs / 20).unwrap_or(u32::MAX).min(CONSUMERS));
        graph.chain(u32::try_from(runs / 20).unwrap_or(u32::MAX).min(1_000));
        let step = Pipeline { samples: FAN_IN / 5, stages: STAGES, references: REFERENCES };
        while graph.events() < events {
            let missing = (events - graph.events()) / EVENTS_PER_RUN;
            let samples = u32::try_from(missing / STAGES as usize + 1).unwrap_or(u32::MAX).min(step.samples);
            graph.pipeline(Pipeline { samples, ..step });
        }
        graph
    }

    /// Events that its history will have.
    pub(crate) fn events(&self) -> usize {
        let of_run = |run| match self.plan_of(run) {
            // Started, reserved, agent opened; agent closed, decided, succeeded; tagged.
            None => 7,
            Some(_) => {
                let tagged = self.made(run).filter(|data| !self.tags(*data).is_empty()).count();
                1 + self.made(run).len() + 6 + tagged
            }
        };
        let of_plans = 2 + 2 * self.plans().len();
        of_plans + self.runs().map(of_run).sum::<usize>()
    }

    /// The name under which the Plan `shape` keeps its image apart from others.
    pub(crate) fn program_of(shape: &PlanShape) -> String {
        format!("true # {}", shape.name)
    }
}
