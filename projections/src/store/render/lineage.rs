//! A lineage as the wire has it, written straight from the rows, piece by piece.
//!
//! A whole closure has 10⁵ nodes and more. Building [`api::LineageGraph`] first, text by text, takes many times
//! as long as the walk, and holding all of its JSON at once costs tens of megabytes; so it is written node by
//! node into pieces of a bounded size, and what many nodes share (the tags of a set, the paths of a Plan) is
//! put into JSON once. To whoever reads it the result is the same.

use std::collections::HashMap;
use std::io::Write as _;
use std::sync::Arc;

use knit_domain::run::Status;
use knit_domain::tag::{KEY_ID, KEY_TIMESTAMP, KEY_TRANSIENT};
use knit_domain::time::Timestamp;
use knit_schemas::api;
use serde::Serialize;
use uuid::Uuid;

use super::super::column::{DataRow, PlanRow, RunRow, SetRow};
use super::super::lineage::Walked;
use super::super::runs::Edge;
use super::super::steps::Standing;
use super::super::{Limit, Store};
use super::instant;

/// Why nothing goes wrong while JSON is written.
const TAKEN: &str = "memory takes whatever is written to it, and the types of the wire have string keys only";

/// A lineage that was walked, of which the JSON is being written.
#[derive(Debug)]
pub struct LineageJson {
    start: Uuid,
    walked: Walked,
    plans: Vec<PlanRow>,
    limit: Limit,
    part: Part,
    /// Elements of the present list that are behind.
    next: usize,
    /// Whether the present list has an element, so that the next needs a comma.
    begun: bool,
    shared: Shared,
}

/// The parts of [`api::LineageGraph`], in the order in which they are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Start,
    Data,
    Runs,
    Plans,
    Cut,
    Done,
}

/// What many nodes have in common, in JSON.
#[derive(Debug, Default)]
struct Shared {
    sets: HashMap<SetRow, Arc<SetJson>>,
    plans: HashMap<PlanRow, Arc<PlanJson>>,
}

/// The tags of a set as elements of a list, those that sort before the system's and those after.
#[derive(Debug)]
struct SetJson {
    /// Each with a comma after it.
    before: Vec<u8>,
    /// Each with a comma before it.
    after: Vec<u8>,
}

/// What the Runs of a Plan share.
#[derive(Debug)]
struct PlanJson {
    id: Uuid,
    active: bool,
    /// The path of each input, quoted.
    inputs: Vec<Vec<u8>>,
    /// The path of each output, quoted; none for the log, which comes last.
    outputs: Vec<Option<Vec<u8>>>,
}

impl LineageJson {
    pub(in crate::store) fn new(start: Uuid, walked: Walked, plans: Vec<PlanRow>, limit: Limit) -> Self {
        let (part, shared) = (Part::Start, Shared::default());
        Self { start, walked, plans, limit, part, next: 0, begun: false, shared }
    }

    /// Writes on until `out` has `room_bytes`, or a node more, or all is written; answers whether there is more.
    ///
    /// `store` is the one that was walked, perhaps with more events by now.
    pub fn write(&mut self, store: &Store, out: &mut Vec<u8>, room_bytes: usize) -> bool {
        let limit = self.limit;
        let mut json = Writer { store, limit, out, shared: std::mem::take(&mut self.shared) };
        while json.out.len() < room_bytes && self.part != Part::Done {
            self.write_one(&mut json);
        }
        self.shared = json.shared;
        self.part != Part::Done
    }

    /// Writes the next element, or goes on to the next part.
    fn write_one(&mut self, json: &mut Writer<'_, '_>) {
        let (store, limit, at) = (json.store, self.limit, self.next);
        self.next += 1;
        match self.part {
            Part::Start => {
                json.text("{\"start\":");
                json.quoted_id(self.start);
                self.enter(json, Part::Data, ",\"data\":[");
            }
            Part::Data => match self.walked.data.get(at).copied() {
                Some(data) => self.element(json).data(data),
                None => self.enter(json, Part::Runs, "],\"runs\":["),
            },
            Part::Runs => match self.walked.runs.get(at).map(|run| (*run, store.runs.standing(*run, self.limit))) {
                Some((run, Some(standing))) => self.element(json).run(run, &standing),
                Some((_, None)) => {}
                None => self.enter(json, Part::Plans, "],\"plans\":["),
            },
            Part::Plans => match self.plans.get(at).copied() {
                Some(plan) => self.element(json).value(&store.plan_summary(plan, limit)),
                None => self.enter(json, Part::Cut, "],\"cut\":["),
            },
            Part::Cut => match self.walked.cut.get(at).copied() {
                Some(data) => self.element(json).quoted_id(store.data.id(data).0),
                None => self.enter(json, Part::Done, "]}"),
            },
            Part::Done => {}
        }
    }

    fn enter(&mut self, json: &mut Writer<'_, '_>, part: Part, text: &str) {
        json.text(text);
        (self.part, self.next, self.begun) = (part, 0, false);
    }

    /// Makes room for an element of the present list.
    fn element<'w, 'o, 's>(&mut self, json: &'w mut Writer<'o, 's>) -> &'w mut Writer<'o, 's> {
        if std::mem::replace(&mut self.begun, true) {
            json.text(",");
        }
        json
    }
}

/// A piece of JSON being written.
struct Writer<'o, 's> {
    store: &'s Store,
    limit: Limit,
    out: &'o mut Vec<u8>,
    shared: Shared,
}

