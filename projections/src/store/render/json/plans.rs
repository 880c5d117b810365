//! Plans as JSON.

use super::super::super::column::{PlanRow, SetRow};
use super::super::super::plans::Point;
use super::super::plans::{on_node, resources};
use super::Writer;
use super::reused::PointJson;

impl Writer<'_> {
    /// As [`knit_schemas::api::PlanDetail`], whose first fields are those of a Plan in one glance.
    pub(super) fn plan_detail(&mut self, row: PlanRow) {
        let (store, limit, plan) = (self.store, self.limit, self.plan(row));
        let record = store.plans.record(row);
        let head = plan.summary.strip_suffix(b"}").expect("a Plan in one glance is an object");
        self.bytes(head);
        self.text(",\"inputs\":");
        self.list(record.inputs.iter().zip(&plan.inputs), |json, (input, point)| {
            json.text("{");
            json.bytes(&point.fields);
            json.text(",\"upstreams\":");
            json.list(store.plans.outputs_feeding(input, &store.tags, limit), Self::plan_upstream);
            json.text("}");
        });
        let made = || record.outputs.iter().copied().zip(&plan.outputs);
        self.text(",\"outputs\":");
        self.list(made().filter(|(_, point)| !point.is_log), Self::plan_output);
        if let Some(log) = made().find(|(_, point)| point.is_log) {
            self.text(",\"log\":");
            self.plan_output(log);
        }
        self.attributes(row);
        self.text("}");
    }

    /// As [`knit_schemas::api::PlanOutput`] or [`knit_schemas::api::PlanLog`].
    fn plan_output(&mut self, (set, point): (SetRow, &PointJson)) {
        let store = self.store;
        self.text("{");
        self.bytes(&point.fields);
        self.text(",\"downstreams\":");
        self.list(store.plans.inputs_fed_by(set, &store.tags, self.limit), Self::plan_downstream);
        self.text("}");
    }

    /// What may change about a Plan, and where its Workers like to be.
    fn attributes(&mut self, row: PlanRow) {
        let record = self.store.plans.record(row);
        let attributes = record.at(self.limit);
        self.text(if attributes.active { ",\"active\":true" } else { ",\"active\":false" });
        if let Some(wishes) = record.definition().map(on_node).filter(|wishes| !wishes.is_empty()) {
            self.text(",\"on_node\":");
            self.value(&wishes);
        }
        let resources = resources(attributes);
        if !resources.is_empty() {
            self.text(",\"resources\":");
            self.value(&resources);
        }
        if let Some(name) = attributes.service_account.as_ref().filter(|name| !name.is_empty()) {
            self.text(",\"service_account\":");
            self.value(name);
        }
    }

    /// As [`knit_schemas::api::PlanSummary`].
    pub(super) fn plan_summary(&mut self, row: PlanRow) {
        let plan = self.plan(row);
        self.bytes(&plan.summary);
    }

    /// As [`knit_schemas::api::PlanUpstream`].
    fn plan_upstream(&mut self, source: Point) {
        let plan = self.plan(source.plan);
        let Some(point) = plan.outputs.get(source.number as usize) else { return };
        self.text("{\"plan\":");
        self.bytes(&plan.summary);
        self.text(if point.is_log { ",\"log\":{" } else { ",\"mountpoint\":{" });
        self.bytes(&point.fields);
        self.text("}}");
    }

    /// As [`knit_schemas::api::PlanDownstream`].
    fn plan_downstream(&mut self, fed: Point) {
        let plan = self.plan(fed.plan);
        self.text("{\"plan\":");
        self.bytes(&plan.summary);
        self.text(",\"mountpoint\":{");
        self.bytes(plan.input(fed.number));
        self.text("}}");
    }
}
