//! What a Plan that is not registered would find, and which Runs it would get.

use knit_domain::event::plan::PlanDefinition;
use knit_domain::event::run::Assignment;
use knit_domain::tag::TagSet;

use super::explain::InputMatches;
use super::numbers::{DataNo, PlanNo, TagNo};
use super::plans::Input;
use super::{Matcher, PENDING_RUNS_PER_PLAN_MAX};

/// What registering a Plan would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forecast {
    /// One for every input, sorted by path.
    pub inputs: Vec<InputMatches>,
    /// Runs that it would get: one for every combination. At least so many where there are more than can be counted.
    pub runs: u64,
    /// How many of them it would get before any ends.
    pub at_once: u64,
    /// The first of the combinations, each sorted by path.
    pub first: Vec<Vec<Assignment>>,
}

impl Matcher {
    /// What registering a Plan of this definition would do now, with up to `told` of the combinations.
    #[must_use]
    pub fn forecast(&self, plan: &PlanDefinition, told: usize) -> Forecast {
        let inputs: Vec<Input> = plan.inputs.iter().map(|input| self.sketch(&input.path, &input.tags)).collect();
        let product = inputs.iter().map(|input| input.pairs.len() as u64).try_fold(1, u64::checked_mul);
        let runs = product.unwrap_or(u64::MAX);
        Forecast {
            inputs: inputs.iter().map(|input| self.explain_input(input)).collect(),
            runs,
            at_once: runs.min(u64::from(PENDING_RUNS_PER_PLAN_MAX)),
            first: self.first_combinations(&inputs, usize::try_from(runs).unwrap_or(usize::MAX).min(told)),
        }
    }

    /// An input as it would be if its Plan were registered, with the Data it would find.
    fn sketch(&self, path: &str, asks: &TagSet) -> Input {
        let known: Vec<TagNo> = asks.user().filter_map(|tag| self.tags.find(tag)).collect();
        let all_known = known.len() == asks.user().count();
        let mut input = Input::sketch(path, asks, known, |tag| self.tags.inputs(tag).len());
        // What no Data and no Plan ever had cannot be found.
        if all_known && !input.is_absurd() {
            let found = self.data_for(&input);
            for pair in (0..).zip(found) {
                input.pairs.insert(pair);
            }
        }
        input
    }

    fn first_combinations(&self, inputs: &[Input], count: usize) -> Vec<Vec<Assignment>> {
        // Only what is reached: of an input that turns slower than the last, few are.
        let found = |input: &Input| input.pairs.iter().take(count).map(|(_, data)| *data).collect::<Vec<DataNo>>();
        let found: Vec<Vec<DataNo>> = inputs.iter().map(found).collect();
        let assign = |number: usize, place: usize| {
            let data = *found[number].get(place)?;
            Some(Assignment { path: inputs[number].path.to_string(), knit_id: self.data.of(data).knit_id })
        };
        let combination = |number: usize| {
            let mut rest = number;
            // The last input turns fastest.
            let mut members: Vec<Assignment> = Vec::with_capacity(inputs.len());
            for (place, input) in inputs.iter().enumerate().rev() {
                members.push(assign(place, rest % input.pairs.len())?);
                rest /= input.pairs.len();
            }
            members.reverse();
            Some(members)
        };
        (0..count).filter_map(combination).collect()
    }
}

impl Input {
    /// An input of no registered Plan; `known` are those of its user tags that were ever met.
    fn sketch(path: &str, asks: &TagSet, mut known: Vec<TagNo>, asked_by: impl Fn(TagNo) -> usize) -> Self {
        known.sort_unstable();
        Self::with_tags(PlanNo(u32::MAX), path, asks, known.into(), asked_by)
    }
}
