//! In what the histories of two results differ.
//!
//! Both histories are walked upstream in step: from two Data to the Runs that made them, and from two Runs to the
//! Data on those of their inputs that have the same path. Where both come to one and the same thing, everything
//! behind it is the same, and the walk does not go on. Pairs are met in the order of their distance from the results.

use std::collections::{HashSet, VecDeque};

use knit_domain::event::plan::{Mountpoint, PlanDefinition};
use knit_domain::id::{KnitId, RunId};
use knit_domain::run::Status;
use knit_schemas::api::{Aspect, AspectName, Difference, DifferingData, DifferingPair, PairKind};

use super::column::{DataRow, PlanRow, RunRow};
use super::render::tags_of;
use super::steps::{Decided, StepKind};
use super::{At, Limit, Store};

/// Pairs that are looked at for one answer. Two unlike histories of thousands of Runs can have millions of them, and
/// what people look for is near.
const PAIRS_MAX: usize = 20_000;
/// Pairs that are told: nobody reads more.
const TOLD_MAX: usize = 100;

/// A pair that stands at the same place of both histories.
struct Pair {
    both: Both,
    /// The Data by which the walk came to two Runs.
    by: Option<(DataRow, DataRow)>,
    distance: u32,
    route: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Both {
    Data(DataRow, DataRow),
    Runs(RunRow, RunRow),
}

impl Store {
    /// In what the histories of two Data differ; `None` if one of them did not exist then.
    #[must_use]
    pub fn diff_data(&self, left: KnitId, right: KnitId, at: At) -> Option<Difference> {
        let limit = at.limit();
        let row = |id| self.data.row(id, limit, &self.runs.steps);
        let both = Both::Data(row(left)?, row(right)?);
        Some(self.differ(left.to_string(), right.to_string(), both, at))
    }

    /// In what the histories of two Runs differ; `None` if one of them did not exist then.
    #[must_use]
    pub fn diff_runs(&self, left: RunId, right: RunId, at: At) -> Option<Difference> {
        let limit = at.limit();
        let both = Both::Runs(self.runs.row(left, limit)?, self.runs.row(right, limit)?);
        Some(self.differ(left.to_string(), right.to_string(), both, at))
    }

    fn differ(&self, left: String, right: String, both: Both, at: At) -> Difference {
        let limit = at.limit();
        let mut seen = HashSet::from([both]);
        let mut queue = VecDeque::from([Pair { both, by: None, distance: 0, route: Vec::new() }]);
        let (mut differing, mut cut) = (Vec::new(), false);
        while let Some(pair) = queue.pop_front() {
            if pair.both.is_one() {
                continue;
            }
            if differing.len() >= TOLD_MAX {
                cut = true;
                break;
            }
            let aspects = self.aspects(pair.both, limit);
            for next in self.behind_pair(&pair) {
                if seen.len() >= PAIRS_MAX {
                    cut = true;
                } else if seen.insert(next.both) {
                    queue.push_back(next);
                }
            }
            if !aspects.is_empty() {
                differing.push(self.told(pair, aspects, limit));
            }
        }
        Difference { left, right, as_of: at.position(self.position), differing, cut }
    }

    fn told(&self, pair: Pair, aspects: Vec<Aspect>, limit: Limit) -> DifferingPair {
        let (kind, left, right) = match pair.both {
            Both::Data(left, right) => {
                (PairKind::Data, self.data.id(left).to_string(), self.data.id(right).to_string())
            }
            Both::Runs(left, right) => (PairKind::Run, self.runs.id(left).to_string(), self.runs.id(right).to_string()),
        };
        let (left_data, right_data) = match (pair.both, pair.by) {
            (Both::Data(left, right), _) | (Both::Runs(..), Some((left, right))) => {
                (Some(self.named(left, limit)), Some(self.named(right, limit)))
            }
            (Both::Runs(..), None) => (None, None),
        };
        let Pair { distance, route, .. } = pair;
        DifferingPair { kind, distance, route, left, right, left_data, right_data, aspects }
    }

    fn named(&self, data: DataRow, limit: Limit) -> DifferingData {
        DifferingData { knit_id: self.data.id(data).to_string(), tags: tags_of(&self.data_tags(data, limit)) }
    }