impl Writer<'_, '_> {
    /// As [`api::LineageData`].
    fn data(&mut self, row: DataRow) {
        let (store, limit) = (self.store, self.limit);
        let (id, set) = (store.data.id(row).0, self.set(store.data.tags(row, limit)));
        self.text("{\"knitId\":");
        self.quoted_id(id);
        self.text(",\"tags\":[");
        self.out.extend_from_slice(&set.before);
        // No user's key lies among those of the system, which sort as they are listed here.
        self.tag(KEY_ID);
        self.id(id);
        if let Some(at) = store.timestamp(row, limit) {
            self.text("\",");
            self.tag(KEY_TIMESTAMP);
            self.instant(at);
        }
        if let Some(why) = store.transient(row, limit) {
            self.text("\",");
            self.tag(KEY_TRANSIENT);
            self.text(why.as_str());
        }
        self.text("\"");
        self.out.extend_from_slice(&set.after);
        self.text("]}");
    }

    /// As [`api::LineageRun`].
    fn run(&mut self, row: RunRow, standing: &Standing) {
        let store = self.store;
        let plan = self.plan(store.runs.records[row].plan);
        self.text("{\"runId\":");
        self.quoted_id(store.runs.id(row).0);
        self.text(",\"status\":\"");
        self.text(standing.status.under(plan.active).as_str());
        self.text("\",\"updatedAt\":\"");
        self.instant(standing.updated_at);
        self.text("\"");
        if let Some(exit) = standing.decided.and_then(|decided| decided.exit) {
            self.text(",\"exit\":");
            self.value(&store.rendered_exit(exit));
        }
        self.text(",\"planId\":");
        self.quoted_id(plan.id);
        self.text(",\"inputs\":");
        self.list(store.runs.inputs(row), |json, (_, edge)| json.input(&plan, edge));
        self.products(row, standing.status, &plan);
        self.text("}");
    }

    fn input(&mut self, plan: &PlanJson, edge: Edge) {
        let path = plan.inputs.get(edge.input as usize).map_or(b"\"\"".as_slice(), Vec::as_slice);
        self.edge(path, edge.data);
    }

    /// Outputs and log; what a tombstone made is gone.
    fn products(&mut self, row: RunRow, status: Status, plan: &PlanJson) {
        let made = if status == Status::Invalidated { Vec::new() } else { self.store.outputs(row, self.limit) };
        let point = |data: DataRow| plan.outputs.get(self.store.data.records[data].point as usize);
        let paths = made.iter().filter_map(|data| Some((*data, point(*data)?.as_deref()?))).collect::<Vec<_>>();
        let log = made.iter().find(|data| matches!(point(**data), Some(None)));
        self.text(",\"outputs\":");
        self.list(paths, |json, (data, path)| json.edge(path, data));
        if let Some(log) = log {
            self.text(",\"log\":");
            self.quoted_id(self.store.data.id(*log).0);
        }
    }

    /// As [`api::LineageEdge`].
    fn edge(&mut self, path: &[u8], data: DataRow) {
        self.text("{\"path\":");
        self.out.extend_from_slice(path);
        self.text(",\"knitId\":");
        self.quoted_id(self.store.data.id(data).0);
        self.text("}");
    }

    fn list<I: IntoIterator>(&mut self, items: I, mut write: impl FnMut(&mut Self, I::Item)) {
        self.text("[");
        for (number, item) in items.into_iter().enumerate() {
            if number > 0 {
                self.text(",");
            }
            write(self, item);
        }
        self.text("]");
    }

    /// The beginning of a system tag, whose keys need no escapes.
    fn tag(&mut self, key: &str) {
        self.text("\"");
        self.text(key);
        self.text(":");
    }

    fn quoted_id(&mut self, id: Uuid) {
        self.text("\"");
        self.id(id);
        self.text("\"");
    }

    fn id(&mut self, id: Uuid) {
        let mut text = Uuid::encode_buffer();
        self.out.extend_from_slice(id.as_hyphenated().encode_lower(&mut text).as_bytes());
    }

    fn instant(&mut self, at: Timestamp) {
        write!(self.out, "{}", instant(at)).expect(TAKEN);
    }

    /// Text that is JSON already, or needs no escapes.
    fn text(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn value(&mut self, value: &impl Serialize) {
        serde_json::to_writer(&mut *self.out, value).expect(TAKEN);
    }

    fn set(&mut self, set: SetRow) -> Arc<SetJson> {
        let store = self.store;
        Arc::clone(self.shared.sets.entry(set).or_insert_with(|| Arc::new(SetJson::of(store, set))))
    }

    fn plan(&mut self, plan: PlanRow) -> Arc<PlanJson> {
        let (store, limit) = (self.store, self.limit);
        Arc::clone(self.shared.plans.entry(plan).or_insert_with(|| Arc::new(PlanJson::of(store, plan, limit))))
    }
}

impl SetJson {
    fn of(store: &Store, set: SetRow) -> Self {
        let user = store.tags.sorted_pairs(set);
        let (before, after) = user.split_at(user.partition_point(|(key, _)| *key < KEY_ID));
        let tag = |(key, value): &(&str, &str)| quoted(&api::Tag::new(*key, *value));
        let before = before.iter().flat_map(|pair| [tag(pair), b",".to_vec()]).flatten().collect();
        let after = after.iter().flat_map(|pair| [b",".to_vec(), tag(pair)]).flatten().collect();
        Self { before, after }
    }
}

impl PlanJson {
    fn of(store: &Store, row: PlanRow, limit: Limit) -> Self {
        let plan = store.plans.record(row);
        let inputs = plan.definition().map(|definition| definition.inputs.as_slice()).unwrap_or_default();
        let points = (0..).map_while(|number| plan.point(number));
        Self {
            id: store.plans.id(row).0,
            active: plan.at(limit).active,
            inputs: inputs.iter().map(|input| quoted(&input.path)).collect(),
            outputs: points.map(|point| (!point.log).then(|| quoted(&point.path))).collect(),
        }
    }
}

fn quoted(text: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(text).expect(TAKEN)
}
