//! Why a Plan has Runs, or can never have any.

use knit_domain::id::{KnitId, PlanId};
use knit_domain::tag::Tag;

/// What a Plan finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanMatches {
    /// The Plan.
    pub plan_id: PlanId,
    /// One for every input, sorted by path.
    pub inputs: Vec<InputMatches>,
    /// Runs ever made of it, whatever became of them.
    pub runs: u32,
    /// Those of them that have not ended.
    pub pending: u32,
    /// Why no further Runs are made, if something holds the Plan.
    pub held: Option<Held>,
}

/// What one input finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputMatches {
    /// Where the input is mounted.
    pub path: String,
    /// What it asks for, pins included.
    pub tags: Vec<Tag>,
    /// How many usable Data fit.
    pub candidates: usize,
    /// When none fits: how near the usable Data come.
    pub nearest: Option<Nearest>,
}

/// The best that could be found for an input that nothing fits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nearest {
    /// A usable Data that lacks the fewest of the tags; none if no usable Data has any of them.
    pub knit_id: Option<KnitId>,
    /// What that Data lacks, pins included; everything if there is no such Data.
    pub missing: Vec<Tag>,
    /// Those of the required tags that no usable Data has at all.
    pub nowhere: Vec<Tag>,
}

/// The Plan has as many Runs that have not ended as it may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{pending} of its Runs have not ended, the most a Plan may have is {max}: further Runs are made as these end")]
pub struct Held {
    /// Runs that have not ended.
    pub pending: u32,
    /// [`super::PENDING_RUNS_PER_PLAN_MAX`].
    pub max: u32,
}
