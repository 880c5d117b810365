//! Somebody who sends one request after the other and looks at everything after each.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use knit_tests::http::Response;
use knit_tests::server::{Server, Setup};
use serde_json::Value;

use super::chance::Chance;
use super::compare;
use super::model::{Model, RunNo, Status};
use super::moments::Moment;
use super::plans::Verdict;
use super::requests::{Operation, Request, send};
use super::times::milliseconds;

/// A request that would bring more Runs than this is not sent: products would fill the machine.
const NEW_RUNS_MAX: usize = 6;
/// Runs that hang at once; each holds a tenth of a processor and some memory of the machine.
const HANGING_MAX: usize = 4;
/// Data at once: everything is asked about all of them after every request.
const DATA_MAX: usize = 60;
/// How long the server may take to come to rest, counted from the last change that was seen.
const REST_MAX: Duration = Duration::from_secs(90);
/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(10);
/// Statuses in which a Run does not stay.
const ON_THE_WAY: [&str; 6] = ["waiting", "ready", "starting", "running", "completing", "aborting"];

/// What only the server can know: when something happened, and in which words a Worker failed.
#[derive(Debug, Default, Clone)]
pub(crate) struct Known {
    updated_at: BTreeMap<RunNo, String>,
    exit_messages: BTreeMap<RunNo, String>,
}

impl Known {
    pub(crate) fn updated_at(&self, run: RunNo) -> String {
        self.updated_at.get(&run).cloned().unwrap_or_else(|| panic!("Run {run} was seen"))
    }

    pub(crate) fn exit_message(&self, run: RunNo) -> String {
        self.exit_messages.get(&run).cloned().unwrap_or_default()
    }
}

pub(crate) struct User {
    chance: Chance,
    server: Server,
    model: Model,
    known: Known,
    /// Ids of every Data that ever was.
    data_seen: BTreeSet<String>,
    /// What was compared after each request.
    moments: Vec<Moment>,
    sent: usize,
}

impl User {
    pub(crate) fn new(chance: Chance, setup: Setup) -> Self {
        let server = setup.start();
        let plans = server.http().get("/api/plans").json();
        let uploaded = plans.as_array().into_iter().flatten().find(|plan| plan["name"] == "knit#uploaded");
        let id = uploaded.and_then(|plan| plan["planId"].as_str()).expect("the Plan of uploads is built in");
        let model = Model::new(id.to_owned());
        let (data_seen, moments) = (BTreeSet::new(), Vec::new());
        Self { chance, server, model, known: Known::default(), data_seen, moments, sent: 0 }
    }

    /// Sends a request, and compares everything when it has had its effects.
    pub(crate) fn request(&mut self) {
        let (request, status, after) = self.chosen();
        self.sent += 1;
        println!("{:3} {request:?}", self.sent);
        if let Request::Restart { kill } = request {
            self.restart(kill);
        }
        let answer = send(&request, &self.model, &self.server.http());
        assert_eq!(answer.status, status, "{request:?} is answered with {}", answer.text());
        let before = std::mem::replace(&mut self.model, after);
        self.take_in(&request, &before, &answer);
        self.wait_for_rest();
        compare::everything(&self.server.http(), &self.model, &self.known, "");
        for _ in 0..4 {
            compare::question(&mut self.chance, &self.server.http(), &self.model, &self.known, &self.moments);
        }
        self.moments.push(Moment::now(&self.server.http(), &self.model, &self.known));
    }

    /// Ends the episode as an administrator ends a server.
    pub(crate) fn leave(mut self) {
        let ended = self.server.stop();
        assert!(ended.success(), "the server stops in order: {ended}");
    }

    fn restart(&mut self, kill: bool) {
        if kill {
            self.server.kill();
        } else {
            let ended = self.server.stop();
            assert!(ended.success(), "the server stops in order: {ended}");
        }
        self.server.start();
    }

    /// A request that does not lead too far, its status, and what there is after it.
    fn chosen(&mut self) -> (Request, u16, Model) {
        loop {
            let request = Request::choose(&mut self.chance, &self.model);
            let mut after = self.model.clone();
            let status = after.apply(&request);
            after.come_to_rest();
            let few = after.runs.len() <= self.model.runs.len() + NEW_RUNS_MAX;
            if few && after.hanging() <= HANGING_MAX && after.data_there().count() <= DATA_MAX {
                return (request, status, after);
            }
        }
    }

    /// Learns from the answer what only the server can know, and checks the rest of it.
    fn take_in(&mut self, request: &Request, before: &Model, answer: &Response) {
        match request {
            Request::Upload { .. } => {
                let data = before.data.len();
                let told = answer.json();
                let run = text(&told["upstream"]["run"]["runId"]);
                self.model.runs[before.runs.len()].id = Some(run);
                self.see_data(data, &text(&told["knitId"]));
            }
            Request::Register { plan, flaw } => match before.judge(plan, *flaw) {
                Verdict::Registered => self.model.plans[before.plans.len()].id = text(&answer.json()["planId"]),
                Verdict::Equivalent(other) => {
                    assert_eq!(answer.header("x-knit-see"), Some(before.plans[other].id.as_str()));
                }
                Verdict::Cyclic => assert!(answer.message().contains("feed itself"), "{}", answer.message()),
                Verdict::Invalid => {}
            },
            Request::OnRun { operation: operation @ (Operation::Abort | Operation::TearOff), .. } => {
                let (on_the_way, end) = match operation {
                    Operation::Abort => ("aborting", "failed"),
                    Operation::TearOff | Operation::Retry | Operation::Delete => ("completing", "done"),
                };
                if answer.status == 200 {
                    let status = text(&answer.json()["status"]);
                    assert!(status == on_the_way || status == end, "{status} after {operation:?}");
                }
            }
            Request::ChangeTags { .. }
            | Request::SetActive { .. }
            | Request::Annotate { .. }
            | Request::Limit { .. }
            | Request::OnRun { .. }
            | Request::Restart { .. } => {}
        }
        if answer.status >= 400 {
            assert!(!answer.message().is_empty(), "a refusal says why");
        }
    }