    /// The pairs that a pair was made by, or made from.
    fn behind_pair(&self, pair: &Pair) -> Vec<Pair> {
        match pair.both {
            Both::Data(left, right) => {
                let both = Both::Runs(self.data.records[left].run, self.data.records[right].run);
                vec![Pair { both, by: Some((left, right)), distance: pair.distance, route: pair.route.clone() }]
            }
            Both::Runs(left, right) => {
                let taken = |run: RunRow| {
                    let plan = self.runs.records[run].plan;
                    self.runs.inputs(run).map(move |(_, edge)| (self.input_path(plan, edge.input), edge.data))
                };
                let others: Vec<(&str, DataRow)> = taken(right).collect();
                let partner = |path| others.iter().find(|(other, _)| *other == path).map(|(_, data)| *data);
                let next = taken(left).filter_map(|(path, data)| Some((path, Both::Data(data, partner(path)?))));
                let next = next.map(|(path, both)| {
                    let route = pair.route.iter().cloned().chain([path.to_owned()]).collect();
                    Pair { both, by: None, distance: pair.distance + 1, route }
                });
                next.collect()
            }
        }
    }

    fn input_path(&self, plan: PlanRow, number: u32) -> &str {
        let input = self.plans.record(plan).definition().and_then(|plan| plan.inputs.get(number as usize));
        input.map_or("", |input| &input.path)
    }

    fn aspects(&self, both: Both, limit: Limit) -> Vec<Aspect> {
        let mut found = Vec::new();
        match both {
            Both::Data(left, right) => self.compare_data(left, right, limit, &mut found),
            Both::Runs(left, right) => self.compare_runs(left, right, limit, &mut found),
        }
        found
    }

    fn compare_data(&self, left: DataRow, right: DataRow, limit: Limit, found: &mut Vec<Aspect>) {
        let tags = |data| self.data_tags(data, limit).iter().map(ToString::to_string).collect();
        each(AspectName::Tags, tags(left), tags(right), found);
        let run = |data: DataRow| self.data.records[data].run;
        let plan = |data: DataRow| self.runs.records[run(data)].plan;
        let path = |data: DataRow| {
            self.plans.record(plan(data)).point(self.data.records[data].point).map(|point| point.path.to_owned())
        };
        if plan(left) == plan(right) {
            whole(AspectName::Output, path(left).into_iter().collect(), path(right).into_iter().collect(), found);
        }
    }

    fn compare_runs(&self, left: RunRow, right: RunRow, limit: Limit, found: &mut Vec<Aspect>) {
        let plan = |run: RunRow| self.runs.records[run].plan;
        let id = |run: RunRow| vec![self.runs.id(run).to_string()];
        whole(
            AspectName::Plan,
            vec![self.plans.id(plan(left)).to_string()],
            vec![self.plans.id(plan(right)).to_string()],
            found,
        );
        match (self.plans.record(plan(left)).definition(), self.plans.record(plan(right)).definition()) {
            (Some(one), Some(other)) => compare_definitions(one, other, found),
            // Uploads and imports have no inputs in which they could differ: each stands for itself.
            (None, None) => whole(AspectName::Upload, id(left), id(right), found),
            (Some(_), None) | (None, Some(_)) => {}
        }
        self.compare_workers(left, right, limit, found);
        let status = |run| self.seen_status(run, limit).map(|status: Status| status.to_string()).into_iter().collect();
        whole(AspectName::Status, status(left), status(right), found);
        let exit = |run: RunRow| {
            let decided = self.runs.standing(run, limit).and_then(|standing| standing.decided);
            let exit = decided.and_then(Decided::exit).map(|exit| self.exit(exit));
            exit.map(|exit| format!("{} {}", exit.code, exit.message).trim().to_owned()).into_iter().collect()
        };
        whole(AspectName::Exit, exit(left), exit(right), found);
    }

