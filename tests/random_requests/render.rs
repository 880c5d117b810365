//! What the server must answer about each thing, written out from the model.

use serde_json::{Value, json};

use super::model::{Content, DataNo, Model, PlanNo, Point, RunNo, Status, Tag, Tags, UPLOADED};
use super::plans::feeds;
use super::user::Known;

/// Tags as the wire writes them, sorted.
pub(crate) fn texts(tags: &Tags) -> Vec<String> {
    tags.iter().map(|(key, value)| format!("{key}:{value}")).collect()
}

impl Model {
    pub(crate) fn data_id(&self, data: DataNo) -> &str {
        self.data[data].id.as_deref().expect("it was seen")
    }

    pub(crate) fn run_id(&self, run: RunNo) -> &str {
        self.runs[run].id.as_deref().expect("it was seen")
    }

    /// An input or output as a Plan has it.
    pub(crate) fn point(&self, point: &Point) -> Value {
        json!({"path": point.path, "tags": self.asked(point)})
    }

    fn asked(&self, point: &Point) -> Vec<String> {
        let mut tags = point.tags.clone();
        tags.extend(point.pin.map(|data| ("knit#id".to_owned(), self.data_id(data).to_owned())));
        texts(&tags)
    }

    pub(crate) fn plan_summary(&self, plan: PlanNo) -> Value {
        let it = &self.plans[plan];
        let mut summary = if plan == UPLOADED {
            json!({"planId": it.id, "name": "knit#uploaded"})
        } else {
            let command = it.command();
            json!({"planId": it.id, "image": "host:latest", "entrypoint": command[..2], "args": command[2..]})
        };
        if !it.annotations.is_empty() {
            let pairs: Vec<String> = it.annotations.iter().map(|(key, value)| format!("{key}={value}")).collect();
            summary["annotations"] = json!(pairs);
        }
        summary
    }

    pub(crate) fn plan_detail(&self, plan: PlanNo) -> Value {
        let it = &self.plans[plan];
        let mut detail = self.plan_summary(plan);
        let input = |point: &Point| with(self.point(point), "upstreams", self.sources(point));
        let output = |point: &Point| with(self.point(point), "downstreams", self.fed(&point.tags));
        detail["inputs"] = it.inputs.iter().map(input).collect();
        detail["outputs"] = it.outputs.iter().map(output).collect();
        detail["active"] = json!(it.active);
        if let Some(tags) = &it.log {
            detail["log"] = json!({"tags": texts(tags), "downstreams": self.fed(tags)});
        }
        if !it.resources.is_empty() {
            detail["resources"] = json!(it.resources);
        }
        detail
    }

    /// The outputs and logs that feed an input.
    fn sources(&self, input: &Point) -> Value {
        let mut sources = Vec::new();
        for (plan, it) in self.plans.iter().enumerate() {
            for output in it.outputs.iter().filter(|output| feeds(&output.tags, input)) {
                sources.push(json!({"plan": self.plan_summary(plan), "mountpoint": self.point(output)}));
            }
            for tags in it.log.iter().filter(|tags| feeds(tags, input)) {
                sources.push(json!({"plan": self.plan_summary(plan), "log": {"tags": texts(tags)}}));
            }
        }
        json!(sources)
    }

    /// The inputs that are fed by what has these tags.
    fn fed(&self, tags: &Tags) -> Value {
        let mut fed = Vec::new();
        for (plan, it) in self.plans.iter().enumerate() {
            for input in it.inputs.iter().filter(|input| feeds(tags, input)) {
                fed.push(json!({"plan": self.plan_summary(plan), "mountpoint": self.point(input)}));
            }
        }
        json!(fed)
    }

    pub(crate) fn run_summary(&self, run: RunNo, known: &Known) -> Value {
        let it = &self.runs[run];
        let mut summary = json!({
            "runId": self.run_id(run), "status": self.status_word(run), "updatedAt": known.updated_at(run),
            "plan": self.plan_summary(it.plan),
        });
        if let Some((code, message)) = it.exit {
            let message = message.map_or_else(|| known.exit_message(run), str::to_owned);
            summary["exit"] = json!({"code": code, "message": message});
        }
        summary
    }

