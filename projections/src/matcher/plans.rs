//! The Plans, their inputs, and the pairs of input and Data that fit.

use std::ops::Range;
use std::sync::Arc;

use knit_domain::id::{KnitId, PlanId};
use knit_domain::matching::{Candidate, Requirement};
use knit_domain::tag::TagSet;
use knit_domain::time::Timestamp;

use super::PENDING_RUNS_PER_PLAN_MAX;
use super::data::Usable;
use super::numbers::{Arrival, DataNo, InputNo, PlanNo, TagNo};
use super::tags::Tags;
use crate::blocks::Blocks;
use crate::sorted::Sorted;
use crate::table::{Map, RowIndex};

/// Inputs in a block: each has a list of its own, which costs more to copy than the rest of it.
const INPUTS_TOGETHER: usize = 64;

/// Plans with an image, never forgotten (Plans are never deleted).
#[derive(Debug, Clone, Default)]
pub(super) struct Plans {
    numbers: RowIndex<PlanNo>,
    plans: Blocks<Plan>,
    inputs: Blocks<Input, INPUTS_TOGETHER>,
    by_id_pin: Map<KnitId, Vec<InputNo>>,
    by_instant_pin: Map<Timestamp, Vec<InputNo>>,
}

#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) plan_id: PlanId,
    first_input: u32,
    end_input: u32,
    /// How many pairs it ever had; the number of the next one.
    pub(super) arrivals: Arrival,
    /// Runs ever made of it.
    pub(super) runs: u32,
    /// Those of them that have not ended.
    pub(super) pending: u32,
}

#[derive(Debug, Clone)]
pub(super) struct Input {
    pub(super) plan: PlanNo,
    pub(super) path: Arc<str>,
    /// What it asks for, as it was registered.
    pub(super) asks: Arc<TagSet>,
    /// User tags it asks for, sorted.
    pub(super) tags: Arc<[TagNo]>,
    pub(super) id_pin: Option<KnitId>,
    pub(super) instant_pin: Option<Timestamp>,
    /// Under what a Data that becomes usable finds this input.
    anchor: Anchor,
    /// The Data that fit, by the arrival of the pair.
    pub(super) pairs: Pairs,
}

/// The pairs of one input, each with another arrival.
pub(super) type Pairs = Sorted<Pair>;

/// When a pair arrived, and its Data.
pub(super) type Pair = (Arrival, DataNo);

/// The one thing by which an input is looked up, so that it is met once for each Data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Anchor {
    /// Nothing can fit: it asks for nothing, or for what cannot be.
    Nothing,
    Id(KnitId),
    Tag(TagNo),
    Instant(Timestamp),
}

impl Plans {
    pub(super) fn find(&self, plan_id: PlanId) -> Option<PlanNo> {
        self.numbers.find(plan_id, |number| self.of(number).plan_id == plan_id)
    }

    pub(super) fn of(&self, number: PlanNo) -> &Plan {
        &self.plans[number.place()]
    }

    pub(super) fn of_mut(&mut self, number: PlanNo) -> &mut Plan {
        &mut self.plans[number.place()]
    }

    pub(super) fn input(&self, number: InputNo) -> &Input {
        &self.inputs[number.place()]
    }

    pub(super) fn input_mut(&mut self, number: InputNo) -> &mut Input {
        &mut self.inputs[number.place()]
    }

