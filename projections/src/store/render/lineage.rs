//! A lineage as the wire has it, written straight from the rows.
//!
//! A whole closure has 10⁵ nodes and more. Building [`api::LineageGraph`] first, text by text, takes many times
//! as long as the walk; so the JSON is written node by node, and what many nodes share (the tags of a set, the
//! paths of a Plan) is put into JSON once. To whoever reads it the result is the same.

use std::collections::HashMap;
use std::io::Write as _;
use std::rc::Rc;

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

/// Room for a node: a little more than most take, so that the text seldom has to move.
const NODE_BYTES: usize = 320;
/// Why nothing goes wrong while JSON is written.
const TAKEN: &str = "memory takes whatever is written to it, and the types of the wire have string keys only";

impl Store {
    /// The JSON of [`api::LineageGraph`] for `walked`, which began at the Data `start`.
    pub(in crate::store) fn lineage_json_of(
        &self,
        start: Uuid,
        walked: &Walked,
        plans: &[PlanRow],
        limit: Limit,
    ) -> Vec<u8> {
        let mut json = Writer::new(self, limit, walked.data.len() + walked.runs.len());
        json.text("{\"start\":");
        json.quoted_id(start);
        json.text(",\"data\":");
        json.list(&walked.data, |json, data| json.data(*data));
        json.text(",\"runs\":");
        let runs = walked.runs.iter().filter_map(|run| Some((*run, self.runs.standing(*run, limit)?)));
        json.list(runs, |json, (run, standing)| json.run(run, &standing));
        json.text(",\"plans\":");
        json.list(plans, |json, plan| json.value(&self.plan_summary(*plan, limit)));
        json.text(",\"cut\":");
        json.list(&walked.cut, |json, data| json.quoted_id(self.data.id(*data).0));
        json.text("}");
        json.out
    }
}

/// JSON being written.
struct Writer<'s> {
    store: &'s Store,
    limit: Limit,
    out: Vec<u8>,
    sets: HashMap<SetRow, Rc<SetJson>>,
    plans: HashMap<PlanRow, Rc<PlanJson>>,
}

/// The tags of a set as elements of a list, those that sort before the system's and those after.
struct SetJson {
    /// Each with a comma after it.
    before: Vec<u8>,
    /// Each with a comma before it.
    after: Vec<u8>,
}

/// What the Runs of a Plan share.
struct PlanJson {
    id: Uuid,
    active: bool,
    /// The path of each input, quoted.
    inputs: Vec<Vec<u8>>,
    /// The path of each output, quoted; none for the log, which comes last.
    outputs: Vec<Option<Vec<u8>>>,
}

impl<'s> Writer<'s> {
    fn new(store: &'s Store, limit: Limit, nodes: usize) -> Self {
        let out = Vec::with_capacity(nodes * NODE_BYTES);
        Self { store, limit, out, sets: HashMap::new(), plans: HashMap::new() }
    }

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
        serde_json::to_writer(&mut self.out, value).expect(TAKEN);
    }

    fn set(&mut self, set: SetRow) -> Rc<SetJson> {
        let store = self.store;
        Rc::clone(self.sets.entry(set).or_insert_with(|| Rc::new(SetJson::of(store, set))))
    }

    fn plan(&mut self, plan: PlanRow) -> Rc<PlanJson> {
        let (store, limit) = (self.store, self.limit);
        Rc::clone(self.plans.entry(plan).or_insert_with(|| Rc::new(PlanJson::of(store, plan, limit))))
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
