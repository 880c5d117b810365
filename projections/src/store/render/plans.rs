//! Plans in the shapes of the wire (web-api 4.1, 4.5).

use knit_domain::event::plan::{NodeMode, PlanDefinition};
use knit_domain::id::PlanId;
use knit_domain::plan::{OutputPoint, PlanKind};
use knit_schemas::api;
use knit_schemas::quantity::Quantity;

use super::super::column::PlanRow;
use super::super::plans::{Attributes, Point};
use super::super::{At, Limit, Store};
use super::tags_of;

impl Store {
    /// A Plan with everything around it; `None` if it did not exist then.
    #[must_use]
    pub fn plan(&self, id: PlanId, at: At) -> Option<api::PlanDetail> {
        let limit = at.limit();
        let row = self.plans.row(id, limit)?;
        let record = self.plans.record(row);
        let attributes = record.at(limit);
        let api::PlanSummary { plan_id, image, entrypoint, args, name, annotations } = self.plan_summary(row, limit);
        let (outputs, log) = self.plan_outputs(row, limit);
        Some(api::PlanDetail {
            plan_id,
            image,
            entrypoint,
            args,
            name,
            annotations,
            inputs: self.plan_inputs(row, limit),
            outputs,
            log,
            active: attributes.active,
            on_node: record.definition().map(on_node).filter(|wishes| !wishes.is_empty()),
            resources: resources(attributes),
            service_account: attributes.service_account.clone().filter(|name| !name.is_empty()),
        })
    }

    /// A Plan in one glance.
    pub(in crate::store) fn plan_summary(&self, row: PlanRow, limit: Limit) -> api::PlanSummary {
        let record = self.plans.record(row);
        let annotations = &record.at(limit).annotations;
        let (image, name) = match &record.kind {
            PlanKind::Image { definition, .. } => (Some(definition.image.to_string()), None),
            PlanKind::Builtin { name, .. } => (None, Some(name.clone())),
        };
        let definition = record.definition();
        api::PlanSummary {
            plan_id: self.plans.id(row).to_string(),
            image,
            entrypoint: definition.map(|definition| definition.entrypoint.clone()).unwrap_or_default(),
            args: definition.map(|definition| definition.args.clone()).unwrap_or_default(),
            name,
            annotations: annotations.iter().map(|(key, value)| api::Pair::new(key, value)).collect(),
        }
    }

    /// An input of a Plan, if it has that many.
    pub(in crate::store) fn plan_input(&self, point: Point) -> Option<api::Mountpoint> {
        let input = self.plans.record(point.plan).definition()?.inputs.get(point.number as usize)?;
        Some(api::Mountpoint { path: input.path.clone(), tags: tags_of(&input.tags) })
    }

    fn plan_inputs(&self, row: PlanRow, limit: Limit) -> Vec<api::PlanInput> {
        let record = self.plans.record(row);
        let inputs = (0..).zip(&record.inputs);
        inputs
            .filter_map(|(number, input)| {
                let api::Mountpoint { path, tags } = self.plan_input(Point { plan: row, number })?;
                let sources = self.plans.outputs_feeding(input, &self.tags, limit).into_iter();
                let upstreams = sources.filter_map(|source| self.plan_upstream(source, limit)).collect();
                Some(api::PlanInput { path, tags, upstreams })
            })
            .collect()
    }

    fn plan_upstream(&self, source: Point, limit: Limit) -> Option<api::PlanUpstream> {
        let OutputPoint { path, log, tags } = self.plans.record(source.plan).point(source.number)?;
        let (plan, tags) = (self.plan_summary(source.plan, limit), tags.map(tags_of).unwrap_or_default());
        Some(if log {
            api::PlanUpstream { plan, mountpoint: None, log: Some(api::LogPoint { tags }) }
        } else {
            api::PlanUpstream { plan, mountpoint: Some(api::Mountpoint { path: path.to_owned(), tags }), log: None }
        })
    }

    fn plan_outputs(&self, row: PlanRow, limit: Limit) -> (Vec<api::PlanOutput>, Option<api::PlanLog>) {
        let record = self.plans.record(row);
        let (mut outputs, mut log) = (Vec::new(), None);
        for (number, set) in (0..).zip(&record.outputs) {
            let Some(point) = record.point(number) else { continue };
            let tags = point.tags.map(tags_of).unwrap_or_default();
            let fed = self.plans.inputs_fed_by(*set, &self.tags, limit).into_iter();
            let downstreams = fed.filter_map(|point| self.plan_downstream(point, limit)).collect();
            if point.log {
                log = Some(api::PlanLog { tags, downstreams });
            } else {
                outputs.push(api::PlanOutput { path: point.path.to_owned(), tags, downstreams });
            }
        }
        (outputs, log)
    }

    fn plan_downstream(&self, point: Point, limit: Limit) -> Option<api::PlanDownstream> {
        let mountpoint = self.plan_input(point)?;
        Some(api::PlanDownstream { plan: self.plan_summary(point.plan, limit), mountpoint })
    }
}

pub(super) fn on_node(definition: &PlanDefinition) -> api::OnNode {
    let wishes = |mode: NodeMode| {
        let of_mode = definition.on_node.iter().filter(move |wish| wish.mode == mode);
        of_mode.map(|wish| api::Pair::new(&wish.key, &wish.value)).collect()
    };
    api::OnNode { may: wishes(NodeMode::May), prefer: wishes(NodeMode::Prefer), must: wishes(NodeMode::Must) }
}

pub(super) fn resources(attributes: &Attributes) -> std::collections::BTreeMap<String, Quantity> {
    let parsed = |(name, text): (&String, &String)| Some((name.clone(), Quantity::parse(text).ok()?));
    attributes.resources.iter().filter_map(parsed).collect()
}
