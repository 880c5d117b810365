//! Plans: what they are, what they were at any position, and which of their points fit together.

use std::sync::Arc;

use knit_domain::event::Position;
use knit_domain::event::plan::{PlanDefinition, PlanEvent};
use knit_domain::id::{KnitId, PlanId};
use knit_domain::matching::Requirement;
use knit_domain::plan::{LOG_PATH, OutputPoint, Plan, PlanKind};
use knit_domain::tag::TagSet;
use knit_domain::time::Timestamp;
use knit_schemas::quantity::Quantity;

use super::column::{Column, PlanRow, SetRow, TagRow};
use super::intern::Ids;
use super::tags::Tags;
use super::{Contradiction, Limit};
use crate::table::Map;

/// Every Plan, and indexes from what is on offer to what asks for it.
#[derive(Debug, Clone, Default)]
pub(super) struct Plans {
    ids: Ids<PlanRow>,
    /// Each by itself is shared by copies, for it may hold much.
    records: Column<PlanRow, Arc<PlanRecord>>,
    /// Inputs by one thing that any Data must have to fill them, so that a Data meets only the
    /// inputs it shares something with and not every input there is.
    asking: Map<Anchor, Vec<Point>>,
    /// Outputs and logs by each of their tags.
    offering: Map<TagRow, Vec<Point>>,
}

/// One Plan. Plans are few, so this one may be comfortable instead of compact.
#[derive(Debug, Clone)]
pub(super) struct PlanRecord {
    /// What it is; never changes.
    pub(super) kind: PlanKind,
    /// What did change, with the position from which on it held; the first is the registration.
    pub(super) attributes: Vec<(Position, Attributes)>,
    /// What each input asks for, in the order of the definition.
    pub(super) inputs: Vec<Input>,
    /// The tags of each output, in the order of the definition, then of the log.
    pub(super) outputs: Vec<SetRow>,
}

/// What may change about a Plan: the domain's own state of it, without what it is.
pub(super) type Attributes = Plan;

/// What an input asks for.
#[derive(Debug, Clone)]
pub(super) struct Input {
    /// User tags, sorted by row.
    pub(super) tags: Vec<TagRow>,
    /// Whether any Data can fill it.
    satisfiable: bool,
    pinned: bool,
    /// What it is pinned to, as written; a text that is no id pins it to no Data.
    pub(super) id_pin: Option<String>,
    pub(super) pinned_to: Option<KnitId>,
    pub(super) instant_pin: Option<Timestamp>,
}

/// An input of a Plan, or an output or the log, by its number there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Point {
    pub(super) plan: PlanRow,
    pub(super) number: u32,
}

/// Something that a Data must have to fill an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Anchor {
    Tag(TagRow),
    Id(KnitId),
    Instant(Timestamp),
}

/// A Data as inputs look at it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Offer {
    pub(super) id: KnitId,
    pub(super) tags: SetRow,
    pub(super) timestamp: Option<Timestamp>,
}

impl Plans {
    /// Folds an event of the Plan `id`.
    pub(super) fn apply(
        &mut self,
        id: PlanId,
        event: &PlanEvent,
        position: Position,
        tags: &mut Tags,
    ) -> Result<(), Contradiction> {
        let known = self.ids.row(id.0);
        match event {
            PlanEvent::PlanRegistered { .. } | PlanEvent::BuiltinPlanDefined { .. } => {
                if known.is_some() {
                    return Err(Contradiction::PlanExists { id });
                }
                let mut plan = Plan::default();
                plan.apply(event);
                check_quantities(&plan)?;
                let kind = plan.kind.take().ok_or(Contradiction::UnknownPlan { id })?;
                self.add(id, kind, vec![(position, plan)], tags);
            }
            PlanEvent::PlanActivated {}
            | PlanEvent::PlanDeactivated {}
            | PlanEvent::PlanResourcesChanged { .. }
            | PlanEvent::PlanAnnotationsChanged { .. }
            | PlanEvent::PlanServiceAccountSet { .. }
            | PlanEvent::PlanServiceAccountCleared {} => {
                let row = known.ok_or(Contradiction::UnknownPlan { id })?;
                let mut plan = self.records[row].at(Limit::NOW).clone();
                plan.apply(event);
                check_quantities(&plan)?;
                Arc::make_mut(&mut self.records[row]).attributes.push((position, plan));
            }
        }
        Ok(())
    }

    /// Adds a Plan that is not there yet, and indexes its points.
    pub(super) fn add(
        &mut self,
        id: PlanId,
        kind: PlanKind,
        attributes: Vec<(Position, Attributes)>,
        tags: &mut Tags,
    ) -> PlanRow {
        let inputs = inputs_of(&kind).iter().map(|input| Input::of(&input.tags, tags)).collect();
        let outputs = (0..).map_while(|number| point_of(&kind, number));
        let none = TagSet::default();
        let outputs = outputs.map(|point| tags.intern_set(point.tags.unwrap_or(&none))).collect();
        let plan = self.ids.add(id.0);
        let record = PlanRecord { kind, attributes, inputs, outputs };
        self.index(plan, &record, tags);
        self.records.push(Arc::new(record));
        plan
    }

