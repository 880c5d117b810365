//! What there is to do: where each Run stands, which volumes are garbage, which Data Agents are open.

use std::collections::BTreeSet;

use knit_domain::data::Standing;
use knit_domain::decision::Versioned;
use knit_domain::id::AgentMode;
use knit_domain::run::{Run, RunKind, RunRecord, Status};
use knit_projections::worklists::{Kind, Stage, Worklists};
use proptest::prelude::*;

use crate::states::States;

/// Every list holds exactly what is due by the domain's states.
///
/// # Errors
/// When one does not.
pub fn check_lists(states: &States, worklists: &Worklists) -> Result<(), TestCaseError> {
    states.runs.values().try_for_each(|run| check_run(states, worklists, run))?;
    let unfinished = states.runs.values().filter_map(|run| stage(states, run.state.record.as_ref()?)).count();
    prop_assert_eq!(Stage::ALL.iter().map(|stage| worklists.count(*stage)).sum::<usize>(), unfinished);

    let garbage: BTreeSet<_> = worklists.garbage(0).map(|garbage| garbage.knit_id).collect();
    let records = states.data.values().filter_map(|data| data.state.record.as_ref());
    let discarded = records.filter(|data| data.standing == Standing::Discarded);
    prop_assert_eq!(garbage, discarded.map(|data| data.knit_id).collect());

    let open: BTreeSet<_> = worklists.agents(0).map(|agent| agent.name).collect();
    let records = states.agents.values().filter_map(|agent| agent.state.record.as_ref());
    let expected = records.filter(|agent| agent.closed.is_none()).map(|agent| agent.name.clone());
    prop_assert_eq!(open, expected.collect());
    Ok(())
}

/// Where a Run stands, by the domain's state of it.
fn stage(states: &States, record: &RunRecord) -> Option<Stage> {
    let spawned = record.worker.as_ref().is_some_and(|worker| worker.uid.is_some());
    match record.status.under(states.plans[&record.plan].state.active) {
        Status::Deactivated => Some(Stage::Held),
        Status::Waiting => Some(Stage::Waiting),
        Status::Ready => Some(Stage::Ready),
        Status::Starting if spawned => Some(Stage::Spawned),
        Status::Starting => Some(Stage::Requested),
        Status::Running => Some(match record.kind {
            RunKind::Image => Stage::Running,
            RunKind::Upload => Stage::Uploading,
            RunKind::Import => Stage::Importing,
        }),
        Status::Completing => Some(Stage::Completing),
        Status::Aborting => Some(Stage::Aborting),
        Status::Done | Status::Failed | Status::Invalidated => None,
    }
}

/// A Run is on the list of its stage, and what is said there of it is what the domain says.
fn check_run(states: &States, worklists: &Worklists, run: &Versioned<Run>) -> Result<(), TestCaseError> {
    let Some(record) = &run.state.record else { return Ok(()) };
    let work = worklists.run(record.id);
    let Some(stage) = stage(states, record) else {
        prop_assert_eq!(work, None);
        return Ok(());
    };
    let Some(work) = work else { return Err(TestCaseError::fail("a Run is missing")) };
    prop_assert_eq!((work.stage, work.attempt, work.plan_id), (stage, record.attempt, record.plan));
    prop_assert_eq!(&work.worker_name, &record.worker_name);
    let inputs: Vec<_> = work.inputs.iter().map(|input| (&input.path, input.knit_id)).collect();
    let expected: Vec<_> = record.inputs.iter().map(|input| (&input.path, input.knit_id)).collect();
    prop_assert_eq!(inputs, expected);
    let outputs: Vec<_> =
        work.outputs.iter().chain(&work.log).map(|output| (&output.path, &output.volume_ref)).collect();
    let expected: Vec<_> = record.outputs.iter().map(|output| (&output.path, &output.volume_ref)).collect();
    prop_assert_eq!(outputs, expected);
    prop_assert_eq!(work.log.map(|log| log.knit_id), record.log().map(|log| log.knit_id));
    if let Kind::Upload { writer_open } = work.kind {
        let writes = |data| {
            let mut agents = states.agents.values().filter_map(|agent| agent.state.record.as_ref());
            agents.any(|agent| agent.knit_id == data && agent.mode == AgentMode::Write && agent.closed.is_none())
        };
        prop_assert_eq!(writer_open, writes(record.outputs[0].knit_id));
    }
    Ok(())
}
