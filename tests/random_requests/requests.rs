//! Requests that change something: how they are chosen, what must come of them, and how they are sent.

use std::collections::BTreeMap;

use knit_tests::archive::Archive;
use knit_tests::http::{Client, Response};
use serde_json::{Value, json};

use super::chance::Chance;
use super::model::{DataNo, Model, Plan, PlanNo, Point, RunNo, Status, Tag, Tags, UPLOADED, Work};
use super::plans::{Flaw, Verdict};
use super::render::texts;

/// Few, so that Plans and Data meet; one of them would be torn apart by a careless reader.
const TAGS: [(&str, &str); 5] = [("a", "1"), ("a", "2"), ("b", "1"), ("c", "1"), ("größe", "x:y z&+%")];
/// No more Plans than this: each asks for Data of which there are few kinds.
const PLANS_MAX: usize = 12;

/// What may be asked of a Run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Abort,
    TearOff,
    Retry,
    Delete,
}

#[derive(Debug, Clone)]
pub(crate) enum Request {
    Upload {
        content: String,
    },
    ChangeTags {
        data: DataNo,
        add: Tags,
        remove: Tags,
        remove_key: Vec<String>,
    },
    Register {
        plan: Box<Plan>,
        flaw: Option<Flaw>,
    },
    SetActive {
        plan: PlanNo,
        active: bool,
    },
    Annotate {
        plan: PlanNo,
        add: Tags,
        remove_key: Vec<String>,
    },
    /// Limits are set, then others are unset.
    Limit {
        plan: PlanNo,
        set: BTreeMap<String, String>,
        unset: Vec<String>,
    },
    OnRun {
        run: RunNo,
        operation: Operation,
    },
    /// The server ends, in order or not, and starts again.
    Restart {
        kill: bool,
    },
}

