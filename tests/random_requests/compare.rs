//! Everything that can be asked, compared with the model.

use std::io::Read as _;

use knit_tests::http::Client;
use serde_json::{Value, json};

use super::chance::Chance;
use super::lineage::Way;
use super::model::{DataNo, Model, PlanNo, Point, RunNo, Status, Tag, Tags, UPLOADED};
use super::moments::{Moment, events, past};
use super::plans::feeds;
use super::requests::known_tags;
use super::times::milliseconds;
use super::user::Known;

/// An id that nothing has.
const NOBODY: &str = "3b0f5a52-6c1e-4d0e-9a53-0d1f6f6b7c11";

/// All Data, Runs and Plans, in their order; `query` says as of when.
pub(crate) fn everything(http: &Client, model: &Model, known: &Known, query: &str) {
    same_list(http, &format!("/api/data{query}"), &data_in_order(model, known), |data| model.data_detail(*data, known));
    same_list(http, &format!("/api/runs{query}"), &runs_in_order(model, known), |run| model.run_detail(*run, known));
    same_list(http, &format!("/api/plans{query}"), &plans_in_order(model), |plan| model.plan_detail(*plan));
}

fn data_in_order(model: &Model, known: &Known) -> Vec<DataNo> {
    let mut data: Vec<DataNo> = model.data_there().collect();
    data.sort_by_key(|it| {
        let ended = model.has_ended(*it);
        let time = if ended { milliseconds(&known.updated_at(model.data[*it].run)) } else { 0 };
        (!ended, time, model.data_id(*it))
    });
    data
}

fn runs_in_order(model: &Model, known: &Known) -> Vec<RunNo> {
    let mut runs: Vec<RunNo> = model.there().collect();
    runs.sort_by_key(|run| (milliseconds(&known.updated_at(*run)), model.run_id(*run)));
    runs
}

fn plans_in_order(model: &Model) -> Vec<PlanNo> {
    let mut plans: Vec<PlanNo> = (0..model.plans.len()).collect();
    plans.sort_by_key(|plan| &model.plans[*plan].id);
    plans
}

fn same_list<T>(http: &Client, target: &str, expected: &[T], render: impl Fn(&T) -> Value) {
    let answer = http.get(target);
    assert_eq!(answer.status, 200, "{target}: {}", answer.text());
    let mut found = answer.json();
    if let Some(list) = found.as_array_mut() {
        // The Plan of imports is built in, and nobody imports here.
        list.retain(|it| it["name"] != "knit#imported");
    }
    same(target, found, expected.iter().map(render).collect());
}

/// Compares; lists whose order means nothing are sorted first, but for the outermost.
fn same(what: &str, mut found: Value, mut expected: Value) {
    for value in [&mut found, &mut expected] {
        if let Value::Array(list) = value {
            list.iter_mut().for_each(sort);
        } else {
            sort(value);
        }
    }
    assert!(found == expected, "{what} answers\n{found:#}\nand not\n{expected:#}");
}

