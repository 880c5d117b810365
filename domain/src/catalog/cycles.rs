//! Whether a Plan would feed itself.
//!
//! Plan P is directly upstream of Plan Q when an output or the log of P carries every user tag of an
//! unpinned input of Q. From the new Plan the search goes downstream, nearest Plans first, so that
//! the cycle it reports is a shortest one.

use std::collections::{HashMap, VecDeque};

use super::Admitted;
use crate::event::plan::PlanDefinition;
use crate::id::PlanId;
use crate::matching::Requirement;
use crate::tag::{Tag, TagSet};

/// The Plans on the way from `new` back to itself, if there is such a way.
pub(super) fn closed_by(new: &PlanDefinition, admitted: &[Admitted]) -> Option<Vec<PlanId>> {
    let graph = Graph::of(new, admitted);
    let new = graph.plans.len() - 1;
    // For each Plan that was reached: from which one.
    let mut reached_from: Vec<Option<usize>> = vec![None; graph.plans.len()];
    let mut frontier = VecDeque::from([new]);
    while let Some(at) = frontier.pop_front() {
        for next in graph.downstreams(at) {
            if reached_from[next].is_none() {
                reached_from[next] = Some(at);
                frontier.push_back(next);
            }
        }
        if reached_from[new].is_some() {
            return Some(way_back(new, &reached_from).into_iter().map(|plan| admitted[plan].plan_id).collect());
        }
    }
    None
}

/// The Plans passed between `new` and `new`, in the direction of the Data.
fn way_back(new: usize, reached_from: &[Option<usize>]) -> Vec<usize> {
    let before = |plan: &usize| reached_from[*plan].filter(|plan| *plan != new);
    let mut way: Vec<usize> = std::iter::successors(before(&new), before).collect();
    way.reverse();
    way
}

/// All Plans, the new one last, and their unpinned inputs, each filed under the rarest of the tags it
/// asks for. An output feeds only inputs filed under one of its own tags, so a catalog of thousands
/// of Plans that share common tags is not compared pair by pair.
struct Graph<'a> {
    plans: Vec<&'a PlanDefinition>,
    inputs: HashMap<Tag, Vec<(usize, Requirement)>>,
}

impl<'a> Graph<'a> {
    fn of(new: &'a PlanDefinition, admitted: &'a [Admitted]) -> Self {
        let plans: Vec<&PlanDefinition> = admitted.iter().map(|plan| &plan.definition).chain([new]).collect();
        let unpinned: Vec<(usize, Requirement)> = plans
            .iter()
            .enumerate()
            .flat_map(|(plan, definition)| definition.inputs.iter().map(move |input| (plan, &input.tags)))
            .map(|(plan, tags)| (plan, Requirement::of(tags)))
            .filter(|(_, required)| !required.is_pinned())
            .collect();
        Self { plans, inputs: by_rarest_tag(unpinned) }
    }

    /// The Plans that Plan `at` feeds directly; some may occur twice.
    fn downstreams(&self, at: usize) -> impl Iterator<Item = usize> {
        outputs(self.plans[at]).flat_map(|output| {
            let near = output.iter().filter_map(|tag| self.inputs.get(tag)).flatten();
            near.filter(|(_, required)| required.fed_by(output)).map(|(plan, _)| *plan)
        })
    }
}

fn by_rarest_tag(unpinned: Vec<(usize, Requirement)>) -> HashMap<Tag, Vec<(usize, Requirement)>> {
    let mut uses: HashMap<Tag, usize> = HashMap::new();
    for tag in unpinned.iter().flat_map(|(_, required)| required.tags()) {
        *uses.entry(tag.clone()).or_default() += 1;
    }
    let mut filed: HashMap<Tag, Vec<(usize, Requirement)>> = HashMap::new();
    for (plan, required) in unpinned {
        let rarest = required.tags().iter().min_by_key(|tag| uses[*tag]).cloned();
        if let Some(tag) = rarest {
            filed.entry(tag).or_default().push((plan, required));
        }
    }
    filed
}

fn outputs(plan: &PlanDefinition) -> impl Iterator<Item = &TagSet> {
    plan.outputs.iter().map(|output| &output.tags).chain(plan.log.iter().map(|log| &log.tags))
}
