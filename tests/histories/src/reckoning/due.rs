//! What is due: every combination of fitting Data that has no Run; and when a Data is usable.

use std::collections::BTreeSet;

use knit_domain::event::run::Assignment;
use knit_domain::id::RunId;
use knit_projections::matcher::{Combination, Cursor, Matcher};
use knit_projections::store::{At, DataFilter, Store};

use proptest::prelude::*;

use crate::states::States;

/// Combinations that are asked for at once, as by a reactor that does not want all.
const AT_ONCE: usize = 7;

/// X3, X4: the matcher finds every combination that is due, and each once.
///
/// # Errors
/// When it does not.
pub fn check_due(states: &States, matcher: &Matcher) -> Result<(), TestCaseError> {
    let found = drain(matcher, &mut Cursor::default(), AT_ONCE);
    prop_assert_eq!(run_ids(&found).len(), found.len(), "X3: a combination is due twice");
    prop_assert_eq!(run_ids(&found), naively_due(states), "X4");
    Ok(())
}

/// X10: what a Run made is done, has the time of its end and can be used, all from one event on, whoever is asked.
///
/// # Errors
/// When one of these is there without the others.
///
/// # Panics
/// When a Data is found and not shown.
pub fn check_usable(store: &Store, matcher: &Matcher) -> Result<(), TestCaseError> {
    for id in store.find_data(&DataFilter::default(), At::Now) {
        let shown = store.data(id, At::Now).unwrap();
        let tags: BTreeSet<String> = shown.tags.iter().map(ToString::to_string).collect();
        let (is_done, done_at) = (shown.upstream.run.status == "done", matcher.done_at(id));
        let is_whole = !tags.iter().any(|tag| tag.starts_with("knit#transient:"));
        prop_assert_eq!((is_whole, done_at.is_some()), (is_done, is_done), "X10: {:?}", shown);
        let has_time = |at| tags.contains(&format!("knit#timestamp:{at}"));
        prop_assert!(done_at.is_none_or(has_time), "X10: done at {:?}, and {:?}", done_at, shown);
        let fitted: BTreeSet<_> =
            matcher.inputs_fitted_by(id).into_iter().map(|(plan, path)| (plan.to_string(), path.to_owned())).collect();
        let named = shown.nomination.into_iter().map(|input| (input.plan.plan_id, input.path)).collect();
        prop_assert_eq!(fitted, named, "X10: {}", id);
    }
    Ok(())
}

/// Every combination that is due, reckoned from the domain's states.
#[must_use]
pub fn naively_due(states: &States) -> BTreeSet<RunId> {
    let mut due = BTreeSet::new();
    for (plan_id, plan) in &states.plans {
        let Some(definition) = plan.state.definition() else { continue };
        let mut combinations: Vec<Vec<Assignment>> = vec![Vec::new()];
        for input in &definition.inputs {
            let fitting = states.fitting(*plan_id, &input.path);
            let with = |combination: &Vec<Assignment>| {
                let one_more = fitting.iter().map(|knit_id| {
                    let last = Assignment { path: input.path.clone(), knit_id: *knit_id };
                    combination.iter().cloned().chain([last]).collect()
                });
                one_more.collect::<Vec<Vec<Assignment>>>()
            };
            combinations = combinations.iter().flat_map(with).collect();
        }
        due.extend(combinations.iter().map(|inputs| RunId::of_combination(*plan_id, inputs)));
    }
    due.retain(|run| !states.runs.contains_key(run));
    due
}

/// Everything that a matcher says is due from `cursor` on, taken `limit` at a time.
///
/// # Panics
/// When it answers more than it was asked for, or holds a Plan.
pub fn drain(matcher: &Matcher, cursor: &mut Cursor, limit: usize) -> Vec<Combination> {
    let mut all = Vec::new();
    loop {
        let due = matcher.due(cursor, limit);
        assert!(due.combinations.len() <= limit && due.held.is_empty());
        all.extend(due.combinations);
        if due.exhausted {
            return all;
        }
    }
}

/// The Runs that combinations are to become.
#[must_use]
pub fn run_ids(combinations: &[Combination]) -> BTreeSet<RunId> {
    combinations.iter().map(|combination| combination.run_id).collect()
}
