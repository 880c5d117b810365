//! The worklists against the states of all streams.

use std::collections::BTreeMap;

use knit_domain::event::Position;
use knit_domain::id::RunId;
use knit_histories::chance;
use knit_histories::reckoning::check_lists;
use knit_projections::projection::Projection;
use knit_projections::worklists::{RunWork, Stage, Worklists};
use proptest::prelude::*;

use crate::due_random::damaged_records;
use crate::random::{acts, world_after};

const ACTS_MAX: usize = 60;
const CASES: u32 = 96;

proptest! {
    #![proptest_config(chance::cases(CASES))]

    #[test]
    fn every_list_holds_exactly_what_is_due(acts in acts(ACTS_MAX)) {
        let world = world_after(&acts);
        check_lists(&world, &world.fold())?;
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
