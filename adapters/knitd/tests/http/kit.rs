//! A whole server in one test: its log, its projections, its API on a port of its own.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;

use knit_domain::id::RunId;
use knit_domain::run::ending::{Failure, Success};
use knit_domain::run::{self, Status};
use knit_log::{Database, Log, Options};
use knitd::app::App;
use knitd::command::Cause;
use knitd::follower::Follower;
use knitd::http::{Front, Hosts};
use knitd::streams;
use knitd::views::Views;
use md5::{Digest as _, Md5};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::client::{Answer, PATIENCE, ask, exchange, upload};
use crate::shelf::{OnShelf, Shelf};

/// A running server and what is behind it.
pub(crate) struct World {
    pub(crate) server: SocketAddr,
    pub(crate) app: App,
    pub(crate) shelf: Arc<Shelf>,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<()>,
    following: JoinHandle<()>,
    _dir: TempDir,
}

impl World {
    pub(crate) async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let database = Database::Sqlite(dir.path().join("knitfab.db"));
        let log = Log::open(&database, Options::default()).await.unwrap();
        let views = Arc::new(Views::default());
        let shelf = OnShelf::default();
        let behind = Arc::clone(&shelf.0);
        let app = App::new(log.clone(), Arc::clone(&views), Arc::new(shelf), "server-of-this-test".to_owned(), true);
        app.define_builtin_plans().await.unwrap();
        let follower = Follower::new(log, views);
        let following = tokio::spawn(async move { panic!("{}", follower.run().await) });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = listener.local_addr().unwrap();
        let front = Front::new(app.clone(), Hosts::new(server, &[]), true);
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(knitd::http::serve(listener, front, async move {
            let _ = stopped.await;
        }));
        Self { server, app, shelf: behind, stop: Some(stop), serving, following, _dir: dir }
    }

    /// Tells the server to stop, and waits until it has.
    pub(crate) async fn stop(&mut self) {
        drop(self.stop.take());
        tokio::time::timeout(PATIENCE, &mut self.serving).await.expect("it stops in time").unwrap();
    }

    /// Stops folding the log: what is appended from now on is not shown.
    pub(crate) fn stop_following(&self) {
        self.following.abort();
    }

    pub(crate) async fn get(&self, target: &str) -> Answer {
        ask(self.server, "GET", target, &[], b"").await
    }

    pub(crate) async fn call(&self, method: &str, target: &str) -> Answer {
        ask(self.server, method, target, &[], b"").await
    }

    pub(crate) async fn send(&self, method: &str, target: &str, body: &Value) -> Answer {
        let json = [("Content-Type", "application/json")];
        ask(self.server, method, target, &json, body.to_string().as_bytes()).await
    }

    /// Uploads `archive` with its checksum behind it.
    pub(crate) async fn upload(&self, archive: &[u8]) -> Answer {
        exchange(self.server, &upload(self.server, archive, Some(&md5_of(archive)))).await
    }

    /// Uploads something and gives it `tags`; answers its id.
    pub(crate) async fn push(&self, tags: &[&str]) -> String {
        let uploaded = self.upload(&archive(b"content")).await.expect(200).json();
        let id = uploaded["knitId"].as_str().unwrap().to_owned();
        self.send("PUT", &format!("/api/data/{id}"), &json!({ "add": tags })).await.expect(200);
        id
    }

    /// Registers a Plan; answers its id.
    pub(crate) async fn plan(&self, spec: &Value) -> String {
        self.send("POST", "/api/plans", spec).await.expect(200).json()["planId"].as_str().unwrap().to_owned()
    }

    /// Lets the matcher make Runs, and waits for the one Run of `plan`.
    pub(crate) async fn run_of(&self, plan: &str) -> RunId {
        let making = tokio::spawn(knitd::reactors::projection::run(self.app.clone()));
        let target = format!("/api/runs?plan={plan}");
        let waiting = async {
            loop {
                let runs = self.get(&target).await.expect(200).json();
                if let Some(run) = runs.get(0) {
                    return run["runId"].as_str().unwrap().parse().unwrap();
                }
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        };
        let run = tokio::time::timeout(PATIENCE, waiting).await.expect("a Run is made in time");
        making.abort();
        run
    }

    /// Moves a Run on, step by step, until it has this status. Its Worker succeeds or fails as is needed.
    pub(crate) async fn bring(&self, id: RunId, wanted: Status) {
        for _ in 0..Status::ALL.len() {
            let record = streams::run(self.app.log(), id).await.unwrap().state.record.unwrap();
            if record.status == wanted {
                return;
            }
            let fails = matches!(wanted, Status::Aborting | Status::Failed);
            let attempt = record.attempt;
            let plan = streams::plan(self.app.log(), record.plan).await.unwrap();
            let decide = |run: &_| {
                Ok(match record.status {
                    Status::Deactivated | Status::Waiting => run::prepare_volumes(run, &plan, attempt)?,
                    Status::Ready => run::request_worker(run, &plan, attempt, BTreeMap::new())?,
                    Status::Starting => run::record_started(run, attempt)?,
                    Status::Running if fails => {
                        let exit =
                            knit_domain::event::run::Exit { code: 3, message: "(container main) Error".to_owned() };
                        run::decide_failure(run, attempt, &Failure::WorkerFailed(exit))?
                    }
                    Status::Running => run::decide_success(run, attempt, Success::Worker)?,
                    Status::Completing | Status::Aborting => run::finish(run, attempt, None)?,
                    Status::Done | Status::Failed | Status::Invalidated => panic!("a Run that has ended goes nowhere"),
                })
            };
            for output in record.outputs.iter().filter(|_| record.status == Status::Waiting) {
                self.shelf.put(output.volume_ref.clone(), format!("{} of {id}", output.path));
            }
            self.app.decide_on_run(&Cause::reactor("test"), id, decide).await.unwrap();
        }
        panic!("the Run {id} does not come to {wanted}");
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.following.abort();
        self.serving.abort();
    }
}

/// A tar in gzip with one file of this content.
pub(crate) fn archive(content: &[u8]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    header.set_cksum();
    builder.append_data(&mut header, "file", content).unwrap();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(&builder.into_inner().unwrap()).unwrap();
    packed.finish().unwrap()
}

/// The checksum of the wire.
pub(crate) fn md5_of(bytes: &[u8]) -> String {
    hex::encode(Md5::digest(bytes))
}

/// A Plan that takes Data with one tag, makes one output, and keeps its log.
pub(crate) fn spec(input_tag: &str) -> Value {
    json!({
        "image": "host:latest",
        "args": ["true"],
        "inputs": [{"path": "/in", "tags": [input_tag]}],
        "outputs": [{"path": "/out", "tags": ["type:model"]}],
        "log": {"tags": ["type:log"]},
    })
}
