//! What the matcher says of a world.

use knit_domain::event::run::Assignment;
use knit_domain::id::{KnitId, PlanId, RunId};
use knit_projections::matcher::{Combination, Cursor, Due, Matcher};

use super::World;

/// More combinations than any of the small histories has.
pub(crate) const ALL: usize = 1_000;

impl World {
    /// Everything that is due.
    pub(crate) fn due(&self) -> Vec<Combination> {
        let Due { combinations, exhausted, .. } = self.fold::<Matcher>().due(&mut Cursor::default(), ALL);
        assert!(exhausted);
        combinations
    }

    /// Everything that is due becomes a Run.
    pub(crate) fn project_all(&mut self) -> Vec<RunId> {
        let due = self.due();
        due.iter().map(|due| self.project(due.plan_id, &due.inputs, &due.trigger).unwrap()).collect()
    }

    /// How many Data the first input of a Plan finds.
    pub(crate) fn candidates(&self, plan: PlanId) -> usize {
        self.fold::<Matcher>().explain(plan).unwrap().inputs[0].candidates
    }
}

/// A Data on an input.
pub(crate) fn assignment(path: &str, knit_id: KnitId) -> Assignment {
    Assignment { path: path.to_owned(), knit_id }
}