    /// Adds attributes that hold from `position` on; `None` if others hold from there or later.
    pub(super) fn add_attributes(&mut self, plan: PlanRow, position: Position, attributes: Attributes) -> Option<()> {
        let history = &mut Arc::make_mut(&mut self.records[plan]).attributes;
        history.last().is_none_or(|(last, _)| *last < position).then(|| history.push((position, attributes)))
    }

    fn index(&mut self, plan: PlanRow, record: &PlanRecord, tags: &Tags) {
        for (number, input) in (0..).zip(&record.inputs) {
            let rarity = |tag: TagRow| self.asking.get(&Anchor::Tag(tag)).map_or(0, Vec::len);
            if let Some(anchor) = input.anchor(rarity) {
                self.asking.or_default(&anchor).push(Point { plan, number });
            }
        }
        for (number, set) in (0..).zip(&record.outputs) {
            for tag in tags.members(*set) {
                self.offering.or_default(tag).push(Point { plan, number });
            }
        }
    }

    /// The row of a Plan that was registered by then.
    pub(super) fn row(&self, id: PlanId, limit: Limit) -> Option<PlanRow> {
        self.ids.row(id.0).filter(|row| self.exists(*row, limit))
    }

    /// Whether a Plan was registered by then.
    pub(super) fn exists(&self, row: PlanRow, limit: Limit) -> bool {
        self.records[row].attributes.first().is_some_and(|(since, _)| limit.covers(*since))
    }

    /// The id of a Plan.
    pub(super) fn id(&self, row: PlanRow) -> PlanId {
        PlanId(self.ids.id(row))
    }

    /// Every Plan.
    pub(super) fn rows(&self) -> impl DoubleEndedIterator<Item = PlanRow> + use<> {
        self.ids.rows()
    }

    /// One Plan.
    pub(super) fn record(&self, row: PlanRow) -> &PlanRecord {
        &self.records[row]
    }

    /// The inputs that `data` fits, if its Run is done; in the order of registration.
    pub(super) fn inputs_for(&self, data: Offer, tags: &Tags, limit: Limit) -> Vec<Point> {
        let own = [Some(Anchor::Id(data.id)), data.timestamp.map(Anchor::Instant)];
        let by_tags = tags.members(data.tags).iter().copied().map(Anchor::Tag);
        let anchors = own.into_iter().flatten().chain(by_tags);
        let met = anchors.filter_map(|anchor| self.asking.get(&anchor)).flatten().copied();
        let mut fitting: Vec<Point> =
            met.filter(|point| self.exists(point.plan, limit) && self.input(*point).admits(data, tags)).collect();
        fitting.sort_unstable();
        fitting
    }

    /// The inputs that everything made with the tags `output` feeds; in the order of registration.
    pub(super) fn inputs_fed_by(&self, output: SetRow, tags: &Tags, limit: Limit) -> Vec<Point> {
        let met = tags.members(output).iter().filter_map(|tag| self.asking.get(&Anchor::Tag(*tag))).flatten().copied();
        let mut fed: Vec<Point> =
            met.filter(|point| self.exists(point.plan, limit) && self.input(*point).fed_by(output, tags)).collect();
        fed.sort_unstable();
        fed
    }

    /// The outputs and logs that feed an input; in the order of registration.
    pub(super) fn outputs_feeding(&self, input: &Input, tags: &Tags, limit: Limit) -> Vec<Point> {
        let offers = |tag: &TagRow| self.offering.get(tag).map_or(&[][..], Vec::as_slice);
        let Some(fewest) = input.tags.iter().map(offers).min_by_key(|offers| offers.len()) else { return Vec::new() };
        let feeds = |point: &Point| {
            let set = self.records[point.plan].outputs[point.number as usize];
            self.exists(point.plan, limit) && input.fed_by(set, tags)
        };
        fewest.iter().copied().filter(feeds).collect()
    }

    fn input(&self, point: Point) -> &Input {
        &self.records[point.plan].inputs[point.number as usize]
    }

    /// Number of Plans.
    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    /// Bytes of heap held, roughly: texts of Plans are not counted.
    pub(super) fn heap_bytes(&self) -> usize {
        let points = |points: &Vec<Point>| points.capacity() * size_of::<Point>();
        let asking: usize = self.asking.iter().map(|(_, asking)| points(asking)).sum();
        let offering: usize = self.offering.iter().map(|(_, offering)| points(offering)).sum();
        let index = self.asking.heap_bytes() + self.offering.heap_bytes() + asking + offering;
        let history: usize = self.records.cells().map(|plan| plan.attributes.capacity()).sum();
        let records = self.records.len() * size_of::<PlanRecord>() + history * size_of::<(Position, Attributes)>();
        self.ids.heap_bytes() + self.records.heap_bytes() + records + index
    }
}