    fn see_data(&mut self, data: usize, id: &str) {
        match &self.model.data[data].id {
            Some(known) => assert_eq!(known, id, "a Data keeps its id"),
            None => {
                assert!(self.data_seen.insert(id.to_owned()), "the id {id} was given twice");
                self.model.data[data].id = Some(id.to_owned());
            }
        }
    }

    /// Waits until every Run is where the model has it.
    fn wait_for_rest(&mut self) {
        let (mut last, mut since) = (Value::Null, Instant::now());
        loop {
            let runs = self.server.http().get("/api/runs").json();
            let moving = self.look_at(runs.as_array().expect("finding answers a list"));
            if moving.is_empty() {
                self.learn_times(runs.as_array().expect("finding answers a list"));
                return;
            }
            if runs != last {
                (last, since) = (runs, Instant::now());
            }
            assert!(
                since.elapsed() < REST_MAX,
                "waited in vain for {moving:#?}\nthere is {last:#}\n{}",
                self.server.log()
            );
            std::thread::sleep(PAUSE);
        }
    }

    /// Learns ids; answers what is not yet as it must become.
    fn look_at(&mut self, runs: &[Value]) -> Vec<String> {
        while let Some((run, seen)) = self.unknown(runs) {
            self.model.runs[run].id = Some(text(&seen["runId"]));
        }
        let mut moving = Vec::new();
        for seen in runs {
            let Some(run) = self.model.run_ids().get(text(&seen["runId"]).as_str()).copied() else {
                moving.push(format!("an explanation of {seen:#}"));
                continue;
            };
            let (status, expected) = (text(&seen["status"]), self.model.status_word(run));
            if status != expected {
                assert!(ON_THE_WAY.contains(&status.as_str()), "expected to be {expected}: {seen:#}");
                moving.push(format!("Run {} to be {expected}", self.model.run_id(run)));
            }
            self.learn_outputs(run, seen);
        }
        let there: Vec<RunNo> = self.model.there().collect();
        let missing = there.into_iter().filter(|run| {
            let id = self.model.runs[*run].id.as_deref();
            !runs.iter().any(|seen| seen["runId"].as_str() == id)
        });
        moving.extend(missing.map(|run| format!("a Run of {:?}", self.model.runs[run])));
        moving
    }

    /// A Run that was not seen before and that the model has: of the same Plan, with the same Data.
    fn unknown<'a>(&self, runs: &'a [Value]) -> Option<(RunNo, &'a Value)> {
        let known = self.model.run_ids();
        let new = runs.iter().filter(|seen| !known.contains_key(text(&seen["runId"]).as_str()));
        new.into_iter().find_map(|seen| {
            let is_it = |run: &RunNo| {
                let it = &self.model.runs[*run];
                let plan = &self.model.plans[it.plan];
                let inputs = it.inputs.iter().map(|data| self.model.data[*data].id.as_deref());
                let seen_inputs = seen["inputs"].as_array().into_iter().flatten().map(|input| input["knitId"].as_str());
                it.id.is_none() && seen["plan"]["planId"] == plan.id && inputs.eq(seen_inputs)
            };
            self.model.there().find(is_it).map(|run| (run, seen))
        })
    }

    fn learn_outputs(&mut self, run: RunNo, seen: &Value) {
        let outputs = seen["outputs"].as_array().into_iter().flatten().chain([&seen["log"]]);
        let ids: Vec<String> = outputs.filter_map(|made| made["knitId"].as_str()).map(str::to_owned).collect();
        let made = self.model.runs[run].made.clone();
        if made.is_empty() {
            assert!(ids.iter().all(String::is_empty), "a tombstone has no outputs: {seen:#}");
            return;
        }
        assert_eq!(made.len(), ids.len(), "one Data for every output: {seen:#}");
        made.into_iter().zip(&ids).for_each(|(data, id)| self.see_data(data, id));
    }

    /// Nothing moves any more: times go forward where something happened, and stay where nothing did.
    fn learn_times(&mut self, runs: &[Value]) {
        for seen in runs {
            let run = self.model.run_ids()[text(&seen["runId"]).as_str()];
            let updated_at = text(&seen["updatedAt"]);
            if let Some(before) = self.known.updated_at.get(&run) {
                let moved = self.model.runs[run].moved;
                let forward = milliseconds(&updated_at) >= milliseconds(before);
                assert!(forward && (moved || updated_at == *before), "changed at {before}, and then: {seen:#}");
            }
            self.known.updated_at.insert(run, updated_at);
            if self.model.runs[run].status == Status::Failed {
                let message = seen["exit"]["message"].as_str().unwrap_or_default();
                self.known.exit_messages.insert(run, message.to_owned());
            }
        }
        self.model.runs.iter_mut().for_each(|run| run.moved = false);
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("a text, not {value}")).to_owned()
}
