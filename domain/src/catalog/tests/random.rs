//! What holds for every catalog, tried on random ones.

use std::collections::{BTreeSet, HashSet};

use knit_histories::chance;
use proptest::prelude::*;

use super::{append, named, order};
use crate::catalog::{Admitted, Catalog, register};
use crate::decision::Versioned;
use crate::event::plan::{LogPoint, Mountpoint};
use crate::plan::draft::samples::{draft, plan_id};
use crate::plan::{PlanDraft, hash, validate};
use crate::tag::{Tag, TagSet};

/// They take microseconds.
const CASES: u32 = 256;

/// Few tags and names, so that equivalent Plans and cycles are common.
fn some_tags(at_least: usize) -> impl Strategy<Value = TagSet> {
    prop::collection::btree_set(0..5_u8, at_least..4)
        .prop_map(|values| values.into_iter().map(|value| Tag::new("t", value.to_string())).collect())
}

fn some_mountpoints(folder: &'static str, at_least: usize) -> impl Strategy<Value = Vec<Mountpoint>> {
    prop::collection::vec(some_tags(at_least), at_least..3).prop_map(move |all| {
        all.into_iter().enumerate().map(|(at, tags)| Mountpoint { path: format!("/{folder}/{at}"), tags }).collect()
    })
}

fn some_draft() -> impl Strategy<Value = PlanDraft> {
    let log = prop::option::of(some_tags(0).prop_map(|tags| LogPoint { tags }));
    (some_mountpoints("in", 1), some_mountpoints("out", 0), log, any::<bool>()).prop_map(
        |(inputs, outputs, log, active)| PlanDraft {
            inputs,
            outputs,
            log,
            active: Some(active),
            ..draft(&["replaced:"], &[])
        },
    )
}

fn registered(drafts: &[PlanDraft]) -> Versioned<Catalog> {
    let mut catalog = Versioned::<Catalog>::default();
    for (number, draft) in (1..).zip(drafts) {
        if let Ok(decision) = register(&catalog, order(number, draft)) {
            append(&mut catalog, &decision);
        }
    }
    catalog
}

/// The naive relation of domain.md 1.7 for inputs without pins, pair by pair.
fn feeds(upstream: &Admitted, downstream: &Admitted) -> bool {
    let outputs = upstream.definition.outputs.iter().map(|output| &output.tags);
    let mut outputs = outputs.chain(upstream.definition.log.iter().map(|log| &log.tags));
    outputs.any(|output| {
        downstream.definition.inputs.iter().any(|input| input.tags.iter().all(|tag| output.contains(tag)))
    })
}

/// Removes, again and again, every Plan that nothing left feeds; a cycle would be left over.
fn is_acyclic(plans: &[Admitted]) -> bool {
    let mut left: Vec<&Admitted> = plans.iter().collect();
    loop {
        let fed: Vec<&Admitted> =
            left.iter().filter(|plan| left.iter().any(|other| feeds(other, plan))).copied().collect();
        match fed.len() {
            0 => return true,
            count if count == left.len() => return false,
            _ => left = fed,
        }
    }
}

proptest! {
    #![proptest_config(chance::cases(CASES))]

    #[test]
    fn x1_x2_no_history_of_registrations_admits_equivalent_plans_or_a_cycle(
        drafts in prop::collection::vec(some_draft(), 0..12),
    ) {
        let catalog = registered(&drafts).state;
        let plans = catalog.admitted();
        prop_assert!(is_acyclic(plans));
        for (index, plan) in plans.iter().enumerate() {
            prop_assert!(plans[index + 1..].iter().all(|other| other.definition != plan.definition));
        }
    }

    #[test]
    fn x2_only_what_closes_a_cycle_is_refused_as_one(drafts in prop::collection::vec(some_draft(), 0..8), new in some_draft()) {
        let catalog = registered(&drafts);
        let definition = validate(&new).unwrap();
        let mut all = catalog.state.admitted().to_vec();
        prop_assume!(all.iter().all(|plan| plan.definition != definition));
        all.push(Admitted { plan_id: plan_id(99), definition });
        prop_assert_eq!(register(&catalog, order(99, &new)).is_ok(), is_acyclic(&all));
    }

    #[test]
    fn pid_01_the_hash_does_not_depend_on_the_order_in_which_things_are_given(
        given in some_draft().prop_flat_map(|draft| {
            let shuffled = (Just(draft.inputs.clone()).prop_shuffle(), Just(draft.outputs.clone()).prop_shuffle());
            (Just(draft), shuffled)
        }),
    ) {
        let (draft, (inputs, outputs)) = given;
        let shuffled = validate(&PlanDraft { inputs, outputs, ..draft.clone() }).unwrap();
        let straight = validate(&draft).unwrap();
        prop_assert_eq!(hash(&straight), hash(&shuffled));
        prop_assert_eq!(straight, shuffled);
    }
}

/// Thousands of Plans that share one tag, each feeding the next: if Plans were compared pair by pair,
/// or revisited once per way, this would not come to an end in the time of a test.
#[test]
fn x2_a_chain_of_thousands_of_plans_is_closed_by_no_one() {
    let link = |from: u32, to: u32| {
        let text = |at: u32| format!("step:{at}");
        named(draft(&["shared:yes", &text(from)], &["shared:yes", &text(to)]), &format!("step-{from}"))
    };
    let mut catalog = Versioned::<Catalog>::default();
    for at in 0..4_000_u32 {
        let definition = validate(&link(at, at + 1)).unwrap();
        let admitted = crate::event::catalog::CatalogEvent::PlanAdmitted { plan_id: plan_id(at.into()), definition };
        catalog.state.apply(&admitted);
    }
    assert!(register(&catalog, order(5_000, &link(4_000, 4_001))).is_ok());
    let refusal = register(&catalog, order(5_000, &link(4_000, 0))).unwrap_err();
    let crate::catalog::RegistrationRefused::Cyclic { through } = refusal else { panic!("{refusal}") };
    assert_eq!(through.len(), 4_000);
    assert_eq!(through.iter().collect::<HashSet<_>>().len(), 4_000);
    assert_eq!(through.into_iter().collect::<BTreeSet<_>>().first(), Some(&plan_id(0)));
}
