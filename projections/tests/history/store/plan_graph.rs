//! Graphs of Plans (knit-cli 2.17).

use std::collections::BTreeSet;

use knit_histories::chance;
use knit_histories::reckoning::walks;
use knit_projections::store::{At, PlanFilter, Store, Walk};
use knit_schemas::api;
use proptest::prelude::*;

use super::PlanId;
use super::random::{CASES, worlds};
use crate::world::World;
use crate::world::acts::Sketch;

fn plan(world: &mut World, image: &str, input: &str, output: &str, log: Option<&[&str]>) -> PlanId {
    let sketch = Sketch { image, inputs: &[("/in", &[input])], outputs: &[("/out", &[output])], log };
    world.try_register(&sketch).expect("the Plan is fine")
}

#[test]
fn plans_hang_together_by_outputs_and_logs_as_far_as_is_asked_for() {
    let mut world = World::new();
    let first = plan(&mut world, "first", "n:1", "n:2", None);
    let second = plan(&mut world, "second", "n:2", "n:3", Some(&["is:log"]));
    let reader = plan(&mut world, "reader", "is:log", "n:4", None);
    let store = world.store();
    let met = |start, upstream, downstream, depth| {
        let walk = Walk { upstream, downstream, depth };
        let graph = store.plan_graph(start, &walk, At::Now).unwrap();
        let ids: Vec<String> = graph.plans.iter().map(|plan| plan.id().to_owned()).collect();
        let edges: Vec<String> = graph.edges.iter().map(|edge| format!("{}-{}", edge.source(), edge.input)).collect();
        (ids, edges, graph.cut)
    };
    let texts = |ids: &[PlanId]| ids.iter().map(ToString::to_string).collect::<Vec<_>>();
    let both = ["/out-/in".to_owned(), "(log)-/in".to_owned()];
    assert_eq!(met(second, false, false, None), (texts(&[second, first, reader]), both.to_vec(), Vec::new()));
    assert_eq!(met(reader, true, false, Some(1)), (texts(&[reader, second]), both[1..].to_vec(), texts(&[second])));
    assert_eq!(met(first, true, false, None), (texts(&[first]), Vec::new(), Vec::new()));
    assert_eq!(store.plan_graph(PlanId(uuid::Uuid::nil()), &Walk::default(), At::Now), None);
}

proptest! {
    #![proptest_config(chance::cases(CASES))]

    #[test]
    fn a_graph_of_plans_is_the_plainest_walk(world in worlds(), at in any::<prop::sample::Index>()) {
        let store = world.store();
        for at in [At::Now, At::Position(at.index(world.log.len()) as u64)] {
            for (id, walk) in world.plans.keys().flat_map(|id| walks().map(|walk| (*id, walk))) {
                let graph = store.plan_graph(id, &walk, at);
                prop_assert_eq!(graph.as_ref().map(plans_met), naive_plans(&store, id, walk, at));
                if let Some(graph) = graph {
                    let details: Vec<api::PlanDetail> =
                        graph.plans.iter().map(|plan| store.plan(plan.id().parse().unwrap(), at).unwrap()).collect();
                    let from_details = api::PlanGraph::from_details(graph.start.clone(), &details, graph.cut.clone());
                    prop_assert_eq!(graph, from_details);
                }
            }
        }
    }
}

/// Ids of the Plans of a graph, edges as (from, output or log, to, input), and ids of those that are cut.
type PlansMet = (BTreeSet<String>, BTreeSet<[String; 4]>, BTreeSet<String>);

fn plans_met(graph: &api::PlanGraph) -> PlansMet {
    let edge =
        |edge: &api::PlanEdge| [edge.from.clone(), edge.source().to_owned(), edge.to.clone(), edge.input.clone()];
    let plans = graph.plans.iter().map(|plan| plan.id().to_owned());
    (plans.collect(), graph.edges.iter().map(edge).collect(), graph.cut.iter().cloned().collect())
}

/// What of the edges from the outputs of all Plans lies within the depth.
fn naive_plans(store: &Store, start: PlanId, walk: Walk, at: At) -> Option<PlansMet> {
    store.plan(start, at)?;
    let all = store.find_plans(&PlanFilter::default(), at).into_iter().filter_map(|id| store.plan(id, at));
    let edges: BTreeSet<[String; 4]> = all.flat_map(|plan| edges_out_of(&plan)).collect();
    let both = walk.upstream == walk.downstream;
    let (mut met, mut ends) = (BTreeSet::from([start.to_string()]), Vec::new());
    for (_, [here, there]) in
        [(walk.upstream, [2, 0]), (walk.downstream, [0, 2])].iter().filter(|(wanted, _)| both || *wanted)
    {
        let mut layer = BTreeSet::from([start.to_string()]);
        for _ in 0..walk.depth.unwrap_or(u32::MAX) {
            let next = edges.iter().filter(|edge| layer.contains(&edge[*here])).map(|edge| edge[*there].clone());
            layer = next.filter(|id| !met.contains(id)).collect();
            met.extend(layer.iter().cloned());
            if layer.is_empty() {
                break;
            }
        }
        ends.push((layer, *here, *there));
    }
    let cut = ends.iter().flat_map(|(layer, here, there)| {
        let beyond = edges.iter().filter(|edge| layer.contains(&edge[*here]) && !met.contains(&edge[*there]));
        beyond.map(|edge| edge[*here].clone()).collect::<Vec<_>>()
    });
    let cut = cut.collect();
    let shown = edges.into_iter().filter(|edge| met.contains(&edge[0]) && met.contains(&edge[2])).collect();
    Some((met, shown, cut))
}

fn edges_out_of(plan: &api::PlanDetail) -> Vec<[String; 4]> {
    let edge = |source: &str, fed: &api::PlanDownstream| {
        [plan.plan_id.clone(), source.to_owned(), fed.plan.plan_id.clone(), fed.mountpoint.path.clone()]
    };
    let outputs = plan.outputs.iter();
    let of_outputs = outputs.flat_map(|output| output.downstreams.iter().map(|fed| edge(&output.path, fed)));
    let of_log = plan.log.iter().flat_map(|log| log.downstreams.iter().map(|fed| edge("(log)", fed)));
    of_outputs.chain(of_log).collect()
}
