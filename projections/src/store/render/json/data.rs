//! Data as JSON.

use knit_domain::run::Status;
use knit_domain::tag::{KEY_ID, KEY_TIMESTAMP, KEY_TRANSIENT};

use super::super::super::column::DataRow;
use super::super::super::plans::Point;
use super::super::super::runs::Edge;
use super::super::super::steps::Standing;
use super::Writer;

impl Writer<'_> {
    /// As [`knit_schemas::api::DataDetail`]; answers false and writes nothing if there is none.
    pub(super) fn data(&mut self, row: DataRow) -> bool {
        let (store, limit) = (self.store, self.limit);
        let record = &store.data.records[row];
        let Some(standing) = store.runs.standing(record.run, limit) else { return false };
        let plan = self.plan(store.runs.records[record.run].plan);
        let Some(point) = plan.outputs.get(record.point as usize) else { return false };
        self.text("{");
        self.id_and_tags(row);
        self.text(if point.is_log { ",\"upstream\":{\"log\":{" } else { ",\"upstream\":{\"mountpoint\":{" });
        self.bytes(&point.fields);
        self.text("},\"run\":");
        self.run_summary(record.run, &standing, &plan);
        self.text("},\"downstreams\":");
        let uses = store.uses(row).filter_map(|edge| Some((edge, store.runs.standing(edge.run, limit)?)));
        self.list(uses.filter(|(_, standing)| standing.status != Status::Invalidated), Self::downstream);
        self.text(",\"nomination\":");
        self.list(store.nominating(row, limit), Self::nomination);
        self.text("}");
        true
    }

    /// As [`knit_schemas::api::LineageData`].
    pub(super) fn lineage_data(&mut self, row: DataRow) {
        self.text("{");
        self.id_and_tags(row);
        self.text("}");
    }

    fn id_and_tags(&mut self, row: DataRow) {
        let (store, limit) = (self.store, self.limit);
        let (id, set) = (store.data.id(row).0, self.set(store.data.tags(row, limit)));
        self.text("\"knitId\":");
        self.quoted_id(id);
        self.text(",\"tags\":[");
        self.bytes(set.before());
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
        self.bytes(set.after());
        self.text("]");
    }

    /// The beginning of a system tag, whose keys need no escapes.
    fn tag(&mut self, key: &str) {
        self.text("\"");
        self.text(key);
        self.text(":");
    }

    /// As [`knit_schemas::api::DataDownstream`].
    fn downstream(&mut self, (edge, standing): (Edge, Standing)) {
        let plan = self.plan(self.store.runs.records[edge.run].plan);
        self.text("{\"mountpoint\":{");
        self.bytes(plan.input(edge.input));
        self.text("},\"run\":");
        self.run_summary(edge.run, &standing, &plan);
        self.text("}");
    }

    /// As [`knit_schemas::api::Nomination`].
    fn nomination(&mut self, point: Point) {
        let plan = self.plan(point.plan);
        self.text("{");
        self.bytes(plan.input(point.number));
        self.text(",\"plan\":");
        self.bytes(&plan.summary);
        self.text("}");
    }
}
