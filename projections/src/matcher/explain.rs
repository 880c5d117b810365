//! Why a Plan has Runs, or can never have any.

use std::ops::ControlFlow;

use knit_domain::id::{KnitId, PlanId};
use knit_domain::tag::{KEY_ID, KEY_TIMESTAMP, Tag};
use knit_domain::time::Timestamp;

use super::data::Usable;
use super::numbers::TagNo;
use super::plans::Input;
use super::{Matcher, PENDING_RUNS_PER_PLAN_MAX};
use crate::sorted::Sorted;

/// How many Data are looked at to find the nearest: a person waits for the answer, and the nearest of
/// so many tells as much as the nearest of all.
const LOOKED_AT_MAX: usize = 100_000;

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
    /// Those of the tags, pins included, that no usable Data has at all.
    pub nowhere: Vec<Tag>,
}

/// The Plan has as many Runs that have not ended as it may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{pending} of its Runs have not ended and a Plan may have {max}: further Runs are made as these end")]
pub struct Held {
    /// Runs that have not ended.
    pub pending: u32,
    /// [`PENDING_RUNS_PER_PLAN_MAX`].
    pub max: u32,
}

impl Matcher {
    /// Why the Plan has the Runs it has: what each input finds or misses. None for unknown Plans and
    /// for built-in ones.
    #[must_use]
    pub fn explain(&self, plan_id: PlanId) -> Option<PlanMatches> {
        let plan = self.plans.of(self.plans.find(plan_id)?);
        let (pending, max) = (plan.pending, PENDING_RUNS_PER_PLAN_MAX);
        Some(PlanMatches {
            plan_id,
            inputs: self.plans.inputs_of(plan).map(|input| self.explain_input(input)).collect(),
            runs: plan.runs,
            pending,
            held: (plan.room() == 0).then_some(Held { pending, max }),
        })
    }

    pub(super) fn explain_input(&self, input: &Input) -> InputMatches {
        InputMatches {
            path: input.path.to_string(),
            tags: input.asks.iter().cloned().collect(),
            candidates: input.pairs.len(),
            nearest: input.pairs.is_empty().then(|| self.nearest_to(input)),
        }
    }

    fn nearest_to(&self, input: &Input) -> Nearest {
        let asks = || input.asks.iter();
        let nearest = if input.is_absurd() { None } else { self.nearest_data(input) };
        Nearest {
            knit_id: nearest.map(|data| data.knit_id),
            missing: asks().filter(|tag| nearest.is_none_or(|data| !self.carries(data, tag))).cloned().collect(),
            nowhere: asks().filter(|tag| !self.is_anywhere(tag)).cloned().collect(),
        }
    }

    /// A usable Data that has the most of what is asked for, at least one user tag or the id.
    fn nearest_data(&self, input: &Input) -> Option<&Usable> {
        if let Some(pin) = input.id_pin {
            return self.data.find(pin).map(|number| self.data.of(number));
        }
        let mut having: Vec<_> = input.tags.iter().map(|tag| self.tags.data(*tag)).collect();
        having.sort_by_key(|data| data.len());
        let best_possible = having.iter().filter(|data| !data.is_empty()).count();
        let candidates =
            having.into_iter().flat_map(Sorted::iter).take(LOOKED_AT_MAX).map(|number| self.data.of(*number));
        let search = candidates.map(|data| (score(input, data), data)).try_fold(None, |best, (score, data)| {
            let best = best.filter(|(best, _)| *best >= score).unwrap_or((score, data));
            // Nothing can have more than every tag that is anywhere, and be of the right instant.
            if best.0 == (best_possible, true) { ControlFlow::Break(best) } else { ControlFlow::Continue(Some(best)) }
        });
        match search {
            ControlFlow::Break((_, data)) => Some(data),
            ControlFlow::Continue(best) => best.map(|(_, data)| data),
        }
    }

    /// Whether `data` has a tag, which may be a pin.
    fn carries(&self, data: &Usable, tag: &Tag) -> bool {
        match tag.key.as_str() {
            KEY_ID => tag.value == data.knit_id.to_string(),
            KEY_TIMESTAMP => Timestamp::parse(&tag.value) == Ok(data.timestamp),
            _ => self.tags.find(tag).is_some_and(|tag| data.has(tag)),
        }
    }

    /// Whether any usable Data has a tag, which may be a pin.
    fn is_anywhere(&self, tag: &Tag) -> bool {
        match tag.key.as_str() {
            KEY_ID => tag.value.parse().is_ok_and(|pin| self.data.find(pin).is_some()),
            KEY_TIMESTAMP => self.data.iter().any(|(_, data)| self.carries(data, tag)),
            _ => self.tags.find(tag).is_some_and(|tag: TagNo| !self.tags.data(tag).is_empty()),
        }
    }
}

/// How many of the tags `data` has, and whether it is of the right instant.
fn score(input: &Input, data: &Usable) -> (usize, bool) {
    let tags = input.tags.iter().filter(|tag| data.has(**tag)).count();
    (tags, input.instant_pin.is_none_or(|pin| pin == data.timestamp))
}