impl PlanRecord {
    /// The attributes that held at `limit`; those of the registration if it is earlier still.
    pub(super) fn at(&self, limit: Limit) -> &Attributes {
        let held = self.attributes.partition_point(|(since, _)| limit.covers(*since));
        &self.attributes[held.saturating_sub(1)].1
    }

    /// What makes a user's Plan the Plan it is.
    pub(super) fn definition(&self) -> Option<&PlanDefinition> {
        definition_of(&self.kind)
    }

    /// An output, or the log after the last of them.
    pub(super) fn point(&self, number: u32) -> Option<OutputPoint<'_>> {
        point_of(&self.kind, number)
    }

    /// The number of the output at `path`, or of the log.
    pub(super) fn number_of_output(&self, path: &str, log: bool) -> Option<u32> {
        let mut points = (0..).map_while(|number| Some((number, self.point(number)?)));
        points.find(|(_, point)| point.log == log && point.path == path).map(|(number, _)| number)
    }

    /// The number of the input at `path`.
    pub(super) fn number_of_input(&self, path: &str) -> Option<u32> {
        (0..).zip(inputs_of(&self.kind)).find(|(_, input)| input.path == path).map(|(number, _)| number)
    }
}

fn definition_of(kind: &PlanKind) -> Option<&PlanDefinition> {
    match kind {
        PlanKind::Image { definition, .. } => Some(definition),
        PlanKind::Builtin { .. } => None,
    }
}

fn inputs_of(kind: &PlanKind) -> &[knit_domain::event::plan::Mountpoint] {
    definition_of(kind).map_or(&[], |definition| &definition.inputs)
}

fn point_of(kind: &PlanKind, number: u32) -> Option<OutputPoint<'_>> {
    match kind {
        PlanKind::Builtin { output_path, .. } => {
            (number == 0).then_some(OutputPoint { path: output_path, log: false, tags: None })
        }
        PlanKind::Image { definition, .. } => match definition.outputs.get(number as usize) {
            Some(output) => Some(OutputPoint { path: &output.path, log: false, tags: Some(&output.tags) }),
            None if number as usize == definition.outputs.len() => {
                definition.log.as_ref().map(|log| OutputPoint { path: LOG_PATH, log: true, tags: Some(&log.tags) })
            }
            None => None,
        },
    }
}

/// The wire writes resources as quantities; one that is none would make the Plan unreadable.
pub(super) fn check_quantities(plan: &Plan) -> Result<(), Contradiction> {
    match plan.resources.values().find(|quantity| Quantity::parse(quantity).is_err()) {
        None => Ok(()),
        Some(text) => Err(Contradiction::NoQuantity { text: text.clone() }),
    }
}

impl Input {
    fn of(asked: &TagSet, tags: &mut Tags) -> Self {
        let requirement = Requirement::of(asked);
        let mut user: Vec<TagRow> = requirement.tags().iter().map(|tag| tags.intern(tag)).collect();
        user.sort_unstable();
        let pins = usize::from(requirement.id_pin().is_some()) + usize::from(requirement.instant_pin().is_some());
        let pinned_to: Option<KnitId> = requirement.id_pin().and_then(|pin| pin.parse().ok());
        let strange_pin = requirement.id_pin().is_some() && pinned_to.is_none();
        Self {
            satisfiable: pins == asked.system().count() && !strange_pin && (pins > 0 || !user.is_empty()),
            pinned: requirement.is_pinned(),
            tags: user,
            id_pin: requirement.id_pin().map(str::to_owned),
            pinned_to,
            instant_pin: requirement.instant_pin(),
        }
    }

    fn anchor(&self, rarity: impl Fn(TagRow) -> usize) -> Option<Anchor> {
        let by_id = self.pinned_to.map(Anchor::Id);
        let by_tag = || self.tags.iter().copied().min_by_key(|tag| rarity(*tag)).map(Anchor::Tag);
        let by_instant = || self.instant_pin.map(Anchor::Instant);
        self.satisfiable.then(|| by_id.or_else(by_tag).or_else(by_instant)).flatten()
    }

    /// Whether any Data can fill it.
    pub(super) fn is_satisfiable(&self) -> bool {
        self.satisfiable
    }

    /// Whether a Data fills it, whose Run is done.
    pub(super) fn is_filled_by(&self, data: Offer, tags: &Tags) -> bool {
        self.satisfiable && self.admits(data, tags)
    }

    fn admits(&self, data: Offer, tags: &Tags) -> bool {
        let pins = self.pinned_to.is_none_or(|pin| pin == data.id)
            && self.instant_pin.is_none_or(|pin| data.timestamp == Some(pin));
        pins && tags.has_all(data.tags, &self.tags)
    }

    fn fed_by(&self, output: SetRow, tags: &Tags) -> bool {
        self.satisfiable && !self.pinned && tags.has_all(output, &self.tags)
    }
}
