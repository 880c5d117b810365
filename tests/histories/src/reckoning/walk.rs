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
                let log = run.log.map(|log| log.knit_id);
                let outputs: Vec<String> = run.outputs.into_iter().map(|output| output.knit_id).chain(log).collect();
                data.extend(inputs.iter().chain(&outputs).cloned());
                queue.extend((if up { inputs } else { outputs }).into_iter().map(|id| (id, depth + 1)));
            }
        }
    }
    (data, runs)
}
