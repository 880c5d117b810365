//! Snapshots of the store: what comes back is the same, and damage is noticed.

use knit_histories::chance;
use knit_projections::projection::Projection as _;
use knit_projections::store::{At, DataFilter, PlanFilter, RunFilter, Store, Walk};
use proptest::prelude::*;
use prost::Message as _;

use super::random::{CASES, worlds};
use crate::world::World;

fn example() -> World {
    let mut world = World::new();
    let (raw, model) = (world.upload(&["type:raw"]), world.upload(&["type:model"]));
    let plan = world.register("train", &[("/in", &["type:raw"])]);
    let run = world.done_on(plan, &[("/in", raw)]);
    world.retry(run);
    world.set_active(plan, false);
    world.tag(model, &["good:yes"], &["type:model"]);
    world
}

#[test]
fn a_restored_store_answers_and_goes_on() {
    let mut world = example();
    let live = world.store();
    let mut restored = Store::restore(&live.snapshot()).unwrap();
    assert_eq!(restored.digest(), live.digest());
    let all = restored.find_data(&DataFilter::default(), At::Now);
    assert_eq!(all, live.find_data(&DataFilter::default(), At::Now));
    for id in all {
        assert_eq!(restored.data(id, At::Now), live.data(id, At::Now));
    }
    let raw = world.upload(&["type:raw"]);
    world.tag(raw, &[], &["type:raw"]);
    world.catch_up(&mut restored);
    assert_eq!(restored.digest(), world.store().digest());
}

#[test]
fn an_empty_store_is_restored() {
    let empty = Store::default();
    assert_eq!(Store::restore(&empty.snapshot()).unwrap().digest(), empty.digest());
}

#[test]
fn more_rows_than_a_block_holds_come_back() {
    let mut world = World::new();
    let id = world.upload(&[]);
    // Every change of tags is a row; one block holds 8,192.
    for _ in 0..4_200 {
        world.tag(id, &["a:1"], &[]);
        world.tag(id, &[], &["a:1"]);
    }
    let live = world.store();
    assert_eq!(Store::restore(&live.snapshot()).unwrap().digest(), live.digest());
}

/// Every number in the records of a snapshot replaced by others, in turn.
#[test]
fn numbers_without_a_row_are_refused_and_never_a_reason_to_panic() {
    let live = example().store();
    let mut records = Vec::new();
    live.records(&mut |record| records.push(record));
    let (mut refused, mut tried) = (0, 0);
    for at in 0..records.len() {
        let bytes = records[at].encode_to_vec();
        for byte in 0..bytes.len() {
            for flip in [0x01, 0x7f] {
                let mut damaged = bytes.clone();
                damaged[byte] ^= flip;
                let Ok(record) = prost::Message::decode(damaged.as_slice()) else { continue };
                let mut all = records.clone();
                all[at] = record;
                tried += 1;
                match Store::from_records(live.position(), &mut all.into_iter().map(Ok)) {
                    Err(_) => refused += 1,
                    Ok(store) => ask_everything(&store),
                }
            }
        }
    }
    assert!(refused > tried / 10, "{refused} of {tried}");
}

/// Whatever numbers a store was built from, answering must not panic.
fn ask_everything(store: &Store) {
    for at in [At::Now, At::Position(7)] {
        let data = store.find_data(&DataFilter::default(), at);
        let runs = store.find_runs(&RunFilter::default(), at);
        let plans = store.find_plans(&PlanFilter::default(), at);
        let details = data.iter().filter_map(|id| store.data(*id, at)).count();
        let graphs = data.iter().filter_map(|id| store.lineage_graph(*id, &Walk::default(), at)).count();
        let told = runs.iter().filter_map(|id| store.run(*id, at).zip(store.attempts(*id, at))).count();
        let described = plans.iter().filter_map(|id| store.plan(*id, at)).count();
        assert!(details <= graphs && told <= runs.len() && described == plans.len());
    }
    assert_ne!(store.digest(), [0; 32]);
}

#[test]
fn a_missing_record_is_refused_or_at_least_harmless() {
    let live = example().store();
    let mut records = Vec::new();
    live.records(&mut |record| records.push(record));
    for missing in 0..records.len() {
        let mut fewer = records.clone();
        fewer.remove(missing);
        if let Ok(store) = Store::from_records(live.position(), &mut fewer.into_iter().map(Ok)) {
            ask_everything(&store);
        }
    }
}

proptest! {
    #![proptest_config(chance::cases(CASES))]

    #[test]
    fn a_snapshot_and_the_rest_of_the_log_are_the_whole(world in worlds(), at in any::<prop::sample::Index>()) {
        let mut store = Store::default();
        for event in &world.log[..at.index(world.log.len() + 1)] {
            store.apply(event).unwrap();
        }
        let mut restored = Store::restore(&store.snapshot()).unwrap();
        prop_assert_eq!(restored.digest(), store.digest());
        world.catch_up(&mut store);
        world.catch_up(&mut restored);
        prop_assert_eq!(restored.digest(), store.digest());
        prop_assert_eq!(store.digest(), world.store().digest());
    }
}
