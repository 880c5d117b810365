//! Plans of the model: what makes one equal to another, what feeds what, and what cannot be registered.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::model::{Model, Plan, PlanNo, Point, Tags, UPLOADED, Work};

/// What is wrong with a Plan in itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flaw {
    NoInput,
    SystemTagOnOutput,
    OverlappingPaths,
    InputWithoutTags,
}

/// What comes of a registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Registered,
    Invalid,
    Equivalent(PlanNo),
    Cyclic,
}

impl Model {
    pub(crate) fn judge(&self, plan: &Plan, flaw: Option<Flaw>) -> Verdict {
        let equal = |other: &Plan| {
            let same = |a: &[Point], b: &[Point]| a.iter().all(|it| b.contains(it)) && a.len() == b.len();
            other.command() == plan.command()
                && same(&other.inputs, &plan.inputs)
                && same(&other.outputs, &plan.outputs)
                && other.log == plan.log
        };
        if flaw.is_some() {
            return Verdict::Invalid;
        }
        match (0..self.plans.len()).find(|other| *other != UPLOADED && equal(&self.plans[*other])) {
            Some(other) => Verdict::Equivalent(other),
            None if self.would_feed_itself(plan) => Verdict::Cyclic,
            None => Verdict::Registered,
        }
    }

    /// Follows outputs to inputs, over everything there is and the new one.
    fn would_feed_itself(&self, plan: &Plan) -> bool {
        let all: Vec<&Plan> = self.plans.iter().chain([plan]).collect();
        let new = all.len() - 1;
        let (mut reached, mut open) = (BTreeSet::new(), vec![new]);
        while let Some(from) = open.pop() {
            for to in (0..all.len()).filter(|to| leads_to(all[from], all[*to])) {
                if to == new {
                    return true;
                }
                if reached.insert(to) {
                    open.push(to);
                }
            }
        }
        false
    }
}

fn leads_to(from: &Plan, to: &Plan) -> bool {
    let made = from.outputs.iter().map(|output| &output.tags).chain(&from.log);
    made.into_iter().any(|tags| to.inputs.iter().any(|input| feeds(tags, input)))
}

/// Whether everything made with these tags fits an input.
pub(crate) fn feeds(tags: &Tags, input: &Point) -> bool {
    input.pin.is_none() && !input.tags.is_empty() && input.tags.is_subset(tags)
}

impl Plan {
    /// The words of the Worker.
    pub(crate) fn command(&self) -> Vec<String> {
        let script = match self.work {
            Work::Upload => return Vec::new(),
            Work::Succeed => "true".to_owned(),
            Work::Fail => "false".to_owned(),
            Work::Hang => "exec sleep 100000".to_owned(),
            Work::Copy => {
                let copies =
                    self.outputs.iter().map(|output| format!("cp -r {}/. {}/", self.inputs[0].path, output.path));
                copies.chain(["true".to_owned()]).collect::<Vec<_>>().join(" && ")
            }
        };
        ["sh", "-c"].map(str::to_owned).into_iter().chain([script]).collect()
    }

    /// As it is sent.
    pub(crate) fn spec(&self, model: &Model, flaw: Option<Flaw>) -> Value {
        let command = self.command();
        let mut inputs: Vec<Value> = self.inputs.iter().map(|input| model.point(input)).collect();
        let mut outputs: Vec<Value> = self.outputs.iter().map(|output| model.point(output)).collect();
        match flaw {
            None => {}
            Some(Flaw::NoInput) => inputs.clear(),
            Some(Flaw::SystemTagOnOutput) => outputs.push(json!({"path": "/bad", "tags": ["knit#id:x"]})),
            Some(Flaw::OverlappingPaths) => outputs.push(json!({"path": "/in/a/below", "tags": []})),
            Some(Flaw::InputWithoutTags) => inputs.push(json!({"path": "/bad", "tags": []})),
        }
        let mut spec = json!({
            "image": "host:latest", "entrypoint": command[..2], "args": command[2..], "inputs": inputs,
            "outputs": outputs, "active": self.active, "resources": self.resources,
        });
        if let Some(tags) = &self.log {
            spec["log"] = json!({"tags": super::render::texts(tags)});
        }
        spec
    }
}