fn sort(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.values_mut().for_each(sort);
            if let Some(Value::Array(cut)) = fields.get_mut("cut") {
                cut.sort_by_key(Value::to_string);
            }
        }
        Value::Array(list) => {
            list.iter_mut().for_each(sort);
            if list.iter().all(Value::is_object) {
                list.sort_by_key(Value::to_string);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// One of the other questions.
pub(crate) fn question(chance: &mut Chance, http: &Client, model: &Model, known: &Known, moments: &[Moment]) {
    match chance.below(13) {
        0 | 1 => find_data(chance, http, model, known),
        2 => find_runs(chance, http, model, known),
        3 => find_plans(chance, http, model),
        4 => lineage(chance, http, model, known),
        5 => one_run(chance, http, model, known),
        6 => one_plan(chance, http, model),
        7 => download(chance, http, model),
        8 => log(chance, http, model),
        9 => plan_graph(chance, http, model),
        10 => past(chance, http, moments),
        11 => events(http, model),
        _ => nobody(chance, http),
    }
}

/// A query with every value escaped.
fn query(path: &str, parameters: &[(&str, String)]) -> String {
    let escaped = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
    let pairs: Vec<String> = parameters.iter().map(|(name, value)| format!("{name}={}", escaped(value))).collect();
    format!("{path}?{}", pairs.join("&"))
}

fn find_data(chance: &mut Chance, http: &Client, model: &Model, known: &Known) {
    let mut wanted: Tags = chance.some(&known_tags(), 0).into_iter().take(2).collect();
    let all: Vec<DataNo> = model.data_there().collect();
    let some = chance.pick(&all);
    if let (Some(data), true) = (some, chance.one_in(3)) {
        let system: Vec<Tag> =
            model.all_tags(data, known).into_iter().filter(|(key, _)| key.starts_with("knit#")).collect();
        wanted.extend(chance.pick(&system));
    }
    let range = range(chance, model, known);
    let mut parameters: Vec<(&str, String)> =
        wanted.iter().map(|(key, value)| ("tag", format!("{key}: {value}"))).collect();
    parameters.extend(range.parameters());
    let fits = |data: &DataNo| {
        let changed = known.updated_at(model.data[*data].run);
        wanted.is_subset(&model.all_tags(*data, known)) && range.holds(&changed)
    };
    let expected: Vec<DataNo> = data_in_order(model, known).into_iter().filter(fits).collect();
    same_list(http, &query("/api/data", &parameters), &expected, |data| model.data_detail(*data, known));
}

/// From when, and how long.
struct Range(Option<(String, Option<i64>)>);

fn range(chance: &mut Chance, model: &Model, known: &Known) -> Range {
    let runs: Vec<RunNo> = model.there().collect();
    let (Some(first), Some(last), true) = (chance.pick(&runs), chance.pick(&runs), chance.one_in(2)) else {
        return Range(None);
    };
    let (since, until) = (known.updated_at(first), known.updated_at(last));
    let long = chance.one_in(2).then(|| milliseconds(&until) - milliseconds(&since));
    Range(Some((since, long)))
}

impl Range {
    fn parameters(&self) -> Vec<(&'static str, String)> {
        let Some((since, long)) = &self.0 else { return Vec::new() };
        let long = long.map(|long| ("duration", format!("{long}ms")));
        [("since", since.clone())].into_iter().chain(long).collect()
    }

    fn holds(&self, time: &str) -> bool {
        let Some((since, long)) = &self.0 else { return true };
        let after = milliseconds(time) - milliseconds(since);
        after >= 0 && long.is_none_or(|long| after < long)
    }
}

fn find_runs(chance: &mut Chance, http: &Client, model: &Model, known: &Known) {
    let plan = chance.below(model.plans.len());
    let all: Vec<DataNo> = model.data_there().collect();
    let (input, output) = (chance.pick(&all), chance.pick(&all));
    let statuses = ["done", "failed", "running", "deactivated"];
    let status = chance.some(&statuses, 1);
    let range = range(chance, model, known);
    let by =
        [chance.one_in(2), chance.one_in(3) && input.is_some(), chance.one_in(4) && output.is_some(), chance.one_in(2)];
    let id = |data: Option<DataNo>| data.map_or(NOBODY, |data| model.data_id(data)).to_owned();
    let all = [
        ("plan", format!("{NOBODY},{}", model.plans[plan].id)),
        ("knitIdInput", format!("{},", id(input))),
        ("knitIdOutput", id(output)),
        ("status", status.join(",")),
    ];
    let mut parameters: Vec<_> =
        all.into_iter().zip(by).filter(|(_, by)| *by).map(|(parameter, _)| parameter).collect();
    parameters.extend(range.parameters());
    let fits = |run: &RunNo| {
        let it = &model.runs[*run];
        (!by[0] || it.plan == plan)
            && (!by[1] || input.is_some_and(|data| it.inputs.contains(&data)))
            && (!by[2] || output.is_some_and(|data| it.made.contains(&data)))
            && (!by[3] || status.contains(&model.status_word(*run)))
            && range.holds(&known.updated_at(*run))
    };
    let expected: Vec<RunNo> = runs_in_order(model, known).into_iter().filter(fits).collect();
    same_list(http, &query("/api/runs", &parameters), &expected, |run| model.run_detail(*run, known));
}

fn find_plans(chance: &mut Chance, http: &Client, model: &Model) {
    let tag = chance.pick(&known_tags()).expect("there are some");
    let active = chance.one_in(2);
    let by = [chance.one_in(2), chance.one_in(2), chance.one_in(2), chance.one_in(2)];
    let text = format!("{}:{}", tag.0, tag.1);
    let all = [
        ("active", active.to_string()),
        ("in_tag", text.clone()),
        ("out_tag", text),
        ("image", "host:latest".to_owned()),
    ];
    let parameters: Vec<_> = all.into_iter().zip(by).filter(|(_, by)| *by).map(|(parameter, _)| parameter).collect();
    let fits = |plan: &PlanNo| {
        let it = &model.plans[*plan];
        let asked = |point: &Point| point.tags.contains(&tag);
        (!by[0] || it.active == active)
            && (!by[1] || it.inputs.iter().any(asked))
            && (!by[2] || it.outputs.iter().any(asked) || it.log.as_ref().is_some_and(|tags| tags.contains(&tag)))
            && (!by[3] || *plan != UPLOADED)
    };
    let expected: Vec<PlanNo> = plans_in_order(model).into_iter().filter(fits).collect();
    same_list(http, &query("/api/plans", &parameters), &expected, |plan| model.plan_detail(*plan));
}

fn lineage(chance: &mut Chance, http: &Client, model: &Model, known: &Known) {
    let all: Vec<DataNo> = model.data_there().collect();
    let Some(start) = chance.pick(&all) else { return };
    let (direction, up, down) = [("up", true, false), ("down", false, true), ("both", true, true)][chance.below(3)];
    let depth = chance.pick(&[Some(1), Some(2), Some(3), None]).flatten();
    let target = format!(
        "/api/data/{}/lineage?direction={direction}&depth={}",
        model.data_id(start),
        depth.map_or("all".to_owned(), |depth| depth.to_string())
    );
    let answer = http.get(&target);
    assert_eq!(answer.status, 200, "{target}: {}", answer.text());
    let mut found = answer.json();
    found["runs"].as_array_mut().into_iter().flatten().for_each(take_start);
    same(&target, found, model.lineage(start, Way { up, down, depth }, known));
}

fn plan_graph(chance: &mut Chance, http: &Client, model: &Model) {
    let start = chance.below(model.plans.len());
    let (direction, up, down) = [("up", true, false), ("down", false, true), ("both", true, true)][chance.below(3)];
    let depth = chance.pick(&[Some(1), Some(2), None]).flatten();
    let target = format!(
        "/api/plans/{}/graph?direction={direction}&depth={}",
        model.plans[start].id,
        depth.map_or("all".to_owned(), |depth: usize| depth.to_string())
    );
    let answer = http.get(&target);
    assert_eq!(answer.status, 200, "{target}: {}", answer.text());
    same(&target, answer.json(), model.plan_graph(start, Way { up, down, depth }));
}

/// The Workers of the model write nothing.
fn log(chance: &mut Chance, http: &Client, model: &Model) {
    let seen: Vec<RunNo> = (0..model.runs.len()).filter(|run| model.runs[*run].id.is_some()).collect();
    let Some(run) = chance.pick(&seen) else { return };
    let target = format!("/api/runs/{}/log", model.run_id(run));
    let expected = match model.runs[run].status {
        Status::Erased | Status::Invalidated => 404,
        _ if model.plans[model.runs[run].plan].log.is_none() => 404,
        Status::Waiting => 503,
        Status::Running | Status::Done | Status::Failed => 200,
    };
    let answer = http.get(&target);
    assert_eq!(answer.status, expected, "{target}: {}", answer.text());
    assert!(answer.status != 200 || (answer.complete && answer.body.is_empty()), "{target}: {}", answer.text());
}

/// Takes out of a Run when it started, which nobody but the server has seen.
fn take_start(run: &mut Value) {
    let Some(started) = run.as_object_mut().and_then(|run| run.remove("startedAt")) else { return };
    let time = |text: &Value| milliseconds(text.as_str().expect("a time is a text"));
    assert!(time(&started) <= time(&run["updatedAt"]), "it started at {started}: {run:#}");
}

fn one_run(chance: &mut Chance, http: &Client, model: &Model, known: &Known) {
    let seen: Vec<RunNo> = (0..model.runs.len()).filter(|run| model.runs[*run].id.is_some()).collect();
    let Some(run) = chance.pick(&seen) else { return };
    let target = format!("/api/runs/{}", model.run_id(run));
    let (answer, attempts) = (http.get(&target), http.get(&format!("{target}/attempts")));
    if model.runs[run].status == Status::Erased {
        assert_eq!((answer.status, attempts.status), (404, 404), "{target}: {}", answer.text());
        return;
    }
    same(&target, answer.json(), model.run_detail(run, known));
    let told = attempts.json();
    let told = told.as_array().expect("attempts are a list");
    let it = &model.runs[run];
    assert_eq!(told.len(), it.earlier.len() + 1, "{target}: {told:#?}");
    for (attempt, number) in told.iter().zip(1..) {
        assert_eq!(attempt["attempt"], json!(number), "{target}: {told:#?}");
    }
    for (attempt, (status, exit)) in told.iter().zip(&it.earlier) {
        let word = if *status == Status::Done { "done" } else { "failed" };
        assert_eq!(attempt["status"], word, "{target}: {told:#?}");
        assert_eq!(attempt["exit"]["code"].as_u64(), exit.map(|(code, _)| u64::from(code)), "{target}: {told:#?}");
    }
    assert_eq!(told[it.earlier.len()]["status"], model.status_word(run), "{target}: {told:#?}");
}

fn one_plan(chance: &mut Chance, http: &Client, model: &Model) {
    let plan = chance.below(model.plans.len());
    let target = format!("/api/plans/{}", model.plans[plan].id);
    same(&target, http.get(&target).json(), model.plan_detail(plan));
    let told = http.get(&format!("{target}/matches")).json();
    let resting = |run: &RunNo| matches!(model.runs[*run].status, Status::Waiting | Status::Running);
    let pending = model.there().filter(|run| model.runs[*run].plan == plan && resting(run)).count();
    assert_eq!(told["pending"], json!(if plan == UPLOADED { 0 } else { pending }), "{target}: {told:#}");
    let inputs = &model.plans[plan].inputs;
    assert_eq!(told["inputs"].as_array().map(Vec::len), Some(inputs.len()));
    for (input, told) in inputs.iter().zip(told["inputs"].as_array().into_iter().flatten()) {
        let fitting = model.fitting(input).len();
        let fed = model
            .plans
            .iter()
            .any(|it| it.outputs.iter().map(|out| &out.tags).chain(&it.log).any(|tags| feeds(tags, input)));
        assert_eq!(told["candidates"], json!(fitting), "{target}: {told:#}");
        assert_eq!(told["producible"], json!(fitting == 0 && fed), "{target}: {told:#}");
    }
}

fn download(chance: &mut Chance, http: &Client, model: &Model) {
    let done = |data: &DataNo| model.runs[model.data[*data].run].status == Status::Done;
    let all: Vec<DataNo> = model.data_there().filter(done).collect();
    let Some(data) = chance.pick(&all) else { return };
    let answer = http.get(&format!("/api/data/{}", model.data_id(data)));
    assert_eq!((answer.status, answer.complete), (200, true), "{}", model.data_id(data));
    let Some(expected) = model.files(data) else { return };
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(&answer.body[..]));
    let files = archive.entries().expect("it is a tar").map(|entry| {
        let mut entry = entry.expect("its entries are whole");
        let (name, mut content) = (entry.path().expect("names are text").display().to_string(), String::new());
        entry.read_to_string(&mut content).expect("contents are text");
        (name, content)
    });
    assert_eq!(files.collect::<Vec<_>>(), expected, "the content of {}", model.data_id(data));
}

fn nobody(chance: &mut Chance, http: &Client) {
    let id = chance.pick(&[NOBODY, "nobody", "3B0F5A52-6C1E-4D0E-9A53-0D1F6F6B7C11"]).expect("there are some");
    let targets = [
        ("GET", format!("/api/data/{id}")),
        ("GET", format!("/api/data/{id}/lineage")),
        ("GET", format!("/api/runs/{id}/attempts")),
        ("GET", format!("/api/runs/{id}/log")),
        ("GET", format!("/api/plans/{id}/matches")),
        ("PUT", format!("/api/runs/{id}/abort")),
        ("PUT", format!("/api/runs/{id}/retry")),
        ("DELETE", format!("/api/runs/{id}")),
        ("PUT", format!("/api/plans/{id}/active")),
    ];
    let (method, target) = chance.pick(&targets).expect("there are some");
    let answer = http.ask(method, &target);
    assert_eq!(answer.status, 404, "{method} {target}: {}", answer.text());
    assert!(!answer.message().is_empty());
}
