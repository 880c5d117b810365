//! Requests to one server, every answer of which is counted.

use std::sync::Arc;

use knit_tests::http::{Client, Response};
use serde_json::{Value, json};

use super::answers::Answers;

/// A client that counts. What was not answered well is none.
#[derive(Debug, Clone)]
pub(super) struct Asking {
    http: Client,
    pub(super) answers: Arc<Answers>,
}

impl Asking {
    pub(super) fn new(http: Client, answers: Arc<Answers>) -> Self {
        Self { http, answers }
    }

    fn ask(&self, method: &str, target: &str, body: Option<&Value>) -> Option<Response> {
        let answer = self.http.try_json(method, target, body);
        self.answers.count(&format!("{method} {target}"), &answer);
        answer.ok().filter(|answer| answer.status < 400)
    }

    pub(super) fn get(&self, target: &str) -> Option<Response> {
        self.ask("GET", target, None)
    }

    pub(super) fn put(&self, target: &str, body: &Value) {
        let _ = self.ask("PUT", target, Some(body));
    }

    pub(super) fn post(&self, target: &str, body: &Value) -> Option<Value> {
        self.ask("POST", target, Some(body)).map(|answer| answer.json())
    }

    /// A request without a body or an interesting answer; whether it was answered well.
    pub(super) fn order(&self, method: &str, target: &str) -> bool {
        self.ask(method, target, None).is_some()
    }

    /// What is there, as a list; empty when it was not answered.
    pub(super) fn list(&self, target: &str) -> Vec<Value> {
        let answer = self.get(target).map(|answer| answer.json());
        answer.and_then(|list| list.as_array().cloned()).unwrap_or_default()
    }

    /// Pushes an archive and tags it, as `knit data push -t` does; answers the id of the Data.
    pub(super) fn push(&self, archive: &[u8], tags: &[&str]) -> Option<String> {
        let answer = self.http.try_upload(archive, &[("x-checksum-md5", &knit_tests::archive::checksum(archive))]);
        self.answers.count("POST /api/data", &answer);
        let data = answer.ok().filter(|answer| answer.status < 400)?.json();
        let id = data["knitId"].as_str()?.to_owned();
        self.put(&format!("/api/data/{id}"), &json!({"add": tags, "remove": [], "remove_key": []}));
        Some(id)
    }

    /// The first Run that takes a Data.
    pub(super) fn run_on(&self, data: &str) -> Option<String> {
        self.runs_on(&self.data(data)?).into_iter().next()
    }

    fn data(&self, id: &str) -> Option<Value> {
        self.list(&format!("/api/data?tag=knit%23id:{id}")).into_iter().next()
    }

    fn runs_on(&self, data: &Value) -> Vec<String> {
        let uses = data["downstreams"].as_array().into_iter().flatten();
        uses.filter_map(|using| using["run"]["runId"].as_str()).map(str::to_owned).collect()
    }

    /// Asks for something to be done to a Run.
    pub(super) fn act(&self, run: &str, what: &str) {
        let _ = self.order("PUT", &format!("/api/runs/{run}/{what}"));
    }

    /// Follows the log of a Run that is running, and goes away after the first piece.
    pub(super) fn follow_a_little(&self, run: &str, bytes_max: usize) {
        let running = self.get(&format!("/api/runs/{run}")).is_some_and(|run| run.json()["status"] == "running");
        if running {
            let mut connection = self.http.connect();
            connection.head("GET", &format!("/api/runs/{run}/log?follow"), &[]);
            let head = connection.response_head();
            let _ = connection.read_some(bytes_max);
            self.answers.count("following a log", &Ok(head));
        }
    }

    /// Deletes everything that was made of a Data, then the Data; whether all of it is gone.
    pub(super) fn delete_tree(&self, root: &str) -> bool {
        let Some(data) = self.data(root) else { return true };
        let made = self.runs_on(&data).iter().all(|run| self.delete_run(run));
        let upload = data["upstream"]["run"]["runId"].as_str().unwrap_or_default();
        made && self.order("DELETE", &format!("/api/runs/{upload}"))
    }

    /// Deletes a Run after the Runs that take its outputs. One that has not ended is left.
    fn delete_run(&self, id: &str) -> bool {
        let Some(run) = self.get(&format!("/api/runs/{id}")).map(|run| run.json()) else { return false };
        if !matches!(run["status"].as_str(), Some("done" | "failed")) {
            return false;
        }
        let outputs = run["outputs"].as_array().into_iter().flatten().chain([&run["log"]]);
        let outputs = outputs.filter_map(|output| output["knitId"].as_str()).filter_map(|id| self.data(id));
        let uses: Vec<String> = outputs.flat_map(|data| self.runs_on(&data)).collect();
        uses.iter().all(|using| self.delete_run(using)) && self.order("DELETE", &format!("/api/runs/{id}"))
    }
}
