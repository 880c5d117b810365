//! The graph of Plans, walked the plain way.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::lineage::Way;
use super::model::{Model, PlanNo};
use super::plans::feeds;
use super::render::texts;

/// From one Plan, by its output or its log, to an input of another.
type Edge = (PlanNo, Option<String>, PlanNo, String);

impl Model {
    pub(crate) fn plan_graph(&self, start: PlanNo, way: Way) -> Value {
        let edges = self.edges();
        let (mut met, mut cut) = (BTreeSet::from([start]), BTreeSet::new());
        for (_, up) in [(way.up, true), (way.down, false)].iter().filter(|(wanted, _)| *wanted) {
            let (mut layer, mut done) = (BTreeSet::from([start]), 0);
            let next_to = |layer: &BTreeSet<PlanNo>| -> Vec<(PlanNo, PlanNo)> {
                let ends = edges.iter().map(|(from, _, to, _)| if *up { (*to, *from) } else { (*from, *to) });
                ends.filter(|(here, _)| layer.contains(here)).collect()
            };
            while !layer.is_empty() && way.depth.is_none_or(|depth| done < depth) {
                layer =
                    next_to(&layer).into_iter().map(|(_, there)| there).filter(|plan| !met.contains(plan)).collect();
                met.extend(&layer);
                done += 1;
            }
            cut.extend(next_to(&layer).into_iter().filter(|(_, there)| !met.contains(there)).map(|(here, _)| here));
        }
        let shown = edges.iter().filter(|(from, _, to, _)| met.contains(from) && met.contains(to));
        json!({
            "start": self.plans[start].id,
            "plans": met.iter().map(|plan| self.in_graph(*plan)).collect::<Value>(),
            "edges": shown.map(|edge| self.edge(edge)).collect::<Value>(),
            "cut": cut.iter().map(|plan| json!(self.plans[*plan].id)).collect::<Value>(),
        })
    }

    fn edges(&self) -> Vec<Edge> {
        let mut edges = Vec::new();
        for (from, it) in self.plans.iter().enumerate() {
            let outputs = it.outputs.iter().map(|output| (Some(output.path.clone()), &output.tags));
            for (output, tags) in outputs.chain(it.log.iter().map(|tags| (None, tags))) {
                for (to, other) in self.plans.iter().enumerate() {
                    let fed = other.inputs.iter().filter(|input| feeds(tags, input));
                    edges.extend(fed.map(|input| (from, output.clone(), to, input.path.clone())));
                }
            }
        }
        edges
    }

    fn edge(&self, (from, output, to, input): &Edge) -> Value {
        let mut edge = json!({"from": self.plans[*from].id, "to": self.plans[*to].id, "input": input});
        if let Some(output) = output {
            edge["output"] = json!(output);
        }
        edge
    }

    fn in_graph(&self, plan: PlanNo) -> Value {
        let it = &self.plans[plan];
        let mut shown = self.plan_summary(plan);
        shown["active"] = json!(it.active);
        shown["inputs"] = it.inputs.iter().map(|point| self.point(point)).collect();
        shown["outputs"] = it.outputs.iter().map(|point| self.point(point)).collect();
        if let Some(tags) = &it.log {
            shown["log"] = json!({"tags": texts(tags)});
        }
        shown
    }
}
