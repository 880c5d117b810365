//! A whole server in one test, whose parts are started one by one and can die together.

use std::sync::Arc;
use std::time::Duration;

use knit_domain::data::TagChange;
use knit_domain::event::StreamId;
use knit_domain::event::plan::{Image, LogPoint, Mountpoint};
use knit_domain::id::{KnitId, PlanId, RunId, VolumeRef, WorkerName};
use knit_domain::plan::PlanDraft;
use knit_domain::run::ending::UploadOutcome;
use knit_domain::run::{RunRecord, Status};
use knit_domain::tag::{Tag, TagSet};
use knit_log::{Database, Log, Options};
use knit_runtime::port::{Runtime as _, WorkerState};
use knitd::app::{App, Upload};
use knitd::command::Cause;
use knitd::follower::Follower;
use knitd::reactors::finishing::Finishing;
use knitd::reactors::garbage_collection::GarbageCollection;
use knitd::reactors::housekeeping::Housekeeping;
use knitd::reactors::initialize::Initialize;
use knitd::reactors::run_management::RunManagement;
use knitd::reactors::{self, Reactor};
use knitd::streams;
use knitd::views::Views;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tracing::subscriber::DefaultGuard;

use crate::gate::ScriptedGate;
use crate::lines::Lines;
use crate::scripted::Scripted;

/// Longest time anything may take in these tests. It is shorter than the time after which reactors look at
/// everything again, so what is only noticed then fails its test.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// Where the servers of one test are that believe in others.
pub(crate) const PLACE: &str = "place-of-this-test";
/// How often a test looks whether it has come to what it waits for.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// Waits until `is_so`.
pub(crate) async fn in_time(what: &str, is_so: impl Fn() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("in time: {what}"));
}

/// The parts of a server that a test can start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Projection,
    Initialize,
    RunManagement,
    Finishing,
    GarbageCollection,
    Housekeeping,
}

impl Role {
    pub(crate) const ALL: [Self; 6] = [
        Self::Projection,
        Self::Initialize,
        Self::RunManagement,
        Self::Finishing,
        Self::GarbageCollection,
        Self::Housekeeping,
    ];
}

/// A server and the world it lives in. The world outlives it.
pub(crate) struct World {
    pub(crate) app: App,
    pub(crate) runtime: Scripted,
    pub(crate) gate: Arc<ScriptedGate>,
    pub(crate) lines: Lines,
    tasks: Vec<JoinHandle<()>>,
    starts: u32,
    alone: bool,
    dir: TempDir,
    _collecting: DefaultGuard,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(true).await
    }

    /// A server that believes in others.
    pub(crate) async fn with_replicas() -> Self {
        Self::with(false).await
    }

    async fn with(alone: bool) -> Self {
        // At its place a server knows at once that the one before it is gone; elsewhere it must wait and see.
        let runtime = Scripted::at((!alone).then_some(PLACE));
        let (dir, gate) = (tempfile::tempdir().unwrap(), Arc::default());
        let lines = Lines::default();
        let collecting = lines.collect();
        let (app, following) = start(&dir, &runtime, &gate, 1, alone).await;
        app.define_builtin_plans().await.unwrap();
        let tasks = vec![following];
        Self { app, runtime, gate, lines, tasks, starts: 1, alone, dir, _collecting: collecting }
    }

    /// The server dies: whatever it was doing is cut off where it is.
    pub(crate) async fn crash(&mut self) {
        for task in self.tasks.drain(..) {
            task.abort();
            let _ = task.await;
        }
        self.app.log().close().await;
    }

    /// Another server starts on what the one before left.
    pub(crate) async fn restart(&mut self) {
        self.starts += 1;
        let (app, following) = start(&self.dir, &self.runtime, &self.gate, self.starts, self.alone).await;
        self.app = app;
        self.tasks.push(following);
        self.app.fresh().await.unwrap();
    }

    pub(crate) fn start(&mut self, role: Role) {
        let app = self.app.clone();
        self.tasks.push(match role {
            Role::Projection => tokio::spawn(reactors::projection::run(app)),
            Role::Initialize => run(app, Initialize::new),
            Role::RunManagement => run(app, RunManagement::new),
            Role::Finishing => run(app, Finishing::new),
            Role::GarbageCollection => run(app, GarbageCollection::new),
            Role::Housekeeping => run(app, Housekeeping::new),
        });
    }

    pub(crate) fn start_all(&mut self) {
        Role::ALL.into_iter().for_each(|role| self.start(role));
    }

    /// Lets nobody but the projection reactor act until `is_so`.
    async fn project_until(&self, what: &str, is_so: impl Fn() -> bool) {
        let making = tokio::spawn(reactors::projection::run(self.app.clone()));
        in_time(what, is_so).await;
        making.abort();
        let _ = making.await;
    }
}

fn run<R: Reactor>(app: App, new: impl FnOnce(App) -> Arc<R>) -> JoinHandle<()> {
    let reactor = new(app.clone());
    tokio::spawn(reactors::run(app, reactor))
}

async fn start(
    dir: &TempDir,
    runtime: &Scripted,
    gate: &Arc<ScriptedGate>,
    starts: u32,
    alone: bool,
) -> (App, JoinHandle<()>) {
    let database = Database::Sqlite(dir.path().join("knitfab.db"));
    let log = Log::open(&database, Options::default()).await.unwrap();
    let views = Arc::new(Views::default());
    let server = format!("server-{starts}");
    let app = App::new(log.clone(), Arc::clone(&views), Arc::new(runtime.clone()), server, alone);
    let following = tokio::spawn(async move {
        Follower::new(log, views).run().await;
    });
    (app.with_gate(Arc::clone(gate) as Arc<_>), following)
}