/// The tags there are.
pub(crate) fn known_tags() -> Vec<Tag> {
    TAGS.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

impl Request {
    /// Something that somebody may ask for now.
    pub(crate) fn choose(chance: &mut Chance, model: &Model) -> Self {
        let untagged: Vec<DataNo> = model.data_there().filter(|data| model.data[*data].tags.is_empty()).collect();
        if !untagged.is_empty() && chance.one_in(2) {
            let data = chance.pick(&untagged).expect("there are some");
            let add = chance.some(&known_tags(), 1).into_iter().collect();
            return Self::ChangeTags { data, add, remove: Tags::new(), remove_key: Vec::new() };
        }
        match chance.below(30) {
            0..6 => Self::Upload { content: format!("upload {}", model.data.len()) },
            6..12 if model.plans.len() < PLANS_MAX => Self::register(chance, model),
            12..16 => Self::change_tags(chance, model),
            16..18 => Self::SetActive { plan: chance.below(model.plans.len()), active: chance.one_in(2) },
            18 => Self::annotate(chance, model),
            19 => Self::limit(chance, model),
            20 if chance.one_in(4) => Self::Restart { kill: chance.one_in(2) },
            _ => Self::on_run(chance, model),
        }
    }

    fn register(chance: &mut Chance, model: &Model) -> Self {
        let work = chance.pick(&[Work::Succeed, Work::Copy, Work::Copy, Work::Fail, Work::Hang]);
        let tags = |chance: &mut Chance, least| -> Tags {
            let some = chance.some(&known_tags(), least);
            some.into_iter().take(2).collect()
        };
        let mut inputs = Vec::new();
        for path in ["/in/a", "/in/b"].iter().take(1 + usize::from(chance.one_in(3))) {
            let pins: Vec<DataNo> = model.data_there().collect();
            let pin = if chance.one_in(8) { chance.pick(&pins) } else { None };
            let tags = if pin.is_some() && chance.one_in(2) { Tags::new() } else { tags(chance, 1) };
            inputs.push(Point { path: (*path).to_owned(), tags, pin });
        }
        let mut outputs = Vec::new();
        for path in ["/out/a", "/out/b"].iter().take(chance.below(3)) {
            outputs.push(Point { path: (*path).to_owned(), tags: tags(chance, 0), pin: None });
        }
        let log = if chance.one_in(3) { Some(tags(chance, 0)) } else { None };
        let flaws = [Flaw::NoInput, Flaw::SystemTagOnOutput, Flaw::OverlappingPaths, Flaw::InputWithoutTags];
        let flaw = if chance.one_in(8) { chance.pick(&flaws) } else { None };
        let (active, annotations) = (!chance.one_in(5), Tags::new());
        let resources =
            [("cpu", "100m"), ("memory", "64Mi")].map(|(name, most)| (name.to_owned(), most.to_owned())).into();
        let work = work.expect("there is some work");
        Self::Register {
            plan: Box::new(Plan { id: String::new(), work, inputs, outputs, log, active, annotations, resources }),
            flaw,
        }
    }

    fn change_tags(chance: &mut Chance, model: &Model) -> Self {
        let Some(data) = any_data(chance, model) else { return Self::Upload { content: "first".to_owned() } };
        let mut add: Tags = chance.some(&known_tags(), 0).into_iter().take(2).collect();
        if chance.one_in(10) {
            add.insert(("knit#id".to_owned(), "x".to_owned()));
        }
        let remove = chance.some(&known_tags(), 0).into_iter().take(2).collect();
        let remove_key = if chance.one_in(3) { vec!["a".to_owned()] } else { Vec::new() };
        Self::ChangeTags { data, add, remove, remove_key }
    }

    fn annotate(chance: &mut Chance, model: &Model) -> Self {
        let add = chance.some(&known_tags(), 0).into_iter().collect();
        let remove_key = if chance.one_in(2) { vec!["a".to_owned()] } else { Vec::new() };
        Self::Annotate { plan: chance.below(model.plans.len()), add, remove_key }
    }

    /// Limits under which every Worker of the model can work.
    fn limit(chance: &mut Chance, model: &Model) -> Self {
        let all = [("cpu", "100m"), ("cpu", "50m"), ("memory", "64Mi"), ("memory", "80Mi")];
        let set = chance.some(&all, 0).into_iter().map(|(name, most)| (name.to_owned(), most.to_owned())).collect();
        let unset = if chance.one_in(3) { vec!["cpu".to_owned()] } else { Vec::new() };
        Self::Limit { plan: chance.below(model.plans.len()), set, unset }
    }

    fn on_run(chance: &mut Chance, model: &Model) -> Self {
        use Operation::{Abort, Delete, Retry, TearOff};
        let all: Vec<RunNo> = (0..model.runs.len()).filter(|run| model.runs[*run].id.is_some()).collect();
        let apt: Vec<RunNo> = all.iter().copied().filter(|run| is_apt(model, *run)).collect();
        let run = if chance.one_in(4) { chance.pick(&all) } else { chance.pick(&apt).or(chance.pick(&all)) };
        let Some(run) = run else { return Self::Upload { content: "first".to_owned() } };
        let apt = match model.runs[run].status {
            Status::Running | Status::Waiting => &[Abort, TearOff, Abort, TearOff, Delete, Retry],
            Status::Done | Status::Failed => &[Retry, Delete, Retry, Delete, Abort, TearOff],
            Status::Invalidated | Status::Erased => &[Abort, TearOff, Retry, Delete, Retry, Delete],
        };
        Self::OnRun { run, operation: chance.pick(apt).expect("there are six") }
    }
}

/// Whether something may be done to a Run without being refused.
fn is_apt(model: &Model, run: RunNo) -> bool {
    !model.is_used(run) && !matches!(model.runs[run].status, Status::Invalidated | Status::Erased)
}

fn any_data(chance: &mut Chance, model: &Model) -> Option<DataNo> {
    let known: Vec<DataNo> = (0..model.data.len()).filter(|data| model.data[*data].id.is_some()).collect();
    chance.pick(&known)
}

impl Model {
    /// Lets the request have its effect; answers the status that it must be answered with.
    pub(crate) fn apply(&mut self, request: &Request) -> u16 {
        match request {
            Request::Upload { content } => {
                self.upload(content);
                200
            }
            Request::ChangeTags { data, add, remove, remove_key } => self.change_tags(*data, add, remove, remove_key),
            Request::Register { plan, flaw } => match self.judge(plan, *flaw) {
                Verdict::Registered => {
                    self.plans.push((**plan).clone());
                    200
                }
                Verdict::Invalid => 400,
                Verdict::Equivalent(_) | Verdict::Cyclic => 409,
            },
            Request::SetActive { plan: UPLOADED, .. } => 404,
            Request::SetActive { plan, active } => {
                self.plans[*plan].active = *active;
                200
            }
            Request::Annotate { plan, add, remove_key } => {
                let annotations = &mut self.plans[*plan].annotations;
                annotations.retain(|(key, _)| !remove_key.contains(key));
                annotations.extend(add.iter().cloned());
                200
            }
            Request::Limit { plan, set, unset } => {
                let resources = &mut self.plans[*plan].resources;
                resources.extend(set.clone());
                resources.retain(|name, _| !unset.contains(name));
                200
            }
            Request::OnRun { run, operation } => self.operate(*run, *operation),
            Request::Restart { .. } => 200,
        }
    }

    fn change_tags(&mut self, data: DataNo, add: &Tags, remove: &Tags, remove_key: &[String]) -> u16 {
        let system = |tags: &Tags| tags.iter().any(|(key, _)| key.starts_with("knit#"));
        if system(add) || system(remove) {
            return 400;
        }
        if self.data[data].gone {
            return 404;
        }
        let tags = &mut self.data[data].tags;
        tags.retain(|tag| !remove.contains(tag) && !remove_key.contains(&tag.0));
        tags.extend(add.iter().cloned());
        200
    }

    fn operate(&mut self, run: RunNo, operation: Operation) -> u16 {
        let status = self.runs[run].status;
        if status == Status::Erased {
            return 404;
        }
        match (operation, status) {
            (Operation::Abort, Status::Running | Status::Waiting) => {
                self.end(run, Status::Failed, Some((253, Some("aborted by user"))));
                200
            }
            (Operation::TearOff, Status::Running) => {
                self.end(run, Status::Done, Some((0, Some("stopped by user"))));
                200
            }
            (Operation::Retry | Operation::Delete, Status::Invalidated) => 404,
            (Operation::Retry | Operation::Delete, _) if self.is_used(run) => 409,
            (Operation::Retry, Status::Done | Status::Failed) if self.runs[run].plan != UPLOADED => {
                self.retry(run);
                200
            }
            (Operation::Delete, Status::Done | Status::Failed | Status::Waiting) => {
                self.delete(run);
                204
            }
            (Operation::Abort | Operation::TearOff | Operation::Retry | Operation::Delete, _) => 409,
        }
    }
}

/// Sends a request, as `model` knows the ids.
pub(crate) fn send(request: &Request, model: &Model, http: &Client) -> Response {
    let put = |path: String, body: Value| http.send_json("PUT", &path, &body);
    match request {
        Request::Upload { content } => http.upload(&Archive::new().file("it", content.as_bytes()).gzip(), &[]),
        Request::ChangeTags { data, add, remove, remove_key } => {
            // One in the short notation, the other in the long one, as clients send both.
            let objects: Vec<Value> = remove.iter().map(|(key, value)| json!({"key": key, "value": value})).collect();
            let body = json!({"add": texts(add), "remove": objects, "remove_key": remove_key});
            put(format!("/api/data/{}", model.data_id(*data)), body)
        }
        Request::Register { plan, flaw } => http.send_json("POST", "/api/plans", &plan.spec(model, *flaw)),
        Request::SetActive { plan, active } => {
            let method = if *active { "PUT" } else { "DELETE" };
            http.ask(method, &format!("/api/plans/{}/active", model.plans[*plan].id))
        }
        Request::Annotate { plan, add, remove_key } => {
            let add: Vec<String> = add.iter().map(|(key, value)| format!("{key}={value}")).collect();
            let path = format!("/api/plans/{}/annotations", model.plans[*plan].id);
            put(path, json!({"add": add, "remove_key": remove_key}))
        }
        Request::Limit { plan, set, unset } => {
            put(format!("/api/plans/{}/resources", model.plans[*plan].id), json!({"set": set, "unset": unset}))
        }
        Request::OnRun { run, operation } => {
            let path = format!("/api/runs/{}", model.run_id(*run));
            match operation {
                Operation::Abort => http.ask("PUT", &format!("{path}/abort")),
                Operation::TearOff => http.ask("PUT", &format!("{path}/tearoff")),
                Operation::Retry => http.ask("PUT", &format!("{path}/retry")),
                Operation::Delete => http.ask("DELETE", &path),
            }
        }
        Request::Restart { .. } => http.get("/healthz"),
    }
}
