//! The matcher against the plainest reckoning: every combination of fitting Data that has no Run.

use std::collections::{BTreeMap, BTreeSet};

use knit_domain::id::{PlanId, RunId};
use knit_histories::chance;
use knit_histories::reckoning::{check_due, check_usable, drain, naively_due, run_ids};
use knit_histories::states::States;
use knit_projections::matcher::{Combination, Cursor, Matcher};
use knit_projections::projection::Projection;
use knit_projections::store::Store;
use proptest::prelude::*;

use crate::random::{Act, acts, world_after};
use crate::world::World;

/// Enough to meet several Plans of several inputs, few enough to reckon with every combination.
const ACTS_MAX: usize = 60;

/// A history takes some milliseconds.
const CASES: u32 = 96;

proptest! {
    #![proptest_config(chance::cases(CASES))]

    #[test]
    fn x3_x4_a_fresh_cursor_finds_every_combination_without_a_run_once(acts in acts(ACTS_MAX), limit in 1..20_usize) {
        let world = world_after(&acts);
        let found = drain(&world.fold(), &mut Cursor::default(), limit);
        prop_assert_eq!(run_ids(&found).len(), found.len());
        prop_assert_eq!(run_ids(&found), naively_due(&world));
        for Combination { plan_id, run_id, inputs, trigger, .. } in &found {
            prop_assert!(inputs.contains(trigger) && inputs.is_sorted());
            prop_assert_eq!(*run_id, RunId::of_combination(*plan_id, inputs));
        }
    }

    /// Wherever one has read to, and be it in the middle of an append.
    #[test]
    fn x4_x10_after_every_event_what_is_done_can_be_used_and_what_fits_is_due(acts in acts(ACTS_MAX / 2)) {
        let (mut states, mut matcher, mut store) = (States::default(), Matcher::default(), Store::default());
        for recorded in &world_after(&acts).log {
            states.apply(&recorded.stream, &recorded.event, recorded.recorded_at);
            matcher.apply(recorded).unwrap();
            store.apply(recorded).unwrap();
            check_due(&states, &matcher)?;
            check_usable(&store, &matcher)?;
        }
    }

    /// A reactor that makes Runs while the history goes on, loses some to conflicts and comes back to
    /// them, and is sometimes restarted.
    #[test]
    fn x3_a_reactor_makes_every_run_and_none_twice(
        acts in acts(ACTS_MAX),
        passes in proptest::collection::vec((0..4_usize, 0..8_u8), ACTS_MAX),
    ) {
        let mut world = World::new();
        let mut matcher = Matcher::default();
        let mut cursor = Cursor::default();
        for (act, (limit, chance)) in acts.iter().zip(passes) {
            world.act(act);
            world.catch_up(&mut matcher);
            for combination in matcher.due(&mut cursor, limit).combinations {
                prop_assert!(!world.runs.contains_key(&combination.run_id));
                let made = chance > 2 && world.project(combination.plan_id, &combination.inputs, &combination.trigger).is_some();
                if !made {
                    cursor.revisit(&combination);
                }
            }
            if chance == 7 {
                cursor = Cursor::default();
            }
            if chance == 6 {
                matcher = Matcher::restore(&matcher.snapshot()).unwrap();
            }
        }
        world.catch_up(&mut matcher);
        prop_assert_eq!(run_ids(&drain(&matcher, &mut cursor, 7)), naively_due(&world));
    }

    #[test]
    fn live_restored_and_rebuilt_matchers_are_equal_and_go_on_equally(acts in acts(ACTS_MAX), cut in 0..ACTS_MAX) {
        let mut world = world_after(&acts[..cut.min(acts.len())]);
        let (mut live, mut cursor) = (world.fold::<Matcher>(), Cursor::default());
        let _half = live.due(&mut cursor, 3);
        let mut restored = Matcher::restore(&live.snapshot()).unwrap();
        prop_assert_eq!(restored.digest(), live.digest());
        acts[cut.min(acts.len())..].iter().for_each(|act| world.act(act));
        world.catch_up(&mut live);
        world.catch_up(&mut restored);
        let rebuilt = world.fold::<Matcher>();
        prop_assert_eq!(live.digest(), rebuilt.digest());
        prop_assert_eq!(live.digest(), restored.digest());
        // The same order, and the cursor of one serves the other.
        let mut other = cursor.clone();
        prop_assert_eq!(drain(&live, &mut cursor, 5), drain(&restored, &mut other, 5));
    }

    #[test]
    fn what_a_data_fits_and_how_many_fit_an_input_is_told_as_the_domain_says(acts in acts(ACTS_MAX)) {
        let world = world_after(&acts);
        let matcher: Matcher = world.fold();
        let mut fitting: BTreeMap<_, Vec<(PlanId, String)>> = BTreeMap::new();
        for (plan_id, plan) in &world.plans {
            let Some(definition) = plan.state.definition() else { continue };
            let told = matcher.explain(*plan_id).unwrap();
            for (input, told) in definition.inputs.iter().zip(&told.inputs) {
                let fit = world.fitting(*plan_id, &input.path);
                prop_assert_eq!((&told.path, told.candidates), (&input.path, fit.len()));
                prop_assert_eq!(told.nearest.is_none(), !fit.is_empty());
                fit.into_iter().for_each(|data| fitting.entry(data).or_default().push((*plan_id, input.path.clone())));
            }
        }
        for data in world.data.keys() {
            let told: BTreeSet<_> = matcher.inputs_fitted_by(*data).into_iter().map(|(plan, path)| (plan, path.to_owned())).collect();
            prop_assert_eq!(told, fitting.remove(data).unwrap_or_default().into_iter().collect());
        }
    }

    #[test]
    fn records_that_contradict_each_other_are_refused_without_panic(acts in acts(ACTS_MAX), at in any::<prop::sample::Index>(), flip in 1..=255_u8) {
        damaged_records::<Matcher>(&acts, &at, flip);
    }
}

/// Restores from records of which one byte is changed: any outcome will do but a panic.
pub(crate) fn damaged_records<P: Projection>(acts: &[Act], at: &prop::sample::Index, flip: u8) {
    use prost::Message as _;
    let mut records = Vec::new();
    let live: P = world_after(acts).fold();
    live.records(&mut |record| records.push(record.encode_to_vec()));
    if records.is_empty() {
        return;
    }
    let bytes: usize = records.iter().map(Vec::len).sum();
    let mut place = at.index(bytes.max(1));
    for record in &mut records {
        if let Some(byte) = record.get_mut(place) {
            *byte ^= flip;
            break;
        }
        place -= record.len();
    }
    let decoded: Result<Vec<P::Record>, _> = records.iter().map(|record| P::Record::decode(&record[..])).collect();
    if let Ok(decoded) = decoded {
        let _any_outcome = P::from_records(live.position(), &mut decoded.into_iter().map(Ok));
    }
}