    /// What changes of a Plan counts for a Run as it was when its Worker was asked for.
    fn compare_workers(&self, left: RunRow, right: RunRow, limit: Limit, found: &mut Vec<Aspect>) {
        let attributes = |run: RunRow| {
            let asked = self.step_of(run, StepKind::WorkerRequested, limit).map(|(_, position)| Limit(position));
            self.plans.record(self.runs.records[run].plan).at(asked.unwrap_or(limit))
        };
        let (one, other) = (attributes(left), attributes(right));
        let limits = |resources: &std::collections::BTreeMap<String, String>| {
            resources.iter().map(|(name, quantity)| format!("{name}={quantity}")).collect()
        };
        each(AspectName::Resources, limits(&one.resources), limits(&other.resources), found);
        let account = |name: &Option<String>| name.iter().filter(|name| !name.is_empty()).cloned().collect();
        whole(AspectName::ServiceAccount, account(&one.service_account), account(&other.service_account), found);
        let digest = |run: RunRow| -> Vec<String> {
            let spawned = self.step_of(run, StepKind::WorkerSpawned, limit);
            let worker = spawned.and_then(|(step, _)| self.runs.steps.workers.get(step));
            let digest = worker.and_then(|worker| worker.image_digest);
            digest.map(|digest| self.texts.get(digest).to_owned()).into_iter().collect()
        };
        let (one, other) = (digest(left), digest(right));
        // A Run without a Worker, or a runtime that knows no digests, says nothing about it.
        if !one.is_empty() && !other.is_empty() {
            whole(AspectName::ImageDigest, one, other, found);
        }
    }

    /// The newest step of a kind in the present attempt of a Run.
    fn step_of(&self, run: RunRow, kind: StepKind, limit: Limit) -> Option<(super::column::StepRow, u64)> {
        let mut past = self.runs.steps.back_from(self.runs.records[run].newest, limit);
        let found = past.find(|(_, step)| step.kind == kind || step.kind.begins_attempt());
        found.filter(|(_, step)| step.kind == kind).map(|(row, step)| (row, step.position))
    }
}

impl Both {
    fn is_one(self) -> bool {
        match self {
            Self::Data(left, right) => left == right,
            Self::Runs(left, right) => left == right,
        }
    }
}

fn compare_definitions(left: &PlanDefinition, right: &PlanDefinition, found: &mut Vec<Aspect>) {
    let image = |plan: &PlanDefinition| vec![plan.image.to_string()];
    whole(AspectName::Image, image(left), image(right), found);
    whole(AspectName::Entrypoint, left.entrypoint.clone(), right.entrypoint.clone(), found);
    whole(AspectName::Args, left.args.clone(), right.args.clone(), found);
    each(AspectName::Inputs, points(&left.inputs), points(&right.inputs), found);
    let outputs = |plan: &PlanDefinition| {
        let log = plan.log.iter().map(|log| text_of("log", log.tags.as_slice()));
        points(&plan.outputs).into_iter().chain(log).collect()
    };
    each(AspectName::Outputs, outputs(left), outputs(right), found);
    let nodes = |plan: &PlanDefinition| {
        let wish =
            |wish: &knit_domain::event::plan::OnNode| format!("{} {}={}", wish.mode.as_str(), wish.key, wish.value);
        plan.on_node.iter().map(wish).collect()
    };
    each(AspectName::OnNode, nodes(left), nodes(right), found);
}

fn points(points: &[Mountpoint]) -> Vec<String> {
    points.iter().map(|point| text_of(&point.path, point.tags.as_slice())).collect()
}

fn text_of(path: &str, tags: &[knit_domain::tag::Tag]) -> String {
    let tags: String = tags.iter().map(|tag| format!(" {tag}")).collect();
    format!("{path}{tags}")
}

/// Two things that differ as wholes.
fn whole(name: AspectName, left: Vec<String>, right: Vec<String>, found: &mut Vec<Aspect>) {
    if left != right {
        found.push(Aspect { name, left, right });
    }
}

/// Two sets, of which only what is not in both is told.
fn each(name: AspectName, left: Vec<String>, right: Vec<String>, found: &mut Vec<Aspect>) {
    let both: Vec<String> = left.iter().filter(|one| right.contains(one)).cloned().collect();
    let only = |some: Vec<String>| some.into_iter().filter(|one| !both.contains(one)).collect::<Vec<_>>();
    let (left, right) = (only(left), only(right));
    if !(left.is_empty() && right.is_empty()) {
        found.push(Aspect { name, left, right });
    }
}
