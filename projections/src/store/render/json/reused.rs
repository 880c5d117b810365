//! What the parts of an answer have in common, put into JSON once.

use std::collections::HashMap;
use std::sync::Arc;

use knit_domain::plan::OutputPoint;
use knit_domain::tag::{KEY_ID, TagSet};
use knit_domain::time::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use super::super::super::column::{PlanRow, SetRow};
use super::super::super::{Limit, Store};
use super::super::{instant, tags_of};
use super::{DAY_MS, TAKEN};

/// Bytes that the tags of a Data usually fit into, so that room is made once.
const SET_BYTES: usize = 256;

/// Everything that was put into JSON for later.
#[derive(Debug, Default)]
pub(super) struct Reused {
    pub(super) sets: HashMap<SetRow, Arc<SetJson>>,
    pub(super) plans: HashMap<PlanRow, Arc<PlanJson>>,
    /// Days after 1970-01-01, and that day with the `T` after it.
    day: (i64, String),
}

/// The tags of a set as elements of a list, those that sort before the system's and those after.
#[derive(Debug)]
pub(super) struct SetJson {
    json: Vec<u8>,
    before_bytes: usize,
}

/// A Plan in one glance, and what its Runs share.
#[derive(Debug)]
pub(super) struct PlanJson {
    pub(super) id: Uuid,
    pub(super) active: bool,
    /// As [`knit_schemas::api::PlanSummary`].
    pub(super) summary: Vec<u8>,
    pub(super) inputs: Vec<PointJson>,
    /// The log comes last.
    pub(super) outputs: Vec<PointJson>,
}

/// An input, an output or the log of a Plan.
#[derive(Debug)]
pub(super) struct PointJson {
    pub(super) is_log: bool,
    /// As the fields of [`knit_schemas::api::Mountpoint`] or [`knit_schemas::api::LogPoint`], without braces.
    pub(super) fields: Vec<u8>,
    path_bytes: usize,
}

impl Reused {
    /// The text of a day, with the `T` after it.
    pub(super) fn day(&mut self, day: i64) -> &str {
        if self.day.1.is_empty() || self.day.0 != day {
            let mut text = instant(Timestamp(day * DAY_MS)).to_string();
            text.truncate(text.find('T').map_or(0, |at| at + 1));
            self.day = (day, text);
        }
        &self.day.1
    }
}

impl SetJson {
    pub(super) fn of(store: &Store, set: SetRow) -> Self {
        let (mut json, mut before_bytes) = (Vec::with_capacity(SET_BYTES), 0);
        for (key, value) in store.tags.sorted_pairs(set) {
            let is_before = key < KEY_ID;
            if !is_before {
                json.push(b',');
            }
            push_tag(&mut json, key, value);
            if is_before {
                json.push(b',');
                before_bytes = json.len();
            }
        }
        Self { json, before_bytes }
    }

    /// Tags with a comma after each.
    pub(super) fn before(&self) -> &[u8] {
        &self.json[..self.before_bytes]
    }

    /// Tags with a comma before each.
    pub(super) fn after(&self) -> &[u8] {
        &self.json[self.before_bytes..]
    }
}

impl PlanJson {
    pub(super) fn of(store: &Store, row: PlanRow, limit: Limit) -> Self {
        let plan = store.plans.record(row);
        let inputs = plan.definition().map(|definition| definition.inputs.as_slice()).unwrap_or_default();
        let outputs = (0..).map_while(|number| plan.point(number));
        Self {
            id: store.plans.id(row).0,
            active: plan.at(limit).active,
            summary: serde_json::to_vec(&store.plan_summary(row, limit)).expect(TAKEN),
            inputs: inputs.iter().map(|input| PointJson::mountpoint(&input.path, &input.tags)).collect(),
            outputs: outputs.map(PointJson::output).collect(),
        }
    }

    /// The fields of an input. The fold lets no Run take something by an input that its Plan does not have.
    pub(super) fn input(&self, number: u32) -> &[u8] {
        self.inputs.get(number as usize).map_or(b"\"path\":\"\",\"tags\":[]", |input| &input.fields)
    }

    /// The field `path` of an input alone.
    pub(super) fn input_path(&self, number: u32) -> &[u8] {
        self.inputs.get(number as usize).map_or(b"\"path\":\"\"", PointJson::path)
    }
}

impl PointJson {
    fn mountpoint(path: &str, tags: &TagSet) -> Self {
        let mut fields = b"\"path\":".to_vec();
        push(&mut fields, &path);
        let path_bytes = fields.len();
        fields.push(b',');
        push_tags(&mut fields, tags);
        Self { is_log: false, fields, path_bytes }
    }

    fn output(point: OutputPoint<'_>) -> Self {
        let none = TagSet::default();
        let tags = point.tags.unwrap_or(&none);
        if !point.log {
            return Self::mountpoint(point.path, tags);
        }
        let mut fields = Vec::new();
        push_tags(&mut fields, tags);
        Self { is_log: true, fields, path_bytes: 0 }
    }

    /// Its field `path` alone.
    pub(super) fn path(&self) -> &[u8] {
        &self.fields[..self.path_bytes]
    }
}

fn push_tags(json: &mut Vec<u8>, tags: &TagSet) {
    json.extend_from_slice(b"\"tags\":");
    push(json, &tags_of(tags));
}

/// A tag in quotes. Its two texts are not put together before: an answer may have as many sets as Data.
fn push_tag(json: &mut Vec<u8>, key: &str, value: &str) {
    push(json, &key);
    json.pop();
    json.push(b':');
    let quote = json.len();
    push(json, &value);
    json.remove(quote);
}

fn push(json: &mut Vec<u8>, value: &impl Serialize) {
    serde_json::to_writer(json, value).expect(TAKEN);
}
