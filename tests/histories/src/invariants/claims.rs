//! What a Run claimed when it was made: Data that an attempt had made, that were there, and that had the tags which
//! its Plan asks for.

use std::collections::{BTreeMap, BTreeSet};

use knit_domain::data::Data;
use knit_domain::event::run::{Assignment, RunEvent};
use knit_domain::event::{Event, StreamId};
use knit_domain::id::{KnitId, PlanId, RunId};

use crate::memory_log::MemoryLog;

/// I23, X5, X6: when a Run was projected, each input was made, by an attempt that had succeeded, was not discarded,
/// and had all tags of its input, whatever had happened between the decision and the append.
pub(super) fn inputs_fitted_when_claimed(log: &MemoryLog) {
    let (mut data, mut done) = (BTreeMap::<KnitId, Data>::new(), BTreeSet::new());
    for entry in &log.entries {
        match &entry.event {
            Event::Data(event) => data.entry(entry.stream.id.parse().unwrap()).or_default().apply(event),
            Event::Run(RunEvent::RunSucceeded { attempt, .. }) => drop(done.insert((run_of(&entry.stream), *attempt))),
            Event::Run(RunEvent::RunProjected { plan_id, inputs, .. }) => {
                inputs.iter().for_each(|input| fits(log, *plan_id, input, &data, &done));
            }
            Event::Run(_) | Event::Catalog(_) | Event::Plan(_) | Event::Agent(_) | Event::Journal(_) => {}
        }
    }
}

fn run_of(stream: &StreamId) -> RunId {
    stream.id.parse().unwrap()
}

fn fits(
    log: &MemoryLog,
    plan: PlanId,
    input: &Assignment,
    data: &BTreeMap<KnitId, Data>,
    done: &BTreeSet<(RunId, u32)>,
) {
    let claimed = data[&input.knit_id].living();
    let claimed = claimed.unwrap_or_else(|_| panic!("X6: {input:?} was discarded when it was claimed"));
    assert!(done.contains(&(claimed.run_id, claimed.attempt)), "I23: {input:?} was not made when it was claimed");
    let plan = log.plan(plan).state;
    let mut points = plan.definition().into_iter().flat_map(|definition| &definition.inputs);
    let point = points.find(|point| point.path == input.path).unwrap();
    let lacked: Vec<_> = point.tags.iter().filter(|tag| !claimed.tags.iter().any(|had| had == *tag)).collect();
    assert!(lacked.is_empty(), "X5: {input:?} lacked {lacked:?} when it was claimed");
}