/// What users do.
impl World {
    pub(crate) async fn begin_upload(&self) -> Upload {
        self.app.begin_upload(&user()).await.unwrap()
    }

    /// Uploads something with these tags.
    pub(crate) async fn push(&self, tags: &[&str]) -> KnitId {
        let upload = self.begin_upload().await;
        self.runtime.prepare_volume(&upload.volume, upload.knit_id).await.unwrap();
        self.runtime.fill(&upload.volume, format!("content of {}", upload.knit_id));
        self.runtime.seal_volume(&upload.volume).await.unwrap();
        self.app.end_upload(&user(), &upload, &UploadOutcome::Stored).await.unwrap();
        self.tag(upload.knit_id, tags).await;
        upload.knit_id
    }

    pub(crate) async fn tag(&self, data: KnitId, tags: &[&str]) {
        let add = tags.iter().map(|tag| Tag::parse(tag).unwrap()).collect();
        let change = TagChange { add, ..TagChange::default() };
        self.app.change_tags(&user(), data, &change).await.unwrap();
    }

    pub(crate) async fn apply(&self, draft: &PlanDraft) -> PlanId {
        self.app.register_plan(&user(), draft, None).await.unwrap().0
    }

    /// One Run that waits: a Data with the tag `type:NAME`, and a Plan that takes it.
    pub(crate) async fn waiting_run(&self, name: &str) -> RunId {
        let tag = format!("type:{name}");
        let data = self.push(&[&tag]).await;
        let plan = self.apply(&plan(&tag)).await;
        self.project_until("a Run is made", || !self.runs_of(plan).is_empty()).await;
        let run = self.runs_of(plan)[0];
        assert_eq!(self.record(run).await.inputs[0].knit_id, data);
        run
    }

    /// One Run whose Worker runs. The reactors that bring it there go on.
    pub(crate) async fn running_run(&mut self) -> (RunId, WorkerName) {
        let run = self.waiting_run("corpus").await;
        self.start(Role::Initialize);
        self.start(Role::RunManagement);
        let worker = WorkerName::of(run, 1);
        self.spawned(run).await;
        self.runtime.worker_becomes(&worker, WorkerState::Running);
        self.becomes(run, Status::Running).await;
        (run, worker)
    }

    /// Waits until the Worker of the present attempt is known to exist.
    pub(crate) async fn spawned(&self, run: RunId) {
        let is_spawned = || self.app.views().worklists.read().run(run).is_some_and(|run| run.worker_uid.is_some());
        in_time("the Worker is known to exist", is_spawned).await;
    }

    /// Waits until the Run has this status.
    pub(crate) async fn becomes(&self, run: RunId, status: Status) {
        in_time(&format!("the Run becomes {status}"), || self.status(run) == Some(status)).await;
    }
}

/// What there is to see.
impl World {
    pub(crate) fn status(&self, run: RunId) -> Option<Status> {
        self.app.views().store.read().run_status(run)
    }

    /// The Run as its stream tells it.
    pub(crate) async fn record(&self, run: RunId) -> RunRecord {
        streams::run(self.app.log(), run).await.unwrap().state.record.unwrap()
    }

    pub(crate) fn runs_of(&self, plan: PlanId) -> Vec<RunId> {
        use knit_projections::store::{At, RunFilter};
        let filter = RunFilter { plans: Some(vec![plan]), ..RunFilter::default() };
        self.app.views().store.read().find_runs(&filter, At::Now)
    }

    /// The volumes of the present attempt, the log's last.
    pub(crate) async fn volumes_of(&self, run: RunId) -> Vec<VolumeRef> {
        self.record(run).await.outputs.into_iter().map(|output| output.volume_ref).collect()
    }

    /// What happened to the Run, in words.
    pub(crate) async fn story(&self, run: RunId) -> Vec<&'static str> {
        let events = self.app.log().load(&StreamId::run(run)).await.unwrap();
        events.iter().map(|recorded| recorded.event.type_name()).collect()
    }

    /// Waits until a line of the server's own log holds all of these.
    pub(crate) async fn says(&self, words: &[&str]) {
        in_time(&format!("the log says {words:?}"), || !self.lines.with(words).is_empty()).await;
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// Somebody at the command line.
pub(crate) fn user() -> Cause {
    Cause::request("anonymous")
}

/// A Plan that takes Data with one tag, makes one output, and keeps its log.
pub(crate) fn plan(tag: &str) -> PlanDraft {
    let image = Image { repository: "host".to_owned(), tag: "latest".to_owned() };
    PlanDraft {
        outputs: vec![mountpoint("/out", "type:model")],
        log: Some(LogPoint { tags: tags("type:log") }),
        ..PlanDraft::new(image, vec![mountpoint("/in", tag)])
    }
}

pub(crate) fn mountpoint(path: &str, tag: &str) -> Mountpoint {
    Mountpoint { path: path.to_owned(), tags: tags(tag) }
}

fn tags(tag: &str) -> TagSet {
    TagSet::new([Tag::parse(tag).unwrap()])
}
