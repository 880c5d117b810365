//! Runs as JSON.

use knit_domain::id::KnitId;
use knit_domain::run::Status;
use knit_domain::time::Timestamp;

use super::super::super::column::{DataRow, RunRow};
use super::super::super::steps::{Decided, Standing};
use super::Writer;
use super::reused::{PlanJson, PointJson};

/// Something a Run makes, and its Data if that is there.
type Made<'p> = (&'p PointJson, Option<KnitId>);

impl Writer<'_> {
    /// As [`knit_schemas::api::RunDetail`].
    pub(super) fn run(&mut self, row: RunRow, standing: &Standing) {
        let store = self.store;
        let plan = self.plan(store.runs.records[row].plan);
        self.run_head(row, standing, None, &plan);
        self.text(",\"plan\":");
        self.bytes(&plan.summary);
        self.text(",\"inputs\":");
        self.list(store.runs.inputs(row), |json, (_, edge)| {
            json.mounted(plan.input(edge.input), Some(store.data.id(edge.data)));
        });
        let made = self.made(row, standing.status, &plan);
        self.text(",\"outputs\":");
        self.list(outputs(&made), |json, (point, id)| json.mounted(&point.fields, *id));
        self.text(",\"log\":");
        match log(&made) {
            Some((point, id)) => self.mounted(&point.fields, *id),
            None => self.text("null"),
        }
        self.text("}");
    }

    /// As [`knit_schemas::api::RunSummary`].
    pub(super) fn run_summary(&mut self, row: RunRow, standing: &Standing, plan: &PlanJson) {
        self.run_head(row, standing, None, plan);
        self.text(",\"plan\":");
        self.bytes(&plan.summary);
        self.text("}");
    }

    /// As [`knit_schemas::api::LineageRun`].
    pub(super) fn lineage_run(&mut self, row: RunRow, standing: &Standing) {
        let store = self.store;
        let plan = self.plan(store.runs.records[row].plan);
        self.run_head(row, standing, store.runs.started_at(row, self.limit), &plan);
        self.text(",\"planId\":");
        self.quoted_id(plan.id);
        self.text(",\"inputs\":");
        self.list(store.runs.inputs(row), |json, (_, edge)| {
            json.mounted(plan.input_path(edge.input), Some(store.data.id(edge.data)));
        });
        let mut made = self.made(row, standing.status, &plan);
        // What a tombstone made is gone.
        made.retain(|(_, id)| id.is_some());
        self.text(",\"outputs\":");
        self.list(outputs(&made), |json, (point, id)| json.mounted(point.path(), *id));
        if let Some((_, Some(id))) = log(&made) {
            self.text(",\"log\":");
            self.quoted_id(id.0);
        }
        self.text("}");
    }

    /// What all shapes of a Run begin with; those of the original do not say when it started.
    fn run_head(&mut self, row: RunRow, standing: &Standing, started_at: Option<Timestamp>, plan: &PlanJson) {
        self.text("{\"runId\":");
        self.quoted_id(self.store.runs.id(row).0);
        self.text(",\"status\":\"");
        self.text(standing.status.under(plan.active).as_str());
        self.text("\",\"updatedAt\":\"");
        self.instant(standing.updated_at);
        self.text("\"");
        if let Some(at) = started_at {
            self.text(",\"startedAt\":\"");
            self.instant(at);
            self.text("\"");
        }
        if let Some(exit) = standing.decided.and_then(Decided::exit) {
            self.text(",\"exit\":");
            self.value(&self.store.rendered_exit(exit));
        }
    }

    /// What a Run makes, in the order in which it was reserved; of a tombstone everything, without its Data.
    fn made<'p>(&self, row: RunRow, status: Status, plan: &'p PlanJson) -> Vec<Made<'p>> {
        let store = self.store;
        if status == Status::Invalidated {
            return plan.outputs.iter().map(|point| (point, None)).collect();
        }
        let point = |data: &DataRow| plan.outputs.get(store.data.records[*data].point as usize);
        let made = store.outputs(row, self.limit).into_iter();
        made.filter_map(|data| Some((point(&data)?, Some(store.data.id(data))))).collect()
    }

    /// Fields of a mountpoint and the Data there; as the wire has it, an empty id where it is gone.
    fn mounted(&mut self, fields: &[u8], data: Option<KnitId>) {
        self.text("{");
        self.bytes(fields);
        self.text(",\"knitId\":\"");
        if let Some(id) = data {
            self.id(id.0);
        }
        self.text("\"}");
    }
}

fn outputs<'m, 'p>(made: &'m [Made<'p>]) -> impl Iterator<Item = &'m Made<'p>> {
    made.iter().filter(|(point, _)| !point.is_log)
}

fn log<'m, 'p>(made: &'m [Made<'p>]) -> Option<&'m Made<'p>> {
    made.iter().rfind(|(point, _)| point.is_log)
}
