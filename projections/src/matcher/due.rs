//! Walking through the combinations that are due.
//!
//! The pairs of a Plan are taken in the order in which they came to be. Each is combined with all
//! older pairs of the other inputs; so a combination is met once, when its youngest member is taken.
//! The cursor holds, for each Plan, the pair that is taken next and the place within its combinations.

use std::collections::BTreeSet;

use knit_domain::event::run::Assignment;
use knit_domain::id::{PlanId, RunId};

use super::Matcher;
use super::numbers::{Arrival, DataNo, PlanNo};
use super::plans::{Input, Plan};
use super::product::Product;

/// How many combinations of one Plan are handed out before it is the next Plan's turn: a Plan with a
/// single combination then waits for a few milliseconds behind another's million.
const TURN_MAX: usize = 64;
/// How many pairs and combinations one call looks at, even if all of them have had their Runs: some
/// milliseconds, for which the caller keeps the fold from going on.
const LOOKED_AT_MAX: usize = 4_000;

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
    /// Where it was met.
    met: (PlanNo, Arrival),
}

/// What one call of [`Matcher::due`] found.
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
pub struct Cursor {
    /// By the number of the Plan.
    places: Vec<Place>,
    /// Whose turn is next.
    turn: usize,
}

/// A place in the combinations of one Plan.
#[derive(Debug, Clone, Default)]
struct Place {
    /// The pair to take next; all before it are done.
    pair: Arrival,
    /// Where in its combinations to go on, if it was left in the middle.
    within: Option<Box<[Arrival]>>,
}

impl Cursor {
    /// Hands `combination`, and those after it, out again: it could not be made into a Run, or is not
    /// known to be. Call it when the projection has caught up with whatever was in the way; what has
    /// become a Run by then is passed over.
    pub fn revisit(&mut self, combination: &Combination) {
        let (plan, pair) = combination.met;
        if let Some(place) = self.places.get_mut(plan.place())
            && place.pair >= pair
        {
            *place = Place { pair, within: None };
        }
    }
}

/// What may still be done: in this call, in this turn, and how much may be looked at.
struct Budget {
    room: usize,
    turn: usize,
    looks: usize,
}

impl Budget {
    fn is_spent(&self) -> bool {
        self.room == 0 || self.turn == 0 || self.looks == 0
    }
}

impl Matcher {
    /// The next combinations that no Run was ever made of, at most `limit`, Plans taking turns.
    ///
    /// `cursor` remembers how far this caller has come. What was handed out is not handed out again,
    /// unless [`Cursor::revisit`] asks for it; a fresh cursor starts from the beginning and finds
    /// exactly the combinations that have no Run. The work of one call is bounded.
    #[must_use]
    pub fn due(&self, cursor: &mut Cursor, limit: usize) -> Due {
        cursor.places.resize_with(self.plans.len(), Place::default);
        let mut due = Due::default();
        let mut budget = Budget { room: limit, turn: 0, looks: LOOKED_AT_MAX };
        let mut may_get: Vec<usize> = self.plans.iter().map(Plan::room).collect();
        let mut active: BTreeSet<usize> = (0..may_get.len()).filter(|plan| self.has_more(*plan, cursor)).collect();
        while let Some(plan) = next_turn(&active, cursor.turn) {
            if budget.room == 0 || budget.looks == 0 {
                return due;
            }
            cursor.turn = plan + 1;
            if may_get[plan] == 0 {
                due.held.push(self.plans.of(PlanNo::at(plan)).plan_id);
                active.remove(&plan);
                continue;
            }
            budget.turn = TURN_MAX.min(may_get[plan]);
            let before = due.combinations.len();
            if self.take_turn(PlanNo::at(plan), &mut cursor.places[plan], &mut budget, &mut due.combinations) {
                active.remove(&plan);
            }
            may_get[plan] -= due.combinations.len() - before;
        }
        due.exhausted = true;
        due
    }

    fn has_more(&self, plan: usize, cursor: &Cursor) -> bool {
        cursor.places[plan].pair < self.plans.of(PlanNo::at(plan)).arrivals
    }

    /// Hands out combinations of one Plan until the budget is spent; true when it has no more.
    fn take_turn(&self, plan: PlanNo, place: &mut Place, budget: &mut Budget, found: &mut Vec<Combination>) -> bool {
        while !budget.is_spent() {
            let Some(youngest) = self.next_pair(plan, place.pair) else {
                *place = Place { pair: self.plans.of(plan).arrivals, within: None };
                return true;
            };
            if youngest.arrival > place.pair {
                *place = Place { pair: youngest.arrival, within: None };
            }
            self.combine(plan, youngest, place, budget, found);
        }
        false
    }

    /// The first pair of the Plan that arrived at `from` or later.
    fn next_pair(&self, plan: PlanNo, from: Arrival) -> Option<Pair> {
        let inputs = self.plans.inputs_of(self.plans.of(plan)).enumerate();
        let next = inputs.filter_map(|(input, Input { pairs, .. })| {
            let next = pairs.from(|(arrival, _)| *arrival < from).next();
            next.map(|(arrival, data)| Pair { input, arrival: *arrival, data: *data })
        });
        next.min_by_key(|pair| pair.arrival)
    }

    /// Hands out the combinations of one pair with older ones, and moves `place` on.
    fn combine(
        &self,
        plan: PlanNo,
        youngest: Pair,
        place: &mut Place,
        budget: &mut Budget,
        found: &mut Vec<Combination>,
    ) {
        let Plan { plan_id, .. } = *self.plans.of(plan);
        let inputs: Vec<&Input> = self.plans.inputs_of(self.plans.of(plan)).collect();
        let others: Vec<usize> = (0..inputs.len()).filter(|input| *input != youngest.input).collect();
        let wheels = others.iter().map(|input| &inputs[*input].pairs).collect();
        let mut product = Product::resume(wheels, youngest.arrival, place.within.take().as_deref());
        let youngest_id = self.data.of(youngest.data).knit_id;
        let assign = |input: &&Input| Assignment { path: input.path.to_string(), knit_id: youngest_id };
        let mut assignments: Vec<Assignment> = inputs.iter().map(assign).collect();
        while let Some(members) = product.members() {
            if budget.is_spent() {
                place.within = Some(product.place());
                return;
            }
            budget.looks -= 1;
            for (input, (_, member)) in others.iter().zip(members) {
                assignments[*input].knit_id = self.data.of(*member).knit_id;
            }
            let run_id = RunId::of_combination(plan_id, &assignments);
            if !self.runs.projected.contains_key(&run_id) {
                budget.room -= 1;
                budget.turn -= 1;
                let (inputs, trigger) = (assignments.clone(), assignments[youngest.input].clone());
                found.push(Combination { plan_id, run_id, inputs, trigger, met: (plan, youngest.arrival) });
            }
            product.advance();
        }
        place.pair = youngest.arrival + 1;
        budget.looks = budget.looks.saturating_sub(1);
    }
}

/// A pair of the Plan whose turn it is.
#[derive(Debug, Clone, Copy)]
struct Pair {
    /// Which of the Plan's inputs.
    input: usize,
    arrival: Arrival,
    data: DataNo,
}

/// The first of `active` from `turn` on, round and round.
fn next_turn(active: &BTreeSet<usize>, turn: usize) -> Option<usize> {
    active.range(turn..).next().or_else(|| active.first()).copied()
}