    /// The inputs of one Plan, sorted by path.
    pub(super) fn inputs_of(&self, plan: &Plan) -> impl Iterator<Item = &Input> + use<'_> {
        (plan.first_input..plan.end_input).map(|number| self.input(InputNo(number)))
    }

    pub(super) fn len(&self) -> usize {
        self.plans.len()
    }

    /// Bytes of heap held, roughly: what inputs ask for counts by its number only.
    pub(super) fn heap_bytes(&self) -> usize {
        let of_input = |input: &Input| input.path.len() + size_of_val(&*input.tags) + input.pairs.heap_bytes();
        let pins = self.by_id_pin.heap_bytes() + self.by_instant_pin.heap_bytes();
        let lists = self.plans.heap_bytes() + self.inputs.heap_bytes();
        self.numbers.heap_bytes() + pins + lists + self.inputs.iter().map(of_input).sum::<usize>()
    }

    pub(super) fn inputs_len(&self) -> usize {
        self.inputs.len()
    }

    /// All Plans, in the order of registration.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Plan> {
        self.plans.iter()
    }

    /// Adds a Plan with inputs (path and tags) that no Data is paired with yet.
    pub(super) fn add<'a>(
        &mut self,
        plan_id: PlanId,
        inputs: impl IntoIterator<Item = (&'a str, &'a TagSet)>,
        tags: &mut Tags,
    ) -> Range<u32> {
        let plan = PlanNo::at(self.plans.len());
        let first = InputNo::at(self.inputs.len());
        for (path, asks) in inputs {
            self.add_input(plan, path, asks, tags);
        }
        let end = InputNo::at(self.inputs.len());
        let (first_input, end_input) = (first.0, end.0);
        self.plans.push(Plan { plan_id, first_input, end_input, arrivals: 0, runs: 0, pending: 0 });
        self.numbers.insert(plan, |plan| self.plans[plan.place()].plan_id);
        first_input..end_input
    }

    fn add_input(&mut self, plan: PlanNo, path: &str, asks: &TagSet, tags: &mut Tags) {
        let number = InputNo::at(self.inputs.len());
        let input = Input::new(plan, path, asks, tags);
        for tag in &*input.tags {
            tags.ask(*tag, number);
        }
        match input.anchor {
            Anchor::Id(pin) => self.by_id_pin.or_default(&pin).push(number),
            Anchor::Instant(pin) => self.by_instant_pin.or_default(&pin).push(number),
            Anchor::Tag(_) | Anchor::Nothing => {}
        }
        self.inputs.push(input);
    }

    /// The inputs that `data` fits, ascending.
    pub(super) fn fitting(&self, data: &Usable, tags: &Tags) -> Vec<InputNo> {
        let by_id = self.by_id_pin.get(&data.knit_id).into_iter().flatten();
        let by_instant = self.by_instant_pin.get(&data.timestamp).into_iter().flatten();
        let by_tag = data.tags.iter().flat_map(|tag| {
            let asking = tags.inputs(*tag).iter();
            asking.filter(|input| self.input(**input).anchor == Anchor::Tag(*tag))
        });
        let found = by_id.chain(by_instant).chain(by_tag).copied();
        let mut fitting: Vec<InputNo> = found.filter(|input| self.input(*input).admits(data)).collect();
        fitting.sort_unstable();
        fitting
    }
}

impl Plan {
    /// How many more Runs may be pending.
    pub(super) fn room(&self) -> usize {
        PENDING_RUNS_PER_PLAN_MAX.saturating_sub(self.pending) as usize
    }
}

impl Input {
    fn new(plan: PlanNo, path: &str, asks: &TagSet, tags: &mut Tags) -> Self {
        let numbers = tags.numbers(Requirement::of(asks).tags());
        Self::with_tags(plan, path, asks, numbers, |tag| tags.inputs(tag).len())
    }

    /// An input that asks for `asks`, of which `numbers` are the user tags; `asked_by` says how many inputs ask for one.
    pub(super) fn with_tags(
        plan: PlanNo,
        path: &str,
        asks: &TagSet,
        numbers: Box<[TagNo]>,
        asked_by: impl Fn(TagNo) -> usize,
    ) -> Self {
        let requirement = Requirement::of(asks);
        let id_pin = requirement.id_pin().and_then(|pin| pin.parse().ok());
        let instant_pin = requirement.instant_pin();
        // The tag that the fewest inputs ask for: a Data is then compared with as few inputs as can be.
        let rarest = numbers.iter().copied().min_by_key(|tag| asked_by(*tag));
        let anchor = match (satisfiable(&requirement, id_pin), id_pin, rarest, instant_pin) {
            (true, Some(pin), _, _) => Anchor::Id(pin),
            (true, None, Some(tag), _) => Anchor::Tag(tag),
            (true, None, None, Some(pin)) => Anchor::Instant(pin),
            (false, _, _, _) | (true, None, None, None) => Anchor::Nothing,
        };
        let (path, asks, tags) = (path.into(), Arc::new(asks.clone()), numbers.into());
        Self { plan, path, asks, tags, id_pin, instant_pin, anchor, pairs: Pairs::default() }
    }

    /// Whether `data` has everything that is asked for.
    pub(super) fn admits(&self, data: &Usable) -> bool {
        self.anchor != Anchor::Nothing && self.pins_admit(data) && self.tags.iter().all(|tag| data.has(*tag))
    }

    /// Whether no Data can ever fit.
    pub(super) fn is_absurd(&self) -> bool {
        self.anchor == Anchor::Nothing
    }

    /// Whether `data` is what the pins say.
    fn pins_admit(&self, data: &Usable) -> bool {
        self.id_pin.is_none_or(|pin| pin == data.knit_id) && self.instant_pin.is_none_or(|pin| pin == data.timestamp)
    }
}

/// Whether any Data can fit: the domain is asked about the Data that would be made for this input.
fn satisfiable(requirement: &Requirement, id_pin: Option<KnitId>) -> bool {
    let tags = requirement.tags().iter().cloned().collect();
    let knit_id = id_pin.unwrap_or(KnitId(uuid::Uuid::nil()));
    requirement.admits(&Candidate { knit_id, tags: &tags, timestamp: requirement.instant_pin(), done: true })
}
