//! The original's way: one request for every Plan, each once, one after another.

use std::collections::HashSet;

use knit_schemas::api::{PlanDetail, PlanGraph};

use crate::client::{Client, Query};
use crate::error::{Ask, Error, Subject};
use crate::lineage::reach::Extent;

/// Fetches the graph around `start`.
pub(super) async fn fetch(client: &Client, start: &str, extent: Extent) -> Result<PlanGraph, Error> {
    let first = plan(client, start).await?;
    let mut known = HashSet::from([first.plan_id.clone()]);
    let start = first.plan_id.clone();
    let mut plans = vec![first];
    let mut ends: Vec<(usize, Beyond)> = Vec::new();
    let directions = [(extent.upstream, sources as Beyond), (extent.downstream, consumers)];
    for (_, beyond) in directions.into_iter().filter(|(is_wanted, _)| *is_wanted) {
        let (mut frontier, mut layer) = (vec![0], 0);
        while !frontier.is_empty() && extent.depth.is_none_or(|depth| layer < depth) {
            let mut next = Vec::new();
            for at in frontier {
                for id in beyond(&plans[at]) {
                    if known.insert(id.clone()) {
                        next.push(plans.len());
                        plans.push(plan(client, &id).await?);
                    }
                }
            }
            frontier = next;
            layer += 1;
        }
        ends.extend(frontier.into_iter().map(|at| (at, beyond)));
    }
    let is_cut = |(at, beyond): &(usize, Beyond)| beyond(&plans[*at]).iter().any(|id| !known.contains(id));
    let cut = ends.into_iter().filter(is_cut).map(|(at, _)| plans[at].plan_id.clone()).collect();
    Ok(PlanGraph::from_details(start, &plans, cut))
}

/// Ids of the Plans beyond one, in a direction.
type Beyond = fn(&PlanDetail) -> Vec<String>;

fn sources(plan: &PlanDetail) -> Vec<String> {
    let upstreams = plan.inputs.iter().flat_map(|input| &input.upstreams);
    upstreams.map(|upstream| upstream.plan.plan_id.clone()).collect()
}

fn consumers(plan: &PlanDetail) -> Vec<String> {
    let of_outputs = plan.outputs.iter().flat_map(|output| &output.downstreams);
    let of_log = plan.log.iter().flat_map(|log| &log.downstreams);
    of_outputs.chain(of_log).map(|downstream| downstream.plan.plan_id.clone()).collect()
}

async fn plan(client: &Client, id: &str) -> Result<PlanDetail, Error> {
    let ask = Ask::question("trace", Subject::Plan(id.to_owned()));
    client.get(&ask, &["plans", id], Query::new()).await
}
