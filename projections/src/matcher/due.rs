//! Walking through the combinations that are due.

use knit_domain::event::run::Assignment;
use knit_domain::id::{PlanId, RunId};

/// One Data for every input of a Plan; no Run was ever made of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Combination {
    /// The Plan.
    pub plan_id: PlanId,
    /// The Run that this combination is (X3).
    pub run_id: RunId,
    /// One for every input, sorted by path.
    pub inputs: Vec<Assignment>,
    /// The member that came last and completed the combination.
    pub trigger: Assignment,
}

/// What one call of [`super::Matcher::due`] found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Due {
    /// To be made into Runs.
    pub combinations: Vec<Combination>,
    /// Plans that may have combinations due but are held, because too many of their Runs have not ended.
    pub held: Vec<PlanId>,
    /// Whether there is nothing more until the log goes on; otherwise call again.
    pub exhausted: bool,
}

/// How far one caller has walked through the combinations.
///
/// It belongs to one history: when the log turned out to be another one, start with a fresh cursor.
#[derive(Debug, Clone, Default)]
pub struct Cursor {}

impl Cursor {
    /// Hands `combination`, and those after it, out again: it could not be made into a Run, or is not
    /// known to be. Call it when the projection has caught up with whatever was in the way.
    pub fn revisit(&mut self, _combination: &Combination) {
        unimplemented!()
    }
}