    pub(crate) fn run_detail(&self, run: RunNo, known: &Known) -> Value {
        let it = &self.runs[run];
        let plan = &self.plans[it.plan];
        let mut detail = self.run_summary(run, known);
        let made = |point: usize| it.made.get(point).map_or("", |data| self.data_id(*data));
        let inputs = plan.inputs.iter().zip(&it.inputs);
        detail["inputs"] =
            inputs.map(|(point, data)| with(self.point(point), "knitId", json!(self.data_id(*data)))).collect();
        let outputs = plan.outputs.iter().enumerate();
        detail["outputs"] =
            outputs.map(|(number, point)| with(self.point(point), "knitId", json!(made(number)))).collect();
        detail["log"] = match &plan.log {
            None => Value::Null,
            Some(tags) => json!({"tags": texts(tags), "knitId": made(plan.outputs.len())}),
        };
        detail
    }

    /// User tags and those of the system.
    pub(crate) fn all_tags(&self, data: DataNo, known: &Known) -> Tags {
        let it = &self.data[data];
        let system = |key: &str, value: &str| (format!("knit#{key}"), value.to_owned());
        let mut tags: Tags = it.tags.iter().cloned().chain([system("id", self.data_id(data))]).collect();
        let ended: Option<Tag> = self.has_ended(data).then(|| system("timestamp", &known.updated_at(it.run)));
        let transient = match self.runs[it.run].status {
            Status::Done => None,
            Status::Failed | Status::Invalidated => Some(system("transient", "failed")),
            Status::Waiting | Status::Running | Status::Erased => Some(system("transient", "processing")),
        };
        tags.extend(ended.into_iter().chain(transient));
        tags
    }

    pub(crate) fn has_ended(&self, data: DataNo) -> bool {
        matches!(self.runs[self.data[data].run].status, Status::Done | Status::Failed)
    }

    /// What made a Data, without the Run.
    fn origin(&self, data: DataNo) -> (&'static str, Value) {
        let plan = &self.plans[self.runs[self.data[data].run].plan];
        match plan.outputs.get(self.data[data].point) {
            Some(output) => ("mountpoint", self.point(output)),
            None => ("log", json!({"tags": plan.log.as_ref().map(texts)})),
        }
    }

    pub(crate) fn data_detail(&self, data: DataNo, known: &Known) -> Value {
        let (kind, point) = self.origin(data);
        let upstream = with(json!({"run": self.run_summary(self.data[data].run, known)}), kind, point);
        let (mut downstreams, mut nomination) = (Vec::new(), Vec::new());
        for run in self.there().filter(|run| self.runs[*run].status != Status::Invalidated) {
            let points = &self.plans[self.runs[run].plan].inputs;
            for (point, _) in points.iter().zip(&self.runs[run].inputs).filter(|(_, input)| **input == data) {
                downstreams.push(json!({"run": self.run_summary(run, known), "mountpoint": self.point(point)}));
            }
        }
        for (plan, it) in self.plans.iter().enumerate() {
            for input in it.inputs.iter().filter(|input| self.fits(data, input)) {
                nomination.push(with(self.point(input), "plan", self.plan_summary(plan)));
            }
        }
        json!({
            "knitId": self.data_id(data), "tags": texts(&self.all_tags(data, known)), "upstream": upstream,
            "downstreams": downstreams, "nomination": nomination,
        })
    }

    /// The names and contents of the files in a Data, if the model knows them.
    pub(crate) fn files(&self, data: DataNo) -> Option<Vec<(String, String)>> {
        match &self.data[data].content {
            Content::Nothing => Some(Vec::new()),
            Content::File(content) => Some(vec![("it".to_owned(), content.clone())]),
            Content::Log => None,
        }
    }
}

pub(crate) fn with(mut object: Value, field: &str, value: Value) -> Value {
    object[field] = value;
    object
}
