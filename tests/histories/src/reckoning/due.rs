//! What is due: every combination of fitting Data that has no Run.

use std::collections::BTreeSet;

use knit_domain::event::run::Assignment;
use knit_domain::id::RunId;
use knit_projections::matcher::{Combination, Cursor, Matcher};

use crate::states::States;

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
