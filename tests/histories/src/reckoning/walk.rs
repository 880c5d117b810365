//! The lineage, walked over what is rendered of each thing.

use std::collections::{HashSet, VecDeque};

use knit_domain::id::KnitId;
use knit_projections::store::{At, Store, Walk};

/// Walks of every kind.
#[must_use]
pub fn walks() -> [Walk; 4] {
    let walk = |upstream, downstream, depth| Walk { upstream, downstream, depth };
    [walk(false, false, None), walk(true, false, Some(1)), walk(false, true, Some(2)), walk(true, true, Some(1))]
}

/// Data and Runs that a plain walk over rendered details meets.
///
/// # Panics
/// When something is rendered that leads nowhere.
#[must_use]
pub fn naive_walk(store: &Store, start: KnitId, walk: Walk, at: At) -> (HashSet<String>, HashSet<String>) {
    let both = walk.upstream == walk.downstream;
    let (mut data, mut runs) = (HashSet::from([start.to_string()]), HashSet::new());
    for (wanted, up) in [(walk.upstream, true), (walk.downstream, false)] {
        let mut queue = VecDeque::from([(start.to_string(), 0)]);
        while let Some((id, depth)) = queue.pop_front() {
            if !(both || wanted) || walk.depth.is_some_and(|most| depth >= most) {
                continue;
            }
            let Some(detail) = store.data(id.parse().unwrap(), at) else { continue };
            let next: Vec<String> = if up {
                vec![detail.upstream.run.run_id]
            } else {
                detail.downstreams.into_iter().map(|use_| use_.run.run_id).collect()
            };
            for run in next {
                let run = store.run(run.parse().unwrap(), at).unwrap();
                if run.status == "invalidated" || !runs.insert(run.run_id) {
                    continue;
                }
                let inputs: Vec<String> = run.inputs.into_iter().map(|input| input.knit_id).collect();
                // A log that was forgotten is no Data any more.
                let log = run.log.map(|log| log.knit_id).filter(|id| !id.is_empty());
                let outputs: Vec<String> = run.outputs.into_iter().map(|output| output.knit_id).chain(log).collect();
                data.extend(inputs.iter().chain(&outputs).cloned());
                queue.extend((if up { inputs } else { outputs }).into_iter().map(|id| (id, depth + 1)));
            }
        }
    }
    (data, runs)
}

/// Runs on a shortest way between two Data, whichever was made of the other, by a plain search over rendered details:
/// layer by layer, everything within one more Run.
///
/// # Panics
/// When something is rendered that leads nowhere.
#[must_use]
pub fn naive_distance(store: &Store, from: KnitId, to: KnitId, at: At) -> Option<usize> {
    let (from, to) = (from.to_string(), to.to_string());
    let is_there = |id: &String| store.data(id.parse().unwrap(), at).is_some();
    [true, false].into_iter().find_map(|up| {
        let mut reached = HashSet::from([from.clone()]);
        for runs in 0.. {
            if reached.contains(&to) {
                return Some(runs);
            }
            let further = reached.iter().flat_map(|id| within_a_run(store, id, up, at)).filter(is_there);
            let all: HashSet<String> = reached.iter().cloned().chain(further).collect();
            if all.len() == reached.len() {
                break;
            }
            reached = all;
        }
        None
    })
}

/// Data that lie a Run away from one, in a direction.
fn within_a_run(store: &Store, id: &str, up: bool, at: At) -> Vec<String> {
    let Some(data) = store.data(id.parse().unwrap(), at) else { return Vec::new() };
    let runs: Vec<String> = if up {
        vec![data.upstream.run.run_id]
    } else {
        data.downstreams.into_iter().map(|use_| use_.run.run_id).collect()
    };
    let runs = runs.into_iter().map(|run| store.run(run.parse().unwrap(), at).unwrap());
    let beyond = |run: knit_schemas::api::RunDetail| {
        let log = run.log.into_iter().map(|log| log.knit_id);
        let points = if up { run.inputs } else { run.outputs };
        let ids = points.into_iter().map(|point| point.knit_id).chain(log.filter(|_| !up));
        ids.filter(|id| !id.is_empty()).collect::<Vec<_>>()
    };
    runs.filter(|run| run.status != "invalidated").flat_map(beyond).collect()
}
