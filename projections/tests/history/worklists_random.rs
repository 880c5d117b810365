//! The worklists against the states of all streams.

use std::collections::{BTreeMap, BTreeSet};

use knit_domain::data::Standing;
use knit_domain::decision::Versioned;
use knit_domain::event::Position;
use knit_domain::id::{AgentMode, RunId};
use knit_domain::run::{Run, RunKind, RunRecord, Status};
use knit_projections::projection::Projection;
use knit_projections::worklists::{Kind, RunWork, Stage, Worklists};
use proptest::prelude::*;
use proptest::test_runner::Config;

use crate::due_random::damaged_records;
use crate::random::{acts, world_after};
use crate::world::World;

const ACTS_MAX: usize = 60;

/// Where a Run stands, by the domain's state of it.
fn stage(world: &World, record: &RunRecord) -> Option<Stage> {
    let spawned = record.worker.as_ref().is_some_and(|worker| worker.uid.is_some());
    match record.status.under(world.plans[&record.plan].state.active) {
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

fn check_run(world: &World, worklists: &Worklists, run: &Versioned<Run>) -> Result<(), TestCaseError> {
    let Some(record) = &run.state.record else { return Ok(()) };
    let work = worklists.run(record.id);
    let Some(stage) = stage(world, record) else {
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
            world
                .agents
                .values()
                .filter_map(|agent| agent.state.record.as_ref())
                .any(|agent| agent.knit_id == data && agent.mode == AgentMode::Write && agent.closed.is_none())
        };
        prop_assert_eq!(writer_open, writes(record.outputs[0].knit_id));
    }
    Ok(())
}

proptest! {
    #![proptest_config(Config { cases: 96, failure_persistence: None, ..Config::default() })]

    #[test]
    fn every_list_holds_exactly_what_is_due(acts in acts(ACTS_MAX)) {
        let world = world_after(&acts);
        let worklists: Worklists = world.fold();
        world.runs.values().try_for_each(|run| check_run(&world, &worklists, run))?;
        let unfinished = world.runs.values().filter_map(|run| stage(&world, run.state.record.as_ref()?)).count();
        prop_assert_eq!(Stage::ALL.iter().map(|stage| worklists.count(*stage)).sum::<usize>(), unfinished);

        let garbage: BTreeSet<_> = worklists.garbage(0).map(|garbage| garbage.knit_id).collect();
        let records = world.data.values().filter_map(|data| data.state.record.as_ref());
        let discarded = records.filter(|data| data.standing == Standing::Discarded);
        prop_assert_eq!(garbage, discarded.map(|data| data.knit_id).collect());

        let open: BTreeSet<_> = worklists.agents(0).map(|agent| agent.name).collect();
        let records = world.agents.values().filter_map(|agent| agent.state.record.as_ref());
        let expected = records.filter(|agent| agent.closed.is_none()).map(|agent| agent.name.clone());
        prop_assert_eq!(open, expected.collect());
    }

    /// A reactor that reads only what is new, event by event, knows as much as one that reads all.
    #[test]
    fn who_reads_only_what_is_new_misses_nothing(acts in acts(ACTS_MAX)) {
        let world = world_after(&acts);
        let mut worklists = Worklists::default();
        let mut seen: Position = 0;
        let mut known: BTreeMap<RunId, RunWork> = BTreeMap::new();
        for event in &world.log {
            worklists.apply(event).unwrap();
            for stage in Stage::ALL {
                known.extend(worklists.runs(stage, seen).map(|work| (work.run_id, work)));
            }
            seen = worklists.position();
            known.retain(|run, _| worklists.run(*run).is_some());
            for (run, work) in &known {
                prop_assert_eq!(worklists.run(*run), Some(work.clone()));
            }
            prop_assert_eq!(Stage::ALL.iter().map(|stage| worklists.count(*stage)).sum::<usize>(), known.len());
        }
    }

    #[test]
    fn live_restored_and_rebuilt_worklists_are_equal(acts in acts(ACTS_MAX), cut in 0..ACTS_MAX) {
        let mut world = world_after(&acts[..cut.min(acts.len())]);
        let mut live: Worklists = world.fold();
        let mut restored = Worklists::restore(&live.snapshot()).unwrap();
        prop_assert_eq!(restored.digest(), live.digest());
        acts[cut.min(acts.len())..].iter().for_each(|act| world.act(act));
        world.catch_up(&mut live);
        world.catch_up(&mut restored);
        prop_assert_eq!(live.digest(), world.fold::<Worklists>().digest());
        prop_assert_eq!(live.digest(), restored.digest());
        for stage in Stage::ALL {
            prop_assert!(live.runs(stage, 0).eq(restored.runs(stage, 0)));
        }
    }

    #[test]
    fn records_that_contradict_each_other_are_refused_without_panic(acts in acts(ACTS_MAX), at in any::<prop::sample::Index>(), flip in 1..=255_u8) {
        damaged_records::<Worklists>(&acts, &at, flip);
    }
}
